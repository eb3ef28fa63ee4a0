"""Where packets come from that are not the picture's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from av.stream import Discard

from vidcolor.io.demuxer import open_container
from vidcolor.io.source import open_source

__all__ = ["OtherPackets", "PacketsOfFile"]

_OVERLAP_S = 30


class OtherPackets(Protocol):
    """A film's streams, and the packets of all but its picture.

    Attributes:
        path: How the film is called in messages.
        container: The open film.
        picture: Its picture stream.
    """

    path: Path
    container: Any
    picture: Any

    def cover(self, stream: Any) -> bytes:
        """The still of a cover stream; empty if it has none."""

    def packets(self, streams: Sequence[Any], first: Fraction | None) -> Iterator[Any]:
        """Packets of some streams, in the order of the film.

        Args:
            streams: Of `container`; those of the others are of no use to anybody.
            first: Time before which only what lasts longer is needed; None: all is.

        Yields:
            A packet, or None where none is there yet.

        Raises:
            FFmpegError, OSError, ValueError: If they are damaged.
        """

    def read_on(self, end: Fraction | None) -> None:
        """All of the picture has been read: have the packets at hand that are due by then.

        Args:
            end: Time after which nothing is needed; None: to the end of the film.
        """

    def close(self) -> None:
        """Let go of the film."""


class PacketsOfFile:
    """Reads the film a second time, which a file allows.

    Attributes:
        path: See `OtherPackets`.
        container: See there.
        picture: See there.

    Args:
        path: The film.

    Raises:
        MediaError: If it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.container, self.picture = open_source(path)
        self.picture.discard = Discard.all

    def cover(self, stream: Any) -> bytes:
        """The still of a cover stream; empty if it has none."""
        with open_container(self.container.name) as again:
            for packet in again.demux(again.streams[stream.index]):
                if packet.size:
                    return bytes(packet)
        return b""

    def packets(self, streams: Sequence[Any], first: Fraction | None) -> Iterator[Any]:
        """See `OtherPackets`."""
        if first is not None and first > _OVERLAP_S:
            self.container.seek(int((first - _OVERLAP_S) * 1_000_000))
        yield from self.container.demux(list(streams))

    def read_on(self, end: Fraction | None) -> None:
        """Packets are read as they are asked for."""

    def close(self) -> None:
        """Close the file."""
        self.container.close()
