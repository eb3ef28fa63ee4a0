"""One frame at a time, with those around it in its shot.

What looks at a frame here wants to see its neighbors, and frames come in batches of any size.
`each_frame` holds as many as are asked for, calls the work for one frame after the other, and
gives batches back with the results: so no result depends on how frames were batched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from vidcolor.records import VideoInfo
from vidcolor.repair.records import Link, Marked, Moved, Spot

__all__ = ["Frame", "Window", "each_frame", "each_marked"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Result = TypeVar("Result")
_Batch = TypeVar("_Batch", Moved, Marked)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame of a shot.

    Attributes:
        plane: (H, W) code values as decoded; never written to.
        info: Of the film.
        number: In the film, from 0.
        place: In the shot, from 0.
        pts: Presentation time.
        link: To the frame before; None for the first of a shot.
        spots: Its damage, where that is known already.
    """

    plane: Array
    info: VideoInfo
    number: int
    place: int
    pts: int
    link: Link | None = None
    spots: tuple[Spot, ...] = ()

    @property
    def unit(self) -> int:
        """Codes to a cv, which is one code value of 8 bits."""
        return 1 << (self.info.color.bits - 8)

    def gray(self) -> Floats:
        """(H, W) float32 in cv, computed anew."""
        return self.plane.astype(np.float32) * np.float32(1 / self.unit)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Frames of one shot around one of them.

    Attributes:
        frames: Consecutive.
        at: Position of the one in the middle.
        begins: The first of them is the first of the shot.
        ends: Fewer than asked for come after the one in the middle, because the shot ends.
    """

    frames: Sequence[Frame]
    at: int
    begins: bool
    ends: bool

    @property
    def frame(self) -> Frame:
        """The one in the middle."""
        return self.frames[self.at]


def each_frame(
    batches: Iterable[Moved],
    before: int,
    after: int,
    begin: Callable[[], Callable[[Window], Result]],
) -> Iterator[tuple[Moved, list[Result]]]:
    """Work on every frame in order, seeing those around it.

    Args:
        batches: Of a film, in order, none across a cut.
        before: So many frames before the middle one are seen, if the shot has them.
        after: So many after it.
        begin: Called at every shot: makes the work, which may keep a memory of the shot.

    Yields:
        The batches with the result of each frame.
    """
    return _Walk[Moved, Result](before, after, begin).walk(batches)


def each_marked(
    batches: Iterable[Marked],
    before: int,
    after: int,
    begin: Callable[[], Callable[[Window], Result]],
) -> Iterator[tuple[Marked, list[Result]]]:
    """As `each_frame`, where damage is known: frames have their spots."""
    return _Walk[Marked, Result](before, after, begin).walk(batches)


class _Walk(Generic[_Batch, Result]):
    def __init__(
        self, before: int, after: int, begin: Callable[[], Callable[[Window], Result]]
    ) -> None:
        self._before, self._after, self._begin = before, after, begin
        self._waiting: deque[tuple[_Batch, int]] = deque()  # with how many results they want
        self._results: deque[Result] = deque()
        self._clear()

    def _clear(self) -> None:
        self._frames: deque[Frame] = deque()
        self._next = 0  # place in the shot of the next middle frame
        self._work: Callable[[Window], Result] | None = None

    def walk(self, batches: Iterable[_Batch]) -> Iterator[tuple[_Batch, list[Result]]]:
        shot: int | None = None
        for batch in batches:
            moved = batch if isinstance(batch, Moved) else batch.moved
            if moved.frames.shot != shot:
                self._end()
                yield from self._ready()
                shot = moved.frames.shot
                self._work = self._begin()
            self._waiting.append((batch, len(moved.frames)))
            for frame in _frames(batch, moved):
                self._frames.append(frame)
                if frame.place - self._next >= self._after:
                    self._step(ends=False)
            yield from self._ready()
        self._end()
        yield from self._ready()
        assert not self._waiting, "every frame has its result"

    def _step(self, *, ends: bool) -> None:
        while self._frames[0].place < self._next - self._before:
            self._frames.popleft()
        first = self._frames[0].place
        assert self._work is not None
        frames = tuple(self._frames)
        last = self._next + self._after - first + 1
        window = Window(frames[:last], self._next - first, first == 0, ends)
        self._results.append(self._work(window))
        self._next += 1

    def _end(self) -> None:
        while self._frames and self._next <= self._frames[-1].place:
            self._step(ends=True)
        self._clear()

    def _ready(self) -> Iterator[tuple[_Batch, list[Result]]]:
        while self._waiting and len(self._results) >= self._waiting[0][1]:
            batch, count = self._waiting.popleft()
            yield batch, [self._results.popleft() for _ in range(count)]


def _frames(batch: Moved | Marked, moved: Moved) -> Iterator[Frame]:
    frames = moved.frames
    for i, plane in enumerate(frames.luma[:, 0].numpy()):
        spots = batch.spots[i] if isinstance(batch, Marked) else ()
        yield Frame(
            plane, frames.info, frames.index + i, frames.start + i, frames.pts[i],
            moved.links[i], spots,
        )  # fmt: skip
