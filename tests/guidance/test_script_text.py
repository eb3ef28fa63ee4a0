import tomllib
from dataclasses import dataclass, field

import numpy as np
import pytest

from vidcolor.guidance.script.text import to_data, to_text


@dataclass(frozen=True)
class Inner:
    size: int = 3
    name: str | None = None


@dataclass(frozen=True)
class Outer:
    needed: int
    inner: Inner = field(default_factory=Inner)
    parts: tuple[Inner, ...] = ()
    table: dict = field(default_factory=dict)
    points: tuple[float, ...] = ()


def test_defaults_are_left_out():
    assert to_data(Outer(0)) == {"needed": 0}
    record = Outer(1, Inner(4), (Inner(), Inner(name="x")), {"a": {"b": 1}}, (1.0, 2.0))
    assert to_data(record) == {
        "needed": 1,
        "inner": {"size": 4},
        "parts": [{}, {"name": "x"}],
        "table": {"a": {"b": 1}},
        "points": [1.0, 2.0],
    }


def test_a_line_for_each_thing():
    data = {
        "version": 1,
        "settings": {"stabilize": {"tau": 4.0}},
        "shots": [
            {"number": 0, "grade": {"saturation": 1.2}},
            {"number": 1, "grade": {"ranges": [{"center": 40.0}, {"center": 90.0}]}},
        ],
    }
    assert (
        to_text(data)
        == """\
version = 1

[settings.stabilize]
tau = 4.0

[[shots]]
number = 0
grade = {saturation = 1.2}

[[shots]]
number = 1

[shots.grade]
ranges = [
    {center = 40.0},
    {center = 90.0},
]
"""
    )


def test_long_lists_are_broken():
    points = [float(v) for v in np.arange(100)]
    text = to_text({"points": points, "pairs": [[1.0, 2.0]] * 20})
    assert tomllib.loads(text) == {"points": points, "pairs": [[1.0, 2.0]] * 20}
    assert max(map(len, text.splitlines())) <= 88
    assert text.count("    [1.0, 2.0],\n") == 20


def test_notes_of_several_lines_stay_readable():
    note = 'He said "blue".\nC:\\films\ttab'
    text = to_text({"note": note})
    assert text.splitlines()[1] == 'He said \\"blue\\".'
    assert tomllib.loads(text) == {"note": note}


@pytest.mark.parametrize("text", ["C:\\new\nsecond", "\\\n", 'a"""b\nc', "\n\n", "tab\t\nnul\x01"])
def test_lines_and_backslashes_come_back(text):
    assert tomllib.loads(to_text({"note": text})) == {"note": text}
