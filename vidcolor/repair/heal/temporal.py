"""Filling a hole with what other frames of the shot show there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.repair.heal.paths import FindWounds, Paths, Way
from vidcolor.repair.heal.sources import Sight, View, from_frame
from vidcolor.repair.records import Hole
from vidcolor.repair.window import Window

__all__ = ["Filling", "Reach", "temporal"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_FARTHER = 0.25  # by which each further step makes a ring error count more
_SOFT_CV = 1.0  # ring errors below it weigh alike
_DIFFERENT_CV = 2.0
_STILL_PX_AT_240 = 0.25  # a step


@dataclass(frozen=True, slots=True)
class Reach:
    """How far in time sources are looked for, in different pictures on each side.

    Attributes:
        near: Always.
        far: For what stays at its place, or where nothing moves.
    """

    near: int
    far: int


@dataclass(frozen=True, slots=True, eq=False)
class Filling:
    """What other frames give for a hole.

    Attributes:
        values: (h, w) float32 in cv.
        found: (h, w) bool: part of the hole that has values.
        kept: (h, w) float32, share of the grain's variance that is left after averaging.
    """

    values: Floats
    found: Hole
    kept: Floats


def temporal(
    view: View,
    window: Window,
    paths: Paths,
    find: FindWounds,
    sigma: float,
    reach: Reach,
    stays: bool,
) -> Filling:
    """Fill what is possible of a hole from other frames, the nearest first.

    Args:
        view: The place.
        window: Frames around.
        paths: Motion of the shot.
        find: Final holes of a frame.
        sigma: Grain level of the shot in cv.
        reach: How far to look.
        stays: The damage stays at its place for many frames.
    """
    pool = _Pool(view, sigma)
    for way in paths.repeats(window, view.box):
        sight = from_frame(view, way, find)
        if sight is not None and _differs(sight, view):
            pool.add(sight, way)
    if pool.full():
        return pool.result()
    walks = [paths.walk(window, side, view.box) for side in (-1, 1)]
    for steps in range(1, reach.far + 1):
        ways = [way for way in (walk.next() for walk in walks) if way is not None]
        if steps > reach.near and not stays:
            ways = [way for way in ways if _still(way, view)]
        if not ways:
            break
        for way in ways:
            pool.add(from_frame(view, way, find), way)
        if pool.full():
            break
    return pool.result()


def _differs(sight: Sight, view: View) -> bool:
    """A repeat of the frame may have the same damage: then it says nothing."""
    difference = np.abs(sight.values - view.codes)[view.hole]
    return float(np.mean(difference)) > _DIFFERENT_CV


def _still(way: Way, view: View) -> bool:
    limit = _STILL_PX_AT_240 * max(1.0, view.frame.info.height / 240) * abs(way.steps)
    return way.moved_px <= limit


class _Pool:
    """Sources of one hole as they are found.

    A pixel takes the two that fit best on the ring nearby, weighted by how well they do; where the
    two disagree by more than grain explains, one of them shows what is hidden in this frame, and
    the better one is taken alone.
    """

    def __init__(self, view: View, sigma: float) -> None:
        self._view = view
        self._limit = view.limit(sigma)
        self._values: list[Floats] = []
        self._errors: list[Floats] = []  # infinite where not to be used
        self._missing = view.hole.copy()

    def add(self, sight: Sight | None, way: Way) -> None:
        """Take a source into account."""
        if sight is None:
            return
        error = sight.error * np.float32(1 + _FARTHER * (abs(way.steps) - 1))
        good = sight.usable & (error <= self._limit)
        self._values.append(sight.values)
        self._errors.append(np.where(good, error, np.float32(np.inf)))
        self._missing &= ~good

    def full(self) -> bool:
        """Every pixel of the hole has a source."""
        return not self._missing.any()

    def result(self) -> Filling:
        """The hole as sources show it."""
        view = self._view
        found = view.hole & ~self._missing
        if not found.any():
            return Filling(view.codes, found, np.ones(found.shape, np.float32))
        values, errors = np.stack(self._values), np.stack(self._errors)
        weight = 1 / (errors * errors + np.float32(_SOFT_CV**2))
        if len(weight) > 2:
            second = np.partition(weight, -2, axis=0)[-2]
            weight = np.where(weight >= second, weight, np.float32(0))
        share = weight / np.maximum(weight.sum(0), np.float32(1e-12))
        return Filling((share * values).sum(0), found, (share * share).sum(0))
