"""From pixels to what a network takes and is measured by."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.color.lab import rgb_to_lab
from vidcolor.train.degrade import DegradeConfig

__all__ = ["ab_of", "close_ups", "film_at", "lightness_of", "shrunk"]

Floats = npt.NDArray[np.float32]

_LIGHTNESS = rgb_to_lab(torch.linspace(0, 1, 8192).view(1, 1, -1).expand(1, 3, -1))[0, 0].numpy()


def lightness_of(gray: Floats) -> Floats:
    """L* of gamma-coded sRGB gray in 0..1, by table: within 0.02 of `color.rgb_to_lab`."""
    return _LIGHTNESS[np.rint(gray * (len(_LIGHTNESS) - 1)).astype(np.uint16)]


def ab_of(rgb: Floats) -> Floats:
    """a*b* (H, W, 2) of gamma-coded sRGB in 0..1 (OpenCV: within 0.5 of the exact value)."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[:, :, 1:], np.float32)


def shrunk(picture: Floats, side: int) -> Floats:
    """A square (S, S) or (S, S, C) at a side of at most S, areas averaged."""
    if len(picture) == side:
        return picture
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def close_ups(gray: Floats, boxes: npt.NDArray[np.int64], side: int) -> Floats:
    """Boxes of a gray picture, squashed to squares as `stages.colorize` does it.

    Args:
        gray: (H, W) float32 gamma-coded gray in 0..1.
        boxes: (K, 4) xyxy whole pixels, not empty.
        side: Of the squares.

    Returns:
        (K, 1, side, side) float32 L*.
    """
    crops = np.empty((len(boxes), 1, side, side), np.float32)
    for crop, (x0, y0, x1, y1) in zip(crops, boxes.tolist(), strict=True):
        part = gray[y0:y1, x0:x1]
        kind = cv2.INTER_AREA if min(part.shape) > side else cv2.INTER_LINEAR
        crop[0] = lightness_of(
            np.asarray(cv2.resize(part, (side, side), interpolation=kind), np.float32)
        )
    return crops


def film_at(film: DegradeConfig, scale: float) -> DegradeConfig:
    """Settings for pictures `scale` times the training size, which look the same once shrunk.

    What is stated in pixels of the training size grows with the picture; averaging `scale` by
    `scale` pixels divides the deviation of fine grain by `scale`.
    """
    if scale == 1:
        return film
    return replace(
        film,
        blur_px=film.blur_px * scale,
        interlace_px=film.interlace_px * scale,
        grain_strength=film.grain_strength * scale,
        speckle_strength=film.speckle_strength * scale,
    )
