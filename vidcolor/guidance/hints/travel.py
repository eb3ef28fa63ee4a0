"""Color of hints on its way from frame to frame.

The space-time system of Levin et al. with neighbors linked by motion, solved as a sweep: the color
of the frame before is given, that of the frame is the mean of what motion brings and of its
neighbors of like luma. One sweep goes forward, one backward (block Gauss-Seidel over frames), so
that memory holds two frames however long a shot is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
from scipy import sparse

from vidcolor.guidance.hints.frame import HintedFrame
from vidcolor.guidance.hints.guide import Box, Link
from vidcolor.guidance.hints.levin import spread
from vidcolor.ops.flow import warp

__all__ = ["Wave", "join", "lay", "travel"]

Floats = npt.NDArray[np.float32]

_LEAST = 0.02
"""Weight under which color is forgotten."""

_GROW_CELLS = 4
_SHARPEN = 0.06
_TOLERANCE = 2e-3
_MOST_ROUNDS = 60
_LEAST_TRUST = 0.02
_MARGIN = 0.1  # of a box, and in cells: boxes are not exact
_MARGIN_CELLS = 2.0
_NEW = 0.1  # weight that motion brings, under which color came from neighbors
_FADE = 0.6  # in a frame
_SHADE_FREE = 8.0  # in L*, that a thing may differ from what it was
_SHADE = 16.0
_LEARN = 0.1  # of a slow change of light, in a frame


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    """Color known in a frame.

    Attributes:
        ab: (2, h, w) float32 a*b*.
        weight: (h, w) float32 in 0..1.
        age: (h, w) float32, frames since a person said so.
        home: (h, w) float32 L* that the color was said for, followed slowly.
        owner: (h, w) float32, 1 and up: the color belongs to this one of the shot's objects.
    """

    ab: Floats
    weight: Floats
    age: Floats
    home: Floats
    owner: Floats

    @classmethod
    def none(cls, size: tuple[int, int]) -> Wave:
        """Nothing is known."""
        planes = np.zeros((6, *size), np.float32)
        return cls(planes[:2], *planes[2:])

    @property
    def empty(self) -> bool:
        """Whether nothing is known."""
        return not bool((self.weight > _LEAST).any())


def lay(wave: Wave, frame: HintedFrame, guide: Floats, owner: Floats) -> Wave:
    """Hints of the frame itself over what came from another.

    Args:
        wave: What came.
        frame: What hints say.
        guide: (h, w) L* of the frame.
        owner: (h, w) see `Wave`, of what the hints say.
    """
    below = (1 - np.maximum(frame.weight, frame.stop)) * wave.weight
    weight = frame.weight + below
    share = np.where(weight > 1e-4, frame.weight / np.maximum(weight, 1e-4), 0)
    ab = wave.ab + share * (frame.ab - wave.ab)
    return Wave(
        ab.astype(np.float32),
        weight.astype(np.float32),
        (wave.age * (1 - share)).astype(np.float32),
        (wave.home + share * (guide - wave.home)).astype(np.float32),
        _extend(np.where(share > 0.5, owner, wave.owner), weight),
    )


def join(forward: Wave, backward: Wave) -> Wave:
    """Color from both sides: each counts by its weight, and the less the older it is."""
    first = forward.weight / (forward.age + 1)
    second = backward.weight / (backward.age + 1)
    total = first + second
    share = np.where(total > 1e-6, second / np.maximum(total, 1e-6), 0).astype(np.float32)
    return Wave(
        forward.ab + share * (backward.ab - forward.ab),
        np.maximum(forward.weight, backward.weight),
        np.minimum(forward.age, backward.age),
        forward.home + share * (backward.home - forward.home),
        np.where(share > 0.5, backward.owner, forward.owner),
    )


def travel(
    wave: Wave,
    link: Link,
    guide: Floats,
    noise: float,
    firmness: float,
    boxes: Mapping[int, Box],
) -> Wave:
    """Bring color to the next frame.

    Args:
        wave: Color of the frame it comes from.
        link: Of this frame to that one.
        guide: (h, w) L* of this frame.
        noise: Deviation of the grain in L*.
        firmness: How much what motion brings counts against all neighbors in the frame.
        boxes: In cells, of objects by their number in `Wave.owner`: color of theirs stays inside.
    """
    if wave.empty:
        return Wave.none(guide.shape[:2])
    planes = np.stack((*wave.ab, np.ones_like(wave.weight), wave.age, wave.home), axis=2)
    stack = warp(planes * wave.weight[..., None], link.flow, cubic=True)
    moved = np.where(stack[..., 2:3] > 1e-3, stack, np.float32(0))
    moved /= np.maximum(moved[..., 2:3], 1)  # cubics overshoot
    rows, columns = _around(moved[..., 2])
    if rows.start == rows.stop:
        return Wave.none(guide.shape[:2])
    part = guide[rows, columns]
    settled = _settle(moved[rows, columns], link.trust[rows, columns], part, noise, firmness)
    result = _unpack(settled, (rows, columns), wave, link.pulse, guide)
    result = replace(result, owner=_follow(wave.owner, link.flow, moved[..., 2]))
    for number, box in boxes.items():
        result = _keep_in(result, number, box, moved[..., 2])
    return result


def _follow(owner: Floats, flow: Floats, moved_weight: Floats) -> Floats:
    """Owners along motion; color that is new to a cell has the owner of the nearest old one."""
    if not owner.any():
        return owner
    y, x = np.mgrid[: owner.shape[0], : owner.shape[1]].astype(np.float32)
    moved = cv2.remap(owner, x + flow[..., 0], y + flow[..., 1], cv2.INTER_NEAREST)
    return _extend(np.asarray(moved, np.float32), moved_weight)


def _extend(owner: Floats, weight: Floats) -> Floats:
    """Owners of color, and beyond it those of the nearest color."""
    old = weight >= _NEW
    if not owner.any() or not old.any():
        return np.zeros_like(owner)
    _, labels = cv2.distanceTransformWithLabels(
        (~old).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.asarray(labels)
    owners = np.zeros(int(nearest.max()) + 1, np.float32)
    owners[nearest[old]] = owner[old]
    return np.asarray(owners[nearest])


def _keep_in(wave: Wave, number: int, box: Box, moved_weight: Floats) -> Wave:
    """Let the color of an object fade that lies outside of its box.

    What an object hides and uncovers may look like it; its color must not stay behind.
    """
    margin_x = _MARGIN * (box[2] - box[0]) + _MARGIN_CELLS
    margin_y = _MARGIN * (box[3] - box[1]) + _MARGIN_CELLS
    y, x = np.ogrid[: wave.owner.shape[0], : wave.owner.shape[1]]
    inside = (y > box[1] - margin_y) & (y < box[3] + margin_y)
    inside = inside & (x > box[0] - margin_x) & (x < box[2] + margin_x)
    outside = (wave.owner == number) & ~inside
    faded = np.minimum(wave.weight, moved_weight) * np.float32(_FADE)
    return replace(wave, weight=np.where(outside, faded, wave.weight))


def _around(weight: Floats) -> tuple[slice, slice]:
    """Rows and columns where there is color, and some more."""
    at = np.nonzero(weight > _LEAST)
    if at[0].size == 0:
        return slice(0, 0), slice(0, 0)
    spans = [
        slice(max(0, int(line.min()) - _GROW_CELLS), min(side, int(line.max()) + _GROW_CELLS + 1))
        for line, side in zip(at, weight.shape, strict=True)
    ]
    return spans[0], spans[1]


def _settle(moved: Floats, trust: Floats, guide: Floats, noise: float, firmness: float) -> Floats:
    """(h, w, 5): the mean of what was moved here and of like neighbors, to a tolerance."""
    size = guide.shape
    pull = firmness * trust + _LEAST_TRUST
    held = (pull / (pull + 1)).astype(np.float32).reshape(-1, 1)
    weights = sparse.csr_array(
        spread(guide / np.float32(100), None, (noise / 100) ** 2), dtype=np.float32
    )
    free = cast(Any, sparse.diags_array(1 - held[:, 0]) @ weights)
    given = held * moved.reshape(-1, 5)
    now = moved.reshape(-1, 5)
    for _ in range(_MOST_ROUNDS):
        after = given + free @ now
        change = float(np.abs(after[:, 2] - now[:, 2]).max())
        now = after.astype(np.float32, copy=False)
        if change < _TOLERANCE:
            break
    return now.reshape(*size, 5)


def _unpack(
    part: Floats, place: tuple[slice, slice], wave: Wave, pulse: float, guide: Floats
) -> Wave:
    """Planes of the whole frame; color that luma contradicts is dropped."""
    result = Wave.none(guide.shape[:2])
    share = np.clip(part[..., 2], 0, 1)
    safe = np.maximum(part[..., 2], np.float32(1e-3))
    known = share > 1e-3
    # interpolation overshoots; nothing lies outside of what was said
    said = wave.ab[:, wave.weight > _LEAST]
    for i in range(2):
        color = np.clip(part[..., i] / safe, said[i].min(), said[i].max())
        result.ab[i][place] = np.where(known, color, 0)
    result.age[place] = np.where(known, part[..., 3] / safe + 1, 0)
    home = part[..., 4] / safe + np.float32(pulse)
    strange = np.maximum(np.abs(guide[place] - home) - np.float32(_SHADE_FREE), 0)
    share = share * np.exp(-np.square(strange / np.float32(_SHADE)))
    home += np.float32(_LEARN) * (guide[place] - home)
    result.home[place] = np.where(known, home, 0)
    # what diffuses a little in every frame is drawn together again
    steep = share * share * (3 - 2 * share)
    share = share + np.float32(_SHARPEN) * (steep - share)
    result.weight[place] = np.where(share > _LEAST, share, 0)
    return result
