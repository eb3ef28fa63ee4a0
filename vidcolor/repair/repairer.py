"""The whole repair of a film: motion, damage, a person's word, healing, light, steadiness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from vidcolor.records import FrameBatch
from vidcolor.repair.find import Finder
from vidcolor.repair.judge import Judge
from vidcolor.repair.motion import FollowConfig, follow
from vidcolor.repair.records import Marked, Repaired

__all__ = ["Repairer"]


class _Grow(Protocol):
    def __call__(self, marked: Iterable[Marked], /) -> Iterator[Marked]: ...


class _Heal(Protocol):
    def __call__(self, marked: Iterable[Marked], /) -> Iterator[Repaired]: ...


class _Finish(Protocol):
    def __call__(self, repaired: Iterable[Repaired], /) -> Iterator[Repaired]: ...


@dataclass(frozen=True, slots=True)
class Repairer:
    """All steps in order; what is switched off is a null object.

    Memory: what the steps keep, bounded however long a shot is. Lookahead: the sum of theirs. At a
    cut everything is dropped. The result does not depend on how frames are batched.

    Attributes:
        motion: How motion is found.
        find: Finds damage.
        grow: Makes holes large enough to hold all that is damaged: the final ones.
        judge: Lays over it what a person says.
        heal: Heals what is to be healed; nothing else changes.
        deflicker: Levels light; changes luma everywhere.
        steady: Holds a shaking picture still; changes luma everywhere.
    """

    motion: FollowConfig
    find: Finder
    grow: _Grow
    judge: Judge
    heal: _Heal
    deflicker: _Finish
    steady: _Finish

    def __call__(self, shots: Iterable[FrameBatch]) -> Iterator[Repaired]:
        """Repair frames whose shots are known."""
        moved = follow(shots, self.motion)
        marked = self.find(moved)
        judged = self.judge(self.grow(marked))
        healed = self.heal(judged)
        level = self.deflicker(healed)
        return self.steady(level)
