"""Pages of a contact sheet: a title, then rows of shots, each before and after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidcolor.errors import ConfigError
from vidcolor.ops.draw import Bytes, Color, paper, text_width, write

__all__ = ["WIDTH_PX", "Cell", "Grid", "draw_page", "draw_row"]

WIDTH_PX = 1920
"""Of a sheet, at most."""

PAGE_PX = 6000
"""Height of a page, at most."""

_PAPER: Color = (32, 32, 32)
_INK: Color = (232, 232, 232)
_FAINT: Color = (150, 150, 150)
_RULE: Color = (70, 70, 70)
_MARGIN = 24
_GAP = 24  # between shots
_SEAM = 2  # between before and after
_CAPTION = 24
_ROW_GAP = 16
_TITLE, _LINE, _HEADS = 40, 24, 34
_TITLE_LETTER, _LETTER = 0.8, 0.5
_AREA_PX = 51_000  # of a picture, about, where there are many
_TALL_PX = 560  # of a picture, at most
_TITLE_ROOM = 640  # width that a sheet has for its title, if it may
_LEAST_PANE = 16  # width of a picture, unless the film is narrower
_ROWS_FIRST = 4  # so many rows, before there is another column


@dataclass(frozen=True, slots=True)
class Grid:
    """Where pictures lie.

    Attributes:
        heads: What each picture of a shot is called: before, after, ...
        columns: Shots in a row.
        pane: `(height, width)` of a picture.
        most: Width of the sheet, at most.
    """

    heads: tuple[str, ...]
    columns: int
    pane: tuple[int, int]
    most: int

    @classmethod
    def fitting(
        cls,
        heads: Sequence[str],
        size: tuple[int, int],
        shots: int,
        columns: int | None,
        width: int,
    ) -> Grid:
        """The grid for a film.

        Args:
            heads: What each picture of a shot is called.
            size: `(height, width)` of the upright film; pictures are never larger.
            shots: How many will come, at most.
            columns: Shots in a row; None chooses.
            width: Of the sheet, at most.

        Raises:
            ConfigError: If so many columns do not fit.
        """
        if columns is not None and columns < 1:
            raise ConfigError(f"columns must be at least 1, not {columns}")
        count, aspect = len(heads), size[1] / size[0]
        room = width - 2 * _MARGIN + _GAP
        if columns is None:
            wanted = min(size[1], math.sqrt(_AREA_PX * aspect))
            columns = max(1, int(room / (count * (wanted + _SEAM) + _GAP)))
            columns = min(columns, max(1, -(-shots // _ROWS_FIRST)))
        wide = (room // columns - _GAP - (count - 1) * _SEAM) // count
        wide = min(wide, size[1], max(1, round(_TALL_PX * aspect)))
        if wide < min(_LEAST_PANE, size[1]):
            raise ConfigError(
                f"{columns} column{'s' * (columns != 1)} of {count} pictures do not fit into "
                f"{width} pixels; take fewer, or a larger width"
            )
        return cls(tuple(heads), columns, (max(1, round(wide / aspect)), wide), width)

    @property
    def cell(self) -> int:
        """Width of a shot."""
        count = len(self.heads)
        return count * self.pane[1] + (count - 1) * _SEAM

    @property
    def width(self) -> int:
        """Of the sheet."""
        cells = self.columns * (self.cell + _GAP) - _GAP
        return max(min(_TITLE_ROOM, self.most), cells + 2 * _MARGIN)

    @property
    def row(self) -> int:
        """Height of a row."""
        return self.pane[0] + _CAPTION + _ROW_GAP

    @property
    def rows(self) -> int:
        """Rows on a page."""
        return max(1, (PAGE_PX - 2 * _MARGIN - _TITLE - 2 * _LINE - _HEADS) // self.row)

    def left(self, column: int) -> int:
        """Where the shot of a column begins."""
        return _MARGIN + column * (self.cell + _GAP)


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A shot on a sheet.

    Attributes:
        pictures: One for each head, (h, w, 3) uint8 of the grid's pane.
        name: Its number; may be empty.
        facts: Time code and what else is known of the frame.
        length: Of the shot, in words; may be empty.
    """

    pictures: tuple[Bytes, ...]
    name: str
    facts: str
    length: str


def draw_row(grid: Grid, cells: Sequence[Cell]) -> Bytes:
    """A row of shots, (h, w, 3) uint8."""
    row = paper(grid.row, grid.width, _PAPER)
    height, width = grid.pane
    for column, cell in enumerate(cells):
        left = grid.left(column)
        for place, picture in enumerate(cell.pictures):
            x = left + place * (width + _SEAM)
            row[:height, x : x + width] = picture
        base = height + _CAPTION - 6
        room = grid.cell
        if cell.length:
            long = text_width(cell.length, _LETTER)
            if room - long > grid.cell // 2:
                write(row, cell.length, left + grid.cell - long, base, _FAINT, _LETTER)
                room -= long + _GAP // 2
        if cell.name:
            write(row, cell.name, left, base, _INK, _LETTER)
        indent = text_width(f"{cell.name}  ", _LETTER) if cell.name else 0
        write(row, cell.facts, left + indent, base, _FAINT, _LETTER, room - indent)
    return row


def draw_page(grid: Grid, title: str, lines: Sequence[str], rows: Sequence[Bytes]) -> Bytes:
    """A page.

    Args:
        grid: Of the sheet.
        title: Name of the film.
        lines: What else is to be said.
        rows: From `draw_row`.

    Returns:
        (H, W, 3) uint8 R'G'B'.
    """
    top = _MARGIN + _TITLE + _LINE * len(lines) + _HEADS
    head = paper(top, grid.width, _PAPER)
    room = grid.width - 2 * _MARGIN
    write(head, title, _MARGIN, _MARGIN + 20, _INK, _TITLE_LETTER, room)
    for number, line in enumerate(lines):
        base = _MARGIN + _TITLE + _LINE * (number + 1) - 8
        write(head, line, _MARGIN, base, _FAINT, _LETTER, room)
    for column in range(grid.columns if rows else 0):
        for place, name in enumerate(grid.heads):
            left = grid.left(column) + place * (grid.pane[1] + _SEAM)
            write(head, name, left, top - 8, _INK, _LETTER, grid.pane[1])
    rule = top - _HEADS + 2
    head[rule, _MARGIN : grid.width - _MARGIN] = _RULE
    return np.concatenate([head, *rows, paper(_MARGIN - _ROW_GAP, grid.width, _PAPER)])
