"""The part of a picture that a training sample shows, and boxes in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "Window",
    "around",
    "box_window",
    "crop_window",
    "random_boxes",
    "resized",
    "visible",
]

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_VISIBLE = 0.25  # part of a box, or of the window, that must be seen for the box to count
_BOX_SIDES = (0.25, 0.9)  # of random boxes, in parts of the short side
_BOX_ASPECT = 2.0  # most height over width, or width over height, of random boxes


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a stored picture, shown as a square.

    Attributes:
        top: First row.
        left: First column.
        height: Rows.
        width: Columns.
        mirrored: Shown with left and right exchanged.
    """

    top: int
    left: int
    height: int
    width: int
    mirrored: bool

    def cut(self, picture: Bytes, side: int) -> Bytes:
        """Its content, (side, side, 3) uint8: areas averaged where it shrinks.

        Args:
            picture: (H, W, 3) uint8.
            side: Rows and columns of the result.
        """
        part = picture[self.top : self.top + self.height, self.left : self.left + self.width]
        if self.mirrored:
            part = part[:, ::-1]
        return resized(np.ascontiguousarray(part), (side, side))

    def place(self, boxes: Floats, side: int) -> Floats:
        """Boxes of the picture in pixels of `cut(picture, side)`, clipped to it.

        Args:
            boxes: (K, 4) xyxy in pixels of the picture.
            side: Rows and columns of what is cut.

        Returns:
            (K, 4) float32 xyxy; those that lie outside have no area.
        """
        x = (boxes[:, 0::2] - self.left) * (side / self.width)
        y = (boxes[:, 1::2] - self.top) * (side / self.height)
        if self.mirrored:
            x = side - x[:, ::-1]
        placed = np.stack((x[:, 0], y[:, 0], x[:, 1], y[:, 1]), axis=1)
        return placed.clip(0, side).astype(np.float32)


def resized(picture: npt.NDArray[np.uint8], size: tuple[int, int]) -> Bytes:
    """`picture` at `size` (height, width), as `stages.colorize` makes close-ups."""
    shrinks = picture.shape[0] > size[0] and picture.shape[1] > size[1]
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=kind), np.uint8)


def crop_window(
    size: tuple[int, int],
    smallest: float,
    squash: bool,
    rng: np.random.Generator,
    largest: float = 1.0,
) -> Window:
    """A random part of a picture.

    Args:
        size: `(height, width)` of the picture.
        smallest: Least part of the short side that is shown.
        squash: Show the picture's aspect squashed to a square, else a square.
        rng: Source of all randomness.
        largest: Most of the short side that is shown.
    """
    share = rng.uniform(smallest, largest)
    shown = size if squash else (min(size), min(size))
    height, width = (max(1, round(side * share)) for side in shown)
    top = int(rng.integers(size[0] - height + 1))
    left = int(rng.integers(size[1] - width + 1))
    return Window(top, left, height, width, bool(rng.random() < 0.5))


def around(window: Window, box: Floats, size: tuple[int, int], rng: np.random.Generator) -> Window:
    """`window` moved so that along each axis it holds `box`, or `box` holds it.

    Args:
        window: A part of the picture.
        box: (4,) xyxy inside the picture.
        size: `(height, width)` of the picture.
        rng: Source of all randomness.
    """
    places = []
    for low, high, shown, length in (
        (box[1], box[3], window.height, size[0]),
        (box[0], box[2], window.width, size[1]),
    ):
        first, last = sorted((int(np.floor(low)), int(np.ceil(high)) - shown))
        first, last = max(0, first), min(length - shown, last)
        places.append(int(rng.integers(first, last + 1)))
    return Window(places[0], places[1], window.height, window.width, window.mirrored)


def visible(boxes: Floats, window: Window, least_px: float) -> npt.NDArray[np.bool_]:
    """(K,) which boxes are seen well enough in `window` to count as instances there.

    A quarter of the box must be seen, or a quarter of the window be filled by it, and what is
    seen be at least `least_px` pixels of the picture high and wide.
    """
    low = np.maximum(boxes[:, :2], (window.left, window.top))
    high = np.minimum(boxes[:, 2:], (window.left + window.width, window.top + window.height))
    seen = (high - low).clip(0)
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    enough = _VISIBLE * np.minimum(whole, window.height * window.width)
    return (seen.prod(axis=1) >= enough) & (seen.min(axis=1) >= least_px)


def box_window(
    box: Floats, jitter: float, size: tuple[int, int], rng: np.random.Generator
) -> Window:
    """The window of a box, each edge moved a little.

    Args:
        box: (4,) xyxy in pixels of the picture.
        jitter: Most that an edge moves, in parts of the box's side.
        size: `(height, width)` of the picture.
        rng: Source of all randomness.
    """
    sides = np.tile(box[2:] - box[:2], 2)
    moved = box + sides * rng.uniform(-jitter, jitter, 4)
    height, width = size
    left, right = (int(v) for v in np.rint(moved[0::2]).clip(0, width))
    top, bottom = (int(v) for v in np.rint(moved[1::2]).clip(0, height))
    left, top = min(left, width - 1), min(top, height - 1)
    mirrored = bool(rng.random() < 0.5)
    return Window(top, left, max(1, bottom - top), max(1, right - left), mirrored)


def random_boxes(size: tuple[int, int], count: int, rng: np.random.Generator) -> Floats:
    """Boxes where nobody looked for objects: 1/4 to 9/10 of the short side, any place.

    Args:
        size: `(height, width)` of the picture.
        count: How many.
        rng: Source of all randomness.

    Returns:
        (count, 4) float32 xyxy inside the picture; aspect 1/2 to 2.
    """
    height, width = size
    side = rng.uniform(*_BOX_SIDES, count) * min(size)
    aspect = np.exp(rng.uniform(-np.log(_BOX_ASPECT), np.log(_BOX_ASPECT), count))
    high = np.minimum(side * np.sqrt(aspect), height)
    wide = np.minimum(side / np.sqrt(aspect), width)
    top = rng.uniform(0, 1, count) * (height - high)
    left = rng.uniform(0, 1, count) * (width - wide)
    return np.stack((left, top, left + wide, top + high), axis=1).astype(np.float32)
