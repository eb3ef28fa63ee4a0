"""Thin lines: what shines through them, and what lies on both sides of them.

A faint scratch keeps most of the picture under it: its codes are those of the picture times a
gain plus an offset. Both are found by comparing with what the sides suggest, row by row along the
line, and taken back: real detail stays (Kokaram 1998; section 13.4 of the restoration rules).
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.heal.wounds import Tile
from vidcolor.repair.records import Hole

__all__ = ["across", "shining"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Found = tuple[Floats, Hole]

_MOST_GAP_PX = 5  # a line of 3 pixels, grown
_WAYS = ((1, 0), (2, 1), (2, -1), (1, 1), (1, -1), (1, 2), (1, -2), (0, 1))  # x and y of a step
_FLAT_SIGMAS = 3.0  # both sides of a line may differ by so many grain levels and so many cv
_FLAT_CV = 4.0
_SLANT_CV = 0.5  # by which a longer way across must be better
_SPAN_PX = 40  # along a line, over which opacity is taken as constant
_LEAST_ROWS = 16
_CORRELATION = 0.7  # smooth pictures are alike by chance more often than 0.5 allows for
_GAINS = (0.5, 2.0)
_ROUNDS = 4  # of reweighting
_FEWEST_LONG = 3  # times as long as wide: a line


def _cut(
    tile: Tile, size: tuple[int, int], margin: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The tile with a margin, in the frame, and the tile within that."""
    left, top, right, bottom = tile.box
    x, y = max(0, left - margin), max(0, top - margin)
    wide = slice(y, min(size[0], bottom + margin)), slice(x, min(size[1], right + margin))
    return wide, (slice(top - y, bottom - y), slice(left - x, right - x))


def sides(canvas: Floats, left: Hole, tile: Tile) -> tuple[Floats, Floats, Hole]:
    """Values across a line from both sides, along the direction in which the sides agree best.

    Args:
        canvas: (H, W) float32 in cv.
        left: (H, W) bool, what is still missing.
        tile: Where.

    Returns:
        For the tile: values, how far the sides differ, and where both sides were near enough.
    """
    wide, inner = _cut(tile, cast(tuple[int, int], canvas.shape), 2 * _MOST_GAP_PX)
    codes, missing = canvas[wide], left[wide]
    smooth = _known_mean(codes, missing)
    best = np.full(codes.shape, np.inf, np.float32)
    values = np.zeros_like(codes)
    for way in _WAYS:
        one = _nearest(codes, smooth, missing, way)
        other = _nearest(codes, smooth, missing, (-way[0], -way[1]))
        gap = (one[2] + other[2] - 1) * float(np.hypot(*way))
        cost = np.abs(one[1] - other[1]) + np.float32(_SLANT_CV) * gap
        near = (gap <= _MOST_GAP_PX) & missing
        better = near & (cost < best)
        share = one[2] / np.maximum(one[2] + other[2], 1)
        blend = one[0] * (1 - share) + other[0] * share
        values = np.where(better, blend, values)
        best = np.where(better, cost, best)
    return values[inner], best[inner], np.isfinite(best[inner]) & tile.hole & left[tile.place]


def _known_mean(codes: Floats, missing: Hole) -> Floats:
    """Means of three known pixels by three."""
    known = (~missing).astype(np.float32)
    total = cv2.blur(codes * known, (3, 3), borderType=cv2.BORDER_REPLICATE)
    count = cv2.blur(known, (3, 3), borderType=cv2.BORDER_REPLICATE)
    return cast(Floats, np.where(count > 0, total / np.maximum(count, 1e-6), codes))


def _nearest(
    codes: Floats, smooth: Floats, missing: Hole, way: tuple[int, int]
) -> tuple[Floats, Floats, Floats]:
    """The first known pixel in a direction: its value, the mean there, and steps to it."""
    value, mean = np.zeros_like(codes), np.zeros_like(codes)
    steps = np.full(codes.shape, np.float32(1e3))
    for step in range(1, _MOST_GAP_PX + 1):
        dx, dy = way[0] * step, way[1] * step
        there, here = _shifted(codes.shape, dx, dy)
        fresh = np.zeros(codes.shape, np.bool_)
        fresh[here] = ~missing[there] & (steps[here] > 1e2)
        for target, source in ((value, codes), (mean, smooth)):
            moved = np.zeros_like(codes)
            moved[here] = source[there]
            np.copyto(target, moved, where=fresh)
        steps[fresh] = step
    return value, mean, steps


def _shifted(size: tuple[int, ...], dx: int, dy: int) -> tuple[Any, Any]:
    """Slices so that `there` is `here` moved by dx, dy."""
    height, width = size
    rows = slice(max(0, dy), min(height, height + dy)), slice(max(0, -dy), min(height, height - dy))
    columns = slice(max(0, dx), min(width, width + dx)), slice(max(0, -dx), min(width, width - dx))
    return (rows[0], columns[0]), (rows[1], columns[1])


def across(canvas: Floats, left: Hole, tile: Tile, grain: float) -> Found | None:
    """Interpolate across a line of at most 3 pixels (5 when grown) where its sides agree.

    Args:
        canvas: (H, W) float32 in cv.
        left: (H, W) bool, what is still missing.
        tile: Where.
        grain: Its level in cv.

    Returns:
        Values for the tile, and where they are good; None if nowhere.
    """
    values, cost, near = sides(canvas, left, tile)
    sure = near & (cost <= _FLAT_SIGMAS * grain + _FLAT_CV)
    return (values, sure) if sure.any() else None


def shining(canvas: Floats, left: Hole, tile: Tile, grain: float) -> Found | None:
    """Take a line off the picture that shines through it.

    Args:
        canvas: (H, W) float32 in cv; in what is missing the damaged codes.
        left: (H, W) bool, what is still missing.
        tile: Where.
        grain: Its level in cv.

    Returns:
        Values for the tile, and where the line turned out to be transparent; None if nowhere.
    """
    height, width = tile.hole.shape
    if max(height, width) < _FEWEST_LONG * min(height, width):
        return None
    guess, _, near = sides(canvas, left, tile)
    codes = canvas[tile.place]
    upright = height >= width
    if not upright:
        guess, near, codes = guess.T, near.T, codes.T
    lane = _lanes(tile.hole if upright else tile.hole.T)
    values, sure = codes.copy(), np.zeros(codes.shape, np.bool_)
    for start in range(0, len(codes), _SPAN_PX):
        rows = slice(start, start + _SPAN_PX)
        for number in range(int(lane.max()) + 1):
            on = near[rows] & (lane[rows] == number)
            law = _law(guess[rows][on], codes[rows][on])
            if law is not None:
                values[rows][on] = (codes[rows][on] - law[1]) / law[0]
                sure[rows] |= on
    if not sure.any():
        return None
    return (values, sure) if upright else (values.T, sure.T)


def _lanes(hole: Hole) -> Array:
    """For each pixel of a hole, which from the left of its row it is; -1 beside the hole."""
    return np.where(hole, np.cumsum(hole, axis=1) - 1, -1)


def _law(behind: Floats, seen: Floats) -> tuple[float, float] | None:
    """Gain and offset with `seen = gain * behind + offset`; None if nothing shines through."""
    if len(behind) < _LEAST_ROWS:
        return None
    weight = np.ones_like(behind)
    gain = offset = 0.0
    related = 0.0
    for _ in range(_ROUNDS):
        total = float(weight.sum())
        x0, y0 = float((weight * behind).sum()) / total, float((weight * seen).sum()) / total
        x, y = behind - np.float32(x0), seen - np.float32(y0)
        xx, xy = float((weight * x * x).sum()), float((weight * x * y).sum())
        yy = float((weight * y * y).sum())
        if xx <= 0 or yy <= 0:
            return None
        # the guess behind the line is as uncertain as what is seen: the mean of both regressions
        related = xy / (xx * yy) ** 0.5
        gain = (yy / xx) ** 0.5
        offset = y0 - gain * x0
        missed = np.abs(seen - gain * behind - offset)
        scale = 1.4826 * float(np.median(missed)) + 1e-3
        weight = np.minimum(1, 1.345 * scale / np.maximum(missed, np.float32(1e-6)))
    if related < _CORRELATION or not _GAINS[0] <= gain <= _GAINS[1]:
        return None
    return gain, offset
