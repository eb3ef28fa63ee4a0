import functools
import re
import tomllib
from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest
from guidance.scripts import SCRIPT, write

from vidcolor.color.grade import GradeConfig, HueRange
from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.guidance.moment import Moment
from vidcolor.guidance.references.entries import ReferenceEntry
from vidcolor.guidance.script.entries import SourceEntry, TrackGrade, fingerprint, timecode
from vidcolor.guidance.script.file import check_source, read_script, script_text
from vidcolor.schema import load


@dataclass(frozen=True)
class Stabilize:
    tau: float = 2.0

    def __post_init__(self):
        if self.tau < 0:
            raise ConfigError(f"tau must be 0 or more, not {self.tau}")


@dataclass(frozen=True)
class Anchor:
    strength: float = 1.0


@dataclass(frozen=True)
class Config:
    stabilize: Stabilize = field(default_factory=Stabilize)
    anchor: Anchor = field(default_factory=Anchor)


CHECK = functools.partial(load, Config)


def test_everything_is_read(tmp_path):
    script = read_script(write(tmp_path), CHECK)
    assert script.source == SourceEntry("film.mkv", 96, "0:00:04.004", "1/24000")
    assert script.settings == {"stabilize": {"tau": 4.0}}
    assert script.grade == GradeConfig(saturation=1.1)
    assert [len(shot) for shot in script.shots] == [24, 24, 48]
    night = script.shots[1]
    assert (night.note, night.colorizer, night.weights) == ("night", "siggraph17", None)
    assert night.grade == GradeConfig(temperature=-20)
    assert night.settings == {"anchor": {"strength": 0.5}}
    assert [track.identity for track in script.tracks] == ["woman", "man", "woman", "car"]
    assert script.hints[1].track == 1


def test_what_is_written_is_read_again(tmp_path):
    script = read_script(write(tmp_path))
    script = replace(
        script,
        grade=GradeConfig(ranges=(HueRange(40.0, shift=3.5), HueRange(90.0))),
        references=(ReferenceEntry("woman.png", shots=(0, 2)),),
        track_grades=(TrackGrade(track=1, grade=GradeConfig(lut="looks/a b.cube"), note='"x"\n'),),
    )
    text = script_text(script)
    again = read_script(write(tmp_path, text))
    assert again == script
    assert script_text(again) == text
    assert tomllib.loads(text)["track_grades"][0]["note"] == '"x"\n'


def test_one_change_is_one_line(tmp_path):
    script = read_script(write(tmp_path))
    before = script_text(script).splitlines()
    shots = list(script.shots)
    shots[1] = replace(shots[1], note="day for night")
    after = script_text(replace(script, shots=tuple(shots))).splitlines()
    assert [(a, b) for a, b in zip(before, after, strict=True) if a != b] == [
        ('note = "night"', 'note = "day for night"')
    ]


def test_little_is_needed(tmp_path):
    script = read_script(write(tmp_path, "version = 1\n"))
    assert script.shots == ()
    assert script.grade.neutral


WRONG = [
    # what to replace, with what, the line that is named, what is said
    ("version = 1", "version = 2", "version = 2", "version: is 2, this program reads 1"),
    ('name = "film.mkv"', "name = film", "name = film", "column 8: no TOML: Invalid value"),
    ("tau = 4.0", "tau = -1.0", "tau = -1.0", "settings.stabilize.tau: must be 0 or more, not -1"),
    ("tau = 4.0", "tao = 1.0", "tao = 1.0",
     "settings.stabilize.tao: unknown key; did you mean 'tau'?"),
    ("[settings.stabilize]", "[settings.stabilise]", "[settings.stabilise]",
     "settings.stabilise: unknown key; did you mean 'stabilize'?"),
    ("saturation = 1.1", "saturatoin = 1.1", "saturatoin = 1.1",
     "grade.saturatoin: unknown key; did you mean 'saturation'?"),
    ("saturation = 1.1", "saturation = 11", "saturation = 11",
     "grade.saturation: must be 0 to 4, not 11.0"),
    ("saturation = 1.1", 'saturation = "1"', 'saturation = "1"',
     "grade.saturation: expected float, got str '1'"),
    ("{temperature = -20.0}", "{ranges = [{center = 400}]}", "grade = {ranges = [{center = 400}]}",
     "shots[1].grade.ranges[0].center: must be 0 to 360, not 400.0"),
    ("number = 1\n", "number = 2\n", "number = 2",
     "shots[1].number: is 2, but this is shot 1 of the list"),
    ("start = 24", "start = 25", "start = 25",
     "shots[1].start: is 25 and leaves a hole: it must be 24, the frame after that shot's end"),
    ("start = 24", "start = 20", "start = 20",
     "shots[1].start: is 20 and overlaps the shot before: it must be 24"),
    ("start = 0", "start = 1", "start = 1",
     "shots[0].start: is 1 and leaves a hole: it must be 0, the first frame"),
    ("end = 47\n", "end = 20\n", "end = 20", "shots[1].end: 20 lies before start 24"),
    ("end = 95\n", "end = 90\n", "end = 90",
     "shots[2].end: is 90, but the film has frames 0 to 95"),
    ("pts = 24024", "pts = 23000", "pts = 23000",
     "shots[1].pts: is 23000, not after 23023, where shot 0 ends"),
    ('time = "0:00:01.001"', 'time = "0:00:02.5"', 'time = "0:00:02.5"',
     "shots[1].time: is 0:00:02.5, but its pts 24024 is at 0:00:01.001; times are for reading"),
    ("start = 24\n", "", "[[shots]]", "shots[1].start: missing; it has no default"),
    ("anchor = {strength", "cut = {threshold", "cut = {threshold = 0.5}",
     "shots[1].settings.cut: belongs into [settings], to the whole film"),
    ("anchor = {strength", "grade = {saturation", "grade = {saturation = 0.5}",
     "shots[1].settings.grade: belongs into [shots.grade]"),
    ("anchor = {strength", "anchor = {strength_", "anchor = {strength_ = 0.5}",
     "shots[1].settings.anchor.strength_: unknown key; did you mean 'strength'?"),
    ("shot = 1", "shot = 3", "shot = 3",
     "tracks[1].shot: there is no shot 3; the last one is 2"),
    ("id = 200002", "id = 200001", "[[tracks]]", "tracks[3]: track 200001 has two lines"),
    ('"woman"\ngrade', '"womann"\ngrade', 'identity = "womann"',
     "track_grades[0].identity: there is no 'womann'; did you mean 'woman'?"),
    ('"steelblue"', '"steelblu"', 'color = "steelblu"',
     "hints[0].color: 'steelblu' is no color; did you mean 'steelblue'?"),
    ("frame = 30", "frame = 96", "frame = 96", "hints[0].frame: 96 lies behind the end; the film"),
    ("frame = 30", "frames = 30", "frames = 30",
     "hints[0].frames: unknown key; did you mean 'frame'?"),
    ("[[track_grades]]", "[[trak_grades]]", "[[trak_grades]]",
     "trak_grades: unknown key; did you mean 'track_grades'?"),
    ("[grade]\nsaturation = 1.1", "grade = 3", "grade = 3", "settings.stabilize.grade: unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "line", "said"), WRONG)
def test_wrong_scripts_say_line_and_key(before, after, line, said, tmp_path):
    assert before in SCRIPT
    path = write(tmp_path, SCRIPT.replace(before, after, 1))
    with pytest.raises(GuidanceError) as caught:
        read_script(path, CHECK)
    found = re.fullmatch(rf"{re.escape(str(path))}, line (\d+)[:,] (.*)", str(caught.value))
    assert found
    assert found[2].startswith(said)
    assert path.read_text().splitlines()[int(found[1]) - 1] == line


def test_version_is_needed(tmp_path):
    with pytest.raises(GuidanceError, match="version is missing; a color script begins with"):
        read_script(write(tmp_path, "[grade]\n"))


def test_files_that_are_none(tmp_path):
    with pytest.raises(GuidanceError, match="cannot be read: No such file"):
        read_script(tmp_path / "none.vidcolor")
    (tmp_path / "x.vidcolor").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GuidanceError, match="no text in UTF-8"):
        read_script(tmp_path / "x.vidcolor")


def test_another_film_is_refused(tmp_path):
    film, other = tmp_path / "film.mkv", tmp_path / "other.mkv"
    film.write_bytes(b"a" * 1_000_000)
    other.write_bytes(b"a" * 999_999 + b"b")
    line = f'fingerprint = "{fingerprint(film)}"\n'
    path = write(tmp_path, SCRIPT.replace("[settings", line + "[settings", 1))
    script = read_script(path)
    check_source(script, path, film)
    with pytest.raises(GuidanceError, match=r"line 9: the script is for another film: film\.mkv"):
        check_source(script, path, other)
    # without a fingerprint the person answers for it
    path = write(tmp_path)
    check_source(read_script(path), path, other)


def test_fingerprint_sees_size_and_both_ends(tmp_path):
    seen = set()
    for i, data in enumerate((b"", b"a", b"ab" * 500_000, b"ab" * 500_001,
                              b"b" + b"ab" * 500_000, b"ab" * 500_000 + b"b")):  # fmt: skip
        path = tmp_path / str(i)
        path.write_bytes(data)
        seen.add(fingerprint(path))
    assert len(seen) == 6
    with pytest.raises(GuidanceError, match="cannot be read"):
        fingerprint(tmp_path / "none")


def test_timecodes():
    assert timecode(Fraction(0)) == "0:00:00.000"
    assert timecode(Fraction(24024, 24000)) == "0:00:01.001"
    assert timecode(Fraction(3723) + Fraction(4, 10)) == "1:02:03.400"
    assert timecode(Fraction(599999, 10000)) == "0:01:00.000"


@pytest.mark.parametrize(
    ("moment", "shot"),
    [
        (Moment(frame=0), 0),
        (Moment(frame=23), 0),
        (Moment(frame=24), 1),
        (Moment(frame=95), 2),
        (Moment(pts=23023), 0),
        (Moment(pts=24024), 1),
        (Moment(pts=-1), None),
        (Moment(time="0:00:01.000"), 0),  # within the last frame of the shot
        (Moment(time="0:00:01.001"), 1),
        (Moment(time=3.9), 2),
    ],
)
def test_moments_lie_in_shots(moment, shot, tmp_path):
    script = read_script(write(tmp_path))
    assert script.shot_at(moment) == shot


def test_rounded_times_find_their_shot(tmp_path):
    """1.00104 s is written as 0:00:01.001."""
    script = read_script(write(tmp_path))
    first, second, third = script.shots
    script = replace(script, shots=(first, replace(second, pts=24_025), third))
    assert timecode(Fraction(24_025, 24_000)) == "0:00:01.001"
    assert script.shot_at(Moment(time="0:00:01.001")) == 1
    assert script.shot_at(Moment(time="0:00:01.000")) == 0


def test_grades_reach_all_tracks_of_an_identity(tmp_path):
    script = read_script(write(tmp_path))
    own = GradeConfig(tint=5)
    script = replace(script, track_grades=(TrackGrade(track=200_001, grade=own),
                                           *script.track_grades))  # fmt: skip
    assert script.grades_of_tracks() == {1: GradeConfig(saturation=1.2), 200_001: own}
