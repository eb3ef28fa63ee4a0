"""Does a stream that passes hold all that it says? FFmpeg takes what is cut off for an end.

Only the outer structure is followed, and nothing is kept. Transport streams may end anywhere, and
say nothing.

References: yuv4mpeg(5); RFC 8794 and RFC 9559 (EBML, Matroska); the NUT container format
(FFmpeg's docs/nut.txt).
"""

from __future__ import annotations

import re
from typing import Protocol

from vidcolor.io.damage import ebml_element

__all__ = ["Structure"]

_Y4M, _EBML, _NUT = b"YUV4MPEG2 ", b"\x1a\x45\xdf\xa3", b"nut/multimedia container"
_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_NUT_INDEX = bytes.fromhex("4e58dd672f23e64e")
_NUT_END = 12
_LONGEST_LINE = 4096
_CHROMA = {"420": (2, 2), "422": (2, 1), "444": (1, 1), "411": (4, 1), "mono": None}
_COLORSPACE = re.compile(r"(420|422|444|411|mono)(jpeg|mpeg2|paldv|alpha)?(?:p?(9|1[0-6]))?")


class _Walk(Protocol):
    def feed(self, data: bytes, /) -> None:
        """The next bytes."""

    def missing(self) -> str | None:
        """What is missing if this was all."""


class Structure:
    """Follows the structure of a stream: y4m, Matroska or NUT; anything else passes unseen."""

    def __init__(self) -> None:
        self._head = b""
        self._walk: _Walk | None = None

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        if self._walk is not None:
            self._walk.feed(data)
            return
        self._head += data
        if len(self._head) >= len(_NUT):
            self._walk = _walk_of(self._head)
            self._walk.feed(self._head)
            self._head = b""

    def missing(self) -> str | None:
        """What is missing at the end, in a few words; None if nothing shows."""
        return None if self._walk is None else self._walk.missing()


def _walk_of(head: bytes) -> _Walk:
    if head.startswith(_Y4M):
        return _Y4m()
    if head.startswith(_EBML):
        return _Matroska()
    return _Nut() if head.startswith(_NUT) else _Unseen()


class _Unseen:
    def feed(self, data: bytes, /) -> None:
        """Says nothing."""

    def missing(self) -> str | None:
        """Nothing that we know of."""
        return None


class _Parts:
    """Bytes that are looked at now and then, with long stretches between that are not."""

    def __init__(self) -> None:
        self._kept = b""
        self._skip = 0

    def feed(self, data: bytes, /) -> None:
        """The next bytes."""
        if self._skip >= len(data):
            self._skip -= len(data)
            return
        self._kept += data[self._skip :]
        self._skip = 0
        while (used := self._take(self._kept)) is not None:
            self._skip = max(0, used - len(self._kept))
            self._kept = self._kept[used:]
            if self._skip or not self._kept:
                return

    def _take(self, data: bytes) -> int | None:
        """How many bytes the part has that `data` begins with; None: too few to say."""
        raise NotImplementedError


class _Y4m(_Parts):
    """A line for the film, then for each frame a line and its planes."""

    def __init__(self) -> None:
        super().__init__()
        self._frame: int | None = None
        self._lost = False

    def _take(self, data: bytes) -> int | None:
        end = data.find(b"\n", 0, _LONGEST_LINE)
        if self._lost:
            return len(data)
        if end < 0:
            self._lost = len(data) >= _LONGEST_LINE
            return None
        if self._frame is None:
            self._frame = _frame_bytes(data[:end].decode("ascii", "replace"))
            self._lost = self._frame is None
            return end + 1
        if not data.startswith(b"FRAME"):
            self._lost = True
            return len(data)
        return end + 1 + self._frame

    def missing(self) -> str | None:
        """The rest of a frame."""
        if self._lost or not (self._skip or self._kept):
            return None
        lost = f"{self._skip} bytes of " if self._skip else ""
        return f"{lost}its last frame are missing" if lost else "its last frame is missing"


def _frame_bytes(header: str) -> int | None:
    """Bytes of a frame's planes; None for what FFmpeg will not read either."""
    words = header.split(" ")[1:]
    said = {word[:1]: word[1:] for word in words if word[:1] in ("W", "H", "C")}
    found = _COLORSPACE.fullmatch(said.get("C", "420"))
    if found is None or not (said.get("W", "").isdigit() and said.get("H", "").isdigit()):
        return None
    width, height, grid = int(said["W"]), int(said["H"]), _CHROMA[found[1]]
    samples = width * height * (2 if found[2] == "alpha" else 1)
    if grid is not None:
        samples += 2 * -(-width // grid[0]) * -(-height // grid[1])
    return samples * (2 if found[3] else 1)


class _Matroska(_Parts):
    """Elements with their lengths; that of segment and clusters may be open."""

    _longest_head = 12

    def __init__(self) -> None:
        super().__init__()
        self._lost = False
        self._at = 0
        self._end = 0

    def _take(self, data: bytes) -> int | None:
        if self._lost:
            return len(data)
        element = ebml_element(data, 0)
        if element is None:
            self._lost = len(data) >= self._longest_head
            return None
        identity, content, size = element
        if identity in (_SEGMENT, _CLUSTER):
            if size is not None:
                self._end = max(self._end, self._at + content + size)
            self._at += content
            return content
        if size is None:
            self._lost = True
            return len(data)
        self._at += content + size
        return content + size

    def missing(self) -> str | None:
        """The rest of an element, or of the segment."""
        if self._lost:
            return None
        if self._skip or self._kept:
            return "it is cut off in the middle of a block"
        return f"{self._end - self._at} bytes are missing" if self._end > self._at else None


class _Nut:
    """Packets are small and coded; but whoever ends a NUT film in order writes its index.

    The last twelve bytes are how far back the index began, and a checksum.
    """

    def __init__(self) -> None:
        self._tail = b""
        self._length = 0
        self._index = -1

    def feed(self, data: bytes, /) -> None:
        """The next bytes."""
        known = self._tail + data
        found = known.rfind(_NUT_INDEX)
        if found >= 0:
            self._index = self._length - len(self._tail) + found
        self._length += len(data)
        self._tail = known[-_NUT_END:]

    def missing(self) -> str | None:
        """The index."""
        back = int.from_bytes(self._tail[:8], "big")
        whole = self._index >= 0 and back == self._length - self._index
        return None if whole else "the index at its end is missing"
