"""Pulsing light is leveled; fades, black, white and still films stay."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from vidcolor.errors import ConfigError
from vidcolor.records import ColorSpec, FrameBatch, VideoInfo
from vidcolor.repair.find import Finder
from vidcolor.repair.level import Deflicker, DeflickerConfig, NoDeflicker, _toned
from vidcolor.repair.motion import FollowConfig, follow
from vidcolor.repair.records import Repaired


def scene(height: int = 96, width: int = 128) -> np.ndarray:
    """Smooth texture between 60 and 190."""
    y, x = np.mgrid[:height, :width]
    return 125 + 40 * np.sin(x / 7) * np.cos(y / 9) + 25 * np.sin((x + y) / 23)


def film(
    planes: list[np.ndarray], bits: int = 8, batch: int = 4, shot: int = 0
) -> list[FrameBatch]:
    kind = np.uint8 if bits == 8 else np.int16
    luma = torch.from_numpy(np.stack([np.rint(p).astype(kind) for p in planes])[:, None])
    spec = ColorSpec(full_range=True, bits=bits)
    info = VideoInfo(*planes[0].shape, rate=Fraction(24), color=spec)
    whole = FrameBatch(luma, tuple(range(len(planes))), info, shot=shot)
    return [whole[i : i + batch] for i in range(0, len(planes), batch)]


def repaired(batches: list[FrameBatch]) -> list[Repaired]:
    marked = Finder(())(follow(batches, FollowConfig(lines=96)))
    return [Repaired(one.frames, one, (0,) * len(one.frames)) for one in marked]


def planes_of(batches: list[Repaired]) -> np.ndarray:
    return np.concatenate([one.frames.luma[:, 0].numpy() for one in batches]).astype(float)


GAINS = np.exp(0.04 * np.random.default_rng(3).standard_normal(40))


def test_a_random_gain_is_taken_away() -> None:
    batches = repaired(film([scene() * g for g in GAINS]))
    before = planes_of(batches).mean((1, 2))
    after = planes_of(list(Deflicker(DeflickerConfig(strength=1.0))(batches))).mean((1, 2))
    assert before.std() > 3.5
    # what is left are the slow waves of random gains
    assert np.diff(after).std() < 0.15 * np.diff(before).std()


def test_half_the_strength_leaves_half() -> None:
    batches = repaired(film([scene() * g for g in GAINS]))
    before = np.diff(planes_of(batches).mean((1, 2))).std()
    half = Deflicker(DeflickerConfig(strength=0.5))
    after = np.diff(planes_of(list(half(batches))).mean((1, 2))).std()
    assert 0.4 < after / before < 0.6


def test_a_gain_of_one_side_only_is_found_by_the_grid() -> None:
    ramp = np.linspace(0, 1, 128)[None]
    batches = repaired(film([scene() * (1 + (g - 1) * ramp) for g in GAINS]))
    before = planes_of(batches)
    parts = {}
    for name, grid in (("whole", (1, 1)), ("parts", (6, 8))):
        config = DeflickerConfig(strength=1.0, rows=grid[0], columns=grid[1])
        parts[name] = planes_of(list(Deflicker(config)(batches)))

    def flicker(planes: np.ndarray) -> float:
        return float(np.diff(planes[:, :, -24:].mean((1, 2))).std())

    assert flicker(parts["parts"]) < 0.3 * flicker(before)
    assert flicker(parts["parts"]) < 0.6 * flicker(parts["whole"])


def test_a_fade_survives() -> None:
    fade = [scene() * (1 - 0.6 * i / 59) for i in range(60)]
    batches = repaired(film(fade))
    after = planes_of(list(Deflicker(DeflickerConfig(strength=1.0))(batches))).mean((1, 2))
    before = planes_of(batches).mean((1, 2))
    assert np.abs(after - before).max() < 1.5


def test_a_film_without_flicker_keeps_every_code() -> None:
    batches = repaired(film([scene()] * 8))
    after = list(Deflicker(DeflickerConfig(strength=1.0))(batches))
    assert np.array_equal(planes_of(after), planes_of(batches))


def test_batches_change_nothing_and_cuts_are_not_crossed() -> None:
    first = [scene() * g for g in GAINS[:20]]
    second = [(255 - scene()) * g for g in GAINS[20:]]
    level = Deflicker(DeflickerConfig(strength=1.0, slow_frames=2.0))

    def run(batch: int) -> np.ndarray:
        cut = film(second, batch=batch, shot=1)
        cut = [replace(one, index=one.index + 20) for one in cut]
        return planes_of(list(level(repaired(film(first, batch=batch) + cut))))

    one = run(1)
    assert np.array_equal(one, run(7))
    alone = planes_of(list(level(repaired(film(first, batch=3)))))
    assert np.array_equal(one[:20], alone)


def test_ten_bits_stay_ten_bits() -> None:
    batches = repaired(film([4 * scene() * g for g in GAINS], bits=10))
    after = list(Deflicker(DeflickerConfig(strength=1.0))(batches))
    assert after[0].frames.luma.dtype == torch.int16
    means = planes_of(after).mean((1, 2))
    assert np.diff(means).std() < 0.15 * np.diff(planes_of(batches).mean((1, 2))).std()
    assert after[0].changed[0] == 96 * 128


@pytest.mark.parametrize("gain", [0.87, 1.0, 1.15])
def test_tones_stay_in_order_and_white_stays_white(gain: float) -> None:
    tones = np.linspace(0, 1, 1001, dtype=np.float32)
    out = _toned(tones, np.float32(gain))
    assert out[0] == 0
    assert out[-1] == pytest.approx(1, abs=1e-6)
    assert (np.diff(out) > -1e-7).all()
    assert out[300] == pytest.approx(0.3 * gain, abs=1e-6)


def test_off_is_the_same_objects() -> None:
    batches = repaired(film([scene()] * 3))
    assert list(NoDeflicker()(batches)) == batches


@pytest.mark.parametrize("wrong", [{"strength": 2}, {"slow_frames": 0}, {"rows": 0}])
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        DeflickerConfig(**wrong)  # type: ignore[arg-type]
