"""The color script of an open film: changed by several people at once, kept in its file."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media import make_video

from vidcolor.color.grade import GradeConfig
from vidcolor.errors import GuidanceError, MediaError, VidcolorError
from vidcolor.guidance.script import edits as pure
from vidcolor.guidance.script.entries import ColorScript, ShotEntry, SourceEntry, fingerprint
from vidcolor.guidance.script.file import read_script
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.preview.web.desk import changes, desk
from vidcolor.preview.web.desk.changes import KINDS
from vidcolor.preview.web.desk.desk import Desk
from vidcolor.records import VideoInfo

INFO = VideoInfo(48, 64, rotation=90)
POINT = {"do": "add_hint", "shot": 1, "frame": 2, "points": [0.25, 0.5], "color": "#aabbcc"}


@dataclass(frozen=True)
class Film:
    path: Path
    script: Path


@pytest.fixture
def film(tmp_path) -> Film:
    (tmp_path / "film.mkv").write_bytes(b"some film")
    return Film(tmp_path / "film.mkv", tmp_path / "film.vidcolor")


def first(film: Film, shots: int = 3, frames: int = 4) -> ColorScript:
    """A film of shots of four frames each."""
    source = SourceEntry("film.mkv", shots * frames, "0:00:01.000", "1/25", fingerprint(film.path))
    entries = tuple(
        ShotEntry(n, n * frames, (n + 1) * frames - 1, n * frames, (n + 1) * frames - 1)
        for n in range(shots)
    )
    return ColorScript(1, source, shots=entries)


@pytest.fixture
def open_desk(film) -> Desk:
    own = Desk(film, info=INFO)
    own.begin(first(film))
    return own


def saved(own: Desk) -> ColorScript:
    return read_script(own.film.script)


def note(shot: int, text: str) -> dict:
    return {"do": "note", "shot": shot, "text": text}


# --- the first script ---------------------------------------------------------------------------


def test_a_new_script_gets_the_settings_that_vidcolor_was_started_with(film):
    own = Desk(film, {"stabilize": {"tau": 5.0}, "grade": {"tint": 4.0}}, INFO)
    assert own.script is None
    with pytest.raises(GuidanceError, match="not known yet"):
        own.apply([note(0, "x")])
    own.begin(first(film))
    assert own.script == saved(own)
    assert own.script.settings == {"stabilize": {"tau": 5.0}}
    assert own.script.grade == GradeConfig(tint=4.0)
    assert not own.can_undo


def test_a_script_that_is_there_is_kept(film):
    Desk(film, info=INFO).begin(pure.set_note(first(film), 1, "mine"))
    own = Desk(film, {"stabilize": {"tau": 5.0}}, INFO)
    before = film.script.read_bytes()
    own.begin(first(film))
    assert own.script.shots[1].note == "mine"
    assert film.script.read_bytes() == before


def test_a_script_without_shots_gets_them(film):
    film.script.write_text('version = 1\n[grade]\ntint = 3.0\n[[hints]]\ncolor = "red"\n'
                           "frame = 5\nwhole = true\n")  # fmt: skip
    own = Desk(film, info=INFO)
    assert own.script is None
    own.begin(first(film))
    assert (own.script.grade.tint, len(own.script.shots), len(own.script.hints)) == (3.0, 3, 1)
    assert not own.can_undo


def test_a_script_of_another_film_is_refused(film):
    other = replace(first(film), source=replace(first(film).source, fingerprint="0" * 32))
    Desk(film, info=INFO).begin(first(film))
    text = film.script.read_text().replace(fingerprint(film.path), other.source.fingerprint)
    film.script.write_text(text)
    with pytest.raises(GuidanceError, match=r"^film.vidcolor, line \d+: .*another film"):
        Desk(film, info=INFO)
    assert film.script.read_text() == text


# --- edits --------------------------------------------------------------------------------------


def test_a_hint_lands_in_the_coded_frame_of_the_film(open_desk):
    revision = open_desk.apply([{**POINT, "radius": 0.1, "reach": 2, "track": "none", "note": "n"}])
    assert revision == open_desk.revision
    (hint,) = saved(open_desk).hints
    # the picture is shown turned by 90 degrees: its height lies along the coded width, 64
    assert (hint.frame, hint.points, hint.unit) == (6, (0.5, 0.25), "fractions")
    assert (hint.color, hint.radius_px, hint.reach) == ("#aabbcc", 6.4, 2.0)
    assert (hint.track, hint.note) == ("none", "n")


def test_hints_are_changed_and_removed_by_name(open_desk):
    open_desk.apply([POINT])
    name = pure.hint_id(open_desk.script.hints[0])
    open_desk.apply([{"do": "change_hint", "id": name, "color": "gold", "frame": 0}])
    (hint,) = saved(open_desk).hints
    assert (hint.color, hint.frame, hint.points) == ("gold", 4, (0.5, 0.25))
    area = {
        "do": "change_hint",
        "id": pure.hint_id(hint),
        "region": [0, 0, 0.5, 0.5],
        "radius": 0.1,
    }
    open_desk.apply([area])
    assert saved(open_desk).hints[0].region == (1.0, 0.0, 0.5, 0.5)
    open_desk.apply([{"do": "remove_hint", "id": pure.hint_id(open_desk.script.hints[0])}])
    assert saved(open_desk).hints == ()
    with pytest.raises(GuidanceError, match="not there any more"):
        open_desk.apply([{"do": "remove_hint", "id": name}])


def test_a_whole_frame_and_a_whole_object(open_desk):
    open_desk.offer([TrackEntry(100001, "person-1", shot=1, first=4, last=7)])
    open_desk.apply(
        [
            {"do": "add_hint", "shot": 1, "whole": True, "color": "red"},
            {
                "do": "add_hint",
                "shot": 1,
                "frame": 3,
                "whole": True,
                "color": "red",
                "track": 100001,
            },
        ]
    )
    scene, thing = saved(open_desk).hints
    assert (scene.frame, scene.track) == (4, "auto")
    assert (thing.object, thing.moment) == (100001, None)
    assert [entry.id for entry in saved(open_desk).tracks] == [100001]


def test_settings_networks_grades_references(open_desk):
    open_desk.apply(
        [
            {"do": "setting", "shot": None, "key": "stabilize.n_most", "value": 20.0},
            {"do": "setting", "shot": 1, "key": "stabilize.tau", "value": 2},
            {"do": "setting", "shot": 2, "key": "grade.tint", "value": 9},
            {"do": "grade", "shot": None, "field": "saturation", "value": 1.5},
            {"do": "network", "shot": 0, "colorizer": "siggraph17", "weights": None},
            {"do": "references", "shot": 2, "use": False},
            {"do": "setting", "shot": 2, "key": "colorize.weights", "value": "eccv16"},
        ]
    )
    script = saved(open_desk)
    assert script.settings == {"stabilize": {"n_most": 20}}
    assert type(script.settings["stabilize"]["n_most"]) is int
    assert script.shots[1].settings == {"stabilize": {"tau": 2.0}}
    assert script.shots[2].grade == GradeConfig(tint=9.0)
    assert script.grade == GradeConfig(saturation=1.5)
    assert (script.shots[0].colorizer, script.shots[0].weights) == ("siggraph17", None)
    assert (script.shots[2].colorizer, script.shots[2].weights) == (None, "eccv16")
    assert not script.shots[2].references


def test_a_colorizer_comes_with_its_own_weights(open_desk):
    open_desk.apply([{"do": "setting", "key": "colorize.weights", "value": "eccv16"}])
    open_desk.apply([{"do": "setting", "key": "colorize.colorizer", "value": "siggraph17"}])
    assert open_desk.script.settings == {"colorize": {"colorizer": "siggraph17"}}
    open_desk.apply([{"do": "setting", "key": "colorize.weights", "value": "siggraph17"}])
    assert open_desk.script.settings["colorize"]["colorizer"] == "siggraph17"


def test_reference_pictures(open_desk):
    open_desk.add_reference("film.references/a.png", shot=1, frame=3)
    open_desk.add_reference("film.references/b.png", shot=1, strength=0.5)
    frame, scene = saved(open_desk).references
    assert (frame.frame, frame.shots) == (7, ())
    assert (scene.frame, scene.shots, scene.strength) == (None, (1,), 0.5)
    open_desk.apply([{"do": "remove_reference", "id": pure.reference_id(frame)}])
    assert saved(open_desk).references == (scene,)
    for wrong in ({"shot": 1, "frame": 4}, {"shot": 3}, {"frame": 1}):
        with pytest.raises(GuidanceError, match="there is no"):
            open_desk.add_reference("film.references/a.png", **wrong)


def test_objects_that_were_found_become_known_when_something_is_said_of_one(open_desk):
    found = [
        TrackEntry(100001, "person-1", "person", shot=1, first=4, last=7),
        TrackEntry(100002, "person-2", "person", shot=1, first=4, last=7),
    ]
    open_desk.offer(found)
    assert open_desk.script.tracks == ()
    open_desk.apply([{"do": "pin_track", "track": 100002, "color": "#203040"}])
    assert [(e.id, e.color) for e in saved(open_desk).tracks] == [(100001, ""), (100002, "#203040")]
    open_desk.offer([TrackEntry(1, "person-1", "person", shot=0)])
    open_desk.apply([{"do": "merge_tracks", "tracks": [100002, 1]}])
    assert {e.id: e.identity for e in saved(open_desk).tracks} == {
        1: "person-2", 100001: "person-1", 100002: "person-2",
    }  # fmt: skip
    open_desk.apply([{"do": "name_track", "track": 1, "name": "Anna"}])
    open_desk.apply([{"do": "grade_track", "track": 1, "field": "tint", "value": 3}])
    open_desk.apply([{"do": "part_track", "track": 1}])
    assert {e.id: e.name for e in saved(open_desk).tracks}[100002] == "Anna"
    open_desk.apply([{"do": "pin_track", "track": 100002, "color": None}])
    assert not any(entry.color for entry in saved(open_desk).tracks)
    with pytest.raises(GuidanceError, match="there is no object 200001"):
        open_desk.apply([{"do": "pin_track", "track": 200001, "color": "red"}])


def test_another_detector_takes_away_objects_of_which_nothing_was_said(open_desk):
    for shot in (0, 1):
        open_desk.offer([TrackEntry(shot * 100_000 + n, f"x-{n}", shot=shot) for n in (1, 2)])
        open_desk.apply([{"do": "pin_track", "track": shot * 100_000 + 1, "color": "red"}])
    open_desk.apply([{"do": "setting", "shot": 1, "key": "detect.detector", "value": "motion"}])
    assert [entry.id for entry in saved(open_desk).tracks] == [1, 2, 100001]
    with pytest.raises(GuidanceError, match="there is no object 100002"):
        open_desk.apply([{"do": "pin_track", "track": 100002, "color": "red"}])


BAD = [
    ({"do": "fly"}, "nothing that can be done"),
    ({}, "nothing that can be done"),
    ("note", "an edit is an object"),
    ({"do": "note", "shot": 0}, "needs text"),
    ({"do": "note", "shot": 0, "text": "x", "file": "/etc/passwd"}, "knows no 'file'"),
    ({"do": "note", "shot": 3, "text": "x"}, "shots 0 to 2"),
    ({"do": "note", "shot": 10**5000, "text": "x"}, "shots 0 to 2"),
    ({**POINT, "points": [0.5]}, "x0, y0"),
    ({**POINT, "points": [310, 20]}, "outside the picture"),
    ({**POINT, "points": [0.1] * 10_002}, "5000 places"),
    ({**POINT, "points": ["a", "b"]}, "outside the picture"),
    ({**POINT, "points": [float("nan"), 0]}, "outside the picture"),
    ({**POINT, "region": [0, 0, 1, 1]}, "exactly one of points"),
    ({**POINT, "frame": 4}, "no such frame in shot 2; it has 4"),
    ({**POINT, "frame": None}, "no such frame"),
    ({**POINT, "radius": 2}, "number from 0 to 1"),
    ({**POINT, "color": "url(x)"}, "no color"),
    ({**POINT, "color": None}, "expected str"),
    ({**POINT, "track": {}}, "expected"),
    ({**POINT, "track": 5}, "is in shot 0, but the hint is in shot 1"),
    ({**POINT, "track": 100005}, None),  # no objects are known there: only the coloring can tell
    ({**POINT, "whole": "yes"}, "true or false"),
    ({"do": "change_hint", "id": "../../etc", "color": "red"}, "the id is none"),
    ({"do": "remove_reference", "id": 5}, "the id is none"),
    ({"do": "setting", "key": "guidance.hints", "value": "/etc/passwd"}, "cannot be set here"),
    ({"do": "setting", "key": "detect.detector", "value": "boxes:/x"}, "not one of"),
    ({"do": "setting", "key": "colorize.render_factor", "value": 2}, "0 or 4 to 128"),
    ({"do": "setting", "key": "output.crf", "value": 60}, "0 to 51"),
    ({"do": "setting", "shot": 0, "key": "output.crf", "value": 20}, "whole film"),
    ({"do": "grade", "field": "lut", "value": "/etc/x.cube"}, "cannot be set here"),
    ({"do": "grade", "field": ["lut"], "value": 1}, "cannot be set here"),
    ({"do": "network", "colorizer": "siggraph17", "weights": "eccv16"}, "are for eccv16"),
    ({"do": "network", "colorizer": "/x.pth"}, "not one of"),
    ({"do": "pin_track", "track": 1, "color": "red"}, "there is no object 1"),
    ({"do": "merge_tracks", "tracks": 1}, "two objects or more"),
    ({"do": "references", "shot": 0, "use": 1}, "true or false"),
]


@pytest.mark.parametrize(("edit", "message"), BAD)
def test_what_cannot_be_done_is_said_and_changes_nothing(open_desk, edit, message):
    before, revision = open_desk.film.script.read_bytes(), open_desk.revision
    good = note(2, "must not stay")
    if message is None:
        assert open_desk.apply([edit]) > revision
        return
    with pytest.raises(GuidanceError, match=message) as error:
        open_desk.apply([good, edit])
    assert "\n" not in str(error.value)
    assert open_desk.film.script.read_bytes() == before
    assert (open_desk.revision, open_desk.can_undo) == (revision, False)


@pytest.mark.parametrize("edits", [None, "x", {"do": "note"}, 5, [None] * 501])
def test_what_is_no_list_of_edits_is_refused(open_desk, edits):
    with pytest.raises(GuidanceError):
        open_desk.apply(edits)


def test_every_kind_of_edit_is_tried_here():
    text = Path(__file__).read_text()
    assert all(f'"{kind}"' in text for kind in KINDS)


# --- undo ---------------------------------------------------------------------------------------


def test_undo_of_everything_gives_the_first_bytes_back(film):
    Desk(film, info=INFO).begin(first(film))
    mine = film.script.read_text() + "\n# a comment, which programs do not keep\r\n"
    film.script.write_bytes(mine.encode())
    own = Desk(film, info=INFO)
    own.apply([POINT])
    own.apply([note(0, "one")])
    revision = own.revision
    assert b"comment, which" not in film.script.read_bytes()
    own.undo()
    own.undo()
    assert film.script.read_bytes() == mine.encode()
    assert own.text() == mine
    with pytest.raises(GuidanceError, match="nothing to undo"):
        own.undo()
    own.redo()
    own.redo()
    assert saved(own).shots[0].note == "one"
    assert own.revision > revision
    with pytest.raises(GuidanceError, match="nothing to do again"):
        own.redo()


def test_a_change_after_undo_ends_what_could_be_done_again(open_desk):
    open_desk.apply([note(0, "one")])
    open_desk.undo()
    open_desk.apply([note(0, "two")])
    assert not open_desk.can_redo
    open_desk.undo()
    assert saved(open_desk).shots[0].note == ""


def test_an_edit_that_changes_nothing_is_no_step(open_desk):
    revision = open_desk.revision
    assert open_desk.apply([note(0, "")]) == revision
    assert open_desk.apply([]) == revision
    assert not open_desk.can_undo


def test_the_past_is_bounded(open_desk, monkeypatch):
    monkeypatch.setattr(desk, "_MOST_STEPS", 4)
    for number in range(10):
        open_desk.apply([note(0, str(number))])
    count = 0
    while open_desk.can_undo:
        open_desk.undo()
        count += 1
    assert count == 3
    assert saved(open_desk).shots[0].note == "6"


# --- several at once ----------------------------------------------------------------------------


def test_nothing_is_lost_when_two_pages_change_things_at_once(open_desk):
    start, wrong = threading.Barrier(4), []

    def page(number: int) -> None:
        start.wait()
        for k in range(6):
            try:
                at = [number / 10, k / 10]
                open_desk.apply(
                    [{**POINT, "points": at, "note": f"{number}-{k}"}], open_desk.revision
                )
            except VidcolorError as error:
                wrong.append(error)

    pages = [threading.Thread(target=page, args=(number,)) for number in range(4)]
    for one in pages:
        one.start()
    for one in pages:
        one.join()
    assert wrong == []
    notes = {hint.note for hint in saved(open_desk).hints}
    assert notes == {f"{number}-{k}" for number in range(4) for k in range(6)}
    for _ in range(24):
        open_desk.undo()
    assert saved(open_desk).hints == ()


def test_an_old_page_may_still_change_what_means_the_same(open_desk):
    old = open_desk.revision
    open_desk.apply([note(0, "meanwhile")], old)
    open_desk.apply([POINT, {"do": "setting", "shot": 1, "key": "stabilize.tau", "value": 2}], old)
    assert len(saved(open_desk).hints) == 1


def test_an_old_page_does_not_hit_frames_that_nobody_pointed_at(open_desk):
    old = open_desk.apply([POINT])
    name = pure.hint_id(open_desk.script.hints[0])
    text = open_desk.text()
    moved = text.replace("end = 3\n", "end = 2\n").replace("start = 4\n", "start = 3\n")
    moved = "\n".join(line for line in moved.splitlines() if "pts" not in line)
    open_desk.film.script.write_text(moved)
    with pytest.raises(
        GuidanceError, match="shot 2 is another one by now: somebody changed the cuts"
    ):
        open_desk.apply([POINT], old)
    with pytest.raises(GuidanceError, match="the cuts"):
        open_desk.apply([{"do": "change_hint", "id": name, "frame": 1}], old)
    open_desk.apply([{"do": "change_hint", "id": name, "color": "red"}], old)
    open_desk.apply([note(2, "the last shot is as it was")], old)
    open_desk.apply([{"do": "grade", "shot": None, "field": "tint", "value": 1}], old)
    assert open_desk.apply([POINT], open_desk.revision) == open_desk.revision
    assert [hint.frame for hint in saved(open_desk).hints] == [6, 5]


def test_a_hint_that_lies_in_another_shot_by_now_is_not_moved_by_an_old_page(open_desk):
    old = open_desk.apply([{**POINT, "frame": 0}])
    name = pure.hint_id(open_desk.script.hints[0])
    # frame 4 of the film, the first of shot 1, becomes the last of shot 0
    moved = open_desk.text().replace("end = 3\n", "end = 4\n").replace("start = 4\n", "start = 5\n")
    moved = "\n".join(line for line in moved.splitlines() if "pts" not in line)
    open_desk.film.script.write_text(moved)
    with pytest.raises(GuidanceError, match="the shot of the hint is another one by now"):
        open_desk.apply([{"do": "change_hint", "id": name, "frame": 1}], old)


def test_an_old_page_does_not_pin_what_was_made_one_meanwhile(open_desk):
    open_desk.offer([TrackEntry(n, f"x-{n}", shot=0) for n in (1, 2, 3)])
    open_desk.apply([{"do": "name_track", "track": 1, "name": "Anna"}])
    old = open_desk.revision
    open_desk.apply([{"do": "merge_tracks", "tracks": [1, 2]}], old)
    with pytest.raises(GuidanceError, match="object 1 is another one by now"):
        open_desk.apply([{"do": "pin_track", "track": 1, "color": "red"}], old)
    open_desk.apply([{"do": "pin_track", "track": 3, "color": "red"}], old)
    open_desk.apply([{"do": "pin_track", "track": 1, "color": "blue"}], open_desk.revision)
    assert [entry.color for entry in saved(open_desk).tracks] == ["blue", "blue", "red"]


@pytest.mark.parametrize("revision", [-1, 0, 3, 2**53])
def test_a_page_of_an_earlier_run_is_told_to_reload(open_desk, revision):
    with pytest.raises(GuidanceError, match="reload"):
        open_desk.apply([POINT], revision)
    open_desk.apply([{"do": "grade", "field": "tint", "value": 1}], revision)


def test_revisions_never_come_again(open_desk):
    for number in range(3):
        open_desk.apply([note(0, str(number))])
    time.sleep(0.005)
    assert Desk(open_desk.film, info=INFO).revision > open_desk.revision


@pytest.mark.parametrize("revision", ["1", 1.5, True, [1]])
def test_a_revision_is_a_number(open_desk, revision):
    with pytest.raises(GuidanceError, match="revision is no number"):
        open_desk.apply([POINT], revision)


# --- the file -----------------------------------------------------------------------------------


def test_settings_that_do_not_fit_together_are_refused(open_desk):
    text = open_desk.text().replace(
        "[[shots]]", "[settings.colorize]\nshort_side = 256\n\n[[shots]]", 1
    )
    open_desk.film.script.write_text(text)
    with pytest.raises(GuidanceError, match=r"shot 2.*render_factor.*give one of both"):
        open_desk.apply(
            [{"do": "setting", "shot": 1, "key": "colorize.render_factor", "value": 20}]
        )
    assert open_desk.film.script.read_text() == text


def test_what_an_editor_saves_meanwhile_is_taken_over_and_can_be_undone(open_desk):
    open_desk.apply([note(0, "mine")])
    revision = open_desk.revision
    theirs = open_desk.text().replace('note = "mine"', 'note = "ours"')  # as many bytes as before
    open_desk.film.script.write_text(theirs)
    assert open_desk.reload_if_changed()
    assert not open_desk.reload_if_changed()
    assert open_desk.revision == revision + 1
    assert open_desk.script.shots[0].note == "ours"
    open_desk.film.script.write_text(theirs.replace("ours", "hers"))
    open_desk.apply([note(1, "also mine")])
    assert [shot.note for shot in saved(open_desk).shots] == ["hers", "also mine", ""]
    notes = []
    while open_desk.can_undo:
        open_desk.undo()
        notes.append(saved(open_desk).shots[0].note)
    assert notes == ["hers", "ours", "mine", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 1\n[[shots]\n", r"^film.vidcolor, line 2"),
        ("version = 1\n[settings]\nstabilise = 1\n", r"^film.vidcolor, line 3.*did you mean"),
        (
            "version = 1\n[settings.stabilize]\ntau = 300.0\n",
            r"^film.vidcolor, line 2: settings.stabilize.*tau",
        ),
        ("version = 1\n", r"lost its shots"),
        ("", r"version is missing"),
    ],
)
def test_a_broken_file_stops_everything_and_is_not_overwritten(open_desk, text, message):
    open_desk.apply([note(0, "good")])
    good, revision = open_desk.text(), open_desk.revision
    open_desk.film.script.write_text(text)
    for act in (
        lambda: open_desk.apply([POINT]),
        open_desk.undo,
        open_desk.redo,
        open_desk.reload_if_changed,
        lambda: open_desk.begin(first(open_desk.film)),
    ):
        with pytest.raises(GuidanceError, match=message):
            act()
    assert open_desk.film.script.read_text() == text
    assert open_desk.script.shots[0].note == "good"
    open_desk.film.script.write_text(good)
    assert open_desk.apply([note(1, "again")]) == revision + 1


def test_a_file_that_was_taken_away_comes_back_with_the_next_change(open_desk):
    open_desk.film.script.unlink()
    assert not open_desk.reload_if_changed()
    open_desk.apply([note(2, "back")])
    assert saved(open_desk).shots[2].note == "back"


def test_where_nothing_can_be_saved_nothing_changes(open_desk, monkeypatch):
    before, revision = open_desk.film.script.read_bytes(), open_desk.revision

    def closed(*_args):
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setattr("vidcolor.io.target.os.open", closed)
    with pytest.raises(MediaError, match="cannot be saved, nothing has changed") as error:
        open_desk.apply([POINT])
    assert str(error.value).count("film.vidcolor") == 2
    assert "permission denied" in str(error.value)
    assert str(open_desk.film.script.parent) not in str(error.value)
    assert (open_desk.revision, open_desk.script.hints) == (revision, ())
    monkeypatch.undo()
    assert open_desk.film.script.read_bytes() == before
    assert sorted(p.name for p in open_desk.film.script.parent.iterdir()) == [
        "film.mkv", "film.vidcolor",
    ]  # fmt: skip


def test_a_full_disk_leaves_the_old_file(open_desk, monkeypatch):
    before = open_desk.film.script.read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MediaError, match="no space left"):
        open_desk.apply([POINT])
    monkeypatch.undo()
    assert open_desk.film.script.read_bytes() == before
    assert len(list(open_desk.film.script.parent.iterdir())) == 2


def test_who_saves_at_the_very_moment_wins(open_desk, monkeypatch):
    path, theirs = open_desk.film.script, open_desk.text() + "# theirs\n"
    real = desk.ScriptFile._check

    def slow(self, written, script):
        real(self, written, script)
        path.write_text(theirs)

    monkeypatch.setattr(desk.ScriptFile, "_check", slow)
    with pytest.raises(GuidanceError, match="saved by somebody else at this moment"):
        open_desk.apply([note(0, "mine")])
    assert path.read_text() == theirs
    monkeypatch.undo()
    open_desk.apply([note(0, "mine")])
    assert saved(open_desk).shots[0].note == "mine"


def test_what_does_not_read_back_is_not_saved(open_desk, monkeypatch):
    monkeypatch.setattr(desk, "script_text", lambda script: "version = 1\n")
    before = open_desk.film.script.read_bytes()
    with pytest.raises(GuidanceError, match="cannot be saved as it is"):
        open_desk.apply([note(0, "x")])
    assert open_desk.film.script.read_bytes() == before
    assert open_desk.script.shots[0].note == ""


def test_the_film_is_asked_how_it_is_turned(tmp_path):
    make_video(tmp_path / "film.mkv", frames=12, rotation=180, rate=Fraction(25))
    film = Film(tmp_path / "film.mkv", tmp_path / "film.vidcolor")
    own = Desk(film)
    own.begin(first(film))
    own.apply([{**POINT, "points": [0.25, 0.125]}])
    assert saved(own).hints[0].points == (0.75, 0.875)


# --- properties ---------------------------------------------------------------------------------

WORDS = st.dictionaries(
    st.sampled_from(
        [
            "shot", "frame", "points", "region", "whole", "color", "track", "radius", "reach",
            "key", "value", "field", "colorizer", "weights", "use", "name", "tracks", "text",
            "note", "id",
        ]
    ),
    st.one_of(
        st.integers(-1, 4),
        st.floats(),
        st.text(max_size=5),
        st.none(),
        st.booleans(),
        st.lists(st.one_of(st.floats(-0.2, 1.2), st.integers(0, 3), st.text("ab")), max_size=4),
        st.sampled_from(["red", "stabilize.tau", "tint", "0123456789", 100001, "\ud800", {}]),
    ),
    max_size=6,
)  # fmt: skip


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(kind=st.sampled_from(sorted(KINDS)), words=WORDS, revision=st.sampled_from([None, 5]))
def test_whatever_a_page_sends_is_done_or_refused(open_desk, kind, words, revision):
    before = open_desk.revision
    try:
        after = open_desk.apply([{"do": kind, **words}], revision)
    except GuidanceError:
        after = before
    assert after == open_desk.revision
    assert saved(open_desk) == open_desk.script


def test_info_is_not_asked_where_there_are_no_places(film):
    own = Desk(film)  # the film is none: opening it would fail
    own.begin(first(film))
    own.apply([note(0, "x")])
    with pytest.raises(MediaError):
        own.apply([POINT])
    assert changes.KINDS.keys() >= {"note", "add_hint"}
