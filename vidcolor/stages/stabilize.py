"""Holds color still along motion.

A network that sees one frame at a time changes its mind from frame to frame. Here the a*b* of
each pixel is averaged along its path through the shot, from both sides in time, for as long as
its lightness says that it is the same thing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch

from vidcolor.errors import ConfigError
from vidcolor.ops.flow import (
    FlowPreset,
    agreement,
    as_gray,
    dis_flow,
    grain,
    pixel_planes,
    places_back,
)
from vidcolor.records import Chroma, Colored
from vidcolor.stages.stabilize_mean import (
    Floats,
    Frame,
    Mean,
    add,
    carry,
    distance,
    join,
    own_weight,
    remap,
)

__all__ = ["Hold", "StabilizeConfig", "Stabilizer"]


_PRESETS = ("ultrafast", "fast", "balanced", "medium")
_SURE_POWER = 8  # color that is nearly sure may be as restless as a guess, and is steadied


@dataclass(frozen=True, slots=True)
class StabilizeConfig:
    """How firmly color is held.

    Attributes:
        enabled: Hold color still; off, held frames still take the color of what they repeat.
        tau: Change of lightness, in L*, that makes two pixels half strangers.
        noise_factor: `tau` is at least so many standard deviations of the grain.
        tau_most: And at most this, in L*.
        n_most: Samples that a mean counts as at most; more is steadier and slower to learn.
        outlier: Distance in a*b* from its neighbors in time that halves a sample's weight; 0 counts
            every sample alike.
        pulse: Change of exposure between frames, in L*, that is no change of the picture.
        stretch_frames: A shot is divided into stretches of so many frames, from its start.
        lookahead_frames: Frames after a stretch that are looked at for it.
        window_frames: Frames finished at a time, in whole stretches; it takes memory and changes
            no pixel.
        sure_weight: A person's color counts as so many samples.
        flow: Effort for motion: `ultrafast`, `fast`, `balanced` or `medium`,
            see `ops.flow.dis_flow`.
    """

    enabled: bool = True
    tau: float = 3.0
    noise_factor: float = 3.0
    tau_most: float = 9.0
    n_most: int = 10
    outlier: float = 12.0
    pulse: float = 4.0
    stretch_frames: int = 24
    lookahead_frames: int = 16
    window_frames: int = 24
    sure_weight: float = 4.0
    flow: str = "balanced"

    def __post_init__(self) -> None:
        if not 0 < self.tau <= self.tau_most <= 100:
            raise ConfigError(
                f"0 < tau <= tau_most <= 100 is needed, not {self.tau} and {self.tau_most}"
            )
        for name in ("noise_factor", "outlier", "pulse"):
            if not 0 <= getattr(self, name) <= 100:
                raise ConfigError(f"{name} must be 0 to 100, not {getattr(self, name)}")
        if self.n_most < 1:
            raise ConfigError(f"n_most must be at least 1, not {self.n_most}")
        for name, least in (("stretch_frames", 1), ("window_frames", 1), ("lookahead_frames", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if not 1 <= self.sure_weight <= 100:
            raise ConfigError(f"sure_weight must be 1 to 100, not {self.sure_weight}")
        if self.flow not in _PRESETS:
            raise ConfigError(f"flow must be one of {', '.join(_PRESETS)}, not {self.flow!r}")


class Hold:
    """Gives held frames the color of the frame that they repeat: the null object.

    Memory: the color of one frame. Lookahead: none. At a cut: dropped.
    """

    def __call__(self, colored: Iterable[Colored], /) -> Iterator[Colored]:
        """The same frames, held ones with the color before them, bit for bit."""
        shot = -1
        last: Chroma | None = None
        for batch in colored:
            if batch.frames.shot != shot:
                shot, last = batch.frames.shot, None
            held = batch.frames.is_held().tolist()
            chroma = batch.chroma
            if any(held):
                ab, lightness = chroma.ab.clone(), chroma.lightness.clone()
                for i, is_held in enumerate(held):
                    if is_held and i > 0:
                        ab[i], lightness[i] = ab[i - 1], lightness[i - 1]
                    elif is_held and last is not None:
                        ab[i], lightness[i] = last.ab[0], last.lightness[0]
                chroma = replace(chroma, ab=ab, lightness=lightness)
            last = Chroma(chroma.ab[-1:].clone(), chroma.lightness[-1:].clone())
            yield replace(batch, chroma=chroma)


class Stabilizer:
    """Two-way, motion-compensated, count-limited running mean of a*b* with a soft luma gate.

    With W the warp along motion, each direction carries a mean y and a count n:
    `c = exp(-d^2 / (2 tau^2))`, `d = blur(|L_t - W(L)|)`, `n_t = min(n_most, 1 + c W(n))`,
    `y_t = x_t / n_t + (1 - 1 / n_t) W(y)`; both are joined by their counts, the frame's own sample
    counted once. Where motion or light is not understood the gate closes, the count falls to 1
    and the frame stands alone, so that what really changes color with its lightness is let
    through. A second round weighs each sample by `1 / (1 + |x - y|^2 / outlier^2)`, so that a
    frame in which an object pales does not drag the others along; and where past and future
    disagree, a frame takes the side that it resembles.

    The backward mean of a frame begins at a place that is part of the filter: `lookahead_frames`
    after the end of its stretch, and stretches are counted from the start of the shot. So neither
    batches nor windows change a bit.

    `Chroma.flow` is used where it is given. A sample weighs `1 + sure * (sure_weight - 1)`, and
    color that is wholly sure stays as it came.

    Memory: `window_frames`, rounded up to stretches, `lookahead_frames` and a batch. Lookahead:
    `lookahead_frames`; its forgotten tail weighs `(1 - 1 / n_most) ** lookahead_frames`. At a cut
    everything is dropped. Held frames are copies, bit for bit, and cost nothing.

    Reference: Lai et al., Learning blind video temporal consistency, ECCV 2018 (warping as a
    measure of it); Kroeger et al., Fast optical flow using dense inverse search, ECCV 2016.

    Args:
        config: How firmly.
    """

    def __init__(self, config: StabilizeConfig) -> None:
        self.config = config

    def __call__(self, colored: Iterable[Colored], /) -> Iterator[Colored]:
        """The same batches with steady color.

        Raises:
            ValueError: If the color of a shot changes its size.
        """
        waiting: deque[Colored] = deque()
        done: deque[_Color] = deque()
        shot: _Shot | None = None
        number = -1
        for batch in colored:
            if shot is None or batch.frames.shot != number:
                if shot is not None:
                    done.extend(shot.rest())
                    yield from _ready(waiting, done)
                shot, number = _Shot(self.config), batch.frames.shot
            waiting.append(batch)
            held = batch.frames.is_held().tolist()
            for i, is_held in enumerate(held):
                place = batch.frames.start + i
                if is_held and shot.begun:
                    done.extend(shot.repeat(place))
                else:
                    done.extend(shot.push(place, batch.chroma[i : i + 1]))
                yield from _ready(waiting, done)
        if shot is not None:
            done.extend(shot.rest())
        yield from _ready(waiting, done)
        assert not waiting, "every frame has its color"


@dataclass(frozen=True, slots=True)
class _Color:
    """Finished color of a frame: (2, h, w) a*b* and (h, w) L*."""

    ab: Floats
    lightness: Floats


def _ready(waiting: deque[Colored], done: deque[_Color]) -> Iterator[Colored]:
    """Batches all of whose frames are done."""
    while waiting and len(done) >= len(waiting[0].frames):
        batch = waiting.popleft()
        colors = [done.popleft() for _ in range(len(batch.frames))]
        ab = torch.from_numpy(np.stack([color.ab for color in colors]))
        lightness = torch.from_numpy(np.stack([color.lightness for color in colors])[:, None])
        yield replace(batch, chroma=replace(batch.chroma, ab=ab, lightness=lightness))


class _Shot:
    """The state of one shot: an open stretch of frames."""

    def __init__(self, config: StabilizeConfig) -> None:
        self.config = config
        self._single = config.outlier == 0  # the first pass is all; else it only finds outliers
        self._window_frames = -(-config.window_frames // config.stretch_frames)
        self._window_frames *= config.stretch_frames
        self.begun = False
        self.frames: deque[tuple[int, Frame]] = deque()  # by frame number within the shot
        self.places: deque[int] = deque()  # all frames not yet given out, held ones too
        self.last: Frame | None = None  # seen, that is; carries the forward mean
        self.carried: Mean | None = None  # weighted forward mean of the last frame given out
        self.color: _Color | None = None  # last given out

    def push(self, place: int, chroma: Chroma) -> list[_Color]:
        """Take a frame; give what is finished."""
        ab = np.ascontiguousarray(chroma.ab[0].numpy())
        lightness = chroma.lightness[0, 0].numpy()
        alone = Mean(ab, np.ones(lightness.shape, np.float32))
        frame = Frame(ab, lightness, grain(lightness), alone)
        if chroma.sure is not None and bool(chroma.sure.any()):
            frame.sure = chroma.sure[0, 0].numpy()
            frame.worth = 1 + np.float32(self.config.sure_weight - 1) * frame.sure
            alone.count = frame.worth
        if self.last is not None:
            if self.last.lightness.shape != lightness.shape:
                raise ValueError(
                    f"color of a shot changes its size from {self.last.lightness.shape} to "
                    f"{lightness.shape}"
                )
            flow = chroma.flow
            self._link(self.last, frame, None if flow is None else flow[0].numpy())
        self.begun, self.last = True, frame
        self.frames.append((place, frame))
        self.places.append(place)
        return self._window(place)

    def repeat(self, place: int) -> list[_Color]:
        """Take a frame that repeats the one before it."""
        self.places.append(place)
        return self._window(place)

    def rest(self) -> list[_Color]:
        """What is left at the end of the shot."""
        return self._finish(self.places[-1] + 1, ended=True) if self.places else []

    def _link(self, before: Frame, frame: Frame, flow: Floats | None) -> None:
        """Carry the forward mean on, and remember how to come back."""
        config = self.config
        if flow is None:
            here, there = as_gray(before.lightness), as_gray(frame.lightness)
            motion = dis_flow(here, there, cast(FlowPreset, config.flow))
            flow = np.ascontiguousarray(motion.transpose(2, 0, 1))
        before.onward = pixel_planes(*frame.lightness.shape) + flow
        frame.back = places_back(flow, rounds=2)
        noise = max(before.noise, frame.noise)
        tau = min(config.tau_most, max(config.tau, config.noise_factor * noise))
        moved, lightness = carry(before.mean, before.lightness, frame.back, self._single)
        frame.back_trust = agreement(frame.lightness, lightness, tau, config.pulse)
        frame.mean = add(frame, frame.back_trust, moved, frame.worth, config.n_most)
        ahead = remap(frame.lightness, before.onward)
        before.trust = agreement(before.lightness, ahead, tau, config.pulse)

    def _window(self, place: int) -> list[_Color]:
        """Finish a window if `place` is the last frame looked at for it."""
        end = place + 1 - self.config.lookahead_frames
        return self._finish(end) if end > 0 and end % self._window_frames == 0 else []

    def _finish(self, end: int, *, ended: bool = False) -> list[_Color]:
        """Give out all frames before number `end`, stretch by stretch."""
        length, lookahead = self.config.stretch_frames, self.config.lookahead_frames
        colors = []
        while self.places and self.places[0] < end:
            stop = (self.places[0] // length + 1) * length
            known = stop + lookahead
            if ended and end < known:
                stop = end  # all that is left sees the same frames: to the end of the shot
            colors += self._stretch(stop, known)
        return colors

    def _stretch(self, stop: int, known: int) -> list[_Color]:
        """Give out all frames before number `stop`, seeing those before `known`."""
        places = [place for place, _ in self.frames if place < stop]
        frames = [frame for place, frame in self.frames if place < known]
        frames, ahead = frames[: len(places)], frames[len(places) :]
        weights = [frame.worth for frame in frames]
        forward = [frame.mean for frame in frames]
        after = self._after(ahead)
        if not self._single:
            for i, backward in self._backward(frames, weights.copy(), after):
                both = join(frames[i], forward[i], backward, weights[i])
                weights[i] = self._weight(frames[i], both)
            forward = self._forward(frames, weights)
        steady: dict[int, _Color] = {}
        for i, backward in self._backward(frames, weights, after):
            color = self._both(frames[i], forward[i], backward, weights[i])
            steady[places[i]] = _Color(color, frames[i].lightness)
        for _ in places:
            self.frames.popleft()
        colors = []
        while self.places and self.places[0] < stop:
            place = self.places.popleft()
            self.color = steady.get(place, self.color)
            assert self.color is not None, "a shot does not begin with a held frame"
            colors.append(self.color)
        return colors

    def _both(self, frame: Frame, forward: Mean, backward: Mean, weight: Floats | None) -> Floats:
        """(2, h, w) finished a*b* of a frame."""
        if not self._single:
            forward, backward = self._sides(frame, weight, forward, backward)
        ab = join(frame, forward, backward, weight).ab
        if frame.sure is not None:
            ab += frame.sure**_SURE_POWER * (frame.ab - ab)
        return ab

    def _after(self, ahead: list[Frame]) -> Mean | None:
        """Backward mean of the frames behind a stretch.

        They are walked once: what is strange among them is told from the frames before it alone.
        """
        weights = [f.worth if self._single else self._weight(f, f.mean) for f in ahead]
        mean = None
        for _, backward in self._backward(ahead, weights, None):
            mean = backward
        return mean

    def _backward(
        self, frames: list[Frame], weights: list[Floats | None], mean: Mean | None
    ) -> Iterator[tuple[int, Mean]]:
        """Means from `mean`, that of the frame behind them, back to each of some frames.

        The last comes first, with its number. One at a time: a list of them would have left the
        processor's cache before it is used.
        """
        for i in range(len(frames) - 1, -1, -1):
            frame, weight = frames[i], weights[i]
            if mean is None or frame.onward is None or frame.trust is None:
                mean = Mean(frame.ab, own_weight(frame, weight))
            else:
                cubic = self._single or weight is not frame.worth
                moved, _ = carry(mean, None, frame.onward, cubic)
                mean = add(frame, frame.trust, moved, weight, self.config.n_most)
            yield i, mean

    def _forward(self, frames: list[Frame], weights: list[Floats | None]) -> list[Mean]:
        """Weighted means from the beginning of the shot to each of the frames given out."""
        means = []
        for frame, weight in zip(frames, weights, strict=False):
            if self.carried is None or frame.back is None or frame.back_trust is None:
                self.carried = Mean(frame.ab, own_weight(frame, weight))
            else:
                moved, _ = carry(self.carried, None, frame.back, cubic=True)
                self.carried = add(frame, frame.back_trust, moved, weight, self.config.n_most)
            means.append(self.carried)
        return means

    def _sides(
        self, frame: Frame, weight: Floats | None, forward: Mean, backward: Mean
    ) -> tuple[Mean, Mean]:
        """Where past and future disagree, the one that the frame resembles counts.

        So that color which changes for good does so at once and not over two windows of a mean.
        """
        scale = np.float32(1 / self.config.outlier**2)
        apart = distance(forward.ab, backward.ab)
        apart *= scale
        # never fewer than the frame's own sample, which is in both
        least: Floats | np.float32 = np.float32(1)
        if frame.sure is not None and weight is not None:
            least = np.maximum(weight, least)
        means = []
        for mean in (forward, backward):
            strange = distance(mean.ab, frame.ab)
            strange *= scale
            strange *= apart
            strange += np.float32(1)
            np.divide(mean.count, strange, out=strange)
            means.append(Mean(mean.ab, np.maximum(strange, least, out=strange)))
        return means[0], means[1]

    def _weight(self, frame: Frame, mean: Mean) -> Floats:
        """(h, w) in 0..1: how much a sample counts that is so far from its neighbors in time."""
        away = distance(mean.ab, frame.ab)
        away *= np.float32(1 / self.config.outlier**2)
        away += np.float32(1)
        np.reciprocal(away, out=away)
        if frame.sure is not None:
            away += frame.sure * (np.float32(self.config.sure_weight) - away)
        return away
