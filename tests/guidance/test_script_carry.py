import logging
from dataclasses import replace

import pytest
from guidance.scripts import write

from vidcolor.color.grade import GradeConfig
from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.references.entries import ReferenceEntry
from vidcolor.guidance.script.carry import carry_over
from vidcolor.guidance.script.entries import ColorScript, ShotEntry, TrackGrade
from vidcolor.guidance.script.file import read_script, script_text
from vidcolor.guidance.tracks.file import TrackEntry


@pytest.fixture
def old(tmp_path):
    """Frames 0-23, 24-47, 48-95; see guidance.scripts."""
    return read_script(write(tmp_path))


def _shots(*starts, end=95):
    bounds = zip(starts, [start - 1 for start in starts[1:]] + [end], strict=True)
    return tuple(ShotEntry(i, *bound) for i, bound in enumerate(bounds))


def _new(*starts, tracks=()):
    return ColorScript(1, shots=_shots(*starts), tracks=tracks)


def _ids(script):
    return {entry.id: entry.identity for entry in script.tracks}


def test_the_same_shots_keep_everything(old, tmp_path):
    fresh = replace(old, settings={}, grade=GradeConfig(), hints=(), track_grades=(),
                    tracks=tuple(replace(e, identity=f"x{e.id}") for e in old.tracks))  # fmt: skip
    kept = carry_over(old, fresh)
    assert kept == old
    assert read_script(write(tmp_path, script_text(kept))) == old


def test_a_new_cut_in_the_first_shot(old, tmp_path):
    kept = carry_over(old, _new(0, 12, 24, 48))
    assert [shot.note for shot in kept.shots] == ["", "", "night", ""]
    assert kept.shots[2].grade == GradeConfig(temperature=-20)
    assert kept.shots[2].number == 2
    # the woman's track of shot 0 is gone with its shot, the others are renumbered
    assert _ids(kept) == {200_001: "man", 300_001: "woman", 300_002: "car"}
    assert [entry.shot for entry in kept.tracks] == [2, 3, 3]
    read_script(write(tmp_path, script_text(kept)))  # and is a script


def test_parts_of_a_shot_take_over_what_it_said(old):
    kept = carry_over(old, _new(0, 24, 30, 48))
    assert [shot.note for shot in kept.shots] == ["", "night", "night", ""]
    assert kept.shots[2].settings == {"anchor": {"strength": 0.5}}


def test_a_moved_cut_goes_by_most_frames(old):
    kept = carry_over(old, _new(0, 20, 50))
    assert [shot.note for shot in kept.shots] == ["", "night", ""]
    assert [(shot.start, shot.end) for shot in kept.shots] == [(0, 19), (20, 49), (50, 95)]


def test_new_tracks_know_old_identities(old):
    """The new grouping says: track 1 is track 200001's object, and 1 is the woman of old."""
    found = (
        TrackEntry(1, "person-1", shot=0),
        TrackEntry(100_001, "person-2", shot=1),
        TrackEntry(200_001, "person-1", shot=2),
        TrackEntry(300_001, "car", shot=3),
    )
    kept = carry_over(old, _new(0, 24, 48, 72, tracks=found))
    assert _ids(kept) == {
        1: "woman",
        100_001: "man",
        200_001: "woman",
        300_001: "car",  # the car of old is gone with its shot: the name is free
    }
    again = carry_over(old, _new(0, 24, 48, 72, tracks=(replace(found[3], identity="man"),)))
    assert _ids(again) == {1: "woman", 100_001: "man", 300_001: "man-new"}


def test_hints_grades_and_references_are_renumbered(old, caplog):
    old = replace(
        old,
        hints=(
            HintEntry("red", whole=True, track=200_001),
            HintEntry("red", whole=True, track=1),
            HintEntry("red", frame=5, points=(1.0, 1.0), track=1),
            HintEntry("red", frame=5, points=(1.0, 1.0), track="none"),
        ),
        track_grades=(TrackGrade(track=100_001), TrackGrade("woman"), TrackGrade(track=1)),
        references=(ReferenceEntry("a.png", shots=(0, 2)), ReferenceEntry("b.png")),
    )
    with caplog.at_level(logging.WARNING):
        kept = carry_over(old, _new(0, 12, 24, 48))
    assert [hint.track for hint in kept.hints] == [300_001, 1, "auto", "none"]
    assert [grade.track for grade in kept.track_grades] == [200_001, None, 1]
    assert [entry.shots for entry in kept.references] == [(0, 1, 3), ()]
    assert [record.getMessage()[:24] for record in caplog.records] == [
        "a grade is for track 1, ",
        "hints[1] is for track 1,",
    ]


def test_a_swallowed_shot_leaves_its_references(old):
    old = replace(old, references=(ReferenceEntry("a.png", shots=(1,)),))
    assert carry_over(old, _new(0)).references[0].shots == (0,)
    assert carry_over(old, _new(0, 40)).references[0].shots == (0,)
