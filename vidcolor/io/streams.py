"""Everything in a film that is not its picture: carried over as packets, byte for byte."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from vidcolor.errors import MediaError
from vidcolor.io.matroska import has_codec_delay
from vidcolor.io.other_packets import OtherPackets, PacketsOfFile
from vidcolor.io.source import Span, is_cover, reason

__all__ = ["OtherStreams"]

_log = logging.getLogger(__name__)

_WRITTEN_ANEW = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
_STATISTICS = ("_statistics", "bps", "number_of_", "duration", "source_id")
_MP4_FILM_KEYS = {
    *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre"),
    *("copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id"),
    *("network", "keywords", "creation_time"),
}
_MP4_STREAM_KEYS = {"language", "title", "handler_name", "vendor_id", "creation_time", "timecode"}
_NO_TEXT = b"\0\0"
"""Between two texts MP4 has empty ones, which its muxer makes itself."""
_PICTURES = {"mjpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "bmp": "image/bmp"}
_ANY_KEYS = ("matroska", "nut")
"""Containers that keep metadata of any name."""


class OtherStreams:
    """Sound, subtitles, attachments, covers, chapters and metadata of a film.

    What the container cannot hold is left out, and a warning names it.

    Attributes:
        span: The part that is copied.
        damage: Set where packets end because the file is damaged; those before it are copied.

    Args:
        source: A file, which is opened a second time, or the packets of a film that is open.
        container: FFmpeg's name of the output's container.
        start: Seconds from the first frame at which the wanted part begins, or None.
        duration: Its length in seconds, or None.
        passing: The output cannot be changed once it is written.

    Raises:
        MediaError: If the source cannot be opened.
    """

    def __init__(
        self,
        source: Path | OtherPackets,
        container: str,
        start: float | None,
        duration: float | None,
        passing: bool = False,
    ) -> None:
        self._from = PacketsOfFile(source) if isinstance(source, Path) else source
        self._path = self._from.path
        self._kind = container
        self._passing = passing
        self._better = "use --format matroska" if passing else "use .mkv"
        self._source, self._picture = self._from.container, self._from.picture
        self.span = Span.of(self._picture, start, duration)
        self.damage: MediaError | None = None
        self._copies: dict[int, Any] = {}
        self._running: set[int] = set()
        self._early: dict[int, Fraction] = {}  # seconds before zero at which sound begins
        self._may_be_early: set[int] = set()
        self._guessed: dict[int, int] = {}  # last dts made up
        self._packets: Iterator[tuple[Fraction, Any] | None] = iter(())
        self._next: tuple[Fraction, Any] | None = None

    @property
    def container_options(self) -> dict[str, str]:
        """Options for the output container, so that it keeps metadata of any name."""
        if self._kind in _ANY_KEYS:
            return {}
        custom = sorted({key.lower() for key in self._film_metadata()} - _MP4_FILM_KEYS)
        if not custom:
            return {}
        if not any(is_cover(stream) for stream in self._source.streams):
            return {"movflags": "use_metadata_tags"}
        _log.warning(
            "%s: metadata of the film left out (%s): %s cannot hold it beside a cover; use .mkv",
            self._path,
            ", ".join(custom),
            self._kind,
        )
        return {}

    def add_to(self, out: Any, add_picture: Callable[[], Any]) -> Any:
        """Declare all streams on the output, in the order of the source.

        Args:
            out: The open, still empty output container.
            add_picture: Adds the encoded picture's stream to `out`.

        Returns:
            The picture's stream.
        """
        picture = None
        for stream in self._source.streams:
            if stream.index == self._picture.index:
                picture = add_picture()
                self._describe(picture, stream, encoded=True)
            else:
                self._add(out, stream)
        out.metadata.update(self._film_metadata())
        chapters = self._chapters()
        if chapters:
            out.set_chapters(chapters)
        self._packets = self._wanted()
        return picture

    def write_until(self, out: Any, time: Fraction | None) -> None:
        """Write all packets up to a time of the source's clock; None writes all that are left."""
        if time is None:
            self._from.read_on(self.span.end)
        while True:
            if self._next is None:
                self._next = next(self._packets, None)
            if self._next is None or (time is not None and self._next[0] > time):
                return
            packet, self._next = self._next[1], None
            packet.stream = self._copies[packet.stream_index]
            out.mux(packet)

    def delays(self) -> dict[int, Fraction]:
        """Seconds by which the sound of an output stream was moved, by stream number.

        Matroska holds no times before zero. Sound that begins there (priming of AAC or MP3) is
        written later by this much, for the header to tell readers to take it off again.
        """
        return {self._copies[index].index: delay for index, delay in self._early.items()}

    def close(self) -> None:
        """Let go of the source."""
        self._from.close()

    # -- streams ---------------------------------------------------------------------------------

    def _add(self, out: Any, stream: Any) -> None:
        if stream.type == "data":
            if not self._is_chapter_track(stream):
                self._leave_out(stream, "it is data that cannot be copied")
            return
        if is_cover(stream) and self._kind == "matroska":
            self._attach_cover(out, stream)
            return
        if stream.type == "attachment" and self._kind != "matroska":
            self._leave_out(stream, f"{self._kind} holds no attachments; {self._better}")
            return
        problem = self._misfit(stream)
        if problem is not None:
            better = f"; {self._better}" if self._kind != "matroska" else ""
            self._leave_out(stream, problem + better)
            return
        copy = out.add_stream_from_template(stream, opaque=True)
        self._describe(copy, stream, encoded=False)
        if stream.type != "attachment":  # those are written with the header
            self._copies[stream.index] = copy

    def _misfit(self, stream: Any) -> str | None:
        """Why the container refuses a stream; asked of the container itself, in memory."""
        if self._kind == "nut" and stream.type == "video":
            return "nut holds no second picture or cover"  # and no time before zero, as those need
        memory = io.BytesIO()
        try:
            with av.open(memory, "w", format=self._kind) as trial:
                copy = trial.add_stream_from_template(stream, opaque=True)
                copy.disposition = stream.disposition
                trial.start_encoding()
        except (av.error.FFmpegError, ValueError, OSError):
            return f"{self._kind} cannot hold it"
        matroska_sound = self._kind == "matroska" and stream.type == "audio"
        if matroska_sound and not has_codec_delay(memory.getvalue()):  # else the muxer notes it
            self._may_be_early.add(stream.index)
        if self._kind == "nut" and stream.type == "audio":
            self._may_be_early.add(stream.index)
        return None

    def _describe(self, copy: Any, stream: Any, encoded: bool) -> None:
        """Metadata and disposition."""
        kept = {}
        for key, value in stream.metadata.items():
            low = key.lower()
            if low in _WRITTEN_ANEW or (encoded and low.startswith(_STATISTICS)):
                continue
            kept["title" if low == "name" else key] = value  # MP4 reads titles back as "name"
        if self._kind not in _ANY_KEYS:
            lost = sorted(
                key
                for key in kept
                if key.lower() not in _MP4_STREAM_KEYS
                and not key.lower().startswith(_STATISTICS)
                and not is_cover(stream)  # a file name, which MP4's covers do without
            )
            if lost:
                _log.warning(
                    "%s: metadata of %s left out (%s): %s cannot hold it; use .mkv",
                    self._path,
                    _name(stream),
                    ", ".join(lost),
                    self._kind,
                )
        copy.metadata.update(kept)
        copy.disposition = stream.disposition

    def _attach_cover(self, out: Any, stream: Any) -> None:
        """A cover in Matroska is an attachment, and read back as a cover."""
        codec = stream.codec_context.name
        data = self._from.cover(stream)
        ending = {"mjpeg": "jpg"}.get(codec, codec)
        name = stream.metadata.get("filename", f"cover.{ending}")
        mime = stream.metadata.get("mimetype", _PICTURES.get(codec, "application/octet-stream"))
        attached = out.add_attachment(name, mime, data)
        for key, value in stream.metadata.items():
            attached.metadata.setdefault(key, value)
        attached.metadata.update(filename=name, mimetype=mime)

    def _is_chapter_track(self, stream: Any) -> bool:
        """MP4 keeps chapters a second time as a track of text, which its muxer writes anew."""
        return (
            stream.type == "data"
            and stream.codec_context is None
            and "mp4" in self._source.format.name
            and bool(self._source.chapters())
        )

    def _leave_out(self, stream: Any, why: str) -> None:
        _log.warning("%s: %s left out: %s", self._path, _name(stream), why)

    def _film_metadata(self) -> dict[str, str]:
        return {
            key: value
            for key, value in self._source.metadata.items()
            if key.lower() not in _WRITTEN_ANEW
        }

    def _chapters(self) -> list[dict[str, Any]]:
        """Those that reach into the part, cut and shifted to it."""
        kept = []
        for chapter in self._source.chapters():
            unit = Fraction(chapter["time_base"])
            shift = self.span.ticks(unit)
            start, end = chapter["start"], chapter["end"]
            if self.span.first is not None:
                start = max(start, shift)
            if self.span.end is not None:
                end = min(end, round(self.span.end / unit))
            if start < end or (self.span.first is None and self.span.end is None):
                kept.append({**chapter, "start": start - shift, "end": end - shift})
        return kept

    # -- packets ---------------------------------------------------------------------------------

    def _wanted(self) -> Iterator[tuple[Fraction, Any] | None]:
        """Packets of the part, with the time at which they are due; None: not there yet."""
        streams = [self._source.streams[index] for index in self._copies]
        packets = self._from.packets(streams, self.span.first)
        ended: set[int] = set()
        while len(ended) < len(streams):
            try:
                packet = next(packets)
                due = None if packet is None else self._cut(packet, ended)
            except StopIteration:
                return
            except (av.error.FFmpegError, ValueError, OSError) as error:
                self.damage = MediaError(
                    f"{self._path}: its sound or subtitles are damaged ({reason(error)})"
                )
                return
            if packet is None:
                yield None
            elif due is not None:
                yield due, packet

    def _cut(self, packet: Any, ended: set[int]) -> Fraction | None:
        """When a packet is due in the source; it is shifted to the part. None drops it."""
        stream = packet.stream
        if is_cover(stream):
            if not packet.size:
                return None
            packet.pts = packet.dts = 0
            ended.add(stream.index)
            return Fraction(-(1 << 30))
        if stream.type == "subtitle" and packet.size == 2 and bytes(packet) == _NO_TEXT:
            return None
        if packet.dts is None:
            self._guess_dts(packet)
        stamp = packet.dts
        if stamp is None or stream.index in ended:
            return None
        unit = Fraction(packet.time_base)
        shown = (packet.pts if packet.pts is not None else stamp) * unit
        shift = self.span.ticks(unit)
        if self.span.first is not None and shown < self.span.first:
            over = shown + (packet.duration or 0) * unit
            if stream.type != "subtitle" or over <= self.span.first:
                return None
            packet.duration = round((over - self.span.first) / unit)
            packet.pts = packet.dts = stamp = shift  # was already on screen
        if self.span.end is not None and shown >= self.span.end:
            if stream.type != "video" or stamp * unit >= self.span.end:
                ended.add(stream.index)
            return None
        if stream.type == "video" and self.span.first is not None:
            if stream.index not in self._running and not packet.is_keyframe:
                return None
            self._running.add(stream.index)
        begins_early = stream.index in self._may_be_early and shown < shift * unit
        if begins_early and self._passing:  # the header is on its way and can say nothing of it
            if shown + (packet.duration or 0) * unit <= shift * unit:
                return None
            packet.pts = packet.dts = shift
        elif begins_early:
            self._early[stream.index] = shift * unit - shown
        self._may_be_early.discard(stream.index)
        shift -= round(self._early.get(stream.index, 0) / unit)
        if packet.pts is not None:
            packet.pts -= shift
        packet.dts -= shift
        return stamp * unit

    def _guess_dts(self, packet: Any) -> None:
        """When to decode a packet whose file does not say; Matroska is silent at the beginning."""
        stream = packet.stream
        if packet.pts is None or stream.type != "video":
            packet.dts = packet.pts
            return
        step = packet.duration or 1
        last = self._guessed.get(stream.index)
        if last is None:
            last = packet.pts - (stream.codec_context.reorder_depth + 1) * step
        packet.dts = self._guessed[stream.index] = min(last + step, packet.pts)


def _name(stream: Any) -> str:
    """How a stream is called in warnings."""
    context = stream.codec_context
    codec = context.name if context is not None else None
    words = [w for w in (codec, stream.metadata.get("language")) if w]
    title = stream.metadata.get("title") or stream.metadata.get("filename")
    if title:
        words.append(repr(title))
    detail = f" ({', '.join(words)})" if words else ""
    return f"{stream.type} stream {stream.index}{detail}"
