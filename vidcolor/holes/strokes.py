"""Holes of strokes: a brush that zigzags, thick or thin, and a walk at random."""

from __future__ import annotations

import numpy as np

from vidcolor.holes.outlines import Canvas, fold, line

__all__ = ["fine_width", "strokes", "thin", "walk"]

_STROKES = (1, 20)
_VERTICES = (4, 12)
_TURN = 2 * np.pi / 5
_TURN_SPREAD = 2 * np.pi / 15
_SEGMENT_PX = (20.0, 128.0)
_WIDTH_PX = (10.0, 45.0)
_SIDE = 256
"""Side of the picture in which lengths of strokes are stated."""
_FINE = 3.0
_SHARE_OF_SIDES = 0.03
_LEAST_WALK = 0.01


def fine_width(size: tuple[int, int], amount: float, rng: np.random.Generator) -> float:
    """A width or radius of 3 pixels to s = 0.03 (H + W)."""
    most = _SHARE_OF_SIDES * (size[0] + size[1])
    least = min(_FINE, most)
    return rng.uniform(least, least + amount * (most - least))


def strokes(size: tuple[int, int], rng: np.random.Generator, amount: float) -> Canvas:
    """1 to 20 zigzag strokes of a brush 10 to 45 pixels wide (in a picture of 256).

    Args:
        size: Height and width.
        rng: Source of all randomness.
        amount: In (0, 1], how far the ranges of numbers, lengths and widths reach.
    """
    unit = (size[0] + size[1]) / 2 / _SIDE
    least, most = _WIDTH_PX

    def width() -> float:
        return unit * rng.uniform(least, least + amount * (most - least))

    canvas = np.zeros(size, np.uint8)
    for _ in range(_count(rng, amount)):
        _stroke(canvas, width(), unit, rng, amount)
    return canvas


def thin(size: tuple[int, int], rng: np.random.Generator, amount: float) -> Canvas:
    """1 to 20 zigzag strokes 3 pixels to s wide; arguments as of `strokes`."""
    unit = (size[0] + size[1]) / 2 / _SIDE
    canvas = np.zeros(size, np.uint8)
    for _ in range(_count(rng, amount)):
        _stroke(canvas, fine_width(size, amount, rng), unit, rng, amount)
    return canvas


def _count(rng: np.random.Generator, amount: float) -> int:
    least, most = _STROKES
    return int(rng.integers(least, round(least + amount * (most - least)) + 1))


def _stroke(
    canvas: Canvas, width: float, unit: float, rng: np.random.Generator, amount: float
) -> None:
    """One brush stroke: turns left and right in alternation, bounces off the edges."""
    height, across = canvas.shape
    least, most = _VERTICES
    count = int(rng.integers(least, round(least + amount * (most - least)) + 1))
    turns = rng.uniform(_TURN - _TURN_SPREAD, _TURN + _TURN_SPREAD, count)
    turns[::2] *= -1
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(turns)
    short, long = _SEGMENT_PX
    lengths = unit * rng.uniform(short, short + amount * (long - short), count)
    steps = np.stack((np.cos(heading), np.sin(heading)), 1) * lengths[:, None]
    path = rng.uniform((0, 0), (across - 1, height - 1)) + np.cumsum(steps, 0)
    path[:, 0], path[:, 1] = fold(path[:, 0], across - 1), fold(path[:, 1], height - 1)
    line(canvas, path, width)


def walk(size: tuple[int, int], rng: np.random.Generator, amount: float) -> Canvas:
    """A walk of H * W steps to one of the four neighbors each, from a random start.

    Args:
        size: Height and width; the walk bounces off the edges.
        rng: Source of all randomness.
        amount: In (0, 1], lower bound 0.01 of the share of the steps that are walked.
    """
    height, width = size
    steps = max(1, round(height * width * max(_LEAST_WALK, amount * rng.uniform(amount, 1))))
    ways = rng.integers(0, 4, steps, dtype=np.int8)
    sign = 1 - 2 * (ways & 1).astype(np.int64)
    down = np.cumsum(np.where(ways < 2, sign, 0)) + rng.integers(0, height)
    right = np.cumsum(np.where(ways < 2, 0, sign)) + rng.integers(0, width)
    canvas = np.zeros(size, np.uint8)
    rows = fold(down.astype(np.float64), height - 1).astype(np.intp)
    columns = fold(right.astype(np.float64), width - 1).astype(np.intp)
    canvas[rows, columns] = 1
    return canvas
