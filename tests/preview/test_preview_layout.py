"""Pictures of a clip: how large they are, where they lie, what is left of them."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from vidcolor.errors import ConfigError
from vidcolor.preview.layout import fitting, line_at
from vidcolor.records import VideoInfo

WIDE = VideoInfo(1080, 1920)
TALL = VideoInfo(1080, 1920, rotation=90)
FILM = VideoInfo(800, 1920)  # 2.4:1


def _plain(size: tuple[int, int], *values: int) -> list[np.ndarray]:
    return [np.full((*size, 3), value, np.uint8) for value in values]


@pytest.mark.parametrize(
    ("info", "names", "rows", "columns", "width"),
    [
        (WIDE, 2, 1, 2, 959),  # (1920 - 2) / 2
        (TALL, 2, 1, 2, 607),  # 1080 * 1080 / 1920, rounded down
        (FILM, 2, 2, 1, 1293),  # 539 * 2.4: above each other they are larger than 959
        (WIDE, 3, 2, 2, 958),  # in a row they would be 638
        (WIDE, 1, 1, 1, 1920),
    ],
)
def test_pictures_are_as_large_as_the_screen_lets_them(info, names, rows, columns, width):
    layout = fitting("side", ["x"] * names, info, 1080)
    assert (layout.rows, layout.columns) == (rows, columns)
    assert layout.pane[1] == pytest.approx(width, abs=1)
    assert layout.size[0] <= 1080
    assert layout.size[1] <= 1920
    tall, wide = (1920, 1080) if info is TALL else info.size
    assert layout.pane[0] == pytest.approx(layout.pane[1] * tall / wide, abs=0.51)


def test_small_films_are_not_enlarged_and_pixels_are_square():
    info = VideoInfo(48, 64, sample_aspect=Fraction(2))
    layout = fitting("side", ("before", "after"), info, 1080)
    assert layout.pane == (48, 128)
    assert layout.size == (48, 128 + 2 + 128)
    assert fitting("split", ("before", "after"), info, 1080).size == (48, 128)
    assert fitting("split", ("before", "after"), info, 24).size == (16, 43)  # 43 is 24 * 16 / 9


def test_side_by_side_every_picture_is_whole_but_for_words():
    layout = fitting("side", ("before", "after"), VideoInfo(90, 160), 1080)
    drawn = layout.draw(_plain((90, 160), 40, 200), 0.0, "0:00:01.000")
    assert drawn.shape == (90, 322, 3)
    assert (drawn[30:70, :160] == 40).all()
    assert (drawn[:, 160:162] == 0).all()
    assert (drawn[30:, 162:] == 200).all()
    assert (drawn[:12, 162:200] != 200).any()  # the name
    assert (drawn[-12:, :60] != 40).any()  # the time


def test_the_source_stands_alone_above_two_that_are_compared():
    layout = fitting("side", ("before", "one", "other"), WIDE, 1080)
    height, width = layout.pane
    corners = [layout.corner(place) for place in range(3)]
    assert corners[0] == (0, (width + 2) // 2)
    assert corners[1:] == [(height + 2, 0), (height + 2, width + 2)]
    drawn = layout.draw(_plain(layout.pane, 40, 120, 200), 0.0, "")
    middle = height // 2
    assert drawn[middle, 960, 0] == 40
    assert drawn[middle, 10, 0] == 0
    assert drawn[height + 2 + middle, [100, 1800], 0].tolist() == [120, 200]


def test_split_has_a_band_for_each_and_a_thin_line_between():
    layout = fitting("split", ("a", "b", "c"), VideoInfo(90, 150), 1080)
    drawn = layout.draw(_plain((90, 150), 10, 100, 220), 0.0, "")[45, :, 0]
    lines = np.flatnonzero(drawn == 255)
    assert lines.tolist() == [50, 100]
    assert (drawn[:49] == 10).all()
    assert (drawn[52:99] == 100).all()
    assert (drawn[102:] == 220).all()
    assert drawn[[49, 51, 99, 101]].tolist() == [4, 45, 45, 99]  # darkened to 0.45


def test_the_line_of_a_wipe_travels_to_and_fro_without_jumps():
    steps = [line_at(frame / 25, 1000) for frame in range(101)]
    assert steps[0] == 500
    assert max(steps) == 980
    assert min(steps) == 20
    assert steps[100] == 500  # after four seconds it begins again
    assert max(abs(b - a) for a, b in itertools.pairwise(steps)) <= 31  # 0.48 * 2 pi * 10
    layout = fitting("wipe", ("before", "after"), VideoInfo(90, 1000), 1080)
    drawn = layout.draw(_plain((90, 1000), 40, 200), 1.0, "")[45, :, 0]
    assert (drawn[:978] == 40).all()
    assert (drawn[983:] == 200).all()


def test_words_that_find_no_room_are_left_out():
    layout = fitting("wipe", ("before", "after"), VideoInfo(90, 200), 1080)
    drawn = layout.draw(_plain((90, 200), 40, 200), 1.0, "")  # "after" has 2 pixels
    assert (drawn[:, 198:] == 200).all()


def test_odd_letters_do_not_break_it():
    layout = fitting("split", ("Film \u2019s", "\u96ea"), VideoInfo(90, 200), 1080)
    drawn = layout.draw(_plain((90, 200), 40, 200), 0.0, "0:00")
    assert (drawn[:14, 101:] != 200).any()


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="side, split, wipe, not 'above'"):
        fitting("above", ("a", "b"), WIDE, 1080)
    with pytest.raises(ConfigError, match="a wipe shows two pictures, not 3"):
        fitting("wipe", ("a", "b", "c"), WIDE, 1080)
    with pytest.raises(ConfigError, match="at least 16 lines, not 4"):
        fitting("side", ("a", "b"), WIDE, 4)
    layout = fitting("side", ("a", "b"), VideoInfo(90, 160), 1080)
    with pytest.raises(ValueError, match="2 pictures"):
        layout.draw(_plain((90, 160), 1), 0.0, "")
    with pytest.raises(ValueError, match="90, 161, 3"):
        layout.draw([*_plain((90, 160), 1), *_plain((90, 161), 1)], 0.0, "")
