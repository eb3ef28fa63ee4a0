"""Are all pictures of a film there? Decoders drop one that is damaged without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidcolor.io.demuxer import file_url, open_container

__all__ = ["PictureCount"]

_CONTAINERS = frozenset(("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "nut", "ivf", "mpegts"))
"""Those in which a packet is a picture, with its time."""

_LISTED = frozenset(("mov,mp4,m4a,3gp,3g2,mj2",))
"""Those whose index lists every packet."""

_BROADCAST = frozenset(("mpegts", "mpeg", "mpegvideo", "h264", "hevc", "dv", "asf", "flv"))
"""Those that may begin anywhere."""

_CODECS = {
    *("h264", "hevc", "mpeg2video", "vp9", "av1", "libdav1d", "libaom-av1", "libvpx-vp9"),
    *("ffv1", "mjpeg", "prores", "dnxhd", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png"),
}
"""Those that make one picture of a packet, and no hidden ones."""


class PictureCount:
    """Counts packets that go into a decoder and pictures that come out.

    Pictures that are shown before the one decoded first do not count: a film that was cut without
    encoding begins with some. In a broadcast, which may begin anywhere, those before the first one
    that could be decoded do not. Where fields come as packets of their own, nothing can be said.

    Args:
        container: The open film.
        stream: Its picture.

    Attributes:
        begun: Packets were seen from which all that follows must be decodable.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        kind = container.format.name
        self.begun = False
        self._begins_anywhere = kind in _BROADCAST
        self._stream = stream if kind in _LISTED else None
        self._is_told = kind in _CONTAINERS and stream.codec_context.name in _CODECS
        self._waiting: list[int | None] = []  # times of packets before the first picture came
        self._first: int | None = None
        self._first_dts: int | None = None
        self._all_packets = self._packets = self._pictures = 0

    def take(self, packet: Any) -> None:
        """A packet goes in."""
        if not packet.size:
            return
        if not self._all_packets:
            self._first_dts = packet.dts
        self._all_packets += 1
        if not self.begun and not self._begins_anywhere:
            self.begun, self._first = True, packet.pts
        if not self._is_told or packet.is_discard:
            return
        if self._pictures:
            self._packets += self._is_due(packet.pts)
        else:
            self._waiting.append(packet.pts)

    def give(self, frame: Any) -> None:
        """A picture comes out."""
        if not self._pictures:
            if not self.begun:
                self._first = frame.pts
            self._packets += sum(map(self._is_due, self._waiting))
            self._waiting.clear()
        self._pictures += 1
        self._is_told = self._is_told and not frame.interlaced_frame

    def missing(self, path: Path) -> str | None:
        """What is missing, in words; None if nothing is.

        Args:
            path: Of the film.
        """
        listed = max(self._listed() - self._all_packets, self._unlisted(path))
        if listed > 0:
            return f"{listed} of its pictures cannot be read"
        lost = self._packets - self._pictures
        return f"{lost} of its pictures cannot be decoded" if self._is_told and lost > 0 else None

    def _listed(self) -> int:
        """Packets from the first one on that the index of the container lists."""
        if self._stream is None or self._first_dts is None:
            return 0
        entries = self._stream.index_entries
        first = entries.search_timestamp(self._first_dts, backward=True, any_frame=True)
        return len(entries) - first if first >= 0 else 0

    def _unlisted(self, path: Path) -> int:
        """Pictures that the film counts and its index lacks, though no edit leaves them out."""
        stream = self._stream
        if stream is None or len(stream.index_entries) >= stream.frames:
            return 0
        with open_container(file_url(path), ignore_editlist="1") as unedited:
            return int(stream.frames - len(unedited.streams[stream.index].index_entries))

    def _is_due(self, pts: int | None) -> bool:
        return pts is None or self._first is None or pts >= self._first
