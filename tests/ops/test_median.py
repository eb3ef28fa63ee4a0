import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.ops.median import median_of, quantile_of


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(0, 99), st.booleans())
def test_it_is_numpys_median(count: int, seed: int, wide: bool) -> None:
    kind = np.float64 if wide else np.float32
    values = np.random.default_rng(seed).normal(0, 30, count).astype(kind)
    if seed % 3 == 0:
        values = np.rint(values / 20)  # many alike
    kept = values.copy()
    assert median_of(values) == float(np.median(values))
    np.testing.assert_array_equal(values, kept)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(0, 99), st.floats(0, 1))
def test_a_quantile_is_numpys(count: int, seed: int, part: float) -> None:
    values = np.random.default_rng(seed).normal(0, 30, (count, 2)).astype(np.float32)
    kept = values.copy()
    expected = np.quantile(values.astype(np.float64), part)
    assert quantile_of(values, part) == pytest.approx(expected, abs=1e-9)
    np.testing.assert_array_equal(values, kept)


def test_quantiles_by_hand() -> None:
    values = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    assert quantile_of(values, 0) == 1
    assert quantile_of(values, 0.75) == 4
    assert quantile_of(values, 0.9) == pytest.approx(4.6)
    assert quantile_of(values, 1) == 5
    assert quantile_of(np.array([7.0]), 0.9) == 7


@pytest.mark.parametrize("count", [2047, 2048, 2049, 4095, 4096, 4097, 9000, 9001])
@pytest.mark.parametrize("alike", [False, True])
def test_many_values(count: int, alike: bool) -> None:
    values = np.random.default_rng(count).normal(0, 3, count).astype(np.float32)
    if alike:
        values = np.maximum(values, 2)  # most of them are the same
    assert median_of(values) == float(np.median(values))
    expected = np.quantile(values.astype(np.float64), 0.9)
    assert quantile_of(values, 0.9) == pytest.approx(expected, abs=1e-9)


def test_the_lower_one_of_the_middle_two_is_the_right_one() -> None:
    """NumPy's choice of one place leaves what lies before it in no order; seldom it shows."""
    for seed in range(400):
        values = np.random.default_rng(seed).normal(0, 3, 4096).astype(np.float32)
        assert median_of(values) == float(np.median(values))


def test_by_hand() -> None:
    assert median_of(np.array([5.0, 1.0, 4.0])) == 4
    assert median_of(np.array([[5.0, 1.0], [3.0, 4.0]])) == 3.5
    assert median_of(np.array([7.0])) == 7
    assert median_of(np.array([7.0, 8.0])) == 7.5


def test_strided_planes_are_read_as_they_are() -> None:
    plane = np.arange(70, dtype=np.float32).reshape(7, 10)
    assert median_of(plane[::3, ::4]) == float(np.median(plane[::3, ::4]))


@pytest.mark.parametrize("values", [np.zeros(0, np.float32), np.zeros(3, np.uint8)])
def test_what_has_no_median_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a median of"):
        median_of(values)


@pytest.mark.parametrize("part", [-0.1, 1.1, float("nan")])
def test_a_part_that_is_none_is_refused(part: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        quantile_of(np.zeros(3), part)
    with pytest.raises(ValueError, match="quantile"):
        quantile_of(np.zeros(0), 0.5)
