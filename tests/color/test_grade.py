import dataclasses
import math

import numpy as np
import pytest
import skimage.color
import torch

from vidcolor.color.grade import (
    GradeConfig,
    HueRange,
    apply_grade,
    apply_lut,
    light_gains,
    shift_light,
)
from vidcolor.color.lut import Lut
from vidcolor.errors import ConfigError


def _colors(count=6, reach=40.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ab = (torch.rand(2, 2, count, count, generator=generator) - 0.5) * 2 * reach
    return ab, torch.rand(2, 1, count, count, generator=generator) * 60 + 20


def _one(a, b, lightness=50.0):
    return torch.tensor([a, b]).view(1, 2, 1, 1), torch.tensor(lightness).view(1, 1, 1, 1)


def _grade(a, b, lightness=50.0, **config):
    ab, light = _one(a, b, lightness)
    return apply_grade(ab, light, GradeConfig(**config)).flatten().tolist()


def _lut(function, size=17):
    """A 3D table of a function of (..., 3) RGB."""
    line = np.linspace(0, 1, size)
    blue, green, red = np.meshgrid(line, line, line, indexing="ij")
    entries = function(np.stack((red, green, blue), axis=-1))
    return Lut(torch.from_numpy(np.moveaxis(entries, -1, 0).astype(np.float32)).contiguous())


def test_defaults_give_back_the_same_tensor():
    ab, lightness = _colors()
    kept = ab.clone()
    nothing = GradeConfig(ranges=(HueRange(40),), lut="look.cube", lut_strength=0)
    assert nothing.neutral
    assert GradeConfig().neutral
    assert apply_grade(ab, lightness, nothing) is ab
    assert torch.equal(ab, kept)


@pytest.mark.parametrize(
    "change",
    [
        {"saturation": 1.1},
        {"vibrance": 0.2},
        {"temperature": 5},
        {"tint": -5},
        {"ranges": (HueRange(0, shift=3),)},
        {"ranges": (HueRange(0, saturation=0.9),)},
        {"shadows": 0.1},
        {"highlights": 0.1},
        {"lut": "look.cube"},
    ],
)
def test_any_change_is_not_neutral(change):
    assert not GradeConfig(**change).neutral


def test_saturation_scales_chroma():
    assert _grade(20.0, -10.0, saturation=1.5) == [30.0, -15.0]
    assert _grade(20.0, -10.0, saturation=0) == [0.0, 0.0]


def test_vibrance_lifts_pale_colors_most():
    # chroma 5 of 60: 1 + 0.6 * 55 / 60; chroma 100: nothing
    assert _grade(3.0, 4.0, vibrance=0.6) == pytest.approx([3 * 1.55, 4 * 1.55])
    assert _grade(60.0, 80.0, vibrance=0.6) == [60.0, 80.0]


def test_light_is_daylight_of_the_cie():
    # CIE 15:2004, table T.3: x, y of D50 (5003 K) and D75 (7504 K) against D65
    for kelvin, x, y in ((5003, 0.34567, 0.35850), (7504, 0.29902, 0.31485)):
        gains = light_gains(1e6 / kelvin - 1e6 / 6504, 0)
        x65, y65 = 0.31272, 0.32903
        wanted = (x / y) / (x65 / y65), ((1 - x - y) / y) / ((1 - x65 - y65) / y65)
        assert gains == pytest.approx(wanted, abs=2e-3)
    assert light_gains(0, 0) == (1, 1)
    assert light_gains(0, 100) == pytest.approx((1.25, 1.25))


def test_shift_light_scales_x_and_z():
    ab, lightness = _colors(reach=25)
    gains = light_gains(60, 30)
    shifted = shift_light(ab, lightness, gains)
    lab = torch.cat((lightness, ab), 1).permute(0, 2, 3, 1).double().numpy()
    xyz = skimage.color.lab2xyz(lab) * np.array([gains[0], 1, gains[1]])
    wanted = skimage.color.xyz2lab(xyz)
    np.testing.assert_allclose(shifted.permute(0, 2, 3, 1), wanted[..., 1:], atol=2e-3)
    np.testing.assert_allclose(lightness[:, 0], wanted[..., 0], atol=1e-3)


def test_warm_is_yellow_and_black_stays_black():
    a, b = _grade(0.0, 0.0, 80.0, temperature=40)
    assert b > 8
    assert abs(a) < 4
    a, b = _grade(0.0, 0.0, 80.0, tint=40)
    assert a > 8
    assert b < 0
    assert _grade(0.0, 0.0, 0.0, temperature=80, tint=-50) == pytest.approx([0, 0], abs=1e-4)


def test_a_hue_is_turned_and_its_neighbors_by_half():
    red = HueRange(center=0, width=40, shift=30, saturation=2)

    def polar(degrees, chroma=10.0):
        a, b = _grade(
            chroma * math.cos(math.radians(degrees)),
            chroma * math.sin(math.radians(degrees)),
            ranges=(red,),
        )
        return math.degrees(math.atan2(b, a)) % 360, math.hypot(a, b)

    assert polar(0) == pytest.approx((30, 20), abs=1e-4)
    assert polar(20) == pytest.approx((35, 15), abs=1e-4)
    assert polar(340) == pytest.approx((355, 15), abs=1e-4)
    assert polar(41) == pytest.approx((41, 10), abs=1e-4)
    assert polar(200) == pytest.approx((200, 10), abs=1e-4)


def test_order_of_ranges_means_nothing():
    ab, lightness = _colors()
    parts = (HueRange(30, shift=20), HueRange(60, saturation=0.3), HueRange(90, shift=-40))
    first = apply_grade(ab, lightness, GradeConfig(ranges=parts))
    second = apply_grade(ab, lightness, GradeConfig(ranges=parts[::-1]))
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, ab)


def test_fades_reach_black_and_white():
    assert _grade(10.0, 10.0, 0.0, shadows=0.8) == pytest.approx([2, 2])
    assert _grade(10.0, 10.0, 17.5, shadows=0.8) == pytest.approx([6, 6])  # half way: half
    assert _grade(10.0, 10.0, 35.0, shadows=0.8, highlights=1) == [10, 10]
    assert _grade(10.0, 10.0, 70.0, shadows=0.8, highlights=1) == [10, 10]
    assert _grade(10.0, 10.0, 85.0, highlights=1) == pytest.approx([5, 5])
    assert _grade(10.0, 10.0, 100.0, highlights=0.5) == pytest.approx([5, 5])


def test_a_look_is_seen_in_srgb():
    """Red and blue swapped: what scikit-image says of it."""
    ab, lightness = _colors(reach=18)
    lut = _lut(lambda rgb: rgb[..., ::-1] * np.array([0.9, 0.8, 0.7]), 2)
    lab = torch.cat((lightness, ab), 1).permute(0, 2, 3, 1).double().numpy()
    rgb = skimage.color.lab2rgb(lab)[..., ::-1] * np.array([0.9, 0.8, 0.7])
    wanted = skimage.color.rgb2lab(rgb)[..., 1:]
    seen = apply_lut(ab, lightness, lut).permute(0, 2, 3, 1)
    np.testing.assert_allclose(seen, wanted, atol=0.01)
    config = GradeConfig(lut="look.cube", lut_strength=0.25)
    quarter = apply_grade(ab, lightness, config, lut).permute(0, 2, 3, 1).numpy()
    before = ab.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(quarter, 0.75 * before + 0.25 * wanted, atol=0.01)


def test_colors_too_bright_for_srgb_keep_their_hue():
    lut = _lut(lambda rgb: rgb, 33)
    ab, lightness = _one(30.0, 60.0, 95.0)
    a, b = apply_lut(ab, lightness, lut).flatten().tolist()
    red, green, blue = skimage.color.lab2rgb(np.array([95.0, a, b]))
    assert max(red, green, blue) <= 1 + 1e-6
    assert math.hypot(a, b) < math.hypot(30, 60)
    assert math.atan2(b, a) == pytest.approx(math.atan2(60, 30), abs=0.15)
    assert apply_lut(*_one(0.0, 0.0, 100.0), lut).abs().max() < 0.05


def test_a_look_needs_its_table():
    ab, lightness = _colors()
    with pytest.raises(ValueError, match=r"table of look\.cube"):
        apply_grade(ab, lightness, GradeConfig(lut="look.cube"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("saturation", -0.1),
        ("saturation", 4.1),
        ("vibrance", 2),
        ("temperature", 101),
        ("tint", -101),
        ("shadows", 1.1),
        ("highlights", -1),
        ("lut_strength", 2),
        ("saturation", math.nan),
    ],
)
def test_ranges_are_checked(name, value):
    with pytest.raises(ConfigError, match=name):
        GradeConfig(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("center", 361), ("width", 0), ("shift", 181)])
def test_hue_ranges_are_checked(name, value):
    with pytest.raises(ConfigError, match=name):
        dataclasses.replace(HueRange(10), **{name: value})
