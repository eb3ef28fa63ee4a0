"""At which frames the network looks, and how the others get their color.

Neighboring frames show the same things in other places. Where motion can be followed, the network
needs to be asked only now and then: a keyframe. Between two of them color comes along motion
from both, and where neither explains what is seen, there is another keyframe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidcolor.errors import ConfigError
from vidcolor.ops.flow import FlowPreset
from vidcolor.records import Chroma, Colored, Detections, FrameBatch, Tracked, Tracks
from vidcolor.stages.cadence_carry import Gate, Look, Path, blend, find_ways

__all__ = ["CadenceConfig", "EveryFrame", "Keyframes", "Predicts"]

Floats = npt.NDArray[np.float32]

_MOST_SPAN = 64


@dataclass(frozen=True, slots=True)
class CadenceConfig:
    """How often the network looks.

    Attributes:
        cadence: "every" frame; a number: at most so many frames apart; "auto": as many as cost
            no quality.
        auto_frames: What "auto" is at most.
        most_unknown: Part of a frame that its keyframes may leave unexplained, 0 to 1; above it
            the frame becomes one itself.
        trusted: Trust, 0 to 1, from which a place counts as explained.
        tau: Change of lightness, in L*, that makes two places half strangers.
        noise_factor: `tau` is at least so many standard deviations of the grain.
        tau_most: And at most this, in L*.
        pulse: Change of exposure, in L*, that is no change of the picture.
    """

    cadence: str = "auto"
    auto_frames: int = 8
    most_unknown: float = 0.08
    trusted: float = 0.5
    tau: float = 3.0
    noise_factor: float = 3.0
    tau_most: float = 9.0
    pulse: float = 4.0

    def __post_init__(self) -> None:
        name = self.cadence
        known = name in ("auto", "every")
        if not known and not (name.isascii() and name.isdigit() and 1 <= int(name) <= _MOST_SPAN):
            raise ConfigError(
                f"cadence must be auto, every or a number of frames, 1 to {_MOST_SPAN}, not "
                f"{name!r}"
            )
        if not 1 <= self.auto_frames <= _MOST_SPAN:
            raise ConfigError(f"auto_frames must be 1 to {_MOST_SPAN}, not {self.auto_frames}")
        for key in ("most_unknown", "trusted"):
            if not 0 <= getattr(self, key) <= 1:
                raise ConfigError(f"{key} must be 0 to 1, not {getattr(self, key)}")
        if self.trusted == 0:
            raise ConfigError("trusted must be above 0: at 0 everything counts as explained")
        if not 0 < self.tau <= self.tau_most <= 100:
            raise ConfigError(
                f"0 < tau <= tau_most <= 100 is needed, not {self.tau} and {self.tau_most}"
            )
        for key in ("noise_factor", "pulse"):
            if not 0 <= getattr(self, key) <= 100:
                raise ConfigError(f"{key} must be 0 to 100, not {getattr(self, key)}")

    @property
    def span(self) -> int:
        """Frames from a keyframe to the next, at most."""
        if self.cadence == "auto":
            return self.auto_frames
        return 1 if self.cadence == "every" else int(self.cadence)


class Predicts(Protocol):
    """A network that colors frames one by one."""

    def __call__(self, tracked: Tracked, /) -> Colored:
        """Color frames, which need not be neighbors."""
        ...

    def lightness(self, frames: FrameBatch, /) -> Tensor:
        """`Chroma.lightness` of frames, without predicting their color."""
        ...


class EveryFrame:
    """The network looks at every frame. Memory: none. Lookahead: none.

    Args:
        colorize: Colors a batch.
    """

    def __init__(self, colorize: Callable[[Tracked], Colored]) -> None:
        self.colorize = colorize

    def __call__(self, tracked: Iterable[Tracked], /) -> Iterator[Colored]:
        """Frames with the network's color."""
        return map(self.colorize, tracked)


class Keyframes:
    """The network looks at keyframes; color travels from both sides to the frames between.

    Keyframes are the first frame of a shot, frames in which a track is first seen, one at least
    every `span` frames counted from the keyframe before, frames that are asked for, and, in the
    middle of what two keyframes leave unexplained, another one, as long as there is such a
    place. A place is explained where lightness, moved along the flow of all pairs of frames
    between, is that of the keyframe: not where something was hidden, came into the picture, or
    changed its light. After the last keyframe of a shot color is carried from one side.

    Memory: the frames since the last keyframe, at most `span`, and a batch. Lookahead: `span`.
    Cut: dropped; the first frame of a shot is a keyframe. Held frames are copies of what they
    repeat, bit for bit. The flow between frames is handed on in `Chroma.flow`. Where `span` is 1
    every frame is given to the network as it comes, and no flow is computed.

    Reference: our own; the keyframes of Liu et al., Temporally consistent video colorization,
    CVM 2024, are the nearest thing, at fixed distances and with features instead of color.

    Args:
        colorize: The network.
        config: How often it looks.
        flow: Effort for motion; the stabilizer's, because it uses this flow too.
        asked: pts of frames at which the network has to look.
    """

    def __init__(
        self,
        colorize: Predicts,
        config: CadenceConfig,
        flow: FlowPreset = "balanced",
        asked: Collection[int] = frozenset(),
    ) -> None:
        self.colorize = colorize
        self.config = config
        self.flow = flow
        self.asked = asked

    def __call__(self, tracked: Iterable[Tracked], /) -> Iterator[Colored]:
        """The same batches with color."""
        if self.config.span == 1:
            yield from map(self.colorize, tracked)
            return
        shot: _Shot | None = None
        number = -1
        for batch in tracked:
            if shot is None or batch.frames.shot != number:
                if shot is not None:
                    yield from shot.rest()
                shot, number = _Shot(self), batch.frames.shot
            yield from shot.take(batch)
        if shot is not None:
            yield from shot.rest()


@dataclass(slots=True)
class _Batch:
    """A batch on its way.

    Attributes:
        tracked: What came in.
        lightness: (N, 1, h, w).
        flow: (N, 2, h, w), filled as frames come.
        ab: (N, 2, h, w), filled as frames are done.
        done: How many are.
    """

    tracked: Tracked
    lightness: Tensor
    flow: Tensor
    ab: Tensor
    done: int = 0

    def colored(self) -> Colored:
        chroma = Chroma(self.ab, self.lightness, self.flow)
        return Colored(self.tracked.frames, self.tracked.tracks, chroma)


@dataclass(slots=True)
class _Frame:
    """A frame on its way.

    Attributes:
        batch: Its batch.
        number: Of the frame in it.
        place: Number in the shot.
        look: None: it repeats the frame before.
        ab: (2, h, w), of a keyframe that the network has seen.
        pixels: (h, w, 2) of the same.
    """

    batch: _Batch
    number: int
    place: int
    look: Look | None
    ab: Tensor | None = None
    pixels: Floats | None = None


@dataclass(frozen=True, slots=True)
class _Task:
    """How a frame gets its color: from keyframes; without sides its own, or that before it."""

    frame: _Frame
    sides: tuple[tuple[_Frame, Path], ...] = ()


class _Shot:
    """The state of one shot."""

    def __init__(self, stage: Keyframes) -> None:
        self.stage = stage
        config = stage.config
        self.gate = Gate(config.tau, config.noise_factor, config.tau_most, config.pulse)
        self.waiting: deque[_Batch] = deque()
        self.open: list[_Frame] = []  # the last keyframe and what came after it
        self.keys: list[_Frame] = []  # chosen, not yet seen by the network
        self.tasks: list[_Task] = []  # decided, in order
        self.look: Look | None = None  # of the last frame that repeats none
        self.last: Tensor | None = None  # the color given last
        self.known: set[int] = set()  # tracks seen

    def take(self, tracked: Tracked) -> Iterator[Colored]:
        """Take a batch; give what is finished."""
        frames = tracked.frames
        lightness = self.stage.colorize.lightness(frames)
        pair = torch.zeros(2, len(frames), 2, *lightness.shape[2:])
        batch = _Batch(tracked, lightness, pair[0], pair[1])
        self.waiting.append(batch)
        held = frames.is_held().tolist()
        for number, is_held in enumerate(held):
            self._push(batch, number, is_held and self.look is not None)
        self._paint()
        yield from self._ready()

    def rest(self) -> Iterator[Colored]:
        """What is left at the end of the shot."""
        if len(self.open) > 1:
            self._decide(self.open, ends=False)
        self._paint()
        yield from self._ready()
        assert not self.waiting, "every frame has its color"

    def _push(self, batch: _Batch, number: int, held: bool) -> None:
        frame = _Frame(batch, number, batch.tracked.frames.start + number, None)
        if held:
            if len(self.open) == 1:
                self.tasks.append(_Task(frame))
                return
            self.open.append(frame)
            if frame.place - self.open[0].place >= self.stage.config.span:
                self._close()
            return
        lightness = batch.lightness[number, 0].numpy()
        if self.look is not None and self.look.gray.shape != lightness.shape:
            raise ValueError(
                f"lightness of a shot changes its size from {self.look.gray.shape} to "
                f"{lightness.shape}"
            )
        frame.look, flow = Look.at(lightness, self.look, self.stage.flow)
        self.look = frame.look
        if flow is not None:
            cv2.split(flow, list(batch.flow[number].numpy()))
        self.open.append(frame)
        is_new = self._is_new(frame)
        if len(self.open) == 1:
            self._add_key(frame)
        elif is_new or frame.place - self.open[0].place >= self.stage.config.span:
            self._close()

    def _is_new(self, frame: _Frame) -> bool:
        """Whether a track is first seen here, or somebody asked for the frame."""
        tracks = frame.batch.tracked.tracks
        ids = set(tracks.ids[tracks.detections.frame == frame.number].tolist())
        born = not ids <= self.known
        self.known |= ids
        return born or frame.batch.tracked.frames.pts[frame.number] in self.stage.asked

    def _close(self) -> None:
        """The last open frame that repeats none becomes a keyframe."""
        end = max(i for i, frame in enumerate(self.open) if frame.look is not None)
        self._decide(self.open[: end + 1], ends=True)
        self.tasks += [_Task(frame) for frame in self.open[end + 1 :]]
        self.open = [self.open[end]]

    def _decide(self, frames: list[_Frame], ends: bool) -> None:
        """How all frames after the first get their color; the last is a keyframe if it `ends`."""
        fresh = [frame for frame in frames if frame.look is not None]
        looks = [frame.look for frame in fresh if frame.look is not None]
        config = self.stage.config
        ways = iter(find_ways(looks, ends, self.gate, config.trusted, config.most_unknown))
        next(ways)  # the first was decided before
        for frame in frames[1:]:
            sides = () if frame.look is None else next(ways)
            if frame.look is not None and not sides:
                self._add_key(frame)
            else:
                self.tasks.append(_Task(frame, tuple((fresh[key], path) for key, path in sides)))

    def _add_key(self, frame: _Frame) -> None:
        self.keys.append(frame)
        self.tasks.append(_Task(frame))

    def _paint(self) -> None:
        """Color all frames about which it is decided."""
        if self.keys:
            picked = _gather([(key.batch.tracked, key.number) for key in self.keys])
            colors = self.stage.colorize(picked).chroma.ab
            for key, ab in zip(self.keys, colors, strict=True):
                key.ab, key.pixels = ab, ab.permute(1, 2, 0).numpy()
            self.keys = []
        for task in self.tasks:
            frame = task.frame
            if task.sides:
                self.last = self._carried(task)
            elif frame.ab is not None:
                self.last = frame.ab
            assert self.last is not None, "a shot begins with a keyframe"
            frame.batch.ab[frame.number] = self.last
            frame.batch.done += 1
        self.tasks = []

    def _carried(self, task: _Task) -> Tensor:
        """(2, h, w) a*b* of a frame between keyframes."""
        sides = []
        nearness = []
        for key, path in task.sides:
            assert key.pixels is not None, "keyframes are colored first"
            sides.append((key.pixels, path))
            nearness.append(1 / abs(task.frame.place - key.place))
        return torch.from_numpy(blend(sides, nearness, self.stage.config.trusted))

    def _ready(self) -> Iterator[Colored]:
        """Batches all of whose frames are done."""
        while self.waiting and self.waiting[0].done == len(self.waiting[0].tracked.frames):
            yield self.waiting.popleft().colored()


def _gather(picked: Sequence[tuple[Tracked, int]]) -> Tracked:
    """Single frames of a shot as one batch, with their tracks."""
    first, number = picked[0]
    frames = replace(
        first.frames[number : number + 1],
        luma=torch.cat([item.frames.luma[i : i + 1] for item, i in picked]),
        pts=tuple(item.frames.pts[i] for item, i in picked),
        held=None,
    )
    parts, ids, weights = [], [], []
    for place, (item, i) in enumerate(picked):
        tracks = item.tracks[item.tracks.detections.frame == i]
        if len(tracks):
            there = torch.full_like(tracks.ids, place)
            parts.append(replace(tracks.detections, frame=there))
            ids.append(tracks.ids)
            weights.append(tracks.weight)
    whole = _wholes(picked)
    if not parts:
        return Tracked(frames, Tracks.empty(first.tracks.detections.names), whole)
    tracks = Tracks(Detections.join(parts), torch.cat(ids), torch.cat(weights))
    return Tracked(frames, tracks, whole)


def _wholes(picked: Sequence[tuple[Tracked, int]]) -> Tensor | None:
    """`Tracked.whole` of single frames; what is one for all stays one."""
    given = [item.whole for item, _ in picked if item.whole is not None]
    if not given:
        return None
    if all(one is given[0] and len(one) == 1 for one in given):
        return given[0]
    rows = [i if len(one) > 1 else 0 for one, (_, i) in zip(given, picked, strict=True)]
    return torch.cat([one[row : row + 1] for one, row in zip(given, rows, strict=True)])
