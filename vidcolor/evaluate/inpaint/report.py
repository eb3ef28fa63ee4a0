"""What was found: means and standard errors by row and method."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from vidcolor.evaluate.inpaint.scores import SECONDS, Measure

__all__ = ["InpaintReport", "MethodNote", "Row", "Value", "summary"]

_CSV = ("class", "method", "measure", "unit", "count", "mean", "standard_error")


@dataclass(frozen=True, slots=True)
class Value:
    """A mean.

    Attributes:
        mean: Over the pairs of a row.
        error: Its standard error; None of fewer than two pairs.
    """

    mean: float
    error: float | None


def summary(values: Sequence[float]) -> Value:
    """Mean and standard error (of samples) of some numbers."""
    found = np.asarray(values, np.float64)
    few = len(found) < 2
    error = None if few else float(found.std(ddof=1)) / math.sqrt(len(found))
    return Value(float(found.mean()), error)


@dataclass(frozen=True, slots=True)
class MethodNote:
    """A method of the tables.

    Attributes:
        name: Its label.
        network: Whether it answers outside of holes too, so that its raw answer is of interest.
    """

    name: str
    network: bool


@dataclass(frozen=True, slots=True)
class Row:
    """The holes of a class.

    Attributes:
        name: Share, and whether they touch the border.
        count: Pairs.
        share: Mean share of the picture that is hole.
        values: By method and measure; seconds too.
    """

    name: str
    count: int
    share: float
    values: Mapping[str, Mapping[str, Value]]

    def best(self, measure: Measure, methods: Sequence[str]) -> frozenset[str]:
        """Methods whose printed mean is the best of several."""
        shown = {
            name: round(found.mean, measure.decimals)
            for name in methods
            if (found := self.values[name].get(measure.name)) is not None
        }
        if len(shown) < 2:
            return frozenset()
        most = max(shown.values()) if measure.better == "higher" else min(shown.values())
        return frozenset(name for name, value in shown.items() if value == most)


@dataclass(frozen=True, slots=True)
class InpaintReport:
    """Everything that was found.

    Attributes:
        title: Name of the protocol.
        data: Data sets, as they were named.
        how: The protocol in words.
        protocol: All its settings.
        methods: Columns of the tables.
        measures: A table each.
        rows: Of every table.
        notes: What one should know beside the numbers.
        single: By row and method: scores one by one, and names of pictures.
    """

    title: str
    data: tuple[str, ...]
    how: str
    protocol: Mapping[str, Any]
    methods: tuple[MethodNote, ...]
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    single: Mapping[str, Any] = field(default_factory=dict)

    def methods_of(self, measure: Measure) -> tuple[str, ...]:
        """Methods that have a column for a measure: raw answers are those of networks."""
        return tuple(one.name for one in self.methods if one.network or not measure.raw)

    def to_json(self) -> str:
        """All of it as JSON."""
        rows = [
            {
                "class": row.name,
                "count": row.count,
                "share": row.share,
                "methods": {
                    method: {name: asdict(value) for name, value in found.items()}
                    for method, found in row.values.items()
                },
            }
            for row in self.rows
        ]
        found = {
            "of": "inpaint",
            "title": self.title,
            "data": list(self.data),
            "how": self.how,
            "notes": list(self.notes),
            "measures": {one.name: {**asdict(one), "name": one.name} for one in self.measures},
            "rows": rows,
            "single": self.single,
            "protocol": self.protocol,
        }
        return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """A line for each mean."""
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(_CSV)
        units = {one.name: one.unit for one in self.measures} | {SECONDS: "s"}
        for row in self.rows:
            for method, found in row.values.items():
                for name, value in found.items():
                    error = "" if value.error is None else f"{value.error:.6g}"
                    mean = f"{value.mean:.6g}"
                    lines.writerow((row.name, method, name, units[name], row.count, mean, error))
        return text.getvalue()
