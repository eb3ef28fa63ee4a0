import cv2
import numpy as np
import pytest
from made_films import gray, scene
from scipy.fft import dctn

from vidcolor.train.dataset.look import (
    Look,
    difference,
    lab_thumb,
    look_at,
    near,
    spread,
    verdict,
)


def bits(one: Look, other: Look) -> int:
    return (one.hash ^ other.hash).bit_count()


def pairs(looks, most, films=None):
    found = near(looks, films or [-1] * len(looks), most)
    return [(pair.earlier, pair.later) for pair in found]


def test_why_pictures_teach_no_color() -> None:
    color = scene(1)
    assert verdict(color, 4.0, 1.1) is None
    assert verdict(gray([color])[0], 4.0, 1.1) == "gray"
    assert verdict((color * 0.02).astype(np.uint8), 4.0, 1.1) == "black"
    assert verdict((250 + color * 0.02).astype(np.uint8), 4.0, 1.1) == "white"
    assert verdict(np.full((40, 40, 3), (200, 40, 40), np.uint8), 4.0, 1.1) == "flat"


def test_chroma_is_measured_in_ab_units() -> None:
    """Halves of (50, 6, 0) and (90, 6, 0): a mean chroma of 6."""
    lab = np.zeros((40, 40, 3), np.float32)
    lab[:, :20], lab[:, 20:] = (50, 6, 0), (90, 6, 0)
    rgb = np.rint(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB) * 255).astype(np.uint8)
    assert verdict(rgb, 5.5, 0.0) is None
    assert verdict(rgb, 6.5, 0.0) == "gray"


def test_a_tone_is_no_color() -> None:
    """Sepia, blue in the shadows: color that follows from lightness; two colors are none."""
    plain = gray([scene(2, (192, 256))])[0].astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 2, plain.shape)
    sepia = plain * (1.0, 0.85, 0.6)
    split = plain * (0.8, 0.85, 1.0) + (255 - plain) * (0.0, 0.05, 0.2)
    for picture in (sepia, split):
        rgb = (picture + noise).clip(0, 255).astype(np.uint8)
        assert verdict(rgb, 4.0, 1.1) == "toned"
        assert verdict(rgb, 4.0, 0.0) is None
    half = np.where(np.arange(256)[None, :, None] < 128, sepia, split)
    assert verdict(half.clip(0, 255).astype(np.uint8), 4.0, 1.1) is None


def test_chroma_noise_of_gray_film_is_no_color() -> None:
    plain = gray([scene(2, (320, 426))])[0].astype(float)
    noisy = plain + np.random.default_rng(0).normal(0, 12, plain.shape)
    assert verdict(noisy.clip(0, 255).astype(np.uint8), 4.0, 1.1) == "gray"


def test_few_bright_pixels_do_not_make_a_black_picture_bright() -> None:
    rgb = np.zeros((100, 100, 3), np.uint8)
    rgb[50, 40:60] = 255
    assert verdict(rgb, 4.0, 1.1) == "black"


def test_hash_is_the_sign_of_the_low_frequencies() -> None:
    rgb = scene(3, (32, 32))
    luma = np.rint(rgb.astype(float) @ (0.299, 0.587, 0.114))
    low = dctn(luma, norm="ortho")[:8, :8].ravel()
    expected = "".join("1" if value > np.median(low) else "0" for value in low)
    found = f"{look_at(rgb).hash:064b}"
    assert sum(a != b for a, b in zip(found, expected, strict=True)) <= 2  # near the median


def test_a_picture_is_known_again_after_scaling_compression_and_brightening() -> None:
    rgb = scene(4, (120, 160))
    other = cv2.resize(rgb, (100, 75), interpolation=cv2.INTER_AREA)
    other = cv2.imdecode(cv2.imencode(".jpg", other, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1)
    other = (other * 0.95 + 5).astype(np.uint8)
    assert bits(look_at(rgb), look_at(other)) <= 4
    strangers = [bits(look_at(rgb), look_at(scene(seed))) for seed in range(20, 40)]
    assert min(strangers) > 14


def test_a_row_gives_the_look_back() -> None:
    look = look_at(scene(5))
    again = Look.of_row({**look.to_row(), "other": 1})
    assert again.hash == look.hash
    np.testing.assert_array_equal(again.small, look.small)


def test_near_finds_each_pair_once() -> None:
    looks = [look_at(scene(seed)) for seed in (1, 2, 1, 3, 2, 1)]
    assert sorted(pairs(looks, 5)) == [(0, 2), (0, 5), (1, 4), (2, 5)]
    many = [look_at(scene(seed)) for seed in range(20)] * 15  # more than are compared at once
    found = pairs(many, 0)
    assert len(found) == 20 * 15 * 14 // 2
    assert [later for _, later in found] == sorted(later for _, later in found)


def test_pictures_of_other_colors_are_others_even_with_the_same_hash() -> None:
    rgb = scene(6)
    swapped = np.ascontiguousarray(rgb[..., [2, 1, 0]])
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(int)
    swapped = np.clip(
        swapped + (luma - cv2.cvtColor(swapped, cv2.COLOR_RGB2GRAY))[..., None], 0, 255
    ).astype(np.uint8)
    looks = [look_at(rgb), look_at(swapped)]
    assert bits(*looks) <= 8
    assert pairs(looks, 12) == []


def test_frames_of_one_film_may_differ_in_more_bits() -> None:
    small = np.zeros((8, 8, 3), np.uint8)
    looks = [Look(0, small), Look(0b1111_1111_1111, small)]  # 12 bits
    assert pairs(looks, 4, [3, 3]) == [(0, 1)]
    assert pairs(looks, 3, [3, 3]) == []
    assert pairs(looks, 11, [3, 4]) == []
    assert pairs(looks, 11, [-1, -1]) == []
    assert pairs(looks, 12, [3, 4]) == [(0, 1)]


def test_difference_is_in_lab_units() -> None:
    one = np.full((30, 50, 3), 119, np.uint8)  # L* 50.03
    other = np.full((30, 50, 3), 94, np.uint8)  # L* 39.97
    assert difference(lab_thumb(one), lab_thumb(other)) == pytest.approx(10.06, abs=0.1)


def test_spread_takes_what_differs_most() -> None:
    levels = [0, 1, 2, 50, 51, 90]
    thumbs = [np.full((12, 20, 3), (level, 0, 0), np.float32) for level in levels]
    assert spread(thumbs, 1, 3.0) == [3]  # the one in the middle
    assert spread(thumbs, 3, 3.0) == [0, 3, 5]
    assert spread(thumbs, 6, 3.0) == [0, 3, 5]  # all others differ by less than 3
    assert spread(thumbs, 6, 0.5) == [0, 1, 2, 3, 4, 5]
    assert spread(thumbs[:1] * 4, 3, 0.0) == [2]  # the same again is never taken
    assert spread([], 3, 1.0) == []
