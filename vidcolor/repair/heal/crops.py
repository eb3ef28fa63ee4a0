"""Which parts of a picture a network sees to fill its holes, and how their answers are joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.records import Hole

__all__ = ["Crop", "components", "crops", "picture_window", "ramp", "tiles", "width_px"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_BAR_CV = 24.0  # darkest picture edge that may be a bar
_BAR_RANGE_CV = 3.0


@dataclass(frozen=True, slots=True)
class Crop:
    """A box of a picture; it may reach beyond the right and bottom border.

    Attributes:
        top: First row.
        left: First column.
        height: Rows.
        width: Columns.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns, to index a plane with; cut off at its border by indexing."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )

    @property
    def area(self) -> int:
        """Pixels."""
        return self.height * self.width

    def joined(self, other: Crop) -> Crop:
        """The smallest box around both."""
        top, left = min(self.top, other.top), min(self.left, other.left)
        bottom = max(self.top + self.height, other.top + other.height)
        right = max(self.left + self.width, other.left + other.width)
        return Crop(top, left, bottom - top, right - left)

    def cut(self, plane: Array, beyond: float) -> Array:
        """The part of a plane, (height, width), with a value for what lies beyond the border."""
        part = plane[self.place]
        missing = (self.height - part.shape[0], self.width - part.shape[1])
        if missing == (0, 0):
            return part
        return np.pad(part, ((0, missing[0]), (0, missing[1])), constant_values=beyond)


def components(hole: Hole) -> list[tuple[Crop, Hole]]:
    """Connected holes: the box of each, and its pixels within."""
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    part = np.ascontiguousarray(hole[top : rows[-1] + 1, left : columns[-1] + 1]).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    found = []
    for number in range(1, count):
        x, y, width, height = (int(v) for v in stats[number][:4])
        pixels = labels[y : y + height, x : x + width] == number
        found.append((Crop(top + y, left + x, height, width), cast(Hole, pixels)))
    return found


def width_px(hole: Hole) -> float:
    """The widest straight way through a hole by its widest inscribed disc."""
    inside = np.pad(hole, 1).view(np.uint8)
    return 2 * float(cv2.distanceTransform(inside, cv2.DIST_L2, 5).max())


def crops(hole: Hole, context_px: int, multiple: int) -> list[Crop]:
    """What to look at to fill holes: each with its surroundings, never more than needed.

    Boxes grow by the context, or twice the smaller side of a hole if that is more, and to a
    multiple of `multiple`; they move into the picture where they can. Boxes that overlap are
    joined where one large box is less to compute than both.

    Args:
        hole: (H, W) bool.
        context_px: Least surroundings on each side.
        multiple: Of which sides must be.

    Returns:
        By place, from the top.
    """
    size = cast(tuple[int, int], hole.shape)
    open_ = [_grown(box, context_px) for box, _ in components(hole)]
    done = False
    while not done:
        open_, done = _merged(open_, size, multiple)
    return sorted(
        (_fitted(box, size, multiple) for box in open_), key=lambda box: (box.top, box.left)
    )


def _grown(box: Crop, context_px: int) -> Crop:
    context = max(context_px, 2 * min(box.height, box.width))
    return Crop(
        box.top - context, box.left - context, box.height + 2 * context, box.width + 2 * context
    )


def _merged(boxes: list[Crop], size: tuple[int, int], multiple: int) -> tuple[list[Crop], bool]:
    """One pass of joining; whether nothing was to be joined."""
    result: list[Crop] = []
    for box in boxes:
        for k, other in enumerate(result):
            both = _fitted(box.joined(other), size, multiple)
            alone = _fitted(box, size, multiple).area + _fitted(other, size, multiple).area
            if both.area <= alone:
                result[k] = box.joined(other)
                break
        else:
            result.append(box)
    return result, len(result) == len(boxes)


def _fitted(box: Crop, size: tuple[int, int], multiple: int) -> Crop:
    """Inside the picture at its top and left, sides rounded up to the multiple."""
    top, height = _fit(box.top, box.height, size[0], multiple)
    left, width = _fit(box.left, box.width, size[1], multiple)
    return Crop(top, left, height, width)


def _fit(start: int, length: int, limit: int, multiple: int) -> tuple[int, int]:
    stop = min(limit, start + length)
    start = max(0, start)
    length = -(-(stop - start) // multiple) * multiple
    return max(0, min(start - (length - (stop - start)) // 2, limit - length)), length


def tiles(crop: Crop, tile_px: int, overlap_px: int) -> list[Crop]:
    """A box in overlapping tiles of one size; itself where it is small enough.

    Args:
        crop: Sides are multiples of something.
        tile_px: Longest side of a tile, a multiple of the same.
        overlap_px: Least overlap of neighbors.
    """
    height, width = min(crop.height, tile_px), min(crop.width, tile_px)
    return [
        Crop(top, left, height, width)
        for top in _starts(crop.top, crop.height, height, overlap_px)
        for left in _starts(crop.left, crop.width, width, overlap_px)
    ]


def _starts(start: int, length: int, tile: int, overlap: int) -> list[int]:
    if length <= tile:
        return [start]
    count = -(-(length - overlap) // (tile - overlap))
    return [start + (length - tile) * k // (count - 1) for k in range(count)]


def ramp(crop: Crop, tile: Crop, overlap_px: int) -> Floats:
    """(height, width) float32 weight of a tile: a raised cosine at its seams, never zero."""
    down = _edge(tile.height, tile.top > crop.top, overlap_px)
    if tile.top + tile.height < crop.top + crop.height:
        down = down * _edge(tile.height, True, overlap_px)[::-1]
    along = _edge(tile.width, tile.left > crop.left, overlap_px)
    if tile.left + tile.width < crop.left + crop.width:
        along = along * _edge(tile.width, True, overlap_px)[::-1]
    return down[:, None] * along[None]


def _edge(length: int, seam: bool, overlap: int) -> Floats:
    weight = np.ones(length, np.float32)
    if seam:
        phase = (np.arange(overlap, dtype=np.float32) + 0.5) / overlap
        weight[:overlap] = (0.5 - 0.5 * np.cos(np.pi * phase))[:length]
    return weight


def picture_window(gray: Floats, hole: Hole) -> tuple[slice, slice]:
    """Rows and columns without the black bars beside a picture; all where there are none.

    A bar is what has one dark shade from a border inward, as far as nothing is a hole there.
    """
    low = np.where(hole, np.float32(np.inf), gray)
    high = np.where(hole, np.float32(-np.inf), gray)
    found = []
    for axis in (1, 0):
        least, most = low.min(axis), high.max(axis)
        bar = (most - least <= _BAR_RANGE_CV) & (most <= _BAR_CV)
        inside = np.flatnonzero(~bar)
        found.append(slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(None))
    return found[0], found[1]
