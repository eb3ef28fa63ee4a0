"""Codes out of decoded frames, planes into frames for the encoder, without any conversion."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import av
import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import MediaError

__all__ = [
    "Codes",
    "PixelLayout",
    "chroma_planes_of",
    "chroma_share",
    "code_type",
    "codes_of",
    "is_transparent",
    "layout_of",
    "luma_of",
    "luma_of_rgb",
    "plane_view",
    "put_planes",
    "rgb_of",
    "subsampling_of",
]

Array = npt.NDArray[Any]

BT709 = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
"""Weights of R', G', B' in the Y' made of RGB sources."""

_HIGH_BITS = re.compile(r"^p[0-4]1[0-6]")  # p010 and kin keep the value in the upper bits
_PLANAR_RGB = re.compile(r"^gbra?p(|9|10|12|14|16)(le|be)?$")
_RED_FIRST = ("nv21", "nv42")  # semi-planar with Cr before Cb
_ROWS = 512
_COARSE_ROWS = 100
_NEUTRAL_8 = 6
"""Distance from neutral, in 8-bit codes, up to which chroma is noise."""


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """What must be done to a frame of some pixel format to get at luma.

    Attributes:
        name: FFmpeg's name of the format.
        kind: `plane` (plane 0 is luma), `rgb` (Y' is computed), `packed` (unpacked first).
        bits: Depth of the luma that comes out.
        shift: Bits to drop at the lower end of a stored word.
        full_range: The format itself says that codes use the whole range.
        gray: It has no color.
        via: Format to unpack to, where one is needed.
    """

    name: str
    kind: Literal["plane", "rgb", "packed"]
    bits: int
    shift: int = 0
    full_range: bool = False
    gray: bool = False
    via: str | None = None


def layout_of(pixel_format: Any) -> PixelLayout:
    """How frames of a pixel format (`av.VideoFormat`) are read.

    Raises:
        MediaError: If the format keeps no picture in memory that we could read.
    """
    name, parts = pixel_format.name, pixel_format.components
    if not parts:
        raise MediaError(f"pixel format {name} cannot be read")
    bits = parts[0].bits
    real = "f32" in name or "f16" in name
    gray = name.startswith(("gray", "mono", "ya"))
    if name.startswith("mono"):
        return PixelLayout(name, "packed", 8, full_range=True, gray=True, via="gray")
    if gray and (real or bits > 16):
        return PixelLayout(name, "packed", 16, full_range=True, gray=True, via="gray16le")
    if (
        pixel_format.is_rgb
        or pixel_format.has_palette
        or pixel_format.is_bayer
        or name.startswith("xyz")
        or real
    ):
        if _PLANAR_RGB.match(name):
            return PixelLayout(name, "rgb", bits, full_range=True)
        deep = real or bits > 8
        via = "rgb48le" if deep else "rgb24"
        return PixelLayout(name, "rgb", 16 if deep else 8, full_range=True, via=via)
    if not 8 <= bits <= 16:
        raise MediaError(f"pixel format {name} has {bits} bits, 8 to 16 can be read")
    full = gray or name.startswith("yuvj")
    if gray and len(parts) == 2:  # gray with transparency, interleaved
        via = "gray" if bits == 8 else f"gray{bits}le"
        return PixelLayout(name, "packed", bits, full_range=True, gray=True, via=via)
    if sum(part.plane == 0 for part in parts) > 1:
        grid = av.VideoFormat(name, 16, 16).components
        chroma = {(8, 8): "420", (8, 16): "422", (16, 16): "444", (4, 16): "411"}.get(
            (grid[1].width, grid[1].height), "444"
        )
        suffix = "" if bits == 8 else f"{bits}le"
        return PixelLayout(name, "packed", bits, full_range=full, via=f"yuv{chroma}p{suffix}")
    shift = 16 - bits if _HIGH_BITS.match(name) else 0
    return PixelLayout(name, "plane", bits, shift=shift, full_range=full, gray=gray)


def subsampling_of(name: str) -> tuple[int, int]:
    """Luma rows and columns to a chroma sample of a pixel format; (1, 1) where it has none."""
    parts = av.VideoFormat(name, 16, 16).components
    if len(parts) < 3:
        return 1, 1
    return 16 // parts[1].height, 16 // parts[1].width


def luma_of(frame: Any, layout: PixelLayout) -> Array:
    """The luma of a decoded frame: the memory of the frame itself where it can be read as it is.

    Never write to it.

    Args:
        frame: A decoded `av.VideoFrame`.
        layout: Of its pixel format.

    Returns:
        (H, W) codes as decoded, uint8, int16 (9 to 15 bit) or int32 (16 bit). For RGB, Y' by
        BT.709, full range, rounded to the depth of the source.
    """
    if layout.kind == "rgb":
        return luma_of_rgb(rgb_of(frame, layout), layout.bits)
    plane = plane_view(_unpacked(frame, layout), 0)
    if layout.shift or layout.bits == 16:
        return _copied(plane, layout)
    return plane.view(code_type(layout.bits))


class Codes(NamedTuple):
    """All of a decoded frame but transparency.

    Attributes:
        luma: (H, W), as `luma_of`.
        chroma: (2, h, w) Cb and Cr as decoded, of the same type; None for gray and RGB.
        rgb: (3, H, W) R'G'B' as decoded, of the same type; None unless the frame is RGB.
    """

    luma: Array
    chroma: Array | None = None
    rgb: Array | None = None


def codes_of(frame: Any, layout: PixelLayout) -> Codes:
    """A copy of luma and color of a decoded frame.

    Args:
        frame: A decoded `av.VideoFrame`.
        layout: Of its pixel format.
    """
    if layout.kind == "rgb":
        rgb = rgb_of(frame, layout)
        apart = np.ascontiguousarray(rgb.transpose(2, 0, 1))
        return Codes(luma_of_rgb(rgb, layout.bits), rgb=apart.astype(code_type(layout.bits)))
    frame = _unpacked(frame, layout)
    luma = _copied(plane_view(frame, 0), layout)
    if layout.gray:
        return Codes(luma)
    return Codes(luma, np.stack([_copied(plane, layout) for plane in chroma_planes_of(frame)]))


def luma_of_rgb(rgb: Array, bits: int) -> Array:
    """Y' by BT.709, full range, rounded; the same for the same codes wherever it is asked.

    Args:
        rgb: (H, W, 3) R'G'B' codes.
        bits: Their depth.

    Returns:
        (H, W) uint8, int16 (9 to 15 bit) or int32 (16 bit).
    """
    luma = np.empty(rgb.shape[:2], code_type(bits))
    for top in range(0, len(rgb), _ROWS):  # large pictures would need twelve bytes a pixel more
        rows = slice(top, top + _ROWS)
        exact = np.ascontiguousarray(rgb[rows], np.float32)  # one order, one way of summing
        luma[rows] = np.rint(cv2.transform(exact, BT709)).reshape(exact.shape[:2])
    return luma


def code_type(bits: int) -> type[np.integer[Any]]:
    """In which type codes of a depth travel."""
    if bits == 8:
        return np.uint8
    return np.int16 if bits < 16 else np.int32


def _copied(plane: Array, layout: PixelLayout) -> Array:
    return (plane >> layout.shift if layout.shift else plane).astype(code_type(layout.bits))


def _unpacked(frame: Any, layout: PixelLayout) -> Any:
    return frame if layout.via is None else frame.reformat(format=layout.via)


def chroma_planes_of(frame: Any) -> tuple[Array, Array]:
    """Cb and Cr of a planar or semi-planar frame as they lie in memory."""
    if len(frame.planes) == 2:
        pair = plane_view(frame, 1, samples=2)
        first, second = pair[..., 0], pair[..., 1]
        return (second, first) if frame.format.name in _RED_FIRST else (first, second)
    return plane_view(frame, 1), plane_view(frame, 2)


def is_transparent(frame: Any) -> bool:
    """Whether a frame is transparent anywhere."""
    name, parts = frame.format.name, frame.format.components
    if len(parts) not in (2, 4):
        return False
    last = parts[-1]
    if len(frame.planes) == len(parts):
        alpha = plane_view(frame, last.plane)
        return bool(alpha.min() < (1 << last.bits) - 1)
    if name.startswith("ya"):
        return bool(plane_view(frame, 0, samples=2)[..., 1].min() < (1 << last.bits) - 1)
    return bool(plane_view(frame.reformat(format="rgba"), 0, samples=4)[..., 3].min() < 255)


def rgb_of(frame: Any, layout: PixelLayout) -> Array:
    """(H, W, 3) R'G'B' codes of a decoded RGB frame."""
    if layout.via is None:
        green, blue, red = (plane_view(frame, i) for i in range(3))
        return np.stack((red, green, blue), axis=2)
    frame = frame.reformat(format=layout.via)
    return plane_view(frame, 0, samples=3)


def plane_view(frame: Any, index: int, samples: int = 1) -> Array:
    """A plane as it lies in memory, without padding; never write to a decoded frame's.

    Args:
        frame: An `av.VideoFrame`.
        index: Which plane.
        samples: Values to a pixel.

    Returns:
        (H, W), or (H, W, samples), uint8 or uint16 in native byte order.
    """
    plane = frame.planes[index]
    fmt = frame.format
    wide = fmt.components[0].bits > 8
    dtype = np.dtype(">u2" if fmt.is_big_endian else "<u2") if wide else np.dtype(np.uint8)
    rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    view = rows[:, : plane.width * samples]
    if samples > 1:
        view = view.reshape(plane.height, plane.width, samples)
    return view.astype(np.uint16) if wide and fmt.is_big_endian else view


def chroma_share(frame: Any, layout: PixelLayout) -> float:
    """Share of pixels, looked at on a coarse grid, whose color is more than noise."""
    if layout.gray:
        return 0.0
    if layout.kind == "rgb":
        rgb = _coarse(rgb_of(frame, layout)).astype(np.int32)
        far = (rgb.max(2) - rgb.min(2)) > 2 * _NEUTRAL_8 << (layout.bits - 8)
        return float(far.mean())
    if layout.via is not None:
        frame = frame.reformat(format=layout.via)
    if len(frame.planes) < 2:
        return 0.0
    neutral, near = 1 << (layout.bits - 1), _NEUTRAL_8 << (layout.bits - 8)
    codes = [(_coarse(c) >> layout.shift).astype(np.int32) for c in chroma_planes_of(frame)]
    blue, red = (np.abs(c - neutral) > near for c in codes)
    return float((blue | red).mean())


def _coarse(plane: Array) -> Array:
    """About 100 rows of a plane: enough to see color, and cheap for every frame of a film."""
    step = max(4, len(plane) // _COARSE_ROWS)
    return plane[::step, ::step]


def put_planes(frame: Any, planes: tuple[Array, ...]) -> None:
    """Fill a frame.

    Args:
        frame: An `av.VideoFrame` that nobody else refers to.
        planes: As many arrays as it has planes, of its sizes and word length; (H, W), or
            (H, W, S) where S values make a pixel.

    Raises:
        ValueError: If a size differs.
    """
    for plane, values in zip(frame.planes, planes, strict=True):
        if values.shape[:2] != (plane.height, plane.width):
            raise ValueError(f"plane is {plane.height}x{plane.width}, given {values.shape}")
        rows = np.frombuffer(plane, values.dtype).reshape(plane.height, -1)
        across = values.reshape(plane.height, -1)
        rows[:, : across.shape[1]] = across
