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
from vidcolor.records import Detected, Detections, FrameBatch

if TYPE_CHECKING:
    from vidcolor.stages.detect import DetectConfig

__all__ = ["MotionDetector", "fit_camera"]

Plane = NDArray[np.float32]
Matrix = NDArray[np.float64]
Box = tuple[tuple[float, float, float, float], float]

_NAMES = ("moving",)
_OFFSETS = (4, 8, 12, 16, 24)  # frames from now whose median is the background
_REACH = _OFFSETS[-1]
_LEAST_SAMPLES = 2
_GRID_PX = 6
_LEAST_TEXTURE = 3.0  # codes of 255 a pixel; flow of flatter places is a guess
_LEAST_POINTS = 24
_STILL_PX = 0.15
_GOOD_FIT_PX = 1.0
_LEAST_GOOD = 0.4
_LEAST_BOX = 1 / 14  # side of a box, part of the picture's short side
_JOIN = 1 / 20  # parts nearer than this part of the short side are one object
_NEAR = 1 / 24  # boxes that near each other may be one object's
_COVERS = 0.3  # and are, if so much of the smaller one lies in the other
_SURE = 1.6  # an object has a place where it differs by so many thresholds


def fit_camera(flow: Plane, picture: NDArray[np.uint8]) -> tuple[Matrix, bool]:
    """The affine map that most of a flow field follows.

    Args:
        flow: (H, W, 2) x and y.
        picture: (H, W) that the flow starts from; places without texture are left out.

    Returns:
        (3, 3) map of (x, y, 1), and whether a good part of the picture follows it.
    """
    height, width = picture.shape
    across = cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=1 / 8)
    texture = np.asarray(cv2.blur(np.hypot(across, down).astype(np.float32), (5, 5)))
    margin = max(4, min(height, width) // 16)
    rows, columns = np.mgrid[
        margin : height - margin : _GRID_PX, margin : width - margin : _GRID_PX
    ]
    rows, columns = rows.ravel(), columns.ravel()
    strong = texture[rows, columns] > _LEAST_TEXTURE
    still = np.eye(3)
    if strong.sum() < _LEAST_POINTS:
        return still, True
    rows, columns = rows[strong], columns[strong]
    moved = flow[rows, columns].astype(np.float64)
    if np.median(np.abs(moved).max(axis=1)) < _STILL_PX:
        return still, True
    scale = 2.0 / max(height, width)
    design = np.stack(
        ((columns - width / 2) * scale, (rows - height / 2) * scale, np.ones(len(rows))), axis=1
    )
    model = np.zeros((3, 2))
    model[2] = np.median(moved, axis=0)
    weight = np.ones(len(rows))
    for _ in range(6):
        rest = np.linalg.norm(moved - design @ model, axis=1)
        spread = max(0.1, 1.4826 * float(np.median(rest)))
        weight = 1 / (1 + (rest / (2 * spread)) ** 2) ** 2
        weighted = design * weight[:, None]
        model = np.linalg.solve(weighted.T @ design + 1e-9 * np.eye(3), weighted.T @ moved)
    rest = np.linalg.norm(moved - design @ model, axis=1)
    reliable = float((rest < _GOOD_FIT_PX).mean()) >= _LEAST_GOOD
    matrix = np.eye(3)
    linear = model[:2].T * scale
    matrix[:2, :2] += linear
    matrix[:2, 2] = model[2] - linear @ np.array((width / 2, height / 2))
    return matrix, reliable


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


@dataclass(frozen=True, slots=True)
class _Part:
    """A connected part of what moves.

    Attributes:
        x0: Left.
        y0: Top.
        x1: Right, outside.
        y1: Bottom, outside.
        area: Pixels that move.
        contrast: Sum of their differences from the background, in thresholds.
        peak: What a tenth of them reach.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    area: int
    contrast: float
    peak: float

    def joined(self, other: _Part) -> _Part:
        """Both together."""
        return _Part(
            min(self.x0, other.x0),
            min(self.y0, other.y0),
            max(self.x1, other.x1),
            max(self.y1, other.y1),
            self.area + other.area,
            self.contrast + other.contrast,
            max(self.peak, other.peak),
        )


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
        self._last: list[Box] = []

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
        back, reliable = fit_camera(dis_flow(codes, before.codes, "ultrafast"), codes)
        return _Small(codes, picture, back, reliable, False)

    def _settle(self) -> None:
        """Find the boxes of the first unsettled frame."""
        number = self._done
        here = self._small[number - self._oldest]
        if not here.held or number == self._begin:
            self._last = self._boxes(number) if self._looks(number) else []
        self._found.append(self._last)
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
            samples.append(_same_exposure(sample, now))
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
        backgrounds = [_median(side) for side in sides]
        if len(sides) == 2:
            first, second = (_excess(now, one, play) for one in backgrounds)
            excess = np.minimum(first, second)
        else:
            # at the shot's ends the median has where the object goes to, or comes from;
            # but nearly no sample has anything where the object is now
            ordered = _sorted([_excess(now, one, play) for one in sides[0]])
            excess = ordered[1 if len(ordered) > _LEAST_SAMPLES else 0]
        rest = [np.abs(cv2.blur(now - one, (3, 3)))[::3, ::3] for one in backgrounds]
        noise = min(1.4826 * float(np.median(one)) for one in rest)
        threshold = max(config.motion_contrast * 255, config.motion_noise * noise)
        differs = (excess > threshold).astype(np.uint8)
        mask = np.asarray(cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)))
        if float(mask.mean()) > config.motion_most:
            return []
        return self._objects(mask.astype(np.uint8), excess / threshold)

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
        good = [_same_exposure(plane, here) for plane in planes if plane is not None]
        if len(good) < 3:
            return here
        return _median(good)

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
                _Part(
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
        for part in _merged(parts, side * _NEAR):
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


def _sorted(planes: list[Plane]) -> list[Plane]:
    """Planes with each pixel's values in ascending order; faster than a sort for a few."""
    rows = list(planes)
    for end in range(len(rows) - 1, 0, -1):
        for k in range(end):
            rows[k], rows[k + 1] = (
                np.minimum(rows[k], rows[k + 1]),
                np.maximum(rows[k], rows[k + 1]),
            )
    return rows


def _median(planes: list[Plane]) -> Plane:
    """Median of a few planes, pixel by pixel."""
    rows, half = _sorted(planes), len(planes) // 2
    if len(rows) % 2:
        return rows[half]
    return cast(Plane, (rows[half - 1] + rows[half]) * np.float32(0.5))


def _excess(now: Plane, background: Plane, play: int) -> Plane:
    """By how much pixels lie outside of all values within `play` pixels of the background."""
    around = np.ones((2 * play + 1, 2 * play + 1), np.uint8)
    above = now - cv2.dilate(background, around)
    below = cv2.erode(background, around) - now
    return cast(Plane, cv2.blur(np.maximum(np.maximum(above, below), 0), (3, 3)))


def _merged(boxes: list[_Part], reach: float) -> list[_Part]:
    """Parts of which one, grown by `reach`, covers a good part of the other, made one."""
    boxes = list(boxes)
    again = True
    while again:
        again = False
        for i, j in itertools.combinations(range(len(boxes)), 2):
            a, b = boxes[i], boxes[j]
            wide = min(a.x1, b.x1) - max(a.x0, b.x0) + 2 * reach
            high = min(a.y1, b.y1) - max(a.y0, b.y0) + 2 * reach
            smaller = min((one.x1 - one.x0) * (one.y1 - one.y0) for one in (a, b))
            if wide > 0 and high > 0 and wide * high > _COVERS * smaller:
                boxes[j] = a.joined(b)
                del boxes[i]
                again = True
                break
    return boxes


def _score(contrast: float, part: float) -> float:
    """0..0.95 of the mean contrast in thresholds and the part of the frame that moves."""
    clear = min(1.0, np.log2(max(1.0, contrast)) / 1.5)
    large = min(1.0, float(np.sqrt(part)) / 0.15)
    return float(min(0.95, 0.35 + 0.35 * clear + 0.3 * large))


def _same_exposure(picture: Plane, like: Plane) -> Plane:
    """`picture` with the gain and offset that most of it has against `like`."""
    if picture is like:
        return picture
    x, y = picture[::6, ::6].ravel(), like[::6, ::6].ravel()
    gain, offset = 1.0, float(np.median(y - x))
    for _ in range(2):
        rest = np.abs(y - gain * x - offset)
        keep = rest <= 2.5 * max(1.0, 1.4826 * float(np.median(rest)))
        spread = float(x[keep].var()) if keep.any() else 0.0
        if spread < 4.0:
            break
        mean_x, mean_y = float(x[keep].mean()), float(y[keep].mean())
        gain = float(((x[keep] - mean_x) * (y[keep] - mean_y)).mean()) / spread
        gain = min(2.0, max(0.5, gain))
        offset = mean_y - gain * mean_x
    return (gain * picture + offset).astype(np.float32)
