"""From folders of pictures and from shards to the pictures that are kept."""

from __future__ import annotations

import json
import logging
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.errors import MediaError
from vidcolor.given import one_line, open_file, read_file, shown
from vidcolor.io.color_frames import read_picture, resize
from vidcolor.io.image import EXTENSIONS, still_frame
from vidcolor.ops.letterbox import BarFinder, Bars
from vidcolor.stages.base import Detect
from vidcolor.train.dataset.coco import CocoBoxes
from vidcolor.train.dataset.config import BuildConfig
from vidcolor.train.dataset.crop import Boxes, Crop
from vidcolor.train.dataset.look import verdict
from vidcolor.train.dataset.sources import Source
from vidcolor.train.dataset.stored import keep
from vidcolor.train.dataset.work import ResultWriter

__all__ = ["read_pictures"]

_log = logging.getLogger(__name__)

Bytes = npt.NDArray[np.uint8]

_LATER = ".next"
_MOST_BYTES = 1 << 30  # of a picture


@dataclass(slots=True)
class _Picture:
    """A picture and what its source says of it.

    Attributes:
        name: Where it was found, for messages.
        path: Its path, to find it in COCO files.
        data: The file.
        facts: For its row.
        notes: Of a shard.
        later: File of a later frame.
    """

    name: str
    path: str
    data: bytes
    facts: dict[str, Any]
    notes: dict[str, Any] = field(default_factory=dict)
    later: bytes | None = None


def read_pictures(
    source: Source,
    config: BuildConfig,
    coco: CocoBoxes,
    detector: Callable[[], Detect],
    writer: ResultWriter,
    progress: Callable[[int], None],
) -> None:
    """Take the pictures of a folder or a shard.

    Boxes are those of the COCO files, else those that a shard brings along, else the detector's.
    A picture that cannot be read is left out with a warning.

    Args:
        source: Pictures or a shard.
        config: What is wanted.
        coco: Boxes by file name.
        detector: Makes a detector for stills.
        writer: Takes the pictures.
        progress: Told of pictures.

    Raises:
        MediaError: If a shard cannot be read.
    """
    found = _of_shard(source, config) if source.kind == "shard" else _of_folder(source, writer)
    for picture in found:
        progress(1)
        writer.counts["frames"] += 1
        writer.counts["looked"] += 1
        try:
            rgb = read_picture(picture.name, picture.data)
            later = None if picture.later is None else read_picture(picture.name, picture.later)
        except MediaError as error:
            _log.warning("%s; left out", error)
            writer.counts["unreadable"] += 1
            continue
        size = (rgb.shape[0], rgb.shape[1])
        frame = still_frame(rgb)
        bars = Bars()
        if config.bars:
            finder = BarFinder(size)
            finder.add(frame.luma[0, 0].numpy(), frame.info.color)
            bars = finder.borders().bars(Bars())
        crop = Crop.of(bars.area(size), size, config.short_side)
        why = verdict(crop.part(rgb), config.least_chroma, config.least_untoned)
        if why is not None:
            writer.counts[why] += 1
            continue
        boxes = coco.of(picture.path, size) if coco else None
        if boxes is None:
            boxes = _noted(picture.notes, size, picture.path)
        if boxes is None:
            (seen,) = detector()([frame])
            if bool(seen.has_looked()[0]):
                boxes = Boxes.of_frame(seen.detections, 0)
        if later is not None:
            later = np.ascontiguousarray(resize(later, size))
        keep(writer, config, crop, rgb, boxes, picture.facts, later)


def _of_folder(source: Source, writer: ResultWriter) -> Iterator[_Picture]:
    for number, path in enumerate(source.paths, source.first):
        try:
            data = read_file(path, _MOST_BYTES)
        except OSError as error:
            _log.warning("%s: cannot be read (%s); left out", path, error.strerror)
            data = b""
        facts = {
            "source": source.name,
            "pts": 0,
            "time": 0.0,
            "shot": number,
            "file": path.name,
            "group": f"{source.name}\0{path.name}",
            "key": f"{source.slug}-{number:07d}",
        }
        yield _Picture(str(path), path.resolve().as_posix(), data, facts)


def _of_shard(source: Source, config: BuildConfig) -> Iterator[_Picture]:
    (shard,) = source.paths
    try:
        with open_file(shard) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            files = {member.name: member for member in archive if member.isfile()}
            stems = {str(PurePosixPath(name).with_suffix("")): name for name in files}
            pictures = [
                name
                for name in files
                if PurePosixPath(name).suffix.lower() in EXTENSIONS
                and not PurePosixPath(name).name.startswith(".")
                and not PurePosixPath(name).stem.endswith(_LATER)
            ]
            for number, name in enumerate(pictures):
                stem = str(PurePosixPath(name).with_suffix(""))
                notes = _notes(shard, archive, files.get(f"{stem}.json"))
                after = stems.get(f"{stem}{_LATER}") if config.pairs else None
                facts = _facts(notes, name, number, source)
                later = _content(archive, files[after]) if after else None
                data = _content(archive, files[name])
                yield _Picture(f"{shard}/{name}", name, data, facts, notes, later)
    except MediaError:
        raise
    except (OSError, EOFError, tarfile.TarError, LookupError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{shard}: is no shard that can be read ({one_line(why)})") from error


def _facts(notes: dict[str, Any], name: str, number: int, source: Source) -> dict[str, Any]:
    """What a row says of where a shard's picture comes from: what its notes say, if it has any."""
    origin = notes.get("source", source.name)
    shot = notes.get("shot", number)
    file = notes.get("file") if notes else name
    facts = {
        "source": origin,
        "pts": notes.get("pts", 0),
        "time": notes.get("time", 0.0),
        "shot": shot,
        "group": f"{origin}\0{shot if file is None else file}",
        "key": f"{source.slug}-{number:07d}",
    }
    return facts if file is None else {**facts, "file": file}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.sparse is not None or member.size > _MOST_BYTES:
        raise tarfile.ReadError(f"{member.name} claims to be too large")
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def _notes(shard: Path, archive: tarfile.TarFile, member: tarfile.TarInfo | None) -> dict[str, Any]:
    """What a shard says of a picture; `{}` if it says nothing, or nothing of ours."""
    if member is None:
        return {}
    try:
        notes = json.loads(_content(archive, member))
    except (ValueError, RecursionError):
        raise MediaError(f"{shard}: {one_line(member.name)} is no JSON") from None
    return notes if isinstance(notes, dict) and "source" in notes and "shot" in notes else {}


def _noted(notes: dict[str, Any], size: tuple[int, int], where: str) -> Boxes | None:
    if notes.get("boxes") is None:
        return None
    try:
        count = len(notes["boxes"])
        boxes = Boxes.of(
            notes["boxes"],
            notes.get("scores") or [1.0] * count,
            notes.get("labels") or ["object"] * count,
        )
        return boxes.scaled(
            size[1] / notes.get("width", size[1]), size[0] / notes.get("height", size[0])
        )
    except (TypeError, ValueError, ArithmeticError) as error:
        raise MediaError(
            f"{where}: its boxes are none ({shown(error)}); mend its notes in the shard"
        ) from None
