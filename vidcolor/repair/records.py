"""What flows through the repair of a film.

Every generator of this room takes one of these and gives the next: `Moved` (motion is known),
`Marked` (damage is known), `Repaired`. Damage is a list of spots a frame, each with a small array
of its own: no plane of the whole frame is kept, and a spot can be shown, judged and left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidcolor.records import FrameBatch

__all__ = ["KINDS", "Hole", "Kind", "Link", "Marked", "Moved", "Repaired", "Spot", "State", "union"]

Hole = npt.NDArray[np.bool_]
"""(H, W), true where a picture is damaged."""

Floats = npt.NDArray[np.float32]
Kind = Literal["dust", "hair", "scratch", "splice", "burn", "user"]
KINDS: tuple[Kind, ...] = ("dust", "hair", "scratch", "splice", "burn", "user")
State = Literal["accepted", "review", "rejected"]


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """One damaged place of one frame.

    Attributes:
        kind: What it seems to be; "user" is a hole that a person gave.
        top: First row of its box.
        left: First column of its box.
        hole: (h, w) bool within the box, true where damaged; touches all four sides of the box.
        confidence: 0..1 that it is damage.
        source: Who found it.
        state: "accepted" will be repaired; "review" is shown, and repaired only if a person says
            so; "rejected" never is.
    """

    kind: Kind
    top: int
    left: int
    hole: Hole
    confidence: float = 1.0
    source: Literal["auto", "user"] = "auto"
    state: State = "accepted"

    def __post_init__(self) -> None:
        _check(self.hole.ndim == 2 and self.hole.dtype == np.bool_, "hole must be bool (h, w)")
        _check(self.top >= 0 and self.left >= 0, f"spot at {self.left}, {self.top} is outside")
        _check(0 <= self.confidence <= 1, f"confidence must be 0 to 1, not {self.confidence}")

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in pixels; right and bottom lie outside."""
        height, width = self.hole.shape
        return self.left, self.top, self.left + width, self.top + height

    @property
    def area(self) -> int:
        """Damaged pixels."""
        return int(np.count_nonzero(self.hole))

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the box, to index a plane with."""
        left, top, right, bottom = self.box
        return slice(top, bottom), slice(left, right)


def union(spots: Iterable[Spot], size: tuple[int, int], *, review: bool = False) -> Hole:
    """All that is to be repaired of a frame: (H, W) bool.

    Args:
        spots: Of the frame.
        size: `(height, width)` of the frame.
        review: Take spots in "review" as well.
    """
    whole = np.zeros(size, np.bool_)
    for spot in spots:
        if spot.state == "accepted" or (review and spot.state == "review"):
            whole[spot.place] |= spot.hole
    return whole


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """Motion between a frame and the one before it in its shot, on a small grid.

    Attributes:
        back: (h, w, 2) float32 x and y in cells of the grid: where each cell of this frame lies
            in the frame before.
        onward: (h, w, 2) float32: where each cell of the frame before lies in this one.
        same: This frame repeats the one before: nothing is to be learned from it. Both flows
            are zero.
    """

    back: Floats
    onward: Floats
    same: bool = False

    def __post_init__(self) -> None:
        _check(self.back.ndim == 3 and self.back.shape[2] == 2, "back must be (h, w, 2)")
        _check(self.onward.shape == self.back.shape, "onward must be (h, w, 2) like back")


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """Frames and how they moved.

    Attributes:
        frames: Consecutive frames of one shot.
        links: Of each frame to the one before; None for the first of a shot.
    """

    frames: FrameBatch
    links: tuple[Link | None, ...]

    def __post_init__(self) -> None:
        _check(len(self.links) == len(self.frames), "one link a frame")


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """Frames and their damage.

    Attributes:
        moved: The frames and how they moved.
        spots: Damage of each frame.
    """

    moved: Moved
    spots: tuple[tuple[Spot, ...], ...]

    def __post_init__(self) -> None:
        _check(len(self.spots) == len(self.moved.frames), "one list of spots a frame")

    @property
    def frames(self) -> FrameBatch:
        """The frames as they came."""
        return self.moved.frames


@dataclass(frozen=True, slots=True, eq=False)
class Repaired:
    """Frames after repair.

    Attributes:
        frames: Healed luma; all else as it came.
        marked: What they were before, and which damage was found.
        changed: (N,) pixels that repair was allowed to change, of each frame.
    """

    frames: FrameBatch
    marked: Marked
    changed: tuple[int, ...]

    def __post_init__(self) -> None:
        _check(len(self.frames) == len(self.marked.frames), "repair keeps every frame")
        _check(len(self.changed) == len(self.frames), "one count a frame")
