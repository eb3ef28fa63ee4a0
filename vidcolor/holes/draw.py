"""Holes of every kind, by seed.

Masks of others are found, not made: G. Liu et al., "Image Inpainting for Irregular Holes Using
Partial Convolutions" (ECCV 2018, arXiv 1804.07723), take occlusions between frames of films. These
are drawn instead, so that there are as many as anybody wants and each can be made again from its
number. Ranges are those of public generators for networks that fill holes.
"""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np

from vidcolor.holes.film_mix import film, thin_film
from vidcolor.holes.outlines import Canvas, Hole
from vidcolor.holes.shapes import rectangles, shapes
from vidcolor.holes.strokes import strokes, thin, walk

__all__ = ["KINDS", "Hole", "HoleKind", "augment", "draw_hole"]

HoleKind = Literal["strokes", "thin", "shapes", "rectangles", "walk", "film", "thin_film"]
"""Kinds of holes: wide and thin strokes, lines with discs and arcs, rectangles, a random walk,
damage as films have it, and of that only scratches, dust and hairs."""

KINDS: tuple[HoleKind, ...] = get_args(HoleKind)

_FILM = {"film": film, "thin_film": thin_film}
_PLAIN = {
    "strokes": strokes, "thin": thin, "shapes": shapes, "rectangles": rectangles, "walk": walk
}  # fmt: skip

_SIDE = 512
_GROW_PX = (1.0, 46.0)
_GROW_FINE_PX = (1.0, 9.0)
_GROW_FILM_PX = (1.0, 4.0)
_ZOOM = (1.0, 1.5)


def draw_hole(
    kind: HoleKind,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    amount: float = 1.0,
    lines: float | None = None,
    augmented: bool = True,
) -> Hole:
    """A hole of one kind; it may be empty (no rectangle, no speck was drawn).

    Args:
        kind: What is drawn.
        size: Height and width of the picture, at least 1.
        rng: Source of all randomness.
        amount: In (0, 1], how far the ranges of numbers and sizes reach; less makes smaller holes.
        lines: Height in pixels of the frame of which the picture is a crop, for damage of film.
            None draws 480 to 1080, at least the picture's height.
        augmented: Whether the hole is grown, turned and cropped at random (film: grown and
            flipped only, because its lines and bands have a direction).

    Returns:
        (H, W) bool, true = hole.
    """
    if kind in _FILM:
        canvas = _FILM[kind](size, rng, amount, lines)
    else:
        canvas = _PLAIN[kind](size, rng, amount)
    if augmented:
        canvas = augment(canvas, kind, rng, amount)
    return np.ascontiguousarray(canvas, dtype=np.uint8).view(np.bool_)


def augment(
    canvas: Canvas, kind: HoleKind, rng: np.random.Generator, amount: float = 1.0
) -> Canvas:
    """Growth by a square, rotation, scale 1 to 1.5, crop and flips, all with nearest neighbors.

    The square has sides of 1 to 46 pixels in a picture of 512, thin kinds get less (up to 9, film
    up to 4), or they would not stay thin; small squares are as likely as large ones in proportion.
    Rectangles turn by right angles, film is neither turned nor enlarged.

    Args:
        canvas: (H, W) uint8, 0 or 1.
        kind: What is on it.
        rng: Source of all randomness.
        amount: In (0, 1], how far the growth reaches.

    Returns:
        The same size, 0 or 1.
    """
    height, width = canvas.shape
    fine = kind in ("thin", "walk")
    least, most = _GROW_FILM_PX if kind in _FILM else _GROW_FINE_PX if fine else _GROW_PX
    side = least * (most / least) ** (amount * rng.random())
    square = round(side if kind in _FILM else side * (height + width) / 2 / _SIDE)
    if square > 1:
        canvas = np.asarray(cv2.dilate(canvas, np.ones((square, square), np.uint8)), np.uint8)
    if kind not in _FILM:
        angle = rng.uniform(0, 360)
        canvas = _turned(canvas, 90 * round(angle / 90) if kind == "rectangles" else angle, rng)
    across, down = rng.random(2) < 0.5
    return canvas[:: -1 if down else 1, :: -1 if across else 1]


def _turned(canvas: Canvas, angle: float, rng: np.random.Generator) -> Canvas:
    """Rotated and enlarged, a random part of the result of the same size."""
    height, width = canvas.shape
    zoom = rng.uniform(*_ZOOM)
    middle = (width - 1) / 2, (height - 1) / 2
    matrix = np.array(cv2.getRotationMatrix2D(middle, angle, zoom), np.float64)
    room = (zoom - 1) / 2
    matrix[:, 2] += rng.uniform(-room, room, 2) * np.array((width, height))
    turned = cv2.warpAffine(canvas, matrix, (width, height), flags=cv2.INTER_NEAREST)
    return np.asarray(turned, np.uint8)
