"""What FFmpeg's Matroska writer cannot be told through PyAV, put into the finished header.

Two things only: the shape of the picture (DisplayWidth and DisplayHeight), without which pixels
that are not square come out square for codecs that do not keep it themselves, and CodecDelay, by
which sound may begin before the picture does, as the priming of AAC and MP3 in MP4 files does.
The header keeps its length: it has slack, and what is left of that becomes a Void element.

References: RFC 8794 (EBML), RFC 9559 (Matroska).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vidcolor.io.damage import ebml_element

__all__ = [
    "TrackNotes",
    "chroma_siting",
    "display_size",
    "has_codec_delay",
    "note_tracks",
    "with_notes",
]

_SEGMENT, _TRACKS, _ENTRY, _VIDEO, _CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675
_CRC, _VOID, _NUMBER, _DELAY, _DEFAULT_DURATION = 0xBF, 0xEC, 0xD7, 0x56AA, 0x23E383
_COLOR, _SITING_ACROSS, _SITING_DOWN = 0x55B0, 0x55B7, 0x55B8
_SITINGS = {(1, 2): "left", (2, 2): "center", (1, 1): "topleft", (2, 1): "top"}
_WIDTH, _HEIGHT, _UNIT = 0x54B0, 0x54BA, 0x54B2
_ASPECT_UNIT = 3
_HEADER_BYTES = 1 << 20
"""Tracks lie near the beginning of files that FFmpeg wrote."""


@dataclass(frozen=True, slots=True)
class TrackNotes:
    """What is to be noted.

    Attributes:
        picture: Number of the picture's track, from 1.
        display: `(width, height, unit)` of `display_size`, or None for square pixels.
        delays: Seconds by track number that readers must take off every time of a track.
    """

    picture: int
    display: tuple[int, int, int] | None = None
    delays: Mapping[int, Fraction] = field(default_factory=dict)


def display_size(width: int, height: int, aspect: Fraction) -> tuple[int, int, int] | None:
    """DisplayWidth, DisplayHeight and DisplayUnit that say exactly this pixel aspect.

    Whole pixels (unit 0) where one side can stay as it is, else the bare ratio (unit 3).
    """
    if aspect == 1:
        return None
    wide, tall = width * aspect, height / aspect
    if wide.denominator == 1:
        return int(wide), height, 0
    if tall.denominator == 1:
        return width, int(tall), 0
    ratio = wide / height
    return ratio.numerator, ratio.denominator, _ASPECT_UNIT


def has_codec_delay(data: bytes) -> bool:
    """Whether a Matroska file in memory notes a CodecDelay for any track."""
    place = _find_tracks(data)
    if place is None:
        return False
    entries = (c for i, c in _children(data[place[1] : place[2]]) if i == _ENTRY)
    return any(i == _DELAY for entry in entries for i, _ in _children(entry))


def chroma_siting(data: bytes) -> str | None:
    """Where a Matroska file in memory says that chroma lies, in FFmpeg's words; None: nowhere."""
    place = _find_tracks(data)
    if place is None:
        return None
    found: dict[int, int] = {}
    for wanted, entry in _children(data[place[1] : place[2]]):
        if wanted != _ENTRY:
            continue
        for video in (content for i, content in _children(entry) if i == _VIDEO):
            for color in (content for i, content in _children(video) if i == _COLOR):
                found.update((i, int.from_bytes(content, "big")) for i, content in _children(color))
    return _SITINGS.get((found.get(_SITING_ACROSS, 0), found.get(_SITING_DOWN, 0)))


def note_tracks(path: Path, notes: TrackNotes) -> bool:
    """Write the notes into the header of a finished file.

    Returns:
        Whether all of them could be written; if not, the file is as it was.

    Raises:
        OSError: If the disk fails.
    """
    with path.open("r+b") as file:
        noted = with_notes(file.read(_HEADER_BYTES), notes)
        if noted is None:
            return False
        file.seek(0)
        file.write(noted)
    return True


def with_notes(head: bytes, notes: TrackNotes) -> bytes | None:
    """The beginning of a file with the notes, as long as it was.

    Returns:
        None if there is no room, or `head` does not hold all tracks.
    """
    place = _find_tracks(head)
    if place is None:
        return None
    _, content, end = place
    room = end - content
    tracks = _rewritten(head[content:end], notes, room, keep_duration=True)
    if tracks is None:
        tracks = _rewritten(head[content:end], notes, room, keep_duration=False)
    return None if tracks is None else head[:content] + tracks + head[end:]


def _find_tracks(data: bytes) -> tuple[int, int, int] | None:
    """Place of the Tracks element, of its content, and of its end."""
    at = 0
    while (element := ebml_element(data, at)) is not None:
        identity, content, size = element
        if identity == _SEGMENT:
            at = content
            continue
        if size is None or identity == _CLUSTER or content + size > len(data):
            return None
        if identity == _TRACKS:
            return at, content, content + size
        at = content + size
    return None


def _children(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        element = ebml_element(data, at)
        if element is None or element[2] is None:
            raise ValueError(f"no element at byte {at} of {len(data)}")
        identity, content, size = element
        at = content + (size or 0)
        yield identity, data[content:at]


def _element(identity: int, content: bytes) -> bytes:
    """An element with the shortest size field."""
    length = next(n for n in range(1, 9) if len(content) < (1 << (7 * n)) - 1)
    size = (len(content) | 1 << (7 * length)).to_bytes(length, "big")
    return identity.to_bytes((identity.bit_length() + 7) // 8, "big") + size + content


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def _rewritten(data: bytes, notes: TrackNotes, room: int, keep_duration: bool) -> bytes | None:
    """The content of Tracks with the notes, filled up to `room` bytes; None if it is too long."""
    body = b""
    checked = False
    for identity, content in _children(data):
        if identity == _CRC:
            checked = True
        elif identity == _ENTRY:
            body += _element(_ENTRY, _entry(content, notes, keep_duration))
        elif identity != _VOID:
            body += _element(identity, content)
    room -= 6 if checked else 0
    if len(body) == room - 1 or len(body) > room:  # a Void of one byte does not exist
        return None
    body += _void(room - len(body))
    if checked:
        body = _element(_CRC, zlib.crc32(body).to_bytes(4, "little")) + body
    return body


def _void(length: int) -> bytes:
    if length == 0:
        return b""
    if length < 10:
        return _element(_VOID, bytes(length - 2))
    size = (length - 9) | 1 << 56
    return bytes([_VOID]) + size.to_bytes(8, "big") + bytes(length - 9)


def _entry(data: bytes, notes: TrackNotes, keep_duration: bool) -> bytes:
    """A TrackEntry with what is noted about it."""
    parts = list(_children(data))
    number = int.from_bytes(next(c for i, c in parts if i == _NUMBER), "big")
    delay = notes.delays.get(number)
    body = b""
    for identity, content in parts:
        if identity == _VOID or (identity == _DELAY and delay is not None):
            continue
        if identity == _DEFAULT_DURATION and not keep_duration:
            continue
        if identity == _VIDEO and number == notes.picture and notes.display is not None:
            content = _video(content, notes.display)
        body += _element(identity, content)
    if delay is not None:
        body += _element(_DELAY, _number(round(delay * 1_000_000_000)))
    return body


def _video(data: bytes, display: tuple[int, int, int]) -> bytes:
    width, height, unit = display
    body = b"".join(
        _element(identity, content)
        for identity, content in _children(data)
        if identity not in (_WIDTH, _HEIGHT, _UNIT, _VOID)
    )
    body += _element(_WIDTH, _number(width)) + _element(_HEIGHT, _number(height))
    return body + (_element(_UNIT, _number(unit)) if unit else b"")
