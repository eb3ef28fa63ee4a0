"""Slow and fast changes of known height."""

import numpy as np
import pytest

from vidcolor.evaluate.spectrum import Drift, Spectrum, coarse


def wave(hertz: float, height: float, frames: int, fps: float = 25.0):
    for i in range(frames):
        cells = np.zeros((8, 8, 2))
        cells[..., 0] = height * np.sin(2 * np.pi * hertz * i / fps)
        yield i / fps, cells


def flicker(frames):
    spectrum = Spectrum()
    for time, cells in frames:
        spectrum.push(time, cells)
    spectrum.cut()
    return spectrum.value()


@pytest.mark.parametrize(("hertz", "band"), [(0.4, 0), (2.5, 1), (8.0, 2)])
def test_a_wave_is_found_in_its_band_with_its_height(hertz, band):
    found = flicker(wave(hertz, 3.0, 320))
    expected = 3 / np.sqrt(2)
    if band:
        assert found[band] == pytest.approx(expected, rel=0.02)
    else:  # half a period and less fits a segment: a part of it is taken for a line
        assert 0.5 * expected < found[0] < 1.1 * expected
    assert all(value < 0.15 * expected for i, value in enumerate(found) if i > band)


def test_alternation_is_all_above_four_hertz():
    found = flicker(wave(12.5, 0.0, 32))
    assert found == (0, 0, 0)
    frames = [(i / 25, np.full((8, 8, 2), 2.0 * (-1) ** i)) for i in range(40)]
    low, middle, high = flicker(frames)
    assert high == pytest.approx(2 * np.sqrt(2), rel=0.02)  # of a* and of b*
    assert low < 0.1
    assert middle < 0.1


def test_a_straight_line_is_no_flicker():
    frames = [(i / 25, np.full((8, 8, 2), 0.1 * i)) for i in range(64)]
    assert flicker(frames) == pytest.approx((0, 0, 0), abs=1e-9)


def test_short_shots_have_no_spectrum_and_long_ones_keep_little():
    assert flicker(wave(5, 1, 7)) is None
    spectrum = Spectrum()
    for time, cells in wave(5, 1, 1000):
        spectrum.push(time, cells)
        assert len(spectrum._frames) < 64


def test_drift_is_from_the_first_second_to_the_last():
    drift = Drift()
    for i in range(75):  # three seconds: 0, then (3, 4)
        cells = np.zeros((8, 8, 2))
        if i >= 40:
            cells[:4] = (3, 4)
        drift.push(i / 25, cells)
    assert drift.value() == pytest.approx(2.5)  # 5 in half the cells
    assert len(drift._last) == 25


def test_a_shot_of_one_second_has_no_drift():
    drift = Drift()
    assert drift.value() is None
    for i in range(30):
        drift.push(i / 25, np.full((8, 8, 2), float(i)))
    assert drift.value() is None


def test_coarse_color_is_the_mean_of_cells():
    ab = np.random.default_rng(0).normal(size=(16, 24, 2)).astype(np.float32)
    assert coarse(ab)[1, 2] == pytest.approx(ab[2:4, 6:9].mean(axis=(0, 1)), abs=1e-5)
