import cv2
import numpy as np
import pytest
from made_lines import drawn, film, found, links_of, panned, scene

from vidcolor.errors import ConfigError
from vidcolor.repair.records import union
from vidcolor.repair.still import StillConfig, StillDamage

SIZE = (400, 500)


def _picture(seed=0):
    return scene(SIZE[1], seed, SIZE)


def _spots(plane, **options):
    return found(StillDamage(StillConfig(**options)), film([plane], [None]))[0]


def test_a_clean_picture_has_none():
    for seed in range(3):
        assert not _spots(_picture(seed))


@pytest.mark.parametrize("level", [5.0, 250.0])
def test_specks_on_calm_ground_are_repaired_where_they_are(level):
    places = [(60, 80), (200, 300), (333, 451)]

    def specks(plane):
        for y, x in places:
            plane[y : y + 2, x : x + 2] = level

    spots = _spots(drawn([_picture()], specks)[0])
    assert {one.kind for one in spots} == {"dust"}
    assert {one.state for one in spots} == {"accepted"}
    hole = union(spots, SIZE)
    for y, x in places:
        assert hole[y : y + 2, x : x + 2].all()
    assert np.count_nonzero(hole) <= len(places) * 16


def test_a_larger_thing_and_a_speck_in_texture_are_left():
    def thing(plane):
        plane[100:112, 100:112] = 5
        plane[200:300, 200:300] += 40 * (np.indices((100, 100)).sum(axis=0) // 4 % 2)
        plane[250:252, 250:252] = 5

    assert not _spots(drawn([_picture()], thing)[0])


def test_a_line_from_top_to_bottom_is_repaired_others_are_for_review():
    def line(plane, rows=slice(None), columns=slice(251, 253)):
        plane[rows, columns] += 0.8 * (235 - plane[rows, columns])

    whole = _spots(drawn([_picture()], line)[0])
    assert [(one.kind, one.state) for one in whole] == [("scratch", "accepted")]
    assert union(whole, SIZE)[:, 251:253].mean() > 0.95
    part = _spots(drawn([_picture()], lambda one: line(one, slice(50, 300)))[0])
    assert part
    assert {one.state for one in part} == {"review"}
    level = _spots(drawn([_picture()], lambda one: line(one, slice(100, 102), slice(None)))[0])
    assert level
    assert {one.state for one in level} == {"review"}


def test_a_bright_crease_is_for_review():
    crease = np.array([(100, 50), (160, 120), (170, 200), (260, 260)], np.int32)
    plane = drawn([_picture()], lambda one: cv2.polylines(one, [crease], False, 240.0, 2))[0]
    spots = _spots(plane)
    assert {one.state for one in spots} == {"review"}
    true = np.zeros(SIZE, np.float32)
    cv2.polylines(true, [crease], False, 1.0, 2)
    assert union(spots, SIZE, review=True)[true > 0].mean() > 0.9


def test_frames_of_a_film_are_not_its_business():
    frames = drawn(panned(scene(), 4, 2), lambda one: one.__setitem__((50, 60), 255.0))
    assert not any(found(StillDamage(), film(frames, links_of(4, 2))))
    assert found(StillDamage(), film(frames[:1], [None]))[0]


def test_ten_bits_are_seen_like_eight():
    plane = np.rint(_picture())
    plane[60:62, 80:82] = 250
    eight, ten = (found(StillDamage(), film([plane], [None], bits=bits))[0] for bits in (8, 10))
    assert np.array_equal(union(eight, SIZE), union(ten, SIZE))
    assert union(ten, SIZE).any()


@pytest.mark.parametrize("wrong", [{"whole": 1.2}, {"sensitivity": "no"}, {"calm": -1.0}])
def test_config_refuses(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        StillConfig(**wrong)
