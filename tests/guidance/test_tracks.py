"""The file of tracks: strict, one line a track, and what a new listing keeps of it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from vidcolor.errors import GuidanceError
from vidcolor.guidance.template import GRID, Template
from vidcolor.guidance.tracks.file import TrackEntry, TracksFile, load_tracks, to_text, whole_pin
from vidcolor.guidance.tracks.sheet import track_sheet
from vidcolor.guidance.tracks.update import keep_words

TEMPLATE = Template(
    torch.full((2, GRID, GRID), 12.0), torch.full((GRID, GRID), 50.0), torch.ones(GRID, GRID)
).to_text()


def line(number: int, identity: str = "", **values) -> TrackEntry:
    first = values.pop("first", 0)
    return TrackEntry(
        number, identity or f"person-{number}", label="person", first=first, last=first + 40,
        **{"at": first + 20, "box": (10.0, 20.0, 30.0, 60.0), **values},
    )  # fmt: skip


FILE = TracksFile(
    (
        line(100_002, "Anna", shot=1, first=50, color="steelblue", template=TEMPLATE),
        line(1, "Anna", name="Anna on the left", until="0:02.5"),
        line(1, "dog", since=2.5),
    ),
    begin=3,
    time_base="1/30",
)


def test_the_text_has_a_line_a_track_and_reads_back(tmp_path):
    text = to_text(FILE)
    rows = text.splitlines()
    assert len(rows) == 1 + 3 + 1
    assert [json.loads(row.strip().rstrip(","))["id"] for row in rows[1:4]] == [1, 1, 100_002]
    path = tmp_path / "tracks.json"
    path.write_text(text)
    back = load_tracks(path)
    assert set(back.tracks) == set(FILE.tracks)
    assert (back.begin, back.time_base) == (3, "1/30")
    assert to_text(back) == text
    assert json.loads(to_text(TracksFile()))["tracks"] == []


def test_changing_one_track_changes_one_line():
    tracks = (FILE.tracks[0], replace(FILE.tracks[1], name="Anna K."), FILE.tracks[2])
    before = to_text(FILE).splitlines()
    after = to_text(replace(FILE, tracks=tracks)).splitlines()
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_times_count_from_the_first_frame():
    assert FILE.seconds(33) == Fraction(1)
    assert FILE.tracks[1].holds(Fraction(249, 100))
    assert not FILE.tracks[1].holds(Fraction(5, 2))
    assert FILE.tracks[2].holds(Fraction(5, 2))


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        ([{"id": 1}], r"tracks\[0\].identity: missing"),
        ([{"id": 1, "identity": "a", "colour": "red"}], "did you mean 'color'"),
        ([{"id": "1", "identity": "a"}], r"tracks\[0\].id: expected int"),
        ([{"id": 1, "identity": ""}], "track 1: identity is empty"),
        ([{"id": 1, "identity": "a", "color": "blurple"}], "'blurple' is no color"),
        ([{"id": 1, "identity": "a", "template": "x"}], "no color template"),
        ([{"id": 1, "identity": "a", "box": [5, 5, 1, 9]}], "box must be left, top"),
        ([{"id": 1, "identity": "a", "since": "soon"}], "time 'soon' is none"),
        ([{"id": 1, "identity": "a", "since": 2, "until": 1}], "since 2.* is not before until 1"),
        (
            [{"id": 1, "identity": "a"}, {"id": 1, "identity": "b", "since": 3}],
            "track 1 has two lines for the same time",
        ),
        (
            [{"id": 1, "identity": "a", "color": "red"},
             {"id": 2, "identity": "a", "color": "blue"}],
            "identity 'a' is pinned to 'red' and to 'blue'.*track 2",
        ),
    ],
)  # fmt: skip
def test_wrong_files_are_refused_with_the_place(tmp_path, tracks, message):
    path = tmp_path / "tracks.json"
    path.write_text(json.dumps({"version": 1, "tracks": tracks}))
    with pytest.raises(GuidanceError, match=message) as error:
        load_tracks(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1, column 2"),
        ("[]", "must be"),
        ('{"version": 2, "tracks": []}', "version 2 is not known"),
        ('{"version": 1, "time_base": "1/0", "tracks": []}', "time_base must be a fraction"),
        (b"\xff\xfe", "no text in UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_tracks_file_is_refused(tmp_path, text, message):
    path = tmp_path / "tracks.json"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(GuidanceError, match=message):
        load_tracks(path)


def test_a_whole_pin_is_one_color_at_any_lightness():
    pin = whole_pin(4, (1.0, 2.0))
    assert pin.track == 4
    assert (torch.tensor([1.0, 2.0]) == pin.template.ab.flatten(1).T).all()
    assert pin.template.lightness.isnan().all()


def test_a_new_listing_keeps_a_persons_words():
    old = TracksFile(
        (
            line(1, "Anna", name="Anna", color="red"),
            line(2, "dog", first=100, until=3.0, template=TEMPLATE),
            line(2, "cat", first=100, since=3.0),
        )
    )
    found = TracksFile(
        (
            line(5, "person-1", box=(11.0, 21.0, 31.0, 61.0)),  # the old 1
            line(2, "person-2", first=100),
            line(6, "person-1", first=200),  # looks like Anna
            line(7, "person-3", first=300),
        )
    )
    new = {(e.id, e.identity): e for e in keep_words(old, found).tracks}
    assert set(new) == {(5, "Anna"), (2, "dog"), (2, "cat"), (6, "Anna"), (7, "person-3")}
    assert (new[5, "Anna"].name, new[5, "Anna"].color) == ("Anna", "red")
    assert new[5, "Anna"].box == (11.0, 21.0, 31.0, 61.0)
    assert (new[2, "dog"].until, new[2, "cat"].since) == (3.0, 3.0)
    assert new[2, "dog"].template == TEMPLATE


def test_a_new_listing_says_what_it_lost_and_takes_no_name_twice(caplog):
    old = TracksFile((line(1, "person-1", name="Anna", color="red"),))
    found = TracksFile((line(1, "person-1", box=(80.0, 0.0, 99.0, 9.0)),))
    with caplog.at_level(logging.WARNING):
        (entry,) = keep_words(old, found).tracks
    assert (entry.identity, entry.name, entry.color) == ("person-2", "", "")
    assert "track 1 (person-1)" in caplog.text
    assert "'Anna'" in caplog.text


def test_the_sheet_groups_and_shows_every_track():
    entries = [
        line(1, "Anna", mean="#204060", color="#ff0000"), line(2, "dog"),
        line(100_001, "Anna", shot=1, first=50),
    ]  # fmt: skip
    red, green = np.zeros((20, 10, 3), np.uint8), np.zeros((40, 40, 3), np.uint8)
    red[..., 0], green[..., 1] = 255, 255
    sheet = track_sheet(entries, {1: red, 100_001: green}, columns=3)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 3 * 160 + 4 * 12
    # the pair of Anna side by side in the first row, the dog below
    reds = (sheet == (255, 0, 0)).all(axis=2)
    greens = (sheet == (0, 255, 0)).all(axis=2)
    assert reds[:, :172].sum() == 160 * 80 + 10 * 10  # picture at 160 rows, and the pin's swatch
    assert greens.sum() == 160 * 160
    assert np.argwhere(greens)[:, 0].min() == np.argwhere(reds)[:, 0].min()
    assert ((sheet == (0x20, 0x40, 0x60)).all(axis=2)).sum() == 10 * 10
    assert track_sheet([], {}).shape[2] == 3
