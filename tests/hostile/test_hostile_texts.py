"""Texts that a person gives: whatever they hold, a record or one line that says what is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import string
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import pytest
import readers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor import given as gift
from vidcolor import schema
from vidcolor.config import Config
from vidcolor.errors import ConfigError, GuidanceError, MediaError, WeightsError
from vidcolor.guidance.colors import parse_color
from vidcolor.guidance.hints.entries import HintEntry, read_hints
from vidcolor.guidance.moment import Moment, parse_time
from vidcolor.guidance.tracks.file import TrackEntry, TracksFile, load_tracks, to_text
from vidcolor.models.store import cache_dir
from vidcolor.records import Detected, Detections
from vidcolor.stages.boxes_file import BoxesFile, boxes_line
from vidcolor.stages.shots_file import Shot, read_shots, shots_to_json

FEW = settings(max_examples=40, derandomize=True, deadline=None)
FILES = 60  # of each reader here; scripts/fuzz.py takes as many as there is time
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=30)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    return {case.name: case for case in readers.cases(folder)}


NAMES = (
    "boxes", "shots", "hints", "tracks", "spots", "cube", "config", "train config",
    "evaluate config", "list of pictures", "labels", "boxes of COCO", "pictures of COCO",
    "finished set", "painted frame", "reference", "mask", "hole",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_file_is_read_or_refused_in_one_line(cases, name, tmp_path):
    case = cases[name]
    for data in case.seeds:
        (tmp_path / case.file).write_bytes(data)
        case.read(tmp_path / case.file)  # or nothing below would say anything
    found = [readers.attempt(case, seed, tmp_path) for seed in range(FILES)]
    assert [finding for _, finding in found if finding] == []
    assert not all(good for good, _ in found)


# --- what is no file ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMES, "script"])
def test_what_is_no_file_is_refused_and_not_waited_for(cases, name, tmp_path):
    case = cases[name]
    path = tmp_path / case.file
    os.mkfifo(path)
    with pytest.raises(case.refuses) as error:
        case.read(path)
    assert case.file in str(error.value)
    path.unlink()
    path.mkdir()
    with pytest.raises(case.refuses):
        case.read(path)
    path.rmdir()
    if name != "finished set":  # is then simply not finished
        with pytest.raises(case.refuses):
            case.read(path)


def test_a_name_that_no_file_can_have_is_refused(tmp_path):
    for name in ("a\0b.json", "a\ud800.json", "x" * 5000):
        with pytest.raises(GuidanceError):
            read_shots(tmp_path / name)


def test_a_folder_between_files_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(GuidanceError, match="cannot be read"):
        load_tracks(tmp_path / "file" / "t.json")


def test_a_file_that_grows_while_it_is_read_stays_within_its_limit(tmp_path, monkeypatch):
    path = tmp_path / "c.toml"
    path.write_bytes(b"#" * 3000)
    real = os.fstat

    def smaller(handle):
        found = real(handle)
        return os.stat_result((found.st_mode, *found[1:6], 10, *found[7:]))

    monkeypatch.setattr(os, "fstat", smaller)
    assert gift.read_file(path, 3000) == b"#" * 3000
    with pytest.raises(OSError, match="larger than"):
        gift.read_file(path, 2999)


def test_a_config_of_more_than_ten_megabytes_is_none(tmp_path):
    path = tmp_path / "c.toml"
    with path.open("wb") as file:
        file.truncate((10 << 20) + 1)
    with pytest.raises(ConfigError, match=r"c\.toml: .*larger than the 10 MB"):
        schema.read_toml(path)


def test_what_nobody_may_read_is_refused(tmp_path):
    path = tmp_path / "s.json"
    path.write_text("{}")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("everything may be read here")
    with pytest.raises(GuidanceError, match=r"s\.json cannot be read: Permission denied"):
        read_shots(path)


# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ('[{"a": 1},\n {"b": 1, "b": 2}]', "the key 'b' stands twice", 2, 2),
        ('[{"a": 1},\n {"b": 1e400}]', "the number 1e400 is too large", 2, 8),
        ('[{"b":\n -9223372036854775809}]', "too large", 2, 2),
        ('{"b":\n NaN}', "NaN is no number", 2, 2),
        ('{"b": -Infinity}', "-Infinity is no number", 1, 7),
        ("[" * 100_000, "nested too deep", 1, 1),
        ('{"a":' * 100_000, "nested too deep", 1, 1),
        ("[" + "9" * 1_000_000 + "]", "too large", 1, 2),
        ('["a",\n "\\ud800"]', "lone surrogate", 2, 3),
    ],
)
def test_json_that_is_odd_is_refused_with_its_place(text, message, line, column):
    with pytest.raises(json.JSONDecodeError, match=message) as error:
        gift.parse_json(text)
    assert (error.value.lineno, error.value.colno) == (line, column)
    assert len(str(error.value)) < 300


@FEW
@given(
    st.recursive(
        st.none() | st.booleans() | TEXT | st.integers(-(2**63) + 1, 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    )
)  # fmt: skip
def test_json_is_what_it_says(value):
    assert gift.parse_json(json.dumps(value)) == value
    assert gift.parse_json(json.dumps(value, ensure_ascii=False)) == value


def test_numbers_keep_their_sign_and_pairs_of_surrogates_are_letters():
    assert gift.parse_json("[-7, 7, -0.5]") == [-7, 7, -0.5]
    assert gift.parse_json('"\\ud83d\\ude00"') == "\U0001f600"


# --- TOML and settings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a." * 200_000 + "a = 1", "a key of more than 64 parts"),
        ("[" + '"a" . ' * 100 + "b]", "a key of more than 64 parts"),
        ("x = " + "[" * 100_000, "nested too deep"),
        ("x = " + "{a=" * 100_000, "nested too deep"),
        ("x = " + "9" * 1_000_000, "cannot be read"),
        ("x = 0x" + "f" * 1_000_000, r"config\.x: unknown key"),
        ("[input]\nbatch_size = 0x" + "f" * 1_000_000, "a int that is too large to show"),
        ("[input]\nstart = nan", "is no number"),
        ("[input]\nstart = inf", "is no number"),
        ("[input]\nbatch_size = 99999999999999999999", "too large"),
        ("[input]\nbatch_size = true", "expected int"),
        ("[detect]\nevry = 1", r"config\.detect\.evry: unknown key; did you mean 'every'"),
        ('"a\\nb\\u001b[31m" = 1', r"a\\nb\\x1b\[31m: unknown key"),
        ('"' + "k" * 1_000_000 + '" = 1', "unknown key"),
        ("a = 1\na = 2", "Cannot overwrite"),
        ("\ufeff\ufeffa = 1", "not valid TOML"),
        ("a = '\x00'", "not valid TOML"),
    ],
)
def test_a_broken_config_is_one_short_line(tmp_path, text, message):
    path = tmp_path / "c.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        schema.load(Config, schema.read_toml(path))
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 3000
    assert re.search(message, said), said


def test_a_text_may_hold_as_many_dots_as_it_likes():
    text = "." * 500 + "a.b" * 200
    assert gift.parse_toml(f'note = "{text}"') == {"note": text}


def test_byte_order_marks_and_line_ends_of_other_systems_are_no_matter(tmp_path):
    path = tmp_path / "c.toml"
    plain = 'device = "cpu"\n[input]\nbatch_size = 3\n'
    for data in (b"\xef\xbb\xbf" + plain.encode(), plain.replace("\n", "\r\n").encode()):
        path.write_bytes(data)
        assert schema.read_toml(path) == {"device": "cpu", "input": {"batch_size": 3}}
    path.write_bytes(plain.encode("utf-16"))
    with pytest.raises(ConfigError, match="not valid TOML"):
        schema.read_toml(path)


@FEW
@given(TEXT)
def test_a_setting_of_any_text_is_saved_and_read_back(text):
    config = schema.load(Config, {"device": text})
    assert schema.load(Config, gift.parse_toml(schema.to_toml(config))) == config


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("VIDCOLOR_INPUT__BATCH_SIZE", "9" * 10_000),
        ("VIDCOLOR_INPUT__BATCH_SIZE", "99999999999999999999"),
        ("VIDCOLOR_INPUT__START", "nan"),
        ("VIDCOLOR_INPUT__START", "1e400"),
        ("VIDCOLOR_BATCH", "1"),
        ("VIDCOLOR_\n" + "X" * 10_000, "1"),
    ],
)
def test_variables_of_the_environment_are_settings_or_refused(variable, text):
    with pytest.raises(ConfigError) as error:
        schema.load(Config, schema.from_environment(Config, {variable: text}))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_a_cache_in_the_home_of_nobody_is_refused(monkeypatch):
    monkeypatch.setenv("VIDCOLOR_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(WeightsError, match=r"VIDCOLOR_CACHE=~nobody-of-this-name/cache"):
        cache_dir()


# --- times --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["1e999999999", "1e9", "1/3", "1_0", "9" * 5000, "1:2:3:4", "1:60", "-1", "", ":", "nan", "٣",
     "1" * 13, float("inf"), float("nan"), 1e300, 10**400],
)  # fmt: skip
def test_no_time_is_refused_before_its_digits_are_written_out(text):
    with pytest.raises(ConfigError, match="is none; write seconds"):
        parse_time(text)


def test_times_are_exact():
    assert parse_time("1:02:03.4") == Fraction(37234, 10)
    assert parse_time(" .5 ") == Fraction(1, 2)
    assert parse_time(5e-324) == Fraction("5e-324")
    assert parse_time(1e11) == 10**11
    assert parse_time(0.1) == Fraction(1, 10)


def test_a_time_base_is_a_short_fraction():
    for text in ("1e999999999", "1e-999999999", "0", "0/1", "1/0", "-1/25", "1/" + "9" * 5000, "x"):
        with pytest.raises(ConfigError, match="time_base must be a fraction"):
            TracksFile(time_base=text)
    assert TracksFile(time_base="1001/24000").seconds(24000) == 1001


# --- particular readers -------------------------------------------------------------------------


def test_frames_of_any_number_are_looked_up_and_not_counted_to(tmp_path):
    path = tmp_path / "b.jsonl"
    path.write_text('{"frame": 4611686018427387903, "boxes": []}\n')
    seen = list(BoxesFile(path)(readers._frames()))
    assert len(seen) == 1
    assert len(seen[0].detections.boxes) == 0
    path.write_text('{"frame": 4611686018427387904, "boxes": []}\n')
    with pytest.raises(GuidanceError, match=r"b\.jsonl:1: frame is 4611686018427387904"):
        BoxesFile(path)


def test_thousands_of_labels_are_each_looked_up_once(tmp_path):
    path = tmp_path / "b.jsonl"
    rows = ({"frame": i, "boxes": [[0, 0, 9, 9]], "labels": [f"l{i}"]} for i in range(20_000))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (seen,) = BoxesFile(path)(readers._frames())
    assert [seen.detections.names[label] for label in seen.detections.labels] == [
        "l0", "l1", "l2", "l3",
    ]  # fmt: skip


def test_an_endless_line_is_refused(tmp_path):
    path = tmp_path / "b.jsonl"
    path.write_bytes(b'{"frame": 0, "boxes": []}\n' + b" " * ((16 << 20) + 1))
    with pytest.raises(GuidanceError, match="line 2 is longer than 16 MB"):
        BoxesFile(path)


def test_separators_of_unicode_are_no_line_ends_of_spots(tmp_path, cases):
    row = json.loads(cases["spots"].seeds[0].splitlines()[0])
    path = tmp_path / "v.jsonl"
    path.write_text(json.dumps(row) + " \u2028\n" + json.dumps({**row, "frame": -1}) + "\n")
    with pytest.raises(GuidanceError, match=r"line 1: no JSON"):
        cases["spots"].read(path)
    path.write_text(json.dumps(row) + "\n\n" + json.dumps({**row, "frame": -1}) + "\n")
    with pytest.raises(GuidanceError, match=r"line 3: frame must be"):
        cases["spots"].read(path)


@pytest.mark.parametrize("size", ["100000", "257", "9" * 5000, "-1", "2.0", "٣", "1", ""])
def test_a_cube_of_an_absurd_size_is_refused_at_its_line(tmp_path, cases, size):
    path = tmp_path / "l.cube"
    path.write_text(f"LUT_3D_SIZE {size}\n0 0 0\n")
    with pytest.raises(GuidanceError, match=r"l\.cube, line 1: LUT_3D_SIZE must be"):
        cases["cube"].read(path)


def test_a_mask_that_claims_a_gigapixel_is_refused(tmp_path, cases):
    path = tmp_path / "m.png"
    data = bytearray(cases["hole"].seeds[0])
    struct.pack_into(">II", data, 16, 1 << 15, 1 << 14)
    struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"m\.png: claims to be 32768x16384, too large"):
        cases["hole"].read(path)


def test_a_color_is_worked_out_once():
    assert parse_color("steelblue") is parse_color("steelblue")


# --- what we write we read ----------------------------------------------------------------------


@FEW
@given(
    st.lists(
        st.tuples(
            st.integers(1, 10**6),
            st.none() | st.integers(-(2**60), 2**60),
            st.none() | st.floats(0, 1e6),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_shots_come_back(tmp_path_factory, lengths):
    shots, start = [], 0
    for number, (length, pts, time) in enumerate(lengths):
        shots.append(Shot(number, start, start + length - 1, pts, time, time))
        start += length
    path = tmp_path_factory.mktemp("shots") / "s.json"
    path.write_text(shots_to_json(shots))
    assert read_shots(path) == tuple(shots)


TIMES = st.builds("{}:{:02}.{}".format, *[st.integers(0, 59)] * 2, st.integers(0, 999))
COLORS = st.sampled_from(("", "steelblue", "#a03020", "ab(20 -30)", "gray"))


@FEW
@given(
    st.lists(
        st.builds(
            TrackEntry,
            id=st.integers(0, 2**40),
            identity=TEXT.filter(bool),
            label=TEXT,
            name=TEXT,
            shot=st.integers(0, 10**6),
            time=TEXT,
            seconds=st.floats(0, 1e6),
            first=st.integers(-(2**40), 2**40),
            at=st.none() | st.integers(0, 2**40),
            since=st.just("") | TIMES,
        ),
        max_size=5,
        unique_by=(lambda entry: entry.id, lambda entry: (entry.shot, entry.first)),
    ),
    st.integers(-(2**40), 2**40),
    st.sampled_from(("1/25", "1001/24000", "1")),
)
def test_tracks_come_back(tmp_path_factory, entries, begin, base):
    file = TracksFile(tuple(sorted(entries, key=lambda e: (e.shot, e.first))), 1, begin, base)
    path = tmp_path_factory.mktemp("tracks") / "t.json"
    path.write_text(to_text(file), encoding="utf-8")
    assert load_tracks(path) == file


@FEW
@given(
    st.lists(
        st.builds(
            HintEntry,
            color=COLORS.filter(bool),
            frame=st.integers(0, 2**40),
            points=st.lists(st.floats(-1e5, 1e5), min_size=2, max_size=2).map(tuple),
            radius_px=st.none() | st.floats(0.01, 1e4),
            reach=st.floats(0, 100),
            track=st.sampled_from(("auto", "none")) | st.integers(0, 2**40),
            note=TEXT,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_hints_come_back(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("hints") / "h.json"
    rows = [schema.to_dict(entry) for entry in entries]
    path.write_text(json.dumps({"version": 1, "hints": rows}))
    assert [entry for _, entry in read_hints(path).entries] == entries


@FEW
@given(
    st.lists(
        st.tuples(
            st.tuples(st.integers(0, 31), st.integers(0, 23), st.integers(32, 64),
                      st.integers(24, 48)),
            st.integers(0, 1000), LINE.filter(bool),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_boxes_come_back(tmp_path_factory, found):
    (batch,) = readers._frames()
    labels = sorted({label for _, _, label in found})
    detections = Detections(
        torch.tensor([box for box, _, _ in found], dtype=torch.float32).reshape(-1, 4),
        torch.tensor([score / 1000 for _, score, _ in found], dtype=torch.float32),
        torch.tensor([labels.index(label) for _, _, label in found], dtype=torch.int64),
        torch.zeros(len(found), dtype=torch.int64),
        tuple(labels) or ("object",),
    )
    ids = torch.arange(len(found))
    path = tmp_path_factory.mktemp("boxes") / "b.jsonl"
    path.write_text(boxes_line(Detected(batch, detections, ids=ids), 0), encoding="utf-8")
    (back,) = BoxesFile(path)([batch])
    assert torch.equal(back.detections.boxes, detections.boxes)
    assert torch.equal(back.detections.scores, detections.scores)
    seen = [back.detections.names[label] for label in back.detections.labels]
    assert seen == [label for _, _, label in found]
    assert found == [] or torch.equal(back.ids, ids)


def test_moments_of_every_kind_of_letter_are_times_or_refused():
    for letter in (*string.printable, "\u0660", "\u00b2", "\U0001d7d8"):
        for text in (letter, f"1{letter}2", f"{letter}:01"):
            plain = text.strip(string.whitespace).replace(":", "").replace(".", "")
            with contextlib.suppress(ConfigError):
                Moment(time=text)
                assert plain.isdecimal()
                assert plain.isascii()


def test_a_pipe_is_told_from_a_file():
    read, write = os.pipe()
    assert stat.S_ISFIFO(os.fstat(read).st_mode)
    os.close(write)
    with pytest.raises(OSError, match="a pipe or a device"):
        gift.open_file(Path(f"/dev/fd/{read}"))
    os.close(read)
