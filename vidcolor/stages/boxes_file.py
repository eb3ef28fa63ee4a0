"""Boxes as a file that a person can edit: one JSON object a line, one line a frame.

    {"frame": 0, "pts": 0, "time": 0.0, "boxes": [[x0, y0, x1, y1]], "scores": [0.9],
     "labels": ["person"], "ids": [1]}

`frame` counts from the start of the film, boxes are in pixels of the coded frame. `pts`, `time`,
`scores`, `labels` and `ids` may be left out; where `ids` are given they are obeyed. A part of a
film (`--start`) finds its place by `pts`.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vidcolor.errors import GuidanceError
from vidcolor.given import parse_json, read_lines, shown
from vidcolor.records import Detected, Detections, FrameBatch, Tracked

__all__ = ["BoxesFile", "boxes_line"]

_log = logging.getLogger(__name__)
_KEYS = ("frame", "pts", "time", "boxes", "scores", "labels", "ids")
_EXAMPLE = '{"frame": 0, "boxes": [[10, 20, 110, 220]]}'


def boxes_line(seen: Detected | Tracked, number: int) -> str:
    """The line of a frame, with its line end.

    Args:
        seen: A batch; of tracks the identities are written too.
        number: Of the frame in the batch.
    """
    frames = seen.frames
    found = seen.tracks.detections if isinstance(seen, Tracked) else seen.detections
    ids = seen.tracks.ids if isinstance(seen, Tracked) else seen.ids
    here = found.frame == number
    pts = frames.pts[number]
    row: dict[str, Any] = {
        "frame": frames.index + number,
        "pts": pts,
        "time": round(float(pts * frames.info.time_base), 6),
        "boxes": [[round(v, 2) for v in box] for box in found.boxes[here].tolist()],
        "scores": [round(v, 4) for v in found.scores[here].tolist()],
        "labels": [found.names[label] for label in found.labels[here].tolist()],
    }
    if ids is not None:
        row["ids"] = ids[here].tolist()
    return json.dumps(row, ensure_ascii=False) + "\n"


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    pts: int | None
    boxes: tuple[tuple[float, ...], ...]
    scores: tuple[float, ...]
    labels: tuple[int, ...]
    ids: tuple[int, ...] | None


class BoxesFile:
    """Boxes that a person gives.

    Memory: the file's rows. Lookahead: none; nothing happens at a cut. Frames that are not in
    the file have no boxes. Scores left out are 1, and labels "object".

    Args:
        path: JSON lines.

    Raises:
        GuidanceError: If the file is missing or not as it should be. While running: if a box
            lies outside the frame or a pts is not the film's.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._names: dict[str, int] = {}  # and their numbers
        self._rows = self._read()
        with_ids = {row.ids is not None for row in self._rows.values() if row.boxes}
        if len(with_ids) == 2:
            line = next(r.line for r in self._rows.values() if r.boxes and r.ids is None)
            raise self._error(line, '"ids" are missing; expected on all lines with boxes or none')
        self._has_ids = True in with_ids

    def __call__(self, frames: Iterable[FrameBatch]) -> Iterator[Detected]:
        """Lay the boxes beside the frames."""
        skipped: int | None = None
        past = 0
        for batch in frames:
            if skipped is None:
                skipped = self._skipped(batch)
            past = skipped + batch.index + len(batch)
            yield self._of_batch(batch, skipped)
        if skipped is not None and self._rows and max(self._rows) >= past:
            # not an error: the film may have been cut short on purpose
            _log.warning(
                "%s: has boxes up to frame %d, the film came up to frame %d",
                self._path,
                max(self._rows),
                past - 1,
            )

    def _skipped(self, batch: FrameBatch) -> int:
        """Frames of the film before the first batch, where only a part of the film is read."""
        frames = (frame for frame, row in self._rows.items() if row.pts == batch.pts[0])
        return next(frames, batch.index) - batch.index

    def _of_batch(self, batch: FrameBatch, skipped: int) -> Detected:
        boxes, scores, labels, places, ids = [], [], [], [], []
        height, width = batch.info.size
        for i in range(len(batch)):
            row = self._rows.get(skipped + batch.index + i)
            if row is None:
                continue
            if row.pts is not None and row.pts != batch.pts[i]:
                raise self._error(
                    row.line,
                    f"frame {skipped + batch.index + i} has pts {batch.pts[i]} in this film, "
                    f"not {row.pts}; is it another film's?",
                )
            for k, (x0, y0, x1, y1) in enumerate(row.boxes):
                clipped = (max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height))
                if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
                    raise self._error(
                        row.line,
                        f"box {k + 1} {[x0, y0, x1, y1]} lies outside the frame, which is "
                        f"{width} wide and {height} high",
                    )
                boxes.append(clipped)
                scores.append(row.scores[k])
                labels.append(row.labels[k])
                places.append(i)
                if row.ids is not None:
                    ids.append(row.ids[k])
        names = tuple(self._names) or ("object",)
        found = Detections(
            torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            torch.tensor(scores, dtype=torch.float32),
            torch.tensor(labels, dtype=torch.int64),
            torch.tensor(places, dtype=torch.int64),
            names,
        )
        given = torch.tensor(ids, dtype=torch.int64) if self._has_ids else None
        return Detected(batch, found, ids=given)

    def _error(self, line: int, message: str) -> GuidanceError:
        return GuidanceError(f"{self._path}:{line}: {message}")

    def _read(self) -> dict[int, _Row]:
        rows: dict[int, _Row] = {}
        try:
            for number, text in read_lines(self._path):
                frame, row = self._parse(number, text)
                if frame in rows:
                    earlier = rows[frame].line
                    raise self._error(number, f"frame {frame} is already on line {earlier}")
                rows[frame] = row
        except UnicodeDecodeError:
            raise GuidanceError(
                f"{self._path}: is no text; expected one JSON object a line, like {_EXAMPLE}"
            ) from None
        except OSError as error:
            raise GuidanceError(
                f"{self._path}: boxes cannot be read: {error.strerror}; make such a file with: "
                "vidcolor detect VIDEO BOXES.jsonl"
            ) from None
        return rows

    def _parse(self, line: int, text: str) -> tuple[int, _Row]:
        try:
            entry = parse_json(text)
        except json.JSONDecodeError as error:
            raise self._error(
                line, f"no JSON ({error.msg} at column {error.colno}); expected {_EXAMPLE}"
            ) from None
        if not isinstance(entry, dict):
            raise self._error(line, f"is {_kind(entry)}, expected an object like {_EXAMPLE}")
        unknown = sorted(set(entry) - set(_KEYS))
        if unknown:
            raise self._error(line, f"unknown key {shown(unknown[0])}; expected {', '.join(_KEYS)}")
        for key in ("frame", "boxes"):
            if key not in entry:
                raise self._error(line, f'"{key}" is missing; expected {_EXAMPLE}')
        frame = self._whole(line, "frame", entry["frame"])
        if frame < 0:
            raise self._error(line, f"frame {frame}; expected 0 or more")
        pts = None if entry.get("pts") is None else self._whole(line, "pts", entry["pts"])
        boxes = self._boxes(line, entry["boxes"])
        count = len(boxes)
        scores = self._list(line, "scores", entry, count, [1.0] * count)
        for score in scores:
            if not _is_number(score) or not 0 <= score <= 1:
                raise self._error(line, f"score {shown(score)}; expected a number from 0 to 1")
        labels = self._list(line, "labels", entry, count, ["object"] * count)
        for label in labels:
            if not isinstance(label, str):
                raise self._error(
                    line, f'label {shown(label)}; expected a name in quotes, "person"'
                )
            self._names.setdefault(label, len(self._names))
        ids = None
        if entry.get("ids") is not None:
            given = self._list(line, "ids", entry, count, [])
            ids = tuple(self._whole(line, "id", one) for one in given)
            if len(set(ids)) < len(ids):
                raise self._error(line, f"an id occurs twice in {shown(list(ids))}")
        row = _Row(
            line,
            pts,
            boxes,
            tuple(float(score) for score in scores),
            tuple(self._names[label] for label in labels),
            ids,
        )
        return frame, row

    def _boxes(self, line: int, value: Any) -> tuple[tuple[float, ...], ...]:
        if not isinstance(value, list):
            raise self._error(line, f'"boxes" is {_kind(value)}, expected a list of boxes')
        result = []
        for k, box in enumerate(value, 1):
            if not isinstance(box, list) or len(box) != 4 or not all(_is_number(v) for v in box):
                raise self._error(
                    line, f"box {k} is {shown(box)}; expected four numbers [x0, y0, x1, y1]"
                )
            x0, y0, x1, y1 = box
            if x1 <= x0 or y1 <= y0:
                raise self._error(
                    line,
                    f"box {k} {box} is empty; expected [left, top, right, bottom] with left < "
                    "right and top < bottom",
                )
            result.append((float(x0), float(y0), float(x1), float(y1)))
        return tuple(result)

    def _list(
        self, line: int, key: str, entry: dict[str, Any], count: int, default: list[Any]
    ) -> list[Any]:
        value = entry.get(key)
        if value is None:
            return default
        if not isinstance(value, list) or len(value) != count:
            what = f"{len(value)}" if isinstance(value, list) else _kind(value)
            raise self._error(line, f'"{key}" has {what}, expected {count}, one for each box')
        return value

    def _whole(self, line: int, key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 62:
            raise self._error(line, f"{key} is {shown(value)}, expected a whole number")
        return value


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and abs(value) < 1e9
    )


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return shown(value)
