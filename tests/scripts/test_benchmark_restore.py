import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bench(tool):
    return tool("benchmarks/restore.py")


class Watch:
    """A clock that goes on only when somebody works."""

    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time

    def work(self, seconds):
        self.time += seconds


@dataclass(frozen=True)
class Steps:
    """A repair of small doubles: each works a little longer than the one before."""

    motion: object
    find: object
    heal: object

    def __call__(self, shots):
        def follow():
            for shot in shots:
                watch.work(1)
                yield shot

        return self.heal(self.find(follow()))


class Find:
    def __init__(self, detectors):
        self.detectors = tuple(detectors)

    def __call__(self, moved):
        asked = [one.begin() for one in self.detectors]
        for item in moved:
            watch.work(10)
            yield item + sum(ask(item) for ask in asked)


class Specks:
    before, after = 2, 3

    def begin(self):
        return lambda item: watch.work(100) or 1


class Lines:
    before, after = 0, 0

    def begin(self):
        return lambda item: watch.work(1000) or 2


watch = Watch()


def heal(marked):
    for item in marked:
        watch.work(10000)
        yield -item


def test_each_step_and_each_detector_gets_its_own_time(bench):
    clock = bench.StageClock(now=watch)
    # what is no step stays as it is
    config = SimpleNamespace(lines=3)
    repair = bench.timed(Steps(config, Find([Specks(), Lines()]), heal), clock)
    assert repair.motion is config
    detector = bench.TimedDetector(Specks(), clock)
    assert (detector.before, detector.after) == (2, 3)
    out = []
    for item in repair([10, 20]):
        watch.work(1e6)  # what the consumer does counts for nobody
        out.append(item)
    assert out == [-13, -23]
    assert clock.seconds == {
        "motion": 2, "find": 20, "find: Specks": 200, "find: Lines": 2000, "heal": 20000,
    }  # fmt: skip


def test_all_steps_of_a_real_repair_are_timed_and_do_what_they_did(bench):
    torch = pytest.importorskip("torch")
    from vidcolor.records import FrameBatch, VideoInfo
    from vidcolor.repair.find import Finder
    from vidcolor.repair.judge import Judge
    from vidcolor.repair.level import NoDeflicker
    from vidcolor.repair.motion import FollowConfig
    from vidcolor.repair.records import Repaired, Spot
    from vidcolor.repair.repairer import Repairer
    from vidcolor.repair.steady import NoSteady

    class Corner:
        before, after = 1, 0

        def begin(self):
            hole = np.ones((1, 1), np.bool_)
            return lambda window: [Spot("dust", 0, len(window.frames), hole)]

    def untouched(marked):
        for batch in marked:
            yield Repaired(batch.frames, batch, (0,) * len(batch.frames))

    luma = torch.randint(0, 256, (3, 1, 24, 32), dtype=torch.uint8)
    batch = FrameBatch(luma, (0, 1, 2), VideoInfo(24, 32))
    repair = Repairer(
        FollowConfig(lines=64), Finder([Corner()]), iter, Judge(), untouched,
        NoDeflicker(), NoSteady(),
    )  # fmt: skip
    clock = bench.StageClock()
    (out,) = bench.timed(repair, clock)([batch])
    assert [spots[0].left for spots in out.marked.spots] == [1, 2, 2]
    assert set(clock.seconds) == {
        "motion", "find", "find: Corner", "grow", "judge", "heal", "deflicker", "steady",
    }  # fmt: skip


def test_summary_takes_medians_and_sorts_steps(bench):
    def one(seconds, **more):
        return {
            "frames": 10,
            "seconds": seconds,
            "peak_memory_mb": 100 * seconds,
            "device_memory_mb": None,
            **more,
        }

    about = {
        "start_s": 0.5,
        "changed_share": 0.0125,
        "frames_touched": 7,
        "spots": {"dust, accepted": 3},
    }
    rounds = {
        "restore": [one(s, **about) for s in (4.0, 5.0, 30.0)],
        "transcode": [one(s) for s in (1.0, 0.5, 2.0)],
        "steps": [one(6.0, steps={"motion": 1.0, "heal": heal}) for heal in (3.0, 4.0, 2.0)],
    }
    found = bench.summarize(rounds)
    assert found["restore"]["fps"] == 2.0
    assert found["restore"]["peak_memory_mb"] == 500
    assert (found["restore"]["start_s"], found["restore"]["changed_share"]) == (0.5, 0.0125)
    assert found["transcode"]["fps"] == 10.0
    assert found["times_transcode"] == 5.0
    assert list(found["steps"]["steps"].items()) == [
        ("heal", {"ms_per_frame": 300.0, "share": 0.75}),
        ("motion", {"ms_per_frame": 100.0, "share": 0.25}),
    ]
    told = bench.table("clip", {**found, "damaged_share": 0.02})
    assert told.startswith("clip, 2.000 % damaged\n")
    assert "5.0 times as long" in told


def test_the_clip_is_scaled_and_damaged(bench, tmp_path):
    path = tmp_path / "clip.mkv"
    share = bench.make_clip(96, 5, path)
    assert 0.005 < share < 0.2
    with av.open(str(path)) as film, av.open(str(ROOT / "examples" / "example.mp4")) as source:
        stream = film.streams.video[0]
        assert (stream.width, stream.height) == (128, 96)
        planes = [frame.to_ndarray()[:96] for frame in film.decode(stream)]
        frames = source.decode(video=0)
        clean = [next(frames).to_ndarray(format="gray", width=128, height=96) for _ in planes]
    assert len(planes) == 5
    near = np.ones((7, 7), np.uint8)
    for worn, plane in zip(planes, clean, strict=True):
        # grain, light and weave are in bounds of what is near, in a tenth more or less light
        low, high = 0.88 * cv2.erode(plane, near) - 25, 1.12 * cv2.dilate(plane, near) + 25
        assert 0.005 < ((worn < low) | (worn > high)).mean() < 0.05


@pytest.mark.slow
def test_the_benchmark_runs_and_writes_every_step(tmp_path):
    out = tmp_path / "result.json"
    command = [sys.executable, ROOT / "benchmarks" / "restore.py", "--heights", "96"]
    command += ["--frames", "8", "--rounds", "1", "--out", out]
    command += ["--", "--device", "cpu", "--restore.weights", "none"]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    found = json.loads(out.read_text())
    clip = found["clips"]["damaged-96p"]
    assert {kind: clip[kind]["frames"] for kind in ("restore", "transcode", "steps")} == {
        "restore": 8,
        "transcode": 8,
        "steps": 8,
    }
    steps = clip["steps"]["steps"]
    for name in ("decode", "cut", "motion", "find: Dust", "grow", "judge", "heal", "encode"):
        assert steps[name]["ms_per_frame"] > 0
    assert sum(step["share"] for step in steps.values()) == pytest.approx(1, abs=0.002)
    assert 0 < clip["restore"]["changed_share"] < 0.5
    assert clip["times_transcode"] > 1
