"""The solve of hints: from what a person said here and there to layers for whole shots.

It is a pass over hinted shots before the film is colored, so the future is known. Small planes of a
shot lie in a file meanwhile; memory holds a few frames, however long the shot.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.errors import GuidanceError
from vidcolor.guidance.hints.config import HintsConfig
from vidcolor.guidance.hints.entries import Mark, PlacedHints
from vidcolor.guidance.hints.frame import HintedFrame, solve_frame
from vidcolor.guidance.hints.guide import LEAST_NOISE, Box, Link, denoise, link, to_cells
from vidcolor.guidance.hints.marks import FrameMarks, draw
from vidcolor.guidance.hints.pins import owned, pin_of
from vidcolor.guidance.hints.reach import Terrain
from vidcolor.guidance.hints.travel import Wave, join, lay, travel
from vidcolor.guidance.layers import LayerStore
from vidcolor.guidance.template import Pin
from vidcolor.guidance.tracks.file import whole_pin
from vidcolor.ops.flow import FlowPreset, grain
from vidcolor.ops.resize import from_network, luma_to_network, network_size
from vidcolor.records import TRACKS_OF_A_SHOT, Layer, Tracked, VideoInfo

__all__ = ["solve_hints"]

Floats = npt.NDArray[np.float32]


def solve_hints(
    shots: Iterable[Tracked], hints: PlacedHints, config: HintsConfig, store: LayerStore
) -> tuple[Pin, ...]:
    """Find the color that hints give to every frame of their shots.

    A hint colors, in its own frame, what luma says is the same thing; from there its color goes
    through the shot along motion, forward and backward. At the cells that a person hit weight is
    1 and the color exact. What is hidden and comes back, and what flow cannot follow, is found by
    the box of the track that the hint belongs to.

    Memory: a few frames; per frame of a shot some planes of the grid in a temporary file.
    The result depends on neither batch size nor on other shots.

    Args:
        shots: Frames and tracks of whole shots; shots without hints cost only their reading.
        hints: The hints.
        config: How they spread.
        store: Gets a layer for every frame that they reach.

    Returns:
        Colors of the objects that hints belong to, for other shots of theirs.

    Raises:
        GuidanceError: If a hint names a track that is not in its frame, or a picture has nothing
            painted on it.
    """
    pins: list[Pin] = []
    shot: _Shot | None = None
    for tracked in shots:
        frames = tracked.frames
        if shot is None or shot.number != frames.shot:
            if shot is not None:
                pins += shot.finish(store)
            shot = _Shot(frames.shot, frames.info, hints, config)
        shot.take(tracked)
    if shot is not None:
        pins += shot.finish(store)
    return tuple(pins)


class _Planes:
    """Planes of frames in a file, by number."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self._shape = shape
        self._bytes = 2 * int(np.prod(shape))

    def put(self, number: int, planes: Floats) -> None:
        self._file.seek(number * self._bytes)
        self._file.write(planes.astype(np.float16).tobytes())

    def get(self, number: int) -> Floats:
        self._file.seek(number * self._bytes)
        data = np.frombuffer(self._file.read(self._bytes), np.float16)
        return data.reshape(self._shape).astype(np.float32)

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class _Seen:
    """A frame that is no repetition: what is kept of it in memory.

    Attributes:
        pts: Its own, and those of the frames that repeat it.
        noise: Deviation of its grain.
        boxes: In frame pixels, by track.
    """

    pts: list[int]
    noise: float
    boxes: dict[int, Box]
    marks: list[Mark] = field(default_factory=list)


class _Shot:
    """One shot, collected and then solved."""

    def __init__(
        self, number: int, info: VideoInfo, hints: PlacedHints, config: HintsConfig
    ) -> None:
        self.number = number
        self.info = info
        self.hints = hints
        self.config = config
        self.upright = network_size(info, config.short_side)
        turned = info.rotation in (90, 270)
        self.size = (self.upright[1], self.upright[0]) if turned else self.upright
        self.seen: list[_Seen] = []
        self.guides = _Planes(self.size)
        self.bound: dict[int, int] = {}  # objects with hints of their own, numbered from 1
        self.owner: dict[int, Floats] = {}
        self.base: Floats | None = None

    def take(self, tracked: Tracked) -> None:
        """Keep what is needed of a batch."""
        frames, boxes = tracked.frames, _boxes(tracked)
        held = frames.is_held().tolist()
        fresh = [i for i, is_held in enumerate(held) if not (is_held and (i or self.seen))]
        planes: dict[int, Floats] = {}
        for i in fresh:
            small = from_network(luma_to_network(frames[i : i + 1], self.upright), frames.info)
            planes[i] = small[0, 0].numpy()
        for i, pts in enumerate(frames.pts):
            if i in planes:
                noise = max(LEAST_NOISE, grain(planes[i]))
                self.guides.put(len(self.seen), denoise(planes[i], noise))
                self.seen.append(_Seen([], noise, boxes[i]))
            seen = self.seen[-1]
            seen.pts.append(pts)
            seen.marks += self.hints.frames.get(pts, ())

    def finish(self, store: LayerStore) -> list[Pin]:
        """Solve, hand the layers over, and forget."""
        try:
            pins = self._pin_objects()
            if any(seen.marks for seen in self.seen):
                pins += self._solve(store)
            return pins
        finally:
            self.guides.close()

    def _pin_objects(self) -> list[Pin]:
        """Hints on whole objects of this shot, for the stage that remembers objects."""
        hints = self.hints.tracks.items()
        mine = {n: hint for n, hint in hints if n // TRACKS_OF_A_SHOT == self.number}
        there = set().union(*(seen.boxes for seen in self.seen))
        for track, (where, _) in mine.items():
            if track not in there:
                known = ", ".join(map(str, sorted(there))) or "none"
                raise GuidanceError(
                    f"{where}: shot {self.number} has no track {track}, but {known}"
                )
        return [whole_pin(track, entry.value.ab) for track, (_, entry) in mine.items()]

    def _solve(self, store: LayerStore) -> list[Pin]:
        own: dict[int, HintedFrame] = {}
        pins: list[Pin] = []
        for i, seen in enumerate(self.seen):
            if seen.marks:
                guide = self.guides.get(i)
                marks = self._draw(seen)
                self.base = marks.whole if marks.whole is not None else self.base
                own[i] = self._solve_frame(guide, seen.noise, marks)
                boxes = self._cells(seen)
                self.owner[i] = np.zeros(self.size, np.float32)
                for track, weight in owned(marks, own[i], boxes).items():
                    number = self.bound.setdefault(track, len(self.bound) + 1)
                    self.owner[i][weight > 0] = number
                    pins.append(pin_of(track, own[i].ab, guide, weight, boxes[track]))
        ahead = _Planes((6, *self.size))
        try:
            for i, wave in self._sweep(own, range(len(self.seen))):
                ahead.put(i, _pack(wave))
            for i, back in self._sweep(own, range(len(self.seen) - 1, -1, -1)):
                wave = join(_unpack(ahead.get(i)), back)
                if i in own:
                    wave = lay(wave, own[i], self.guides.get(i), self.owner[i])
                for pts in self.seen[i].pts:
                    store.put(pts, _layer(_over(self.base, wave)))
        finally:
            ahead.close()
        return pins

    def _draw(self, seen: _Seen) -> FrameMarks:
        border = self.config.border * min(self.size)
        return draw(seen.marks, self.info, self.size, seen.boxes, border)

    def _solve_frame(self, guide: Floats, noise: float, marks: FrameMarks) -> HintedFrame:
        config = self.config
        extent = config.extent * min(self.size)
        terrain = Terrain(guide, noise, config.contrast, config.shade, extent)
        return solve_frame(guide, noise, marks, terrain)

    def _sweep(self, own: Mapping[int, HintedFrame], order: range) -> Iterator[tuple[int, Wave]]:
        """Color of every frame of the shot from hints on one side of it."""
        wave = Wave.none(self.size)
        before: int | None = None
        for i in order:
            if before is not None and not wave.empty:
                guide = self.guides.get(i)
                way = self._link(i, before, guide)
                boxes = {self.bound[track]: box for track, box in self._bound_cells(i).items()}
                noise = self.seen[i].noise
                wave = travel(wave, way, guide, noise, self.config.firmness, boxes)
            if i in own:
                wave = lay(wave, own[i], self.guides.get(i), self.owner[i])
            before = i
            yield i, wave

    def _link(self, here: int, there: int, guide: Floats) -> Link:
        first, second = self.seen[here], self.seen[there]
        return link(
            guide,
            self.guides.get(there),
            max(first.noise, second.noise),
            self._bound_cells(here),
            self._bound_cells(there),
            cast(FlowPreset, self.config.flow),
        )

    def _bound_cells(self, number: int) -> dict[int, Box]:
        """Boxes of the objects that have hints of their own."""
        cells = self._cells(self.seen[number])
        return {track: box for track, box in cells.items() if track in self.bound}

    def _cells(self, seen: _Seen) -> dict[int, Box]:
        """Boxes on the grid."""
        return {
            track: to_cells(box, self.info.size, self.size) for track, box in seen.boxes.items()
        }


def _boxes(tracked: Tracked) -> list[dict[int, Box]]:
    """Boxes of each frame, by track."""
    result: list[dict[int, Box]] = [{} for _ in range(len(tracked.frames))]
    seen = tracked.tracks.detections
    for track, frame, box in zip(
        tracked.tracks.ids.tolist(), seen.frame.tolist(), seen.boxes.tolist(), strict=True
    ):
        result[frame][track] = cast(Box, tuple(box))
    return result


def _area(box: Box, info: VideoInfo) -> float:
    """What of a box lies in the frame."""
    width = min(box[2], info.width) - max(box[0], 0)
    height = min(box[3], info.height) - max(box[1], 0)
    return max(width, 0) * max(height, 0)


def _pack(wave: Wave) -> Floats:
    return np.stack((*wave.ab, wave.weight, wave.age, wave.home, wave.owner))


def _unpack(planes: Floats) -> Wave:
    return Wave(planes[:2], *planes[2:])


def _over(base: Floats | None, wave: Wave) -> Wave:
    """Color over that of the whole shot, if it has one."""
    if base is None:
        return wave
    below = base[:, None, None]
    return replace(
        wave, ab=below + wave.weight * (wave.ab - below), weight=np.ones_like(wave.weight)
    )


def _layer(wave: Wave) -> Layer:
    weight = np.clip(wave.weight, 0, 1)[None, None]
    return Layer(torch.from_numpy(wave.ab[None].copy()), torch.from_numpy(weight))
