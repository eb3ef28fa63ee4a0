import zlib
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media import make_video, read_luma, read_packets

from vidcolor.io.damage import ebml_element, structural_damage
from vidcolor.io.matroska import TrackNotes, display_size, has_codec_delay, note_tracks


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4096),
    st.integers(1, 4096),
    st.fractions(Fraction(1, 4), 4, max_denominator=100),
)
def test_display_size_says_the_aspect_exactly(width, height, aspect) -> None:
    found = display_size(width, height, aspect)
    if aspect == 1:
        assert found is None
    else:
        assert Fraction(found[0], found[1]) * height / width == aspect


@pytest.mark.parametrize(
    ("size", "aspect", "expected"),
    [
        ((720, 576), Fraction(16, 15), (768, 576, 0)),
        ((720, 480), Fraction(8, 9), (640, 480, 0)),
        ((720, 480), Fraction(32, 27), (720, 405, 0)),
        ((64, 45), Fraction(16, 15), (1024, 675, 3)),
    ],
)
def test_display_sizes_by_hand(size, aspect, expected) -> None:
    assert display_size(*size, aspect) == expected


@pytest.mark.parametrize("delay", [Fraction(1, 1000), Fraction(1105, 44100), Fraction(3, 2)])
def test_notes_change_the_header_and_nothing_else(tmp_path, delay) -> None:
    film = make_video(tmp_path / "a.mkv", frames=5, sound=("flac", "flac"), subtitles="subrip")
    before = film.path.read_bytes()
    packets, times = read_packets(film.path), read_luma(film.path)[1]
    assert not has_codec_delay(before)
    assert note_tracks(film.path, TrackNotes(1, (160, 48, 0), {3: delay}))
    after = film.path.read_bytes()
    assert len(after) == len(before)
    changed = np.flatnonzero(np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8))
    tracks = before.index(b"\x16\x54\xae\x6b", 100)
    cluster = before.index(b"\x1f\x43\xb6\x75", tracks)
    assert changed.min() > tracks
    assert changed.max() < cluster
    assert has_codec_delay(after)
    assert structural_damage(film.path) is None
    with av.open(str(film.path)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(160, 64)
    assert read_luma(film.path)[1] == times
    moved = read_packets(film.path)
    assert moved[1] == packets[1]
    milliseconds = Fraction(round(delay * 1000), 1000)
    assert moved[2] == [(t - milliseconds, h) for t, h in packets[2]]


def test_checksum_of_the_header_is_right(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2)
    note_tracks(film.path, TrackNotes(1, (65, 48, 0)))
    data = film.path.read_bytes()
    at = data.index(b"\x16\x54\xae\x6b", 100)
    _, content, size = ebml_element(data, at)
    identity, first, length = ebml_element(data, content)
    assert identity == 0xBF
    stored = int.from_bytes(data[first : first + length], "little")
    assert stored == zlib.crc32(data[first + length : content + size])


def test_no_room_leaves_the_file_alone(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2)
    data = film.path.read_bytes()
    notes = TrackNotes(1, (1 << 60, 1 << 60, 1 << 400))
    assert not note_tracks(film.path, notes)
    assert film.path.read_bytes() == data
    other = tmp_path / "b.mkv"
    other.write_bytes(b"no film" * 100)
    assert not note_tracks(other, TrackNotes(1, (65, 48, 0)))


def test_sizes_of_ebml_elements() -> None:
    assert ebml_element(b"\xec\x82ab", 0) == (0xEC, 2, 2)
    assert ebml_element(b"\x1a\x45\xdf\xa3\x40\x02ab", 0) == (0x1A45DFA3, 6, 2)
    assert ebml_element(b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7, 0) == (0x1F43B675, 12, None)
    assert ebml_element(b"\0\0\0\0", 0) is None
    assert ebml_element(b"\xec\0\0", 0) is None
    assert ebml_element(b"\xec", 0) is None


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_damage_or_nothing_but_no_error(tmp_path_factory, data) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.mkv"
    path.write_bytes(b"\x1a\x45\xdf\xa3" + data)
    found = structural_damage(path)
    assert found is None or isinstance(found, str)
