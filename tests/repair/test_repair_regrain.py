"""Grain of a shot: measured, and made again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_wounds import batches, spot

from vidcolor.repair.heal.paths import Paths
from vidcolor.repair.heal.regrain import LEAST_CV, Grain, GrainMeter
from vidcolor.repair.heal.wounds import wounds
from vidcolor.repair.window import each_marked

SIZE = (72, 96)


def soft(rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Grain that is soft by 0.7 px, of a deviation in cv."""
    made = cv2.GaussianBlur(rng.standard_normal(SIZE), (0, 0), 0.7)
    return made / made.std() * sigma


def measured(codes: np.ndarray, spots: dict) -> Grain:
    def find(frame):
        return wounds(frame, 96)

    meter = GrainMeter(Paths(find), find)
    found = []
    for _ in each_marked(
        batches(codes, spots, step=(0, 0)), 4, 4, lambda: lambda w: found.append(meter(w))
    ):
        pass
    return found[-1]


def test_level_and_softness_are_those_of_the_shot():
    rng = np.random.default_rng(3)
    codes = np.stack([np.rint(120 + soft(rng, 6)) for _ in range(8)]).astype(np.uint8)
    spots = {n: [spot(30, 40, 10, 10)] for n in range(8)}
    for n in range(8):
        codes[n, 30:40, 40:50] = 255  # damage is no grain
    grain = measured(codes, spots)
    assert grain.sigma == pytest.approx(6, rel=0.2)
    field = grain.noise((200, 200), 1, 2, 3)
    assert field.std() == pytest.approx(1, rel=0.05)
    neighbor = float((field[:, 1:] * field[:, :-1]).mean())
    aslant = float((field[:, 3:] * field[:, :-3]).mean())
    assert neighbor == pytest.approx(np.exp(-1 / (4 * 0.7**2)), abs=0.12)
    assert abs(aslant) < 0.1


def test_damage_is_no_grain():
    rng = np.random.default_rng(4)
    codes = np.stack([np.rint(120 + soft(rng, 3)) for _ in range(3)])
    codes[1, :, 24:84] += rng.normal(0, 25, (72, 60))
    spots = {1: [spot(0, 24, 72, 60)]}
    grain = measured(np.clip(codes, 0, 255).astype(np.uint8), spots)
    assert grain.sigma == pytest.approx(3, rel=0.25)


def test_what_moves_otherwise_is_no_grain():
    rng = np.random.default_rng(3)
    codes = np.stack([np.rint(120 + soft(rng, 2)) for _ in range(6)])
    for n in range(6):
        codes[n, :36, :40] += rng.uniform(-8, 8)  # flickers: no motion explains it
        codes[n, 36:, :20] += 20 * np.sin(np.arange(20) * 0.7 + 2 * n)  # waves
    grain = measured(codes.astype(np.uint8), {})
    assert grain.sigma == pytest.approx(2, rel=0.3)


def test_a_clean_copy_has_none():
    grain = measured(np.full((3, *SIZE), 90, np.uint8), {})
    assert not grain.visible
    assert grain.sigma == LEAST_CV


def test_noise_is_a_function_of_its_seed():
    grain = Grain(np.full(8, 3, np.float32), np.ones((1, 1), np.float32))
    np.testing.assert_array_equal(grain.noise((9, 9), 1, 2), grain.noise((9, 9), 1, 2))
    assert (grain.noise((9, 9), 1, 2) != grain.noise((9, 9), 2, 1)).any()


def test_level_follows_brightness():
    grain = Grain(np.arange(8, dtype=np.float32), np.ones((1, 1), np.float32))
    np.testing.assert_allclose(grain.level(np.float32([0, 16, 48, 64, 255])), [0, 0, 1, 1.5, 7])


def test_what_a_fill_lacks():
    grain = Grain(np.full(8, 4, np.float32), np.ones((1, 1), np.float32))
    hole = np.ones((40, 40), np.bool_)
    flat = np.full((40, 40), 100, np.float32)
    assert grain.lacking(flat, hole) == pytest.approx(1)
    noisy = flat + 4 * grain.noise((40, 40), 7)
    assert grain.lacking(noisy, hole) == pytest.approx(0, abs=0.1)
    half = flat + 4 * np.float32(0.5**0.5) * grain.noise((40, 40), 7)
    assert grain.lacking(half, hole) == pytest.approx(0.5, abs=0.1)
