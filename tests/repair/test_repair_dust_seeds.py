"""Seeds and what belongs to them, by hand."""

import numpy as np
import pytest
from made_spikes import drifting, film, windows

from vidcolor.repair.dust.outline import is_hair
from vidcolor.repair.dust.seeds import Reach, cells, find_seeds, regions
from vidcolor.repair.dust.views import Side, Views
from vidcolor.repair.motion import Neighbor

SIZE = (40, 60)


def still(center, before, after):
    """Views of a picture that does not move."""
    frame = windows([film(drifting(1, SIZE))])[0].frame
    flow = np.zeros((*SIZE, 2), np.float32)
    sides = [
        Side(Neighbor(frame, flow, flow, steps), plane, flow, np.zeros(SIZE, np.float32))
        for steps, plane in ((-1, before), (1, after))
    ]
    return Views(center, (sides[0], sides[1]))


def flat(value=100.0):
    return np.full(SIZE, value, np.float32)


def test_seeds_lie_beyond_all_pixels_around_in_both_neighbors():
    center, before, after = flat(), flat(), flat()
    center[10, 10:16] = 150  # bright
    center[20, 10] = 40  # dark
    center[30, 10] = 150  # bright, and so is a pixel beside it in one neighbor
    before[10, 12] = 130
    after[31, 11] = 145
    excess = find_seeds(still(center, before, after), np.float32(12), 1, "both")
    expected = flat(0)
    expected[10, 10:16] = (50, 20, 20, 20, 50, 50)
    expected[20, 10] = 60
    np.testing.assert_allclose(excess, expected, atol=1e-4)
    dark = find_seeds(still(center, before, after), np.float32(12), 1, "dark")
    bright = find_seeds(still(center, before, after), np.float32(12), 1, "bright")
    assert np.argwhere(dark).tolist() == [[20, 10]]
    assert len(np.argwhere(bright)) == 6


@pytest.mark.parametrize("slack", [1, 2])
def test_a_thing_misplaced_by_no_more_than_the_slack_is_no_seed(slack):
    center, before = flat(), flat()
    center[20, 20] = 200
    before[20, 22] = 200
    excess = find_seeds(still(center, before, flat()), np.float32(12), slack, "both")
    assert bool(excess.any()) == (slack < 2)


def test_a_region_grows_to_what_differs_from_both_neighbors_alike():
    center, before, after = flat(), flat(), flat()
    center[20, 20:28] = (108, 150, 150, 150, 115, 115, 115, 115)
    before[20, 26] = 130  # darker than this one, brighter than the other
    views = still(center, before, after)
    excess = find_seeds(views, np.float32(40), 1, "both")
    assert np.flatnonzero(excess[20]).tolist() == [21, 22, 23]
    (region,) = regions(views, excess, np.float32(12), Reach(1, 3, 4), 10)
    rows, columns = np.nonzero(region.core)
    # 108 is below the limit of 12; 115 counts within 3 px of a seed, but not at column 26
    assert {int(y) + region.box[1] for y in rows} == {20}
    assert sorted(int(x) + region.box[0] for x in columns) == [21, 22, 23, 24, 25]
    assert region.excess == 50
    assert region.bright


def test_only_the_strongest_groups_are_looked_at():
    center = flat()
    center[10, 10], center[10, 40], center[30, 25] = 150, 180, 20
    views = still(center, flat(), flat())
    excess = find_seeds(views, np.float32(12), 1, "both")
    found = regions(views, excess, np.float32(6), Reach(1, 2, 4), 2)
    assert [region.excess for region in found] == [80, 80]
    assert [region.bright for region in found] == [True, False]


def test_cells_around_seeds_are_not_believed():
    seeds = np.zeros((40, 60), np.bool_)
    seeds[20, 30] = True
    bent = cells(seeds, (20, 30))  # cells of 2x2 pixels; flow is bent for three more
    assert bent.sum() == 7 * 7
    assert bent[10, 15]


def test_hairs_are_long_and_thin():
    line = np.zeros((40, 60), np.bool_)
    line[20:22, 5:50] = True
    assert is_hair(line, 1.0)
    assert not is_hair(np.ones((9, 12), np.bool_), 1.0)
    assert not is_hair(np.ones((1, 4), np.bool_), 1.0)
