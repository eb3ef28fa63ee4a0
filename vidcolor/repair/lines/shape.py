"""The shape of a line: its course over the rows, its profile, and the rows in which it is seen."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from vidcolor.repair.lines.sums import Residual

__all__ = ["across", "edge", "presence", "settled", "sides"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

_PARTS = 7  # of the height, in each of which a line's place is measured
_NEAR_PX = 2  # from the first guess, in which it is looked for
_ROUNDS = 4
_OFF_PX = 0.7  # from the smooth course, beyond which a measured place counts less
_RUN = 9  # groups of rows over which a line's contrast is averaged
_SEEN = 0.1  # of the line's contrast: with less it is not there
_LEAST = 1.5  # cv, likewise
_SIGMAS = 1.0  # of noise of a group, which the mean over a run must exceed
_SHORTEST_RUN = 0.05  # of the height
_GAP_PX = 2  # between a line's edge and what is taken for its surroundings
_BESIDE_PX = 4  # columns of those


def across(plane: Floats, x: Floats, reach: int) -> Floats:
    """(R, 2 reach + 1) values of (R, W) `plane` left and right of column `x` (R,), interpolated."""
    first = np.floor(x)
    part = (x - first)[:, None].astype(np.float32)
    columns = first.astype(np.intp)[:, None] + np.arange(-reach, reach + 2)
    inside = np.clip(columns, 0, plane.shape[1] - 1)
    values = plane[np.arange(len(x))[:, None], inside]
    return cast(Floats, values[:, :-1] * (1 - part) + values[:, 1:] * part)


def settled(residual: Residual, x: Floats, sign: float) -> Floats:
    """The course of a line by where it really is in the parts of the height, smoothed.

    Args:
        residual: Of the frame.
        x: (R,) first guess.
        sign: Of the line's contrast.
    """
    reach = _NEAR_PX + 1
    values = across(residual.over, x, reach) * np.float32(sign)
    limit = np.float32(2 * np.median(np.abs(values[:, reach - 1 : reach + 2])))
    values = np.clip(values, -limit, limit)
    count = len(x)
    edges = np.rint(np.linspace(0, count, _PARTS + 1)).astype(int)
    rows = (edges[:-1] + edges[1:]) / 2 / count - 0.5
    profiles = np.stack([values[a:b].mean(axis=0) for a, b in pairwise(edges)])
    away, sure = _centers(profiles)
    if not sure.any():
        return x
    fitted = _smooth(rows, away, sure)
    steps = (np.arange(count) + 0.5) / count - 0.5
    return (x + np.polynomial.polynomial.polyval(steps, fitted)).astype(np.float32)


def _centers(profiles: Floats) -> tuple[Floats, Floats]:
    """Middle of the line in each profile, in pixels from the middle, and how sure that is."""
    reach = profiles.shape[1] // 2
    places = np.arange(-reach, reach + 1)
    tops = profiles.max(axis=1, keepdims=True)
    over = np.maximum(profiles - np.maximum(tops / 2, 0), 0)
    weight = over.sum(axis=1)
    middles = (over * places).sum(axis=1) / np.maximum(weight, 1e-6)
    sure = np.maximum(tops[:, 0], 0) * (np.abs(middles) <= _NEAR_PX)
    return middles.astype(np.float32), sure.astype(np.float32)


def _smooth(rows: Array, away: Floats, sure: Floats) -> Array:
    """Polynomial of degree 2 or less through measured places, few of which may be wrong."""
    degree = min(2, max(0, int((sure > 0).sum()) // 2 - 1))
    weight = sure / sure.max()
    fitted: Array = np.zeros(degree + 1)
    for _ in range(_ROUNDS):
        fitted = np.polynomial.polynomial.polyfit(rows, away, degree, w=np.sqrt(weight))
        miss = np.abs(away - np.polynomial.polynomial.polyval(rows, fitted))
        weight = sure / sure.max() / (1 + (miss / _OFF_PX) ** 2)
    return np.asarray(fitted)


def edge(profile: Floats, part: float) -> float | None:
    """How far a line reaches to one side.

    Args:
        profile: Contrast from the middle of the line outward, a pixel apart.
        part: Of the contrast in the middle: the line ends where less is left.

    Returns:
        Pixels between the middle and the line's edge; None if it does not end.
    """
    least = part * profile[0]
    below = np.flatnonzero(profile < least)
    if profile[0] <= 0 or not len(below):
        return None
    last = int(below[0])
    high, low = float(profile[last - 1]), float(profile[last])
    # interpolation has spread the line by half a pixel
    return max(0.25, last - 1 + (high - least) / (high - low) - 0.5)


def presence(along: Floats, noise: Floats, bridge: float) -> Flags:
    """Groups of rows where a line is seen, short gaps among them.

    Args:
        along: (R,) its contrast in each group, cv, positive where it has the line's sign.
        noise: (R,) standard deviation of that by chance, cv.
        bridge: Gaps up to this share of the height are part of it.
    """
    count = len(along)
    top = max(float(np.quantile(np.abs(along), 0.9)), 1e-3)
    smooth = _mean(np.clip(along, -top, top))
    stands = _mean(np.clip(along / noise, -3, 3))
    least = max(_LEAST, _SEEN * float(np.quantile(smooth, 0.75)))
    seen = _flip((smooth >= least) & (stands >= _SIGMAS), True, _SHORTEST_RUN * count)
    inside = np.flatnonzero(seen)
    if len(inside):
        part = slice(int(inside[0]), int(inside[-1]) + 1)
        seen[part] = _flip(seen[part], False, bridge * count)
    return seen


def _mean(values: Floats) -> Floats:
    """Over a run of groups around each."""
    run = min(_RUN, len(values) // 2 * 2 - 1)
    padded = np.pad(values, run // 2, mode="edge")
    return np.convolve(padded, np.full(run, 1 / run), "valid").astype(np.float32)


def _flip(flags: Flags, value: bool, longest: float) -> Flags:
    """Runs of `value` not longer than `longest` turned over."""
    flags = flags.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[not value], flags, [not value]])))
    for first, last in edges.reshape(-1, 2):
        if last - first <= longest:
            flags[first:last] = not value
    return flags


def sides(residual: Residual, x: Floats, half: float) -> Floats:
    """What lies beside a line, (2, R) cv: means of a few columns left and right of it.

    Args:
        residual: Of the frame.
        x: (R,) course of the line.
        half: Half of its width.
    """
    reach = int(np.ceil(half)) + _GAP_PX + _BESIDE_PX
    around = across(residual.mean, x, reach)
    ends = around[:, :_BESIDE_PX].mean(axis=1), around[:, -_BESIDE_PX:].mean(axis=1)
    return np.stack(ends).astype(np.float32)
