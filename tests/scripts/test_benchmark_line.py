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
    return tool("benchmarks/line.py")


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
