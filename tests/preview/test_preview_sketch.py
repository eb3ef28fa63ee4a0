"""Shots seen at key frames: what is found, what is not taken for a cut, and what is decoded."""

import numpy as np
import pytest
from preview_scenes import black, make_film, moving, scene

from vidcolor.io.film_frames import FilmFrames
from vidcolor.preview.likeness import likeness, look_at
from vidcolor.preview.sketch import PICTURE_PX, sketch
from vidcolor.records import FrameBatch


class Counted(FilmFrames):
    """Notes which frames were asked for."""

    def __init__(self, path):
        super().__init__(path)
        self.near_asked: list[int] = []
        self.at_asked: list[int] = []

    def near(self, pts: int) -> FrameBatch:
        self.near_asked.append(pts)
        return super().near(pts)

    def at(self, pts: int) -> FrameBatch:
        self.at_asked.append(pts)
        return super().at(pts)


def frames_of(film: FilmFrames, shots) -> list[int]:
    """Numbers of the frames at which shots begin."""
    step = 1 / (film.info.rate * film.info.time_base)
    return [round(shot.pts / step) for shot in shots]


def test_cuts_are_found_to_the_frame_where_the_encoder_has_put_key_frames(tmp_path):
    pictures = moving(1, 40) + moving(2, 30) + moving(3, 50)
    path = make_film(tmp_path / "cuts.mp4", pictures, finds_cuts=True)
    with Counted(path) as film:
        shots = list(sketch(film))
        assert frames_of(film, shots) == [0, 40, 70]
        assert sorted(film.near_asked) == list(film.key_frames())
        assert not film.at_asked, "only key frames are decoded"
        step = 1 / (film.info.rate * film.info.time_base)
        assert shots[0].end_pts == 40 * step
        picture = shots[1].picture.astype(float)
        expected = (film.at(int(40 * step)).luma[0, 0].numpy() - 16.0) * 255 / 219
        assert np.abs(picture - expected[..., None]).mean() < 2


def test_with_key_frames_at_fixed_times_a_cut_lies_before_the_first_that_shows_the_new_shot(
    tmp_path,
):
    pictures = moving(4, 40) + moving(5, 45) + moving(6, 35)
    path = make_film(tmp_path / "fixed.mp4", pictures, key_every=15)
    with FilmFrames(path) as film:
        assert frames_of(film, sketch(film)) == [0, 45, 90]


def test_what_stands_still_or_is_held_is_one_shot(tmp_path):
    held = [scene(7)] * 60
    with FilmFrames(make_film(tmp_path / "held.mp4", held, key_every=15)) as film:
        assert frames_of(film, sketch(film)) == [0]


def test_darkness_begins_no_shot_and_is_not_shown(tmp_path):
    pictures = [black()] * 15 + moving(8, 45) + [black()] * 30 + moving(9, 30)
    path = make_film(tmp_path / "fades.mp4", pictures, key_every=15)
    with FilmFrames(path) as film:
        shots = list(sketch(film))
        assert frames_of(film, shots) == [0, 90]
        assert shots[0].picture.max() > 100, "not the darkness that it begins with"


def test_an_empty_picture_begins_a_shot(tmp_path):
    empty = np.full((96, 160), 180, np.uint8)
    pictures = moving(8, 30) + [empty] * 30
    with FilmFrames(make_film(tmp_path / "card.mp4", pictures, key_every=15)) as film:
        assert frames_of(film, sketch(film)) == [0, 30]


def test_a_film_with_one_key_frame_is_read_through(tmp_path):
    pictures = [scene(10)] * 15 + [scene(11)] * 15
    path = make_film(tmp_path / "one.mp4", pictures, rate=1, key_every=1000)
    with Counted(path) as film:
        assert len(film.key_frames()) == 1
        shots = list(sketch(film))
        assert frames_of(film, shots) == [0, 16], "every fourth second is looked at"
        assert film.at_asked == sorted(film.at_asked), "forward only, or it would be read again"


def test_where_every_frame_is_a_key_frame_few_are_looked_at(tmp_path):
    pictures = moving(12, 50) + moving(13, 50)
    path = make_film(tmp_path / "intra.mp4", pictures, key_every=1)
    looked = []
    with FilmFrames(path) as film:
        assert len(film.key_frames()) == 100
        begins = frames_of(film, sketch(film, looked.append))
    assert len(looked) <= 8
    assert begins[0] == 0
    assert 50 <= begins[1] <= 64
    assert len(begins) == 2


def test_limit_leaves_the_rest_undecoded(tmp_path):
    pictures = [frame for seed in range(20, 36) for frame in moving(seed, 15)]
    path = make_film(tmp_path / "many.mp4", pictures, key_every=15)
    with Counted(path) as film:
        begins = frames_of(film, sketch(film, limit=4))
        assert begins == [0, 60, 120, 180]
        assert len(film.near_asked) < len(film.key_frames()) * 3 / 4


def test_the_first_shot_comes_before_the_third_key_frame_is_decoded(tmp_path):
    path = make_film(tmp_path / "first.mp4", moving(14, 90), key_every=15)
    with Counted(path) as film:
        shots = sketch(film)
        first = next(shots)
        assert len(film.near_asked) == 2
        assert first.end_pts is None
        assert first.shown == film.near_asked[1], "a frame well inside"
        assert first.picture.shape[1] <= PICTURE_PX


@pytest.mark.parametrize("change", ["darker", "grain", "moved", "letterbox"])
def test_the_same_place_stays_alike(tmp_path, change):
    wide = scene(30, (96, 200))
    here, there = wide[:, :160].copy(), wide[:, :160].copy()
    if change == "darker":
        there = (16 + (there.astype(float) - 16) * 0.6).astype(np.uint8)
    elif change == "grain":
        noise = np.random.default_rng(1).normal(0, 8, there.shape)
        there = np.clip(there + noise, 16, 235).astype(np.uint8)
    elif change == "moved":
        there = np.ascontiguousarray(wide[:, 12:172])
    else:
        here[:12] = here[-12:] = there[:12] = there[-12:] = 16
    other = scene(31)
    other[:12] = other[-12:] = 16
    with FilmFrames(make_film(tmp_path / "a.mp4", [here, there, other], key_every=1)) as film:
        one, two, three = (look_at(film.at(pts)) for pts in film.key_frames())
    assert likeness(one, two) > 1.5
    assert likeness(one, three) < 0.72
