"""Which pixels of a box are the object: a soft mask from lightness, and its edges.

A box says where an object is, not what of the box it is. Three things tell: an object fills the
middle of its box, what stands still while the object moves is not part of it, and background goes
on outside. So each level of lightness in each cell is asked whether it stands still, and whether
it is more common in the object or around the box, the way of GrabCut with histograms instead of
mixtures; the answer is given to pixels by their own lightness, and a guided filter brings it to
the edges of the picture. All is gathered over the frames of a track, so that the mask does not
flicker.

Reference: Rother, Kolmogorov, Blake, GrabCut, ACM TOG 2004; He, Sun, Tang, Guided image
filtering, ECCV 2010.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.guidance.tracks.cells import LEVELS, SIDE, Area, Box, Floats, Grid, area_of
from vidcolor.ops.flow import as_gray, dis_flow

__all__ = ["ObjectMask", "along_edges", "moving"]

_AROUND = 0.35  # part of a box's side that is looked at on each side of it
_ROUNDS = 6
_MIDDLE = 3.0  # logit of the middle of the box before anything is known
_REACH = 0.8  # half axes of the ellipse, in half sides, where middle and margin are as likely
_EVIDENCE = 1.5  # how much a ratio of histograms counts against the place
_DOUBT = 0.02  # added to both histograms: what is seldom seen proves little
_MOST_FRAMES = 100.0
_STANDS = -3.5  # logit of what never moves while the object does; moving proves little, because
# flow spills over the edges of what moves
_STILL = 0.5  # share of movement from which nothing speaks against the object
_SEEN_MOVING = 2.0  # frames of movement, cells filled, that count half
_LEAST_MOVE_PX = 0.4  # of the tenth of the box that moves most; less tells nothing
_LEAST_SIDE_PX = 12
_RADIUS_PX = 3
_EDGE = 16.0  # variance of L* below which the guided filter sees no edge
_SHARPER = 1.6  # contrast of the mask about a half


class ObjectMask:
    """The object in the grid of its box, learned over the frames of a track."""

    def __init__(self) -> None:
        self._inside = np.zeros((LEVELS, SIDE, SIDE), np.float32)
        self._around = np.zeros((LEVELS, SIDE, SIDE), np.float32)
        self._moved = np.zeros((LEVELS, SIDE, SIDE), np.float32)
        self._watched = np.zeros((LEVELS, SIDE, SIDE), np.float32)
        self._frames = 0.0
        middle = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
        far = (middle[:, None] ** 2 + middle**2) / _REACH**2
        self._place = (_MIDDLE * (1 - far)).astype(np.float32)

    def learn(
        self,
        grid: Grid,
        lightness: Floats,
        shown: Floats | None = None,
        moves: Floats | None = None,
    ) -> None:
        """Take in a frame.

        Args:
            grid: Of the box, at the exposure that was found.
            lightness: (h, w) L* of the whole frame.
            shown: (rows, columns) of the area: 0 where something is in front; None: nothing is.
            moves: (rows, columns) of the area, from `moving`; None: not to be told.
        """
        weight = np.ones(grid.size, np.float32) if shown is None else grid.shrink(shown)
        self._frames = min(self._frames + 1, _MOST_FRAMES)
        share = np.float32(1 / self._frames)
        self._inside += share * (grid.gather(weight) - self._inside)
        self._around += share * (_around(grid, lightness) - self._around)
        if moves is not None:
            kept = np.float32(1 - 1 / _MOST_FRAMES)
            self._moved = kept * self._moved + grid.gather(weight * grid.shrink(moves))
            self._watched = kept * self._watched + grid.gather(weight)

    def likely(self) -> Floats:
        """(LEVELS, SIDE, SIDE) 0..1: how likely a pixel of the cell and level is the object's."""
        around = self._around + np.float32(_DOUBT)
        share = self._moved / np.maximum(self._watched, np.float32(1e-6))
        trust = self._watched / (self._watched + np.float32(_SEEN_MOVING))
        stands = np.maximum(1 - share / np.float32(_STILL), 0)
        prior = self._place + np.float32(_STANDS) * trust * stands
        logits = prior
        for _ in range(_ROUNDS):
            inside = self._inside * _sigmoid(logits)
            common = inside.sum(axis=(1, 2)) / max(float(inside.sum()), 1e-6)
            ratio = np.log((common[:, None, None] + np.float32(_DOUBT)) / around)
            logits = prior + np.float32(_EVIDENCE) * ratio
        return _sigmoid(logits)


def moving(area: Area, lightness: Floats, before: Floats) -> Floats | None:
    """What of a box moves otherwise than what is around it.

    Args:
        area: Of the box.
        lightness: (h, w) L* of the frame.
        before: (h, w) L* of the one before it in the shot.

    Returns:
        (rows, columns) of the area, 0 moves as the background does, 1 does not; None where
        nothing moves, or nothing is around.
    """
    around = _grown(area, lightness)
    if min(around.size) < _LEAST_SIDE_PX:
        return None
    now, then = (as_gray(plane[around.part]) for plane in (lightness, before))
    flow = dis_flow(now, then, "fast")
    outside = _outside(around, area) > 0
    if not outside.any():
        return None
    apart = np.linalg.norm(flow - np.median(flow[outside], axis=0), axis=2)
    inside = apart[_within(around, area)]
    most = float(np.percentile(inside, 90))
    if most < _LEAST_MOVE_PX:
        return None
    return cast(Floats, np.clip(inside / (0.5 * most), 0, 1).astype(np.float32))


def _grown(area: Area, lightness: Floats) -> Area:
    """The pixels of a box and of what is around it."""
    x0, y0, x1, y1 = area.box
    wide, tall = (x1 - x0) * _AROUND, (y1 - y0) * _AROUND
    grown: Box = (x0 - wide, y0 - tall, x1 + wide, y1 + tall)
    found = area_of(grown, cast(tuple[int, int], lightness.shape))
    assert found is not None, "it holds the box, which was large enough"
    return found


def _sigmoid(logits: npt.NDArray[Any]) -> Floats:
    return cast(Floats, (1 / (1 + np.exp(-logits))).astype(np.float32))


def _around(grid: Grid, lightness: Floats) -> Floats:
    """(LEVELS, SIDE, SIDE) histograms of what lies around the box, near to each cell."""
    area = _grown(grid.area, lightness)
    wider = Grid(area, lightness)
    wider.expose(grid.exposure)
    outside = wider.gather(wider.shrink(_outside(area, grid.area)))
    sides = cast(Any, outside).transpose(1, 2, 0)
    near = cv2.GaussianBlur(np.ascontiguousarray(sides), (0, 0), SIDE / 4)
    total = np.maximum(near.sum(axis=2, keepdims=True), np.float32(1e-3))
    near = near / total
    # cells of the box, as places of the grown one
    reach = 1 + 2 * _AROUND
    at = (((np.arange(SIDE) + 0.5) / SIDE + _AROUND) / reach * SIDE - 0.5).astype(np.float32)
    columns, rows = np.meshgrid(at, at)
    # remap takes four channels at once
    parts = [
        cv2.remap(np.ascontiguousarray(near[..., k : k + 4]), columns, rows, cv2.INTER_LINEAR)
        for k in range(0, LEVELS, 4)
    ]
    return np.ascontiguousarray(np.concatenate(parts, axis=2).transpose(2, 0, 1))


def _outside(area: Area, inner: Area) -> Floats:
    """(rows, columns) 1 in `area`, 0 in what of it is `inner`."""
    mask = np.ones(area.size, np.float32)
    mask[_within(area, inner)] = 0
    return mask


def _within(area: Area, inner: Area) -> tuple[slice, slice]:
    """Rows and columns of `inner`, counted from those of `area`."""
    (rows, columns), (down, across) = area.part, inner.part
    return (
        slice(down.start - rows.start, down.stop - rows.start),
        slice(across.start - columns.start, across.stop - columns.start),
    )


def along_edges(mask: Floats, lightness: Floats) -> Floats:
    """A soft mask brought to the edges of lightness, and made more decided.

    Args:
        mask: (rows, columns) 0..1.
        lightness: (rows, columns) L*.
    """
    size = (2 * _RADIUS_PX + 1,) * 2

    def mean(plane: Floats) -> Floats:
        return cast(Floats, cv2.blur(plane, size, borderType=cv2.BORDER_REFLECT))

    light, soft = mean(lightness), mean(mask)
    variance = mean(lightness * lightness) - light * light
    slope = (mean(lightness * mask) - light * soft) / (variance + np.float32(_EDGE))
    shift = soft - slope * light
    filtered = mean(cast(Floats, slope)) * lightness + mean(cast(Floats, shift))
    return np.clip((filtered - 0.5) * np.float32(_SHARPER) + 0.5, 0, 1)
