"""The page about the color script says everything, and its example is one."""

import dataclasses
import functools
import re
from pathlib import Path

import pytest

from vidcolor.color.grade import GradeConfig, HueRange
from vidcolor.config import Config
from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.references.entries import ReferenceEntry
from vidcolor.guidance.script.entries import ColorScript, ShotEntry, SourceEntry, TrackGrade
from vidcolor.guidance.script.file import read_script, script_text
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.schema import load
from vidcolor.stages.merge import MergeConfig

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "color-script.md").read_text(encoding="utf-8")
GRADE = (DOCS / "grade.md").read_text(encoding="utf-8")


def _keys(text):
    """Names in code marks of the tables' first column; `[[shots]]` counts as shots."""
    cells = re.findall(r"^\| ([^|]*`[^|]*) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`\[{0,2}([a-z_]+)\]{0,2}`", cell)}


def test_the_example_is_a_script(tmp_path):
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example
    path = tmp_path / "film.vidcolor"
    path.write_text(example[1], encoding="utf-8")
    script = read_script(path, functools.partial(load, Config))
    assert script.shots[1].grade.ranges[0].saturation == 0.3
    assert script.grades_of_tracks() == {
        1: GradeConfig(saturation=1.2), 100_001: GradeConfig(saturation=1.2),
    }  # fmt: skip
    # it is written as programs write it, so that readers meet no other form
    assert script_text(script).partition("\n\n")[2] == example[1]


@pytest.mark.parametrize(
    ("section", "record"),
    [
        ("## Reference", ColorScript),
        ("### `[source]`", SourceEntry),
        ("### `[[shots]]`", ShotEntry),
        ("### `[[tracks]]`", TrackEntry),
        ("### `[[track_grades]]`", TrackGrade),
        ("### `[[hints]]`", HintEntry),
        ("### `[[references]]`", ReferenceEntry),
    ],
)
def test_every_key_is_explained(section, record):
    found = re.search(rf"^{re.escape(section)}\n(.*?)(?=^##)", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    fields = {field.name for field in dataclasses.fields(record)}
    assert _keys(found[1]) - {"false"} == fields


def test_every_key_of_the_grade_is_explained():
    merge, grade = GRADE.partition("## Two colorizers")[2], GRADE.partition("## Two colorizers")[0]
    assert _keys(grade) == {field.name for field in dataclasses.fields(GradeConfig)}
    assert _keys(merge) == {field.name for field in dataclasses.fields(MergeConfig)}
    for field in dataclasses.fields(HueRange):
        assert f"`{field.name}`" in grade
