"""Does a file hold all that it says it holds? FFmpeg reads what is there and keeps silent.

Only the outer structure is walked, not the pictures: a few bytes are looked at in every block.

References: RFC 8794 and RFC 9559 (EBML, Matroska); ISO/IEC 14496-12 (boxes); RIFF and OpenDML;
GIF89a; ISO/IEC 13818-1 (transport streams); the NUT and YUV4MPEG2 descriptions of FFmpeg and
mjpegtools.
"""

from __future__ import annotations

import mmap
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vidcolor.io.transport_stream import packet_length, transport_damage

__all__ = ["ebml_element", "structural_damage"]

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_TRACKS, _TRACK_ENTRY, _TRACK_NUMBER = 0x1654AE6B, 0xAE, 0xD7
_SIMPLE_BLOCK, _GROUP, _BLOCK = 0xA3, 0xA0, 0xA1
_CHECKSUM = 0xBF
_ELEMENTS = {
    *(_EBML, _TRACKS, _SIMPLE_BLOCK, _GROUP, _CHECKSUM, 0xEC),
    *(0x1549A966, 0x1C53BB6B, 0x114D9B74, 0x1254C367, 0x1043A770, 0x1941A469, 0x1B538667),
}
"""What lies in a segment: tracks, blocks, gaps, checksums; info, cues, seek head, tags, chapters,
attachments, signatures."""
_NUMBERS = {0xE7, 0xAB, 0xA7}
"""Times, sizes and places of clusters."""
_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"sidx", b"meta"}
_MORE_BOXES = {b"styp", b"emsg", b"prft", b"mfra", b"pnot", b"udta", b"ssix", b"pdin"}
_CHUNK = re.compile(rb"[0-9A-Za-z ]{4}")
_AROUND = 1 << 16  # bytes that a look brings in besides what it looks at
_IN_MEMORY = 1 << 24
_CUT_OFF = "it is cut off at its end"

Bytes = bytes | mmap.mmap


class _Pages(mmap.mmap):
    """A file of which only what was looked at lately stays in memory, however long it is."""

    _seen = 0

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        self._seen += _AROUND + (len(found) if isinstance(found, bytes) else 0)
        if self._seen > _IN_MEMORY and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self.madvise(mmap.MADV_DONTNEED)
            self._seen = 0
        return found


def structural_damage(path: Path) -> str | None:
    """What is wrong with the outer structure of a film.

    Matroska, MP4/MOV, AVI, GIF, MPEG transport streams and YUV4MPEG2 are known.

    Returns:
        A few words (`3412 bytes are missing at its end`), or None where nothing is wrong or the
        kind of file does not tell.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if not file.read(1):
            return None
        with _Pages(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            walk = _walker(data)
            return None if walk is None else walk(data)


def _walker(data: Bytes) -> Callable[[Bytes], str | None] | None:
    if data[:4] == _EBML.to_bytes(4, "big"):
        return _walk_matroska
    if data[4:8] in _BOXES:
        return lambda data: _missing(_boxes_end(data), len(data))
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return _walk_avi
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _walk_gif
    if data[:10] == b"YUV4MPEG2 ":
        return _walk_y4m
    if packet_length(data) is not None:
        return transport_damage
    return None


def _missing(declared: int, size: int) -> str | None:
    return f"{declared - size} bytes are missing at its end" if declared > size else None


def _damaged_at(place: int) -> str:
    return f"it is damaged at byte {place}"


# -- Matroska --------------------------------------------------------------------------------------


def ebml_element(data: Bytes, at: int) -> tuple[int, int, int | None] | None:
    """An EBML element's id, the place of its content, and that content's length.

    Returns:
        None where no element can begin; a length of None means unknown.
    """
    if at + 2 > len(data) or data[at] < 0x10:
        return None
    id_length = 9 - data[at].bit_length()
    size_at = at + id_length
    if size_at >= len(data) or data[size_at] == 0:
        return None
    size_length = 9 - data[size_at].bit_length()
    if size_at + size_length > len(data):
        return None
    identity = int.from_bytes(data[at:size_at], "big")
    mask = (1 << (7 * size_length)) - 1
    size = int.from_bytes(data[size_at : size_at + size_length], "big") & mask
    return identity, size_at + size_length, None if size == mask else size


def _walk_matroska(data: Bytes) -> str | None:
    at, end = 0, len(data)
    tracks: set[int] = set()
    while at < end:
        element = ebml_element(data, at)
        if element is None:
            cut_short = end - at < 12
            return _CUT_OFF if cut_short else _damaged_at(at)
        identity, content, size = element
        if size is not None and content + size > end:
            return _missing(content + size, end)
        if identity in (_SEGMENT, _CLUSTER):
            at = content
            continue
        is_known = identity in _ELEMENTS or (identity in _NUMBERS and (size or 0) <= 8)
        if size is None or not is_known:
            return _damaged_at(at)
        if identity == _TRACKS:
            if not _is_sound(data, content, content + size):
                return _damaged_at(at)
            tracks.update(_track_numbers(data, content, content + size))
        if identity in (_GROUP, _SIMPLE_BLOCK):
            block = _block_of(data, content, size) if identity == _GROUP else content
            if not _is_block(data, block, tracks):
                return _damaged_at(at)
        at = content + size
    return None


def _is_sound(data: Bytes, at: int, end: int) -> bool:
    """Whether an element holds what its checksum says, if it begins with one."""
    first = ebml_element(data, at)
    if first is None or first[0] != _CHECKSUM or first[2] != 4:
        return True
    noted = int.from_bytes(data[first[1] : first[1] + 4], "little")
    return zlib.crc32(data[first[1] + 4 : end]) == noted


def _track_numbers(data: Bytes, at: int, end: int) -> Iterator[int]:
    for entry, content, size in _children(data, at, end):
        if entry != _TRACK_ENTRY:
            continue
        for identity, place, length in _children(data, content, content + size):
            if identity == _TRACK_NUMBER:
                yield int.from_bytes(data[place : place + length], "big")


def _block_of(data: Bytes, at: int, size: int) -> int:
    """Where the block in a group has its content; the group's end if it has none."""
    blocks = (place for name, place, _ in _children(data, at, at + size) if name == _BLOCK)
    return next(blocks, at + size)


def _is_block(data: Bytes, at: int, tracks: set[int]) -> bool:
    """Whether a block is of one of the tracks; FFmpeg drops others."""
    if at >= len(data) or not data[at]:
        return False
    length = 9 - data[at].bit_length()
    number = int.from_bytes(data[at : at + length], "big") & ((1 << (7 * length)) - 1)
    return number in tracks


def _children(data: Bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Id, place and length of the content of elements in an element, up to a damaged one."""
    while at < end:
        element = ebml_element(data, at)
        if element is None or element[2] is None:
            return
        identity, content, size = element
        yield identity, content, size or 0
        at = content + (size or 0)


# -- MP4, AVI --------------------------------------------------------------------------------------


def _boxes_end(data: Bytes) -> int:
    """Where the last box that means anything says that it ends."""
    at, end = 0, 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if kind not in _BOXES and kind not in _MORE_BOXES:
            break
        if size == 1 and at + 16 <= len(data):
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # 0: to the end of the file
            break
        at += size
        end = at if kind in (b"moov", b"mdat", b"moof") else end
    return end


def _walk_avi(data: Bytes) -> str | None:
    """RIFF chunks, of which files above 1 GB have several, the lists in them, and the packets."""
    at, streams = 0, 0
    ends: list[int] = []  # of the chunks around
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack("<I", data[at + 4 : at + 8])[0]
        while ends and at >= ends[-1]:
            ends.pop()
        end = at + 8 + size
        if not ends:
            if name != b"RIFF":
                return None  # what lies behind means nothing
            if end > len(data):
                return _missing(end, len(data))
        elif not _CHUNK.fullmatch(name) and _CHUNK.fullmatch(data[at - 1 : at + 3]):
            at -= 1  # a chunk of odd length without the byte that should fill it
            continue
        elif not _CHUNK.fullmatch(name) or end > ends[-1] or _is_strange(name, streams):
            return _damaged_at(at)
        streams += name == b"strh"
        if name in (b"RIFF", b"LIST"):
            ends.append(end + size % 2)
            at += 12
        else:
            at = end + size % 2
    return None


def _is_strange(name: bytes, streams: int) -> bool:
    """Whether a chunk is named as a packet of a stream that is not there; FFmpeg drops it."""
    return name[:2].isdigit() and int(name[:2]) >= streams


# -- GIF -------------------------------------------------------------------------------------------


def _walk_gif(data: Bytes) -> str | None:
    at = 13 + _palette(data, 10)
    while at < len(data):
        kind = data[at]
        if kind == 0x3B:
            return None
        if kind == 0x21:
            at += 2
        elif kind == 0x2C and at + 10 <= len(data):
            at += 11 + _palette(data, at + 9)
        else:
            return _damaged_at(at)
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return _CUT_OFF


def _palette(data: Bytes, at: int) -> int:
    """Bytes of the palette that a descriptor announces."""
    if at >= len(data) or not data[at] & 0x80:
        return 0
    return 3 << ((data[at] & 7) + 1)


# -- YUV4MPEG2 -------------------------------------------------------------------------------------


def _walk_y4m(data: Bytes) -> str | None:
    at = data.find(b"\n") + 1
    size = _y4m_frame(data[:at])
    while size is not None and at and at < len(data):
        end = data.find(b"\n", at, at + 256) + 1
        if not end:
            return _CUT_OFF
        if data[at : at + 5] != b"FRAME":
            return _damaged_at(at)
        at = end + size
    return None if size is None else _missing(at, len(data))


def _y4m_frame(head: bytes) -> int | None:
    """Bytes of a frame by the header; None where it has a layout that we do not know."""
    words = {word[:1]: word[1:] for word in head.split()[1:]}
    layout = words.get(b"C", b"420jpeg")
    grid = re.match(rb"(420|422|444alpha|444|411|mono)", layout)
    try:
        width, height = int(words[b"W"]), int(words[b"H"])
    except (KeyError, ValueError):
        return None
    if grid is None:
        return None
    half, quarter = -(-width // 2), -(-width // 4)
    chroma = {
        b"420": 2 * half * -(-height // 2),
        b"422": 2 * half * height,
        b"411": 2 * quarter * height,
        b"444": 2 * width * height,
        b"444alpha": 3 * width * height,
        b"mono": 0,
    }[grid[1]]
    deep = re.search(rb"(p|mono)(9|1[0-6])$", layout) is not None
    return (width * height + chroma) * (2 if deep else 1)
