"""Pairs of picture and hole: which picture gets which hole is a matter of the seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError, MediaError
from vidcolor.evaluate.inpaint.config import CLASS_NAMES, FILM, InpaintConfig
from vidcolor.evaluate.sets.data import FilmSet, Handle, open_data
from vidcolor.evaluate.sets.resize import resize
from vidcolor.holes.classes import CLASSES, class_of, draw_class, draw_share, share, touches_border
from vidcolor.holes.draw import HoleKind
from vidcolor.holes.files import HoleFile, HoleFiles
from vidcolor.io.image import still_frame

__all__ = ["Group", "Pair", "Pairs", "groups_of", "square"]

Bytes = npt.NDArray[np.uint8]
Hole = npt.NDArray[np.bool_]

_GRID_PX = 32
_FILM_SHARE = (0.0, 0.2)  # of the film row: damage is thin, and rarely more
_LARGEST_SHARE = 0.6  # of masks from files in the film row
_THIN: tuple[HoleKind, ...] = ("thin_film",)
_PICTURES, _HOLES = 1, 2  # streams of random numbers


@dataclass(frozen=True, slots=True)
class Group:
    """A row of the tables.

    Attributes:
        number: Class, 0..5; None for film.
        border: Whether its holes touch the border; None where nobody asks.
    """

    number: int | None
    border: bool | None

    @property
    def name(self) -> str:
        """`0.1-0.2 border`, `0.1-0.2 inside`, `film`."""
        if self.number is None:
            return FILM
        return f"{CLASS_NAMES[self.number]} {'border' if self.border else 'inside'}"

    @property
    def place(self) -> int:
        """A number that no other group has, whatever else is measured."""
        return 2 * len(CLASSES) if self.number is None else 2 * self.number + bool(self.border)

    def fits(self, hole: Hole) -> bool:
        """Whether a hole is one of these."""
        if self.number is None:
            return 0 < share(hole) <= _LARGEST_SHARE
        return class_of(hole) == self.number and touches_border(hole) == self.border


def groups_of(config: InpaintConfig) -> tuple[Group, ...]:
    """The rows of a protocol, in the order of the paper, film last."""
    borders = {"both": (False, True), "with": (True,), "without": (False,)}[config.border]
    numbers = [number for number, name in enumerate(CLASS_NAMES) if name in config.classes]
    groups = [Group(number, border) for number in numbers for border in borders]
    return (*groups, Group(None, None)) if FILM in config.classes else tuple(groups)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A picture and where it is to be filled.

    Attributes:
        group: Its row.
        index: In the row.
        name: Of the picture.
        truth: (H, W, C) uint8.
        hole: (H, W) bool.
    """

    group: Group
    index: int
    name: str
    truth: Bytes
    hole: Hole

    @property
    def digest(self) -> str:
        """Of picture and hole: what is measured of two with one digest is the same."""
        known = hashlib.sha256(str((self.truth.shape, self.hole.shape)).encode())
        known.update(np.ascontiguousarray(self.truth).tobytes())
        known.update(np.packbits(self.hole).tobytes())
        return known.hexdigest()


def square(rgb: Bytes, side: int, how: InpaintConfig) -> Bytes:
    """The middle of a picture as a square.

    Args:
        rgb: (H, W, 3) uint8.
        side: Of the square that it is resized to; 0: as large as it is, down to a multiple of 32.
        how: Says how it is resized.

    Raises:
        MediaError: If it is smaller than the smallest such square.
    """
    height, width = rgb.shape[:2]
    short = min(height, width)
    cut = short if side else short // _GRID_PX * _GRID_PX
    if not cut:
        raise MediaError(f"is {width}x{height}; at least {_GRID_PX} pixels are needed; see --side")
    top, left = (height - cut) // 2, (width - cut) // 2
    middle = np.ascontiguousarray(rgb[top : top + cut, left : left + cut])
    return resize(middle, (side, side), how.resize) if side else middle


class Pairs:
    """All pairs of a protocol.

    Memory: names of pictures, shares of mask files; a pair at a time.

    Args:
        data: Pictures, see `open_data`; no films.
        config: The protocol.
        channels: Of the pictures, 1 or 3.
        folder: Where names in lists begin.

    Raises:
        MediaError: If data or masks are missing or cannot be read.
        ConfigError: If data is a film.
    """

    def __init__(
        self, data: Sequence[str], config: InpaintConfig, channels: int, folder: Path | None = None
    ) -> None:
        self._config, self._channels = config, channels
        sets = open_data(data, folder)
        for one in sets:
            if isinstance(one, FilmSet):
                raise ConfigError(f"{one.path}: is a film; holes are measured on pictures")
        self._handles: list[Handle] = [handle for one in sets for handle in one]
        self.groups = groups_of(config)
        self._masks = {
            folder: _Masks(folder, config.invert)
            for folder, used in (
                (config.masks, any(group.number is not None for group in self.groups)),
                (config.film_masks, any(group.number is None for group in self.groups)),
            )
            if folder and used
        }

    @property
    def total(self) -> int:
        """How many there are; with mask files at most."""
        return len(self.groups) * self._config.per_class

    def of(self, group: Group) -> Iterator[Pair]:
        """The pairs of a row: the first n are the same however many are asked for.

        Raises:
            MediaError: If a picture or a mask cannot be read.
            ConfigError: If no such hole can be drawn in a picture so small.
        """
        config = self._config
        rng = np.random.default_rng((config.seed, _PICTURES, group.place))
        order = rng.permutation(len(self._handles))
        files = self._masks.get(config.film_masks if group.number is None else config.masks)
        chosen = None if files is None else iter(files.shuffled(group, config.seed))
        for index in range(config.per_class):
            handle = self._handles[order[index % len(order)]]
            truth = self._picture(handle)
            size = (truth.shape[0], truth.shape[1])
            if chosen is None or files is None:
                hole: Hole | None = self._drawn(group, index, size)
            else:
                holes = (files.read(number, size) for number in chosen)
                hole = next((one for one in holes if group.fits(one)), None)
            if hole is None:
                return
            yield Pair(group, index, handle.name, truth, hole)

    def _picture(self, handle: Handle) -> Bytes:
        try:
            rgb = square(handle.read(), self._config.side, self._config)
        except MediaError as error:
            named = handle.name in str(error)
            raise error if named else MediaError(f"{handle.name}: {error}") from None
        if self._channels == 3:
            return rgb
        return np.ascontiguousarray(still_frame(rgb).luma[0, 0].numpy().astype(np.uint8)[..., None])

    def _drawn(self, group: Group, index: int, size: tuple[int, int]) -> Hole:
        rng = np.random.default_rng((self._config.seed, _HOLES, group.place, index))
        if group.number is None:
            return draw_share(*_FILM_SHARE, None, size, rng, _THIN).hole
        kinds = cast(tuple[HoleKind, ...], self._config.kinds)
        return draw_class(group.number, group.border, size, rng, kinds).hole


class _Masks:
    """Mask files; what class they are is counted here, at their own size."""

    def __init__(self, folder: str, invert: bool) -> None:
        self._files = HoleFiles(Path(folder).expanduser(), invert)
        self._known: list[HoleFile] = list(self._files.measured())

    def read(self, number: int, size: tuple[int, int]) -> Hole:
        return self._files.read(number, size)

    def shuffled(self, group: Group, seed: int) -> list[int]:
        """Numbers of those that are likely of a group; resizing may take some out of it."""
        fit = [number for number, one in enumerate(self._known) if _likely(group, one)]
        rng = np.random.default_rng((seed, _HOLES, group.place))
        return [fit[place] for place in rng.permutation(len(fit))]


def _likely(group: Group, one: HoleFile) -> bool:
    if group.number is None:
        return 0 < one.share <= _LARGEST_SHARE
    return one.number == group.number and one.border == group.border
