"""Shots as a file that a person can edit: JSON with one line a shot.

    {"shots": [
      {"shot": 0, "start": 0, "end": 47, "pts": 0, "time": 0.0, "end_time": 2.0}
    ]}

`start` and `end` count frames from the start of the film; `end` is itself part of the shot.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from vidcolor.errors import GuidanceError
from vidcolor.given import nearest, parse_json, read_text, shown

__all__ = ["Shot", "read_shots", "shots_to_json"]


@dataclass(frozen=True, slots=True)
class Shot:
    """A line of a shots file.

    Attributes:
        shot: Number of the shot, from 0.
        start: Its first frame, counted from 0.
        end: Its last frame, itself part of the shot.
        pts: Presentation time of the first frame in the film's time base, if known.
        time: The same in seconds.
        end_time: Seconds at which the last frame ends.
    """

    shot: int
    start: int
    end: int
    pts: int | None = None
    time: float | None = None
    end_time: float | None = None


_FIELDS: dict[str, tuple[type, ...]] = {
    "shot": (int,),
    "start": (int,),
    "end": (int,),
    "pts": (int,),
    "time": (int, float),
    "end_time": (int, float),
}
_NEEDED = ("start", "end")


def shots_to_json(shots: Iterable[Shot]) -> str:
    """A shots file: JSON with one line a shot, so that it is easy to edit by hand."""
    lines = []
    for shot in shots:
        values = ((name, getattr(shot, name)) for name in _FIELDS)
        lines.append("  " + json.dumps({name: v for name, v in values if v is not None}))
    return '{"shots": [\n' + ",\n".join(lines) + "\n]}\n"


def read_shots(path: Path) -> tuple[Shot, ...]:
    """Shots as written by `vidcolor shots`, perhaps edited.

    `start` and `end` (the last frame, included) are needed, the other fields may be left out. The
    shots follow each other without gap. `pts`, where present, must be that of the film's frame.

    Args:
        path: A JSON file `{"shots": [{"shot": 0, "start": 0, "end": 47}, ...]}`.

    Raises:
        GuidanceError: If the file is missing or is anything else, with the place.
    """
    try:
        document = parse_json(read_text(path))
    except OSError as error:
        raise GuidanceError(f"shots file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise GuidanceError(f"shots file {path} is no text in UTF-8") from error
    except json.JSONDecodeError as error:
        raise GuidanceError(
            f"shots file {path}, line {error.lineno}, column {error.colno}: no JSON: {error.msg}"
        ) from error
    rows = document.get("shots") if isinstance(document, dict) else None
    if not isinstance(rows, list) or len(cast(Any, document)) != 1:
        raise GuidanceError(f'shots file {path} must be {{"shots": [...]}} and nothing else')
    if not rows:
        raise GuidanceError(f"shots file {path} lists no shot")
    shots: list[Shot] = []
    for number, row in enumerate(rows):
        shot = _read_row(row, number, path)
        begins = shots[-1].end + 1 if shots else 0
        where = f"shots file {path}, shot {number}"
        if shot.start != begins:
            raise GuidanceError(
                f"{where}: start is {shot.start}, but must be {begins}, "
                + ("the frame after the shot before" if shots else "the first frame")
            )
        if shot.end < shot.start:
            raise GuidanceError(f"{where}: end {shot.end} lies before start {shot.start}")
        shots.append(shot)
    return tuple(shots)


def _read_row(row: object, number: int, path: Path) -> Shot:
    where = f"shots file {path}, shot {number}"
    if not isinstance(row, dict):
        raise GuidanceError(f"{where}: an object with start and end is expected, not {shown(row)}")
    for name, value in row.items():
        if name not in _FIELDS:
            near = nearest(name, _FIELDS, 0.0)
            raise GuidanceError(f"{where}: unknown key {shown(name)}, did you mean {near!r}?")
        if not isinstance(value, _FIELDS[name]) or isinstance(value, bool):
            raise GuidanceError(f"{where}: {name} must be a number, not {shown(value)}")
    for name in _NEEDED:
        if name not in row:
            raise GuidanceError(f"{where}: {name} is missing")
    # who adds a cut by hand need not renumber what follows
    return Shot(**{**row, "shot": number})
