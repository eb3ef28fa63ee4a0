import dataclasses
import functools
import itertools
import logging
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidcolor.color.lab import rgb_to_lab
from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.guidance.layers import LayerStore
from vidcolor.guidance.moment import FrameTimes
from vidcolor.guidance.references.entries import Reference, ReferenceEntry
from vidcolor.guidance.references.solve import ReferencesConfig, solve_references
from vidcolor.io.image import still_frame
from vidcolor.models.weights import load_model
from vidcolor.records import FrameBatch, VideoInfo

SIZE = (96, 160)
QUICK = ReferencesConfig(short_side=96)


@functools.cache
def _model():
    return load_model("starter")[0].eval()


@functools.cache
def _world(seed):
    """(96, 400, 3) uint8: a colored ground with shapes on it, nowhere alike."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(60, 190, (5, 20, 3)).astype(np.float32)
    world = cv2.resize(small, (400, 96), interpolation=cv2.INTER_CUBIC).clip(20, 235)
    world = np.ascontiguousarray(world.astype(np.uint8))
    for _ in range(60):
        center = (int(rng.integers(0, 400)), int(rng.integers(0, 96)))
        color = tuple(int(v) for v in rng.integers(30, 225, 3))
        cv2.circle(world, center, int(rng.integers(4, 12)), color, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(world, (0, 0), 1)


def _pan(seed, count, speed=2, start=0):
    return [_world(seed)[:, start + speed * i : start + speed * i + 160] for i in range(count)]


def _shots(*shots, size=5, held=()):
    """Batches of shots of RGB frames."""
    index = 0
    info = VideoInfo(*SIZE)
    for number, frames in enumerate(shots):
        luma = torch.cat([still_frame(frame).luma for frame in frames])
        spec = still_frame(frames[0]).info.color
        for i in range(0, len(frames), size):
            part = slice(i, min(i + size, len(frames)))
            times = tuple(10 * (index + k) for k in range(part.start, part.stop))
            marks = torch.tensor([k in held for k in range(part.start, part.stop)])
            yield FrameBatch(
                luma[part], times, dataclasses.replace(info, color=spec),
                index + i, number, i, marks,
            )  # fmt: skip
        index += len(frames)


def _times(count):
    return FrameTimes(tuple(10 * i for i in range(count)), Fraction(1, 100))


def _solve(shots, entries, times=None, config=QUICK):
    """Layers by pts of references given as (picture, settings)."""
    references = [
        Reference(ReferenceEntry("x.png", **settings), Path("x.png"), picture)
        for picture, settings in entries
    ]
    with LayerStore() as store:
        solve_references(shots, references, _model(), config, store, times)
        return {pts: store.get(pts) for pts in range(0, 1000, 10) if pts in store}


def _ab(rgb):
    planes = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None].float() / 255
    return rgb_to_lab(planes)[0, 1:].numpy()


def _error(layer, rgb):
    """Mean distance in a*b* where gray stands in for what is not known."""
    return float(np.linalg.norm((layer.ab * layer.weight)[0].numpy() - _ab(rgb), axis=0).mean())


def test_a_frame_colors_its_shot_both_ways():
    frames = _pan(0, 7)
    layers = _solve(_shots(frames), [(frames[3], {"frame": 3})], _times(7))
    plain = [float(np.linalg.norm(_ab(frame), axis=0).mean()) for frame in frames]
    for i, frame in enumerate(frames):
        assert _error(layers[10 * i], frame) < 0.25 * plain[i]
    assert _error(layers[30], frames[3]) < 0.2
    assert float(layers[30].weight.min()) == 1


def test_the_way_back_is_as_good_as_the_way_on():
    frames = _pan(0, 5, speed=6)
    on = _solve(_shots(frames), [(frames[0], {"frame": 0})], _times(5))
    back = _solve(_shots(frames[::-1]), [(frames[0], {"frame": 4})], _times(5))
    for i in range(1, 5):
        wanted = _error(on[10 * i], frames[i])
        assert _error(back[10 * (4 - i)], frames[i]) == pytest.approx(wanted, rel=0.15, abs=0.1)


def test_a_plain_picture_is_recognized():
    frames = _pan(0, 6)
    said = _solve(_shots(frames), [(frames[5], {"frame": 5})], _times(6))
    found = _solve(_shots(frames), [(frames[5], {})])
    assert _error(found[50], frames[5]) < 0.2
    assert abs(_error(found[0], frames[0]) - _error(said[0], frames[0])) < 0.5


@pytest.mark.parametrize("contrast", [0.02, 1.0])
def test_fog_is_not_recognized(caplog, contrast):
    """Two pictures without contrast are near each other and yet not the same."""
    gray = [(120 + contrast * (_world(seed)[:, :160] - 120.0)).astype(np.uint8) for seed in (0, 1)]
    with caplog.at_level(logging.INFO):
        _solve(_shots([gray[0]]), [(gray[1], {})])
    assert "recognized" not in caplog.text


def test_another_scene_says_nothing():
    frames, foreign = _pan(0, 4), _pan(1, 1)[0]
    layers = _solve(_shots(frames), [(foreign, {})])
    assert sum(float(layer.weight.mean()) for layer in layers.values()) < 0.05 * len(frames)


def test_another_scene_does_not_disturb():
    frames, foreign = _pan(0, 5), _pan(1, 1)[0]
    alone = _solve(_shots(frames), [(frames[0], {})])
    both = _solve(_shots(frames), [(foreign, {}), (frames[0], {})])
    for i, frame in enumerate(frames):
        assert _error(both[10 * i], frame) < _error(alone[10 * i], frame) + 0.5


def test_order_of_references_is_nothing():
    frames = _pan(0, 3, speed=4)
    given = [(frames[0], {"frame": 0}), (frames[2], {"frame": 2})]
    first = _solve(_shots(frames), given, _times(3))
    second = _solve(_shots(frames), given[::-1], _times(3))
    for pts, layer in first.items():
        assert float((layer.ab - second[pts].ab).abs().mean()) < 0.3


def test_no_seam_between_two_keyframes():
    frames = _pan(0, 7)
    given = [(frames[0], {"frame": 0}), (frames[6], {"frame": 6})]
    layers = _solve(_shots(frames), given, _times(7))
    errors = [_error(layers[10 * i], frame) for i, frame in enumerate(frames)]
    assert max(errors) < 3.5
    assert max(abs(a - b) for a, b in itertools.pairwise(errors)) < 1.5


def test_batch_size_changes_nothing():
    frames = _pan(0, 4)
    given = [(frames[2], {"frame": 2})]
    one = _solve(_shots(frames, size=1), given, _times(4))
    all_ = _solve(_shots(frames, size=4), given, _times(4))
    assert one.keys() == all_.keys()
    for pts, layer in one.items():
        torch.testing.assert_close(layer.ab, all_[pts].ab, atol=0, rtol=0)
        torch.testing.assert_close(layer.weight, all_[pts].weight, atol=0, rtol=0)


def test_nothing_crosses_a_cut():
    first, second = _pan(0, 3), _pan(1, 3)
    given = [(first[0], {}), (second[2], {})]
    film = _solve(_shots(first, second), given)
    alone = _solve(_shots(second), given)
    for i in range(3):
        torch.testing.assert_close(film[30 + 10 * i].ab, alone[10 * i].ab, atol=0, rtol=0)


def test_held_frames_get_the_layer_that_they_repeat():
    frames = _pan(0, 4)
    frames = [frames[0], frames[0], frames[1], frames[1], frames[1], frames[2]]
    given = [(frames[5], {"frame": 5})]
    layers = _solve(_shots(frames, size=3, held=(1, 3, 4)), given, _times(6))
    for pts, like in ((10, 0), (30, 20), (40, 20)):
        torch.testing.assert_close(layers[pts].ab, layers[like].ab, atol=0, rtol=0)
    assert _error(layers[40], frames[4]) < 3


def test_shots_and_strength():
    first, second = _pan(0, 3), _pan(1, 3)
    layers = _solve(_shots(first, second), [(first[0], {"shots": (1,)})])
    assert not any(pts in layers for pts in (0, 10, 20))
    half = _solve(_shots(first), [(first[0], {"strength": 0.5})])
    assert float(half[0].weight.max()) == pytest.approx(0.5, abs=0.01)
    assert float(half[20].weight.max()) <= 0.51
    assert not _solve(_shots(first), [(first[0], {"strength": 0.0})])


def test_a_picture_of_another_shot_changes_nothing():
    first, second = _pan(1, 5), _pan(2, 5)
    alone = _solve(_shots(first, second), [(first[2], {"shots": (0,)})])
    both = _solve(
        _shots(first, second), [(first[2], {"shots": (0,)}), (second[2], {"shots": (1,)})]
    )
    for pts in range(0, 50, 10):
        assert torch.equal(alone[pts].ab, both[pts].ab)
        assert torch.equal(alone[pts].weight, both[pts].weight)


def test_statistics_reach_where_nothing_matches():
    frames, foreign = _pan(0, 2), _pan(1, 1)[0]
    layers = _solve(_shots(frames), [(foreign, {"method": "statistics", "strength": 0.6})])
    assert len(layers) == 2
    for layer in layers.values():
        np.testing.assert_allclose(layer.weight.numpy(), 0.6, atol=0.01)
        low, high = _ab(foreign).min(), _ab(foreign).max()
        assert low - 1 <= float(layer.ab.min())
        assert float(layer.ab.max()) <= high + 1


def test_a_picture_that_is_not_the_frame_is_only_matched(caplog):
    frames, foreign = _pan(0, 3), _pan(1, 1)[0]
    bright = np.clip(foreign.astype(int) + 60, 0, 255).astype(np.uint8)
    with caplog.at_level(logging.WARNING):
        layers = _solve(_shots(frames), [(bright, {"frame": 1})], _times(3))
    assert "does not look like the frame" in caplog.text
    assert sum(float(layer.weight.mean()) for layer in layers.values()) < 0.15


def test_places_outside_the_film_are_refused():
    frames = _pan(0, 2)
    with pytest.raises(GuidanceError, match=r"reference x\.png.*frame 7"):
        _solve(_shots(frames), [(frames[0], {"frame": 7})], _times(2))


def test_turned_films_get_turned_layers():
    frames = _pan(0, 2)
    shots = []
    for batch in _shots(frames):
        info = dataclasses.replace(batch.info, height=160, width=96, rotation=90)
        shots.append(dataclasses.replace(batch, luma=batch.luma.rot90(-1, (2, 3)), info=info))
    layers = _solve(shots, [(frames[0], {})])
    assert tuple(layers[0].ab.shape[2:]) == (160, 96)
    upright = torch.rot90(layers[0].ab, 1, (2, 3))
    assert float(np.abs(upright[0].numpy() - _ab(frames[0])).mean()) < 0.2


@pytest.mark.parametrize(
    "settings",
    [{"short_side": 100}, {"length": 0}, {"sure": 3.0}, {"scene_least": 0.5}, {"most_cells": 1}],
)
def test_settings_are_checked(settings):
    with pytest.raises(ConfigError):
        ReferencesConfig(**settings)
