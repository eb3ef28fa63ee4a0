"""Between the coded picture and the small upright one that a network sees.

A network sees the picture as a viewer does: turned upright, with square pixels. Color goes back
to the coded orientation, where the encoder wants it.
"""

from __future__ import annotations

import functools
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from vidcolor.color.luma import to_lightness
from vidcolor.records import ColorSpec, FrameBatch, VideoInfo

__all__ = ["averaged", "from_network", "luma_to_network", "network_size", "shrink", "to_network"]

Array = npt.NDArray[Any]

_HALVES_ABOVE = 4
"""Sides of the result that a side must have to be halved first: the rest is averaged exactly."""
_LONGEST = 8
"""Long side of a network's picture in short ones, at most: a strip must not fill the memory."""


def network_size(
    info: VideoInfo, short_side: int = 256, multiple: int = 8, square: bool = False
) -> tuple[int, int]:
    """Size of the picture for a network.

    Args:
        info: The clip; its rotation and pixel aspect are taken into account.
        short_side: Pixels of the shorter side, rounded to a multiple of `multiple`.
        multiple: Both sides are multiples of this.
        square: Both sides get `short_side`, the aspect is given up.

    Returns:
        `(height, width)` of the upright picture with square pixels; one that is longer than 8
        times its short side is pressed together.

    Raises:
        ValueError: If `short_side` or `multiple` is not positive.
    """
    if short_side < 1 or multiple < 1:
        raise ValueError(f"no network size of short side {short_side}, multiple {multiple}")
    short = max(1, round(short_side / multiple)) * multiple
    if square:
        return short, short
    height, width = float(info.height), float(info.width * info.sample_aspect)
    if _turns(info) % 2:
        height, width = width, height
    aspect = min(max(height, width) / min(height, width), _LONGEST)
    long = max(1, round(short_side * aspect / multiple)) * multiple
    return (short, long) if height <= width else (long, short)


def to_network(lightness: Tensor, info: VideoInfo, size: tuple[int, int]) -> Tensor:
    """Coded picture to the upright small one, without aliasing.

    Args:
        lightness: (N, C, H, W) float, coded orientation, on any device.
        info: The clip; says how to turn.
        size: `(height, width)` of the upright result.

    Returns:
        (N, C, *size), same type and device.
    """
    turns = _turns(info)
    coded = size if turns % 2 == 0 else (size[1], size[0])
    small = functional.interpolate(
        lightness, coded, mode="bilinear", align_corners=False, antialias=True
    )
    return torch.rot90(small, turns, (2, 3)).contiguous()


def from_network(ab: Tensor, info: VideoInfo) -> Tensor:
    """Upright (N, C, h, w) turned to the coded orientation; the size is not changed."""
    return torch.rot90(ab, -_turns(info), (2, 3)).contiguous()


def luma_to_network(frames: FrameBatch, size: tuple[int, int]) -> Tensor:
    """Small upright lightness of frames; the cheap way on a CPU.

    The codes are averaged over areas, then read as L*, as if the picture had been stored small.
    Large pictures are halved before, see `shrink`.

    Args:
        frames: Frames with luma on the CPU.
        size: `(height, width)` of the upright result.

    Returns:
        (N, 1, *size) float32 L* in [0, 100].
    """
    turns = _turns(frames.info)
    coded = size if turns % 2 == 0 else (size[1], size[0])
    small = np.empty((len(frames), 1, *size), np.float32)
    for i, plane in enumerate(frames.luma[:, 0].numpy()):
        codes = averaged(plane, frames.info.color.bits, coded)
        small[i, 0] = np.rot90(_lightness(codes, frames.info.color), turns)
    return torch.from_numpy(small)


def shrink(plane: Array, size: tuple[int, int]) -> Array:
    """A small picture of codes: areas averaged and rounded.

    Args:
        plane: (H, W) codes, uint8, int16 or int32 as `FrameBatch.luma` has them; only read.
        size: `(height, width)` of the result; sides that grow are interpolated.

    Returns:
        `size`, uint8 for uint8, else uint16.
    """
    if plane.dtype != np.uint8:
        plane = plane.astype(np.uint16)
    return _resize(_halved(plane, size), size)


def averaged(plane: Array, bits: int, size: tuple[int, int]) -> Array:
    """A small picture of codes: areas averaged, with the fractions that they have.

    Args:
        plane: (H, W) codes, as for `shrink`.
        bits: Their depth.
        size: `(height, width)` of the result; sides that grow are interpolated.

    Returns:
        `size`, float32, in units of codes.
    """
    if not _may_be_halved(plane, size):
        return _resize(plane.astype(np.float32), size)
    if plane.dtype == np.uint8:
        deep = _halved_bytes(plane)
    else:
        deep = np.left_shift(plane, 16 - bits, dtype=np.uint16, casting="unsafe")
    codes = _resize(_halved(deep, size), size).astype(np.float32)
    return codes * np.float32(1 / (1 << (16 - bits)))


def _halved_bytes(plane: Array) -> Array:
    """Exact means of 2x2 in units of 1/256, uint16: what OpenCV needs twice the time for."""
    pairs = np.ascontiguousarray(plane).view(np.uint16)
    sums = pairs & 255
    sums += pairs >> 8
    four = sums[::2] + sums[1::2]
    four <<= 6
    return cast(Array, four)


def _halved(plane: Array, size: tuple[int, int]) -> Array:
    """A picture that is large against `size`, by means of 2x2: ten times faster than areas."""
    while _may_be_halved(plane, size):
        half = plane.shape[1] // 2, plane.shape[0] // 2
        plane = cast(Array, cv2.resize(plane, half, interpolation=cv2.INTER_AREA))
    return plane


def _may_be_halved(plane: Array, size: tuple[int, int]) -> bool:
    return all(
        have >= _HALVES_ABOVE * want and have % 2 == 0
        for have, want in zip(plane.shape, size, strict=True)
    )


def _turns(info: VideoInfo) -> int:
    """Quarter turns counter-clockwise that put the coded picture upright."""
    return info.rotation // 90


def _resize(plane: Array, size: tuple[int, int]) -> Array:
    """Averages areas where the side shrinks, interpolates where it grows.

    What shrinks to less than half is first interpolated to the double, and then averaged by 2x2:
    within the error of halving (0.06 L*), and three times as fast as areas with parts of pixels.
    """
    height, width = min(size[0], plane.shape[0]), min(size[1], plane.shape[1])
    pairs = list(zip(plane.shape, size, strict=True))
    if all(have > 2 * want for have, want in pairs) and any(have % want for have, want in pairs):
        double = 2 * width, 2 * height
        plane = cast(Array, cv2.resize(plane, double, interpolation=cv2.INTER_LINEAR))
    if plane.shape != (height, width):
        plane = cast(Array, cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA))
    if plane.shape != size:
        plane = cast(Array, cv2.resize(plane, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))
    return plane


@functools.lru_cache(maxsize=8)
def _table(spec: ColorSpec) -> tuple[Array, Array]:
    """L* by code, and how much it rises to the next."""
    codes = torch.arange(1 << spec.bits, dtype=torch.int32).view(1, 1, 1, -1)
    table = to_lightness(codes, spec).numpy().ravel()
    return table, np.diff(table)


def _lightness(codes: Array, spec: ColorSpec) -> Array:
    """L* of fractional codes, 0 to the highest, float32, interpolated between the integer ones."""
    table, rise = _table(spec)
    below = np.minimum(codes.astype(np.int32), len(rise) - 1)
    part = codes - below
    part *= rise[below]
    part += table[below]
    return part
