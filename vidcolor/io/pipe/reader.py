"""Films out of a pipe: read once, from the first byte to the last one that is wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self, cast

import av.error

from vidcolor.errors import MediaError
from vidcolor.io.decode import damaged, decode
from vidcolor.io.demuxer import open_container
from vidcolor.io.input_config import InputConfig
from vidcolor.io.pipe.ends import PipeIn
from vidcolor.io.pipe.packets import PacketsOfPipe
from vidcolor.io.source import Span, picture_of, reason
from vidcolor.io.video import VideoReader

__all__ = ["PipeReader"]

_Y4M = "yuv4mpegpipe"
_BOX = 8
_FARTHEST_BOX = 1 << 16
_CONTENT, _INDEX = b"mdat", b"moov"


class PipeReader(VideoReader):
    """A film as batches of luma, as `VideoReader` gives them, from `-`, a FIFO or a device.

    Whatever FFmpeg reads without going back: y4m, NUT, Matroska, MPEG-TS, fragmented MP4, ...
    Frames before `config.start` are decoded and dropped; behind the end of `config.duration`
    nothing is waited for. Where the other side breaks off in the middle of a frame or block, that
    is damage.

    Attributes:
        packets: All that is not picture, for the writer; known once the film is open.

    Args:
        path: `-`, a FIFO or a device.
        config: Part and batch size.

    Raises:
        MediaError: As `VideoReader`, and if `path` is a terminal, or a film of a kind that can be
            read only as a file.
    """

    packets: PacketsOfPipe

    def __init__(self, path: str | Path, config: InputConfig | None = None) -> None:
        super().__init__(path, config)
        self._source = path
        self._pipe: PipeIn | None = None

    @property
    def is_y4m(self) -> bool:
        """Whether it is a y4m stream, which has nothing but a picture."""
        return bool(self.packets.format.name == _Y4M)

    def __enter__(self) -> Self:
        self._pipe = pipe = PipeIn(self._source)
        self.path = pipe.path
        try:
            return super().__enter__()
        except BaseException:
            pipe.close()
            if pipe.interrupted is not None:
                raise pipe.interrupted from None
            raise

    def cancel(self) -> None:
        """Let a thread that waits for frames go on, as if the film ended here."""
        if self._pipe is not None:
            self._pipe.cancel()

    def _open(self) -> None:
        pipe = cast(PipeIn, self._pipe)
        _must_be_readable_once(pipe)
        try:
            self._container = open_container(cast(Any, _ReadOnly(pipe)))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, MediaError):
                raise
            raise MediaError(
                f"{self.path}: is no film that FFmpeg can read from a pipe ({reason(error)}); "
                "send y4m, nut or matroska"
            ) from error
        self._stream = picture_of(self.path, self._container)
        span = Span.of(self._stream, self.config.start, self.config.duration)
        self.packets = PacketsOfPipe(self.path, self._container, self._stream, span.first)

    def _close(self) -> None:
        self.cancel()
        super()._close()
        if self._pipe is not None:
            self._pipe.close()

    def _decoded_from(self, first: Fraction | None) -> Iterator[Any]:
        """All frames: there is no going to a key frame."""
        yield from self._decoded(partial=False)

    def _decoded(self, partial: bool) -> Generator[Any]:
        reached: int | None = None
        frames = decode(self.path, self.packets, self._stream, not partial, self._warn)
        with contextlib.closing(frames):
            for frame in frames:
                reached = frame.pts if frame.pts is not None else reached
                yield frame
        missing = cast(PipeIn, self._pipe).missing()
        if missing is not None:
            raise damaged(self.path, reached, self._time_base, missing)


class _ReadOnly:
    """What FFmpeg sees of a pipe: it cannot seek in it, and does not close it."""

    def __init__(self, pipe: PipeIn) -> None:
        self.read = pipe.read


def _must_be_readable_once(pipe: PipeIn) -> None:
    """Refuse what comes from nowhere, and an MP4 whose index lies behind its content.

    Raises:
        MediaError: One line each.
    """
    head = pipe.head(_BOX)
    if not head:
        if pipe.interrupted is not None:
            raise pipe.interrupted
        raise MediaError(f"{pipe.path}: is empty; nothing came out of the program before the pipe")
    at = 0
    while head[at + 4 : at + _BOX] not in (_CONTENT, _INDEX):
        size = int.from_bytes(head[at : at + 4], "big")
        if head[4:_BOX] != b"ftyp" or size < _BOX or at + size > _FARTHEST_BOX:
            return
        at += size
        head = pipe.head(at + _BOX)
        if len(head) < at + _BOX:
            return
    if head[at + 4 : at + _BOX] == _CONTENT:
        raise MediaError(
            f"{pipe.path}: is an MP4 whose index lies at its end, which cannot come through a "
            "pipe; give the file itself, or send matroska or nut"
        )
