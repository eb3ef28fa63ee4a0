"""Pieces of lines joined over the height of a picture: where a line is, how wide, in which rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.repair.lines.shape import across, edge, presence, settled, sides
from vidcolor.repair.lines.sums import BANDS, Residual, Segment
from vidcolor.repair.records import Hole

__all__ = ["Line", "TraceLimits", "trace"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

_MEET_PX = 1.5  # that pieces of neighboring bands may miss each other, and once more for each 500
_EDGE = 0.2  # of the contrast in the middle: the line's edge
_CORE = 0.5  # likewise: between such places its width is measured
_SOFT_PX = 0.3  # beyond the edges a line still shows


@dataclass(frozen=True, slots=True)
class TraceLimits:
    """What counts as one thin line.

    Attributes:
        strong: |z| that a piece must have in two overlapping bands, or a line in sum.
        contrast: Least mean difference from the surroundings, in cv.
        widest_px: Largest width in pixels of the picture.
        agree: Least share of the rows where the sign is the line's.
        uneven: Most that the means left and right of it may differ, in cv.
        bridge: Gaps up to so much of the height are part of the line.
        shortest: Least length, as a share of the height.
    """

    strong: float
    contrast: float
    widest_px: float
    agree: float
    uneven: float
    bridge: float
    shortest: float


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A thin line of one frame.

    Attributes:
        x: (R,) column at the middle of each group of rows.
        there: (R,) bool, groups where it is present.
        beside: (2, R) what lies left and right of it, in cv.
        left: How far it reaches left of the middle, in pixels.
        right: How far right of it.
        contrast: Mean difference from the surroundings in cv; negative for dark lines.
        z: Of its strongest piece, without sign.
        strong: It stands out enough to be found alone.
        rows: Rows of the picture in a group.
        top: Row of the frame where the first group begins.
        bottom: Row of the frame after the last group.
    """

    x: Floats
    there: Flags
    beside: Floats
    left: float
    right: float
    contrast: float
    z: float
    strong: bool
    rows: int
    top: int
    bottom: int

    def hole(self, size: tuple[int, int]) -> tuple[int, int, Hole] | None:
        """Top, left and the (h, w) array of its pixels; None if all lie outside."""
        height, width = size
        at = np.arange(height)
        groups = np.clip((at - self.top) // self.rows, 0, len(self.x) - 1)
        middles = (np.arange(len(self.x)) + 0.5) * self.rows - 0.5 + self.top
        x = np.interp(at, middles, self.x)
        first = np.ceil(x - self.left - _SOFT_PX).astype(np.intp)
        last = np.floor(x + self.right + _SOFT_PX).astype(np.intp)
        there = (
            self.there[groups]
            & (at >= self.top)
            & (at < self.bottom)
            & (last >= 0)
            & (first < width)
        )
        if not there.any():
            return None
        rows = np.flatnonzero(there)
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        low = max(0, int(first[there].min()))
        high = min(width, int(last[there].max()) + 1)
        columns = np.arange(low, high)
        inside = slice(top, bottom)
        hole = (columns >= first[inside, None]) & (columns <= last[inside, None])
        return top, low, hole & there[inside, None]


def trace(
    residual: Residual,
    found: Sequence[Segment],
    limits: TraceLimits,
    origin: tuple[int, int] = (0, 0),
) -> list[Line]:
    """Join pieces to lines, and keep what is thin, of one sign and alike on both sides.

    Args:
        residual: Of the part of the frame that was looked at.
        found: Pieces of lines in it.
        limits: What counts as a line.
        origin: Row and column of the frame where that part begins.
    """
    lines = []
    for chain in _chains(found, residual):
        line = _line(residual, chain, limits, origin)
        if line is not None:
            lines.append(line)
    return _apart(lines, limits)


def _chains(found: Sequence[Segment], residual: Residual) -> list[list[Segment]]:
    """Pieces that continue one another, from the strongest piece both ways."""
    left = sorted(found, key=lambda one: -abs(one.z))
    starts = residual.starts()
    middles = (starts + residual.band / 2) * residual.rows
    chains = []
    while left:
        chain = [left.pop(0)]
        for step in (1, -1):
            end, band, missed = chain[0], chain[0].band + step, 0
            while 0 <= band < BANDS and missed < 2:
                tall = middles[band] - middles[end.band]
                near = _MEET_PX * (1 + residual.height / 500) * (1 + missed)
                fits = [
                    one
                    for one in left
                    if one.band == band
                    and one.z * end.z > 0
                    and abs(end.x + end.lean * tall / 2 - one.x + one.lean * tall / 2) <= near
                ]
                if fits:
                    end, missed = fits[0], 0
                    left.remove(end)
                    chain.append(end)
                else:
                    missed += 1
                band += step
        if len(chain) > 1:
            chains.append(sorted(chain, key=lambda one: one.band))
    return chains


def _course(residual: Residual, chain: Sequence[Segment]) -> Floats:
    """(R,) column of the line at each group, as the pieces that cover it say."""
    starts, band = residual.starts(), residual.band
    count = len(residual.mean)
    groups = np.arange(count)
    total, weight = np.zeros(count), np.zeros(count)
    for one in chain:
        middle = starts[one.band] + (band - 1) / 2
        away = (groups - middle) / (band / 2)
        near = np.maximum(1 - np.abs(away), 0) + 1e-3 * (np.abs(away) <= 1)
        total += near * (one.x + one.lean * (groups - middle) * residual.rows)
        weight += near
    known = weight > 0
    x = np.interp(groups, groups[known], total[known] / weight[known])
    first, last = np.flatnonzero(known)[[0, -1]]
    x[:first] += chain[0].lean * (groups[:first] - first) * residual.rows
    x[last:] += chain[-1].lean * (groups[last:] - last) * residual.rows
    return x.astype(np.float32)


def _line(
    residual: Residual, chain: Sequence[Segment], limits: TraceLimits, origin: tuple[int, int]
) -> Line | None:
    sign, reach = float(np.sign(chain[0].z)), residual.reach
    x = settled(residual, _course(residual, chain), sign)
    columns = np.rint(x).astype(np.intp)
    if columns.min() < -reach or columns.max() >= residual.over.shape[1] + reach:
        return None
    bands = np.minimum(np.arange(len(x)) * BANDS // len(x), BANDS - 1)
    noise = residual.noise[bands, np.clip(columns, 0, residual.over.shape[1] - 1)]
    over = across(residual.over, x, reach) * np.float32(sign)
    there = presence(over[:, reach], noise, limits.bridge)
    if there.mean() < limits.shortest:
        return None
    profile = np.median(over[there], axis=0)
    halves = profile[reach::-1], profile[reach:]
    left, right = (edge(half, _EDGE) for half in halves)
    core = [edge(half, _CORE) for half in halves]
    if left is None or right is None or core[0] is None or core[1] is None:
        return None
    contrast = float(over[there, reach].mean())
    agree = float((over[there, reach] > 0).mean())
    if contrast < limits.contrast or agree < limits.agree:
        return None
    if core[0] + core[1] > limits.widest_px:
        return None
    beside = sides(residual, x, max(left, right))
    if abs(float(np.diff(beside[:, there].mean(axis=1)).item())) > limits.uneven:
        return None
    strong = any(
        min(abs(a.z), abs(b.z)) >= limits.strong and b.band - a.band == 1
        for a, b in pairwise(chain)
    )
    return Line(
        x + np.float32(origin[1]), there, beside, left, right, sign * contrast,
        max(abs(one.z) for one in chain), strong, residual.rows, origin[0],
        origin[0] + residual.height,
    )  # fmt: skip


def _apart(lines: Sequence[Line], limits: TraceLimits) -> list[Line]:
    """Without those that run along a stronger one."""
    kept: list[Line] = []
    for line in sorted(lines, key=lambda one: (-one.strong, -abs(one.contrast) * one.there.sum())):
        for other in kept:
            both = line.there & other.there
            if not both.any():
                continue
            away = np.abs(line.x - other.x)[both]
            if float(np.median(away)) <= max(other.left + other.right, limits.widest_px) / 2:
                break
        else:
            kept.append(line)
    return kept
