"""Final holes, holes in tiles, flow under them, and thin lines."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_wounds import SIZE, batches, spot, texture

from vidcolor.repair.heal.grow import Grow
from vidcolor.repair.heal.lines import across, shining
from vidcolor.repair.heal.wounds import Tile, laid, overlap, wounds
from vidcolor.repair.motion import refilled
from vidcolor.repair.records import Spot, union
from vidcolor.repair.window import each_marked


def framed(plane: np.ndarray, *spots: Spot):
    seen = []
    for _ in each_marked(batches(plane[None], {0: spots}), 0, 0, lambda: seen.append):
        pass
    return seen[0].frame


def grown(plane: np.ndarray, *spots: Spot) -> tuple[Spot, ...]:
    (marked,) = Grow()(batches(plane[None], {0: spots}))
    return marked.spots[0]


def test_a_hole_grows_by_one_pixel_or_by_two_where_damage_fades():
    hard = np.full(SIZE, 100, np.uint8)
    hard[30:36, 40:46] = 250
    (one,) = grown(hard, spot(30, 40, 6, 6))
    assert one.box == (39, 29, 47, 37)
    assert one.hole.all()
    soft = hard.astype(np.float32)
    soft[28:38, 38:48] += (100 * (1 - (hard[28:38, 38:48] == 250))).astype(np.float32)
    (two,) = grown(np.rint(soft).astype(np.uint8), spot(30, 40, 6, 6))
    assert two.box == (38, 28, 48, 38)


def test_what_a_person_gave_is_exact_and_borders_cut_off():
    plane = np.full(SIZE, 100, np.uint8)
    mine = spot(30, 40, 6, 6, kind="user", source="user")
    corner = spot(0, SIZE[1] - 3, 3, 3)
    user, other = grown(plane, mine, corner)
    assert user is mine
    assert other.box == (SIZE[1] - 4, 0, SIZE[1], 4)


def test_what_touches_is_one_and_tiles_cover_it_once():
    plane = texture(SIZE)
    spots = (
        spot(0, 50, SIZE[0], 3, kind="scratch"),
        spot(20, 53, 4, 4),  # beside the scratch
        spot(60, 5, 4, 4),
        spot(64, 9, 2, 2),  # touches the one before by a corner
        spot(5, 5, 2, 2, state="review"),
    )
    found = wounds(framed(plane, *spots), 32)
    assert [sorted(one.kinds) for one in found] == [["dust"], ["dust", "scratch"]]
    assert [one.area for one in found] == [20, SIZE[0] * 3 + 16]
    count = np.zeros(SIZE, int)
    for one in found:
        for tile in one.tiles:
            assert max(tile.hole.shape) <= 32
            count[tile.place] += tile.hole
    np.testing.assert_array_equal(count, union(spots, SIZE).astype(int))


def test_boxes_that_overlap_without_touching_stay_apart():
    ring = np.ones((20, 20), np.bool_)
    ring[2:18, 2:18] = False
    plane = texture(SIZE)
    found = wounds(framed(plane, Spot("hair", 10, 10, ring), spot(18, 18, 4, 4)), 96)
    assert sorted(sorted(one.kinds) for one in found) == [["dust"], ["hair"]]
    assert sorted(one.area for one in found) == [16, 20 * 20 - 16 * 16]


def test_shared_pixels_of_boxes():
    there, here = overlap((5, 6, 9, 9), (7, 0, 20, 8)) or pytest.fail("they do overlap")
    assert there == (slice(6, 8), slice(0, 2))
    assert here == (slice(0, 2), slice(2, 4))
    assert overlap((0, 0, 4, 4), (4, 0, 8, 8)) is None
    tile = Tile(6, 5, np.ones((3, 4), np.bool_))
    assert np.argwhere(laid([tile], (7, 0, 20, 8))).tolist() == [[6, 0], [6, 1], [7, 0], [7, 1]]


def test_flow_is_continued_into_holes_of_any_size():
    slope = np.stack(np.meshgrid(np.arange(80.0), np.arange(60.0)), 2).astype(np.float32) / 10
    hole = np.zeros((60, 80), np.bool_)
    hole[20:26, 30:36] = True
    spoiled = np.where(hole[..., None], np.float32(50), slope)
    back = refilled(spoiled, hole, 3.0)
    np.testing.assert_array_equal(back[~hole], slope[~hole])
    assert np.abs(back - slope).max() < 0.15  # a slope is continued through the middle
    hole[:, :60] = True
    wide = refilled(np.where(hole[..., None], np.float32(50), slope), hole, 2.0)
    assert 5.9 < wide[30, 5, 0] < 8  # what is known begins at 6.0
    everything = np.ones((60, 80), np.bool_)
    assert (refilled(slope, everything, 3.0) == 0).all()


def line(slant: float = 0.0, width: int = 3) -> tuple[np.ndarray, Tile]:
    hole = np.zeros(SIZE, np.bool_)
    for y in range(SIZE[0]):
        x = 40 + round(slant * y)
        hole[y, x : x + width] = True
    columns = np.flatnonzero(hole.any(0))
    return hole, Tile(0, int(columns[0]), hole[:, columns[0] : columns[-1] + 1])


def test_across_a_line_lies_what_both_sides_agree_on():
    hole, tile = line()
    ramp = np.broadcast_to(np.linspace(50, 60, SIZE[1], dtype=np.float32), SIZE)
    found = across(np.where(hole, np.float32(255), ramp), hole, tile, 1.0)
    assert found is not None
    values, sure = found
    assert sure.all()
    np.testing.assert_allclose(values, ramp[tile.place], atol=0.2)
    edge = np.where(np.arange(SIZE[1]) < 41, np.float32(40), np.float32(200))
    steep = across(np.where(hole, np.float32(255), np.broadcast_to(edge, SIZE)), hole, tile, 1.0)
    assert steep is None
    wide, wider = line(width=6)
    assert across(np.where(wide, np.float32(255), ramp), wide, wider, 1.0) is None


def test_an_edge_aslant_is_followed():
    hole, tile = line()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    edge = np.where(x - y > 5, np.float32(180), np.float32(60))  # falls by 45 degrees
    found = across(np.where(hole, np.float32(255), edge), hole, tile, 1.0)
    assert found is not None
    values, sure = found
    assert (np.abs(values - edge[tile.place]) < 25)[sure].mean() > 0.97
    assert sure.mean() > 0.9


def test_a_line_that_the_picture_shines_through_is_taken_off():
    rng = np.random.default_rng(0)
    clean = texture(SIZE).astype(np.float32)
    # fine detail that nobody can guess from the sides, on top of what they suggest
    clean += cv2.GaussianBlur(rng.normal(0, 14, SIZE), (0, 0), 0.8).astype(np.float32)
    hole, tile = line()
    seen = np.where(hole, clean * np.float32(0.6) + 90, clean)
    found = shining(seen, hole, tile, 1.0)
    assert found is not None
    values, sure = found
    assert sure.mean() > 0.95
    truth = clean[tile.place]
    error = np.sqrt(np.mean((values - truth)[sure] ** 2))
    from_sides = across(seen, hole, tile, 100.0)
    assert from_sides is not None
    guessed = np.sqrt(np.mean((from_sides[0] - truth)[sure] ** 2))
    assert error < 0.8 * guessed


def test_an_opaque_line_hides_everything():
    clean = texture(SIZE).astype(np.float32)
    hole, tile = line()
    for seed in range(3):  # as lively as the picture, but not in step with it
        grainy = np.random.default_rng(seed).normal(120, clean.std(), SIZE).astype(np.float32)
        assert shining(np.where(hole, grainy, clean), hole, tile, 1.0) is None
    grainy = np.random.default_rng(1).normal(230, 3, SIZE).astype(np.float32)
    assert shining(np.where(hole, grainy, clean), hole, tile, 1.0) is None
