"""Every fast path against the slow one that is the reference, on the clip that ships.

Bounds, as in docs/performance.md, are of the mean CIEDE2000 over the network's picture.
"""

import functools
from dataclasses import replace

import numpy as np
import pytest
import skimage.color
import torch

from vidcolor.api import make_config
from vidcolor.build import build_line
from vidcolor.io.video import VideoReader
from vidcolor.records import FrameBatch

EXAMPLE = "examples/example.mp4"
SECONDS = 0.9
REFERENCE = {
    "precision": "float32",
    "cadence": {"cadence": "every"},
    "stabilize": {"flow": "medium"},
    "cut": {"held": False},
}
FAST = {
    "precision": ({"precision": "bfloat16"}, 0.1),
    "float16": ({"precision": "float16"}, 0.1),
    "cadence": ({"cadence": {"cadence": "auto"}}, 0.5),
    "flow": ({"stabilize": {"flow": "balanced"}}, 0.25),
    "all": (
        {
            "precision": "bfloat16",
            "cadence": {"cadence": "auto"},
            "stabilize": {"flow": "balanced"},
            "cut": {"held": True},
        },
        0.5,
    ),
}


@functools.cache
def reference() -> np.ndarray:
    return lab(REFERENCE)


def lab(settings: dict, threads: bool = True, twos: bool = False) -> np.ndarray:
    """(N, h, w, 3) L*a*b* at the end of the line; on `twos` every frame comes twice."""
    config = make_config(**{"device": "cpu", "input": {"duration": SECONDS}} | settings)
    line = build_line(config)
    with VideoReader(EXAMPLE, config.input) as reader:
        frames = map(doubled, reader) if twos else iter(reader)
        if threads:
            batches = list(line(frames))
        else:
            batches = list(line.color(line.follow(line.shots(frames))))
    chroma = [torch.cat((one.chroma.lightness, one.chroma.ab), 1) for one in batches]
    return torch.cat(chroma).permute(0, 2, 3, 1).double().numpy()


def doubled(batch: FrameBatch) -> FrameBatch:
    """Drawn on twos."""
    times = tuple(2 * pts + late for pts in batch.pts for late in (0, 1))
    luma = batch.luma.repeat_interleave(2, 0)
    return replace(batch, luma=luma, pts=times, index=2 * batch.index, start=2 * batch.start)


@pytest.mark.parametrize("path", FAST)
def test_fast_path_stays_near_the_reference(path, monkeypatch, request) -> None:
    monkeypatch.chdir(request.config.rootpath)
    changed, bound = FAST[path]
    found = lab(REFERENCE | changed)
    assert np.abs(reference()[..., 1:]).mean() > 2  # there is color to be wrong about
    assert found.shape == reference().shape
    away = skimage.color.deltaE_ciede2000(found, reference())
    assert away.mean() < bound
    assert away.mean((1, 2)).max() < 2 * bound  # nor does any frame fall out of line


def test_held_frames_are_copies_near_what_they_would_be(monkeypatch, request) -> None:
    monkeypatch.chdir(request.config.rootpath)
    held = lab(REFERENCE | {"cut": {"held": True}}, twos=True)
    np.testing.assert_array_equal(held[::2], held[1::2])
    seen = lab(REFERENCE, twos=True)
    assert not np.array_equal(seen[::2], seen[1::2])
    # the stabilizer looks at as many pictures, which are twice as long
    assert skimage.color.deltaE_ciede2000(held, seen).mean() < 0.5


def test_threads_change_no_bit(monkeypatch, request) -> None:
    monkeypatch.chdir(request.config.rootpath)
    many, before = lab({}), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = lab({}, threads=False)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize("size", [3, 16, 40])
def test_batches_change_little(size, monkeypatch, request) -> None:
    monkeypatch.chdir(request.config.rootpath)
    found = lab(REFERENCE | {"input": {"duration": SECONDS, "batch_size": size}})
    np.testing.assert_allclose(found, reference(), atol=2e-3)
