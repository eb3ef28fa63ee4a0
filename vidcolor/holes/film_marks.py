"""Marks on film that are laid over a frame: opacity and brightness of a small part of it.

Sizes in pixels of the frame. Edges are what they cover of a pixel, so a mark thinner than a pixel
only dims it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidcolor.holes.outlines import Canvas, Floats, fill, line, ragged, speck, thread

__all__ = ["DamageKind", "Look", "Mark", "band", "blotch", "burn", "gate_hair", "hair", "streak"]

DamageKind = Literal["dust", "hair", "scratch", "gate_hair", "splice", "burn"]
"""Specks of one frame, hairs of one frame, lines that stay, hairs caught in the gate, bands of a
splice, burns."""

Alpha = npt.NDArray[np.float32]

_FINE = 4
"""Outlines are drawn this many times larger and averaged."""
_SOFT_ENDS = 0.02
_PLACES = 10
_TORN_DISCS = (3, 8)


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """One piece of damage in one frame.

    Attributes:
        kind: What it is.
        top: Row of the frame where `alpha` begins.
        left: Column where it begins.
        alpha: (h, w) float32, how much of the picture is hidden, 0..1.
        level: Brightness of the mark in cv.
    """

    kind: DamageKind
    top: int
    left: int
    alpha: Alpha
    level: float


@dataclass(frozen=True, slots=True)
class Look:
    """How a mark looks.

    Attributes:
        opacity: Of its middle, 0..1.
        level: Brightness in cv.
    """

    opacity: float
    level: float


def blotch(
    middle: Floats, radius: float, look: Look, size: tuple[int, int], rng: np.random.Generator
) -> Mark | None:
    """A ragged speck; None if nothing of it is in the frame of `size`."""
    return _outlined("dust", middle + speck(radius, rng), 0.0, look, size)


def hair(
    start: Floats,
    length: float,
    thickness: float,
    look: Look,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Mark | None:
    """A thread that winds away from `start`; None if nothing of it is in the frame."""
    return _outlined("hair", start + thread(length, rng), thickness, look, size)


def gate_hair(points: Floats, thickness: float, look: Look, size: tuple[int, int]) -> Mark | None:
    """A thread through `points`, x and y; None if nothing of it is in the frame."""
    return _outlined("gate_hair", points, thickness, look, size)


def _outlined(
    kind: DamageKind, points: Floats, thickness: float, look: Look, size: tuple[int, int]
) -> Mark | None:
    """A polygon, or where it has a thickness, a line; coordinates are edges of pixels."""
    reach = thickness + 1
    left, top = (max(0, math.floor(v)) for v in points.min(0) - reach)
    right, bottom = np.minimum((size[1], size[0]), np.ceil(points.max(0) + reach)).astype(int)
    height, width = int(bottom) - top, int(right) - left
    if height <= 0 or width <= 0:
        return None
    fine = np.zeros((height * _FINE, width * _FINE), np.uint8)
    placed = (points - (left, top)) * _FINE - 0.5
    if thickness:
        line(fine, placed, thickness * _FINE)
    else:
        fill(fine, placed)
    alpha = _coarse(fine) * np.float32(look.opacity)
    return Mark(kind, top, left, alpha, look.level) if alpha.any() else None


def _coarse(fine: Canvas) -> Alpha:
    """Share of each pixel that is covered."""
    height, width = fine.shape[0] // _FINE, fine.shape[1] // _FINE
    cells = fine.reshape(height, _FINE, width, _FINE)
    return cells.mean((1, 3), dtype=np.float32)


def streak(
    middle: Floats,
    width: float,
    ends: tuple[float, float],
    opacity: tuple[float, float],
    level: float,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Mark | None:
    """A line along the film, its opacity uneven.

    Args:
        middle: (H,) column of its middle in every row, in edges of pixels.
        width: Across.
        ends: First row and the row after its last.
        opacity: Least and most along the line.
        level: Brightness in cv.
        size: Of the frame.
        rng: For the unevenness.
    """
    height = size[0]
    rows = np.arange(height) + 0.5
    soft = max(1.0, _SOFT_ENDS * height)
    fade = np.clip(np.minimum(rows - ends[0], ends[1] - rows) / soft + 0.5, 0, 1)
    places = np.linspace(0, height, _PLACES)
    strength = fade * np.interp(rows, places, rng.uniform(*opacity, _PLACES))
    inside = np.flatnonzero(strength)
    if not len(inside):
        return None
    top, bottom = int(inside[0]), int(inside[-1]) + 1
    x = middle[top:bottom]
    left = max(0, math.floor(x.min() - width / 2))
    right = min(size[1], math.ceil(x.max() + width / 2))
    if right <= left:
        return None
    columns = np.arange(left, right)
    first = np.maximum(columns, x[:, None] - width / 2)
    covered = np.clip(np.minimum(columns + 1, x[:, None] + width / 2) - first, 0, 1)
    alpha = (covered * strength[top:bottom, None]).astype(np.float32)
    return Mark("scratch", top, left, alpha, level) if alpha.any() else None


def band(
    tall: float, at_top: bool, look: Look, size: tuple[int, int], rng: np.random.Generator
) -> Mark:
    """A band of `tall` rows at the top or bottom, its inner edge a little uneven."""
    height, width = size
    places = np.linspace(0, width, 24)
    edge = tall * np.interp(np.arange(width) + 0.5, places, rng.uniform(0.9, 1.1, len(places)))
    alpha = np.clip(edge - np.arange(min(height, math.ceil(1.1 * tall)))[:, None], 0, 1)
    alpha = (alpha * look.opacity).astype(np.float32)
    if at_top:
        return Mark("splice", 0, 0, alpha, look.level)
    return Mark("splice", height - len(alpha), 0, alpha[::-1], look.level)


def burn(
    middle: Floats, area: float, look: Look, size: tuple[int, int], rng: np.random.Generator
) -> Mark:
    """A union of torn discs that covers about `area` of the frame where all of it is inside."""
    count = int(rng.integers(_TORN_DISCS[0], _TORN_DISCS[1] + 1))
    radius = math.sqrt(area * size[0] * size[1] / math.pi)
    canvas = np.zeros(size, np.uint8)
    for number in range(count):
        shift = rng.uniform(-0.6, 0.6, 2) * (number > 0)
        torn = ragged(rng.uniform(0.5, 0.9), rng)
        fill(canvas, middle + radius * (shift + torn), 255, smooth=True)
    alpha = canvas.astype(np.float32) * np.float32(look.opacity / 255)
    return Mark("burn", 0, 0, alpha, look.level)
