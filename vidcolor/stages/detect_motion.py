"""Moving objects, found without any weights.

The movement of the camera is fitted to optical flow and taken out. A frame is then compared with
the background of the past and with that of the future, each the median of a few earlier or later
frames: what differs from both is there now and was and will be elsewhere. So neither the place
that an object has left nor the one it is going to counts as an object.

Reference: Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016,
    arXiv:1603.03590; the rest is plain background subtraction.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vidcolor.ops.flow import dis_flow
from vidcolor.ops.median import median_of, quantile_of
from vidcolor.records import Detected, Detections, FrameBatch
from vidcolor.stages.motion_planes import (
    Matrix,
    Part,
    Plane,
    excess,
    fit_camera,
    median,
    merged,
    reduced,
    same_exposures,
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
_SHARED_FRAMES = 2  # so many later frames use the same background: it changes slowly
_LEAST_BOX = 1 / 14  # side of a box, part of the picture's short side
_JOIN = 1 / 20  # parts nearer than this part of the short side are one object
_NEAR = 1 / 24  # boxes that near each other may be one object's
_PEAK = 0.9  # part of an object's pixels that differ by less than its peak
_SURE = 1.6  # an object has a place where it differs by so many thresholds
_STAYS: Matrix = np.eye(3)  # the way between frames that the camera does not move between


@dataclass(frozen=True, slots=True)
class _Small:
    """A frame, small.

    Attributes:
        codes: (h, w) uint8.
        picture: The same as float32, 0..255.
        back: (3, 3) where its pixels lie in the frame before.
        reliable: `back` is to be believed.
        held: It repeats the frame before.
        still: `back` moves nothing.
    """

    codes: NDArray[np.uint8]
    picture: Plane
    back: Matrix
    reliable: bool
    held: bool
    still: bool


@dataclass(frozen=True, slots=True)
class _Background:
    """What a frame was compared with.

    Attributes:
        number: Of the frame, on whose grid it lies and whose exposure it has.
        sides: Medians of the past and of the future.
    """

    number: int
    sides: list[Plane]


class MotionDetector:
    """Boxes around what moves against the background.

    Memory: 48 small pictures, and the luma of 24 frames and a batch. Lookahead: 24 frames
    within the shot. At a cut everything starts anew; results are counted from the start of the
    shot. A shot of fewer than 5 frames shows nothing.

    A picture is looked at if the last one that was lies `every` frames back: of drawings on twos
    all are. Three frames in a row are compared with one background, that of the first, moved along
    with the camera: it is made of frames that lie four apart.

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
        self._oldest = batch.start
        self._known = batch.start
        self._done = batch.start
        self._found: deque[list[Box] | None] = deque()  # None: nobody has looked
        self._last: list[Box] | None = None  # of the picture that held frames repeat
        self._looked_at: int | None = None  # the last picture
        self._background: _Background | None = None  # last made, with both sides

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
            found = [self._found.popleft() for _ in range(len(batch))]
            rows = [(box, i) for i, boxes in enumerate(found) for box in boxes or ()]
            looked = torch.tensor([boxes is not None for boxes in found])
            if not rows:
                yield Detected(batch, Detections.empty(_NAMES), looked)
                continue
            objects = Detections(
                torch.tensor([box for (box, _), _ in rows], dtype=torch.float32),
                torch.tensor([score for (_, score), _ in rows], dtype=torch.float32),
                torch.zeros(len(rows), dtype=torch.int64),
                torch.tensor([i for _, i in rows], dtype=torch.int64),
                _NAMES,
            )
            yield Detected(batch, objects, looked)

    def _is_due(self, number: int) -> bool:
        """Whether to look at a picture: at every one, or not so soon after the last."""
        return self._looked_at is None or number - self._looked_at >= self._every

    def _shrink(self, batch: FrameBatch, i: int, held: bool) -> _Small:
        before = self._small[-1] if self._small else None
        if held and before is not None:
            return _Small(before.codes, before.picture, np.eye(3), True, True, True)
        width, height = self._size
        color = batch.info.color
        picture = reduced(batch.luma[i, 0].numpy(), (height, width))
        picture -= np.float32(color.black)
        picture *= np.float32(255.0 / (color.white - color.black))
        np.clip(picture, 0, 255, out=picture)
        codes = np.rint(picture).astype(np.uint8)
        if before is None:
            return _Small(codes, picture, np.eye(3), True, False, True)
        back, reliable = fit_camera(dis_flow(codes, before.codes, "sparse"), codes, before.codes)
        return _Small(codes, picture, back, reliable, False, np.array_equal(back, np.eye(3)))

    def _settle(self) -> None:
        """Find the boxes of the first unsettled frame."""
        number = self._done
        here = self._small[number - self._oldest]
        if not here.held:
            self._last = None
            if self._is_due(number):
                self._last, self._looked_at = self._boxes(number), number
        self._found.append(self._last)
        self._done += 1
        while self._oldest < self._done - _REACH:
            self._small.popleft()
            self._oldest += 1

    def _way(self, number: int, other: int) -> Matrix | None:
        """(3, 3) from the pixels of a frame to those of another; nobody knows it if None."""
        low, high = sorted((number, other))
        way = _STAYS
        for k in range(low + 1, high + 1):
            small = self._small[k - self._oldest]
            if not small.reliable:
                return None
            if not small.still:
                # from high to low in the end
                way = small.back if way is _STAYS else way @ small.back
        return way if way is _STAYS or other < number else cast(Matrix, np.linalg.inv(way))

    def _brought(self, plane: Plane, way: Matrix, number: int) -> Plane:
        """A plane brought to a frame; where it shows nothing, the frame itself."""
        if way is _STAYS:
            return plane
        moved = cv2.warpAffine(
            plane,
            way[:2],
            self._size,
            self._small[number - self._oldest].picture.copy(),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_TRANSPARENT,
        )
        return cast(Plane, np.asarray(moved))

    def _aligned(self, number: int, other: int) -> Plane | None:
        """Another frame brought to a frame."""
        way = self._way(number, other)
        if way is None:
            return None
        return self._brought(self._small[other - self._oldest].picture, way, number)

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
            samples.append(sample)
        return same_exposures(samples, now) if len(samples) >= _LEAST_SAMPLES else []

    def _shared(self, number: int, now: Plane) -> list[Plane]:
        """Both sides' background of a frame just before, brought here; nothing if there is none."""
        last = self._background
        if last is None or number - last.number > _SHARED_FRAMES:
            return []
        way = self._way(number, last.number)
        if way is None:
            return []
        return same_exposures([self._brought(side, way, number) for side in last.sides], now)

    def _boxes(self, number: int) -> list[Box]:
        config = self._config
        now = self._undusted(number)
        sides: list[list[Plane]] = []
        backgrounds = self._shared(number, now)
        if not backgrounds:
            sides = [side for step in (-1, 1) if (side := self._samples(number, now, step))]
            backgrounds = [median(side) for side in sides]
            self._background = _Background(number, backgrounds) if len(sides) == 2 else None
        if not backgrounds:
            return []
        # play for what the camera's fit leaves, more where its errors add up
        play = 1 if all(one.still for one in itertools.islice(self._small, 1, None)) else 2
        if len(backgrounds) == 2:
            first, second = (excess(now, one, play) for one in backgrounds)
            differing = np.minimum(first, second)
        else:
            # at the shot's ends the median has where the object goes to, or comes from;
            # but nearly no sample has anything where the object is now
            ordered = sort_planes([excess(now, one, play) for one in sides[0]])
            differing = ordered[1 if len(ordered) > _LEAST_SAMPLES else 0]
        rest = [np.abs(cv2.blur(now - one, (3, 3))[::3, ::3]) for one in backgrounds]
        noise = min(1.4826 * median_of(one) for one in rest)
        threshold = max(config.motion_contrast * 255, config.motion_noise * noise)
        differs = (differing > threshold).astype(np.uint8)
        mask = np.asarray(cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)))
        moving = cv2.countNonZero(mask)
        if moving == 0 or moving / mask.size > config.motion_most:
            return []
        differing /= np.float32(threshold)
        return self._objects(cast(NDArray[np.uint8], mask), differing)

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
        good = [plane for plane in planes if plane is not None]
        if len(good) < 3:
            return here
        return median(same_exposures(good, here))

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
        _, labels = cv2.connectedComponents(joined, connectivity=8)
        moving = np.flatnonzero(mask)
        owners, values = labels.ravel()[moving], contrast.ravel()[moving]
        parts = []
        for k, area in enumerate(np.bincount(owners).tolist()):
            if area == 0 or area < config.motion_least * height * width / 4:
                continue
            own = np.flatnonzero(owners == k)
            down, across = np.divmod(moving[own], width)
            differ = values[own]
            parts.append(
                Part(
                    int(across.min()),
                    int(down.min()),
                    int(across.max()) + 1,
                    int(down.max()) + 1,
                    area,
                    float(differ.sum()),
                    quantile_of(differ, _PEAK),
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
