"""What changes a whole frame of film: it sways in the gate, its light flickers, it has grain."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.holes.film_settings import FilmDamage

__all__ = ["LINES", "Plane", "worn"]

Plane = npt.NDArray[np.float32]
"""(H, W) float32 in cv 0..255."""

LINES = 240
"""Lines of the picture in which sizes are stated."""

_TAG = 3
_CODES = np.float32(255)
_GRAIN_PX = 0.7


def worn(frame: Plane, config: FilmDamage, seed: int, number: int) -> Plane:
    """A new array: the frame shifted, brightened or dimmed and with grain, as far as asked for.

    Without any of the three it is an unchanged copy.
    """
    rng = np.random.default_rng((seed, number, _TAG))
    shift, gain = rng.standard_normal(2), rng.standard_normal()
    plane = np.array(frame, np.float32)
    if config.weave_px:
        plane = _shifted(plane, shift * config.weave_px * len(plane) / LINES)
    if config.flicker:
        plane = plane * np.float32(max(0.0, 1 + config.flicker * gain))
    if config.grain:
        plane = plane + _grain(plane, config.grain, rng)
    if config.weave_px or config.flicker or config.grain:
        plane = np.clip(plane, 0, _CODES)
    return plane


def _shifted(plane: Plane, by: npt.NDArray[np.float64]) -> Plane:
    height, width = plane.shape
    matrix = np.array(((1, 0, by[0]), (0, 1, by[1])))
    moved = cv2.warpAffine(
        plane, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(moved, np.float32)


def _grain(plane: Plane, sigma: float, rng: np.random.Generator) -> Plane:
    """Noise that is soft over 0.7 pixels, strongest in medium gray and half of that at the ends."""
    noise = rng.standard_normal(plane.shape, np.float32)
    soft = np.asarray(cv2.GaussianBlur(noise, (0, 0), _GRAIN_PX), np.float32)
    soft *= np.float32(sigma / max(float(soft.std()), 1e-6))
    value = np.clip(plane / _CODES, 0, 1)
    return soft * (np.float32(0.5) + 2 * value * (1 - value))
