"""Damage healed before anything else looks at the film; or left as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vidcolor.records import FrameBatch
from vidcolor.repair.repairer import Repairer

__all__ = ["NoRestore", "RestoreFrames"]


class RestoreFrames:
    """Gives frames their healed luma. Memory, lookahead, behavior at a cut: see `Repairer`.

    Args:
        repair: Finds damage and heals it.
    """

    def __init__(self, repair: Repairer) -> None:
        self._repair = repair

    def __call__(self, shots: Iterable[FrameBatch], /) -> Iterator[FrameBatch]:
        """The same frames, healed."""
        for repaired in self._repair(shots):
            yield repaired.frames


class NoRestore:
    """The null object: frames pass unchanged. Memory: none. Lookahead: none."""

    def __call__(self, shots: Iterable[FrameBatch], /) -> Iterator[FrameBatch]:
        """The same objects."""
        yield from shots
