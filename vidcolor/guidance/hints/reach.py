"""How far a hint reaches: the cheapest way to each cell, where edges of luma cost.

Reference: Yatziv and Sapiro: Fast image and video colorization using chrominance blending, IEEE
Transactions on Image Processing 15(5), 2006 (color by geodesic distance). Differs: a step costs
the square of its difference in luma, so that a sharp edge costs more than shading of the same
height; grain costs nothing, room a little.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

__all__ = ["Terrain", "falloff"]

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))
_PLATEAU = 0.5
_FREE_SHARE = 1 / 3  # of the shade, that folds of the same cloth may differ
_SHADE_CELLS = 4


def falloff(distance: Floats) -> Floats:
    """Weight of a color: 1 up to half its reach, from there smoothly to 0 at 1."""
    x = np.clip((np.asarray(distance) - _PLATEAU) / (1 - _PLATEAU), 0, 1)
    return np.asarray(1 - x * x * (3 - 2 * x), np.float32)


class Terrain:
    """What it costs to go from cell to cell of a picture.

    Args:
        guide: (h, w) L*.
        noise: Deviation of the grain in L*: differences up to twice that cost nothing.
        contrast: Difference of neighbors in L* that ends the reach of a hint.
        shade: Difference in L* from the hint's own luma that ends it within some cells.
        extent_cells: Way over a flat area, in cells, that ends it.
    """

    def __init__(
        self, guide: Floats, noise: float, contrast: float, shade: float, extent_cells: float
    ) -> None:
        self.guide = guide
        self._shade = np.float32(shade)
        number = np.arange(guide.size, dtype=np.int32).reshape(guide.shape)
        starts, ends, costs = [], [], []
        for dy, dx in _STEPS:
            here, there = _pair(guide, dy, dx)
            apart = np.abs(here - there)
            if dy and dx:
                # two cells of a thin line that touch at a corner are a wall, too
                around = [np.abs(here - corner) for corner in _corners(guide, dx)]
                apart = np.maximum(apart, np.minimum(*around))
            step = np.maximum(apart - np.float32(2 * noise), 0) / np.float32(contrast)
            cost = step * step + np.float32(np.hypot(dy, dx) / extent_cells)
            first, second = _pair(number, dy, dx)
            starts.append(first.ravel())
            ends.append(second.ravel())
            costs.append(cost.ravel())
        self._starts, self._ends = np.concatenate(starts), np.concatenate(ends)
        self._costs = np.concatenate(costs)

    def distance(self, sources: Flags, limit: float = 1.0, alike: bool = False) -> Floats:
        """Cost of the way from the nearest source.

        Args:
            sources: (h, w) bool.
            limit: Cost at which to stop.
            alike: Cells also cost that are darker or brighter than all sources.

        Returns:
            (h, w); infinite beyond `limit`.
        """
        places = np.flatnonzero(sources)
        if places.size == 0:
            return np.full(self.guide.shape, np.inf, np.float32)
        costs = self._costs
        if alike:
            strange = self._strange(sources).ravel()
            costs = costs + (strange[self._starts] + strange[self._ends]) / 2
        size = self.guide.size
        graph = sparse.csr_array((costs, (self._starts, self._ends)), shape=(size, size))
        found = cast(Any, csgraph.dijkstra)(
            graph, directed=False, indices=places, min_only=True, limit=limit
        )
        return np.asarray(found, np.float32).reshape(self.guide.shape)

    def _strange(self, sources: Flags) -> Floats:
        """(h, w) cost of a cell for its difference in luma from all sources."""
        low, high = np.percentile(self.guide[sources], (5, 95))
        away = np.maximum(low - self.guide, self.guide - high)
        away = np.maximum(away - self._shade * np.float32(_FREE_SHARE), 0) / self._shade
        return np.asarray(away * away * np.float32(1 / _SHADE_CELLS), np.float32)


def _pair(plane: Any, dy: int, dx: int) -> tuple[Any, Any]:
    """A plane and the plane moved, where both are."""
    height, width = plane.shape
    here = plane[: height - dy, max(0, -dx) : width - max(0, dx)]
    there = plane[dy:, max(0, dx) : width - max(0, -dx)]
    return here, there


def _corners(plane: Any, dx: int) -> tuple[Any, Any]:
    """The two cells that lie beside a diagonal step."""
    if dx > 0:
        return plane[:-1, 1:], plane[1:, :-1]
    return plane[:-1, :-1], plane[1:, 1:]
