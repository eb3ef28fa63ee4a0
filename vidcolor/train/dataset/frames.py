"""The frames of a film that are worth keeping, shot by shot, in one decoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.io.color_frames import ColorReader
from vidcolor.ops.boxes import Upright
from vidcolor.ops.letterbox import BarFinder, Bars, Borders
from vidcolor.records import Detected, VideoInfo
from vidcolor.train.dataset.config import BuildConfig
from vidcolor.train.dataset.crop import Boxes, Crop
from vidcolor.train.dataset.look import lab_thumb, spread, verdict

__all__ = ["Frame", "FrameChooser", "upright_area", "upright_boxes"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_POOL = 48
"""Candidates of a shot that are remembered; of longer ones every second is let go, again and again.
"""

_ROOM = 4 / 3
"""Frames that may have bars are kept larger by this until the bars are known for certain."""


@dataclass(slots=True, eq=False)
class Frame:
    """A frame that may be kept.

    Attributes:
        rgb: (h, w, 3) uint8, upright, square pixels, bars not yet cut off.
        index: Number in the film.
        shot: Number of the shot.
        pts: Its time in units of the film's time base.
        time: The same in seconds.
        picture: Number in the shot of the picture that it shows: held frames share one.
        boxes: Objects in upright pixels of the film; None if nobody looked.
        thumb: For `spread`.
        borders: What its shot shows of bars.
        later: A later frame of the shot, like `rgb`.
    """

    rgb: Bytes
    index: int
    shot: int
    pts: int
    time: float
    picture: int
    boxes: Boxes | None
    thumb: Floats
    borders: Borders
    later: Bytes | None = None


class FrameChooser:
    """Chooses among the frames of a film as they come by.

    Memory: the candidates of the running shot (at most 48, small), and what the film has shown of
    bars so far. At a cut the candidates are decided on.

    Args:
        reader: The film, which keeps the colors of frames that are near.
        config: What is wanted.
        counts: Receives what became of the frames.
    """

    def __init__(self, reader: ColorReader, config: BuildConfig, counts: Counter[str]) -> None:
        self._reader = reader
        self._config = config
        self._counts = counts
        self.bars = BarFinder(reader.info.size)

    def __call__(self, seen: Iterable[Detected]) -> Iterator[Frame]:
        """The frames to keep, in order; the bars of the film are known in `bars` at the end."""
        shot: _Shot | None = None
        for detected in seen:
            frames = detected.frames
            if shot is None or shot.number != frames.shot:
                if shot is not None:
                    yield from shot.finish()
                shot = _Shot(self._reader, self._config, self._counts, self.bars, frames.shot)
            shot.add(detected)
            self._reader.forget(frames.pts[-1])
        if shot is not None:
            yield from shot.finish()


class _Shot:
    """The candidates of one shot."""

    def __init__(
        self,
        reader: ColorReader,
        config: BuildConfig,
        counts: Counter[str],
        film: BarFinder,
        number: int,
    ) -> None:
        self.number = number
        self._reader = reader
        self._config = config
        self._counts = counts
        self._film = film
        self._usual = film.bars()
        self._bars = BarFinder(reader.info.size)
        self._every = frames_between(config, reader.info)
        self._step = self._every
        self._picture = -1  # number of the picture that is shown
        self._offered = -1  # and of the last that was a candidate
        self._pool: list[Frame] = []
        self._alone: list[Frame] = []  # those that wait for a later frame

    def add(self, detected: Detected) -> None:
        """Look at a batch."""
        frames = detected.frames
        looked, held = detected.has_looked().tolist(), frames.is_held().tolist()
        self._counts["frames"] += len(frames)
        for i, pts in enumerate(frames.pts):
            if not held[i] or self._picture < 0:
                self._picture += 1
            time = float(pts * frames.info.time_base)
            self._give_later(pts, time)
            if (frames.start + i) % self._every:
                continue
            self._counts["looked"] += 1
            if self._picture == self._offered:
                self._counts["held"] += 1
                continue
            self._offered = self._picture
            if (frames.start + i) % self._step:
                self._counts["similar"] += 1
                continue
            boxes = Boxes.of_frame(detected.detections, i) if looked[i] else None
            self._offer(detected, i, time, boxes)

    def _offer(self, detected: Detected, i: int, time: float, boxes: Boxes | None) -> None:
        frames, config = detected.frames, self._config
        if config.bars:
            self._bars.add(frames.luma[i, 0].numpy(), frames.info.color)
        borders = self._bars.borders()
        bars = borders.bars(self._usual)  # as known so far; later frames may show other bars
        upright = Upright(frames.info).size
        x0, y0, x1, y1 = upright_area(bars, frames.info, upright)
        room = 1.0 if borders.full or not config.bars else _ROOM
        scale = min(1.0, room * config.short_side / max(1.0, min(x1 - x0, y1 - y0)))
        size = (max(1, round(upright[0] * scale)), max(1, round(upright[1] * scale)))
        rgb = self._reader.color(frames.pts[i], size)
        crop = Crop.of(upright_area(bars, frames.info, size), size, config.short_side)
        part = crop.part(rgb)
        least = config.least_chroma, config.least_untoned
        why = "small" if min(crop.size) < config.least_side else verdict(part, *least)
        if why is not None:
            self._counts[why] += 1
            return
        frame = Frame(
            rgb=rgb,
            index=frames.index + i,
            shot=frames.shot,
            pts=frames.pts[i],
            time=time,
            picture=self._picture,
            boxes=None if boxes is None else upright_boxes(boxes, frames.info),
            thumb=lab_thumb(part),
            borders=borders,
        )
        self._pool.append(frame)
        if config.pairs:
            self._alone.append(frame)
        if len(self._pool) > _POOL:
            self._counts["similar"] += len(self._pool[1::2])
            self._pool = self._pool[::2]
            self._step *= 2

    def _give_later(self, pts: int, time: float) -> None:
        """Give a frame to the candidates for which it is late enough and shows another picture."""
        waiting = []
        for frame in self._alone:
            wait = time - frame.time
            if wait < self._config.pair_s * 0.999:
                waiting.append(frame)
            elif wait <= self._config.pair_s * 2.001:
                if self._picture == frame.picture:
                    waiting.append(frame)
                else:
                    frame.later = self._reader.color(pts, cast(Any, frame.rgb.shape[:2]))
        self._alone = waiting

    def finish(self) -> list[Frame]:
        """The chosen ones."""
        config = self._config
        chosen = spread([f.thumb for f in self._pool], config.per_shot, config.least_difference)
        self._counts["similar"] += len(self._pool) - len(chosen)
        self._film.merge(self._bars)
        borders = self._bars.borders()
        for number in chosen:
            self._pool[number].borders = borders
        return [self._pool[number] for number in chosen]


def frames_between(config: BuildConfig, info: VideoInfo) -> int:
    """Frames from one that a shot offers to the next."""
    return max(1, round(config.every_s * float(info.rate)))


def upright_boxes(boxes: Boxes, info: VideoInfo) -> Boxes:
    """Boxes in coded pixels, as they lie in the upright picture with square pixels."""
    turned = Upright(info).from_frame(torch.from_numpy(boxes.boxes))
    return Boxes(turned.numpy(), boxes.scores, boxes.labels)


def upright_area(
    bars: Bars, info: VideoInfo, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The picture between bars, in an upright picture of `size`."""
    area = torch.tensor([bars.area(info.size)], dtype=torch.float64)
    whole = Upright(info)
    x0, y0, x1, y1 = whole.from_frame(area)[0].tolist()
    x, y = size[1] / whole.size[1], size[0] / whole.size[0]
    return x0 * x, y0 * y, x1 * x, y1 * y
