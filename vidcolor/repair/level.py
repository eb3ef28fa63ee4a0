"""Light that pulses from frame to frame, leveled: deflicker. Changes luma everywhere.

Reference:
    van Roosmalen, Lagendijk, Biemond: Correction of intensity flicker in old film sequences, IEEE
    Transactions on Circuits and Systems for Video Technology 1999 (gain and offset, smooth in
    space).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.errors import ConfigError
from vidcolor.ops.flow import warp
from vidcolor.records import FrameBatch, VideoInfo
from vidcolor.repair.records import Link, Repaired, union
from vidcolor.repair.slow import slow_part

__all__ = ["Deflicker", "DeflickerConfig", "NoDeflicker"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_DARK = 0.08  # of the range: darker pixels tell little of a gain, and get no offset
_KNEE = 0.95  # of the range: lighter tones are drawn together, so that white stays white
_LEAST_PIXELS = 24  # of a cell of the grid that tell its gain
_ROUNDS = 4
_REACH = 3.0  # deviations of the low pass that are looked at on each side
_FAR = 0.04  # of the range: residual beyond which a pixel has changed otherwise


@dataclass(frozen=True, slots=True)
class DeflickerConfig:
    """How pulsing light is leveled. It changes luma; 0 leaves every code as it is.

    Attributes:
        strength: Part of the flicker that is taken away, 0 to 1.
        slow_frames: Changes slower than about so many frames are the film's own (fades, clouds).
        rows: The light may pulse differently in so many parts from top to bottom.
        columns: And from left to right.
        most_gain: Largest correction of the logarithm of the gain.
        most_offset: Largest correction of black, in code values of 8 bits.
    """

    strength: float = 0.0
    slow_frames: float = 7.0
    rows: int = 6
    columns: int = 8
    most_gain: float = 0.15
    most_offset: float = 6.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength must be 0 to 1, not {self.strength}")
        if not 1 <= self.slow_frames <= 60:
            raise ConfigError(f"slow_frames must be 1 to 60, not {self.slow_frames}")
        for name in ("rows", "columns"):
            if not 1 <= getattr(self, name) <= 64:
                raise ConfigError(f"{name} must be 1 to 64, not {getattr(self, name)}")
        if not 0 <= self.most_gain <= 1 or not 0 <= self.most_offset <= 64:
            raise ConfigError("most_gain must be 0 to 1 and most_offset 0 to 64")


class NoDeflicker:
    """The null object: light stays as it is. Memory: none."""

    def __call__(self, repaired: Iterable[Repaired], /) -> Iterator[Repaired]:
        """The same frames."""
        yield from repaired


@dataclass(slots=True)
class _Light:
    """Exposure of a frame against the first of its shot: (rows, columns) log gain, and offset."""

    gain: Floats
    offset: float


class Deflicker:
    """Takes away what is fast of the exposure's way through a shot.

    The exposure of each frame against the one before is found along motion, where nothing is
    damaged and nothing moved wrongly; so things that enter the picture are no flicker. The sum of
    those steps, less its slow part, is the flicker.

    Memory: 3 `slow_frames` and a batch. Lookahead: 3 `slow_frames`. At a cut everything is
    dropped. A frame that repeats another gets its correction. Rounding is dithered, the same in
    every run.

    Args:
        config: How much.
    """

    def __init__(self, config: DeflickerConfig) -> None:
        self.config = config

    def __call__(self, repaired: Iterable[Repaired], /) -> Iterator[Repaired]:
        """The same frames in steady light."""
        shot: _Shot | None = None
        number = -1
        for batch in repaired:
            if shot is None or batch.frames.shot != number:
                if shot is not None:
                    yield from shot.ready(ended=True)
                shot, number = _Shot(self.config), batch.frames.shot
            shot.push(batch)
            yield from shot.ready()
        if shot is not None:
            yield from shot.ready(ended=True)


class _Shot:
    """The state of one shot."""

    def __init__(self, config: DeflickerConfig) -> None:
        self.config = config
        self._reach = math.ceil(_REACH * config.slow_frames)
        self._waiting: deque[Repaired] = deque()
        self._lights: deque[_Light] = deque()  # from frame `_first` on
        self._first = self._done = 0
        self._before: Floats | None = None  # the small frame before

    def push(self, batch: Repaired) -> None:
        """Take a batch and see its light."""
        frames = batch.frames
        for i, plane in enumerate(frames.luma[:, 0].numpy()):
            link = batch.marked.moved.links[i]
            here = _small(plane, frames.info, link)
            self._lights.append(self._light(here, link, _hidden(batch, i, here.shape)))
            self._before = here
        self._waiting.append(batch)

    def ready(self, *, ended: bool = False) -> Iterator[Repaired]:
        """Batches whose future is known, leveled."""
        while self._waiting:
            batch = self._waiting[0]
            end = self._done + len(batch.frames)
            if not ended and self._first + len(self._lights) < end + self._reach:
                return
            self._waiting.popleft()
            planes = [
                _leveled(batch.frames, i, self._flicker(self._done + i))
                for i in range(len(batch.frames))
            ]
            luma = torch.from_numpy(np.stack(planes)[:, None])
            area = batch.frames.info.height * batch.frames.info.width
            yield replace(
                batch,
                frames=replace(batch.frames, luma=luma),
                changed=(area,) * len(batch.frames),
            )
            self._done = end
            while self._first < self._done - self._reach:
                self._lights.popleft()
                self._first += 1

    def _light(self, here: Floats, link: Link | None, hidden: npt.NDArray[np.bool_]) -> _Light:
        grid, before = (self.config.rows, self.config.columns), self._before
        if before is None or link is None:
            return _Light(np.zeros(grid, np.float32), 0.0)
        last = self._lights[-1]
        if link.same:
            return last
        if before.shape != here.shape:  # of a shot's first frame the grid is not known
            before = cast(Floats, cv2.resize(before, here.shape[::-1]))
        moved = warp(before[..., None], link.back)[..., 0]
        sound = ~hidden & (here > _DARK) & (moved > _DARK) & (here < _KNEE) & (moved < _KNEE)
        gain, offset = _fit(moved[sound], here[sound])
        local = _local(moved * gain + offset, here, sound, grid)
        return _Light(last.gain + math.log(gain) + local, gain * last.offset + offset)

    def _flicker(self, place: int) -> _Light:
        """The fast part of a frame's exposure, limited."""
        config, lights = self.config, self._lights
        at = place - self._first
        first = max(0, at - self._reach)
        near = [lights[i] for i in range(first, min(len(lights), at + self._reach + 1))]
        gains = np.stack([one.gain for one in near]).astype(np.float64)
        offsets = np.array([one.offset for one in near])
        gain = lights[at].gain - slow_part(gains, at - first, config.slow_frames)
        offset = lights[at].offset - float(slow_part(offsets, at - first, config.slow_frames))
        most = config.most_offset / 255
        return _Light(
            (config.strength * np.clip(gain, -config.most_gain, config.most_gain)).astype(
                np.float32
            ),
            config.strength * min(most, max(-most, offset)),
        )


def _leveled(frames: FrameBatch, number: int, flicker: _Light) -> Array:
    plane: Array = frames.luma[number, 0].numpy()
    if not flicker.gain.any() and not flicker.offset:
        return plane
    spec = frames.info.color
    size = plane.shape[::-1]
    gain = np.exp(-cv2.resize(flicker.gain, size, interpolation=cv2.INTER_LINEAR))
    span = np.float32(spec.white - spec.black)
    tone = (plane.astype(np.float32) - spec.black) / span
    room = np.clip(tone * np.float32(1 / _DARK), 0, 1)  # black is never lifted
    level = _toned(tone - np.float32(flicker.offset) * room, gain)
    rng = np.random.default_rng((frames.index + number, spec.bits))
    noise = rng.random(plane.shape, np.float32)
    codes = np.floor(np.where(tone >= 1, tone, level) * span + spec.black + noise)
    return np.clip(codes, 0, (1 << spec.bits) - 1).astype(plane.dtype)


def _toned(tone: Floats, gain: Floats) -> Floats:
    """`gain` times the tone, drawn together above the knee so that 1 stays 1; monotone."""
    knee = np.minimum(_KNEE, _KNEE / gain)
    above = knee * gain + (tone - knee) / (1 - knee) * (1 - knee * gain)
    return np.where(tone <= knee, tone * gain, above)


def _small(plane: Array, info: VideoInfo, link: Link | None) -> Floats:
    """The frame on the grid of its flow, 0 black to 1 white; of a shot's first, about that size."""
    spec = info.color
    wide = plane.astype(np.float32)
    if link is not None:
        size = link.back.shape[1::-1]
    else:
        factor = max(1, round(min(plane.shape) / 288))
        size = (max(1, round(plane.shape[1] / factor)), max(1, round(plane.shape[0] / factor)))
    small = cast(Floats, cv2.resize(wide, size, interpolation=cv2.INTER_AREA))
    return (small - spec.black) * np.float32(1 / (spec.white - spec.black))


def _hidden(batch: Repaired, number: int, size: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Where there is or was damage, on the small grid."""
    hole = union(batch.marked.spots[number], batch.frames.info.size, review=True)
    if not hole.any():
        return np.zeros(size, np.bool_)
    small = cv2.resize(hole.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small) > 0


def _fit(before: Floats, here: Floats) -> tuple[float, float]:
    """Robust line `here = gain * before + offset` (Huber's weights); 1 and 0 if nothing tells."""
    if len(before) < _LEAST_PIXELS:
        return 1.0, 0.0
    x, y = before[::3].astype(np.float64), here[::3].astype(np.float64)
    gain, offset = 1.0, float(np.median(y - x))
    for _ in range(_ROUNDS):
        residual = np.abs(y - gain * x - offset)
        scale = max(1.345 * 1.4826 * float(np.median(residual)), 1e-4)
        weight = np.where(residual > _FAR, 0, np.minimum(1, scale / np.maximum(residual, 1e-9)))
        total = weight.sum()
        if total < _LEAST_PIXELS / 3:
            return 1.0, 0.0
        mx, my = (weight @ x) / total, (weight @ y) / total
        spread = weight @ (x - mx) ** 2
        # a flat picture tells a level, not a slope
        gain = (weight @ ((x - mx) * (y - my)) + total * 1e-3) / (spread + total * 1e-3)
        offset = my - gain * mx
    return (float(gain), float(offset)) if 0.5 < gain < 2 else (1.0, 0.0)


def _local(
    expected: Floats, here: Floats, sound: npt.NDArray[np.bool_], grid: tuple[int, int]
) -> Floats:
    """(rows, columns) log gain that each part of the picture has beside the whole's."""
    result = np.zeros(grid, np.float32)
    if grid == (1, 1):
        return result
    trusted = sound & (expected > _DARK) & (np.abs(here - expected) < _FAR)
    ratio = np.log(np.where(trusted, here / np.maximum(expected, 1e-3), 1))
    rows = np.linspace(0, here.shape[0], grid[0] + 1).round().astype(int)
    columns = np.linspace(0, here.shape[1], grid[1] + 1).round().astype(int)
    for row in range(grid[0]):
        for column in range(grid[1]):
            cell = (slice(*rows[row : row + 2]), slice(*columns[column : column + 2]))
            values = ratio[cell][trusted[cell]]
            if len(values) >= _LEAST_PIXELS:
                result[row, column] = np.median(values)
    return cv2.blur(result, (3, 3), borderType=cv2.BORDER_REPLICATE).astype(np.float32)
