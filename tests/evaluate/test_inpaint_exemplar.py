"""Completion by example: textures it must continue, and what it must leave alone."""

import cv2
import numpy as np
import pytest

from vidcolor.errors import ConfigError
from vidcolor.evaluate.inpaint.exemplar import Exemplar, ExemplarConfig
from vidcolor.evaluate.inpaint.patchmatch import Patches, sources


def rectangle(size, rows, columns):
    hole = np.zeros(size, np.bool_)
    hole[slice(*rows), slice(*columns)] = True
    return hole


def tiled(tile, size):
    counts = (-(-size[0] // tile.shape[0]), -(-size[1] // tile.shape[1]), 1)
    return np.ascontiguousarray(np.tile(tile, counts)[: size[0], : size[1]])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_periodic_texture_is_continued_exactly(channels):
    rng = np.random.default_rng(3)
    tile = rng.integers(0, 256, (8, 8, channels)).astype(np.float32) / np.float32(255)
    truth = tiled(tile, (96, 96))
    hole = rectangle((96, 96), (40, 54), (30, 47))
    damaged = np.where(hole[..., None], np.float32(0), truth)
    filled = Exemplar()(damaged, hole)
    assert np.array_equal(np.rint(filled * 255), np.rint(truth * 255))


def test_stripes_are_continued_to_the_border():
    truth = tiled(np.linspace(0, 1, 6, dtype=np.float32).reshape(6, 1, 1), (72, 72))
    hole = rectangle((72, 72), (20, 50), (60, 72))
    filled = Exemplar()(np.where(hole[..., None], np.float32(1), truth), hole)
    assert np.array_equal(np.rint(filled * 255), np.rint(truth * 255))


def test_a_flat_picture_stays_flat():
    truth = np.full((50, 71, 3), 0.3, np.float32)
    hole = rectangle((50, 71), (0, 30), (10, 71))
    filled = Exemplar()(np.where(hole[..., None], np.float32(0.9), truth), hole)
    assert np.abs(filled - 0.3).max() < 1e-6


def test_what_lies_in_the_hole_does_not_matter_and_the_rest_stays():
    rng = np.random.default_rng(1)
    truth = rng.uniform(0, 1, (64, 64, 1)).astype(np.float32)
    hole = rectangle((64, 64), (10, 30), (20, 50))
    first = Exemplar()(np.where(hole[..., None], np.float32(0), truth), hole)
    second = Exemplar()(np.where(hole[..., None], np.float32(np.nan), truth), hole)
    assert np.array_equal(first, second)
    assert np.array_equal(first[~hole], truth[~hole])
    other = Exemplar(ExemplarConfig(seed=1))(truth, hole)
    assert not np.array_equal(first, other)


def test_fragments_without_a_whole_patch_are_filled_by_smaller_ones():
    truth = np.full((64, 64, 1), 0.5, np.float32)
    hole = np.ones((64, 64), np.bool_)
    hole[::4, ::4] = False  # no 3x3 patch is whole
    filled = Exemplar()(np.where(hole[..., None], np.float32(0), truth), hole)
    assert np.abs(filled - 0.5).max() < 1e-6
    assert np.array_equal(Exemplar()(truth, np.zeros((64, 64), np.bool_)), truth)


def test_whole_patches_are_those_without_a_cell_of_the_hole():
    hole = rectangle((6, 7), (2, 3), (5, 6))
    expected = [[not hole[y : y + 3, x : x + 3].any() for x in range(5)] for y in range(4)]
    assert sources(hole, 3).tolist() == expected
    assert sources(hole, 9).size == 0


def test_the_search_comes_near_the_best_matches():
    rng = np.random.default_rng(2)
    image = cv2.GaussianBlur(rng.uniform(0, 1, (40, 40)).astype(np.float32), (0, 0), 1.5)[..., None]
    hole = rectangle((40, 40), (12, 22), (15, 25))
    patches = Patches(image, hole, 5, np.random.default_rng(0))
    before = patches.match[patches.targets].copy()
    patches.search(12)
    windows = np.lib.stride_tricks.sliding_window_view(image[..., 0], (5, 5)).reshape(-1, 25)
    deep = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    trust = np.maximum(2.0**-deep, 0.05)
    weights = np.lib.stride_tricks.sliding_window_view(trust, (5, 5)).reshape(-1, 25)
    whole = np.flatnonzero(sources(hole, 5))

    def cost(target, place):
        weight = weights[target] / weights[target].sum()
        return float((weight * (windows[place] - windows[target]) ** 2).sum())

    found = best = random = 0.0
    for number, target in enumerate(patches.targets):
        assert patches.match[target] in whole
        found += cost(target, patches.match[target])
        random += cost(target, before[number])
        best += min(cost(target, place) for place in whole)
    assert best <= found < 1.25 * best
    assert found < 0.1 * random


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch": 4}, "patch must be odd, 3 to 31, not 4"),
        ({"patch": 9, "coarsest": 16}, "coarsest must be at least 2 patches, 18"),
        ({"rounds": 0}, "rounds must be 1 or more"),
        ({"sharpness": -1.0}, "sharpness must be 0 or more"),
        ({"seed": -1}, "seed must be 0 or more"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ConfigError, match=message):
        ExemplarConfig(**settings)
