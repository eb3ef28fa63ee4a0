"""Completion by example: holes filled with what the rest of the picture shows.

Reference:
    Wexler, Shechtman, Irani: Space-Time Completion of Video. IEEE TPAMI 29(3), 2007 (the measure of
    coherence, votes, coarse to fine). Barnes, Shechtman, Finkelstein, Goldman: PatchMatch: A
    Randomized Correspondence Algorithm for Structural Image Editing. SIGGRAPH 2009 (the search).

Differs:
    Matches of neighbors are looked at by all patches at once, from 8, 4, 2 and 1 pixels away, and
    not in scan order. Smaller pictures average valid pixels only, so that thin holes close in
    them. Where holes leave too few whole patches, patches become smaller.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError
from vidcolor.evaluate.inpaint.patchmatch import Patches, sources

__all__ = ["Exemplar", "ExemplarConfig"]

Floats = npt.NDArray[np.float32]
Hole = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

_LEAST_SOURCES = 64
_VALID_SHARE = 0.5  # of four pixels, for the one that stands for them


@dataclass(frozen=True, slots=True)
class ExemplarConfig:
    """How pictures are completed by example.

    Attributes:
        patch: Side of a patch in pixels, odd.
        coarsest: Shorter side in pixels below which pictures are not halved again.
        rounds: Of search and vote in the smallest picture; in each larger one half as many.
        least_rounds: In the largest pictures.
        sweeps: Passes of the search in a round.
        sharpness: How much the best matches outweigh others in a vote.
        seed: Of the random search.
    """

    patch: int = 7
    coarsest: int = 32
    rounds: int = 16
    least_rounds: int = 4
    sweeps: int = 2
    sharpness: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 3 <= self.patch <= 31 or self.patch % 2 == 0:
            raise ConfigError(f"patch must be odd, 3 to 31, not {self.patch}")
        if self.coarsest < 2 * self.patch:
            raise ConfigError(f"coarsest must be at least 2 patches, {2 * self.patch}")
        for name in ("rounds", "least_rounds", "sweeps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.sharpness < 0:
            raise ConfigError(f"sharpness must be 0 or more, not {self.sharpness}")
        if self.seed < 0:
            raise ConfigError(f"seed must be 0 or more, not {self.seed}")


def _halved(image: Floats, hole: Hole, least: float) -> tuple[Floats, Hole]:
    """Half as large, a mean of valid pixels each; a hole where fewer than `least` of 4 are."""
    pad = image.shape[0] % 2, image.shape[1] % 2
    valid = np.pad(~hole, ((0, pad[0]), (0, pad[1]))).astype(np.float32)[..., None]
    image = np.pad(image, ((0, pad[0]), (0, pad[1]), (0, 0)), mode="edge")
    height, width, channels = image.shape
    four = (height // 2, 2, width // 2, 2)
    count = valid.reshape(*four, 1).sum(axis=(1, 3))
    total = (image * valid).reshape(*four, channels).sum(axis=(1, 3))
    return total / np.maximum(count, 1), count[..., 0] < max(4 * least, 1)


def _doubled(image: Floats, size: tuple[int, int]) -> Floats:
    """(H, W, C) at another size, interpolated."""
    large = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.float32).reshape(*size, image.shape[2])


def _smooth(image: Floats, hole: Hole) -> Floats:
    """The hole filled from ever smaller pictures."""
    if not hole.any():
        return image
    low = _smooth(*_halved(image, hole, 0.0))
    return np.where(hole[..., None], _doubled(low, (hole.shape[0], hole.shape[1])), image)


class Exemplar:
    """Fills holes with patches of the same picture.

    Memory: all patches of the picture, 49 times its size, some times over.

    Args:
        config: How.
    """

    def __init__(self, config: ExemplarConfig | None = None) -> None:
        self._config = config or ExemplarConfig()

    def __call__(self, image: Floats, hole: Hole) -> Floats:
        """Fill a hole.

        Args:
            image: (H, W, C) float32; what lies in the hole does not matter.
            hole: (H, W) bool, true where it is to be filled; not everywhere.

        Returns:
            (H, W, C) float32, the same outside the hole; a function of picture, hole and seed.
        """
        if not hole.any():
            return image.copy()
        rng = np.random.default_rng(self._config.seed)
        levels = self._levels(np.where(hole[..., None], np.float32(0), image), hole)
        guess = _smooth(*levels[-1])
        above: Patches | None = None
        for number in reversed(range(len(levels))):
            known, open_ = levels[number]
            size = (open_.shape[0], open_.shape[1])
            if guess.shape[:2] != size:
                guess = _doubled(guess, size)
            guess = np.where(open_[..., None], guess, known)
            if not open_.any():
                above = None
                continue
            patches = Patches(guess, open_, self._side(open_), rng)
            if above is not None:
                patches.start(_enlarged(above, patches))
            depth = len(levels) - 1 - number
            for _ in range(max(self._config.rounds >> depth, self._config.least_rounds)):
                patches.search(self._config.sweeps)
                patches.vote(self._config.sharpness)
            guess, above = patches.image, patches
        return guess

    def _levels(self, image: Floats, hole: Hole) -> list[tuple[Floats, Hole]]:
        """The picture and ever smaller ones, as long as they have enough to choose from."""
        levels = [(image, hole)]
        while min(levels[-1][1].shape) >= 2 * self._config.coarsest:
            small = _halved(*levels[-1], _VALID_SHARE)
            if sources(small[1], self._config.patch).sum() < _LEAST_SOURCES:
                break
            levels.append(small)
        return levels

    def _side(self, hole: Hole) -> int:
        """Of patches: smaller ones where few are whole."""
        for side in range(self._config.patch, 1, -2):
            if sources(hole, side).sum() >= _LEAST_SOURCES:
                return side
        return 1


def _enlarged(small: Patches, large: Patches) -> Places:
    """Matches of a picture of half the size, for the targets of this one."""
    row, column = np.divmod(large.targets, large.columns)
    near_row = np.minimum(row // 2, small.rows - 1)
    near_column = np.minimum(column // 2, small.columns - 1)
    there, along = np.divmod(small.match[near_row * small.columns + near_column], small.columns)
    down = np.clip(2 * there + row - 2 * near_row, 0, large.rows - 1)
    right = np.clip(2 * along + column - 2 * near_column, 0, large.columns - 1)
    return np.asarray(down * large.columns + right, np.int64)
