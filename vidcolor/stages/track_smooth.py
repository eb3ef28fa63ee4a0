"""Steady boxes: smoothing over time without lag, and play that holds still objects still."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

__all__ = ["hold_still", "quantize", "smooth"]

Array = NDArray[np.float64]
_STIFFNESS = 1e-3  # on first differences: a track seen once stands still
_ROUNDS = 3


def _bands(weight: Array, curvature: float) -> Array:
    """Lower bands of diag(weight) + curvature D2'D2 + stiffness D1'D1."""
    count = len(weight)
    bands = np.zeros((3, count))
    bands[0] = weight
    for order, factor in (((1.0, -1.0), _STIFFNESS), ((1.0, -2.0, 1.0), curvature)):
        taps = len(order)
        for start in range(min(taps, count)):
            for other in range(start, taps):
                # the product of two taps lies `other - start` below the diagonal
                rows = count - taps + 1
                if rows > 0:
                    bands[other - start, start : start + rows] += (
                        factor * order[start] * order[other]
                    )
    return bands


def smooth(centers: Array, weight: Array, period_frames: float, outlier: float) -> Array:
    """Curve through boxes that a still or steadily moving object follows without lag.

    The minimum of weighted squared distances plus squared second differences: what a
    Rauch-Tung-Striebel smoother of a constant velocity model gives, solved at once as a banded
    system, with Huber weights against boxes that leap out.

    Reference: Whittaker, "On a new method of graduation", Proc. Edinburgh Math. Soc. 1923;
        Eilers, "A perfect smoother", Anal. Chem. 2003.

    Args:
        centers: (N, 4) center x, center y, log width, log height, one row a frame.
        weight: (N,) trust in each row, 0 where nothing is known; at least one above 0.
        period_frames: Motion of this period passes at half its size, faster less; 0 is off.
        outlier: Part of the box's size from which a distance counts less.

    Returns:
        (N, 4) of the same kind, rows of weight 0 filled.
    """
    # something must be solved even when off: rows without weight are to be filled
    curvature = (period_frames / (2 * math.pi)) ** 4 if period_frames > 0 else 1e-6
    size = np.exp(np.median(centers[weight > 0][:, 2:], axis=0))
    scale = np.concatenate((size, np.ones(2)))
    target = centers / scale
    robust = np.ones_like(target)
    result = target
    for _ in range(_ROUNDS if period_frames > 0 else 1):
        columns = []
        for axis in range(4):
            trust = weight * robust[:, axis]
            bands = _bands(trust, curvature)
            columns.append(solveh_banded(bands, trust * target[:, axis], lower=True))
        result = np.stack(columns, axis=1)
        robust = np.minimum(1.0, outlier / np.maximum(np.abs(target - result), 1e-9))
    return result * scale


def hold_still(centers: Array, band: float, start: Array | None) -> Array:
    """Follow with play: nothing moves until it would be off by more than `band`.

    Args:
        centers: (N, 4) center form.
        band: Play, a part of the box's size.
        start: (4,) box before the first row, or None.

    Returns:
        (N, 4), never further than `band` from `centers` in any coordinate.
    """
    result = np.empty_like(centers)
    last = centers[0] if start is None else start
    for row, center in enumerate(centers):
        width, height = np.exp(center[2:])
        play = band * np.array((width, height, 1.0, 1.0))
        last = np.clip(last, center - play, center + play)
        result[row] = last
    return result


def quantize(sides: Array, step: float, last: Array | None) -> Array:
    """(2,) sides rounded up to multiples of `step`; the last ones stay while they nearly fit.

    They stay while the true side lies within their step and a quarter step around it.
    """
    fresh = np.maximum(step, np.ceil(sides / step) * step)
    if last is None:
        return fresh
    stays = (sides <= last + step / 4) & (sides > last - 1.25 * step)
    return np.where(stays, last, fresh)
