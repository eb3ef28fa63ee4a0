import math

import numpy as np
import pytest
from made_shards import texture
from scipy.ndimage import map_coordinates

from vidcolor.errors import ConfigError
from vidcolor.train.data.pairs import (
    Motion,
    MotionConfig,
    draw_motion,
    measured_motion,
    moved_picture,
)
from vidcolor.train.data.planes import ab_of
from vidcolor.train.data.window import Window


def _shift(x, y):
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def _disk(x, y, radius):
    return np.array([[1 / radius, 0, -x / radius], [0, 1 / radius, -y / radius], [0, 0, 1.0]])


def _unit(picture):
    return picture.astype(np.float32) / 255


def _brought_back(later, motion):
    """The later frame sampled where each pixel went, by SciPy."""
    side = len(later)
    rows, columns = np.mgrid[:side, :side]
    places = [rows + motion[1], columns + motion[0]]
    channels = [map_coordinates(later[..., c].astype(float), places, order=3) for c in range(3)]
    return np.stack(channels, axis=-1)


def test_a_pan_moves_all_cells_alike_and_loses_those_at_the_edge():
    motion, seen = Motion(_shift(2 / 16, -1 / 16)).field(16)
    np.testing.assert_allclose(motion[0], 2, atol=1e-5)
    np.testing.assert_allclose(motion[1], -1, atol=1e-5)
    expected = np.ones((16, 16))
    expected[0] = 0
    expected[:, 14:] = 0
    np.testing.assert_array_equal(seen[0], expected)


def test_a_quarter_turn_by_hand():
    turn = np.array([[0, -1, 1], [1, 0, 0], [0, 0, 1.0]])  # (x, y) to (1 - y, x)
    motion, seen = Motion(turn).field(4)
    # the cell in column 3, row 0 goes to column 3, row 3
    np.testing.assert_allclose(motion[:, 0, 3], (0, 3), atol=1e-6)
    np.testing.assert_allclose(motion[:, 3, 3], (-3, 0), atol=1e-6)
    assert seen.all()


def test_a_region_covers_what_lies_before_it():
    cells = 40
    motion, seen = Motion(np.eye(3), _shift(0.2, 0), _disk(0.3, 0.5, 0.1), 0.1).field(cells)
    row = 20  # through the middle; the disk reaches from column 8 to 16
    assert motion[0, row, 12] == pytest.approx(0.2 * cells, abs=1e-4)
    assert seen[0, row, 12] == 1
    assert motion[0, row, 20] == 0
    assert seen[0, row, 20] == 0  # under the disk, which came from the left
    assert seen[0, row, 30] == 1
    assert seen[0, row, 4] == 1
    assert seen[0, 2].all()
    for column in (8, 15, 16):  # of two surfaces at once
        assert seen[0, row, column] == 0


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    ("window", "side"), [((20, 30, 96, 96), 96), ((8, 4, 112, 128), 64), ((40, 40, 48, 48), 96)]
)
def test_the_later_frame_shows_what_the_motion_says(window, side, mirrored):
    picture = texture(4, (140, 160), 20)
    window = Window(*window, mirrored)
    config = MotionConfig(shift=0.08, turn_deg=4, zoom=0.05, region=1, region_shift=0.15)
    now = window.cut(picture, side).astype(float)
    for seed in range(4):
        motion = draw_motion(config, np.random.default_rng(seed))
        later = moved_picture(picture, window, motion, side)
        field, seen = motion.field(side)
        error = np.abs(_brought_back(later, field) - now).max(axis=2)
        still = np.abs(later - now).max(axis=2)
        known = seen[0] > 0
        assert known.mean() > 0.6
        assert error[known].mean() < 1.3
        assert np.quantile(error[known], 0.99) < 4
        assert error[known].mean() < 0.1 * still[known].mean()


def test_nothing_moves_nothing_changes():
    picture = texture(5, (100, 90), 6)
    window = Window(10, 12, 64, 64, True)
    config = MotionConfig(shift=0, turn_deg=0, zoom=0, region=1, region_shift=0)
    motion = draw_motion(config, np.random.default_rng(0))
    later = moved_picture(picture, window, motion, 64)
    assert np.abs(later.astype(int) - window.cut(picture, 64)).max() <= 1
    field, _ = motion.field(16)
    np.testing.assert_allclose(field, 0, atol=1e-5)


def test_what_comes_in_is_the_pictures_own():
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, 64:] = (200, 30, 10)
    left = Window(0, 0, 64, 64, False)
    later = moved_picture(picture, left, Motion(_shift(-0.25, 0)), 64)
    assert (later[:, 50:] == (200, 30, 10)).all()
    assert (later[:, :46] == 0).all()


def test_motions_stay_within_their_limits():
    config = MotionConfig(shift=0.03, turn_deg=0, zoom=0, region=0.5, region_shift=0.1)
    rng = np.random.default_rng(1)
    motions = [draw_motion(config, rng) for _ in range(300)]
    ways = [math.hypot(*m.ground[:2, 2]) for m in motions]
    assert 0.02 < max(ways) <= 0.03
    assert 0.4 < np.mean([m.region is not None for m in motions]) < 0.6
    more = [math.hypot(*(m.region - m.ground)[:2, 2]) for m in motions if m.region is not None]
    assert 0.07 < max(more) <= 0.1
    again = draw_motion(config, np.random.default_rng(1))
    np.testing.assert_array_equal(again.ground, motions[0].ground)


def test_settings_out_of_range():
    with pytest.raises(ConfigError, match="shift"):
        MotionConfig(shift=0.6)
    with pytest.raises(ConfigError, match="region must be 0 to 1"):
        MotionConfig(region=2)
    with pytest.raises(ConfigError, match="turn_deg"):
        MotionConfig(turn_deg=-1)


def test_measured_motion_of_a_pan():
    wide = _unit(texture(7, (128, 160), 5))
    now, later = wide[:, 8:136], wide[:, 2:130]  # the camera goes left, things go 6 right
    motion, seen = measured_motion(now, later, ab_of(now), ab_of(later), 32)
    known = seen[0] > 0
    assert known[4:-4, 4:-6].mean() > 0.97
    assert not known[:, -2:].any()  # gone out at the right
    assert np.abs(motion[0][known] - 6 / 4).mean() < 0.05
    assert np.abs(motion[1][known]).mean() < 0.05


def test_measured_motion_does_not_trust_other_colors_or_other_things():
    now = _unit(texture(8, (128, 128), 5))
    later = now.copy()
    later[:, :64, 0] = later[:, :64, 0] * 0.5 + 0.4  # another red in the left half
    later[96:] = _unit(texture(99, (32, 128), 5))  # something else at the bottom
    _, seen = measured_motion(now, later, ab_of(now), ab_of(later), 32)
    different = np.linalg.norm(ab_of(later) - ab_of(now), axis=2)[:96, :60]
    assert (different > 12).mean() > 0.5
    assert seen[0, 1:23, 18:].mean() > 0.97
    assert seen[0, :24, :15].mean() < 0.5
    assert seen[0, 26:].mean() < 0.3
