"""What is finished of a set that is being made: a file for each source, whole or not there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from vidcolor.errors import MediaError
from vidcolor.io.source import reason

__all__ = ["DiskError", "Member", "Result", "ResultWriter", "Work", "add_member", "digest", "disk"]

_ROWS = "rows.json"


class DiskError(MediaError):
    """The folder of the set cannot be written: no source is to blame."""


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """What the disk refuses becomes one line."""
    try:
        yield
    except MediaError:
        raise
    except OSError as error:
        raise DiskError(
            f"{path}: cannot be written ({reason(error)}); what is finished is kept: make room "
            "and run the same again"
        ) from error


def digest(*parts: object) -> str:
    """Hexadecimal digest of values that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def add_member(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a file that has no owner and no time, so that the same content gives the same tar."""
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


@dataclass(frozen=True, slots=True)
class Member:
    """A picture in a result.

    Attributes:
        file: The result.
        offset: Its first byte.
        size: Bytes.
    """

    file: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes."""
        with self.file.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True, slots=True)
class Result:
    """What a source gave.

    Attributes:
        rows: Of each picture what is known of it.
        pictures: Encoded, in the same order.
        later: The later frames, or None.
        counts: Frames by what became of them.
        broken: Why not all of the source could be read; empty if all was.
    """

    rows: list[dict[str, Any]]
    pictures: list[Member]
    later: list[Member | None]
    counts: Counter[str]
    broken: str = ""


@dataclass(slots=True)
class ResultWriter:
    """Takes pictures while a source is read.

    Attributes:
        folder: Where unfinished things lie.
        counts: Frames by what became of them.
        broken: Why not all of the source could be read.
    """

    folder: Path
    _archive: tarfile.TarFile
    _file: BinaryIO
    counts: Counter[str] = field(default_factory=Counter)
    broken: str = ""
    _rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: dict[str, Any], picture: bytes, later: bytes | None) -> None:
        """Keep a picture, and the later frame that belongs to it."""
        row = {**row, "picture": self._put(picture), "later": later and self._put(later)}
        self._rows.append(row)

    def _put(self, data: bytes) -> tuple[int, int]:
        place = self._archive.offset + tarfile.BLOCKSIZE  # behind the header
        add_member(self._archive, f"{place:012d}", data)
        return place, len(data)

    def close(self) -> None:
        """Write what is known of the pictures, and bring all to disk."""
        data = {"rows": self._rows, "counts": dict(self.counts), "broken": self.broken}
        add_member(self._archive, _ROWS, json.dumps(data).encode())
        self._archive.close()
        self._file.flush()
        os.fsync(self._file.fileno())


class Work:
    """The folder of unfinished things.

    Args:
        folder: Made when the first result is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, key: str) -> bool:
        """Whether a source is finished."""
        return self._path(key).exists()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.tar"

    @contextmanager
    def writer(self, key: str) -> Iterator[ResultWriter]:
        """Takes the pictures of a source; they count when the block ends without an error."""
        part = self._path(key).with_suffix(".part")
        with disk(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with (
                part.open("wb") as file,
                tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive,
            ):
                writer = ResultWriter(self.folder, archive, file)
                yield writer
                writer.close()
            part.replace(self._path(key))

    def read(self, key: str) -> Result:
        """What a finished source gave."""
        path = self._path(key)
        with tarfile.open(path) as archive:
            file = archive.extractfile(_ROWS)
            assert file is not None
            data = json.load(file)
        rows = data["rows"]
        return Result(
            rows,
            [Member(path, *row.pop("picture")) for row in rows],
            [Member(path, *later) if later else None for later in (r.pop("later") for r in rows)],
            Counter(data["counts"]),
            data["broken"],
        )
