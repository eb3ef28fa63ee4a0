"""Which span is colored when, and by whom: no clock, no processes, no files.

A task is one span: it has its own segment, begins with a key frame, and depends on no other. So
tasks may run in any order and twice, and a very long span keeps one worker to itself.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Generic, TypeVar

from vidcolor.errors import ConfigError, MediaError
from vidcolor.spans import Span

__all__ = ["Plan", "Straggling", "Tally"]

_LIVES = 3  # workers that a span may cost before it is held to be the reason
_RECENT = 201  # finished spans whose pace counts: machines and films change on the way

Worker = TypeVar("Worker", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Straggling:
    """When a span is given to a second worker.

    Attributes:
        factor: It has run longer than so many times what a span of its length takes.
        least_s: And longer than this: starting once more is not worth it for less.
    """

    factor: float = 2.0
    least_s: float = 5.0

    def __post_init__(self) -> None:
        if not self.factor >= 1:
            raise ConfigError(f"straggling.factor is {self.factor}, expected 1 or more")
        if not self.least_s >= 0:
            raise ConfigError(f"straggling.least_s is {self.least_s}, expected 0 or more")


@dataclass(slots=True)
class _Task(Generic[Worker]):
    span: Span
    lives: int = _LIVES
    running: dict[Worker, float] = field(default_factory=dict)  # since when


class Plan(Generic[Worker]):
    """A queue that workers take spans from, as they become idle.

    Of what is known the longest comes first: what is left for the end is short, and workers end
    at about the same time. Spans may be added while others run. When all are known and given out,
    idle workers get what runs suspiciously long a second time; whoever is first counts, for both
    make the same.

    Args:
        straggling: What is suspiciously long; None: nothing ever is.
    """

    def __init__(self, straggling: Straggling | None = Straggling()) -> None:
        self._straggling = straggling
        self._tasks: dict[str, _Task[Worker]] = {}  # not finished, by key
        self._queue: list[tuple[int, int, str]] = []
        self._order = itertools.count()
        self._closed = False
        self._paces: list[float] = []  # seconds a frame
        self._of: dict[Worker, str] = {}  # what a worker is at

    def add(self, span: Span) -> None:
        """A span that has to be colored."""
        if self._closed:
            raise ValueError("no more spans were to come")
        self._tasks[span.key] = _Task(span)
        self._push(span)

    def close(self) -> None:
        """All spans are known."""
        self._closed = True

    @property
    def complete(self) -> bool:
        """Whether all spans are known and finished."""
        return self._closed and not self._tasks

    @property
    def waiting(self) -> int:
        """How many spans nobody is at."""
        return len(self._queue)

    @property
    def busy(self) -> Mapping[Worker, str]:
        """Which worker is at which span, by key."""
        return self._of

    def take(self, worker: Worker, now: float) -> Span | None:
        """What an idle worker does next; None: nothing, at least for now.

        Args:
            worker: Any name.
            now: Seconds, by any clock that only goes forward.
        """
        if worker in self._of:
            raise ValueError(f"worker {worker} is at {self._of[worker]} still")
        task = self._next() or self._straggler(worker, now)
        if task is None:
            return None
        task.running[worker] = now
        self._of[worker] = task.span.key
        return task.span

    def finished(self, worker: Worker, now: float) -> bool:
        """A worker has colored what it took.

        Returns:
            Whether it is the first to have done so. Then the span is finished, and others who are
            at it may stop; see `others`.
        """
        key = self._of.pop(worker)
        task = self._tasks.get(key)
        if task is None:
            return False
        since = task.running.pop(worker)
        self._paces = [*self._paces, (now - since) / task.span.frames][-_RECENT:]
        del self._tasks[key]
        return True

    def others(self, key: str) -> tuple[Worker, ...]:
        """Workers who are at a span."""
        return tuple(worker for worker, at in self._of.items() if at == key)

    def gave_up(self, worker: Worker) -> None:
        """A worker has stopped what it was at, because it was told to."""
        self._release(worker)

    def lost(self, worker: Worker, by_the_span: bool = True) -> Span | None:
        """A worker is no more; what it was at is given to another.

        Args:
            worker: Which one.
            by_the_span: Whether the span may have been the reason, as far as known.

        Returns:
            What it was at.

        Raises:
            MediaError: If the span has now cost the last of its lives.
        """
        task = self._release(worker)
        if task is None:
            return None
        task.lives -= by_the_span
        if task.lives <= 0:
            raise MediaError(_deadly(task.span))
        return task.span

    def again(self, span: Span) -> None:
        """A result was lost on its way, or is not what it should be."""
        if span.key not in self._tasks:
            self._tasks[span.key] = _Task(span)
            self._push(span)

    def _release(self, worker: Worker) -> _Task[Worker] | None:
        key = self._of.pop(worker, None)
        task = None if key is None else self._tasks.get(key)
        if task is None:
            return None
        del task.running[worker]
        if not task.running:
            self._push(task.span)
        return task

    def _push(self, span: Span) -> None:
        heapq.heappush(self._queue, (-span.frames, next(self._order), span.key))

    def _next(self) -> _Task[Worker] | None:
        return self._tasks[heapq.heappop(self._queue)[2]] if self._queue else None

    def _straggler(self, worker: Worker, now: float) -> _Task[Worker] | None:
        rule = self._straggling
        if rule is None or not self._closed or not self._paces:
            return None
        pace = median(self._paces)
        late: _Task[Worker] | None = None
        longest = 0.0
        for key in set(self._of.values()):
            task = self._tasks.get(key)
            if task is None or len(task.running) != 1:
                continue
            (since,) = task.running.values()
            most = max(rule.least_s, rule.factor * pace * task.span.frames)
            if now - since > max(most, longest):
                late, longest = task, now - since
        return late

    def next_straggler_s(self) -> float:
        """When, by the clock of `take`, something that runs will be suspiciously long."""
        rule = self._straggling
        if rule is None or not self._closed or not self._paces or self._queue:
            return math.inf
        pace = median(self._paces)
        return min(
            (
                since + max(rule.least_s, rule.factor * pace * task.span.frames)
                for task in self._tasks.values()
                if len(task.running) == 1
                for since in task.running.values()
            ),
            default=math.inf,
        )


def _deadly(span: Span) -> str:
    last = span.index + span.frames - 1
    return (
        f"frames {span.index} to {last} (shot {span.shot}, pts {span.pts}) ended their worker "
        f"{_LIVES} times, perhaps for want of memory; give workers more, or lower --batch-size"
    )


class Tally:
    """Frames finished by all workers together, each counted once.

    What a worker says of its progress counts as far as nobody has been there before: a span that
    is begun again, or done twice, counts when it gets further than the time before.
    """

    def __init__(self) -> None:
        self._reached: dict[str, int] = {}

    def reached(self, span: Span, frames: int) -> int:
        """A worker has come so far in a span.

        Returns:
            How many frames are new by that, 0 or more.
        """
        before = self._reached.get(span.key, 0)
        now = min(max(before, frames), span.frames)
        self._reached[span.key] = now
        return now - before

    def finished(self, span: Span) -> int:
        """A span is finished.

        Returns:
            How many frames are new by that.
        """
        return self.reached(span, span.frames)
