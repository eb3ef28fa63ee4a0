import numpy as np
import pytest
import skimage.color
import torch

from vidcolor.color.luma import to_lightness, to_signal
from vidcolor.records import ColorSpec


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("full_range", [False, True])
def test_black_and_white_are_the_ends(bits, full_range):
    spec = ColorSpec(bits=bits, full_range=full_range)
    codes = torch.tensor([0, spec.black, spec.white, (1 << bits) - 1], dtype=torch.int32)
    expected = torch.tensor([0.0, 0.0, 1.0, 1.0])
    torch.testing.assert_close(to_signal(codes, spec), expected)
    lightness = to_lightness(codes.view(1, 1, 2, 2), spec).flatten()
    torch.testing.assert_close(lightness, expected * 100, atol=0.01, rtol=0)


def test_limited_range_by_hand():
    assert ColorSpec(bits=10).black == 64
    assert ColorSpec(bits=10).white == 940
    half = to_signal(torch.tensor([502]), ColorSpec(bits=10))  # 64 + 876 / 2
    assert half.item() == pytest.approx(0.5)


def test_lightness_is_that_of_gray_in_scikit_image():
    codes = np.arange(256)
    gray = np.repeat(codes[:, None] / 255, 3, axis=1)
    expected = skimage.color.rgb2lab(gray[None])[0, :, 0]
    luma = torch.tensor(codes, dtype=torch.uint8).view(1, 1, 16, 16)
    actual = to_lightness(luma, ColorSpec(full_range=True)).flatten()
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-3)


def test_depth_does_not_change_lightness():
    codes = torch.arange(16, 236).view(1, 1, 11, 20)
    eight = to_lightness(codes.to(torch.uint8), ColorSpec())
    ten = to_lightness((codes * 4).to(torch.int16), ColorSpec(bits=10))
    torch.testing.assert_close(eight, ten)


def test_floats_are_refused():
    with pytest.raises(ValueError, match="integer"):
        to_lightness(torch.zeros(1, 1, 2, 2), ColorSpec())
