"""Kinds of resizing against the libraries that they are named after."""

import cv2
import numpy as np
import pytest
from made_sets import smooth
from PIL import Image

from vidcolor.evaluate.sets.resize import resize

# no filter overshoots to black or white: versions of Pillow differ in which side they do first
NOISE = np.random.default_rng(0).integers(80, 176, (97, 150, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(40, 32), (96, 200), (97, 60)])
@pytest.mark.parametrize(
    ("how", "pillow"),
    [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)],
)
def test_as_pillow_does(how, pillow, size):
    expected = np.asarray(Image.fromarray(NOISE).resize(size[::-1], pillow)).astype(int)
    found = resize(NOISE, size, how)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("how", "kind"), [("cv_bilinear", cv2.INTER_LINEAR), ("cv_bicubic", cv2.INTER_CUBIC)]
)
def test_as_opencv_does(how, kind):
    assert np.array_equal(
        resize(NOISE, (40, 32), how), cv2.resize(NOISE, (32, 40), interpolation=kind)
    )
    # it aliases, Pillow's does not
    away = resize(NOISE, (40, 32), how).astype(int) - resize(NOISE, (40, 32), how[3:])
    assert np.abs(away).mean() > 3


def test_areas_are_averaged_unless_the_shorter_side_grows():
    blocks = NOISE[:96, :148].reshape(24, 4, 37, 4, 3).mean(axis=(1, 3))
    assert np.abs(resize(NOISE[:96, :148], (24, 37), "area") - blocks).max() <= 0.51
    grown = cv2.resize(NOISE, (200, 120), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(resize(NOISE, (120, 200), "area"), grown)


def test_the_same_size_is_the_same_picture():
    picture = smooth(1)
    for how in ("area", "bilinear", "cv_bicubic"):
        assert resize(picture, picture.shape[:2], how) is picture
