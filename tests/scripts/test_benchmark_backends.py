import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bench(tool):
    module = tool("benchmarks/backends.py")
    yield module
    sys.modules.pop("line", None)


def test_backends_take_turns_and_the_first_pass_does_not_count(bench):
    clock = [0.0]
    order = []

    def costs(name, first, later):
        def run():
            clock[0] += later if name in order else first
            order.append(name)

        return run

    runs = {"slow": costs("slow", 9.0, 0.5), "quick": costs("quick", 7.0, 0.05)}
    seconds = bench.take_turns(runs, 3, lambda: clock[0])
    assert seconds["slow"] == pytest.approx([0.5] * 3)
    assert seconds["quick"] == pytest.approx([0.05] * 3)
    # a turn of what is quick is four runs
    assert order == ["slow"] * 2 + ["quick"] * 2 + (["slow"] + ["quick"] * 4) * 3


def test_ratios_are_taken_within_a_round(bench):
    # in the second round something else took half of the machine
    seconds = {"float32": [0.2, 0.4, 0.2], "onnxruntime": [0.1, 0.2, 0.16]}
    rows = bench.summary(seconds, 2, "float32")
    assert rows["onnxruntime"] == {
        "ms": 80.0,
        "least_ms": 50.0,
        "times_default": 2.0,
        "times_float32": 2.0,
    }
    assert rows["float32"]["times_default"] == 1
    assert bench.ratio([3.0, 1.0, 8.0], [1.0, 1.0, 2.0]) == 3


def test_cases_are_networks_at_sizes_that_they_take(bench):
    from vidcolor.models.registry import model_spec

    for case in bench.CASES.values():
        name = "quarternet" if case.weights == "starter" else case.weights
        assert all(side % model_spec(name).multiple == 0 for side in case.size)


@pytest.mark.slow
def test_the_benchmark_runs_and_all_backends_agree(tmp_path):
    out = tmp_path / "result.json"
    command = [sys.executable, ROOT / "benchmarks" / "backends.py", "--cases", "starter"]
    command += ["--threads", "1", "--rounds", "1", "--out", out]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    found = json.loads(out.read_text())
    rows = found["cases"]["starter"]["threads"]["1"]
    half = {"bfloat16"} & {found["default"]}
    assert set(rows) == {"contiguous", "float32", "onnxruntime"} | half
    assert rows["onnxruntime"]["differs"] < 0.05
    assert all(row["ms"] > 0 for row in rows.values())
    assert found["about"]["torch"] == torch.__version__
