"""start.py, held.py, growth.py and machine.py."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rounds(tool):
    for name in ("start", "held", "growth", "machine"):
        tool(f"benchmarks/{name}.py")
    yield sys.modules["measure.rounds"]
    sys.modules.pop("measure.rounds", None)


@pytest.fixture(scope="module")
def start(rounds):
    return sys.modules["tool_start"]


@pytest.fixture(scope="module")
def held(rounds):
    return sys.modules["tool_held"]


@pytest.fixture(scope="module")
def growth(rounds):
    return sys.modules["tool_growth"]


@pytest.fixture(scope="module")
def machine(rounds):
    return sys.modules["tool_machine"]


# -- machine -------------------------------------------------------------------------------------


def test_a_rate_counts_what_was_run_once_warm(machine, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(machine.time, "perf_counter", lambda: clock[0])
    costs = iter([5.0] + [0.05] * 9)  # the first pass chooses kernels
    assert machine.rate(lambda: clock.__setitem__(0, clock[0] + next(costs))) == pytest.approx(20)


def test_peaks_are_products_of_matrices_and_copies(machine, monkeypatch):
    monkeypatch.setattr(machine, "rate", lambda run, wait: run() is None or 10.0)
    monkeypatch.setattr(machine, "COPY_BYTES", 4000)
    found = machine.peaks(2, torch.device("cpu"), (50, 10))
    # 2 n^3 operations, ten times a second; the larger matrix is the best
    assert found["float32"].rounds == pytest.approx((2.5e-3, 2.5e-3))
    assert found["bfloat16"].unit == "GFLOP/s"
    assert found["copy"].rounds == pytest.approx((4e-5, 4e-5))
    assert all(value.more for value in found.values())


def test_operations_of_a_network_are_counted(machine):
    layer = torch.nn.Conv2d(3, 8, 3, padding=1)
    counted = machine.gflop(lambda: layer(torch.zeros(1, 3, 10, 20)))
    assert counted == pytest.approx(2 * 200 * 8 * 3 * 9 / 1e9)
    found = machine.network_gflop([], (480, 640))
    assert found["size"] == [192, 256]
    assert found["frame"] > found["crop"] > 0
    alone = machine.network_gflop(["--colorize.instances", "false"], (480, 640))
    assert alone["frame"] == pytest.approx(found["frame"])
    assert alone["crop"] == 0


def test_colorizers_by_name(machine):
    every = machine.colorizer_names(["all"])
    assert every[0] == "starter"
    assert {"instcolor", "siggraph17", "ddcolor"} <= set(every)
    assert "quarternet" not in every
    assert machine.colorizer_names(["none"]) == []
    with pytest.raises(SystemExit, match="unknown colorizer sigraph17; there are starter"):
        machine.colorizer_names(["sigraph17"])
    config = machine.settings_of(machine.colorizer_flags("eccv16")).colorize
    assert (config.colorizer, config.weights) == ("eccv16", "recipe")


# -- start ---------------------------------------------------------------------------------------


def test_commands_are_timed_and_failures_stop(start):
    took = start.wall([sys.executable, "-c", "import time; time.sleep(0.2)"])
    assert took > 0.2
    with pytest.raises(SystemExit, match="failed"):
        start.wall([sys.executable, "-c", "raise SystemExit(1)"])


def test_parts_of_a_start_add_up_to_the_first_packet(start, tmp_path):
    code = (
        "import sys, time; sys.path.insert(0, 'benchmarks'); import start, types\n"
        "moments = {'imports': 1.0, 'opening': 2.5, 'first batch': 3.0}\n"
        "start._finish(time.time() - 4, moments, [0.25, 0.5])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert found["imports"] == 1
    assert found["weights"] == 0.75
    assert found["opening"] == 0.75
    assert found["first batch"] == 0.5
    assert 1 <= found["encoder"] < 2
    assert found["first frame"] == pytest.approx(sum(found[name] for name in start.PARTS))


def test_the_first_packet_is_told_once_it_is_in_the_file(start, tmp_path, monkeypatch):
    from vidcolor.io.segment_file import SegmentFile

    monkeypatch.setattr(SegmentFile, "write", SegmentFile.write)  # put back afterwards
    path, sizes = tmp_path / "s", []
    start._at_first_packet(lambda: sizes.append(path.stat().st_size))
    file = SegmentFile(path)
    assert sizes == []
    file.write(0, True, b"x" * 100)
    assert sizes[0] > 100
    file.close()


def test_time_of_weights_is_noted(start, monkeypatch):
    import vidcolor.build as build

    monkeypatch.setattr(build, "load_model", lambda *given: given)
    monkeypatch.setattr(build, "load_inpainter", build.load_inpainter)
    spent = start._count_weights()
    assert build.load_model(1, 2) == (1, 2)
    assert len(spent) == 1
    assert spent[0] >= 0


# -- held ----------------------------------------------------------------------------------------


def test_held_frames_are_checked_against_the_truth(held, monkeypatch):
    import vidcolor.build
    import vidcolor.io.video
    from vidcolor.records import Chroma, Colored, FrameBatch, Tracks, VideoInfo

    # on twos: 1, 3 and 5 repeat; 3 was not seen, 4 was marked wrongly, 5 has another color
    marks = [False, True, False, False, True, True]
    colors = [1.0, 1.0, 2.0, 2.0, 2.0, 9.0]
    luma = torch.zeros(6, 1, 8, 8, dtype=torch.uint8)
    frames = FrameBatch(luma, tuple(range(6)), VideoInfo(8, 8), held=torch.tensor(marks))
    ab = torch.tensor(colors).view(6, 1, 1, 1).expand(6, 2, 2, 2).clone()
    whole = Colored(frames, Tracks.empty(), Chroma(ab, torch.zeros(6, 1, 2, 2)))
    parts = [
        Colored(whole.frames[part], whole.tracks, whole.chroma[part])
        for part in (slice(0, 3), slice(3, 6))
    ]

    class Reader:
        info = SimpleNamespace(rate=24)

        def __init__(self, *given):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(vidcolor.io.video, "VideoReader", Reader)
    monkeypatch.setattr(vidcolor.build, "build_line", lambda config: lambda reader: parts)
    assert held.check_held(Path("clip"), 2, 6, []) == {
        "repeats": 3,
        "marked": 3,
        "marked_rightly": 2,
        "marked_wrongly": 1,
        "identical": 2,
    }


def test_knowing_is_compared_within_a_round(held, rounds, monkeypatch):
    took = {
        "known": iter([1.0, 2.0, 1.0]), "unknown": iter([2.0, 8.0, 1.9]),
        "ones": iter([3.0, 6.0, 9.0]),
    }  # fmt: skip
    asked = []

    def run(script, words):
        asked.append(words)
        kind = "unknown" if words[-2:] == ["--cut.held", "false"] else "known"
        kind = "ones" if "ones.mp4" in words else kind
        return {"seconds": next(took[kind]), "frames": 10}

    monkeypatch.setattr(held, "run_apart", run)
    values = held.measure(Path("clip.mp4"), Path("ones.mp4"), 10, 3, ["--crf", "20"])
    assert values["known"].rounds == (100, 200, 100)
    assert values["known"].floor == "unknown"
    assert held.times(values) == 2
    assert held.times(values, "ones") == 3
    assert asked[0][-2:] == ["--crf", "20"]
    assert len(asked) == 9
    row = {
        "ones_ms": 300.0, "times_ones": 3.0,
        "known_ms": 100.0, "unknown_ms": 200.0, "times": 2.0, "repeats": 3, "marked": 3,
        "marked_rightly": 2, "marked_wrongly": 1, "identical": 2,
    }  # fmt: skip
    assert held.table({"x": row}).splitlines()[1].endswith("2 of 3, 1, 2 of 3")


def test_the_option_that_forgets_held_frames_is_one(held):
    from measure.settings import read_flags

    assert read_flags(held.UNKNOWN, None).cut.held is False
    assert read_flags([], None).cut.held is True


# -- growth --------------------------------------------------------------------------------------


def test_a_straight_line_and_how_far_from_it(growth):
    slope, begin, off = growth.fit([1, 2, 3, 4], [3, 5, 7, 9])
    assert (slope, begin) == (pytest.approx(2), pytest.approx(1))
    assert off < 1e-9
    # by hand: the line through 0, 1, 5 at 0, 1, 2 is -0.5 + 2.5 x; the middle lies 1 below
    slope, begin, off = growth.fit([0, 1, 2], [0, 1, 5])
    assert (slope, begin) == (pytest.approx(2.5), pytest.approx(-0.5))
    assert off == pytest.approx(1 / 5)


def cases_of(rounds, series, points):
    return {
        f"{series} {x}": rounds.Case(
            {"series": series, "x": x},
            {
                "film": rounds.Value("s", (y, y, 10 * y)),
                "frame": rounds.Value("ms/frame", (2 * y,)),
                "memory": rounds.Value("MB", (m,)),
            },
        )
        for x, y, m in points
    }


def test_series_are_fitted_and_drawn(growth, rounds, tmp_path):
    cases = cases_of(rounds, "length", [(10, 1.5, 100), (20, 2.5, 102), (30, 3.5, 103)])
    cases |= cases_of(rounds, "size", [(1, 4, 50), (2, 6, 80), (4, 10, 150)])
    cases |= cases_of(rounds, "instances", [(0, 1, 9), (8, 5, 9)])
    lines = growth.fits(cases)
    assert lines["length"]["slope"] == pytest.approx(0.1)
    assert lines["length"]["start"] == pytest.approx(0.5)
    assert lines["length"]["memory_grows"] == 1.03
    assert lines["size"]["slope"] == pytest.approx(4)  # of ms a frame
    assert "instances" not in lines  # two points are always a line
    told = growth.table(cases, lines)
    assert "seconds of a film = 0.5 + 0.1 x frames, off 0.0%; memory grows x 1.03" in told
    growth.draw(cases, lines, tmp_path / "growth.png")
    import cv2

    picture = cv2.imread(str(tmp_path / "growth.png"))
    dots = (picture == (60, 110, 230)).all(axis=2)
    assert dots.sum() > 2 * 8 * 20  # eight points above, eight below
    assert (tmp_path / "growth.png").stat().st_size < 60_000


def test_axes_end_at_round_numbers(growth):
    assert [growth.rounded_up(v) for v in (0.9, 1, 1.01, 2.2, 3, 7, 480)] == [
        1, 1, 2, 2.5, 5, 10, 500,
    ]  # fmt: skip


def test_films_of_the_series(growth, tmp_path, monkeypatch):
    given = argparse.Namespace(frames=[8, 16], heights=[48, 96], instances=[0, 3], clip_frames=4)
    found = growth.points(given)
    assert [point.name for point in found] == [
        "length 8", "length 16", "size 48p", "size 96p", "instances 0", "instances 3",
    ]  # fmt: skip
    assert found[2].x == pytest.approx(48 * 64 / 1e6)
    asked = []

    def run(script, words):
        asked.append(words)
        return {"seconds": 2.0, "frames": 4, "peak_memory_mb": 50.0}

    monkeypatch.setattr(growth, "run_apart", run)
    made = []
    monkeypatch.setattr(growth, "make_clip", lambda *given: made.append(given[0::2]))
    monkeypatch.setattr(growth, "describe", lambda clip: {"size": [480, 640]})
    cases = growth.measure(found, 2, ["--crf", "20"], tmp_path)
    assert sorted(made) == [(48, 4), (96, 4), (480, 4), (480, 8), (480, 16)]
    assert len(asked) == 12
    boxes = asked[5][asked[5].index("--detector") + 1]
    rows = Path(boxes.removeprefix("boxes:")).read_text().splitlines()
    assert [len(json.loads(row)["boxes"]) for row in rows] == [3] * 4
    assert "--detector" not in asked[0]
    assert cases["instances 3"].values["frame"].rounds == (500, 500)
    assert cases["instances 3"].about["instances"] == 3


# -- all of them, really -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "words", "case"),
    [
        ("start", ["--heights", "96", "--rounds", "1"], "example-96p"),
        (
            "held",
            ["--height", "96", "--holds", "2", "--colorizers", "starter", "--frames", "8",
             "--rounds", "1", "--cadences", "every"],
            "on 2s, starter, every",
        ),
        (
            "growth",
            ["--frames", "8", "--heights", "96", "--instances", "2", "--clip-frames", "8",
             "--rounds", "1", "--picture", "none"],
            "instances 2",
        ),
        (
            "instcolor",
            ["--width", "2", "--frames", "6", "--few", "2", "--color-frames", "4", "--rounds", "1"],
            "instcolor",
        ),
        ("machine", ["--rounds", "1", "--sizes", "64", "--colorizers", "starter"], "peaks"),
    ],
)  # fmt: skip
def test_the_benchmark_runs(script, words, case, tmp_path, rounds):
    out = tmp_path / "result.json"
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *words, "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    found = rounds.Result.read(out)
    assert found.kind == script
    assert all(min(value.rounds) > 0 for value in found.cases[case].values.values())
