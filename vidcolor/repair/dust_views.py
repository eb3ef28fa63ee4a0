"""A frame and its two neighbors laid over it: what tests for damage of one frame compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.motion import Neighbor, enlarged, mismatch, refilled
from vidcolor.repair.photometric import exposure
from vidcolor.repair.records import Hole
from vidcolor.repair.window import Window

__all__ = ["Box", "Side", "Views", "box_around", "look"]

Floats = npt.NDArray[np.float32]
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
        return _fetch(self.gray, enlarged(self.flow, _size(self.gray)), (0, 0))

    def outside(self) -> Hole:
        """(h, w) cells of the small grid that lie outside its picture."""
        rows, columns = self.flow.shape[:2]
        x = self.flow[..., 0] + np.arange(columns, dtype=np.float32)
        y = self.flow[..., 1] + np.arange(rows, dtype=np.float32)[:, None]
        right, bottom = columns - 1 + _OUTSIDE_CELLS, rows - 1 + _OUTSIDE_CELLS
        return (x < -_OUTSIDE_CELLS) | (y < -_OUTSIDE_CELLS) | (x > right) | (y > bottom)

    def part(self, box: Box) -> Floats:
        """A box of `whole`, without making the rest."""
        left, top, right, bottom = box
        height, width = self.gray.shape
        rows, columns = self.flow.shape[:2]
        scale = np.array((width / columns, height / rows), np.float32)
        x = (np.arange(left, right, dtype=np.float32) + 0.5) / scale[0] - 0.5
        y = (np.arange(top, bottom, dtype=np.float32) + 0.5) / scale[1] - 0.5
        flow = cv2.remap(
            self.flow, np.tile(x, (len(y), 1)), np.tile(y[:, None], (1, len(x))),
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return _fetch(self.gray, cast(Floats, flow) * scale, (left, top))


def _size(plane: npt.NDArray[Any]) -> tuple[int, int]:
    return plane.shape[0], plane.shape[1]


def _fetch(gray: Floats, flow: Floats, corner: tuple[int, int]) -> Floats:
    """(h, w): what lies where `flow`, in pixels, leads from a box with this corner."""
    place_x = flow[..., 0] + np.arange(corner[0], corner[0] + flow.shape[1], dtype=np.float32)
    rows = np.arange(corner[1], corner[1] + flow.shape[0], dtype=np.float32)
    place_y = flow[..., 1] + rows[:, None]
    moved = cv2.remap(gray, place_x, place_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
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
            side.flow = refilled(side.flow, hole)


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
