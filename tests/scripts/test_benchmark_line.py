import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bench(tool):
    yield tool("benchmarks/line.py")
    for name in ("rounds", "line_parts"):
        sys.modules.pop(f"measure.{name}", None)


class Watch:
    """A clock that goes on only when somebody works."""

    def __init__(self):
        self.time = 0.0

    def __call__(self) -> float:
        return self.time

    def work(self, seconds: float) -> None:
        self.time += seconds


def decode(watch: Watch, count: int) -> Iterator[int]:
    for number in range(count):
        watch.work(1)
        yield number
    watch.work(0.5)


def pairs(watch: Watch, items: Iterator[int]) -> Iterator[int]:
    """A stage with memory: gives two for every two it takes, and one more at the end."""
    kept = []
    for item in items:
        watch.work(10)
        kept.append(item)
        if len(kept) == 2:
            yield from kept
            kept = []
    watch.work(3)
    yield from kept


def test_each_stage_gets_its_own_time_and_nobody_elses(bench):
    watch = Watch()
    clock = bench.StageClock(now=watch)
    decoded = clock.items("decode", decode(watch, 5))
    stage = clock.items("pairs", pairs(watch, decoded))
    colored = (clock.call("color", lambda n: watch.work(100) or n, item) for item in stage)
    out = []
    for item in colored:
        watch.work(1000)  # what the consumer does counts for nobody
        out.append(item)
    assert out == [0, 1, 2, 3, 4]
    assert clock.seconds == {"decode": 5.5, "pairs": 53.0, "color": 500.0}


def test_the_clock_waits_for_the_device_before_it_reads(bench):
    watch = Watch()
    pending = []
    clock = bench.StageClock(
        lambda: [watch.work(pending.pop()) for _ in range(len(pending))], watch
    )
    clock.call("launch", lambda: pending.append(7.0))
    clock.call("other", lambda: None)
    assert clock.seconds == {"launch": 7.0, "other": 0.0}


def test_an_error_in_a_stage_ends_its_time(bench):
    watch = Watch()
    clock = bench.StageClock(now=watch)
    with pytest.raises(ZeroDivisionError):
        clock.call("broken", lambda: watch.work(2) or 1 / 0)
    watch.work(50)
    clock.call("next", lambda: watch.work(1))
    assert clock.seconds == {"broken": 2.0, "next": 1.0}


def test_summary_takes_medians_over_rounds(bench):
    def one(seconds, memory, **more):
        return {
            "frames": 10,
            "seconds": seconds,
            "peak_memory_mb": memory,
            "device_memory_mb": None,
            **more,
        }

    rounds = {
        "line": [one(s, 900.0, start_s=0.5) for s in (4.0, 5.0, 30.0)],
        "transcode": [one(s, 200.0) for s in (1.0, 0.5, 2.0)],
        "stages": [one(6.0, 800.0, stages={"decode": 1.0, "colorize": c}) for c in (3.0, 4.0, 2.0)],
    }
    found = bench.summarize(rounds)
    assert found["line"]["fps"] == 2.0
    assert found["transcode"]["fps"] == 10.0
    assert found["times_transcode"] == 5.0
    assert found["line"]["peak_memory_mb"] == 900
    assert found["line"]["device_memory_mb"] is None
    assert found["stages"]["stages"]["colorize"] == {"ms_per_frame": 300.0, "share": 0.75}
    assert found["stages"]["stages"]["cut"] == {"ms_per_frame": 0.0, "share": 0.0}
    assert "5.0 times as long" in bench.table("clip", found)


def test_flags_reach_the_config(bench):
    config = bench.read_flags(["--detector", "none", "--stabilize.enabled", "false"], 1.5)
    assert config.detect.detector == "none"
    assert config.stabilize.enabled is False
    assert config.input.duration == 1.5
    with pytest.raises(SystemExit, match="unknown option --detektor"):
        bench.read_flags(["--detektor", "none"], None)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells it")
def test_peak_memory_is_of_the_process_itself_and_not_of_its_parent(bench):
    ballast = np.ones(150_000_000, np.uint8)
    mine = bench.peak_memory_mb()
    code = "import sys; sys.path.insert(0, 'benchmarks'); import line; print(line.peak_memory_mb())"
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    del ballast
    assert mine > 150
    assert float(child.stdout) < 60  # a bare interpreter
    assert bench.peak_memory_mb() > mine - 100  # the ballast is gone, the peak is not


def _one(frames, seconds, **more):
    return {
        "frames": frames,
        "seconds": seconds,
        "processor_s": 2 * seconds,
        "peak_memory_mb": 100 * seconds,
        "device_memory_mb": None,
        **more,
    }


def test_all_rounds_are_kept_beside_the_floor_of_the_same_round(bench):
    rounds = {
        "line": [_one(10, s, start_s=1.0) for s in (4.0, 5.0)],
        "transcode": [_one(10, s) for s in (1.0, 2.0)],
        "stages": [_one(5, 2.0, stages={"cut": s, "tone": 0.0, "obey": 1e-4}) for s in (0.5, 1.0)],
    }
    case = bench.case_of(rounds, {"size": [4, 6]})
    assert dict(case.about) == {"frames": 10, "size": [4, 6]}
    values = case.values
    assert values["line"].rounds == (400, 500)
    assert case.to_floor("line") == (4, 2.5)
    assert values["line processor"].rounds == (800, 1000)
    assert case.to_floor("line processor") == (4, 2.5)
    assert values["line memory"].rounds == (400, 500)
    assert values["transcode"].floor is None
    assert values["stage cut"].rounds == (100, 200)
    assert case.to_floor("stage cut") == (1, 1)
    # what takes next to no time, or is not there, is no value
    assert not {"stage tone", "stage obey", "stage encode", "line device memory"} & set(values)


def test_bare_and_processor_times_are_summed_up(bench):
    rounds = {kind: [_one(10, s)] for kind, s in (("line", 3.0), ("bare", 1.3), ("transcode", 1.0))}
    found = bench.summarize(rounds)
    assert found["bare_times_transcode"] == 1.3
    assert found["line"]["processor_ms_per_frame"] == 600
    told = bench.table("clip", found)
    assert "without its network 1.3 times as long" in told
    assert "300.00 ms wall, 600.00 ms processor" in told


def test_the_share_of_the_peak_is_what_was_computed_in_the_time_of_colorize(bench, monkeypatch):
    counted = {"frame": 3.0, "crop": 0.5, "size": [192, 256]}
    monkeypatch.setattr(bench, "network_gflop", lambda flags, size: counted)
    summary = {
        "size": [480, 640],
        "stages": {
            "frames": 20,
            "asked": {"frames": 5, "crops": 10},
            "stages": {"colorize": {"ms_per_frame": 10.0}},
        },
    }
    bench.reached(summary, [], {"precision": "float32", "peak": {"float32": 500.0}})
    network = summary["stages"]["network"]
    assert network["gflop_per_frame"] == 1.0  # (5 x 3 + 10 x 0.5) / 20
    assert network["gflop_s"] == 100.0
    assert network["share_of_peak"] == 0.2
    bench.reached(summary, [], {"precision": "bfloat16", "peak": {}})
    assert summary["stages"]["network"]["share_of_peak"] is None


def test_what_a_network_is_asked_is_counted(bench):
    import torch

    from vidcolor.records import Rois

    parts = sys.modules["measure.line_parts"]

    class Net(torch.nn.Module):
        def forward(self, lightness, rois=None):
            return torch.zeros(len(lightness), 2, 2, 3)

    class Stage:
        model = Net()

    class Line:
        colorize = Stage()

    asked = parts.Asked()
    rois = Rois(torch.zeros(3, 1, 8, 8), torch.zeros(3, 4), torch.zeros(3), torch.ones(3), (4, 6))
    with asked.watching(Line()):
        Stage.model(torch.zeros(2, 1, 4, 6))
        Stage.model(torch.zeros(1, 1, 4, 6), rois)
    Stage.model(torch.zeros(9, 1, 4, 6))  # nobody watches any more
    assert (asked.frames, asked.crops) == (3, 3)
    assert asked.per_frame(3)["network"] == {"up": (3 * 24 + 3 * 64) * 4 / 3, "down": 48}


def test_finished_clips_are_taken_only_from_the_same_run(bench, tmp_path, capsys):
    rounds = sys.modules["measure.rounds"]
    about = {"commit": "a", "rounds": 3, "when": "then"}
    case = rounds.Case({"frames": 1}, {"line": rounds.Value("ms/frame", (1.0,))})
    out = tmp_path / "r.json"
    rounds.write_result(
        out, "line", {**about, "peak": {"copy": 1}}, {"c": case}, {"clips": {"c": 1}}
    )
    clips, cases = bench.finished(out, {**about, "when": "now"})
    assert clips == {"c": 1}
    assert cases == {"c": case}
    assert bench.finished(out, {**about, "commit": "b"}) == ({}, {})
    assert "another run" in capsys.readouterr().err
    assert bench.finished(tmp_path / "none.json", about) == ({}, {})


def test_made_clips_are_long_enough(bench):
    assert [bench.least_frames(height, None) for height in (480, 1080, 2160)] == [576, 576, 120]
    assert bench.least_frames(2160, 8) == 8


@pytest.mark.slow
def test_the_benchmark_runs_and_writes_every_stage(tmp_path):
    out = tmp_path / "result.json"
    command = [sys.executable, ROOT / "benchmarks" / "line.py", "--heights", "96", "--frames", "8"]
    command += ["--rounds", "1", "--out", out, "--", "--detector", "motion", "--device", "cpu"]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    found = json.loads(out.read_text())
    clip = found["clips"]["example-96p"]
    assert {kind: clip[kind]["frames"] for kind in ("line", "transcode", "stages")} == {
        "line": 8,
        "transcode": 8,
        "stages": 8,
    }
    stages = clip["stages"]["stages"]
    assert all(
        stages[name]["ms_per_frame"] > 0
        for name in (
            "decode",
            "cut",
            "detect",
            "track",
            "colorize",
            "anchor",
            "remember",
            "stabilize",
            "compose",
            "encode",
        )
    )
    assert sum(stage["share"] for stage in stages.values()) == pytest.approx(1, abs=0.001)
    assert found["about"]["device"] == "cpu"
