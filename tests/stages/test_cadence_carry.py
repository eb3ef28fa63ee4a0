import numpy as np
import pytest

from vidcolor.stages.cadence_carry import Gate, Look, Path, blend, find_ways, paths_back, paths_on

SMALL = (24, 32)
GATE = Gate(tau=3.0, noise_factor=3.0, tau_most=9.0, pulse=4.0)


def _texture(shift=0.0):
    rows, columns = np.mgrid[: SMALL[0], : SMALL[1]].astype(np.float32)
    return 50 + 20 * np.sin((columns + shift) / 3) * np.cos(rows / 4)


def _look(lightness, step=(0.0, 0.0)):
    """A frame in which everything has moved by `step` cells since the one before."""
    flow = np.broadcast_to(np.array(step, np.float32), (*SMALL, 2)).copy()
    gray = np.zeros((48, 64), np.uint8)
    return Look(gray, lightness.astype(np.float32), 0.0, onward=flow, back=-flow)


def _path(shift=(0.0, 0.0), trust=1.0):
    whole = np.broadcast_to(np.array(shift, np.float32), (*SMALL, 2)).copy()
    return Path(whole, np.full(SMALL, trust, np.float32))


def test_steps_add_up_to_a_path():
    looks = [_look(_texture(1.5 * i), (-1.5, 0.0)) for i in range(5)]
    on, back = paths_on(looks, GATE), paths_back(looks, GATE)
    for i, path in enumerate(on, 1):
        np.testing.assert_allclose(path.shift, _path((1.5 * i, 0)).shift, atol=1e-5)
    for i, path in enumerate(back):
        np.testing.assert_allclose(path.shift, _path((-1.5 * (4 - i), 0)).shift, atol=1e-5)
    assert min(path.trust[4:-4, 8:-8].min() for path in on + back) > 0.9
    # after four steps the rightmost cells have come from outside: 6 of them, less 1.5 of doubt
    assert (on[-1].trust[:, -4:] == 0).all()
    assert (on[-1].trust[:, :26] > 0.5).all()


def test_each_step_starts_where_the_one_before_has_led():
    looks = [_look(_texture()) for _ in range(3)]
    looks[1].back[:, 16:] = 2
    looks[2].back[:, :, 0] = 4
    shift = paths_on(looks, GATE)[1].shift[..., 0]
    assert (shift[:, :12] == 4).all()
    assert (shift[:, 12:] == 6).all()
    looks[1].onward[:, :, 1] = 3
    looks[2].onward[:10, :, 1] = 5
    shift = paths_back(looks, GATE)[0].shift[..., 1]
    assert (shift[:7] == 3 + 5).all()
    assert (shift[7:] == 3).all()


def test_trust_is_a_gaussian_of_the_difference():
    here, there = np.full(SMALL, 50.0), np.full(SMALL, 50.0)
    there[:, 18:] += 7  # less than half of the picture: the exposure is the same
    (path,) = paths_on([_look(there), _look(here)], GATE)
    np.testing.assert_allclose(path.trust[:, :14], 1, atol=1e-5)
    np.testing.assert_allclose(path.trust[:, 22:], np.exp(-(7**2) / 18), rtol=1e-4)


def test_sides_weigh_by_time_and_trust():
    left, right = np.zeros((48, 64, 2), np.float32), np.full((48, 64, 2), 10, np.float32)
    even = blend([(left, _path()), (right, _path())], (1 / 1, 1 / 3), 0.5)
    np.testing.assert_allclose(even, 2.5, atol=1e-4)
    # squares of trust: 1 to 1/4 at equal distance
    doubt = blend([(left, _path()), (right, _path(trust=0.5))], (1, 1), 0.5)
    np.testing.assert_allclose(doubt, 2.0, atol=2e-3)
    none = blend([(left, _path(trust=0.0)), (right, _path())], (1, 1 / 7), 0.5)
    np.testing.assert_allclose(none, 10, atol=0.02)
    alone = blend([(right, _path(trust=0.7))], (1,), 0.5)
    np.testing.assert_allclose(alone, 10, atol=1e-5)


def test_color_is_brought_from_where_the_path_leads():
    columns = np.arange(64, dtype=np.float32)
    ab = np.broadcast_to(columns[:, None], (48, 64, 2)).copy()
    # 3 cells of the small grid are 6 of the large one
    brought = blend([(ab, _path((3.0, 0.0)))], (1,), 0.5)
    np.testing.assert_allclose(brought[0, :, 4:56], ab[:, 10:62, 0], atol=1e-4)


def test_what_nobody_knows_takes_the_color_around_it():
    ab = np.full((48, 64, 2), 20, np.float32)
    ab[20:26, 30:36] = -50
    path = _path()
    path.trust[9:14, 14:19] = 0
    filled = blend([(ab, path)], (1,), 0.5)
    assert np.abs(filled[:, 22:24, 32:34] - 20).max() < 5
    np.testing.assert_array_equal(filled[:, :10], 20)


def test_the_middle_of_what_is_unexplained_becomes_a_keyframe():
    # other things are seen in frames 3, 4 and 5 than before and after
    looks = [_look(_texture(7.0 if 3 <= i <= 5 else 0.0)) for i in range(9)]
    ways = find_ways(looks, True, GATE, 0.5, 0.1)
    assert [i for i, sides in enumerate(ways) if not sides] == [0, 4, 8]
    assert [key for key, _ in ways[1]] == [0, 4]
    assert [key for key, _ in ways[6]] == [4, 8]
    assert ways[3][1][1].trust.min() > 0.99
    assert ways[3][0][1].trust.mean() < 0.5


def test_a_change_of_scene_needs_no_third_keyframe():
    looks = [_look(_texture(7.0 if i >= 3 else 0.0)) for i in range(9)]
    ways = find_ways(looks, True, GATE, 0.5, 0.1)
    assert [i for i, sides in enumerate(ways) if not sides] == [0, 8]
    # in the tail nothing follows that could explain it
    tail = find_ways(looks, False, GATE, 0.5, 0.1)
    assert [i for i, sides in enumerate(tail) if not sides] == [0, 6]
    assert [key for key, _ in tail[8]] == [6]


@pytest.mark.parametrize("ends", [True, False])
def test_every_frame_is_a_keyframe_where_nothing_is_like_anything(ends):
    rng = np.random.default_rng(0)
    noise = [np.repeat(np.repeat(rng.uniform(0, 100, (4, 4)), 6, 0), 8, 1) for _ in range(6)]
    ways = find_ways([_look(one) for one in noise], ends, GATE, 0.5, 0.1)
    assert not any(ways)
