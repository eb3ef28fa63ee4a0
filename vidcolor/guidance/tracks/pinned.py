"""A person's color laid on an object: softly where the object ends, at full weight within."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from vidcolor.guidance.template import Template
from vidcolor.guidance.tracks.cells import LEVELS, Floats, Grid, feather
from vidcolor.guidance.tracks.mask import ObjectMask, along_edges
from vidcolor.guidance.tracks.memory import near_levels

__all__ = ["Paint", "paint"]

_EDGE = 0.04  # part of a box's side over which paint ends at its edges
_REACH = 30.0  # L*: a pinned cell goes for lightness so near
_FULL = 1.6  # weights of 1 / 1.6 and more are full: cells at the object's edge see background too


@dataclass(frozen=True, slots=True)
class Paint:
    """Color of a part of the frame.

    Attributes:
        part: Rows and columns.
        ab: (2, rows, columns) a*b*.
        weight: (rows, columns) 0..1.
    """

    part: tuple[slice, slice]
    ab: Floats
    weight: Floats

    def lay(self, ab: Floats, sure: Floats) -> None:
        """Lay it over (2, h, w) color, in place; (h, w) `sure` rises to its weight."""
        rows, columns = self.part
        below = ab[:, rows, columns]
        below += self.weight * (self.ab - below)
        sure[rows, columns] = np.maximum(sure[rows, columns], self.weight)


def paint(
    grid: Grid, lightness: Floats, mask: ObjectMask, pins: Sequence[Template], shown: Floats
) -> Paint:
    """What pins mean in a frame.

    A pin of the whole object (its lightness is NaN) goes where `mask` finds the object, another
    one where its cells have weight and lightness is as in the template, relative to the box's
    exposure. Edges are those of lightness. Later pins lie over earlier ones.

    Args:
        grid: Of the box, at the exposure that was found.
        lightness: (h, w) L* of the frame.
        mask: What was learned of where the object is.
        pins: Colors, at least one.
        shown: (rows, columns) 0..1, how much of the object is to be seen.
    """
    local = np.ascontiguousarray(lightness[grid.area.part])
    color = np.zeros((2, *local.shape), np.float32)
    total = np.zeros_like(local)
    for pin in pins:
        ab, weight = _pin_fields(grid, mask, pin)
        weight = along_edges(np.clip(weight, 0, 1), local)
        rest = 1 - weight
        color = weight * ab + rest * color
        total = weight + rest * total
    color /= np.maximum(total, np.float32(1e-6))
    total *= feather(grid.area, _EDGE) * shown
    return Paint(grid.area.part, color, total)


def _pin_fields(grid: Grid, mask: ObjectMask, pin: Template) -> tuple[Floats, Floats]:
    """(2, rows, columns) color and (rows, columns) weight of one pin."""
    known = pin.weight.numpy()
    reach = pin.lightness.numpy()
    anywhere = np.isnan(reach)
    levels = np.minimum(near_levels(np.nan_to_num(reach), _REACH) * np.float32(2), 1)
    levels = np.where(anywhere, mask.likely() if anywhere.any() else 0, levels)
    weight = (levels * known).astype(np.float32)
    ab = np.broadcast_to(pin.ab.numpy()[:, None], (2, LEVELS, *known.shape))
    # the color of a cell without weight says nothing to its neighbors
    planes = grid.spread(np.concatenate((ab * (weight + 1e-4), weight[None] + 1e-4)))
    return cast(Floats, planes[:2] / planes[2]), cast(Floats, planes[2] * np.float32(_FULL))
