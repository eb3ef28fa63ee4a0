"""A folder of colored pictures that appears whole or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

import numpy.typing as npt

from vidcolor.errors import MediaError
from vidcolor.io.image import write_image
from vidcolor.io.source import reason

__all__ = ["PictureFolder"]


class PictureFolder:
    """Takes pictures by who colored them; `land` brings them to their place.

    Until then they lie in a hidden folder beside it, which is gone at the end in any case.

    Args:
        folder: Where they go, a folder of its own for each colorizer.
        overwrite: Pictures of the same name that are there may be replaced; others stay.

    Raises:
        MediaError: If the folder holds something and may not be replaced, or cannot be made.
    """

    def __init__(self, folder: Path, overwrite: bool) -> None:
        self._folder = folder
        if folder.exists() and not folder.is_dir():
            raise MediaError(f"{folder}: exists and is no folder")
        if folder.is_dir() and any(folder.iterdir()) and not overwrite:
            raise MediaError(f"{folder}: holds files; use --overwrite to replace them")
        parent = folder.absolute().parent
        if not parent.is_dir():
            raise MediaError(f"{folder}: there is no folder {parent}")
        self._used: set[Path] = set()
        self._temporary = Path()

    def __enter__(self) -> Self:
        try:
            made = tempfile.mkdtemp(
                dir=self._folder.absolute().parent, prefix=f".{self._folder.name}.partial-"
            )
        except OSError as error:
            raise MediaError(f"{self._folder}: cannot be made ({reason(error)})") from None
        self._temporary = Path(made)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)

    def __call__(self, label: str, name: str, rgb: npt.NDArray[Any]) -> None:
        """Take a picture.

        Args:
            label: Who colored it.
            name: Of the picture in its set; its folders are kept.
            rgb: (H, W, 3) uint8.

        Raises:
            MediaError: If it cannot be written.
        """
        parts = [_plain(part) for part in PurePosixPath(name).parts if part not in ("..", "/")]
        path = Path(_plain(label), *parts).with_suffix(".png")
        number = 1
        while path in self._used:
            number += 1
            path = path.with_stem(f"{Path(*parts).stem}-{number}")
        self._used.add(path)
        target = self._temporary / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_image(target, rgb)

    def land(self) -> None:
        """Bring all pictures to their place.

        Raises:
            MediaError: If that is not possible.
        """
        try:
            for path in sorted(self._used):
                target = self._folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                (self._temporary / path).replace(target)
        except OSError as error:
            raise MediaError(f"{self._folder}: cannot be written ({reason(error)})") from None


def _plain(text: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.,#+-]+", "-", text).strip("-") or "-"
