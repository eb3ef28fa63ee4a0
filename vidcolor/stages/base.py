"""What a stage is: a stage with memory is a generator, one without is a plain call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from vidcolor.records import Colored, Detected, FrameBatch, Tracked

__all__ = [
    "Colorize",
    "Cut",
    "Detect",
    "Lay",
    "Remember",
    "Restore",
    "SeeWhole",
    "Stabilize",
    "Track",
]


class Cut(Protocol):
    """Finds shots and held frames: sets `shot`, `start` and `held`, splits batches at cuts."""

    def __call__(self, frames: Iterable[FrameBatch], /) -> Iterator[FrameBatch]: ...


class Restore(Protocol):
    """Heals damage. Has memory: what was there is known from other frames of the shot."""

    def __call__(self, shots: Iterable[FrameBatch], /) -> Iterator[FrameBatch]: ...


class Detect(Protocol):
    """Sees objects. Has memory, because `motion` compares frames and others skip some."""

    def __call__(self, frames: Iterable[FrameBatch], /) -> Iterator[Detected]: ...


class Track(Protocol):
    """Follows objects and steadies their boxes, within a shot."""

    def __call__(self, seen: Iterable[Detected], /) -> Iterator[Tracked]: ...


class SeeWhole(Protocol):
    """Says what frames are as a whole. Has memory: a shot is told by its beginning."""

    def __call__(self, tracked: Iterable[Tracked], /) -> Iterator[Tracked]: ...


class Colorize(Protocol):
    """Gives frames a*b* at network size. Has memory: the network may look at some frames only."""

    def __call__(self, tracked: Iterable[Tracked], /) -> Iterator[Colored]: ...


class Lay(Protocol):
    """Changes the color of frames one by one: known color, grade. No memory."""

    def __call__(self, colored: Colored, /) -> Colored: ...


class Remember(Protocol):
    """Draws color to what it was before: of a place in the shot, of an object."""

    def __call__(self, colored: Iterable[Colored], /) -> Iterator[Colored]: ...


class Stabilize(Protocol):
    """Holds color still along motion, within a shot."""

    def __call__(self, colored: Iterable[Colored], /) -> Iterator[Colored]: ...
