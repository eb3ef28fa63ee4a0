"""Changes of a color script: what they change, what they refuse, and that nothing gets lost."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest
from guidance.scripts import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidcolor.color.grade import GradeConfig
from vidcolor.errors import GuidanceError
from vidcolor.guidance.script import edits
from vidcolor.guidance.script.entries import ColorScript, ShotEntry, TrackGrade
from vidcolor.guidance.script.file import read_script, script_text
from vidcolor.guidance.tracks.file import TrackEntry

POINT = {"color": "red", "frame": 30, "points": [0.25, 0.5], "unit": "fractions"}


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> ColorScript:
    return read_script(write(tmp_path_factory.mktemp("script")))


def read_back(script: ColorScript, folder: Path) -> ColorScript:
    path = folder / "again.vidcolor"
    path.write_text(script_text(script), encoding="utf-8")
    return read_script(path)


def identities(script: ColorScript) -> dict[int, str]:
    return {entry.id: entry.identity for entry in script.tracks}


# --- hints --------------------------------------------------------------------------------------


def test_a_hint_goes_after_the_others_and_can_be_removed_by_its_name(script):
    more = edits.add_hint(script, POINT)
    assert more.hints[:2] == script.hints
    assert (more.hints[2].color, more.hints[2].frame, more.hints[2].points) == (
        "red",
        30,
        (0.25, 0.5),
    )
    assert edits.remove_hint(more, edits.hint_id(more.hints[2])) == script


def test_the_name_of_a_hint_is_that_of_its_content(script, tmp_path):
    more = edits.add_hint(script, {**POINT, "points": [1, 0], "reach": 2})
    name = edits.hint_id(more.hints[2])
    assert name == edits.hint_id(read_back(more, tmp_path).hints[2])
    assert len({edits.hint_id(hint) for hint in more.hints}) == 3
    assert len(name) == 10
    assert set(name) <= set("0123456789abcdef")


def test_a_hint_that_is_there_moves_to_the_end_where_it_counts(script):
    twice = edits.add_hint(
        edits.add_hint(script, POINT), {"color": "gray", "frame": 1, "whole": True}
    )
    again = edits.add_hint(twice, POINT)
    assert [hint.color for hint in again.hints] == ["steelblue", "#803020", "gray", "red"]


def test_a_changed_hint_keeps_its_place_and_what_is_not_changed(script):
    name = edits.hint_id(script.hints[0])
    new = edits.change_hint(script, name, {"color": "gold", "reach": 0})
    assert [hint.color for hint in new.hints] == ["gold", "#803020"]
    assert new.hints[0] == replace(script.hints[0], color="gold", reach=0.0)
    with pytest.raises(GuidanceError, match="not there any more"):
        edits.change_hint(new, name, {"color": "red"})


def test_a_new_shape_takes_the_place_of_the_old_one(script):
    drawn = edits.change_hint(script, edits.hint_id(script.hints[0]), {"radius_px": 9.0})
    area = {"region": [0, 0, 0.5, 0.5], "unit": "fractions"}
    new = edits.change_hint(drawn, edits.hint_id(drawn.hints[0]), area).hints[0]
    assert (new.points, new.region, new.unit, new.radius_px) == (
        (),
        (0, 0, 0.5, 0.5),
        "fractions",
        None,
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"color": "reddish"}, "did you mean"),
        ({"color": 5}, "expected str"),
        ({"color": "red\ud800"}, "cannot be written"),
        ({"frame": 96}, "frames 0 to 95"),
        ({"frame": -1}, "0 or more"),
        ({"frame": True}, "expected"),
        ({"frame": 10**400}, "too large a number"),
        ({"points": []}, "exactly one of points"),
        ({"points": [1]}, "x0, y0"),
        ({"points": [float("nan"), 0]}, "is no number"),
        ({"points": [10**400, 0]}, "too large"),
        ({"points": [0.0] * 20_002}, "draw it in parts"),
        ({"points": "12"}, "expected"),
        ({"radius_px": 0}, "above 0"),
        ({"track": 0.5}, "expected"),
        ({"track": 100007}, "no object 100007"),
        ({"track": 1}, "is in shot 0, but the hint is in shot 1"),
        ({"track": 300001}, "no object 300001"),
        ({"pinned": True}, "unknown key"),
        ({"note": "x" * 10_001}, "at most"),
    ],
)  # fmt: skip
def test_what_is_no_hint_is_refused(script, words, message):
    with pytest.raises(GuidanceError, match=message):
        edits.add_hint(script, {**POINT, **words})


def test_a_hint_binds_to_an_object_of_its_own_shot(script):
    assert edits.add_hint(script, {**POINT, "track": 100001}).hints[2].track == 100001


# --- references ---------------------------------------------------------------------------------


def test_references_come_and_go(script):
    one = edits.add_reference(script, {"file": "a.png", "shots": [2, 0]})
    two = edits.add_reference(one, {"file": "b.png", "frame": 95})
    assert [entry.file for entry in two.references] == ["a.png", "b.png"]
    assert edits.remove_reference(two, edits.reference_id(two.references[1])) == one
    with pytest.raises(GuidanceError, match="not there any more"):
        edits.remove_reference(one, edits.reference_id(two.references[1]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"file": ""}, "must name a picture"),
        ({"file": "a.png", "shots": [3]}, "shots 0 to 2"),
        ({"file": "a.png", "frame": 96}, "frames 0 to 95"),
        ({"file": "a.png", "frame": 9, "method": "tone"}, "carried along motion"),
        ({"file": "a.png", "strength": 2}, "0 to 1"),
        ({"strength": 1}, "missing"),
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused(script, words, message):
    with pytest.raises(GuidanceError, match=message):
        edits.add_reference(script, words)


def test_references_are_left_out_of_a_shot(script):
    new = edits.use_references(script, 2, False)
    assert [shot.references for shot in new.shots] == [True, True, False]
    assert edits.use_references(new, 2, True) == script
    with pytest.raises(GuidanceError, match="true or false"):
        edits.use_references(script, 2, "no")


# --- settings -----------------------------------------------------------------------------------


def test_settings_of_film_and_shot(script):
    new = edits.set_setting(script, None, "stabilize.n_most", 20)
    new = edits.set_setting(new, 0, "stabilize.tau", 2.5)
    assert new.settings == {"stabilize": {"tau": 4.0, "n_most": 20}}
    assert new.shots[0].settings == {"stabilize": {"tau": 2.5}}
    assert new.shots[1:] == script.shots[1:]
    new = edits.set_setting(new, 0, "stabilize.tau", None)
    assert edits.set_setting(new, None, "stabilize.n_most", None) == script


def test_a_table_that_has_become_empty_is_taken_out(script):
    new = edits.set_setting(script, None, "stabilize.tau", None)
    assert new.settings == {}
    assert script.settings == {"stabilize": {"tau": 4.0}}


@pytest.mark.parametrize(
    ("shot", "key", "value", "message"),
    [
        (3, "stabilize.tau", 1.0, "shots 0 to 2"),
        (-1, "stabilize.tau", 1.0, "shots 0 to 2"),
        (True, "stabilize.tau", 1.0, "no shot True"),
        ("0", "stabilize.tau", 1.0, "no shot '0'"),
        (None, "stabilize", 1.0, "group of settings"),
        (None, "stabilize.tau.more", 1.0, "single value"),
        (None, "grade.saturation", 1.0, "change the grade"),
        (0, "compose.saturation", 1.0, "whole film"),
        (0, "device", "cpu", "whole film"),
        (None, "stabilize..tau", 1.0, "no setting"),
        (None, "", 1.0, "no setting"),
        (None, 7, 1.0, "no setting"),
        (None, "stabilize.tau", float("nan"), "no number"),
        (None, "stabilize.tau", {"a": 1}, "number, a word"),
        (None, "stabilize.tau", [[1]], "list holds"),
        (None, "stabilize.tau", 2**70, "too large"),
        (None, "stabilize.flow", "\udc00", "cannot be written"),
    ],
)  # fmt: skip
def test_what_is_no_setting_is_refused(script, shot, key, value, message):
    with pytest.raises(GuidanceError, match=message):
        edits.set_setting(script, shot, key, value)


def test_a_network_of_a_shot_is_not_hidden_by_its_settings(script):
    hidden = edits.set_setting(script, 0, "colorize.colorizer", "eccv16")
    new = edits.set_network(hidden, 0, "siggraph17", "siggraph17-retrained")
    assert new.shots[0].settings == {}
    assert (new.shots[0].colorizer, new.shots[0].weights) == ("siggraph17", "siggraph17-retrained")
    assert edits.set_network(new, 0, None, None) == script


def test_the_network_of_the_film_is_a_setting(script):
    new = edits.set_network(script, None, "eccv16", "eccv16-annealed")
    assert new.settings["colorize"] == {"colorizer": "eccv16", "weights": "eccv16-annealed"}
    new = edits.set_network(new, None, "eccv16", None)
    assert new.settings["colorize"] == {"colorizer": "eccv16"}
    assert edits.set_network(new, None, None, None) == script
    with pytest.raises(GuidanceError, match="empty"):
        edits.set_network(script, None, " ", None)


def test_grades_of_film_and_shot(script):
    new = edits.set_grade(edits.set_grade(script, None, "tint", 3), 0, "shadows", 0.5)
    assert new.grade == GradeConfig(saturation=1.1, tint=3.0)
    assert new.shots[0].grade == GradeConfig(shadows=0.5)
    back = edits.set_grade(edits.set_grade(new, None, "tint", None), 0, "shadows", None)
    assert back == script


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("temperature_k", 1.0, "did you mean 'temperature'"),
        ("neutral", None, "unknown key"),
        ("temperature", 101, "-100 to 100"),
        ("temperature", "warm", "expected float"),
        ("temperature", True, "expected float"),
        ("temperature", 10**400, "too large"),
        (None, 1.0, "must be a text"),
    ],
)  # fmt: skip
def test_what_is_no_grade_is_refused(script, field, value, message):
    for shot in (None, 1):
        with pytest.raises(GuidanceError, match=message):
            edits.set_grade(script, shot, field, value)


def test_notes(script):
    new = edits.set_note(script, 1, "day\nafter all")
    assert new.shots[1] == replace(script.shots[1], note="day\nafter all")
    with pytest.raises(GuidanceError, match="must be a text"):
        edits.set_note(script, 1, None)


def test_without_shots_nothing_can_be_said_of_one():
    with pytest.raises(GuidanceError, match="not known yet"):
        edits.set_note(ColorScript(1), 0, "x")


# --- objects ------------------------------------------------------------------------------------


def found(*rows: tuple[int, str]) -> list[TrackEntry]:
    return [TrackEntry(number, name, shot=number // 100_000, first=number) for number, name in rows]


def test_new_tracks_get_names_that_are_free(script):
    new = edits.know_tracks(script, found((2, "woman"), (3, "woman"), (4, "dog")))
    assert identities(new) == {
        1: "woman", 2: "woman-2", 3: "woman-2", 4: "dog",
        100001: "man", 200001: "woman", 200002: "car",
    }  # fmt: skip


def test_known_tracks_stay_and_new_ones_join_what_they_were_found_to_be(script):
    new = edits.know_tracks(script, found((200001, "a"), (200002, "b"), (200003, "b")))
    assert identities(new)[200003] == "car"
    assert new.tracks[:4] == script.tracks
    assert edits.know_tracks(new, found((200003, "woman"))) is new
    with pytest.raises(GuidanceError, match="no shot 3"):
        edits.know_tracks(script, found((300001, "x")))


def test_only_tracks_of_which_nothing_is_said_are_forgotten(script):
    pinned = edits.pin_track(script, 100001, "red")
    assert set(identities(edits.forget_tracks(pinned, None))) == {1, 100001, 200001}
    assert set(identities(edits.forget_tracks(script, 1))) == {1, 200001, 200002}
    assert edits.forget_tracks(script, 0) is script
    hinted = edits.add_hint(script, {**POINT, "track": 100001})
    assert edits.forget_tracks(hinted, 1) is hinted


def test_what_is_pinned_is_pinned_in_every_shot(script):
    new = edits.pin_track(script, 200001, "#102030")
    assert {entry.id: entry.color for entry in new.tracks if entry.color} == {
        1: "#102030", 200001: "#102030",
    }  # fmt: skip
    assert edits.pin_track(new, 1, None) == script
    with pytest.raises(GuidanceError, match="no color"):
        edits.pin_track(script, 1, "ruby red")


def test_merging_brings_the_whole_family_and_the_grade_along(script):
    new = edits.merge_tracks(edits.name_track(script, 200001, "Anna"), [200002, 1])
    assert identities(new) == {1: "car", 100001: "man", 200001: "car", 200002: "car"}
    assert {entry.name for entry in new.tracks if entry.identity == "car"} == {"Anna"}
    assert [(grade.identity, grade.grade.saturation) for grade in new.track_grades] == [
        ("car", 1.2)
    ]


def test_of_two_grades_that_of_the_first_stays(script):
    graded = edits.grade_track(script, 200002, "tint", 5)
    new = edits.merge_tracks(graded, [200002, 1])
    assert [(g.identity, g.grade) for g in new.track_grades] == [("car", GradeConfig(tint=5.0))]


def test_what_is_pinned_differently_is_not_merged(script):
    new = edits.pin_track(edits.pin_track(script, 1, "red"), 100001, "blue")
    with pytest.raises(GuidanceError, match="red and blue"):
        edits.merge_tracks(new, [1, 100001])
    same = edits.pin_track(new, 100001, "#ff0000")  # the same color in other words
    assert {entry.color for entry in edits.merge_tracks(same, [1, 100001]).tracks} == {"red", ""}


def test_a_parted_track_begins_anew_and_the_others_keep_what_was_said(script):
    # only the line that goes away had the color
    lines = tuple(replace(e, color="red") if e.id == 1 else e for e in script.tracks)
    new = edits.part_track(replace(script, tracks=lines), 1)
    assert identities(new)[1] == "person-1"
    assert {entry.id: entry.color for entry in new.tracks} == {
        1: "", 100001: "", 200001: "red", 200002: "",
    }  # fmt: skip
    assert edits.part_track(new, 1) is new
    assert new.grades_of_tracks() == {200001: GradeConfig(saturation=1.2)}


def test_grades_of_objects(script):
    new = edits.grade_track(script, 1, "tint", -4)
    assert new.grades_of_tracks()[200001] == GradeConfig(saturation=1.2, tint=-4.0)
    none = edits.grade_track(edits.grade_track(new, 1, "tint", None), 1, "saturation", None)
    assert none.track_grades == ()


def test_a_grade_of_a_single_track_is_the_one_that_counts(script):
    own = edits.add_hint(script, POINT)
    own = replace(
        own,
        track_grades=(*own.track_grades, TrackGrade(track=200001, grade=GradeConfig(vibrance=0.5))),
    )
    new = edits.grade_track(own, 200001, "tint", 7)
    assert new.grades_of_tracks()[200001] == GradeConfig(vibrance=0.5, tint=7.0)
    assert new.grades_of_tracks()[1] == GradeConfig(saturation=1.2)


@pytest.mark.parametrize("track", [7, True, "1", None, 1.0, [1]])
def test_unknown_objects_are_refused(script, track):
    for change in (
        edits.part_track,
        functools.partial(edits.pin_track, color="red"),
        functools.partial(edits.name_track, text="Anna"),
        functools.partial(edits.grade_track, field="tint", value=1),
    ):
        with pytest.raises(GuidanceError, match="there is no object"):
            change(script, track)
    with pytest.raises(GuidanceError, match="there is no object"):
        edits.merge_tracks(script, [1, track])


def test_a_merge_needs_two(script):
    for ids in ([1], [], "12", None, 5):
        with pytest.raises(GuidanceError, match="two objects or more"):
            edits.merge_tracks(script, ids)


def test_split_tracks_are_for_the_editor(script):
    early, late = (
        replace(script.tracks[0], until="0.5"),
        replace(script.tracks[0], since="0.5", identity="man"),
    )
    split = replace(script, tracks=(early, late, *script.tracks[1:]))
    with pytest.raises(GuidanceError, match="at first it is woman, later man"):
        edits.pin_track(split, 1, "red")
    assert identities(edits.merge_tracks(split, [1, 200002])) == {
        1: "woman", 100001: "woman", 200001: "woman", 200002: "woman",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["two\nlines", "bell\x07", "x" * 201, None, "\u2028"])
def test_what_is_no_name_is_refused(script, name):
    with pytest.raises(GuidanceError, match="the name"):
        edits.name_track(script, 1, name)


# --- properties ---------------------------------------------------------------------------------

TEXTS = st.text(max_size=12)
NUMBERS = st.one_of(st.floats(), st.integers(-3, 120), st.just(10**400), st.none(), st.booleans())
FRACTIONS = st.lists(st.floats(-0.5, 1.5), max_size=6)
SHOTS = st.sampled_from([None, 0, 1, 2, 3, -1, "1"])
TRACKS = st.sampled_from([1, 2, 100001, 200001, 200002, 300001, "auto", "none", None])
COLORS = st.one_of(st.sampled_from(["red", "#102030", "ab(3 4)", "auto", "rot"]), TEXTS)
KEYS = st.sampled_from(
    ["stabilize.tau", "stabilize", "colorize.colorizer", "remember.strength", "output.crf", "a.b.c"]
)
FIELDS = st.sampled_from(["saturation", "tint", "lut", "ranges", "no"])
VALUES = st.one_of(NUMBERS, TEXTS, st.lists(NUMBERS, max_size=3))
HINTS = st.fixed_dictionaries(
    {"color": COLORS},
    optional={
        "frame": NUMBERS,
        "points": FRACTIONS,
        "region": FRACTIONS,
        "whole": st.booleans(),
        "track": TRACKS,
        "note": TEXTS,
        "radius_px": NUMBERS,
        "reach": NUMBERS,
        "unit": st.sampled_from(["pixels", "fractions", "inches"]),
    },
)


def _nth_hint(script: ColorScript, number: int) -> str:
    names = [edits.hint_id(hint) for hint in script.hints]
    return names[number] if number < len(names) else "0123456789"


def _calls():
    nth = st.integers(0, 3)
    words = st.dictionaries(
        st.sampled_from(["color", "frame", "points", "track", "note", "reach"]), VALUES, max_size=3
    )
    tracks = st.lists(TRACKS, max_size=3)
    return st.one_of(
        HINTS.map(lambda w: lambda s: edits.add_hint(s, w)),
        st.tuples(nth, words).map(
            lambda a: lambda s: edits.change_hint(s, _nth_hint(s, a[0]), a[1])
        ),
        nth.map(lambda n: lambda s: edits.remove_hint(s, _nth_hint(s, n))),
        st.tuples(SHOTS, KEYS, VALUES).map(lambda a: lambda s: edits.set_setting(s, *a)),
        st.tuples(SHOTS, FIELDS, VALUES).map(lambda a: lambda s: edits.set_grade(s, *a)),
        st.tuples(SHOTS, TEXTS, TEXTS).map(lambda a: lambda s: edits.set_network(s, *a)),
        st.tuples(SHOTS, TEXTS).map(lambda a: lambda s: edits.set_note(s, *a)),
        st.tuples(SHOTS, st.booleans()).map(lambda a: lambda s: edits.use_references(s, *a)),
        st.tuples(TEXTS, st.lists(SHOTS, max_size=2)).map(
            lambda a: lambda s: edits.add_reference(s, {"file": a[0], "shots": a[1]})
        ),
        tracks.map(lambda t: lambda s: edits.merge_tracks(s, t)),
        TRACKS.map(lambda t: lambda s: edits.part_track(s, t)),
        st.tuples(TRACKS, COLORS).map(lambda a: lambda s: edits.pin_track(s, *a)),
        st.tuples(TRACKS, TEXTS).map(lambda a: lambda s: edits.name_track(s, *a)),
        st.tuples(TRACKS, FIELDS, VALUES).map(lambda a: lambda s: edits.grade_track(s, *a)),
        st.lists(
            st.tuples(st.integers(0, 300_002), st.sampled_from(["woman", "x"])), max_size=3
        ).map(lambda rows: lambda s: edits.know_tracks(s, found(*rows))),
        SHOTS.map(lambda n: lambda s: edits.forget_tracks(s, n)),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_calls(), min_size=1, max_size=8))
def test_whatever_is_done_reads_back_equal(script, tmp_path_factory, calls):
    done = 0
    for call in calls:
        before = script_text(script)
        try:
            new = call(script)
        except GuidanceError:
            new = script
        assert script_text(script) == before  # edits are pure
        done += new is not script
        script = new
    if done:
        folder = tmp_path_factory.getbasetemp()
        assert read_back(script, folder) == script


def test_shots_of_a_long_film_are_kept():
    many = ColorScript(1, shots=tuple(ShotEntry(n, 10 * n, 10 * n + 9) for n in range(500)))
    new = edits.set_note(many, 499, "last")
    assert [shot.number for shot in new.shots] == list(range(500))
    assert new.shots[499].note == "last"
