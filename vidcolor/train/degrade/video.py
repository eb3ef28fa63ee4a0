"""What video did to film: fields from two moments, and lossy coding.

Combing: tape and broadcast hold a frame as two fields, odd lines and even lines, taken 1/50 or
1/60 s apart or, after pulldown, from two film frames; what moves meanwhile has saw-toothed edges.
Coding: most old films are only to be had as discs, tapes and web files, which code blocks of 8 x 8
pixels by their cosine transform (JPEG, ITU-T T.81; MPEG-1, -2 and -4 likewise): blocks in flat
parts, ringing at edges. The grid of blocks lies anywhere, for such files have been cropped.
"""

from __future__ import annotations

import cv2
import numpy as np

from vidcolor.train.degrade.arrays import Image

__all__ = ["comb", "compress", "compression", "interlace"]

_BLOCK = 8
_BEST_QUALITY = 90


def interlace(grays: list[Image], largest_px: float, rng: np.random.Generator) -> list[Image]:
    """Odd lines shifted by one motion: of the whole picture (a pan) or of something in it.

    Args:
        grays: (H, W) float32 in 0..1.
        largest_px: Largest motion between the fields, in pixels.
        rng: Source of all randomness.
    """
    motion = rng.uniform(0.25, 1) * largest_px * (1 if rng.random() < 0.5 else -1)
    moving = None if rng.random() < 0.5 else _region(grays[0], rng)
    return [comb(gray, motion, moving) for gray in grays]


def _region(gray: Image, rng: np.random.Generator) -> Image:
    """Somewhere an ellipse with a soft edge: (H, W) in 0..1."""
    height, width = gray.shape
    y, x = np.ogrid[:height, :width]
    middle_x, middle_y = rng.uniform(0.1, 0.9, 2) * (width, height)
    half_x, half_y = rng.uniform(0.15, 0.5, 2) * (width, height)
    outside = ((x - middle_x) / half_x) ** 2 + ((y - middle_y) / half_y) ** 2
    return np.clip(4 * (1 - outside), 0, 1).astype(np.float32)


def comb(gray: Image, motion: float, moving: Image | None = None) -> Image:
    """The same picture with the odd lines (1, 3, ...) of a moment later.

    Args:
        gray: (H, W) float32.
        motion: Pixels to the right that things move between the fields.
        moving: (H, W) how much of the motion's result is seen where, 0..1; None is everywhere.
    """
    odd = gray[1::2]
    if not len(odd):
        return gray
    shift = np.array(((1, 0, motion), (0, 1, 0)), np.float64)
    later = cv2.warpAffine(odd, shift, odd.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    result = gray.copy()
    result[1::2] = later if moving is None else odd + moving[1::2] * (later - odd)
    return result


def compression(grays: list[Image], lowest: int, rng: np.random.Generator) -> list[Image]:
    """All frames coded with one quality between `lowest` and 90, their blocks in one grid.

    Args:
        grays: (H, W) float32 in 0..1.
        lowest: Lowest JPEG quality.
        rng: Source of all randomness.
    """
    quality = int(rng.integers(lowest, _BEST_QUALITY + 1))
    top, left = (int(place) for place in rng.integers(0, _BLOCK, 2))
    return [compress(gray, quality, (top, left)) for gray in grays]


def compress(gray: Image, quality: int, corner: tuple[int, int] = (0, 0)) -> Image:
    """A picture after JPEG.

    Args:
        gray: (H, W) float32 in 0..1.
        quality: 1 to 100, as libjpeg counts.
        corner: Rows and columns of the first block that lie outside, 0 to 7 each.

    Returns:
        (H, W) float32 in 0..1, in steps of 1/255.
    """
    codes = np.rint(np.clip(gray, 0, 1) * 255).astype(np.uint8)
    top, left = corner
    whole = cv2.copyMakeBorder(codes, top, 0, left, 0, cv2.BORDER_REPLICATE)
    _, data = cv2.imencode(".jpg", whole, (cv2.IMWRITE_JPEG_QUALITY, quality))
    decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return np.asarray(decoded[top:, left:], np.float32) * np.float32(1 / 255)
