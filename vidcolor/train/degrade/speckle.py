"""Noise on single pixels, against which color is to be steady from frame to frame.

Reference: Antic: DeOldify, 2019, its public code: how the video model was trained.
"""

from __future__ import annotations

import numpy as np

from vidcolor.train.degrade.arrays import Image

__all__ = ["speckle"]

_PARTS = (0.001, 0.4)  # of the pixels


def speckle(grays: list[Image], strength: float, rng: np.random.Generator) -> list[Image]:
    """Some pixels lighter or darker, others in every frame; as many in all frames."""
    part = rng.uniform(*_PARTS)
    return [_speckled(gray, part, strength, rng) for gray in grays]


def _speckled(gray: Image, part: float, strength: float, rng: np.random.Generator) -> Image:
    noise = rng.uniform(-strength, strength, gray.shape)
    hit = rng.random(gray.shape) < part
    return np.clip(gray + np.where(hit, noise, 0).astype(np.float32), 0, 1)
