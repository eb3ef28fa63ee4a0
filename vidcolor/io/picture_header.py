"""What a picture file says of itself before it is decoded: its kind, its size, how many it holds.

References: PNG (W3C Recommendation, Third Edition); ITU-T T.81 (JPEG), annex B; TIFF Revision 6.0
and BigTIFF; the BMP, GIF89a and WebP container specifications.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from vidcolor.errors import MediaError
from vidcolor.io.color_profile import jpeg_segments, png_chunks
from vidcolor.io.tiff import directory

__all__ = ["MOST_PIXELS", "PictureHeader", "picture_header"]

MOST_PIXELS = 1 << 28
"""Pixels of a picture, at most. What says that it has more is damaged, or meant to fill the
memory."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG's markers of a size
_HUFFMAN = frozenset((0xC0, 0xC1, 0xC2))
_WIDTH, _HEIGHT, _THUMBNAIL = 256, 257, 254


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a file says.

    Attributes:
        height: Rows as stored.
        width: Columns as stored.
        is_one: It holds no further pictures, as an animation or a document does.
        least: Bytes that a picture of this size needs; decoders fill in gray where they lack.
    """

    height: int
    width: int
    is_one: bool = True
    least: int = 0


def picture_header(path: Path, data: bytes) -> PictureHeader:
    """Read the size of a picture without decoding it.

    Args:
        path: For messages.
        data: The file: PNG, JPEG, TIFF, BMP, GIF or WebP.

    Raises:
        MediaError: If it is none of these, damaged, cut off, or too large.
    """
    try:
        header = _read(path, data)
    except (struct.error, IndexError) as error:
        raise MediaError(f"{path}: is cut off") from error
    if header is None:
        raise MediaError(f"{path}: is no picture, or damaged; PNG, JPEG and TIFF are read")
    height, width = header.height, header.width
    if not height or not width:
        raise MediaError(f"{path}: is damaged: it says that it is {width}x{height} pixels large")
    if height * width > MOST_PIXELS:
        raise MediaError(
            f"{path}: says that it is {width}x{height} pixels large; at most "
            f"{MOST_PIXELS // 1_000_000} million are read"
        )
    if len(data) < header.least:
        raise MediaError(f"{path}: is cut off")
    return header


def _read(path: Path, data: bytes) -> PictureHeader | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(path, data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff(data)
    if data.startswith(b"BM"):
        (length,) = struct.unpack_from("<I", data, 14)
        width, height = struct.unpack_from("<HH" if length == 12 else "<ii", data, 18)
        return PictureHeader(abs(height), abs(width))
    if data[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack_from("<HH", data, 6)
        return PictureHeader(height, width, data.count(b"\0\x21\xf9\x04") < 2)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _png(path: Path, data: bytes) -> PictureHeader | None:
    chunks = list(png_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR":
        return None
    if not any(kind == b"IEND" for kind, _ in chunks):
        raise MediaError(f"{path}: is cut off")
    at = 8
    for kind, content in chunks:
        end = at + 8 + len(content)
        if zlib.crc32(data[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise MediaError(f"{path}: is damaged (its {ascii(kind)[2:-1]} part)")
        at = end + 4
        if kind == b"IEND":
            break
    width, height = struct.unpack_from(">II", chunks[0][1])
    animated = next((c for kind, c in chunks if kind == b"acTL" and len(c) >= 4), b"\0\0\0\1")
    return PictureHeader(height, width, struct.unpack_from(">I", animated)[0] < 2)


def _jpeg(data: bytes) -> PictureHeader | None:
    for marker, _, content in jpeg_segments(data):
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", content, 1)
            least = height * width // 64 // 8 if marker in _HUFFMAN else 0  # a bit for each block
            return PictureHeader(height, width, least=least)
    return None


def _tiff(data: bytes) -> PictureHeader | None:
    tags, following = directory(data)
    if _WIDTH not in tags or _HEIGHT not in tags:
        return None
    if following:  # a small copy of the same picture is none to speak of
        following = not directory(data, following)[0].get(_THUMBNAIL, 0) & 1
    return PictureHeader(tags[_HEIGHT], tags[_WIDTH], not following)


def _webp(data: bytes) -> PictureHeader | None:
    if len(data) < 8 + struct.unpack_from("<I", data, 4)[0]:
        raise IndexError
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return PictureHeader(height & 0x3FFF, width & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return PictureHeader((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        return PictureHeader(height, width, not data[20] & 2)
    return None
