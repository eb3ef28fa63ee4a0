"""Motion: found, chained over repeated frames, made good under specks, laid out at full size."""

import numpy as np
import pytest
from made_spikes import disc, drifting, film, in_parts, windows

from vidcolor.errors import ConfigError
from vidcolor.records import VideoInfo
from vidcolor.repair.motion import (
    FollowConfig,
    chain,
    compensated,
    enlarged,
    follow,
    grid_size,
    mismatch,
    nearest,
    neighbors,
    refilled,
)


def field(x, y, size=(40, 60)):
    return np.full((*size, 2), (x, y), np.float32)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="lines"):
        FollowConfig(lines=10)
    with pytest.raises(ConfigError, match="flow"):
        FollowConfig(flow="slow")


@pytest.mark.parametrize(
    ("size", "expected"),
    [((240, 320), (240, 320)), ((1080, 1920), (270, 480)), ((480, 640), (240, 320))],
)
def test_grid_has_whole_pixels_to_a_cell(size, expected):
    assert grid_size(VideoInfo(*size), 288) == expected


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_shift_is_found_both_ways(bits):
    (moved,) = follow([film(drifting(3, speed=(3.0, -2.0)), bits=bits)], FollowConfig())
    assert moved.links[0] is None
    inner = np.s_[20:-20, 20:-20]
    back, onward = (
        np.median(f[inner], (0, 1)) for f in (moved.links[1].back, moved.links[1].onward)
    )
    # what is at p was at p - (3, -2) in the frame before
    np.testing.assert_allclose(back, (-3, 2), atol=0.2)
    np.testing.assert_allclose(onward, (3, -2), atol=0.2)


def test_batches_change_no_flow():
    batch = film(drifting(5))
    (one,) = follow([batch], FollowConfig())
    whole = one.links
    parts = [link for one in follow(in_parts(batch, 2), FollowConfig()) for link in one.links]
    assert parts[0] is None
    for mine, other in zip(parts[1:], whole[1:], strict=True):
        np.testing.assert_array_equal(mine.back, other.back)


def test_repeated_frames_are_the_same_and_passed_over():
    a, b, c = drifting(3)
    batch = film([a, a, b, b, c], noise=False)
    (moved,) = follow([batch], FollowConfig())
    assert [link and link.same for link in moved.links] == [None, True, False, True, False]
    third = windows([batch])[2]
    assert [(one.steps, one.frame.place) for one in neighbors(third, 2, 2)] == [(-1, 1), (1, 4)]
    # and frames that `cut` says are held, though noise differs
    (moved,) = follow([film([a, a, b], held=[False, True, False])], FollowConfig())
    assert [link and link.same for link in moved.links] == [None, True, False]


def test_two_neighbors_of_one_side_where_a_shot_ends():
    seen = windows([film(drifting(4))])
    assert [one.steps for one in nearest(neighbors(seen[0], 2, 2))] == [1, 2]
    assert [one.steps for one in nearest(neighbors(seen[1], 2, 2))] == [-1, 1]
    assert sorted(one.steps for one in nearest(neighbors(seen[3], 2, 2))) == [-2, -1]
    alone = windows([film(drifting(1))])[0]
    assert nearest(neighbors(alone, 2, 2)) == (None, None)


def test_flow_over_two_frames_is_their_sum():
    seen = windows([film(drifting(5, speed=(2.0, 0.0)))])[2]
    two = neighbors(seen, 2, 0)[1]
    np.testing.assert_allclose(np.median(two.there, (0, 1)), (-4, 0), atol=0.3)
    np.testing.assert_allclose(chain(field(1, 2), field(3, -1)), field(4, 1))
    np.testing.assert_allclose(np.median(mismatch(two.there, two.back)), 0, atol=0.3)


def test_mismatch_is_what_there_and_back_miss():
    np.testing.assert_allclose(mismatch(field(2, 0), field(1, 4)), 5, atol=1e-5)


def test_enlarged_flow_counts_pixels_of_the_frame():
    np.testing.assert_allclose(enlarged(field(1, 2), (80, 180)), field(3, 4, (80, 180)), rtol=1e-6)


def test_compensated_neighbor_lies_over_the_frame():
    before, _, after = drifting(3, speed=(4.0, 0.0))
    laid = compensated(after, field(8, 0, before.shape), cubic=True)
    # `after` shows at p + 8 what `before` shows at p
    np.testing.assert_allclose(laid[20:-20, 20:-20], before[20:-20, 20:-20], atol=1.0)


def test_flow_under_a_hole_comes_from_around_it():
    flow = np.zeros((60, 80, 2), np.float32)
    flow[..., 0] = 0.1 * np.arange(80)  # a zoom: the middle of a hole is the mean of its rim
    _, hole = disc(np.zeros((60, 80), np.float32), 40, 30, 6, 0)
    bent = np.where(hole[..., None], np.float32(30), flow)
    good = refilled(bent, hole, 3.0)
    np.testing.assert_array_equal(good[~hole], flow[~hole])
    np.testing.assert_allclose(good[hole], flow[hole], atol=0.5)
    np.testing.assert_allclose(good[30, 40], (4, 0), atol=0.05)


def test_holes_wider_than_the_reach_are_filled_too():
    flow, hole = field(2, -1, (200, 300)), np.ones((200, 300), np.bool_)
    hole[:, :3] = False
    bent = np.where(hole[..., None], np.float32(50), flow)
    np.testing.assert_allclose(refilled(bent, hole, 3.0), flow, atol=1e-3)
    everything = np.ones((200, 300), np.bool_)
    assert not refilled(flow, everything, 3.0).any()
