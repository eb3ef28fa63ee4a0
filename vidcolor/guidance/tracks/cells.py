"""A box as a small grid over place and lightness: pixels into it, and smooth fields back.

What lies at one place of an object's box changes as arms and legs move and as background looks
in. Lightness tells these things apart, so color is gathered by place and lightness at once.

Reference: Chen, Paris, Durand, Real-time edge-aware image processing with the bilateral grid,
SIGGRAPH 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["LEVELS", "SIDE", "Area", "Box", "Floats", "Grid", "area_of", "feather"]

Floats = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]
"""`(x0, y0, x1, y1)` in pixels of the color's grid; may lie partly outside."""

SIDE = 8
"""Cells along each side of the box."""
LEVELS = 12
"""Levels of lightness, from black to white."""

_STEP = np.float32(100 / (LEVELS - 1))
_MOST_PX = 96  # a larger box is looked at smaller: its cells are large enough
_LEAST_SIDE_PX = 2.0
_BORDER_PX = 1.0  # a box that comes so near to the border of the picture goes on behind it


@dataclass(frozen=True, slots=True)
class Area:
    """The pixels of a box.

    Attributes:
        part: Rows and columns of the picture.
        box: The box.
        open: Whether the box ends (left, top, right, bottom) inside of the picture.
    """

    part: tuple[slice, slice]
    box: Box
    open: tuple[bool, bool, bool, bool]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.part
        return rows.stop - rows.start, columns.stop - columns.start

    def places(self, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Where rows and columns of the area, resized to `size`, lie in the box: 0 to 1."""
        x0, y0, x1, y1 = self.box
        rows, columns = self.part
        down = _centers(rows, size[0]) - y0
        across = _centers(columns, size[1]) - x0
        return (down / (y1 - y0)).astype(np.float32), (across / (x1 - x0)).astype(np.float32)


def _centers(part: slice, count: int) -> npt.NDArray[np.float64]:
    step = (part.stop - part.start) / count
    return part.start + (np.arange(count) + 0.5) * step


def area_of(box: Box, size: tuple[int, int]) -> Area | None:
    """The pixels of a box in a picture of `size` (height, width); None where there are too few."""
    height, width = size
    x0, y0, x1, y1 = box
    left, right = max(0, int(np.floor(x0))), min(width, int(np.ceil(x1)))
    top, bottom = max(0, int(np.floor(y0))), min(height, int(np.ceil(y1)))
    if min(x1 - x0, y1 - y0, right - left, bottom - top) < _LEAST_SIDE_PX:
        return None
    ends = (
        x0 > _BORDER_PX, y0 > _BORDER_PX, x1 < width - _BORDER_PX, y1 < height - _BORDER_PX,
    )  # fmt: skip
    return Area((slice(top, bottom), slice(left, right)), box, ends)


def feather(area: Area, share: float) -> Floats:
    """(rows, columns) 1 inside, falling smoothly to 0 at the edges that lie in the picture.

    Args:
        area: Where.
        share: Part of the box's side over which it falls.
    """
    left, top, right, bottom = area.open
    down, across = area.places(area.size)
    ramp = _ramp(down, share, top, bottom)[:, None] * _ramp(across, share, left, right)
    return cast(Floats, ramp)


def _ramp(places: Floats, share: float, low: bool, high: bool) -> Floats:
    room = np.ones_like(places)
    if low:
        room = np.minimum(room, places / np.float32(share))
    if high:
        room = np.minimum(room, (1 - places) / np.float32(share))
    room = np.clip(room, 0, 1)
    return cast(Floats, room * room * (3 - 2 * room))


class Grid:
    """How the pixels of a box fall into cells and levels, in one frame.

    A pixel belongs to the cells near it by quadratic B-splines and to two levels of lightness,
    in parts that sum to one.

    Args:
        area: The box's pixels.
        lightness: (h, w) float32 L* of the whole frame.
    """

    def __init__(self, area: Area, lightness: Floats) -> None:
        self.area = area
        height, width = area.size
        self.size = min(height, _MOST_PX), min(width, _MOST_PX)
        down, across = area.places(self.size)
        self._rows, self._columns = _spline(down), _spline(across)
        self.lightness = self.shrink(lightness[area.part])
        # pixels that a cell has where all of it lies in the picture
        tall = (area.box[3] - area.box[1]) * self.size[0] / height / SIDE
        wide = (area.box[2] - area.box[0]) * self.size[1] / width / SIDE
        self._whole = np.float32(tall * wide)
        self.exposure = 0.0
        self._levels = self._tents(0.0)

    def shrink(self, plane: Floats) -> Floats:
        """A plane (or planes, channels last) of the area at the size that is looked at."""
        if plane.shape[:2] == self.size:
            return np.ascontiguousarray(plane)
        wanted = self.size[1], self.size[0]
        return cast(Floats, cv2.resize(plane, wanted, interpolation=cv2.INTER_AREA))

    def expose(self, exposure: float) -> None:
        """Take the box for lighter than it should be by so many L*."""
        self.exposure = exposure
        self._levels = self._tents(exposure)

    def _tents(self, exposure: float) -> Floats:
        at = np.clip((self.lightness - np.float32(exposure)) / _STEP, 0, LEVELS - 1)
        levels = np.arange(LEVELS, dtype=np.float32)[:, None, None]
        return cast(Floats, np.maximum(1 - np.abs(at - levels), 0))

    def place(self, plane: Floats) -> Floats:
        """(SIDE, SIDE) sum of a plane over cells, in units of a whole cell."""
        return cast(Floats, (self._rows.T @ plane @ self._columns) / self._whole)

    def gather(self, plane: Floats) -> Floats:
        """(LEVELS, SIDE, SIDE) sum of a plane over cells and levels, in units of a whole cell."""
        return cast(Floats, (self._rows.T @ (self._levels * plane) @ self._columns) / self._whole)

    def spread(self, values: Floats) -> Floats:
        """A field of cells and levels as pixels of the area.

        Args:
            values: (C, LEVELS, SIDE, SIDE).

        Returns:
            (C, rows, columns).
        """
        height, width = self.area.size
        fields = self._rows @ values @ self._columns.T
        planes = np.einsum("ckrs,krs->crs", fields, self._levels)
        if self.size != (height, width):
            way = cv2.INTER_LINEAR
            planes = np.stack([cv2.resize(p, (width, height), interpolation=way) for p in planes])
        return cast(Floats, planes)


def _spline(places: Floats) -> Floats:
    """(n, SIDE) weights of quadratic B-splines; every row sums to one."""
    at = np.clip(places * SIDE - 0.5, 0, SIDE - 1)
    near = np.rint(at).astype(np.intp)
    t = at - near
    weights = np.zeros((len(places), SIDE), np.float32)
    rows = np.arange(len(places))
    for step, weight in ((-1, 0.5 * (0.5 - t) ** 2), (0, 0.75 - t * t), (1, 0.5 * (0.5 + t) ** 2)):
        np.add.at(weights, (rows, np.clip(near + step, 0, SIDE - 1)), weight)
    return weights
