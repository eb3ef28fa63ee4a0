"""Spots as a file that a person can edit: one JSON object a line, one line a spot.

    {"frame": 12, "pts": 12, "kind": "dust", "box": [40, 51, 46, 58], "area": 29,
     "confidence": 0.93, "source": "auto", "state": "accepted"}

`frame` counts from the start of the film, `box` is left, top, right, bottom in pixels, right and
bottom outside. Of a file that is read, `frame`, `box` and `state` count, the rest may be left out:
a spot that is found again where such a box lies gets that state.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from vidcolor.errors import GuidanceError
from vidcolor.given import nearest, parse_json, read_lines, shown
from vidcolor.repair.records import KINDS, Marked, Spot, State
from vidcolor.repair.records import Kind as SpotKind

__all__ = ["Verdicts", "read_verdicts", "spot_lines"]

_KEYS = ("frame", "pts", "kind", "box", "area", "confidence", "source", "state")
_NEEDED = ("frame", "box", "state")
_SAME = 0.5  # least intersection over union of boxes that are of one spot
_Box = tuple[int, int, int, int]


def spot_lines(marked: Marked) -> Iterable[str]:
    """The lines of a batch, each with its line end."""
    frames = marked.frames
    for number, spots in enumerate(marked.spots):
        for spot in spots:
            row = {
                "frame": frames.index + number,
                "pts": frames.pts[number],
                "kind": spot.kind,
                "box": list(spot.box),
                "area": spot.area,
                "confidence": round(spot.confidence, 3),
                "source": spot.source,
                "state": spot.state,
            }
            yield json.dumps(row) + "\n"


@dataclass(frozen=True, slots=True)
class _Verdict:
    box: _Box
    state: State
    kind: SpotKind | None
    pts: int | None
    where: str


class Verdicts:
    """What a person said about spots.

    Args:
        by_frame: Of each frame, by number in the film.
    """

    def __init__(self, by_frame: dict[int, list[_Verdict]]) -> None:
        self._by_frame = by_frame

    def apply(self, spots: Sequence[Spot], frame: int, pts: int) -> tuple[Spot, ...]:
        """Spots of a frame with the states that were given them.

        Args:
            spots: As found.
            frame: Number in the film.
            pts: Presentation time.

        Raises:
            GuidanceError: If the file names another pts for that frame.
        """
        verdicts = self._by_frame.get(frame, ())
        for verdict in verdicts:
            if verdict.pts is not None and verdict.pts != pts:
                raise GuidanceError(
                    f"{verdict.where}: frame {frame} has pts {verdict.pts} there, but {pts} in the "
                    "film; the file belongs to another film"
                )
        if not verdicts:
            return tuple(spots)
        return tuple(self._judged(spot, verdicts) for spot in spots)

    @staticmethod
    def _judged(spot: Spot, verdicts: Sequence[_Verdict]) -> Spot:
        best, state = _SAME, spot.state
        for verdict in verdicts:
            if verdict.kind is not None and verdict.kind != spot.kind:
                continue
            shared = _overlap(verdict.box, spot.box)
            if shared >= best:
                best, state = shared, verdict.state
        return spot if state == spot.state else replace(spot, state=state)


def _overlap(one: _Box, other: _Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (sum(areas) - both)


def read_verdicts(path: Path) -> Verdicts:
    """Read a file of spots.

    Args:
        path: JSON lines as `vidcolor restore --spots-out` writes them, edited.

    Raises:
        GuidanceError: If the file is missing or not as it should be, with the line.
    """
    by_frame: dict[int, list[_Verdict]] = {}
    try:
        for number, line in read_lines(path):
            frame, verdict = _read(line, f"spots file {path}, line {number}")
            by_frame.setdefault(frame, []).append(verdict)
    except OSError as error:
        raise GuidanceError(f"spots file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise GuidanceError(f"spots file {path} is no text in UTF-8") from error
    return Verdicts(by_frame)


def _read(line: str, where: str) -> tuple[int, _Verdict]:
    try:
        row: Any = parse_json(line)
    except json.JSONDecodeError as error:
        raise GuidanceError(f"{where}: no JSON: {error.msg}") from error
    if not isinstance(row, dict):
        raise GuidanceError(f"{where}: an object with frame, box and state is expected")
    for name in row:
        if name not in _KEYS:
            near = nearest(name, _KEYS, 0.0)
            raise GuidanceError(f"{where}: unknown key {shown(name)}, did you mean {near!r}?")
    for name in _NEEDED:
        if name not in row:
            raise GuidanceError(f"{where}: {name} is missing")
    frame, box, state = row["frame"], row["box"], row["state"]
    if not _whole(frame) or frame < 0:
        raise GuidanceError(f"{where}: frame must be a number from 0, not {shown(frame)}")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_whole, box)):
        raise GuidanceError(f"{where}: box must be [left, top, right, bottom], not {shown(box)}")
    if box[2] <= box[0] or box[3] <= box[1]:
        raise GuidanceError(f"{where}: box {box} is empty")
    if state not in get_args(State):
        raise GuidanceError(
            f"{where}: state must be one of {', '.join(get_args(State))}, not {shown(state)}"
        )
    kind, pts = row.get("kind"), row.get("pts")
    if kind is not None and kind not in KINDS:
        raise GuidanceError(f"{where}: kind must be one of {', '.join(KINDS)}, not {shown(kind)}")
    if pts is not None and not _whole(pts):
        raise GuidanceError(f"{where}: pts must be a whole number, not {shown(pts)}")
    return frame, _Verdict((box[0], box[1], box[2], box[3]), state, kind, pts, where)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
