"""Where a place of a frame lies in other frames of the shot, also under holes.

Flow under damage is wrong by construction: it stretches to explain the damage. It is replaced by
a smooth continuation of the flow around, in the frame that is damaged and in the one that is seen
from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.ops.flow import warp
from vidcolor.repair.heal.wounds import Box, Wound
from vidcolor.repair.motion import refilled
from vidcolor.repair.records import Hole, Link
from vidcolor.repair.window import Frame, Window

__all__ = ["FindWounds", "Paths", "Walk", "Way", "places"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
FindWounds = Callable[[Frame], tuple[Wound, ...]]

_CELLS_AT_240 = 3.0  # sigma of the continuation
_AROUND_CELLS = 2  # flow is disturbed beyond the hole
_SAMPLE_PX = 4  # between pixels whose displacement is looked at
_HALF = np.float32(0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """Where each pixel of a box lies in another frame.

    Attributes:
        frame: The other one.
        steps: Different pictures to it, negative for earlier ones.
        place: (h, w, 2) float32 x and y in pixels of the other frame.
        moved_px: Longest displacement along an axis, about.
    """

    frame: Frame
    steps: int
    place: Floats
    moved_px: float


class Paths:
    """Motion of one shot with the flow under damage made good; remembers what was asked lately.

    Args:
        find: The final holes of a frame.
    """

    def __init__(self, find: FindWounds) -> None:
        self._find = find
        self._links: dict[int, tuple[Floats, Floats]] = {}

    def forget(self, before: int) -> None:
        """Drop what is known of frames earlier in the shot."""
        for place in [p for p in self._links if p < before]:
            del self._links[place]

    def walk(self, window: Window, side: int, box: Box) -> Walk:
        """The way from a box of the middle frame to one side in time."""
        return Walk(self, window, side, box)

    def repeats(self, window: Window, box: Box) -> list[Way]:
        """Ways to frames that show the same picture as the middle one, the nearest first."""
        found = []
        for side in (-1, 1):
            at = window.at
            while 0 <= at + side < len(window.frames):
                later = window.frames[max(at, at + side)]
                if not cast(Link, later.link).same:
                    break
                at += side
                found.append(Way(window.frames[at], side * abs(at - window.at), places(box), 0.0))
        return sorted(found, key=lambda way: abs(way.steps))

    def size(self, window: Window) -> tuple[int, int]:
        """Rows and columns of the grid of flow; of the frame itself in a shot of one frame."""
        for frame in window.frames:
            if frame.link is not None:
                return cast(tuple[int, int], frame.link.back.shape[:2])
        return cast(tuple[int, int], window.frame.plane.shape)

    def link(self, before: Frame, frame: Frame) -> tuple[Floats, Floats]:
        """Flow of `frame` back to the one before it, and of that one onward, made good."""
        found = self._links.get(frame.place)
        if found is None:
            found = self._links[frame.place] = self._made_good(before, frame)
        return found

    def _made_good(self, before: Frame, frame: Frame) -> tuple[Floats, Floats]:
        link = cast(Link, frame.link)
        size = cast(tuple[int, int], link.back.shape[:2])
        earlier, later = (self._cells(one, size) for one in (before, frame))
        if not earlier.any() and not later.any():
            return link.back, link.onward
        sigma = _CELLS_AT_240 * max(1.0, min(size) / 240)
        back = _good(link.back, later, earlier, sigma)
        return back, _good(link.onward, earlier, later, sigma)

    def _cells(self, frame: Frame, size: tuple[int, int]) -> Hole:
        """Cells of the small grid that damage disturbs."""
        cells = np.zeros(size, np.uint8)
        down, along = size[0] / frame.info.height, size[1] / frame.info.width
        for wound in self._find(frame):
            for tile in wound.tiles:
                left, top, right, bottom = tile.box
                x0, y0 = int(left * along), int(top * down)
                x1 = min(size[1], int(np.ceil(right * along)))
                y1 = min(size[0], int(np.ceil(bottom * down)))
                part = cv2.resize(
                    tile.hole.astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA
                )
                cells[y0:y1, x0:x1] |= cast(Array, part) > 0
        side = 2 * _AROUND_CELLS + 1
        return cv2.dilate(cells, np.ones((side, side), np.uint8)).astype(np.bool_)


def _good(flow: Floats, own: Hole, other: Hole, sigma: float) -> Floats:
    """Flow made good under the holes of its own frame and where it points into the other's."""
    hole = own
    if other.any():
        hole = own | (warp(other.astype(np.float32)[..., None], flow)[..., 0] > 0)
    return refilled(flow, hole, sigma)


class Walk:
    """Goes from the middle frame of a window to its neighbors of one side, one step at a time.

    Frames that repeat one another count as one picture, of which the nearest is given.
    """

    def __init__(self, paths: Paths, window: Window, side: int, box: Box) -> None:
        self._paths, self._window, self._side = paths, window, side
        self._at = window.at
        self._steps = 0
        frame, size = window.frame, paths.size(window)
        self._scale = np.array(
            (frame.info.width / size[1], frame.info.height / size[0]), np.float32
        )
        self._start = (places(box) + _HALF) / self._scale - _HALF
        self._cells = self._start

    def next(self) -> Way | None:
        """The next different picture; None at the end of the shot or of the window."""
        frames = self._window.frames
        while 0 <= self._at + self._side < len(frames):
            here = frames[self._at]
            self._at += self._side
            there = frames[self._at]
            earlier, later = (there, here) if self._side < 0 else (here, there)
            if cast(Link, later.link).same:
                continue
            back, onward = self._paths.link(earlier, later)
            go = back if self._side < 0 else onward
            step = cv2.remap(
                go, self._cells, cast(Any, None), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            self._cells = self._cells + cast(Floats, step)
            self._steps += self._side
            sample = (slice(None, None, _SAMPLE_PX), slice(None, None, _SAMPLE_PX))
            moved = np.abs(self._cells[sample] - self._start[sample]) * self._scale
            place = (self._cells + _HALF) * self._scale - _HALF
            return Way(there, self._steps, place, float(moved.max()))
        return None


def places(box: Box) -> Floats:
    """(h, w, 2) float32 x and y of the pixels of a box."""
    left, top, right, bottom = box
    rows = np.arange(top, bottom, dtype=np.float32)[:, None]
    columns = np.arange(left, right, dtype=np.float32)[None]
    return np.dstack(np.broadcast_arrays(columns, rows)).astype(np.float32)
