"""Hints: colors that a person gives to places in a film, in a JSON file or as painted frames.

    {"version": 1, "hints": [
      {"frame": 12, "points": [310, 140], "color": "steelblue"},
      {"time": "0:03.5", "points": [40, 60, 80, 66, 120, 70], "color": "#7a4b2c"},
      {"frame": 12, "region": [10, 10, 200, 10, 200, 90], "color": "lab(60 12 20)"},
      {"track": 4, "whole": true, "color": "ab(-8 22)"}
    ]}

A folder may hold painted frames (`0012.png`: frame 12; what differs from gray counts) and beside
them a `hints.json`.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.given import parse_json, read_text, shown
from vidcolor.guidance.colors import Color, parse_color
from vidcolor.guidance.hints.paintings import check_painting
from vidcolor.guidance.moment import FrameTimes, Moment
from vidcolor.io.image import EXTENSIONS
from vidcolor.records import TRACKS_OF_A_SHOT, VideoInfo
from vidcolor.schema import load

__all__ = [
    "LEAVE",
    "FilmHints",
    "HintEntry",
    "HintsFile",
    "Mark",
    "Painting",
    "PlacedHints",
    "place",
    "read_hints",
]

LEAVE = "auto"
"""The color of a hint that keeps other hints away and leaves the automatic color."""

_VERSION = 1
_FILE_NAME = "hints.json"
_NUMBERED = re.compile(r"(?:frame_?)?(\d+)")


@dataclass(frozen=True, slots=True)
class HintEntry:
    """A color for a place: one of `points`, `region` and `whole` says which.

    Attributes:
        color: `#rrggbb`, `#rgb`, a name, `lab(L a b)` or `ab(a b)`; its chroma counts, the film
            has the lightness. "gray" keeps neutral; "auto" leaves the automatic color there and
            keeps the other hints from spreading into it.
        frame: Number of the frame, from 0 through the whole film.
        time: Or the time, in seconds or as "1:02:03.4".
        pts: Or the presentation time.
        points: x0, y0, x1, y1, ... of a stroke; one pair is a point.
        region: x0, y0, x1, y1, ... of the corners of an area; two pairs are a box.
        whole: The whole object of `track`, in all its frames and, where identities are known, in
            other shots; without a track all of the shot, below other hints.
        unit: `pixels` of the coded frame (0, 0 is its upper left corner) or `fractions` of its
            width and height.
        radius_px: Half the width of a stroke in pixels of the frame; none is as thin as the
            solve can see.
        reach: How far a stroke spreads beyond itself, 1 as usual, 0 not at all; areas do not.
        track: The object that it belongs to: an id, "auto" for the smallest tracked box that
            contains it, "none".
        note: For the person's own use.
    """

    color: str
    frame: int | None = None
    time: str | float | None = None
    pts: int | None = None
    points: tuple[float, ...] = ()
    region: tuple[float, ...] = ()
    whole: bool = False
    unit: Literal["pixels", "fractions"] = "pixels"
    radius_px: float | None = None
    reach: float = 1.0
    track: Literal["auto", "none"] | int = "auto"
    note: str = ""

    def __post_init__(self) -> None:
        if self.color.strip().lower() != LEAVE:
            parse_color(self.color)
        shapes = [name for name in ("points", "region", "whole") if getattr(self, name)]
        if len(shapes) != 1:
            what = " and ".join(shapes) + " are given" if shapes else "none is given"
            raise ConfigError(f"exactly one of points, region and whole says which place; {what}")
        for name in ("points", "region"):
            self._check_corners(name, getattr(self, name))
        if self.object is None:
            Moment(self.frame, self.time, self.pts)
        elif not self._timeless:
            raise ConfigError("an object is meant in all its frames; leave frame, time, pts out")
        elif self.leaves:
            raise ConfigError("an object keeps its automatic color by itself; leave the hint out")
        if self.radius_px is not None and not 0 < self.radius_px <= 10_000:
            raise ConfigError(f"radius_px must be above 0, not {self.radius_px}")
        if self.radius_px is not None and not self.points:
            raise ConfigError("radius_px is for points; a region has its corners")
        if not 0 <= self.reach <= 100:
            raise ConfigError(f"reach must be 0 to 100, not {self.reach}")
        if isinstance(self.track, int) and self.track < 0:
            raise ConfigError(f"track must be an id (0 or more), auto or none, not {self.track}")

    def _check_corners(self, name: str, numbers: tuple[float, ...]) -> None:
        if len(numbers) % 2 or (name == "region" and len(numbers) == 2):
            raise ConfigError(f"{name} must be x0, y0, x1, y1, ...; got {len(numbers)} numbers")
        if any(not abs(v) < 1e6 for v in numbers):
            raise ConfigError(f"{name} must be numbers of pixels, not {shown(list(numbers))}")

    @property
    def object(self) -> int | None:
        """Id of the track that is colored as a whole, if one is."""
        return self.track if self.whole and isinstance(self.track, int) else None

    @property
    def _timeless(self) -> bool:
        return self.frame is None and self.time is None and self.pts is None

    @property
    def moment(self) -> Moment | None:
        """When; None for an object in all its frames."""
        return None if self._timeless else Moment(self.frame, self.time, self.pts)

    @property
    def leaves(self) -> bool:
        """Whether it wants the automatic color."""
        return self.color.strip().lower() == LEAVE

    @property
    def value(self) -> Color:
        """The color; neutral where the automatic one is to stay."""
        return Color(0.0, 0.0) if self.leaves else parse_color(self.color)

    def corners(self, info: VideoInfo) -> list[tuple[float, float]]:
        """(x, y) in pixels of the coded frame of its points or corners; of a box all four."""
        scale = (info.width, info.height) if self.unit == "fractions" else (1, 1)
        numbers = self.points or self.region
        pairs = [
            (x * scale[0], y * scale[1]) for x, y in zip(numbers[::2], numbers[1::2], strict=True)
        ]
        if self.region and len(pairs) == 2:
            (x0, y0), (x1, y1) = pairs
            pairs = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        return pairs


@dataclass(frozen=True, slots=True)
class HintsFile:
    """A file of hints.

    Attributes:
        hints: The hints.
        version: Of the format.
    """

    hints: tuple[HintEntry, ...] = ()
    version: int = _VERSION

    def __post_init__(self) -> None:
        if self.version != _VERSION:
            raise ConfigError(
                f"version is {self.version}, this program reads {_VERSION}; use a newer one"
            )


@dataclass(frozen=True, slots=True)
class Painting:
    """A frame that a person painted over.

    Attributes:
        path: The picture.
        moment: Which frame.
    """

    path: Path
    moment: Moment


@dataclass(frozen=True, slots=True)
class FilmHints:
    """All hints of a film, as given.

    Attributes:
        entries: With the place of each, for messages.
        paintings: Painted frames.
    """

    entries: tuple[tuple[str, HintEntry], ...] = ()
    paintings: tuple[Painting, ...] = ()

    @classmethod
    def of(cls, entries: tuple[HintEntry, ...], where: str = "hints") -> FilmHints:
        """Hints that stand in another file (the color script)."""
        return cls(tuple((f"{where}[{i}]", entry) for i, entry in enumerate(entries)))

    def __add__(self, other: FilmHints) -> FilmHints:
        """Both."""
        return FilmHints(self.entries + other.entries, self.paintings + other.paintings)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.entries or self.paintings)


@dataclass(frozen=True, slots=True)
class Mark:
    """A hint whose frame is known.

    Attributes:
        where: Its place in the person's files, for messages.
        source: The entry, or the painted picture.
    """

    where: str
    source: HintEntry | Path


@dataclass(frozen=True, slots=True)
class PlacedHints:
    """Hints whose frames are known.

    Attributes:
        frames: Hints of a frame, by its pts.
        tracks: Place and hint of whole objects, by the id of the track; the last one counts.
    """

    frames: dict[int, tuple[Mark, ...]]
    tracks: dict[int, tuple[str, HintEntry]]

    def touched(self, first_pts: Mapping[int, int]) -> frozenset[int]:
        """Numbers of the shots that hints are in; only these need to be followed.

        Args:
            first_pts: pts of the first frame of every shot that is read, by its number, in order.
        """
        numbers, firsts = tuple(first_pts), tuple(first_pts.values())
        places = {bisect_right(firsts, pts) - 1 for pts in self.frames}
        shots = {numbers[place] for place in places if place >= 0}
        shots |= {track // TRACKS_OF_A_SHOT for track in self.tracks}
        return frozenset(shots & set(numbers))


def read_hints(path: Path) -> FilmHints:
    """Hints of a JSON file, or of a folder of painted frames with or without a `hints.json`.

    Args:
        path: The file or folder.

    Raises:
        GuidanceError: If it is missing or not as it should be; the message has the place.
    """
    if not path.is_dir():
        return _read_file(path)
    pictures = sorted(
        found
        for found in path.iterdir()
        if found.suffix.lower() in EXTENSIONS and not found.name.startswith(".")
    )
    paintings = []
    for picture in pictures:
        numbered = _NUMBERED.fullmatch(picture.stem)
        if not numbered:
            raise GuidanceError(
                f"{picture}: the name of a painted frame is its number, like 0012{picture.suffix}"
            )
        paintings.append(Painting(picture, Moment(frame=int(numbered[1]))))
    numbers: dict[int | None, Path] = {}
    for painting in paintings:
        first = numbers.setdefault(painting.moment.frame, painting.path)
        if first != painting.path:
            raise GuidanceError(f"{painting.path}: is the same frame as {first.name}; keep one")
    hints = FilmHints((), tuple(paintings))
    if (path / _FILE_NAME).exists():
        hints = _read_file(path / _FILE_NAME) + hints
    if not hints:
        raise GuidanceError(f"{path}: holds no hints; put {_FILE_NAME} or painted NNNN.png there")
    return hints


def _read_file(path: Path) -> FilmHints:
    try:
        document: Any = parse_json(read_text(path))
    except OSError as error:
        raise GuidanceError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise GuidanceError(f"{path}: is no text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise GuidanceError(
            f"{path}, line {error.lineno}, column {error.colno}: no JSON: {error.msg}"
        ) from None
    if not isinstance(document, dict):
        raise GuidanceError(f'{path}: must be {{"version": 1, "hints": [...]}}')
    if "version" not in document:
        raise GuidanceError(f'{path}: version is missing; write "version": {_VERSION}')
    try:
        file = load(HintsFile, document, str(path))
    except ConfigError as error:
        raise GuidanceError(str(error)) from None
    if not file.hints:
        raise GuidanceError(f"{path}: holds no hints")
    return FilmHints.of(file.hints, f"{path}.hints")


def place(hints: FilmHints, times: FrameTimes, info: VideoInfo) -> PlacedHints:
    """Find the frame of every hint, and check that it fits the film.

    Args:
        hints: As given.
        times: Of the film's frames.
        info: Of the film.

    Raises:
        GuidanceError: If a hint lies outside the film or its picture, or a painted frame cannot
            be read or has another shape.
    """
    frames: dict[int, list[Mark]] = {}
    tracks: dict[int, tuple[str, HintEntry]] = {}
    for where, entry in hints.entries:
        _check_inside(entry, info, where)
        moment = entry.moment
        if entry.object is not None:
            tracks[entry.object] = (where, entry)
        else:
            assert moment is not None, "checked by the entry"
            frames.setdefault(moment.resolve(times, where), []).append(Mark(where, entry))
    for painting in hints.paintings:
        pts = painting.moment.resolve(times, str(painting.path))
        check_painting(painting.path, info)
        frames.setdefault(pts, []).append(Mark(str(painting.path), painting.path))
    return PlacedHints(
        {pts: tuple(marks) for pts, marks in frames.items()},
        tracks,
    )


def _check_inside(entry: HintEntry, info: VideoInfo, where: str) -> None:
    for x, y in entry.corners(info):
        inside = 0 <= x <= info.width and 0 <= y <= info.height
        if entry.points and not inside:
            raise GuidanceError(
                f"{where}: point ({x:g}, {y:g}) lies outside the frame, "
                f"which is {info.width} wide and {info.height} high"
            )
    if entry.region:
        xs, ys = zip(*entry.corners(info), strict=True)
        if max(xs) <= 0 or max(ys) <= 0 or min(xs) >= info.width or min(ys) >= info.height:
            raise GuidanceError(f"{where}: the region lies outside the frame")
