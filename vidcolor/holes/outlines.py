"""Outlines of what lies on film, and the arrays that they are drawn into."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "SCAN_LINES",
    "Canvas",
    "Floats",
    "Hole",
    "fill",
    "fold",
    "line",
    "ragged",
    "speck",
    "thread",
]

Hole = npt.NDArray[np.bool_]
"""(H, W), true where a picture is damaged or to be filled."""

Canvas = npt.NDArray[np.uint8]
"""(H, W) uint8 that is drawn on, 0 or 1 (or an opacity 0..255)."""

Floats = npt.NDArray[np.float64]

SCAN_LINES = 1080
"""Lines of the scan in which sizes of damage on film are stated."""

_CORNERS = 14
_BURN_CORNERS = 96
_TORN = 0.4
_SHIFT = 4


def speck(radius: float, rng: np.random.Generator) -> Floats:
    """Corners (14, 2), x and y, of a ragged blob around 0, as large as a disc of `radius`."""
    radii = rng.uniform(0.65, 1.15, _CORNERS)
    angles = np.arange(_CORNERS) * (2 * np.pi / _CORNERS)
    corners = np.stack((np.cos(angles), np.sin(angles) * rng.uniform(0.4, 1)), 1)
    corners *= radii[:, None]
    x, y = corners.T
    area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    return _turned(corners * (radius * np.sqrt(np.pi / area)), rng.uniform(0, np.pi))


def ragged(radius: float, rng: np.random.Generator) -> Floats:
    """Corners (96, 2) of a disc around 0 whose edge is torn: the outline of a burn."""
    angles = np.arange(_BURN_CORNERS) * (2 * np.pi / _BURN_CORNERS)
    waves = np.arange(2, _BURN_CORNERS // 4)
    phases = rng.uniform(0, 2 * np.pi, len(waves))
    heights = rng.uniform(0, _TORN, len(waves)) / waves
    torn = (heights * np.cos(angles[:, None] * waves + phases)).sum(1)
    radii = radius * np.maximum(0.2, 1 + torn)
    return np.stack((np.cos(angles), np.sin(angles)), 1) * radii[:, None]


def thread(length: float, rng: np.random.Generator) -> Floats:
    """Points (12 to 40, 2) of a hair that winds away from 0 over `length` pixels."""
    steps = int(rng.integers(12, 41))
    bend = rng.standard_normal(steps) * 0.18 + rng.uniform(-0.15, 0.15)
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(bend)
    return np.cumsum(np.stack((np.cos(heading), np.sin(heading)), 1), 0) * (length / steps)


def fold(values: Floats, end: float) -> Floats:
    """Values mirrored at 0 and `end` until they lie between them, as a path that bounces."""
    if end <= 0:
        return np.zeros_like(values)
    return end - np.abs(np.mod(values, 2 * end) - end)


def fill(canvas: Canvas, corners: Floats, value: int = 1, smooth: bool = False) -> None:
    """Fill a polygon of points x, y (pixel middles at whole numbers)."""
    kind = cv2.LINE_AA if smooth else cv2.LINE_8
    cv2.fillPoly(canvas, [_fixed(corners)], value, kind, _SHIFT)


def line(
    canvas: Canvas, points: Floats, thickness: float, value: int = 1, smooth: bool = False
) -> None:
    """Draw a polyline at least one pixel thick."""
    kind = cv2.LINE_AA if smooth else cv2.LINE_8
    thick = max(1, round(thickness))
    cv2.polylines(canvas, [_fixed(points)], False, value, thick, kind, _SHIFT)


def _fixed(points: Floats) -> npt.NDArray[np.int32]:
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


def _turned(points: Floats, angle: float) -> Floats:
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array(((cosine, sine), (-sine, cosine)))
