"""The solver against numbers of the rule that Levin et al. released, and what follows from it."""

from pathlib import Path

import numpy as np
import pytest

from vidcolor.guidance.hints import levin

DATA = Path(__file__).parents[1] / "data" / "levin.npz"


@pytest.fixture(scope="module")
def recorded():
    return dict(np.load(DATA))


def _film(recorded):
    flows = (recorded[f"video_{name}_256"] / 256 for name in ("fx", "fy", "gx", "gy"))
    luma, known, hint = (recorded[f"video_{name}"] for name in ("Y", "mask", "hint"))
    return luma, known, hint, levin.Motion(*flows)


def test_a_nearly_flat_picture_as_released(recorded):
    ours = levin.solve(recorded["flat_Y"], recorded["flat_mask"], recorded["flat_hint"])
    np.testing.assert_allclose(ours, recorded["flat_solution"], atol=1e-12)


def test_a_film_with_27_neighbors_as_released(recorded):
    ours = levin.solve(*_film(recorded))
    assert np.abs(ours.reshape(-1, 2)[::4] - recorded["video_solution"]).max() < 2e-7


def test_the_multigrid_iteration_comes_to_the_same(recorded, monkeypatch):
    monkeypatch.setattr(levin, "_DIRECT_FILM", 0)
    monkeypatch.setattr(levin, "_COARSEST", 200)
    ours = levin.solve(*_film(recorded))
    assert np.abs(ours.reshape(-1, 2)[::4] - recorded["video_solution"]).max() < 1e-5


def test_many_pixels_and_one_dot_converge(monkeypatch):
    """The hardest case for an iteration: one color must come from far, over edges."""
    rows, columns = np.mgrid[:60, :80]
    luma = 0.5 + 0.3 * np.sin(rows / 5) * np.cos(columns / 7) + 0.2 * (columns > 40)
    known = np.zeros(luma.shape, bool)
    known[5, 5] = True
    monkeypatch.setattr(levin, "_DIRECT", 0)
    solved = levin.solve(luma, known, np.full((*luma.shape, 1), 7.0))
    np.testing.assert_allclose(solved, 7, atol=1e-3)


def test_rows_by_hand():
    """Three pixels in a row, 0.2 0.2 0.8: the middle one is like the left."""
    weights = levin.spread(np.array([[0.2, 0.2, 0.8]])).toarray()
    # variance of all three is 0.08, its share 0.048; exp(-0.36 / 0.048) to exp(0)
    far = np.exp(-0.36 / 0.048)
    np.testing.assert_allclose(weights[1], [1 / (1 + far), 0, far / (1 + far)])
    # at the right end the nearest neighbor is 0.6 away, and there is no other
    np.testing.assert_allclose(weights[2], [0, 1, 0])


def test_values_lie_between_what_is_known(recorded):
    luma, known, hint, motion = _film(recorded)
    solved = levin.solve(luma, known, hint, motion)
    for channel in range(2):
        given = hint[known][:, channel]
        assert solved[..., channel].min() >= given.min() - 1e-9
        assert solved[..., channel].max() <= given.max() + 1e-9


def test_what_no_color_reaches_stays_without():
    known = np.zeros((2, 4, 4), bool)
    known[0, 0, 0] = True
    solved = levin.solve(np.full((2, 4, 4), 0.5), known, np.ones((2, 4, 4, 1)))
    assert np.allclose(solved[0], 1)
    assert not solved[1].any()  # frames without motion do not see each other


def test_shapes_must_fit():
    with pytest.raises(ValueError, match="known"):
        levin.solve(np.zeros((3, 3)), np.zeros((3, 4), bool), np.zeros((3, 3, 2)))
