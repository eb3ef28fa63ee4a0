"""All effects, one after the other."""

from __future__ import annotations

import numpy as np

from vidcolor.train.degrade.arrays import Image
from vidcolor.train.degrade.config import DegradeConfig
from vidcolor.train.degrade.develop import blur, grain, tone
from vidcolor.train.degrade.dust import dust
from vidcolor.train.degrade.flicker import flicker
from vidcolor.train.degrade.scratches import scratches
from vidcolor.train.degrade.speckle import speckle
from vidcolor.train.degrade.stock import grays_of
from vidcolor.train.degrade.video import compression, interlace

__all__ = ["degrade", "degrade_pair"]


def degrade(rgb: Image, config: DegradeConfig, rng: np.random.Generator) -> Image:
    """A gray picture as film might have kept it.

    Args:
        rgb: (H, W, 3) float32 gamma-coded sRGB in 0..1.
        config: How often and how strongly.
        rng: Source of all randomness.

    Returns:
        (H, W) float32 gamma-coded gray in 0..1.
    """
    return _degraded([rgb], config, rng)[0]


def degrade_pair(
    rgb: Image, later: Image, config: DegradeConfig, rng: np.random.Generator
) -> tuple[Image, Image]:
    """Two frames of a shot as one film might have kept them.

    Stock, tone, softness, scratches, motion between fields and coding are those of the film and the
    same in both; grain, dust, flicker and speckle are drawn for each frame, of one kind and
    strength.

    Args:
        rgb: (H, W, 3) float32 gamma-coded sRGB in 0..1.
        later: The same shot a moment later, of the same shape.
        config: How often and how strongly.
        rng: Source of all randomness.

    Returns:
        Two (H, W) float32 gamma-coded grays in 0..1.

    Raises:
        ValueError: If the shapes differ.
    """
    if rgb.shape != later.shape:
        raise ValueError(f"later must be {rgb.shape} as the first frame, not {later.shape}")
    first, second = _degraded([rgb, later], config, rng)
    return first, second


def _degraded(frames: list[Image], config: DegradeConfig, rng: np.random.Generator) -> list[Image]:
    grays = grays_of(frames, config.stock, rng)
    if rng.random() < config.tone:
        grays = tone(grays, config.tone_strength, rng)
    if rng.random() < config.blur:
        grays = blur(grays, config.blur_px, rng)
    if rng.random() < config.grain:
        grays = grain(grays, config.grain_strength, rng)
    # What came later than the four above draws nothing when it is off: runs from before repeat.
    if config.interlace and rng.random() < config.interlace:
        # before damage, which stays in its place while the scene moves between two fields
        grays = interlace(grays, config.interlace_px, rng)
    if config.flicker and rng.random() < config.flicker:
        grays = flicker(grays, config.flicker_strength, rng)
    if config.scratches and rng.random() < config.scratches:
        grays = scratches(grays, config.scratch_strength, rng)
    if config.dust and rng.random() < config.dust:
        grays = dust(grays, config.dust_strength, rng)
    if config.compression and rng.random() < config.compression:
        grays = compression(grays, config.compression_quality, rng)
    if config.speckle and rng.random() < config.speckle:
        grays = speckle(grays, config.speckle_strength, rng)
    return [np.ascontiguousarray(gray, dtype=np.float32) for gray in grays]
