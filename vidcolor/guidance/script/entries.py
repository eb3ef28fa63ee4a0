"""The color script: one file with everything that a person says about the color of a film.

TOML, documented in docs/color-script.md. `vidcolor plan` writes it, a person edits it, and
`vidcolor colorize --plan` obeys it.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidcolor.color.grade import GradeConfig
from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.given import open_file, shown
from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.moment import Moment, parse_time
from vidcolor.guidance.references.entries import ReferenceEntry
from vidcolor.guidance.tracks.file import TrackEntry, TracksFile

__all__ = [
    "TIME_TOLERANCE_S",
    "VERSION",
    "ColorScript",
    "ShotEntry",
    "SourceEntry",
    "Table",
    "TrackGrade",
    "fingerprint",
    "timecode",
]

VERSION = 1
"""Of the format."""

TIME_TOLERANCE_S = Fraction(1, 1000)
"""Of times that are written to a thousandth."""

_FRACTION = re.compile(r"[1-9]\d{0,17}(/[1-9]\d{0,17})?", re.ASCII)
_ENDS_BYTES = 1 << 18  # that a fingerprint takes of the beginning and the end of a file


class Table(dict[str, Any]):
    """Keys of the config as they stand in the file; whoever builds the line checks them."""


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """The film that the script is for.

    Attributes:
        name: Its file name, without folders.
        frames: How many frames it has.
        duration: How long it is, "h:mm:ss.mmm".
        time_base: Seconds of one pts unit, like "1/24000".
        fingerprint: Of the file, see `fingerprint`; left out: any film will do.
    """

    name: str
    frames: int
    duration: str
    time_base: str
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ConfigError(f"frames must be 1 or more, not {self.frames}")
        if not _FRACTION.fullmatch(self.time_base):
            raise ConfigError(
                f"time_base must be a fraction like 1/25, not {shown(self.time_base)}"
            )
        parse_time(self.duration)

    @property
    def tick(self) -> Fraction:
        """Seconds of one pts unit."""
        return Fraction(self.time_base)


@dataclass(frozen=True, slots=True)
class ShotEntry:
    """A shot, and what is different in it.

    Attributes:
        number: Its place in the list, from 0; ids of tracks begin with it.
        start: Its first frame, counted from 0 through the whole film.
        end: Its last frame, itself part of the shot.
        pts: Presentation time of the first frame, in units of the source's `time_base`.
        end_pts: Of the last frame.
        time: When the first frame is shown, "h:mm:ss.mmm" from the film's first frame; for reading,
            but checked against `pts`.
        end_time: When the last frame is shown.
        note: For the person's own use.
        colorizer: Network for this shot; left out: the film's.
        weights: Weights for this shot; left out: the film's, or those of `colorizer`.
        references: Let references have a say in this shot.
        grade: Grade of the shot, before that of the film.
        settings: Any keys of the config that concern the stages of the line.
    """

    number: int
    start: int
    end: int
    pts: int | None = None
    end_pts: int | None = None
    time: str | None = None
    end_time: str | None = None
    note: str = ""
    colorizer: str | None = None
    weights: str | None = None
    references: bool = True
    grade: GradeConfig = field(default_factory=GradeConfig)
    settings: Table = field(default_factory=Table)

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ConfigError(f"end {self.end} lies before start {self.start}")
        if self.pts is not None and self.end_pts is not None and self.end_pts < self.pts:
            raise ConfigError(f"end_pts {self.end_pts} lies before pts {self.pts}")
        for time in (self.time, self.end_time):
            if time is not None:
                parse_time(time)

    def __len__(self) -> int:
        return self.end - self.start + 1


@dataclass(frozen=True, slots=True)
class TrackGrade:
    """A grade of an object: of all tracks that share an identity, or of a single track.

    Attributes:
        identity: As in `tracks`.
        track: Or the id of a track.
        grade: What happens within its boxes, before the grade of the shot.
        note: For the person's own use.
    """

    identity: str | None = None
    track: int | None = None
    grade: GradeConfig = field(default_factory=GradeConfig)
    note: str = ""

    def __post_init__(self) -> None:
        if (self.identity is None) == (self.track is None):
            raise ConfigError("exactly one of identity and track says what is graded")


@dataclass(frozen=True, slots=True)
class ColorScript:
    """Everything that a person says about a film.

    Attributes:
        version: Of the format.
        source: The film; left out: any film.
        settings: Keys of the config for the whole film, as in a config file.
        grade: Of the whole film, after those of tracks and shots.
        shots: All shots, from the first frame to the last, without holes; none: they are looked
            for, and nothing can be said about single ones.
        tracks: Objects and which of them are the same.
        track_grades: Grades of objects.
        hints: Colors of places.
        references: Pictures that show what colors things have.
    """

    version: int
    source: SourceEntry | None = None
    settings: Table = field(default_factory=Table)
    grade: GradeConfig = field(default_factory=GradeConfig)
    shots: tuple[ShotEntry, ...] = ()
    tracks: tuple[TrackEntry, ...] = ()
    track_grades: tuple[TrackGrade, ...] = ()
    hints: tuple[HintEntry, ...] = ()
    references: tuple[ReferenceEntry, ...] = ()

    def shot_at(self, moment: Moment) -> int | None:
        """Number of the shot in which a moment lies; None if the script does not tell."""
        starts: list[int | None]
        if moment.frame is not None:
            place: int | None = moment.frame
            starts = [shot.start for shot in self.shots]
        else:
            place = moment.pts if moment.time is None else self._pts(parse_time(moment.time))
            starts = [shot.pts for shot in self.shots]
        known = [start for start in starts if start is not None]
        if place is None or len(known) < len(starts) or not known or place < known[0]:
            return None
        return bisect_right(known, place) - 1

    def _pts(self, seconds: Fraction) -> int | None:
        if self.source is None or not self.shots or self.shots[0].pts is None:
            return None
        return self.shots[0].pts + int((seconds + TIME_TOLERANCE_S / 2) / self.source.tick)

    def tracks_file(self) -> TracksFile:
        """The tracks as a file of their own, for what reads such files.

        Raises:
            ConfigError: If they contradict each other.
        """
        base = "1/25" if self.source is None else self.source.time_base
        begin = self.shots[0].pts if self.shots else None
        return TracksFile(self.tracks, begin=begin or 0, time_base=base)

    def grades_of_tracks(self) -> dict[int, GradeConfig]:
        """Grade of every track that has one, by id; a track's own counts more than its identity's.

        A track that is split into several lines is graded as a whole if one of them is.
        """
        grades = {}
        for entry in sorted(self.track_grades, key=lambda entry: entry.track is not None):
            for track in self.tracks:
                if entry.identity == track.identity:
                    grades[track.id] = entry.grade
            if entry.track is not None:
                grades[entry.track] = entry.grade
        return grades


def timecode(seconds: Fraction) -> str:
    """`h:mm:ss.mmm`."""
    total = round(seconds * 1000)
    minutes, rest = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


def fingerprint(path: Path) -> str:
    """Tells films apart without reading them whole: SHA-256 of size, beginning and end.

    A file that was cut, encoded again or put into another container is another film: its frames
    have other times.

    Raises:
        GuidanceError: If the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_file(path) as file:
            size = file.seek(0, 2)
            digest.update(size.to_bytes(8, "big"))
            for start in (0, max(0, size - _ENDS_BYTES)):
                file.seek(start)
                digest.update(file.read(_ENDS_BYTES))
    except OSError as error:
        raise GuidanceError(f"{path}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()[:32]
