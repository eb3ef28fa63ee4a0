"""The slow part of a row of values."""

from __future__ import annotations

import numpy as np
import pytest

from vidcolor.repair.slow import slow_part


@pytest.mark.parametrize("at", [0, 3, 10, 19])
def test_a_line_is_its_own_slow_part(at: int) -> None:
    line = 3 + 0.5 * np.arange(20.0)
    assert slow_part(line, at, 4.0) == pytest.approx(line[at])


def test_in_the_middle_it_is_the_gaussian_mean() -> None:
    values = np.zeros((21, 2))
    values[10] = (1, -2)
    weights = np.exp(-0.5 * (np.arange(-10, 11) / 3.0) ** 2)
    assert slow_part(values, 10, 3.0) == pytest.approx(np.array((1, -2)) / weights.sum())


def test_two_values_tell_nothing() -> None:
    assert slow_part(np.array((1.0, 9.0)), 1, 3.0) == 9.0
