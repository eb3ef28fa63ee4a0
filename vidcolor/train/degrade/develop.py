"""What lens, developer and copying do: tone, softness, grain.

Tone: developer and paper set the slope of the characteristic curve, generations of copies steepen
or flatten it, and stray light in the scanner lifts black. Softness: old lenses, contact printing,
duplicates of duplicates. Grain: silver clumps; the scanned signal varies most in mid-tones, as
film's density noise meets the eye's curve, and least at black and white. In four unrestored
transfers grain had a standard deviation of 1.5 to 5 steps of 255 (1.4826 median|c - (a + b) / 2| /
sqrt(1.5) over frames a, c, b) after their compression, which takes grain away first; the default
reaches three times that.
"""

from __future__ import annotations

import cv2
import numpy as np

from vidcolor.train.degrade.arrays import Image

__all__ = ["blur", "grain", "tone"]


def tone(grays: list[Image], strength: float, rng: np.random.Generator) -> list[Image]:
    """One characteristic curve for all frames: gamma, black and white level."""
    gamma = np.float32(np.exp(strength * rng.uniform(-0.52, 0.52)))
    black = np.float32(strength * rng.uniform(-0.08, 0.12))
    white = np.float32(1 + strength * rng.uniform(-0.15, 0.10))
    return [np.clip(black + (white - black) * np.clip(gray, 0, 1) ** gamma, 0, 1) for gray in grays]


def blur(grays: list[Image], largest_px: float, rng: np.random.Generator) -> list[Image]:
    """All frames equally soft."""
    sigma = rng.uniform(0.2, largest_px)
    return [np.asarray(cv2.GaussianBlur(gray, (0, 0), sigma), np.float32) for gray in grays]


def grain(grays: list[Image], strength: float, rng: np.random.Generator) -> list[Image]:
    """Grain of one size and strength, its pattern new in every frame."""
    deviation = np.float32(rng.uniform(0, strength))
    first, *others = grays
    noise = rng.standard_normal(first.shape, dtype=np.float32)
    size = rng.uniform(0, 0.8)
    noises = [noise, *(rng.standard_normal(gray.shape, dtype=np.float32) for gray in others)]
    return [
        _grainy(gray, deviation * _clumped(noise, size))
        for gray, noise in zip(grays, noises, strict=True)
    ]


def _clumped(noise: Image, size: float) -> Image:
    if size <= 0.3:
        return noise
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), size), np.float32)
    noise /= max(float(noise.std()), 1e-6)
    return noise


def _grainy(gray: Image, noise: Image) -> Image:
    return np.clip(gray + noise * np.sqrt(4 * gray * (1 - gray) + 0.1), 0, 1)
