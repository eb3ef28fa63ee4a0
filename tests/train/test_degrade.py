import dataclasses
import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.integrate import quad

from vidcolor.errors import ConfigError
from vidcolor.schema import leaves
from vidcolor.train.degrade import DegradeConfig, degrade, degrade_pair, gray_signal
from vidcolor.train.degrade.config import EFFECTS
from vidcolor.train.degrade.scratches import line_profile
from vidcolor.train.degrade.stock import BLUE_SENSITIVE, ORTHOCHROMATIC, PANCHROMATIC
from vidcolor.train.degrade.video import comb, compress

NEW = ("flicker", "scratches", "dust", "interlace", "compression")
PLAIN = DegradeConfig(**dict.fromkeys(EFFECTS, 0.0))
ALL = DegradeConfig(**dict.fromkeys(EFFECTS, 1.0))
FLAT = np.full((96, 96, 3), 0.5, np.float32)


def _rng(seed):
    return np.random.default_rng(seed)


def _only(effect, share=1.0, **strengths):
    return dataclasses.replace(PLAIN, **{effect: share}, **strengths)


def _picture(seed, height=64, width=48):
    """Smooth color noise over the whole range."""
    small = _rng(seed).random((8, 8, 3)).astype(np.float32)
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def _sliding(away=0):
    return np.roll(_picture(3), away, 1)


# -- stock, tone, blur, grain ------------------------------------------------------------------


def test_without_effects_the_gray_is_luma():
    rgb = _rng(1).random((9, 7, 3)).astype(np.float32)
    outcomes = [degrade(rgb, PLAIN, _rng(seed)) for seed in range(12)]
    lumas = [
        rgb @ np.array(w, np.float32) for w in ((0.2126, 0.7152, 0.0722), (0.299, 0.587, 0.114))
    ]
    hits = [[np.abs(gray - luma).max() < 1e-5 for luma in lumas] for gray in outcomes]
    assert all(any(row) for row in hits)
    assert {row.index(True) for row in hits} == {0, 1}


@pytest.mark.parametrize(
    ("weights", "order"),
    [(BLUE_SENSITIVE, "bgr"), (ORTHOCHROMATIC, "gbr"), (PANCHROMATIC, "grb")],
)
def test_a_stock_sees_colors_in_its_order(weights, order):
    assert sum(weights) == pytest.approx(1)
    seen = gray_signal(np.eye(3, dtype=np.float32)[None], weights)[0]
    assert "".join(sorted("rgb", key=lambda c: -seen["rgb".index(c)])) == order


def test_early_stocks_are_blind_to_red():
    assert max(ORTHOCHROMATIC[0], BLUE_SENSITIVE[0]) < 0.1 * 0.7152  # of what luma gives to green
    red = np.zeros((2, 2, 3), np.float32)
    red[..., 0] = 0.8
    seen = [degrade(red, _only("stock"), _rng(seed))[0, 0] for seed in range(60)]
    # in linear light: sqrt(weight * 0.8^2), between that of blue-sensitive and of panchromatic
    assert min(seen) == pytest.approx(0.8 * 0.02**0.5, abs=0.04)
    assert max(seen) == pytest.approx(0.8 * 0.33**0.5, abs=0.02)


def test_the_first_four_effects_draw_as_they_did_before_there_were_others():
    """The recipe by which the starter was trained, written out once more."""
    rgb = _picture(2)
    film = DegradeConfig(1, 1, 1.0, 1, 1.2, 1, 0.06, **dict.fromkeys(NEW, 0.0))
    for seed in range(5):
        rng, stream = _rng(seed), _rng(seed)
        gray = degrade(rgb, film, rng)
        stream.random()
        stocks = [(0.02, 0.28, 0.70), (0.06, 0.58, 0.36), (0.33, 0.36, 0.31)]
        weights = stream.dirichlet([0.6] * 4) @ np.array([*stocks, (0.2126, 0.7152, 0.0722)])
        expected = np.sqrt(rgb.astype(float) ** 2 @ weights)
        stream.random()
        gamma = np.exp(stream.uniform(-0.52, 0.52))
        black, white = stream.uniform(-0.08, 0.12), 1 + stream.uniform(-0.15, 0.10)
        expected = np.clip(black + (white - black) * expected**gamma, 0, 1)
        stream.random()
        expected = cv2.GaussianBlur(expected, (0, 0), stream.uniform(0.2, 1.2))
        stream.random()
        deviation = stream.uniform(0, 0.06)
        noise = stream.standard_normal(expected.shape, dtype=np.float32)
        size = stream.uniform(0, 0.8)
        if size > 0.3:
            noise = cv2.GaussianBlur(noise, (0, 0), size)
            noise /= noise.std()
        expected += deviation * noise * np.sqrt(4 * expected * (1 - expected) + 0.1)
        assert np.abs(gray - np.clip(expected, 0, 1)).max() < 1e-4
        assert rng.random() == stream.random()


# -- all of them -------------------------------------------------------------------------------


@given(
    st.integers(0, 10**6),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["everything", *EFFECTS]),
)
@settings(max_examples=150, deadline=None)
def test_every_film_is_seeded_and_in_range(seed, height, width, effect):
    film = ALL if effect == "everything" else _only(effect)
    rgb = _rng(seed).random((height, width, 3)).astype(np.float32)
    rgb = np.clip(2 * rgb - np.float32(0.5), 0, 1)  # a quarter black, a quarter white
    gray = degrade(rgb, film, _rng(seed))
    assert gray.shape == (height, width)
    assert gray.dtype == np.float32
    assert gray.min() >= 0
    assert gray.max() <= 1 + 1e-6  # the weights of a stock may sum to a little more
    assert np.array_equal(gray, degrade(rgb, film, _rng(seed)))
    one, later = degrade_pair(rgb, rgb, film, _rng(seed))
    again, later_again = degrade_pair(rgb, rgb, film, _rng(seed))
    assert np.array_equal(one, again)
    assert np.array_equal(later, later_again)
    assert 0 <= min(one.min(), later.min()) <= max(one.max(), later.max()) <= 1 + 1e-6


def test_other_seeds_give_other_films():
    rgb = _picture(0)
    films = [degrade(rgb, ALL, _rng(seed)) for seed in range(4)]
    assert len({film.tobytes() for film in films}) == 4


def test_new_effects_that_are_off_draw_nothing():
    rng = _rng(7)
    degrade(_picture(1), PLAIN, rng)
    sixth = _rng(7).random(6)[5]  # after stock, luma, tone, blur, grain
    assert rng.random() == sixth
    for effect in NEW:
        rng = _rng(7)
        degrade(_picture(1), _only(effect, 1e-9), rng)
        assert rng.random() == _rng(7).random(7)[6]


@pytest.mark.parametrize("effect", NEW)
def test_a_share_is_the_part_of_pictures(effect):
    rgb = _picture(1)
    changed = [
        not np.array_equal(degrade(rgb, _only(effect, 0.3), _rng(n)), degrade(rgb, PLAIN, _rng(n)))
        for n in range(400)
    ]
    # three deviations of a share of 400, sqrt(0.3 * 0.7 / 400) = 0.023; some specks are too small
    assert 0.20 < np.mean(changed) < 0.37


@pytest.mark.parametrize("effect", ["tone", "grain", "flicker", "scratches", "dust"])
def test_strength_nothing_changes_nothing(effect):
    rgb = _picture(1)
    for seed in range(3):
        gray = degrade(rgb, _only(effect, **{EFFECTS[effect]: 0.0}), _rng(seed))
        assert np.abs(gray - degrade(rgb, PLAIN, _rng(seed))).max() < 1e-6


@pytest.mark.parametrize(
    ("effect", "weak", "strong"),
    [
        ("flicker", 0.02, 0.04), ("scratches", 0.5, 1.0), ("dust", 0.5, 1.0),
        ("interlace", 1.0, 3.0), ("compression", 60, 15), ("grain", 0.03, 0.06),
    ],
)  # fmt: skip
def test_strength_is_strength(effect, weak, strong):
    rgb = _picture(4)

    def change(strength):
        film = _only(effect, **{EFFECTS[effect]: strength})
        errors = [
            np.abs(degrade(rgb, film, _rng(n)) - degrade(rgb, PLAIN, _rng(n))).mean()
            for n in range(40)
        ]
        return np.mean(errors)

    assert change(strong) > 1.3 * change(weak) > 0


def test_settings_out_of_range_are_refused():
    for name in EFFECTS:
        with pytest.raises(ConfigError, match=f"{name} must be 0 to 1"):
            DegradeConfig(**{name: 1.5})
    for name in ("tone_strength", "grain_strength", "flicker_strength", "dust_strength"):
        with pytest.raises(ConfigError, match=f"{name} must be 0 or more"):
            DegradeConfig(**{name: -0.1})
    for name in ("blur_px", "interlace_px"):
        with pytest.raises(ConfigError, match=f"{name} must be more than 0 pixels"):
            DegradeConfig(**{name: 0.0})
    for quality in (0, 95):
        with pytest.raises(ConfigError, match="compression_quality must be 1 to 90"):
            DegradeConfig(compression_quality=quality)


def test_every_setting_belongs_to_an_effect_and_says_what_it_does():
    names = {leaf.name for leaf in leaves(DegradeConfig)}
    assert names == {*EFFECTS, *EFFECTS.values()} - {""}
    assert all(len(leaf.help) > 10 for leaf in leaves(DegradeConfig))


# -- two frames of a shot ----------------------------------------------------------------------


@pytest.mark.parametrize("effect", ["stock", "tone", "blur", "interlace", "compression"])
def test_what_belongs_to_the_film_is_the_same_in_a_later_frame(effect):
    here, there = _sliding(), _sliding(5)
    for seed in range(6):
        one, same = degrade_pair(here, here, _only(effect), _rng(seed))
        assert np.array_equal(one, same)
        alone = degrade(there, _only(effect), _rng(seed))
        assert np.array_equal(alone, degrade_pair(here, there, _only(effect), _rng(seed))[1])


def test_grain_is_another_one_of_the_same_kind():
    for seed in range(6):
        film = _only("grain", grain_strength=0.1)
        one, later = (gray - 0.5 for gray in degrade_pair(FLAT, FLAT, film, _rng(seed)))
        assert later.std() == pytest.approx(one.std(), rel=0.05)
        assert abs((one * later).mean()) < 0.05 * one.var()
        beside = [(noise[:, 1:] * noise[:, :-1]).mean() / noise.var() for noise in (one, later)]
        assert beside[0] == pytest.approx(beside[1], abs=0.06)  # clumps of one size


def test_flicker_is_smooth_in_space_and_jumps_in_time():
    ratios, slopes = [], []
    for seed in range(20):
        one, later = degrade_pair(FLAT, FLAT, _only("flicker"), _rng(seed))
        assert not np.array_equal(one, later)
        ratios.append(np.log(later.mean() / one.mean()))
        slopes.append(np.abs(np.diff(np.log(one), axis=1)).max())
    assert 0.01 < np.std(ratios) < 0.1  # 1.2 to 2.7 % was measured in four films
    assert max(slopes) < 0.02  # a region is a quarter of the width: 24 pixels
    dark = np.zeros_like(FLAT)
    assert not degrade(dark, _only("flicker"), _rng(0)).any()


def test_scratches_stay_where_they_are():
    here = _picture(3, 240, 240) * np.float32(0.5) + np.float32(0.25)
    there = np.roll(here, 40, 1)
    likeness = []
    for seed in range(12):
        pair = degrade_pair(here, there, _only("scratches"), _rng(seed))
        clean = degrade_pair(here, there, PLAIN, _rng(seed))
        one, later = ((gray - luma).mean(0) for gray, luma in zip(pair, clean, strict=True))
        assert not np.array_equal(one, later)
        likeness.append(np.corrcoef(one, later)[0, 1])
        # 40 columns on, where the scene went, is no scratch
        assert np.corrcoef(np.roll(one, 40), later)[0, 1] < 0.5
    assert np.median(likeness) > 0.8


def test_scratches_are_vertical_bright_or_dark_and_of_film_size():
    signs, widths = set(), []
    big = np.full((540, 540, 3), 0.5, np.float32)
    for seed in range(15):
        change = degrade(big, _only("scratches"), _rng(seed)) - 0.5
        assert change.mean(0).std() > 5 * change.mean(1).std()
        across = change[change.shape[0] // 2]
        place = int(np.abs(across).argmax())
        if abs(across[place]) < 0.05:
            continue
        signs.add(float(np.sign(across[place])))
        strong = np.abs(across) > np.abs(across).max() / 2
        ends = [np.flatnonzero(~strong[place::step])[0] for step in (1, -1)]
        widths.append(sum(ends) - 1)
    assert signs == {-1.0, 1.0}
    # 2 to 14 lines of 1080, half as many here; half height is narrower than the core
    assert min(widths) >= 1
    assert max(widths) <= 7


@pytest.mark.parametrize("width", [0.3, 1.0, 4.0])
def test_the_line_profile_is_the_mean_over_pixels(width):
    away = np.array([-4.0, -1.2, 0.0, 0.3, 2.0, 7.5])
    decay = 2.5

    def profile(x):
        return np.exp(-decay * abs(x) / width) * np.cos(1.5 * np.pi * abs(x) / width)

    expected = [quad(profile, d - 0.5, d + 0.5, points=[0], limit=200)[0] for d in away]
    assert np.abs(line_profile(away, width, decay) - expected).max() < 1e-6
    assert line_profile(np.array([2 / 3 * 4.0]), 4.0, decay)[0] < 0  # a side lobe


def test_dust_is_small_and_other_in_every_frame():
    shares = []
    for seed in range(20):
        one, later = degrade_pair(FLAT, FLAT, _only("dust"), _rng(seed))
        touched = [np.abs(gray - 0.5) > 0.05 for gray in (one, later)]
        shares.append(touched[0].mean())
        if touched[0].any() and touched[1].any():
            assert (touched[0] & touched[1]).sum() < 0.5 * touched[0].sum()
    assert 0.001 < np.mean(shares) < 0.03
    assert max(shares) < 0.15


def test_two_frames_must_have_one_shape():
    with pytest.raises(ValueError, match=r"later must be \(64, 48, 3\)"):
        degrade_pair(_picture(0), _picture(0, 32, 48), PLAIN, _rng(0))


def test_speckle_touches_some_pixels_of_every_frame_anew():
    parts = []
    for seed in range(30):
        config = _only("speckle", speckle_strength=0.1)
        one, later = (gray - 0.5 for gray in degrade_pair(FLAT, FLAT, config, _rng(seed)))
        assert 0 < np.abs(one).max() <= 0.1
        parts.append((np.abs(one) > 1e-6).mean())
        assert not np.array_equal(one, later)
        assert abs((np.abs(later) > 1e-6).mean() - parts[-1]) < 0.03
    assert min(parts) < 0.05
    assert 0.3 < max(parts) <= 0.42


def test_speckle_is_off_unless_asked_and_draws_nothing_then():
    assert DegradeConfig().speckle == 0
    other = dataclasses.replace(DegradeConfig(), speckle_strength=0.5)
    rgb = _picture(2)
    for seed in range(5):
        draws = _rng(seed), _rng(seed)
        one, two = degrade(rgb, DegradeConfig(), draws[0]), degrade(rgb, other, draws[1])
        assert np.array_equal(one, two)
        assert draws[0].random() == draws[1].random()


# -- video -------------------------------------------------------------------------------------


def test_combing_touches_odd_lines_only():
    rgb = _picture(5)
    for seed in range(6):
        gray, clean = degrade(rgb, _only("interlace"), _rng(seed)), degrade(rgb, PLAIN, _rng(seed))
        assert np.array_equal(gray[::2], clean[::2])
        assert not np.array_equal(gray[1::2], clean[1::2])


def test_combing_moves_odd_lines_by_the_motion():
    gray = _rng(0).random((7, 12)).astype(np.float32)
    moved = comb(gray, 2)
    assert np.array_equal(moved[::2], gray[::2])
    assert np.allclose(moved[1::2, 2:], gray[1::2, :-2])
    assert np.allclose(moved[1::2, :2], gray[1::2, :1])
    half = comb(gray, -0.5)[1::2, :-1]
    assert np.allclose(half, (gray[1::2, 1:] + gray[1::2, :-1]) / 2, atol=0.01)
    right = np.zeros_like(gray)
    right[:, 6:] = 1
    assert np.array_equal(comb(gray, 2, right)[:, :6], gray[:, :6])
    assert np.allclose(comb(gray, 2, right)[:, 6:], moved[:, 6:])


def test_compression_is_jpeg():
    gray = _picture(6, 40, 56)[..., 0]
    for quality in (10, 40, 80):
        data = io.BytesIO()
        codes = Image.fromarray(np.rint(gray * 255).astype(np.uint8))
        codes.save(data, "JPEG", quality=quality)
        expected = np.asarray(Image.open(data), np.float32)
        assert np.abs(compress(gray, quality) * 255 - expected).max() <= 1.01


def test_compression_is_worse_the_lower_the_quality():
    gray = np.clip(_picture(7)[..., 0] + _rng(1).normal(0, 0.05, (64, 48)), 0, 1)
    gray = gray.astype(np.float32)
    errors = [np.abs(compress(gray, quality) - gray).mean() for quality in (2, 10, 30, 60, 90)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 4 * errors[-1]


@pytest.mark.parametrize("left", [0, 3, 7])
def test_blocks_lie_where_the_corner_says(left):
    ramp = np.tile(np.linspace(0.2, 0.8, 65, dtype=np.float32)[:64], (16, 1))
    steps = np.abs(np.diff(compress(ramp, 3, (0, left)), axis=1)).mean(0)
    jumps = {(place + 1 + left) % 8 for place in np.flatnonzero(steps > steps.max() / 2)}
    assert jumps == {0}
