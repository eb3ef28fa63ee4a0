import dataclasses

import numpy as np
import pytest
import skimage.color
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.color.compose import (
    MATRIX_WEIGHTS,
    ComposeConfig,
    PlaneLayout,
    chroma_planes,
    compose_rgb,
)
from vidcolor.color.lab import lab_to_rgb
from vidcolor.color.luma import to_lightness, to_signal
from vidcolor.errors import ConfigError
from vidcolor.records import ColorSpec

FULL = ColorSpec(full_range=True)
PLAIN = ComposeConfig(filter="bilinear")
GUIDED = ComposeConfig()


def _random(shape, seed=0, strength=30.0, low=16, high=235):
    """Luma codes, ab and lightness on a grid half as fine."""
    rng = np.random.default_rng(seed)
    luma = rng.integers(low, high + 1, shape).astype(np.uint8)
    small = (max(1, shape[0] // 2), max(1, shape[1] // 2))
    ab = rng.normal(0, strength, (2, *small)).astype(np.float32)
    lightness = rng.uniform(0, 100, small).astype(np.float32)
    return luma, ab, lightness


def _flat(code, a, b, size=(8, 8)):
    luma = np.full(size, code, np.uint8)
    ab = np.empty((2, 4, 4), np.float32)
    ab[0], ab[1] = a, b
    return luma, ab, np.full((4, 4), 50, np.float32)


def _decode(luma, cb, cr, spec, layout):
    """R'G'B' of Y' and the nearest chroma sample, not clipped; numbers of BT.601/709/2020."""
    y = to_signal(torch.from_numpy(luma.astype(np.int32)), spec).double().numpy()
    rows = np.arange(y.shape[0]) // layout.subsample_y
    columns = np.arange(y.shape[1]) // layout.subsample_x
    u, v = (
        (p[rows][:, columns].astype(np.float64) - layout.neutral) / layout.scale for p in (cb, cr)
    )
    kr, kb = MATRIX_WEIGHTS[layout.matrix]
    red, blue = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    return np.stack((red, (y - kr * red - kb * blue) / (1 - kr - kb), blue), axis=-1)


def test_a_color_against_scikit_image():
    # an olive: its own gray (Y' of BT.601), its own ab; planes by the published matrix
    rgb = np.array([0.5, 0.45, 0.3])
    y = float(rgb @ [0.299, 0.587, 0.114])
    code = round(16 + 219 * y)
    gray = np.full((1, 1, 3), (code - 16) / 219)
    lightness = skimage.color.rgb2lab(gray)[0, 0, 0]
    _, a, b = skimage.color.rgb2lab(rgb[None, None])[0, 0]
    near = skimage.color.lab2rgb(np.array([[[lightness, a, b]]]))[0, 0]
    near_y = near @ [0.299, 0.587, 0.114]
    cb, cr = chroma_planes(*_flat(code, a, b), ColorSpec(), PlaneLayout(matrix="bt601"), PLAIN)
    np.testing.assert_allclose(cb, round(128 + 224 * (near[2] - near_y) / 1.772))
    np.testing.assert_allclose(cr, round(128 + 224 * (near[0] - near_y) / 1.402))


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_planes_match_the_exact_path_in_gamut(matrix, full_range, bits):
    spec = ColorSpec(bits=bits, full_range=full_range, matrix=matrix)
    layout = PlaneLayout(1, 1, bits=bits, full_range=full_range, matrix=matrix)
    rng = np.random.default_rng(2)
    signal = rng.uniform(0.3, 0.7, (40, 40))
    luma = np.rint(spec.black + signal * (spec.white - spec.black)).astype(np.uint16)
    ab = rng.uniform(-15, 15, (2, 40, 40)).astype(np.float32)
    codes = torch.from_numpy(luma.astype(np.int32))[None, None]
    lightness = to_lightness(codes, spec)
    lab = torch.cat((lightness, torch.from_numpy(ab)[None]), dim=1)
    red, green, blue = lab_to_rgb(lab.double())[0].numpy()
    kr, kb = MATRIX_WEIGHTS[matrix]
    y = kr * red + (1 - kr - kb) * green + kb * blue
    top = 2**bits - 1 if full_range else 224 * 2 ** (bits - 8)
    exact_cb = (blue - y) / (2 * (1 - kb)) * top + 2 ** (bits - 1)
    exact_cr = (red - y) / (2 * (1 - kr)) * top + 2 ** (bits - 1)
    cb, cr = chroma_planes(luma, ab, lightness[0, 0].numpy(), spec, layout, PLAIN)
    assert cb.dtype == cr.dtype == (np.uint8 if bits == 8 else np.uint16)
    coarse = 2.0 ** (bits - 8)  # at 16 bits float32 and the matrix' rounding show
    for plane, exact in ((cb, exact_cb), (cr, exact_cr)):
        assert np.abs(plane - exact).mean() < 0.27 + 0.004 * coarse
        assert np.abs(plane - exact).max() < 0.51 + 0.1 * coarse


def test_downsampled_planes_stay_near_the_exact_path_of_smooth_color():
    rows, columns = np.mgrid[0:120, 0:160] / 160
    signal = 0.45 + 0.2 * np.sin(5 * rows) * np.cos(4 * columns)
    luma = np.rint(16 + 219 * signal).astype(np.uint8)
    ab = np.stack((25 * np.cos(6 * columns), 25 * np.sin(5 * rows))).astype(np.float32)
    lightness = to_lightness(torch.from_numpy(luma)[None, None], ColorSpec())
    lab = torch.cat((lightness, torch.from_numpy(ab)[None]), dim=1)
    red, green, blue = lab_to_rgb(lab)[0].numpy()
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    exact = 128 + 224 * (blue - y) / 1.8556, 128 + 224 * (red - y) / 1.5748
    for config in (PLAIN, GUIDED):
        planes = chroma_planes(
            luma, ab, lightness[0, 0].numpy(), ColorSpec(), PlaneLayout(), config
        )
        for plane, full in zip(planes, exact, strict=True):
            # H.264: a sample lies on even columns, between two rows
            expected = (full[0::2, 0::2] + full[1::2, 0::2]) / 2
            assert np.abs(plane - expected).mean() < 0.3


@pytest.mark.parametrize("bits", [8, 10, 16])
@pytest.mark.parametrize("full_range", [False, True])
def test_no_color_is_exactly_neutral(bits, full_range):
    luma, ab, lightness = _random((31, 33))
    spec = ColorSpec(bits=bits, full_range=full_range)
    codes = luma.astype(np.uint16) << (bits - 8)
    for subsample in ((1, 1), (2, 2), (1, 2)):
        layout = PlaneLayout(*subsample, bits=bits, full_range=full_range)
        for config in (PLAIN, GUIDED):
            cb, cr = chroma_planes(codes, ab * 0, lightness, spec, layout, config)
            assert (cb == 1 << (bits - 1)).all()
            assert (cr == 1 << (bits - 1)).all()


@pytest.mark.parametrize("siting", ["left", "center", "topleft"])
@pytest.mark.parametrize("subsample", [(1, 1), (1, 2), (2, 2), (1, 4), (4, 4)])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (7, 13), (30, 41)])
def test_plane_size_is_rounded_up(size, subsample, siting):
    luma, ab, lightness = _random(size)
    layout = PlaneLayout(*subsample, siting=siting)
    expected = (-(-size[0] // subsample[0]), -(-size[1] // subsample[1]))
    for config in (PLAIN, GUIDED):
        cb, cr = chroma_planes(luma, ab, lightness, ColorSpec(), layout, config)
        assert cb.shape == cr.shape == expected


@given(
    st.integers(60, 200), st.floats(-12, 12), st.floats(-12, 12), st.sampled_from((PLAIN, GUIDED))
)
@settings(max_examples=25, deadline=None)
def test_constant_color_on_constant_luma_stays_constant(code, a, b, config):
    luma, ab, lightness = _flat(code, a, b, (9, 14))
    cb, cr = chroma_planes(luma, ab, lightness, ColorSpec(), PlaneLayout(), config)
    assert np.ptp(cb) == np.ptp(cr) == 0


def test_constant_color_stays_on_textured_luma():
    luma, ab, lightness = _random((64, 64), low=90, high=150)
    ab[0], ab[1] = 12, -9
    plain = chroma_planes(luma, ab, lightness, ColorSpec(), PlaneLayout(1, 1), PLAIN)
    guided = chroma_planes(luma, ab, lightness, ColorSpec(), PlaneLayout(1, 1), GUIDED)
    for one, other in zip(plain, guided, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1


@given(
    st.integers(0, 10_000),
    st.sampled_from(((1, 1), (1, 2), (2, 2))),
    st.sampled_from(("bt601", "bt709", "bt2020")),
    st.booleans(),
    st.sampled_from((PLAIN, GUIDED)),
)
@settings(max_examples=25, deadline=None)
def test_every_pixel_decodes_into_gamut(seed, subsample, matrix, full_range, config):
    luma, ab, lightness = _random((24, 31), seed, strength=60, low=0, high=255)
    spec = ColorSpec(full_range=full_range, matrix=matrix)
    layout = PlaneLayout(*subsample, full_range=full_range, matrix=matrix)
    planes = chroma_planes(luma, ab, lightness, spec, layout, config)
    rgb = _decode(luma, *planes, spec, layout)
    # half a code of Cb is worth 1.8814 / 2 codes of B' in BT.2020
    assert rgb.min() > -1.0 / 224
    assert rgb.max() < 1 + 1.0 / 224
    assert np.abs(planes[0].astype(int) - 128).max() > 8  # there is color at all


@pytest.mark.parametrize(("a", "b"), [(90, -110), (95, 30), (-90, 60), (-60, -70)])
def test_gamut_fit_keeps_the_hue(a, b):
    # far beyond what this dark gray can hold; the direction of (Cb, Cr) must not turn
    spec, layout = ColorSpec(bits=16), PlaneLayout(1, 1, bits=16)
    luma, ab, lightness = _flat(60, a, b)
    fitted = chroma_planes(luma.astype(np.uint16) << 8, ab, lightness, spec, layout, PLAIN)
    u, v = (float(p[0, 0]) - 32768 for p in fitted)
    gray = (60 - 16) / 219
    light = skimage.color.rgb2lab(np.full((1, 1, 3), gray))[0, 0, 0]
    lab = np.array([light, a, b])
    # Lab to linear RGB by the CIE formulas; sRGB's curve, continued oddly
    fy = (lab[0] + 16) / 116
    f = np.array([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787) * [0.95047, 1, 1.08883]
    linear = np.linalg.inv(skimage.color.colorconv.xyz_from_rgb) @ xyz
    size = np.abs(linear)
    rgb = np.sign(linear) * np.where(
        size > 0.0031308, 1.055 * size ** (1 / 2.4) - 0.055, 12.92 * size
    )
    y = rgb @ [0.2126, 0.7152, 0.0722]
    wanted = np.arctan2((rgb[0] - y) / 1.5748, (rgb[2] - y) / 1.8556)
    assert np.arctan2(v, u) == pytest.approx(wanted, abs=5e-4)
    rgb = _decode(luma.astype(np.uint16) << 8, *fitted, spec, layout)[0, 0]
    assert min(rgb.min(), 1 - rgb.max()) == pytest.approx(0, abs=1e-3)  # as much as fits


def test_dark_and_bright_fade_to_exactly_neutral():
    luma = np.full((16, 60), 128, np.uint8)
    luma[:, 20:40], luma[:, 40:] = 18, 235  # noisy black bar, white
    ab = np.full((2, 4, 15), 20, np.float32)
    lightness = np.full((4, 15), 50, np.float32)
    for config in (PLAIN, GUIDED):
        cb, cr = chroma_planes(luma, ab, lightness, ColorSpec(), PlaneLayout(), config)
        assert (cb[:, 11:20] == 128).all()
        assert (cr[:, 11:] == 128).all()
        assert (cr[:, :9] > 133).all()


def test_fade_begins_and_ends_where_the_config_says():
    config = dataclasses.replace(PLAIN, dark_start=0.2, dark_end=0.4)
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(4, axis=0)
    ab = np.full((2, 2, 64), 6, np.float32)
    lightness = np.full((2, 64), 50, np.float32)
    layout = PlaneLayout(1, 1, bits=16, full_range=True)
    _, faded = chroma_planes(ramp, ab, lightness, FULL, layout, config)
    _, full = chroma_planes(ramp, ab, lightness, FULL, layout, PLAIN)
    rise = (faded[0].astype(int) - 32768) / np.maximum(full[0].astype(int) - 32768, 1)
    assert (rise[:51] == 0).all()
    np.testing.assert_allclose(rise[102:245], 1)
    # smoothstep halfway
    assert rise[76:78].mean() == pytest.approx(0.5, abs=0.01)


def _edge_position(profile):
    """Where a rising step crosses its middle, in samples."""
    profile = np.asarray(profile, np.float64)
    middle = (profile.min() + profile.max()) / 2
    after = int(np.argmax(profile > middle))
    before = profile[after - 1]
    return after - 1 + (middle - before) / (profile[after] - before)


@pytest.mark.parametrize("siting", ["left", "center", "topleft"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("config", [PLAIN, GUIDED])
def test_a_color_edge_stays_on_its_luma_edge(config, axis, siting):
    # a soft step, known at every position: luma and ab are the same function of place
    size, small = 128, 64

    def step(position):
        return 0.5 + 0.5 * np.tanh((position - 61.0) / 6)

    luma_profile = np.rint(100 + 50 * step(np.arange(size))).astype(np.uint8)
    ab_profile = 30 * step((np.arange(small) + 0.5) * size / small - 0.5) - 15
    luma = np.repeat(luma_profile[None], size, axis=0)
    ab = np.repeat(ab_profile[None], small, axis=0)
    if axis == 0:
        luma, ab = luma.T.copy(), ab.T.copy()
    lightness = to_lightness(torch.from_numpy(luma)[None, None], ColorSpec())[0, 0].numpy()
    small_lightness = lightness.reshape(small, 2, small, 2).mean((1, 3))
    layout = PlaneLayout(bits=12, siting=siting)
    field = np.stack((np.zeros_like(ab), ab)).astype(np.float32)
    cb, _ = chroma_planes(luma, field, small_lightness, ColorSpec(), layout, config)
    profile = 4096 - (cb[:, 20] if axis == 0 else cb[20]).astype(int)  # Cb falls as b* rises
    offset = {"left": (0.5, 0.0), "center": (0.5, 0.5), "topleft": (0.0, 0.0)}[siting][axis]
    # place of the edge in luma pixels; a quarter chroma pixel off would be 0.5
    fine = PlaneLayout(1, 1, bits=12)
    full, _ = chroma_planes(luma, field, small_lightness, ColorSpec(), fine, config)
    reference = _edge_position(4096 - (full[:, 20] if axis == 0 else full[20]).astype(int))
    assert 2 * _edge_position(profile) + offset == pytest.approx(reference, abs=0.12)
    assert reference == pytest.approx(61.0, abs=0.6)


@pytest.mark.parametrize("siting", ["left", "center", "topleft"])
@pytest.mark.parametrize("subsample", [(2, 2), (1, 2), (4, 4)])
def test_chroma_follows_a_ramp_at_its_sample_positions(subsample, siting):
    # ab rises linearly, so an interpolated sample tells its own place
    ab = np.zeros((2, 32, 32), np.float32)
    ab[1] = (np.arange(32) + 0.5) * 4 - 0.5 - 64  # b* = column - 64 in a picture of 128
    luma = np.full((128, 128), 160, np.uint8)
    lightness = np.full((32, 32), 70, np.float32)
    table_layout = PlaneLayout(1, 1, bits=16, siting=siting)
    by_column, _ = chroma_planes(luma, ab, lightness, ColorSpec(), table_layout, PLAIN)
    layout = PlaneLayout(*subsample, bits=16, siting=siting)
    cb, _ = chroma_planes(luma, ab, lightness, ColorSpec(), layout, PLAIN)
    step = subsample[1]
    offset = (step - 1) / 2 if siting == "center" else 0
    place = np.arange(128 // step) * step + offset
    inside = (place > 40) & (place < 88)
    expected = np.interp(place, np.arange(128), by_column[5].astype(float))
    np.testing.assert_allclose(cb[3][inside], expected[inside], atol=3)


def test_guided_filter_sharpens_a_blurred_color_edge_on_its_luma_edge():
    luma = np.full((128, 128), 90, np.uint8)
    luma[:, 66:] = 170  # between two samples of the small grid
    ab = np.zeros((2, 32, 32), np.float32)
    ab[1] = np.interp(np.arange(32), [13, 19], [-25, 25])  # soft over six samples
    lightness = np.full((32, 32), 38.0, np.float32)
    lightness[:, 17:] = 70
    lightness[:, 16] = 54
    layout = PlaneLayout(1, 1)
    plain, _ = chroma_planes(luma, ab, lightness, ColorSpec(), layout, PLAIN)
    guided, _ = chroma_planes(luma, ab, lightness, ColorSpec(), layout, GUIDED)
    jump_plain = abs(int(plain[64, 65]) - int(plain[64, 66]))
    jump_guided = abs(int(guided[64, 65]) - int(guided[64, 66]))
    assert jump_guided > jump_plain + 3


def test_guided_filter_does_not_follow_grain():
    rng = np.random.default_rng(3)
    grain = np.clip(rng.normal(128, 6, (128, 128)), 16, 235).astype(np.uint8)
    lightness = to_lightness(torch.from_numpy(grain)[None, None], ColorSpec())[0, 0].numpy()
    small = lightness.reshape(64, 2, 64, 2).mean((1, 3))
    ab = np.stack(np.meshgrid(np.linspace(-20, 20, 64), np.linspace(-20, 20, 64)))
    ab = ab.astype(np.float32)
    flat = np.full_like(grain, 128)
    layout = PlaneLayout(1, 1, bits=12)
    guided = chroma_planes(grain, ab, small, ColorSpec(), layout, GUIDED)
    plain = chroma_planes(grain, ab, small, ColorSpec(), layout, PLAIN)
    calm = chroma_planes(flat, ab, small, ColorSpec(), layout, PLAIN)
    for one, other, still in zip(guided, plain, calm, strict=True):
        follows = np.abs(one.astype(int) - other).mean() / 16  # in 8-bit codes
        by_lightness = np.abs(other.astype(int) - still).mean() / 16
        assert follows < max(0.15, by_lightness)


def test_a_highlight_the_small_grid_never_saw_gets_no_color_of_its_own():
    small = np.tile(np.clip(4 * np.arange(32, dtype=np.float32) - 30, 20, 50), (32, 1))
    ab = np.stack((np.zeros_like(small), small - 35))  # b* rises with L*
    luma = np.full((128, 128), 80, np.uint8)
    luma[64, 65] = 190
    layout = PlaneLayout(1, 1, bits=12)
    cb, _ = chroma_planes(luma, ab, small, ColorSpec(), layout, GUIDED)
    ab[1] = 15
    limit, _ = chroma_planes(luma, ab, small, ColorSpec(), layout, PLAIN)
    assert 2048 - int(cb[64, 65]) <= 2048 - int(limit[64, 65])
    assert cb[64, 65] < 2048


def test_saturation_is_a_gain():
    luma, ab, lightness = _flat(128, 8, -6)
    doubled = dataclasses.replace(PLAIN, saturation=2.0)
    twice = chroma_planes(luma, ab * 2, lightness, ColorSpec(), PlaneLayout(), PLAIN)
    gained = chroma_planes(luma, ab, lightness, ColorSpec(), PlaneLayout(), doubled)
    np.testing.assert_array_equal(twice, gained)


@given(
    st.integers(0, 10_000),
    st.sampled_from(("bt601", "bt709", "bt2020")),
    st.sampled_from((8, 16)),
    st.sampled_from((PLAIN, GUIDED)),
)
@settings(max_examples=20, deadline=None)
def test_still_keeps_luma(seed, matrix, bits, config):
    luma, ab, lightness = _random((19, 22), seed, strength=70, low=0, high=255)
    spec = ColorSpec(full_range=True, matrix=matrix)
    rgb = compose_rgb(luma, ab, lightness, spec, config, bits)
    assert rgb.shape == (19, 22, 3)
    kr, kb = MATRIX_WEIGHTS[matrix]
    top = (1 << bits) - 1
    y = rgb @ np.array([kr, 1 - kr - kb, kb]) / top * 255
    assert np.abs(y - luma).max() < 0.51 if bits == 8 else 0.01
    assert np.abs(np.diff(rgb.astype(int), axis=-1)).max() > 20 * (top / 255)


def test_still_without_color_is_the_gray_picture():
    luma = np.arange(256, dtype=np.uint8).reshape(16, 16)
    flat = np.zeros((2, 4, 4), np.float32), np.full((4, 4), 50, np.float32)
    rgb = compose_rgb(luma, *flat, FULL, GUIDED)
    np.testing.assert_array_equal(rgb, np.repeat(luma[..., None], 3, axis=-1))


def test_source_is_not_written_to():
    luma, ab, lightness = _random((20, 20))
    before = luma.copy(), ab.copy(), lightness.copy()
    for array in (luma, ab, lightness):
        array.flags.writeable = False
    chroma_planes(luma, ab, lightness, ColorSpec(), PlaneLayout(), GUIDED)
    for array, old in zip((luma, ab, lightness), before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32])
def test_integer_types_of_deep_luma_are_alike(dtype):
    luma, ab, lightness = _random((20, 20))
    spec, layout = ColorSpec(bits=10), PlaneLayout(bits=10)
    expected = chroma_planes(luma.astype(np.uint16) * 4, ab, lightness, spec, layout, GUIDED)
    actual = chroma_planes(luma.astype(dtype) * 4, ab, lightness, spec, layout, GUIDED)
    np.testing.assert_array_equal(actual, expected)


def test_wrong_arrays_are_refused():
    luma, ab, lightness = _random((8, 8))
    with pytest.raises(ValueError, match="integer"):
        chroma_planes(luma / 255, ab, lightness, FULL, PlaneLayout(), PLAIN)
    with pytest.raises(ValueError, match="lightness"):
        chroma_planes(luma, ab, lightness[1:], FULL, PlaneLayout(), PLAIN)
    with pytest.raises(ConfigError, match="guided or bilinear"):
        ComposeConfig(filter="nearest")
    with pytest.raises(ConfigError, match="dark_start"):
        ComposeConfig(dark_start=0.5)
    with pytest.raises(ValueError, match="siting"):
        PlaneLayout(siting="right")
