"""Encoded pictures of tar shards, with what is known about them.

A shard is a plain tar with members `KEY.jpg` (or `.png`), optionally `KEY.json` (see `Notes`) and
`KEY.next.jpg`, a later frame of the same shot. It is the layout that WebDataset reads too. Tars
that hold nothing but pictures are fine.
"""

from __future__ import annotations

import json
import lzma
import tarfile
import zlib
from array import array
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import MediaError
from vidcolor.given import one_line, open_file

__all__ = ["Notes", "Pictures"]

_SUFFIXES = (".jpg", ".jpeg", ".png")
_NOTES_SUFFIX = ".json"
_LATER = ".next"
_MOST_MEMBER_BYTES = 1 << 28
_NOWHERE = (-1, 0, 0)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Notes:
    """What a shard says about a picture.

    Attributes:
        source: Film or folder that it comes from; empty if not said.
        shot: Number of the shot in the source, or None.
        time: Seconds from the start of the source, or None.
        hash: Perceptual hash, hexadecimal; empty if not said.
        size: `(height, width)` of the picture in which boxes were looked for, or None.
        boxes: (K, 4) float32 xyxy in pixels of the stored picture, by falling score; None if
            nobody looked.
        scores: (K,) float32 in 0..1; 1 if not said.
        labels: K names; "object" if not said.
    """

    source: str = ""
    shot: int | None = None
    time: float | None = None
    hash: str = ""
    size: tuple[int, int] | None = None
    boxes: Floats | None = None
    scores: Floats | None = None
    labels: tuple[str, ...] = ()


def _optional(row: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    value = row.get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ValueError(f"{key} is {value!r}")
    return value


def _floats(row: dict[str, Any], key: str, columns: tuple[int, ...]) -> Floats:
    try:
        values = np.array(row[key], np.float32)
        values = values.reshape(0, *columns) if values.size == 0 else values
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{key} are not numbers") from None
    if values.shape[1:] != columns or not np.isfinite(values).all():
        shape = " of 4 numbers each" if columns else ""
        raise ValueError(f"{key} are not a list{shape}")
    return values


def _parse_notes(data: bytes) -> Notes:
    """Notes of the JSON text `data`; ValueError says what is wrong with it."""
    try:
        row = json.loads(data.decode())
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(row, dict):
        raise ValueError("is not an object")
    boxes = scores = None
    labels: tuple[str, ...] = ()
    if row.get("boxes") is not None:
        boxes = _floats(row, "boxes", (4,))
        scores = np.ones(len(boxes), np.float32)
        if row.get("scores") is not None:
            scores = _floats(row, "scores", ())
        names = _optional(row, "labels", list)
        labels = ("object",) * len(boxes) if names is None else tuple(map(str, names))
        if not len(boxes) == len(scores) == len(labels):
            raise ValueError(f"{len(boxes)} boxes, {len(scores)} scores, {len(labels)} labels")
        order = np.argsort(-scores, kind="stable")
        boxes, scores = boxes[order], scores[order]
        labels = tuple(labels[place] for place in order)
    height, width = (_optional(row, key, int) for key in ("height", "width"))
    return Notes(
        source=_optional(row, "source", str) or "",
        shot=_optional(row, "shot", int),
        time=_optional(row, "time", (int, float)),
        hash=_optional(row, "hash", str) or "",
        size=None if height is None or width is None else (height, width),
        boxes=boxes,
        scores=scores,
        labels=labels,
    )


class Pictures:
    """Encoded pictures of tar shards, held in memory (a tenth of their decoded size).

    The bytes of a shard are one object, so that processes that are forked from this one share
    them.

    Args:
        patterns: Shell patterns relative to the working folder; `~` is known.

    Attributes:
        names: Of each picture, its name in its shard.

    Raises:
        MediaError: If nothing matches, a shard cannot be read or is cut off, or what it says
            about a picture makes no sense.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self.names: list[str] = []
        self._shards: list[Path] = []
        self._data: list[bytes] = []
        self._notes: list[Notes | None] = []
        # three numbers a picture: shard, first byte, size; of the later frame, shard -1 if none
        self._places = array("q")
        self._laters = array("q")
        for pattern in patterns:
            base = Path(pattern).expanduser()
            try:
                shards = sorted(Path(base.anchor or ".").glob(str(base.relative_to(base.anchor))))
            except (ValueError, NotImplementedError, OSError) as error:
                raise MediaError(f"{pattern}: is no pattern of files ({error})") from None
            if not shards:
                raise MediaError(f"{pattern}: no such shard; give tar files with pictures")
            for shard in shards:
                self._read(shard)
        if not self.names:
            raise MediaError(f"{', '.join(patterns)}: hold no picture ({', '.join(_SUFFIXES)})")

    def _read(self, shard: Path) -> None:
        blob = bytearray()
        pictures: list[tuple[str, str, tuple[int, int, int]]] = []
        laters: dict[str, tuple[int, int, int]] = {}
        texts: dict[str, tuple[str, bytes]] = {}
        number = len(self._shards)
        try:
            with open_file(shard) as file, tarfile.open(fileobj=file) as archive:
                for member in archive:
                    path = PurePosixPath(member.name)
                    suffix = path.suffix.lower()
                    if suffix not in (*_SUFFIXES, _NOTES_SUFFIX) or path.name.startswith("."):
                        continue
                    if member.size > _MOST_MEMBER_BYTES or member.sparse is not None:
                        raise tarfile.ReadError(f"{member.name} claims to be too large")
                    content = archive.extractfile(member)
                    if content is None:
                        continue
                    data = content.read()
                    if len(data) < member.size:
                        raise tarfile.ReadError(f"it ends within {member.name}")
                    stem = member.name[: -len(suffix)]
                    place = (number, len(blob), len(data))
                    if suffix == _NOTES_SUFFIX:
                        texts[stem] = (member.name, data)
                        continue
                    blob += data
                    if stem.endswith(_LATER):
                        laters[stem.removesuffix(_LATER)] = place
                    else:
                        pictures.append((member.name, stem, place))
                _check_end(archive)
        except (
            OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, ValueError,
            LookupError, OverflowError,
        ) as error:  # fmt: skip
            why = getattr(error, "strerror", None) or str(error)
            raise MediaError(f"{shard}: not a readable tar file: {one_line(why)}") from None
        for stem in laters.keys() - {stem for _, stem, _ in pictures}:
            raise MediaError(f"{shard}: {stem}{_LATER} has no picture {stem} before it")
        self._shards.append(shard)
        self._data.append(bytes(blob))
        for name, stem, place in pictures:
            self.names.append(name)
            self._places.extend(place)
            self._laters.extend(laters.get(stem, _NOWHERE))
            self._notes.append(_notes(shard, *texts[stem]) if stem in texts else None)

    def __len__(self) -> int:
        return len(self.names)

    def where(self, number: int) -> str:
        """Shard and name of picture `number`, for messages."""
        return f"{self._shards[self._places[3 * number]]}: {self.names[number]}"

    def rgb(self, number: int) -> npt.NDArray[np.uint8]:
        """Picture `number`, (H, W, 3) uint8 RGB.

        Raises:
            MediaError: If it cannot be decoded, or boxes were looked for at another size.
        """
        picture = self._decode(self._places, number, "")
        notes = self._notes[number]
        if notes and notes.size and notes.boxes is not None and notes.size != picture.shape[:2]:
            (height, width), (high, wide) = picture.shape[:2], notes.size
            raise MediaError(
                f"{self.where(number)}: is {width}x{height}, its boxes are for {wide}x{high}; "
                "build the set again"
            )
        return picture

    def notes(self, number: int) -> Notes | None:
        """What the shard says about picture `number`, or None if it says nothing."""
        return self._notes[number]

    def boxes(self, number: int, least_score: float = 0.0) -> Floats | None:
        """Boxes of picture `number`.

        Args:
            number: The picture.
            least_score: Boxes with a lower score are left out.

        Returns:
            (K, 4) float32 xyxy in its pixels, by falling score; None if nobody looked.
        """
        notes = self._notes[number]
        if notes is None or notes.boxes is None or notes.scores is None:
            return None
        return notes.boxes[notes.scores >= least_score]

    def scores(self, number: int, least_score: float = 0.0) -> Floats | None:
        """(K,) scores of `boxes`, in the same order; None if nobody looked."""
        notes = self._notes[number]
        if notes is None or notes.scores is None:
            return None
        return notes.scores[notes.scores >= least_score]

    def has_later(self, number: int) -> bool:
        """Whether the shard holds a later frame of picture `number`."""
        return self._laters[3 * number] >= 0

    def later(self, number: int) -> npt.NDArray[np.uint8] | None:
        """A later frame of the shot of picture `number`, (H, W, 3) uint8 RGB, or None.

        Raises:
            MediaError: If it cannot be decoded.
        """
        if not self.has_later(number):
            return None
        return self._decode(self._laters, number, " (later frame)")

    def _decode(self, places: array[int], number: int, what: str) -> npt.NDArray[np.uint8]:
        shard, first, size = places[3 * number : 3 * number + 3]
        data = np.frombuffer(self._data[shard], np.uint8, size, first) if size else None
        picture = None if data is None else cv2.imdecode(data, cv2.IMREAD_COLOR)
        if picture is None:
            raise MediaError(f"{self.where(number)}{what}: not a readable picture")
        return np.ascontiguousarray(picture[:, :, ::-1])


def _check_end(archive: tarfile.TarFile) -> None:
    """A tar ends with a block of zeros; `tarfile` takes anything else that is no member as well."""
    file = archive.fileobj
    assert file is not None
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it is cut off or damaged")


def _notes(shard: Path, name: str, data: bytes) -> Notes:
    try:
        return _parse_notes(data)
    except ValueError as error:  # of json and unicode too
        raise MediaError(f"{shard}: {name}: broken notes ({error}); build the set again") from None
