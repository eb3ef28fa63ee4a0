"""Chroma on another grid: what is linear in place stays where it was."""

import numpy as np
import pytest

from vidcolor.io.chroma_grid import ChromaGrid, resample

SIZE = (64, 96)
GRIDS = [(1, 1), (1, 2), (2, 2), (1, 4), (2, 1), (4, 4)]
PLACES = {"left": (0.5, 0), "center": (0.5, 0.5), "topleft": (0, 0), "top": (0, 0.5)}


def plane(grid: tuple[int, int], siting: str) -> np.ndarray:
    """3 y + 2 x at each sample, in luma pixels."""
    down, across = PLACES[siting]
    y = np.arange(-(-SIZE[0] // grid[0])) * grid[0] + down * (grid[0] - 1)
    x = np.arange(-(-SIZE[1] // grid[1])) * grid[1] + across * (grid[1] - 1)
    return 3 * y[:, None] + 2 * x


@pytest.mark.parametrize("siting", PLACES)
@pytest.mark.parametrize("target", GRIDS)
@pytest.mark.parametrize("source", GRIDS)
def test_a_slope_stays_in_place(source, target, siting) -> None:
    found = resample(
        plane(source, siting), ChromaGrid(*source, siting), ChromaGrid(*target, siting), SIZE
    )
    expected = plane(target, siting)
    assert found.shape == expected.shape
    inside = (slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.15)


def test_detail_finer_than_the_grid_is_averaged() -> None:
    stripes = np.tile(np.array([0.0, 100.0]), (SIZE[0], SIZE[1] // 2))
    found = resample(stripes, ChromaGrid(1, 1), ChromaGrid(1, 2), SIZE)
    np.testing.assert_allclose(found[:, 1:-1], 50, atol=1e-3)
