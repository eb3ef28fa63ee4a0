"""Patches of one picture at one size: the search for matches, and the vote on what they say."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Patches", "sources"]

Floats = npt.NDArray[np.float32]
Hole = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

_STEPS = (8, 4, 2, 1)  # how far patches look for good matches of their neighbors
_SHRINK = 0.5  # of the radius in which random matches are tried
_FAR = 2.0  # a pixel counts so much less for every pixel that it is deeper in the hole
_LEAST_TRUST = 0.05
_SPREAD_PERCENTILE = 75.0
_LEAST_SPREAD = 1e-8
_ROWS = 1 << 16  # patches compared at once


def sources(hole: Hole, side: int) -> Hole:
    """(H - side + 1, W - side + 1), which patches have no hole in them, by their upper left."""
    if min(hole.shape) < side:
        return np.zeros((0, 0), np.bool_)
    grown = cv2.dilate(
        hole.astype(np.uint8), np.ones((side, side), np.uint8), anchor=(0, 0), borderValue=0
    )
    rows, columns = hole.shape[0] - side + 1, hole.shape[1] - side + 1
    return grown[:rows, :columns] == 0


def _rows(values: Floats, side: int) -> Floats:
    """(patches, channels * side * side) of a (H, W, C) picture."""
    windows = np.lib.stride_tricks.sliding_window_view(values, (side, side), axis=(0, 1))
    return np.ascontiguousarray(windows).reshape(-1, values.shape[2] * side * side)


class Patches:
    """All patches of a picture with a hole: those that are whole, and those that are not.

    A patch is known by its place, `row * columns + column` of its upper left pixel. Every patch
    that has a hole in it (a target) has a match, a place without any.

    Args:
        image: (H, W, C) float32; in the hole a first guess.
        hole: (H, W) bool, with cells outside it.
        side: Of a patch, at most that of the picture; some patch must be whole.
        rng: Source of all randomness.
    """

    def __init__(self, image: Floats, hole: Hole, side: int, rng: np.random.Generator) -> None:
        self.image, self._hole, self._side, self._rng = image.copy(), hole, side, rng
        whole = sources(hole, side)
        self.rows, self.columns = whole.shape
        self._whole = whole.ravel()
        self._known = _rows(image, side)
        self._sources = np.flatnonzero(self._whole)
        self.targets = np.flatnonzero(~self._whole)
        self.match = np.arange(whole.size)
        self.match[self.targets] = rng.choice(self._sources, len(self.targets))
        deep = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
        trust = np.maximum(_FAR ** -deep.astype(np.float32), _LEAST_TRUST)
        weights = _rows(trust[..., None], side)[self.targets]
        self._trust = weights.mean(axis=1)
        weights /= weights.sum(axis=1, keepdims=True)
        self._weights = np.tile(weights, (1, image.shape[2])) / image.shape[2]
        self._wanted = self._known[self.targets]
        self._distance = np.zeros(len(self.targets), np.float32)

    def start(self, match: Places) -> None:
        """Take matches from elsewhere: (targets,) places; those with holes in them are left."""
        use = self._whole[match]
        self.match[self.targets[use]] = match[use]

    def search(self, sweeps: int) -> None:
        """Look for better matches: those of neighbors, shifted, and random ones."""
        self._wanted = _rows(self.image, self._side)[self.targets]
        every = np.arange(len(self.targets))
        self._distance = self._compare(every, self.match[self.targets])
        for _ in range(sweeps):
            for step in _STEPS:
                for down, right in ((0, step), (0, -step), (step, 0), (-step, 0)):
                    self._propagate(down, right)
            radius = float(max(self.rows, self.columns))
            while radius >= 1:
                self._scatter(radius)
                radius *= _SHRINK

    def _compare(self, which: Places, match: Places) -> Floats:
        """Weighted mean squared differences of targets (by number) and places."""
        found = np.empty(len(which), np.float32)
        for first in range(0, len(which), _ROWS):
            part = slice(first, first + _ROWS)
            apart = self._known[match[part]]
            apart -= self._wanted[which[part]]
            apart *= apart
            found[part] = np.einsum("tk,tk->t", apart, self._weights[which[part]])
        return found

    def _try(self, row: Places, column: Places) -> None:
        """Take places where they are better."""
        inside = (row >= 0) & (row < self.rows) & (column >= 0) & (column < self.columns)
        place = np.where(inside, row * self.columns + column, 0)
        use = inside & self._whole[place] & (place != self.match[self.targets])
        which = np.flatnonzero(use)
        distance = self._compare(which, place[which])
        better = distance < self._distance[which]
        which = which[better]
        self._distance[which] = distance[better]
        self.match[self.targets[which]] = place[which]

    def _propagate(self, down: int, right: int) -> None:
        row, column = np.divmod(self.targets, self.columns)
        near = (
            np.clip(row + down, 0, self.rows - 1) * self.columns
            + np.clip(column + right, 0, self.columns - 1)
        )  # fmt: skip
        there, along = np.divmod(self.match[near], self.columns)
        near_row, near_column = np.divmod(near, self.columns)
        self._try(there - (near_row - row), along - (near_column - column))

    def _scatter(self, radius: float) -> None:
        row, column = np.divmod(self.match[self.targets], self.columns)
        offset = np.rint(self._rng.uniform(-radius, radius, (2, len(row)))).astype(np.int64)
        self._try(
            np.clip(row + offset[0], 0, self.rows - 1),
            np.clip(column + offset[1], 0, self.columns - 1),
        )

    def vote(self, sharpness: float) -> None:
        """Fill the hole with what the matches of all patches over a pixel say, on average.

        Args:
            sharpness: The larger, the more the best matches outweigh the others.
        """
        spread = max(float(np.percentile(self._distance, _SPREAD_PERCENTILE)), _LEAST_SPREAD)
        weight = self._trust * np.exp(-sharpness * self._distance / (2 * spread))
        weight = np.maximum(weight, np.finfo(np.float32).tiny).astype(np.float64)
        height, width, channels = self.image.shape
        row, column = np.divmod(self.targets, self.columns)
        corner = row * width + column
        said = self._known[self.match[self.targets]].reshape(-1, channels, self._side, self._side)
        total = np.zeros((height * width, channels))
        votes = np.zeros((height * width, 1))
        for down in range(self._side):
            for right in range(self._side):
                # at one place in the patch no two patches mean the same pixel
                pixel = corner + (down * width + right)
                total[pixel] += weight[:, None] * said[:, :, down, right]
                votes[pixel, 0] += weight
        filled = self._hole.ravel()
        flat = self.image.reshape(-1, channels)
        flat[filled] = (total[filled] / votes[filled]).astype(np.float32)
