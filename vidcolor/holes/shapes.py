"""Holes of plain shapes: lines, discs, arcs, rectangles."""

from __future__ import annotations

import cv2
import numpy as np

from vidcolor.holes.outlines import Canvas, fill, line
from vidcolor.holes.strokes import fine_width

__all__ = ["rectangles", "shapes"]

_COUNT = (1, 20)
_SPAN_DEGREES = (3.0, 180.0)
_RECTANGLES = 5
_SIDE_PX = (30.0, 150.0)
_SIDE = 512
"""Side of the picture in which sizes of rectangles are stated."""
_TILT_DEGREES = 15.0


def shapes(size: tuple[int, int], rng: np.random.Generator, amount: float) -> Canvas:
    """1 to 20 each of lines, discs and arcs; thickness or radius 3 pixels to s.

    Args:
        size: Height and width.
        rng: Source of all randomness.
        amount: In (0, 1], how far the ranges of numbers and sizes reach.
    """
    canvas = np.zeros(size, np.uint8)
    height, width = size
    least, most = _COUNT
    last = round(least + amount * (most - least)) + 1
    for _ in range(int(rng.integers(least, last))):
        ends = rng.uniform((0, 0), (width, height), (2, 2))
        line(canvas, ends, fine_width(size, amount, rng))
    for _ in range(int(rng.integers(least, last))):
        _disc(canvas, fine_width(size, amount, rng), rng)
    for _ in range(int(rng.integers(least, last))):
        _arc(canvas, fine_width(size, amount, rng), rng)
    return canvas


def _place(canvas: Canvas, rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(0, canvas.shape[1])), int(rng.integers(0, canvas.shape[0]))


def _disc(canvas: Canvas, radius: float, rng: np.random.Generator) -> None:
    cv2.circle(canvas, _place(canvas, rng), round(radius), 1, cv2.FILLED)


def _arc(canvas: Canvas, thickness: float, rng: np.random.Generator) -> None:
    height, width = canvas.shape
    axes = (int(rng.integers(1, max(2, width))), int(rng.integers(1, max(2, height))))
    turn, start = rng.uniform(0, 360, 2)
    end = start + rng.uniform(*_SPAN_DEGREES)
    cv2.ellipse(canvas, _place(canvas, rng), axes, turn, start, end, 1, max(1, round(thickness)))


def rectangles(size: tuple[int, int], rng: np.random.Generator, amount: float) -> Canvas:
    """Up to 5 rectangles, sides 30 to 150 pixels (in a picture of 512), straight or tilted.

    Args:
        size: Height and width.
        rng: Source of all randomness.
        amount: In (0, 1], how far number and sides reach.
    """
    unit = (size[0] + size[1]) / 2 / _SIDE
    short, long = _SIDE_PX
    canvas = np.zeros(size, np.uint8)
    for _ in range(int(rng.integers(0, max(1, round(amount * _RECTANGLES)) + 1))):
        sides = unit * rng.uniform(short, short + amount * (long - short), 2)
        tilt = np.radians(rng.uniform(-_TILT_DEGREES, _TILT_DEGREES)) * rng.integers(0, 2)
        corners = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1))) * sides / 2
        cosine, sine = np.cos(tilt), np.sin(tilt)
        turned = corners @ np.array(((cosine, sine), (-sine, cosine)))
        fill(canvas, turned + rng.uniform((0, 0), (size[1], size[0])))
    return canvas
