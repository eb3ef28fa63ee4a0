"""Clips colored anew: what is lost, what runs side by side, what is judged."""

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_color import BLUE, RED, texture, tint, write_film
from media import make_video

from vidcolor.color.compose import ComposeConfig, compose_rgb
from vidcolor.errors import MediaError
from vidcolor.evaluate import EvaluateConfig
from vidcolor.evaluate.recolor import (
    TRUTH,
    Clip,
    each_frame_alone,
    first_frames,
    largest_difference,
    measure_colorings,
    rebatched,
    without_boxes,
    without_frames,
)
from vidcolor.pipeline import Pipeline
from vidcolor.records import (
    Chroma,
    Colored,
    Detected,
    Detections,
    FrameBatch,
    Tracks,
    VideoInfo,
)
from vidcolor.stages.cadence import EveryFrame
from vidcolor.stages.cut import NoCut
from vidcolor.stages.detect import NoDetector
from vidcolor.stages.overlay import NoOverlay
from vidcolor.stages.remember import Forget
from vidcolor.stages.restore import NoRestore
from vidcolor.stages.stabilize import Hold
from vidcolor.stages.track import NoTracker
from vidcolor.stages.whole import NoWhole

ROOT = Path(__file__).resolve().parents[2]
SIZES = EvaluateConfig(every=0, bars="keep")


def painted(a: float, b: float):
    """A network that knows one color."""

    def color(tracked):
        frames = tracked.frames
        ab = (
            torch.tensor((a, b), dtype=torch.float32)
            .view(1, 2, 1, 1)
            .expand(len(frames), 2, 6, 8)
            .contiguous()
        )
        return Colored(frames, tracked.tracks, Chroma(ab, torch.full((len(frames), 1, 6, 8), 50.0)))

    return color


def laid(network, stabilize=None) -> Pipeline:
    return Pipeline(
        cut=NoCut(), restore=NoRestore(), detect=NoDetector(), track=NoTracker(),
        see_whole=NoWhole(), colorize=EveryFrame(network), refer=NoOverlay(), anchor=Forget(),
        remember=Forget(), stabilize=stabilize or Hold(), tone=Forget(), obey=NoOverlay(),
        grade=NoOverlay(),
    )  # fmt: skip


def seen(count: int, boxes: int = 4, ids: bool = False) -> list[Detected]:
    frames = FrameBatch(
        torch.zeros(count, 1, 8, 8, dtype=torch.uint8), tuple(range(count)), VideoInfo(8, 8)
    )
    number = count * boxes
    found = Detections(
        torch.tensor([[0.0, 0, 4, 4]]).repeat(number, 1),
        torch.ones(number),
        torch.zeros(number, dtype=torch.int64),
        torch.arange(count).repeat_interleave(boxes),
    )
    return [Detected(frames, found, ids=torch.arange(number) if ids else None)]


def test_frames_lose_all_their_boxes_or_none():
    (item,) = without_frames(seen(1000), 0.3, np.random.default_rng(0))
    left = torch.bincount(item.detections.frame, minlength=1000)
    assert set(left.tolist()) == {0, 4}
    assert (left == 0).float().mean() == pytest.approx(0.3, abs=0.04)
    assert item.has_looked().all()


def test_boxes_are_lost_each_by_itself():
    (item,) = without_boxes(seen(1000, ids=True), 0.3, np.random.default_rng(0))
    assert len(item.detections) == pytest.approx(2800, abs=120)
    left = torch.bincount(item.detections.frame, minlength=1000)
    assert {1, 2, 3, 4} <= set(left.tolist())
    # identities stay with their boxes
    assert (item.ids // 4 == item.detections.frame).all()


def test_the_same_boxes_are_lost_for_the_same_seed():
    first, again = (
        next(iter(without_boxes(seen(50), 0.3, np.random.default_rng(7)))) for _ in range(2)
    )
    assert first.detections.frame.tolist() == again.detections.frame.tolist()


def test_batches_of_other_sizes_hold_the_same_frames(tmp_path):
    clip = Clip.read(write_film(tmp_path / "a.mkv", [tint(texture(i), RED) for i in range(9)]),
                     None, SIZES)  # fmt: skip
    parts = list(rebatched(clip.frames, 4))
    assert max(len(part) for part in parts) == 4
    assert [p for part in parts for p in part.pts] == [p for b in clip.frames for p in b.pts]
    assert sum(len(part) for part in first_frames(clip.frames, 5)) == 5


def test_a_clip_keeps_its_truth(tmp_path):
    frames = [tint(texture(i), RED) for i in range(20)]
    path = write_film(tmp_path / "a.mkv", frames)
    clip = Clip.read(path, 18, SIZES)
    assert len(clip.truth) == sum(len(batch) for batch in clip.frames) == 18
    assert (clip.truth[clip.frames[1].pts[1]] == frames[17]).all()
    with pytest.raises(MediaError, match="is gray"):
        Clip.read(make_video(tmp_path / "gray.mkv").path, None, SIZES)


class _Paint:
    """A stabilizer that paints everything in one color."""

    def __init__(self, a: float):
        self.a = a

    def __call__(self, colored):
        for batch in colored:
            ab = batch.chroma.ab.clone()
            ab[:, 0] = self.a
            yield Colored(batch.frames, batch.tracks, Chroma(ab, batch.chroma.lightness))


def test_the_network_alone_is_the_line_without_what_makes_it_steady(tmp_path):
    line = laid(painted(30, 5), _Paint(-20))
    clip = Clip.read(
        write_film(tmp_path / "a.mkv", [tint(texture(i), RED) for i in range(4)]), None, SIZES
    )
    (whole,) = line(clip.frames)
    (alone,) = each_frame_alone(line)(clip.frames)
    assert set(whole.chroma.ab[:, 0].flatten().tolist()) == {-20}
    assert set(alone.chroma.ab[:, 0].flatten().tolist()) == {30}
    with pytest.raises(ValueError, match="SimpleNamespace"):
        each_frame_alone(dataclasses.replace(line, colorize=SimpleNamespace()))


def test_colorings_are_measured_against_the_truth(tmp_path):
    line = laid(painted(30, 20), _Paint(-20))
    frames = [tint(texture(i), RED) for i in range(5)]
    clip = Clip.read(write_film(tmp_path / "a.mkv", frames), None, SIZES)
    runs = {"line": line(clip.frames), "alone": each_frame_alone(line)(clip.frames)}
    told = []
    found = measure_colorings(clip, runs, SIZES, ComposeConfig(), told.append)
    assert sum(told) == 5
    (batch,) = clip.frames
    expected = []
    for i, frame in enumerate(frames):
        ab = np.stack((np.full((6, 8), 30), np.full((6, 8), 20))).astype(np.float32)
        lightness = np.full((6, 8), 50, np.float32)
        luma = batch.luma[i, 0].numpy()
        rgb = compose_rgb(luma, ab, lightness, batch.info.color, ComposeConfig())
        expected.append(10 * np.log10(255**2 / np.mean((rgb.astype(float) - frame) ** 2)))
    assert found.film("alone").fidelity.psnr == pytest.approx(np.mean(expected))
    assert found.film("line").fidelity.psnr < found.film("alone").fidelity.psnr
    assert found.film(TRUTH).color == found.film("alone").truth
    # what the line gives does not move at all, though luma's grain moves what is seen of it
    assert found.film("alone").color.planes_instability == 0
    assert found.film("alone").color.instability > 0
    assert found.film(TRUTH).color.planes_instability is None


def test_colorings_of_other_lengths_are_a_bug(tmp_path):
    line = laid(painted(30, 20))
    clip = Clip.read(
        write_film(tmp_path / "a.mkv", [tint(texture(i), RED) for i in range(4)]), None, SIZES
    )
    runs = {"line": line(clip.frames), "short": line(first_frames(clip.frames, 3))}
    with pytest.raises(ValueError, match="shorter"):
        measure_colorings(clip, runs, SIZES, ComposeConfig())


def test_a_line_that_minds_its_batches_is_found_out():
    (item,) = seen(10, 0)
    assert largest_difference(laid(painted(3, 4)), [item.frames], (16, 3, 1)) == 0

    def unsteady(tracked):
        return painted(float(len(tracked.frames)), 0)(tracked)

    assert largest_difference(laid(unsteady), [item.frames], (16, 3, 1)) == 9


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(
        "tool_measure_film", ROOT / "scripts" / "measure_film.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def row(instability, excess, decibels, chroma, **other):
    of = dict.fromkeys(("line", "alone", "lost frames", "lost boxes", "truth"))
    for name in of:
        calm = instability.get(name, instability["line"])
        of[name] = {
            "color": {
                "instability": 9.0,
                "planes_instability": calm,
                "chroma": chroma.get(name, 10.0),
            },
            "fidelity": {"psnr": decibels.get(name, 25.0)},
        }
    return {
        **of,
        "clip": "a.mp4",
        "frames": 9,
        "cdc_excess": excess,
        "batch_difference": 0.0,
    } | other


def test_what_was_asked_is_judged_by_hand(script):
    good = row(
        {"line": 0.3, "alone": 1.0, "truth": 0.4, "lost frames": 0.32, "lost boxes": 0.28},
        {"line": 0.0004, "alone": 0.001},
        {"line": 25.1, "alone": 25.0},
        {"line": 9.9, "alone": 10.0},
    )
    found = script.judged(good)
    assert all(ok for _, ok in found.values())
    assert found["instability"][0] == pytest.approx(0.3)
    assert found["cdc"][0] == pytest.approx(0.4)
    assert found["psnr"][0] == pytest.approx(0.1)
    assert found["lost boxes"][0] == pytest.approx(-0.0667, abs=1e-4)
    assert script.table([good]).splitlines()[-1].endswith("| yes |")
    bad = row(
        {"line": 0.4, "alone": 1.0, "truth": 0.4, "lost frames": 0.45, "lost boxes": 0.35},
        {"line": 0.0006, "alone": 0.001},
        {"line": 24.9, "alone": 25.0},
        {"line": 9.7, "alone": 10.0},
        batch_difference=0.5,
    )
    assert not any(ok for _, ok in script.judged(bad).values())
    assert script.table([bad]).count(" !") == 7
    calm = row({"line": 0.3, "alone": 1.0, "truth": 0.4}, {"line": -0.1, "alone": -0.2}, {}, {})
    assert script.judged(calm)["cdc"][1]


def test_rows_of_the_same_plan_are_taken_from_the_file(script, tmp_path):
    path = tmp_path / "rows.jsonl"
    assert script.measured(path, {"frames": 3}) == {}
    path.write_text('{"clip": "a", "plan": {"frames": 3}}\n{"clip": "b", "plan": {"frames": 4}}\n')
    assert list(script.measured(path, {"frames": 3})) == ["a"]


def test_settings_are_keys_of_the_line(script):
    assert script.settings(None, ["stabilize.tau=4.5"]).stabilize.tau == 4.5
    with pytest.raises(SystemExit, match="no such key"):
        script.settings(None, ["stabilize.tua=4"])


def test_a_clip_is_measured_from_end_to_end(script, tmp_path):
    rng = np.random.default_rng(0)

    def nervous(tracked):  # another color each time
        return painted(*rng.normal(0, 20, 2).tolist())(tracked)

    class Calm:
        def __call__(self, colored):
            for batch in colored:
                ab = torch.full_like(batch.chroma.ab, 10.0)
                yield Colored(batch.frames, batch.tracks, Chroma(ab, batch.chroma.lightness))

    path = write_film(tmp_path / "a.mkv", [tint(texture(i), BLUE) for i in range(6)])
    line = laid(lambda tracked: _joined([nervous(one) for one in _singles(tracked)]), Calm())
    arguments = SimpleNamespace(frames=None, seed=0, window_frames=4)
    found = script.measure(path, line, SimpleNamespace(compose=ComposeConfig()), arguments)
    assert found["frames"] == 6
    assert found["batch_difference"] == 0
    judged = script.judged({"clip": "a", **found})
    assert judged["instability"][0] < 0.2
    assert judged["lost frames"][0] == 0


def _singles(tracked):
    from vidcolor.records import Tracked

    return [Tracked(tracked.frames[i : i + 1], Tracks.empty()) for i in range(len(tracked.frames))]


def _joined(parts):
    frames = parts[0].frames
    whole = FrameBatch(
        torch.cat([p.frames.luma for p in parts]),
        tuple(p.frames.pts[0] for p in parts),
        frames.info, frames.index, frames.shot, frames.start,
    )  # fmt: skip
    chroma = Chroma(
        torch.cat([p.chroma.ab for p in parts]), torch.cat([p.chroma.lightness for p in parts])
    )
    return Colored(whole, Tracks.empty(), chroma)
