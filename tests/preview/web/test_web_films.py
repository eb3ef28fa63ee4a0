"""A film as the page has it open: shots, previews, the render, and the script between them."""

import json
import logging
import os
import re
import shutil
import threading
import time

import av
import cv2
import numpy as np
import pytest
from shown_film import (
    LENGTHS,
    RATE,
    SETTINGS,
    SIZE,
    Heard,
    frames_of,
    make_film,
    make_script,
    pixels,
    until,
)

from vidcolor.api import open_plan
from vidcolor.errors import GuidanceError, MediaError
from vidcolor.guidance.script.file import read_script
from vidcolor.io.segments import parts_folder
from vidcolor.marks import film_mark
from vidcolor.preview.web.desk.desk import Desk
from vidcolor.preview.web.desk.library import FilmEntry
from vidcolor.preview.web.film import planned, statement
from vidcolor.preview.web.film.session import FilmSession
from vidcolor.preview.web.jobs import Jobs
from vidcolor.preview.web.shots import frames as frames_module
from vidcolor.preview.web.shots import views as views_module
from vidcolor.preview.web.shots.cache import ViewCache
from vidcolor.preview.web.shots.frames import NotMade
from vidcolor.scripted import ScriptedFilm

STARTS = (0, LENGTHS[0], LENGTHS[0] + LENGTHS[1])
REDDER = {"do": "grade", "shot": 0, "field": "temperature", "value": 60}
DOT = {
    "do": "add_hint",
    "shot": 1,
    "frame": 3,
    "points": [0.25, 0.5],
    "color": "#c03020",
    "track": "none",
}


class Opened:
    """A session, and what belongs to it."""

    def __init__(self, path, cache, settings=SETTINGS):
        self.heard, self.jobs = Heard(), Jobs()
        entry = FilmEntry("0123456789abcdef", path.name, path, path.with_suffix(".vidcolor"))
        self.session = FilmSession(
            entry, Desk(entry), self.jobs, self.heard, layers=[settings], cache=ViewCache(cache)
        )
        self.session.open()

    def ready(self):
        until(lambda: self.session.state()["shots"] and self.session.state()["shots"][0]["key"])
        return self.session

    def run(self, job):
        done = self.jobs.wait(job.id, 60)
        assert done.state == "done", done.message
        return done

    def close(self):
        assert self.jobs.close()
        self.session.close()

    def shot(self, number):
        return self.session.state()["shots"][number]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_film(tmp_path_factory.mktemp("source") / "film.mkv")


@pytest.fixture
def opened(source, tmp_path):
    path = tmp_path / "film.mkv"
    shutil.copy(source, path)
    make_script(path)
    found = Opened(path, tmp_path / "cache")
    found.ready()
    yield found
    found.close()


def test_shots_are_found(source, tmp_path):
    """First as key frames show them, then exactly; the script is there for the command line."""
    path = tmp_path / "film.mkv"
    shutil.copy(source, path)
    opened = Opened(path, tmp_path / "cache")
    session = opened.session
    try:
        assert not session.state()["ready"] or session.desk.script is not None
        until(lambda: session.state()["ready"])
        state = session.state()
        assert [(shot["start"], shot["end"]) for shot in state["shots"]] == [
            (start, start + length - 1) for start, length in zip(STARTS, LENGTHS, strict=True)
        ]
        assert [shot["time"] for shot in state["shots"]] == [
            "0:00:00.000", "0:00:00.520", "0:00:01.080",
        ]  # fmt: skip
        assert [shot["seconds"] for shot in state["shots"]] == [0.52, 0.56, 0.4]
        assert [shot.start for shot in read_script(path.with_suffix(".vidcolor")).shots] == [
            *STARTS
        ]
        assert (state["width"], state["height"], state["rate"]) == (SIZE[1], SIZE[0], RATE)
        told = opened.heard.of("thumb")
        assert {(event["shot"], event["side"]) for event in told} >= {(0, "before")}
        revisions = [event["revision"] for event in opened.heard.of("film")]
        assert state["revision"] in revisions
        json.dumps(state)
    finally:
        opened.close()


def test_rough_shots_before_the_exact_ones(source, tmp_path, monkeypatch):
    path = tmp_path / "film.mkv"
    shutil.copy(source, path)

    def wait(*words, progress, **more):
        while True:
            progress(0)

    monkeypatch.setattr("vidcolor.preview.web.film.opening.plan_film", wait)
    opened = Opened(path, tmp_path / "cache")
    session = opened.session
    try:
        until(lambda: len(session.state()["shots"]) == 3)
        state = session.state()
        assert not state["ready"]
        assert [shot["key"] for shot in state["shots"]] == [None] * 3
        assert state["shots"][1]["time"] == "0:00:00.520"
        small = pixels(session.thumb(1, "before"))
        assert small.shape == (*SIZE, 3)
        for ask in (
            lambda: session.preview(0),
            lambda: session.thumb(0, "after"),
            lambda: session.thumb(3, "before"),
            lambda: session.look(0, 0),
        ):
            with pytest.raises(NotMade, match="still looked for"):
                ask()
        assert session.state()["jobs"][0]["state"] == "running"
    finally:
        opened.close()


def test_what_is_seen_is_what_the_command_line_renders(source, tmp_path):
    """A hint is set, its shot previewed; the film that `colorize --plan` makes has these pixels.

    Lossless, and to a file of its own: nothing of the preview is used there.
    """
    path, settings = tmp_path / "film.mkv", {**SETTINGS, "output": {"codec": "ffv1"}}
    shutil.copy(source, path)
    make_script(path)
    opened = Opened(path, tmp_path / "cache", settings)
    try:
        session = opened.ready()
        revision = session.apply([DOT], session.desk.revision)
        assert session.state()["revision"] == revision
        opened.run(session.preview(1))
        assert opened.shot(1)["state"] == "ready"
        output = tmp_path / "cli.mkv"
        open_plan(path, output, session.entry.script, [settings]).run(lambda count: None)
        _compare(session, frames_of(output)[STARTS[1] : STARTS[2]])
    finally:
        opened.close()


def test_the_command_line_takes_the_very_shots_that_were_seen(opened):
    """Lossy, to the usual file: the encoder's work is not done twice."""
    session = opened.session
    session.apply([DOT])
    opened.run(session.preview(1))
    path = session.entry.path
    output = path.with_name("film-color.mkv")
    open_plan(path, output, session.entry.script, [SETTINGS]).run(lambda count: None)
    _compare(session, frames_of(output)[STARTS[1] : STARTS[2]])
    assert session.state()["output"]["up_to_date"], "whoever rendered it"


def _compare(session, wanted):
    """Shot 1 against planes of the command line's film, and PNGs against FFmpeg's conversion."""
    key = session.state()["shots"][1]["key"]
    ours = frames_of(session._opened.views.film(key))
    assert [frame.tobytes() for frame in ours] == [frame.tobytes() for frame in wanted]
    for number in (0, 3, LENGTHS[1] - 1):
        shown = pixels(session.full_picture(1, number, "after", key)).astype(float)
        assert shown.shape == (*SIZE, 3)
        # BT.601, as a film of this size without tags is; the filter for chroma is another
        rgb = cv2.cvtColor(wanted[number], cv2.COLOR_YUV2RGB_I420)
        assert np.abs(shown - rgb).mean() < 2.5
        other = cv2.cvtColor(wanted[(number + 4) % LENGTHS[1]], cv2.COLOR_YUV2RGB_I420)
        assert np.abs(shown - other).mean() > 4, "another frame would be seen"


def test_a_shot_through_its_states(opened):
    session = opened.session
    assert [shot["state"] for shot in session.state()["shots"]] == ["none"] * 3
    with pytest.raises(NotMade):
        session.picture(0, 0, "after")
    job = session.preview(0)
    assert session.preview(0).id == job.id, "the same is not begun twice"
    opened.run(job)
    first = opened.shot(0)
    assert (first["state"], first["shown_key"]) == ("ready", first["key"])
    shown = session.picture(0, 2, "after")
    session.apply([REDDER])
    second = opened.shot(0)
    assert (second["state"], second["shown_key"]) == ("stale", first["key"])
    assert second["key"] != first["key"]
    assert session.picture(0, 2, "after") == shown, "the old one, until there is a new one"
    with pytest.raises(NotMade):
        session.picture(0, 2, "after", second["key"])
    opened.run(session.preview(0))
    assert opened.shot(0)["state"] == "ready"
    warm = pixels(session.picture(0, 2, "after")).astype(float)
    assert (warm[..., 2] - pixels(shown)[..., 2]).mean() < -5, "warmer is less blue"
    session.undo()
    assert opened.shot(0) == first, "what was there is there again, without work"
    session.redo()
    assert opened.shot(0)["state"] == "ready"
    assert opened.shot(1)["state"] == "none"


def test_a_newer_wish_for_a_shot_replaces_the_older(opened):
    session = opened.session
    older = session.preview(0)
    session.apply([REDDER])
    newer = session.preview(0)
    assert newer.id != older.id
    opened.run(newer)
    assert opened.jobs.wait(older.id, 60).state in ("canceled", "done")
    assert opened.shot(0)["state"] == "ready"


def _slow(monkeypatch):
    """Previews that color until they are told to stop; gives the frames that were told."""
    begun = threading.Event()

    def make(self, output, places, *, progress, **more):
        while True:
            begun.set()
            progress(0)
            time.sleep(0.01)

    monkeypatch.setattr(ScriptedFilm, "make", make)
    return begun


def test_going_back_to_what_is_ready_stops_the_preview_of_what_is_not(opened, monkeypatch):
    session = opened.session
    opened.run(session.preview(0))
    session.apply([REDDER])
    begun = _slow(monkeypatch)
    job = session.preview(0)
    assert begun.wait(30)
    session.undo()
    assert opened.jobs.wait(job.id, 10).state == "canceled"
    assert opened.shot(0)["state"] == "ready"


def test_a_preview_that_nobody_wants_any_more_is_stopped(opened, monkeypatch):
    """Of the shot that was edited; that of another shot goes on, also when it only waits."""
    session, begun = opened.session, _slow(monkeypatch)
    first, second = session.preview(0), session.preview(1)
    assert begun.wait(30)
    session.apply([{"do": "note", "shot": 0, "text": "a note changes no color"}])
    assert not opened.jobs.wait(first.id, 0.3).over
    session.apply([REDDER])
    assert opened.jobs.wait(first.id, 10).state == "canceled"
    assert opened.jobs.wait(second.id, 0.3).state == "running"
    session.apply([{"do": "grade", "shot": None, "field": "temperature", "value": 30}])
    assert opened.jobs.wait(second.id, 10).state == "canceled"


def test_what_is_stopping_is_not_what_is_asked_for(opened, monkeypatch):
    session, begun, gate = opened.session, threading.Event(), threading.Event()

    def make(self, output, places, *, progress, **more):
        begun.set()
        assert gate.wait(30)
        progress(0)

    monkeypatch.setattr(ScriptedFilm, "make", make)
    job = session.preview(0)
    assert begun.wait(30)
    session.apply([REDDER])
    session.undo()
    try:
        assert not opened.jobs.wait(job.id, 0).over
        assert session.preview(0).id != job.id
    finally:
        gate.set()


def test_a_preview_that_began_before_keys_were_known_is_stopped_too(source, tmp_path, monkeypatch):
    path, gate = tmp_path / "film.mkv", threading.Event()
    shutil.copy(source, path)
    make_script(path)

    def mark(path):
        assert gate.wait(30)
        return film_mark(path)

    monkeypatch.setattr(planned, "film_mark", mark)
    begun = _slow(monkeypatch)
    opened = Opened(path, tmp_path / "cache")
    try:
        other = opened.session.preview(1)
        job = opened.session.preview(0)  # the newest, which waits for no other
        opened.session.apply([REDDER])
        assert not opened.jobs.wait(job.id, 0.3).over
        gate.set()
        assert opened.jobs.wait(job.id, 60).state == "canceled"
        assert not opened.jobs.wait(other.id, 0.3).over, "its key is as it was"
        assert not begun.is_set() or opened.shot(0)["state"] == "none"
    finally:
        gate.set()
        opened.close()


def test_which_shots_have_a_thumbnail_in_color(opened):
    session = opened.session
    until(lambda: all(shot["thumb"] for shot in session.state()["shots"]))
    opened.jobs.wait(opened.jobs.list()[-1].id, 30)
    cache = session._opened.views._cache
    mark = session._opened.views._mark
    key = opened.shot(1)["key"]
    cache.drop(mark, f"thumb-look-{key}")
    assert [shot["thumb"] for shot in session.state()["shots"]] == [True, False, True]
    with pytest.raises(NotMade):
        session.thumb(1, "after")
    opened.run(session.preview(1))
    assert cache.has(mark, f"thumb-{key}")
    assert opened.shot(1)["thumb"], "the exact one"


def test_the_state_follows_what_is_read(opened, monkeypatch):
    """The script's words are kept for the next time, not longer than they are true."""
    session, asked = opened.session, []
    words = statement.hints

    def hints(clock):
        asked.append(clock)
        return words(clock)

    monkeypatch.setattr(statement, "hints", hints)
    session.apply([DOT])
    first = session.state()["hints"]
    assert [(hint["shot"], hint["frame"]) for hint in first] == [(1, 3)]
    session.state()
    assert len(asked) == 1
    session.state()["shots"][0]["note"] = "mine alone"
    assert opened.shot(0)["note"] == ""
    opened.run(session.preview(1))
    session.state()
    assert len(asked) == 2, "frames have their own times now"
    session.undo()
    assert session.state()["hints"] == []


def test_very_long_shots(opened, monkeypatch):
    """As if 6 frames were many: of the rest every third has a picture, the clip is shorter."""
    for name, value in (("CLIP_FRAMES", 6), ("_MORE_PICTURES", 3)):
        monkeypatch.setattr(frames_module, name, value)
    for module in (statement, views_module):
        monkeypatch.setattr(module, "CLIP_FRAMES", 6)
    session = opened.session
    session.apply([{"do": "note", "shot": 0, "text": "long"}])
    rows = session.state()["shots"]
    assert [(row["clip_frames"], row["picture_step"]) for row in rows] == [(6, 3), (6, 3), (6, 2)]
    opened.run(session.preview(1))
    overlay = session.overlay(1)
    assert (overlay["clip_frames"], overlay["picture_step"]) == (6, 3)
    assert len(overlay["frames"]) == LENGTHS[1], "boxes of all"
    with av.open(str(session.clip(1))) as clip:
        assert len(list(clip.decode(video=0))) == 6
    key, folder = opened.shot(1)["key"], session._opened.views._cache.root
    (after,) = folder.glob(f"*/{key}")
    (before,) = folder.glob("*/before-13-*")
    for side in (after, before):
        numbers = sorted(int(path.stem) for path in side.glob("0*.jpg"))
        assert numbers == [0, 1, 2, 3, 4, 5, 6, 9, 12]
    for side in ("before", "after"):
        assert session.picture(1, 11, side) == session.picture(1, 9, side)
        assert session.picture(1, 5, side) != session.picture(1, 4, side)
    exact = pixels(session.full_picture(1, 11, "after")).astype(float)
    near = pixels(session.picture(1, 11, "after")).astype(float)
    assert np.abs(exact - near).mean() > 1, "at full size it is the very frame"


def test_after_a_restart_all_is_there(opened, tmp_path):
    session = opened.session
    opened.run(session.preview(2))
    ready, tracks = opened.shot(2), session.state()["tracks"]
    other = Opened(session.entry.path, tmp_path / "cache")
    try:
        assert other.ready().state()["shots"][2] == ready
        assert other.session.state()["tracks"] == tracks
        assert not [job for job in other.jobs.list() if job.kind == "open"]
        assert other.session.full_picture(2, 1, "after") == session.full_picture(2, 1, "after")
        # its objects can be named, though this program has not seen them
        if tracks:
            edit = {"do": "name_track", "track": tracks[0]["id"], "name": "box"}
            other.session.apply([edit])
            known = [t for t in other.session.state()["tracks"] if t["known"]]
            assert known[0]["name"] == "box"
    finally:
        other.close()


def test_the_render(opened):
    session = opened.session
    opened.run(session.preview(1))
    folder = parts_folder(session.entry.path.with_name("film-color.mkv"))
    key = opened.shot(1)["key"]
    stamp = (folder / f"{key}.segment").stat().st_mtime_ns
    assert session.state()["output"] == {
        "name": "film-color.mkv", "exists": False, "bytes": 0, "up_to_date": False,
    }  # fmt: skip
    with pytest.raises(NotMade):
        session.output()
    done = opened.run(session.render())
    assert (done.result, done.done, done.total) == ("film-color.mkv", sum(LENGTHS), sum(LENGTHS))
    assert len(frames_of(session.output())) == sum(LENGTHS)
    assert (folder / f"{key}.segment").stat().st_mtime_ns == stamp, "not colored again"
    output = session.state()["output"]
    assert (output["exists"], output["up_to_date"]) == (True, True)
    assert output["bytes"] == session.output().stat().st_size
    session.apply([REDDER])
    assert not session.state()["output"]["up_to_date"]
    session.undo()
    assert session.state()["output"]["up_to_date"]
    with pytest.raises(GuidanceError, match="is there already"):
        session.render()
    session.apply([REDDER])
    opened.run(session.preview(0))
    assert not session.state()["output"]["up_to_date"], "all shots are there, but the film is older"
    opened.run(session.render(overwrite=True))
    assert session.state()["output"]["up_to_date"]


def test_a_segment_that_comes_again_does_not_make_a_film_old(opened):
    session = opened.session
    opened.run(session.render())
    for segment in parts_folder(session.output()).glob("*.segment"):
        later = session.output().stat().st_mtime_ns + 10**9
        os.utime(segment, ns=(later, later))
    assert session.state()["output"]["up_to_date"]


def test_what_was_not_made_here_is_not_replaced(opened):
    session = opened.session
    original = session.entry.path.with_name("original.mkv")
    original.write_bytes(b"mine")
    with pytest.raises(GuidanceError, match=r"original\.mkv was not made here"):
        session.render("original.mkv", overwrite=True)
    assert original.read_bytes() == b"mine"


def test_a_render_under_another_name_uses_what_was_previewed(opened):
    session = opened.session
    opened.run(session.preview(0))
    key = opened.shot(0)["key"]
    usual = parts_folder(session.entry.path.with_name("film-color.mkv")) / f"{key}.segment"
    opened.run(session.render("mine.mkv"))
    other = parts_folder(session.entry.path.with_name("mine.mkv")) / f"{key}.segment"
    assert other.stat().st_mtime_ns == usual.stat().st_mtime_ns
    assert session.output().name == "mine.mkv"
    assert not session.entry.path.with_name("film-color.mkv").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("film.mkv", "cannot be replaced"),
        ("../out.mkv", "no name for a file"),
        ("/tmp/out.mkv", "no name for a file"),
        ("a\\b.mkv", "no name for a file"),
        (".hidden.mkv", "no name for a file"),
        ("-rf.mkv", "no name for a file"),
        ("out.mkv\n", "no name for a file"),
        ("x" * 300 + ".mkv", "no name for a file"),
        ("out.exe", "one of these endings"),
        ("film.vidcolor", "one of these endings"),
        ("", "no name for a file"),
    ],
)
def test_names_that_no_film_may_have(opened, name, words):
    with pytest.raises(GuidanceError, match=words):
        opened.session.render(name, True)
    assert not opened.jobs.list() or all(job.kind != "render" for job in opened.jobs.list())


def test_a_render_and_previews_do_not_break_each_other(opened):
    """The render goes by the script that it began with; edits and previews go on meanwhile."""
    session = opened.session
    old = [shot["key"] for shot in session.state()["shots"]]
    job = session.render()
    assert session.render().id == job.id
    with pytest.raises(GuidanceError, match="is being rendered"):
        session.render("other.mkv")
    session.apply([REDDER])
    opened.run(session.preview(0))
    opened.run(job)
    assert opened.shot(0)["state"] == "ready"
    assert opened.shot(0)["key"] not in old
    folder = parts_folder(session.output())
    assert {path.stem for path in folder.glob("*.segment")} >= set(old)
    assert not session.state()["output"]["up_to_date"]
    assert pixels(session.full_picture(0, 0, "after")).shape == (*SIZE, 3)
    opened.run(session.render(overwrite=True))
    assert session.state()["output"]["up_to_date"]


def test_canceling_a_render(opened):
    session = opened.session
    job = session.render()
    until(lambda: opened.jobs.wait(job.id, 0).state != "queued")
    opened.jobs.cancel(job.id)
    assert opened.jobs.wait(job.id, 60).state in ("canceled", "done")
    if opened.jobs.wait(job.id, 0).state == "canceled":
        assert not session.state()["output"]["exists"]


def test_a_look_and_frames_before_anything_is_made(opened):
    session = opened.session
    seen = pixels(session.look(1, 4)).astype(float)
    assert seen.shape == (*SIZE, 3)
    gray = pixels(session.picture(1, 0, "before"))
    assert np.abs(gray.max(2).astype(float) - gray.min(2)).mean() < 1.5
    # the first request has begun to read the shot
    until(lambda: [job for job in opened.jobs.list() if job.kind == "watch" and job.over])
    before = pixels(session.picture(1, 4, "before")).astype(float)
    luma = (0.2126, 0.7152, 0.0722)
    assert np.abs(seen @ luma - before @ luma).mean() < 6
    full = pixels(session.full_picture(1, 4, "before")).astype(float)
    assert np.abs(full - before).mean() < 2
    for ask in (lambda: session.look(1, 99), lambda: session.picture(3, 0, "before")):
        with pytest.raises(GuidanceError, match=r"frames 0 to 13|no shot 3"):
            ask()


def test_thumbnails_come_by_themselves(opened):
    session = opened.session
    wanted = {(shot, side) for shot in range(3) for side in ("before", "after")}

    def told():
        return {(event["shot"], event["side"]) for event in opened.heard.of("thumb")} >= wanted

    until(told)
    for shot in range(3):
        before, after = (pixels(session.thumb(shot, side)) for side in ("before", "after"))
        assert before.shape == after.shape == (*SIZE, 3)
        luma = (0.2126, 0.7152, 0.0722)
        assert np.abs(before @ luma - after @ luma).mean() < 6, "the same frame on both sides"
    rough = session.thumb(0, "after")
    opened.run(session.preview(0))
    assert session.thumb(0, "after") != rough


def test_hints_tracks_and_settings_in_the_pages_words(opened):
    session = opened.session
    edits = [
        DOT,
        {"do": "setting", "shot": None, "key": "stabilize.tau", "value": 4.0},
        {"do": "note", "shot": 2, "text": "mine"},
    ]
    session.apply(edits)
    state = session.state()
    (hint,) = state["hints"]
    assert (hint["shot"], hint["frame"], hint["kind"], hint["hex"]) == (1, 3, "points", "#c03020")
    assert hint["points"] == pytest.approx([0.25, 0.5], abs=1e-4)
    assert state["settings"] == {"stabilize.tau": 4.0}
    assert state["effective"]["stabilize.tau"] == 4.0
    assert state["shots"][2]["note"] == "mine"
    opened.run(session.preview(1))
    overlay = session.overlay(1)
    assert len(overlay["frames"]) == LENGTHS[1]
    alpha = pixels(session.sure(1, 3))[..., 3]
    assert alpha.max() > 100
    tracks = [track for track in session.state()["tracks"] if track["shot"] == 1]
    assert {track["known"] for track in tracks} <= {False}
    ids = {box["id"] for frame in overlay["frames"] for box in frame["boxes"]}
    assert {track["id"] for track in tracks} <= ids
    json.dumps(state)


def test_objects_of_the_whole_film(opened):
    """In the shots of the script, also where a person cut a shot that the film does not cut."""
    session = opened.session
    make_script(session.entry.path, lengths=(LENGTHS[0], 7, 7, LENGTHS[2]))
    assert len(session.state()["shots"]) == 4
    opened.run(session.find_tracks())
    tracks = session.state()["tracks"]
    assert {track["shot"] for track in tracks} >= {3}
    assert all(track["known"] for track in tracks)
    assert all(0 <= track["first_frame"] <= track["last_frame"] < 14 for track in tracks)
    first = tracks[0]["id"]
    session.apply([{"do": "name_track", "track": first, "name": "box"}])
    opened.run(session.find_tracks())
    again = {track["id"]: track["name"] for track in session.state()["tracks"]}
    assert again[first] == "box", "what a person said stays"


def test_damage(opened):
    session = opened.session
    with pytest.raises(NotMade, match="look for it first"):
        session.damage(0, 2)
    opened.run(session.find_damage(0))
    assert pixels(session.damage(0, 2)).shape[2] == 4
    session.apply([{"do": "setting", "shot": 0, "key": "restore.sensitivity", "value": "high"}])
    with pytest.raises(NotMade):
        session.damage(0, 2)


def test_a_film_that_goes_and_comes_back(opened):
    session, path = opened.session, opened.session.entry.path
    opened.run(session.preview(0))
    ready = opened.shot(0)
    path.rename(path.with_suffix(".away"))
    gone = r"film.mkv cannot be read any more \(.*\); put it back, or choose another film"
    assert re.fullmatch(gone, session.state()["problem"])
    for ask in (lambda: session.preview(1), session.render, lambda: session.look(0, 3)):
        with pytest.raises(MediaError, match=gone):
            ask()
    path.with_suffix(".away").rename(path)
    assert session.state()["problem"] == ""
    assert opened.shot(0) == ready
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)  # copied back, with another time
    assert (session.state()["problem"], opened.shot(0)) == ("", ready)
    path.write_bytes(data[: len(data) // 2])
    assert "is another film than the one that was opened" in session.state()["problem"]
    with pytest.raises(MediaError, match="put that one back, or start the program again"):
        session.preview(1)
    path.write_bytes(data)
    assert session.state()["problem"] == ""
    opened.run(session.preview(1))


def test_a_film_that_goes_while_it_is_colored(opened, monkeypatch):
    session, path = opened.session, opened.session.entry.path
    make = ScriptedFilm.make

    def late(self, *words, **more):
        path.unlink(missing_ok=True)
        return make(self, *words, **more)

    monkeypatch.setattr(ScriptedFilm, "make", late)
    job = opened.jobs.wait(session.preview(2).id, 30)
    assert job.state == "failed"
    assert re.search(r"film\.mkv: (cannot|no such)", job.message, re.IGNORECASE), job.message
    assert not list(session._opened.views._cache.root.glob("*/.*"))


def test_the_log_does_not_repeat_itself(opened, caplog):
    """What every line that is built says of its detector, is said once; warnings always."""
    caplog.set_level("INFO", "vidcolor")
    log = logging.getLogger("vidcolor.stages.detect")
    for _ in range(3):
        log.info("detector: %s", "motion")
        log.warning("out of memory")
    log.info("detector: %s", "none")
    said = [record.getMessage() for record in caplog.records if record.name == log.name]
    assert said == ["detector: motion", *["out of memory"] * 3, "detector: none"]
    opened.jobs.close()
    log.info("detector: motion")
    assert caplog.records[-1].getMessage() == "detector: motion"


def test_a_script_that_somebody_breaks(opened):
    session = opened.session
    path = session.entry.script
    good = path.read_text()
    path.write_text(good.replace("end = 12", "end = 11"))
    state = session.state()
    assert "start" in state["problem"]
    assert len(state["shots"]) == 3
    path.write_text(good + "\n[shots.grade]\nsaturation = 0.5\n")
    state = session.state()
    assert state["problem"] == ""
    assert state["shots"][2]["grade"] == {"saturation": 0.5}
