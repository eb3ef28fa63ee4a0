"""Still pictures in and out: a still is a clip of one frame."""

from __future__ import annotations

import logging
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
from vidcolor.io.color_profile import jpeg_segments, png_chunks
from vidcolor.io.picture_header import picture_header
from vidcolor.io.planes import luma_of_rgb
from vidcolor.io.source import find_file, reason
from vidcolor.io.target import Target
from vidcolor.io.tiff import ORIENTATION, alpha_pixels, is_tiff, tag_values
from vidcolor.names import natural
from vidcolor.records import ColorSpec, FrameBatch, VideoInfo

__all__ = [
    "EXTENSIONS",
    "JPEG",
    "ImageInfo",
    "encode_picture",
    "is_image",
    "land_picture",
    "list_images",
    "picture_suffix",
    "read_bytes",
    "read_image",
    "still_frame",
    "stored_pixels",
    "upright_pixels",
    "write_image",
]

_log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""File name extensions of pictures."""

JPEG = (".jpg", ".jpeg")
"""Those of pictures that are lossy."""

_JPEG_QUALITY = 95
_ORIENTATION = 0x0112
_PNG_COLOR_TYPE, _GRAY_ALPHA = 25, 4
_SRGB = 13
_NEUTRAL_8 = 6
_COLOR_SHARE = 0.02
_MOST_BYTES = 4 << 30


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
    return sorted(paths, key=lambda path: natural(path.name))


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
    pixels = upright_pixels(path, read_bytes(path))
    alpha = None
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels, alpha = pixels[..., :3], np.ascontiguousarray(pixels[..., 3])
    bits = 8 if pixels.dtype == np.uint8 else 16
    colored = pixels.ndim == 3 and _is_colored(pixels, bits)
    frame = still_frame(pixels if pixels.ndim == 2 else pixels[..., ::-1])
    return frame, ImageInfo(path, bits, alpha, colored)


def read_bytes(path: Path) -> bytes:
    """The file of a picture.

    Raises:
        MediaError: If there is none, or it cannot be read.
    """
    size = find_file(path, "picture")
    if size > _MOST_BYTES:
        raise MediaError(f"{path}: is {size >> 20} MB large; at most {_MOST_BYTES >> 20} are read")
    try:
        return path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({reason(error)})") from error


def still_frame(picture: Array) -> FrameBatch:
    """A clip of one frame, full range.

    Args:
        picture: (H, W) gray codes, taken as they are, or (H, W, 3) RGB, of which Y' by BT.709 is
            taken, rounded; uint8 or uint16.
    """
    bits = 8 if picture.dtype == np.uint8 else 16
    luma = picture if picture.ndim == 2 else luma_of_rgb(picture, bits)
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
    pixels = rgb[..., ::-1]
    if picture_suffix(path) in JPEG:
        if pixels.dtype == np.uint16:
            pixels = np.rint(pixels / 257.0).astype(np.uint8)
        if info is not None and info.alpha is not None:
            _log.warning("%s: JPEG has no transparency; it is left out", path)
    elif info is not None and info.alpha is not None:
        pixels = np.dstack((pixels, _to_depth(info.alpha, pixels.dtype)))
    data = encode_picture(path, pixels)
    land_picture(path, data, overwrite, None if info is None else info.path)


def save_png(path: Path, rgb: Array, overwrite: bool) -> None:
    """Write a drawing, whole or not at all.

    Raises:
        MediaError: If the name is no PNG's; as `write_image`.
    """
    if path.suffix.lower() != ".png":
        raise MediaError(f"{path}: is written as PNG; name it {path.with_suffix('.png').name}")
    write_image(path, rgb, overwrite=overwrite)


def picture_suffix(path: Path) -> str:
    """The extension of a picture to be written, in lower case.

    Raises:
        MediaError: If it is none of `EXTENSIONS`.
    """
    suffix = path.suffix.lower()
    if suffix not in EXTENSIONS:
        found = f"the extension {path.suffix!r}" if path.suffix else "no extension"
        raise MediaError(f"{path}: has {found}; a picture is {', '.join(EXTENSIONS)}")
    return suffix


def encode_picture(path: Path, pixels: Array) -> bytes:
    """The file of a picture, as its extension says.

    Args:
        path: Its name.
        pixels: (H, W) gray, or (H, W, 3 or 4) with blue first.

    Raises:
        MediaError: If it cannot be encoded.
    """
    settings: list[int] = []
    if path.suffix.lower() in JPEG:
        full_chroma = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        settings = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full_chroma]
    try:
        done, data = cv2.imencode(path.suffix.lower(), np.ascontiguousarray(pixels), settings)
    except cv2.error as error:
        raise MediaError(f"{path}: cannot be encoded ({error.err})") from error
    if not done:
        raise MediaError(f"{path}: cannot be encoded")
    return data.tobytes()


def land_picture(path: Path, data: bytes, overwrite: bool, source: Path | None) -> None:
    """Write a file, whole or not at all.

    Raises:
        MediaError: If it exists and is not to be replaced, is `source`, or the disk fails.
    """
    target = Target(path, overwrite, () if source is None else (source,))
    try:
        target.temporary.write_bytes(data)
        target.land()
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
    pixels = stored_pixels(path, data)
    if pixels.ndim == 3 and pixels.shape[2] == 2:
        return np.dstack((pixels[..., :1],) * 3 + (pixels[..., 1:],))
    return pixels


def stored_pixels(path: Path, data: bytes) -> Array:
    """Pixels of a picture file as stored, turned as its EXIF says.

    Returns:
        (H, W) gray, (H, W, 2) gray with alpha, or (H, W, 3 or 4) with blue first.

    Raises:
        MediaError: If it cannot be decoded.
    """
    if not data:
        raise MediaError(f"{path}: is empty")
    if not picture_header(path, data).is_one:
        _log.warning("%s: holds several pictures; the first is taken", path)
    if not _is_whole(data):
        raise MediaError(f"{path}: is cut off")
    if is_tiff(data):
        pixels = alpha_pixels(path, data)
        if pixels is not None:
            turned = _upright(pixels, next(iter(tag_values(data, ORIENTATION)), 1))
            return turned if turned.shape[2] == 2 else turned[..., [2, 1, 0, 3]]
    return _upright(_decoded(path, data), _orientation(data))


def _decoded(path: Path, data: bytes) -> Array:
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
    if pixels.ndim == 3 and pixels.shape[2] == 4 and _is_gray_with_alpha(data):
        return pixels[..., [0, 3]]
    return pixels


def _is_gray_with_alpha(data: bytes) -> bool:
    """Whether a PNG says so; OpenCV spreads it to three channels."""
    return data.startswith(b"\x89PNG") and data[_PNG_COLOR_TYPE] == _GRAY_ALPHA


def _is_whole(data: bytes) -> bool:
    """Whether the end of a JPEG is there; decoders fill in gray without a word."""
    if data.startswith(b"\xff\xd8"):
        scan = next((at for marker, at, _ in jpeg_segments(data) if marker == 0xDA), None)
        return scan is not None and data.find(b"\xff\xd9", scan) >= 0
    return True


def _orientation(data: bytes) -> int:
    """EXIF orientation 1 to 8 of a JPEG or PNG; TIFF's is applied by the decoder."""
    block = b""
    if data.startswith(b"\xff\xd8"):
        for marker, _, content in jpeg_segments(data):
            if marker == 0xE1 and content.startswith(b"Exif\0\0"):
                block = content[6:]
                break
    elif data.startswith(b"\x89PNG"):
        block = next((content for kind, content in png_chunks(data) if kind == b"eXIf"), b"")
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
