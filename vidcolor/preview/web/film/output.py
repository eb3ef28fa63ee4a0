"""The colored film: its name, whether it is there and up to date, and the run that makes it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidcolor.errors import GuidanceError, MediaError
from vidcolor.io.codecs import CODECS, CONTAINERS
from vidcolor.io.segments import parts_folder
from vidcolor.preview.web.desk.library import FilmEntry
from vidcolor.preview.web.jobs import Report
from vidcolor.preview.web.shots.frames import NotMade
from vidcolor.scripted import ScriptedFilm

__all__ = ["Output"]

_NAME = re.compile(r"[^\x00-\x1f\x7f/\\:*?\"<>|]+")
_MOST_BYTES = 200  # of a name, so that there is room for what is put before and behind
_SEGMENT = ".segment"


class Output:
    """The film to be, beside the script.

    Args:
        entry: The film that is colored.
    """

    def __init__(self, entry: FilmEntry) -> None:
        self._entry = entry
        self._chosen: Path | None = None  # by the latest render
        self._joined: tuple[Any, ...] | None = None  # film and keys of the latest render
        self._known: tuple[Any, bool] | None = None

    def path(self, film: ScriptedFilm | None) -> Path:
        """The usual place; its segments are those that previews make and use.

        Args:
            film: Its codec may ask for another container.
        """
        suffix = self._entry.path.suffix.lower()
        suffix = {".m4v": ".mp4"}.get(suffix, suffix)
        suffix = suffix if suffix in CONTAINERS else ".mkv"
        codec = None if film is None else CODECS.get(film.config.output.codec)
        if codec is not None and suffix not in codec.extensions:
            suffix = ".mkv"
        return self._entry.script.parent / f"{self._entry.path.stem}-color{suffix}"

    def choose(self, film: ScriptedFilm, name: str | None, overwrite: bool) -> Path:
        """Where a render goes.

        Args:
            film: The film.
            name: Of a file; None is the usual one.
            overwrite: Whether it may be there already.

        Raises:
            GuidanceError: If it cannot be used.
        """
        path = self.path(film)
        if name is not None:
            _check_name(name)
            path = path.with_name(name)
        if path.suffix.lower() not in CONTAINERS:
            known = ", ".join(CONTAINERS)
            raise GuidanceError(f"{path.name}: a film is {known}; give it one of these endings")
        if path.exists() and (not path.is_file() or path.samefile(self._entry.path)):
            raise GuidanceError(f"{path.name} cannot be replaced; give another name")
        ours = path in (self.path(film), self._chosen) or parts_folder(path).is_dir()
        if path.exists() and not ours:  # it may be an original
            raise GuidanceError(f"{path.name} was not made here; give another name")
        if path.exists() and not overwrite:
            raise GuidanceError(
                f"{path.name} is there already; allow it to be replaced, or give another name"
            )
        return path

    def render(self, film: ScriptedFilm, path: Path, overwrite: bool, report: Report) -> None:
        """Color what is missing, and join all.

        Raises:
            VidcolorError: As `ScriptedFilm.render`.
        """
        usual = self.path(film)
        if path != usual:
            _lend(usual, path, film.keys())
        output = replace(film.config.output, overwrite=overwrite)
        own = replace(film, config=replace(film.config, output=output))
        own.render(path, report, report.fetched)
        self._chosen = path
        self._joined = _mark(path, path.stat(), film.keys())

    def finished(self, film: ScriptedFilm | None) -> Path:
        """The finished film.

        Raises:
            NotMade: If it is not there.
        """
        path = self._chosen or self.path(film)
        if not path.is_file():
            raise NotMade(f"{path.name} is not there; render the film")
        return path

    def data(self, film: ScriptedFilm | None, keys: Sequence[str] | None) -> dict[str, Any]:
        """What the page is told: name, exists, bytes, up_to_date.

        Args:
            film: The film as the script is now; None: not known yet.
            keys: Of its shots.
        """
        path = self._chosen or self.path(film)
        try:
            state = path.stat()
        except OSError:
            return {"name": path.name, "exists": False, "bytes": 0, "up_to_date": False}
        fresh = film is not None and keys is not None
        return {
            "name": path.name,
            "exists": True,
            "bytes": state.st_size,
            "up_to_date": fresh and self._is_fresh(film, path, state, keys or ()),
        }

    def _is_fresh(
        self, film: ScriptedFilm | None, path: Path, state: os.stat_result, keys: Sequence[str]
    ) -> bool:
        """Whether a film was joined of the segments that the script asks for now.

        A film is joined after its segments were made, and then those that it does not have go. So
        one that is younger than all that are wanted, and these are there, is what is wanted. A
        preview beside the render may bring one of them anew, so what was joined counts too.
        """
        if self._joined == _mark(path, state, keys):
            return True
        folder = parts_folder(path)
        try:
            mark = _mark(path, state, keys), folder.stat().st_mtime_ns
        except OSError:
            return False
        if self._known is None or self._known[0] != mark:
            self._known = mark, _older(folder, keys, state.st_mtime_ns)
        return self._known[1]


def _mark(path: Path, state: os.stat_result, keys: Sequence[str]) -> tuple[Any, ...]:
    return path, state.st_size, state.st_mtime_ns, tuple(keys)


def _older(folder: Path, keys: Sequence[str], time_ns: int) -> bool:
    try:
        return all((folder / f"{key}{_SEGMENT}").stat().st_mtime_ns <= time_ns for key in keys)
    except OSError:
        return False


def _check_name(name: str) -> None:
    plain = _NAME.fullmatch(name) is not None and name == name.strip()
    if not plain or name.startswith((".", "-")) or len(name.encode()) > _MOST_BYTES:
        raise GuidanceError(
            f"{name[:40]!r} is no name for a file; take letters, digits and blanks, without folders"
        )


def _lend(usual: Path, path: Path, keys: Sequence[str]) -> None:
    """Give a film of another name the shots that were made for the usual one.

    A segment says how it was encoded; where that does not fit, it is not taken.
    """
    folder = parts_folder(path)
    for key in keys:
        made, to = (where / f"{key}{_SEGMENT}" for where in (parts_folder(usual), folder))
        if to.exists() or not made.exists():
            continue
        try:
            folder.mkdir(exist_ok=True)
            try:
                os.link(made, to)
            except OSError:
                half = to.with_name(f".{key}.partial-{secrets.token_hex(4)}{_SEGMENT}")
                with suppress(FileNotFoundError):  # removed meanwhile
                    shutil.copy2(made, half)
                    half.replace(to)
        except OSError as error:
            raise MediaError(f"{folder}: cannot be written ({error.strerror})") from error
