"""Batches that lie the same way in a shot, wherever reading began."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from vidcolor.records import FrameBatch
from vidcolor.stages.base import Cut

__all__ = ["AlignedShots"]


class AlignedShots:
    """Shots as another stage finds them, in batches that begin anew with every shot.

    A network may round the last digit otherwise in a batch of another size. So that a film comes
    out the same, to the last bit, whether it was read in one go or from a cut on, all batches of
    a shot have the same number of frames, but for its last.

    Memory: the frames of a batch. Lookahead: a batch. At a cut: nothing is kept.

    Args:
        cut: Finds shots.
        size: Frames of a batch, at least 1.
        shot: Number of the first shot that comes.
    """

    def __init__(self, cut: Cut, size: int, shot: int = 0) -> None:
        self._cut, self._size, self._shot = cut, size, shot

    def __call__(self, frames: Iterable[FrameBatch], /) -> Iterator[FrameBatch]:
        """Batches of `frames` with `shot`, `start` and `held` set."""
        waiting: list[FrameBatch] = []
        for batch in self._cut(frames):
            found = replace(batch, shot=batch.shot + self._shot)
            if waiting and found.shot != waiting[0].shot:
                yield FrameBatch.join(waiting)
                waiting = []
            waiting.append(found)
            while sum(map(len, waiting)) >= self._size:
                joined = FrameBatch.join(waiting)
                yield joined[: self._size]
                rest = joined[self._size :]
                waiting = [rest] if len(rest) else []
        if waiting:
            yield FrameBatch.join(waiting)
