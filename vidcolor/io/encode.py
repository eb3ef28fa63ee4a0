"""Films out: a picture encoded anew, and everything else of the source as it was."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from vidcolor.errors import MediaError
from vidcolor.io.codecs import Encoding, OutputConfig, color_tags
from vidcolor.io.encode_thread import EncodeThread
from vidcolor.io.film_file import FilmFile
from vidcolor.io.frame_planes import Planes
from vidcolor.io.other_packets import OtherPackets
from vidcolor.io.target import Target
from vidcolor.records import FrameBatch, VideoInfo

__all__ = ["FilmSink", "Order", "OutputConfig", "VideoWriter", "color_tags"]

_log = logging.getLogger(__name__)
T = TypeVar("T")


class VideoWriter(Generic[T]):
    """A film, encoded in a thread of its own.

    What the encoder gets of a batch is up to `planes`: `ColoredPlanes` lays new chroma beside
    luma, `SourcePlanes` takes frames as they are. Either way the Y plane is that of the frames,
    bit for bit (shifted up where the output is deeper). Every frame keeps its pts: exactly in mp4
    and mov, and to the nearest millisecond in mkv, whose clock that is. Other streams pass as
    packets.

    The file is written under a hidden temporary name in its folder and renamed when the context
    ends without error; otherwise it is removed, or, with `keep_partial`, completed and named
    `STEM.partial.EXT`.

    Attributes:
        path: The output, `.mkv`, `.mp4` or `.mov`.

    Args:
        path: See above.
        source: The film from which the rest is copied, or its packets; None copies nothing.
        info: Of the frames that will come.
        planes: What batches are, and how they become planes.
        output: Codec and file rules.
        span: `(start, duration)` in seconds, as the reader got them; times are shifted so that
            the part begins at 0.

    Raises:
        MediaError: On entering, if the output cannot be made as asked; from `write` and on
            leaving, if encoding or the disk fails.
    """

    def __init__(
        self,
        path: str | Path,
        source: str | Path | OtherPackets | None,
        info: VideoInfo,
        planes: Planes[T],
        output: OutputConfig | None = None,
        span: tuple[float | None, float | None] | None = None,
    ) -> None:
        self.path = Path(path)
        self._source = Path(source) if isinstance(source, str) else source
        self._info = info
        self._output = output or OutputConfig()
        self._planes = planes
        self._span = span or (None, None)
        self._order = Order(info)
        self._thread: EncodeThread[T] | None = None

    @property
    def frames(self) -> int:
        """Frames encoded so far."""
        return 0 if self._thread is None else self._thread.frames

    def __enter__(self) -> Self:
        encoding = self._planes.encoding(self.path, self._info, self._output)
        sources = (self._source,) if isinstance(self._source, Path) else ()
        self._target = Target(self.path, self._output.overwrite, sources)
        try:
            self._film = FilmFile(
                self.path,
                self._target.temporary,
                encoding,
                self._info,
                self._source,
                self._span,
            )
        except BaseException:
            self._target.discard()
            raise
        sink = FilmSink(self.path, self._film, encoding, self._planes)
        self._thread = EncodeThread(self.path, sink)
        return self

    def write(self, batch: T) -> None:
        """Hand over a batch; waits while the encoder is behind.

        Raises:
            MediaError: If encoding a batch before this one failed.
            ValueError: If the frames do not follow the ones before, or are of another size.
        """
        frames = self._planes.frames(batch)
        self._order.check(frames)
        self._running().put(batch, len(frames))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        thread = self._running()
        try:
            if kind is None:
                thread.finish()
                self._film.land(self._target, thread.frames, self._output.keep_partial)
            elif self._output.keep_partial and thread.error is None:
                self._keep(thread)
        finally:
            thread.stop()
            self._target.discard()

    def _keep(self, thread: EncodeThread[T]) -> None:
        """Complete what is there, under a name that says so; the error on its way goes on."""
        try:
            thread.finish(early=True)
            self._film.land_partial(self._target, thread.frames)
        except (MediaError, OSError) as failure:
            _log.warning("%s: nothing could be kept (%s)", self.path, failure)

    def _running(self) -> EncodeThread[T]:
        if self._thread is None:
            raise RuntimeError("the writer is not open")
        return self._thread


class Order:
    """Frames of one size, one after the other.

    Args:
        info: Of the frames that will come.
    """

    def __init__(self, info: VideoInfo) -> None:
        self._info = info
        self._last: int | None = None

    def check(self, frames: FrameBatch) -> None:
        """Look at the next batch.

        Raises:
            ValueError: If it does not follow the one before, or is of another size.
        """
        if frames.info.size != self._info.size:
            raise ValueError(f"frames are {frames.info.size}, the film is {self._info.size}")
        for pts in frames.pts:
            if self._last is not None and pts <= self._last:
                raise ValueError(f"pts {pts} does not follow {self._last}")
            self._last = pts


class FilmSink(Generic[T]):
    """Straight from the encoder into the film.

    Args:
        path: The output, for messages.
        film: Where packets go.
        encoding: Of the picture.
        planes: What batches are, and how they become planes.
    """

    def __init__(self, path: Path, film: FilmFile, encoding: Encoding, planes: Planes[T]) -> None:
        self._path, self._film = path, film
        self._encoding, self._planes = encoding, planes
        self._empty = True

    def encode(self, batch: T, number: int, /) -> None:
        """Encode frame `number` of a batch."""
        film, frames = self._film, self._planes.frames(batch)
        laid = self._planes.lay(batch, number, self._encoding)
        packets = film.encoder.encode(laid, frames.pts[number] - film.shift)
        film.write(packets, frames.pts[number] * frames.info.time_base)
        self._empty = False

    def finish(self, early: bool, /) -> None:
        """Complete the film."""
        if self._empty:
            raise MediaError(f"{self._path}: no frames were written")
        self._film.write(self._film.encoder.flush(), self._film.reached)
        self._film.finish(early)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._film.__exit__(kind, error, trace)
