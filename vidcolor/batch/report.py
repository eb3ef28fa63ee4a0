"""The report of a season: what became of each film, and what every output was made of.

One JSON file, written whole after every film. It is also the memory by which finished films are
known, so rows of films that are not in a run stay as they were.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from vidcolor.errors import ConfigError, MediaError
from vidcolor.given import parse_json, read_text
from vidcolor.io.source import reason
from vidcolor.io.target import Target
from vidcolor.marks import film_mark
from vidcolor.schema import load

__all__ = [
    "Identity",
    "Made",
    "Report",
    "Row",
    "SourceMark",
    "Status",
    "made_now",
    "name_below",
    "printable",
    "settled",
]

Status = Literal["waiting", "running", "done", "skipped", "exists", "failed", "stopped"]
"""What became of a film; `exists`: something else has the output's name and was left alone."""

_FORMAT = "vidcolor-batch"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class SourceMark:
    """By what a film is known again.

    Attributes:
        name: Of the file.
        size: In bytes.
        mtime_ns: When it was last changed.
        sha256: Of its content.
    """

    name: str
    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> SourceMark:
        """Read a film's mark; all of the file is read.

        Raises:
            MediaError: If it cannot be read.
        """
        try:
            state = path.stat()
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({reason(error)})") from error
        return cls(printable(path.name), state.st_size, state.st_mtime_ns, film_mark(path))

    def fits(self, path: Path) -> bool:
        """Whether a file is that film; its content is read only if its time is another one.

        Raises:
            MediaError: If it cannot be read.
        """
        try:
            state = path.stat()
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({reason(error)})") from error
        if (printable(path.name), state.st_size) != (self.name, self.size):
            return False
        return state.st_mtime_ns == self.mtime_ns or film_mark(path) == self.sha256


@dataclass(frozen=True, slots=True)
class Identity:
    """Tells an output from another one of the same name.

    Attributes:
        size: In bytes.
        mtime_ns: When it was last changed.
    """

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Identity | None:
        """Of a file; None if there is none."""
        try:
            state = path.stat()
        except OSError:
            return None
        return cls(state.st_size, state.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Made:
    """What a finished output was made of.

    Attributes:
        source: The film.
        settings: Hash of all settings, and of the files that they name.
        size: Of the output, in bytes.
        frames: How many it has; None if the process ended before it could be noted.
        seconds: How long it took.
        vidcolor: Version of the program.
    """

    source: SourceMark
    settings: str
    size: int
    frames: int | None = None
    seconds: float | None = None
    vidcolor: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One film in the report.

    Attributes:
        output: The output, from the output folder.
        source: The film, from the output folder where possible.
        status: What became of it in the last run that had it.
        script: Its color script.
        frames: Of the output.
        seconds: That this run took for it.
        error: Why it failed or was left alone.
        warnings: What was logged meanwhile.
        settings: Hash of the settings of this run.
        film: The film as this run found it.
        before: What had the output's name when the film was begun.
        made: What the file of the output's name was made of, if it was made here.
    """

    output: str
    source: str
    status: Status
    script: str | None = None
    frames: int | None = None
    seconds: float | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()
    settings: str = ""
    film: SourceMark | None = None
    before: Identity | None = None
    made: Made | None = None


def made_now(row: Row, output: Path) -> Made:
    """What an output is made of that has just been finished.

    Args:
        row: Of the film, as it was begun.
        output: The file.

    Raises:
        MediaError: If it is not there.
    """
    there = Identity.of(output)
    if there is None or row.film is None:
        raise MediaError(f"{output}: has gone meanwhile")
    return Made(row.film, row.settings, there.size, row.frames, row.seconds, version("vidcolor"))


def settled(row: Row, output: Path) -> Row:
    """The row of a film whose making has ended early: finished or not, the disk knows.

    Args:
        row: Of the film, as it was begun.
        output: The file; it gets its name at once, when it is whole.
    """
    there = Identity.of(output)
    if there is None or there == row.before or row.film is None:
        return replace(row, status="stopped")
    return replace(row, status="done", made=made_now(row, output))


def printable(name: str) -> str:
    """A file name as it can stand in a text, whatever bytes it has."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def name_below(path: Path, folder: Path) -> str:
    """A path as seen from a folder, with `/`; as it is where there is no way."""
    real = Path(os.path.realpath(path.parent)) / path.name
    try:
        there = os.path.relpath(real, os.path.realpath(folder))
    except ValueError:  # another drive
        there = os.fspath(real)
    return printable(Path(there).as_posix())


class Report:
    """All rows of a report, by output.

    Attributes:
        path: Its file.
        folder: The output folder.

    Args:
        path: See above.
        folder: See above.

    Raises:
        MediaError: If the file is there and no report, or of films in another folder.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder
        self._rows: dict[str, Row] = {}
        if Identity.of(path) is not None:
            for row in self._read():
                died = row.status == "running"
                self._rows[row.output] = settled(row, folder / row.output) if died else row

    def row(self, output: Path) -> Row | None:
        """What is known of an output."""
        return self._rows.get(name_below(output, self.folder))

    def holds(self, path: Path) -> bool:
        """Whether a file is an output that was made here, or this report."""
        real = Path(os.path.realpath(path))
        row = self.row(real)
        return real == Path(os.path.realpath(self.path)) or (row is not None and bool(row.made))

    def put(self, row: Row) -> None:
        """Enter a row, or replace the one of its output; `write` writes it."""
        self._rows[row.output] = row

    def write(self) -> None:
        """Write the file, whole or not at all.

        Raises:
            MediaError: If it cannot be written.
        """
        data = {
            "format": _FORMAT,
            "version": _VERSION,
            "vidcolor": version("vidcolor"),
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "folder": name_below(self.folder, self.path.parent),
            "films": [asdict(row) for row in self._rows.values()],
        }
        target = Target(self.path, overwrite=True)
        try:
            with target.temporary.open("w", encoding="utf-8") as file:
                json.dump(data, file, ensure_ascii=False, indent=1)
                file.write("\n")
            target.land()
        except OSError as error:
            if isinstance(error, MediaError):
                raise
            raise MediaError(f"{self.path}: cannot be written ({reason(error)})") from error
        finally:
            target.discard()

    def _read(self) -> list[Row]:
        try:
            data = parse_json(read_text(self.path))
        except OSError as error:
            raise MediaError(f"{self.path}: cannot be read ({reason(error)})") from error
        except ValueError as error:
            raise self._refuse(str(error)) from None
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise self._refuse(f'"format" is not "{_FORMAT}"')
        if data.get("version") != _VERSION:
            raise self._refuse(f"its version is {data.get('version')!r}, not {_VERSION}")
        if data.get("folder") != name_below(self.folder, self.path.parent):
            raise MediaError(
                f"{self.path}: is the report of another folder, {data.get('folder')}; give another "
                "--report"
            )
        films = data.get("films")
        if not isinstance(films, list):
            raise self._refuse('"films" is no list')
        return [self._row(number, item) for number, item in enumerate(films)]

    def _row(self, number: int, item: Any) -> Row:
        where = f"films[{number}]"
        if not isinstance(item, dict):
            raise self._refuse(f"{where} is no table")
        try:
            return load(Row, item, where)
        except ConfigError as error:
            raise self._refuse(str(error)) from None

    def _refuse(self, why: str) -> MediaError:
        return MediaError(
            f"{self.path}: is no report that vidcolor batch can read ({why}); move it away, or "
            "give another --report"
        )
