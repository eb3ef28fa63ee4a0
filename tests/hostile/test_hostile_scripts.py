"""Color scripts: broken ones are refused with their line, sound ones come back as they were."""

from __future__ import annotations

import dataclasses
import re
from functools import partial

import pytest
import readers
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor import schema
from vidcolor.color.grade import GradeConfig
from vidcolor.config import Config
from vidcolor.errors import GuidanceError
from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.script.entries import (
    ColorScript,
    ShotEntry,
    SourceEntry,
    Table,
    TrackGrade,
)
from vidcolor.guidance.script.file import check_source, read_script, script_text
from vidcolor.guidance.script.lines import key_lines
from vidcolor.guidance.tracks.file import TrackEntry

FILES = 150
FEW = settings(max_examples=60, derandomize=True, deadline=None)
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
SOUND = partial(schema.load, Config)
SHOTS = "[[shots]]\nnumber = 0\nstart = 0\nend = 5\n[[shots]]\nnumber = 1\nstart = 6\nend = 9\n"


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    made = readers.cases(tmp_path_factory.mktemp("cases"))
    return next(one for one in made if one.name == "script")


def test_a_broken_script_is_read_or_refused_in_one_line(case, tmp_path):
    (tmp_path / case.file).write_bytes(case.seeds[0])
    case.read(tmp_path / case.file)
    found = [readers.attempt(case, seed, tmp_path) for seed in range(FILES)]
    assert [finding for _, finding in found if finding] == []
    assert not all(good for good, _ in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 1\nshots = " + "[" * 50_000, "no TOML: nested too deep"),
        ("version = 1\n" + "a." * 50_000 + "a = 1", "line 2, column 1: no TOML: a key of"),
        ("version = 0x" + "f" * 100_000, "line 1: version: is a int that is too large to show"),
        ("version = 1\n[grade]\nsaturation = nan", "line 3: grade.saturation: nan is no number"),
        ("version = 1\n[grade]\nsaturation = 1e400", "line 3: grade.saturation: inf is no number"),
        ("version = 1\n[grade]\nsaturation = true", "line 3: grade.saturation: expected float"),
        ("version = true", "line 1: version: is True"),
        ("version = 1\n[grad]\nx = 1", r"line 2: grad: unknown key; did you mean 'grade'"),
        ("version = 1\n" + SHOTS.replace("end = 9", "end = 99999999999999999999"),
         r"line 9: shots\[1\].end: 99999999999999999999 is too large"),
        ("version = 1\n" + SHOTS + 'time = "1e999999999"\n',
         r"line 10: shots\[1\]\.time: '1e999999999' is none|line .*: time '1e999999999' is none"),
        ('version = 1\n[source]\nname = "x"\nframes = 1\nduration = "1"\n'
         'time_base = "1/' + "9" * 5000 + '"\n', "line 6: source.time_base: must be a"),
        ('version = 1\n"a\\nb\\u001b[2J" = 1', r"a\\nb\\x1b.2J: unknown key"),
        ("version = 1\nversion = 1", "end of document: no TOML: Cannot overwrite"),
        ("version = 1\n[[hints]]\ncolor = 'red'\nframe = -1\npoints = [1, 2]",
         r"hints\[0\].frame: must be 0 or more"),
        ("version = 1\n[[tracks]]\nid = 1\nidentity = 'a'\ntemplate = 'x'",
         r"is no color template"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, message):
    path = tmp_path / "film.vidcolor"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GuidanceError) as error:
        read_script(path, SOUND)
    said = str(error.value)
    assert said.startswith(str(path))
    assert said.isprintable()
    assert len(said) < 3000
    assert re.search(message, said), said


def test_other_encodings_and_line_ends(tmp_path):
    path = tmp_path / "film.vidcolor"
    text = f"version = 1\n{SHOTS}"
    for data in (b"\xef\xbb\xbf" + text.encode(), text.replace("\n", "\r\n").encode()):
        path.write_bytes(data)
        assert [len(shot) for shot in read_script(path).shots] == [6, 4]
    for data in (text.encode("utf-16"), text.encode() + b"\xff", text.encode() + b"\x00"):
        path.write_bytes(data)
        with pytest.raises(GuidanceError, match=r"film\.vidcolor"):
            read_script(path)


def test_a_script_of_more_than_64_megabytes_is_none(tmp_path):
    path = tmp_path / "film.vidcolor"
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(GuidanceError, match="larger than the 64 MB"):
        read_script(path)


def test_a_script_that_went_meanwhile_is_still_told_to_be_anothers(tmp_path):
    film, path = tmp_path / "film.mkv", tmp_path / "film.vidcolor"
    film.write_bytes(b"x")
    source = SourceEntry("other\n.mkv", 1, "1", "1/25", "0" * 32)
    script = ColorScript(1, source=source)
    for text in (None, "= broken", "version = 1\n[source]\nfingerprint = 'x'\n"):
        if text is not None:
            path.write_text(text)
        with pytest.raises(GuidanceError, match=r"is for another film: other\\n\.mkv") as error:
            check_source(script, path, film)
        assert (", line 3" in str(error.value)) == (text is not None and "version" in text)


@FEW
@given(st.text(st.characters(codec="utf-8") | st.sampled_from("[]{}='\"\n.,# \\"), max_size=200))
def test_lines_are_looked_for_in_whatever_is_toml(text):
    from vidcolor.given import parse_toml

    try:
        parse_toml(text)
    except ValueError:
        return
    assert all(1 <= line <= text.count("\n") + 1 for line in key_lines(text).values())


GRADES = st.builds(
    GradeConfig, saturation=st.floats(0, 2), temperature=st.floats(-50, 50)
)  # fmt: skip
HINTS = st.builds(
    HintEntry,
    color=st.sampled_from(("steelblue", "#a03020", "lab(50 20 -30)", "auto")),
    frame=st.integers(0, 9),
    region=st.lists(st.floats(-1e5, 1e5), min_size=4, max_size=4).map(tuple),
    note=TEXT,
)


@st.composite
def scripts(draw):
    shots, start = [], 0
    for number in range(draw(st.integers(1, 4))):
        length = draw(st.integers(1, 10**6))
        note, grade = draw(TEXT), draw(GRADES)
        table = (
            Table({"stabilize": {"tau": draw(st.floats(0.5, 8))}})
            if draw(st.booleans())
            else Table()
        )
        shots.append(
            ShotEntry(number, start, start + length - 1, note=note, grade=grade, settings=table)
        )
        start += length
    source = SourceEntry(draw(TEXT), start, "1:02:03.4", "1001/24000", draw(st.none() | TEXT))
    names = draw(st.lists(TEXT.filter(bool), max_size=3, unique=True))
    tracks = tuple(TrackEntry(i, name, label=draw(TEXT)) for i, name in enumerate(names))
    grades = tuple(TrackGrade(name, grade=draw(GRADES), note=draw(TEXT)) for name in names[:2])
    hints = tuple(h for h in draw(st.lists(HINTS, max_size=3)) if h.frame < start)
    return ColorScript(
        1, source, Table(), draw(GRADES), tuple(shots), tracks, grades, hints
    )  # fmt: skip


@FEW
@given(scripts())
def test_scripts_come_back(tmp_path_factory, script):
    path = tmp_path_factory.mktemp("script") / "film.vidcolor"
    path.write_text(script_text(script), encoding="utf-8", newline="")
    back = read_script(path, SOUND)
    for part in dataclasses.fields(ColorScript):
        assert getattr(back, part.name) == getattr(script, part.name), part.name
