"""Which tracks of a film are the same object, by how they look in gray.

A track is looked at a few times. Each view is described by the features of our own network in
4 x 4 parts of the box, by its histogram of lightness and by its shape. How like two views are is
one number, the logit of a regression fitted on tracks seen twice against tracks of other films;
above `SURE`, and well ahead of everything that is certainly something else, two tracks share
their color. It is better to miss a pair than to join a wrong one: a person can merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from vidcolor.guidance.tracks.cells import Box, area_of
from vidcolor.models.registry import Describes

__all__ = ["MARGIN", "SURE", "Describer", "Sighting", "View", "group", "likeness"]

Floats = npt.NDArray[np.float32]

SURE = 2.0
"""Likeness from which two tracks are taken for the same object."""
MARGIN = 1.0
"""How far the likeness must lie above that to anything which is certainly another object."""

_SIDE = 96
_LEAST_PX = 12  # of a box's shorter side; smaller ones all look alike
_PARTS = 4
_MAPS = 3  # the finer maps of the network; the coarsest sees whole scenes
_BINS = 20
_MEAN, _DEVIATION, _LEAST_DEVIATION = 50.0, 18.0, 4.0  # L* that every view is brought to

# logistic regression; see docs/tracks.md for the data
_OF_FEATURES, _OF_LIGHTNESS, _OF_SHAPE, _BASE = 13.9, -10.7, -2.0, -8.0


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A track in one frame.

    Attributes:
        features: (D,) float32 of length 1.
        shares: (20,) float32 cumulative histogram of L*.
        aspect: Logarithm of height over width.
    """

    features: Floats
    shares: Floats
    aspect: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """All that is known of how a track looks.

    Attributes:
        label: Its class.
        views: A few frames of it.
        first: pts of its first frame.
        last: pts of its last frame.
    """

    label: str
    views: tuple[View, ...]
    first: int
    last: int

    def together(self, other: Sighting) -> bool:
        """Whether both were to be seen at one time: then they are two objects."""
        return self.first <= other.last and other.first <= self.last


class Describer:
    """Describes what is in a box.

    Args:
        model: A network that describes, in evaluation mode, on `device`.
        device: Where it runs.
    """

    def __init__(self, model: Describes, device: torch.device) -> None:
        self._model = model
        self._device = device

    @torch.inference_mode()
    def __call__(self, lightness: Floats, box: Box) -> View | None:
        """A view of a box; None if it is too small or mostly outside.

        Args:
            lightness: (h, w) float32 L* of the frame.
            box: In pixels of it.
        """
        area = area_of(box, cast(tuple[int, int], lightness.shape))
        if area is None or min(area.size) < _LEAST_PX:
            return None
        patch = np.ascontiguousarray(lightness[area.part])
        way = cv2.INTER_AREA if min(area.size) > _SIDE else cv2.INTER_LINEAR
        small = cast(Floats, cv2.resize(patch, (_SIDE, _SIDE), interpolation=way))
        deviation = max(float(small.std()), _LEAST_DEVIATION)
        even = np.clip((small - small.mean()) / deviation * _DEVIATION + _MEAN, 0, 100)
        planes = torch.from_numpy(even.astype(np.float32))[None, None].to(self._device)
        parts = []
        for found in self._model.describe(planes)[:_MAPS]:
            pooled = F.normalize(F.adaptive_avg_pool2d(found.float(), _PARTS), dim=1)
            parts.append(pooled.flatten() / (_PARTS * np.sqrt(_MAPS)))
        counts = np.histogram(small, _BINS, (0, 100))[0] / small.size
        height, width = area.size
        return View(
            torch.cat(parts).cpu().numpy(),
            np.cumsum(counts).astype(np.float32),
            float(np.log(height / width)),
        )


def likeness(first: Sequence[View], second: Sequence[View]) -> float:
    """How like two tracks are: the logit that they are one object, before anything else is known.

    Each view is compared with the one most like it, in both directions.

    Raises:
        ValueError: If one of them has no view.
    """
    if not first or not second:
        raise ValueError("a track without a view is like nothing")
    table = np.array([[_like(a, b) for b in second] for a in first])
    return float(table.max(axis=1).mean() + table.max(axis=0).mean()) / 2


def _like(a: View, b: View) -> float:
    common = float(a.features @ b.features)
    lightness = float(np.abs(a.shares - b.shares).mean())
    shape = abs(a.aspect - b.aspect)
    return _OF_FEATURES * common + _OF_LIGHTNESS * lightness + _OF_SHAPE * shape + _BASE


def group(
    sightings: Sequence[Sighting], sure: float = SURE, margin: float = MARGIN
) -> tuple[int, ...]:
    """Which of the tracks are one object.

    The most alike pairs are joined first. A pair is joined only if the classes agree, if no two of
    the tracks that would be joined are to be seen at one time, and if both are more alike, by
    `margin`, than either is to anything that is seen together with the other.

    Args:
        sightings: The tracks.
        sure: Least likeness.
        margin: Least distance to what is certainly something else.

    Returns:
        For each track the number of the first one that it belongs to (its own, if to none).
    """
    count = len(sightings)
    table = np.full((count, count), -np.inf)
    for i in range(count):
        for j in range(i):
            a, b = sightings[i], sightings[j]
            if a.label == b.label and a.views and b.views:
                table[i, j] = table[j, i] = likeness(a.views, b.views)
    apart = np.array(
        [[i != j and a.together(b) for j, b in enumerate(sightings)]
         for i, a in enumerate(sightings)], bool,
    ).reshape(count, count)  # fmt: skip
    groups = [{i} for i in range(count)]
    pairs = [(-table[i, j], i, j) for i in range(count) for j in range(i) if table[i, j] >= sure]
    for negative, i, j in sorted(pairs):
        if groups[i] is groups[j] or any(apart[a, b] for a in groups[i] for b in groups[j]):
            continue
        rivals = [*table[i, apart[j]], *table[j, apart[i]]]
        between = np.mean([table[a, b] for a in groups[i] for b in groups[j]])
        if -negative - max(rivals, default=-np.inf) < margin or between < sure - margin:
            continue
        joined = groups[i] | groups[j]
        for member in joined:
            groups[member] = joined
    return tuple(min(members) for members in groups)
