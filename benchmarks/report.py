"""Writes the tables of docs/performance.md from results, so that no number is typed by hand.

    python benchmarks/report.py [--before FILE] [--results DIR] [--page FILE] [--check]

In the page, what lies between two lines like these belongs to this script:

    <!-- table: stages 1080p -->
    <!-- end -->

The words after `table:` say which table of `measure/tables.py` it is, and for what. A table whose
results are not there yet says which command makes them. Results are the newest file of each kind in
`--results` (`benchmarks/results`) for a CPU; `--before` (`before-cpu.json` there) is a result of
`line.py` of an older commit, for the columns of before. `--check` writes nothing, and exits with 1
if the page is not what the results say.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measure.films import ROOT
from measure.results import Results, Unmade, find_results
from measure.rounds import FOLDER, BadResult
from measure.tables import TABLES

PAGE = ROOT / "docs" / "performance.md"
MARK = re.compile(r"(<!-- table: ([^\n]*?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
KINDS = ("line", "machine", "instcolor", "start", "held", "growth")
MISSING = {
    "before": "python benchmarks/line.py --out benchmarks/results/before-cpu.json",
    "line": "python benchmarks/line.py",
    "colorizers": "python benchmarks/line.py --kinds --colorizers all --out "
    "benchmarks/results/colorizers-cpu.json",
    **{kind: f"python benchmarks/{kind}.py" for kind in KINDS[1:]},
}
"""Which command makes the results of a table."""


def filled(page: str, results: Results) -> str:
    """A page with all its tables written anew; all else stays as it is.

    Raises:
        BadResult: If the page asks for a table that there is none of, or has no mark.
    """

    def fill(match: re.Match[str]) -> str:
        name, *rest = match[2].split() or [""]
        if name not in TABLES:
            raise BadResult(f"no table {name!r}; there are {', '.join(TABLES)}")
        try:
            text = TABLES[name](results, *rest)
        except Unmade as error:
            text = f"Not measured yet: `{MISSING[str(error)]}`.\n"
        except TypeError:
            raise BadResult(f"table {match[2]!r}: wrong number of words") from None
        return f"{match[1]}\n{text}\n{match[4]}"

    if page.count("<!-- table:") != len(MARK.findall(page)):
        raise BadResult("a table has no <!-- end --> of its own")
    if not MARK.search(page):
        raise BadResult("the page has no <!-- table: NAME --> to fill")
    return MARK.sub(fill, page)


def main(words: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, help="result of line.py of an older commit")
    parser.add_argument("--results", type=Path, default=FOLDER)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--check", action="store_true", help="only say whether the page fits")
    given = parser.parse_args(words)
    try:
        page = given.page.read_text(encoding="utf-8")
        text = filled(page, find_results(given.results, given.before))
    except OSError as error:
        print(f"report: {given.page}: cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    except BadResult as error:
        print(f"report: {given.page}: {error}", file=sys.stderr)
        return 2
    if given.check:
        if text != page:
            print(f"report: {given.page}: is not what the results say; run report.py")
        return int(text != page)
    given.page.write_text(text, encoding="utf-8")
    print(f"written to {given.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
