r"""One finished segment of a film: the packets of its picture, exactly as the encoder gave them.

No container of FFmpeg serves: Matroska rounds times to milliseconds, MP4 rewrites packets, NUT does
not take every codec. So a segment is what it says, and carries the proof that it is whole:

    "vidcolor segment 1\n"
    packets: pts (int64), key frame (uint8), size (uint32), bytes; little-endian, in decoding order
    card: what the segment is, JSON
    size of the card, CRC-32 of it, CRC-32 of all before these numbers (uint32 each), "finished"

A file that breaks off anywhere has no end mark, and one that was changed has another sum. The card
has a sum of its own, for it is believed before the packets are read.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

from vidcolor.errors import MediaError

__all__ = ["Segment", "SegmentFile", "begins_as_segment", "read_packets", "read_segment"]

_BEGIN = b"vidcolor segment 1\n"
_END = b"finished"
_PACKET = struct.Struct("<qBI")
_TAIL = struct.Struct("<III8s")


@dataclass(frozen=True, slots=True)
class Segment:
    """The card of a finished segment.

    Attributes:
        key: What it was made of, as a hash.
        first: pts of its first frame, in the source's time base.
        last: pts of its last frame.
        frames: How many there are.
        reorder: Frames by which decoding runs ahead of showing.
        header: The encoder's header, as hex.
        encoder: Everything that the encoder was told, by name.
        shots: How many shots there are.
        following: pts of the frame after the last one; None: nobody asked, or the film ends.
        broken: Damage of the film ended it early.
    """

    key: str
    first: int
    last: int
    frames: int
    reorder: int
    header: str
    encoder: dict[str, Any] = field(default_factory=dict)
    shots: int = 1
    following: int | None = None
    broken: bool = False


class SegmentFile:
    """A segment in the making.

    Args:
        path: An empty file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._sum = 0
        try:
            self._put(_BEGIN)
        except BaseException:
            self._file.close()
            raise

    def write(self, pts: int, key_frame: bool, data: bytes) -> None:
        """Add a packet."""
        self._put(_PACKET.pack(pts, key_frame, len(data)))
        self._put(data)

    def finish(self, card: Segment) -> None:
        """Add the card and close; only now the file is a segment."""
        text = json.dumps(asdict(card), sort_keys=True).encode()
        self._put(text)
        self._file.write(_TAIL.pack(len(text), zlib.crc32(text), self._sum, _END))
        self._file.close()

    def close(self) -> None:
        """Close a file that will not be finished."""
        with contextlib.suppress(OSError):  # what waits to be written may have no room
            self._file.close()

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._sum = zlib.crc32(data, self._sum)


def begins_as_segment(path: Path) -> bool:
    """Whether a file is a segment, whole or not."""
    try:
        with path.open("rb") as file:
            return file.read(len(_BEGIN)) == _BEGIN
    except OSError:
        return False


def read_segment(path: Path) -> Segment | None:
    """The card of a segment; None if there is none or it is not whole.

    Only begin and end are looked at; `read_packets` checks the rest.
    """
    try:
        with path.open("rb") as file:
            card, _ = _card(file)
    except OSError:
        return None
    return card


def read_packets(path: Path) -> Iterator[tuple[int, bool, bytes]]:
    """pts, key frame and bytes of every packet, in the order of decoding.

    Raises:
        MediaError: If the file is not whole, at the latest after its last packet.
    """
    damaged = MediaError(f"{path}: this segment is damaged")
    try:
        with path.open("rb") as file:
            card, end = _card(file)
            if card is None:
                raise damaged
            file.seek(0)
            head = file.read(len(_BEGIN))
            total, at = zlib.crc32(head), len(head)
            while at < end:
                head = file.read(_PACKET.size)
                pts, key_frame, size = _PACKET.unpack(head)
                if at + len(head) + size > end:
                    raise damaged
                data = file.read(size)
                total = zlib.crc32(data, zlib.crc32(head, total))
                at += len(head) + size
                yield pts, bool(key_frame), data
            text = file.read(os.fstat(file.fileno()).st_size - at - _TAIL.size)
            _, _, wanted, _ = _TAIL.unpack(file.read(_TAIL.size))
            if zlib.crc32(text, total) != wanted:
                raise damaged
    except (OSError, struct.error) as error:
        if isinstance(error, MediaError):
            raise
        raise damaged from error


def _card(file: BinaryIO) -> tuple[Segment | None, int]:
    """The card, and where the packets end."""
    size = os.fstat(file.fileno()).st_size
    if file.read(len(_BEGIN)) != _BEGIN or size < len(_BEGIN) + _TAIL.size:
        return None, 0
    file.seek(size - _TAIL.size)
    length, wanted, _, mark = _TAIL.unpack(file.read(_TAIL.size))
    end = size - _TAIL.size - length
    if mark != _END or end < len(_BEGIN):
        return None, 0
    file.seek(end)
    text = file.read(length)
    if zlib.crc32(text) != wanted:
        return None, 0
    try:
        data = json.loads(text)
        if set(data) != {part.name for part in fields(Segment)}:
            return None, 0
        return Segment(**data), end
    except (ValueError, TypeError):
        return None, 0
