"""A frame and its two neighbors laid over it: what tests for damage of one frame compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.dust.photometric import exposure
from vidcolor.repair.motion import Neighbor, mismatch, refilled
from vidcolor.repair.records import Hole
from vidcolor.repair.window import Window

__all__ = ["Box", "Side", "Views", "box_around", "look"]

Floats = npt.NDArray[np.float32]
_REFILL_AT_240 = 6.0  # deviation of what carries flow into marks
_OUTSIDE_CELLS = 1.0  # flow is not better

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom lie outside."""


def box_around(box: Box, margin: int, size: tuple[int, int]) -> Box:
    """The box and `margin` pixels around it, as far as the picture goes."""
    left, top, right, bottom = box
    return (
        max(0, left - margin), max(0, top - margin),
        min(size[1], right + margin), min(size[0], bottom + margin),
    )  # fmt: skip


@dataclass(slots=True, eq=False)
class Side:
    """One neighbor.

    Attributes:
        neighbor: Frame and flow.
        gray: (H, W) float32 in cv, its exposure matched to the middle frame.
        flow: (h, w, 2) float32 on the small grid: where each cell of the middle frame lies in it.
        error: (h, w) float32: forward-backward error, in cells.
    """

    neighbor: Neighbor
    gray: Floats
    flow: Floats
    error: Floats

    def whole(self) -> Floats:
        """(H, W) float32: it as seen from the middle frame."""
        height, width = self.gray.shape
        flow = self.flow * self._scale()
        return _fetch(self.gray, cv2.resize(flow, (width, height)), (0, 0), 1)

    def _scale(self) -> Floats:
        """Pixels to a cell, across and down."""
        height, width = self.gray.shape
        rows, columns = self.flow.shape[:2]
        return np.array((width / columns, height / rows), np.float32)

    def outside(self) -> Hole:
        """(h, w) cells of the small grid that lie outside its picture."""
        rows, columns = self.flow.shape[:2]
        x = self.flow[..., 0] + np.arange(columns, dtype=np.float32)
        y = self.flow[..., 1] + np.arange(rows, dtype=np.float32)[:, None]
        right, bottom = columns - 1 + _OUTSIDE_CELLS, rows - 1 + _OUTSIDE_CELLS
        return (x < -_OUTSIDE_CELLS) | (y < -_OUTSIDE_CELLS) | (x > right) | (y > bottom)

    def part(self, box: Box, step: int = 1) -> Floats:
        """A box of `whole`, or every so many pixels of it, without making the rest."""
        left, top, right, bottom = box
        across, down = self._scale()
        x = (np.arange(left, right, step, dtype=np.float32) + 0.5) / across - 0.5
        y = (np.arange(top, bottom, step, dtype=np.float32) + 0.5) / down - 0.5
        cells = np.empty((len(y), len(x), 2), np.float32)
        cells[..., 0] = x
        cells[..., 1] = y[:, None]
        flow = cv2.remap(
            self.flow, cells, cast(Any, None), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return _fetch(self.gray, cast(Floats, flow) * self._scale(), (left, top), step)


def _size(plane: npt.NDArray[Any]) -> tuple[int, int]:
    return plane.shape[0], plane.shape[1]


def _fetch(gray: Floats, flow: Any, corner: tuple[int, int], step: int) -> Floats:
    """(h, w): what lies where `flow`, in pixels, leads from a box with this corner."""
    rows, columns = flow.shape[:2]
    flow[..., 0] += np.arange(columns, dtype=np.float32) * step + corner[0]
    flow[..., 1] += (np.arange(rows, dtype=np.float32) * step + corner[1])[:, None]
    moved = cv2.remap(
        gray, flow, cast(Any, None), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cast(Floats, moved)


@dataclass(slots=True, eq=False)
class Views:
    """A frame between its neighbors.

    Attributes:
        gray: (H, W) float32 in cv, the middle frame.
        sides: One neighbor before and one after; two of one side at the end of a shot.
    """

    gray: Floats
    sides: tuple[Side, Side]

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` of the frame."""
        return _size(self.gray)

    @property
    def unit(self) -> float:
        """Pixels to a pixel of a picture of 240 lines, by the shorter side."""
        return min(self.size) / 240

    @property
    def one_sided(self) -> bool:
        """Both neighbors are earlier, or both later."""
        return self.sides[0].neighbor.steps * self.sides[1].neighbor.steps > 0

    def unseen(self) -> tuple[Hole, Hole]:
        """(H, W) each: what one neighbor at least, and what none shows.

        It lies outside their pictures there.
        """
        first, second = (side.outside().astype(np.uint8) for side in self.sides)
        either, both = (
            cv2.resize(cells, self.size[::-1], interpolation=cv2.INTER_NEAREST) > 0
            for cells in (first | second, first & second)
        )
        return either, both

    def mistrust(self, hole: Hole) -> None:
        """Carry flow into places whose own is not to be believed.

        Args:
            hole: (h, w) cells of the small grid.
        """
        for side in self.sides:
            side.flow = refilled(side.flow, hole, _REFILL_AT_240 * min(hole.shape) / 240)


def look(window: Window, pair: tuple[Neighbor, Neighbor]) -> Views:
    """The middle frame of a window between two of its neighbors."""
    gray = window.frame.gray()
    sides = []
    for one in pair:
        other = one.frame.gray()
        gain, offset = exposure(other, gray)
        np.multiply(other, np.float32(gain), out=other)
        other += np.float32(offset)
        sides.append(Side(one, other, one.there, mismatch(one.there, one.back)))
    return Views(gray, (sides[0], sides[1]))
