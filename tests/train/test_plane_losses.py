"""Losses of planes: by hand, and Dahl's against recorded numbers.

`dahl_classic.npz` is an excerpt of a float64 recording of the formulas as the article's ports have
them (UV, per-channel blurs with zero padding, sums of squares).
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from vidcolor.train.losses import (
    at_points,
    blurred,
    dahl_distance,
    label_entropy,
    plane_distance,
    rgb_of,
)

ROOT = Path(__file__).parents[2]


def _random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def test_planes_by_hand():
    pred = torch.tensor([[[[0.5, 0.0]], [[0.5, 1.0]]]])
    true = torch.tensor([[[[0.1, 0.0]], [[0.8, 0.4]]]])
    # (0.16 + 0.09) / 2 and 0.36 / 2
    torch.testing.assert_close(plane_distance(pred, true), torch.tensor([[[[0.125, 0.18]]]]))
    with pytest.raises(ValueError, match="2 planes cannot be compared with 3"):
        plane_distance(pred, torch.zeros(1, 3, 1, 2))


def test_planes_are_brought_to_the_grid_of_the_truth():
    pred = torch.tensor([[[[0.0, 1.0]]]])
    true = torch.full((1, 1, 1, 4), 0.5)
    # bilinear: 0, 1/4, 3/4, 1
    expected = torch.tensor([[[[0.25, 0.0625, 0.0625, 0.25]]]])
    torch.testing.assert_close(plane_distance(pred, true), expected)


def test_a_dot_is_blurred_as_the_kernels_are_and_each_plane_by_itself():
    dot = torch.zeros(1, 2, 5, 5, dtype=torch.float64)
    dot[0, 0, 2, 2] = 1
    three = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=torch.float64) / 16
    row = [[1, 4, 7, 4, 1], [4, 16, 26, 16, 4], [7, 26, 41, 26, 7]]
    five = torch.tensor([*row, row[1], row[0]], dtype=torch.float64) / 273
    torch.testing.assert_close(blurred(dot, 3)[0, 0, 1:4, 1:4], three)
    torch.testing.assert_close(blurred(dot, 5)[0, 0], five)
    for side in (3, 5):
        assert float(blurred(dot, side)[0, 1].abs().max()) == 0
    # at the border it sees 0
    corner = blurred(torch.ones(1, 1, 6, 6, dtype=torch.float64), 3)[0, 0]
    assert float(corner[0, 0]) == pytest.approx(9 / 16)
    assert float(corner[2, 2]) == pytest.approx(1)


def test_dahl_is_the_mean_of_three():
    pred, true = _random(2, 2, 9, 7), _random(2, 2, 9, 7, seed=1)
    kernels = [np.ones((1, 1)), np.outer((1, 2, 1), (1, 2, 1)) / 16]
    rows = np.array([[1, 4, 7, 4, 1], [4, 16, 26, 16, 4], [7, 26, 41, 26, 7]])
    kernels.append(np.concatenate((rows, rows[1::-1])) / 273)
    difference = (pred - true).numpy()
    expected = [
        np.mean([convolve(plane, k, mode="constant") ** 2 for part in difference for plane in part])
        for k in kernels
    ]
    ours = float(dahl_distance(pred, true).mean())
    assert ours == pytest.approx(np.mean(expected), rel=1e-12)


def test_points_take_the_cells_in_which_they_lie():
    maps = torch.arange(2 * 3 * 2 * 4.0).view(2, 3, 2, 4)
    points = torch.tensor([[[0.125, 0.25], [0.9, 0.6]], [[0.625, 0.75], [1.0, 1.0]]])
    found = at_points(maps, points)
    assert found.shape == (2, 3, 1, 2)
    assert found[0, :, 0].tolist() == [[0, 7], [8, 15], [16, 23]]
    assert found[1, :, 0].tolist() == [[30, 31], [38, 39], [46, 47]]


def test_kinds_of_pictures_by_hand():
    logits = torch.tensor([[0.0, 0.0], [2.0, 1.0], [5.0, -5.0]])
    loss = label_entropy(logits, torch.tensor([0, 1, -1]))
    # ln 2, and ln(1 + e); the third is not known and counts 0
    expected = (np.log(2) + np.log(1 + np.e)) / 3
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert float(label_entropy(logits, torch.tensor([-1, -1, -1]))) == 0


def test_the_picture_of_a_color_and_its_gradient():
    # sRGB red, and middle gray
    lightness = torch.tensor([[[[53.2408, 53.389]]]], dtype=torch.float64)
    ab = torch.tensor([[[[80.0925, 0.0]], [[67.2032, 0.0]]]], dtype=torch.float64)
    rgb = rgb_of(lightness, ab)
    torch.testing.assert_close(
        rgb[0, :, 0], torch.tensor([[1.0, 0.5], [0, 0.5], [0, 0.5]]).double(), atol=1e-3, rtol=0
    )
    # the color of one cell is that of all pixels above it
    wide = rgb_of(lightness[..., :1].expand(1, 1, 4, 4), ab[..., :1])
    torch.testing.assert_close(wide, rgb[..., :1].expand(1, 3, 4, 4))
    assert torch.autograd.gradcheck(
        lambda x: rgb_of(lightness, x), (torch.full_like(ab, 12.0).requires_grad_(),)
    )


@pytest.fixture(scope="module")
def parity():
    spec = importlib.util.spec_from_file_location("parity_dahl", ROOT / "scripts/check_parity.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["parity_dahl"] = module
    spec.loader.exec_module(module)
    return module


def test_recorded_numbers_of_dahl(parity):
    path = ROOT / "tests/data/dahl_classic.npz"
    assert path.stat().st_size <= 50_000
    fixture = parity.Fixture(str(path))
    errors = parity.check(fixture, fixture.cases["all"])
    assert {error.quantity for error in errors} == {"blur3", "blur5", "loss_terms", "loss_sum"}
    assert not [error for error in errors if error.bad]


def test_a_mistake_in_a_kernel_is_seen(parity, monkeypatch):
    wrong = {3: ((1, 1, 1),) * 3, 5: ((1,) * 5,) * 5}
    monkeypatch.setattr("vidcolor.train.losses._BLURS", wrong)
    fixture = parity.Fixture(str(ROOT / "tests/data/dahl_classic.npz"))
    errors = parity.check(fixture, fixture.cases["all"])
    assert {e.quantity for e in errors if e.bad} == {"blur3", "blur5", "loss_terms", "loss_sum"}
