"""Still pictures in and out: a still is a clip of one frame."""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.errors import MediaError
from vidcolor.io.planes import BT709
from vidcolor.io.source import reason
from vidcolor.io.target import Target
from vidcolor.records import ColorSpec, FrameBatch, VideoInfo

__all__ = [
    "EXTENSIONS",
    "ImageInfo",
    "is_image",
    "list_images",
    "read_image",
    "still_frame",
    "upright_pixels",
    "write_image",
]

_log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""File name extensions of pictures."""

_JPEG = (".jpg", ".jpeg")
_JPEG_QUALITY = 95
_ORIENTATION = 0x0112
_SRGB = 13
_NEUTRAL_8 = 6
_COLOR_SHARE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class ImageInfo:
    """What a picture file has besides luma.

    Attributes:
        path: Where it was read.
        bits: 8 or 16.
        alpha: (H, W) uint8 or uint16 transparency as shown, or None.
        has_color: Whether the picture had color, which is thrown away.
    """

    path: Path
    bits: int
    alpha: Array | None = None
    has_color: bool = False


def is_image(path: str | Path) -> bool:
    """Whether a file name says that it is a picture that `read_image` reads."""
    return Path(path).suffix.lower() in EXTENSIONS


def list_images(folder: str | Path) -> list[Path]:
    """Pictures of a folder in natural order: 2 before 10. Hidden files are left out.

    Raises:
        MediaError: If it is no folder, or holds no picture.
    """
    folder = Path(folder)
    try:
        paths = [
            path
            for path in folder.iterdir()
            if is_image(path) and path.is_file() and not path.name.startswith(".")
        ]
    except OSError as error:
        raise MediaError(f"{folder}: cannot be listed ({reason(error)})") from error
    if not paths:
        raise MediaError(f"{folder}: holds no picture ({', '.join(EXTENSIONS)})")
    return sorted(paths, key=_natural)


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.split(r"(\d+)", path.name.casefold())
    numbered = [(1, 0, part) if i % 2 == 0 else (0, int(part), "") for i, part in enumerate(parts)]
    return numbered, path.name


def read_image(path: str | Path) -> tuple[FrameBatch, ImageInfo]:
    """Read a picture as a clip of one frame.

    Gray codes are taken as they are. Color pictures give Y' by BT.709, rounded, so that a gray
    picture stored as RGB gives the same codes. Orientation noted in the file is applied.

    Args:
        path: PNG, JPEG or TIFF; gray, RGB or palette, 8 or 16 bit, with or without alpha.

    Returns:
        One frame, full range (uint8, or int32 for 16 bit), and what else the file holds.

    Raises:
        MediaError: If the file is missing, cut off, or no such picture.
    """
    path = Path(path)
    if path.is_dir():
        raise MediaError(f"{path}: is a folder, not a picture")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MediaError(f"{path}: no such file") from error
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({reason(error)})") from error
    pixels = upright_pixels(path, data)
    alpha = None
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels, alpha = pixels[..., :3], np.ascontiguousarray(pixels[..., 3])
    bits = 8 if pixels.dtype == np.uint8 else 16
    colored = pixels.ndim == 3 and _is_colored(pixels, bits)
    frame = still_frame(pixels if pixels.ndim == 2 else pixels[..., ::-1])
    return frame, ImageInfo(path, bits, alpha, colored)


def still_frame(picture: Array) -> FrameBatch:
    """A clip of one frame, full range.

    Args:
        picture: (H, W) gray codes, taken as they are, or (H, W, 3) RGB, of which Y' by BT.709 is
            taken, rounded; uint8 or uint16.
    """
    bits = 8 if picture.dtype == np.uint8 else 16
    luma = picture
    if picture.ndim == 3:
        weights = np.asarray(BT709, np.float32)
        luma = np.rint(cv2.transform(picture.astype(np.float32), weights))
        luma = luma.reshape(picture.shape[:2])
    codes = np.ascontiguousarray(luma).astype(np.uint8 if bits == 8 else np.int32)
    spec = ColorSpec("bt709", full_range=True, bits=bits, primaries=1, transfer=_SRGB)
    info = VideoInfo(codes.shape[0], codes.shape[1], color=spec)
    return FrameBatch(torch.from_numpy(codes)[None, None], (0,), info)


def write_image(
    path: str | Path,
    rgb: Array,
    info: ImageInfo | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write a picture, whole or not at all.

    Args:
        path: PNG, JPEG or TIFF by its extension.
        rgb: (H, W, 3) uint8 or uint16; JPEG has 8 bits and gets them rounded.
        info: Of the picture it was made from: gives alpha (not to JPEG) and must not be replaced.
        overwrite: Replace a file that exists.

    Raises:
        MediaError: If the extension is unknown, the file exists or is the input, or the disk
            fails.
        ValueError: If `rgb` is no such array.
    """
    path = Path(path)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"rgb must be uint8 or uint16 (H, W, 3), not {rgb.dtype} {rgb.shape}")
    suffix = path.suffix.lower()
    if suffix not in EXTENSIONS:
        found = f"the extension {path.suffix!r}" if path.suffix else "no extension"
        raise MediaError(f"{path}: has {found}; a picture is {', '.join(EXTENSIONS)}")
    pixels, settings = rgb[..., ::-1], []
    if suffix in _JPEG:
        if pixels.dtype == np.uint16:
            pixels = np.rint(pixels / 257.0).astype(np.uint8)
        if info is not None and info.alpha is not None:
            _log.warning("%s: JPEG has no transparency; it is left out", path)
        full_chroma = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        settings = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full_chroma]
    elif info is not None and info.alpha is not None:
        pixels = np.dstack((pixels, _to_depth(info.alpha, pixels.dtype)))
    target = Target(path, overwrite, () if info is None else (info.path,))
    try:
        done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels), settings)
        if not done:
            raise MediaError(f"{path}: cannot be encoded")
        target.temporary.write_bytes(data.tobytes())
        target.land()
    except cv2.error as error:
        raise MediaError(f"{path}: cannot be encoded ({error.err})") from error
    except OSError as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{path}: cannot be written ({reason(error)})") from error
    finally:
        target.discard()


def _to_depth(alpha: Array, dtype: Any) -> Array:
    if alpha.dtype == dtype:
        return alpha
    if dtype == np.uint8:
        return np.asarray(np.rint(alpha / 257.0).astype(np.uint8))
    return alpha.astype(np.uint16) * 257


def _is_colored(bgr: Array, bits: int) -> bool:
    coarse = bgr[::4, ::4].astype(np.int32)
    far = (coarse.max(2) - coarse.min(2)) > 2 * _NEUTRAL_8 << (bits - 8)
    return bool(far.mean() > _COLOR_SHARE)


@contextmanager
def _silence() -> Iterator[None]:
    """OpenCV prints its own complaints; ours are enough."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def upright_pixels(path: Path, data: bytes) -> Array:
    """Pixels of a picture file as OpenCV has them (BGR), turned as its EXIF says.

    Raises:
        MediaError: If it cannot be decoded.
    """
    return _upright(_decoded(path, data), _orientation(data))


def _decoded(path: Path, data: bytes) -> Array:
    """Pixels as stored: (H, W), or blue first (H, W, 3 or 4)."""
    if not data:
        raise MediaError(f"{path}: is empty")
    if not _is_whole(data):
        raise MediaError(f"{path}: is cut off")
    try:
        with _silence():
            pixels: Array | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise MediaError(f"{path}: cannot be read as a picture ({error.err})") from error
    if pixels is None:
        raise MediaError(f"{path}: is no picture, or damaged; PNG, JPEG and TIFF are read")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise MediaError(f"{path}: has {pixels.dtype} pixels; 8 and 16 bit integers are read")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        return pixels[..., 0]
    if pixels.ndim == 3 and pixels.shape[2] == 2:  # gray with alpha
        return np.dstack((pixels[..., :1],) * 3 + (pixels[..., 1:],))
    return pixels


def _is_whole(data: bytes) -> bool:
    """Whether the end of a JPEG or PNG is there; decoders fill in gray without a word."""
    if data.startswith(b"\xff\xd8"):
        scan = next((at for marker, at, _ in _jpeg_segments(data) if marker == 0xDA), None)
        return scan is not None and data.find(b"\xff\xd9", scan) >= 0
    if data.startswith(b"\x89PNG"):
        return any(kind == b"IEND" for kind, _ in _png_chunks(data))
    return True


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Marker, place and content of the segments up to the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, at, data[at + 4 : at + 2 + size]
        if marker == 0xDA:
            return
        at += 2 + size


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + size > len(data):
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def _orientation(data: bytes) -> int:
    """EXIF orientation 1 to 8 of a JPEG or PNG; TIFF's is applied by the decoder."""
    block = b""
    if data.startswith(b"\xff\xd8"):
        for marker, _, content in _jpeg_segments(data):
            if marker == 0xE1 and content.startswith(b"Exif\0\0"):
                block = content[6:]
                break
    elif data.startswith(b"\x89PNG"):
        block = next((content for kind, content in _png_chunks(data) if kind == b"eXIf"), b"")
    try:
        order = {b"II": "<", b"MM": ">"}[block[:2]]
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, first)
        for number in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", block, first + 2 + 12 * number)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except (KeyError, struct.error):
        pass
    return 1


def _upright(pixels: Array, orientation: int) -> Array:
    """Apply EXIF orientation: 5 to 8 exchange the sides."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
