"""References as a film's frames are compared with them: pages, atlas, memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.guidance.references.carry import Atlas
from vidcolor.guidance.references.descriptors import CELL_PX, Looks, see
from vidcolor.guidance.references.entries import Reference, ReferencesConfig
from vidcolor.guidance.references.memory import Memory
from vidcolor.models.registry import Describes

__all__ = ["Known", "Library", "Page", "cells_of", "position"]

Floats = npt.NDArray[np.float32]

_RECOGNIZED = 1.5  # mean difference in L* of a picture that is the frame itself
_RECOGNIZED_PART = 0.15  # and as a part of its contrast: fog is like any other fog
_POSITION = 1.0  # squared distance of matches as far apart as the frame is high


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A reference as the line sees it, small.

    Attributes:
        reference: The picture.
        pts: Of the frame that it is said to be.
        lightness: (h, w) L*.
        ab: (2, h, w) a*b*.
        looks: (n, D) descriptors of its cells.
    """

    reference: Reference
    pts: int | None
    lightness: Floats
    ab: Floats
    looks: Floats

    @property
    def likeness(self) -> float:
        """Mean difference in L* under which a frame is this very picture."""
        return min(_RECOGNIZED, _RECOGNIZED_PART * float(self.lightness.std()))


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What a shot may use.

    Attributes:
        model: Describes small pictures.
        config: How references are believed.
        size: `(height, width)` of the small upright picture.
        describe: How its cells are described; None where nothing is to be matched.
        pages: References that are matched.
        atlas: The same, laid out.
        plain: References of which only statistics count.
    """

    model: Describes
    config: ReferencesConfig
    size: tuple[int, int]
    describe: Looks | None
    pages: tuple[Page, ...]
    atlas: Atlas | None
    plain: tuple[Reference, ...]

    def memory(self, shown_by: Collection[int]) -> Memory | None:
        """All cells of the pages; where things stand counts for pages that are frames of the shot.

        Args:
            shown_by: Those pages.
        """
        if self.atlas is None:
            return None
        keys, colors, numbers = [], [], []
        for i, page in enumerate(self.pages):
            cells = cells_of(page.lightness)
            keys.append(np.concatenate((page.looks, position(cells) * (i in shown_by)), 1))
            small = [
                cast(Floats, cv2.resize(p, cells[::-1], interpolation=cv2.INTER_AREA))
                for p in page.ab
            ]
            colors.append(np.stack(small, axis=-1).reshape(-1, 2))
            numbers.append(self.atlas.numbers(i))
        return Memory.of(
            torch.from_numpy(np.concatenate(keys).astype(np.float32)),
            torch.from_numpy(np.concatenate(colors)),
            torch.from_numpy(np.concatenate(numbers)),
            self.config.most_cells,
        )


class Library:
    """References at the size of a film, and what of them counts in a shot.

    Args:
        references: All of them.
        places: pts of the frames that they are said to be, or None.
        model: Describes small pictures.
        config: How they are believed.
        size: `(height, width)` of the film's small upright picture.
    """

    def __init__(
        self,
        references: Sequence[Reference],
        places: Sequence[int | None],
        model: Describes,
        config: ReferencesConfig,
        size: tuple[int, int],
    ) -> None:
        self.size, self.model, self.config = size, model, config
        self.plain = tuple(r for r in references if r.entry.method == "statistics")
        self._found: list[_Seen] = []
        for reference, place in zip(references, places, strict=True):
            if reference.entry.method == "match":
                lightness, ab = reference.small(size)
                self._found.append(_Seen(reference, place, lightness, ab, see(model, lightness)))
        self._described: dict[tuple[int, ...], tuple[Looks | None, tuple[Page, ...]]] = {}

    def of_shot(self, shot: int) -> Known:
        """References that count in a shot; nothing depends on the others."""
        mine = [n for n, one in enumerate(self._found) if one.reference.entry.counts_in(shot)]
        describe, pages = self._describe(tuple(mine))
        atlas = Atlas.of([(p.lightness, p.ab, p.looks) for p in pages]) if pages else None
        plain = tuple(r for r in self.plain if r.entry.counts_in(shot))
        return Known(self.model, self.config, self.size, describe, pages, atlas, plain)

    def _describe(self, mine: tuple[int, ...]) -> tuple[Looks | None, tuple[Page, ...]]:
        """How the cells of some references are described, and these described so."""
        if not mine:
            return None, ()
        if mine not in self._described:
            found = [self._found[n] for n in mine]
            describe = Looks.of([(one.maps, one.lightness) for one in found], self.config.length)
            pages = tuple(one.page(describe) for one in found)
            self._described[mine] = describe, pages
        return self._described[mine]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A reference and what the network says of it."""

    reference: Reference
    place: int | None
    lightness: Floats
    ab: Floats
    maps: tuple[torch.Tensor, ...]

    def page(self, describe: Looks) -> Page:
        looks = describe(self.maps, self.lightness).numpy()
        return Page(self.reference, self.place, self.lightness, self.ab, looks)


def cells_of(lightness: Floats) -> tuple[int, int]:
    """Rows and columns of the cells of a small picture."""
    return lightness.shape[0] // CELL_PX, lightness.shape[1] // CELL_PX


def position(cells: tuple[int, int]) -> Floats:
    """(n, 2) where cells stand, from the middle, in heights of the picture."""
    rows, columns = np.mgrid[: cells[0], : cells[1]].astype(np.float32)
    down = (rows + np.float32(0.5)) / cells[0] - np.float32(0.5)
    right = (columns + np.float32(0.5) - cells[1] / 2) / cells[0]
    both = np.stack((down, right), axis=-1).reshape(-1, 2)
    return np.asarray(both * np.float32(np.sqrt(_POSITION)), np.float32)
