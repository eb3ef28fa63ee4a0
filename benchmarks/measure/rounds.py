"""What a benchmark writes, and how sure a ratio of two of them is.

Every result file has one shape, whatever was measured:

    {"kind": "line",
     "about": {"processor": ..., "cores": ..., "options": ..., "commit": ...},
     "cases": {"example-1080p": {
         "about": {"frames": 288, "size": [1080, 1440]},
         "values": {
             "transcode": {"unit": "ms/frame", "rounds": [28.1, 28.4, 28.0]},
             "line": {"unit": "ms/frame", "rounds": [55.0, 56.1, 54.8], "floor": "transcode"},
             "line memory": {"unit": "MB", "rounds": [1201, 1200, 1204]}}}}}

A value is a list with a number for each round, so that its noise is known. All rounds of a file
took turns: the first number of every value was measured next to the first number of all others.
`floor` names the value of the same case by which it may be divided, round by round: what made the
machine slow in one round made both slow. Less is better, unless a value says `"better": "more"`.
Whatever else a kind writes (tables for people) stands beside `cases`.

The ratio of two lists is told with a confidence interval that assumes no distribution: the
Hodges-Lehmann estimate of the shift between the logarithms, which is the median of all pairwise
ratios, and the rank interval that belongs to it, from the exact null distribution of the
Mann-Whitney U statistic. With three rounds on either side the whole span of the pairwise ratios
is an interval of 90 %, with less there is none of 90 %, and that is said. Assumed is that rounds
are independent, and that the two lists differ by a factor.

Reference: Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, 3rd edition, 2014, 4.2-4.3.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEVEL = 0.9
FOLDER = Path(__file__).resolve().parents[1] / "results"


class BadResult(Exception):
    """A result file that cannot be used; one line for people."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number measured in several rounds.

    Attributes:
        unit: For people.
        rounds: A number of each round.
        floor: Value of the same case that this may be divided by, round by round.
        more: More is better.
    """

    unit: str
    rounds: tuple[float, ...]
    floor: str | None = None
    more: bool = False

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.rounds)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file; five significant digits."""
        data: dict[str, Any] = {
            "unit": self.unit,
            "rounds": [float(f"{number:.5g}") for number in self.rounds],
        }
        if self.floor is not None:
            data["floor"] = self.floor
        return data | ({"better": "more"} if self.more else {})


@dataclass(frozen=True, slots=True)
class Case:
    """What was measured of one clip, or one setting.

    Attributes:
        about: What must be the same for two cases to be comparable, and `frames`.
        values: By name.
    """

    about: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file."""
        values = {name: value.to_json() for name, value in self.values.items()}
        return {"about": dict(self.about), "values": values}

    def to_floor(self, name: str) -> tuple[float, ...] | None:
        """A value as part of its floor in each round; None where there is no floor."""
        value = self.values[name]
        floor = self.values.get(value.floor) if value.floor is not None else None
        if floor is None or len(floor.rounds) != len(value.rounds) or min(floor.rounds) <= 0:
            return None
        return tuple(a / b for a, b in zip(value.rounds, floor.rounds, strict=True))


@dataclass(frozen=True, slots=True)
class Result:
    """A result file.

    Attributes:
        path: Where it lies.
        kind: Which benchmark wrote it.
        about: The machine, the settings, the versions.
        cases: By name.
        data: All that the file holds.
    """

    path: Path
    kind: str
    about: Mapping[str, Any]
    cases: Mapping[str, Case]
    data: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Result:
        """A result from its file.

        Raises:
            BadResult: If it cannot be read, or is no result of a benchmark.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BadResult(f"{path}: cannot be read: {error.strerror}") from None
        except ValueError:
            raise BadResult(f"{path}: is no JSON; expected a file in benchmarks/results") from None
        if isinstance(data, dict) and "kind" not in data and "clips" in data:
            data = {"kind": "line", "cases": _cases_before(data["clips"]), **data}
        try:
            cases = {name: _case(case) for name, case in data["cases"].items()}
            return cls(path, str(data["kind"]), dict(data["about"]), cases, data)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BadResult(
                f"{path}: has no kind, about and cases; is it a result of a benchmark, or of an "
                "old one without rounds?"
            ) from None


def _case(data: Mapping[str, Any]) -> Case:
    values = {
        name: Value(
            str(one["unit"]),
            tuple(float(number) for number in one["rounds"]),
            one.get("floor"),
            one.get("better") == "more",
        )
        for name, one in data["values"].items()
    }
    if not all(value.rounds for value in values.values()):
        raise ValueError("a value without rounds")
    return Case(dict(data["about"]), values)


def _cases_before(clips: Mapping[str, Any]) -> dict[str, Any]:
    """Cases of what `line.py` wrote before files had kinds: seconds were lists even then."""
    cases: dict[str, Any] = {}
    for name, clip in clips.items():
        values = {
            kind: {
                "unit": "ms/frame",
                "rounds": [
                    1e3 * seconds / clip[kind]["frames"] for seconds in clip[kind]["seconds"]
                ],
                "floor": None if kind == "transcode" else "transcode",
            }
            for kind in ("line", "transcode", "stages")
            if kind in clip
        }
        frames = next((clip[kind]["frames"] for kind in values), None)
        cases[name] = {"about": {"frames": frames}, "values": values}
    return cases


def write_result(
    path: Path,
    kind: str,
    about: Mapping[str, Any],
    cases: Mapping[str, Case],
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write a result file.

    Args:
        path: Where; folders are made.
        kind: Which benchmark it is of.
        about: The machine, the settings, the versions.
        cases: By name.
        more: What else the benchmark has to say.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {name: case.to_json() for name, case in cases.items()}
    data = {"kind": kind, "about": dict(about), "cases": told, **(more or {})}
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio and how sure it is.

    Attributes:
        ratio: The estimate.
        low: Lower end.
        high: Upper end.
        level: Probability with which the interval holds the true ratio, 0..1; of one round each
            there is no interval, and it is 0.
    """

    ratio: float
    low: float
    high: float
    level: float


def ratio_interval(
    old: Sequence[float], new: Sequence[float], level: float = LEVEL
) -> Interval | None:
    """By what factor `new` differs from `old`.

    Args:
        old: Positive numbers, one a round.
        new: The same of the other; the rounds are not paired.
        level: Wanted confidence; if there are too few rounds the widest interval is taken, whose
            level is lower.

    Returns:
        None if a number is not positive: nothing was measured then.
    """
    if min(*old, *new) <= 0:
        return None
    ratios = sorted(b / a for a in old for b in new)
    below = _u_counts(len(old), len(new))
    total = math.comb(len(old) + len(new), len(old))
    rank, tail = 0, below[0]  # of ratios left out on either side; arrangements outside
    while rank + 1 < len(ratios) / 2 and 1 - 2 * (tail + below[rank + 1]) / total >= level:
        rank += 1
        tail += below[rank]
    return Interval(
        math.exp(statistics.median(math.log(ratio) for ratio in ratios)),
        ratios[rank],
        ratios[-1 - rank],
        max(0.0, 1 - 2 * tail / total),
    )


def _u_counts(m: int, n: int) -> list[int]:
    """Of all orders of m and n different numbers, how many have each value of U, 0 to m * n."""
    # the Gaussian binomial coefficient, one factor (1 - q^(n+i)) / (1 - q^i) after another
    counts = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):
            counts[u] -= counts[u - n - i]
        for u in range(i, m * n + 1):
            counts[u] += counts[u - i]
    return counts
