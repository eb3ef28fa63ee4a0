from dataclasses import replace

import pytest
import torch
from guidance.scripts import SCRIPT, write

from vidcolor.color.grade import GradeConfig
from vidcolor.errors import GuidanceError
from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.references.entries import ReferenceEntry
from vidcolor.guidance.script.entries import TrackGrade
from vidcolor.guidance.script.file import read_script
from vidcolor.guidance.script.key import (
    film_settings,
    overrides,
    shot_key,
    shots_of_hint,
)
from vidcolor.guidance.template import GRID, Template

# the woman is in shots 0 and 2, the man in 1, the car in 2


@pytest.fixture
def script(tmp_path):
    return read_script(write(tmp_path))


def _changed(before, after, folder):
    """Numbers of the shots whose key is another one."""
    return [
        shot.number
        for shot in before.shots
        if shot_key(before, shot.number, folder) != shot_key(after, shot.number, folder)
    ]


def _edit(before, after, tmp_path):
    """Shots that an edit of the file changes."""
    assert before in SCRIPT
    some = Template(torch.zeros(2, GRID, GRID), torch.ones(GRID, GRID), torch.ones(GRID, GRID))
    after = after.replace("@", some.to_text())
    return _changed(
        read_script(write(tmp_path)),
        read_script(write(tmp_path, SCRIPT.replace(before, after, 1))),
        tmp_path,
    )


def test_keys_are_stable_and_differ(script, tmp_path):
    keys = [shot_key(script, i, tmp_path) for i in range(3)]
    assert keys == [shot_key(read_script(write(tmp_path)), i, tmp_path) for i in range(3)]
    assert len(set(keys)) == 3
    assert all(len(key) == 64 for key in keys)


@pytest.mark.parametrize(
    ("before", "after", "shots"),
    [
        ("temperature = -20.0", "temperature = -21.0", [1]),
        ('colorizer = "siggraph17"', 'colorizer = "quarternet"', [1]),
        ('colorizer = "siggraph17"', 'weights = "mine.safetensors"', [1]),
        ("strength = 0.5", "strength = 0.6", [1]),
        ("tau = 4.0", "tau = 3.0", [0, 1, 2]),
        ("saturation = 1.1", "saturation = 1.0", [0, 1, 2]),
        ("saturation = 1.2", "saturation = 1.3", [0, 2]),
        ('identity = "man"', 'identity = "woman"', [0, 1, 2]),
        ('identity = "car"', 'identity = "truck"', []),  # only a name
        ('identity = "car"', 'identity = "man"', [1, 2]),
        ('label = "person"\n', 'label = "person"\ncolor = "red"\n', [0, 2]),  # pinned
        ('label = "person"\n', 'label = "person"\nname = "Anna"\ntime = "0:00:00.1"\n', []),
        ('label = "person"\n', 'template = "@"\n', [0, 2]),
        ("id = 200001", "id = 200003", [2]),
        ('note = "night"', 'note = "nacht"', []),
        ('color = "steelblue"', 'color = "tan"', [1]),
        ('color = "#803020"', 'color = "tan"', [0, 2]),
        ("frame = 30", "frame = 20", [0, 1]),
        ('track = "none"', 'track = "auto"', [1]),
        ('name = "film.mkv"', 'name = "movie.mkv"', []),
    ],
)  # fmt: skip
def test_a_change_reaches_its_shots_only(before, after, shots, tmp_path):
    assert _edit(before, after, tmp_path) == shots


def test_order_and_form_of_the_file_mean_nothing(script, tmp_path):
    text = SCRIPT.replace("grade = {temperature = -20.0}", "grade.temperature = -20")
    text = text.replace("tau = 4.0", "tau = 4.00  # calm")
    assert _changed(script, read_script(write(tmp_path, text)), tmp_path) == []
    other = replace(script, tracks=script.tracks[::-1])
    assert _changed(script, other, tmp_path) == []


def test_a_new_cut_leaves_the_others(script, tmp_path):
    """Shot 0 in two: the shots behind it have another number, and nothing else."""
    first, second, third = script.shots
    shots = (
        replace(first, end=11, end_pts=11011),
        replace(first, number=1, start=12, pts=12012, time=None),
        replace(second, number=2),
        replace(third, number=3),
    )
    tracks = tuple(
        replace(track, id=track.id + 100_000, shot=track.shot + 1) if track.shot else track
        for track in script.tracks
    )
    after = replace(script, shots=shots, tracks=tracks)
    grades = (TrackGrade("woman", grade=GradeConfig(saturation=1.2)),)
    after = replace(after, track_grades=grades, hints=())
    script = replace(script, hints=())
    assert shot_key(after, 2, tmp_path) == shot_key(script, 1, tmp_path)
    assert shot_key(after, 3, tmp_path) == shot_key(script, 2, tmp_path)
    assert shot_key(after, 0, tmp_path) != shot_key(script, 0, tmp_path)


def test_references(script, tmp_path):
    picture = tmp_path / "woman.png"
    picture.write_bytes(b"red")
    everywhere = replace(script, references=(ReferenceEntry("woman.png"),))
    somewhere = replace(script, references=(ReferenceEntry("woman.png", shots=(2,)),))
    assert _changed(script, everywhere, tmp_path) == [0, 1, 2]
    assert _changed(script, somewhere, tmp_path) == [2]
    deaf = replace(everywhere.shots[1], references=False)
    without = replace(everywhere, shots=(everywhere.shots[0], deaf, everywhere.shots[2]))
    assert _changed(script, without, tmp_path) == [0, 2]
    keys = [shot_key(somewhere, i, tmp_path) for i in range(3)]
    picture.write_bytes(b"blue")
    assert [shot_key(somewhere, i, tmp_path) == key for i, key in enumerate(keys)] == [
        True, True, False,
    ]  # fmt: skip
    with pytest.raises(GuidanceError, match=r"none\.png: cannot be read"):
        shot_key(replace(script, references=(ReferenceEntry("none.png"),)), 0, tmp_path)


def test_a_folder_of_references_counts_with_what_is_in_it(script, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"a")
    script = replace(script, references=(ReferenceEntry("pictures"),))
    before = shot_key(script, 0, tmp_path)
    (tmp_path / "pictures" / "b.png").write_bytes(b"b")
    assert shot_key(script, 0, tmp_path) != before


def test_the_content_of_a_look_counts(script, tmp_path):
    look = tmp_path / "look.cube"
    look.write_text("one")
    with_look = replace(script.shots[0], grade=GradeConfig(lut="look.cube"))
    script = replace(script, shots=(with_look, *script.shots[1:]))
    keys = [shot_key(script, i, tmp_path) for i in range(3)]
    look.write_text("other")
    assert [shot_key(script, i, tmp_path) == key for i, key in enumerate(keys)] == [
        False, True, True,
    ]  # fmt: skip


def test_a_grade_that_does_nothing_is_none(script, tmp_path):
    shots = (replace(script.shots[0], grade=GradeConfig(lut="x.cube", lut_strength=0)),
             *script.shots[1:])  # fmt: skip
    nothing = TrackGrade("car")
    after = replace(script, shots=shots, track_grades=(*script.track_grades, nothing))
    assert _changed(script, after, tmp_path) == []


@pytest.mark.parametrize(
    ("hint", "shots"),
    [
        ({"frame": 30, "points": (1.0, 1.0), "track": "none"}, {1}),
        ({"frame": 30, "points": (1.0, 1.0), "track": "auto"}, {1}),
        ({"frame": 5, "points": (1.0, 1.0), "track": "auto"}, {0, 2}),  # perhaps the woman
        ({"frame": 30, "points": (1.0, 1.0), "track": 200_001}, {0, 1, 2}),
        ({"whole": True, "track": 200_002}, {2}),
        ({"whole": True, "track": 100_009}, {1}),  # a track that the script does not list
        ({"time": "0:00:01.5", "whole": True, "track": "none"}, {1}),
    ],
)
def test_shots_of_hints(hint, shots, script):
    assert shots_of_hint(script, HintEntry("red", **hint)) == shots


def test_hints_that_cannot_be_placed_count_everywhere(script):
    bare = tuple(replace(shot, pts=None, time=None) for shot in script.shots)
    hint = HintEntry("red", pts=24024, points=(1.0, 1.0))
    assert shots_of_hint(script, hint) == {1}
    assert shots_of_hint(replace(script, shots=bare), hint) == {0, 1, 2}


def test_settings_of_shots(script, tmp_path):
    film = {"stabilize": {"tau": 4.0}, "grade": {"saturation": 1.1}}
    assert film_settings(script, tmp_path) == film
    assert overrides(script, 0, tmp_path) == film
    assert overrides(script, 1, tmp_path) == {
        **film,
        "colorize": {"colorizer": "siggraph17", "weights": "auto"},
        "anchor": {"strength": 0.5},
    }
    script = replace(script, grade=GradeConfig(lut="a.cube"))
    assert film_settings(script, tmp_path)["grade"] == {"lut": str(tmp_path / "a.cube")}
