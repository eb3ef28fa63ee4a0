"""What the emulsion saw: color turned to gray by a film stock.

A stock adds the light of all wavelengths, weighted by its spectral sensitivity. On the three
channels of sRGB that is three weights:

| stock | in use | sees | R, G, B |
|---|---|---|---|
| blue-sensitive | to about 1900, later for copies | to 500 nm | 0.02 0.28 0.70 |
| orthochromatic | about 1880 to 1930 | to 580 nm: red is black | 0.06 0.58 0.36 |
| panchromatic | from about 1925 | to 650 nm, more blue than the eye | 0.33 0.36 0.31 |
| luma of BT.709 | today's conversions | as the eye | 0.2126 0.7152 0.0722 |

Bare silver halide sees blue and ultraviolet only; dyes carried the sensitivity to green and then
to red (Kodak, "Basic Photographic Sensitometry Workbook"; C. E. K. Mees, "The Theory of the
Photographic Process"). The blue primary's green tail and the wide band of real dyes give the small
weights. Filters, lamps and mixed programs lie between the four, so a picture gets a random mix.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.train.degrade.arrays import Image

__all__ = [
    "BLUE_SENSITIVE",
    "LUMA_709",
    "ORTHOCHROMATIC",
    "PANCHROMATIC",
    "gray_signal",
    "grays_of",
]

LUMA_709 = (0.2126, 0.7152, 0.0722)
_LUMA_601 = (0.299, 0.587, 0.114)
BLUE_SENSITIVE = (0.02, 0.28, 0.70)
ORTHOCHROMATIC = (0.06, 0.58, 0.36)
PANCHROMATIC = (0.33, 0.36, 0.31)
_STOCKS = np.array([BLUE_SENSITIVE, ORTHOCHROMATIC, PANCHROMATIC, LUMA_709])
_MIX = 0.6
"""Dirichlet concentration: below 1, most mixes are near one of the stocks."""


def gray_signal(rgb: Image, weights: npt.ArrayLike) -> Image:
    """Weighted sum of gamma-coded channels.

    Args:
        rgb: (H, W, 3) float32 in 0..1.
        weights: Three weights that sum to 1.
    """
    mixed = cv2.transform(rgb, np.asarray(weights, np.float32).reshape(1, 3))
    return np.asarray(mixed, np.float32).reshape(rgb.shape[:2])


def grays_of(frames: list[Image], share: float, rng: np.random.Generator) -> list[Image]:
    """Frames of one shot through one stock, or as luma of BT.709 or BT.601.

    Args:
        frames: (H, W, 3) float32 gamma-coded sRGB in 0..1.
        share: How often it is a stock; light is added up in linear light then (gamma 2).
        rng: Source of all randomness.
    """
    if rng.random() < share:
        weights = rng.dirichlet(np.full(len(_STOCKS), _MIX)) @ _STOCKS
        return [np.sqrt(gray_signal(rgb * rgb, weights)) for rgb in frames]
    luma = LUMA_709 if rng.random() < 0.7 else _LUMA_601
    return [gray_signal(rgb, luma) for rgb in frames]
