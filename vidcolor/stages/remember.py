"""Keeps the color of an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vidcolor.records import Colored

__all__ = ["Forget"]


class Forget:
    """The null object: nothing is remembered. Memory: none. Lookahead: none."""

    def __call__(self, colored: Iterable[Colored], /) -> Iterator[Colored]:
        """The same."""
        return iter(colored)
