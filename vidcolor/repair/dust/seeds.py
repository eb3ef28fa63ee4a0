"""Where a frame may be damaged: pixels beyond all that either neighbor has around them.

Seeds are found on the whole picture by a test that forgives small errors of motion; what belongs
to a seed is found in a box around it, with flow that no speck has bent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.dust.views import Box, Views, box_around
from vidcolor.repair.records import Hole

__all__ = ["Polarity", "Reach", "Region", "cells", "find_seeds", "regions"]

Floats = npt.NDArray[np.float32]
Polarity = Literal["dark", "bright", "both"]

_FAINTEST = 0.2  # of the strongest seed: weaker pixels are rather errors of motion
_GROUPING_LINES = 480
_FLOW_CELLS = 3  # flow is bent so many cells beyond a speck: DIS matches patches of 8


@dataclass(frozen=True, slots=True)
class Reach:
    """Lengths in pixels of a frame.

    Attributes:
        slack: Radius of what seeds are compared with in the neighbors.
        grow: How far from a seed damage may reach.
        margin: Around a region, for what is compared with it.
    """

    slack: int
    grow: int
    margin: int


@dataclass(slots=True, eq=False)
class Region:
    """Seeds that lie together, and what belongs to them.

    Attributes:
        box: Of the frame, with the margin.
        core: (h, w) bool in the box: damage, if it is any.
        gray: (h, w) float32 in cv: the frame.
        before: (h, w) float32: one neighbor as seen from here.
        after: (h, w) float32: the other one.
        excess: Most, in cv, that a seed is beyond all its references.
        group: Number of the seeds that lie together; parts of one mark share it.
    """

    box: Box
    core: Hole
    gray: Floats
    before: Floats
    after: Floats
    excess: float
    group: int

    @property
    def bright(self) -> bool:
        """It is brighter than the picture, not darker."""
        return bool((self.gray - self.before)[self.core].mean() > 0)


def find_seeds(views: Views, threshold: Floats, slack: int, polarity: Polarity) -> Floats:
    """How far each pixel is beyond all references (SROD), (H, W) float32 in cv; 0 where not.

    References are the pixels within `slack` in both compensated neighbors: minimum and maximum
    over a neighborhood forgive small errors of motion. The test is known as the simplified rank
    ordered difference (SROD).

    Args:
        views: The frame between its neighbors.
        threshold: (H, W) or () float32 in cv: less is none.
        slack: In pixels.
        polarity: Keep only marks darker or brighter than the picture.
    """
    kernel = np.ones((2 * slack + 1, 2 * slack + 1), np.uint8)
    first, second = (side.whole() for side in views.sides)
    excess: Floats | None = None
    if polarity != "dark":
        most = cv2.dilate(cv2.max(first, second), kernel)
        excess = cast(Floats, cv2.subtract(views.gray, most))
    if polarity != "bright":
        least = cv2.erode(cv2.min(first, second), kernel)
        below = cast(Floats, cv2.subtract(least, views.gray))
        excess = below if excess is None else cast(Floats, cv2.max(excess, below))
    assert excess is not None
    excess[excess <= threshold] = 0
    return excess


def regions(views: Views, excess: Floats, limit: Floats, reach: Reach, most: int) -> list[Region]:
    """Seeds with what belongs to them, in connected parts.

    Damage reaches from a seed to pixels within `reach.grow` that differ from both neighbors by
    more than the limit, and more than a fifth of the strongest seed, in the same direction.

    Args:
        views: The frame between its neighbors, flow under seeds replaced.
        excess: Of `find_seeds`.
        limit: (H, W) or () float32 in cv, lower than the threshold of seeds.
        reach: Lengths.
        most: So many groups of seeds at most are looked at, those of the greatest excess.

    Returns:
        By rows and columns of their groups' corners.
    """
    seeds = (excess > 0).astype(np.uint8)
    if not seeds.any():
        return []
    factor = max(1, round(min(views.size) / _GROUPING_LINES))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(_near(seeds, reach.grow, factor))
    groups = []
    for label in range(1, count):
        left, top, width, height = (int(value) for value in stats[label][:4])
        near = labels[top : top + height, left : left + width] == label
        box = box_around(
            (left * factor, top * factor, (left + width) * factor, (top + height) * factor),
            0,
            views.size,
        )
        near = near.repeat(factor, axis=0).repeat(factor, axis=1)
        near = cast(Hole, near[: box[3] - box[1], : box[2] - box[0]])
        strength = float((excess[box[1] : box[3], box[0] : box[2]] * near).max())
        groups.append((strength, label, box, near))
    chosen = sorted(sorted(groups, key=lambda one: -one[0])[:most], key=lambda one: one[1])
    parts: list[Region] = []
    for _, group, box, near in chosen:
        wide = box_around(box, reach.margin, views.size)
        left, top = box[0] - wide[0], box[1] - wide[1]
        framed = np.zeros((wide[3] - wide[1], wide[2] - wide[0]), np.bool_)
        framed[top : top + near.shape[0], left : left + near.shape[1]] = near
        parts.extend(_parts(views, excess, framed, wide, limit, group))
    return parts


def _near(seeds: npt.NDArray[np.uint8], grow: int, factor: int) -> npt.NDArray[np.uint8]:
    """Blocks of `factor` by `factor` pixels within `grow` pixels of a seed, 1 there."""
    height, width = seeds.shape
    rest = cv2.copyMakeBorder(
        seeds * np.uint8(255), 0, -height % factor, 0, -width % factor, cv2.BORDER_CONSTANT, value=0
    )
    size = rest.shape[1] // factor, rest.shape[0] // factor
    blocks = (cv2.resize(rest, size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    side = 2 * max(1, round(grow / factor)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cast(npt.NDArray[np.uint8], cv2.dilate(blocks, kernel))


def cells(seeds: Hole, shape: tuple[int, int]) -> Hole:
    """Cells of the small grid, of this height and width, whose flow seeds may have bent."""
    marks = seeds.astype(np.uint8) * np.uint8(255)
    small = cv2.resize(marks, shape[::-1], interpolation=cv2.INTER_AREA)
    kernel = np.ones((2 * _FLOW_CELLS + 1,) * 2, np.uint8)
    return cv2.dilate((small > 0).astype(np.uint8), kernel) > 0


def _parts(
    views: Views, excess: Floats, near: Hole, box: Box, limit: Floats, group: int
) -> Iterator[Region]:
    place = np.s_[box[1] : box[3], box[0] : box[2]]
    gray, beyond = views.gray[place], excess[place]
    before, after = (side.part(box) for side in views.sides)
    least = limit[place] if limit.ndim else limit
    first, second = gray - before, gray - after
    height = np.where(first * second > 0, np.minimum(np.abs(first), np.abs(second)), 0)
    count, labels = cv2.connectedComponents((near & (height > least)).astype(np.uint8))
    for label in range(1, count):
        core = cast(Hole, labels == label)
        strongest = float(beyond[core].max())
        if strongest > 0:
            core &= height > strongest * _FAINTEST
            if core.any():
                yield Region(box, core, gray, before, after, strongest, group)
