"""ICC profiles and color chunks of stills: without them the same codes look different.

References: PNG (W3C Recommendation, Third Edition), section 11.3; ICC.1, annex B (profiles in
JPEG and TIFF files).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from vidcolor.io.tiff import PROFILE, is_tiff, tag_values, with_tag

__all__ = ["color_profile", "jpeg_segments", "png_chunks", "png_color_chunks", "with_color"]

_JPEG_MARK = b"ICC_PROFILE\0"
_JPEG_MOST = 65533 - len(_JPEG_MARK) - 2
_SCAN, _APP2 = 0xDA, 0xE2
_PNG_MARK = b"\x89PNG"
_PNG_HEAD = 8 + 25  # mark and IHDR
_MOST_BYTES = 32 << 20  # of a profile; what unpacks to more is none
_PNG_COLOR = (b"cICP", b"cHRM", b"gAMA", b"sRGB", b"pHYs")


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Marker, place and content of a JPEG's segments up to the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, at, data[at + 4 : at + 2 + size]
        if marker == _SCAN:
            return
        at += 2 + size


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of a PNG's chunks, as far as they are whole."""
    at = 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + size > len(data):
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def color_profile(data: bytes) -> bytes | None:
    """The ICC profile in a PNG, JPEG or TIFF file, if it has a whole one."""
    if data.startswith(_PNG_MARK):
        chunk = next((content for kind, content in png_chunks(data) if kind == b"iCCP"), b"")
        unpacker = zlib.decompressobj()
        try:
            profile = unpacker.decompress(chunk.partition(b"\0")[2][1:], _MOST_BYTES)
        except zlib.error:
            return None
        return profile if profile and unpacker.eof else None
    if data.startswith(b"\xff\xd8"):
        parts = {
            content[12]: content[14:]
            for marker, _, content in jpeg_segments(data)
            if marker == _APP2 and content.startswith(_JPEG_MARK) and len(content) > 14
        }
        return b"".join(parts[number] for number in sorted(parts)) or None
    if is_tiff(data):
        values = tag_values(data, PROFILE)
        return values[0] if values and isinstance(values[0], bytes) else None
    return None


def png_color_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Chunks of a PNG that say what its codes look like, and how large it is; the profile apart."""
    if not data.startswith(_PNG_MARK):
        return []
    return [(kind, content) for kind, content in png_chunks(data) if kind in _PNG_COLOR]


def with_color(
    data: bytes, profile: bytes | None, chunks: list[tuple[bytes, bytes]] | None = None
) -> bytes:
    """A new PNG, JPEG or TIFF file with a profile; a PNG also with chunks of the PNG before.

    Args:
        data: The file, without a profile of its own.
        profile: ICC profile, or None.
        chunks: Of `png_color_chunks`.
    """
    if data.startswith(_PNG_MARK):
        more = list(chunks or [])
        if profile is not None:
            more.append((b"iCCP", b"ICC\0\0" + zlib.compress(profile)))
        added = b"".join(_png_chunk(kind, content) for kind, content in more)
        return data[:_PNG_HEAD] + added + data[_PNG_HEAD:]
    if profile is None:
        return data
    if data.startswith(b"\xff\xd8"):
        at = next((at for marker, at, _ in jpeg_segments(data) if marker != 0xE0), 2)
        return data[:at] + _jpeg_profile(profile) + data[at:]
    return with_tag(data, PROFILE, profile)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _jpeg_profile(profile: bytes) -> bytes:
    parts = [profile[at : at + _JPEG_MOST] for at in range(0, len(profile), _JPEG_MOST)]
    found = b""
    for number, part in enumerate(parts, 1):
        content = _JPEG_MARK + bytes((number, len(parts))) + part
        found += bytes((0xFF, _APP2)) + struct.pack(">H", len(content) + 2) + content
    return found
