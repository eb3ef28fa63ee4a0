"""Grain is measured where it is known, and exposure found whatever comes and goes."""

import numpy as np
import pytest
from made_spikes import disc, drifting, film, windows

from vidcolor.repair.dust.grain import LEAST_GRAIN, Grain, measure_grain
from vidcolor.repair.dust.photometric import exposure, matched


def grained(sigma_dark, sigma_bright, specks=False, bits=8):
    """Two gray fields and noise, five frames; the halves have different grain."""
    rng = np.random.default_rng(3)
    frames = []
    for i in range(5):
        gray = np.full((120, 160), 48.0, np.float32)
        gray[:, 80:] = 176
        noise = rng.normal(0, 1, gray.shape)
        gray = gray + noise * np.where(gray < 100, sigma_dark, sigma_bright)
        if specks:
            for k in range(8):
                gray, _ = disc(gray, 15 + 18 * k, 20 + 17 * i, 5, 255 * (k % 2))
        frames.append(gray.astype(np.float32))
    return windows([film(frames, bits=bits, noise=False)])[0].frames


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("specks", [False, True])
def test_deviation_by_brightness(specks, bits):
    grain = measure_grain(grained(3.0, 6.0, specks, bits))
    # noise is moved by fractions of a pixel here and there, which makes it a little weaker
    assert grain.at(np.float32([48]))[0] == pytest.approx(3, rel=0.2)
    assert grain.at(np.float32([176]))[0] == pytest.approx(6, rel=0.2)


def test_never_less_than_the_floor():
    assert measure_grain(grained(0, 0)).levels == (LEAST_GRAIN,) * 8
    assert measure_grain(windows([film(drifting(1))])[0].frames).levels == (LEAST_GRAIN,) * 8


def test_between_bins_by_interpolation():
    grain = Grain((1.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0))
    # centers of bins lie at 16, 48, 80, ... cv
    np.testing.assert_allclose(grain.at(np.float32([0, 16, 32, 48, 64, 255])), [1, 1, 2, 3, 2, 1])
    np.testing.assert_allclose(grain.table()[[16, 32, 48]], [1, 2, 3])


def test_exposure_is_found_though_a_tenth_of_the_picture_changed():
    image = drifting(1)[0]
    like = image * 1.1 - 7
    changed = like.copy()
    changed[:40, :48] = 250
    gain, offset = exposure(image, changed.astype(np.float32))
    assert gain == pytest.approx(1.1, abs=0.01)
    assert offset == pytest.approx(-7, abs=1.5)
    np.testing.assert_allclose(matched(image, like), like, atol=0.05)


def test_gain_has_limits_and_a_flat_picture_has_none():
    image = drifting(1)[0]
    assert exposure(image, image * 3)[0] == pytest.approx(1.25)
    flat = np.full((50, 50), 100, np.float32)
    assert exposure(flat, flat + 9) == (1.0, 9.0)
