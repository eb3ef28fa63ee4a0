"""Where shots begin, and which frames only repeat.

Cuts are seen by a perceptual hash (PySceneDetect's `HashDetector`, the steadiest of its detectors
on gray footage) and then have to stand up to doubts: a flash is not two cuts, a fast pan is not
one, and a picture gone black has no hash worth comparing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.ops.flow import dis_flow, equalize, warp
from vidcolor.ops.resize import shrink
from vidcolor.records import ColorSpec, FrameBatch
from vidcolor.stages.shots_file import Shot, read_shots

__all__ = ["CutConfig", "FindShots", "NoCut", "list_shots"]

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_THUMB_WIDTH_PX = 320
_SMALL_PX = (64, 36)
_LOOKAHEAD_FRAMES = 2  # the flash check looks this far ahead
_MEMORY_FRAMES = 3  # and this far back
_LOCAL_FRAMES = 5  # jumps before that the local median is taken of
_HELD_WINDOW_PX = 8
_VISIBLE_SHARE = 0.01  # of a frame that is not dark
_SAME = 0.15  # standard deviations under which a spot counts as unchanged


@dataclass(frozen=True, slots=True)
class CutConfig:
    """How shots and held frames are found.

    Attributes:
        threshold: Share of hash bits (0..1) that change at a cut; lower finds more.
        min_frames: A shot is at least this long.
        least_change: Change of the picture at a cut, in its own standard deviations.
        least_ratio: A cut changes more than the frames around it by this factor.
        least_residual: Share of the change that motion does not explain at a cut.
        most_same: Share of the visible picture that may stay the same at a cut.
        dark_level: Y' in 0..1 that nothing in a frame of a fade or of black exceeds.
        fade_frames: After so many dark frames a new picture needs no further proof.
        held: Mark frames that repeat the one before.
        held_window: Largest mean difference, in 8-bit codes, of any 8x8 window of a held frame.
        held_mean: Largest mean difference, in 8-bit codes, of a whole held frame.
        shots_file: JSON of shots (`vidcolor shots` writes it) to take instead of looking.
    """

    threshold: float = 0.3
    min_frames: int = 5
    least_change: float = 0.35
    least_ratio: float = 1.5
    least_residual: float = 0.6
    most_same: float = 0.6
    dark_level: float = 0.1
    fade_frames: int = 4
    held: bool = True
    held_window: float = 8.0
    held_mean: float = 0.4
    shots_file: str | None = None

    def __post_init__(self) -> None:
        for name in ("threshold", "least_change", "least_residual", "most_same", "dark_level"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be 0 to 1, not {getattr(self, name)}")
        if self.threshold == 0:
            raise ConfigError("threshold must be above 0: at 0 every frame is a cut")
        for name in ("min_frames", "fade_frames"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("least_ratio", "held_window", "held_mean"):
            if not 0 <= getattr(self, name) <= 255:
                raise ConfigError(f"{name} must be 0 to 255, not {getattr(self, name)}")


class FindShots:
    """Finds shots and held frames, or takes the shots from a file.

    Memory: the frames whose decision is open, some thumbnails, the first frame of a run of held
    ones. Lookahead: 2 frames. At a cut: nothing is kept. The result does not depend on how the
    frames are batched.

    Args:
        config: What to look for.

    Raises:
        GuidanceError: If `config.shots_file` cannot be read or does not hold shots. While running,
            if it is of another film.
    """

    def __init__(self, config: CutConfig) -> None:
        self.config = config
        self.shots = None if config.shots_file is None else read_shots(Path(config.shots_file))

    def __call__(self, frames: Iterable[FrameBatch], /) -> Iterator[FrameBatch]:
        """Batches of `frames`, split at cuts, with `shot`, `start` and `held` set."""
        held = _HeldFrames(self.config)
        shot, start = 0, 0  # of the next frame
        for batch, cuts, thumbs in self._cuts(frames):
            first = 0
            for last in [*np.flatnonzero(cuts).tolist(), len(batch)]:
                if last > first:
                    part = batch[first:last]
                    marks = held.of(part, thumbs[first:last], new_shot=start == 0)
                    yield replace(part, shot=shot, start=start, held=marks)
                    start += last - first
                if last < len(batch) and start > 0:
                    shot, start = shot + 1, 0
                first = last

    def _cuts(
        self, frames: Iterable[FrameBatch]
    ) -> Iterator[tuple[FrameBatch, list[bool], list[Bytes]]]:
        """Each batch, marks of the frames that begin a shot, and thumbnails."""
        if self.shots is not None:
            for batch, marks in _listed_cuts(frames, self.shots, self.config.shots_file):
                yield batch, marks, _thumbnails(batch)
            return
        finder = _CutFinder(self.config)
        waiting: deque[tuple[FrameBatch, list[Bytes]]] = deque()
        marks = []
        for batch in frames:
            thumbs = _thumbnails(batch)
            waiting.append((batch, thumbs))
            for thumb in thumbs:
                marks.extend(finder.push(thumb, batch.info.color))
            while waiting and len(marks) >= len(waiting[0][0]):
                count = len(waiting[0][0])
                ready, small = waiting.popleft()
                yield ready, marks[:count], small
                del marks[:count]
        marks.extend(finder.rest())
        for ready, small in waiting:
            yield ready, marks[: len(ready)], small
            del marks[: len(ready)]


class NoCut:
    """Takes everything for one shot without held frames: the null object of the shot finder.

    Memory: a count. Lookahead: none.
    """

    def __call__(self, frames: Iterable[FrameBatch], /) -> Iterator[FrameBatch]:
        """The frames as shot 0."""
        start = 0
        for batch in frames:
            yield replace(batch, shot=0, start=start, held=None)
            start += len(batch)


def list_shots(frames: Iterable[FrameBatch], config: CutConfig) -> Iterator[Shot]:
    """The shots of a film, each as soon as the next one begins.

    Args:
        frames: The film.
        config: As for `FindShots`; held frames are not looked for.

    Raises:
        GuidanceError: As `FindShots`.
    """
    first: FrameBatch | None = None  # with the first frame of the shot
    last: FrameBatch | None = None
    for batch in FindShots(replace(config, held=False))(frames):
        if first is None or batch.shot != first.shot:
            if first is not None and last is not None:
                yield _shot(first, last, batch.pts[0] * batch.info.time_base)
            first = batch[:1]
        last = batch
    if first is not None and last is not None:
        length = 1 / last.info.rate if last.info.rate > 0 else Fraction(0)
        yield _shot(first, last, last.pts[-1] * last.info.time_base + length)


def _shot(first: FrameBatch, last: FrameBatch, end_time: Fraction) -> Shot:
    return Shot(
        shot=first.shot,
        start=first.index,
        end=last.index + len(last) - 1,
        pts=first.pts[0],
        time=round(float(first.pts[0] * first.info.time_base), 6),
        end_time=round(float(end_time), 6),
    )


def _listed_cuts(
    frames: Iterable[FrameBatch], shots: Sequence[Shot], path: str | None
) -> Iterator[tuple[FrameBatch, list[bool]]]:
    starts = {shot.start: shot for shot in shots}
    times = {shot.pts for shot in shots}
    part: bool | None = None  # of a film: frames have other numbers than in the file
    for batch in frames:
        if part is None:
            part = None not in times and batch.pts[0] > (shots[0].pts or 0)
        if part:
            yield batch, [i + batch.index > 0 and pts in times for i, pts in enumerate(batch.pts)]
            continue
        marks = []
        for i, pts in enumerate(batch.pts):
            number = batch.index + i
            shot = starts.get(number)
            if shot is not None and shot.pts is not None and shot.pts != pts:
                raise GuidanceError(
                    f"shots file {path}, shot {shot.shot}: frame {number} has pts {shot.pts} "
                    f"there, but {pts} in the film; the file belongs to another film"
                )
            if number > shots[-1].end:
                raise GuidanceError(
                    f"shots file {path} ends at frame {shots[-1].end}, the film goes on; "
                    "correct the last end or list the missing shots"
                )
            marks.append(shot is not None and number > 0)
        yield batch, marks


def _thumbnails(batch: FrameBatch) -> list[Bytes]:
    return [_thumbnail(plane, batch.info.color) for plane in batch.luma[:, 0].numpy()]


def _thumbnail(plane: Array, spec: ColorSpec) -> Bytes:
    """About 320 columns, uint8 codes of the source's range."""
    width = min(_THUMB_WIDTH_PX, plane.shape[1])
    height = max(1, round(plane.shape[0] * width / plane.shape[1]))
    small = shrink(plane, (height, width))
    return (small >> (spec.bits - 8)).astype(np.uint8) if spec.bits > 8 else small


@dataclass(slots=True)
class _Look:
    """What is remembered of a frame.

    Attributes:
        thumb: Thumbnail.
        small: Smaller still, without its mean.
        visible: Where `small` is not black.
        dark: Nothing in it is bright enough to be compared.
    """

    thumb: Bytes
    small: Floats
    visible: npt.NDArray[np.bool_]
    dark: bool

    def change(self, other: _Look) -> float:
        """Mean absolute difference of the pictures, exposure aside, in codes."""
        return float(np.abs(self.small - other.small).mean())

    def same(self, other: _Look, tolerance: float) -> float:
        """Share of the picture, bars aside, that differs by less than `tolerance` codes."""
        visible = self.visible | other.visible
        difference = (self.small - other.small)[visible]
        difference -= np.median(difference)  # exposure, but not what has come or gone
        return float((np.abs(difference) < tolerance).mean())


@dataclass(slots=True)
class _Candidate:
    """A frame whose decision is open.

    Attributes:
        number: Frame, counted from 0.
        look: Its look.
        before: The looks before it that are not dark, latest first.
        hit: The detector says cut.
        change: Change since the last look that was not dark.
        dark_run: Dark frames right before it.
    """

    number: int
    look: _Look
    before: tuple[_Look, ...]
    hit: bool
    change: float
    dark_run: int


class _CutFinder:
    """Decides frame by frame, two frames late."""

    def __init__(self, config: CutConfig) -> None:
        from scenedetect.detectors import HashDetector

        self.config = config
        self.detector = HashDetector(threshold=config.threshold, min_scene_len=1)
        self.number = 0
        self.last_cut = 0
        self.dark_run = 0
        self.before: deque[_Look] = deque(maxlen=_MEMORY_FRAMES)
        self.open: deque[_Candidate] = deque()
        self.changes: deque[float] = deque(maxlen=_LOCAL_FRAMES)

    def push(self, thumb: Bytes, spec: ColorSpec) -> list[bool]:
        """Take a frame; give the decisions that have become possible (one or none)."""
        small = cast(Array, cv2.resize(thumb, _SMALL_PX, interpolation=cv2.INTER_AREA))
        small = small.astype(np.float32)
        level = spec.black + (spec.white - spec.black) * self.config.dark_level
        visible = small > level / (1 << (spec.bits - 8))
        dark = bool(visible.mean() < _VISIBLE_SHARE)
        look = _Look(thumb, small - small.mean(), visible, dark)
        hit, change = False, 0.0
        if dark:
            self.dark_run += 1
        else:
            hit = self._hash_jumps(thumb)
            change = look.change(self.before[0]) if self.before else 0.0
        self.open.append(
            _Candidate(self.number, look, tuple(self.before), hit, change, self.dark_run)
        )
        if not dark:
            self.before.appendleft(look)
            self.dark_run = 0
        self.number += 1
        return [self._decide()] if len(self.open) > _LOOKAHEAD_FRAMES else []

    def rest(self) -> list[bool]:
        """The decisions still open at the end of the film."""
        return [self._decide() for _ in range(len(self.open))]

    def _hash_jumps(self, thumb: Bytes) -> bool:
        from scenedetect import FrameTimecode

        picture = cv2.merge([thumb, thumb, thumb])  # the detector wants three channels
        return bool(self.detector.process_frame(FrameTimecode(self.number, 25.0), picture))

    def _decide(self) -> bool:
        frame = self.open.popleft()
        cut = (
            frame.hit
            and bool(frame.before)
            and frame.number - self.last_cut >= self.config.min_frames
            and (frame.dark_run >= self.config.fade_frames or self._stands(frame))
        )
        if frame.before and not frame.look.dark:
            self.changes.append(frame.change)
        if cut:
            self._forget(frame.look)
            self.last_cut = frame.number
            self.changes.clear()
        return cut

    def _forget(self, first: _Look) -> None:
        """Drop what lies before the first frame of a shot, as if the film began there."""
        for later in self.open:
            later.before = tuple(_since(first, later.before))
        self.before = deque(_since(first, self.before), maxlen=_MEMORY_FRAMES)

    def _stands(self, frame: _Candidate) -> bool:
        config = self.config
        contrast = (frame.look.small.std() + frame.before[0].small.std()) / 2
        if frame.change < max(1.0, config.least_change * contrast):
            return False
        if frame.look.same(frame.before[0], _SAME * contrast) > config.most_same:
            return False
        ahead = [later for later in self.open if not later.look.dark]
        around = [*self.changes, *(later.change for later in ahead if not later.hit)]
        if around and frame.change < config.least_ratio * float(np.median(around)):
            return False
        return not self._flash(frame, ahead) and self._residual(frame) >= config.least_residual

    @staticmethod
    def _flash(frame: _Candidate, ahead: list[_Candidate]) -> bool:
        """The picture soon is again what it was, or is again what it had been."""
        back = (later.look.change(frame.before[0]) for later in ahead)
        again = (frame.look.change(earlier) for earlier in frame.before[1:])
        return any(change < frame.change / 2 for change in (*back, *again))

    @staticmethod
    def _residual(frame: _Candidate) -> float:
        """Share of the change that is left when the picture before is moved to fit."""
        here, before = frame.look.thumb, equalize(frame.before[0].thumb, frame.look.thumb)
        moved = warp(before.astype(np.float32)[..., None], dis_flow(here, before, "fast"))
        change = float(np.abs(before.astype(np.float32) - here).mean())
        return float(np.abs(moved[..., 0] - here).mean()) / max(change, 1e-6)


def _since(first: _Look, looks: Iterable[_Look]) -> Iterator[_Look]:
    """Of looks, latest first, those from `first` on."""
    for look in looks:
        yield look
        if look is first:
            return


class _HeldFrames:
    """Compares each frame with the first one of the run it may belong to."""

    def __init__(self, config: CutConfig) -> None:
        self.config = config
        self.first: Array | None = None
        self.first_thumb: Bytes | None = None

    def of(self, batch: FrameBatch, thumbs: list[Bytes], new_shot: bool) -> torch.Tensor | None:
        """(N,) bool for a batch; its first frame begins a run if it begins a shot."""
        if not self.config.held:
            return None
        marks = torch.zeros(len(batch), dtype=torch.bool)
        for i, (plane, thumb) in enumerate(zip(batch.luma[:, 0].numpy(), thumbs, strict=True)):
            if (new_shot and i == 0) or not self._repeats(plane, thumb, batch.info.color):
                self.first, self.first_thumb = plane, thumb
            else:
                marks[i] = True
        if self.first is not None:
            self.first = self.first.copy()  # or the whole batch would be kept
        return marks

    def _repeats(self, plane: Array, thumb: Bytes, spec: ColorSpec) -> bool:
        if self.first is None or self.first_thumb is None or self.first.shape != plane.shape:
            return False
        # cheap way out: what moves shows in the thumbnail
        coarse = cv2.absdiff(thumb, self.first_thumb)
        if float(coarse.max()) > 2 * self.config.held_window:
            return False
        difference = cast(Array, cv2.absdiff(_deep(plane), _deep(self.first)))
        code = 1 << (spec.bits - 8)  # codes to one of 8 bits
        if float(difference.mean()) > self.config.held_mean * code:
            return False
        window = (_HELD_WINDOW_PX, _HELD_WINDOW_PX)
        means = cv2.blur(difference, window, borderType=cv2.BORDER_REPLICATE)
        return float(means.max()) <= self.config.held_window * code


def _deep(plane: Array) -> Array:
    return plane.astype(np.float32) if plane.dtype == np.int32 else plane
