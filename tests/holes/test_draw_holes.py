"""Holes of every kind: by seed, of any size, shaped as their kind says."""

import cv2
import numpy as np
import pytest

from vidcolor.holes.draw import KINDS, augment, draw_hole
from vidcolor.holes.film_mix import film, thin_film
from vidcolor.holes.outlines import fold, speck
from vidcolor.holes.strokes import walk


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(64, 64), (37, 91), (1, 1), (3, 200)])
def test_a_seed_gives_one_hole_of_the_size_asked_for(kind, size):
    for seed in range(4):
        hole = draw_hole(kind, size, rng(seed))
        assert hole.shape == size
        assert hole.dtype == np.bool_
        assert set(np.unique(hole.view(np.uint8))) <= {0, 1}
        assert np.array_equal(hole, draw_hole(kind, size, rng(seed)))


@pytest.mark.parametrize("kind", KINDS)
def test_other_seeds_give_other_holes(kind):
    holes = [draw_hole(kind, (96, 96), rng(seed)).tobytes() for seed in range(12)]
    assert len(set(holes)) >= 9  # a few may be empty


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rectangles"])
def test_less_is_smaller(kind):
    def mean(amount):
        return np.mean(
            [draw_hole(kind, (96, 96), rng(seed), amount=amount).mean() for seed in range(30)]
        )

    assert mean(0.1) < 0.6 * mean(1.0)


def test_a_walk_is_one_connected_path_and_visits_no_more_than_its_steps():
    canvas = walk((40, 50), rng(), 1.0)
    parts, _ = cv2.connectedComponents(canvas, connectivity=4)
    assert parts == 2  # the path and what is around it
    assert canvas.sum() > 40


def test_a_path_bounces_off_the_ends():
    values = np.array([-2.0, -1, 0, 3, 4, 5, 8, 9])
    assert fold(values, 4).tolist() == [2, 1, 0, 3, 4, 3, 0, 1]


def test_a_speck_is_as_large_as_a_disc_of_its_radius():
    for seed in range(5):
        corners = speck(6.0, rng(seed)).astype(np.float32)
        assert cv2.contourArea(corners) == pytest.approx(np.pi * 36, rel=1e-5)


def test_lines_of_thin_film_run_along_the_film():
    """At half a degree a line of 400 rows moves 3.5 columns: most of its column stays hole."""
    columns = [thin_film((400, 300), rng(seed), 1.0, 1080).mean(0).max() for seed in range(40)]
    assert sum(share > 0.15 for share in columns) >= 15  # 60 % of the pictures are scratched


def test_sizes_of_film_damage_follow_the_frame_that_it_is_a_crop_of():
    def area(lines):
        return np.mean([thin_film((128, 128), rng(seed), 1.0, lines).mean() for seed in range(60)])

    assert 1.4 * area(480) < area(1080)


def test_thin_film_has_no_bands_and_no_burns():
    """Nothing of it is thicker than the largest speck: 40 pixels, at the most 1.8 times as long."""
    for seed in range(25):
        canvas = thin_film((256, 256), rng(seed), 1.0, 1080)
        depth = cv2.distanceTransform(np.pad(canvas, 1), cv2.DIST_L2, 5).max()
        assert depth < 40


def test_film_has_bands_and_burns_as_asked():
    def deep(big):
        found = [film((256, 256), rng(seed), 1.0, 540, big) for seed in range(12)]
        return sum(canvas.mean() > 0.04 for canvas in found)

    assert deep(0.0) == 0
    assert deep(1.0) == 12


def test_a_burn_covers_5_to_40_percent():
    for seed in range(20):
        with_burn = film((256, 256), rng(seed), 1.0, 480, 1.0)
        assert 0.05 < with_burn.mean() < 0.4 + 0.14 + 0.1  # burn, band, the rest


def test_growth_stays_within_its_square():
    """One pixel of a film mask grows to a square of at most 4 and keeps its place but for flips."""
    canvas = np.zeros((33, 33), np.uint8)
    canvas[16, 16] = 1
    sides = set()
    for seed in range(60):
        grown = augment(canvas, "film", rng(seed))
        rows, columns = np.nonzero(grown)
        side = int(rows.max() - rows.min()) + 1
        assert grown.sum() == side * side == (int(columns.max() - columns.min()) + 1) ** 2
        assert abs(rows.mean() - 16) <= 1
        sides.add(side)
    assert sides == {1, 2, 3, 4}


def test_rectangles_stay_upright_or_nearly():
    """The least rectangle around a turned one is turned by at most 15 degrees."""
    seen = 0
    for seed in range(40):
        hole = draw_hole("rectangles", (256, 256), rng(seed))
        contours, _ = cv2.findContours(
            hole.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        for contour in contours:
            box = cv2.minAreaRect(contour)
            full = cv2.contourArea(contour) / max(1, box[1][0] * box[1][1])
            inside = contour.min() > 0 and contour.max() < 255
            if full > 0.9 and inside:  # one rectangle, not cut off
                seen += 1
                assert min(box[2] % 90, 90 - box[2] % 90) <= 16
    assert seen > 10
