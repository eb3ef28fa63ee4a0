"""Which detection goes to which track: all ways are tried, and none is better."""

import itertools

import numpy as np
import pytest

from vidcolor.stages.track_associate import _pairs


def _best(gain, allowed):
    """Most pairs, then most gain, of all ways to pair rows with columns."""
    rows, columns = gain.shape
    best = (0, 0.0)
    for order in itertools.permutations(range(max(rows, columns)), rows):
        ways = [(i, j) for i, j in enumerate(order) if j < columns and allowed[i, j]]
        best = max(best, (len(ways), sum(gain[way] for way in ways)))
    return best


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (2, 3), (4, 4), (5, 3)])
def test_no_way_to_pair_them_is_better(shape, share):
    rng = np.random.default_rng(5)
    for _ in range(20):
        gain = rng.uniform(0.1, 2, shape)
        allowed = rng.uniform(size=shape) < share
        pairs = _pairs(gain, allowed)
        assert all(allowed[pair] for pair in pairs)
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
        count, total = _best(gain, allowed)
        assert len(pairs) == count
        assert sum(gain[pair] for pair in pairs) == pytest.approx(total)


def test_rivals_are_told_apart_by_what_all_gain():
    """Row 0 likes column 0 best, but row 1 has no other."""
    gain = np.array([[0.9, 0.8], [0.7, 0.0]])
    allowed = np.array([[True, True], [True, False]])
    assert sorted(_pairs(gain, allowed)) == [(0, 1), (1, 0)]
