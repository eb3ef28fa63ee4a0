"""`vidcolor batch` as people run it: the table, the exit code, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from media import make_video

from vidcolor import cli
from vidcolor.cli.batch import _columns, _shortened, _shown, _width

FAST = ("--detector", "none", "--colorize.short_side", "64", "--codec", "ffv1")


@pytest.fixture(autouse=True)
def quiet_home(monkeypatch, tmp_path_factory):
    """No downloads, no cache and no settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("VIDCOLOR_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def run(capsys):
    """Runs the program in this process; gives exit code, lines of stdout, stderr."""

    def run(*words):
        code = cli.main(["batch", *map(str, words), *FAST])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return run


@pytest.fixture
def season(tmp_path):
    for name in ("E10.mkv", "E2.mkv", "sub/E1.mkv"):
        make_video(tmp_path / "s" / name, frames=6)
    return tmp_path / "s"


def test_a_season_in_one_command(run, season, tmp_path):
    code, out, err = run(season, "--recursive", "--out-dir", tmp_path / "color")
    assert code == 0, err
    assert out[0].split() == ["film", "frames", "time", "fps", "status"]
    assert [(row.split()[0], row.split()[1], row.split()[-1]) for row in out[1:4]] == [
        ("E2.mkv", "6", "done"), ("E10.mkv", "6", "done"), ("sub/E1.mkv", "6", "done"),
    ]  # fmt: skip
    assert out[4].startswith("3 done in 0:0")
    assert out[4].endswith(str(tmp_path / "color/vidcolor-batch.json"))
    assert (tmp_path / "color/sub/E1.mkv").is_file()
    assert "E10.mkv: 6 frames in 0:0" in err
    code, out, _ = run(season, "--recursive", "--out-dir", tmp_path / "color")
    assert code == 0
    assert [row.split()[1:] for row in out[1:4]] == [["6", "skipped"]] * 3


def test_what_fails_and_what_exists_is_told_and_the_code_is_1(run, season, tmp_path):
    (season / "E3.mkv").write_text("no film")
    (tmp_path / "color").mkdir()
    (tmp_path / "color/E10.mkv").write_text("mine")
    code, out, err = run(season, "--out-dir", tmp_path / "color")
    assert code == 1
    assert [row.split()[-1] for row in out[1:4]] == ["done", "failed", "exists"]
    assert out[4].startswith(f"{season / 'E3.mkv'}: is no video")
    assert "E10.mkv: exists, and the report does not know it; --overwrite" in out[5]
    assert out[6].startswith("1 done, 1 failed, 1 exists in")
    assert "E3.mkv: is no video" in err
    code, out, err = run(season, "--out-dir", tmp_path / "color", "--quiet")
    assert (code, out) == (1, [])
    assert [line.split(": ")[1].rpartition("/")[2] for line in err.splitlines()] == [
        "E3.mkv", "E10.mkv",
    ]  # fmt: skip
    (season / "E3.mkv").unlink()
    code, out, _ = run(season, "--out-dir", tmp_path / "color", "--overwrite")
    assert code == 0
    assert [row.split()[-1] for row in out[1:3]] == ["skipped", "done"]


def test_stop_on_error(run, season, tmp_path):
    (season / "E1.mkv").write_text("no film")
    code, out, _ = run(season, "--out-dir", tmp_path / "color", "--stop-on-error")
    assert code == 1
    assert [row.split()[-1] for row in out[1:4]] == ["failed", "waiting", "waiting"]


def test_a_report_that_cannot_be_written_ends_with_the_table_and_why(
    run, season, tmp_path, monkeypatch
):
    from vidcolor.batch.report import Report
    from vidcolor.errors import MediaError

    written = Report.write

    def write(report):
        if report.row(tmp_path / "color/E2.mkv").status == "done":
            raise MediaError("color/vidcolor-batch.json: cannot be written (no space left)")
        written(report)

    monkeypatch.setattr(Report, "write", write)
    (season / "E1.mkv").write_text("no film")
    code, out, err = run(season, "--out-dir", tmp_path / "color")
    assert code == 1
    assert [row.split()[-1] for row in out[1:4]] == ["failed", "done", "waiting"]
    assert "vidcolor-batch.json: cannot be written" in err


def test_dry_run_lists_and_writes_nothing(run, season, tmp_path):
    (season / "E3.mkv").write_text("no film")
    code, out, _ = run(
        season, "--out-dir", tmp_path / "color", "--dry-run", "--ext", ".MKV", "--pattern", "E?.*",
        "--recursive",
    )  # fmt: skip
    assert code == 0
    assert [row.split() for row in out[:4]] == [
        ["film", "frames", "to", "color", "script", "what"],
        [str(season / "E2.mkv"), "6", "E2.mkv", "make"],
        [str(season / "E3.mkv"), "E3.mkv", "fail"],
        [str(season / "sub/E1.mkv"), "6", "sub/E1.mkv", "make"],
    ]
    assert "is no video" in out[4]
    assert not (tmp_path / "color").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--ext", "avi"), "--ext must be mkv, mp4 or mov, not 'avi'"),
        (("--pattern", "a/b"), "is of names; leave the folder out"),
        (("--plan", "x.vidcolor"), "--plan"),
        (("--keep-going", "--stop-on-error"), "not allowed with"),
        (("--stabilise.tau", "3"), "did you mean --stabilize.tau?"),
    ],
)
def test_usage(run, season, tmp_path, words, told):
    code, out, err = run(season, "--out-dir", tmp_path / "color", *words)
    assert (code, out) == (2, [])
    assert told in err
    assert not (tmp_path / "color").exists()


def test_settings_of_colorize_go_for_all(run, season, tmp_path):
    config = tmp_path / "my.toml"
    config.write_text("[grade]\nsaturation = 0.0\n[output]\nkeep_partial = true\n")
    words = (season, "--out-dir", tmp_path / "color", "--config", config, "--duration", "0.12")
    assert run(*words)[0] == 0
    data = json.loads((tmp_path / "color/vidcolor-batch.json").read_text())
    assert [row["frames"] for row in data["films"]] == [3, 3]  # of 25 a second


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"])
def test_a_season_that_is_stopped_goes_on_later(tmp_path, kind):
    make_video(tmp_path / "s/E1.mkv", frames=3)
    make_video(tmp_path / "s/E2.mkv", frames=4000)
    make_video(tmp_path / "s/E3.mkv", frames=3)
    report = tmp_path / "color/vidcolor-batch.json"
    words = [sys.executable, "-m", "vidcolor.cli", "batch", str(tmp_path / "s"), "--out-dir",
             str(report.parent), "--detector", "none", "--codec", "ffv1"]  # fmt: skip
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            if (tmp_path / "color/E2.mkv.parts").exists():
                break
            threading.Event().wait(0.1)
        assert (tmp_path / "color/E2.mkv.parts").exists(), "never began the second film"
        child.send_signal(getattr(signal, kind))
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == (130 if kind == "SIGINT" else 143), err
    assert "Traceback" not in err
    assert "interrupted; the same command goes on from there" in err
    assert [row.split()[-1] for row in out.splitlines()[1:4]] == ["done", "stopped", "waiting"]
    rows = json.loads(report.read_text())["films"]
    assert [(row["output"], row["status"]) for row in rows] == [
        ("E1.mkv", "done"), ("E2.mkv", "stopped"), ("E3.mkv", "waiting"),
    ]  # fmt: skip
    assert (tmp_path / "color/E1.mkv").exists()
    assert not (tmp_path / "color/E2.mkv").exists()


def test_help_imports_no_torch():
    code = "import sys; from vidcolor import cli\n" \
        "try: cli.main(['batch', '--help'])\nexcept SystemExit: pass\n" \
        "sys.exit('torch' in sys.modules or 'av' in sys.modules)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"--out-dir" in done.stdout


def test_the_line_in_a_log_names_the_film_and_goes_by_the_last_minute(monkeypatch, caplog):
    from vidcolor.cli import terminal

    now = 1000.0
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now)
    bar = terminal.Bar(None, "frame", False, terminal.Stop())
    bar.turn_to("E1.mkv (1 of 2)", 1000)
    bar(300)  # found finished, at once
    with caplog.at_level("INFO", "vidcolor"):
        for _ in range(12):
            now += 10
            bar(20)
        bar.turn_to("E2.mkv (2 of 2)", 500)
        now += 10
        bar(20)
    # 2 a second: (1000 - 540) / 2 = 230 s; then 540 done, 500 to come, 20 of them done: 240 s
    assert caplog.messages[-2:] == [
        "E1.mkv (1 of 2): 540 of about 1000 frames, 2.0 a second, 3:50 left",
        "E2.mkv (2 of 2): 560 of about 1040 frames, 2.0 a second, 4:00 left",
    ]


# -- the table -------------------------------------------------------------------------------------


def test_columns_stand_below_each_other_also_for_wide_letters():
    rows = _columns([("film", "n"), ("映画.mkv", "7"), ("e\u0301.mkv", "10")], right=(1,))
    assert rows == ["film       n", "映画.mkv   7", "e\u0301.mkv     10"]
    assert [_width(row) for row in rows] == [12, 12, 12]


def test_long_names_keep_beginning_and_end():
    assert _shortened("abcdefghij", 7) == "abc…hij"
    assert _shortened("abcdefg", 7) == "abcdefg"
    assert _width(_shortened("映" * 20, 9)) <= 9


def test_names_do_nothing_to_the_terminal():
    assert _shown("a\x1b[31m\nb é") == "a\\x1b[31m\\nb é"
