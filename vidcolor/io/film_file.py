"""The file of a film: packets of the picture, wherever they come from, and all the rest."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.error

from vidcolor.errors import MediaError
from vidcolor.io.codecs import Encoding
from vidcolor.io.matroska import TrackNotes, display_size, note_tracks, with_notes
from vidcolor.io.other_packets import OtherPackets
from vidcolor.io.picture import PictureEncoder
from vidcolor.io.pipe.ends import PipeOut
from vidcolor.io.source import as_time, file_url, reason
from vidcolor.io.streams import OtherStreams
from vidcolor.io.target import Target
from vidcolor.records import VideoInfo

__all__ = ["FilmFile", "open_encoder"]

_log = logging.getLogger(__name__)

_LONGEST_REORDER_S = 60
_LIVE = {"flush_packets": "1", "max_interleave_delta": "500000"}
"""Whoever reads a pipe sees packets soon, and does not wait for a subtitle that never comes."""


class FilmFile:
    """The open output: whoever has packets of the picture writes them here.

    The packets come from `encoder`, or were made earlier by another encoder with the same
    settings and the same header. Packets of the other streams are copied in between, as they
    become due.

    Attributes:
        encoder: The picture's, in this very file.
        shift: Ticks to take off the source's pts, so that the part begins at 0.
        reached: Time of the last frame written, in the source's clock.
        damage: What was wrong with the source's other streams, once the file is finished.

    Args:
        path: The output as the user named it, for messages.
        target: The file that is written, or the end of a pipe.
        encoding: Of the picture.
        info: Of the frames.
        source: The film from which the rest is copied, or its packets; None copies nothing.
        span: `(start, duration)` in seconds of the part.

    Raises:
        MediaError: If encoder, container and film do not go together, or the source is unreadable.
    """

    def __init__(
        self,
        path: Path,
        target: Path | PipeOut,
        encoding: Encoding,
        info: VideoInfo,
        source: Path | OtherPackets | None,
        span: tuple[float | None, float | None] = (None, None),
    ) -> None:
        self._encoding, self._info = encoding, info
        self._path, self._target = path, target
        self._others: OtherStreams | None = None
        self._out: Any = None
        self.shift = 0
        self.reached = Fraction(0)
        self.damage: MediaError | None = None
        try:
            if source is not None:
                passing = not isinstance(target, Path)
                self._others = OtherStreams(source, encoding.container, *span, passing)
                self.shift = self._others.span.ticks(info.time_base)
            self._open()
        except BaseException:
            self._close(quietly=True)
            raise

    def _open(self) -> None:
        others = self._others
        options = {} if others is None else others.container_options

        def add_picture() -> Any:
            self.encoder = PictureEncoder(self._out, self._encoding, self._info)
            return self.encoder.stream

        try:
            self._out = self._container(options)
            if others is None:
                add_picture()
            else:
                others.add_to(self._out, add_picture)
            self._start()
        except (av.error.FFmpegError, ValueError, OSError) as error:
            if isinstance(error, MediaError):
                raise
            raise _refused(self._path, self._encoding, self._info, error) from error

    def _container(self, options: dict[str, str]) -> Any:
        kind, target = self._encoding.container, self._target
        if isinstance(target, Path):
            return av.open(file_url(target), "w", format=kind, container_options=options)
        return av.open(_WriteOnly(target), "w", format=kind, container_options=options | _LIVE)

    def _start(self) -> None:
        """Write the header; in a pipe nothing can be added to it later."""
        if isinstance(self._target, Path):
            self._out.start_encoding()
            return
        self._target.hold()
        self._out.start_encoding()
        self._target.release(self._noted)

    def _noted(self, header: bytes) -> bytes:
        notes = self._notes()
        noted = header if notes is None else with_notes(header, notes)
        if noted is None:
            _log.warning("%s: no room in its header for pixel aspect", self._path)
        return noted or header

    def write(self, packets: Iterable[Any], reached: Fraction) -> None:
        """Write packets of the picture, and what of the other streams is due by then.

        Args:
            packets: In the order of decoding, in a clock lowered by `shift`.
            reached: Time of the last frame that went into them, in the source's clock.
        """
        longest = _LONGEST_REORDER_S / self._info.time_base
        for packet in packets:
            if packet.pts is not None and not 0 <= packet.pts - (packet.dts or 0) <= longest:
                packet.dts = packet.pts  # x265 leaves it to chance in films of one or two frames
            if self._others is not None and packet.dts is not None:
                due = (packet.dts + self.shift) * Fraction(packet.time_base)
                self._others.write_until(self._out, due)
            self._out.mux(packet)
        self.reached = reached

    def finish(self, early: bool = False) -> None:
        """Write the rest and close; `early`: of the other streams only what is due."""
        if self._others is not None:
            self._others.write_until(self._out, self.reached if early else None)
            self.damage = self._others.damage
        notes = self._notes()
        self._close(quietly=False)
        if notes is None or not isinstance(self._target, Path):
            return
        if not note_tracks(self._target, notes):
            _log.warning("%s: no room in its header for pixel aspect or delay of sound", self._path)

    def land(self, target: Target, frames: int, keep_partial: bool) -> None:
        """Give the finished file its name.

        Raises:
            MediaError: If that fails, or the source's other streams were damaged; what was copied
                up to there is then kept under another name if `keep_partial`.
        """
        if self.damage is None:
            target.land()
            return
        if keep_partial:
            self.land_partial(target, frames)
        raise self.damage

    def land_partial(self, target: Target, frames: int) -> None:
        """Give the finished file a name that says that something is missing."""
        name = target.land_partial()
        _log.warning("%s: kept %d frames, up to %s", name, frames, as_time(self.reached))

    def _notes(self) -> TrackNotes | None:
        """What must be added to the header of a Matroska file."""
        if self._encoding.container != "matroska":
            return None
        info = self._info
        display = display_size(info.width, info.height, info.sample_aspect)
        delays = {} if self._others is None else self._others.delays()
        if display is None and not delays:
            return None
        tracks = [s.index for s in self._out.streams if s.type != "attachment"]
        numbers = {index: number for number, index in enumerate(tracks, 1)}
        picture = numbers[self.encoder.stream.index]
        return TrackNotes(picture, display, {numbers[i]: d for i, d in delays.items()})

    def _close(self, quietly: bool) -> None:
        out, self._out = self._out, None
        others, self._others = self._others, None
        try:
            if out is not None:
                out.close()
        except (av.error.FFmpegError, ValueError, OSError):
            if not quietly:
                raise
        finally:
            if others is not None:
                others.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(quietly=True)


class _WriteOnly:
    """What FFmpeg sees of a pipe: it cannot seek in it, and does not close it."""

    def __init__(self, pipe: PipeOut) -> None:
        self.write = pipe.write


def open_encoder(path: Path, out: Any, encoding: Encoding, info: VideoInfo) -> PictureEncoder:
    """An encoder that is open, in a container that gets nothing else.

    Raises:
        MediaError: If encoder and film do not go together.
    """
    try:
        encoder = PictureEncoder(out, encoding, info)
        out.start_encoding()
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise _refused(path, encoding, info, error) from error
    return encoder


def _refused(path: Path, encoding: Encoding, info: VideoInfo, error: BaseException) -> MediaError:
    codec = encoding.codec
    if codec.software is not None and isinstance(error, PermissionError):
        return MediaError(
            f"{path}: {codec.encoder} needs an NVIDIA GPU and its driver, and no driver was found; "
            f"install it, or use --codec {codec.software}"
        )
    options = " ".join(f"{key}={value}" for key, value in encoding.options.items())
    instead = "" if codec.software is None else f"; --codec {codec.software} needs no GPU"
    return MediaError(
        f"{path}: {codec.encoder} cannot encode {info.width}x{info.height} "
        f"{encoding.pix_fmt} into {encoding.extension[1:]} with {options or 'no options'} "
        f"({reason(error)}){instead}"
    )
