"""The final holes: the one place where it is decided which pixels a repair may change.

Detectors mark what is surely damaged. Damage fades out over its edge, so holes grow: by a pixel,
or by two where the pixels around still carry the shade of the damage. Holes that a person gave
mean just these pixels. Everything after this step (judging, lists of spots, masks, healing) takes
holes as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.heal.wounds import laid
from vidcolor.repair.records import Hole, Marked, Spot
from vidcolor.repair.window import Frame, each_marked

__all__ = ["Grow"]

Array = npt.NDArray[Any]

_GROWN_PX = 1
_GROWN_SOFT_PX = 2
_BESIDE_PX = (4, 7)  # from a hole: what is surely undamaged
_SOFT_SHARE = 0.15  # of the contrast of the damage, by which an edge is soft
_SOFT_CV = 4.0


class Grow:
    """Lets holes of detectors grow over the edges of damage.

    Memory: none. Lookahead: none. A frame is seen for itself.
    """

    def __call__(self, marked: Iterable[Marked], /) -> Iterator[Marked]:
        """The same frames, spots that nobody gave by hand larger."""
        for batch, spots in each_marked(marked, 0, 0, lambda: lambda window: _all(window.frame)):
            yield replace(batch, spots=tuple(spots))


def _all(frame: Frame) -> tuple[Spot, ...]:
    return tuple(spot if spot.source == "user" else grown(frame, spot) for spot in frame.spots)


def grown(frame: Frame, spot: Spot) -> Spot:
    """A spot with the edge of its damage, clipped to the frame.

    Args:
        frame: With all its spots: other damage does not speak for this one's edge.
        spot: One of them.
    """
    around = _BESIDE_PX[1]
    left, top, right, bottom = spot.box
    height, width = frame.plane.shape
    x0, y0 = max(0, left - around), max(0, top - around)
    x1, y1 = min(width, right + around), min(height, bottom + around)
    marked = np.zeros((y1 - y0, x1 - x0), np.uint8)
    marked[top - y0 : bottom - y0, left - x0 : right - x0] = spot.hole
    reach = _GROWN_SOFT_PX if _soft(frame, (x0, y0, x1, y1), marked) else _GROWN_PX
    x, y = max(x0, left - reach), max(y0, top - reach)
    part = _dilated(marked, reach)[
        y - y0 : min(y1, bottom + reach) - y0, x - x0 : min(x1, right + reach) - x0
    ]
    return replace(spot, top=y, left=x, hole=part.astype(np.bool_))


def _soft(frame: Frame, box: tuple[int, int, int, int], marked: Array) -> bool:
    """Whether the second pixel beyond the marks still carries the shade of the damage."""
    left, top, right, bottom = box
    codes = frame.plane[top:bottom, left:right].astype(np.float32) * np.float32(1 / frame.unit)
    other: Hole = laid(frame.spots, box)
    near, far = (_dilated(marked, px) for px in _BESIDE_PX)
    beside = (far > near) & ~other
    fringe = (_dilated(marked, _GROWN_SOFT_PX) > _dilated(marked, _GROWN_PX)) & ~other
    if not beside.any() or not fringe.any():
        return False
    ground = float(np.median(codes[beside]))
    contrast = float(np.median(codes[marked > 0])) - ground
    rest = float(np.median(codes[fringe])) - ground
    return rest * contrast > 0 and abs(rest) > max(_SOFT_CV, _SOFT_SHARE * abs(contrast))


def _dilated(marked: Array, reach: int) -> Array:
    """(H, W) uint8: 1 where something marked is at most so many pixels away, also aslant."""
    side = 2 * reach + 1
    return cast(Array, cv2.dilate(marked, np.ones((side, side), np.uint8)))
