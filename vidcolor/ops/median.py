"""Medians and quantiles: what NumPy gives, with a fraction of its overhead for small planes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["median_of", "quantile_of"]

Floats = npt.NDArray[np.floating[Any]]

_SORTS_UP_TO = 2048  # values; of more, choosing one place is faster than NumPy's sort


def median_of(values: Floats) -> float:
    """Median of all values, the same number as `numpy.median` gives for them.

    Args:
        values: Any shape, at least one value, none of them NaN; only read. Integers are refused:
            the mean of the middle two would be rounded.

    Raises:
        ValueError: If there are no values or they are not floating point.
    """
    if values.size == 0 or values.dtype.kind != "f":
        raise ValueError(f"a median of {values.size} values of {values.dtype}")
    half = values.size // 2
    below = max(0, half - 1)
    line = _partly_sorted(values, half)
    return float(line[half] if line.size % 2 else (line[below] + line[half]) / 2)


def quantile_of(values: Floats, part: float) -> float:
    """The value that `part` of all values do not reach, interpolated as by `numpy.quantile`.

    Args:
        values: Any shape, at least one value, none of them NaN; only read.
        part: 0 to 1.

    Raises:
        ValueError: If there are no values, they are not floating point, or `part` is none.
    """
    if values.size == 0 or values.dtype.kind != "f" or not 0 <= part <= 1:
        raise ValueError(f"quantile {part} of {values.size} values of {values.dtype}")
    place = part * (values.size - 1)
    below = int(place)
    above = min(below + 1, values.size - 1)
    line = _partly_sorted(values, above)
    low, high = float(line[below]), float(line[above])
    return low + (high - low) * (place - below)


def _partly_sorted(values: Floats, place: int) -> Floats:
    """(n,) copy in which `place` and the one before it have the values that they have when sorted.

    NumPy chooses one place much faster than two; what lies just before it is the largest of
    what is left of it.
    """
    line = values.flatten()
    if line.size <= _SORTS_UP_TO:
        line.sort()
    else:
        line.partition(place)
        if place > 0:
            line[place - 1] = line[:place].max()
    return line
