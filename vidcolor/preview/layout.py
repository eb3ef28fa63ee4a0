"""Where the pictures of a clip lie: beside each other, split, or with a line that travels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vidcolor.errors import ConfigError
from vidcolor.ops.draw import LETTER_PX, WHITE, Bytes, shade, text_width, write
from vidcolor.preview.pictures import shown_size
from vidcolor.records import VideoInfo

__all__ = ["LAYOUTS", "Kind", "Layout", "fitting"]

Kind = Literal["side", "split", "wipe"]

LAYOUTS: tuple[Kind, ...] = ("side", "split", "wipe")

_GAP_PX = 2  # between pictures that lie beside each other
_SCREEN = 16 / 9  # width over height of what a clip may fill
_SWEEP_S = 4.0  # the line goes there and back in this time
_REACH = 0.48  # of the width, from the middle, so that the line is never out of sight
_LINE_SHARE = 1 / 540  # thickness of the line, of the height
_LEAST_PX = 16

_LETTER_SHARE = 1 / 45  # height of letters, of the height of a picture
_LETTERS_PX = (9, 16)  # never smaller or larger
_SHADE = 0.45  # light left behind letters and beside lines


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture for every moment of a clip, made of the same frame as several ways show it.

    Attributes:
        kind: `side`: beside or above each other, each whole. `split`: one picture in upright bands,
            each by another way. `wipe`: two ways, and the line between them travels.
        labels: What each of them is called.
        pane: `(height, width)` of each picture.
        rows: Of pictures; 1 where there is only one.
    """

    kind: Kind
    labels: tuple[str, ...]
    pane: tuple[int, int]
    rows: int = 1

    @property
    def columns(self) -> int:
        """Pictures in a row."""
        return -(-len(self.labels) // self.rows) if self.kind == "side" else 1

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` of the clip."""
        return _filled(self.pane, self.rows, self.columns)

    def draw(self, pictures: Sequence[Bytes], seconds: float, code: str) -> Bytes:
        """The picture of one moment.

        Args:
            pictures: One for each label, (h, w, 3) uint8 of `pane`.
            seconds: Since the beginning of the clip; the line of a wipe goes by it.
            code: Time code.

        Returns:
            (H, W, 3) uint8 of `size`. Under labels, time code and line the pictures are darkened
            or gone; everywhere else their codes are as given.

        Raises:
            ValueError: If a picture has another size, or there are too few.
        """
        wrong = [p.shape for p in pictures if p.shape != (*self.pane, 3)]
        if wrong or len(pictures) != len(self.labels):
            raise ValueError(f"{len(self.labels)} pictures of {self.pane} needed, got {wrong}")
        if self.kind == "side":
            return self._beside(pictures, code)
        if self.kind == "split":
            count = len(pictures)
            edges = [round(self.pane[1] * n / count) for n in range(1, count)]
        else:
            edges = [line_at(seconds, self.pane[1])]
        return self._cut(pictures, edges, code)

    def _beside(self, pictures: Sequence[Bytes], code: str) -> Bytes:
        canvas = np.zeros((*self.size, 3), np.uint8)
        height, width = self.pane
        for place, (picture, label) in enumerate(zip(pictures, self.labels, strict=True)):
            top, left = self.corner(place)
            pane = canvas[top : top + height, left : left + width]
            pane[:] = picture
            _write(pane, label, "top left", (0, width))
            if place == 0:
                _write(pane, code, "bottom left", (0, width))
        return canvas

    def corner(self, place: int) -> tuple[int, int]:
        """`(y, x)` of one of the pictures that lie beside each other.

        Where they do not fill all rows, the first row has fewer, in its middle: the source comes
        first, and those that are compared lie beside each other.
        """
        height, width = self.pane
        missing = self.rows * self.columns - len(self.labels)
        if place < self.columns - missing:
            row, left = 0, place * (width + _GAP_PX) + missing * (width + _GAP_PX) // 2
        else:
            row, column = divmod(place + missing, self.columns)
            left = column * (width + _GAP_PX)
        return row * (height + _GAP_PX), left

    def _cut(self, pictures: Sequence[Bytes], edges: Sequence[int], code: str) -> Bytes:
        height, width = self.pane
        canvas = np.array(pictures[0])
        bounds = [0, *edges, width]
        for picture, left in zip(pictures[1:], edges, strict=True):
            canvas[:, left:] = picture[:, left:]
        thick = max(1, round(height * _LINE_SHARE))
        for edge in edges:
            left = min(max(0, edge - thick // 2), width - thick)
            shade(canvas[:, max(0, left - 1) : left + thick + 1], _SHADE)  # seen on white as well
            canvas[:, left : left + thick] = WHITE
        for place, label in enumerate(self.labels):
            band = bounds[place], bounds[place + 1]
            _write(canvas, label, "top right" if band[1] == width else "top left", band)
        _write(canvas, code, "bottom left", (0, width))
        return canvas


def fitting(kind: Kind, labels: Sequence[str], info: VideoInfo, height: int) -> Layout:
    """The layout in which pictures are largest.

    Args:
        kind: One of `LAYOUTS`.
        labels: What each picture is called.
        info: The film.
        height: Lines of the clip at most; its width is at most 16/9 of that.

    Raises:
        ConfigError: If there is no such layout, the height is too small, or a wipe is to show
            other than two.
    """
    if kind not in LAYOUTS:
        raise ConfigError(f"layout must be one of {', '.join(LAYOUTS)}, not {kind!r}")
    if kind == "wipe" and len(labels) != 2:
        raise ConfigError(f"a wipe shows two pictures, not {len(labels)}; use side or split")
    if height < _LEAST_PX:
        raise ConfigError(f"height must be at least {_LEAST_PX} lines, not {height}")
    room = height, round(height * _SCREEN)
    names = tuple(labels)
    if kind != "side":
        return Layout(kind, names, _largest(info, room, 1, 1))
    possible = [
        Layout(kind, names, _largest(info, room, rows, -(-len(names) // rows)), rows)
        for rows in range(1, len(names) + 1)
    ]
    return max(possible, key=lambda one: (one.pane[0], -one.rows))


def line_at(seconds: float, width: int) -> int:
    """The column at which the line of a wipe stands: in the middle at 0, slow at its turns."""
    return round(width * (0.5 + _REACH * math.sin(2 * math.pi * seconds / _SWEEP_S)))


def _filled(pane: tuple[int, int], rows: int, columns: int) -> tuple[int, int]:
    return (
        rows * pane[0] + (rows - 1) * _GAP_PX,
        columns * pane[1] + (columns - 1) * _GAP_PX,
    )


def _largest(info: VideoInfo, room: tuple[int, int], rows: int, columns: int) -> tuple[int, int]:
    """`(height, width)` of pictures of which so many fit; never larger than they are."""
    gaps = _filled((0, 0), rows, columns)
    tall, wide = shown_size(info, None)
    most_tall = max(1, (room[0] - gaps[0]) // rows)
    most_wide = max(1, (room[1] - gaps[1]) // columns)
    width = min(wide, most_wide, math.floor(wide * most_tall / tall) + 1)
    while width > 1 and shown_size(info, width)[0] > most_tall:
        width -= 1
    return shown_size(info, max(1, width))


def _write(
    picture: Bytes,
    text: str,
    corner: Literal["top left", "top right", "bottom left"],
    band: tuple[int, int],
) -> None:
    """Small letters on a darkened ground, if they find room between two columns."""
    least, most = _LETTERS_PX
    tall = min(max(least, round(picture.shape[0] * _LETTER_SHARE)), most)
    scale, margin = tall / LETTER_PX, max(2, tall // 2)
    height, width = tall + 2 * margin, text_width(text, scale) + 2 * margin
    if width > band[1] - band[0] or height > picture.shape[0]:
        return
    left = band[1] - width if corner == "top right" else band[0]
    top = picture.shape[0] - height if corner == "bottom left" else 0
    shade(picture[top : top + height, left : left + width], _SHADE)
    write(picture, text, left + margin, top + height - margin, WHITE, scale)
