"""The sound of a part of a film, in a form that every browser plays."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.stream import Discard

from vidcolor.io.source import Span, as_time, open_source, reason

__all__ = ["ClipSound"]

_log = logging.getLogger(__name__)

_PLAYED_PROFILES = ("LC", "HE-AAC", "HE-AACv2")
_BIT_RATE = 160_000
_RETREATS_S = (1, 10, 60)
"""How far before the part reading begins; decoders of sound need a little to get going."""
_MOST_JITTER_S = Fraction(1, 50)
"""How far times may be off before silence is put in, or sound is left out."""
_FRAME = 1024
"""Samples to an AAC packet."""

Samples = npt.NDArray[np.float32]


class ClipSound:
    """The sound of a film from some time on: AAC passes as packets, all else is encoded to it.

    Of several sounds it is the default one, or the first, as players choose. Where it is damaged
    it is silent, and a warning says so.

    Args:
        out: The open, still empty output, MP4.
        path: The film.
        span: `(start, duration)` in seconds as the reader got them; the sound ends with it.

    Raises:
        MediaError: If the film cannot be opened.
        FFmpegError: If the output refuses the sound.
    """

    def __init__(
        self, out: Any, path: Path, span: tuple[float | None, float | None] = (None, None)
    ) -> None:
        self._out, self._path = out, path
        self._source, picture = open_source(path)
        self._end = Span.of(picture, *span).end
        self._stream = _chosen(self._source)
        self._copies = self._stream is not None and _can_pass(self._stream)
        self._track: Any = None
        self._line: _Line | None = None
        if self._stream is not None:
            self._track = (
                out.add_stream_from_template(self._stream, opaque=True)
                if self._copies
                else _aac_track(out, self._stream)
            )

    def begin(self, time: Fraction) -> None:
        """Say when the clip begins, in seconds of the source's clock; once, before the rest."""
        if self._stream is None:
            return
        packets = self._until_damage(self._packets(time))
        if self._copies:
            self._line = _Copied(self._track, packets, time)
        else:
            self._line = _Encoded(self._track, packets, time, self._warn)

    def write_until(self, time: Fraction) -> None:
        """Write what is heard before a time of the source's clock."""
        if self._line is not None:
            self._write(self._line.advance(self._within(time)))

    def finish(self, end: Fraction) -> None:
        """Write the rest; the clip ends at `end`, in seconds of the source's clock."""
        if self._line is not None:
            self._write(self._line.finish(self._within(end)))

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _within(self, time: Fraction) -> Fraction:
        return time if self._end is None else min(time, self._end)

    def _write(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            packet.stream = self._track
            self._out.mux(packet)

    # -- packets ---------------------------------------------------------------------------------

    def _packets(self, time: Fraction) -> Iterator[Any]:
        """Packets of the sound from shortly before a time on."""
        unit = Fraction(self._stream.time_base)
        starts = Fraction(self._stream.start_time or 0) * unit
        for retreat in _RETREATS_S:
            target = time - retreat
            if target <= starts:
                break
            try:
                self._source.seek(int(target / unit), stream=self._stream)
                packets = self._demuxed()
                head = next(packets, None)
            except (av.error.FFmpegError, ValueError, OSError):
                break
            if head is not None and head.pts * unit <= target + Fraction(retreat, 2):
                return chain([head], packets)
        index = self._stream.index
        self._source.close()
        self._source, _ = open_source(self._path)
        self._stream = self._source.streams[index]
        return self._demuxed()

    def _demuxed(self) -> Iterator[Any]:
        for other in self._source.streams:
            if other.index != self._stream.index:
                other.discard = Discard.all
        for packet in self._source.demux(self._stream):
            if packet.size and packet.pts is not None:
                yield packet

    def _until_damage(self, packets: Iterator[Any]) -> Iterator[Any]:
        reached: Fraction | None = None
        try:
            for packet in packets:
                reached = packet.pts * Fraction(packet.time_base)
                yield packet
        except (av.error.FFmpegError, ValueError, OSError) as error:
            where = "at its beginning" if reached is None else f"after {as_time(reached)}"
            self._warn(f"is damaged {where} ({reason(error)}); the clip is silent from there")

    def _warn(self, message: str) -> None:
        _log.warning("%s: its sound %s", self._path, message)


class _Line(Protocol):
    def advance(self, time: Fraction) -> Iterator[Any]: ...

    def finish(self, end: Fraction) -> Iterator[Any]: ...


class _Copied:
    """Packets as they are, moved to the beginning of the clip.

    One packet before it comes along, because AAC decodes a packet by the one before; the times
    before zero say that it is not heard.
    """

    def __init__(self, track: Any, packets: Iterator[Any], begin: Fraction) -> None:
        self._packets = self._from_begin(packets, begin)
        self._begin = begin
        self._next: Any = None

    def advance(self, time: Fraction) -> Iterator[Any]:
        while True:
            if self._next is None:
                self._next = next(self._packets, None)
            if self._next is None or _heard(self._next) >= time:
                return
            packet, self._next = self._next, None
            shift = round(self._begin / Fraction(packet.time_base))
            packet.pts -= shift
            packet.dts = packet.pts
            yield packet

    def finish(self, end: Fraction) -> Iterator[Any]:
        return self.advance(end)

    def _from_begin(self, packets: Iterator[Any], begin: Fraction) -> Iterator[Any]:
        before: Any = None
        for packet in packets:
            length = (packet.duration or 0) * Fraction(packet.time_base)
            if _heard(packet) + length > begin:
                yield from () if before is None else (before,)
                yield packet
                break
            before = packet
        yield from packets


class _Encoded:
    """Sound decoded, brought to stereo, laid by its times, and encoded."""

    def __init__(
        self, track: Any, packets: Iterator[Any], begin: Fraction, warn: Callable[[str], None]
    ) -> None:
        self._context = track.codec_context
        self._rate = self._context.sample_rate
        self._begin = begin
        self._pieces = self._placed(_stereo(_decoded(packets, warn), self._rate))
        self._waiting: list[Samples] = []
        self._held = self._done = 0  # samples waiting, samples encoded

    def advance(self, time: Fraction) -> Iterator[Any]:
        total = round((time - self._begin) * self._rate)
        self._fetch(total)
        ready = min(self._held, total - self._done) // _FRAME * _FRAME
        if ready > 0:
            yield from self._encoded(self._taken(ready))

    def finish(self, end: Fraction) -> Iterator[Any]:
        total = round((end - self._begin) * self._rate)
        self._fetch(total)
        rest = min(self._held, total - self._done)
        if rest > 0:
            yield from self._encoded(self._taken(rest))
        yield from self._context.encode(None)

    def _fetch(self, total: int) -> None:
        while self._done + self._held < total:
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._waiting.append(piece)
            self._held += piece.shape[1]

    def _taken(self, count: int) -> Samples:
        samples = np.concatenate(self._waiting, axis=1)
        self._waiting = [samples[:, count:]]
        self._held -= count
        return samples[:, :count]

    def _encoded(self, samples: Samples) -> Iterator[Any]:
        for first in range(0, samples.shape[1], _FRAME):
            part = np.ascontiguousarray(samples[:, first : first + _FRAME])
            frame = av.AudioFrame.from_ndarray(part, "fltp", "stereo")
            frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
            frame.pts = self._done
            self._done += part.shape[1]
            yield from self._context.encode(frame)

    def _placed(self, pieces: Iterator[tuple[Fraction | None, Samples]]) -> Iterator[Samples]:
        """Pieces one behind the other, from the beginning of the clip on, without gaps."""
        jitter = round(_MOST_JITTER_S * self._rate)
        count = 0
        for time, piece in pieces:
            late = 0 if time is None else round((time - self._begin) * self._rate) - count
            if count and abs(late) <= jitter:
                late = 0
            while late > 0:  # a second at a time, however long it is
                silence = np.zeros((2, min(late, self._rate)), np.float32)
                count, late = count + silence.shape[1], late - silence.shape[1]
                yield silence
            kept = piece[:, min(-late, piece.shape[1]) :]
            if kept.shape[1]:
                count += kept.shape[1]
                yield kept


def _heard(packet: Any) -> Fraction:
    time: Fraction = packet.pts * Fraction(packet.time_base)
    return time


def _stereo(frames: Iterator[Any], rate: int) -> Iterator[tuple[Fraction | None, Samples]]:
    """Decoded sound in the form that is encoded, and when it is heard in the source."""
    resampler: Any = None
    form: tuple[Any, ...] | None = None
    for frame in frames:
        its_form = frame.format.name, frame.layout.name, frame.sample_rate
        if its_form != form:
            if resampler is not None:
                yield from _timed(resampler.resample(None))
            resampler = av.AudioResampler("fltp", "stereo", rate)
            form = its_form
        yield from _timed(resampler.resample(frame))
    if resampler is not None:
        yield from _timed(resampler.resample(None))


def _decoded(packets: Iterator[Any], warn: Callable[[str], None]) -> Iterator[Any]:
    """What can be decoded of a sound; of what cannot be, the first place is told.

    Before the first frame it is no damage: a decoder that begins in the middle may need more.
    """
    context: Any = None
    begun = warned = False
    for packet in packets:
        context = packet.stream.codec_context
        try:
            for frame in packet.decode():
                begun = True
                yield frame
        except (av.error.InvalidDataError, av.error.PatchWelcomeError) as error:
            if begun and not warned:
                warned = True
                warn(f"cannot be decoded at {as_time(_heard(packet))} ({reason(error)}); left out")
    if context is not None:
        yield from context.decode(None)


def _timed(frames: Iterable[Any]) -> Iterator[tuple[Fraction | None, Samples]]:
    for frame in frames:
        time = None if frame.pts is None else frame.pts * Fraction(frame.time_base)
        yield time, frame.to_ndarray()


# -- streams -------------------------------------------------------------------------------------


def _chosen(source: Any) -> Any:
    """The default sound, or the first one; None if no sound can be decoded."""
    known = [s for s in source.streams.audio if s.codec_context is not None]
    default = av.stream.Disposition.default
    return next((s for s in known if s.disposition & default), next(iter(known), None))


def _can_pass(stream: Any) -> bool:
    """Whether packets of a sound go into the clip as they are; MP4 itself is asked."""
    context = stream.codec_context
    if context.codec.canonical_name != "aac" or context.profile not in _PLAYED_PROFILES:
        return False
    try:
        with av.open(io.BytesIO(), "w", format="mp4") as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError, OSError):
        return False
    return True


def _aac_track(out: Any, stream: Any) -> Any:
    """A track for sound that is encoded, at the source's rate where browsers play it."""
    rate = 44100 if stream.codec_context.sample_rate % 11025 == 0 else 48000
    track = out.add_stream("aac", rate=rate, layout="stereo", format="fltp")
    track.bit_rate = _BIT_RATE
    track.codec_context.time_base = Fraction(1, rate)
    return track
