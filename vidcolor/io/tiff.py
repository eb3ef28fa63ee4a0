"""What OpenCV gets wrong of TIFF files: transparency; and tags, read and added.

OpenCV multiplies 8-bit colors by an alpha that is not associated with them, and reads gray with
alpha as noise. FFmpeg gives both as stored, if the file lies in strips.

Reference: TIFF Revision 6.0 (Adobe, 1992), sections 2 and 18.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import numpy.typing as npt

from vidcolor.errors import MediaError
from vidcolor.io.planes import plane_view
from vidcolor.io.source import reason

__all__ = [
    "ORIENTATION",
    "PROFILE",
    "alpha_pixels",
    "directory",
    "is_tiff",
    "tag_values",
    "with_tag",
]

Array = npt.NDArray[Any]

ORIENTATION, PROFILE = 274, 34675
_BITS, _SAMPLES, _PLANAR, _TILES, _EXTRA = 258, 277, 284, 322, 338
_ASSOCIATED, _APART, _UNDEFINED = 1, 2, 7
_SIZES = {1: ("B", 1), 2: ("s", 1), 3: ("H", 2), 4: ("I", 4), _UNDEFINED: ("s", 1)}
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ENTRY = 12
_MOST_VALUES = 1 << 16  # of a tag that is not bytes


def is_tiff(data: bytes) -> bool:
    """Whether a file is a TIFF; those of more than 4 GiB (BigTIFF) are not meant."""
    return data[:4] in _ORDERS


def tag_values(data: bytes, tag: int) -> tuple[Any, ...]:
    """Values of a tag in the first directory of a TIFF, empty if it has none.

    Texts and undefined bytes come as one value of type bytes.
    """
    order = _ORDERS[data[:4]]
    try:
        (at,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, at)
        for number in range(count):
            entry = at + 2 + _ENTRY * number
            found, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
            if found != tag or kind not in _SIZES:
                continue
            letter, size = _SIZES[kind]
            if letter != "s" and length > _MOST_VALUES:
                return ()
            place = entry + 8
            if length * size > 4:
                (place,) = struct.unpack_from(f"{order}I", data, place)
            return struct.unpack_from(f"{order}{length}{letter}", data, place)
    except struct.error:
        pass
    return ()


def directory(data: bytes, at: int | None = None) -> tuple[dict[int, int], int]:
    """Tags of a directory of a TIFF or BigTIFF that hold one number.

    Args:
        data: The file.
        at: Where the directory lies; None is the first one.

    Returns:
        Values by tag, and where the next directory lies, 0 if there is none.

    Raises:
        struct.error: If it is cut off.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    place, number, entry = ("Q", "Q", 20) if big else ("I", "H", _ENTRY)
    if at is None:
        (at,) = struct.unpack_from(order + place, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + number, data, at)
    at += struct.calcsize(order + number)
    if at + count * entry > len(data):
        raise struct.error("the directory is cut off")
    found = {}
    for start in range(at, at + count * entry, entry):
        tag, kind, length = struct.unpack_from(f"{order}HH{place}", data, start)
        if length == 1 and kind in (3, 4):
            letter, _ = _SIZES[kind]
            (found[tag],) = struct.unpack_from(order + letter, data, start + (12 if big else 8))
    (following,) = struct.unpack_from(order + place, data, at + count * entry)
    return found, following


def alpha_pixels(path: Path, data: bytes) -> Array | None:
    """Codes of a TIFF whose transparency OpenCV would read wrong.

    Args:
        path: For messages.
        data: The file.

    Returns:
        (H, W, 2) gray with alpha or (H, W, 4) RGB with alpha, as stored, not turned; None where
        OpenCV does well.

    Raises:
        MediaError: If it lies in tiles or planes, or cannot be decoded.
    """
    samples, extra = tag_values(data, _SAMPLES), tag_values(data, _EXTRA)
    if samples not in ((2,), (4,)) or not extra:
        return None
    deep = max(tag_values(data, _BITS), default=8) > 8
    if samples == (4,) and (deep or extra[0] == _ASSOCIATED):
        return None
    if tag_values(data, _TILES) or tag_values(data, _PLANAR) == (_APART,):
        raise MediaError(
            f"{path}: its transparency lies in tiles or planes; save it as PNG or in strips"
        )
    try:
        with av.open(io.BytesIO(data), "r", format="tiff_pipe") as file:
            frame = next(file.decode(video=0))
    except (av.error.FFmpegError, OSError, ValueError, StopIteration) as error:
        raise MediaError(f"{path}: cannot be read as a picture ({reason(error)})") from error
    count = len(frame.format.components)
    if len(frame.planes) != 1 or count != samples[0]:
        raise MediaError(f"{path}: its transparency cannot be read; save it as PNG")
    return np.ascontiguousarray(plane_view(frame, 0, samples=count))


def with_tag(data: bytes, tag: int, content: bytes) -> bytes:
    """A TIFF with a tag of undefined bytes added to its first directory.

    Args:
        data: The file; it must have no such tag.
        tag: Its number.
        content: More than 4 bytes.
    """
    order = _ORDERS[data[:4]]
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    end = at + 2 + _ENTRY * count
    entries = [data[n : n + _ENTRY] for n in range(at + 2, end, _ENTRY)]
    following = data[end : end + 4]
    padded = data + bytes(len(data) % 2)
    entries.append(struct.pack(f"{order}HHII", tag, _UNDEFINED, len(content), len(padded)))
    entries.sort(key=lambda entry: struct.unpack_from(f"{order}H", entry)[0])
    padded += content + bytes(len(content) % 2)
    place = struct.pack(f"{order}I", len(padded))
    directory = struct.pack(f"{order}H", count + 1) + b"".join(entries) + following
    return padded[:4] + place + padded[8:] + directory
