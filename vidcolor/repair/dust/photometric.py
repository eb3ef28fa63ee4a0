"""Exposure of one picture matched to that of another, whatever is damaged in either."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["exposure", "matched"]

Floats = npt.NDArray[np.float32]

_SAMPLES = 12_000
_ROUNDS = 4
_HUBER = 1.5  # robust deviations up to which a difference counts in full
_LEAST_SCALE = 0.5  # cv
_GAIN = (0.8, 1.25)
_LEAST_SPREAD = 4.0  # cv: a flatter picture tells no gain


def exposure(image: Floats, like: Floats) -> tuple[float, float]:
    """Gain and offset that bring `image` closest to `like`: a robust line through their values.

    Huber's weights, on a regular grid of about 12 000 pixels; the gain is kept within 0.8 and
    1.25. Things that come or go weigh little, unlike in a comparison of means.

    Args:
        image: (H, W) float32 in cv, where `like` is.
        like: (H, W) float32 in cv.

    Returns:
        `(gain, offset)`: `gain * image + offset` is as bright as `like`.
    """
    step = max(1, round((image.size / _SAMPLES) ** 0.5))
    x = image[::step, ::step].ravel().astype(np.float64)
    y = like[::step, ::step].ravel().astype(np.float64)
    gain, offset = 1.0, float(np.median(y - x))
    if float(np.percentile(x, 90) - np.percentile(x, 10)) < _LEAST_SPREAD:
        return gain, offset
    for _ in range(_ROUNDS):
        error = np.abs(y - gain * x - offset)
        scale = max(_LEAST_SCALE, 1.4826 * float(np.median(error)))
        weight = 1 / np.maximum(1, error / (_HUBER * scale))
        total = weight.sum()
        mean_x, mean_y = (weight @ x) / total, (weight @ y) / total
        centered = x - mean_x
        gain = float((weight * centered) @ (y - mean_y) / ((weight * centered) @ centered))
        gain = min(_GAIN[1], max(_GAIN[0], gain))
        offset = float((weight @ (y - gain * x)) / total)
    return gain, offset


def matched(image: Floats, like: Floats) -> Floats:
    """`image` as bright as `like`; see `exposure`. (H, W) float32 in cv."""
    gain, offset = exposure(image, like)
    return image * np.float32(gain) + np.float32(offset)
