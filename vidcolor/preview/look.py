"""One frame of a film, colored by itself: what a person sees at once; and a few frames in a row."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from vidcolor.build import Download, Guidance, build_line
from vidcolor.config import Config
from vidcolor.guidance.hints.entries import FilmHints, HintEntry
from vidcolor.guidance.moment import Moment, parse_time
from vidcolor.guidance.references.entries import Reference
from vidcolor.guided import Film, Frames, Said, find_guidance, read_said
from vidcolor.io.input_config import InputConfig
from vidcolor.pipeline import Pipeline
from vidcolor.records import Colored, FrameBatch
from vidcolor.render import ListedShots
from vidcolor.scripted import ScriptedFilm
from vidcolor.stages.shots_file import Shot

__all__ = ["Look"]

_LINES = 4  # with different settings that are kept
_ROUNDED = Fraction(1, 2000)  # times are written to a thousandth of a second


class Look:
    """Colors single frames as a still is colored: no memory, no motion, no neighbors.

    What a person said of the very frame is obeyed: hints in it, those for all of its shot, pictures
    that match it, grades and settings of its shot. What comes to a frame from others is not there:
    hints in other frames, colors of tracked objects, steadiness. So it is at once, and it is not
    what the film will have, only close to it.

    Networks and files are read once. Calls from several threads wait for each other.

    Args:
        film: Settings, or a film with its color script.
        begin: pts of the film's first frame, from which times are counted.
        download: Told of bytes done and total when weights are fetched.

    Raises:
        VidcolorError: If something that was said cannot be read.
    """

    def __init__(
        self, film: Config | ScriptedFilm, *, begin: int = 0, download: Download | None = None
    ) -> None:
        self._film = film if isinstance(film, ScriptedFilm) else None
        self._plain = film if isinstance(film, Config) else film.config
        self._said = read_said(film) if isinstance(film, Config) else film.said()
        first = None if self._film is None else self._film.shots[0].pts
        self._begin = begin if first is None else first
        self._download = download
        self._lock = threading.Lock()
        self._line = functools.lru_cache(maxsize=_LINES)(self._build)

    def settings(self, shot: int | None) -> Config:
        """What a shot is colored with."""
        own = self._plain if self._film is None or shot is None else self._film.settings(shot)
        return replace(own, input=InputConfig())

    def __call__(self, frame: FrameBatch, shot: int | None = None) -> Colored:
        """Color a frame.

        Args:
            frame: A batch of one frame. Its `index` is its number in the film; 0 where nobody
                knows it: then it is taken from its time, by the rate of the film.
            shot: Number of its shot; None: nobody knows.

        Returns:
            The frame with `index` and `shot` set, and its color.

        Raises:
            ConfigError: If a setting asks for what is not there.
            WeightsError: If weights are missing or damaged.
            GuidanceError: If something that was said does not fit the frame.
        """
        with self._lock:
            config = self.settings(shot)
            number = frame.index or self._number(frame, shot)
            placed = replace(frame, index=number, shot=shot or 0, start=0, chroma=None, rgb=None)
            line = self._line(config, still=True)
            said = self._heard([placed], shot)
            film = Film(
                lambda: contextlib.nullcontext([placed]), line, begin=self._begin, count=number + 1
            )
            with find_guidance(film, said, config, _ignore) as guidance:
                if said or said.shot_grades:
                    line = self._guided(config, line, guidance, still=True)
                (colored,) = line([placed])
            return colored

    def run(self, frames: Frames, shot: Shot) -> Generator[Colored]:
        """Color the beginning of a shot by the whole line, with the tracks that it has in the film.

        Memory: that of the line. Nothing else is colored while this is iterated.

        Args:
            frames: Opens the frames, with their numbers in the film.
            shot: What they are: the number of the shot, the first and last of these frames.

        Raises:
            VidcolorError: As for a single frame, and if the film is damaged.
        """
        with self._lock:
            number = None if self._film is None else shot.shot
            config = self.settings(number)
            line = replace(self._line(config, still=False), cut=ListedShots(config.cut, [shot]))
            with frames() as batches:
                said = self._heard(batches, number)
            said = replace(said, tracks=self._said.tracks, track_grades=self._said.track_grades)
            film = Film(frames, line, begin=self._begin, count=shot.end + 1)
            with find_guidance(film, said, config, _ignore) as guidance:
                own = self._guided(config, line, guidance, still=False)
                with frames() as batches:
                    yield from own(batches)

    def _build(self, config: Config, still: bool) -> Pipeline:
        line = build_line(config, still=still, download=self._download)
        return replace(line, cut=_AsNumbered())

    def _guided(self, config: Config, line: Pipeline, guidance: Guidance, still: bool) -> Pipeline:
        """The same line with what is known; the detector, slow to make, stays the same."""
        blind = replace(config, detect=replace(config.detect, detector="none"))
        own = build_line(blind, still=still, guidance=guidance)
        return replace(own, cut=line.cut, detect=line.detect)

    def _number(self, frame: FrameBatch, shot: int | None) -> int:
        """Number in the film of a frame, by its time."""
        info = frame.info
        start, pts = 0, self._begin
        if self._film is not None and shot is not None:
            entry = self._film.shots[shot]
            if entry.pts is not None:
                start, pts = entry.start, entry.pts
        return start + max(0, round((frame.pts[0] - pts) * info.time_base * info.rate))

    def _heard(self, frames: Iterable[FrameBatch], shot: int | None) -> Said:
        """What was said that concerns some frames of a shot, in their own words."""
        said = self._said
        times = _Times(self._begin)
        for batch in frames:
            times.add(batch)
        hints = []
        for where, entry in said.hints.entries:
            number = times.number(entry.moment)
            if number is None and entry.whole and self._lies_in(entry.moment, shot):
                number = times.numbers[0]  # it is for all of the shot, wherever it was said
            if number is not None:
                hints.append((where, _bound(entry, number)))
        paintings = tuple(
            one for one in said.hints.paintings if times.number(one.moment) is not None
        )
        silent = shot is not None and shot in said.silent
        return replace(
            said,
            hints=FilmHints(tuple(hints), paintings),
            references=() if silent else tuple(_pictures(said, times, shot)),
            silent=frozenset(),
            tracks=None,
            track_grades={},
            shot_grades={} if shot is None else said.shot_grades,
        )

    def _lies_in(self, moment: Moment | None, shot: int | None) -> bool:
        if self._film is None or moment is None or shot is None:
            return False
        return self._film.script.shot_at(moment) == shot


class _AsNumbered:
    """Takes the shots that frames say they belong to. Memory, lookahead: none."""

    def __call__(self, frames: Iterable[FrameBatch], /) -> Iterator[FrameBatch]:
        yield from frames


class _Times:
    """Which frames there are, and when they are shown."""

    def __init__(self, begin: int) -> None:
        self._begin = begin
        self._shown: list[tuple[Fraction, Fraction]] = []
        self.pts: list[int] = []
        self.numbers: list[int] = []

    def add(self, batch: FrameBatch) -> None:
        info = batch.info
        length = 1 / info.rate if info.rate > 0 else info.time_base
        for place, pts in enumerate(batch.pts):
            since = (pts - self._begin) * info.time_base
            if self._shown:  # the one before is shown up to here
                self._shown[-1] = self._shown[-1][0], since
            self._shown.append((since, since + length))
            self.pts.append(pts)
            self.numbers.append(batch.index + place)

    def number(self, moment: Moment | None) -> int | None:
        """The frame that is meant, if it is one of these."""
        if moment is None:
            return None
        if moment.frame is not None:
            return moment.frame if moment.frame in self.numbers else None
        if moment.pts is not None:
            return dict(zip(self.pts, self.numbers, strict=True)).get(moment.pts)
        assert moment.time is not None, "a moment is one of three"
        wanted = parse_time(moment.time) + _ROUNDED
        for number, (since, until) in zip(self.numbers, self._shown, strict=True):
            if since <= wanted < until:
                return number
        return None


def _bound(entry: HintEntry, number: int) -> HintEntry:
    """A hint for a frame; the object that it lies on is found anew, as tracks have no numbers."""
    track = "auto" if isinstance(entry.track, int) else entry.track
    return replace(entry, frame=number, time=None, pts=None, track=track)


def _pictures(said: Said, times: _Times, shot: int | None) -> Iterator[Reference]:
    """References that count; those that are another frame of the film are matched to this one."""
    for reference in said.references:
        entry = reference.entry
        if entry.shots and (shot is None or not entry.counts_in(shot)):
            continue
        own = replace(entry, frame=times.number(entry.moment), time=None, pts=None, shots=())
        yield replace(reference, entry=own)


def _ignore(count: int) -> None:
    pass
