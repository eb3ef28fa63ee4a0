"""Moving objects, found without any weights.

The movement of the camera is fitted to optical flow and taken out. A frame is then compared with
the background of the past and with that of the future, each the median of a few earlier or later
frames: what differs from both is there now and was and will be elsewhere. So neither the place
that an object has left nor the one it is going to counts as an object.

Reference: Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016,
    arXiv:1603.03590; the rest is plain background subtraction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vidcolor.ops.flow import dis_flow
from vidcolor.records import Detected, Detections, FrameBatch
from vidcolor.stages.motion_planes import (
    Matrix,
    Part,
    Plane,
    excess,
    fit_camera,
    median,
    merged,
    same_exposure,
    sort_planes,
)

if TYPE_CHECKING:
    from vidcolor.stages.detect import DetectConfig

__all__ = ["MotionDetector"]

Box = tuple[tuple[float, float, float, float], float]

_NAMES = ("moving",)
_OFFSETS = (4, 8, 12, 16, 24)  # frames from now whose median is the background
_REACH = _OFFSETS[-1]
_LEAST_SAMPLES = 2
_LEAST_BOX = 1 / 14  # side of a box, part of the picture's short side
_JOIN = 1 / 20  # parts nearer than this part of the short side are one object
_NEAR = 1 / 24  # boxes that near each other may be one object's
_SURE = 1.6  # an object has a place where it differs by so many thresholds


@dataclass(frozen=True, slots=True)
class _Small:
    """A frame, small.

    Attributes:
        codes: (h, w) uint8.
        picture: The same as float32, 0..255.
        back: (3, 3) where its pixels lie in the frame before.
        reliable: `back` is to be believed.
        held: It repeats the frame before.
    """

    codes: NDArray[np.uint8]
    picture: Plane
    back: Matrix
    reliable: bool
    held: bool


class MotionDetector:
    """Boxes around what moves against the background.

    Memory: 48 small pictures, and the luma of 24 frames and a batch. Lookahead: 24 frames
    within the shot. At a cut everything starts anew; results are counted from the start of the
    shot. A shot of fewer than 5 frames shows nothing.

    Exposure pulses are fitted away (gain and offset against each sample), grain and dust are
    met by a median over three frames and a threshold in deviations of what is left. If much of
    the picture moves on its own (a fade, an explosion), or no camera movement fits, nothing is
    believed.

    Args:
        config: The fields that begin with `motion_`, `every`, `floor` and `max_objects`.
    """

    def __init__(self, config: DetectConfig) -> None:
        self._config = config

    def __call__(self, frames: Iterable[FrameBatch]) -> Iterator[Detected]:
        """Detect."""
        shot: _Shot | None = None
        for batch in frames:
            if shot is None or shot.number != batch.shot:
                if shot is not None:
                    yield from shot.finish()
                shot = _Shot(self._config, batch)
            yield from shot.add(batch)
        if shot is not None:
            yield from shot.finish()


class _Shot:
    """What is known of the running shot; frames are counted from its start."""

    def __init__(self, config: DetectConfig, batch: FrameBatch) -> None:
        self.number = batch.shot
        self._config = config
        height, width = batch.info.size
        scale = min(1.0, config.motion_side_px / min(height, width))
        self._size = (max(1, round(width * scale)), max(1, round(height * scale)))
        self._to_frame = np.array((width / self._size[0], height / self._size[1]))
        self._every = max(1, config.every)
        self._pending: deque[FrameBatch] = deque()
        self._small: deque[_Small] = deque()
        self._begin = batch.start
        self._oldest = batch.start
        self._known = batch.start
        self._done = batch.start
        self._found: deque[list[Box]] = deque()
        self._last: list[Box] | None = None  # of the picture that held frames repeat

    def add(self, batch: FrameBatch) -> Iterator[Detected]:
        """Take a batch in, send on what is settled."""
        self._pending.append(batch)
        held = batch.is_held().tolist()
        for i in range(len(batch)):
            self._small.append(self._shrink(batch, i, held[i]))
            self._known += 1
            if self._known - self._done > _REACH:
                self._settle()
        yield from self._ready()

    def finish(self) -> Iterator[Detected]:
        """The shot has ended."""
        while self._done < self._known:
            self._settle()
        yield from self._ready()

    def _ready(self) -> Iterator[Detected]:
        while self._pending and len(self._found) >= len(self._pending[0]):
            batch = self._pending.popleft()
            rows = [(box, i) for i in range(len(batch)) for box in self._found.popleft()]
            looked = torch.tensor([self._looks(batch.start + i) for i in range(len(batch))])
            if not rows:
                yield Detected(batch, Detections.empty(_NAMES), looked)
                continue
            found = Detections(
                torch.tensor([box for (box, _), _ in rows], dtype=torch.float32),
                torch.tensor([score for (_, score), _ in rows], dtype=torch.float32),
                torch.zeros(len(rows), dtype=torch.int64),
                torch.tensor([i for _, i in rows], dtype=torch.int64),
                _NAMES,
            )
            yield Detected(batch, found, looked)

    def _looks(self, number: int) -> bool:
        return number == self._begin or number % self._every == 0

    def _shrink(self, batch: FrameBatch, i: int, held: bool) -> _Small:
        before = self._small[-1] if self._small else None
        if held and before is not None:
            return _Small(before.codes, before.picture, np.eye(3), True, True)
        plane = batch.luma[i, 0].numpy()
        color = batch.info.color
        if plane.dtype != np.uint8:
            plane = plane.astype(np.float32)
        small = np.asarray(cv2.resize(plane, self._size, interpolation=cv2.INTER_AREA))
        gain = 255.0 / (color.white - color.black)
        picture = ((small.astype(np.float32) - color.black) * gain).clip(0, 255)
        picture = picture.astype(np.float32)
        codes = np.rint(picture).astype(np.uint8)
        if before is None:
            return _Small(codes, picture, np.eye(3), True, False)
        back, reliable = fit_camera(dis_flow(codes, before.codes, "ultrafast"), codes, before.codes)
        return _Small(codes, picture, back, reliable, False)

    def _settle(self) -> None:
        """Find the boxes of the first unsettled frame."""
        number = self._done
        here = self._small[number - self._oldest]
        if not here.held:
            self._last = None
        if self._last is None and self._looks(number):
            self._last = self._boxes(number)
        self._found.append(self._last or [])
        self._done += 1
        while self._oldest < self._done - _REACH:
            self._small.popleft()
            self._oldest += 1

    def _aligned(self, number: int, other: int) -> Plane | None:
        """A frame moved onto another; where it shows nothing, the other itself."""
        low, high = sorted((number, other))
        matrix: Matrix = np.eye(3)
        for k in range(low + 1, high + 1):
            small = self._small[k - self._oldest]
            if not small.reliable:
                return None
            matrix = matrix @ small.back  # from high to low in the end
        here = self._small[number - self._oldest].picture
        there = self._small[other - self._oldest].picture
        if np.array_equal(matrix, np.eye(3)):
            return there
        if other > number:
            matrix = cast(Matrix, np.linalg.inv(matrix))
        moved = cv2.warpAffine(
            there,
            matrix[:2],
            self._size,
            here.copy(),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_TRANSPARENT,
        )
        return cast(Plane, np.asarray(moved))

    def _samples(self, number: int, now: Plane, direction: int) -> list[Plane]:
        """Frames of the past (-1) or the future (1) on now's grid, with its exposure."""
        samples = []
        for offset in _OFFSETS:
            other = number + direction * offset
            if not self._oldest <= other < self._known:
                break
            sample = self._aligned(number, other)
            if sample is None:
                break
            samples.append(same_exposure(sample, now))
        return samples if len(samples) >= _LEAST_SAMPLES else []

    def _boxes(self, number: int) -> list[Box]:
        config = self._config
        now = self._undusted(number)
        sides = [side for step in (-1, 1) if (side := self._samples(number, now, step))]
        if not sides:
            return []
        near = [self._small[k - self._oldest] for k in range(self._oldest + 1, self._known)]
        still = all(np.array_equal(one.back, np.eye(3)) for one in near)
        # play for what the camera's fit leaves, more where its errors add up
        play = 1 if still else 2
        backgrounds = [median(side) for side in sides]
        if len(sides) == 2:
            first, second = (excess(now, one, play) for one in backgrounds)
            differing = np.minimum(first, second)
        else:
            # at the shot's ends the median has where the object goes to, or comes from;
            # but nearly no sample has anything where the object is now
            ordered = sort_planes([excess(now, one, play) for one in sides[0]])
            differing = ordered[1 if len(ordered) > _LEAST_SAMPLES else 0]
        rest = [np.abs(cv2.blur(now - one, (3, 3)))[::3, ::3] for one in backgrounds]
        noise = min(1.4826 * float(np.median(one)) for one in rest)
        threshold = max(config.motion_contrast * 255, config.motion_noise * noise)
        differs = (differing > threshold).astype(np.uint8)
        mask = np.asarray(cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)))
        if float(mask.mean()) > config.motion_most:
            return []
        return self._objects(mask.astype(np.uint8), (differing / threshold).astype(np.float32))

    def _undusted(self, number: int) -> Plane:
        """Median with the frames before and after: dust and half of the grain are gone."""
        near = [number]
        for step in (-1, 1):
            at = number + step
            # over held frames, to the next other picture
            while self._oldest < at < self._known - 1 and self._same(at, number):
                at += step
            if self._oldest <= at < self._known:
                near.append(at)
        here = self._small[number - self._oldest].picture
        planes = [self._aligned(number, at) for at in near]
        good = [same_exposure(plane, here) for plane in planes if plane is not None]
        if len(good) < 3:
            return here
        return median(good)

    def _same(self, number: int, other: int) -> bool:
        pictures = (self._small[k - self._oldest].picture for k in (number, other))
        return next(pictures) is next(pictures)

    def _objects(self, mask: NDArray[np.uint8], contrast: Plane) -> list[Box]:
        """Boxes of the parts of a mask, near parts joined."""
        config = self._config
        height, width = mask.shape
        side = min(height, width)
        reach = max(3, round(side * _JOIN)) | 1
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disk)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        parts = []
        for k in range(1, count):
            x, y, w, h = (int(v) for v in stats[k, :4])
            window = (slice(y, y + h), slice(x, x + w))
            inside = (labels[window] == k) & (mask[window] > 0)
            rows, columns = np.nonzero(inside)
            if len(rows) < config.motion_least * height * width / 4:
                continue
            values = contrast[window][inside]
            parts.append(
                Part(
                    x + int(columns.min()),
                    y + int(rows.min()),
                    x + int(columns.max()) + 1,
                    y + int(rows.max()) + 1,
                    len(rows),
                    float(values.sum()),
                    float(np.quantile(values, 0.9)),
                )
            )
        result: list[Box] = []
        for part in merged(parts, side * _NEAR):
            if (
                part.area < config.motion_least * height * width
                or min(part.x1 - part.x0, part.y1 - part.y0) < side * _LEAST_BOX
                or part.peak < _SURE
            ):
                continue
            score = _score(part.contrast / part.area, part.area / (height * width))
            if score >= config.floor:
                x, y = self._to_frame.tolist()
                result.append(((part.x0 * x, part.y0 * y, part.x1 * x, part.y1 * y), score))
        result.sort(key=lambda one: (-one[1], one[0]))
        return result[: config.max_objects]


def _score(contrast: float, part: float) -> float:
    """0..0.95 of the mean contrast in thresholds and the part of the frame that moves."""
    clear = min(1.0, np.log2(max(1.0, contrast)) / 1.5)
    large = min(1.0, float(np.sqrt(part)) / 0.15)
    return float(min(0.95, 0.35 + 0.35 * clear + 0.3 * large))
