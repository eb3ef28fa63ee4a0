"""When to decode, told from when to show."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

__all__ = ["DecodeTimes", "reorder_depth"]


def reorder_depth(times: Sequence[int]) -> int:
    """Frames by which decoding runs ahead of showing.

    Args:
        times: pts of packets in the order of decoding, all different.
    """
    places = {pts: place for place, pts in enumerate(sorted(times))}
    return max((number - places[pts] for number, pts in enumerate(times)), default=0)


class DecodeTimes:
    """dts for packets whose pts are known, strictly rising over any number of segments.

    With frames reordered by at most `depth`, the packet at place i of decoding is due when the
    frame at place i - depth is shown; that is the latest that fits all. The first `depth` packets
    are due before the film begins.

    Args:
        depth: Frames by which decoding runs ahead of showing, at most.
        step: Ticks between frames, for the first `depth` packets.
        first: pts of the film's first frame.
    """

    def __init__(self, depth: int, step: int, first: int) -> None:
        self._ahead = [first - step * (depth - place) for place in range(depth)]
        self._ahead.reverse()
        self._waiting: list[int] = []

    def next(self, pts: int) -> int:
        """dts of the next packet in the order of decoding."""
        heapq.heappush(self._waiting, pts)
        return self._ahead.pop() if self._ahead else heapq.heappop(self._waiting)
