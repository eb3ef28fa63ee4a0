"""A contact sheet of the tracks of a film: a thumbnail a track, grouped by identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vidcolor.color.lab import lab_to_rgb
from vidcolor.guidance.colors import parse_color
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.ops.draw import INK, Bytes, Color, fitted, paper, swatch, write

__all__ = ["track_sheet"]

_PAPER: Color = (250, 250, 250)
_FAINT: Color = (120, 120, 120)
_LINE: Color = (205, 205, 205)
_MIDDLE = 60.0  # L* of a swatch whose color has none
_SIDE = 160
_GAP = 12
_TEXT = 16  # of a line of text
_LINES = 4
_HEAD = 30
_COLUMNS = 6
_LETTER = 0.42  # scale of the font


@dataclass(frozen=True, slots=True)
class _Group:
    title: str
    entries: tuple[TrackEntry, ...]


def track_sheet(
    entries: Sequence[TrackEntry], pictures: Mapping[int, Bytes], columns: int = _COLUMNS
) -> Bytes:
    """Draw the sheet.

    Identities with several tracks come first, each on rows of its own under a heading; those with
    a single track follow together. Under each thumbnail: id and class, time and length, mean
    color, and name and pin if a person gave them.

    Args:
        entries: Lines of the file.
        pictures: (h, w, 3) uint8 R'G'B' by id; a track without one gets an empty frame.
        columns: Thumbnails in a row.

    Returns:
        (H, W, 3) uint8 R'G'B'.
    """
    width = _GAP + columns * (_SIDE + _GAP)
    strips = [_heading(_title(entries), width, INK)]
    for group in _groups(entries):
        strips.append(_heading(group.title, width, _FAINT))
        for first in range(0, len(group.entries), columns):
            strips.append(_row(group.entries[first : first + columns], pictures, width))
    return np.concatenate(strips)


def _title(entries: Sequence[TrackEntry]) -> str:
    tracks = len({entry.id for entry in entries})
    objects = len({entry.identity for entry in entries})
    return f"{tracks} track{'s' * (tracks != 1)}, {objects} object{'s' * (objects != 1)}"


def _groups(entries: Sequence[TrackEntry]) -> list[_Group]:
    by: dict[str, list[TrackEntry]] = {}
    for entry in entries:
        by.setdefault(entry.identity, []).append(entry)
    shared = [
        _Group(f"{identity} ({len(members)} tracks)", tuple(members))
        for identity, members in by.items()
        if len(members) > 1
    ]
    alone = tuple(members[0] for members in by.values() if len(members) == 1)
    return shared + ([_Group("seen once", alone)] if alone else [])


def _heading(text: str, width: int, ink: Color) -> Bytes:
    strip = paper(_HEAD, width, _PAPER)
    strip[_HEAD - 6, _GAP : width - _GAP + 1] = _LINE
    write(strip, text, _GAP, _HEAD - 12, ink, _LETTER, width - 2 * _GAP)
    return strip


def _row(entries: Sequence[TrackEntry], pictures: Mapping[int, Bytes], width: int) -> Bytes:
    height = _SIDE + _LINES * _TEXT + _GAP
    strip = paper(height, width, _PAPER)
    for number, entry in enumerate(entries):
        left = _GAP + number * (_SIDE + _GAP)
        _thumbnail(strip, pictures.get(entry.id), left)
        _caption(strip, entry, left)
    return strip


def _thumbnail(strip: Bytes, picture: Bytes | None, left: int) -> None:
    if picture is None or 0 in picture.shape:
        swatch(strip, (left, 0, left + _SIDE - 1, _SIDE - 1), _PAPER, _LINE)
        return
    small = fitted(picture, (_SIDE, _SIDE))
    height, width = small.shape[:2]
    top, start = (_SIDE - height) // 2, left + (_SIDE - width) // 2
    strip[top : top + height, start : start + width] = small


def _caption(strip: Bytes, entry: TrackEntry, left: int) -> None:
    since = f" from {entry.since}" if entry.since != "" else ""
    until = f" to {entry.until}" if entry.until != "" else ""
    lines = [
        f"{entry.id}  {entry.identity}",
        f"{entry.time}  {entry.seconds:.1f} s",
        f"{entry.label}{since}{until}",
        entry.name,
    ]
    for number, text in enumerate(lines):
        ink = INK if number in (0, 3) else _FAINT
        write(strip, text, left, _SIDE + (number + 1) * _TEXT - 3, ink, _LETTER, _SIDE)
    right = left + _SIDE
    bottom = _SIDE + 3 * _TEXT - 2
    for color in (entry.color, entry.mean):
        fill = _rgb(color)
        if fill is not None:
            swatch(strip, (right - 12, bottom - 11, right - 1, bottom), fill, _LINE)
            right -= 15


def _rgb(color: str) -> Color | None:
    """R'G'B' of a color in a person's words; None where there is none."""
    if not color:
        return None
    found = parse_color(color)
    lightness = _MIDDLE if found.lightness is None else found.lightness
    rgb = lab_to_rgb(torch.tensor([[lightness, *found.ab]])).clamp(0, 1)[0]
    red, green, blue = (round(float(v) * 255) for v in rgb)
    return red, green, blue
