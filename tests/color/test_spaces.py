"""Planes that networks answer with, and the color they mean."""

import numpy as np
import pytest
import torch

from vidcolor.color.lab import lightness_to_gray, rgb_to_lab
from vidcolor.color.spaces import ColorSpace


def _picture(seed=0):
    rgb = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    lab = rgb_to_lab(rgb)
    return rgb, lab[:, :1], lab[:, 1:]


@pytest.mark.parametrize("name", ["lab", "rgb"])
def test_round_trip(name):
    _, lightness, ab = _picture()
    space = ColorSpace(name)
    planes = space.encode(lightness, ab)
    assert planes.shape == (2, space.channels, 6, 5)
    assert planes.min() >= 0
    assert planes.max() <= 1
    torch.testing.assert_close(space.decode(planes, lightness), ab, atol=2e-3, rtol=0)


def test_yuv_keeps_luma_not_lightness():
    """UV lie around gamma-coded luma, so a*b* come back where luma and L* say the same."""
    gray = torch.linspace(0.2, 0.8, 7, dtype=torch.double).view(1, 1, 1, 7)
    lab = rgb_to_lab(gray.expand(1, 3, 1, 7))
    space = ColorSpace("yuv")
    torch.testing.assert_close(
        space.encode(lab[:, :1], lab[:, 1:]), torch.full((1, 2, 1, 7), 0.5, dtype=torch.double),
        atol=1e-4, rtol=0,
    )  # fmt: skip
    # a color of this luma: blue up by 0.1, red down by 0.05, green to balance
    blue, red = gray + 0.1, gray - 0.05
    green = (gray - 0.299 * red - 0.114 * blue) / 0.587
    true = rgb_to_lab(torch.cat((red, green, blue), 1))[:, 1:]
    planes = torch.cat(
        (
            0.5 + 0.492 * (blue - gray) / (2 * 0.435912),
            0.5 + 0.877 * (red - gray) / (2 * 0.614777),
        ),
        1,
    )
    torch.testing.assert_close(space.of_rgb(torch.cat((red, green, blue), 1)), planes)
    torch.testing.assert_close(space.decode(planes, lab[:, :1]), true, atol=1e-3, rtol=0)


def test_full_red_and_blue_are_the_ends_of_the_scale():
    space = ColorSpace("yuv")
    rgb = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]).view(2, 3, 1, 1)
    planes = space.of_rgb(rgb)
    assert float(planes[0, 1]) == pytest.approx(1, abs=1e-4)
    assert float(planes[1, 0]) == pytest.approx(1, abs=1e-4)


def test_lightness_of_another_size_is_brought_to_the_grid():
    _, lightness, ab = _picture()
    small = ab[:, :, ::2, ::2]
    assert ColorSpace("rgb").encode(lightness, small).shape == (2, 3, 3, 3)
    flat = torch.full((1, 1, 16, 16), 50.0)
    planes = torch.full((1, 2, 4, 4), 0.6)
    near = ColorSpace("yuv").decode(planes, flat)
    torch.testing.assert_close(near, ColorSpace("yuv").decode(planes, flat[:, :, ::4, ::4]))


def test_gray_of_lightness_is_the_srgb_curve():
    gray = np.linspace(0, 1, 21)
    lab = rgb_to_lab(torch.tensor(gray).view(1, 1, 21).expand(1, 3, 21))
    assert lightness_to_gray(lab[0, 0]).numpy() == pytest.approx(gray, abs=1e-4)


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no color space 'hsv'"):
        ColorSpace("hsv")
    with pytest.raises(ValueError, match="limit must be positive"):
        ColorSpace("lab", 0)
