"""Marks of one frame are found, whatever is no mark is left alone."""

import cv2
import numpy as np
import pytest
from made_spikes import disc, drifting, film, in_parts

from vidcolor.errors import ConfigError
from vidcolor.repair.dust.detector import Dust, DustConfig
from vidcolor.repair.find import Finder
from vidcolor.repair.motion import FollowConfig, follow
from vidcolor.repair.records import union

SIZE = (180, 240)
COUNT = 5
PLACES = ((30, 40), (90, 150), (150, 70), (50, 205), (140, 120))


def found(batches, **settings):
    """Spots of every frame."""
    finder = Finder([Dust(DustConfig(**settings))])
    return [
        spots for one in finder(follow(batches, FollowConfig(flow="fast"))) for spots in one.spots
    ]


def repaired(spots, size=SIZE):
    return union(spots, size)


def specked(frames, at, value=None, radius=4):
    """Five specks on one frame; and where they are."""
    whole = np.zeros(frames[0].shape, np.bool_)
    frames = list(frames)
    for k, (y, x) in enumerate(PLACES):
        shade = value if value is not None else (15 if k % 2 else 240)
        frames[at], inside = disc(frames[at], x, y, radius, shade)
        whole |= inside
    return frames, whole


@pytest.mark.parametrize("settings", [{"sensitivity": "most"}, {"polarity": "grey"}, {"review": 0}])
def test_settings_are_checked(settings):
    with pytest.raises(ConfigError):
        DustConfig(**settings)


@pytest.mark.parametrize("bits", [8, 10, 16])
@pytest.mark.parametrize(("at", "share"), [(2, 0.97), (0, 0.75), (COUNT - 1, 0.75)])
def test_specks_are_found_on_their_frame_only(at, share, bits):
    frames, truth = specked(drifting(COUNT, SIZE, speed=(2.0, -1.0)), at)
    spots = found([film(frames, bits)])
    hole = repaired(spots[at])
    assert (hole & truth).sum() >= share * truth.sum()
    near = cv2.dilate(truth.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not (hole & ~near).any()
    assert all(not repaired(other).any() for i, other in enumerate(spots) if i != at)
    assert {spot.kind for spot in spots[at]} == {"dust"}


@pytest.mark.parametrize(("speed", "state"), [(1.0, "accepted"), (8.0, "review")])
def test_where_the_camera_moves_fast_large_marks_are_for_a_person(speed, state):
    frames = drifting(COUNT, SIZE, speed=(speed, 0.0))
    frames[2], truth = disc(frames[2], 120, 90, 8, 240)  # 200 pixels; 350 of a picture of 240 lines
    spots = found([film(frames)])[2]
    (mark,) = [spot for spot in spots if spot.area > 100]
    assert mark.state == state
    assert truth[mark.place][mark.hole].mean() > 0.8


def test_undamaged_film_has_none():
    for spots in found([film(drifting(COUNT, SIZE, speed=(3.0, 1.0)))]):
        assert not repaired(spots).any()


def test_what_stays_in_place_or_moves_with_the_picture_is_no_dust():
    frames = drifting(COUNT, SIZE, speed=(2.0, 0.0))
    marked = []
    for i, frame in enumerate(frames):
        frame, _ = disc(frame, 160, 120, 4, 15)  # stuck to the gate
        frame, _ = disc(frame, 60 + 2 * i, 60, 4, 240)  # part of the scene
        marked.append(frame)
    assert not any(repaired(spots).any() for spots in found([film(marked)]))


def test_batches_change_nothing():
    frames, _ = specked(drifting(COUNT, SIZE), 2)
    batch = film(frames)
    whole, parts = found([batch]), found(in_parts(batch, 2))
    assert [[s.box for s in spots] for spots in whole] == [
        [s.box for s in spots] for spots in parts
    ]
    assert [[s.confidence for s in x] for x in whole] == [[s.confidence for s in x] for x in parts]


def test_a_frame_held_for_two_is_compared_with_other_pictures():
    pictures = drifting(5, SIZE)
    pictures, truth = specked(pictures, 2)
    twice = [picture for picture in pictures for _ in range(2)]
    spots = found([film(twice, noise=False)])
    for at in (4, 5):
        assert (repaired(spots[at]) & truth).sum() >= 0.97 * truth.sum()
    assert not repaired(spots[3]).any()


def test_nothing_is_compared_across_a_cut():
    one, other = drifting(3, SIZE), drifting(3, SIZE, seed=5)
    for spots in found([film(one), film(other, shot=1, index=3)]):
        assert not repaired(spots).any()


@pytest.mark.parametrize(("polarity", "kept"), [("dark", (1, 3)), ("bright", (0, 2, 4))])
def test_polarity(polarity, kept):
    frames, _ = specked(drifting(COUNT, SIZE), 2)
    hole = repaired(found([film(frames)], polarity=polarity)[2])
    assert [k for k, (y, x) in enumerate(PLACES) if hole[y, x]] == list(kept)


def test_sensitivity_takes_fainter_marks():
    frames = drifting(COUNT, SIZE, speed=(1.0, 0.0))
    y, x = PLACES[1]
    frames[2] = frames[2] + 30.0 * (disc(np.zeros(SIZE, np.float32), x, y, 5, 1)[1])
    low, high = (repaired(found([film(frames)], sensitivity=s)[2]) for s in ("low", "high"))
    assert not low[y, x]
    assert high[y, x]


def test_grain_is_no_damage():
    rng = np.random.default_rng(1)
    frames = [f + rng.normal(0, 6, SIZE).astype(np.float32) for f in drifting(COUNT, SIZE)]
    frames, truth = specked(frames, 2)
    spots = found([film(frames)])
    assert sum(np.count_nonzero(repaired(s)) for i, s in enumerate(spots) if i != 2) == 0
    assert (repaired(spots[2]) & truth).sum() >= 0.9 * truth.sum()


def test_a_hair_is_called_one():
    frames = drifting(COUNT, SIZE)
    line = np.zeros(SIZE, np.uint8)
    points = np.array([(60 + 4 * i, 80 + 12 * np.sin(i / 4)) for i in range(16)]).astype(np.int32)
    cv2.polylines(line, [points], False, 1, 2)
    frames[2] = np.where(line > 0, np.float32(10), frames[2])
    spots = [s for s in found([film(frames)])[2] if s.state == "accepted"]
    assert max(spots, key=lambda s: s.area).kind == "hair"


def test_bars_are_not_the_picture():
    frames = [np.pad(f, ((0, 0), (60, 60)), constant_values=16) for f in drifting(COUNT, SIZE)]
    frames[2], _ = disc(frames[2], 30, 100, 2, 200)
    frames[2], _ = disc(frames[2], 200, 100, 4, 250)
    hole = repaired(found([film(frames)])[2], frames[0].shape)
    assert not hole[:, :60].any()
    assert hole[100, 200]


def test_a_flash_is_no_damage():
    frames, _ = specked(drifting(COUNT, SIZE), 2)
    frames[2] = np.clip(frames[2] * 1.3 + 10, 0, 255)
    assert found([film(frames)])[2] == ()


def test_a_storm_is_put_to_a_person():
    rng = np.random.default_rng(4)
    frames = drifting(COUNT, SIZE)
    for _ in range(70):
        frames[2], _ = disc(frames[2], rng.integers(240), rng.integers(180), 3, 250)
    spots = found([film(frames)])[2]
    assert len(spots) > 20
    assert {spot.state for spot in spots} == {"review"}
    certain = found([film(frames)], suspend=0.2)[2]
    assert {spot.state for spot in certain} >= {"accepted"}


def test_streaks_that_fall_together_are_rain():
    rng = np.random.default_rng(4)
    frames = drifting(COUNT, SIZE)
    for _ in range(20):
        x, y = int(rng.integers(20, 220)), int(rng.integers(20, 160))
        frames[2] = cv2.line(frames[2].copy(), (x, y), (x + 3, y + 12), 250, 1)
    spots = found([film(frames)])[2]
    assert spots
    assert not repaired(spots).any()


def test_a_ball_in_flight_is_not_taken_away():
    frames = drifting(COUNT, SIZE, speed=(0.5, 0.0))
    for i in range(COUNT):
        frames[i], _ = disc(frames[i], 40 + 24 * i, 60 + 10 * i, 4, 245)
    assert not any(repaired(spots).any() for spots in found([film(frames)])[1:-1])
