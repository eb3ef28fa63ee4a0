"""Data sets of color pictures: folders, tars, lists, boxes of COCO, films frame by frame."""

from __future__ import annotations

import functools
import glob
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vidcolor.errors import MediaError
from vidcolor.evaluate.sets.shelf import FolderShelf, Shelf, TarShelf, open_shelf, pick
from vidcolor.given import read_text, shown
from vidcolor.io.color_frames import ColorReader, read_picture
from vidcolor.io.image import is_image
from vidcolor.io.input_config import InputConfig
from vidcolor.io.shards import Pictures
from vidcolor.io.source import reason

__all__ = ["CocoSet", "DataSet", "FilmSet", "Handle", "open_data", "read_lines"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_MOST_BYTES = 2 << 30  # of annotations: COCO's own have 0.5 GB
_LEAST_BOX_PX = 8
_LEAST_BOX_AREA_PX = 256.0


@dataclass(frozen=True, slots=True, eq=False)
class Handle:
    """A picture that can be read.

    Attributes:
        name: In its set.
        read: Gives (H, W, 3) uint8 R'G'B'; raises MediaError.
        boxes: (K, 4) float32 xyxy in its pixels, most important first; None if nobody gave any.
        chroma: Its mean |a*b*|, where the set says so.
    """

    name: str
    read: Callable[[], Bytes]
    boxes: Floats | None = None
    chroma: float | None = None


class DataSet(Protocol):
    """Pictures, read one at a time."""

    @property
    def count(self) -> int | None:
        """How many there are; of a film about, None if it does not say."""
        ...

    @property
    def has_boxes(self) -> bool:
        """Somebody gave boxes."""
        ...

    def __iter__(self) -> Iterator[Handle]: ...


@dataclass(frozen=True, slots=True)
class _Shelved:
    """Pictures of a shelf."""

    shelf: Shelf
    names: Sequence[str]
    has_boxes: bool = False

    @property
    def count(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Handle]:
        for name in self.names:
            yield Handle(name, functools.partial(self.shelf.read, name))


class _Shard:
    """A tar with notes, in memory."""

    def __init__(self, path: Path) -> None:
        self._pictures = Pictures((glob.escape(str(path)),))
        self.count = len(self._pictures)
        self.has_boxes = any(self._pictures.boxes(n) is not None for n in range(self.count))

    def __iter__(self) -> Iterator[Handle]:
        for number, name in enumerate(self._pictures.names):
            boxes = self._pictures.boxes(number)
            yield Handle(name, functools.partial(self._pictures.rgb, number), boxes)


class CocoSet:
    """The pictures of a COCO annotation file, sorted by name, with boxes, larger first.

    Left out are boxes of crowds, of less than 8 pixels at the shorter side, and of objects of
    less than 256 pixels.

    Args:
        path: The JSON file.
        folder: Where its file names begin.

    Raises:
        MediaError: If the file cannot be read or is none of that kind.
    """

    has_boxes = True

    def __init__(self, path: Path, folder: Path) -> None:
        try:
            table = json.loads(read_text(path, _MOST_BYTES))
            found: dict[int, list[list[float]]] = {row["id"]: [] for row in table["images"]}
            for row in table["annotations"]:
                x, y, w, h = (float(value) for value in row["bbox"])
                area = float(row.get("area", w * h))
                large = min(w, h) >= _LEAST_BOX_PX and area >= _LEAST_BOX_AREA_PX
                if large and not row.get("iscrowd", 0):
                    found[row["image_id"]].append([x, y, x + w, y + h])
            rows = sorted(table["images"], key=lambda row: str(row["file_name"]))
            self._rows = [
                (str(row["file_name"]), _largest_first(found[row["id"]]), _chroma(row))
                for row in rows
            ]
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({error.strerror})") from None
        except (
            ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError
        ) as error:  # fmt: skip
            raise MediaError(f"{path}: no COCO annotations ({shown(error)})") from None
        if not self._rows:
            raise MediaError(f"{path}: lists no pictures")
        self._folder = folder
        self.count = len(self._rows)

    def __iter__(self) -> Iterator[Handle]:
        for name, boxes, chroma in self._rows:
            yield Handle(name, functools.partial(_beside, self._folder / name), boxes, chroma)


def _beside(path: Path) -> Bytes:
    try:
        return read_picture(path)
    except MediaError as error:
        raise MediaError(f"{error}; see --folder") from None


def _chroma(row: dict[str, Any]) -> float | None:
    known = row.get("mean_chroma")
    return None if known is None else float(known)


def _largest_first(boxes: list[list[float]]) -> Floats:
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    return corners[np.argsort(-areas, kind="stable")]


@dataclass(frozen=True, slots=True)
class FilmSet:
    """Every nth frame of a film; each can be read only while it is its turn."""

    path: Path
    step: int
    count: int | None
    has_boxes: bool = False

    @classmethod
    def of(cls, path: Path, step: int) -> FilmSet:
        """Look at a film; MediaError if it is gray or cannot be read."""
        with ColorReader(path, InputConfig(batch_size=1)) as reader:
            estimate = reader.frames_estimate
            if not reader.has_color:
                raise MediaError(f"{path}: is gray; a film in color is wanted")
        return cls(path, step, None if estimate is None else -(-estimate // step))

    def __iter__(self) -> Iterator[Handle]:
        number = 0
        with ColorReader(self.path, InputConfig(batch_size=8)) as reader:
            for batch in reader:
                for pts in batch.pts:
                    if number % self.step == 0:
                        name = f"{self.path.name}#{number}"
                        yield Handle(name, functools.partial(reader.color, pts))
                    number += 1
                reader.forget(batch.pts[-1])


def read_lines(path: Path) -> list[str]:
    """The lines of a list, without empty ones and those that begin with #.

    Raises:
        MediaError: If it cannot be read or names nothing.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MediaError(f"{path}: cannot be read as a list of names ({reason(error)})") from None
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not names:
        raise MediaError(f"{path}: names no pictures")
    return names


def open_data(data: Sequence[str], folder: Path | None = None, step: int = 1) -> list[DataSet]:
    """What the user names, looked at before the work.

    Args:
        data: Folders, tars or patterns of them, pictures, films, COCO annotations (`.json`),
            lists of names (`.txt`).
        folder: Where the names in annotations and lists begin, for lists also a tar; without
            it, beside the file.
        step: Every nth frame of films.

    Raises:
        MediaError: If something is not there, cannot be read, or holds no picture.
    """
    found: list[DataSet] = []
    for name in data:
        for path in _paths(name):
            found.append(_open(path, folder, step))
    return found


def _paths(name: str) -> list[Path]:
    path = Path(name).expanduser()
    if path.exists() or not glob.has_magic(name):
        return [path]
    fits = sorted(glob.glob(str(path)))  # noqa: PTH207  # Path.glob wants a relative pattern
    if not fits:
        raise MediaError(f"{name}: nothing fits this pattern")
    return [Path(fit) for fit in fits]


def _open(path: Path, folder: Path | None, step: int) -> DataSet:
    if path.is_dir():
        return _all_of(path, FolderShelf(path))
    if not path.exists():
        raise MediaError(f"{path}: no such file or folder")
    suffix = path.suffix.lower()
    if suffix == ".json":
        return CocoSet(path, folder or path.parent)
    if suffix == ".txt":
        place = folder or path.parent
        shelf = open_shelf(place)
        names = pick(read_lines(path), shelf, str(path), str(place))
        return _Shelved(shelf, names)
    if suffix == ".tar":
        tar = TarShelf(path)
        return _Shard(path) if tar.has_notes else _all_of(path, tar)
    if suffix in (".gz", ".tgz", ".bz2", ".xz"):
        return _Shard(path)
    if is_image(path):
        return _Shelved(_Single(path), [path.name])
    return FilmSet.of(path, step)


def _all_of(path: Path, shelf: Shelf) -> DataSet:
    if not shelf.names:
        raise MediaError(f"{path}: holds no pictures")
    return _Shelved(shelf, shelf.names)


@dataclass(frozen=True, slots=True)
class _Single:
    """One picture."""

    path: Path

    @property
    def names(self) -> list[str]:
        return [self.path.name]

    def read(self, name: str) -> Bytes:
        return read_picture(self.path)
