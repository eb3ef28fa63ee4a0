"""Which pictures are learned from, and on which is measured."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Sequence

__all__ = ["Alike", "validation_groups"]

_log = logging.getLogger(__name__)

_MOST = 2.0  # times the wanted share that validation may grow to


class Alike:
    """Groups of pictures (shots) that must stay together, by joining (disjoint sets)."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def root(self, group: str) -> str:
        """One group that stands for all that are joined with it: the first in order."""
        while (above := self._above.get(group, group)) != group:
            self._above[group] = self._above.get(above, above)
            group = above
        return group

    def join(self, one: str, other: str) -> None:
        """Keep two groups together."""
        first, second = sorted((self.root(one), self.root(other)))
        self._above[second] = first


def validation_groups(groups: Sequence[str], alike: Alike, share: float) -> set[str]:
    """Groups that are set aside for validation.

    Each set of groups that belong together is drawn by the hash of its first name, so that a
    source keeps its sides when others are added. Two things override the hash: validation does
    not grow to more than twice its share, and with two sets of groups or more neither side stays
    empty.

    Args:
        groups: Of each picture, its group.
        alike: Which groups belong together.
        share: Wanted for validation.

    Returns:
        Names of groups.
    """
    sizes = Counter(alike.root(group) for group in groups)
    if share <= 0 or not sizes:
        return set()
    if len(sizes) == 1:
        _log.warning("all pictures are of one shot, or look alike: no validation set is made")
        return set()
    order = sorted(sizes, key=_draw)
    room = _MOST * share * len(groups)
    drawn: set[str] = set()
    for root in order:
        if _draw(root) < share and sizes[root] <= room and len(drawn) + 1 < len(sizes):
            drawn.add(root)
            room -= sizes[root]
    if not drawn:
        drawn = {_first_small(order, sizes, len(groups))}
    return {group for group in groups if alike.root(group) in drawn}


def _draw(group: str) -> float:
    """A number in 0..1 that only depends on the name."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64


def _first_small(order: Iterable[str], sizes: Counter[str], total: int) -> str:
    return min(order, key=lambda root: (sizes[root] > total / 4, _draw(root)))
