"""One vector of the whole picture for each shot, and that of another picture: style transfer."""

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vidcolor.build import build_line
from vidcolor.config import ALONE, Config
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.image import read_image
from vidcolor.models.iizuka16 import Iizuka16
from vidcolor.models.registry import ModelSpec
from vidcolor.models.weights import save_weights
from vidcolor.records import Detections, FrameBatch, Tracked, Tracks, VideoInfo
from vidcolor.schema import load, merge
from vidcolor.stages.cadence import CadenceConfig, EveryFrame, Keyframes
from vidcolor.stages.colorize import ColorizeConfig, ColorizeFrames
from vidcolor.stages.merge import MergeConfig, MergedColorizer
from vidcolor.stages.whole import NoWhole, ShotWhole

SIZE = (64, 96)
INFO = VideoInfo(*SIZE)
SPEC = ModelSpec("probe", lambda: None, 32, False, False, None, 64, 32, "none")
CPU = torch.device("cpu")


class Probe(torch.nn.Module):
    """a* is what the vector says, b* is L*: no need to know how it came about."""

    whole_size = 2

    def __init__(self, most: int = 99) -> None:
        super().__init__()
        self.most = most
        self.given: list = []

    def whole(self, lightness):
        mean = lightness.mean((1, 2, 3))
        return torch.stack((mean, 100 - mean), 1)

    def forward(self, lightness, rois=None, hints=None, whole=None):
        if len(lightness) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.given.append(whole)
        vector = self.whole(lightness) if whole is None else whole
        assert len(vector) in (1, len(lightness))
        a = vector[:, :1, None, None].expand(len(lightness), 1, *lightness.shape[2:])
        return torch.cat((a, lightness), 1)


class Blind(torch.nn.Module):
    """Knows nothing of wholes."""

    def forward(self, lightness, rois=None, hints=None):
        return torch.cat((lightness, lightness), 1)


def _stage(model=None, **config):
    return ColorizeFrames(model or Probe(), SPEC, ColorizeConfig(**config), CPU)


def _film(shots, size, held=None):
    """Frames whose luma tells their number, in batches of at most `size` that span no cut."""
    index = 0
    for shot, count in enumerate(shots):
        luma = (30 + 2 * torch.arange(index, index + count, dtype=torch.uint8)).view(-1, 1, 1, 1)
        for start in range(0, count, size):
            part = luma[start : start + size].expand(-1, 1, *SIZE)
            marks = None if held is None else torch.tensor(held[index + start :][: len(part)])
            frames = FrameBatch(
                part, tuple(range(index + start, index + start + len(part))), INFO,
                index + start, shot, start, marks,
            )  # fmt: skip
            yield Tracked(frames, Tracks.empty())
        index += count


def _own(numbers):
    """First number of the vector of single frames."""
    stage = _stage()
    (every,) = _film([40], 40)
    return stage.whole(every.frames)[list(numbers), 0]


def test_a_shot_has_the_mean_of_its_beginning():
    see = _stage().whole
    shots = [20, 3, 9]
    found = list(ShotWhole(see, frames=12)(_film(shots, 5)))
    assert all(batch.whole.shape == (1, 2) for batch in found)
    by_shot = {batch.frames.shot: batch.whole[0, 0] for batch in found}
    # every fourth of the first twelve
    expected = [_own((0, 4, 8)).mean(), _own((20,)).mean(), _own((23, 27, 31)).mean()]
    torch.testing.assert_close(torch.stack([by_shot[i] for i in range(3)]), torch.stack(expected))
    # later frames of a shot have no say
    (longer,) = ShotWhole(see, frames=12)(_film([30], 30))
    assert torch.equal(longer.whole, found[0].whole)


@pytest.mark.parametrize("frames", [0, 1, 12, 100])
@pytest.mark.parametrize("weight", [None, 0.25, 1.0])
def test_batches_change_nothing(frames, weight):
    style = None if weight is None else torch.tensor([[80.0, 7.0]])
    held = [i % 3 == 2 for i in range(32)]
    results = []
    for size in (1, 5, 16):
        stage = ShotWhole(_stage().whole, frames, style, 1.0 if weight is None else weight)
        batches = list(stage(_film([20, 3, 9], size, held)))
        assert [batch.frames.pts for batch in batches] == [
            batch.frames.pts for batch in _film([20, 3, 9], size)
        ]
        rows = [batch.whole.expand(len(batch.frames), -1) for batch in batches]
        colors = [_stage()(batch).chroma.ab for batch in batches]
        results.append((torch.cat(rows), torch.cat(colors)))
    for row, colors in results[1:]:
        assert torch.equal(row, results[0][0])
        assert torch.equal(colors[:, 0], results[0][1][:, 0])


def test_lookahead_is_the_beginning_of_a_shot_and_no_more():
    read = []

    def film():
        for batch in _film([40], 5):
            read.append(batch.frames.pts[-1])
            yield batch

    found = ShotWhole(_stage().whole, frames=12)(film())
    next(found)
    assert read[-1] == 14
    next(found), next(found), next(found)
    assert read[-1] == 19


def test_a_style_counts_as_much_as_its_weight():
    see = _stage().whole
    style = torch.tensor([[80.0, 7.0]])
    plain = [batch.whole for batch in ShotWhole(see, 12)(_film([20, 9], 5))]
    mixed = [batch.whole for batch in ShotWhole(see, 12, style, 0.25)(_film([20, 9], 5))]
    for own, both in zip(plain, mixed, strict=True):
        torch.testing.assert_close(both, 0.25 * style + 0.75 * own)

    def blind(frames):
        raise AssertionError("a style alone needs no look at the film")

    alone = [batch.whole for batch in ShotWhole(blind, 12, style)(_film([20, 9], 5))]
    assert all(torch.equal(whole, style) for whole in alone)


def test_each_frame_has_its_own_and_held_frames_that_of_the_frame_before():
    style = torch.tensor([[80.0, 7.0]])
    held = [False, True, True, False, True, False]
    (batch,) = ShotWhole(_stage().whole, 0, style, 0.5)(_film([6], 6, held))
    torch.testing.assert_close(batch.whole[:, 0], 40 + _own((0, 0, 0, 3, 3, 5)) / 2)


def test_the_null_object_passes_all():
    batches = list(_film([3], 2))
    assert [id(one) for one in NoWhole()(batches)] == [id(one) for one in batches]


def test_records_check_the_shape():
    (batch,) = _film([3], 3)
    for shape in ((2, 4), (4,), (3, 4, 1)):
        with pytest.raises(ValueError, match=r"whole must be \(1, D\) or \(3, D\)"):
            Tracked(batch.frames, batch.tracks, torch.zeros(shape))
    assert Tracked(batch.frames, batch.tracks, torch.zeros(3, 4)).whole.shape == (3, 4)


# --- what the network gets ----------------------------------------------------------------------


def _with(batch, whole):
    return Tracked(batch.frames, batch.tracks, whole)


def test_the_network_goes_by_what_it_is_given():
    (batch,) = _film([4], 4)
    own = _stage()(batch).chroma.ab
    torch.testing.assert_close(own[:, 0, 0, 0], _own(range(4)))
    given = _stage()(_with(batch, torch.tensor([[80.0, 0.0]]))).chroma.ab
    assert (given[:, 0] == 80).all()
    assert torch.equal(given[:, 1], own[:, 1])
    rows = torch.tensor([[1.0, 0], [2, 0], [3, 0], [4, 0]])
    each = _stage()(_with(batch, rows)).chroma.ab
    assert each[:, 0, 0, 0].tolist() == [1, 2, 3, 4]


def test_rows_stay_with_their_frames():
    (batch,) = _film([4], 4, held=[False, True, False, False])
    rows = torch.tensor([[1.0, 0], [2, 0], [3, 0], [4, 0]])
    for most in (99, 2, 1):  # also where memory runs out
        ab = _stage(Probe(most))(_with(batch, rows)).chroma.ab
        assert ab[:, 0, 0, 0].tolist() == [1, 1, 3, 4]


def test_keyframes_keep_their_vectors():
    config = CadenceConfig(cadence="4")
    model = Probe()
    shared = ShotWhole(_stage(model).whole, 12)(_film([9, 6], 2))
    list(Keyframes(_stage(model), config)(shared))
    assert all(whole.shape == (1, 2) for whole in model.given)
    values = torch.cat(model.given)[:, 0].unique()
    torch.testing.assert_close(values, torch.stack([_own((0, 4, 8)).mean(), _own((9, 13)).mean()]))
    # one each: those of the keyframes
    model = Probe()
    batches = [
        _with(batch, torch.tensor([[float(p), 0] for p in batch.frames.pts]))
        for batch in _film([9], 5)
    ]
    colored = list(Keyframes(_stage(model), config)(batches))
    a = torch.cat([one.chroma.ab for one in colored])[:, 0, 0, 0]
    assert a[[0, 4, 8]].tolist() == [0, 4, 8]


def test_merged_networks_have_a_vector_each():
    (batch,) = _film([3], 3)
    config = MergeConfig(colorizer="x", share=0.5)
    for first, second in itertools.product((Probe, Blind), repeat=2):
        one, other = first(), second()
        both = MergedColorizer(_stage(one), _stage(other), config)
        size = 2 * [first, second].count(Probe)
        assert both.whole_size == size
        vectors = both.whole(batch.frames)
        assert vectors.shape == (3, size)
        plain = both(batch).chroma.ab
        if not size:
            continue
        assert torch.equal(both(_with(batch, vectors)).chroma.ab, plain)
        # 10 and 50 where there are two
        style = torch.tensor([[10.0, 0.0, 50.0, 0.0][:size]])
        a = both(_with(batch, style)).chroma.ab[:, 0, 0, 0]
        values = iter((10.0, 50.0))
        light = plain[:, 1, 0, 0]
        halves = [
            torch.full((3,), next(values)) if model is Probe else light for model in (first, second)
        ]
        torch.testing.assert_close(a, (halves[0] + halves[1]) / 2)


# --- the line, with a network of Iizuka et al. ---------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A narrow network whose color depends much on the whole picture."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = Iizuka16(2, 0)
    light = F.interpolate(
        torch.rand(4, 1, 3, 3, generator=torch.Generator().manual_seed(1)) * 100, (64, 96)
    )
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0
                layer.bias.fill_(0.5)
        net.color[4].conv.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(2))
        net.train()
        net(light)
    path = tmp_path_factory.mktemp("weights") / "narrow.safetensors"
    save_weights(path, net.eval(), "iizuka16", {"width": 2, "labels": 0}, {})
    return str(path)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A picture of bright and dark stripes."""
    path = tmp_path_factory.mktemp("style") / "stripes.png"
    stripes = 255 * (np.indices(SIZE)[1] // 8 % 2)
    cv2.imwrite(str(path), stripes.astype(np.uint8))
    return path


def _config(weights, **colorize):
    return load(Config, {
        "device": "cpu", "precision": "float32", "detect": {"detector": "none"},
        "cadence": {"cadence": "4"}, "stabilize": {"enabled": False},
        "anchor": {"enabled": False}, "remember": {"enabled": False},
        "colorize": {"weights": weights, "short_side": 64, **colorize},
    })  # fmt: skip


def _clip(size, count=10):
    """Two shots: one drifts, the other is its negative."""
    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.normal(0, 1, (64, 160)).astype(np.float32), (0, 0), 6)
    wide = np.clip(128 + 60 * wide / wide.std(), 16, 235).astype(np.uint8)
    drift = np.stack([wide[:, 2 * i : 2 * i + 96] for i in range(count)])
    luma = torch.from_numpy(np.concatenate((drift, 251 - drift)))[:, None]
    for i in range(0, len(luma), size):
        part = luma[i : i + size]
        yield FrameBatch(part, tuple(range(i, i + len(part))), INFO, index=i)


def _color(config, frames, still=False):
    """a*b* of frames, and the vectors that the network was given, by shot."""
    line = build_line(config, still=still)
    vectors = {}

    def watched(tracked):
        for batch in tracked:
            vectors.setdefault(batch.frames.shot, []).append(batch.whole)
            yield batch

    watching = replace(line, see_whole=lambda tracked: watched(line.see_whole(tracked)))
    ab = torch.cat([one.chroma.ab for one in watching(frames)])
    return ab, vectors


def test_one_vector_for_each_shot(weights):
    config = _config(weights)
    ab, vectors = _color(config, _clip(5))
    assert set(vectors) == {0, 1}
    for rows in vectors.values():
        assert len(rows) > 1
        assert all(torch.equal(row, rows[0]) for row in rows)
    assert not torch.equal(vectors[0][0], vectors[1][0])
    for size in (1, 16):
        other, again = _color(config, _clip(size))
        assert torch.equal(again[0][0], vectors[0][0])
        assert torch.equal(again[1][0], vectors[1][0])
        torch.testing.assert_close(other, ab, atol=2e-2, rtol=0)


def test_what_came_before_a_cut_changes_nothing_after_it(weights):
    config = _config(weights)
    _, whole = _color(config, _clip(5))
    second = [batch for batch in _clip(5) if batch.index >= 10]
    _, alone = _color(config, second)
    assert torch.equal(alone[0][0], whole[1][0])


def test_a_style_changes_color_and_ones_own_changes_nothing(weights, picture):
    frame, _ = read_image(picture)
    plain, vectors = _color(_config(weights), [frame], still=True)
    assert vectors == {0: [None]}
    own, vectors = _color(_config(weights, style=str(picture)), [frame], still=True)
    assert vectors[0][0].shape == (1, 8)
    assert torch.equal(own, plain)
    # another picture takes its color
    other = next(_clip(1))
    before, _ = _color(_config(weights), [other], still=True)
    after, _ = _color(_config(weights, style=str(picture)), [other], still=True)
    half, _ = _color(_config(weights, style=str(picture), style_weight=0.5), [other], still=True)
    none, _ = _color(_config(weights, style=str(picture), style_weight=0.0), [other], still=True)
    assert (after - before).abs().mean() > 1
    assert 0 < (half - before).abs().mean() < (after - before).abs().mean()
    torch.testing.assert_close(none, before, atol=1e-4, rtol=0)


def test_a_style_is_for_all_shots(weights, picture):
    _, vectors = _color(_config(weights, style=str(picture)), _clip(5))
    rows = [row for shot in vectors.values() for row in shot]
    assert all(torch.equal(row, rows[0]) for row in rows)


def test_a_style_needs_a_network_that_goes_by_the_whole(weights, picture):
    style = str(picture)
    config = load(Config, {"device": "cpu", "colorize": {"style": style}})
    with pytest.raises(ConfigError, match=r"style needs a network .* --colorizer iizuka16"):
        build_line(config)
    # without a colorizer there is nothing to refuse
    build_line(load(Config, {"detect": {"detector": "none"}, "colorize": {"style": style}}),
               color=False)  # fmt: skip
    # the second network will do
    merged = merge({"colorize": {"style": style}}, {"merge": {"weights": weights}})
    line = build_line(load(Config, {"device": "cpu", "detect": {"detector": "none"}, **merged}))
    assert isinstance(line.see_whole, ShotWhole)
    with pytest.raises(MediaError, match=r"none\.png: no such file"):
        build_line(_config(weights, style="none.png"))
    for wrong in ({"style_weight": 1.5}, {"whole_frames": -1}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            ColorizeConfig(**wrong)


def test_every_frame_by_itself_has_its_own_vector(weights):
    assert load(Config, ALONE).colorize.whole_frames == 0
    line = build_line(_config(weights, whole_frames=0))
    assert isinstance(line.see_whole, NoWhole)
    assert isinstance(build_line(_config(weights)).see_whole, ShotWhole)
    assert isinstance(build_line(_config(weights), still=True).see_whole, NoWhole)
    starter = build_line(load(Config, {"device": "cpu", "detect": {"detector": "none"}}))
    assert isinstance(starter.see_whole, NoWhole)


def test_each_detection_stays_with_its_frame():
    """The new field of `Tracked` must not hide its others."""
    seen = Detections(
        torch.zeros(1, 4), torch.ones(1), torch.zeros(1).long(), torch.zeros(1).long()
    )
    (batch,) = _film([2], 2)
    tracks = Tracks(seen, torch.tensor([7]), torch.ones(1))
    (found,) = ShotWhole(_stage().whole, 12)([Tracked(batch.frames, tracks)])
    assert found.tracks is tracks
    (colored,) = EveryFrame(_stage())([found])
    assert colored.tracks is tracks
