"""Films one after the other: what is finished is left alone, what fails stops nobody else."""

from __future__ import annotations

import errno
import functools
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidcolor.api import Job, open_job, open_plan
from vidcolor.batch.find import find_films, is_folder
from vidcolor.batch.mark import SettingsMark
from vidcolor.batch.report import Identity, Report, Row, SourceMark, made_now, settled
from vidcolor.batch.task import Task, judge
from vidcolor.build import Download
from vidcolor.config import Config
from vidcolor.distributed.engine import Engine
from vidcolor.errors import MediaError, VidcolorError
from vidcolor.io.lock import only_one
from vidcolor.io.source import reason
from vidcolor.plain import PlainFilm

__all__ = ["REPORT", "Season", "open_season"]

REPORT = "vidcolor-batch.json"
"""The report's name in the output folder."""

_log = logging.getLogger(__name__)
_FULL = (errno.ENOSPC, errno.EDQUOT)

Begin = Callable[[Task, Job], Callable[[int], None]]


@dataclass(frozen=True, slots=True, eq=False)
class Season:
    """Films and settings, looked at and ready to run.

    Attributes:
        folder: Where the films go.
        report: The report's file.
        tasks: One for each film, in natural order.
        problems: One sentence for each input folder that could not be listed.
        left_out: What was named as input and is not read because it is an output.
        config: Settings of all films.
        layers: Where they come from: the config file, the environment, the flags.
    """

    folder: Path
    report: Path
    tasks: tuple[Task, ...]
    problems: tuple[str, ...]
    left_out: tuple[Path, ...]
    config: Config
    layers: tuple[Mapping[str, Any], ...]

    def run(
        self,
        begin: Begin,
        *,
        fresh: bool = False,
        stop_on_error: bool = False,
        download: Download | None = None,
        engine: Engine | None = None,
    ) -> Iterator[Row]:
        """Make the films that are to be made.

        Before and after each film the report is written. What was interrupted goes on in the next
        run where it was.

        Args:
            begin: Told of a film before it is made; gives what is told of its progress, as for
                `api.Job.run`.
            fresh: Forget the finished pieces of films that were not finished.
            stop_on_error: End at the first film that fails. A full disk ends it in any case.
            download: Told of bytes done and total when weights are fetched.
            engine: Colors each film with many workers; None: this process does.

        Yields:
            What became of each film, in the order of `tasks`.

        Raises:
            VidcolorError: If networks or folders cannot be had, or the report not be written;
                whatever is wrong with single films stands in their rows.
        """
        self._check(download)
        opened = functools.partial(self._open, fresh=fresh, download=download, engine=engine)
        lock = self.report.with_name(f".{self.report.name}.lock")
        with only_one(lock, f"{self.report}: another vidcolor batch writes it"):
            report = Report(self.report, self.folder)
            for task in self.tasks:
                report.put(task.row)
            report.write()
            for task in self.tasks:
                if task.state != "make":
                    yield task.row
                    continue
                row, error = self._make(task, report, begin, opened)
                report.put(row)
                report.write()
                yield row
                if error is not None and (stop_on_error or _is_full(error)):
                    return

    def rows(self) -> tuple[Row, ...]:
        """What the report says of each film, in the order of `tasks`."""
        report = Report(self.report, self.folder)
        return tuple(report.row(task.output) or task.row for task in self.tasks)

    def _check(self, download: Download | None) -> None:
        """What would fail for every film fails before the first."""
        plain = [task for task in self.tasks if task.state == "make" and task.script is None]
        if plain:
            PlainFilm(plain[0].film.source, self.config, download)
        for folder in (self.folder, self.report.parent):
            _make_folder(folder)

    def _make(
        self, task: Task, report: Report, begin: Begin, opened: Callable[[Task], Job]
    ) -> tuple[Row, Exception | None]:
        """One film; what became of it, and why if it failed."""
        started = time.monotonic()
        try:
            film = SourceMark.of(task.film.source)
        except MediaError as error:
            return replace(task.row, status="failed", error=_one_line(error)), error
        before = Identity.of(task.output)
        row = replace(task.row, status="running", film=film, before=before)
        report.put(row)
        report.write()
        failure: Exception | None = None
        with _Warnings() as warnings:
            try:
                _make_folder(task.output.parent)
                job = opened(task)
                row = replace(row, frames=job.run(begin(task, job)))
            except VidcolorError as error:
                failure, why = error, _one_line(error)
            except BaseException as error:
                if not isinstance(error, Exception):  # somebody wants the program to end
                    report.put(settled(row, task.output))
                    report.write()
                    raise
                _log.exception("%s: a bug of vidcolor; the next film goes on", task.film.source)
                failure, why = error, f"{type(error).__name__}: {_one_line(error)}"
        seconds = round(time.monotonic() - started, 3)
        row = replace(row, seconds=seconds, warnings=tuple(dict.fromkeys(warnings.lines)))
        if failure is None:
            return replace(row, status="done", made=made_now(row, task.output)), None
        return replace(settled(row, task.output), status="failed", error=why), failure

    def _open(
        self, task: Task, fresh: bool, download: Download | None, engine: Engine | None
    ) -> Job:
        source, output = task.film.source, task.output
        if task.script is None:
            return open_job(source, output, self.config, download, fresh, engine)
        return open_plan(source, output, task.script, self.layers, download, fresh, engine)


def open_season(
    inputs: Sequence[Path],
    folder: Path,
    layers: Sequence[Mapping[str, Any]] = (),
    *,
    recursive: bool = False,
    patterns: Sequence[str] = (),
    extension: str = ".mkv",
    plans: bool = True,
    report: Path | None = None,
) -> Season:
    """Look at what is asked for; nothing is written.

    Args:
        inputs: Films and folders of films.
        folder: Where they go, by the same names; made if it is not there.
        layers: Settings of the config file, the environment and the flags.
        recursive: Take what lies in folders of folders too, and keep their structure.
        patterns: Names of films in folders must fit one of them, as in a shell.
        extension: Of the outputs: ".mkv", ".mp4" or ".mov".
        plans: Obey the color script `NAME.vidcolor` beside a film.
        report: The report's file; None is `vidcolor-batch.json` in `folder`.

    Raises:
        VidcolorError: If a path leads nowhere, outputs would collide, or a setting is wrong.
    """
    if Identity.of(folder) is not None and not is_folder(folder):
        raise MediaError(f"{folder}: is no folder; the films go into one")
    mark = SettingsMark(layers)
    path = report or folder / REPORT
    known = Report(path, folder)
    found = find_films(
        inputs,
        folder,
        recursive=recursive,
        patterns=patterns,
        extension=extension,
        is_output=known.holds,
    )
    tasks = tuple(judge(film, folder, known, mark, plans) for film in found.films)
    for task in tasks:
        if path.absolute() in (task.output.absolute(), task.film.source.absolute()):
            raise MediaError(f"{path}: is a film, not a report; give another --report")
    return Season(folder, path, tasks, found.problems, found.left_out, mark.config, mark.layers)


def _one_line(said: object) -> str:
    """A message, however many lines it has."""
    return " ".join(str(said).split())


def _make_folder(folder: Path) -> None:
    """Make a folder, unless it is there; either way files can be made in it.

    Raises:
        MediaError: If not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, probe = tempfile.mkstemp(prefix=".vidcolor-", dir=folder)
        os.close(handle)
        Path(probe).unlink()
    except OSError as error:
        raise MediaError(f"{folder}: cannot be written ({reason(error)})") from error


def _is_full(error: BaseException | None) -> bool:
    """Whether there is no room on the disk: no other film would have any."""
    while error is not None:
        if getattr(error, "errno", None) in _FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


class _Warnings(logging.Handler):
    """What is logged meanwhile and should be known."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is None:
            self.lines.append(_one_line(record.getMessage()))

    def __enter__(self) -> _Warnings:
        logging.getLogger("vidcolor").addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        logging.getLogger("vidcolor").removeHandler(self)
