"""What is slow in a row of values: the line that fits best around a place, weighted by nearness."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["slow_part"]

Floats = npt.NDArray[np.float64]


def slow_part(values: Floats, at: int, deviation: float) -> Floats:
    """A Gaussian low pass that follows trends to the ends of the row (local linear regression).

    Reference: Cleveland, Robust locally weighted regression and smoothing scatterplots, JASA 1979
    (here with Gaussian weights and no robust rounds).

    Args:
        values: (T, ...) of the times around.
        at: The time in question, 0 to T - 1.
        deviation: Of the weights, in times.

    Returns:
        (...) the slow value there; of one or two times the value itself.
    """
    if len(values) < 3:
        return np.asarray(values[at], np.float64)
    away = np.arange(len(values), dtype=np.float64) - at
    weights = np.exp(-0.5 * (away / deviation) ** 2)
    total, first, second = weights.sum(), weights @ away, weights @ away**2
    # the value at 0 of the weighted line: a sum with these coefficients
    kernel = weights * (second - first * away) / (total * second - first * first)
    return np.asarray(np.tensordot(kernel, values, axes=1), np.float64)
