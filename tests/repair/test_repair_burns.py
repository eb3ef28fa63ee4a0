import cv2
import numpy as np
import pytest
from made_lines import SIZE, drawn, film, found, links_of, panned, scene

from vidcolor.errors import ConfigError
from vidcolor.repair.burns import BurnConfig, BurnDetector

COUNT = 12


def _star(points=6, inner=16, outer=44):
    angles = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False)
    radius = np.where(np.arange(2 * points) % 2, inner, outer)
    return np.rint(
        np.stack([120 + radius * np.cos(angles), 90 + radius * np.sin(angles)], axis=1)
    ).astype(np.int32)


def _burnt(where, paint, count=COUNT):
    clean = panned(scene(), count, 2)
    frames = [drawn([one], paint)[0] if i in where else one for i, one in enumerate(clean)]
    return found(BurnDetector(), film(frames, links_of(count, 2)))


def _burn(plane):
    cv2.fillPoly(plane, [_star()], 255.0)


@pytest.mark.parametrize("where", [(5,), (4, 5, 6)])
def test_a_ragged_burnt_out_area_is_for_review(where):
    true = np.zeros(SIZE, np.float32)
    cv2.fillPoly(true, [_star()], 1.0)
    for number, spots in enumerate(_burnt(where, _burn)):
        assert [one.kind for one in spots] == ["burn"] * (number in where)
        if spots:
            assert spots[0].state == "review"
            assert spots[0].confidence <= 0.6
            hole = np.zeros(SIZE, np.bool_)
            hole[spots[0].place] = spots[0].hole
            both = np.count_nonzero(hole & (true > 0)) / np.count_nonzero(hole | (true > 0))
            assert both > 0.7


def test_a_round_light_is_no_burn():
    assert not any(_burnt((5,), lambda one: cv2.circle(one, (120, 90), 26, 255.0, -1)))


def test_a_small_one_is_none():
    small = (_star() - (120, 90)) // 5 + (120, 90)
    assert not any(_burnt((5,), lambda one: cv2.fillPoly(one, [small.astype(np.int32)], 255.0)))


def test_a_gray_thing_that_comes_and_goes_is_none():
    def veil(plane):
        inside = np.zeros(SIZE, np.float32)
        cv2.fillPoly(inside, [_star()], 1.0)
        plane += 35 * inside

    assert not any(_burnt((5,), veil))


def test_what_stays_and_what_is_clean_have_none():
    assert not any(_burnt(range(COUNT), _burn))
    assert not any(_burnt((), _burn))


@pytest.mark.parametrize("wrong", [{"area": 0.0}, {"ragged": 0.5}, {"sensitivity": "no"}])
def test_config_refuses(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        BurnConfig(**wrong)
