"""Which films a season has, what is known of finished ones, and what becomes of each."""

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from media import cut_off, make_video, read_luma

from vidcolor.batch.find import find_films
from vidcolor.batch.report import Identity, Report, SourceMark
from vidcolor.batch.season import open_season
from vidcolor.errors import ConfigError, GuidanceError, MediaError
from vidcolor.io.lock import only_one

FAST = {
    "detect": {"detector": "none"},
    "colorize": {"short_side": 64},
    "output": {"codec": "ffv1"},
}
LAYERS = [{}, {}, FAST]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def files(tmp_path):
    """Makes empty files below a folder; `find_films` looks at names only."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


def _places(found):
    return [film.place.as_posix() for film in found.films]


def _season(inputs, out, *, over=None, **settings):
    layers = [*LAYERS, over or {}]
    return open_season([Path(path) for path in inputs], out, layers, **settings)


def _run(season, **settings):
    return list(season.run(lambda task, job: lambda count: None, **settings))


def _states(rows):
    return {row.output: row.status for row in rows}


def _written(out):
    """What other programs read."""
    rows = json.loads((out / "vidcolor-batch.json").read_text())["films"]
    return {row["output"]: row["status"] for row in rows}


# -- which films -----------------------------------------------------------------------------------


def test_a_folder_gives_its_films_in_natural_order_and_nothing_else(files):
    root = files(
        "s/E10.mkv", "s/E2.MP4", "s/E1.avi", "s/E1.srt", "s/cover.jpg", "s/.hidden.mkv",
        "s/E3.partial.mkv", "s/E3.partial-2.mkv", "s/deep/E4.mkv",
    )  # fmt: skip
    assert _places(find_films([root / "s"], root / "out")) == ["E1.mkv", "E2.mkv", "E10.mkv"]


def test_recursion_keeps_folders_and_leaves_out_outputs_parts_and_hidden_ones(files):
    root = files(
        "s/S10/E1.mkv", "s/S2/E1.mkv", "s/S2/E1.mkv.parts/x.mkv", "s/.trash/E9.mkv",
        "s/color/S2/E1.mkv", "s/E0.mkv",
    )  # fmt: skip
    found = find_films([root / "s"], root / "s/color", recursive=True)
    assert _places(found) == ["E0.mkv", "S2/E1.mkv", "S10/E1.mkv"]
    assert find_films([root / "s", root / "s/color"], root / "s/color").left_out == (
        root / "s/color",
    )


def test_patterns_are_of_names_in_folders_and_may_name_other_extensions(files):
    root = files("s/S01E1.mkv", "s/S01E1.srt", "s/S02E1.mkv", "s/S01E2.dat", "by hand.xyz")
    found = find_films(
        [root / "s", root / "by hand.xyz"], root / "out", patterns=("S01*", "*E2.dat")
    )
    assert _places(found) == ["by hand.mkv", "S01E1.mkv", "S01E2.mkv"]
    with pytest.raises(MediaError, match="no film fits the pattern 'S03"):
        find_films([root / "s"], root / "out", patterns=("S03*",))


def test_what_is_named_twice_counts_once(files):
    root = files("s/E1.mkv", "s/E2.mkv")
    (root / "link.mkv").symlink_to(root / "s/E1.mkv")
    found = find_films([root / "s/E2.mkv", root / "s", root / "link.mkv"], root / "out")
    assert _places(found) == ["E1.mkv", "E2.mkv"]


def test_links_are_followed_but_not_in_circles(files):
    root = files("s/b/E1.mkv", "elsewhere/E2.mkv")
    (root / "s/a").symlink_to(root / "s/b")
    (root / "s/b/up").symlink_to(root / "s")
    (root / "s/c").symlink_to(root / "elsewhere")
    (root / "s/gone.mkv").symlink_to(root / "nowhere.mkv")
    found = find_films([root / "s"], root / "out", recursive=True)
    assert _places(found) == ["b/E1.mkv", "c/E2.mkv", "gone.mkv"]


def test_two_films_for_one_output_are_refused(files):
    root = files("s/E1.mkv", "s/E1.mp4")
    with pytest.raises(MediaError, match=r"E1.mkv and .*E1.mp4 would both become E1.mkv"):
        find_films([root / "s"], root / "out")


def test_an_output_is_never_an_input(files):
    root = files("s/E1.mkv", "s/E2.mp4", "out/E2.mkv")
    with pytest.raises(MediaError, match="is an input itself; give another --out-dir or --ext"):
        find_films([root / "s/E1.mkv"], root / "s")
    found = find_films([root / "s/E2.mp4", root / "s/E1.mkv"], root / "out", extension=".mov")
    assert _places(found) == ["E1.mov", "E2.mov"]
    found = find_films(
        [root / "s", root / "out/E2.mkv"], root / "out",
        is_output=lambda path: path == root / "out/E2.mkv",
    )  # fmt: skip
    assert found.left_out == (root / "out/E2.mkv",)


@pytest.mark.parametrize("stem", ["a" * 252, "あ" * 84], ids=["ascii", "wide"])
def test_a_name_that_gets_too_long_is_told_in_bytes(tmp_path, stem):
    path = tmp_path / f"{stem}.ts"
    path.write_bytes(b"")
    with pytest.raises(MediaError, match="a name of 256 bytes, and disks take 255"):
        find_films([path], tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere", "no such file or folder"),
        ("empty", "no film is there"),
        ("poster.png", "is a picture"),
        ("pipe", "neither a file nor a folder"),
        ("a" * 300, r"cannot be read \(file name too long\)"),
    ],
)
def test_paths_that_lead_to_no_film_are_told(files, name, told):
    root = files("poster.png", "empty/readme.txt")
    os.mkfifo(root / "pipe")
    with pytest.raises(MediaError, match=told):
        find_films([root / name], root / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_cannot_be_listed_is_told_and_does_not_hide_others(files):
    root = files("s/E1.mkv", "s/locked/E2.mkv")
    (root / "s/locked").chmod(0)
    found = find_films([root / "s"], root / "out", recursive=True)
    (root / "s/locked").chmod(0o700)
    assert _places(found) == ["E1.mkv"]
    assert "cannot be listed (permission denied)" in found.problems[0]


# -- the run ---------------------------------------------------------------------------------------


def test_a_broken_film_stops_no_other_and_the_report_says_all(tmp_path):
    films = [make_video(tmp_path / f"s/E{n}.mkv", frames=6 + n) for n in (1, 2, 10)]
    (tmp_path / "s/E3.mkv").write_text("no film")
    out = tmp_path / "color"
    rows = _run(_season([tmp_path / "s"], out))
    assert [(row.output, row.status, row.frames) for row in rows] == [
        ("E1.mkv", "done", 7), ("E2.mkv", "done", 8), ("E3.mkv", "failed", None),
        ("E10.mkv", "done", 16),
    ]  # fmt: skip
    assert "E3.mkv: is no video" in rows[2].error
    for film in films:
        before, after = read_luma(film.path), read_luma(out / film.path.name)
        assert after[1] == before[1]
        assert all((a == b).all() for a, b in zip(before[0], after[0], strict=True))
    data = json.loads((out / "vidcolor-batch.json").read_text())
    first = data["films"][0]
    assert (first["output"], first["source"]) == ("E1.mkv", "../s/E1.mkv")
    state = (tmp_path / "s/E1.mkv").stat()
    assert (first["film"]["name"], first["film"]["size"]) == ("E1.mkv", state.st_size)
    assert first["film"]["mtime_ns"] == state.st_mtime_ns
    assert first["made"]["size"] == (out / "E1.mkv").stat().st_size
    assert {path.name for path in out.iterdir()} == {
        "E1.mkv", "E2.mkv", "E10.mkv", "vidcolor-batch.json",
    }  # fmt: skip


def test_a_second_run_makes_only_what_is_not_there(tmp_path):
    for n in (1, 2):
        make_video(tmp_path / f"s/E{n}.mkv", frames=6)
    out = tmp_path / "color"
    _run(_season([tmp_path / "s"], out))
    first = Identity.of(out / "E1.mkv")
    (out / "E2.mkv").unlink()
    make_video(tmp_path / "s/E3.mkv", frames=6)
    asked = []
    season = _season([tmp_path / "s"], out)

    def begin(task, job):
        asked.append(task.row.output)
        return lambda count: None

    rows = list(season.run(begin))
    assert _states(rows) == {"E1.mkv": "skipped", "E2.mkv": "done", "E3.mkv": "done"}
    assert asked == ["E2.mkv", "E3.mkv"]
    assert rows[0].frames == 6
    assert Identity.of(out / "E1.mkv") == first


def test_rows_of_films_that_are_not_in_a_run_stay(tmp_path):
    for n in (1, 2):
        make_video(tmp_path / f"s/E{n}.mkv", frames=6)
    out = tmp_path / "color"
    _run(_season([tmp_path / "s/E1.mkv"], out))
    _run(_season([tmp_path / "s/E2.mkv"], out))
    _run(_season([tmp_path / "s"], out))
    assert _written(out) == {"E1.mkv": "skipped", "E2.mkv": "skipped"}


@pytest.mark.parametrize(
    ("over", "same"),
    [
        ({}, True),
        ({"input": {"batch_size": 5}, "device": "cpu", "output": {"overwrite": True}}, True),
        ({"grade": {"saturation": 0.5}}, False),
        ({"output": {"codec": "h264"}}, False),
        ({"input": {"duration": 0.1}}, False),
    ],
)
def test_settings_that_have_a_say_make_an_output_another(tmp_path, over, same):
    make_video(tmp_path / "E1.mkv", frames=6)
    out = tmp_path / "color"
    _run(_season([tmp_path / "E1.mkv"], out))
    (task,) = _season([tmp_path / "E1.mkv"], out, over=over).tasks
    assert task.state == ("same" if same else "exists")
    if not same:
        assert task.why == "exists, made with other settings"
        again = _run(_season([tmp_path / "E1.mkv"], out, over=over))
        assert _states(again) == {"E1.mkv": "exists"}
        back = _season([tmp_path / "E1.mkv"], out)  # what it was made of is not forgotten
        assert back.tasks[0].state == "same"


def test_weights_and_named_files_count_by_their_content(tmp_path):
    make_video(tmp_path / "E1.mkv", frames=6)
    hints = tmp_path / "hints.json"
    hint = {"time": 0.0, "point": [20, 20], "color": "#a04020"}
    hints.write_text(json.dumps({"hints": [hint]}))
    over = {"guidance": {"hints": str(hints)}}
    before = _season([tmp_path / "E1.mkv"], tmp_path / "out", over=over).tasks[0].row.settings
    hints.write_text(json.dumps({"hints": [hint | {"color": "#2040a0"}]}))
    after = _season([tmp_path / "E1.mkv"], tmp_path / "out", over=over).tasks[0].row.settings
    assert before != after
    hints.unlink()
    with pytest.raises(GuidanceError, match="hints"):
        _season([tmp_path / "E1.mkv"], tmp_path / "out", over=over)


def test_what_exists_is_only_replaced_on_request(tmp_path):
    make_video(tmp_path / "E1.mkv", frames=6)
    out = tmp_path / "color"
    out.mkdir()
    (out / "E1.mkv").write_text("dear to somebody")
    (row,) = _run(_season([tmp_path / "E1.mkv"], out))
    assert row.status == "exists"
    assert "the report does not know it; --overwrite" in row.error
    assert (out / "E1.mkv").read_text() == "dear to somebody"
    over = {"output": {"overwrite": True}}
    (row,) = _run(_season([tmp_path / "E1.mkv"], out, over=over))
    assert (row.status, row.error) == ("done", None)
    assert len(read_luma(out / "E1.mkv")[0]) == 6
    (row,) = _run(_season([tmp_path / "E1.mkv"], out, over=over))
    assert row.status == "skipped"


def test_a_film_is_known_by_content_when_only_its_time_has_changed(tmp_path):
    path = make_video(tmp_path / "E1.mkv", frames=6).path
    out = tmp_path / "color"
    _run(_season([path], out))
    os.utime(path, ns=(1, 1))
    (row,) = _run(_season([path], out))
    assert (row.status, row.film.mtime_ns, row.made.source.mtime_ns) == ("skipped", 1, 1)
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    task = _season([path], out).tasks[0]
    assert (task.state, task.why) == (
        "exists", "exists, made of another film or an earlier version of it",
    )  # fmt: skip


def test_an_output_that_somebody_changed_is_left_alone(tmp_path):
    path = make_video(tmp_path / "E1.mkv", frames=6).path
    out = tmp_path / "color"
    _run(_season([path], out))
    cut_off(out / "E1.mkv")
    assert _season([path], out).tasks[0].why == "exists, and has changed since it was made"


def test_a_remake_that_fails_leaves_the_old_film_and_its_memory(tmp_path):
    path = make_video(tmp_path / "E1.mkv", frames=40).path
    out = tmp_path / "color"
    _run(_season([path], out))
    there, whole = Identity.of(out / "E1.mkv"), path.read_bytes()
    path.write_text("no film")
    (row,) = _run(_season([path], out, over={"output": {"overwrite": True}}))
    assert row.status == "failed"
    assert Identity.of(out / "E1.mkv") == there
    path.write_bytes(whole)
    assert _season([path], out).tasks[0].state == "same"


def test_stop_on_error_ends_at_the_first(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s/E1.mkv").write_text("no film")
    make_video(tmp_path / "s/E2.mkv", frames=6)
    season = _season([tmp_path / "s"], tmp_path / "out")
    assert _states(_run(season, stop_on_error=True)) == {"E1.mkv": "failed"}
    assert _states(season.rows()) == {"E1.mkv": "failed", "E2.mkv": "waiting"}


def test_a_full_disk_ends_the_season(tmp_path, monkeypatch):
    from vidcolor.batch import season as room

    def full(*args):
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise MediaError("out: cannot be written (no space left on device)") from error

    for n in (1, 2):
        make_video(tmp_path / f"s/E{n}.mkv", frames=6)
    monkeypatch.setattr(room, "open_job", full)
    season = _season([tmp_path / "s"], tmp_path / "out")
    assert _states(_run(season)) == {"E1.mkv": "failed"}
    assert _states(season.rows()) == {"E1.mkv": "failed", "E2.mkv": "waiting"}


def test_a_bug_takes_one_film_and_is_logged_with_its_traceback(tmp_path, monkeypatch, caplog):
    from vidcolor.batch import season as room

    opened = room.open_job

    def buggy(source, *rest):
        if source.name == "E1.mkv":
            raise RuntimeError("two\nlines")
        return opened(source, *rest)

    for n in (1, 2):
        make_video(tmp_path / f"s/E{n}.mkv", frames=6)
    monkeypatch.setattr(room, "open_job", buggy)
    rows = _run(_season([tmp_path / "s"], tmp_path / "out"))
    assert _states(rows) == {"E1.mkv": "failed", "E2.mkv": "done"}
    assert rows[0].error == "RuntimeError: two lines"
    assert any(record.exc_info for record in caplog.records)


def test_warnings_of_a_film_stand_in_its_row_once(tmp_path):
    make_video(tmp_path / "s/E1.mkv", frames=6)
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    make_video(tmp_path / "s/E2.mkv", frames=6, codec="libx264", options=options)
    rows = _run(_season([tmp_path / "s"], tmp_path / "out"))
    assert rows[0].warnings == ()
    assert sum("E2.mkv is interlaced" in line for line in rows[1].warnings) == 1


# -- color scripts ---------------------------------------------------------------------------------


@pytest.fixture
def scripted(tmp_path):
    from vidcolor.config import Config
    from vidcolor.guidance.script.file import script_text
    from vidcolor.planning import plan_film
    from vidcolor.schema import load

    film = make_video(tmp_path / "s/E1.mkv", frames=6).path
    script = plan_film(film, load(Config, FAST), tracks=False)
    text = script_text(script)
    film.with_suffix(".vidcolor").write_text(text)
    make_video(tmp_path / "s/E2.mkv", frames=6)
    return tmp_path


def _chroma_spread(path):
    import av
    import numpy as np

    with av.open(str(path)) as film:
        frame = next(film.decode(video=0))
        plane = frame.planes[1]
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
        return float(np.std(rows[:, : plane.width].astype(float)))


def test_a_script_beside_a_film_is_obeyed(scripted):
    script = scripted / "s/E1.vidcolor"
    gray = script.read_text() + "\n[grade]\nsaturation = 0.0\n"
    script.write_text(gray)
    rows = _run(_season([scripted / "s"], scripted / "out"))
    assert _states(rows) == {"E1.mkv": "done", "E2.mkv": "done"}
    assert rows[0].script == "../s/E1.vidcolor"
    assert rows[1].script is None
    assert _chroma_spread(scripted / "out/E1.mkv") == 0
    assert _chroma_spread(scripted / "out/E2.mkv") > 0
    rows = _run(_season([scripted / "s"], scripted / "bare", plans=False))
    assert rows[0].script is None
    assert _chroma_spread(scripted / "bare/E1.mkv") > 0


def test_a_script_that_says_another_thing_makes_the_output_another(scripted):
    script = scripted / "s/E1.vidcolor"
    text = script.read_text()
    _run(_season([scripted / "s"], scripted / "out"))
    script.write_text(text + "\n# a comment says nothing\n")
    states = [task.state for task in _season([scripted / "s"], scripted / "out").tasks]
    assert states == ["same", "same"]
    script.write_text(text + "\n[grade]\nsaturation = 0.5\n")
    states = [task.state for task in _season([scripted / "s"], scripted / "out").tasks]
    assert states == ["exists", "same"]
    script.write_text(text + '\n[[hints]]\nframe = 2\npoints = [20.0, 20.0]\ncolor = "steelblue"\n')
    tasks = _season([scripted / "s"], scripted / "out").tasks
    assert (tasks[0].state, tasks[0].why) == ("exists", "exists, made with other settings")


def test_a_broken_script_takes_one_film(scripted):
    (scripted / "s/E1.vidcolor").write_text("version = oops")
    season = _season([scripted / "s"], scripted / "out")
    assert "E1.vidcolor" in season.tasks[0].why
    rows = _run(season)
    assert _states(rows) == {"E1.mkv": "failed", "E2.mkv": "done"}
    assert "E1.vidcolor" in rows[0].error


# -- the report ------------------------------------------------------------------------------------


def _running(out, film, before=None):
    """The report of a process that died while it made the film."""
    report = Report(out / "vidcolor-batch.json", out)
    (task,) = _season([film], out).tasks
    mark = SourceMark.of(film)
    report.put(replace(task.row, status="running", film=mark, before=before))
    report.write()


def test_a_film_whose_process_died_is_made_again(tmp_path):
    film = make_video(tmp_path / "E1.mkv", frames=6).path
    out = tmp_path / "color"
    out.mkdir()
    _running(out, film)
    assert Report(out / "vidcolor-batch.json", out).row(out / "E1.mkv").status == "stopped"
    assert _states(_run(_season([film], out))) == {"E1.mkv": "done"}


def test_a_film_that_was_finished_when_its_process_died_is_known(tmp_path):
    film = make_video(tmp_path / "E1.mkv", frames=6).path
    out = tmp_path / "color"
    _run(_season([film], out))
    there = Identity.of(out / "E1.mkv")
    (out / "vidcolor-batch.json").unlink()
    (out / "E1.mkv").rename(tmp_path / "kept")
    _running(out, film)
    (tmp_path / "kept").rename(out / "E1.mkv")
    assert _season([film], out).tasks[0].state == "same"
    (out / "vidcolor-batch.json").unlink()
    _running(out, film, before=there)  # what was there before it began proves nothing
    assert _season([film], out).tasks[0].state == "exists"


def test_ctrl_c_leaves_a_report_that_says_so(tmp_path):
    for n in (1, 2, 3):
        make_video(tmp_path / f"s/E{n}.mkv", frames=6)

    def begin(task, job):
        def progress(count):
            if task.row.output == "E2.mkv":
                raise KeyboardInterrupt

        return progress

    season = _season([tmp_path / "s"], tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        list(season.run(begin))
    assert _written(tmp_path / "out") == {
        "E1.mkv": "done", "E2.mkv": "stopped", "E3.mkv": "waiting",
    }  # fmt: skip
    assert _states(_run(_season([tmp_path / "s"], tmp_path / "out"))) == {
        "E1.mkv": "skipped", "E2.mkv": "done", "E3.mkv": "done",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "other"}', '{"format": "vidcolor-batch", "version": 9}',
             '{"format": "vidcolor-batch", "version": 1, "folder": ".", "films": [{"output": 3}]}'],
)  # fmt: skip
def test_a_file_that_is_no_report_is_never_overwritten(tmp_path, text):
    film = make_video(tmp_path / "E1.mkv", frames=6).path
    other = tmp_path / "out/vidcolor-batch.json"
    other.parent.mkdir()
    other.write_text(text)
    with pytest.raises(MediaError, match="is no report that vidcolor batch can read"):
        _season([film], tmp_path / "out")
    assert other.read_text() == text


def test_a_report_is_of_one_folder_and_may_lie_elsewhere(tmp_path):
    film = make_video(tmp_path / "E1.mkv", frames=6).path
    report = tmp_path / "reports/r.json"
    _run(_season([film], tmp_path / "a", report=report))
    assert not (tmp_path / "a/vidcolor-batch.json").exists()
    assert _season([film], tmp_path / "a", report=report).tasks[0].state == "same"
    with pytest.raises(MediaError, match=r"the report of another folder, \.\./a"):
        _season([film], tmp_path / "b", report=report)
    with pytest.raises(MediaError, match="is no report"):
        _season([film], tmp_path / "a", report=film)
    with pytest.raises(MediaError, match="is a film, not a report"):
        _season([film], tmp_path / "c", report=tmp_path / "c/E1.mkv")


def test_moved_as_a_whole_everything_is_known_again(tmp_path):
    make_video(tmp_path / "one/s/E1.mkv", frames=6)
    _run(_season([tmp_path / "one/s"], tmp_path / "one/color"))
    (tmp_path / "one").rename(tmp_path / "two")
    rows = _run(_season([tmp_path / "two/s"], tmp_path / "two/color"))
    assert _states(rows) == {"E1.mkv": "skipped"}


def test_one_batch_at_a_time_writes_a_report(tmp_path):
    film = make_video(tmp_path / "E1.mkv", frames=6).path
    out = tmp_path / "color"
    out.mkdir()
    season = _season([film], out)
    held, leave = threading.Event(), threading.Event()

    def hold():
        with only_one(out / ".vidcolor-batch.json.lock", "busy"):
            held.set()
            leave.wait(30)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(30)
    try:
        with pytest.raises(MediaError, match="another vidcolor batch writes it"):
            _run(season)
    finally:
        leave.set()
        other.join()
    assert _states(_run(season)) == {"E1.mkv": "done"}


def test_names_that_are_no_unicode_are_colored_and_known_again(tmp_path):
    folder = os.fsencode(tmp_path / "s")
    (tmp_path / "s").mkdir()
    name = make_video(tmp_path / "x.mkv", frames=6).path
    try:
        name.rename(os.fsdecode(folder + b"/\xff 1.mkv"))
    except OSError:
        pytest.skip("names are Unicode here")
    rows = _run(_season([tmp_path / "s"], tmp_path / "out"))
    assert [(row.output, row.status) for row in rows] == [("\\xff 1.mkv", "done")]
    rows = _run(_season([tmp_path / "s"], tmp_path / "out"))
    assert [row.status for row in rows] == ["skipped"]


@pytest.mark.parametrize("stem", ["a" * 251, "あ" * 83 + "bb"], ids=["ascii", "wide"])
def test_the_longest_names_are_colored(tmp_path, stem):
    short = make_video(tmp_path / "x.mkv", frames=6).path
    film = short.rename(tmp_path / f"{stem}.mkv")
    assert _states(_run(_season([film], tmp_path / "out"))) == {film.name: "done"}
    assert len(read_luma(tmp_path / "out" / film.name)[0]) == 6


# -- before anything starts ------------------------------------------------------------------------


def test_settings_that_are_wrong_for_all_stop_everything(tmp_path):
    film = make_video(tmp_path / "E1.mkv", frames=6).path
    with pytest.raises(ConfigError, match="cannot be used"):
        _run(_season([film], tmp_path / "out", over={"device": "cuda:99"}))
    assert not (tmp_path / "out").exists()


def test_an_out_dir_that_cannot_be_is_told_first(tmp_path):
    film = make_video(tmp_path / "E1.mkv", frames=6).path
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match="is no folder"):
        _season([film], tmp_path / "file")
    with pytest.raises(MediaError, match=r"aaa: cannot be written \(file name too long\)"):
        _run(_season([film], tmp_path / ("a" * 300)))
    with pytest.raises(MediaError, match=r"below: cannot be written \(not a directory\)"):
        _run(_season([film], tmp_path / "file/below"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_out_dir_is_told_first(tmp_path):
    film = make_video(tmp_path / "E1.mkv", frames=6).path
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    season = _season([film], out, report=tmp_path / "elsewhere.json")
    with pytest.raises(MediaError, match=r"out: cannot be written \(permission denied\)"):
        _run(season)


def test_what_is_asked_for_is_looked_at_first(tmp_path):
    make_video(tmp_path / "s/E1.mkv", frames=6)
    make_video(tmp_path / "s/E2.mkv", frames=6)
    (tmp_path / "s/E3.mkv").write_text("no film")
    (tmp_path / "out/E2.mkv.parts").mkdir(parents=True)
    tasks = _season([tmp_path / "s"], tmp_path / "out").tasks
    assert [(task.frames, task.resumes) for task in tasks] == [(6, False), (6, True), (None, False)]
    assert "is no video" in tasks[2].why
    (task,) = _season(
        [tmp_path / "s/E1.mkv"], tmp_path / "out", extension=".mov",
    ).tasks  # fmt: skip
    assert "mov cannot hold ffv1" in task.why
