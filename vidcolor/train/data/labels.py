"""What kind of picture each one is: names of scenes, as numbers."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vidcolor.errors import ConfigError, MediaError
from vidcolor.given import read_text, shown
from vidcolor.io.shards import Pictures

__all__ = ["FOLDER", "Labels", "read_labels"]

FOLDER = "folder"
"""In place of a file: the kind is the folder of a picture's name in its shard."""

_NAME, _CATEGORY = "name", "category"


@dataclass(frozen=True, slots=True)
class Labels:
    """Kinds of the pictures of a set.

    Attributes:
        names: Of the kinds, sorted; their places are their numbers.
        numbers: Of each picture; -1 where its kind is not known.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]


def read_labels(pictures: Pictures, source: str) -> Labels:
    """Kinds of pictures.

    Args:
        pictures: Of which set.
        source: `FOLDER`, or a CSV file with the columns `name` (that of a picture in its shard)
            and `category`; others are ignored, and so are pictures that the set does not have.

    Raises:
        MediaError: If the file cannot be read, lacks a column, or has two kinds for one name.
        ConfigError: If it says nothing of any picture, or that all are of one kind.
    """
    kinds = _of_folders(pictures) if source == FOLDER else _of_file(Path(source).expanduser())
    found = [kinds.get(name, "") for name in pictures.names]
    names = tuple(sorted(set(found) - {""}))
    if len(names) < 2:
        one = f"all pictures that it knows are {shown(names[0])}" if names else ""
        said = one or "it knows no picture"
        raise ConfigError(f"data.labels {source!r}: {said}; kinds of pictures need at least two")
    places = {name: number for number, name in enumerate(names)}
    return Labels(names, tuple(places.get(kind, -1) for kind in found))


def _of_folders(pictures: Pictures) -> dict[str, str]:
    folders = {name: PurePosixPath(name).parent.as_posix() for name in pictures.names}
    return {name: "" if folder == "." else folder for name, folder in folders.items()}


def _of_file(path: Path) -> dict[str, str]:
    try:
        text = read_text(path)
    except OSError as error:
        raise MediaError(f"{path}: cannot read data.labels: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise MediaError(f"{path}: not a table in UTF-8: {error}") from None
    if "\0" in text:
        raise MediaError(f"{path}: not a table: holds a NUL character")
    try:
        return _kinds_of(path, text)
    except csv.Error as error:
        raise MediaError(f"{path}: not a table: {error}") from None


def _kinds_of(path: Path, text: str) -> dict[str, str]:
    reader = csv.DictReader(text.splitlines())
    lacking = [key for key in (_NAME, _CATEGORY) if key not in (reader.fieldnames or ())]
    if lacking:
        raise MediaError(
            f"{path}: has no column {' and no column '.join(map(repr, lacking))}; expected "
            f"{_NAME} and {_CATEGORY} in the first line"
        )
    kinds: dict[str, str] = {}
    for row in reader:
        name, kind = row[_NAME], (row[_CATEGORY] or "").strip()
        if kinds.setdefault(name, kind) != kind:
            raise MediaError(
                f"{path}: line {reader.line_num}: {shown(name)} is {shown(kind)}, before it was "
                f"{shown(kinds[name])}; keep one"
            )
    return kinds
