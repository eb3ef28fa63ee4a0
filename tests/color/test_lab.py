import numpy as np
import pytest
import skimage.color
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.color.lab import lab_to_rgb, lightness_to_linear, linear_to_lightness, rgb_to_lab


def _tensor(pixels):
    return torch.tensor(np.asarray(pixels), dtype=torch.float64).T[None]


def test_rgb_to_lab_agrees_with_scikit_image():
    rgb = np.random.default_rng(0).random((500, 3))
    rgb[:4] = [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0.002, 0.001, 0.003]]
    expected = skimage.color.rgb2lab(rgb[None])[0]
    actual = rgb_to_lab(_tensor(rgb))[0].T.numpy()
    np.testing.assert_allclose(actual, expected, atol=5e-4)


def test_lab_to_rgb_agrees_with_scikit_image_in_gamut():
    rgb = np.random.default_rng(1).random((500, 3))
    lab = skimage.color.rgb2lab(rgb[None])[0]
    actual = lab_to_rgb(_tensor(lab))[0].T.numpy()
    np.testing.assert_allclose(actual, rgb, atol=2e-4)


@given(st.tuples(*[st.floats(0, 1)] * 3))
@settings(max_examples=40, deadline=None)
def test_round_trip_in_gamut(rgb):
    pixel = _tensor([rgb])
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(pixel)), pixel, atol=3e-4, rtol=0)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [  # from the CIE formulas by hand: white, black, and the primaries as published for sRGB/D65
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
    ],
)
def test_known_colors(rgb, lab):
    actual = rgb_to_lab(_tensor([rgb]))[0, :, 0]
    np.testing.assert_allclose(actual.numpy(), lab, atol=0.02)


def test_gradients_are_finite_at_black_and_beyond_white():
    rgb = torch.tensor([0.0, 1.0, 0.5]).repeat(3, 1)[None].requires_grad_()
    rgb_to_lab(rgb).sum().backward()
    assert torch.isfinite(rgb.grad).all()
    lab = torch.tensor([[[0.0, 50.0, 99.0], [0.0, 120.0, 90.0], [0.0, -120.0, 90.0]]])
    lab.requires_grad_()
    lab_to_rgb(lab).sum().backward()
    assert torch.isfinite(lab.grad).all()


def test_lightness_of_middle_gray():
    # 18.42 % luminance is L* 50 by definition of CIE 1976
    assert linear_to_lightness(torch.tensor(0.18419)).item() == pytest.approx(50, abs=0.01)
    assert lightness_to_linear(torch.tensor(50.0)).item() == pytest.approx(0.18419, abs=1e-4)
