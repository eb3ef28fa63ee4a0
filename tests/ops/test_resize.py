from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.color.luma import to_lightness
from vidcolor.ops.resize import (
    averaged,
    from_network,
    luma_to_network,
    network_size,
    shrink,
    to_network,
)
from vidcolor.records import ColorSpec, FrameBatch, VideoInfo

FULL = ColorSpec(full_range=True)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (VideoInfo(480, 640), (256, 344)),  # 341.3 to the next multiple of 8
        (VideoInfo(1080, 1920), (256, 456)),  # 455.1
        (VideoInfo(640, 480), (344, 256)),
        (VideoInfo(576, 720, sample_aspect=Fraction(16, 15)), (256, 344)),  # PAL 4:3
        (VideoInfo(480, 720, sample_aspect=Fraction(8, 9)), (256, 344)),  # NTSC 4:3
        (VideoInfo(480, 640, rotation=90), (344, 256)),
        (VideoInfo(100, 100, sample_aspect=Fraction(2), rotation=270), (512, 256)),
        (VideoInfo(9, 9), (256, 256)),
    ],
)
def test_network_size_is_that_of_the_picture_seen(info, expected):
    assert network_size(info, 256, 8) == expected
    assert network_size(info, 256, 8, square=True) == (256, 256)


def test_network_size_refuses_nonsense():
    with pytest.raises(ValueError, match="short side 0"):
        network_size(VideoInfo(9, 9), 0)


def _batch(luma, **info):
    luma = torch.as_tensor(luma)
    video = VideoInfo(luma.shape[2], luma.shape[3], color=FULL, **info)
    return FrameBatch(luma, tuple(range(len(luma))), video)


def test_turning_by_hand():
    # coded: mark at the top right; 90 degrees counter-clockwise bring it to the top left
    luma = np.zeros((1, 1, 4, 6), np.uint8)
    luma[0, 0, 0, 5] = 255
    frames = _batch(luma, rotation=90)
    upright = luma_to_network(frames, (6, 4))
    assert upright[0, 0, 0, 0] == pytest.approx(100, abs=0.1)
    assert upright.sum() == pytest.approx(100, abs=0.1)
    lightness = to_lightness(frames.luma, FULL)
    torch.testing.assert_close(to_network(lightness, frames.info, (6, 4)), upright)


@given(st.sampled_from((0, 90, 180, 270)))
@settings(max_examples=8, deadline=None)
def test_back_to_coded_orientation_undoes_the_turn(rotation):
    info = VideoInfo(12, 20, rotation=rotation)
    picture = torch.rand(2, 2, 12, 20, generator=torch.Generator().manual_seed(0))
    size = (12, 20) if rotation % 180 == 0 else (20, 12)
    there = to_network(picture, info, size)
    assert there.shape == (2, 2, *size)
    torch.testing.assert_close(from_network(there, info), picture, atol=1e-6, rtol=0)


def test_areas_are_averaged():
    luma = np.zeros((1, 1, 8, 8), np.uint8)
    luma[0, 0, ::2] = 200  # a screen of lines: 100 on average, whatever the phase
    small = luma_to_network(_batch(luma), (2, 2))
    expected = to_lightness(torch.full((1, 1, 2, 2), 100, dtype=torch.uint8), FULL)
    torch.testing.assert_close(small, expected, atol=0.05, rtol=0)


def test_fractions_of_codes_are_kept():
    luma = np.full((1, 1, 4, 4), 100, np.uint8)
    luma[0, 0, 0] = 101
    small = luma_to_network(_batch(luma), (1, 1)).item()
    ends = to_lightness(torch.tensor([100, 101]).view(1, 1, 1, 2), FULL).flatten().tolist()
    assert small == pytest.approx(ends[0] + (ends[1] - ends[0]) / 4, abs=1e-3)


def test_cheap_way_agrees_with_the_tensor_way_on_a_smooth_picture():
    y, x = np.mgrid[0:90, 0:120]
    luma = (128 + 60 * np.sin(x / 25) * np.cos(y / 20)).astype(np.uint8)[None, None]
    frames = _batch(luma)
    cheap = luma_to_network(frames, (32, 40))
    tensor = to_network(to_lightness(frames.luma, FULL), frames.info, (32, 40))
    assert (cheap - tensor).abs().mean() < 0.3


def test_depth_makes_no_difference():
    luma = np.random.default_rng(0).integers(16, 236, (2, 1, 30, 44))
    info = VideoInfo(30, 44)
    eight = FrameBatch(torch.as_tensor(luma.astype(np.uint8)), (0, 1), info)
    deep_info = VideoInfo(30, 44, color=ColorSpec(bits=10))
    deep = FrameBatch(torch.as_tensor(luma.astype(np.int16) * 4), (0, 1), deep_info)
    one, other = luma_to_network(eight, (16, 24)), luma_to_network(deep, (16, 24))
    torch.testing.assert_close(one, other, atol=0.02, rtol=0)


def test_small_pictures_are_enlarged_smoothly():
    luma = np.array([[0, 200], [0, 200]], np.uint8)[None, None]
    large = luma_to_network(_batch(luma), (8, 8))[0, 0]
    assert (large.diff(dim=1) >= 0).all()
    assert len(large[0].unique()) > 3


@pytest.mark.parametrize(
    ("dtype", "bits"), [(np.uint8, 8), (np.int16, 10), (np.int16, 15), (np.int32, 16)]
)
def test_large_pictures_are_averaged_as_exactly(dtype, bits):
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 1 << bits, (6, 10))
    grain = rng.integers(0, 2, (96, 160))  # halves of 2x2 have fractions
    codes = np.minimum(np.kron(coarse, np.ones((16, 16), int)) + grain, (1 << bits) - 1)
    info = VideoInfo(96, 160, color=ColorSpec(bits=bits, full_range=True))
    frames = FrameBatch(torch.as_tensor(codes.astype(dtype))[None, None], (0,), info)
    means = codes.reshape(6, 16, 10, 16).mean((1, 3))
    table = to_lightness(torch.arange(1 << bits, dtype=torch.int32).view(1, 1, 1, -1), info.color)
    expected = np.interp(means, np.arange(1 << bits), table.flatten().numpy())
    # of 16 bits there are none left for fractions
    np.testing.assert_allclose(luma_to_network(frames, (6, 10))[0, 0], expected, atol=2e-3)
    small = shrink(codes.astype(dtype), (6, 10))
    assert small.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert np.abs(small - means).max() <= 1.5  # rounded at each of three steps


def _areas(have: int, want: int) -> np.ndarray:
    """(want, have) matrix that averages areas."""
    matrix = np.zeros((want, have))
    for row in range(want):
        first, last = row * have / want, (row + 1) * have / want
        for column in range(have):
            matrix[row, column] = max(0, min(last, column + 1) - max(first, column))
    return matrix * (want / have)


@pytest.mark.parametrize("size", [(540, 720), (270, 360), (267, 361)])
def test_areas_with_parts_of_pixels_are_averaged_closely(size):
    height, width = size
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(2).normal(0, 8, size)
    codes = 128 + 60 * np.sin(x / width * 30) * np.cos(y / height * 20) + noise
    codes = codes.clip(0, 255).astype(np.uint8)
    exact = _areas(height, 96) @ codes @ _areas(width, 128).T
    away = np.abs(averaged(codes, 8, (96, 128)) - exact)
    assert away.mean() < 0.8  # a tenth of the noise
    assert away.max() < 4


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.int16, 12)])
def test_squares_of_two_are_averaged_exactly(dtype, bits):
    codes = np.random.default_rng(3).integers(0, 1 << bits, (40, 64))
    means = codes.reshape(10, 4, 16, 4).mean((1, 3))
    np.testing.assert_allclose(averaged(codes.astype(dtype), bits, (10, 16)), means, atol=5e-3)


def test_pictures_of_odd_sides_are_shrunk_too():
    plane = np.full((101, 203), 77, np.uint8)
    assert (shrink(plane, (10, 20)) == 77).all()
    assert shrink(plane, (10, 300)).shape == (10, 300)
