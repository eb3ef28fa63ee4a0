import dataclasses
import logging
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F

from vidcolor.color.luma import to_lightness
from vidcolor.errors import ConfigError
from vidcolor.models.registry import ModelSpec
from vidcolor.records import ColorSpec, Detections, FrameBatch, Tracked, Tracks, VideoInfo
from vidcolor.stages.colorize import ColorizeConfig, ColorizeFrames, NoColor

SPEC = ModelSpec("probe", lambda: None, 32, True, False, None, 64, 32, "none")
CPU = torch.device("cpu")


class Probe(torch.nn.Module):
    """a* is L*, b* is the place from left to right: both easy to find again."""

    def __init__(self, most: int = 99) -> None:
        super().__init__()
        self.most = most
        self.seen: list[int] = []
        self.rois: list = []

    def forward(self, lightness, rois=None, hints=None):
        if len(lightness) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.seen.append(len(lightness))
        self.rois.append(rois)
        x = torch.linspace(0, 1, lightness.shape[3]).expand_as(lightness)
        return F.avg_pool2d(torch.cat((lightness, 100 * x), 1), 4)


def _frames(count=4, size=(96, 128), held=None, **info):
    luma = torch.randint(16, 236, (count, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    luma = F.interpolate(luma.float(), size, mode="bilinear").round().to(torch.uint8)
    held = None if held is None else torch.tensor(held)
    return FrameBatch(luma, tuple(range(count)), VideoInfo(*size, **info), held=held)


def _tracks(boxes, frame):
    count = len(boxes)
    seen = Detections(
        torch.tensor(boxes, dtype=torch.float32),
        torch.ones(count),
        torch.zeros(count, dtype=torch.int64),
        torch.tensor(frame),
    )
    return Tracks(seen, torch.arange(count), torch.full((count,), 0.5))


def _stage(probe, spec=SPEC, **config):
    return ColorizeFrames(probe, spec, ColorizeConfig(**config), CPU)


def test_chroma_lies_on_the_frames():
    frames = _frames()
    colored = _stage(Probe())(Tracked(frames, Tracks.empty()))
    assert colored.chroma.ab.shape == (4, 2, 64, 96)
    lightness = to_lightness(frames.luma, frames.info.color)
    small = F.interpolate(lightness, (64, 96), mode="area")
    assert (colored.chroma.lightness - small).abs().mean() < 0.5
    assert (colored.chroma.ab[:, :1] - small).abs().mean() < 2
    assert colored.chroma.ab[:, 1, :, -1].min() > 95


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_film_is_seen_upright(rotation):
    colored = _stage(Probe())(Tracked(_frames(rotation=rotation), Tracks.empty()))
    upright = torch.rot90(colored.chroma.ab, rotation // 90, (2, 3))
    assert upright[:, 1, :, 0].max() < 5
    assert upright[:, 1, :, -1].min() > 95


def test_network_sees_square_pixels():
    wide = _stage(Probe())(Tracked(_frames(sample_aspect=Fraction(2)), Tracks.empty()))
    assert wide.chroma.ab.shape[2:] == (64, 160)
    squashed = dataclasses.replace(SPEC, square=64)
    assert _stage(Probe(), squashed)(Tracked(_frames(), Tracks.empty())).chroma.ab.shape[2:] == (
        64,
        64,
    )


def test_held_frames_cost_nothing_and_look_the_same():
    probe = Probe()
    colored = _stage(probe)(
        Tracked(_frames(5, held=[True, False, True, True, False]), Tracks.empty())
    )
    assert probe.seen == [3]
    ab = colored.chroma.ab
    assert torch.equal(ab[1], ab[2])
    assert torch.equal(ab[1], ab[3])
    assert not torch.equal(ab[0], ab[1])
    assert not torch.equal(ab[3], ab[4])


def test_instances_of_fresh_frames_become_close_ups():
    probe = Probe()
    frames = _frames(3, held=[False, True, False])
    tracks = _tracks(
        [[10.6, 20.2, 60.9, 80.0], [0, 0, 30, 30], [100, 50, 400, 90], [5, 5, 5.5, 40]],
        [0, 1, 2, 2],
    )
    _stage(probe)(Tracked(frames, tracks))
    rois = probe.rois[0]
    # the held frame's box and the one without width are gone; the last is cut to the frame
    assert rois.frame.tolist() == [0, 1]
    assert rois.boxes[1].tolist() == [100, 50, 128, 90]
    assert rois.weight.tolist() == [0.5, 0.5]
    lightness = to_lightness(frames.luma[:1], frames.info.color)
    expected = F.interpolate(
        lightness[:, :, 20:80, 10:60], (32, 32), mode="bilinear", antialias=True
    )
    assert (rois.crops[:1] - expected).abs().mean() < 1
    plain = Probe()
    _stage(plain, instances=False)(Tracked(frames, tracks))
    assert plain.rois == [None]


@pytest.mark.parametrize("rotation", [0, 90, 270])
def test_crops_are_upright_where_the_boxes_say(rotation):
    probe = Probe()
    frames = _frames(1, rotation=rotation)
    _stage(probe)(Tracked(frames, _tracks([[10, 20, 74, 84]], [0])))
    rois = probe.rois[0]
    upright = torch.rot90(to_lightness(frames.luma, frames.info.color), rotation // 90, (2, 3))
    assert rois.size == tuple(upright.shape[2:])
    x0, y0, x1, y1 = (int(v) for v in rois.boxes[0])
    expected = F.interpolate(upright[:, :, y0:y1, x0:x1], (32, 32), mode="area")
    assert (rois.crops - expected).abs().mean() < 0.5


def test_out_of_memory_halves_the_batch_and_says_so(caplog):
    frames = _frames(8)
    probe = Probe(most=2)
    stage = _stage(probe)
    tracks = _tracks([[0, 0, 64, 64]] * 8, list(range(8)))
    with caplog.at_level(logging.WARNING):
        small = stage(Tracked(frames, tracks))
    assert probe.seen == [2, 2, 2, 2]
    assert [roi.frame.tolist() for roi in probe.rois] == [[0, 1]] * 4
    assert "going on with 2 frames at a time" in caplog.text
    whole = _stage(Probe())(Tracked(frames, tracks))
    assert torch.equal(small.chroma.ab, whole.chroma.ab)
    with pytest.raises(torch.OutOfMemoryError):
        _stage(Probe(most=0))(Tracked(frames, tracks))


def test_sixteen_bit_frames():
    luma = torch.full((1, 1, 64, 64), 30000, dtype=torch.int32)
    info = VideoInfo(64, 64, color=ColorSpec(full_range=True, bits=16))
    probe = Probe()
    _stage(probe)(Tracked(FrameBatch(luma, (0,), info), _tracks([[0, 0, 32, 32]], [0])))
    expected = to_lightness(luma, info.color)[0, 0, 0, 0]
    assert torch.allclose(probe.rois[0].crops, expected, atol=1e-3)


def test_no_color_is_neutral():
    colored = NoColor()(Tracked(_frames(), Tracks.empty()))
    assert not colored.chroma.ab.any()


def test_sizes_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="short_side"):
        ColorizeConfig(short_side=8)
