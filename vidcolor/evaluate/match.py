"""Films side by side: frames that belong together by their times, each file decoded once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

from vidcolor.errors import GuidanceError, MediaError
from vidcolor.evaluate.config import EvaluateConfig
from vidcolor.evaluate.frame import Bytes, Grids, Look
from vidcolor.io.color_frames import ColorReader
from vidcolor.io.input_config import InputConfig
from vidcolor.io.source import as_time
from vidcolor.io.video import VideoReader
from vidcolor.ops.boxes import Upright
from vidcolor.ops.letterbox import BarFinder, Bars
from vidcolor.records import FrameBatch, Tracked, Tracks
from vidcolor.stages.boxes_file import BoxesFile
from vidcolor.stages.cut import FindShots
from vidcolor.stages.track import NoTracker, TrackConfig, Tracker

__all__ = ["Films", "find_bars"]

_log = logging.getLogger(__name__)
_BAR_SAMPLES = 12
_LEAST_LEFT = 0.2  # of a side


class _QuietReader(VideoReader):
    """Looks at a few frames; whoever reads the film whole says what is odd about it."""

    def _warn(self, message: str) -> None:
        pass


def find_bars(path: Path) -> Bars:
    """Black bars that a dozen frames from all over a film agree on.

    Raises:
        MediaError: If the film cannot be read.
    """
    with _QuietReader(path, InputConfig(batch_size=1)) as reader:
        info, frames = reader.info, reader.frames_estimate or 1
    finder = BarFinder(info.size)
    length = float(frames / info.rate)
    for number in range(_BAR_SAMPLES):
        start = length * (number + 0.5) / _BAR_SAMPLES
        try:
            with _QuietReader(path, InputConfig(start, length, batch_size=1)) as reader:
                batch = next(iter(reader))
        except MediaError:  # the file is shorter than it says, or damaged; reading it whole tells
            break
        finder.add(batch.luma[0, 0].numpy(), info.color)
    bars = finder.bars()
    x0, y0, x1, y1 = bars.area(info.size)
    enough = x1 - x0 >= _LEAST_LEFT * info.width and y1 - y0 >= _LEAST_LEFT * info.height
    return bars if enough else Bars()


class _Clock:
    """Seconds of frames, as they are compared."""

    def __init__(self, since_first: bool) -> None:
        self._since_first = since_first
        self._first: Fraction | None = None

    def of(self, seconds: Fraction) -> Fraction:
        if self._first is None:
            self._first = seconds if self._since_first else Fraction(0)
        return seconds - self._first


class _Follower:
    """A film that is read in step with another."""

    def __init__(self, reader: ColorReader, clock: _Clock) -> None:
        self.reader = reader
        self._clock = clock
        self._pts = (pts for batch in reader for pts in batch.pts)

    def next(self) -> tuple[int, Fraction] | None:
        """pts and time of the next frame."""
        pts = next(self._pts, None)
        return None if pts is None else (pts, self._clock.of(pts * self.reader.info.time_base))


@dataclass(frozen=True, slots=True)
class Films:
    """The files of an evaluation.

    Attributes:
        result: A film in color.
        truth: The same film in its true color.
        source: The same film in gray. Shots and motion are looked for in it; without it in the
            truth, and without that in the result.
        shots: A shots file of the film in which shots are looked for.
        boxes: A boxes file of the same.
        config: How frames are matched.
    """

    result: Path
    truth: Path | None
    source: Path | None
    shots: Path | None
    boxes: Path | None
    config: EvaluateConfig

    @property
    def lead(self) -> Path:
        """The film whose gray picture counts."""
        return self.source or self.truth or self.result

    def grids(self) -> Grids:
        """The sizes at which the leading film is measured.

        Raises:
            MediaError: If it cannot be read.
        """
        with _QuietReader(self.lead) as reader:
            info = reader.info
        bars = find_bars(self.lead) if self.config.bars == "cut" else Bars()
        return Grids.of(info, bars, self.config)

    def looks(self, grids: Grids) -> Iterator[Look]:
        """All frames, with color as `result` and `truth`.

        Memory: a batch of each film and what finding shots and tracks looks ahead.

        Raises:
            MediaError: If a film cannot be read, or films differ in size, times or length.
            GuidanceError: If shots or boxes are not of the leading film.
        """
        with ExitStack() as stack:
            readers: dict[str, ColorReader] = {}
            wanted = {"result": self.result} | ({"truth": self.truth} if self.truth else {})
            for name, path in wanted.items():
                readers[name] = stack.enter_context(ColorReader(path, self._part(name)))
            if self.source:
                lead: VideoReader = stack.enter_context(
                    VideoReader(self.source, self._part("source"))
                )
            else:
                lead = readers["truth" if self.truth else "result"]
            for reader in readers.values():
                _same_size(reader, lead)
            if not readers["result"].has_color:
                _log.info("%s: its first frame is gray", self.result)
            followers = {
                name: _Follower(reader, self._clock())
                for name, reader in readers.items()
                if reader is not lead
            }
            yield from self._together(lead, readers, followers, grids)

    def _part(self, name: str) -> InputConfig:
        start = None if name == "result" else self.config.start
        return InputConfig(start, batch_size=self.config.batch_size)

    def _clock(self) -> _Clock:
        return _Clock(self.config.align == "first" or self.config.start is not None)

    def _together(
        self,
        lead: VideoReader,
        readers: dict[str, ColorReader],
        followers: dict[str, _Follower],
        grids: Grids,
    ) -> Iterator[Look]:
        clock = self._clock()
        for tracked in self._tracked(lead):
            frames = tracked.frames
            for i, pts in enumerate(frames.pts):
                seconds = pts * frames.info.time_base
                time = clock.of(seconds)
                here = {name: pts for name, reader in readers.items() if reader is lead}
                for name, follower in followers.items():
                    found = follower.next()
                    if found is None:
                        if name == "result" and self.config.start is not None:
                            return  # it is a part
                        raise MediaError(
                            f"{follower.reader.path}: ends before {as_time(time)}, where "
                            f"{lead.path} goes on; both must have the same frames"
                        )
                    here[name] = found[0]
                    _same_time(frames.index + i, time, lead, found[1], follower.reader)
                colorings: dict[str, Bytes] = {}
                for name in sorted(here):
                    colorings[name] = grids.crop(readers[name].color(here[name], grids.whole))
                    readers[name].forget(here[name])
                yield Look(
                    number=frames.index + i,
                    time=float(seconds),
                    shot=frames.shot,
                    gray=grids.gray(frames.luma[i, 0].numpy()),
                    colorings=colorings,
                    boxes=grids.boxes(tracked.tracks, i),
                )
        for name, follower in followers.items():
            found = follower.next()
            if found is not None and (self.config.start is None or name == "result"):
                raise MediaError(
                    f"{lead.path}: ends before {as_time(found[1])}, where "
                    f"{follower.reader.path} goes on; both must have the same frames"
                )

    def _tracked(self, lead: VideoReader) -> Iterator[Tracked]:
        """Frames of the leading film with shots and tracks."""
        cut = self.config.cut
        if self.shots is not None:
            cut = replace(cut, shots_file=str(self.shots))
        shots: Iterable[FrameBatch] = FindShots(replace(cut, held=False))(lead)
        if self.boxes is None:
            for batch in shots:
                yield Tracked(batch, Tracks.empty())
            return
        try:
            seen = iter(BoxesFile(self.boxes)(shots))
            first = next(seen, None)
            if first is None:
                return
            # boxes that have an identity are taken as they are
            most = TrackConfig(birth=0.0, max_instances=10_000)
            follow = Tracker(self.config.track) if first.ids is None else NoTracker(most)
            yield from follow(chain((first,), seen))
        except GuidanceError as error:
            hint = "" if self.source else f"; it must be of {lead.path}, or give its film as source"
            raise GuidanceError(f"{error}{hint}") from None


def _same_size(reader: VideoReader, lead: VideoReader) -> None:
    (height, width), (tall, wide) = Upright(reader.info).size, Upright(lead.info).size
    if (height, width) != (tall, wide):
        raise MediaError(
            f"{reader.path}: is {width}x{height} as it is shown, {lead.path} is {wide}x{tall}; "
            "both must have the same size"
        )


def _same_time(
    number: int, time: Fraction, lead: VideoReader, other: Fraction, reader: VideoReader
) -> None:
    """Times are rounded to the time base of each file, and no more than that."""
    rounding = lead.info.time_base + reader.info.time_base
    if abs(time - other) > min(rounding, Fraction(49, 100) / lead.info.rate):
        raise MediaError(
            f"{reader.path}: its frame {number} is at {as_time(other)}, that of {lead.path} at "
            f"{as_time(time)}; both must have the same frames (align by the first frame, if only "
            "the clocks differ)"
        )
