"""Which frame of each shot is shown: one that is had quickly, or one that a hint lies on."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vidcolor.config import Config
from vidcolor.guidance.moment import FrameTimes, Moment, parse_time
from vidcolor.io.film_frames import FilmFrames
from vidcolor.io.film_part import FilmPart
from vidcolor.io.input_config import InputConfig
from vidcolor.io.prefetch import prefetch
from vidcolor.io.video import VideoReader
from vidcolor.preview.sketch import most_shots, sketch
from vidcolor.records import FrameBatch
from vidcolor.scripted import ScriptedFilm
from vidcolor.stages.cut import list_shots
from vidcolor.stages.shots_file import Shot, read_shots

__all__ = ["AT_ONCE_S", "Place", "Plan", "plan_places"]

AT_ONCE_S = 2.0
"""Seconds of one core that may be spent on finding the cuts of a film exactly.

About twenty seconds of 640x480, eight of 1080p.
"""

_FRAME_S, _PIXEL_S = 1.3e-3, 4e-9
"""What a frame costs, and a pixel of it: decoded and compared with the one before."""

_INSIDE_S = Fraction(1, 2)
"""From the key frame on, so far into a shot is looked: a cut's own frame may still be half a fade.
"""

RUN_FRAMES = 24
"""Frames colored before the shown one, where boxes are wanted."""

RUN_BEYOND = 48
"""And seen behind it, as the tracker knows the future: with 48, ids and boxes of 15 shots of three
clips were those of the whole film, with 12 those of four were not.
"""

MOST_RUN_FRAMES = 120
"""Frames from the beginning of a shot within which a hint's frame is shown with boxes."""

_AHEAD = 2
_ROUNDED = Fraction(1, 2000)  # times are written to a thousandth of a second


@dataclass(frozen=True, slots=True)
class Place:
    """A shot, and the frame of it that is shown.

    Attributes:
        pts: Of the frame.
        number: Of the frame in the film; None: not known.
        shot: Number of the shot; None: not known.
        begin: pts of the first frame of the shot, as far as it is known.
        seconds: Length of the shot; None: not known.
        start: Number of the first frame of the shot; None: not known.
        end: Number of its last frame; None: not known.
    """

    pts: int
    number: int | None
    shot: int | None
    begin: int
    seconds: Fraction | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sheet shows.

    Attributes:
        places: One for each shot, found while iterating.
        most: How many there can be; so many there are where shots are exact.
        shots: Shots of the film; None: not known before.
        exact: Shots are exact; else as key frames tell.
        chosen: There may be shots that are not shown.
    """

    places: Iterable[Place]
    most: int
    shots: int | None
    exact: bool
    chosen: bool = False


def plan_places(
    film: FilmFrames,
    config: Config,
    script: ScriptedFilm | None,
    *,
    limit: int | None = None,
    run: bool = False,
) -> Plan:
    """Find the shots of a film: those of its script, of its shots file, or by looking.

    Args:
        film: The open film.
        config: Its `cut` says how cuts are found, or names a file of shots.
        script: Names the shots, and hints whose frames are shown.
        limit: At most so many shots, evenly chosen.
        run: Frames before the shown one will be colored as well: it lies near the beginning of its
            shot.

    Raises:
        GuidanceError: If a file of shots is not as it should be.
        MediaError: If the film is damaged.
    """
    times: FrameTimes | None = None
    shots: Sequence[Shot]
    if script is not None:
        shots = script.shots
    elif config.cut.shots_file is not None:
        shots = read_shots(Path(config.cut.shots_file))
    elif _is_short(film):
        shots, times = _cut(film.path, config)
    else:
        most = most_shots(film)
        most = most if limit is None else min(most, limit)
        return Plan(_sketched(film, limit, run), most, None, exact=False, chosen=limit is not None)
    chosen = _evenly(len(shots), limit)
    finder = _Finder(film, shots, script, times, run)
    return Plan(
        map(finder, chosen), len(chosen), len(shots), exact=True, chosen=len(chosen) < len(shots)
    )


def _is_short(film: FilmFrames) -> bool:
    if film.seconds is None:
        return False
    info = film.info
    frames = float(film.seconds * info.rate)
    return frames * (_FRAME_S + _PIXEL_S * info.height * info.width) <= AT_ONCE_S


def _cut(path: Path, config: Config) -> tuple[tuple[Shot, ...], FrameTimes]:
    """Exact shots, and the times of all frames."""
    pts: list[int] = []

    def noted(batches: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
        for batch in batches:
            pts.extend(batch.pts)
            yield batch

    part = replace(config.input, start=None, duration=None)
    with VideoReader(path, part) as reader:
        base = reader.info.time_base
        shots = tuple(list_shots(noted(prefetch(reader, _AHEAD)), config.cut))
    return shots, FrameTimes(tuple(pts), base)


def _evenly(count: int, limit: int | None) -> list[int]:
    """At most `limit` numbers below `count`, the first among them."""
    if limit is None or limit >= count:
        return list(range(count))
    return [place * count // limit for place in range(limit)]


def _sketched(film: FilmFrames, limit: int | None, run: bool) -> Iterator[Place]:
    ahead = round(RUN_FRAMES / (film.info.rate * film.info.time_base))
    for number, shot in enumerate(sketch(film, limit=limit)):
        pts, end = shot.shown, shot.end_pts
        if run:
            pts = shot.pts + (ahead if end is None else min(ahead, (end - shot.pts) // 2))
        yield Place(
            pts,
            0 if pts == film.first_pts else None,
            None if limit is not None else number,
            shot.pts,
        )


class _Finder:
    """The place of a shot whose borders are known."""

    def __init__(
        self,
        film: FilmFrames,
        shots: Sequence[Shot],
        script: ScriptedFilm | None,
        times: FrameTimes | None,
        run: bool,
    ) -> None:
        self._film, self._shots, self._times, self._run = film, shots, times, run
        self._base, self._rate = film.info.time_base, film.info.rate
        self._keys = film.key_frames()
        self._begins: dict[int, int] = {}
        self._hints = {} if script is None else self._hinted(script)

    def __call__(self, place: int) -> Place:
        shot = self._shots[place]
        begin, end = self._begin(place), self._end(place)
        number, pts = self._shown(place, begin, end)
        return Place(
            pts, number, shot.shot, begin, (end - begin) * self._base, shot.start, shot.end
        )

    def _shown(self, place: int, begin: int, end: int) -> tuple[int | None, int]:
        shot, frames = self._shots[place], len(range(*self._span(place)))
        hint = self._hints.get(shot.shot)
        most = MOST_RUN_FRAMES if self._run else frames
        if hint is not None and hint - shot.start < most:
            return hint, self._pts(place, hint)
        if self._run:
            number = shot.start + min(RUN_FRAMES, frames // 2)
            return number, self._pts(place, number)
        pts = self._quick(begin, end)
        return self._number(place, pts), pts

    def _span(self, place: int) -> tuple[int, int]:
        shot = self._shots[place]
        return shot.start, shot.end + 1

    def _quick(self, begin: int, end: int) -> int:
        """A time in the middle of a shot, or where decoding need not go far."""
        middle = (begin + end) // 2
        first, last = bisect_left(self._keys, begin), bisect_left(self._keys, end)
        key = min(self._keys[first:last], key=lambda pts: abs(pts - middle), default=begin)
        inside = begin + _INSIDE_S / self._base
        return key if key >= inside else min(middle, max(begin, int(key + _INSIDE_S / self._base)))

    def _begin(self, place: int) -> int:
        shot = self._shots[place]
        if shot.pts is not None:
            return shot.pts
        if place not in self._begins:  # half a frame late, so that it is that frame which is shown
            late = (shot.start + Fraction(1, 2)) / (self._rate * self._base)
            self._begins[place] = self._film.at(self._film.first_pts + int(late)).pts[0]
        return self._begins[place]

    def _end(self, place: int) -> int:
        """pts at which the next shot begins."""
        if place + 1 < len(self._shots):
            return self._begin(place + 1)
        shot = self._shots[place]
        return self._begin(place) + round((shot.end - shot.start + 1) / (self._rate * self._base))

    def _is_even(self, place: int) -> bool:
        """Whether frames of a shot come at the film's rate, so that they can be counted."""
        first, stop = self._span(place)
        length = (self._end(place) - self._begin(place)) * self._base * self._rate
        return place + 1 < len(self._shots) and abs(length - (stop - first)) < Fraction(1, 2)

    def _number(self, place: int, pts: int) -> int | None:
        """Number of the frame that is shown at a time."""
        if self._times is not None:
            return bisect_right(self._times.pts, pts) - 1
        shot, begin = self._shots[place], self._begin(place)
        if pts == begin:
            return shot.start
        if not self._is_even(place):
            return None
        return shot.start + int((pts - begin) * self._base * self._rate + Fraction(1, 10))

    def _pts(self, place: int, number: int) -> int:
        """pts of a frame: found where frames are uneven, by reading the shot up to it."""
        shot, begin = self._shots[place], self._begin(place)
        if number == shot.start:
            return begin
        if self._times is not None:
            return self._times.of(number)
        if self._is_even(place):
            return begin + int((number - shot.start + Fraction(1, 2)) / (self._rate * self._base))
        breaks = {shot.start: shot.pts}
        part = FilmPart(shot.start, number - shot.start + 1, breaks)
        with VideoReader(self._film.path, InputConfig(), part) as reader:
            *_, last = reader
        return last.pts[-1]

    def _hinted(self, script: ScriptedFilm) -> dict[int, int]:
        """Number of the frame of the first hint of each shot that has one."""
        found: dict[int, int] = {}
        for hint in script.script.hints:
            moment = hint.moment
            if moment is not None and moment.time is not None:
                since = (parse_time(moment.time) + _ROUNDED) / self._base
                moment = Moment(pts=self._film.first_pts + int(since))
            shot = None if moment is None else script.script.shot_at(moment)
            if moment is None or shot is None:
                continue
            number = moment.frame
            if number is None and moment.pts is not None:
                number = self._number(shot, moment.pts)
            if number is not None:
                found[shot] = min(number, found.get(shot, number))
        return found
