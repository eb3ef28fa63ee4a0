import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from made_lines import SIZE, drawn, film, found, link, links_of, panned, scene

from vidcolor.errors import ConfigError
from vidcolor.repair.lines.detector import LineConfig, LineDetector
from vidcolor.repair.lines.shape import edge, presence
from vidcolor.repair.lines.sums import residual_of, segments
from vidcolor.repair.records import union

COUNT = 14


def _scratch(plane, column=100, width=2, rows=slice(None), level=235.0, opacity=0.7):
    part = plane[rows, column : column + width]
    part += opacity * (level - part)


def _spots(frames, step, **options):
    return found(LineDetector(LineConfig(**options)), film(frames, links_of(len(frames), step)))


def test_a_scratch_over_a_moving_scene_is_repaired_where_it_is():
    frames = drawn(panned(scene(), COUNT, 3), _scratch)
    for spots in _spots(frames, 3):
        assert [one.kind for one in spots] == ["scratch"]
        assert spots[0].state == "accepted"
        assert spots[0].confidence > 0.5
        hole = union(spots, SIZE)
        assert hole[:, 100:102].mean() > 0.97
        assert not hole[:, :98].any()
        assert not hole[:, 104:].any()


def test_dark_and_leaning_scratches_too():
    def lean(plane):
        for y in range(SIZE[0]):
            _scratch(plane, 150 + round(0.025 * (y - 90)), rows=slice(y, y + 1), level=10.0)

    frames = drawn(panned(scene(), COUNT, 3), lean)
    hole = union(_spots(frames, 3)[5], SIZE)
    rows = np.arange(SIZE[0])
    middles = 150 + np.rint(0.025 * (rows - 90)).astype(int)
    assert hole[rows, middles].mean() > 0.9
    assert np.count_nonzero(hole) < 5 * SIZE[0]


def test_polarity_leaves_the_others():
    frames = drawn(panned(scene(), COUNT, 3), _scratch)
    assert not any(_spots(frames, 3, polarity="dark"))
    assert all(_spots(frames, 3, polarity="bright"))


def test_a_scratch_of_some_rows_is_not_made_longer():
    frames = drawn(panned(scene(), COUNT, 3), lambda one: _scratch(one, rows=slice(20, 120)))
    hole = union(_spots(frames, 3)[6], SIZE)
    assert hole[24:116, 100].all()
    assert not hole[:12].any()
    assert not hole[128:].any()


def test_a_post_that_goes_with_the_scene_is_none():
    wide = scene()
    _scratch(wide, 130)
    frames = panned(wide, COUNT, 1)
    assert not any(_spots(frames, 1)[6:])
    assert not any(one.state == "accepted" for spots in _spots(frames, 1) for one in spots)


def test_in_a_scene_that_stands_it_is_for_review():
    still = scene()[:, : SIZE[1]]
    rng = np.random.default_rng(3)
    frames = [still + rng.standard_normal(still.shape).astype(np.float32) for _ in range(COUNT)]
    spots = _spots(drawn(frames, _scratch), 0)
    assert all(len(one) == 1 for one in spots)
    assert all(one[0].state == "review" and one[0].confidence <= 0.5 for one in spots)


def test_a_bar_of_what_stands_is_not_repaired_though_things_pass_behind_it():
    frames = drawn(panned(scene(), COUNT, 3), _scratch)
    links = links_of(COUNT, 3)
    for one in links[1:]:
        one.back[:, : one.back.shape[1] // 4] = 0  # the frame of the window stands too
        one.back[:, -one.back.shape[1] // 4 :] = 0
    spots = found(LineDetector(), film(frames, links))
    assert all(one.state == "review" for each in spots for one in each)
    assert any(spots)


def test_clean_scenes_have_none():
    for seed in range(3):
        assert not any(_spots(panned(scene(seed=seed), COUNT, 3), 3))


def test_edges_and_wide_bars_are_no_lines():
    def bar(plane):
        plane[:, 60:90] += 60
        plane[:, 150:] -= 40

    assert not any(_spots(drawn(panned(scene(), COUNT, 3), bar), 3))


def test_a_line_of_two_pictures_is_not_persistent_however_often_they_are_repeated():
    clean = panned(scene(), COUNT, 3)
    frames = [drawn([one], _scratch)[0] if i in (6, 7) else one for i, one in enumerate(clean)]
    assert not any(_spots(frames, 3))
    order = [0, 1, 2, 3, 4, 5, 6, 6, 6, 7, 7, 7, 8, 9]
    links = [None]
    for last, now in pairwise(order):
        links.append(link(0, same=True) if last == now else link(-3))
    assert not any(found(LineDetector(), film([frames[i] for i in order], links)))


def test_batches_change_nothing_and_nothing_crosses_a_cut():
    frames = drawn(panned(scene(), COUNT, 3), _scratch)
    many = found(LineDetector(), film(frames, links_of(COUNT, 3), batch=1))
    few = found(LineDetector(), film(frames, links_of(COUNT, 3), batch=COUNT))
    for one, other in zip(many, few, strict=True):
        assert [spot.box for spot in one] == [spot.box for spot in other]
        assert np.array_equal(union(one, SIZE), union(other, SIZE))
    halves = film(frames[:7], links_of(7, 3)) + film(
        panned(scene(seed=9), 7, 3), links_of(7, 3), shot=1, index=7
    )
    assert not any(found(LineDetector(), halves)[7:])


def test_ten_bits_are_seen_like_eight():
    frames = [np.rint(one) for one in drawn(panned(scene(), COUNT, 3), _scratch)]
    eight = found(LineDetector(), film(frames, links_of(COUNT, 3)))
    ten = found(LineDetector(), film(frames, links_of(COUNT, 3), bits=10))
    for one, other in zip(eight, ten, strict=True):
        assert np.array_equal(union(one, SIZE), union(other, SIZE))


def test_faint_lines_need_more_sensitivity():
    frames = drawn(panned(scene(), COUNT, 3), lambda one: _scratch(one, opacity=0.03, level=230.0))
    assert not any(_spots(frames, 3))
    assert any(_spots(frames, 3, sensitivity="maximum"))


def test_switched_off_it_finds_nothing():
    frames = drawn(panned(scene(), COUNT, 3), _scratch)
    assert not any(_spots(frames, 3, enabled=False))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sensitivity": "extreme"}, {"polarity": "gray"}, {"bridge": 1.5}, {"frames": 9},
        {"stays": 0.6}, {"widest_px": 0.0},
    ],
)  # fmt: skip
def test_config_refuses(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        dataclasses.replace(LineConfig(), **wrong)


def test_the_background_is_the_median_beside():
    plane = np.full((30, 60), 100, np.uint8)
    plane[:, 30] = 160
    plane[:, 50:] = 200
    residual = residual_of(plane, 1, 4)
    assert residual.over[:, 30] == pytest.approx(60)
    assert np.count_nonzero(np.abs(residual.over) > 1e-3) == residual.over.shape[0]


def test_sums_find_what_no_row_shows():
    rng = np.random.default_rng(5)
    plane = np.clip(np.rint(100 + 12 * rng.standard_normal((270, 200))), 0, 255).astype(np.uint8)
    clean = segments(residual_of(plane, 1, 3), 12, 0.03, 8)
    plane[:, 77] += 12  # one deviation of the noise
    lines = segments(residual_of(plane, 1, 3), 9, 0.03, 8)
    assert not clean
    assert {round(one.x) for one in lines} <= {76, 77, 78}
    assert len({one.band for one in lines}) >= 4


def test_the_edge_of_a_profile_is_half_a_pixel_inside_its_spread():
    assert edge(np.array([10.0, 10.0, 0.0, 0.0], np.float32), 0.5) == pytest.approx(1.0)
    assert edge(np.array([10.0, 10.0, 10.0], np.float32), 0.5) is None


def test_short_gaps_are_bridged_and_ends_are_not_drawn_out():
    along = np.zeros(135, np.float32)
    along[20:60], along[70:110] = 20, 20
    seen = presence(along, np.ones(135, np.float32), 0.15)
    assert seen[25:105].all()
    assert not seen[:15].any()
    assert not seen[115:].any()
    along[60:70], along[50:90] = 20, 0
    assert not presence(along, np.ones(135, np.float32), 0.15)[60:80].any()
