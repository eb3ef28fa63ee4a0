"""`vidcolor batch`: a whole season in one command, with a table and a report in the end."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vidcolor.cli.color_flags import add_color_flags, add_output_flags
from vidcolor.cli.engine_flags import add_engine_flags, chosen_engine
from vidcolor.cli.line import EVERY_KEY, add_line_flags, line_layers
from vidcolor.cli.terminal import Bar, Parser, Usage, clock, downloading, must_be_there
from vidcolor.errors import VidcolorError

if TYPE_CHECKING:
    from vidcolor.api import Job
    from vidcolor.batch.report import Row
    from vidcolor.batch.season import Season
    from vidcolor.batch.task import Task

__all__ = ["add_command"]

_log = logging.getLogger("vidcolor")

_EPILOG = (
    "Films go to DIR by the same names, one after the other; a color script NAME.vidcolor beside a "
    "film is obeyed. What is finished of the same film and settings is skipped, what breaks stops "
    "nobody else; run the same command again to go on. DIR/vidcolor-batch.json tells programs what "
    "the table tells people. " + EVERY_KEY
)
_EXTENSIONS = (".mkv", ".mp4", ".mov")
_WELL = ("done", "skipped")
_WIDE = "FW"  # of East Asian letters
_WORDS = {"make": "make", "same": "skip", "exists": "exists"}
_GAP = "  "
_NAME_COLUMNS = 16  # of a table, at least, however narrow the terminal


def add_command(add: Callable[..., Parser]) -> None:
    """Enter the command.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    batch = add("batch", "color a whole season: films and folders of films", _batch, epilog=_EPILOG)
    batch.add_argument("input", type=Path, nargs="+", help="films, or folders of films")
    batch.add_argument(
        "--out-dir", type=Path, required=True, metavar="DIR", help="where the films go"
    )
    batch.add_argument(
        "--recursive", action="store_true", help="folders of folders too; DIR gets the same ones"
    )
    batch.add_argument(
        "--pattern",
        action="append",
        default=[],
        metavar="GLOB",
        help="of folders, only films whose name fits, like 'S01*.mkv'; may be given again",
    )
    batch.add_argument("--ext", default="mkv", help="of the outputs: mkv (default), mp4 or mov")
    batch.add_argument("--no-plans", action="store_true", help="leave color scripts aside")
    batch.add_argument("--dry-run", action="store_true", help="list what would be done")
    batch.add_argument(
        "--report", type=Path, metavar="FILE", help="default: DIR/vidcolor-batch.json"
    )
    how = batch.add_mutually_exclusive_group()
    how.add_argument("--keep-going", action="store_true", help="past films that fail; the default")
    how.add_argument("--stop-on-error", action="store_true", help="end at the first that fails")
    add_line_flags(batch)
    add_color_flags(batch, plan=False)
    add_output_flags(batch)
    add_engine_flags(batch)


def _batch(args: argparse.Namespace, extra: Sequence[str]) -> int:
    extension = f".{args.ext.lower().removeprefix('.')}"
    if extension not in _EXTENSIONS:
        raise Usage(f"--ext must be mkv, mp4 or mov, not {args.ext!r}")
    for pattern in args.pattern:
        if "/" in pattern:
            raise Usage(f"--pattern {pattern}: is of names; leave the folder out")
    must_be_there(args.input, "file or folder")
    layers = line_layers(args, extra)
    from vidcolor.batch.season import open_season

    season = open_season(
        args.input,
        args.out_dir,
        layers,
        recursive=args.recursive,
        patterns=args.pattern,
        extension=extension,
        plans=not args.no_plans,
        report=args.report,
    )
    for path in season.left_out:
        _log.info("%s: is where films go, not read", path)
    if args.dry_run:
        _write(_plan(season))
        return 1 if season.problems else 0
    return _run(season, args)


def _run(season: Season, args: argparse.Namespace) -> int:
    started, stopped, told = time.monotonic(), False, 0
    engine = chosen_engine(args)
    failure: VidcolorError | None = None
    quiet = args.quiet or all(task.state != "make" for task in season.tasks)
    try:
        with downloading(args.quiet) as download, Bar(None, "frame", quiet, args.stop) as bar:
            for row in season.run(
                _Turns(season, bar),
                fresh=args.fresh,
                stop_on_error=args.stop_on_error,
                download=download,
                engine=engine,
            ):
                _tell(row, args.quiet)
                told += 1
    except (KeyboardInterrupt, SystemExit):
        stopped = True
    except VidcolorError as error:
        if not told:
            raise
        failure = error
    rows, problems = season.rows(), season.problems
    if not args.quiet:
        _write(_table(rows))
        _write([*problems, *_sentences(rows)])
        _write([f"{_counts(rows)} in {clock(time.monotonic() - started)}; {season.report}"])
    if failure is not None:
        raise failure
    if stopped:
        _log.warning("interrupted; the same command goes on from there")
        return int(args.stop.code())
    return 0 if not problems and all(row.status in _WELL for row in rows) else 1


class _Turns:
    """Tells the bar whose turn it is and about how much is left."""

    def __init__(self, season: Season, bar: Bar) -> None:
        self._tasks = [task for task in season.tasks if task.state == "make"]
        self._bar = bar

    def __call__(self, task: Task, job: Job) -> Bar:
        place = self._tasks.index(task)
        frames = [job.total, *(later.frames for later in self._tasks[place + 1 :])]
        known = [count for count in frames if count is not None]
        # a film that does not say how long it is counts as the others do
        left = round(sum(known) / len(known) * len(frames)) if known else None
        name = _shown(task.row.output)
        self._bar.turn_to(f"{name} ({place + 1} of {len(self._tasks)})", left)
        return self._bar


def _tell(row: Row, quiet: bool) -> None:
    if row.status == "done":
        _log.info("%s: %s", _shown(row.output), _pace(row))
    elif row.status == "failed" or (row.status == "exists" and quiet):
        _log.error("%s", _sentence(row))


def _pace(row: Row) -> str:
    frames, seconds = row.frames or 0, row.seconds or 0.0
    rate = frames / max(seconds, 1e-6)
    return f"{frames} frame{'' if frames == 1 else 's'} in {clock(seconds)}, {rate:.1f} a second"


def _sentence(row: Row) -> str:
    """What went wrong, with the film's name."""
    error = row.error or ""
    named = row.output.rpartition("/")[2].rpartition(".")[0] in error
    return _shown(error if named else f"{row.output}: {error}")


def _sentences(rows: Iterable[Row]) -> list[str]:
    return [_sentence(row) for row in rows if row.error is not None]


def _counts(rows: Sequence[Row]) -> str:
    found = [row.status for row in rows]
    return ", ".join(f"{found.count(one)} {one}" for one in dict.fromkeys(found))


def _table(rows: Sequence[Row]) -> list[str]:
    cells = [("film", "frames", "time", "fps", "status")]
    for row in rows:
        frames = "" if row.frames is None else str(row.frames)
        spent, rate = "", ""
        if row.status == "done" and row.seconds and row.frames is not None:
            spent, rate = clock(row.seconds), f"{row.frames / row.seconds:.1f}"
        cells.append((row.output, frames, spent, rate, row.status))
    return _columns(cells, right=(1, 2, 3))


def _plan(season: Season) -> list[str]:
    """What would be done."""
    cells = [("film", "frames", "to", "color script", "what")]
    why = []
    for task in season.tasks:
        word = _WORDS[task.state]
        if task.state == "make" and task.why is not None:
            word = "fail"
        elif task.state == "make" and task.resumes:
            word = "go on"
        frames = "" if task.frames is None else str(task.frames)
        script = "" if task.script is None else task.script.name
        cells.append((str(task.film.source), frames, task.row.output, script, word))
        if task.why is not None:
            why.append(_sentence(replace(task.row, error=task.row.error or task.why)))
    return [*_columns(cells, right=(1,)), *season.problems, *why]


def _columns(cells: Sequence[tuple[str, ...]], right: Sequence[int]) -> list[str]:
    """Rows of a table; long names of the first column are shortened to what the terminal has."""
    first, *others = ([_shown(cell) for cell in column] for column in zip(*cells, strict=True))
    widths = [max(map(_width, column)) for column in others]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - sum(widths) - len(_GAP) * len(widths)
        first = [_shortened(cell, max(_NAME_COLUMNS, room)) for cell in first]
    columns = [_aligned(column, number in right) for number, column in enumerate((first, *others))]
    return [_GAP.join(row).rstrip() for row in zip(*columns, strict=True)]


def _aligned(cells: Sequence[str], right: bool) -> list[str]:
    wide = max(map(_width, cells))
    blanks = [" " * (wide - _width(cell)) for cell in cells]
    pairs = zip(cells, blanks, strict=True)
    return [blank + cell if right else cell + blank for cell, blank in pairs]


def _shown(text: str) -> str:
    """A text that does nothing to a terminal, whatever a file name holds."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def _width(text: str) -> int:
    """Columns of a terminal that a text takes."""
    wide = sum(unicodedata.east_asian_width(c) in _WIDE for c in text)
    return len(text) + wide - sum(bool(unicodedata.combining(c)) for c in text)


def _shortened(text: str, room: int) -> str:
    """The text, or its beginning and end."""
    if _width(text) <= room:
        return text
    head = tail = ""
    for first, last in zip(text, reversed(text), strict=True):
        if _width(head + first + tail) >= room:
            break
        head += first
        if _width(head + last + tail) >= room:
            break
        tail = last + tail
    return f"{head}…{tail}"


def _write(lines: Iterable[str]) -> None:
    code = sys.stdout.encoding or "utf-8"
    for line in lines:
        sys.stdout.write(line.encode(code, "backslashreplace").decode(code) + "\n")
