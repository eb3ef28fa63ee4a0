import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.guidance.script.lines import key_lines, nearest_line
from vidcolor.guidance.script.text import to_text

TEXT = '''\
# first

version = 1  # one
[source]
"odd = name" = "a # no comment [x]"
[settings.stabilize]
tau = 4.0

[[shots]]
number = 0
note = """
number = 7
[[shots]] \\""" """
[shots.grade]
ranges = [  # two
    {center = 10, width = 20},

    {center = 30},
]
[[shots]]
number = 1
grade.saturation = 2
when = 1979-05-27
[[shots.parts]]
a = \'\'\'
'\'\'\'
b = 'c:\\'
[[shots.parts]]
a = [[1, 2], [
3]]
'''


def test_every_key_has_its_line():
    tomllib.loads(TEXT)  # is TOML
    lines = key_lines(TEXT)
    wanted = {
        ("version",): 3,
        ("source", "odd = name"): 5,
        ("settings",): 6,
        ("settings", "stabilize", "tau"): 7,
        ("shots", 0): 9,
        ("shots", 0, "number"): 10,
        ("shots", 0, "note"): 11,
        ("shots", 0, "grade"): 14,
        ("shots", 0, "grade", "ranges"): 15,
        ("shots", 0, "grade", "ranges", 0, "width"): 16,
        ("shots", 0, "grade", "ranges", 1): 18,
        ("shots", 1): 20,
        ("shots", 1, "number"): 21,
        ("shots", 1, "grade", "saturation"): 22,
        ("shots", 1, "when"): 23,
        ("shots", 1, "parts", 0): 24,
        ("shots", 1, "parts", 0, "b"): 27,
        ("shots", 1, "parts", 1, "a"): 29,
        ("shots", 1, "parts", 1, "a", 1, 0): 30,
    }
    assert {key: lines.get(key) for key in wanted} == wanted


def test_windows_line_ends():
    assert key_lines("a = 1\r\n\r\n[b]\r\nc = 2\r\n") == {("a",): 1, ("b",): 3, ("b", "c"): 4}


def test_what_is_missing_is_where_its_table_is():
    lines = key_lines(TEXT)
    assert nearest_line(lines, ("shots", 1, "parts", 0, "x", "y")) == 24
    assert nearest_line(lines, ("shots", 7)) == 9
    assert nearest_line(lines, ("none",)) is None


_keys = st.one_of(st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True), st.text(max_size=4))
_leaves = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
_values = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_keys, inner, max_size=3)),
    max_leaves=12,
)


def _paths(value, path=()):
    yield path
    inside = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    for key, item in inside:
        yield from _paths(item, (*path, key))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(_keys, _values, max_size=5))
def test_whatever_is_written_is_read_and_found(data):
    text = to_text(data)
    assert tomllib.loads(text) == data
    assert set(key_lines(text)) == set(_paths(data)) - {()}
