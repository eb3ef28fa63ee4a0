import numpy as np
import pytest
import torch

from vidcolor.guidance.references.descriptors import Looks
from vidcolor.guidance.references.memory import Memory

CHANNELS = (5, 6, 7, 8)
TRUST = (1.0, 1.0, 1.0, 0.8)


def _maps(rng, size=(32, 64)):
    return tuple(
        torch.from_numpy(rng.normal(0, 2, (c, size[0] >> s, size[1] >> s)).astype(np.float32))
        for c, s in zip(CHANNELS, (2, 3, 4, 5), strict=True)
    )


def _lightness(rng, size=(32, 64)):
    return rng.uniform(20, 80, size).astype(np.float32)


def test_all_axes_keep_distances():
    """Turning moves nothing apart: with all axes kept, distances are those of the joined maps."""
    rng = np.random.default_rng(0)
    maps, plain = _maps(rng), np.full((32, 64), 50, np.float32)
    looks = Looks.of([(maps, plain)], sum(CHANNELS))(maps, plain).numpy().astype(np.float64)
    rows = []
    for values, trust in zip(maps, TRUST, strict=True):
        z = values.numpy().astype(np.float64)
        deviation = z.std((1, 2), ddof=1, keepdims=True) + 0.01
        z = (z - z.mean((1, 2), keepdims=True)) / deviation
        z *= trust / np.linalg.norm(z, axis=0)
        rows.append(z)
    # cells 0 and 17 of the first row at the finest map; bilinear weights are those of the centers
    joined = []
    for x in (0, 15):
        parts = []
        for level, z in enumerate(rows):
            at = np.clip((x + 0.5) / 2**level - 0.5, 0, z.shape[2] - 1)
            low = int(at)
            high = min(low + 1, z.shape[2] - 1)
            parts.append(z[:, 0, low] + (at - low) * (z[:, 0, high] - z[:, 0, low]))
        joined.append(np.concatenate(parts))
    expected = ((joined[0] - joined[1]) ** 2).sum()
    assert ((looks[0] - looks[15]) ** 2).sum() == pytest.approx(expected, rel=1e-4)


def test_light_tells_apart_what_the_network_does_not():
    rng = np.random.default_rng(1)
    maps = _maps(rng)
    dark, bright = np.full((32, 64), 30, np.float32), np.full((32, 64), 80, np.float32)
    describe = Looks.of([(maps, dark)], 8)
    apart = ((describe(maps, dark) - describe(maps, bright)) ** 2).sum(1).numpy()
    # three lightnesses differ by 50 / 25, weighted 2 / sqrt 6
    np.testing.assert_allclose(apart, 3 * (2 * 2 / np.sqrt(6)) ** 2, rtol=1e-4)


def _clusters(rng, count, dimensions=12):
    return torch.from_numpy(rng.normal(0, 3, (count, dimensions)).astype(np.float32))


def test_nearest_and_mean_color_by_brute_force():
    rng = np.random.default_rng(2)
    keys = _clusters(rng, 300)
    ab = torch.from_numpy(rng.normal(0, 20, (300, 2)).astype(np.float32))
    numbers = torch.arange(300) + 1000
    queries = keys[rng.permutation(300)[:64]] + 0.05 * _clusters(rng, 64)
    match = Memory.of(keys, ab, numbers, 300, k=3).match(queries, 8)
    every = ((queries[:, None] - keys[None]) ** 2).sum(2).numpy().astype(np.float64)
    searched = np.arange(64) % 2 == 0
    best = every.argmin(1)
    np.testing.assert_array_equal(match.cells[searched, 0], best[searched] + 1000)
    np.testing.assert_allclose(match.distance[searched], every.min(1)[searched], rtol=1e-3)
    # the others are far away: the mean is the best one's color, nobody disagrees
    np.testing.assert_allclose(match.ab[searched], ab.numpy()[best[searched]], atol=1e-2)
    assert match.doubt[searched].max() < 0.1


def test_columns_between_take_what_their_neighbors_found():
    rng = np.random.default_rng(3)
    keys = _clusters(rng, 50)
    queries = keys[:32].repeat_interleave(2, 0)  # pairs of columns alike
    match = Memory.of(keys, torch.zeros(50, 2), torch.arange(50), 50, k=4).match(queries, 16)
    np.testing.assert_array_equal(match.cells[:, 0], np.arange(32).repeat(2))
    np.testing.assert_allclose(match.distance, 0, atol=1e-4)


def test_disagreement_is_doubt():
    keys = torch.zeros(2, 4)
    ab = torch.tensor([[10.0, 0.0], [-10.0, 0.0]])
    match = Memory.of(keys, ab, torch.arange(2), 2).match(torch.zeros(4, 4), 2)
    np.testing.assert_allclose(match.ab[::2], 0, atol=1e-6)
    np.testing.assert_allclose(match.doubt[::2], 100, rtol=1e-5)


def test_what_both_neighbors_found_counts_once():
    keys = torch.tensor([[0.5], [0.4], [0.6], [9.0]])
    ab = torch.tensor([[9.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    # the left one finds cells 1 and 0 first, the right one 2 and 0
    queries = torch.tensor([[0.44], [0.5], [0.56], [0.56]])
    match = Memory.of(keys, ab, torch.arange(4), 4, k=4).match(queries, 4)
    near = np.exp(-4 * 0.1**2)
    assert match.ab[1, 0] == pytest.approx(9 / (1 + 2 * near), rel=1e-4)


def test_too_many_cells_are_thinned_evenly():
    keys = torch.arange(100.0)[:, None]
    memory = Memory.of(keys, keys.repeat(1, 2), torch.arange(100), 25)
    np.testing.assert_array_equal(memory.numbers, np.arange(0, 100, 4))
    np.testing.assert_array_equal(memory.keys[:, 0], np.arange(0, 100, 4))
