"""From a damaged region to spots: what exactly is to be repaired."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.dust.seeds import Region
from vidcolor.repair.dust.views import Views
from vidcolor.repair.records import Hole, Kind, Spot, State

__all__ = ["is_hair", "spots_of_region"]

Floats = npt.NDArray[np.float32]

_LEAST_AT_240 = 3.0  # pixels of a picture of 240 lines; smaller ones must stand out twice
_GAP_AT_240 = 0.6
_HAIR_ASPECT = 5.0
_HAIR_AT_240 = 6.0


def spots_of_region(
    views: Views, region: Region, threshold: Floats, confidence: float, state: State
) -> list[Spot]:
    """The connected parts of a region; their soft edges are added later, see `repair.heal.grow`.

    Parts under 3 pixels of a picture of 240 lines are left out unless they exceed the threshold
    twice.

    Args:
        views: The frame between its neighbors.
        region: Damage.
        threshold: (H, W) or () float32 in cv, as for seeds.
        confidence: Of the region.
        state: Of the region.
    """
    left, top, right, bottom = region.box
    limit = threshold[top:bottom, left:right] if threshold.ndim else threshold
    contrast = (
        np.minimum(np.abs(region.gray - region.before), np.abs(region.gray - region.after)) / limit
    )
    count, labels, stats, _ = cv2.connectedComponentsWithStats(_closed(region.core, views.unit))
    spots = []
    for label in range(1, count):
        x, y, width, height = (int(value) for value in stats[label][:4])
        place = np.s_[y : y + height, x : x + width]
        hole = cast(Hole, labels[place] == label)
        damage = hole & region.core[place]
        if (
            int(np.count_nonzero(damage)) < _LEAST_AT_240 * views.unit**2
            and not (contrast[place][damage] > 2).any()
        ):
            continue
        kind: Kind = "hair" if is_hair(damage, views.unit) else "dust"
        spots.append(Spot(kind, top + y, left + x, hole, confidence, state=state))
    return spots


def _closed(core: Hole, unit: float) -> npt.NDArray[np.uint8]:
    """The core without gaps and pinholes: damage is torn where the picture has its own shade."""
    size = 2 * max(1, round(_GAP_AT_240 * unit)) + 1
    padded = np.pad(core.astype(np.uint8), size)  # or closing would stop at the box
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    return cast(npt.NDArray[np.uint8], closed[size:-size, size:-size])


def is_hair(damage: Hole, unit: float) -> bool:
    """Long and thin, straight or curled.

    Args:
        damage: (h, w), one connected mark.
        unit: Pixels to a pixel of a picture of 240 lines.
    """
    padded = np.pad(damage.astype(np.uint8), 1)
    width = 2 * float(cv2.distanceTransform(padded, cv2.DIST_L2, 5).max()) - 1
    length = float(np.count_nonzero(damage)) / max(1.0, width)
    return length >= _HAIR_ASPECT * width and length >= _HAIR_AT_240 * unit
