"""What no other frame shows: kept from the frame before where it was made up there, else made up.

A hole that stays where it is, as a scratch or a burn before a camera that does not move, would
boil if each frame were filled for itself. So patches are carried along the motion, and only what
is uncovered is filled anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.repair.heal.crops import width_px
from vidcolor.repair.heal.fill import Fill
from vidcolor.repair.heal.lines import across, shining
from vidcolor.repair.heal.paths import FindWounds, Paths, Way, places
from vidcolor.repair.heal.sources import View, from_frame
from vidcolor.repair.heal.wounds import Tile
from vidcolor.repair.records import Hole
from vidcolor.repair.window import Frame, Window

__all__ = ["Rest"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


_LINE_PX = 8.0  # across the widest inscribed disc: a line of 3 pixels, grown by 2


class Rest:
    """Fills what is left of the holes of a shot, frame by frame in order.

    Args:
        fill: For what nothing else explains.
        paths: Motion of the shot.
        find: Final holes of a frame.
        shine_through: Take lines off that the picture shines through.
    """

    def __init__(self, fill: Fill, paths: Paths, find: FindWounds, shine_through: bool) -> None:
        self._fill, self._paths, self._find = fill, paths, find
        self._shine_through = shine_through
        self._before: tuple[Frame, Floats] | None = None

    def nothing(self) -> None:
        """Nothing was made up in this frame."""
        self._before = None

    def repeated(self, frame: Frame) -> None:
        """This frame is the one before, once more."""
        if self._before is not None:
            self._before = (frame, self._before[1])

    def fill(
        self,
        window: Window,
        canvas: Floats,
        left: Hole,
        views: Sequence[tuple[Tile, View]],
        grain: float,
    ) -> Floats:
        """Fill all that is left.

        Args:
            window: Frames around.
            canvas: (H, W) float32 in cv: the frame with what other frames gave.
            left: (H, W) bool: what they did not give.
            views: The tiles of the frame.
            grain: Its level in cv.

        Returns:
            (H, W) float32 in cv, without grain in what was made up.
        """
        canvas, left = canvas.copy(), left.copy()
        for _, view in views:
            if left[view.place].any():
                self._keep(window, view, canvas, left, grain)
        for tile, _ in views:
            if left[tile.place].any():
                _lines(canvas, left, tile, grain, self._shine_through)
        if left.any():
            canvas = self._fill(canvas, left)
        self._before = (window.frame, canvas)
        return canvas

    def _keep(self, window: Window, view: View, canvas: Floats, left: Hole, grain: float) -> None:
        """Take from the frame before what was made up there, where it still fits."""
        if self._before is None:
            return
        before, picture = self._before
        frame = window.frame
        way: Way | None
        if frame.link is not None and frame.link.same:
            way = Way(before, -1, places(view.box), 0.0)
        else:
            way = self._paths.walk(window, -1, view.box).next()
        if way is None or way.frame.place != before.place:
            return
        sight = from_frame(view, way, self._find, picture)
        if sight is None:
            return
        wanted = left[view.place] & view.hole
        fits = wanted & sight.usable & (sight.error <= view.limit(grain))
        canvas[view.place][fits] = sight.values[fits]
        left[view.place][fits] = False


def _lines(canvas: Floats, left: Hole, tile: Tile, grain: float, shine_through: bool) -> None:
    """Thin lines: what shines through them, else what lies on both sides of them."""
    if width_px(left[tile.place] & tile.hole) > _LINE_PX:
        return
    for method in (shining, across) if shine_through else (across,):
        found = method(canvas, left, tile, grain)
        if found is not None:
            values, sure = found
            canvas[tile.place][sure] = values[sure]
            left[tile.place][sure] = False
