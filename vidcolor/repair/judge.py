"""What a person says about damage: holes given, places protected, spots accepted or rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from vidcolor.errors import GuidanceError
from vidcolor.repair.records import Hole, Marked, Spot
from vidcolor.repair.spots_file import Verdicts

__all__ = ["HolesOf", "Judge", "spots_of"]

HolesOf = Callable[[int], Hole | None]
"""Tells the (H, W) holes of a frame by its number in the film; None where it has none."""


def spots_of(hole: Hole) -> tuple[Spot, ...]:
    """The connected parts of a hole that a person gave."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8))
    spots = []
    for label in range(1, count):
        left, top, width, height = (int(value) for value in boxes[label][:4])
        inside = labels[top : top + height, left : left + width] == label
        spots.append(Spot("user", top, left, cast(Hole, inside), source="user"))
    return tuple(spots)


class Judge:
    """Lays what a person says over what was found. No memory.

    Holes that somebody gave are spots of kind "user". What is protected is taken out of every
    spot, whoever found it.

    Args:
        given: Holes by frame.
        protect: Places by frame that stay as they are.
        verdicts: States of spots.

    Raises:
        GuidanceError: While running, if a hole has another size than the frame.
    """

    def __init__(
        self,
        given: HolesOf | None = None,
        protect: HolesOf | None = None,
        verdicts: Verdicts | None = None,
    ) -> None:
        self._given, self._protect, self._verdicts = given, protect, verdicts

    def __call__(self, marked: Iterable[Marked]) -> Iterator[Marked]:
        """The same frames, their spots judged."""
        if self._given is None and self._protect is None and self._verdicts is None:
            yield from marked
            return
        for batch in marked:
            judged = (self._frame(batch, number) for number in range(len(batch.frames)))
            yield replace(batch, spots=tuple(judged))

    def _frame(self, batch: Marked, number: int) -> tuple[Spot, ...]:
        frames = batch.frames
        index, size = frames.index + number, frames.info.size
        spots = batch.spots[number]
        if self._given is not None:
            hole = _sized(self._given(index), size, index)
            spots += () if hole is None else spots_of(hole)
        if self._verdicts is not None:
            spots = self._verdicts.apply(spots, index, frames.pts[number])
        if self._protect is not None:
            kept = _sized(self._protect(index), size, index)
            if kept is not None:
                spots = tuple(part for spot in spots for part in _outside(spot, kept))
        return spots


def _sized(hole: Hole | None, size: tuple[int, int], index: int) -> Hole | None:
    if hole is not None and hole.shape != size:
        raise GuidanceError(
            f"mask of frame {index} is {hole.shape[1]}x{hole.shape[0]}, the film is "
            f"{size[1]}x{size[0]}; give masks of the film's size"
        )
    return hole


def _outside(spot: Spot, kept: Hole) -> Iterator[Spot]:
    """What is left of a spot where nothing is protected."""
    left = spot.hole & ~kept[spot.place]
    if np.array_equal(left, spot.hole):
        yield spot
        return
    rows, columns = np.flatnonzero(left.any(1)), np.flatnonzero(left.any(0))
    if len(rows):
        top, start = int(rows[0]), int(columns[0])
        part = left[top : int(rows[-1]) + 1, start : int(columns[-1]) + 1]
        yield replace(spot, top=spot.top + top, left=spot.left + start, hole=part)
