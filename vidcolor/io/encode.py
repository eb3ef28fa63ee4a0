"""Films out: source luma beside new chroma, and everything else of the source as it was."""

from __future__ import annotations

import logging
import os
import queue
import threading
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import av
import av.error
import numpy as np

from vidcolor.color.compose import ComposeConfig, chroma_planes
from vidcolor.errors import MediaError
from vidcolor.io.codecs import Encoding, OutputConfig, choose_encoding, encoder_rate
from vidcolor.io.matroska import TrackNotes, display_size, note_tracks
from vidcolor.io.planes import put_planes
from vidcolor.io.source import as_time, file_url, reason
from vidcolor.io.streams import OtherStreams
from vidcolor.io.target import Target
from vidcolor.records import Colored, Matrix, VideoInfo

__all__ = ["OutputConfig", "VideoWriter", "color_tags"]

_log = logging.getLogger(__name__)

_WAITING = 2
_POLL_S = 0.05
_LONGEST_REORDER_S = 60
_UNSPECIFIED = 2
_BT470BG = 5
_TAGS: dict[Matrix, tuple[int, int, int]] = {
    "bt601": (6, 6, 6),
    "bt709": (1, 1, 1),
    "bt2020": (9, 9, 14),
}
_Order = Literal["finish", "finish early", "abort"]


def color_tags(info: VideoInfo) -> tuple[int, int, int, int]:
    """FFmpeg's numbers of range, matrix, primaries and transfer for the output.

    They say what was really used to make chroma; what the source leaves open is filled with what
    belongs to the matrix.
    """
    spec = info.color
    matrix, primaries, transfer = _TAGS[spec.matrix]
    if spec.matrix == "bt601" and spec.primaries == _BT470BG:
        matrix = _BT470BG
    if spec.primaries != _UNSPECIFIED:
        primaries = spec.primaries
    if spec.transfer != _UNSPECIFIED:
        transfer = spec.transfer
    return (2 if spec.full_range else 1), matrix, primaries, transfer


class VideoWriter:
    """A colored film, encoded in a thread of its own.

    The Y plane given to the encoder is the decoded one, bit for bit (shifted up where the output
    is deeper). Every frame keeps its pts: exactly in mp4 and mov, and to the nearest millisecond
    in mkv, whose clock that is. Other streams pass as packets.

    The file is written under a hidden temporary name in its folder and renamed when the context
    ends without error; otherwise it is removed, or, with `keep_partial`, completed and named
    `STEM.partial.EXT`.

    Attributes:
        path: The output, `.mkv`, `.mp4` or `.mov`.
        frames: Frames encoded so far.

    Args:
        path: See above.
        source_path: The film from which the rest is copied; None copies nothing.
        info: Of the frames that will come.
        output: Codec and file rules.
        compose: How color is laid beside luma.
        span: `(start, duration)` in seconds, as the reader got them; times are shifted so that
            the part begins at 0.

    Raises:
        MediaError: On entering, if the output cannot be made as asked; from `write` and on
            leaving, if encoding or the disk fails.
    """

    def __init__(
        self,
        path: str | Path,
        source_path: str | Path | None,
        info: VideoInfo,
        output: OutputConfig | None = None,
        compose: ComposeConfig | None = None,
        span: tuple[float | None, float | None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.frames = 0
        self._source_path = None if source_path is None else Path(source_path)
        self._info = info
        self._output = output or OutputConfig()
        self._compose = compose or ComposeConfig()
        self._start, self._duration = span or (None, None)
        self._queue: queue.Queue[Colored | _Order] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._abort = threading.Event()
        self._last: int | None = None

    def __enter__(self) -> Self:
        encoding = choose_encoding(self.path, self._info, self._output)
        sources = () if self._source_path is None else (self._source_path,)
        self._target = Target(self.path, self._output.overwrite, sources)
        try:
            self._sink = _Sink(
                self.path,
                self._target.temporary,
                encoding,
                self._info,
                self._compose,
                self._source_path,
                (self._start, self._duration),
            )
        except BaseException:
            self._target.discard()
            raise
        self._thread = threading.Thread(target=self._work, name="vidcolor-encode", daemon=True)
        self._thread.start()
        return self

    def write(self, colored: Colored) -> None:
        """Hand over a batch; waits while the encoder is behind.

        Raises:
            MediaError: If encoding a batch before this one failed.
            ValueError: If the frames do not follow the ones before, or are of another size.
        """
        frames = colored.frames
        if frames.info.size != self._info.size:
            raise ValueError(f"frames are {frames.info.size}, the film is {self._info.size}")
        for pts in frames.pts:
            if self._last is not None and pts <= self._last:
                raise ValueError(f"pts {pts} does not follow {self._last}")
            self._last = pts
        self._hand_over(colored)

    def _hand_over(self, item: Colored | _Order) -> None:
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._finish()
        elif self._output.keep_partial and self._error is None:
            self._keep()
        else:
            self._abort.set()
            self._thread.join()
            self._target.discard()

    def _finish(self) -> None:
        try:
            self._hand_over("finish")
            self._thread.join()
            if self._error is not None:
                raise self._error
            damage = self._sink.damage
            if damage is None:
                self._target.land()
                return
            if self._output.keep_partial:
                self._say_kept(self._target.land_partial())
            raise damage
        finally:
            self._abort.set()
            self._thread.join()
            self._target.discard()

    def _keep(self) -> None:
        """Complete what is there, under a name that says so; the error on its way goes on."""
        try:
            self._hand_over("finish early")
            self._thread.join()
            if self._error is not None:
                raise self._error
            self._say_kept(self._target.land_partial())
        except (MediaError, OSError) as failure:
            _log.warning("%s: nothing could be kept (%s)", self.path, failure)
        finally:
            self._abort.set()
            self._thread.join()
            self._target.discard()

    def _say_kept(self, name: Path) -> None:
        reached = as_time(self._sink.reached)
        _log.warning("%s: kept %d frames, up to %s", name, self.frames, reached)

    def _work(self) -> None:
        """The encoding thread."""
        try:
            with self._sink as sink:
                while not self._abort.is_set():
                    try:
                        item = self._queue.get(timeout=_POLL_S)
                    except queue.Empty:
                        continue
                    if isinstance(item, str):
                        if not self.frames:
                            raise MediaError(f"{self.path}: no frames were written")
                        sink.finish(early=item == "finish early")
                        return
                    for number in range(len(item.frames)):
                        if self._abort.is_set():
                            return
                        sink.encode(item, number)
                        self.frames += 1
        except (av.error.FFmpegError, OSError, ValueError) as failure:
            if isinstance(failure, MediaError):
                self._error = failure
            else:
                self._error = MediaError(f"{self.path}: cannot be written ({reason(failure)})")
                self._error.__cause__ = failure
        except BaseException as failure:  # noqa: BLE001  (raised again where the film is written)
            self._error = failure


class _Sink:
    """The open output file; lives in the encoding thread once it is made.

    Attributes:
        reached: Time of the last frame encoded, in the source's clock.
        damage: What was wrong with the source's other streams, once the file is finished.
    """

    def __init__(
        self,
        path: Path,
        temporary: Path,
        encoding: Encoding,
        info: VideoInfo,
        compose: ComposeConfig,
        source: Path | None,
        span: tuple[float | None, float | None],
    ) -> None:
        self._encoding, self._info, self._compose = encoding, info, compose
        self._path, self._temporary = path, temporary
        self._others: OtherStreams | None = None
        self._out: Any = None
        self._shift = 0
        self.reached = Fraction(0)
        self.damage: MediaError | None = None
        try:
            if source is not None:
                self._others = OtherStreams(source, encoding.container, *span)
                self._shift = self._others.span.ticks(info.time_base)
            self._open(path, temporary)
        except BaseException:
            self._close(quietly=True)
            raise

    def _open(self, path: Path, temporary: Path) -> None:
        encoding, others = self._encoding, self._others
        if encoding.name == "av1":
            os.environ.setdefault("SVT_LOG", "1")  # its only switch for chatter
        container_options = {} if others is None else others.container_options
        try:
            self._out = av.open(
                file_url(temporary),
                "w",
                format=encoding.container,
                container_options=container_options,
            )
            if others is None:
                self._stream = self._add_picture()
            else:
                self._stream = others.add_to(self._out, self._add_picture)
            self._out.start_encoding()
        except (av.error.FFmpegError, ValueError, OSError) as error:
            if isinstance(error, MediaError):
                raise
            info = self._info
            raise MediaError(
                f"{path}: {encoding.codec.encoder} cannot encode {info.width}x{info.height} "
                f"{encoding.pix_fmt} into {encoding.extension[1:]} with "
                f"{_listed(encoding.options)} ({reason(error)})"
            ) from error

    def _add_picture(self) -> Any:
        encoding, info = self._encoding, self._info
        stream = self._out.add_stream(
            encoding.codec.encoder, rate=encoder_rate(info), options=dict(encoding.options)
        )
        stream.width, stream.height, stream.pix_fmt = info.width, info.height, encoding.pix_fmt
        context = stream.codec_context
        context.time_base = info.time_base  # the encoder's clock, and only this, keeps VFR exact
        context.sample_aspect_ratio = info.sample_aspect
        (
            context.color_range,
            context.colorspace,
            context.color_primaries,
            context.color_trc,
        ) = self._tags = color_tags(info)
        if encoding.name == "h265" and encoding.container != "matroska":
            context.codec_tag = "hvc1"  # players by Apple know no other
        if info.rotation:
            stream.set_display_rotation(info.rotation)
        return stream

    def encode(self, colored: Colored, number: int) -> None:
        """Encode one frame of a batch, and write what of the other streams is due by then."""
        encoding, info = self._encoding, self._info
        frames, chroma = colored.frames, colored.chroma
        luma = frames.luma[number, 0].numpy()
        blue, red = chroma_planes(
            luma,
            chroma.ab[number].numpy(),
            chroma.lightness[number, 0].numpy(),
            frames.info.color,
            encoding.layout,
            self._compose,
        )
        depth = encoding.layout.bits
        if depth > 8:
            luma = luma.astype(np.uint16) << (depth - frames.info.color.bits)
        picture = av.VideoFrame(info.width, info.height, encoding.pix_fmt)
        put_planes(picture, (luma, blue, red))
        pts = frames.pts[number]
        picture.pts, picture.time_base = pts - self._shift, info.time_base
        (
            picture.color_range,
            picture.colorspace,
            picture.color_primaries,
            picture.color_trc,
        ) = self._tags
        self._mux(self._stream.encode(picture))
        self.reached = pts * info.time_base

    def _mux(self, packets: Any) -> None:
        longest = _LONGEST_REORDER_S / self._info.time_base
        for packet in packets:
            if packet.pts is not None and not 0 <= packet.pts - (packet.dts or 0) <= longest:
                packet.dts = packet.pts  # x265 leaves it to chance in films of one or two frames
            if self._others is not None and packet.dts is not None:
                due = (packet.dts + self._shift) * Fraction(packet.time_base)
                self._others.write_until(self._out, due)
            self._out.mux(packet)

    def finish(self, early: bool) -> None:
        """Flush the encoder and write the rest; `early`: of the other streams only what is due."""
        self._mux(self._stream.encode(None))
        if self._others is not None:
            self._others.write_until(self._out, self.reached if early else None)
            self.damage = self._others.damage
        notes = self._notes()
        self._close(quietly=False)
        if notes is not None and not note_tracks(self._temporary, notes):
            _log.warning("%s: no room in its header for pixel aspect or delay of sound", self._path)

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
        return TrackNotes(
            numbers[self._stream.index], display, {numbers[i]: d for i, d in delays.items()}
        )

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


def _listed(options: dict[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items()) or "no options"
