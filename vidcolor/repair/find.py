"""Damage of a film, by all detectors together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from vidcolor.repair.records import Marked, Moved, Spot
from vidcolor.repair.small import narrowed
from vidcolor.repair.window import Window, each_frame

__all__ = ["Detector", "Finder"]


class Detector(Protocol):
    """Finds one sort of damage.

    Attributes:
        before: Frames before the one in question that it wants to see.
        after: Frames after it.
    """

    before: int
    after: int

    def begin(self) -> Callable[[Window], list[Spot]]:
        """What is asked about every frame of a shot, in order; it may remember the shot."""
        ...


class Finder:
    """Asks all detectors about every frame; without any, no frame has damage.

    Each sees as many frames as it wants, so what it says does not depend on who else looks.

    Memory: the frames that the detectors want to see. Lookahead: the most that one wants. At a
    cut: dropped.

    Attributes:
        detectors: Who looks.
    """

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self.detectors = tuple(detectors)
        self._before = max((one.before for one in detectors), default=0)
        self._after = max((one.after for one in detectors), default=0)

    def __call__(self, moved: Iterable[Moved]) -> Iterator[Marked]:
        """The frames with their damage."""
        for batch, spots in each_frame(moved, self._before, self._after, self._begin):
            yield Marked(batch, tuple(spots))

    def _begin(self) -> Callable[[Window], tuple[Spot, ...]]:
        asked = [(one.before, one.after, one.begin()) for one in self.detectors]

        def find(window: Window) -> tuple[Spot, ...]:
            return tuple(
                spot
                for before, after, ask in asked
                for spot in ask(narrowed(window, before, after))
            )

        return find
