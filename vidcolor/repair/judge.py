"""What a person says about damage: holes given, places protected, spots accepted or rejected."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from vidcolor.io.masks import Holes
from vidcolor.records import VideoInfo
from vidcolor.repair.records import Hole, Marked, Spot
from vidcolor.repair.spots_file import Verdicts

__all__ = ["Judge", "OpenHoles", "spots_of"]

OpenHoles = Callable[[VideoInfo], Holes]
"""Opens the masks of a film when its size is known."""


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
        given: Masks of damage.
        protect: Masks of what stays as it is.
        verdicts: States of spots.
        whole: The whole film comes, so that masks of frames that it does not have are noticed.

    Raises:
        MediaError: While running, if masks cannot be read or are not those of the film.
        GuidanceError: If verdicts are those of another film.
    """

    def __init__(
        self,
        given: OpenHoles | None = None,
        protect: OpenHoles | None = None,
        verdicts: Verdicts | None = None,
        whole: bool = False,
    ) -> None:
        self._given, self._protect, self._verdicts = given, protect, verdicts
        self._whole = whole

    def __call__(self, marked: Iterable[Marked]) -> Iterator[Marked]:
        """The same frames, their spots judged."""
        batches = iter(marked)
        first = next(batches, None)
        if first is None:
            return
        with contextlib.ExitStack() as stack:
            info = first.frames.info
            given, protect = (
                None if opened is None else stack.enter_context(opened(info))
                for opened in (self._given, self._protect)
            )
            end = 0
            for batch in itertools.chain([first], batches):
                frames = range(len(batch.frames))
                yield replace(
                    batch, spots=tuple(self._frame(batch, n, given, protect) for n in frames)
                )
                end = batch.frames.index + len(batch.frames)
            for holes in (given, protect):
                if holes is not None and self._whole:
                    holes.check(end)

    def _frame(
        self, batch: Marked, number: int, given: Holes | None, protect: Holes | None
    ) -> tuple[Spot, ...]:
        frames = batch.frames
        index = frames.index + number
        spots = batch.spots[number]
        if given is not None:
            hole = given.hole(index)
            spots += () if hole is None else spots_of(hole)
        if self._verdicts is not None:
            spots = self._verdicts.apply(spots, index, frames.pts[number])
        kept = None if protect is None else protect.hole(index)
        if kept is not None:
            spots = tuple(part for spot in spots for part in _outside(spot, kept))
        return spots


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
