"""Hints on small made films: where color goes, where it does not, and that it is what was said."""

import cv2
import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from vidcolor.color.compose import ComposeConfig, compose_rgb
from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.guidance.hints.config import HintsConfig
from vidcolor.guidance.hints.entries import FilmHints, HintEntry, place
from vidcolor.guidance.hints.solve import solve_hints
from vidcolor.guidance.layers import LayerStore
from vidcolor.guidance.moment import FrameTimes
from vidcolor.records import (
    Chroma,
    Colored,
    ColorSpec,
    Detections,
    FrameBatch,
    Tracked,
    Tracks,
    VideoInfo,
)
from vidcolor.stages.overlay import Overlay

SIZE = (96, 128)
CONFIG = HintsConfig(short_side=96)
FULL = ColorSpec(full_range=True)


def _film(pictures, boxes=None, batch=8, shot=0, held=(), **info):
    """Batches of one shot; `boxes` by frame: {track: xyxy}."""
    info = VideoInfo(*pictures[0].shape, color=FULL, **info)
    luma = torch.from_numpy(np.stack(pictures))[:, None]
    for first in range(0, len(pictures), batch):
        part = slice(first, min(first + batch, len(pictures)))
        frames = FrameBatch(
            luma[part],
            tuple(range(100 * shot + part.start, 100 * shot + part.stop)),
            info,
            shot=shot,
            start=first,
            held=torch.tensor([n in held for n in range(part.start, part.stop)]),
        )
        rows = [
            (track, n - first, box)
            for n in range(part.start, part.stop)
            for track, box in (boxes(n) if boxes else {}).items()
        ]
        seen = Detections(
            torch.tensor([box for *_, box in rows], dtype=torch.float32).reshape(-1, 4),
            torch.ones(len(rows)),
            torch.zeros(len(rows), dtype=torch.int64),
            torch.tensor([n for _, n, _ in rows], dtype=torch.int64),
        )
        ids = torch.tensor([track for track, *_ in rows], dtype=torch.int64)
        yield Tracked(frames, Tracks(seen, ids, torch.ones(len(rows))))


def _solve(film, *entries, config=CONFIG, frames=400):
    film = list(film)
    times = FrameTimes(tuple(range(frames)), film[0].frames.info.time_base)
    placed = place(FilmHints.of(entries), times, film[0].frames.info)
    store = LayerStore()
    pins = solve_hints(film, placed, config, store)
    return film, store, pins


def _weight(store, pts):
    return store.get(pts).weight[0, 0].numpy()


def _rgb(film, store, number):
    """A frame as it is written, over an automatic color that is a strong green."""
    batch = next(t for t in film if number in t.frames.pts)
    n, height, width = len(batch.frames), 48, 64  # not the grid of the solve
    light = torch.nn.functional.interpolate(
        batch.frames.luma.float() / 2.55, (height, width), mode="area"
    )
    ab = torch.tensor([-30.0, 20.0]).view(1, 2, 1, 1).expand(n, 2, height, width)
    colored = Overlay(store)(Colored(batch.frames, batch.tracks, Chroma(ab.clone(), light)))
    i = batch.frames.pts.index(number)
    return compose_rgb(
        batch.frames.luma[i, 0].numpy(),
        colored.chroma.ab[i].numpy(),
        colored.chroma.lightness[i, 0].numpy(),
        FULL,
        ComposeConfig(),
    )


def _distance(rgb, y, x, ab):
    """Delta E 2000 of a pixel from what was said, at the pixel's own lightness."""
    lab = rgb2lab(rgb)[y, x]
    return deltaE_ciede2000(lab, np.array((lab[0], *ab)))


def _halves(left=90, right=170):
    picture = np.full(SIZE, left, np.uint8)
    picture[:, 64:] = right
    return cv2.GaussianBlur(picture, (3, 3), 0)


def _texture(height, width, seed, low, high):
    rng = np.random.default_rng(seed)
    plane = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), 2.5)
    plane = (plane - plane.min()) / (plane.max() - plane.min())
    return (low + plane * (high - low)).astype(np.uint8)


def _moving(count, step, size=40, low=130, high=170):
    """A bright cloth that moves to the right over a dark wall."""
    wall, cloth = _texture(*SIZE, 1, 40, 75), _texture(size, size, 2, low, high)
    pictures = []
    for n in range(count):
        picture = wall.copy()
        picture[28 : 28 + size, 8 + step * n : 8 + step * n + size] = cloth
        pictures.append(picture)
    return pictures


def test_a_dot_colors_its_side_of_an_edge_and_not_the_other():
    film, store, _ = _solve(
        _film([_halves()] * 6), HintEntry("ab(30 25)", frame=2, points=(30, 50))
    )
    for n in range(6):
        weight = _weight(store, n)
        assert weight[30:70, 10:60].min() > 0.95
        assert weight[:, 67:].max() == 0
        rgb = _rgb(film, store, n)
        assert _distance(rgb, 50, 30, (30, 25)) < 2
        assert _distance(rgb, 50, 60, (30, 25)) < 5  # two cells of the coarser grid off the edge
        assert _distance(rgb, 50, 70, (-30, 20)) < 5
    assert torch.equal(store.get(2).ab[0, :, 50, 30], torch.tensor([30.0, 25.0]))


def test_a_dot_beside_an_edge_is_exact_and_does_not_cross_it():
    film, store, _ = _solve(_film([_halves()]), HintEntry("ab(10 -30)", frame=0, points=(59, 50)))
    rgb = _rgb(film, store, 0)
    assert _distance(rgb, 50, 59, (10, -30)) < 5
    assert _distance(rgb, 50, 69, (-30, 20)) < 5


def test_weight_falls_smoothly_where_no_edge_ends_it():
    flat = np.full(SIZE, 120, np.uint8)
    _, store, _ = _solve(
        _film([flat]),
        HintEntry("teal", frame=0, points=(10, 48)),
        config=HintsConfig(short_side=96, extent=0.5),
    )
    row = _weight(store, 0)[48]
    assert row[10] == 1
    assert row[110] == 0
    assert np.abs(np.diff(row)).max() < 0.15
    assert (np.diff(row[12:]) <= 1e-3).all()


def test_each_of_two_colors_keeps_to_its_own_side():
    _, store, _ = _solve(
        _film([_halves()]),
        HintEntry("ab(40 10)", frame=0, points=(20, 20)),
        HintEntry("ab(-10 -30)", frame=0, points=(110, 80)),
    )
    ab = store.get(0).ab[0].numpy()
    assert np.abs(ab[:, 50, 58] - (40, 10)).max() < 1
    assert np.abs(ab[:, 50, 70] - (-10, -30)).max() < 1


def test_colors_on_one_flat_thing_meet_between_their_dots():
    flat = np.full(SIZE, 120, np.uint8)
    _, store, _ = _solve(
        _film([flat]),
        HintEntry("ab(40 0)", frame=0, points=(24, 48)),
        HintEntry("ab(-40 0)", frame=0, points=(104, 48)),
    )
    row = store.get(0).ab[0, 0, 48].numpy()
    assert row[40] > 35
    assert row[88] < -35
    assert abs(row[64]) < 6
    assert (np.diff(row[24:104]) <= 0.02).all()


def test_gray_keeps_neutral_and_auto_keeps_out():
    flat = np.full(SIZE, 120, np.uint8)
    red = HintEntry("ab(50 30)", frame=0, points=(24, 48))
    _, store, _ = _solve(_film([flat]), red, HintEntry("gray", frame=0, points=(104, 48)))
    layer = store.get(0)
    assert layer.weight[0, 0, 48, 104] == 1
    assert layer.ab[0, :, 48, 104].abs().max() == 0
    _, store, _ = _solve(_film([flat] * 3), red, HintEntry("auto", frame=0, points=(104, 48)))
    for n in (0, 2):
        weight = _weight(store, n)
        assert weight[48, 24] > 0.98
        assert weight[48, 96:112].max() < 0.05
    alone = _solve(_film([flat]), red, config=HintsConfig(short_side=96, extent=2))[1]
    assert _weight(alone, 0)[48, 104] > 0.3  # it would have come there


def test_reach_zero_stays_where_it_is():
    _, store, _ = _solve(
        _film([_halves()]), HintEntry("red", frame=0, points=(20, 20, 40, 20), radius_px=3, reach=0)
    )
    weight = _weight(store, 0)
    assert weight[18:23, 20:41].min() == 1
    assert weight[26:].max() == 0
    assert weight[:, 46:].max() == 0


def test_a_region_snaps_to_the_edge_beside_its_border():
    # drawn four pixels short of the edge above, and four beyond it on the right
    picture = np.full(SIZE, 90, np.uint8)
    picture[20:80, 30:90] = 160
    film, store, _ = _solve(
        _film([cv2.GaussianBlur(picture, (3, 3), 0)] * 2),
        HintEntry("ab(20 40)", frame=0, region=(30, 24, 94, 80)),
        config=HintsConfig(short_side=96, border=0.07),
    )
    weight = _weight(store, 0)
    assert weight[22, 40:80].min() > 0.9
    assert weight[40:70, 92].max() < 0.1
    assert weight[50, 60] == 1
    assert weight[:, 110:].max() == 0
    assert _distance(_rgb(film, store, 1), 50, 60, (20, 40)) < 2


def test_color_goes_with_a_moving_thing_to_both_sides_in_time():
    film, store, _ = _solve(
        _film(_moving(21, 2)), HintEntry("ab(35 30)", frame=10, points=(48, 48))
    )
    for n in (0, 5, 10, 15, 20):
        left = 8 + 2 * n
        weight = _weight(store, n)
        assert weight[34:62, left + 6 : left + 34].mean() > 0.9, n
        outside = np.ones(SIZE, bool)
        outside[24:72, left - 4 : left + 44] = False
        assert weight[outside].mean() < 0.02, n
        assert _distance(_rgb(film, store, n), 48, left + 20, (35, 30)) < 5


def test_two_moments_blend_by_their_distance_in_time():
    _, store, _ = _solve(
        _film([_halves()] * 11),
        HintEntry("ab(40 0)", frame=0, points=(30, 50)),
        HintEntry("ab(0 40)", frame=10, points=(30, 50)),
    )
    colors = np.array([store.get(n).ab[0, :, 50, 30].numpy() for n in range(11)])
    assert np.abs(colors[0] - (40, 0)).max() < 0.1
    assert np.abs(colors[10] - (0, 40)).max() < 0.1
    assert np.abs(colors[5] - (20, 20)).max() < 1
    assert (np.diff(colors[:, 0]) < 0).all()
    assert min(_weight(store, n)[50, 30] for n in range(11)) > 0.98


def test_a_box_carries_color_where_flow_cannot_follow():
    def boxes(n):
        return {7: (8.0 + 36 * n, 28.0, 48.0 + 36 * n, 68.0)}

    hint = HintEntry("ab(35 30)", frame=0, points=(28, 48))
    pictures = _moving(3, 36, low=90, high=210)
    _, lost, _ = _solve(_film(pictures), hint)
    _, store, pins = _solve(_film(pictures, boxes), hint)
    assert _weight(store, 2)[34:62, 86:114].mean() > 0.8
    assert _weight(lost, 2)[34:62, 86:114].mean() < _weight(store, 2)[34:62, 86:114].mean() - 0.2
    assert _weight(store, 2)[34:62, 10:40].max() < 0.1
    assert [pin.track for pin in pins] == [7]


def test_color_of_an_object_does_not_stay_on_what_it_uncovers():
    """The wall looks like the coat; flow is astray where the coat has been."""
    coat = _texture(40, 30, 2, 118, 126)
    pictures = []
    for n in range(8):
        picture = np.full(SIZE, 122, np.uint8)
        picture[28:68, 8 + 12 * n : 38 + 12 * n] = coat[:, : min(30, 120 - 12 * n)]
        pictures.append(picture)

    def boxes(n):
        return {3: (8.0 + 12 * n, 28.0, 38.0 + 12 * n, 68.0)}

    hint = HintEntry("crimson", frame=0, points=(22, 48), track=3)
    _, store, _ = _solve(_film(pictures, boxes), hint)
    assert _weight(store, 7)[:, :60].max() < 0.2
    assert _weight(store, 7)[40:60, 98:116].mean() > 0.9
    _, loose, _ = _solve(_film(pictures), HintEntry("crimson", frame=0, points=(22, 48)))
    assert _weight(loose, 7)[:, :60].max() > 0.4  # without the box it stays there


def test_the_template_of_a_pin_lies_in_the_box():
    picture = np.full(SIZE, 60, np.uint8)
    picture[20:52, 40:72] = 150  # upper half of the box 40, 20, 72, 84
    picture[52:84, 40:72] = 100
    box = {5: (40.0, 20.0, 72.0, 84.0)}
    hint = HintEntry("ab(-20 30)", frame=0, points=(56, 36))
    _, _, pins = _solve(_film([picture], lambda _: box), hint)
    (pin,) = pins
    assert pin.track == 5
    assert pin.template.weight[:3].min() > 0.9
    assert pin.template.weight[5:].max() < 0.05
    known = pin.template.weight > 0.5
    assert (pin.template.ab[0][known] + 20).abs().max() < 0.5
    assert (pin.template.ab[1][known] - 30).abs().max() < 0.5
    expected = rgb2lab(np.full((1, 1, 3), 150 / 255))[0, 0, 0]
    assert (pin.template.lightness[:3, 1:7] - expected).abs().max() < 1


def test_a_dot_on_the_wall_behind_does_not_bind_to_the_object():
    picture = np.full(SIZE, 120, np.uint8)
    picture[40:70, 50:70] = 30
    box = {5: (40.0, 30.0, 80.0, 80.0)}
    _, store, pins = _solve(
        _film([picture] * 2, lambda _: box), HintEntry("tan", frame=0, points=(44, 34))
    )
    assert pins == ()
    assert _weight(store, 1)[10, 20] > 0.9


def test_a_whole_object_is_pinned_and_a_whole_shot_colored():
    pictures = _moving(6, 3)

    def boxes(n):
        return {5: (6.0 + 3 * n, 26.0, 50.0 + 3 * n, 70.0)}

    _, store, pins = _solve(
        _film(pictures, boxes),
        HintEntry("ab(30 0)", whole=True, track=5),
        HintEntry("ab(0 -20)", frame=3, whole=True),
    )
    (pin,) = pins
    assert pin.track == 5
    assert (pin.template.ab[0] - 30).abs().max() < 1e-5
    assert pin.template.weight.min() == 1
    for n in (0, 5):
        layer = store.get(n)
        assert layer.weight.min() == 1
        assert (layer.ab[0, 1] + 20).abs().max() < 0.1


def test_a_whole_object_that_is_not_there():
    with pytest.raises(GuidanceError, match="shot 0 has no track 7, but 5"):
        _solve(
            _film(_moving(3, 3), lambda n: {5: (6.0, 26.0, 50.0, 70.0)}),
            HintEntry("ab(30 0)", whole=True, track=7),
        )


def test_the_batch_size_changes_nothing():
    hint = HintEntry("ab(35 30)", frame=5, points=(38, 48))
    stores = [_solve(_film(_moving(9, 2), batch=batch), hint)[1] for batch in (1, 4, 9)]
    for n in range(9):
        first = stores[0].get(n)
        for other in stores[1:]:
            assert torch.equal(other.get(n).ab, first.ab)
            assert torch.equal(other.get(n).weight, first.weight)


def test_nothing_crosses_a_cut():
    shots = [*_film([_halves()] * 3), *_film([_halves()] * 3, shot=1)]
    _, store, _ = _solve(shots, HintEntry("red", frame=101, points=(30, 50)))
    assert len(store) == 3
    assert 100 in store
    assert 2 not in store


def test_held_frames_have_the_layer_of_what_they_repeat():
    pictures = _moving(3, 4)
    held = [pictures[0], pictures[0], pictures[1], pictures[1], pictures[2], pictures[2]]
    hint = HintEntry("ab(35 30)", frame=3, points=(32, 48))  # itself a repetition
    _, store, _ = _solve(_film(held, held=(1, 3, 5)), hint)
    for n in (0, 2, 4):
        assert torch.equal(store.get(n).ab, store.get(n + 1).ab)
        assert torch.equal(store.get(n).weight, store.get(n + 1).weight)
    _, fresh, _ = _solve(_film(pictures), HintEntry("ab(35 30)", frame=1, points=(32, 48)))
    assert torch.equal(store.get(4).weight, fresh.get(2).weight)


@pytest.mark.parametrize("rotation", [90, 180])
def test_places_are_those_of_the_coded_frame(rotation):
    _, store, _ = _solve(
        _film([_halves()], rotation=rotation), HintEntry("red", frame=0, points=(30, 50))
    )
    layer = store.get(0)
    assert layer.weight.shape[2:] == (96, 128)
    assert layer.weight[0, 0, 50, 30] == 1
    assert layer.weight[0, 0, :, 70:].max() == 0


def test_grain_is_no_edge():
    rng = np.random.default_rng(0)
    clean = _halves(100, 180).astype(np.float64)
    pictures = [np.clip(clean + rng.normal(0, 16, SIZE), 0, 255).astype(np.uint8) for _ in range(4)]
    _, store, _ = _solve(_film(pictures), HintEntry("ab(30 25)", frame=0, points=(30, 50)))
    for n in (0, 3):
        weight = _weight(store, n)
        assert weight[20:76, 8:60].mean() > 0.9
        assert weight[:, 70:].mean() < 0.02


def test_a_thin_dark_line_is_a_wall():
    """Line art: one cell wide and slanted, its cells touching only at their corners."""
    picture = np.full(SIZE, 200, np.uint8)
    for n in range(96):
        picture[n, 100 - n] = 20
    _, store, _ = _solve(_film([picture]), HintEntry("red", frame=0, points=(40, 40)))
    weight = _weight(store, 0)
    assert weight[25:50, 20:40].min() > 0.9
    assert weight[56:66, 56:66].max() < 0.05


def test_a_painted_frame_is_a_hint(tmp_path):
    picture = np.repeat(_halves()[..., None], 3, axis=2)
    picture[40:60, 20:40] = (60, 60, 160)
    cv2.imwrite(str(tmp_path / "1.png"), picture)
    from vidcolor.guidance.hints.entries import read_hints

    film = list(_film([_halves()] * 3))
    info = film[0].frames.info
    placed = place(read_hints(tmp_path), FrameTimes((0, 1, 2), info.time_base), info)
    store = LayerStore()
    solve_hints(film, placed, CONFIG, store)
    wanted = rgb2lab(np.array((160, 60, 60.0))[None, None] / 255)[0, 0, 1:]
    layer = store.get(1)
    assert np.abs(layer.ab[0, :, 45:55, 25:35].numpy() - wanted[:, None, None]).max() < 0.1
    assert layer.weight[0, 0, 42:58, 22:38].min() == 1
    assert _weight(store, 2)[80, 30] > 0.9
    assert _weight(store, 2)[:, 70:].max() == 0


def test_what_is_not_there_is_an_error():
    with pytest.raises(GuidanceError, match=r"hints\[0\]: track 4 is not in that frame .*there: 9"):
        _solve(
            _film([_halves()], lambda _: {9: (0.0, 0.0, 9.0, 9.0)}),
            HintEntry("red", frame=0, points=(5, 5), track=4),
        )
    for bad in ({"short_side": 8}, {"contrast": 0}, {"shade": 0}, {"extent": 0}, {"flow": "slow"}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            HintsConfig(**bad)
