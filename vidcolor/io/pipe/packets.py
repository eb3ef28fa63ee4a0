"""One reading of a film for all of its streams, where a second one is impossible."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error

from vidcolor.errors import MediaError
from vidcolor.io.source import as_time

__all__ = ["PacketsOfPipe"]

_MOST_WAITING = 256 << 20
"""Bytes of sound and subtitles that may wait for their picture; in films that are interleaved it is
a few seconds of them."""
_PACKET = 1024
"""Bytes that a packet takes beside its content."""
_LATE_S = 2
"""How far sound may lie behind the picture in a stream."""


class PacketsOfPipe:
    """The demuxer of a pipe: the decoder pulls, and what is not its picture waits for the writer.

    The reader's thread calls `demux`; the writer's calls the rest, and `read_on` only when the
    reader is done.

    Attributes:
        path: See `OtherPackets`.
        container: See there; whoever opened it closes it.
        picture: See there.
        format: Of the container, for the decoder.

    Args:
        path: See above.
        container: See above.
        picture: See above.
        first: Time before which nothing is wanted; None: all is.
    """

    def __init__(self, path: Path, container: Any, picture: Any, first: Fraction | None) -> None:
        self.path, self.container, self.picture = path, container, picture
        self.format = container.format
        self._first = first
        self._all: Iterator[Any] = container.demux()
        self._waiting: deque[Any] = deque()
        self._bytes = 0
        self._wanted: set[int] | None = None  # nobody has said yet
        self._lock = threading.Lock()

    # -- the reader ------------------------------------------------------------------------------

    def demux(self, stream: Any) -> Iterator[Any]:
        """Packets of the picture.

        Raises:
            FFmpegError: If the stream is damaged.
            MediaError: If too much waits for its picture.
        """
        for packet in self._all:
            if packet.stream.index == stream.index:  # what flushes decoders has no index of its own
                yield packet
            else:
                self._keep(packet)

    def _keep(self, packet: Any) -> None:
        if not packet.size or self._is_over(packet):
            return
        with self._lock:
            if self._wanted is not None and packet.stream_index not in self._wanted:
                return
            self._waiting.append(packet)
            self._bytes += packet.size + _PACKET
            too_many = self._bytes > _MOST_WAITING
        if too_many:
            time = packet.pts or packet.dts
            where = "" if time is None else f" at {as_time(time * Fraction(packet.time_base))}"
            raise MediaError(
                f"{self.path}: sound lies too far before its picture{where}; write it to a file "
                "first"
            )

    def _is_over(self, packet: Any) -> bool:
        if self._first is None or packet.pts is None or packet.stream.type == "subtitle":
            return False
        is_still = packet.stream.type == "video" and not packet.duration
        return not is_still and packet.pts * Fraction(packet.time_base) < self._first

    # -- the writer ------------------------------------------------------------------------------

    def cover(self, stream: Any) -> bytes:
        """The still of a cover stream, which lies before all pictures; empty if it has none."""
        with self._lock:
            covers = (packet for packet in self._waiting if packet.stream_index == stream.index)
            return bytes(next(covers, b""))

    def packets(self, streams: Sequence[Any], first: Fraction | None) -> Iterator[Any]:
        """See `OtherPackets`."""
        self._want({stream.index for stream in streams})
        return self._taken()

    def _taken(self) -> Iterator[Any]:
        try:
            while True:
                with self._lock:
                    packet = self._waiting.popleft() if self._waiting else None
                    self._bytes -= 0 if packet is None else packet.size + _PACKET
                yield packet
        finally:
            self._want(set())

    def _want(self, wanted: set[int]) -> None:
        with self._lock:
            self._wanted = wanted
            kept = [packet for packet in self._waiting if packet.stream_index in wanted]
            self._waiting = deque(kept)
            self._bytes = sum(packet.size + _PACKET for packet in kept)

    def read_on(self, end: Fraction | None) -> None:
        """See `OtherPackets`; what is interleaved behind the last wanted picture is read, no more.

        A film that is read to its end has been read already.
        """
        if end is None:
            return
        with self._lock:
            wanted = self._wanted or set()
        sounds = {s.index for s in self.container.streams if s.type == "audio"} & wanted
        for packet in self._rest():
            time = packet.dts if packet.dts is not None else packet.pts
            if time is not None:
                time *= Fraction(packet.time_base)
                if packet.stream_index == self.picture.index and time >= end + _LATE_S:
                    return
                if time >= end:
                    sounds.discard(packet.stream_index)
            if packet.stream_index != self.picture.index:
                self._keep(packet)
            if not sounds:
                return

    def _rest(self) -> Iterator[Any]:
        try:
            yield from self._all
        except (av.error.FFmpegError, OSError, ValueError):
            return  # behind the part that is wanted

    def close(self) -> None:
        """Let go of all packets."""
        self._want(set())
