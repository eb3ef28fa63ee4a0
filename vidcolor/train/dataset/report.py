"""What became of the frames of a set's sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DROPPED", "BuildReport", "SourceReport", "report_table"]

DROPPED = {
    "held": "repeat the frame before",
    "black": "black",
    "white": "white",
    "flat": "without content",
    "gray": "without color",
    "toned": "gray with a tone",
    "small": "too small",
    "similar": "like others of the shot",
    "duplicate": "like others of the set",
    "unreadable": "cannot be read",
}
"""Why a frame that was looked at is not in the set."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What a source gave.

    Attributes:
        name: Its name in the set.
        kind: film, pictures or shard.
        frames: Frames or pictures that were read.
        looked: Those that were offered: every one of pictures, of films as `every_s` says.
        dropped: Of these, how many were left out, by reason (`DROPPED`).
        train: Pictures to learn from.
        val: Pictures to measure on.
        broken: Why not all of it could be read; empty if all was.
    """

    name: str
    kind: str
    frames: int
    looked: int
    dropped: Mapping[str, int]
    train: int
    val: int
    broken: str = ""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a set holds.

    Attributes:
        folder: Of the set.
        sources: In order.
        shards: File names of the shards.
        new: False if the set was there already.
    """

    folder: Path
    sources: tuple[SourceReport, ...]
    shards: tuple[str, ...]
    new: bool = True

    @property
    def total(self) -> SourceReport:
        """All sources together."""
        return SourceReport(
            "total",
            "",
            sum(one.frames for one in self.sources),
            sum(one.looked for one in self.sources),
            {why: sum(one.dropped.get(why, 0) for one in self.sources) for why in DROPPED},
            sum(one.train for one in self.sources),
            sum(one.val for one in self.sources),
        )


def report_table(report: BuildReport) -> str:
    """The report as lines of text; reasons that did not occur are left out."""
    total = report.total
    reasons = [why for why in DROPPED if total.dropped[why]]
    head = ["source", "frames", "looked at", *reasons, "train", "val"]
    shown = [*report.sources, total] if len(report.sources) > 1 else report.sources
    rows = [head]
    for one in shown:
        dropped = [one.dropped.get(why, 0) for why in reasons]
        rows.append([one.name, *map(str, (one.frames, one.looked, *dropped, one.train, one.val))])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
    return "\n".join(lines)
