"""Colorings side by side: a row for each of some pictures, a column for each colorizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vidcolor.io.color_frames import resize
from vidcolor.ops.draw import INK, Bytes, Color, paper, text_width, write

__all__ = ["Cell", "Gallery", "GalleryRow", "draw_gallery"]

_GAP = 8
_HEAD = 26
_FOOT = 20
_WIDTH = 256  # of a cell; nothing is enlarged beyond twice its size
_TALLEST = 1.5  # heights of a cell to its width
_MOST_GROWTH = 2.0
_TITLE, _CAPTION = 0.5, 0.42
_PALE: Color = (110, 110, 110)


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A picture and what is said of it.

    Attributes:
        picture: (h, w, 3) uint8 R'G'B'.
        caption: Under it.
    """

    picture: Bytes
    caption: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class GalleryRow:
    """One picture, colored by all.

    Attributes:
        name: Of the picture.
        cells: By column.
    """

    name: str
    cells: Mapping[str, Cell]


class Gallery:
    """Keeps some pictures of many, evenly spaced, whatever their number will be.

    Memory: at most twice as many small rows.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[GalleryRow] = []
        self._step = 1
        self._seen = 0

    @property
    def wants(self) -> bool:
        """Whether the next picture is one to be kept."""
        return self._seen % self._step == 0

    def skip(self) -> None:
        """The next picture is not kept."""
        self._seen += 1

    def add(self, name: str, cells: Mapping[str, Cell]) -> None:
        """Take the next picture, if it is one to be kept; it is stored small."""
        if self.wants:
            small = {key: Cell(_fit(c.picture), c.caption) for key, c in cells.items()}
            self._kept.append(GalleryRow(name, small))
            if len(self._kept) > 2 * self._count:
                self._kept = self._kept[::2]
                self._step *= 2
        self._seen += 1

    def rows(self) -> tuple[GalleryRow, ...]:
        """Those that are shown."""
        count = min(self._count, len(self._kept))
        places = [(2 * i + 1) * len(self._kept) // (2 * count) for i in range(count)]
        return tuple(self._kept[place] for place in places)


def _fit(picture: Bytes) -> Bytes:
    """At the width of a cell, or smaller where it would be too tall or grow too much."""
    height, width = picture.shape[:2]
    scale = min(_WIDTH / width, _TALLEST * _WIDTH / height, _MOST_GROWTH)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return np.asarray(resize(np.ascontiguousarray(picture), size), np.uint8)


def _short(text: str, scale: float, room: int) -> str:
    """A text that fits into a width; its middle gives way."""
    if text_width(text, scale) <= room:
        return text
    for kept in range(len(text) - 1, 1, -1):
        front = (kept + 1) // 2
        shorter = f"{text[:front]}..{text[len(text) - (kept - front) :]}"
        if text_width(shorter, scale) <= room:
            return shorter
    return text[:1]


def draw_gallery(columns: Sequence[str], rows: Sequence[GalleryRow]) -> Bytes:
    """The sheet: titles over the columns, captions under pictures, their name under the last.

    Args:
        columns: Titles, which are the keys of the rows' cells; a row may lack some.
        rows: Of pictures.

    Returns:
        (H, W, 3) uint8 R'G'B'.
    """
    heights = [max(cell.picture.shape[0] for cell in row.cells.values()) for row in rows]
    tall = _GAP + _HEAD + sum(height + _FOOT + _GAP for height in heights)
    sheet = paper(tall, _GAP + len(columns) * (_WIDTH + _GAP))
    for number, title in enumerate(columns):
        left = _GAP + number * (_WIDTH + _GAP)
        write(sheet, _short(title, _TITLE, _WIDTH), left, _GAP + 16, INK, _TITLE)
    top = _GAP + _HEAD
    for row, height in zip(rows, heights, strict=True):
        for number, column in enumerate(columns):
            cell = row.cells.get(column)
            if cell is None:
                continue
            left = _GAP + number * (_WIDTH + _GAP)
            high, wide = cell.picture.shape[:2]
            sheet[top : top + high, left : left + wide] = cell.picture
            caption = row.name if number == len(columns) - 1 else cell.caption
            base = top + height + 14
            write(sheet, _short(caption, _CAPTION, _WIDTH), left, base, _PALE, _CAPTION)
        top += height + _FOOT + _GAP
    return sheet
