"""What film does to a picture: the gray that training sees.

A colorizer trained on perfect gray pictures of today meets film that is blind to red, hard or
flat, grainy and soft. `degrade` makes a random such gray of a color picture. Seeded by the caller.

Sources: spectral response of orthochromatic (blind to red) and panchromatic stocks after Kodak,
"Basic Photographic Sensitometry"; grain is stronger in mid-tones than in black and white.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError

__all__ = ["DegradeConfig", "degrade", "gray_signal"]

Image = npt.NDArray[np.float32]
_LUMA_709 = (0.2126, 0.7152, 0.0722)
_LUMA_601 = (0.299, 0.587, 0.114)
_BLUE_SENSITIVE = (0.02, 0.28, 0.70)
_ORTHOCHROMATIC = (0.06, 0.58, 0.36)
_PANCHROMATIC = (0.33, 0.36, 0.31)
_STOCKS = np.array([_BLUE_SENSITIVE, _ORTHOCHROMATIC, _PANCHROMATIC, _LUMA_709])


@dataclass(frozen=True, slots=True)
class DegradeConfig:
    """How often film effects are applied, and how strongly.

    Attributes:
        stock: Part of pictures seen through a random film stock instead of as luma.
        tone: Part with changed gamma, contrast and black level.
        tone_strength: 1 is gamma 0.6 to 1.7 and black lifted by up to 0.12.
        blur: Part made soft.
        blur_px: Largest Gaussian sigma, in pixels of the training size.
        grain: Part with grain.
        grain_strength: Largest standard deviation of grain at mid-gray, in parts of white.
    """

    stock: float = 0.4
    tone: float = 0.4
    tone_strength: float = 1.0
    blur: float = 0.25
    blur_px: float = 1.2
    grain: float = 0.4
    grain_strength: float = 0.06

    def __post_init__(self) -> None:
        for name in ("stock", "tone", "blur", "grain"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be 0 to 1, not {getattr(self, name)}")


def gray_signal(rgb: Image, weights: npt.ArrayLike) -> Image:
    """Weighted sum of gamma-coded channels.

    Args:
        rgb: (H, W, 3) float32 in 0..1.
        weights: Three weights that sum to 1.
    """
    mixed = cv2.transform(rgb, np.asarray(weights, np.float32).reshape(1, 3))
    return np.asarray(mixed, np.float32).reshape(rgb.shape[:2])


def _stock(rgb: Image, rng: np.random.Generator) -> Image:
    """Exposure in linear light through a random mix of stocks."""
    weights = rng.dirichlet(np.full(len(_STOCKS), 0.6)) @ _STOCKS
    return np.sqrt(gray_signal(rgb * rgb, weights))


def _tone(gray: Image, strength: float, rng: np.random.Generator) -> Image:
    gamma = np.float32(np.exp(strength * rng.uniform(-0.52, 0.52)))
    black = np.float32(strength * rng.uniform(-0.08, 0.12))
    white = np.float32(1 + strength * rng.uniform(-0.15, 0.10))
    return np.clip(black + (white - black) * np.clip(gray, 0, 1) ** gamma, 0, 1)


def _grain(gray: Image, deviation: float, rng: np.random.Generator) -> Image:
    noise = rng.standard_normal(gray.shape, dtype=np.float32)
    size = rng.uniform(0, 0.8)
    if size > 0.3:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), size), np.float32)
        noise /= max(float(noise.std()), 1e-6)
    return np.clip(
        gray + np.float32(deviation) * noise * np.sqrt(4 * gray * (1 - gray) + 0.1), 0, 1
    )


def degrade(rgb: Image, config: DegradeConfig, rng: np.random.Generator) -> Image:
    """A gray picture as film might have kept it.

    Args:
        rgb: (H, W, 3) float32 gamma-coded sRGB in 0..1.
        config: How often and how strongly.
        rng: Source of all randomness.

    Returns:
        (H, W) float32 gamma-coded gray in 0..1.
    """
    if rng.random() < config.stock:
        gray = _stock(rgb, rng)
    else:
        gray = gray_signal(rgb, _LUMA_709 if rng.random() < 0.7 else _LUMA_601)
    if rng.random() < config.tone:
        gray = _tone(gray, config.tone_strength, rng)
    if rng.random() < config.blur:
        sigma = rng.uniform(0.2, config.blur_px)
        gray = np.asarray(cv2.GaussianBlur(gray, (0, 0), sigma), np.float32)
    if rng.random() < config.grain:
        gray = _grain(gray, rng.uniform(0, config.grain_strength), rng)
    return np.ascontiguousarray(gray, dtype=np.float32)
