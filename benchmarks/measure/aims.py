"""What was aimed at, beside what was reached."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from measure.results import Results, number, rows_of

BARE = "everything but the network, 1080p, times a transcode"


@dataclass(frozen=True, slots=True)
class Aim:
    """One of the project's aims for speed.

    Attributes:
        what: In words.
        bound: The number to reach.
        most: Whether the number is to be at most the bound, or else at least.
        find: Takes it out of the results; `KeyError` or `Unmade` where it was not measured.
    """

    what: str
    bound: float
    most: bool
    find: Callable[[Results], float]

    def row(self, results: Results) -> list[str]:
        """Of the table."""
        wanted = f"at {'most' if self.most else 'least'} {self.bound:g}"
        if (found := self.found(results)) is None:
            return [self.what, wanted, "-", "not measured"]
        reaches = operator.le if self.most else operator.ge
        return [self.what, wanted, number(found), "yes" if reaches(found, self.bound) else "**no**"]

    def found(self, results: Results) -> float | None:
        """What was measured."""
        try:
            return self.find(results)
        except LookupError:
            return None


def _clip(name: str) -> Callable[[Results], float]:
    return lambda results: float(results["line"].data["clips"]["example-1080p"][name])


def _instcolor(way: str) -> Callable[[Results], float]:
    return lambda results: float(results["instcolor"].data["times_published"][way]["times"])


def _color(results: Results) -> float:
    return float(results["instcolor"].data["colors"]["auto to every"]["delta_e_2000"])


def _start(case: str, value: str) -> Callable[[Results], float]:
    return lambda results: results["start"].cases[case].values[value].median


def _held(name: str, other: str) -> Callable[[Results], float]:
    return lambda results: float(results["held"].data["held"][name][other])


def _fit(series: str, value: str) -> Callable[[Results], float]:
    return lambda results: float(results["growth"].data["fits"][series][value])


AIMS = (
    Aim("the line, 1080p, times a transcode", 2, True, _clip("times_transcode")),
    Aim(BARE, 1.3, True, _clip("bare_times_transcode")),
    Aim("InstColorization, every frame, times as fast as published", 4, False,
        _instcolor("line every")),
    Aim("InstColorization, `--cadence auto`, times as fast as published", 10, False,
        _instcolor("line auto")),
    Aim("its CIEDE2000 to every frame", 2, True, _color),
    Aim("`vidcolor --help`, s", 0.5, True, _start("commands", "help")),
    Aim("first frame, 1080p, s", 5, True, _start("example-1080p", "first frame")),
    Aim("drawn on twos, siggraph17 at every frame, times as fast as unknown", 1.8, False,
        _held("on 2s, siggraph17, every", "times")),
    Aim("drawn on twos, starter, times as fast as unknown", 1.8, False,
        _held("on 2s, starter, auto", "times")),
    Aim("cost over length: farthest from a straight line, part of the whole", 0.05, True,
        _fit("length", "off")),
    Aim("memory over length: last to first", 1.1, True, _fit("length", "memory_grows")),
)  # fmt: skip


def table_aims(results: Results) -> str:
    """All aims."""
    head = ["aim", "asked", "reached", "holds"]
    return rows_of(head, [aim.row(results) for aim in AIMS])
