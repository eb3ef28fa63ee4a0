"""A picture that shakes in the gate, held still. Changes luma everywhere.

The path of the background through a shot is what its flow adds up to; its slow part is the
camera's, its fast part the gate's. Frames are moved back by the fast part, once, as the last step.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidcolor.errors import ConfigError
from vidcolor.records import FrameBatch
from vidcolor.repair.heal.fill import Fill
from vidcolor.repair.records import Hole, Link, Repaired, union
from vidcolor.repair.slow import slow_part

__all__ = ["NoSteady", "Steady", "SteadyConfig"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
_Step = tuple[float, float]

_REACH = 2.5  # deviations of the low pass that are looked at on each side
_LEAST_PX = 0.02  # less is not worth a resampling


@dataclass(frozen=True, slots=True)
class SteadyConfig:
    """How a shaking picture is held still. It changes luma; 0 leaves every code as it is.

    Attributes:
        strength: Part of the shake that is taken away, 0 to 1.
        slow_frames: Motion slower than about so many frames is the camera's own.
        most: Farthest that a frame is moved, in parts of its width.
        borders: What comes in at the borders: "neighbors" is what the steadied frame before shows
            there, and the rest is filled; "fill" fills it from this frame; "repeat" repeats the
            last pixels.
    """

    strength: float = 0.0
    slow_frames: float = 12.0
    most: float = 0.015
    borders: Literal["neighbors", "fill", "repeat"] = "neighbors"

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength must be 0 to 1, not {self.strength}")
        if not 1 <= self.slow_frames <= 60:
            raise ConfigError(f"slow_frames must be 1 to 60, not {self.slow_frames}")
        if not 0 < self.most <= 0.1:
            raise ConfigError(f"most must be above 0 and at most 0.1, not {self.most}")


class NoSteady:
    """The null object: frames stay where they are. Memory: none."""

    def __call__(self, repaired: Iterable[Repaired], /) -> Iterator[Repaired]:
        """The same frames."""
        yield from repaired


class Steady:
    """Moves each frame by what its place differs from the slow path of its shot.

    Memory: 2.5 `slow_frames`, a batch, and one steadied frame. Lookahead: 2.5 `slow_frames`. At a
    cut everything is dropped.

    Args:
        config: How much.
        fill: Fills borders that nobody knows.
    """

    def __init__(self, config: SteadyConfig, fill: Fill) -> None:
        self.config = config
        self._fill = fill

    def __call__(self, repaired: Iterable[Repaired], /) -> Iterator[Repaired]:
        """The same frames, standing still."""
        shot: _Shot | None = None
        number = -1
        for batch in repaired:
            if shot is None or batch.frames.shot != number:
                if shot is not None:
                    yield from shot.ready(ended=True)
                shot, number = _Shot(self.config, self._fill), batch.frames.shot
            shot.push(batch)
            yield from shot.ready()
        if shot is not None:
            yield from shot.ready(ended=True)


class _Shot:
    """The state of one shot."""

    def __init__(self, config: SteadyConfig, fill: Fill) -> None:
        self.config = config
        self._fill = fill
        self._reach = math.ceil(_REACH * config.slow_frames)
        self._waiting: deque[Repaired] = deque()
        self._path: deque[_Step] = deque()  # in pixels, from frame `_first` on
        self._first = self._done = 0
        self._before: Array | None = None  # the steadied frame before

    def push(self, batch: Repaired) -> None:
        """Take a batch and see where it went."""
        size = batch.frames.info.size
        for i, link in enumerate(batch.marked.moved.links):
            x, y = self._path[-1] if self._path else (0.0, 0.0)
            if link is not None and not link.same:
                hole = union(batch.marked.spots[i], size, review=True)
                dx, dy = _shift(link, hole, size)
                x, y = x + dx, y + dy
            self._path.append((x, y))
        self._waiting.append(batch)

    def ready(self, *, ended: bool = False) -> Iterator[Repaired]:
        """Batches whose future is known, steadied."""
        while self._waiting:
            end = self._done + len(self._waiting[0].frames)
            if not ended and self._first + len(self._path) < end + self._reach:
                return
            yield self._moved(self._waiting.popleft())
            self._done = end
            while self._first < self._done - self._reach:
                self._path.popleft()
                self._first += 1

    def _moved(self, batch: Repaired) -> Repaired:
        frames = batch.frames
        shifts = [self._shake(self._done + i, frames.info.width) for i in range(len(frames))]
        luma = []
        for plane, shift in zip(frames.luma[:, 0].numpy(), shifts, strict=True):
            steadied = plane if shift is None else self._shifted(plane, shift, frames)
            luma.append(steadied)
            self._before = steadied.copy()
        moved = replace(
            frames,
            luma=torch.from_numpy(np.stack(luma)[:, None]),
            chroma=_along(frames.chroma, shifts, frames.info.size),
            rgb=_along(frames.rgb, shifts, frames.info.size),
        )
        area = frames.info.height * frames.info.width
        return replace(batch, frames=moved, changed=(area,) * len(frames))

    def _shake(self, place: int, width: int) -> _Step | None:
        """How far a frame lies off the slow path, in pixels; None if not worth a resampling."""
        config, path = self.config, self._path
        at = place - self._first
        first = max(0, at - self._reach)
        near = np.array([path[i] for i in range(first, min(len(path), at + self._reach + 1))])
        off = config.strength * (near[at - first] - slow_part(near, at - first, config.slow_frames))
        length = float(np.hypot(*off))
        if length < _LEAST_PX:
            return None
        off *= min(1.0, config.most * width / length)
        return float(off[0]), float(off[1])

    def _shifted(self, plane: Array, shift: _Step, frames: FrameBatch) -> Array:
        spec, before = frames.info.color, self._before
        gray = plane.astype(np.float32)
        repeated = _translate(gray, shift)
        if self.config.borders != "repeat":
            new = _uncovered(plane.shape, shift)
            if self.config.borders == "neighbors" and before is not None:
                repeated = np.where(new, before.astype(np.float32), repeated)
            elif new.any():
                unit = np.float32(1 << (spec.bits - 8))
                repeated = self._fill(repeated / unit, new) * unit
        # cubic overshoot must not leave the range that the frame has
        low, high = int(plane.min()), int(plane.max())
        return np.clip(np.rint(repeated), low, high).astype(plane.dtype)


def _shift(link: Link, hole: Hole, size: tuple[int, int]) -> _Step:
    """How far the background went since the frame before, in pixels of the frame."""
    height, width = link.back.shape[:2]
    away = -link.back
    if hole.any():
        small = cv2.resize(hole.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        sound = away[np.asarray(small) == 0]
    else:
        sound = away.reshape(-1, 2)
    if not len(sound):
        return 0.0, 0.0
    x, y = (float(value) for value in np.median(sound, axis=0))
    return x * size[1] / width, y * size[0] / height


def _translate(plane: Floats, shift: _Step) -> Floats:
    """The plane with what lay at `p + shift` at p; borders repeated."""
    matrix = np.array(((1, 0, shift[0]), (0, 1, shift[1])), np.float64)
    moved = cv2.warpAffine(
        plane, matrix, plane.shape[::-1],
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return cast(Floats, moved)


def _uncovered(size: tuple[int, ...], shift: _Step) -> Hole:
    """(H, W), true where the moved frame has nothing of its own."""
    new = np.zeros(size, np.bool_)
    x, y = (int(math.copysign(math.ceil(abs(v)), v)) for v in shift)
    if x > 0:
        new[:, size[1] - x :] = True
    elif x < 0:
        new[:, :-x] = True
    if y > 0:
        new[size[0] - y :] = True
    elif y < 0:
        new[:-y] = True
    return new


def _along(
    planes: Tensor | None, shifts: Sequence[_Step | None], size: tuple[int, int]
) -> Tensor | None:
    """(N, C, h, w) codes of frames, moved along; borders repeated."""
    if planes is None or not any(shifts):
        return planes
    height, width = planes.shape[2:]
    result = planes.clone()
    for i, shift in enumerate(shifts):
        if shift is not None:
            own = (shift[0] * width / size[1], shift[1] * height / size[0])
            parts = [_translate(part.astype(np.float32), own) for part in planes[i].numpy()]
            low, high = int(planes[i].min()), int(planes[i].max())
            codes = np.clip(np.rint(np.stack(parts)), low, high)
            result[i] = torch.from_numpy(codes).to(planes.dtype)
    return result
