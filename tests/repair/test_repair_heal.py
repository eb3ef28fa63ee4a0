"""Healing: what comes from other frames, what is made up, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_wounds import SIZE, TYPES, batches, damaged, moving, spot, texture

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.repair.heal.fill import TeleaFill
from vidcolor.repair.heal.healer import Heal, HealConfig
from vidcolor.repair.records import Repaired, union

PLAIN = HealConfig(grain=False)


class Counted:
    """A fill that gives one value and remembers which holes it was asked for."""

    def __init__(self, value: float = 77.0) -> None:
        self.value = value
        self.holes: list[np.ndarray] = []

    def __call__(self, gray: np.ndarray, hole: np.ndarray, /) -> np.ndarray:
        self.holes.append(hole.copy())
        return np.where(hole, np.float32(self.value), gray)


class Refusing:
    """No hole is to come here."""

    def __call__(self, gray: np.ndarray, hole: np.ndarray, /) -> np.ndarray:
        raise AssertionError(f"{np.count_nonzero(hole)} pixels were left to the fill")


def planes(results: list[Repaired]) -> np.ndarray:
    return np.concatenate([one.frames.luma[:, 0].numpy() for one in results])


def heal(marked, fill=None, config: HealConfig = PLAIN) -> np.ndarray:
    return planes(list(Heal(config, fill or Refusing())(marked)))


@pytest.mark.parametrize("number", [0, 3, 6])
def test_a_scene_that_slides_by_whole_pixels_comes_back_exactly(number):
    clean = moving(7)
    spots = {number: [spot(30, 40, 6, 7), spot(50, 20, 3, 3)]}
    healed = heal(batches(damaged(clean, spots), spots))
    np.testing.assert_array_equal(healed, clean)


def test_a_hole_in_a_corner_is_filled_from_the_side_that_shows_it():
    clean = moving(7)
    spots = {3: [spot(0, 0, 4, 5), spot(SIZE[0] - 4, SIZE[1] - 5, 4, 5)]}
    healed = heal(batches(damaged(clean, spots), spots))
    np.testing.assert_array_equal(healed, clean)


def test_flow_under_a_hole_is_not_believed():
    clean = moving(5)
    spots = {2: [spot(30, 40, 8, 8)]}
    (marked,) = batches(damaged(clean, spots), spots)
    for n in (2, 3):
        one = marked.moved.links[n]
        assert one is not None
        (one.back if n == 2 else one.onward)[29:39, 39:49] = 9.0
    np.testing.assert_array_equal(heal([marked]), clean)


def test_damage_of_a_neighbor_is_no_source():
    clean = moving(5, (0, 0))
    # both neighbors are damaged at the place, in frame 1 a person has yet to say so
    spots = {
        1: [spot(30, 40, 6, 6, state="review")],
        2: [spot(30, 40, 6, 6)],
        3: [spot(28, 38, 12, 12)],
    }
    healed = heal(batches(damaged(clean, spots), spots, step=(0, 0)))
    np.testing.assert_array_equal(healed[2], clean[2])
    np.testing.assert_array_equal(healed[3], clean[3])
    assert (healed[1][30:36, 40:46] == 255).all()  # in review: left as it is


def test_light_that_differs_is_matched():
    clean = moving(3, (0, 0)).astype(np.float32)
    gains = np.array([0.9, 1.0, 0.9], np.float32)[:, None, None]
    lit = np.rint(clean * gains + np.array([6, 0, 6], np.float32)[:, None, None]).astype(np.uint8)
    spots = {1: [spot(30, 40, 8, 8)]}
    healed = heal(batches(damaged(lit, spots), spots, step=(0, 0)))
    assert np.abs(healed[1].astype(int) - lit[1])[30:38, 40:48].max() <= 3
    assert np.abs(lit[0].astype(int) - lit[1])[30:38, 40:48].max() >= 5


def test_light_that_differs_from_side_to_side_leaves_no_seam():
    clean = moving(2, (0, 0)).astype(np.float32) * 0.7
    slope = np.arange(SIZE[1], dtype=np.float32) * 0.8
    lit = np.rint(np.stack([clean[0] + slope, clean[0] + 34])).astype(np.uint8)
    spots = {1: [spot(20, 30, 30, 24)]}  # 10 cv too dark on one side, 9 too bright on the other
    healed = heal(batches(damaged(lit, spots), spots, step=(0, 0)))
    error = np.abs(healed[1].astype(int) - lit[1])[20:50, 30:54]
    assert error.mean() < 4.8 / 2  # 4.8 is what is left when only the mean is matched
    assert error[:, [0, -1]].mean() < 3


@pytest.mark.parametrize(("bits", "full"), [(8, True), (8, False), (10, False), (16, True)])
def test_outside_of_holes_every_code_stays(bits, full):
    rng = np.random.default_rng(bits)
    codes = rng.integers(0, 1 << bits, (4, *SIZE)).astype(TYPES[bits])
    spots = {n: [spot(10 + 5 * n, 20, 5, 9), spot(0, 60 + n, SIZE[0], 2)] for n in range(4)}
    config = HealConfig()
    results = list(Heal(config, TeleaFill())(batches(codes, spots, bits=bits, full=full)))
    healed = planes(results)
    holes = np.stack([union(spots[n], SIZE) for n in range(4)])
    np.testing.assert_array_equal(healed[~holes], codes[~holes])
    assert (healed[holes] != codes[holes]).mean() > 0.9
    assert healed.min() >= 0
    assert healed.max() < 1 << bits
    assert healed.dtype == codes.dtype
    assert [n for one in results for n in one.changed] == [int(hole.sum()) for hole in holes]


def test_a_repair_keeps_to_the_range_of_the_film():
    clean = np.full((1, *SIZE), 16, np.uint8)
    clean[:, :, 48:] = 235
    spots = {0: [spot(20, 44, 8, 8)]}

    class Wild:
        def __call__(self, gray, hole, /):
            return np.where(hole, np.where(np.arange(SIZE[1]) < 48, -50.0, 400.0), gray)

    healed = heal(batches(clean, spots, full=False), Wild())
    np.testing.assert_array_equal(healed, clean)
    brighter = clean.copy()
    brighter[:, 18, 46:50] = 250  # beside the hole the film itself goes beyond
    assert heal(batches(brighter, spots, full=False), Wild())[0, 22, 50] == 250


def test_frames_without_damage_are_the_tensors_that_came():
    clean = moving(4)
    spots = {0: [spot(5, 5, 4, 4, state="rejected")], 1: [spot(5, 5, 4, 4, state="review")]}
    (marked,) = batches(clean, spots)
    (result,) = Heal(PLAIN, Refusing())([marked])
    assert result.frames is marked.frames
    assert result.changed == (0, 0, 0, 0)


def test_strength_says_how_much():
    clean = moving(3)
    spots = {1: [spot(30, 40, 6, 6)]}
    codes = damaged(clean, spots)
    (marked,) = batches(codes, spots)
    (nothing,) = Heal(HealConfig(strength=0.0), Refusing())([marked])
    assert nothing.frames is marked.frames
    half = heal([marked], config=HealConfig(strength=0.5, grain=False))
    place = np.s_[1, 30:36, 40:46]
    wanted = np.rint((codes[place].astype(float) + clean[place]) / 2)
    np.testing.assert_array_equal(half[place], wanted)


def test_nothing_is_taken_from_beyond_a_cut():
    dark, light = np.full((2, *SIZE), 50, np.uint8), np.full((2, *SIZE), 200, np.uint8)
    first = list(batches(light, {1: [spot(20, 20, 5, 5)]}, step=(0, 0)))
    second = list(batches(damaged(dark, {0: [spot(40, 40, 5, 5)]}), {0: [spot(40, 40, 5, 5)]},
                          step=(0, 0), shot=1, first=2))  # fmt: skip
    healed = heal([*first, *second])
    assert (healed[2] == 50).all()
    # alone in its shot, a frame has nobody to ask
    fill = Counted()
    alone = list(batches(dark[:1], {0: [spot(40, 40, 9, 9)]}, shot=1, first=2))
    assert heal([*first, *alone], fill)[2, 44, 44] == 77
    assert len(fill.holes) == 1


def test_how_frames_are_batched_does_not_matter():
    clean = moving(9)
    spots = {n: [spot(20 + n, 30, 6, 8), spot(0, 70, SIZE[0], 2, kind="scratch")] for n in range(9)}
    codes = damaged(clean, spots)
    whole = heal(batches(codes, spots), TeleaFill(), HealConfig())
    for size in (1, 2, 4):
        part = heal(batches(codes, spots, size=size), TeleaFill(), HealConfig())
        np.testing.assert_array_equal(part, whole)


def test_a_repeated_frame_is_repaired_once():
    rng = np.random.default_rng(5)
    clean = np.clip(moving(5).astype(int) + rng.integers(-6, 7, (5, *SIZE)), 0, 255)
    clean = clean.astype(np.uint8)
    codes = clean[[0, 1, 2, 2, 3, 4]]
    spots = {2: [spot(30, 40, 7, 7)], 3: [spot(30, 40, 7, 7)]}
    codes = damaged(codes, spots)
    healed = heal(batches(codes, spots, same=(3,)), TeleaFill(), HealConfig())
    np.testing.assert_array_equal(healed[2], healed[3])
    assert not (healed[2] == codes[2]).all()


def test_a_repeat_without_the_damage_shows_what_was_there():
    clean = np.stack([texture(SIZE, seed) for seed in (0, 1, 1, 2)])  # nothing in common
    spots = {2: [spot(30, 40, 9, 9)]}
    healed = heal(batches(damaged(clean, spots), spots, step=(0, 0), same=(2,)))
    np.testing.assert_array_equal(healed, clean)


def test_a_scratch_on_a_still_picture_is_made_up_once_and_does_not_boil():
    clean = np.repeat(texture(SIZE)[None] // 4, 6, axis=0)
    clean[:, :, 51:] += 160  # so steep that nobody interpolates across
    spots = {n: [spot(0, 50, SIZE[0], 3, kind="scratch")] for n in range(6)}
    fill = Counted()
    config = HealConfig(grain=False, shine_through=False)
    healed = heal(batches(damaged(clean, spots), spots, step=(0, 0)), fill, config)
    assert [int(hole.sum()) for hole in fill.holes] == [SIZE[0] * 3]
    assert (healed[:, :, 50:53] != 255).all()
    # what is matched to the same light again stays within rounding
    assert np.abs(healed[1:].astype(int) - healed[:1]).max() <= 1


def test_a_scene_that_slides_out_from_under_a_scratch_is_seen():
    clean = moving(7, (4, 0))
    spots = {n: [spot(0, 50, SIZE[0], 3, kind="scratch")] for n in range(7)}
    healed = heal(batches(damaged(clean, spots), spots, step=(4, 0)))
    np.testing.assert_array_equal(healed, clean)


def test_a_hole_of_the_whole_frame_is_refused():
    codes = moving(1)
    everything = {0: [spot(0, 0, *SIZE, kind="user")]}
    with pytest.raises(GuidanceError, match="covers the whole picture"):
        heal(batches(codes, everything), TeleaFill())


def test_grain_is_the_same_every_time_and_another_in_every_frame():
    rng = np.random.default_rng(0)
    codes = np.rint(120 + rng.normal(0, 6, (5, *SIZE))).astype(np.uint8)
    spots = {n: [spot(20, 30, 24, 24)] for n in range(5)}  # nobody shows what is behind
    marked = list(batches(codes, spots, step=(0, 0)))
    once, again = (heal(marked, Counted(120), HealConfig()) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    patches = once[2:4, 20:44, 30:54].astype(float)
    assert patches.std() == pytest.approx(6, rel=0.25)
    assert np.abs(patches[0] - patches[1]).std() > 3
    smooth = heal(marked, Counted(120), PLAIN)[2, 20:44, 30:54].astype(float)
    assert smooth.std() < 1.5


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="strength"):
        HealConfig(strength=1.5)
    with pytest.raises(ConfigError, match="near_frames"):
        HealConfig(near_frames=0)
    with pytest.raises(ConfigError, match="far_frames"):
        HealConfig(near_frames=5, far_frames=4)


def test_chroma_and_all_else_stay():
    spots = {0: [spot(10, 10, 4, 4)]}
    (marked,) = batches(moving(2), spots)
    (result,) = Heal(PLAIN, Refusing())([marked])
    assert result.frames.pts == marked.frames.pts
    assert result.frames.info is marked.frames.info
    assert torch.equal(result.frames.luma[1], marked.frames.luma[1])
    assert result.frames.luma is not marked.frames.luma
