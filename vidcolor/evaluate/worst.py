"""The worst moments of flicker: where and when color jumps, and whether it comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.evaluate.motion import Change
from vidcolor.evaluate.records import Moment
from vidcolor.io.color_frames import resize

__all__ = ["Worst"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

_WINDOW = 1 / 6  # of the shorter side: what is looked at as one spot
_COMES_BACK = 0.75  # of the jump: a flash of height d pops by d, a step by d / 2
_LEAST_JUMP = 0.1  # a*b*; rounding to 8 bit alone makes less
_CLEARLY = 1.2  # times as bad a moment has to be to take the place of one just before it
_THUMB_PX = 320  # longer side


@dataclass(frozen=True, slots=True)
class _Spot:
    """The worst window of a frame, rows and columns on the grid of motion."""

    part: tuple[slice, slice]

    @classmethod
    def of(cls, jumps: Floats) -> _Spot:
        """Of a map of jumps, less those of the truth."""
        side = max(3, round(min(jumps.shape) * _WINDOW))
        height, width = min(side, jumps.shape[0]), min(side, jumps.shape[1])
        means = cast(
            Floats,
            cv2.boxFilter(
                jumps, -1, (width, height), anchor=(0, 0), borderType=cv2.BORDER_REPLICATE
            ),
        )[: jumps.shape[0] - height + 1, : jumps.shape[1] - width + 1]
        y, x = divmod(int(np.argmax(means)), means.shape[1])
        return cls((slice(y, y + height), slice(x, x + width)))


def _jumps(change: Change) -> Floats:
    """(h, w) distance in a*b* along motion, 0 where that cannot be followed."""
    away = np.hypot(
        change.here.ab[..., 0] - change.ab[..., 0], change.here.ab[..., 1] - change.ab[..., 1]
    )
    return np.asarray(away * change.seen, np.float32)


class Worst:
    """Keeps the worst moments while a film goes by.

    Memory: that many moments, with three small pictures each. Moments that lie closer together
    than `apart` seconds in one shot count once, by the worst of them.

    Args:
        count: How many.
        apart: Seconds between two of a shot, at least.
    """

    def __init__(self, count: int, apart: float) -> None:
        self._count = count
        self._apart = apart
        self._kept: list[Moment] = []
        self._open: tuple[Moment, _Spot] | None = None  # the next frame says whether it comes back
        self._thumbs: tuple[Bytes, ...] = ()

    def cut(self) -> None:
        """A shot ends."""
        self._close(None, None)
        self._thumbs = ()

    def push(
        self,
        moment: Moment,
        change: Change | None,
        true: Change | None,
        rgb: Bytes,
        scale: tuple[float, float, float, float],
        boxes: Sequence[tuple[int, tuple[float, float, float, float]]] = (),
    ) -> None:
        """Take a frame.

        Args:
            moment: Its number, time and shot; box and jump are found here.
            change: What it changes of the frame before it; None at the start of a shot.
            true: The same of the truth.
            rgb: Its picture, (H, W, 3) uint8.
            scale: `(x, y, left, top)`: pixels of the frame to a cell of motion, and where its
                grid begins.
            boxes: Identities and xyxy of the tracks in it, in pixels of the frame.
        """
        if not self._count:
            return
        thumb = _thumb(rgb)
        self._close(change, thumb)
        self._thumbs = (*self._thumbs[-1:], thumb)
        if change is None:
            return
        jumps = _jumps(change)
        true_jumps = None if true is None else _jumps(true)
        spot = _Spot.of(jumps if true_jumps is None else jumps - true_jumps)
        rows, columns = spot.part
        x, y, left, top = scale
        box = (
            round(left + columns.start * x), round(top + rows.start * y),
            round(left + columns.stop * x), round(top + rows.stop * y),
        )  # fmt: skip
        found = replace(
            moment,
            box=box,
            jump=float(jumps[spot.part].mean()),
            true_jump=None if true_jumps is None else float(true_jumps[spot.part].mean()),
            track=_track_at(box, boxes),
        )
        self._open = found, spot

    def moments(self) -> tuple[Moment, ...]:
        """The worst, by how much they jump more than the truth."""
        self._close(None, None)
        return tuple(sorted(self._kept, key=lambda m: (-m.excess, m.frame)))

    def _close(self, change: Change | None, thumb: Bytes | None) -> None:
        if self._open is None:
            return
        (moment, spot), self._open = self._open, None
        if moment.excess < _LEAST_JUMP:
            return
        near = [
            m for m in self._kept
            if m.shot == moment.shot and abs(m.time - moment.time) < self._apart
        ]  # fmt: skip
        full = len(self._kept) >= self._count
        rivals = near or (sorted(self._kept, key=lambda m: m.excess)[:1] if full else [])
        # the way back from a flash is about as far as the way there
        least = _CLEARLY if near else 1.0
        if any(rival.excess * least >= moment.excess for rival in rivals):
            return
        if change is not None and change.between is not None and change.seen_both is not None:
            here, between = change.here.ab[spot.part], change.between[spot.part]
            pop = np.hypot(here[..., 0] - between[..., 0], here[..., 1] - between[..., 1])
            back = float(np.mean(pop * change.seen_both[spot.part])) > _COMES_BACK * moment.jump
            moment = replace(moment, kind="flash" if back else "step")
        pictures = self._thumbs if thumb is None else (*self._thumbs, thumb)
        self._kept = [m for m in self._kept if all(m is not rival for rival in rivals)]
        self._kept.append(replace(moment, pictures=pictures))


def _thumb(rgb: Bytes) -> Bytes:
    scale = min(1.0, _THUMB_PX / max(rgb.shape[:2]))
    return resize(rgb, (max(1, round(rgb.shape[0] * scale)), max(1, round(rgb.shape[1] * scale))))


def _track_at(
    box: tuple[int, int, int, int],
    boxes: Sequence[tuple[int, tuple[float, float, float, float]]],
) -> int | None:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    around = [
        ((b[2] - b[0]) * (b[3] - b[1]), id_)
        for id_, b in boxes
        if b[0] <= x < b[2] and b[1] <= y < b[3]
    ]
    return min(around)[1] if around else None
