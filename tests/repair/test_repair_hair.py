import cv2
import numpy as np
import pytest
from made_lines import SIZE, drawn, film, found, links_of, panned, scene

from vidcolor.errors import ConfigError
from vidcolor.repair.hair import HairConfig, HairDetector
from vidcolor.repair.records import union

COUNT = 30
HAIR = np.array([(120, 0), (116, 8), (119, 16), (127, 24), (130, 34)], np.int32)
LOWER = np.array((0, 60), np.int32)


def _hair(plane, points=HAIR):
    cv2.polylines(plane, [points], False, 20.0, 1)


def _spots(frames, step, **options):
    return found(HairDetector(HairConfig(**options)), film(frames, links_of(len(frames), step)))


def _true():
    hole = np.zeros(SIZE, np.float32)
    cv2.polylines(hole, [HAIR], False, 1.0, 1)
    return hole > 0


def test_a_hair_in_the_gate_is_found_in_every_frame():
    true = _true()
    near = cv2.dilate(true.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    for spots in _spots(drawn(panned(scene(), COUNT, 4), _hair), 4):
        assert [one.kind for one in spots] == ["hair"]
        hole = union(spots, SIZE)
        assert hole[true].mean() > 0.9
        assert not hole[~near].any()


def test_in_a_scene_that_stands_nothing_is_told():
    still = drawn([scene()[:, : SIZE[1]]] * COUNT, _hair)
    assert not any(_spots(still, 0))


def test_a_hair_that_does_not_reach_the_edge_is_none():
    frames = drawn(panned(scene(), COUNT, 4), lambda one: _hair(one, HAIR + LOWER))
    assert not any(_spots(frames, 4))


def test_a_hair_of_half_a_block_is_none():
    clean = panned(scene(), COUNT, 4)
    frames = drawn(clean[:5], _hair) + clean[5:]
    assert not any(_spots(frames, 4))


def test_an_edge_that_lies_along_the_way_of_the_scene_is_none():
    wide = scene()
    wide[90:92] -= 60
    frames = panned(wide, COUNT, 4)
    for one in frames:
        one[90:92, 60:] += 60  # it ends, as a thing at the edge of the frame does
    assert not any(_spots(frames, 4))


def test_a_thick_thing_is_none():
    def block(plane):
        plane[0:40, 100:125] = 20

    assert not any(_spots(drawn(panned(scene(), COUNT, 4), block), 4))


def test_batches_change_nothing_and_short_shots_have_none():
    frames = drawn(panned(scene(), COUNT, 4), _hair)
    links = links_of(COUNT, 4)
    one, other = (found(HairDetector(), film(frames, links, batch=size)) for size in (1, COUNT))
    assert [union(a, SIZE).sum() for a in one] == [union(b, SIZE).sum() for b in other]
    assert not any(found(HairDetector(), film(frames[:10], links[:10])))


def test_ten_bits_are_seen_like_eight():
    frames = [np.rint(one) for one in drawn(panned(scene(), 12, 4), _hair)]
    eight, ten = (found(HairDetector(), film(frames, links_of(12, 4), bits=b)) for b in (8, 10))
    assert [union(a, SIZE).sum() for a in eight] == [union(b, SIZE).sum() for b in ten]
    assert union(ten[0], SIZE).any()


@pytest.mark.parametrize("wrong", [{"block": 2}, {"sensitivity": "no"}, {"thick_px": 0.0}])
def test_config_refuses(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        HairConfig(**wrong)
