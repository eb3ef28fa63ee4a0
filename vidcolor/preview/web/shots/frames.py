"""Frames of a shot: when they are shown, and the shot decoded once."""

from __future__ import annotations

import contextlib
import json
from bisect import bisect_right
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import GuidanceError
from vidcolor.io.film_part import MisplacedFrame
from vidcolor.io.prefetch import prefetch
from vidcolor.io.video import VideoReader
from vidcolor.records import FrameBatch
from vidcolor.render import film_part
from vidcolor.scripted import ScriptedFilm

__all__ = [
    "BEFORE",
    "CLIP_FRAMES",
    "WIDTH",
    "NotMade",
    "Times",
    "before_name",
    "decode_shot",
    "kept",
    "picture_step",
    "pixels_of",
]

Bytes = npt.NDArray[np.uint8]

WIDTH = 960
"""Of pictures to look at, at most, in pixels."""

BEFORE = "before-"
"""What names of `before_name` begin with."""

CLIP_FRAMES = 750
"""Of a clip at most, and of the frames that all have pictures: the beginning of a longer shot."""

_AHEAD = 2  # batches decoded before they are asked for
_USUAL_RATE = Fraction(25)
_MORE_PICTURES = 250  # at most, of what comes after `CLIP_FRAMES`


class NotMade(GuidanceError):
    """There is nothing to show yet; it will be there when it was made."""


@dataclass(frozen=True, slots=True)
class Times:
    """When the frames of a shot are shown.

    Attributes:
        pts: Of all frames.
        tick: Seconds of one pts unit.
    """

    pts: tuple[int, ...]
    tick: Fraction

    @classmethod
    def read(cls, data: bytes) -> Times:
        """What `text` wrote."""
        values = json.loads(data)
        return cls(tuple(values["pts"]), Fraction(values["tick"]))

    def text(self) -> str:
        """As JSON."""
        return json.dumps({"tick": str(self.tick), "pts": self.pts})

    def seconds(self, number: int) -> float:
        """Of a frame, from the first one."""
        return float((self.pts[number] - self.pts[0]) * self.tick)

    def number(self, pts: int) -> int:
        """The frame that is shown at a time; before the first one the first."""
        return max(0, bisect_right(self.pts, pts) - 1)

    @property
    def rate(self) -> Fraction:
        """Frames a second, about."""
        if len(self.pts) < 2:
            return _USUAL_RATE
        return (len(self.pts) - 1) / ((self.pts[-1] - self.pts[0]) * self.tick)

    @property
    def length(self) -> float:
        """Seconds, with those of the last frame."""
        return float((self.pts[-1] - self.pts[0]) * self.tick + 1 / self.rate)


def before_name(film: ScriptedFilm, place: int) -> str:
    """The name of what a shot shows before it is colored."""
    shot = film.shots[place]
    return f"{BEFORE}{shot.start}-{shot.end}-{'x' if shot.pts is None else shot.pts}"


def picture_step(count: int) -> int:
    """Beyond `CLIP_FRAMES`, one of so many frames has a picture; 1 where all have one.

    Args:
        count: Frames of the shot.
    """
    return max(1, -((CLIP_FRAMES - count) // _MORE_PICTURES))


def kept(number: int, count: int) -> int:
    """The frame that is shown in place of one: itself, or the last before it with a picture.

    Args:
        number: Frame of the shot.
        count: Frames of the shot.
    """
    beyond = number - CLIP_FRAMES
    return number if beyond < 0 else number - beyond % picture_step(count)


def decode_shot(film: ScriptedFilm, place: int, color: bool = True) -> Iterator[FrameBatch]:
    """Frames of a shot; `start` counts from its first one.

    Args:
        film: The film.
        place: Number of the shot.
        color: With their color as stored.

    Raises:
        MediaError: If the film cannot be read, or is not that of the list of shots.
    """
    shot, given = film.shots[place], 0
    for from_beginning in (False, True):
        part = film_part(film.shots, range(place, place + 1), from_beginning)
        try:
            with (
                VideoReader(film.source, film.config.input, part, keep_chroma=color) as reader,
                contextlib.closing(_ahead(reader)) as frames,
            ):
                for batch in frames:
                    yield replace(batch, start=batch.index - shot.start, shot=shot.shot)
                    given += len(batch)
            return
        except MisplacedFrame:
            if from_beginning or given or place == 0:
                raise


def _ahead(reader: VideoReader) -> Generator[FrameBatch]:
    yield from prefetch(reader, _AHEAD)


def pixels_of(jpeg: bytes) -> Bytes:
    """(h, w, 3) uint8 R'G'B' of one of our own pictures."""
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None, "our own pictures are whole"
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
