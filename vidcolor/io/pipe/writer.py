"""Films into a pipe: NUT, Matroska or y4m, written once, from the first byte to the last."""

from __future__ import annotations

import errno
import logging
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from vidcolor.errors import MediaError
from vidcolor.io.codecs import Encoding, OutputConfig
from vidcolor.io.encode import FilmSink, Order
from vidcolor.io.encode_thread import EncodeThread, Sink
from vidcolor.io.film_file import FilmFile
from vidcolor.io.frame_planes import Planes
from vidcolor.io.other_packets import OtherPackets, PacketsOfFile
from vidcolor.io.pipe.ends import PipeOut
from vidcolor.io.pipe.y4m import Y4mSink
from vidcolor.records import VideoInfo

__all__ = ["PipeWriter", "choose_format"]

_log = logging.getLogger(__name__)

_SUFFIXES = {".y4m": "y4m", ".nut": "nut", ".mkv": "matroska"}
_IN_ORDER = {
    "h264": ("bf", "0"),
    "h265": ("x265-params", "bframes=0"),
    "h264_nvenc": ("bf", "0"),
    "hevc_nvenc": ("bf", "0"),
}
"""Options by which an encoder sends pictures in the order in which they are shown: NUT knows no
time before zero, at which those would have to be decoded that others refer to."""
_SQUARE = ("ffv1", "av1")
"""Codecs that leave the shape of pixels to the container."""
T = TypeVar("T")


def choose_format(wanted: str, output: str | Path, codec: str, from_y4m: bool) -> str:
    """What the pipe carries.

    Args:
        wanted: One of `PIPE_FORMATS`, or "auto".
        output: As the user named it; a FIFO may have a suffix.
        codec: Of the picture, as asked for.
        from_y4m: The film comes as y4m.
    """
    if wanted != "auto":
        return wanted
    suffix = Path(output).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if from_y4m and codec == "auto":
        return "y4m"
    return "matroska" if codec in ("ffv1", "prores") else "nut"


class PipeWriter(Generic[T]):
    """A film that is sent while it is made, by a thread of its own.

    Planes, times and other streams are as `VideoWriter` has them. y4m is picture only.

    Args:
        pipe: Where it goes; the writer does not close it.
        kind: One of `PIPE_FORMATS`.
        source: The film from which the rest is copied, or its packets; None copies nothing.
        info: Of the frames that will come.
        planes: What batches are, and how they become planes.
        output: Codec.
        span: `(start, duration)` in seconds, as the reader got them.

    Raises:
        MediaError: On entering, if the film cannot be sent like that; from `write` and on leaving,
            if encoding fails, or the source's other streams are damaged.
        BrokenPipeError: From `write` and on leaving, if nobody reads any more.
    """

    def __init__(
        self,
        pipe: PipeOut,
        kind: str,
        source: Path | OtherPackets | None,
        info: VideoInfo,
        planes: Planes[T],
        output: OutputConfig,
        span: tuple[float | None, float | None] = (None, None),
    ) -> None:
        self._pipe, self._kind = pipe, kind
        self._source, self._span = source, span
        self._info, self._planes, self._output = info, planes, output
        self._order = Order(info)
        self._film: FilmFile | None = None
        self._early = False
        self._thread: EncodeThread[T] | None = None

    @property
    def frames(self) -> int:
        """Frames sent so far."""
        return 0 if self._thread is None else self._thread.frames

    def __enter__(self) -> Self:
        self._thread = EncodeThread(self._pipe.path, self._sink())
        return self

    def write(self, batch: T) -> None:
        """Hand over a batch; waits while the other side is behind.

        Raises:
            MediaError: If encoding a batch before this one failed.
            BrokenPipeError: If nobody reads any more.
            ValueError: If the frames do not follow the ones before, or are of another size.
        """
        frames = self._planes.frames(batch)
        self._order.check(frames)
        try:
            self._running().put(batch, len(frames))
        except MediaError:
            self._must_be_read()
            raise

    def break_off(self) -> None:
        """No more frames come, though the film goes on: of its other streams send what is due."""
        self._early = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        thread = self._running()
        try:
            if kind is None:
                thread.finish(self._early)
                if self._film is not None and self._film.damage is not None:
                    raise self._film.damage
        except MediaError:
            self._must_be_read()
            raise
        finally:
            if kind is not None:
                self._pipe.cancel()  # the thread may wait for a reader that has stalled
            thread.stop()

    def _must_be_read(self) -> None:
        if self._pipe.broken:
            text = os.strerror(errno.EPIPE)
            raise BrokenPipeError(errno.EPIPE, text, str(self._pipe.path)) from None

    def _sink(self) -> Sink[T]:
        encoding = self._encoding()
        _unsaid(self._pipe, encoding, self._info, self._kind)
        if self._kind == "y4m":
            _picture_only(self._pipe, self._source)
            return Y4mSink(self._pipe, encoding, self._info, self._planes)
        try:
            self._film = FilmFile(
                self._pipe.path, self._pipe, encoding, self._info, self._source, self._span
            )
        except MediaError:
            self._must_be_read()
            raise
        return FilmSink(self._pipe.path, self._film, encoding, self._planes)

    def _encoding(self) -> Encoding:
        """The encoding of a Matroska file, changed to what the pipe carries."""
        output = replace(self._output, format="auto")
        if self._kind == "y4m":
            if output.codec != "auto" or output.crf is not None or output.preset is not None:
                raise MediaError(
                    f"{self._pipe.path}: y4m is not encoded; leave out codec, crf and preset, or "
                    "use --format nut or matroska"
                )
            output = replace(output, codec="ffv1")
        stand_in = Path("pipe.mkv")
        try:
            encoding = self._planes.encoding(stand_in, self._info, output)
        except MediaError as error:
            message = str(error).removeprefix(f"{stand_in}: ")
            raise MediaError(f"{self._pipe.path}: {message}") from error
        if self._kind != "nut":
            return encoding
        return replace(encoding, container="nut", options=_in_order(encoding))

    def _running(self) -> EncodeThread[T]:
        if self._thread is None:
            raise RuntimeError("the writer is not open")
        return self._thread


def _in_order(encoding: Encoding) -> dict[str, str]:
    options = dict(encoding.options)
    name, value = _IN_ORDER.get(encoding.name, ("", ""))
    if name:
        options[name] = f"{options[name]}:{value}" if name in options else value
    return options


def _picture_only(pipe: PipeOut, source: Path | OtherPackets | None) -> None:
    """Say what of the source y4m leaves out."""
    if source is None:
        return
    opened = PacketsOfFile(source) if isinstance(source, Path) else source
    try:
        kinds = Counter(s.type for s in opened.container.streams if s is not opened.picture)
    finally:
        opened.close()
    if kinds:
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        _log.warning("%s: y4m holds nothing but the picture; left out: %s", pipe.path, found)


def _unsaid(pipe: PipeOut, encoding: Encoding, info: VideoInfo, kind: str) -> None:
    """Say what of the picture nobody behind the pipe can know."""
    if kind == "nut" and encoding.name == "ffv1":
        _log.warning(
            "%s: ffv1 in nut does not say the range and matrix of its codes (here: %s, %s); use "
            "--format matroska",
            pipe.path,
            "full" if info.color.full_range else "limited",
            info.color.matrix,
        )
    if kind == "nut" and encoding.name in _SQUARE and info.sample_aspect != 1:
        _log.warning(
            "%s: %s in nut does not say that its pixels are %d:%d; use --format matroska",
            pipe.path,
            encoding.name,
            info.sample_aspect.numerator,
            info.sample_aspect.denominator,
        )
    if kind != "matroska" and info.rotation:
        _log.warning(
            "%s: the picture is to be turned by %d degrees, which %s cannot say",
            pipe.path,
            info.rotation,
            kind,
        )
