import json
import sys

import pytest

ABOUT = {
    "device": "cpu", "processor": "made", "cores": 2, "commit": "abc", "when": "2026-01-02",
    "precision": "float32", "torch": "2", "options": [],
}  # fmt: skip
PAGE = """# Page

Words | that stay.

<!-- table: line -->
old
<!-- end -->

<!-- table: stages 480p -->
<!-- end -->
after
"""


@pytest.fixture(scope="module")
def bench(tool):
    yield tool("benchmarks/report.py")
    sys.modules.pop("measure.rounds", None)


def stages(**ms):
    return {name: {"ms_per_frame": value, "share": 0.5} for name, value in ms.items()}


def write_line(path, wall, cut, about=None, **more):
    values = {
        "transcode": {"unit": "ms/frame", "rounds": [10.0, 10.0, 20.0]},
        "line": {"unit": "ms/frame", "rounds": wall, "floor": "transcode"},
        "line memory": {"unit": "MB", "rounds": [500, 501, 502]},
    }
    clip = {
        "transcode": {"fps": 100.0},
        "stages": {
            "frames": 8,
            "stages": stages(decode=2.0, cut=cut, restore=0.0),
            "bytes": {"decode": {"luma": 2000}, "network": {"up": 1500, "down": 700}},
        },
        **more,
    }
    data = {
        "kind": "line",
        "about": {**ABOUT, **(about or {})},
        "cases": {"example-480p": {"about": {"frames": 8}, "values": values}},
        "clips": {"example-480p": clip},
    }
    path.write_text(json.dumps(data))


def test_only_what_is_between_the_markers_is_written(bench, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    write_line(tmp_path / "0.1.0-cpu.json", [15.0, 16.0, 28.0], 4.0)
    write_line(tmp_path / "before-cpu.json", [30.0, 30.0, 80.0], 8.0, {"when": "2026-01-09"})
    words = ["--results", str(tmp_path), "--page", str(page)]
    assert bench.main([*words, "--check"]) == 1
    assert page.read_text() == PAGE
    assert bench.main(words) == 0
    text = page.read_text()
    assert text.startswith("# Page\n\nWords | that stay.\n\n<!-- table: line -->\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old\n" not in text
    # rounds over the floor: 1.5, 1.6, 1.4 after; 3, 3, 4 before; memory's median
    assert "| 480p, whole line | 33.33 | 62.50 | 3.00 | 1.50 (1.40 to 1.60) | 501 |" in text
    # of the floor of 10 ms; 2000 bytes; what takes no time is left out
    assert "| decode | 2.00 | 20.0 | 2.00 | 20.0 | 2.0 |" in text
    assert "| cut | 8.00 | 80.0 | 4.00 | 40.0 | - |" in text
    assert "restore" not in text
    assert "| all, one after another | 10.00 | 100.0 | 6.00 | 60.0 | - |" in text
    assert "To the network go 1.5 kB a frame, from it come 0.7." in text
    # a second time nothing changes
    assert bench.main([*words, "--check"]) == 0
    assert bench.main(words) == 0
    assert page.read_text() == text


def test_what_was_not_measured_says_how(bench, tmp_path):
    page = "<!-- table: held -->\nx\n<!-- end -->\n<!-- table: stages 480p -->\n<!-- end -->\n"
    text = bench.filled(page, bench.find_results(tmp_path, None))
    assert "Not measured yet: `python benchmarks/held.py`." in text
    assert "Not measured yet: `python benchmarks/line.py`." in text


def test_the_newest_result_of_a_cpu_counts(bench, tmp_path):
    write_line(tmp_path / "a.json", [1.0] * 3, 1.0, {"when": "2026-01-05"})
    write_line(tmp_path / "b.json", [2.0] * 3, 1.0, {"when": "2026-01-03"})
    write_line(tmp_path / "c.json", [3.0] * 3, 1.0, {"when": "2026-01-09", "device": "cuda"})
    (tmp_path / "d.json").write_text("[]")
    assert bench.find_results(tmp_path, None)["line"].path.name == "a.json"
    found = bench.find_results(tmp_path, tmp_path / "b.json")
    assert found["before"].path.name == "b.json"


def test_bad_pages_and_results_are_one_line(bench, tmp_path, capsys):
    page = tmp_path / "page.md"
    bad = {
        "no <!-- table": "# nothing to fill\n",
        "no <!-- end -->": "<!-- table: line -->\n",
        "no table 'lime'": "<!-- table: lime -->\n<!-- end -->\n",
        "wrong number of words": "<!-- table: stages -->\n<!-- end -->\n",
    }
    for message, text in bad.items():
        page.write_text(text)
        assert bench.main(["--page", str(page), "--results", str(tmp_path)]) == 2
        told = capsys.readouterr().err
        assert message in told
        assert told.count("\n") == 1
        assert page.read_text() == text
    assert bench.main(["--page", str(tmp_path / "none.md")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    page.write_text(PAGE)
    words = ["--page", str(page), "--before", str(tmp_path / "none.json")]
    assert bench.main(words) == 2
    assert "none.json: cannot be read" in capsys.readouterr().err


def write(path, kind, cases, **more):
    path.write_text(json.dumps({"kind": kind, "about": ABOUT, "cases": cases, **more}))


def value(unit, *rounds, **more):
    return {"unit": unit, "rounds": list(rounds), **more}


def test_every_other_table(bench, tmp_path):
    peaks = {"float32": value("GFLOP/s", 100.0, 300.0, 200.0, better="more")}
    networks = {"starter": {"size": [192, 256], "frame": 4.0, "crop": 0.5}}
    write(
        tmp_path / "m.json", "machine", {"peaks": {"about": {"threads": 2}, "values": peaks}},
        networks=networks,
    )  # fmt: skip
    color = {"delta_e_2000": 0.5, "worst_frame": 0.7, "frames": 16, "chroma": 15.0}
    times = {"stage auto": {"times": 8.0, "least": 7.5, "most": 8.5}}
    values = {
        "stage published": value("ms/frame", 800.0),
        "stage auto": value("ms/frame", 100.0, floor="stage published"),
        "memory": value("MB", 900.0),
    }
    write(
        tmp_path / "i.json", "instcolor", {"instcolor": {"about": {}, "values": values}},
        times_published=times, colors={"auto to every": color},
    )  # fmt: skip
    write(
        tmp_path / "s.json", "start",
        {"commands": {"about": {}, "values": {"help": value("s", 0.2, 0.1, 0.3)}}},
    )  # fmt: skip
    held = {
        "known_ms": 10.0, "unknown_ms": 20.0, "times": 2.0, "repeats": 8, "marked": 7,
        "marked_rightly": 7, "marked_wrongly": 0, "identical": 7,
        "ones_ms": 30.0, "times_ones": 3.0,
    }  # fmt: skip
    write(tmp_path / "h.json", "held", {}, held={"on 2s": held})
    frame = {"film": value("s", 3.0), "frame": value("ms/frame", 50.0), "memory": value("MB", 7.0)}
    fits = {"length": {"start": 0.5, "slope": 0.05, "off": 0.012, "memory_grows": 1.01}}
    write(
        tmp_path / "g.json", "growth", {"length 60": {"about": {}, "values": frame}}, fits=fits
    )  # fmt: skip
    network = {"frame": 6.0, "gflop_per_frame": 3.0, "share_of_peak": 0.25}
    one = {
        "frames": 8, "asked": {"frames": 4, "crops": 0}, "network": network,
        "stages": stages(decode=1.0, colorize=30.0), "bytes": {"network": {"up": 100, "down": 50}},
    }  # fmt: skip
    write_line(tmp_path / "colorizers-cpu.json", [1.0] * 3, 1.0, colorizers={"eccv16": one})
    names = ("machine", "instcolor", "start", "held", "growth", "colorizers 480p", "measured")
    page = "".join(f"<!-- table: {name} -->\n<!-- end -->\n" for name in names)
    text = bench.filled(page, bench.find_results(tmp_path, None))
    for row in (
        "| float32 | 200.0 GFLOP/s |",
        "| starter | 192x256 | 4.0 | 0.5 | 20.0 |",
        "| stage published | 800.0 | 1.250 | 1 |",
        "| stage auto | 100.0 | 10.000 | 8.00 (7.50 to 8.50) |",
        "| auto to every | 0.500 | 0.700 | 16 | 15.0 |",
        "| commands: help | 0.20 | 0.10 to 0.30 |",
        "| on 2s | 10.0 | 20.0 | 2.00 | 30.0 | 3.00 | 7 of 8 | 0 | 7 of 7 |",
        "| length 60 | 3.00 | 50.00 | 7 |",
        "| length | 0.5 + 0.05 x | 1.2 | 1.01 |",
        "| eccv16 | 30.0 | 1.0 | 50 | 6.0 | 3.0 | 25.0 | 0.1 | 0.1 |",
        "| held: h.json | abc | 2026-01-02 | made, 2 cores | float32 | 2 |",
    ):
        assert row in text, row


def test_aims_stand_beside_what_was_reached(bench, tmp_path):
    clips = {"example-1080p": {"times_transcode": 1.5, "bare_times_transcode": 1.31}}
    write(tmp_path / "l.json", "line", {}, clips=clips)
    fits = {"length": {"start": 0.5, "slope": 0.05, "off": 0.012, "memory_grows": 1.01}}
    write(tmp_path / "g.json", "growth", {}, fits=fits)
    times = {"line every": {"times": 4.0}, "line auto": {"times": 9.99}}
    write(tmp_path / "i.json", "instcolor", {}, times_published=times, colors={})
    page = "<!-- table: aims -->\n<!-- end -->\n"
    text = bench.filled(page, bench.find_results(tmp_path, None))
    for row in (
        "| the line, 1080p, times a transcode | at most 2 | 1.50 | yes |",
        "| everything but the network, 1080p, times a transcode | at most 1.3 | 1.31 | **no** |",
        "times as fast as published | at least 4 | 4.00 | yes |",
        "times as fast as published | at least 10 | 9.99 | **no** |",
        "| its CIEDE2000 to every frame | at most 2 | - | not measured |",
        "| memory over length: last to first | at most 1.1 | 1.01 | yes |",
    ):
        assert row in text, row


def test_the_page_in_docs_has_tables_that_there_are(bench):
    text = bench.filled(bench.PAGE.read_text(), bench.Results({}))
    assert text.count("Not measured yet: `python benchmarks/") == text.count("<!-- table:") - 2
