"""Frames as a viewer sees them, made of their codes as stored."""

from __future__ import annotations

from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt

from vidcolor.io.color_frames import frame_rgb
from vidcolor.io.planes import put_planes
from vidcolor.ops.boxes import Upright
from vidcolor.records import FrameBatch

__all__ = ["shown_rgb"]

Array = npt.NDArray[Any]

_GRIDS = {(1, 1): "444", (1, 2): "422", (2, 2): "420", (1, 4): "411", (2, 1): "440", (4, 4): "410"}
"""FFmpeg's names of chroma grids, by luma rows and columns to a sample."""


def shown_rgb(
    frames: FrameBatch,
    number: int = 0,
    size: tuple[int, int] | None = None,
    siting: Literal["left", "center"] | None = None,
) -> npt.NDArray[np.uint8]:
    """A frame of a batch in its own color, upright, with square pixels.

    All lines are shown, also where two fields were woven, so that the picture lies line by line
    beside what is made of it.

    Args:
        frames: Luma, and the color as stored if the film has one.
        number: Of the frame in the batch.
        size: `(height, width)` of the upright result; None is its full size.
        siting: Where chroma samples lie across; None goes by the range of the codes, JPEG's or
            MPEG's.

    Returns:
        (height, width, 3) uint8 R'G'B'.
    """
    info = frames.info
    size = size or Upright(info).size
    turns = info.rotation // 90
    coded = size if turns % 2 == 0 else (size[1], size[0])
    rgb = frame_rgb(_stored(frames, number, siting), info.color, coded)
    codes = np.rint(rgb * np.float32(255)).astype(np.uint8)
    return np.ascontiguousarray(np.rot90(codes, turns))


def _stored(frames: FrameBatch, number: int, siting: str | None) -> Any:
    """The frame as a decoder would have given it."""
    bits = frames.info.color.bits
    suffix, kind = ("", np.uint8) if bits == 8 else (f"{bits}le", np.uint16)
    luma = frames.luma[number, 0].numpy().astype(kind, copy=False)
    if frames.rgb is not None:
        red, green, blue = frames.rgb[number].numpy().astype(kind, copy=False)
        return _filled(f"gbrp{suffix}", (green, blue, red))
    if frames.chroma is None:
        return _filled(f"gray{suffix}", (luma,))
    chroma = frames.chroma[number].numpy().astype(kind, copy=False)
    if siting is None:
        siting = "center" if frames.info.color.full_range else "left"
    grid = _grid(luma.shape, chroma.shape[1:])
    family = "yuvj" if siting == "center" and bits == 8 and grid not in ("410",) else "yuv"
    return _filled(f"{family}{grid}p{suffix}", (luma, *chroma))


def _grid(luma: tuple[int, ...], chroma: tuple[int, ...]) -> str:
    for (rows, columns), name in _GRIDS.items():
        if chroma == (-(-luma[0] // rows), -(-luma[1] // columns)):
            return name
    raise ValueError(f"chroma is {chroma[0]}x{chroma[1]} for luma of {luma[0]}x{luma[1]}")


def _filled(pix_fmt: str, planes: tuple[Array, ...]) -> Any:
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pix_fmt)
    put_planes(frame, planes)
    return frame
