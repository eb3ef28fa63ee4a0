import json
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.records import ColorSpec, FrameBatch, VideoInfo
from vidcolor.stages.cut import CutConfig, FindShots, NoCut, list_shots
from vidcolor.stages.shots_file import Shot, read_shots, shots_to_json

SIZE = (90, 160)
INFO = VideoInfo(*SIZE, rate=Fraction(25), time_base=Fraction(1, 25))


def _scene(seed, count, speed=1.0, grain=0.0):
    """A textured picture seen by a camera that moves; (count, H, W) uint8."""
    rng = np.random.default_rng(seed)
    reach = int(count * abs(speed)) + 8
    noise = rng.random((SIZE[0], SIZE[1] + reach)).astype(np.float32)
    texture = sum(
        cv2.normalize(cv2.GaussianBlur(noise, (0, 0), s), None, 0, w, cv2.NORM_MINMAX)
        for s, w in ((12, 160), (3, 40))
    )
    frames = np.stack([texture[:, (x := int(i * speed)) : x + SIZE[1]] + 25 for i in range(count)])
    frames = frames + rng.normal(0, grain, frames.shape) if grain else frames
    return np.clip(np.rint(frames), 16, 235).astype(np.uint8)


def _batches(frames, size=16, info=INFO, first=0):
    luma = torch.from_numpy(np.ascontiguousarray(frames))[:, None]
    for i in range(0, len(luma), size):
        part = luma[i : i + size]
        pts = tuple(range(first + i, first + i + len(part)))
        yield FrameBatch(part, pts, info, index=first + i, start=first + i)


def _run(frames, config=None, size=16, info=INFO):
    """(cuts, held) over the film; checks what every output must be."""
    batches = list(FindShots(config or CutConfig())(_batches(frames, size, info)))
    seen = torch.cat([b.luma[:, 0] for b in batches]).numpy()
    np.testing.assert_array_equal(seen, frames)
    assert [p for b in batches for p in b.pts] == list(range(len(frames)))
    cuts, expected_start, shot = [], 0, 0
    for batch in batches:
        if batch.shot != shot:
            assert batch.shot == shot + 1
            shot, expected_start = batch.shot, 0
            cuts.append(batch.index)
        assert batch.start == expected_start
        expected_start += len(batch)
    held = torch.cat([b.is_held() for b in batches]).tolist()
    return cuts, held


def test_cuts_between_scenes():
    film = np.concatenate([_scene(1, 20), _scene(2, 13, 2.0), _scene(3, 30, 0.0), _scene(4, 9)])
    assert _run(film)[0] == [20, 33, 63]


def test_cuts_under_grain():
    film = np.concatenate([_scene(s, 20, grain=8) for s in (1, 2, 3)])
    assert _run(film)[0] == [20, 40]


def test_ten_bit_film_is_cut_alike():
    film = np.concatenate([_scene(1, 20), _scene(2, 20)])
    info = VideoInfo(*SIZE, color=ColorSpec(bits=10))
    assert _run(film.astype(np.int16) * 4, info=info) == _run(film)


def test_sixteen_bit_film_is_cut_alike():
    film = np.concatenate([_scene(1, 20), _scene(2, 20)])
    film[4:8] = film[4]
    info = VideoInfo(*SIZE, color=ColorSpec(bits=16))
    assert _run(film.astype(np.int32) * 256, info=info) == _run(film)


def test_a_fast_pan_is_no_cut():
    assert _run(_scene(5, 40, speed=12))[0] == []


def test_a_sudden_jerk_of_the_camera_is_no_cut():
    noise = np.random.default_rng(6).random((SIZE[0], 400)).astype(np.float32)
    wide = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 6), None, 20, 230, cv2.NORM_MINMAX)
    places = [0] * 15 + [14] * 15 + [30] * 15
    film = np.stack([wide[:, x : x + SIZE[1]] for x in places]).astype(np.uint8)
    assert _run(film, CutConfig(threshold=0.1))[0] == []
    # nothing but the motion check refuses it
    assert _run(film, CutConfig(threshold=0.1, least_residual=0.0))[0] != []


def test_a_large_thing_that_vanishes_is_no_cut():
    film = np.repeat(_scene(1, 1), 30, axis=0)
    film[:15, 10:70, 30:110] = 225
    assert _run(film, CutConfig(threshold=0.1))[0] == []
    assert _run(film, CutConfig(threshold=0.1, most_same=1.0))[0] == [15]


def test_a_flash_is_no_cut():
    film = _scene(1, 40)
    film[20] = np.clip(film[20].astype(int) // 4 + 175, 16, 235)
    assert _run(film)[0] == []


@pytest.mark.parametrize("length", [1, 2])
def test_foreign_frames_of_a_splice_are_no_cuts(length):
    film = _scene(1, 40)
    film[20 : 20 + length] = _scene(9, length)
    assert _run(film)[0] == []


def test_exposure_pulse_is_no_cut():
    film = _scene(1, 40).astype(np.float32)
    gain = 1 + 0.25 * np.sin(np.arange(40) * 2.1)
    film = np.clip(16 + (film - 16) * gain[:, None, None], 16, 235).astype(np.uint8)
    assert _run(film)[0] == []


def test_fast_object_over_a_still_background_is_no_cut():
    film = np.repeat(_scene(1, 1), 30, axis=0)
    film[12:14, 20:70, 30:80] = 220  # comes
    film[14, 20:70, 60:110] = 30  # and goes
    assert _run(film)[0] == []


def _faded(out, back, dark=8, steps=10):
    down = np.linspace(1, 0, steps)[:, None, None]
    fade_out = 16 + (out[-steps:] - 16.0) * down
    black = np.full((dark, *SIZE), 16.0)
    fade_in = 16 + (back[:steps] - 16.0) * down[::-1]
    parts = (out[:-steps], fade_out, black, fade_in, back[steps:])
    return np.rint(np.concatenate(parts)).astype(np.uint8)


def test_fade_through_black_to_another_scene_is_one_cut():
    film = _faded(_scene(1, 30), _scene(2, 30))
    cuts, _ = _run(film)
    assert len(cuts) == 1
    assert 30 <= cuts[0] <= 46  # from the first black frame to when something is seen


def test_black_frames_inside_a_scene_are_no_cut():
    film = _scene(1, 40, speed=0.2)
    film[20:22] = 17
    assert _run(film)[0] == []


def test_noise_on_black_is_no_cut():
    black = np.random.default_rng(0).integers(14, 20, (30, *SIZE)).astype(np.uint8)
    assert _run(black)[0] == []


def test_cut_between_pictures_with_bars():
    film = np.concatenate([_scene(1, 20), _scene(2, 20)])
    film[:, :, :40], film[:, :, -40:] = 16, 16
    assert _run(film)[0] == [20]


def test_shots_have_a_least_length():
    film = np.concatenate([_scene(1, 20), _scene(2, 6), _scene(3, 20)])
    assert _run(film, CutConfig(min_frames=10))[0] == [20]
    assert _run(film, CutConfig(min_frames=4))[0] == [20, 26]


def _mixed_film():
    still = np.repeat(_scene(7, 6), 3, axis=0)  # on threes
    flash = _scene(8, 20)
    flash[9] = 230
    return np.concatenate([_scene(1, 17), still, flash, _faded(_scene(2, 15), _scene(3, 15))])


@given(st.integers(1, 40))
@settings(max_examples=8, deadline=None)
def test_batch_size_changes_nothing(size):
    film = _mixed_film()
    assert _run(film, size=size) == _run(film, size=16)


def test_dividing_at_a_cut_changes_nothing():
    film = _mixed_film()
    cuts, held = _run(film)
    assert len(cuts) == 4
    for cut in cuts:
        before, after = _run(film[:cut]), _run(film[cut:])
        assert before[0] + [cut] + [c + cut for c in after[0]] == cuts
        assert before[1] + after[1] == held


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.data())
def test_a_film_that_begins_at_a_cut_is_cut_as_it_was(data):
    """Also where scenes are shorter than what the finder remembers, with black between them."""
    frames = []
    for number in range(data.draw(st.integers(4, 9))):
        frames.append(_scene(data.draw(st.integers(0, 5)), data.draw(st.integers(1, 7)), 0.5))
        black = data.draw(st.integers(0, 3)) if number % 2 else 0
        frames.append(np.full((black, *SIZE), 16, np.uint8))
    film = np.concatenate(frames)
    config = CutConfig(min_frames=data.draw(st.integers(1, 5)))
    cuts, held = _run(film, config)
    for cut in cuts:
        later, marks = _run(film[cut:], config)
        assert [cut + one for one in later] == [one for one in cuts if one > cut]
        assert marks == held[cut:]


def test_held_frames_on_threes():
    film = np.repeat(_scene(7, 8, speed=3), 3, axis=0)
    assert _run(film)[1] == [False, True, True] * 8


def test_codec_noise_is_tolerated():
    film = np.repeat(_scene(7, 6, speed=3), 2, axis=0).astype(int)
    rng = np.random.default_rng(0)
    mask = rng.random(film.shape) < 0.1
    film = np.clip(film + mask * rng.integers(-2, 3, film.shape), 16, 235).astype(np.uint8)
    assert _run(film)[1] == [False, True] * 6


def test_a_small_mouth_is_not_swallowed():
    film = np.repeat(_scene(7, 1), 12, axis=0)
    film[4:8, 50:54, 80:86] = np.clip(film[4:8, 50:54, 80:86].astype(int) + 70, 0, 255)
    expected = [True] * 12
    for i in (0, 4, 8):
        expected[i] = False
    assert _run(film)[1] == expected


def test_slow_drift_is_not_swallowed():
    # each frame is within noise of the one before, but not of the first
    base = _scene(7, 1)[0].astype(np.float32)
    film = np.stack([base * (1 + 0.002 * i) for i in range(24)])
    _, held = _run(np.rint(film).astype(np.uint8))
    assert not all(held[1:])
    drift = [
        abs(film[i].mean() - film[max(j for j in range(i + 1) if not held[j])].mean())
        for i in range(24)
    ]
    assert max(drift) <= 0.7  # never further than held_mean and rounding


def test_grain_is_not_held():
    assert not any(_run(np.repeat(_scene(7, 1), 6, 0) + _scene(3, 6, grain=6) // 16)[1])


def test_held_can_be_left_out():
    film = np.repeat(_scene(7, 4), 3, axis=0)
    assert not any(_run(film, CutConfig(held=False))[1])


def test_first_frame_of_a_shot_is_never_held(tmp_path):
    film = np.repeat(_scene(7, 1), 10, axis=0)
    path = tmp_path / "shots.json"
    path.write_text('{"shots": [{"start": 0, "end": 3}, {"start": 4, "end": 9}]}')
    cuts, held = _run(film, CutConfig(shots_file=str(path)), size=7)
    assert cuts == [4]
    assert [i for i, h in enumerate(held) if not h] == [0, 4]


def test_memory_is_bounded():
    alive, most = 0, 0

    def counted():
        nonlocal alive
        for batch in _batches(_scene(1, 60), 4):
            alive += len(batch)
            yield batch

    for batch in FindShots(CutConfig())(counted()):
        most = max(most, alive)
        alive -= len(batch)
    assert most <= 4 + 4  # a batch and what the lookahead of two frames needs
    assert alive == 0


def test_listing_agrees_with_finding():
    film = np.concatenate([_scene(1, 20), _scene(2, 13), _scene(3, 12)])
    info = VideoInfo(*SIZE, rate=Fraction(10), time_base=Fraction(1, 10))
    shots = list(list_shots(_batches(film, 7, info), CutConfig()))
    assert shots == [
        Shot(0, 0, 19, 0, 0.0, 2.0),
        Shot(1, 20, 32, 20, 2.0, 3.3),
        Shot(2, 33, 44, 33, 3.3, 4.5),
    ]


def test_shots_file_round_trip_and_use(tmp_path):
    film = _scene(1, 40)
    shots = [Shot(0, 0, 9, 0, 0.0, 0.4), Shot(1, 10, 39, 10, 0.4, 1.6)]
    path = tmp_path / "shots.json"
    path.write_text(shots_to_json(shots))
    assert json.loads(path.read_text())["shots"][1]["end"] == 39
    assert read_shots(path) == tuple(shots)
    for size in (1, 7, 40):
        assert _run(film, CutConfig(shots_file=str(path)), size)[0] == [10]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1, column 2"),
        ("[]", '{"shots": [...]}'),
        ('{"shots": [], "more": 1}', "nothing else"),
        ('{"shots": []}', "lists no shot"),
        ('{"shots": [3]}', "shot 0: an object"),
        ('{"shots": [{"start": 0}]}', "shot 0: end is missing"),
        ('{"shots": [{"start": 0, "end": 4, "stat": 1}]}', "did you mean 'start'"),
        ('{"shots": [{"start": 0, "end": "4"}]}', "end must be a number, not '4'"),
        ('{"shots": [{"start": true, "end": 4}]}', "start must be a number"),
        ('{"shots": [{"start": 1, "end": 4}]}', "start is 1, but must be 0"),
        ('{"shots": [{"start": 0, "end": 4}, {"start": 6, "end": 9}]}', "shot 1: start is 6"),
        ('{"shots": [{"start": 0, "end": -1}]}', "end -1 lies before start 0"),
    ],
)
def test_wrong_shots_file_is_named(tmp_path, text, message):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(GuidanceError) as caught:
        FindShots(CutConfig(shots_file=str(path)))
    assert message in str(caught.value)
    assert "mine.json" in str(caught.value)


def test_missing_shots_file_is_named(tmp_path):
    with pytest.raises(GuidanceError, match=r"nowhere\.json"):
        FindShots(CutConfig(shots_file=str(tmp_path / "nowhere.json")))


def test_shots_of_another_film_are_refused(tmp_path):
    path = tmp_path / "shots.json"
    path.write_text('{"shots": [{"start": 0, "end": 9}, {"start": 10, "end": 39, "pts": 11}]}')
    with pytest.raises(GuidanceError, match=r"frame 10 has pts 11 there, but 10 in the film"):
        _run(_scene(1, 40), CutConfig(shots_file=str(path)))


def test_film_longer_than_the_shots_is_refused(tmp_path):
    path = tmp_path / "shots.json"
    path.write_text('{"shots": [{"start": 0, "end": 20}]}')
    with pytest.raises(GuidanceError, match="ends at frame 20"):
        _run(_scene(1, 40), CutConfig(shots_file=str(path)))


def test_no_cut_takes_one_shot():
    film = np.concatenate([_scene(1, 10), _scene(2, 10)])
    batches = list(NoCut()(_batches(film, 6)))
    assert [b.start for b in batches] == [0, 6, 12, 18]
    assert {b.shot for b in batches} == {0}
    assert not any(b.is_held().any() for b in batches)


def test_config_is_checked():
    with pytest.raises(ConfigError, match="threshold"):
        CutConfig(threshold=0)
    with pytest.raises(ConfigError, match="min_frames"):
        CutConfig(min_frames=0)
