"""Holes as they are worked on: what touches is one, what is large comes in tiles.

Tiles, because motion and light differ along a scratch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.records import Hole, Kind, Spot
from vidcolor.repair.window import Frame

__all__ = ["Box", "Tile", "Wound", "laid", "overlap", "wounds"]

Array = npt.NDArray[Any]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom lie outside."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A part of a hole that is worked on at once.

    Attributes:
        top: First row of its box.
        left: First column of its box.
        hole: (h, w) bool within the box.
    """

    top: int
    left: int
    hole: Hole

    @property
    def box(self) -> Box:
        """Left, top, right, bottom in pixels."""
        height, width = self.hole.shape
        return self.left, self.top, self.left + width, self.top + height

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the box."""
        left, top, right, bottom = self.box
        return slice(top, bottom), slice(left, right)


@dataclass(frozen=True, slots=True, eq=False)
class Wound:
    """One connected hole of a frame, as it will be repaired.

    Attributes:
        kinds: Of the spots that it consists of.
        tiles: Its parts; they do not overlap.
    """

    kinds: frozenset[Kind]
    tiles: tuple[Tile, ...]

    @property
    def area(self) -> int:
        """Pixels that repair may change."""
        return sum(int(np.count_nonzero(tile.hole)) for tile in self.tiles)


def wounds(frame: Frame, tile_px: int) -> tuple[Wound, ...]:
    """The holes of a frame: of its accepted spots, exactly as they are.

    Args:
        frame: With its spots.
        tile_px: Longest side of a tile.

    Returns:
        By their boxes; none where nothing is accepted.
    """
    spots = [one for one in frame.spots if one.state == "accepted" and one.hole.any()]
    if not spots:
        return ()
    found: list[Wound] = []
    for group in _groups(spots):
        left, top = (min(spot.box[k] for spot in group) for k in (0, 1))
        right, bottom = (max(spot.box[k] for spot in group) for k in (2, 3))
        if len(group) == 1:
            one = group[0].hole.astype(np.int32)
            found.append(_wound({group[0].kind}, one, 1, (top, left), tile_px))
            continue
        whole = laid(group, (left, top, right, bottom)).view(np.uint8)
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(whole, connectivity=8)
        kinds: list[set[Kind]] = [set() for _ in range(count)]
        for spot in group:
            rows, columns = spot.place
            under = labels[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]
            for number in np.unique(under[spot.hole]):
                kinds[int(number)].add(spot.kind)
        for n in range(1, count):
            x, y, width, height = (int(v) for v in boxes[n][:4])
            part = labels[y : y + height, x : x + width]
            found.append(_wound(kinds[n], part, n, (top + y, left + x), tile_px))
    return tuple(sorted(found, key=lambda one: one.tiles[0].box))


def _groups(spots: Sequence[Spot]) -> list[list[Spot]]:
    """Spots whose boxes overlap or touch, together."""
    groups: list[tuple[Box, list[Spot]]] = []
    for spot in spots:
        box, members = spot.box, [spot]
        while True:
            near = [g for g in groups if _touch(g[0], box)]
            if not near:
                break
            groups = [g for g in groups if not _touch(g[0], box)]
            for other, more in near:
                box = (
                    min(box[0], other[0]),
                    min(box[1], other[1]),
                    max(box[2], other[2]),
                    max(box[3], other[3]),
                )
                members = more + members
        groups.append((box, members))
    return [members for _, members in groups]


def _touch(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _wound(
    kinds: set[Kind],
    labels: Array,
    number: int,
    origin: tuple[int, int],
    tile_px: int,
) -> Wound:
    found = []
    for y0, y1 in _cuts(labels.shape[0], tile_px):
        for x0, x1 in _cuts(labels.shape[1], tile_px):
            part = labels[y0:y1, x0:x1] == number
            rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
            if not len(rows):
                continue
            part = part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
            top, left = origin[0] + y0 + int(rows[0]), origin[1] + x0 + int(columns[0])
            found.append(Tile(top, left, part))
    return Wound(frozenset(kinds), tuple(found))


def _cuts(length: int, longest: int) -> list[tuple[int, int]]:
    """A stretch in equal parts, none longer than asked."""
    parts = -(-length // longest)
    marks = [length * k // parts for k in range(parts + 1)]
    return list(itertools.pairwise(marks))


def overlap(one: Box, other: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """Shared pixels of two boxes: to index the other one with, then the first; None if none."""
    x0, y0 = max(one[0], other[0]), max(one[1], other[1])
    x1, y1 = min(one[2], other[2]), min(one[3], other[3])
    if x0 >= x1 or y0 >= y1:
        return None
    return (
        (slice(y0 - other[1], y1 - other[1]), slice(x0 - other[0], x1 - other[0])),
        (slice(y0 - one[1], y1 - one[1]), slice(x0 - one[0], x1 - one[0])),
    )


def laid(parts: Sequence[Tile | Spot], box: Box) -> Hole:
    """All holes within a box of the frame: (h, w) bool."""
    whole = np.zeros((box[3] - box[1], box[2] - box[0]), np.bool_)
    for part in parts:
        cut = overlap(part.box, box)
        if cut is not None:
            whole[cut[0]] |= part.hole[cut[1]]
    return whole
