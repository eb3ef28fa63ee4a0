"""The tracks of a film as a file that a person can edit: JSON with one line a track.

    {"version": 1, "begin": 0, "time_base": "1/25",
     "tracks": [
      {"id": 1, "identity": "man", "label": "person", "name": "", "color": "", "shot": 0, ...}
    ]}

Tracks with the same `identity` are one object and share their color. What a person may change:
`identity` (merge), `name`, `color` (pin), and a second line of the same `id` with `since` and
`until` (split). The rest is what the film was found to hold.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from vidcolor import schema
from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.given import parse_json, read_text, shown
from vidcolor.guidance.colors import parse_color
from vidcolor.guidance.moment import parse_time
from vidcolor.guidance.template import GRID, Pin, Template

__all__ = ["TrackEntry", "TracksFile", "load_tracks", "to_text", "whole_pin"]

_VERSION = 1
_FRACTION = re.compile(r"[1-9]\d{0,17}(/[1-9]\d{0,17})?", re.ASCII)
_EMPTY = ("", (), None)


@dataclass(frozen=True, slots=True)
class TrackEntry:
    """A track, or a part of one.

    Attributes:
        id: Number of the track in the film, as the line gives it.
        identity: Whose color it has; tracks with the same one are the same object.
        label: Its class, in the detector's words.
        name: What a person calls it.
        color: What color it has, in a person's words: "#a03020", "steelblue", "ab(20 30)"; empty
            is what it has by itself.
        shot: Number of its shot.
        time: When it is first seen, for people: "0:01:02.40".
        seconds: For how long, for people.
        mean: Its mean color, for people: "#a03020".
        since: From when this line speaks for the track: seconds or "1:02.4" from the first frame
            of the film; empty: from its beginning.
        until: Up to when (not itself); empty: to its end.
        first: pts of its first frame.
        last: pts of its last frame.
        at: pts of a frame in its middle.
        box: Where it is in that frame: left, top, right, bottom in pixels of the coded frame.
        template: Its color by place in the box (see `guidance.template`); empty: not known.
    """

    id: int
    identity: str
    label: str = ""
    name: str = ""
    color: str = ""
    shot: int = 0
    time: str = ""
    seconds: float = 0.0
    mean: str = ""
    since: str | float = ""
    until: str | float = ""
    first: int = 0
    last: int = 0
    at: int | None = None
    box: tuple[float, ...] = ()
    template: str = ""

    def __post_init__(self) -> None:
        where = f"track {self.id}"
        if self.id < 0:
            raise ConfigError(f"id must be 0 or more, not {self.id}")
        if not self.identity:
            raise ConfigError(f"{where}: identity is empty; give it a name of its own")
        if self.box and (
            len(self.box) != 4 or self.box[0] >= self.box[2] or self.box[1] >= self.box[3]
        ):
            raise ConfigError(f"{where}: box must be left, top, right, bottom, not {self.box}")
        for value in (self.since, self.until):
            if value != "":
                parse_time(value)
        since, until = self.span
        if since is not None and until is not None and since >= until:
            raise ConfigError(f"{where}: since {self.since} is not before until {self.until}")
        try:
            if self.color:
                parse_color(self.color)
            if self.template:
                Template.from_text(self.template)
        except (ConfigError, GuidanceError) as error:
            raise ConfigError(f"{where}: {error}") from None

    @property
    def span(self) -> tuple[Fraction | None, Fraction | None]:
        """Seconds from the first frame of the film, from and up to which the line speaks."""
        since = None if self.since == "" else parse_time(self.since)
        return since, None if self.until == "" else parse_time(self.until)

    def holds(self, seconds: Fraction) -> bool:
        """Whether the line speaks for the track at a time."""
        since, until = self.span
        return (since is None or seconds >= since) and (until is None or seconds < until)

    def known(self) -> Template | None:
        """Its color, if the file has it."""
        return Template.from_text(self.template) if self.template else None


@dataclass(frozen=True, slots=True)
class TracksFile:
    """All tracks of a film.

    Attributes:
        tracks: Lines, by shot, time and id.
        version: Of the format.
        begin: pts of the first frame of the film.
        time_base: Seconds of one pts unit, a fraction.
    """

    tracks: tuple[TrackEntry, ...] = ()
    version: int = _VERSION
    begin: int = 0
    time_base: str = "1/25"

    def __post_init__(self) -> None:
        if self.version != _VERSION:
            raise ConfigError(
                f"version {self.version} is not known here, only {_VERSION}; "
                "list the tracks anew with `vidcolor tracks`"
            )
        # no other form: of "1e999999999" all digits would be written out
        if not _FRACTION.fullmatch(self.time_base):
            raise ConfigError(
                f"time_base must be a fraction like 1/25, not {shown(self.time_base)}"
            )
        self._check_parts()
        self._check_colors()

    def _check_parts(self) -> None:
        """Lines of one track must not speak for the same time."""
        spans: dict[int, list[tuple[Fraction, Fraction | None]]] = {}
        for entry in self.tracks:
            since, until = entry.span
            spans.setdefault(entry.id, []).append((since or Fraction(-1), until))
        for number, parts in spans.items():
            parts.sort(key=lambda part: part[0])
            for (_, until), (since, _) in itertools.pairwise(parts):
                if until is None or until > since:
                    raise ConfigError(
                        f"track {number} has two lines for the same time; "
                        "give them until and since, or another identity"
                    )

    def _check_colors(self) -> None:
        """An identity has one color."""
        colors: dict[str, str] = {}
        for entry in self.tracks:
            if entry.color:
                other = colors.setdefault(entry.identity, entry.color)
                if parse_color(other).ab != parse_color(entry.color).ab:
                    raise ConfigError(
                        f"identity {entry.identity!r} is pinned to {other!r} and to "
                        f"{entry.color!r}; give one color, or track {entry.id} another identity"
                    )

    def seconds(self, pts: int) -> Fraction:
        """Seconds from the first frame of the film."""
        return (pts - self.begin) * Fraction(self.time_base)


def whole_pin(track: int, ab: tuple[float, float]) -> Pin:
    """A person's word that all of an object has one color.

    The lightness of its template is NaN: any. Where in the box the object is, is then found by
    `guidance.tracks.mask`.

    Args:
        track: Identity of the track, as in `Tracks.ids`.
        ab: a*b*.
    """
    color = torch.tensor(ab, dtype=torch.float32).view(2, 1, 1).expand(2, GRID, GRID).clone()
    anything = torch.full((GRID, GRID), torch.nan)
    return Pin(track, Template(color, anything, torch.ones(GRID, GRID)))


def load_tracks(path: str | Path) -> TracksFile:
    """Read a tracks file.

    Raises:
        GuidanceError: If it is missing or not as it should be; the message says where.
    """
    path = Path(path)
    try:
        data = parse_json(read_text(path))
    except OSError as error:
        raise GuidanceError(f"tracks file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise GuidanceError(f"tracks file {path} is no text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise GuidanceError(
            f"tracks file {path}, line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    if not isinstance(data, Mapping) or "tracks" not in data:
        raise GuidanceError(f'tracks file {path} must be {{"version": 1, "tracks": [...]}}')
    try:
        return schema.load(TracksFile, data, str(path))
    except ConfigError as error:
        raise GuidanceError(str(error)) from None


def to_text(file: TracksFile) -> str:
    """The file as text: a line a track, keys always in the same order, what is empty left out."""
    head = {"version": file.version, "begin": file.begin, "time_base": file.time_base}
    lines = [json.dumps(_row(entry), ensure_ascii=False) for entry in _sorted(file.tracks)]
    opening = json.dumps(head)[:-1]
    if not lines:
        return opening + ', "tracks": []}\n'
    return opening + ', "tracks": [\n  ' + ",\n  ".join(lines) + "\n]}\n"


def _sorted(entries: Iterable[TrackEntry]) -> list[TrackEntry]:
    return sorted(entries, key=lambda e: (e.shot, e.first, e.id, e.span[0] or 0))


_ALWAYS = ("id", "identity", "label", "name", "color", "shot", "first", "last")


def _row(entry: TrackEntry) -> dict[str, Any]:
    row = {}
    for field in fields(entry):
        value = getattr(entry, field.name)
        if field.name in _ALWAYS or value not in _EMPTY:
            row[field.name] = list(value) if isinstance(value, tuple) else value
    return row
