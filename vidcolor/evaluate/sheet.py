"""The worst moments of flicker as a contact sheet: before, at, after."""

from __future__ import annotations

from vidcolor.evaluate.records import FilmReport, Moment
from vidcolor.io.source import as_time
from vidcolor.ops.draw import Bytes, outline, paper, write

__all__ = ["draw_sheet"]

_HEAD, _GAP = 26, 8
_LINE = (255, 220, 0)


def draw_sheet(report: FilmReport) -> Bytes:
    """A row for each of the worst moments: the frame before, the frame, the frame after.

    Boxes show where the jump was measured.

    Returns:
        (H, W, 3) uint8 R'G'B'.
    """
    rows = [moment for moment in report.worst if moment.pictures]
    if not rows:
        sheet = paper(40, 560)
        write(sheet, "no moment at which color jumps", 12, 25)
        return sheet
    height, width = rows[0].pictures[0].shape[:2]
    across = max(len(moment.pictures) for moment in rows)
    sheet = paper(len(rows) * (_HEAD + height + _GAP), across * (width + _GAP) + _GAP)
    for number, moment in enumerate(rows):
        top = number * (_HEAD + height + _GAP)
        write(sheet, _caption(number, moment), _GAP, top + 18)
        for place, picture in enumerate(moment.pictures):
            framed = _framed(picture, moment, report)
            left = _GAP + place * (width + _GAP)
            sheet[top + _HEAD : top + _HEAD + height, left : left + width] = framed
    return sheet


def _caption(number: int, moment: Moment) -> str:
    true = "" if moment.true_jump is None else f" (truth {moment.true_jump:.1f})"
    track = "" if moment.track is None else f", track {moment.track}"
    return (
        f"{number + 1}. {as_time(moment.time)}, frame {moment.frame}, shot {moment.shot}{track}: "
        f"{moment.kind}, jump {moment.jump:.1f}{true}"
    )


def _framed(picture: Bytes, moment: Moment, report: FilmReport) -> Bytes:
    """The picture with the box drawn; it shows the frame without bars."""
    height, width = picture.shape[:2]
    above, below, left, right = report.bars
    tall, wide = report.frame_size
    y, x = height / (tall - above - below), width / (wide - left - right)
    x0, y0, x1, y1 = moment.box
    first = round((x0 - left) * x), round((y0 - above) * y)
    last = round((x1 - left) * x) - 1, round((y1 - above) * y) - 1
    drawn = picture.copy()
    outline(drawn, (*first, *last), _LINE)
    return drawn
