import numpy as np
import pytest

from vidcolor.train.data.planes import ab_of, lightness_of


def test_lightness_and_ab_agree_with_scikit_image():
    color = pytest.importorskip("skimage.color")
    rgb = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    gray = rgb[..., 0]
    expected = color.rgb2lab(np.repeat(gray[..., None], 3, 2))[..., 0]
    assert np.abs(lightness_of(gray) - expected).max() < 0.05
    assert np.abs(ab_of(rgb) - color.rgb2lab(rgb)[..., 1:]).max() < 0.6
