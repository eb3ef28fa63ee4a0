"""Pictures to show: frames as a viewer sees them, before and after, and as bytes of files."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.color.compose import ComposeConfig, compose_rgb
from vidcolor.io.color_frames import resize
from vidcolor.io.shown import shown_rgb
from vidcolor.ops.boxes import Upright
from vidcolor.records import Colored, FrameBatch, VideoInfo

__all__ = ["after", "before", "jpeg", "png", "shown_size"]

Bytes = npt.NDArray[np.uint8]

JPEG_QUALITY = 88
_PNG_EFFORT = 3


def shown_size(info: VideoInfo, width: int | None) -> tuple[int, int]:
    """`(height, width)` of the upright picture, made narrower where it is wider than `width`."""
    tall, wide = Upright(info).size
    if width is None or wide <= width:
        return tall, wide
    return max(1, round(tall * width / wide)), width


def before(frame: FrameBatch, width: int | None = None) -> Bytes:
    """The source as a viewer sees it, in color if it has color.

    Args:
        frame: A batch of one frame, with its color as stored, if it has any.
        width: Of the result, at most; None: as large as it is.

    Returns:
        (h, w, 3) uint8 R'G'B', upright, square pixels.
    """
    return shown_rgb(frame, 0, shown_size(frame.info, width))


def after(colored: Colored, number: int, compose: ComposeConfig, width: int | None = None) -> Bytes:
    """A colored frame as a viewer sees it.

    At full size and with square pixels it has the very codes of `compose_rgb`. A smaller one is
    made of smaller luma, which costs as little as it is small.

    Args:
        colored: Frames and their color.
        number: Which of them.
        compose: How color is laid beside luma.
        width: Of the result, at most; None: as large as it is.

    Returns:
        (h, w, 3) uint8 R'G'B', upright, square pixels.
    """
    info = colored.frames.info
    turns = info.rotation // 90
    size = shown_size(info, width)
    size = size if turns % 2 == 0 else (size[1], size[0])
    luma: Any = colored.frames.luma[number, 0].numpy()
    if luma.dtype != np.uint8:
        luma = luma.astype(np.uint16)
    ab, lightness = colored.chroma.ab[number].numpy(), colored.chroma.lightness[number, 0].numpy()
    if size[0] < info.height or size[1] < info.width:
        luma = resize(luma, (min(size[0], info.height), min(size[1], info.width)))
        grid = min(luma.shape[0], lightness.shape[0]), min(luma.shape[1], lightness.shape[1])
        ab = np.stack([resize(plane, grid) for plane in ab])
        lightness = resize(lightness, grid)
    rgb = compose_rgb(luma, ab, lightness, info.color, compose)
    return np.ascontiguousarray(np.rot90(resize(rgb, size), turns))


def jpeg(rgb: Bytes, quality: int = JPEG_QUALITY) -> bytes:
    """A picture as a JPEG file.

    Args:
        rgb: (h, w, 3) uint8 R'G'B'.
        quality: 1 to 100.
    """
    full_chroma = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full_chroma]
    return _encoded(".jpg", rgb, settings)


def png(rgb: Bytes) -> bytes:
    """A picture as a PNG file; (h, w, 3) uint8 R'G'B', or (h, w, 4) with alpha."""
    return _encoded(".png", rgb, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_EFFORT])


def _encoded(suffix: str, rgb: Bytes, settings: list[int]) -> bytes:
    order = [2, 1, 0, 3][: rgb.shape[2]]
    done, data = cv2.imencode(suffix, np.ascontiguousarray(rgb[..., order]), settings)
    if not done:
        raise ValueError(f"a picture of {rgb.shape} cannot be encoded as {suffix}")
    return data.tobytes()
