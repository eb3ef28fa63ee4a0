"""At which frames the network looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from vidcolor.records import Colored, Tracked

__all__ = ["EveryFrame"]


class EveryFrame:
    """The network looks at every frame. Memory: none. Lookahead: none.

    Args:
        colorize: Colors a batch.
    """

    def __init__(self, colorize: Callable[[Tracked], Colored]) -> None:
        self.colorize = colorize

    def __call__(self, tracked: Iterable[Tracked], /) -> Iterator[Colored]:
        """Frames with the network's color."""
        return map(self.colorize, tracked)
