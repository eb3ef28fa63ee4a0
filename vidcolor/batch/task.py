"""What is to be done with a film: make it, or leave alone what is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vidcolor.batch.find import Film, is_folder
from vidcolor.batch.mark import SettingsMark, find_script
from vidcolor.batch.report import Identity, Made, Report, Row, name_below
from vidcolor.errors import MediaError, VidcolorError
from vidcolor.io.codecs import choose_encoding
from vidcolor.io.segments import parts_folder
from vidcolor.io.video import VideoReader

__all__ = ["State", "Task", "judge"]

State = Literal["make", "same", "exists"]
"""It will be made; the same is there already; something else is there and stays."""


@dataclass(frozen=True, slots=True)
class Task:
    """A film and what is to be done with it.

    Attributes:
        film: The film.
        output: Where it goes.
        script: Its color script, if it has one.
        state: What is to be done.
        row: What the report says before the film's turn.
        why: Why what is there stays, or why making it will fail, as far as can be seen now.
        frames: About how many it has, if it is to be made and says so.
        resumes: Whether finished pieces of it wait on the disk.
    """

    film: Film
    output: Path
    script: Path | None
    state: State
    row: Row
    why: str | None = None
    frames: int | None = None
    resumes: bool = False


def judge(film: Film, folder: Path, report: Report, mark: SettingsMark, plans: bool) -> Task:
    """Look at a film, its color script and its output.

    Args:
        film: The film.
        folder: The output folder.
        report: What is known of outputs there.
        mark: Knows the settings.
        plans: Whether a color script beside the film counts.

    Raises:
        VidcolorError: If settings of all films are wrong; what is wrong with this one is in `why`.
    """
    output = folder / film.place
    script = find_script(film.source) if plans else None
    known = report.row(output)
    row = Row(
        output=name_below(output, folder),
        source=name_below(film.source, folder),
        status="waiting",
        script=None if script is None else name_below(script, folder),
        made=None if known is None else known.made,
    )
    there = Identity.of(output)
    try:
        row = replace(row, settings=mark.of(film.source, script))
        other = None if there is None else _other(film.source, there, row)
    except VidcolorError as error:
        if script is None and not isinstance(error, MediaError):
            raise
        return Task(film, output, script, "make", row, str(error))
    if there is not None and other is None and row.made is not None:
        return Task(film, output, script, "same", _skipped(film.source, row, row.made))
    if there is not None and not mark.config.output.overwrite:
        row = replace(row, status="exists", error=f"{output}: {other}; --overwrite makes it anew")
        return Task(film, output, script, "exists", row, other)
    return _look(Task(film, output, script, "make", row), mark)


def _other(source: Path, there: Identity, row: Row) -> str | None:
    """What has the output's name, if it is not what would be made."""
    made = row.made
    if made is None:
        return "exists, and the report does not know it"
    if there.size != made.size:
        return "exists, and has changed since it was made"
    if not made.source.fits(source):
        return "exists, made of another film or an earlier version of it"
    if made.settings != row.settings:
        return "exists, made with other settings"
    return None


def _skipped(source: Path, row: Row, made: Made) -> Row:
    seen = replace(made.source, mtime_ns=source.stat().st_mtime_ns)  # not read again next time
    made = replace(made, source=seen)
    return replace(row, status="skipped", film=seen, frames=made.frames, made=made)


def _look(task: Task, mark: SettingsMark) -> Task:
    """See how long a film is, and whether it can be read and its output be written."""
    config = mark.config
    task = replace(task, resumes=is_folder(parts_folder(task.output)))
    try:
        with VideoReader(task.film.source, config.input) as reader:
            if task.script is None:
                choose_encoding(task.output, reader.info, config.output)
            return replace(task, frames=reader.frames_estimate)
    except MediaError as error:
        return replace(task, why=str(error))
