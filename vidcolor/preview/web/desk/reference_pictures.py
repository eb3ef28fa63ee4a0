"""Reference pictures that browsers send: looked at before they are kept."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from vidcolor.errors import GuidanceError, MediaError
from vidcolor.guidance.references.entries import ReferenceEntry, load_references
from vidcolor.io.color_profile import jpeg_segments
from vidcolor.io.source import reason
from vidcolor.io.target import Target
from vidcolor.io.tiff import is_tiff, tag_values
from vidcolor.preview.web.desk.disk import check_room
from vidcolor.preview.web.desk.names import numbered, safe_name

__all__ = ["PICTURE_BYTES", "picture_kind", "store_picture"]

PICTURE_BYTES = 64 << 20
"""What a reference picture may have."""

_MOST_PIXELS = 100_000_000
_MOST_SIDE_PX = 20_000
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_FRAME_HEADS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # of JPEG: SOF0 to SOF15
_WIDTH, _HEIGHT = 256, 257  # tags of TIFF
_NAMES = {".png": (".png",), ".jpg": (".jpg", ".jpeg"), ".tiff": (".tif", ".tiff")}


def picture_kind(data: bytes) -> tuple[str, tuple[int, int]]:
    """What kind of picture a file is and how large, by its head alone.

    Args:
        data: The file.

    Returns:
        The extension of such files, and `(height, width)`.

    Raises:
        GuidanceError: If it is no PNG, JPEG or TIFF, or does not say how large it is.
    """
    size: tuple[int, ...] = ()
    suffix = ""
    if data.startswith(_PNG):
        suffix = ".png"
        if data[12:16] == b"IHDR" and len(data) >= 24:
            size = struct.unpack_from(">II", data, 16)[::-1]
    elif data.startswith(_JPEG):
        suffix = ".jpg"
        heads = [part for marker, _, part in jpeg_segments(data) if marker in _FRAME_HEADS]
        if heads and len(heads[0]) >= 5:
            size = struct.unpack_from(">HH", heads[0], 1)
    elif is_tiff(data):
        suffix = ".tiff"
        size = (*tag_values(data, _HEIGHT)[:1], *tag_values(data, _WIDTH)[:1])
    if not suffix:
        raise GuidanceError("is no picture that can be used; PNG, JPEG and TIFF are read")
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise GuidanceError("is damaged: it does not say how large it is; save it anew")
    return suffix, (size[0], size[1])


def store_picture(folder: Path, name: str, data: bytes) -> str:
    """Keep a reference picture.

    A picture of the same name and content is not kept twice; another one of that name gets a
    number.

    Args:
        folder: Where it goes; made if it is not there.
        name: As the browser calls it; any text.
        data: PNG, JPEG or TIFF.

    Returns:
        Its path seen from the folder around `folder`, with `/`.

    Raises:
        GuidanceError: If it is no picture that can be a reference.
        MediaError: If it cannot be kept.
    """
    shown = safe_name(name, "picture")
    suffix = _checked(shown, data)
    if Path(shown).suffix not in _NAMES[suffix]:
        shown += suffix
    try:
        if folder.is_symlink():
            raise MediaError(f"{folder.name}: leads to another folder; put a real one there")
        folder.mkdir(exist_ok=True)
        check_room(folder, shown)
        for candidate in numbered(shown):
            path = folder / candidate
            if os.path.lexists(path):
                if not path.is_symlink() and path.is_file() and path.read_bytes() == data:
                    return f"{folder.name}/{candidate}"
                continue
            _write(path, shown, data)
            return f"{folder.name}/{candidate}"
    except OSError as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(
            f"{shown}: cannot be kept in {folder.name} ({reason(error)}); make room and the folder "
            "writable"
        ) from error
    raise AssertionError("numbers do not end")


def _checked(shown: str, data: bytes) -> str:
    """The extension for a picture that may be decoded."""
    if not data:
        raise GuidanceError(f"{shown}: is empty; choose it again")
    if len(data) > PICTURE_BYTES:
        raise GuidanceError(
            f"{shown}: is larger than {PICTURE_BYTES >> 20} MB; make the picture smaller"
        )
    try:
        suffix, (height, width) = picture_kind(data)
    except GuidanceError as error:
        raise GuidanceError(f"{shown}: {error}") from None
    if max(height, width) > _MOST_SIDE_PX or height * width > _MOST_PIXELS:
        raise GuidanceError(
            f"{shown}: {width}x{height} pixels are too many; make the picture smaller, the size of "
            "the film will do"
        )
    return suffix


def _write(path: Path, shown: str, data: bytes) -> None:
    """Write a picture, see that it can be a reference, and only then give it the name."""
    target = Target(path, False)
    try:
        target.temporary.write_bytes(data)
        try:
            load_references((ReferenceEntry(str(target.temporary)),))
        except GuidanceError as error:
            told = str(error).replace(str(target.temporary), shown)
            raise GuidanceError(told) from None
        target.land()
    finally:
        target.discard()
