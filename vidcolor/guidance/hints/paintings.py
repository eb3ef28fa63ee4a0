"""Frames that a person painted over: what differs from gray is a hint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.color.lab import rgb_to_lab
from vidcolor.errors import GuidanceError, MediaError
from vidcolor.given import read_file
from vidcolor.io.image import upright_pixels
from vidcolor.io.source import reason
from vidcolor.records import VideoInfo

__all__ = ["check_painting", "read_painting"]

Floats = npt.NDArray[np.float32]

_MOST_BYTES = 1 << 30
_NEUTRAL = 10.0  # chroma in a*b* up to which paint is what JPEG makes of gray
_SPECK_PX = 3  # what is thinner in a JPEG is no paint
_OPAQUE = 0.5
_ASPECT = 0.02  # of the aspect that a picture may be off
_LEAST_COVER = 0.15  # of a cell, for its color to be known: a thin stroke is a stroke


def read_painting(path: Path, info: VideoInfo, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """What a person painted.

    In an opaque picture paint is what has color; where there is transparency, paint is what is
    opaque, gray strokes ("keep neutral") too, unless all of the picture is opaque.

    Args:
        path: A picture of the frame, of any size with its aspect; turned upright if the film is
            shown turned.
        info: Of the film.
        size: `(height, width)` of the grid wanted, in coded orientation.

    Returns:
        (2, h, w) a*b* and (h, w) 1 where it was painted, else 0.

    Raises:
        GuidanceError: If it cannot be read or has another shape.
    """
    pixels = _coded(path, info)
    depth = 255.0 if pixels.dtype == np.uint8 else 65535.0
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    bgr = np.ascontiguousarray(pixels[..., :3]).astype(np.float32) / np.float32(depth)
    planes = torch.from_numpy(np.ascontiguousarray(bgr[..., ::-1].transpose(2, 0, 1)))[None]
    ab = rgb_to_lab(planes)[0, 1:].numpy()
    opaque = pixels[..., 3] >= _OPAQUE * depth if pixels.shape[2] == 4 else None
    if opaque is not None and not opaque.all():
        paint = opaque
    else:
        paint = np.hypot(ab[0], ab[1]) > _NEUTRAL
        if path.suffix.lower() in (".jpg", ".jpeg"):
            paint = _without_specks(paint)
    return _to_grid(ab, paint, size)


def _without_specks(paint: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    block = np.ones((_SPECK_PX, _SPECK_PX), np.uint8)
    opened = cv2.morphologyEx(paint.astype(np.uint8), cv2.MORPH_OPEN, block)
    return np.asarray(opened, np.uint8) > 0


def check_painting(path: Path, info: VideoInfo) -> None:
    """Look whether a painted frame can be used.

    Raises:
        GuidanceError: If it cannot be read or has another shape.
    """
    _coded(path, info)


def _coded(path: Path, info: VideoInfo) -> npt.NDArray[Any]:
    """Pixels (blue first) in the orientation of the coded frame."""
    try:
        pixels = upright_pixels(path, read_file(path, _MOST_BYTES))
    except MediaError as error:
        raise GuidanceError(str(error)) from None
    except OSError as error:
        raise GuidanceError(f"{path}: cannot be read ({reason(error)})") from None
    turns = info.rotation // 90
    height, width = info.size
    shown = float(info.sample_aspect)
    # a frame may have been saved as coded or as players show it
    for back in {0, turns} if turns % 2 else {turns}:
        turned = np.rot90(pixels, -back)
        aspect = turned.shape[1] / turned.shape[0]
        for wanted in (width / height, width / height * shown):
            if abs(aspect / wanted - 1) <= _ASPECT:
                return turned
    raise GuidanceError(
        f"{path}: is {pixels.shape[1]}x{pixels.shape[0]}, the film {width}x{height}; "
        "paint over a frame of the film"
    )


def _to_grid(
    ab: Floats, paint: npt.NDArray[np.bool_], size: tuple[int, int]
) -> tuple[Floats, Floats]:
    """Mean color of the paint in every cell."""
    weight = paint.astype(np.float32)
    height, width = size
    shrinks = min(weight.shape[0] / height, weight.shape[1] / width) > 1
    way = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    layers = [weight, ab[0] * weight, ab[1] * weight]
    cover, a, b = (np.asarray(cv2.resize(x, (width, height), interpolation=way)) for x in layers)
    known = cover >= _LEAST_COVER
    share = np.where(known, cover, 1)
    return (
        np.stack((np.where(known, a / share, 0), np.where(known, b / share, 0))).astype(np.float32),
        known.astype(np.float32),
    )
