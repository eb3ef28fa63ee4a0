"""Time that each stage takes for itself, where stages pull from one another in one thread."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from vidcolor.pipeline import Pipeline

__all__ = ["StageClock"]

T = TypeVar("T")


class StageClock:
    """A clock that counts for one name at a time.

    Args:
        now: Seconds.

    Attributes:
        seconds: By name.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._now = now
        self._running = ""
        self._since = now()

    def _switch(self, name: str) -> str:
        moment = self._now()
        before, self._running = self._running, name
        if before:
            self.seconds[before] = self.seconds.get(before, 0.0) + moment - self._since
        self._since = moment
        return before

    def call(self, name: str, function: Callable[..., T], *given: Any) -> T:
        """The result of a call; its time counts for `name`."""
        before = self._switch(name)
        try:
            return function(*given)
        finally:
            self._switch(before)

    def items(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """The same items; the time to get each counts for `name`."""
        iterator = self.call(name, iter, items)
        while True:
            before = self._switch(name)
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._switch(before)
            yield item

    def wrap(self, line: Pipeline) -> Pipeline:
        """The same line; the time of each stage counts for its name."""
        stages = {
            field.name: self._stage(field.name, getattr(line, field.name))
            for field in dataclasses.fields(line)
        }
        return dataclasses.replace(line, **stages)

    def _stage(self, name: str, stage: Any) -> Any:
        """A stage of either kind: a generator's time is that of its items."""

        def timed(*given: Any) -> Any:
            made = self.call(name, stage, *given)
            return self.items(name, made) if isinstance(made, Iterator) else made

        return timed
