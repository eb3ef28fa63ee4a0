"""Color carried from references to frames: each place of a frame says where it lies in them.

Colors that are warped again and again blur, and an error once made stays. Here it is the place
that travels: for every pixel of a frame the position in the references that shows the same
thing. Each frame compares afresh, directly with the references, what motion, standing still,
a correction by flow and the matched memory propose, and keeps per pixel what fits best. So drift
heals, what was hidden is found again, and the color is that of the reference itself.

Reference: the competition of propagated, corrected and matched proposals is that of Barnes et al.,
PatchMatch, SIGGRAPH 2009; flow from Kroeger et al., ECCV 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.guidance.references.descriptors import CELL_PX
from vidcolor.guidance.references.memory import Match
from vidcolor.ops.flow import as_gray, dis_flow

__all__ = ["Atlas", "Carried", "Sight", "carry", "grid", "moved"]

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_LIGHT_COST = 0.3  # of a unit of L*
_LIGHT_MOST = 30.0  # L* above which a difference is no worse
_LOOK_COST = 0.4  # of a unit of squared distance between descriptors
_JUMP_COST = 0.8  # of a match: what moves on smoothly is more likely
_SPREAD = (
    0.25,
    0.5,
)  # cost that takes a proposal's say to 1/e: fixed, and a part of the best one's
_WINDOW_PX = 5
_DOUBT_UNIT = 60.0  # variance in a*b* at which matches count half
_MATCH_COST = 1.3  # of the colors of all matches together, against single proposals


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """References laid under one another, so that one pair of numbers is a place in any of them.

    Attributes:
        planes: (H, W, 3) float32 a*, b*, L*; sides are multiples of a cell's.
        looks: (H / 4 * W / 4, D) float32 descriptors of its cells.
        tops: Row at which each reference begins.
        sizes: `(height, width)` of each.
    """

    planes: Floats
    looks: Floats
    tops: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, pages: Sequence[tuple[Floats, Floats, Floats]]) -> Atlas:
        """Lay out references.

        Args:
            pages: (h, w) L*, (2, h, w) a*b* and (n, D) descriptors of each.
        """
        wide = max(lightness.shape[1] for lightness, _, _ in pages)
        planes, looks, tops, sizes = [], [], [], []
        top = 0
        for lightness, ab, look in pages:
            height, width = lightness.shape
            pad = ((0, 0), (0, wide - width), (0, 0))
            page = np.dstack((ab[0], ab[1], lightness))
            planes.append(np.pad(page, pad, mode="edge"))
            cells = look.reshape(height // CELL_PX, width // CELL_PX, -1)
            pad = ((0, 0), (0, (wide - width) // CELL_PX), (0, 0))
            looks.append(np.pad(cells, pad, mode="edge").reshape(-1, look.shape[1]))
            tops.append(top)
            sizes.append((height, width))
            top += height
        return cls(
            np.ascontiguousarray(np.concatenate(planes), np.float32),
            np.ascontiguousarray(np.concatenate(looks), np.float32),
            tuple(tops),
            tuple(sizes),
        )

    @property
    def columns(self) -> int:
        """Cells in a row."""
        return self.planes.shape[1] // CELL_PX

    def numbers(self, page: int) -> npt.NDArray[np.int64]:
        """(n,) numbers of a reference's cells, in rows of `looks`."""
        height, width = (side // CELL_PX for side in self.sizes[page])
        rows = np.arange(height)[:, None] + self.tops[page] // CELL_PX
        return cast(
            npt.NDArray[np.int64], (rows * self.columns + np.arange(width)).ravel().astype(np.int64)
        )

    def itself(self, page: int) -> Floats:
        """(h, w, 2) places of a reference's own pixels: what a frame has that it shows."""
        return grid(self.sizes[page]) + np.array((0, self.tops[page]), np.float32)

    def at(self, place: Floats) -> Floats:
        """(h, w, 3) a*, b*, L* at (h, w, 2) places."""
        return _remap(self.planes, place)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What is known of a frame before color is carried to it.

    Attributes:
        lightness: (h, w) L*.
        gray: (h, w) uint8 of it, for flow.
        looks: (n, D) descriptors of its cells.
        match: What the memory found.
    """

    lightness: Floats
    gray: Bytes
    looks: Floats
    match: Match


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Color of a frame, and where it is from.

    Attributes:
        place: (h, w, 2) x, y in the atlas.
        ab: (h, w, 2) a*b*.
        cost: (h, w) how badly the best proposal fits; 0 is the very same.
        strange: (h, w) squared distance of descriptors of the best proposal or match.
    """

    place: Floats
    ab: Floats
    cost: Floats
    strange: Floats


def grid(size: tuple[int, int]) -> Floats:
    """(h, w, 2) x, y of the pixels of a picture."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.dstack((columns, rows)).astype(np.float32)


def moved(values: Floats, flow: Floats) -> Floats:
    """Backward warp of (h, w, C) values, the border repeated."""
    return _remap(values, grid(flow.shape[:2]) + flow)


def _remap(values: Floats, place: Floats) -> Floats:
    found: Any = cv2.remap(
        values, place, cast(Any, None), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cast(Floats, found)


def carry(
    sight: Sight,
    atlas: Atlas,
    before: Carried | None,
    back: Floats | None,
    shown_by: Sequence[int] = (),
) -> Carried:
    """Find the places of one frame's pixels in the references.

    Args:
        sight: The frame.
        atlas: The references.
        before: What the neighboring frame found, the one before or, going backward, after.
        back: (h, w, 2) flow from this frame to that one; given with `before`.
        shown_by: References that are frames of this shot: the same pixel may show the same thing.
    """
    proposals: list[tuple[Floats, float]] = []
    if before is not None and back is not None:
        chained = moved(before.place, back)
        seen = as_gray(atlas.at(chained)[..., 2])
        rest = dis_flow(sight.gray, seen, "medium")
        proposals += [(chained, 0.0), (before.place, 0.0), (moved(chained, rest), 0.0)]
    proposals += [(atlas.itself(page), 0.0) for page in shown_by]
    proposals += [(place, _JUMP_COST) for place in _matched(sight, atlas)]

    size = (sight.lightness.shape[1], sight.lightness.shape[0])
    costs, colors, strange = [], [], []
    for place, extra in proposals:
        there = atlas.at(place)
        off = np.minimum(np.abs(there[..., 2] - sight.lightness), np.float32(_LIGHT_MOST))
        window = (_WINDOW_PX, _WINDOW_PX)
        light = cast(Floats, cv2.blur(off, window, borderType=cv2.BORDER_REFLECT))
        apart = _enlarged(_apart(place, sight, atlas), size)
        costs.append(_LIGHT_COST * light + _LOOK_COST * apart + np.float32(extra))
        colors.append(there[..., :2])
        strange.append(apart)
    stacked = np.stack(costs)
    best = stacked.argmin(0)[None]
    least = np.take_along_axis(stacked, best, 0)[0]
    chosen = np.take_along_axis(np.stack([p for p, _ in proposals]), best[..., None], 0)[0]
    odd = np.take_along_axis(np.stack(strange), best, 0)[0]

    cells = (sight.lightness.shape[0] // CELL_PX, sight.lightness.shape[1] // CELL_PX)
    known = _enlarged(sight.match.ab.reshape(*cells, 2), size)
    doubt = _enlarged(sight.match.doubt.reshape(cells), size)
    distance = _enlarged(sight.match.distance.reshape(cells), size)
    # where one fits well the others are not needed; where none does, they are asked together
    sharp = 1 / (np.float32(_SPREAD[0]) + np.float32(_SPREAD[1]) * least)
    together = _MATCH_COST + _LOOK_COST * distance + np.float32(1 / _DOUBT_UNIT) * doubt
    total = np.exp(-sharp * (together - least))
    ab = total[..., None] * known
    for cost, color in zip(stacked, colors, strict=True):
        say = np.exp(-sharp * (cost - least))
        total += say
        ab += say[..., None] * color
    ab /= total[..., None]
    return Carried(chosen, ab, least, np.minimum(odd, distance))


def _matched(sight: Sight, atlas: Atlas) -> list[Floats]:
    """Places of the best matches of each cell, its pixels beside one another."""
    height, width = sight.lightness.shape
    shape = (height // CELL_PX, width // CELL_PX)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    places = []
    for cells in sight.match.cells.T:
        down, right = np.divmod(cells.reshape(shape), atlas.columns)
        away = np.dstack((right - columns, down - rows)).astype(np.float32) * CELL_PX
        shift = cv2.resize(away, (width, height), interpolation=cv2.INTER_NEAREST)
        places.append(grid((height, width)) + cast(Floats, shift))
    return places


def _apart(place: Floats, sight: Sight, atlas: Atlas) -> Floats:
    """(h / 4, w / 4) squared distance of descriptors between cells and their places."""
    middle = CELL_PX // 2
    centers = np.rint((place[middle::CELL_PX, middle::CELL_PX] - middle) / CELL_PX).astype(np.int64)
    rows = len(atlas.looks) // atlas.columns
    right = np.clip(centers[..., 0], 0, atlas.columns - 1)
    down = np.clip(centers[..., 1], 0, rows - 1)
    apart = atlas.looks[(down * atlas.columns + right).ravel()] - sight.looks
    return cast(Floats, (apart * apart).sum(1).reshape(centers.shape[:2]))


def _enlarged(values: Floats, size: tuple[int, int]) -> Floats:
    return cast(Floats, cv2.resize(values, size, interpolation=cv2.INTER_LINEAR))
