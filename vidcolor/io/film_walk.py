"""Frames of a film wherever they lie, decoded from the key frame before and onward from there."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any

import av.error

from vidcolor.io.decode import decode
from vidcolor.io.key_frames import keys_before, packet_time, usual_step
from vidcolor.io.source import open_source

__all__ = ["FilmWalk"]

_log = logging.getLogger(__name__)

_AHEAD_S = 3
"""Up to here it is as quick to decode on as to begin anew at a key frame."""
_KEPT_BYTES = 64 << 20
_KEPT_AT_LEAST = 3
_PROBED_FRAMES = 24


@dataclass(frozen=True, slots=True)
class _Shown:
    """A decoded frame, shown from `begin` until before `end` (None: to the end of the film)."""

    frame: Any
    begin: int
    end: int | None

    def is_shown_at(self, pts: int) -> bool:
        return self.begin <= pts and (self.end is None or pts < self.end)


class FilmWalk:
    """Finds single frames, with the same pts as a reader that begins at the beginning.

    Whoever asks for a later frame soon after gets it by decoding on. Frames passed lately are
    kept, for those who step back. Times that are missing, repeated or run backward are repaired
    as `VideoReader` does; a film in which that is needed is decoded from its beginning each time,
    because only so is its clock the same.

    Not for several threads at once.

    Args:
        path: The film.
        first_pts: Of its first frame.

    Raises:
        MediaError: If the film cannot be opened.
    """

    def __init__(self, path: Path, first_pts: int) -> None:
        self._path, self._first_pts = path, first_pts
        self._frames: Generator[tuple[Any, int]] | None = None
        self._ahead: tuple[Any, int] | None = None  # decoded; what follows it is not
        self._kept: OrderedDict[int, _Shown] = OrderedDict()
        self._kept_bytes = 0
        self._container, self._stream = open_source(path)
        self._unit = Fraction(self._stream.time_base)
        self._from_beginning = False
        if self._container.format.name == "avi":
            self._look_at_clock()

    @property
    def is_only_forward(self) -> bool:
        """Whether frames can only be found by decoding from the beginning."""
        return self._from_beginning

    def find(self, pts: int) -> tuple[Any, int]:
        """The decoded frame that is shown at a time, and its pts.

        Args:
            pts: Any time; before the first frame it is the first one, behind the last the last.

        Raises:
            MediaError: If the film is damaged there.
        """
        wanted = max(pts, self._first_pts)
        shown = next((s for s in self._kept.values() if s.is_shown_at(wanted)), None)
        if shown is None:
            try:
                shown = self._walk_to(wanted)
            except BaseException:
                self._forget()
                raise
        self._kept.move_to_end(shown.begin)
        return shown.frame, shown.begin

    def close(self) -> None:
        """Close the film."""
        self._forget()
        self._kept.clear()
        self._container.close()

    def _forget(self) -> None:
        if self._frames is not None:
            self._frames.close()
        self._frames = self._ahead = None

    def _reopen(self) -> None:
        self._container.close()
        self._container, self._stream = open_source(self._path)

    # -- walking ---------------------------------------------------------------------------------

    def _walk_to(self, wanted: int) -> _Shown:
        trusted = self._from_beginning
        if not self._is_near(wanted):
            self._begin(wanted)
        shown = self._onward(wanted)
        if self._from_beginning and not trusted:  # only now its clock turned out to be broken
            self._kept.clear()
            self._kept_bytes = 0
            self._begin(wanted)
            shown = self._onward(wanted)
        return shown

    def _is_near(self, wanted: int) -> bool:
        if self._ahead is None or self._ahead[1] > wanted:
            return False
        return self._from_beginning or (wanted - self._ahead[1]) * self._unit <= _AHEAD_S

    def _onward(self, wanted: int) -> _Shown:
        assert self._frames is not None
        assert self._ahead is not None
        while True:
            frame, begin = self._ahead
            self._ahead = next(self._frames, None)
            shown = _Shown(frame, begin, None if self._ahead is None else self._ahead[1])
            self._keep(shown)
            if self._ahead is None or self._ahead[1] > wanted:
                return shown

    def _keep(self, shown: _Shown) -> None:
        self._drop(shown.begin)
        self._kept[shown.begin] = shown
        self._kept_bytes += _bytes_of(shown.frame)
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > _KEPT_AT_LEAST:
            self._drop(next(iter(self._kept)))

    def _drop(self, begin: int) -> None:
        gone = self._kept.pop(begin, None)
        if gone is not None:
            self._kept_bytes -= _bytes_of(gone.frame)

    # -- where to begin --------------------------------------------------------------------------

    def _begin(self, wanted: int) -> None:
        """Have a frame at or before `wanted` ahead."""
        self._forget()
        if not self._from_beginning and wanted > self._first_pts:
            for tries, (target, key) in enumerate(keys_before(*self._film, wanted)):
                if self._begin_at(target, packet_time(key), wanted, exactly=not tries):
                    return
        self._reopen()
        self._take(self._timed(self._decoded()))

    def _begin_at(self, target: int, key: int | None, wanted: int, exactly: bool) -> bool:
        """Whether decoding from the key frame that follows `target` leads up to `wanted`.

        Pictures shown before the key frame may lean on others before it, and are passed over.
        So are those that the decoder knows to be damaged: if a key frame is, the one before it
        leads to the place, and the error is told there.
        """
        assert key is not None
        try:
            self._container.seek(target, stream=self._stream)
        except (av.error.FFmpegError, ValueError, OSError):
            return False
        frames = self._decoded(_FromKey(self._container, key))
        for frame in frames:
            time = _time_of(frame)
            if time is None:
                break
            if time < key or frame.is_corrupt:
                continue
            if time > wanted or (exactly and time != key):
                break
            self._take(self._timed(frames, frame))
            return True
        frames.close()
        return False

    def _take(self, frames: Generator[tuple[Any, int]]) -> None:
        self._frames = frames
        self._ahead = next(frames, None)
        assert self._ahead is not None  # the film was opened, so it has a first frame

    @property
    def _film(self) -> tuple[Any, Any]:
        return self._container, self._stream

    def _decoded(self, packets: Any = None) -> Generator[Any]:
        packets = packets or self._container
        return decode(self._path, packets, self._stream, to_its_end=False, warn=_log.debug)

    def _timed(self, frames: Generator[Any], head: Any = None) -> Generator[tuple[Any, int]]:
        """Frames with repaired times, as `VideoReader` repairs them."""
        previous: int | None = None
        step = usual_step(self._stream)
        try:
            for frame in _chained(head, frames):
                pts = _time_of(frame)
                if pts is None:
                    self._from_beginning = True
                    pts = 0 if previous is None else previous + step
                if previous is not None and pts <= previous:
                    self._from_beginning = True
                    pts = previous + 1
                elif previous is not None:
                    step = pts - previous
                previous = pts
                yield frame, pts
        finally:
            frames.close()

    def _look_at_clock(self) -> None:
        """AVI has no times of pictures; whether the decoder's own are sound shows soon."""
        self._take(self._timed(self._decoded()))
        assert self._frames is not None
        for _ in islice(self._frames, _PROBED_FRAMES):
            pass
        self._forget()


@dataclass(frozen=True, slots=True)
class _FromKey:
    """An open film as seen by who decodes it: what lies before a key frame is not there."""

    container: Any
    key: int

    @property
    def format(self) -> Any:
        """FFmpeg's name of the container, and more."""
        return self.container.format

    def demux(self, stream: Any) -> Iterator[Any]:
        packets = self.container.demux(stream)
        return dropwhile(self._is_before, packets)

    def _is_before(self, packet: Any) -> bool:
        return not (packet.is_keyframe and packet_time(packet) == self.key)


def _chained(head: Any, frames: Iterator[Any]) -> Iterator[Any]:
    if head is not None:
        yield head
    yield from frames


def _time_of(frame: Any) -> int | None:
    time: int | None = frame.pts if frame.pts is not None else frame.dts
    return time


def _bytes_of(frame: Any) -> int:
    return sum(plane.buffer_size for plane in frame.planes)
