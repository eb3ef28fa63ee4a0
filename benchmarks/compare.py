"""Whether something became slower: two results of one benchmark side by side.

    python benchmarks/compare.py OLD.json NEW.json [--fail] [--tolerance 0.05] [--level 0.9]

Both files are results of one of our benchmarks (see `rounds.py` for their shape). For each value
that both have, the new one is divided by the old one; a value that has a floor (a transcode of
the same clip in the same round) is divided by it first, round by round, so that a machine that
is slower, or was busy, cancels out. The ratio comes with its confidence interval: the
Hodges-Lehmann estimate with the exact rank interval of Mann and Whitney, which asks nothing of how
the noise is distributed. The verdict is `slower` or `faster` (of memory `more` or `less`, of
anything else `higher` or `lower`) if the whole interval lies on one side of 1, `same` if it does
not, and `unsure` where there are too few rounds for an interval of that level: three of each are
enough for 90 %. An interval of 90 % errs upward once in twenty values; the tolerance is what keeps
such an error, and changes that nobody minds, from failing a run.

Results of other machines are compared by their floors only, clips of other content or length too;
values without one are left out, and the output says so. Other settings or another size of picture
cannot be compared. With `--fail` the exit code is 1 if any value is worse by more than the
tolerance for certain: if its whole interval lies beyond. 2 means that nothing could be compared.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measure.rounds import LEVEL, BadResult, Case, Interval, Result, ratio_interval

MACHINE = ("processor", "cores", "device", "device_name")
SETTINGS = ("options", "precision")
VERSIONS = ("vidcolor", "commit", "python", "torch", "av")
CLIP = ("frames", "clip")
"""Of a case, what may differ where values are divided by a floor of the same clip."""

TOLERANCE = 0.05
WORDS = {"MB": ("less", "more"), "s": ("faster", "slower"), "ms": ("faster", "slower")}
"""By unit, what less and more of it is called."""


@dataclass(frozen=True, slots=True)
class Row:
    """A value that both files have.

    Attributes:
        case: Its case.
        name: Its name; with a floor both, as a division.
        old: Median of the old rounds.
        new: Median of the new ones.
        unit: Of both.
        interval: Of the ratio new to old.
        verdict: In a word.
        worse: By which factor it is worse for certain; at most 1: not.
    """

    case: str
    name: str
    old: float
    new: float
    unit: str
    interval: Interval
    verdict: str
    worse: float


def compare(old: Result, new: Result, level: float = LEVEL) -> tuple[list[Row], list[str]]:
    """Rows of all values that can be compared, and remarks about the rest.

    Raises:
        BadResult: If nothing can be compared.
    """
    if old.kind != new.kind:
        raise BadResult(f"{old.path} is of kind {old.kind!r}, {new.path} of {new.kind!r}")
    settings = differing(old.about, new.about, SETTINGS)
    if settings:
        raise BadResult(f"other settings cannot be compared: {settings}")
    remarks = []
    machine = differing(old.about, new.about, MACHINE)
    if machine:
        remarks.append(f"another machine ({machine}): only values with a floor are compared")
    rows: list[Row] = []
    for name in old.cases:
        if name not in new.cases:
            remarks.append(f"{name}: only in the old file")
            continue
        one, other = old.cases[name], new.cases[name]
        both = set(one.about) & set(other.about)  # files from before say less of their clips
        other_case = differing(one.about, other.about, sorted(both - set(CLIP)))
        if other_case:
            remarks.append(f"{name}: another case, left out ({other_case})")
            continue
        clip = differing(one.about, other.about, sorted(both & set(CLIP)))
        if clip:
            remarks.append(f"{name}: another clip ({clip}): only values with a floor are compared")
        rows += of_case(name, one, other, not (machine or clip), level)
    remarks += [f"{name}: only in the new file" for name in new.cases if name not in old.cases]
    if not rows:
        raise BadResult("; ".join(["nothing in common that could be compared", *remarks]))
    return rows, remarks


def differing(old: Mapping[str, Any], new: Mapping[str, Any], keys: Iterable[str]) -> str:
    """What of some keys differs, in words; empty: nothing."""
    return ", ".join(
        f"{key} {old.get(key)} and {new.get(key)}" for key in keys if old.get(key) != new.get(key)
    )


def of_case(name: str, old: Case, new: Case, alone: bool, level: float) -> Iterator[Row]:
    """Rows of a case; values without a floor only if they can be compared `alone`."""
    for key, value in old.values.items():
        other = new.values.get(key)
        if other is None or other.unit != value.unit:
            continue
        numbers = old.to_floor(key), new.to_floor(key)
        label, unit, words = key, value.unit, words_of(value.unit)
        if numbers[0] is not None and numbers[1] is not None and value.floor == other.floor:
            before, after = numbers
            label, unit = f"{key} / {value.floor}", ""
        elif alone:
            before, after = value.rounds, other.rounds
        else:
            continue
        interval = ratio_interval(before, after, level)
        if interval is None:
            continue
        verdict = judge(interval, level, words)
        worse = 1 / interval.high if value.more else interval.low
        medians = statistics.median(before), statistics.median(after)
        worse = worse if interval.level >= level else 1.0
        yield Row(name, label, *medians, unit, interval, verdict, worse)


def words_of(unit: str) -> tuple[str, str]:
    """What less and more of a unit is called."""
    return WORDS.get(unit.partition("/")[0], ("lower", "higher"))


def judge(interval: Interval, level: float, words: tuple[str, str]) -> str:
    """The verdict."""
    if interval.level < level:
        return "unsure"
    if interval.high < 1:
        return words[0]
    return words[1] if interval.low > 1 else "same"


def table(rows: list[Row]) -> str:
    """Rows as text."""
    lines = []
    case = None
    width = max(len(row.name) for row in rows) + 2
    for row in rows:
        if row.case != case:
            lines.append(row.case)
            case = row.case
        told = row.interval
        lines.append(
            f"  {row.name:{width}}{row.old:10.4g} -> {row.new:10.4g} {row.unit:9}"
            f" x {told.ratio:5.3f} [{told.low:5.3f}, {told.high:5.3f}] {100 * told.level:3.0f} %"
            f"  {row.verdict}"
        )
    return "\n".join(lines)


def main(words: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("old", type=Path, metavar="OLD.json")
    parser.add_argument("new", type=Path, metavar="NEW.json")
    parser.add_argument("--fail", action="store_true", help="exit with 1 if anything is worse")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="that nobody minds")
    parser.add_argument("--level", type=float, default=LEVEL, help="of confidence, below 1")
    given = parser.parse_args(words)
    if not 0 < given.level < 1 or given.tolerance < 0:
        parser.error("the level lies between 0 and 1, the tolerance is not negative")
    try:
        old, new = Result.read(given.old), Result.read(given.new)
        rows, remarks = compare(old, new, given.level)
    except BadResult as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    for result in (old, new):
        versions = ", ".join(f"{key} {result.about.get(key)}" for key in VERSIONS)
        print(f"{result.path.name}: {result.kind}, {versions}")
    print(table(rows))
    for remark in remarks:
        print(remark)
    unsure = sum(row.verdict == "unsure" for row in rows)
    if unsure:
        print(f"{unsure} of {len(rows)} values have too few rounds to be sure of anything")
    bad = [row for row in rows if row.worse > 1 + given.tolerance]
    for row in bad:
        print(f"worse by more than {given.tolerance:.0%}: {row.case}, {row.name}")
    return 1 if bad and given.fail else 0


if __name__ == "__main__":
    sys.exit(main())
