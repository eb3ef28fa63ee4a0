"""Classes, borders, rejection, and holes by number."""

import numpy as np
import pytest

from vidcolor.errors import ConfigError
from vidcolor.holes.classes import (
    CLASSES,
    class_name,
    class_of,
    clear_border,
    draw_class,
    draw_share,
    margin,
    share,
    touches_border,
)
from vidcolor.holes.draw import KINDS
from vidcolor.holes.source import HolesConfig, HoleSource
from vidcolor.schema import leaves, load, parse


def some(count, size=(10, 100)):
    """A hole of `count` cells."""
    hole = np.zeros(size, np.bool_)
    hole.flat[:count] = True
    return hole


@pytest.mark.parametrize(
    ("cells", "number"),
    [(10, None), (11, 0), (100, 0), (101, 1), (200, 1), (201, 2), (600, 5), (601, None), (0, None)],
)
def test_classes_are_open_below_and_closed_above(cells, number):
    assert class_of(some(cells)) == number
    assert share(some(cells)) == cells / 1000


def test_names():
    assert [class_name(number) for number in range(6)] == [
        "0.01-0.1", "0.1-0.2", "0.2-0.3", "0.3-0.4", "0.4-0.5", "0.5-0.6"
    ]  # fmt: skip


@pytest.mark.parametrize(("row", "column"), [(0, 3), (6, 3), (3, 0), (3, 8)])
def test_one_cell_at_any_edge_touches_the_border(row, column):
    hole = np.zeros((7, 9), np.bool_)
    hole[1:-1, 1:-1] = True
    assert not touches_border(hole)
    hole[row, column] = True
    assert touches_border(hole)


def test_the_margin_is_50_of_512():
    assert margin((512, 512)) == (50, 50)
    assert margin((256, 1024)) == (25, 100)
    cleared = clear_border(np.ones((512, 1024), np.bool_))
    rows, columns = np.nonzero(cleared)
    assert (rows.min(), rows.max()) == (50, 461)
    assert (columns.min(), columns.max()) == (100, 923)
    assert cleared.sum() == 412 * 824


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("border", [True, False, None])
def test_a_hole_is_of_the_class_asked_for(number, border):
    low, high = CLASSES[number]
    for seed in range(6):
        hole = draw_class(number, border, (96, 128), np.random.default_rng(seed)).hole
        assert low < np.count_nonzero(hole) / hole.size <= high
        edge = hole[0].any() | hole[-1].any() | hole[:, 0].any() | hole[:, -1].any()
        if border is True:
            assert edge
        if border is False:
            assert not hole[:10].any()
            assert not hole[-10:].any()
            assert not hole[:, :13].any()
            assert not hole[:, -13:].any()


def test_holes_that_rarely_touch_the_border_are_drawn_until_they_do():
    for seed in range(12):
        hole = draw_class(0, True, (96, 96), np.random.default_rng(seed), ["rectangles"]).hole
        assert hole[[0, -1]].any() or hole[:, [0, -1]].any()


def test_kinds_are_chosen_as_often_as_their_weights_say():
    found = [
        draw_share(
            0.05, 0.6, None, (64, 64), np.random.default_rng(n), ["thin", "walk", "film"], (3, 1, 0)
        ).kind
        for n in range(200)
    ]
    assert 120 < found.count("thin") < 178  # 150, standard deviation 6
    assert found.count("film") == 0


def test_what_cannot_be_is_one_line():
    with pytest.raises(ConfigError, match=r"no holes over \(0\.9, 1\] of 64x64 pixels away from"):
        draw_share(0.9, 1.0, False, (64, 64), np.random.default_rng(0))
    with pytest.raises(ConfigError, match="allow other kinds"):
        draw_class(5, False, (96, 96), np.random.default_rng(0), ["thin_film"], lines=90)
    with pytest.raises(ConfigError, match="hole class 6"):
        draw_class(6, None, (64, 64), np.random.default_rng(0))
    with pytest.raises(ConfigError, match="'dots' is no kind"):
        draw_class(0, None, (64, 64), np.random.default_rng(0), ["dots"])
    with pytest.raises(ConfigError, match="weights: expected 2"):
        draw_share(0, 1, None, (64, 64), np.random.default_rng(0), ["film", "thin"], (1,))
    with pytest.raises(ConfigError, match="size 0x5"):
        draw_class(0, None, (0, 5), np.random.default_rng(0))


@pytest.mark.parametrize("size", [(8, 8), (17, 5), (33, 64)])
def test_tiny_and_odd_pictures_have_holes_too(size):
    source = HoleSource(HolesConfig(shares="film"))
    for index in range(10):
        hole = source(index, size)
        assert hole.shape == size
        assert hole.any()


def test_a_hole_depends_on_seed_number_and_size_only():
    source, again = HoleSource(HolesConfig(seed=3)), HoleSource(HolesConfig(seed=3))
    ahead = [source(index, (48, 64)) for index in range(8)]
    for index in (5, 0, 7):
        assert np.array_equal(again(index, (48, 64)), ahead[index])
    other = HoleSource(HolesConfig(seed=4))
    assert not any(np.array_equal(other(n, (48, 64)), ahead[n]) for n in range(8))
    assert len({hole.tobytes() for hole in ahead}) == 8


def test_film_shares_are_60_25_15():
    """Of 400 holes 240, 100 and 60 are expected; limits are 3.5 standard deviations away."""
    config = HolesConfig(kinds=("thin_film",), shares="film", largest=0.3)
    source = HoleSource(config)
    shares = np.array([source(index, (64, 64)).mean() for index in range(400)])
    small, middle = int((shares <= 0.05).sum()), int(((shares > 0.05) & (shares <= 0.2)).sum())
    assert 205 <= small <= 275
    assert 69 <= middle <= 131
    assert shares.min() > 0
    assert shares.max() <= 0.3


def test_uniform_shares_are_the_six_classes_alike():
    source = HoleSource(HolesConfig(kinds=("thin", "shapes")))
    numbers = [class_of(source(index, (64, 64))) for index in range(300)]
    assert None not in numbers
    assert all(27 <= numbers.count(n) <= 73 for n in range(6))  # 50, standard deviation 6.5


def test_a_largest_share_cuts_ranges_off():
    uniform = HolesConfig(largest=0.25).ranges()
    assert [r[:2] for r in uniform] == [(0.01, 0.1), (0.1, 0.2), (0.2, 0.25)]
    assert sum(often for _, _, often in uniform) == pytest.approx(1)
    film = HolesConfig(shares="film", largest=0.1).ranges()
    assert [r[:2] for r in film] == [(0.0, 0.05), (0.05, 0.1)]
    assert film[0][2] == pytest.approx(0.6 / 0.85)


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", -1), ("kinds", ()), ("kinds", ("dots",)), ("weights", (1.0,)), ("largest", 0.01),
     ("largest", 1.1), ("lines", -1.0), ("weights", (0.0,) * len(KINDS))],
)  # fmt: skip
def test_settings_are_checked(key, value):
    with pytest.raises(ConfigError, match=key):
        HolesConfig(**{key: value})


def test_settings_come_from_flags_and_files():
    known = {leaf.name: leaf for leaf in leaves(HolesConfig)}
    data = {name: parse(text, known[name]) for name, text in
            (("kinds", "film,thin"), ("weights", "2,1"), ("shares", "film"))}  # fmt: skip
    config = load(HolesConfig, data)
    assert config.kinds == ("film", "thin")
    assert config.weights == (2.0, 1.0)
    assert all(leaf.help for leaf in known.values())
