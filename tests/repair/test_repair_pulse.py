"""How much a film flickers and shakes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vidcolor.records import ColorSpec, FrameBatch, VideoInfo
from vidcolor.repair.pulse import Pulse
from vidcolor.repair.records import Link, Marked, Moved, Repaired

SIZE = (40, 60)


def film(light: np.ndarray, steps: np.ndarray, shot: int = 0) -> Repaired:
    """Flat frames of some light, whose background goes by some steps on a grid of half the size."""
    luma = np.broadcast_to(np.rint(light)[:, None, None, None], (len(light), 1, *SIZE))
    info = VideoInfo(*SIZE, color=ColorSpec(full_range=True))
    frames = FrameBatch(
        torch.from_numpy(luma.astype(np.uint8)), tuple(range(len(light))), info, shot=shot
    )
    links: list[Link | None] = []
    for step in steps:
        back = np.broadcast_to(-np.float32(step) / 2, (20, 30, 2)).copy()
        links.append(Link(back, -back))
    links[0] = None
    marked = Marked(Moved(frames, tuple(links)), ((),) * len(light))
    return Repaired(frames, marked, (0,) * len(light))


def pulse(*films: Repaired) -> Pulse:
    found = Pulse()
    for one in films:
        found.add(one)
    return found


STILL = np.zeros((40, 2))


def test_a_steady_film_and_a_steady_pan_have_none() -> None:
    pan = np.tile((3.0, -1.0), (40, 1))
    found = pulse(film(np.full(40, 100.0), pan))
    assert found.flicker() == pytest.approx(0)
    assert found.weave() == pytest.approx(0, abs=1e-6)


def test_a_frame_in_ten_that_is_brighter() -> None:
    light = np.full(40, 100.0)
    light[5::10] = 110
    # 4 of 40 frames 10 % brighter: sqrt(.1 * .9) of it
    assert pulse(film(light, STILL)).flicker() == pytest.approx(3.0)


def test_a_fade_is_no_flicker() -> None:
    assert pulse(film(np.linspace(200, 121, 80), np.zeros((80, 2)))).flicker() < 0.3


def test_weave_is_the_deviation_of_the_place() -> None:
    places = np.random.default_rng(0).normal(0, 2, (4000, 2))
    steps = np.diff(places, axis=0, prepend=0)
    assert pulse(film(np.full(4000, 100.0), steps)).weave() == pytest.approx(2, rel=0.2)


def test_shots_are_seen_apart_and_batches_together() -> None:
    dark, bright = np.full(20, 50.0), np.full(20, 200.0)
    first, second = film(dark, STILL[:20]), film(bright, STILL[:20], shot=1)
    assert pulse(first, second).flicker() == pytest.approx(0)
    light = np.full(40, 100.0)
    light[5::10] = 110
    whole = film(light, STILL)
    parts = []
    for start in (0, 20):
        part = slice(start, start + 20)
        moved = Moved(whole.frames[part], whole.marked.moved.links[part])
        parts.append(replace(
            whole, frames=whole.frames[part], marked=Marked(moved, ((),) * 20), changed=(0,) * 20
        ))  # fmt: skip
    assert pulse(*parts).flicker() == pytest.approx(pulse(whole).flicker())


def test_a_few_frames_tell_nothing() -> None:
    found = pulse(film(np.array((10.0, 200.0, 10.0)), STILL[:3]))
    assert (found.flicker(), found.weave()) == (0, 0)
