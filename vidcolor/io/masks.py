"""Where pictures are damaged, read from files that a person sees: white is damaged.

Inside, a hole is True where something must be filled: at 128 of 255 and more. All of it streams:
never more than a few frames are in memory. Sizes are those of the coded frame, before rotation.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from vidcolor.errors import MediaError
from vidcolor.io.image import is_image, list_images, read_image
from vidcolor.io.input_config import InputConfig
from vidcolor.io.video import VideoReader
from vidcolor.records import FrameBatch, VideoInfo

__all__ = ["Hole", "Holes", "open_holes"]

Hole = npt.NDArray[np.bool_]

_DAMAGED_8 = 128
_NUMBER = re.compile(r"\d+")
_BATCH = 4


class Holes(Protocol):
    """Holes of a film, by frame number from 0; a context manager."""

    def hole(self, index: int, /) -> Hole | None:
        """The hole of a frame; None where nothing is damaged.

        Args:
            index: Number of the frame, as `FrameBatch.index` counts. Never lower than the one
                asked for before.

        Returns:
            (H, W) bool, True = damaged.

        Raises:
            MediaError: If the file is damaged, of another size, or has no such frame.
            ValueError: If `index` is lower than before.
        """

    def check(self, frames: int, /) -> None:
        """Look whether the masks are those of a film of so many frames, once it was read.

        Raises:
            MediaError: If there are masks for frames that it does not have.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_holes(path: str | Path, info: VideoInfo) -> Holes:
    """Masks that a person gives.

    Args:
        path: A picture for all frames; a folder of pictures, the last number in whose names is
            that of the frame, from 0 (a frame without one is whole); or a gray video with as many
            frames as the film. White (128 of 255 and more) is damaged, transparent is not.
        info: Of the film or picture.

    Returns:
        A context manager, see `Holes`.

    Raises:
        MediaError: If there is nothing there that could be read, a name has no number, two have
            the same, or the size differs; also later, see `Holes.hole`.
    """
    path = Path(path)
    if path.is_dir():
        return _HoleFolder(path, info)
    return _OneHole(path, info) if is_image(path) else _HoleFilm(path, info)


def _read_hole(path: Path, info: VideoInfo) -> Hole | None:
    frame, more = read_image(path)
    _check_size(path, frame.info, info)
    hole: Hole = frame.luma[0, 0].numpy() >= _DAMAGED_8 << (more.bits - 8)
    if more.alpha is not None:
        hole &= more.alpha >= _DAMAGED_8 << (more.bits - 8)
    return hole if hole.any() else None


def _check_size(path: Path, mask: VideoInfo, info: VideoInfo) -> None:
    if mask.size != info.size:
        raise MediaError(
            f"{path}: this mask is {mask.width}x{mask.height}, the picture "
            f"{info.width}x{info.height}; make it as large as the picture"
        )


class _OneHole:
    """The same hole in all frames."""

    def __init__(self, path: Path, info: VideoInfo) -> None:
        self._hole = _read_hole(path, info)

    def hole(self, index: int, /) -> Hole | None:
        return self._hole

    def check(self, frames: int, /) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


class _HoleFolder:
    """A picture for each frame that is damaged."""

    def __init__(self, folder: Path, info: VideoInfo) -> None:
        self._info = info
        self._paths: dict[int, Path] = {}
        for path in list_images(folder):
            numbers = _NUMBER.findall(path.stem)
            if not numbers:
                raise MediaError(f"{path}: has no number; name it by its frame, as 000123.png")
            index = int(numbers[-1])
            if index in self._paths:
                other = self._paths[index].name
                raise MediaError(f"{path}: is for frame {index}, and so is {other}; remove one")
            self._paths[index] = path
        _read_hole(self._paths[min(self._paths)], info)  # another size is said at once

    def hole(self, index: int, /) -> Hole | None:
        path = self._paths.get(index)
        return None if path is None else _read_hole(path, self._info)

    def check(self, frames: int, /) -> None:
        last = max(self._paths)
        if last >= frames:
            raise MediaError(
                f"{self._paths[last]}: is for frame {last}, the film has {frames}, from 0 to "
                f"{frames - 1}; masks are numbered from 0"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


class _HoleFilm:
    """A film of holes, read beside the film."""

    def __init__(self, path: Path, info: VideoInfo) -> None:
        self._path, self._info = path, info
        self._reader = VideoReader(path, InputConfig(batch_size=_BATCH))
        self._reached = -1
        self._batch: FrameBatch | None = None

    def hole(self, index: int, /) -> Hole | None:
        if index < self._reached:
            raise ValueError(f"frame {index} after {self._reached}: a film is read forward")
        self._reached = index
        while self._batch is None or index >= self._batch.index + len(self._batch):
            following = next(self._batches, None)
            if following is None:
                raise self._miscounted(f"more than the {self._count()} frames of this mask")
            self._batch = following
        frame = self._batch.luma[index - self._batch.index, 0].numpy()
        hole: Hole = frame >= _DAMAGED_8 << (self._batch.info.color.bits - 8)
        return hole if hole.any() else None

    def check(self, frames: int, /) -> None:
        while self._count() <= frames:
            following = next(self._batches, None)
            if following is None:
                break
            self._batch = following
        found = self._count()
        if found != frames:
            many = "more than " if found > frames else f"{found}, not "
            raise self._miscounted(f"{frames} frames, this mask {many}{frames}")

    def _count(self) -> int:
        return 0 if self._batch is None else self._batch.index + len(self._batch)

    def _miscounted(self, what: str) -> MediaError:
        return MediaError(f"{self._path}: the film has {what}; a mask has a frame for each")

    def __enter__(self) -> Self:
        self._reader.__enter__()
        try:
            _check_size(self._path, self._reader.info, self._info)
        except BaseException:
            self._reader.__exit__(None, None, None)
            raise
        self._batches = iter(self._reader)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.__exit__(kind, error, trace)
