"""Frames at the size that motion was found at, and how they differ from other frames.

What covers much of a frame is seen there as well as at full size, for a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.ops.flow import warp
from vidcolor.repair.motion import Neighbor
from vidcolor.repair.records import Hole, Link
from vidcolor.repair.window import Frame, Window

__all__ = ["SmallFrames", "coarse", "narrowed"]

Floats = npt.NDArray[np.float32]

_LEAST_CELLS = 128  # rows and columns of a grid that is halved


def narrowed(window: Window, before: int, after: int) -> Window:
    """A window of at most so many frames on each side, whatever others wanted to see."""
    first = max(0, window.at - before)
    last = window.at + after + 1
    return Window(
        window.frames[first:last],
        window.at - first,
        window.begins and first == 0,
        window.ends and last > len(window.frames),
    )


def coarse(window: Window) -> Window:
    """The same with motion on a grid of half as many rows and columns."""
    frames = [replace(one, link=_halved(one.link)) for one in window.frames]
    return replace(window, frames=frames)


def _halved(link: Link | None) -> Link | None:
    if link is None or min(link.back.shape[:2]) < _LEAST_CELLS:
        return link
    back, onward = (flow[::2, ::2] * np.float32(0.5) for flow in (link.back, link.onward))
    return Link(back, onward, link.same)


class SmallFrames:
    """Small pictures of the frames of a shot, each made once and kept as long as it is seen."""

    def __init__(self) -> None:
        self._made: dict[int, Floats] = {}

    def keep(self, frames: Sequence[Frame]) -> None:
        """Drop all but these frames."""
        places = {frame.place for frame in frames}
        self._made = {place: made for place, made in self._made.items() if place in places}

    def of(self, frame: Frame, size: tuple[int, int]) -> Floats:
        """(h, w) float32 in cv."""
        if frame.place not in self._made:
            plane = frame.plane
            wide = plane.astype(np.uint16) if plane.dtype == np.int32 else plane
            small = cv2.resize(wide, size[::-1], None, 0, 0, cv2.INTER_AREA)
            self._made[frame.place] = np.asarray(small, np.float32) * np.float32(1 / frame.unit)
        return self._made[frame.place]

    def moved(self, neighbor: Neighbor) -> tuple[Floats, Hole]:
        """A neighbor where the middle frame is, and where it shows that: (h, w) cv, (h, w) bool."""
        height, width = neighbor.there.shape[:2]
        small = self.of(neighbor.frame, (height, width))
        moved = warp(small[..., None], neighbor.there)[..., 0]
        x = np.arange(width) + neighbor.there[..., 0]
        y = np.arange(height)[:, None] + neighbor.there[..., 1]
        return moved, cast(Any, (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))

    def difference(self, frame: Frame, neighbor: Neighbor) -> tuple[Floats, Hole]:
        """What a frame has over a neighbor: (h, w) cv, less its median, and where that is known."""
        moved, known = self.moved(neighbor)
        height, width = moved.shape
        over = self.of(frame, (height, width)) - moved
        if known.any():
            over -= np.float32(np.median(over[known]))
        return over, known
