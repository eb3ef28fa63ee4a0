"""Color clips: films, and folders of frames; read again by everyone who colors them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.errors import MediaError
from vidcolor.evaluate.frame import Grids
from vidcolor.evaluate.match import find_bars
from vidcolor.evaluate.recolor import TrueColor
from vidcolor.evaluate.sets.data import read_lines
from vidcolor.evaluate.sets.shelf import walk
from vidcolor.io.color_frames import ColorReader, read_picture, resize
from vidcolor.io.image import is_image, list_images, still_frame
from vidcolor.io.input_config import MOST_FRAMES, InputConfig
from vidcolor.io.video import VideoReader
from vidcolor.ops.letterbox import BarFinder, Bars
from vidcolor.records import FrameBatch, VideoInfo

__all__ = ["FilmClip", "FolderClip", "Footage", "find_clips"]

Bytes = npt.NDArray[np.uint8]

_FILMS = (
    ".mkv", ".mp4", ".m4v", ".mov", ".webm", ".avi", ".ts", ".mpg", ".mpeg", ".wmv", ".flv", ".gif",
)  # fmt: skip
_BAR_SAMPLES = 12


class Footage(Protocol):
    """A clip that can be read any number of times."""

    @property
    def name(self) -> str:
        """As the user knows it."""
        ...

    @property
    def count(self) -> int | None:
        """About how many frames it has, if known."""
        ...

    @property
    def info(self) -> VideoInfo:
        """What its frames share."""
        ...

    def bars(self) -> Bars:
        """Black bars around its frames."""
        ...

    def luma(self) -> AbstractContextManager[Iterator[FrameBatch]]:
        """Its frames as the line sees them."""
        ...

    def color(self, grids: Grids) -> AbstractContextManager[TrueColor]:
        """Their color."""
        ...


@dataclass(slots=True)
class _FilmColor:
    """The color of a film, read in step."""

    reader: ColorReader
    grids: Grids
    batches: Iterator[FrameBatch]
    waiting: list[int]

    def true(self, pts: int) -> Bytes:
        while pts not in self.waiting:
            self.waiting += next(self.batches).pts
        picture = self.grids.crop(self.reader.color(pts, self.grids.whole))
        self.reader.forget(pts)
        del self.waiting[: self.waiting.index(pts) + 1]
        return picture


@dataclass(frozen=True, slots=True)
class FilmClip:
    """A film.

    Attributes:
        path: The file.
        part: Which part of it.
        info: What its frames share.
        count: About how many frames it has.
    """

    path: Path
    part: InputConfig
    info: VideoInfo
    count: int | None

    @classmethod
    def open(cls, path: Path, part: InputConfig) -> FilmClip:
        """Look at a film.

        Raises:
            MediaError: If it cannot be read or has no color.
        """
        with ColorReader(path, replace(part, batch_size=1)) as reader:
            if not reader.has_color:
                raise MediaError(f"{path}: is gray; a film in color is wanted")
            return cls(path, part, reader.info, reader.frames_estimate)

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    def bars(self) -> Bars:
        """See `Footage`."""
        return find_bars(self.path)

    @contextmanager
    def luma(self) -> Iterator[Iterator[FrameBatch]]:
        """See `Footage`."""
        with VideoReader(self.path, self.part) as reader:
            yield iter(reader)

    @contextmanager
    def color(self, grids: Grids) -> Iterator[_FilmColor]:
        """See `Footage`."""
        with ColorReader(self.path, self.part) as reader:
            yield _FilmColor(reader, grids, iter(reader), [])


@dataclass(frozen=True, slots=True)
class _FolderColor:
    """The color of pictures, whose pts are their numbers."""

    paths: Sequence[Path]
    grids: Grids

    def true(self, pts: int) -> Bytes:
        picture = read_picture(self.paths[pts])
        return self.grids.crop(np.asarray(resize(picture, self.grids.whole), np.uint8))


@dataclass(frozen=True, slots=True)
class FolderClip:
    """Frames as pictures, in natural order; all of one size.

    Attributes:
        folder: Where they are.
        paths: The pictures.
        info: What they share.
        batch_size: Frames read at a time.
    """

    folder: Path
    paths: tuple[Path, ...]
    info: VideoInfo
    batch_size: int

    @classmethod
    def open(cls, folder: Path, rate: Fraction, batch_size: int) -> FolderClip:
        """Look at a folder.

        Raises:
            MediaError: If it holds no picture, or the first cannot be read.
        """
        paths = tuple(list_images(folder))
        info = still_frame(read_picture(paths[0])).info
        return cls(folder, paths, replace(info, rate=rate, time_base=1 / rate), batch_size)

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.folder)

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self.paths)

    def bars(self) -> Bars:
        """See `Footage`."""
        finder = BarFinder(self.info.size)
        samples = min(_BAR_SAMPLES, len(self.paths))
        for number in range(samples):
            place = (2 * number + 1) * len(self.paths) // (2 * samples)
            finder.add(self._frame(place).luma[0, 0].numpy(), self.info.color)
        return finder.bars()

    def _frame(self, number: int) -> FrameBatch:
        path = self.paths[number]
        frame = still_frame(read_picture(path))
        if frame.info.size != self.info.size:
            (height, width), (tall, wide) = frame.info.size, self.info.size
            raise MediaError(
                f"{path}: is {width}x{height}, {self.paths[0].name} is {wide}x{tall}; the frames "
                "of a clip must have one size"
            )
        return frame

    def _batches(self) -> Iterator[FrameBatch]:
        for first in range(0, len(self.paths), self.batch_size):
            numbers = range(first, min(first + self.batch_size, len(self.paths)))
            luma = torch.cat([self._frame(number).luma for number in numbers])
            yield FrameBatch(luma, tuple(numbers), self.info, index=first)

    @contextmanager
    def luma(self) -> Iterator[Iterator[FrameBatch]]:
        """See `Footage`."""
        yield self._batches()

    @contextmanager
    def color(self, grids: Grids) -> Iterator[_FolderColor]:
        """See `Footage`."""
        yield _FolderColor(self.paths, grids)


def find_clips(
    data: Sequence[str], folder: Path | None, rate: Fraction, part: InputConfig
) -> list[Footage]:
    """The clips that the user names, looked at before the work.

    Args:
        data: Films; folders of frames; folders with such below them; lists of such (`.txt`).
        folder: Where the names in lists begin; without it, beside the list.
        rate: Frames a second of folders of frames.
        part: Which part of films is read.

    Raises:
        MediaError: If something is not there, cannot be read, has no color, or holds no clip.
    """
    found: list[Footage] = []
    for name in data:
        path = Path(name).expanduser()
        if path.suffix.lower() == ".txt" and path.is_file():
            place = folder or path.parent
            for line in read_lines(path):
                if not (place / line).exists():
                    raise MediaError(f"{path}: there is no {line} in {place}; see --folder")
                found += _in(place / line, rate, part)
        else:
            found += _in(path, rate, part)
    return found


def _in(path: Path, rate: Fraction, part: InputConfig) -> list[Footage]:
    if not path.is_dir():
        return [FilmClip.open(path, part)]
    found: list[Footage] = []
    for here, names in walk(path):
        films = [here / name for name in names if Path(name).suffix.lower() in _FILMS]
        found += [FilmClip.open(film, part) for film in films]
        if any(is_image(name) for name in names):
            if part.start is not None or part.duration is not None:
                raise MediaError(
                    f"{here}: frames as pictures have no part by time; leave out "
                    "line.input.start and line.input.duration"
                )
            found.append(FolderClip.open(here, rate, part.batch_size or MOST_FRAMES))
    if not found:
        raise MediaError(f"{path}: holds no film and no pictures")
    return found
