"""All results that there are, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from measure.rounds import BadResult, Result


class Unmade(LookupError):
    """Results that a table needs are not there; its argument is the kind."""


@dataclass(frozen=True, slots=True)
class Results:
    """What there is, by kind; `before` and `colorizers` are of the kind `line` too."""

    found: Mapping[str, Result]

    def __getitem__(self, kind: str) -> Result:
        if kind not in self.found:
            raise Unmade(kind)
        return self.found[kind]

    def get(self, kind: str) -> Result | None:
        """None if there is none."""
        return self.found.get(kind)


def find_results(folder: Path, before: Path | None) -> Results:
    """The newest result of each kind on a CPU.

    Raises:
        BadResult: If `before` is given and cannot be read.
    """
    found: dict[str, Result] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = Result.read(path)
        except BadResult:
            continue  # of benchmarks that have another shape
        name = result.kind
        if name == "line" and path.stem.startswith(("before", "colorizers")):
            name = path.stem.partition("-")[0]
        newest = found.get(name)
        newer = newest is None or str(result.about.get("when")) > str(newest.about.get("when"))
        if result.about.get("device") == "cpu" and newer:
            found[name] = result
    if before is not None:
        found["before"] = Result.read(before)
    return Results(found)


def rows_of(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def number(value: float | None, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"
