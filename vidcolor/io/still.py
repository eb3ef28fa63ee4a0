"""Stills for repair: all channels as stored, in and out, so that only repaired pixels differ."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from vidcolor.io.color_profile import color_profile, png_color_chunks, with_color
from vidcolor.io.image import (
    JPEG,
    encode_picture,
    land_picture,
    picture_suffix,
    read_bytes,
    still_frame,
    stored_pixels,
)
from vidcolor.io.planes import put_planes
from vidcolor.io.source_planes import repaired_pixels
from vidcolor.records import FrameBatch

__all__ = ["Still", "read_still", "write_still"]

_log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

_PNG_GRAY = {8: "ya8", 16: "ya16be"}
_TIFF = {(2, 8): "ya8", (2, 16): "ya16le", (4, 8): "rgba", (4, 16): "rgba64le"}


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A picture with all that its file has of pixels.

    Attributes:
        path: Where it was read.
        pixels: (H, W) gray or (H, W, 3) R'G'B' codes as stored, uint8 or uint16, upright.
        alpha: (H, W) transparency of the same type, or None.
        profile: ICC profile.
        chunks: Color chunks, if the file is a PNG.
    """

    path: Path
    pixels: Array
    alpha: Array | None = None
    profile: bytes | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def bits(self) -> int:
        """8 or 16."""
        return 8 if self.pixels.dtype == np.uint8 else 16

    def frame(self) -> FrameBatch:
        """A clip of one frame: gray codes as they are, of color Y' by BT.709, full range."""
        return still_frame(self.pixels)

    def with_luma(self, luma: Array) -> Array:
        """The pixels with another Y'.

        Args:
            luma: (H, W) integer codes of the same depth. Where they are those of `frame`, pixels
                stay as stored; elsewhere color gets the difference on all channels, clipped.

        Returns:
            As `pixels`.

        Raises:
            ValueError: If the size differs.
        """
        if luma.shape != self.pixels.shape[:2]:
            raise ValueError(f"luma is {luma.shape}, the picture {self.pixels.shape[:2]}")
        if self.pixels.ndim == 2:
            return luma.astype(self.pixels.dtype)
        return repaired_pixels(self.pixels, luma, self.bits)


def read_still(path: str | Path) -> Still:
    """Read a picture with all its channels.

    Palettes are resolved, fewer than 8 bits become 8; orientation noted in the file is applied.

    Args:
        path: PNG, JPEG or TIFF; gray, RGB or palette, 8 or 16 bit, with or without alpha.

    Raises:
        MediaError: If the file is missing, cut off, or no such picture.
    """
    path = Path(path)
    data = read_bytes(path)
    codes = stored_pixels(path, data)
    alpha = None
    if codes.ndim == 3 and codes.shape[2] in (2, 4):
        codes, alpha = codes[..., :-1], np.ascontiguousarray(codes[..., -1])
    pixels = codes[..., ::-1] if codes.ndim == 3 else codes
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    return Still(
        path,
        np.ascontiguousarray(pixels),
        alpha,
        color_profile(data),
        tuple(png_color_chunks(data)),
    )


def write_still(
    path: str | Path, still: Still, luma: Array | None = None, *, overwrite: bool = False
) -> None:
    """Write a picture as it was read, but for its Y'; whole or not at all.

    Gray stays gray, color color; alpha, depth and color profile stay. JPEG has 8 bits, no alpha,
    and changes every pixel a little; one line is logged.

    Args:
        path: PNG, JPEG or TIFF by its extension.
        still: The picture; its file is not replaced.
        luma: (H, W) new Y', see `Still.with_luma`; None: as it was.
        overwrite: Replace a file that exists.

    Raises:
        MediaError: If the extension is unknown, the file exists or is the input, or the disk
            fails.
        ValueError: If `luma` is of another size.
    """
    path = Path(path)
    suffix = picture_suffix(path)
    pixels = still.pixels if luma is None else still.with_luma(luma)
    if suffix in JPEG:
        lost = " and has no transparency" if still.alpha is not None else ""
        lost = (" and has 8 bits" if still.bits == 16 else "") + lost
        _log.info("%s: JPEG is lossy, every pixel may change a little%s; .png is exact", path, lost)
        if still.bits == 16:
            pixels = np.rint(pixels / 257.0).astype(np.uint8)
        data = encode_picture(path, _blue_first(pixels))
    elif still.alpha is None:
        data = encode_picture(path, _blue_first(pixels))
    else:
        data = _with_alpha(path, suffix, pixels, still.alpha)
    data = with_color(data, still.profile, list(still.chunks))
    land_picture(path, data, overwrite, still.path)


def _blue_first(pixels: Array) -> Array:
    return pixels if pixels.ndim == 2 else pixels[..., ::-1]


def _with_alpha(path: Path, suffix: str, pixels: Array, alpha: Array) -> bytes:
    """OpenCV has no gray with alpha, and does not say in a TIFF that the last channel is one."""
    codes = np.dstack((pixels, alpha))
    bits = 8 if codes.dtype == np.uint8 else 16
    if suffix != ".png":
        return _encoded("tiff", _TIFF[codes.shape[2], bits], codes)
    if codes.shape[2] == 2:
        return _encoded("png", _PNG_GRAY[bits], codes.astype(">u2") if bits == 16 else codes)
    return encode_picture(path, codes[..., [2, 1, 0, 3]])


def _encoded(encoder: str, pix_fmt: str, codes: Array) -> bytes:
    """A picture by FFmpeg."""
    height, width = codes.shape[:2]
    frame = av.VideoFrame(width, height, pix_fmt)
    put_planes(frame, (codes,))
    context: Any = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = width, height, pix_fmt
    context.time_base = Fraction(1)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
