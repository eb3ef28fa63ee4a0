"""What an evaluation of data sets says: rows of scores, whose tables are drawn from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from vidcolor.color.measure.catalog import METRICS
from vidcolor.evaluate.sets.cost import Cost
from vidcolor.evaluate.sets.temporal import TEMPORAL

__all__ = ["Column", "Kind", "LevelReport", "Row", "SetReport", "columns_of"]

Better = Literal["higher", "lower", "truth"]
Kind = Literal["baseline", "colorizer", "truth"]

# where there is little room; others keep their title
_HEADS = {
    "ssim": "SSIM",
    "ssim_uniform": "SSIM uniform",
    "lpips": "LPIPS",
    "lpips_vgg": "LPIPS VGG",
    "delta_e": "dE00",
    "colorfulness": "CF",
    "colorfulness_abs": "CF abs",
    "colorfulness_difference": "dCF",
    "chroma": "chroma",
    "psnr_wrapped": "wrapped",
}


@dataclass(frozen=True, slots=True)
class Column:
    """How the values of a metric are printed.

    Attributes:
        name: Of the metric.
        title: Over the column.
        head: The same where there is little room.
        unit: Of what is printed; empty for a pure number.
        better: Which way is better.
        decimals: That are printed.
        scale: What values are multiplied by when printed.
    """

    name: str
    title: str
    head: str
    unit: str
    better: Better
    decimals: int
    scale: float = 1.0

    def text(self, value: float | None) -> str:
        """A value as it is printed; empty where there is none."""
        if value is None or not math.isfinite(value):
            return ""
        return f"{value * self.scale:.{self.decimals}f}"


def columns_of(names: Sequence[str]) -> tuple[Column, ...]:
    """The columns of metrics, in that order."""
    found = []
    for name in names:
        if name in METRICS:
            one = METRICS[name]
            head = _HEADS.get(name, one.title)
            found.append(Column(name, one.title, head, one.unit, one.better, one.decimals))
        else:
            two = TEMPORAL[name]
            found.append(
                Column(name, two.title, two.head, two.unit, two.better, two.decimals, two.scale)
            )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Row:
    """One coloring.

    Attributes:
        name: Of who colored.
        kind: "baseline", "colorizer", or "truth": the true color itself.
        scores: By metric; None where there was nothing to measure.
        cost: Of its network, where that was asked for.
    """

    name: str
    kind: Kind
    scores: Mapping[str, float | None]
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class LevelReport:
    """Means over pictures, over instances, or over clips.

    Attributes:
        level: What counts as one: "picture", "instance" or "clip".
        count: How many there were.
        rows: Baselines, colorizers, the truth.
    """

    level: str
    count: int
    rows: tuple[Row, ...]

    @property
    def truth(self) -> Row | None:
        """What the true color has itself."""
        return next((row for row in self.rows if row.kind == "truth"), None)

    def best(self, column: Column) -> frozenset[str]:
        """Colorizers that are the best of several by what is printed."""
        rows = [row for row in self.rows if row.kind == "colorizer"]
        values = {row.name: row.scores.get(column.name) for row in rows}
        known = {name: value for name, value in values.items() if value is not None}
        truth = None if self.truth is None else self.truth.scores.get(column.name)
        if len(known) < 2 or (column.better == "truth" and truth is None):
            return frozenset()

        def worth(value: float) -> float:
            printed = float(column.text(value) or "nan")
            if column.better == "truth":
                return -abs(printed - float(column.text(truth)))
            return printed if column.better == "higher" else -printed

        most = max(worth(value) for value in known.values())
        return frozenset(name for name, value in known.items() if worth(value) == most)


@dataclass(frozen=True, slots=True)
class SetReport:
    """Everything that was found.

    Attributes:
        of: "pictures" or "videos".
        title: Name of the protocol.
        data: Data sets, as they were named.
        how: The protocol in words.
        protocol: All its settings.
        left_out: How many pictures were not measured, by the reason.
        notes: What one should know beside the numbers.
        columns: Of the tables.
        levels: The tables.
        single: Scores one by one: lists by names, see docs/measures.md.
    """

    of: Literal["pictures", "videos"]
    title: str
    data: tuple[str, ...]
    how: str
    protocol: Mapping[str, Any]
    left_out: Mapping[str, int]
    notes: tuple[str, ...]
    columns: tuple[Column, ...]
    levels: tuple[LevelReport, ...]
    single: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """All of it as JSON; numbers that are not there are null."""
        found = {
            "of": self.of,
            "title": self.title,
            "data": list(self.data),
            "how": self.how,
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
            "metrics": {one.name: _described(one) for one in self.columns},
            "levels": [_level(one) for one in self.levels],
            "single": self.single,
            "protocol": self.protocol,
        }
        return json.dumps(_finite(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _described(column: Column) -> dict[str, Any]:
    # values are stored as they are, so the unit is that of what is printed over `scale`
    kept = asdict(column)
    del kept["name"], kept["head"]
    return kept


def _level(level: LevelReport) -> dict[str, Any]:
    rows = [
        {"name": row.name, "kind": row.kind, "scores": dict(row.scores)}
        | ({} if row.cost is None else {"cost": asdict(row.cost)})
        for row in level.rows
    ]
    return {"level": level.level, "count": level.count, "rows": rows}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float):
        return round(value, 9) if math.isfinite(value) else None
    return value
