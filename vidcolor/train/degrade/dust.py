"""Dust, dirt and hairs: what lay on the film while one frame was copied.

Specks are ragged blobs, many small and few large, with a hair now and then. Dirt on the print is
dark; dirt on the negative, or a piece of emulsion gone, is bright. Most let some picture through
(M. Elgharib, F. Pitie, A. Kokaram, "Blotch and scratch removal in archived film using a
semi-transparent corruption model", 2013). They stay for one frame, so the next has others.

Sizes in pixels of a scan of 1080 lines: specks 2 to 40 across, their number falling with the
square of the size, hairs 1 to 3 thick and 20 to 300 long; on films narrower than 35 mm up to
twice that, for the same speck is larger on a smaller frame. A frame has 4 to 60, of which
at the size of training most only dim a pixel. Number and law of sizes are judged by eye beside
frames of unrestored films.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.train.degrade.arrays import Image, scan_px

__all__ = ["dust"]

_COUNT = (4.0, 60.0)
_SPECK_PX = (2.0, 40.0)
_HAIR_PX = (1.0, 3.0)
_HAIR_LENGTH_PX = (20.0, 300.0)
_GAUGE = 2.0
_HAIRS = 0.06
_CORNERS = 14
_FINE = 4
"""Specks are drawn this many times larger and averaged: most are smaller than a pixel."""
_SHIFT = 4


@dataclass(frozen=True, slots=True)
class _Dirt:
    """What kind of dirt a film has, the same in all frames.

    Attributes:
        count: Mean number of specks in a frame.
        bright: Part of them that is bright.
        unit: Pixels of the fine canvas to a pixel of the scan.
        clear: Least opacity.
        soft: Sigma of their edges in pixels; dirt lies out of focus.
    """

    count: float
    bright: float
    unit: float
    clear: float
    soft: float


def dust(grays: list[Image], strength: float, rng: np.random.Generator) -> list[Image]:
    """Specks and hairs, others in every frame.

    Args:
        grays: (H, W) float32 in 0..1.
        strength: Multiplies the number of specks.
        rng: Source of all randomness.
    """
    dirt = _Dirt(
        count=strength * np.exp(rng.uniform(*np.log(_COUNT))),
        bright=float(np.clip(rng.uniform(-0.3, 1.3), 0, 1)),
        unit=_FINE * scan_px(grays[0]) * np.exp(rng.uniform(0, np.log(_GAUGE))),
        clear=rng.uniform(0.1, 0.6),
        soft=rng.uniform(0, 0.6),
    )
    return [_dusty(gray, dirt, rng) for gray in grays]


def _dusty(gray: Image, dirt: _Dirt, rng: np.random.Generator) -> Image:
    count = int(rng.poisson(dirt.count))
    bright = int(rng.binomial(count, dirt.bright))
    for number, level in ((bright, rng.uniform(0.84, 1)), (count - bright, rng.uniform(0, 0.12))):
        if number:
            hidden = _drawn(gray.shape, number, dirt, rng)
            gray = gray + hidden * (np.float32(level) - gray)
    return gray


def _drawn(shape: tuple[int, ...], count: int, dirt: _Dirt, rng: np.random.Generator) -> Image:
    """Opacity (H, W) of `count` specks and hairs."""
    height, width = shape
    fine = np.zeros((height * _FINE, width * _FINE), np.uint8)
    places = rng.uniform((0, 0), (width * _FINE, height * _FINE), (count, 2))
    opacities = np.rint(255 * rng.uniform(dirt.clear, 1, count)).astype(int)
    hairs = rng.random(count) < _HAIRS
    for place, opacity, hair in zip(places, opacities.tolist(), hairs.tolist(), strict=True):
        if hair:
            thickness = max(1, round(dirt.unit * rng.uniform(*_HAIR_PX)))
            points = _fixed(place + _hair(dirt.unit, rng))
            cv2.polylines(fine, [points], False, opacity, thickness, cv2.LINE_AA, _SHIFT)
        else:
            points = _fixed(place + _speck(dirt.unit, rng))
            cv2.fillPoly(fine, [points], opacity, cv2.LINE_AA, _SHIFT)
    small = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    if dirt.soft > 0.2:
        small = cv2.GaussianBlur(small, (0, 0), dirt.soft)
    return np.asarray(small, np.float32) * np.float32(1 / 255)


def _fixed(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


def _speck(unit: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Corners (14, 2) of a ragged blob around 0."""
    least, most = _SPECK_PX
    radius = unit / 2 / rng.uniform(1 / most, 1 / least)  # sizes d with density 1 / d^2
    angles = np.arange(_CORNERS) * (2 * np.pi / _CORNERS)
    radii = radius * rng.uniform(0.65, 1.15, _CORNERS)
    corners = np.stack((np.cos(angles), np.sin(angles) * rng.uniform(0.4, 1)), 1) * radii[:, None]
    turn = rng.uniform(0, np.pi)
    cosine, sine = np.cos(turn), np.sin(turn)
    return corners @ np.array(((cosine, sine), (-sine, cosine)))


def _hair(unit: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Points of a thread that winds away from 0."""
    least, most = np.log(_HAIR_LENGTH_PX)
    length = unit * np.exp(rng.uniform(least, most))
    steps = int(rng.integers(12, 41))
    bend = rng.standard_normal(steps) * 0.18 + rng.uniform(-0.15, 0.15)
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(bend)
    return np.cumsum(np.stack((np.cos(heading), np.sin(heading)), 1), 0) * (length / steps)
