"""Black bars around a picture: letterbox, pillarbox.

A bar is black in all frames, flat, and ends at a straight edge; the dark part of a scene is none of
that for long. So evidence is gathered over many frames: which rows and columns show anything, and
how much of their length. Text in a bar (subtitles, a logo) lights a small part of it now and then,
and does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.records import ColorSpec

__all__ = ["BarFinder", "Bars", "Borders"]

Array = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_CELLS = 64
"""Parts of a row or column; the mean of a part is what is looked at, so that noise is not."""
_LIT = 0.045  # Y' in 0..1 above which a part is no bar: codes over 25 of 16..235
_EDGE_LINES = 3  # before and behind an edge, within which a bar passes into the picture
_DIM, _BRIGHT = 0.5, 0.75  # of what is usual, that is lit before an edge at most, behind at least
_INSIDE = 0.05  # share of the side right behind the edge that is looked at
_MOST = 0.6  # of a side that bars may take
_UNEVEN = 0.03  # share of the side by which opposite bars of a few frames may differ
_SHOTS = 3  # fewer prove no bars that are not the same on both sides


@dataclass(frozen=True, slots=True)
class Bars:
    """Lines to cut off, in pixels of the coded frame.

    Attributes:
        top: Rows.
        bottom: Rows.
        left: Columns.
        right: Columns.
    """

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return bool(self.top or self.bottom or self.left or self.right)

    def area(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """`(x0, y0, x1, y1)` of the picture between them in a frame of `size`."""
        return self.left, self.top, size[1] - self.right, size[0] - self.bottom


@dataclass(frozen=True, slots=True, eq=False)
class Borders:
    """What a few frames of one shot, or a single picture, show along their lines.

    Attributes:
        rows: (H,) part of each row that was ever lit.
        columns: (W,) the same of each column.
    """

    rows: Floats
    columns: Floats

    @property
    def full(self) -> bool:
        """Whether a picture is seen up to all four edges, so that there can be no bars."""
        lines = (self.rows, self.columns)
        return all(min(share[0], share[-1]) > float(np.quantile(share, 0.9)) / 2 for share in lines)

    def bars(self, film: Bars) -> Bars:
        """The bars of the shot.

        Those that it proves itself (never lit, and the same on both sides) stand. Else it has
        those of the film, unless it shows a picture where they should be, as films of several
        formats do.

        Args:
            film: Bars that most of the film has.
        """
        top, bottom = _settled(self.rows, (film.top, film.bottom))
        left, right = _settled(self.columns, (film.left, film.right))
        return Bars(top, bottom, left, right)


class BarFinder:
    """Gathers evidence over frames of one size.

    Args:
        size: `(height, width)` of the frames.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._rows: Counts = np.zeros((size[0], _CELLS), np.int64)
        self._columns: Counts = np.zeros((size[1], _CELLS), np.int64)
        self._frames = 0
        self._shots = 0

    def add(self, luma: Array, spec: ColorSpec) -> None:
        """Look at a frame: (H, W) codes."""
        plane = luma.astype(np.uint16) if luma.dtype == np.int32 else luma
        self._rows += _cells(plane, (_CELLS, self.size[0]), spec)
        self._columns += _cells(plane, (self.size[1], _CELLS), spec).T
        self._frames += 1

    def merge(self, shot: BarFinder) -> None:
        """Take over what was seen in a shot."""
        self._rows += shot._rows
        self._columns += shot._columns
        self._frames += shot._frames
        self._shots += shot._frames > 0

    def borders(self) -> Borders:
        """What was seen, in short."""
        return Borders((self._rows > 0).mean(axis=1), (self._columns > 0).mean(axis=1))

    def bars(self) -> Bars:
        """Bars that most of the film has."""
        if self._shots < _SHOTS:
            return self.borders().bars(Bars())
        frames = max(1, self._frames)
        top, bottom = _ends(self._rows.mean(axis=1) / frames, clean=False)
        left, right = _ends(self._columns.mean(axis=1) / frames, clean=False)
        return Bars(top, bottom, left, right)


def _cells(plane: Array, size: tuple[int, int], spec: ColorSpec) -> npt.NDArray[np.bool_]:
    """Which parts of lines are lit, for a `size` of (columns, rows)."""
    small = cast(Array, cv2.resize(plane, size, interpolation=cv2.INTER_AREA)).astype(np.float32)
    return small > spec.black + np.float32(_LIT) * (spec.white - spec.black)


def _ends(share: Floats, clean: bool) -> tuple[int, int]:
    """Lines of the bars at both ends.

    Args:
        share: Of each line, how much of it is lit, over all frames.
        clean: Nothing at all may be lit in a bar.
    """
    usual = float(np.quantile(share, 0.9))
    if usual <= 0:
        return 0, 0
    first, last = _bar(share, usual, clean), _bar(share[::-1], usual, clean)
    return (first, last) if first + last <= _MOST * len(share) else (0, 0)


def _bar(share: Floats, usual: float, clean: bool) -> int:
    """Lines of the bar at the beginning; 0 if what is dark there does not end like a bar."""
    edge = int(np.argmax(share >= _DIM * usual))
    if edge == 0:
        return 0
    behind = edge + _EDGE_LINES
    inside = share[behind : behind + max(1, round(_INSIDE * len(share)))]
    if not len(inside) or float(inside.min()) < _BRIGHT * usual:
        return 0
    if clean and share[: max(1, edge - _EDGE_LINES)].any():
        return 0
    # a line more: the encoder's filter has mixed the last one with the bar
    while edge < len(share) and share[edge] < 0.9 * float(inside.mean()):
        edge += 1
    return edge + 1


def _settled(share: Floats, film: tuple[int, int]) -> tuple[int, int]:
    first, last = _ends(share, clean=True)
    if max(first, last) and abs(first - last) <= max(2, _UNEVEN * len(share)):
        return first, last
    usual = float(np.quantile(share, 0.9))
    there = [*share[: film[0]], *share[len(share) - film[1] :]]
    shown = bool(there) and usual > 0 and float(np.median(there)) > usual / 2
    return (0, 0) if shown else film
