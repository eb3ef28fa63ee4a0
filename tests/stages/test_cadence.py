import dataclasses

import numpy as np
import pytest
import torch
from made_shots import moving

from vidcolor.errors import ConfigError
from vidcolor.ops.flow import dis_flow
from vidcolor.records import Chroma, Colored, Detections, FrameBatch, Tracked, Tracks, VideoInfo
from vidcolor.stages.cadence import CadenceConfig, EveryFrame, Keyframes

SIZE = (64, 96)
INFO = VideoInfo(*SIZE)
EIGHT = CadenceConfig(cadence="8")


class Net:
    """Knows the color of every frame by its pts; notes what it was shown."""

    def __init__(self, ab, lightness):
        self.ab = torch.from_numpy(np.ascontiguousarray(ab, np.float32))
        self.planes = torch.from_numpy(np.ascontiguousarray(lightness, np.float32))
        self.seen = []
        self.calls = []

    def __call__(self, tracked):
        self.seen += tracked.frames.pts
        self.calls.append(tracked)
        chroma = Chroma(self.ab[list(tracked.frames.pts)], self.lightness(tracked.frames))
        return Colored(tracked.frames, tracked.tracks, chroma)

    def lightness(self, frames):
        return self.planes[list(frames.pts)]


def _still(count, seed=0):
    ab, lightness = moving(SIZE, 1, seed, speed=2)
    return ab.repeat(count, axis=0), lightness.repeat(count, axis=0)


def _tracks(rows):
    """Of (frame, id) pairs."""
    count = len(rows)
    seen = Detections(
        torch.tensor([[10.0 + i, 10, 40, 40] for _, i in rows]).reshape(-1, 4),
        torch.ones(count),
        torch.zeros(count, dtype=torch.int64),
        torch.tensor([frame for frame, _ in rows], dtype=torch.int64),
    )
    ids = torch.tensor([i for _, i in rows], dtype=torch.int64)
    return Tracks(seen, ids, torch.full((count,), 0.5))


def _batches(count, size=5, shot=0, index=0, held=None, tracks=()):
    luma = torch.zeros(count, 1, *SIZE, dtype=torch.uint8)
    marks = None if held is None else torch.tensor(held)
    for i in range(0, count, size):
        part = slice(i, min(i + size, count))
        frames = FrameBatch(
            luma[part],
            tuple(range(index + part.start, index + part.stop)),
            INFO,
            index=index + i,
            shot=shot,
            start=i,
            held=None if marks is None else marks[part],
        )
        here = [(frame - i, number) for frame, number in tracks if part.start <= frame < part.stop]
        yield Tracked(frames, _tracks(here))


def _run(net, config=EIGHT, batches=None, **given_):
    batches = _batches(len(net.ab), **given_) if batches is None else batches
    colored = list(Keyframes(net, config, "medium")(batches))
    return torch.cat([one.chroma.ab for one in colored]).numpy()


def _far(ab, true):
    return float(np.abs(ab - true)[..., 8:-8, 8:-8].mean())


def test_color_follows_motion_between_keyframes():
    true, lightness = moving(SIZE, 25, speed=2)
    between = np.arange(25) % 8 != 0
    shown = true.copy()
    shown[between] = 60  # what the network would say there must not matter
    net = Net(shown, lightness)
    ab = _run(net)
    assert net.seen == [0, 8, 16, 24]
    assert np.array_equal(ab[~between], true[~between].astype(np.float32))
    nearest = true[np.round(np.arange(25) / 8).astype(int) * 8]
    assert _far(nearest, true) > 5
    assert _far(ab, true) < 0.5


def test_color_changes_evenly_from_one_keyframe_to_the_next():
    _, lightness = _still(9)
    ab = np.zeros((9, 2, *SIZE))
    ab[8] = 16
    carried = _run(Net(ab, lightness))
    np.testing.assert_allclose(carried.mean(axis=(1, 2, 3)), 2 * np.arange(9), atol=0.05)
    np.testing.assert_allclose(carried, carried[:, :1, :1, :1] * np.ones_like(carried), atol=0.05)


def test_what_comes_and_goes_between_keyframes_is_seen():
    ab, lightness = _still(17)
    lightness[3:6, :, 16:48, 30:66] = 20 + lightness[3:6, :, 16:48, 30:66] / 8
    ab[3:6, :, 16:48, 30:66] = 40
    net = Net(ab, lightness)
    carried = _run(net)
    assert {0, 8, 16} < set(net.seen)
    extra = set(net.seen) - {0, 8, 16}
    assert extra <= {3, 4, 5}
    inside = carried[3:6, :, 20:44, 34:62]
    assert np.abs(inside - 40).mean() < 2
    assert np.abs(carried - ab)[[1, 2, 6, 7, 9, 15]].mean() < 0.5
    # and allowed to leave that unexplained, it does
    blind = Net(ab, lightness)
    missed = _run(blind, dataclasses.replace(EIGHT, most_unknown=1.0))
    assert blind.seen == [0, 8, 16]
    assert np.abs(missed[3:6, :, 20:44, 34:62] - 40).mean() > 10


def test_something_tiny_takes_the_color_around_it():
    ab, lightness = _still(9)
    ab[:], ab[[0, 8], :, 28:34, 44:50] = 20, -60  # the keyframes have a spot of another color
    lightness[[0, 8], :, 28:34, 44:50] = 5
    net = Net(ab, lightness)
    carried = _run(net)
    assert net.seen == [0, 8]
    assert np.abs(carried[4, :, 30:32, 46:48] - 20).max() < 20
    dragged = _run(Net(ab, lightness), dataclasses.replace(EIGHT, trusted=1e-6))
    assert np.abs(dragged[4, :, 30:32, 46:48] - 20).min() > 60


def test_a_jump_of_light_ends_what_is_carried():
    _, lightness = _still(9)
    lightness[5:] += 12
    ab = np.zeros((9, 2, *SIZE))
    ab[:5], ab[5:] = 30, -30
    net = Net(ab, lightness)
    carried = _run(net)
    assert net.seen == [0, 8]
    assert np.abs(carried - ab).max() < 1


def test_a_pulse_of_exposure_does_not():
    ab, lightness = _still(9)
    lightness[3] += 3
    net = Net(ab, lightness)
    assert _far(_run(net), ab) < 0.5
    assert net.seen == [0, 8]
    strict = Net(ab, lightness)
    _run(strict, dataclasses.replace(EIGHT, pulse=0.0, tau=1.0, noise_factor=0.0))
    assert 3 in strict.seen


def test_new_content_at_the_border_is_seen_in_the_tail():
    true, lightness = moving(SIZE, 8, speed=3)
    net = Net(true, lightness)
    ab = _run(net)  # no keyframe follows: at frame 7 a fifth of the picture is new
    assert net.seen[0] == 0
    assert len(net.seen) > 1
    assert np.abs(ab - true).mean() < 2


def test_tracks_are_seen_where_they_are_born():
    ab, lightness = _still(20)
    tracks = [(i, 7) for i in range(20)] + [(i, 9) for i in range(5, 12)]
    # it was seen before: no reason to look again
    tracks += [(i, 9) for i in range(14, 16)]
    net = Net(ab, lightness)
    _run(net, tracks=sorted(tracks))
    assert net.seen == [0, 5, 13]


def test_frames_that_are_asked_for_are_seen():
    ab, lightness = _still(12)
    net = Net(ab, lightness)
    list(Keyframes(net, EIGHT, asked={3, 4})(_batches(12)))
    assert net.seen == [0, 3, 4]


def test_the_network_gets_the_boxes_of_its_frames_and_many_frames_at_once():
    ab, lightness = _still(33)
    tracks = [(i, 7) for i in range(33)] + [(i, 8) for i in range(6, 33)]
    net = Net(ab, lightness)
    colored = list(Keyframes(net, EIGHT)(_batches(33, size=40, tracks=sorted(tracks))))
    (call,) = net.calls
    assert call.frames.pts == (0, 6, 14, 22, 30)
    assert call.tracks.detections.frame.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert call.tracks.ids.tolist() == [7, 7, 8, 7, 8, 7, 8, 7, 8]
    assert call.tracks.detections.boxes[:3, 0].tolist() == [17, 17, 18]
    assert len(colored[0].tracks) == len(tracks)


def test_tracks_and_frames_pass_unchanged():
    ab, lightness = moving(SIZE, 20, speed=2)
    given_ = list(_batches(20, size=6, tracks=[(i, 7) for i in range(20)]))
    colored = list(Keyframes(Net(ab, lightness), EIGHT)(given_))
    assert [one.frames for one in colored] == [one.frames for one in given_]
    assert all(a.tracks is b.tracks for a, b in zip(colored, given_, strict=True))
    light = torch.cat([one.chroma.lightness for one in colored])
    np.testing.assert_array_equal(light.numpy(), lightness.astype(np.float32))


def test_nothing_crosses_a_cut():
    first, light_1 = moving(SIZE, 13, speed=2)
    second, light_2 = first[:11] + 40, light_1[:11]
    ab, lightness = np.concatenate((first, second)), np.concatenate((light_1, light_2))
    net = Net(ab, lightness)
    together = _run(net, batches=[*_batches(13), *_batches(11, shot=1, index=13)])
    assert {0, 13} <= set(net.seen)
    alone = [_run(Net(*one)) for one in ((first, light_1), (second, light_2))]
    np.testing.assert_array_equal(together, np.concatenate(alone))


HELD = [False, True, True, False, False, True] * 5


@pytest.mark.parametrize("size", [1, 4, 7, 17])
def test_batch_size_changes_nothing(size):
    ab, lightness = moving(SIZE, 30, speed=2)
    lightness[11:13, :, 10:50, 20:70] = 90
    tracks = [(i, 7) for i in range(4, 30)]
    nets = [Net(ab, lightness) for _ in range(2)]
    whole, parts = (
        _run(net, size=n, held=HELD, tracks=tracks) for net, n in zip(nets, (30, size), strict=True)
    )
    assert nets[0].seen == nets[1].seen
    np.testing.assert_array_equal(parts, whole)


def test_held_frames_are_copies_and_are_not_seen():
    ab, lightness = moving(SIZE, 30, speed=2)
    ab[HELD] = 99
    net = Net(ab, lightness)
    carried = _run(net, size=4, held=HELD)
    assert not any(HELD[i] for i in net.seen)
    for i in range(1, 30):
        assert np.array_equal(carried[i], carried[i - 1]) == HELD[i]
    assert carried.max() < 90


def test_a_long_hold_is_given_out_at_once():
    ab, lightness = _still(60)
    taken = 0

    def counted():
        nonlocal taken
        for batch in _batches(60, size=3, held=[False, False] + [True] * 58):
            taken += 3
            yield batch

    net, given_ = Net(ab, lightness), 0
    for one in Keyframes(net, EIGHT)(counted()):
        given_ += len(one.frames)
        assert taken - given_ <= 8 + 3
    assert given_ == 60
    assert net.seen == [0, 1]


@pytest.mark.parametrize("cadence", ["1", "every"])
def test_every_frame_is_the_network_bit_for_bit(cadence):
    ab, lightness = moving(SIZE, 11, speed=2)
    plain = list(EveryFrame(Net(ab, lightness))(_batches(11)))
    net = Net(ab, lightness)
    colored = list(Keyframes(net, CadenceConfig(cadence=cadence))(_batches(11)))
    assert net.seen == list(range(11))
    assert all(one.chroma.flow is None for one in colored)
    for one, other in zip(colored, plain, strict=True):
        assert torch.equal(one.chroma.ab, other.chroma.ab)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_shot_may_be_shorter_than_the_distance(count):
    ab, lightness = _still(count)
    net = Net(ab, lightness)
    carried = _run(net, CadenceConfig(cadence="16"), size=2)
    assert net.seen == [0]
    np.testing.assert_allclose(carried, ab, atol=0.05)


def test_flow_is_handed_on():
    ab, lightness = moving(SIZE, 12, speed=2)
    held = [i == 6 for i in range(12)]
    colored = list(Keyframes(Net(ab, lightness), EIGHT)(_batches(12, held=held)))
    flow = torch.cat([one.chroma.flow for one in colored]).numpy()
    gray = np.clip(np.rint(lightness[:, 0].astype(np.float32) * np.float32(2.55)), 0, 255)
    gray = gray.astype(np.uint8)
    for i, before in ((1, 0), (5, 4), (7, 5), (8, 7)):
        expected = dis_flow(gray[before], gray[i], "balanced").transpose(2, 0, 1)
        np.testing.assert_array_equal(flow[i], expected)
    assert not flow[[0, 6]].any()
    assert flow[3, 0, 20:40, 20:70].mean() == pytest.approx(-2, abs=0.2)


def test_memory_is_bounded():
    ab, lightness = moving(SIZE, 50, speed=1)
    taken = 0

    def counted():
        nonlocal taken
        for batch in _batches(50, size=4):
            taken += 4
            yield batch

    given_, most = 0, 0
    for one in Keyframes(Net(ab, lightness), EIGHT)(counted()):
        most = max(most, taken - given_)
        given_ += len(one.frames)
    assert given_ == 50
    assert most <= 8 + 2 * 4


def test_size_must_stay_within_a_shot():
    ab, lightness = moving(SIZE, 8, speed=2)
    net = Net(ab, lightness)
    sizes = {0: SIZE, 4: (48, 64)}
    net.lightness = lambda frames: torch.zeros(len(frames), 1, *sizes[frames.index])
    net.ab = torch.zeros(8, 2, *SIZE)
    with pytest.raises(ValueError, match="changes its size"):
        list(Keyframes(net, EIGHT)(_batches(8, size=4)))


def test_pictures_too_small_for_flow():
    net = Net(np.full((20, 2, 1, 1), 7.0), np.full((20, 1, 1, 1), 50.0))
    np.testing.assert_allclose(_run(net), 7, atol=1e-4)
    assert net.seen == [0, 8, 16]


@pytest.mark.parametrize("bad", ["0", "-3", "2.5", "often", "65", "", "٣"])
def test_cadence_is_checked(bad):
    with pytest.raises(ConfigError, match="cadence must be auto, every or a number"):
        CadenceConfig(cadence=bad)


def test_config_is_checked():
    assert [CadenceConfig(cadence=name).span for name in ("every", "1", "12")] == [1, 1, 12]
    assert CadenceConfig(auto_frames=5).span == 5
    for name in ("auto_frames", "trusted", "tau"):
        with pytest.raises(ConfigError, match=name):
            CadenceConfig(**{name: 0})
    for name in ("most_unknown", "noise_factor", "pulse"):
        with pytest.raises(ConfigError, match=name):
            CadenceConfig(**{name: -0.1})
