"""Does a file hold all that it says it holds? FFmpeg reads what is there and keeps silent.

Only the outer structure is walked, not the pictures: a few bytes are looked at in every block.

References: RFC 8794 and RFC 9559 (EBML, Matroska); ISO/IEC 14496-12 (boxes); RIFF.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

__all__ = ["ebml_element", "structural_damage"]

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"sidx", b"meta"}

Bytes = bytes | mmap.mmap


def structural_damage(path: Path) -> str | None:
    """What is wrong with the outer structure of a Matroska, MP4/MOV or AVI file.

    Returns:
        A few words (`3412 bytes are missing at its end`), or None where nothing is wrong or the
        kind of file does not tell.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if not file.read(1):
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] == _EBML.to_bytes(4, "big"):
                return _walk_matroska(data)
            if data[4:8] in _BOXES:
                return _missing(_boxes_end(data), len(data))
            if data[:4] == b"RIFF":
                end = 8 + struct.unpack("<I", data[4:8])[0]
                return _missing(end, len(data)) if data[8:12] == b"AVI " else None
    return None


def _missing(declared: int, size: int) -> str | None:
    return f"{declared - size} bytes are missing at its end" if declared > size else None


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
    while at < end:
        element = ebml_element(data, at)
        if element is None:
            cut_short = end - at < 12
            return "it is cut off at its end" if cut_short else f"it is damaged at byte {at}"
        identity, content, size = element
        if size is not None and content + size > end:
            return _missing(content + size, end)
        if identity in (_SEGMENT, _CLUSTER):
            at = content
        elif size is None:
            return f"it is damaged at byte {at}"
        else:
            at = content + size
    return None


def _boxes_end(data: Bytes) -> int:
    """Where the last box that means anything says that it ends."""
    at, end = 0, 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if kind not in _BOXES:
            break
        if size == 1 and at + 16 <= len(data):
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # 0: to the end of the file
            break
        at += size
        end = at if kind in (b"moov", b"mdat", b"moof") else end
    return end
