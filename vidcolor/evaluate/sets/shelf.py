"""Where encoded pictures lie: a folder or a tar, read one by one and found by name."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vidcolor.errors import MediaError
from vidcolor.given import one_line, open_file
from vidcolor.io.color_frames import read_picture
from vidcolor.io.image import EXTENSIONS, is_image
from vidcolor.io.source import reason
from vidcolor.names import natural

__all__ = ["FolderShelf", "Shelf", "TarShelf", "open_shelf", "pick", "walk"]

Bytes = npt.NDArray[np.uint8]


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """A folder and all below it, each with its files, in natural order and without hidden ones.

    Raises:
        MediaError: If one of them cannot be listed.
    """

    def stop(error: OSError) -> None:
        raise MediaError(f"{error.filename}: cannot be listed ({reason(error)})") from None

    for here, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural)
        yield Path(here), sorted((name for name in files if not name.startswith(".")), key=natural)


class Shelf(Protocol):
    """Pictures by their names; nothing but names is held in memory."""

    @property
    def names(self) -> Sequence[str]:
        """With `/` between folders, in order."""
        ...

    def read(self, name: str) -> Bytes:
        """(H, W, 3) uint8 R'G'B'; raises MediaError if it is damaged."""
        ...


class FolderShelf:
    """The pictures of a folder and of all below it, in natural order; hidden ones are left out.

    Args:
        folder: Where to look.

    Raises:
        MediaError: If it is no folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not folder.is_dir():
            raise MediaError(f"{folder}: no such folder")
        self.names = [
            (here / name).relative_to(folder).as_posix()
            for here, names in walk(folder)
            for name in names
            if is_image(name)
        ]
        self.names.sort(key=natural)

    def read(self, name: str) -> Bytes:
        """(H, W, 3) uint8 R'G'B'.

        Raises:
            MediaError: If it is gone or damaged.
        """
        return read_picture(self._folder / name)


class TarShelf:
    """The pictures of a plain tar, read where they lie in it.

    Args:
        path: The tar, not compressed.

    Attributes:
        has_notes: It holds JSON too: what `vidcolor.io.shards.Pictures` reads.

    Raises:
        MediaError: If it cannot be read or is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        self.has_notes = False
        try:
            with open_file(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
                for member in archive:
                    hidden = PurePosixPath(member.name).name.startswith(".")
                    if member.isfile() and not hidden and is_image(member.name):
                        self._places[member.name] = (member.offset_data, member.size)
                    self.has_notes |= member.name.endswith(".json")
                self._size = path.stat().st_size
        except (
            OSError, EOFError, tarfile.TarError, ValueError, LookupError, OverflowError
        ) as error:  # fmt: skip
            why = getattr(error, "strerror", None) or str(error)
            raise MediaError(f"{path}: not a readable plain tar: {one_line(why)}") from None
        for name, (first, size) in self._places.items():
            if first + size > self._size:
                raise MediaError(f"{path}: is cut off within {name}")
        self.names = list(self._places)

    def read(self, name: str) -> Bytes:
        """(H, W, 3) uint8 R'G'B'.

        Raises:
            MediaError: If it is damaged, or the file is gone.
        """
        first, size = self._places[name]
        try:
            with self._path.open("rb") as file:
                file.seek(first)
                data = file.read(size)
        except OSError as error:
            raise MediaError(f"{self._path}: cannot be read ({reason(error)})") from None
        return read_picture(f"{self._path}: {name}", data)


def open_shelf(place: Path) -> Shelf:
    """The pictures of a folder or of a tar.

    Raises:
        MediaError: If there is no such place, or it cannot be read.
    """
    return TarShelf(place) if place.suffix == ".tar" else FolderShelf(place)


def pick(wanted: Sequence[str], shelf: Shelf, who: str, where: str) -> list[str]:
    """The names on a shelf that a list means.

    A line is the whole name, or its end (`n0144/a.JPEG` for `val/n0144/a.JPEG`), or that without
    the extension, and perhaps a label after it; it must fit one picture only.

    Args:
        wanted: Lines of the list.
        shelf: The pictures.
        who: The list, for errors.
        where: The shelf, for errors.

    Raises:
        MediaError: If a line fits no picture, or several.
    """
    places: dict[str, list[str]] = {}
    for name in shelf.names:
        parts = PurePosixPath(name).parts
        for first in range(len(parts)):
            end = "/".join(parts[first:])
            places.setdefault(end, []).append(name)
            places.setdefault(end.removesuffix(PurePosixPath(end).suffix), []).append(name)
    found = []
    for line in wanted:
        line = line.removeprefix("./")
        fits = places.get(line) or places.get(line.split()[0], [])
        if line in fits:
            fits = [line]
        if len(fits) != 1:
            what = f"{len(fits)} of {len(shelf.names)} pictures fit" if fits else "no picture fits"
            kinds = ", ".join(EXTENSIONS)
            raise MediaError(f"{who}: {what} {line!r} in {where} ({kinds}); see --folder")
        found.append(fits[0])
    return found
