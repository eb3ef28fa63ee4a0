"""Sheets that show what the film effects do, for people to judge settings by eye."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.color_frames import ColorReader, read_picture
from vidcolor.io.image import is_image, list_images, write_image
from vidcolor.io.input_config import InputConfig
from vidcolor.io.shards import Pictures
from vidcolor.io.source import as_time
from vidcolor.io.target import Target
from vidcolor.train.degrade import DegradeConfig, degrade, degrade_pair, gray_signal
from vidcolor.train.degrade.config import EFFECTS
from vidcolor.train.degrade.stock import LUMA_709

__all__ = ["ColorPictures", "Progress", "alone", "preview_sheet", "some_pictures", "write_preview"]

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Progress = Callable[[int], None]

_PAPER = 244
_INK = (40, 40, 40)
_SHARD = ".tar"
_CHOICE, _DRAWN, _EFFECT, _SOURCE = range(4)  # what random numbers are for; part of their seed
_GAP = 4
_LABEL = 132
_HEAD = 18
_LINE = 14
_LETTER = 7
"""Width of a letter of the font below at its scale, about."""


class ColorPictures(Protocol):
    """Pictures by number, as `io.shards.Pictures` has them."""

    @property
    def names(self) -> Sequence[str]:
        """What to call each picture."""
        ...

    def __len__(self) -> int: ...

    def rgb(self, number: int) -> Pixels:
        """Picture `number`, (H, W, 3) uint8 RGB."""
        ...


def alone(config: DegradeConfig, effect: str = "") -> DegradeConfig:
    """`config` with one effect on every picture and no other.

    Args:
        config: Gives the strengths.
        effect: Name of a share of `DegradeConfig`; empty is none at all.
    """
    shares: dict[str, Any] = {name: float(name == effect) for name in EFFECTS}
    return replace(config, **shares)


def preview_sheet(
    pictures: ColorPictures,
    config: DegradeConfig,
    seed: int = 0,
    count: int = 4,
    *,
    side: int = 128,
    columns: int = 8,
    progress: Progress | None = None,
) -> Pixels:
    """What training would see of some pictures, and what each effect does.

    Above, a row a picture: in color, as luma, and as `config` degrades it, drawn anew in every
    cell. Below, a row an effect: that effect alone on every picture, each time in two frames of a
    shot that stands still.

    Args:
        pictures: Where pictures are drawn from.
        config: How often and how strongly.
        seed: Of the choice of pictures and of the effects.
        count: Pictures to show; all if there are fewer.
        side: Rows and columns of a picture, which is cut square; sizes of effects go by it.
        columns: Cells of a row, at least 3.
        progress: Told of every row drawn.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ConfigError: If `count`, `side` or `columns` is too small.
        MediaError: If a picture cannot be decoded.
    """
    _check(count, side, columns)
    tell = progress or _ignore
    chosen = np.random.default_rng((seed, _CHOICE)).permutation(len(pictures))[:count].tolist()
    frames = [_square(pictures.rgb(number), side) for number in chosen]
    drawn = [f"drawn {number}" for number in range(1, columns - 1)]
    rows = [_header(f"seed {seed}", ["color", "luma", *drawn], side)]
    for place, (number, rgb) in enumerate(zip(chosen, frames, strict=True)):
        cells = [rgb, gray_signal(rgb, LUMA_709)]
        for column in range(columns - 2):
            cells.append(degrade(rgb, config, np.random.default_rng((seed, _DRAWN, place, column))))
        rows.append(_row(_wrapped(pictures.names[number]), cells, side))
        tell(1)
    rows.append(_header("", [("a frame", "later")[i % 2] for i in range(columns)], side))
    for place, effect in enumerate(EFFECTS):
        single = alone(config, effect)
        cells = []
        for pair in range((columns + 1) // 2):
            rng = np.random.default_rng((seed, _EFFECT, place, pair))
            rgb = frames[pair % len(frames)]
            cells += degrade_pair(rgb, rgb, single, rng)
        rows.append(_row(_settings(config, effect), cells[:columns], side))
        tell(1)
    return np.concatenate(rows, 0)


def write_preview(
    sources: Sequence[Path],
    target: Path,
    config: DegradeConfig,
    seed: int = 0,
    count: int = 4,
    *,
    side: int = 128,
    columns: int = 8,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write the sheet of `preview_sheet` as a picture file.

    Args:
        sources: Tar shards, folders of shards or of pictures, pictures, films; every one gives its
            part of the pictures.
        target: PNG, JPEG or TIFF.
        config: How often and how strongly.
        seed: Of the choice of pictures and of the effects.
        count: Pictures to show.
        side: Rows and columns of a picture.
        columns: Cells of a row.
        overwrite: Replace `target` if it exists.
        progress: Told of every picture read and every row drawn.

    Returns:
        `target`.

    Raises:
        ConfigError: If there is no source, or a number is too small.
        MediaError: If a source cannot be read, or `target` not be written.
    """
    if not sources:
        raise ConfigError("no source: give tar shards, folders of pictures, or films")
    _check(count, side, columns)
    if not is_image(target):
        raise MediaError(f"{target}: a sheet is a picture; let its name end in .png or .jpg")
    Target(target, overwrite, sources).discard()  # before any work
    tell = progress or _ignore
    each = -(-count // len(sources))
    found = [some_pictures(source, each, seed) for source in sources]
    turns = (one for turn in itertools.zip_longest(*found) for one in turn if one is not None)
    chosen = _Chosen()
    for name, picture in itertools.islice(turns, count):
        chosen.names.append(name)
        chosen.pictures.append(picture)
        tell(1)
    sheet = preview_sheet(
        chosen, config, seed, count, side=side, columns=columns, progress=progress
    )
    write_image(target, sheet, overwrite=overwrite)
    return target


class _Chosen:
    """Decoded pictures."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.pictures: list[Pixels] = []

    def __len__(self) -> int:
        return len(self.pictures)

    def rgb(self, number: int) -> Pixels:
        return self.pictures[number]


def some_pictures(source: Path, count: int, seed: int = 0) -> Iterator[tuple[str, Pixels]]:
    """A few pictures of anything: drawn from shards and folders, spread over a film.

    Args:
        source: A tar shard, a folder of shards or of pictures, a picture, or a film.
        count: At most so many.
        seed: Of the choice.

    Yields:
        Name and (H, W, 3) uint8 RGB.

    Raises:
        MediaError: If the source cannot be read or holds no picture.
    """
    rng = np.random.default_rng((seed, _SOURCE))
    if source.is_dir():
        shards = sorted(source.glob(f"*{_SHARD}"))
        if shards:
            yield from _of_shards(shards, count, rng)
        else:
            paths = list_images(source)
            for number in rng.permutation(len(paths))[:count].tolist():
                yield paths[number].name, read_picture(paths[number])
    elif source.suffix.lower() == _SHARD:
        yield from _of_shards([source], count, rng)
    elif is_image(source):
        yield source.name, read_picture(source)
    else:
        yield from _of_film(source, count)


def _of_shards(
    shards: list[Path], count: int, rng: np.random.Generator
) -> Iterator[tuple[str, Pixels]]:
    """Pictures of at most `count` shards, for a large set does not fit into memory."""
    some = sorted(rng.permutation(len(shards))[:count].tolist())
    pictures = Pictures(tuple(glob.escape(str(shards[number])) for number in some))
    for number in rng.permutation(len(pictures))[:count].tolist():
        yield pictures.names[number], pictures.rgb(number)


def _of_film(path: Path, count: int) -> Iterator[tuple[str, Pixels]]:
    """Frames in the middle of `count` equal parts of a film."""
    with ColorReader(path) as reader:
        frames, rate = reader.frames_estimate or 1, float(reader.info.rate)
    count = min(count, frames)
    for number in range(count):
        wanted = frames * (2 * number + 1) // (2 * count)
        start = max(0.0, (wanted - 0.5) / rate)  # half a frame early: times are rounded
        with ColorReader(path, InputConfig(start=start, batch_size=1)) as reader:
            (pts,) = next(iter(reader)).pts
            yield f"{path.name} {as_time(wanted / rate)}", reader.color(pts)


def _check(count: int, side: int, columns: int) -> None:
    for name, value, least in (("count", count, 1), ("side", side, 16), ("columns", columns, 3)):
        if value < least:
            raise ConfigError(f"{name} must be at least {least}, not {value}")


def _ignore(count: int) -> None:
    pass


def _square(picture: Pixels, side: int) -> Floats:
    """The middle, `side` x `side`, float32 in 0..1."""
    height, width = picture.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    crop = np.ascontiguousarray(picture[top : top + short, left : left + short])
    way = cv2.INTER_AREA if short > side else cv2.INTER_LINEAR
    resized = cv2.resize(crop, (side, side), interpolation=way)
    return np.asarray(resized, np.float32) / np.float32(255)


def _settings(config: DegradeConfig, effect: str) -> list[str]:
    """Name, share and strength of an effect, as the lines of its label."""
    lines = [effect.upper(), f"share {getattr(config, effect):g}"]
    strength = EFFECTS[effect]
    if strength:
        lines += [strength, f"{getattr(config, strength):g}"]
    return lines


def _wrapped(name: str) -> list[str]:
    """A file's name in lines that fit the label."""
    letters = (_LABEL - _GAP) // _LETTER
    text = name.encode("ascii", "replace").decode()
    return [text[at : at + letters] for at in range(0, len(text), letters)]


def _paper(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), _PAPER, np.uint8)


def _write(paper: Pixels, text: str, x: int, y: int) -> None:
    cv2.putText(paper, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.38, _INK, 1, cv2.LINE_AA)


def _header(corner: str, titles: list[str], side: int) -> Pixels:
    paper = _paper(_HEAD, _LABEL + len(titles) * (side + _GAP))
    _write(paper, corner, _GAP, _HEAD - 5)
    for number, title in enumerate(titles):
        _write(paper, title, _LABEL + number * (side + _GAP), _HEAD - 5)
    return paper


def _row(label: list[str], cells: Sequence[Floats], side: int) -> Pixels:
    paper = _paper(side + _GAP, _LABEL + len(cells) * (side + _GAP))
    for number, line in enumerate(label[: side // _LINE]):
        _write(paper, line, _GAP, _LINE * (number + 1))
    for number, cell in enumerate(cells):
        left = _LABEL + number * (side + _GAP)
        codes = np.rint(np.clip(cell, 0, 1) * 255).astype(np.uint8)
        paper[:side, left : left + side] = codes if codes.ndim == 3 else codes[..., None]
    return paper
