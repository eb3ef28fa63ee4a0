import itertools
import json
import math
import sys

import pytest

MACHINE = {"processor": "made", "cores": 2, "device": "cpu", "device_name": None}
ABOUT = {**MACHINE, "options": [], "precision": "float32", "commit": "abc"}


@pytest.fixture(scope="module")
def bench(tool):
    yield tool("benchmarks/compare.py")
    sys.modules.pop("measure.rounds", None)


@pytest.fixture(scope="module")
def rounds(bench):
    return sys.modules["measure.rounds"]


def write(path, kind="line", about=None, **cases):
    told = {
        name: {"about": {"frames": 100, "size": [4, 6], **case.pop("about", {})}, "values": case}
        for name, case in cases.items()
    }
    data = {"kind": kind, "about": {**ABOUT, **(about or {})}, "cases": told}
    path.write_text(json.dumps(data))
    return path


def ms(*numbers, floor=None):
    value = {"unit": "ms/frame", "rounds": list(numbers)}
    return value if floor is None else {**value, "floor": floor}


def run(bench, tmp_path, old, new, *words):
    first, second = write(tmp_path / "old.json", **old), write(tmp_path / "new.json", **new)
    return bench.main([str(first), str(second), *words])


# -- intervals, by hand --------------------------------------------------------------------------


def test_three_rounds_each_give_the_whole_span_at_90_percent(rounds):
    # of the 20 orders of 3 and 3 numbers, U is 0 in one and 9 in one: 1 - 2/20
    found = rounds.ratio_interval([1.0, 2.0, 4.0], [3.0, 6.0, 12.0])
    assert (found.low, found.high, found.level) == (0.75, 12.0, pytest.approx(0.9))
    # ratios 3/4, 3/2, 3, 3/2, 3, 6, 3, 6, 12: the fifth in order is 3
    assert found.ratio == pytest.approx(3)


def test_more_rounds_leave_out_the_outermost_ratios(rounds):
    # 4 and 4: of 70 orders U is 0 in 1, 1 in 1, 2 in 2: one ratio each side off gives 1 - 4/70
    old, new = [1.0, 1.1, 1.2, 1.3], [2.0, 3.0, 5.0, 7.0]
    found = rounds.ratio_interval(old, new)
    assert found.level == pytest.approx(1 - 4 / 70)
    # without 2 / 1.3 and 7 / 1
    assert (found.low, found.high) == (pytest.approx(2 / 1.2), pytest.approx(7 / 1.1))
    # in the middle of 16 lie 3 and 5 / 1.3, the mean of their logarithms counts
    assert found.ratio == pytest.approx(math.sqrt(3 * 5 / 1.3))
    # 5 and 5: the table of Mann and Whitney has 4 as the critical U of 5 % on one side
    found = rounds.ratio_interval([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.level == pytest.approx(1 - 2 * 12 / 252)
    assert (found.low, found.high) == (1, 5)
    # there is none of 99.9 %: the widest that there is has 1 - 2/252
    widest = rounds.ratio_interval([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0], 0.999)
    assert widest.level == pytest.approx(1 - 2 / 252)


def test_counts_of_u_are_those_of_all_orders(rounds):
    for m, n in ((1, 1), (2, 3), (4, 3), (5, 5)):
        counts = [0] * (m * n + 1)
        for places in itertools.combinations(range(m + n), m):
            counts[sum(place - i for i, place in enumerate(places))] += 1
        assert rounds._u_counts(m, n) == counts


def test_an_interval_holds_the_true_ratio_as_often_as_it_says(rounds):
    import numpy as np

    draws = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        old, new = np.exp(draws.laplace(size=(2, 5)) / 20)
        found = rounds.ratio_interval(old.tolist(), (1.3 * new).tolist())
        hits += found.low <= 1.3 <= found.high
    assert hits / 2000 == pytest.approx(1 - 24 / 252, abs=0.025)


def test_single_rounds_and_nothing_measured(rounds):
    found = rounds.ratio_interval([2.0], [3.0])
    assert (found.ratio, found.low, found.high, found.level) == (pytest.approx(1.5), 1.5, 1.5, 0)
    assert rounds.ratio_interval([0.0, 1.0], [1.0, 1.0]) is None


# -- verdicts ------------------------------------------------------------------------------------


def rows_of(bench, rounds, tmp_path, old, new):
    first, second = write(tmp_path / "old.json", **old), write(tmp_path / "new.json", **new)
    found, remarks = bench.compare(rounds.Result.read(first), rounds.Result.read(second))
    return {row.name: row for row in found}, remarks


def test_verdicts_by_unit_and_direction(bench, rounds, tmp_path):
    def mb(*numbers):
        return {"unit": "MB", "rounds": list(numbers)}

    def flops(*numbers):
        return {"unit": "GFLOP/s", "rounds": list(numbers), "better": "more"}

    old = {
        "clip": {
            "line": ms(10, 11, 12),
            "bare": ms(10, 11, 12),
            "stages": ms(10, 11, 12),
            "line memory": mb(100, 101, 100),
            "peak": flops(50, 50, 51),
            "once": ms(1),
        }
    }
    new = {
        "clip": {
            "line": ms(20, 21, 22),
            "bare": ms(5, 6, 7),
            "stages": ms(9, 11, 13),
            "line memory": mb(90, 90, 90),
            "peak": flops(40, 40, 40),
            "once": ms(9),
        }
    }
    rows, remarks = rows_of(bench, rounds, tmp_path, old, new)
    assert {name: row.verdict for name, row in rows.items()} == {
        "line": "slower",
        "bare": "faster",
        "stages": "same",
        "line memory": "less",
        "peak": "lower",
        "once": "unsure",
    }
    assert rows["line"].worse == pytest.approx(20 / 12)  # the lowest of nine ratios
    assert rows["peak"].worse == pytest.approx(50 / 40)  # less of it is worse
    assert rows["bare"].worse < 1
    assert rows["once"].worse == 1
    assert not remarks


def test_a_busy_machine_cancels_out_round_by_round(bench, rounds, tmp_path):
    # in the new second round everything took three times as long
    old = {"clip": {"transcode": ms(10, 10, 10), "line": ms(20, 20.2, 20.1, floor="transcode")}}
    new = {"clip": {"transcode": ms(10, 30, 10), "line": ms(21, 63, 21.2, floor="transcode")}}
    rows, _ = rows_of(bench, rounds, tmp_path, old, new)
    row = rows["line / transcode"]
    assert (row.old, row.new) == (pytest.approx(2.01), pytest.approx(2.1))
    assert (row.interval.low, row.interval.high) == (
        pytest.approx(2.1 / 2.02),
        pytest.approx(2.12 / 2.0),
    )
    assert row.verdict == "slower"
    assert rows["transcode"].verdict == "same"


def test_fail_wants_more_than_the_tolerance_for_certain(bench, tmp_path, capsys):
    old = {"clip": {"line": ms(10, 10, 10)}}
    assert run(bench, tmp_path, old, {"clip": {"line": ms(10.4, 10.4, 10.4)}}, "--fail") == 0
    assert "slower" in capsys.readouterr().out
    new = {"clip": {"line": ms(10.6, 10.6, 10.6)}}
    assert run(bench, tmp_path, old, new, "--fail") == 1
    assert "worse by more than 5%: clip, line" in capsys.readouterr().out
    assert run(bench, tmp_path, old, new) == 0
    assert run(bench, tmp_path, old, new, "--fail", "--tolerance", "0.1") == 0
    # noise that reaches below the tolerance makes it uncertain
    assert run(bench, tmp_path, old, {"clip": {"line": ms(10.4, 15, 15)}}, "--fail") == 0
    capsys.readouterr()
    # one round each says nothing, however far apart
    once = {"clip": {"line": ms(10)}}, {"clip": {"line": ms(99)}}
    assert run(bench, tmp_path, *once, "--fail") == 0
    assert "1 of 1 values have too few rounds" in capsys.readouterr().out


# -- what cannot be compared ---------------------------------------------------------------------


def test_another_machine_leaves_only_ratios_to_the_floor(bench, rounds, tmp_path, capsys):
    clip = {
        "transcode": ms(10, 10, 10),
        "line": ms(20, 20, 20, floor="transcode"),
        "line memory": {"unit": "MB", "rounds": [5, 5, 5]},
    }
    fast = {
        "transcode": ms(5, 5, 5),
        "line": ms(10, 10, 10, floor="transcode"),
        "line memory": {"unit": "MB", "rounds": [9, 9, 9]},
    }
    new = {"clip": fast, "about": {"processor": "other"}}
    rows, remarks = rows_of(bench, rounds, tmp_path, {"clip": dict(clip)}, new)
    assert list(rows) == ["line / transcode"]
    assert rows["line / transcode"].verdict == "same"
    assert remarks == [
        "another machine (processor made and other): only values with a floor are compared"
    ]
    # and without any floor there is nothing left
    old, new = {"clip": {"line": ms(1, 1, 1)}}, {"clip": {"line": ms(1, 1, 1)}}
    assert run(bench, tmp_path, old, {**new, "about": {"cores": 64}}) == 2
    assert "nothing in common" in capsys.readouterr().err


def test_other_clips_sizes_and_cases(bench, rounds, tmp_path):
    def clip(**about):
        return {
            "transcode": ms(10, 10, 10),
            "line": ms(20, 20, 20, floor="transcode"),
            "about": about,
        }

    old = {"one": clip(), "two": clip(), "three": clip(), "old": clip()}
    new = {"one": clip(), "two": clip(frames=7), "three": clip(size=[8, 8]), "new": clip()}
    first, second = write(tmp_path / "a.json", **old), write(tmp_path / "b.json", **new)
    rows, remarks = bench.compare(rounds.Result.read(first), rounds.Result.read(second))
    assert [(row.case, row.name) for row in rows] == [
        ("one", "transcode"),
        ("one", "line / transcode"),
        ("two", "line / transcode"),
    ]
    told = " ".join(remarks)
    assert "two: another clip (frames 100 and 7)" in told
    assert "three: another case, left out (size [4, 6] and [8, 8])" in told
    assert "old: only in the old file" in told
    assert "new: only in the new file" in told


def test_what_is_no_result_is_one_line(bench, tmp_path, capsys):
    good = write(tmp_path / "good.json", clip={"line": ms(1, 1, 1)})
    bad = tmp_path / "bad.json"
    texts = {
        "is no JSON": "}",
        "has no kind, about and cases": "[1, 2]",
        "an old one without rounds": '{"about": {}, "mean": {}}',
    }
    for message, text in texts.items():
        bad.write_text(text)
        assert bench.main([str(good), str(bad)]) == 2
        told = capsys.readouterr().err
        assert message in told
        assert told.count("\n") == 1
        assert "bad.json" in told
    empty = {"clip": {"about": {}, "values": {"line": {"unit": "s", "rounds": []}}}}
    bad.write_text(json.dumps({"kind": "line", "about": {}, "cases": empty}))
    assert bench.main([str(bad), str(good)]) == 2
    assert bench.main([str(good), str(tmp_path / "missing.json")]) == 2
    assert "missing.json: cannot be read" in capsys.readouterr().err
    other = write(tmp_path / "other.json", kind="start", clip={"line": ms(1, 1, 1)})
    assert bench.main([str(good), str(other)]) == 2
    assert "is of kind 'line'" in capsys.readouterr().err
    settings = write(tmp_path / "s.json", about={"options": ["--crf", "9"]}, clip={"line": ms(1)})
    assert bench.main([str(good), str(settings)]) == 2
    assert "other settings cannot be compared: options [] and ['--crf', '9']" in (
        capsys.readouterr().err
    )


def test_results_from_before_files_had_kinds_are_read(rounds, tmp_path):
    clip = {
        "line": {"frames": 10, "seconds": [1.0, 2.0], "fps": 6.7},
        "transcode": {"frames": 10, "seconds": [0.5, 0.5]},
        "times_transcode": 3.0,
    }
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"about": ABOUT, "clips": {"c": clip}}))
    found = rounds.Result.read(path)
    assert found.kind == "line"
    assert found.cases["c"].values["line"].rounds == (100, 200)
    assert found.cases["c"].to_floor("line") == (2, 4)
    assert found.cases["c"].about == {"frames": 10}


def test_what_is_written_is_what_is_read(rounds, tmp_path):
    values = {
        "transcode": rounds.Value("ms/frame", (1.0, 2.0)),
        "line": rounds.Value("ms/frame", (1.234567, 3.0), "transcode"),
        "peak": rounds.Value("GB/s", (4.0,), more=True),
    }
    path = tmp_path / "deep" / "r.json"
    rounds.write_result(path, "made", ABOUT, {"c": rounds.Case({"size": [1, 2]}, values)}, {"x": 1})
    found = rounds.Result.read(path)
    assert found.kind == "made"
    assert found.data["x"] == 1
    assert found.cases["c"].values["line"] == rounds.Value("ms/frame", (1.2346, 3.0), "transcode")
    assert found.cases["c"].values["peak"].more
    assert found.cases["c"].to_floor("transcode") is None
    # a floor with another number of rounds belongs to other rounds
    odd = rounds.Case({}, {**values, "transcode": rounds.Value("ms/frame", (1.0,))})
    assert odd.to_floor("line") is None
