"""A script divided by its shots has the keys that it has as a whole."""

import random
from dataclasses import replace

import pytest
from guidance.scripts import write

from vidcolor.color.grade import GradeConfig
from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.script.entries import Table, TrackGrade
from vidcolor.guidance.script.file import read_script
from vidcolor.guidance.script.key import shot_key
from vidcolor.guidance.script.share import Shares, shots_at
from vidcolor.guidance.tracks.file import TrackEntry


def _said(script, seed):
    """Everything about 12 shots of 8 frames, drawn by chance; identities go over several shots."""
    draw = random.Random(seed)
    shots = tuple(
        replace(
            script.shots[0],
            number=n,
            start=8 * n,
            end=8 * n + 7,
            pts=8 * n * 1001,
            end_pts=(8 * n + 7) * 1001,
            time=None,
            end_time=None,
            settings=Table(draw.choice([{}, {"stabilize": {"tau": 2.5}}])),
        )
        for n in range(12)
    )
    tracks = tuple(
        TrackEntry(
            id=100_000 * shot + 1 + number,
            identity=draw.choice("abcdefgh"),
            label="person",
            shot=shot,
        )
        for shot in range(12)
        for number in range(draw.randrange(3))
    )
    ids = [*(track.id for track in tracks), 300_077]  # the last is of a track that nobody knows
    grades = [
        TrackGrade(**{"identity": draw.choice("abcdefgh")} if draw.random() < 0.5
                   else {"track": draw.choice(ids)},
                   grade=GradeConfig(saturation=round(draw.uniform(0, 2), 2)))
        for _ in range(10)
    ]  # fmt: skip
    hints = [
        HintEntry(
            draw.choice(["red", "tan", "navy"]),
            **draw.choice([{"frame": draw.randrange(96)}, {"time": "0:00:01.500"}]),
            points=(10.0, 12.0),
            track=draw.choice(["none", "auto", draw.choice(ids)]),
        )
        for _ in range(25)
    ]
    hints += [HintEntry("red", whole=True, track=draw.choice(ids)) for _ in range(5)]
    return replace(
        script, shots=shots, tracks=tracks, track_grades=tuple(grades), hints=tuple(hints)
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_keys_are_those_of_the_whole_script(tmp_path, seed):
    script = _said(read_script(write(tmp_path)), seed)
    shares = Shares(script)
    parts = [shares.of(n) for n in range(12)]
    assert sum(len(part.hints) for part in parts) < 12 * len(script.hints)
    assert [shares.key(n, tmp_path) for n in range(12)] == [
        shot_key(script, n, tmp_path) for n in range(12)
    ]


def test_a_track_in_two_lines_is_graded_by_the_later_word(tmp_path):
    """Its lines have different identities; the order of grades is that of the script."""
    script = read_script(write(tmp_path))
    lines = tuple(
        TrackEntry(id=1, identity=name, label="person", first=n, last=n)
        for n, name in enumerate(("one", "two"))
    )
    for names in (("one", "two"), ("two", "one")):
        grades = tuple(
            TrackGrade(identity=name, grade=GradeConfig(saturation=0.5 + 0.1 * n))
            for n, name in enumerate(names)
        )
        own = replace(script, tracks=lines, track_grades=grades, hints=())
        assert Shares(own).of(0).grades_of_tracks() == {1: GradeConfig(saturation=0.6)}
        assert Shares(own).key(0, tmp_path) == shot_key(own, 0, tmp_path)


def test_hints_without_a_place_concern_all_shots(tmp_path):
    script = read_script(write(tmp_path))
    bare = tuple(replace(shot, pts=None, end_pts=None, time=None) for shot in script.shots)
    hint = HintEntry("red", time="0:00:01.500", points=(1.0, 2.0), track="none")
    shares = Shares(replace(script, shots=bare, hints=(hint,)))
    assert [shares.of(n).hints for n in range(3)] == [(hint,)] * 3


def test_where_something_lies(tmp_path):
    script = read_script(write(tmp_path))
    hint = HintEntry("red", frame=47, points=(1.0, 2.0))
    assert shots_at(script, hint.moment, None) == {1}
    assert shots_at(script, hint.moment, 200_001) == {2}
    assert shots_at(script, None, None) == set()
