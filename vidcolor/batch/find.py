"""Which films are meant by files and folders, and where each of them goes."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidcolor.errors import MediaError
from vidcolor.io.image import is_image
from vidcolor.io.source import reason
from vidcolor.names import FILM_EXTENSIONS, natural

__all__ = ["Film", "Found", "find_films", "is_folder"]

_NAME_BYTES = 255  # that file systems allow
_PARTS = ".parts"
_PARTIAL = re.compile(r"\.partial(-\d+)?\.[^.]+$")


@dataclass(frozen=True, slots=True)
class Film:
    """One film to color.

    Attributes:
        source: The file.
        place: Of its output below the output folder.
    """

    source: Path
    place: Path


@dataclass(frozen=True, slots=True)
class Found:
    """What paths have led to.

    Attributes:
        films: In natural order of their outputs.
        problems: One sentence for each folder that could not be listed.
        left_out: What was named and is not read because it is an output.
    """

    films: tuple[Film, ...]
    problems: tuple[str, ...] = ()
    left_out: tuple[Path, ...] = ()


@dataclass(slots=True)
class _Search:
    out: Path
    is_output: Callable[[Path], bool]
    recursive: bool
    patterns: Sequence[str]
    extension: str
    films: dict[Path, Film] = field(default_factory=dict)  # by real path: each counts once
    folders: set[Path] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)

    def file(self, path: Path) -> None:
        if is_image(path):
            raise MediaError(f"{path}: is a picture, not a film; use: vidcolor colorize")
        if self.is_output(path):
            self.left_out.append(path)
        else:
            self.add(path, Path())

    def add(self, path: Path, below: Path) -> None:
        place = below / f"{path.stem}{self.extension}"
        self.films.setdefault(Path(os.path.realpath(path)), Film(path, place))

    def folder(self, folder: Path) -> None:
        """Everything in a folder; what lies behind links comes last, so that places are real."""
        if Path(os.path.realpath(folder)) == self.out:
            self.left_out.append(folder)
            return
        links = list(self.walk(folder, Path()))
        while links:
            here, below = links.pop(0)
            links += self.walk(here, below)

    def walk(self, folder: Path, below: Path) -> Iterator[tuple[Path, Path]]:
        """Take the films of a folder; give the links to folders that were met."""
        real = Path(os.path.realpath(folder))
        if real == self.out or real in self.folders:
            return
        self.folders.add(real)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: natural(entry.name))
        except OSError as error:
            self.problems.append(f"{folder}: cannot be listed ({reason(error)})")
            return
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if is_folder(path):
                if not self.recursive or entry.name.endswith(_PARTS):
                    continue
                if entry.is_symlink():
                    yield path, below / entry.name
                else:
                    yield from self.walk(path, below / entry.name)
            elif self.takes(path):
                self.add(path, below)

    def takes(self, path: Path) -> bool:
        """Whether a file of a folder is meant."""
        if _PARTIAL.search(path.name) or self.is_output(path):
            return False
        suffix = path.suffix.lower()
        if not self.patterns:
            return suffix in FILM_EXTENSIONS
        fits = [name for name in self.patterns if fnmatch.fnmatchcase(path.name, name)]
        wanted = any(Path(name).suffix.lower() == suffix for name in fits)
        return bool(fits) and (suffix in FILM_EXTENSIONS or wanted)


def find_films(
    inputs: Iterable[Path],
    out: Path,
    *,
    recursive: bool = False,
    patterns: Sequence[str] = (),
    extension: str = ".mkv",
    is_output: Callable[[Path], bool] = lambda path: False,
) -> Found:
    """The films that are meant by some paths.

    A file is taken whatever its name is. Of a folder, files with the usual extensions are taken;
    hidden files, partial ones, `.parts` folders and the output folder are not. Links are followed,
    a film that is reached twice counts once.

    Args:
        inputs: Files and folders.
        out: The output folder; it need not exist.
        recursive: Take what lies in folders of folders too; their structure is kept below `out`.
        patterns: Names must fit one of them, as in a shell; they may also name other extensions.
            Files that were named by themselves are taken anyway.
        extension: Of the outputs, like ".mkv".
        is_output: Knows files that are outputs, and never inputs.

    Raises:
        MediaError: If a path leads nowhere, no film is found, two films would get one output, an
            output is an input, or a name would be too long.
    """
    root = Path(os.path.realpath(out))
    search = _Search(root, is_output, recursive, patterns, extension)
    for path in inputs:
        try:
            kind = path.stat().st_mode
        except FileNotFoundError:
            raise MediaError(f"{path}: no such file or folder") from None
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({reason(error)})") from error
        if stat.S_ISDIR(kind):
            search.folder(path)
        elif stat.S_ISREG(kind):
            search.file(path)
        else:
            raise MediaError(f"{path}: is neither a file nor a folder")
    films = tuple(
        sorted(search.films.values(), key=lambda film: [natural(one) for one in film.place.parts])
    )
    found = Found(films, tuple(search.problems), tuple(search.left_out))
    if not films:
        raise MediaError(_nothing(found, out, patterns))
    _check_places(films, root)
    return found


def is_folder(path: Path) -> bool:
    """Whether a path leads to a folder; one that no disk can have, or that is locked, does not."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _nothing(found: Found, out: Path, patterns: Sequence[str]) -> str:
    if found.problems:
        return found.problems[0]
    if found.left_out:
        return f"{found.left_out[0]}: is where films go, not read; give another input or --out-dir"
    if patterns:
        return (
            f"no film fits the pattern {' or '.join(map(repr, patterns))}; --recursive looks deeper"
        )
    return (
        f"no film is there ({', '.join(FILM_EXTENSIONS[:5])}, ...); --recursive looks into folders "
        "of folders, and a file that is named by itself is taken whatever its name is"
    )


def _check_places(films: Sequence[Film], out: Path) -> None:
    taken: dict[Path, Film] = {}
    sources = {Path(os.path.realpath(film.source)) for film in films}
    for film in films:
        other = taken.setdefault(film.place, film)
        if other is not film:
            raise MediaError(
                f"{other.source} and {film.source} would both become {film.place}; rename one, or "
                "name the folder above them with --recursive"
            )
        if Path(os.path.realpath(out / film.place)) in sources:
            raise MediaError(
                f"{film.source}: its output {out / film.place} is an input itself; give another "
                "--out-dir or --ext"
            )
        if (length := len(os.fsencode(film.place.name))) > _NAME_BYTES:
            raise MediaError(
                f"{film.source}: its output would have a name of {length} bytes, and disks take "
                f"{_NAME_BYTES}; rename it"
            )
