"""The shots of a film seen at its key frames: a first idea, within seconds, of a film of hours.

Key frames are the pictures that can be had without decoding others. A cut lies between two of them
that do not show the same place. Where an encoder puts key frames at cuts, and most do, the cut is
found to the frame; where key frames come at fixed times, it lies somewhere before the one that is
named, and shots that have no key frame are missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vidcolor.io.film_frames import FilmFrames
from vidcolor.preview.likeness import Look, likeness, look_at
from vidcolor.preview.pictures import before
from vidcolor.records import FrameBatch

__all__ = ["PICTURE_PX", "SketchShot", "most_shots", "sketch"]

Bytes = npt.NDArray[np.uint8]
Progress = Callable[[int], None]

PICTURE_PX = 320
"""Width of the picture of a shot, at most."""

_APART_S = Fraction(1, 2)
"""Key frames nearer than this to the one before are left out: in some films every frame is one."""

_FAR_S = Fraction(12)
"""Where key frames are farther apart, frames between them are looked at as well."""

_STEP_S = Fraction(4)
"""So far apart."""

_MOST_STEPS = 10_000
"""Between two key frames, at most: a film may say that it is millions of years long."""

_FULL = 0.98  # of the longest distance of key frames, at which the encoder had to place one
_PLACED = 0.9  # likeness below which a key frame that the encoder chose begins a shot
_DUE = 0.72  # and one that had to come


@dataclass(frozen=True, slots=True, eq=False)
class SketchShot:
    """A shot, as far as key frames tell.

    Attributes:
        pts: Of its first key frame; the cut lies there or a little before.
        end_pts: pts at which the next shot begins; None: not known (yet).
        shown: pts of the frame that is its picture.
        picture: (h, w, 3) uint8 R'G'B', upright, before any coloring.
    """

    pts: int
    end_pts: int | None
    shown: int
    picture: Bytes


@dataclass(frozen=True, slots=True)
class _Stop:
    """A frame to look at.

    Attributes:
        pts: When.
        key: It is a key frame.
        least: Likeness to the one before under which a shot begins here.
    """

    pts: int
    key: bool
    least: float


@dataclass(slots=True, eq=False)
class _Open:
    """A shot of which more may come.

    Attributes:
        pts: Its first stop.
        frame: The frame to be shown, so far.
        last: What was seen last in it; None: nothing but darkness.
        seen: Stops that are not dark.
        told: It was handed out.
    """

    pts: int
    frame: FrameBatch
    last: Look | None
    seen: int
    told: bool = False


def sketch(
    film: FilmFrames, progress: Progress | None = None, *, limit: int | None = None
) -> Iterator[SketchShot]:
    """Find shots without decoding the film.

    Where the same picture stands for longer than four seconds, the next look is at a key frame.
    A shot is handed out as soon as two of its key frames were seen (the second, which lies well
    inside, is its picture), or the next shot has begun. Black key frames begin nothing.

    Memory: two small pictures and two frames. What it cannot see: shots without a key frame, cuts
    between pictures that look alike. It takes a fast change of the same place for a cut.

    Args:
        film: An open film.
        progress: Told 1 for every frame that was looked at.
        limit: Find at most so many shots: the first that begins in each of so many equal parts of
            the film. The rest is not decoded.

    Yields:
        Shots in order, from the film's first frame on.

    Raises:
        MediaError: If the film is damaged.
    """
    stops = _stops(film)
    part = None if limit is None else (_end(film, stops[-1].pts) - stops[0].pts) / limit
    shot: _Open | None = None
    wanted = float(stops[0].pts)
    stands, before_pts = False, None
    for stop in stops:
        if stop.pts < wanted and (shot is None or shot.told):
            continue
        if progress is not None:
            progress(1)
        stands = stands and not stop.key
        if stands:  # or the film has ended, earlier than it says
            continue
        frame = film.near(stop.pts) if stop.key else film.at(stop.pts)
        stands, before_pts = frame.pts[0] == before_pts, frame.pts[0]
        look = look_at(frame)
        begins = shot is not None and _differs(shot.last, look, stop.least)
        if shot is not None and begins and not shot.told:
            yield _told(shot, stop.pts)
        if shot is None or (begins and stop.pts >= wanted):
            shot = _Open(stop.pts, frame, None if look.dark else look, 0)
            if part is not None:
                wanted = stops[0].pts + part * (int((stop.pts - stops[0].pts) / part) + 1)
        if look.dark:
            continue
        shot.last, shot.seen = look, shot.seen + 1
        if not shot.told:
            shot.frame = frame
            if shot.seen > 1:
                yield _told(shot, None)
    if shot is not None and not shot.told:
        yield _told(shot, None)


def most_shots(film: FilmFrames) -> int:
    """How many shots a sketch can have: it looks at so many frames."""
    return len(_stops(film))


def _told(shot: _Open, end_pts: int | None) -> SketchShot:
    shot.told = True
    return SketchShot(shot.pts, end_pts, shot.frame.pts[0], before(shot.frame, PICTURE_PX))


def _differs(last: Look | None, look: Look, least: float) -> bool:
    return last is not None and not look.dark and likeness(last, look) < least


def _end(film: FilmFrames, last: int) -> float:
    """pts at which the film ends, behind its `last` key frame."""
    if film.seconds is None:
        return last + 1
    return max(last + 1, film.first_pts + float(film.seconds / film.info.time_base))


def _stops(film: FilmFrames) -> list[_Stop]:
    """Frames to look at."""
    keys = film.key_frames() or (film.first_pts,)
    base = film.info.time_base
    due = _due(keys)
    kept = [(keys[0], _DUE)]
    least = _DUE
    for pts in keys[1:]:
        least = max(least, _DUE if pts in due else _PLACED)
        if (pts - kept[-1][0]) * base >= _APART_S:
            kept.append((pts, least))
            least = _DUE
    end = _end(film, keys[-1])
    stops = []
    for (pts, least), (following, _) in pairwise([*kept, (round(end), 0)]):
        stops.append(_Stop(pts, True, least))
        if (following - pts) * base > _FAR_S:
            step = max(1, round(_STEP_S / base), (following - pts) // _MOST_STEPS)
            stops += [_Stop(one, False, _DUE) for one in range(pts + step, following, step)]
    return stops


def _due(keys: Sequence[int]) -> frozenset[int]:
    """Key frames that came because it was time, and not because the picture changed.

    An encoder that looks for cuts has a longest distance, which many films reach again and again;
    one that does not has no other.
    """
    steps = [later - earlier for earlier, later in pairwise(keys)]
    longest = max(steps, default=0)
    full = [pts for pts, step in zip(keys[1:], steps, strict=True) if step >= _FULL * longest]
    return frozenset(full) if len(full) > 1 else frozenset()
