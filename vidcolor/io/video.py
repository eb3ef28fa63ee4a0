"""Films in: decoded luma with its own clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av.error
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.errors import MediaError
from vidcolor.io.decode import decode
from vidcolor.io.film_info import color_warnings, describe_film
from vidcolor.io.film_part import FilmPart
from vidcolor.io.input_config import InputConfig
from vidcolor.io.planes import (
    Codes,
    PixelLayout,
    chroma_share,
    codes_of,
    is_transparent,
    layout_of,
    luma_of,
    subsampling_of,
)
from vidcolor.io.source import Span, as_time, open_source, seconds
from vidcolor.io.source_format import SourceFormat, describe_source
from vidcolor.records import FrameBatch, VideoInfo

__all__ = ["VideoReader"]

Array = npt.NDArray[Any]

_log = logging.getLogger(__name__)

_COLOR_SHARE = 0.02
_RETREAT_S = 10


class VideoReader:
    """A film as batches of luma, in order, each frame once, each with the source's own pts.

    Use as a context manager and iterate once. Codes are copied from the decoder's luma plane as
    they are; RGB sources get Y' by BT.709, full range. Times that are missing, repeated or run
    backward are repaired, and a warning says so.

    Attributes:
        path: The file.
        config: Part and batch size.
        part: Frames by number, counted from the first one that `config` wants; None: all of them.
        keep_chroma: Whether frames come with their color as stored, `chroma` or `rgb`: for an
            output in which only repaired places differ.

    Raises:
        MediaError: On entering, if the file is missing, empty, encrypted, no film, or has no
            frames in the part; while iterating, if it is damaged or cut off (the message has the
            time reached; frames up to there have been yielded), or its size or depth changes.
        MisplacedFrame: If a frame of `part` has another pts than listed there.
    """

    def __init__(
        self,
        path: str | Path,
        config: InputConfig | None = None,
        part: FilmPart | None = None,
        keep_chroma: bool = False,
    ) -> None:
        self.path = Path(path)
        self.config = config or InputConfig()
        self.part = part
        self.keep_chroma = keep_chroma
        self._lock = threading.Lock()
        self._container: Any = None
        self._info: VideoInfo | None = None
        self._layout: PixelLayout | None = None
        self._format: SourceFormat | None = None
        self._colored = False
        self._warned: set[str] = set()

    def __enter__(self) -> Self:
        self._open()
        try:
            self._time_base = Fraction(self._stream.time_base)
            self._span = Span.of(self._stream, self.config.start, self.config.duration)
            self._frames = self._wanted() if self.part is None else self._numbered(self.part)
            self._first = next(self._frames, None)
            if self._first is None:
                raise MediaError(self._nothing())
            self._info = self._describe(self._first[0])
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _open(self) -> None:
        self._container, self._stream = self._film()

    def _film(self) -> tuple[Any, Any]:
        # a GPU lays chroma in another order, and what is kept shall be as it is stored
        hwaccel = "none" if self.keep_chroma else self.config.hwaccel
        return open_source(self.path, hwaccel)

    def _close(self) -> None:
        with self._lock:  # a prefetching thread may be in the decoder
            if self._container is not None:
                self._container.close()
            self._container = None

    @property
    def info(self) -> VideoInfo:
        """What all frames share; known once the film is open."""
        if self._info is None:
            raise RuntimeError("the reader is not open")
        return self._info

    @property
    def source_format(self) -> SourceFormat:
        """How the picture is stored; known once the film is open with `keep_chroma`."""
        if self._format is None:
            raise RuntimeError("the reader is not open, or does not keep chroma")
        return self._format

    @property
    def has_color(self) -> bool:
        """Whether a frame decoded so far had color; the first one is looked at on opening."""
        return self._colored

    @property
    def frames_estimate(self) -> int | None:
        """About how many frames will come, as the file says of itself; None if it does not say."""
        if self.part is not None and self.part.frames is not None:
            return self.part.frames
        stream, rate = self._stream, self.info.rate
        length: Fraction | None = None
        if stream.duration:
            length = stream.duration * self._time_base
        elif self._container is not None and self._container.duration:
            length = Fraction(self._container.duration, 1_000_000)
        total = stream.frames or (None if length is None else round(length * rate))
        if self.config.start is None and self.config.duration is None:
            return total or None
        part = (
            None
            if total is None
            else max(Fraction(0), total - rate * seconds(self.config.start or 0))
        )
        if self.config.duration is not None:
            wanted = rate * seconds(self.config.duration)
            part = wanted if part is None else min(part, wanted)
        return None if part is None else max(1, round(part))

    def __iter__(self) -> Iterator[FrameBatch]:
        info = self.info
        number = 0 if self.part is None else self.part.index
        while True:
            with self._lock:
                if self._container is None:
                    return
                batch, failure = self._batch(info, number)
            if batch is not None:
                number += len(batch)
                yield batch
            if failure is not None:
                raise failure
            if batch is None:
                return

    def _batch(self, info: VideoInfo, number: int) -> tuple[FrameBatch | None, MediaError | None]:
        """Up to a batch of frames, and what went wrong after them."""
        luma: Array | None = None
        chroma: list[Array | None] = []
        rgb: list[Array | None] = []
        times: list[int] = []
        failure: MediaError | None = None
        assert self._layout is not None
        most = self.config.frames_of(info)
        try:
            while len(times) < most:
                following = self._first or next(self._frames, None)
                self._first = None
                if following is None:
                    break
                frame, pts = following
                if self.part is not None:
                    if times and number + len(times) in self.part.breaks:
                        self._first = following
                        break
                    self.part.check(self.path, number + len(times), pts)
                self._must_match(frame, pts)
                self._look_for_color(frame)
                codes = self._codes(frame, self._layout)
                if luma is None:
                    luma = np.empty((most, 1, *info.size), codes.luma.dtype)
                # at once: it still lies in the cache, and the decoder gets its frame back
                luma[len(times), 0] = codes.luma
                chroma.append(codes.chroma)
                rgb.append(codes.rgb)
                times.append(pts)
        except MediaError as error:
            failure = error
        if luma is None:
            return None, failure
        batch = FrameBatch(
            torch.from_numpy(luma[: len(times)]),
            tuple(times),
            info,
            index=number,
            start=number,
            chroma=_joined(chroma),
            rgb=_joined(rgb),
        )
        return batch, failure

    def _codes(self, frame: Any, layout: PixelLayout) -> Codes:
        return codes_of(frame, layout) if self.keep_chroma else Codes(luma_of(frame, layout))

    # -- what the frames are -------------------------------------------------------------------

    def _describe(self, frame: Any) -> VideoInfo:
        """The record of the film, from its first frame and its stream."""
        layout = layout_of(frame.format)
        self._layout = layout
        self._look_for_color(frame)
        if self.keep_chroma:
            self._format = describe_source(self._stream, frame, layout)
            if is_transparent(frame):
                self._warn("has transparency, which is left out")
        else:
            for message in color_warnings(frame):
                self._warn(message)
        info, read_as = describe_film(self._stream, frame, layout)
        if read_as is not None:
            self._warn(read_as)
        return info

    def _must_match(self, frame: Any, pts: int) -> None:
        layout, info = self._layout, self.info
        assert layout is not None
        if (frame.height, frame.width) != info.size:
            raise MediaError(
                f"{self.path}: the picture changes from {info.width}x{info.height} to "
                f"{frame.width}x{frame.height} at {self._time(pts)}; split the file there"
            )
        if frame.format.name != layout.name:
            other = layout_of(frame.format)
            if self._kept(other) != self._kept(layout):
                raise MediaError(
                    f"{self.path}: the pixel format changes from {layout.name} to {other.name} "
                    f"at {self._time(pts)}; split the file there"
                )
            self._layout = replace(other)

    def _kept(self, layout: PixelLayout) -> tuple[object, ...]:
        """What must stay the same through a film."""
        luma = layout.bits, layout.full_range
        if not self.keep_chroma:
            return luma
        return *luma, layout.kind == "rgb", layout.gray, subsampling_of(layout.via or layout.name)

    def _look_for_color(self, frame: Any) -> None:
        if not self._colored and self._layout is not None:
            self._colored = chroma_share(frame, self._layout) > _COLOR_SHARE

    # -- which frames, and when ------------------------------------------------------------------

    def _wanted(self) -> Iterator[tuple[Any, int]]:
        """Frames of the span."""
        first, unit = self._span.first, self._time_base
        for frame, pts in self._up_to_end(self._timed(first)):
            if first is None or pts * unit >= first:
                yield frame, pts

    def _up_to_end(self, frames: Iterator[tuple[Any, int]]) -> Iterator[tuple[Any, int]]:
        end, unit = self._span.end, self._time_base
        for frame, pts in frames:
            if end is not None and pts * unit >= end:
                return
            yield frame, pts

    def _numbered(self, part: FilmPart) -> Iterator[tuple[Any, int]]:
        """Frames of the part."""
        frames = self._sought(part)
        yield from islice(frames, part.frames)
        if part.frames is None:
            return
        end = part.index + part.frames
        following = next(frames, None) if end in part.breaks else None
        if following is not None:  # a list that is wrong by a frame shows at one end or the other
            part.check(self.path, end, following[1])

    def _sought(self, part: FilmPart) -> Iterator[tuple[Any, int]]:
        """Frames from the first of the part on."""
        sought = part.sought
        if sought is not None:
            frames = self._up_to_end(self._timed(sought * self._time_base))
            head = next((item for item in frames if item[1] >= sought), None)
            if head is not None and head[1] == sought:
                yield from chain([head], frames)
                return
            self._container.close()
            self._container, self._stream = self._film()
        yield from islice(self._wanted(), part.index, None)

    def _timed(self, first: Fraction | None) -> Iterator[tuple[Any, int]]:
        """Frames from the key frame at or before `first`, with repaired pts."""
        previous: int | None = None
        step = self._usual_step()
        for frame in self._decoded_from(first):
            pts = frame.pts if frame.pts is not None else frame.dts
            if pts is None:
                pts = 0 if previous is None else previous + step
                self._warn("has frames without a time; they are set by the frame rate")
            if previous is not None and pts <= previous:
                self._warn(
                    f"has times that repeat or run backward (first at {self._time(previous)}); "
                    "they are moved behind the frame before"
                )
                pts = previous + 1
            elif previous is not None:
                step = pts - previous
            previous = pts
            yield frame, pts

    def _usual_step(self) -> int:
        rate = self._stream.average_rate or 25
        return max(1, round(1 / (rate * self._time_base)))

    def _decoded_from(self, first: Fraction | None) -> Iterator[Any]:
        """All frames from the key frame at or before `first`."""
        if first is None:
            yield from self._decoded(partial=False)
            return
        target = first
        for _ in range(3):
            try:
                self._container.seek(round(target / self._time_base), stream=self._stream)
            except (av.error.FFmpegError, OSError, ValueError):
                break
            frames = self._decoded(partial=True)
            head = next(frames, None)
            if head is not None and head.pts is not None and head.pts * self._time_base <= first:
                yield head
                yield from frames
                return
            frames.close()
            target -= _RETREAT_S  # some formats only guess where a key frame lies
        self._container.close()
        self._container, self._stream = self._film()
        yield from self._decoded(partial=False)

    def _decoded(self, partial: bool) -> Generator[Any]:
        to_its_end = not (partial and self._span.end is not None)
        return decode(self.path, self._container, self._stream, to_its_end, self._warn)

    # -- words -----------------------------------------------------------------------------------

    def _time(self, pts: int) -> str:
        return as_time(pts * self._time_base)

    def _nothing(self) -> str:
        if self.part is not None and self.part.index:
            return f"{self.path}: has no frame {self.part.index}; the list is of another film"
        if self._span.first is None and self._span.end is None:
            return f"{self.path}: has no frames"
        first = as_time(seconds(self.config.start or 0))
        length = self._container.duration
        ends = f"; it is {as_time(Fraction(length, 1_000_000))} long" if length else ""
        return f"{self.path}: has no frames in the part from {first} on{ends}"

    def _warn(self, message: str) -> None:
        """Say a thing about this film once."""
        if message.split("(")[0] not in self._warned:
            self._warned.add(message.split("(")[0])
            _log.warning("%s %s", self.path, message)


def _joined(planes: Sequence[Array | None]) -> torch.Tensor | None:
    there = [plane for plane in planes if plane is not None]
    return torch.from_numpy(np.stack(there)) if there else None
