"""Boxes of pictures out of COCO JSON files."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vidcolor.errors import GuidanceError
from vidcolor.given import one_line, read_text
from vidcolor.train.dataset.crop import Boxes

__all__ = ["CocoBoxes"]

_log = logging.getLogger(__name__)

_MOST_BYTES = 2 << 30  # COCO's own have 0.5 GB
_SHOWN = 100  # letters of what is wrong
_ASPECT = 0.02  # the size in the file may be that of a larger copy, but of the same picture


@dataclass(slots=True)
class _Picture:
    path: PurePosixPath
    width: float
    height: float
    boxes: list[tuple[float, float, float, float]]
    labels: list[str]


class CocoBoxes:
    """Boxes by file name.

    A picture is found when its path ends as `file_name` in the JSON does, or in that name. Crowds
    (`iscrowd`) are left out: they are no objects with a box of their own.

    Args:
        files: COCO JSON with `images`, `annotations` and `categories`.

    Raises:
        GuidanceError: If a file cannot be read, or holds something else.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self._by_name: dict[str, list[_Picture]] = {}
        for file in files:
            for picture in _read(Path(file).expanduser()):
                self._by_name.setdefault(picture.path.name, []).append(picture)

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def knows(self, path: str) -> bool:
        """Whether a file has this picture."""
        return self._find(path) is not None

    def _find(self, path: str) -> _Picture | None:
        pure = PurePosixPath(path)
        known = self._by_name.get(pure.name, [])
        fits = [one for one in known if _ends_like(pure, one.path)]
        return max(fits, key=lambda one: len(one.path.parts), default=None)

    def of(self, path: str, size: tuple[int, int]) -> Boxes | None:
        """Boxes of a picture, in its own pixels; None if the files do not know it.

        Args:
            path: As it was found, with `/`.
            size: `(height, width)` of the picture.
        """
        picture = self._find(path)
        if picture is None:
            return None
        x, y = size[1] / picture.width, size[0] / picture.height
        if abs(x / y - 1) > _ASPECT:
            _log.warning(
                "%s is %dx%d, the COCO file says %gx%g: its boxes are not taken",
                path, size[1], size[0], picture.width, picture.height,
            )  # fmt: skip
            return None
        return Boxes.of(picture.boxes, [1.0] * len(picture.boxes), picture.labels).scaled(x, y)


def _ends_like(path: PurePosixPath, name: PurePosixPath) -> bool:
    """Whether one is the end of the other: `val/a.jpg` and `/data/val/a.jpg`, or `a.jpg`."""
    count = min(len(path.parts), len(name.parts))
    return path.parts[-count:] == name.parts[-count:]


def _read(file: Path) -> list[_Picture]:
    try:
        data = json.loads(read_text(file, _MOST_BYTES))
    except OSError as error:
        raise GuidanceError(f"{file}: boxes cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise GuidanceError(f"{file}: is no JSON; expected COCO's instances_*.json") from None
    try:
        names = {int(row["id"]): str(row["name"]) for row in data["categories"]}
        pictures = {row["id"]: _picture(row) for row in data["images"]}
        for row in data["annotations"]:
            if not row.get("iscrowd"):
                x, y, width, height = (float(value) for value in row["bbox"])
                picture = pictures[row["image_id"]]
                picture.boxes.append((x, y, x + width, y + height))
                picture.labels.append(names[int(row["category_id"])])
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        wrong = f"{type(error).__name__}: {one_line(str(error)[:_SHOWN])}"
        raise GuidanceError(
            f"{file}: is no COCO file of boxes ({wrong}); expected "
            "images (id, file_name, width, height), annotations (image_id, category_id, bbox) and "
            "categories (id, name)"
        ) from None
    return list(pictures.values())


def _picture(row: dict[str, Any]) -> _Picture:
    width, height = float(row["width"]), float(row["height"])
    if not (width > 0 and height > 0):
        raise ValueError(f"picture {row['file_name']} is {width:g}x{height:g}")
    return _Picture(PurePosixPath(row["file_name"]), width, height, [], [])
