"""When to decode, told from when to show."""

from __future__ import annotations

import heapq

__all__ = ["DecodeTimes", "Passage"]


class Passage:
    """What goes into an encoder must come out; keeps in mind only what is in it now.

    Attributes:
        frames: That went in.
        first: pts of the first of them.
        last: pts of the last of them.
        reorder: Frames by which decoding runs ahead of showing.
    """

    def __init__(self) -> None:
        self.frames = self._packets = self.reorder = 0
        self.first = self.last = 0
        self._inside: dict[int, int] = {}  # number of each frame, by pts
        self._in_order = False

    def frame(self, pts: int) -> None:
        """A frame goes in; pts rise."""
        if self.frames == 0:
            self.first = pts
        self._inside[pts] = self.frames
        self.last = pts
        self.frames += 1

    def packet(self, pts: int, key_frame: bool) -> None:
        """A packet comes out."""
        number = self._inside.pop(pts, None)
        if self._packets == 0:
            self._in_order = key_frame and number == 0
        if number is None:
            self._in_order = False
        else:
            self.reorder = max(self.reorder, self._packets - number)
        self._packets += 1

    def check(self, name: str) -> None:
        """All that went in must have come out, once, a key frame first.

        Args:
            name: Of the encoder.

        Raises:
            RuntimeError: If not.
        """
        if not self._in_order or self._inside:
            raise RuntimeError(
                f"{name} gave {self._packets} packets for {self.frames} frames, or did not begin "
                "with a key frame"
            )


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
