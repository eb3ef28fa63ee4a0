"""Exposure that changes from frame to frame, and unevenly over the frame.

Cameras cranked by hand, worn shutters, uneven development and shrunk prints. It is a slowly
varying gain in space and a jumping one in time (P. M. B. van Roosmalen, "Restoration of Archived
Film and Video", 1999, models it as gain and offset smooth in space). In four unrestored
transfers the logarithm of the gain jumped by 1.2 to 2.7 % (standard deviation) from one frame to
the next as a whole, and by another 1 to 4 % on a grid of 8 x 6 cells; the default reaches twice
that.
"""

from __future__ import annotations

import cv2
import numpy as np

from vidcolor.train.degrade.arrays import Image

__all__ = ["flicker"]

_GRID = (3, 4)
_FARTHEST = 2.5
"""No gain farther out than this many deviations: a black frame is no flicker."""


def flicker(grays: list[Image], strength: float, rng: np.random.Generator) -> list[Image]:
    """A gain for each frame and its regions, drawn anew for every frame.

    Args:
        grays: (H, W) float32 in 0..1.
        strength: Largest standard deviation of the logarithm of the gain.
        rng: Source of all randomness.
    """
    deviation = rng.uniform(0.2, 1) * strength
    return [_exposed(gray, deviation, rng) for gray in grays]


def _exposed(gray: Image, deviation: float, rng: np.random.Generator) -> Image:
    whole = rng.standard_normal()
    regions = rng.standard_normal(_GRID)
    gains = np.clip(whole, -_FARTHEST, _FARTHEST) + np.clip(regions, -_FARTHEST, _FARTHEST)
    gain = np.exp(deviation * gains).astype(np.float32)
    smooth = cv2.resize(gain, gray.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(gray * np.asarray(smooth, np.float32), 0, 1)
