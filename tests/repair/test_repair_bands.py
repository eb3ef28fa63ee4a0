import numpy as np
import pytest
from made_lines import SIZE, film, found, link, links_of, panned, scene

from vidcolor.errors import ConfigError
from vidcolor.repair.bands import BandConfig, BandDetector
from vidcolor.repair.records import union

COUNT = 16


def _taped(frames, where, rows=slice(0, 12), level=60.0):
    return [
        np.where(np.isin(np.arange(SIZE[0]), np.r_[rows])[:, None], one + level, one)
        if i in where
        else one
        for i, one in enumerate(frames)
    ]


def _spots(frames, links=None, step=2):
    return found(BandDetector(), film(frames, links or links_of(len(frames), step)))


@pytest.mark.parametrize(("where", "rows"), [((0, 1), slice(0, 12)), ((14, 15), slice(168, 180))])
def test_a_band_beside_a_cut_is_found_where_it_is(where, rows):
    spots = _spots(_taped(panned(scene(), COUNT, 2), where, rows))
    for number, each in enumerate(spots):
        hole = union(each, SIZE)
        assert [one.kind for one in each] == ["splice"] * (number in where)
        if number in where:
            assert hole[rows].all()
            hole[rows] = False
            assert np.count_nonzero(hole.any(axis=1)) <= 6


def test_bands_away_from_cuts_are_left_unless_the_picture_jumps():
    frames = _taped(panned(scene(), COUNT, 2), (8,))
    assert not any(_spots(frames))
    links = links_of(COUNT, 2)
    links[8], links[9] = link(-2, 5), link(-2, -5)
    for i in (8,):
        frames[i] = np.roll(frames[i], 5, axis=0)
        frames[i][:12] = frames[i][12:24] + 60
    spots = _spots(frames, links)
    assert [one.kind for one in spots[8]] == ["splice"]
    assert not any(spots[:8])
    assert not any(spots[9:])


def test_clean_shots_thick_bands_and_half_bands_have_none():
    clean = panned(scene(), COUNT, 2)
    assert not any(_spots(clean))
    assert not any(_spots(_taped(clean, (0, 1), slice(0, 60))))
    frayed = _taped(clean, (0, 1))
    for one in frayed[:2]:
        one[12:40, :150] += 60  # a thing that came from above, not a band
    assert not any(_spots(frayed))
    half = [one.copy() for one in clean]
    half[0][:12, :120] += 60
    assert not any(_spots(half))


def test_a_scene_that_is_not_understood_proves_nothing():
    frames = [scene(seed=i)[:, : SIZE[1]] for i in range(COUNT)]
    assert not any(_spots(frames, step=0))


@pytest.mark.parametrize("wrong", [{"least": 0.0}, {"most": 0.005}, {"sensitivity": "no"}])
def test_config_refuses(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        BandConfig(**wrong)
