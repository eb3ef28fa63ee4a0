"""Single pictures of a film, in any order."""

from __future__ import annotations

import threading
from bisect import bisect_right
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import av.error
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.errors import MediaError
from vidcolor.io.film_walk import FilmWalk
from vidcolor.io.input_config import InputConfig
from vidcolor.io.key_frames import find_key_frames, keys_before, packet_time
from vidcolor.io.planes import PixelLayout, chroma_share, codes_of, layout_of, subsampling_of
from vidcolor.io.shown import shown_rgb
from vidcolor.io.source import as_time, open_source
from vidcolor.io.source_format import SourceFormat
from vidcolor.io.video import VideoReader
from vidcolor.records import FrameBatch, VideoInfo

__all__ = ["FilmFrames"]

_COLOR_SHARE = 0.02
_LOOKS = 8
"""Places in a film at which its color is looked for."""
_PACKETS_TO_A_PICTURE = 64


class FilmFrames:
    """A film from which single pictures are taken, in any order, by any thread.

    Use as a context manager. Frames come as `VideoReader` with `keep_chroma` gives them: the same
    codes of luma and color for the same pts. Of films whose times are missing, repeated or run
    backward, and of those that cannot be sought in, `at` decodes from the beginning.

    Attributes:
        path: The file.
        info: What all frames share.
        source_format: How the picture is stored.
        first_pts: Of the first frame.
        seconds: Length of the film as the file says; None if it does not.

    Raises:
        MediaError: On entering, as `VideoReader`; later if the film is damaged at a place that is
            asked for, or its size or depth changes there.
    """

    info: VideoInfo
    source_format: SourceFormat
    first_pts: int
    seconds: Fraction | None

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        self._walk: FilmWalk | None = None
        self._container: Any = None
        self._keys: tuple[int, ...] | None = None
        self._colored: bool | None = None

    def __enter__(self) -> Self:
        with VideoReader(self.path, InputConfig(batch_size=1), keep_chroma=True) as reader:
            first = next(iter(reader))
            self.info, self.source_format = reader.info, reader.source_format
            self._colored = reader.has_color or None
        self.first_pts = first.pts[0]
        try:
            self._container, self._stream = open_source(self.path)
            self.seconds = self._length()
            self._walk = FilmWalk(self.path, self.first_pts)
            self._layout = layout_of(self._walk.find(self.first_pts)[0].format)
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
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._walk is not None:
            self._walk.close()
        if self._container is not None:
            self._container.close()
        self._walk = self._container = None

    def key_frames(self) -> tuple[int, ...]:
        """pts of the frames that can be decoded by themselves, rising.

        They come from the container's index, without decoding; of a container that has none all
        packets are read, once. The first frame is always among them.
        """
        with self._lock:
            if self._keys is None:
                found = find_key_frames(self.path)
                later = (pts for pts in found if pts > self.first_pts)
                self._keys = (self.first_pts, *later)
            return self._keys

    def at(self, pts: int) -> FrameBatch:
        """The frame that is shown at a time.

        Args:
            pts: Any time; before the first frame it is the first one, behind the last the last.

        Returns:
            One frame, with its own pts.

        Raises:
            MediaError: If the film is damaged there.
        """
        with self._lock:
            return self._batch(*self._opened.find(pts))

    def near(self, pts: int) -> FrameBatch:
        """The last key frame at or before a time: found by one seek, one picture is decoded.

        Args:
            pts: Any time; before the first frame it is the first one.

        Returns:
            One frame, with its own pts.

        Raises:
            MediaError: If the film is damaged there.
        """
        with self._lock:
            return self._batch(*self._nearest(pts))

    @property
    def has_color(self) -> bool:
        """Whether the film has color, by some of its key frames."""
        with self._lock:
            if self._colored is None:
                self._colored = any(self._is_colored(pts) for pts in self._places())
            return self._colored

    def rgb(self, frame: FrameBatch, size: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
        """A frame of this film as a viewer sees it, upright, with square pixels.

        Args:
            frame: One frame, from `at` or `near`.
            size: `(height, width)` of the upright result; None is its full size.

        Returns:
            (height, width, 3) uint8 R'G'B'.
        """
        return shown_rgb(frame, 0, size, self._siting)

    @property
    def _opened(self) -> FilmWalk:
        if self._walk is None:
            raise RuntimeError("the film is not open")
        return self._walk

    @property
    def _siting(self) -> Literal["left", "center"]:
        told = self.source_format.siting
        if told is not None:
            return "left" if told.endswith("left") else "center"
        return "center" if self._layout.name.startswith("yuvj") else "left"

    def _length(self) -> Fraction | None:
        stream, container = self._stream, self._container
        if stream.duration:
            return Fraction(stream.duration) * Fraction(stream.time_base)
        return Fraction(container.duration, 1_000_000) if container.duration else None

    # -- key frames ------------------------------------------------------------------------------

    def _nearest(self, pts: int) -> tuple[Any, int]:
        """The decoded key frame at or before a time, and its pts."""
        walk = self._opened
        if pts <= self.first_pts:
            return walk.find(self.first_pts)
        if not walk.is_only_forward:
            for target, packet in keys_before(self._container, self._stream, pts):
                key = packet_time(packet)
                if key is None or key <= self.first_pts:
                    return walk.find(self.first_pts)
                frame = self._picture_of(target, packet)
                return walk.find(key) if frame is None else (frame, key)
        keys = self.key_frames()
        return walk.find(keys[bisect_right(keys, pts) - 1])

    def _picture_of(self, target: int, packet: Any) -> Any:
        """The picture of a key frame, decoded by itself; None if it cannot be.

        Two fields may come as two packets; then what follows the key frame is decoded as well.
        """
        context = self._stream.codec_context
        if not context.is_open:
            self._stream.thread_type = "SLICE"  # threads by frames would only wait for more
        try:
            frame = next(iter([*packet.decode(), *context.decode(None)]), None)
            if frame is not None and frame.interlaced_frame:
                frame = self._picture_with_next(target, packet_time(packet))
        except (av.error.FFmpegError, ValueError, OSError):
            return None
        return None if frame is None or frame.is_corrupt else frame

    def _picture_with_next(self, target: int, key: int | None) -> Any:
        self._container.seek(target, stream=self._stream)
        packets = self._container.demux(self._stream)
        for packet in islice(packets, _PACKETS_TO_A_PICTURE):
            for frame in packet.decode():
                if frame.pts == key:
                    return frame
        return None

    # -- frames ----------------------------------------------------------------------------------

    def _batch(self, frame: Any, pts: int) -> FrameBatch:
        self._must_match(frame, pts)
        codes = codes_of(frame, layout_of(frame.format))
        chroma = None if codes.chroma is None else torch.from_numpy(codes.chroma[None])
        rgb = None if codes.rgb is None else torch.from_numpy(codes.rgb[None])
        luma = torch.from_numpy(codes.luma[None, None])
        return FrameBatch(luma, (pts,), self.info, chroma=chroma, rgb=rgb)

    def _must_match(self, frame: Any, pts: int) -> None:
        info = self.info
        where = as_time(pts * info.time_base)
        if (frame.height, frame.width) != info.size:
            raise MediaError(
                f"{self.path}: the picture is {info.width}x{info.height} at first and "
                f"{frame.width}x{frame.height} at {where}; split the file there"
            )
        if frame.format.name != self._layout.name:
            other = layout_of(frame.format)
            if _kept(other) != _kept(self._layout):
                raise MediaError(
                    f"{self.path}: the pixel format is {self._layout.name} at first and "
                    f"{other.name} at {where}; split the file there"
                )

    # -- color -----------------------------------------------------------------------------------

    def _places(self) -> list[int]:
        """Some times spread over the film."""
        if self.seconds is None:
            return [self.first_pts]
        ticks = self.seconds / self.info.time_base
        return [self.first_pts + round(ticks * n / _LOOKS) for n in range(_LOOKS)]

    def _is_colored(self, pts: int) -> bool:
        try:
            frame, _ = self._nearest(pts)
        except MediaError:
            return False  # damaged there; the others tell
        return chroma_share(frame, layout_of(frame.format)) > _COLOR_SHARE


def _kept(layout: PixelLayout) -> tuple[object, ...]:
    """What must stay the same through a film."""
    grid = subsampling_of(layout.via or layout.name)
    return layout.bits, layout.full_range, layout.kind == "rgb", layout.gray, grid
