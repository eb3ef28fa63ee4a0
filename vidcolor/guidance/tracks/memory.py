"""What is remembered of an object's color, by place in its box and lightness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.guidance.template import Template
from vidcolor.guidance.tracks.cells import LEVELS, SIDE, Grid

__all__ = ["BoxMemory", "Firmness", "Sample", "near_levels"]

Floats = npt.NDArray[np.float32]

_EXPOSURE = 20.0  # L*: more is no change of exposure
_FEW = 0.2  # mean say of the cells' lightness at which half of a change of exposure is believed
_AGREED = 6.0  # L*: median distance of cells from a change of exposure that halves belief in it
_OF_A_PERSON = 4.0  # how many guesses a color that a person gave outweighs
_SEED_REACH = 20.0  # L*: what is known of a lightness says something of those so near
_NOTHING = np.float32(1e-6)


@dataclass(frozen=True, slots=True)
class Firmness:
    """How a memory learns and what it says.

    Attributes:
        unsteady: Deviation of a*b* over time, or of a cell's L*, that halves the memory's say.
        outlier: Distance in a*b* from the memory that halves a sample's weight.
        familiar: Frames after which half is remembered.
        n_most: Frames that a mean counts as at most.
    """

    unsteady: float
    outlier: float
    familiar: float
    n_most: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A frame's color in the grid of a box.

    Attributes:
        ab: (2, LEVELS, SIDE, SIDE) mean a*b*, 0 where there is none.
        part: (LEVELS, SIDE, SIDE) part of the cell that has this lightness.
        sure: (LEVELS, SIDE, SIDE) how far the color is a person's.
        lightness: (SIDE, SIDE) mean L* of cells.
        known: (SIDE, SIDE) part of the cell that lies in the picture and is not covered.
        exposure: L* by which the box is lighter than remembered.
    """

    ab: Floats
    part: Floats
    sure: Floats
    lightness: Floats
    known: Floats
    exposure: float


class BoxMemory:
    """Robust, count-limited means of a*b* by place in the box and lightness.

    The first `n_most` frames count alike, later ones slowly take over. A sample far from the mean
    counts less (Cauchy weights), and what scatters has little to say: it is background that
    passes behind the object, or really changes color. Where lightness changes, other levels are
    asked, which know of nothing or of what was so light there before; so the memory lets go by
    itself of what is no longer to be seen, and has it again when it comes back. Lightness is taken
    relative to that of the box as a whole.

    Args:
        firmness: How it learns.
    """

    def __init__(self, firmness: Firmness) -> None:
        self.firmness = firmness
        self.ab = np.zeros((2, LEVELS, SIDE, SIDE), np.float32)
        self.scatter = np.zeros((LEVELS, SIDE, SIDE), np.float32)
        self.count = np.zeros((LEVELS, SIDE, SIDE), np.float32)
        self.lightness = np.zeros((SIDE, SIDE), np.float32)
        self.swing = np.zeros((SIDE, SIDE), np.float32)
        self.seen = np.zeros((SIDE, SIDE), np.float32)

    def look(self, grid: Grid, ab: Floats, sure: Floats | None, shown: Floats | None) -> Sample:
        """A frame as this memory sees it; `grid` is brought to the exposure found.

        Args:
            grid: Of the box in the frame.
            ab: (2, h, w) a*b* of the whole frame.
            sure: (h, w) of `Chroma.sure`, or None.
            shown: (rows, columns) of the area: 0 where something is in front; None: nothing is.
        """
        rows, columns = grid.area.part
        planes = grid.shrink(np.moveaxis(ab[:, rows, columns], 0, 2))
        a, b = planes[..., 0], planes[..., 1]
        weight = np.ones(grid.size, np.float32) if shown is None else grid.shrink(shown)
        known = grid.place(weight)
        light = grid.place(weight * grid.lightness) / np.maximum(known, _NOTHING)
        lightness = cast(Floats, light)
        exposure = self._exposure(lightness, known)
        grid.expose(exposure)
        part = grid.gather(weight)
        over = cast(Floats, 1 / np.maximum(part, _NOTHING))
        mean = np.stack((grid.gather(weight * a) * over, grid.gather(weight * b) * over))
        given = np.zeros_like(part)
        if sure is not None:
            given = cast(Floats, grid.gather(weight * grid.shrink(sure[rows, columns])) * over)
        return Sample(mean, part, given, lightness, known, exposure)

    def _exposure(self, lightness: Floats, known: Floats) -> float:
        weight = self.steadiness() * np.minimum(self.seen, 1) * known
        change = lightness - self.lightness
        whole = _median(change, weight)
        # where cells do not agree, something moves and nothing is lit otherwise
        apart = _median(np.abs(change - np.float32(whole)), weight)
        trust = float(weight.mean())
        trust /= (trust + _FEW) * (1 + (apart / _AGREED) ** 2)
        return float(np.clip(whole, -_EXPOSURE, _EXPOSURE)) * trust

    def steadiness(self) -> Floats:
        """(SIDE, SIDE) 0..1: how steady the lightness of each cell is."""
        return cast(Floats, 1 / (1 + self.swing / np.float32(self.firmness.unsteady**2)))

    def say(self) -> Floats:
        """(LEVELS, SIDE, SIDE) 0..1: how much the memory has to say."""
        familiar = self.count / (self.count + np.float32(self.firmness.familiar))
        return cast(Floats, familiar / (1 + self.scatter / np.float32(self.firmness.unsteady**2)))

    def correction(self, sample: Sample) -> Floats:
        """(2, LEVELS, SIDE, SIDE) from the frame's color to what is remembered, as far as said."""
        return cast(Floats, (self.ab - sample.ab) * (self.say() * (sample.part > _NOTHING)))

    def learn(self, sample: Sample, weight: float) -> None:
        """Take in a frame, as far as the object counts in it."""
        firm = self.firmness
        most = np.float32(firm.n_most)
        far = ((sample.ab - self.ab) ** 2).sum(axis=0)
        robust = np.where(self.count < _NOTHING, 1, 1 / (1 + far / np.float32(firm.outlier**2)))
        learned = sample.part * np.float32(weight) * (robust + sample.sure * _OF_A_PERSON)
        self.count = np.minimum(self.count + learned, most).astype(np.float32)
        share = (learned / np.maximum(self.count, _NOTHING)).clip(0, 1).astype(np.float32)
        old = share < 1  # the first sample of a cell deviates from nothing
        # of an outlier the deviation counts in full: scatter is what makes the memory silent
        news = np.maximum(share, sample.part * np.float32(weight) / np.maximum(self.count, 1))
        self.scatter += old * np.minimum(news, 1) * (far - self.scatter)
        self.ab += share * (sample.ab - self.ab)
        shown = (sample.known * np.float32(weight)).clip(0, 1)
        self.seen = np.minimum(self.seen + shown, most)
        share = shown / np.maximum(self.seen, _NOTHING)
        change = sample.lightness - np.float32(sample.exposure) - self.lightness
        self.swing += (share < 1) * share * (change**2 - self.swing)
        self.lightness += share * change

    def template(self) -> Template:
        """What is mostly seen in each cell, as it is exchanged."""
        near = self.count.copy()  # levels side by side belong together
        near[1:] += self.count[:-1]
        near[:-1] += self.count[1:]
        level = near.argmax(axis=0)
        own = np.abs(np.arange(LEVELS)[:, None, None] - level) <= 1
        count = self.count * own
        total = np.maximum(count.sum(axis=0), _NOTHING)
        ab = (self.ab * count).sum(axis=1) / total
        values = np.linspace(0, 100, LEVELS, dtype=np.float32)[:, None, None]
        lightness = (values * count).sum(axis=0) / total
        dominant = total / np.maximum(self.count.sum(axis=0), _NOTHING)
        say = (self.say() * count).sum(axis=0) / total
        return Template(
            torch.from_numpy(np.ascontiguousarray(ab, np.float32)),
            torch.from_numpy(np.ascontiguousarray(lightness, np.float32)),
            torch.from_numpy(np.ascontiguousarray(say * dominant, np.float32)),
        )

    def seed(self, template: Template, frames: float) -> None:
        """Add what is known to what is remembered.

        Args:
            template: Known color.
            frames: For how many frames a cell of full weight stands.
        """
        known, lightness = template.ab.numpy(), template.lightness.numpy()
        weight = template.weight.numpy() * np.float32(frames)
        count = weight * near_levels(lightness, _SEED_REACH)
        total = np.maximum(self.count + count, _NOTHING)
        self.ab += count / total * (known[:, None] - self.ab)
        self.scatter *= self.count / total
        self.count = np.minimum(total, np.float32(self.firmness.n_most)).astype(np.float32)
        share = weight / np.maximum(self.seen + weight, _NOTHING)
        self.lightness += share * (lightness - self.lightness)
        self.seen += weight


def near_levels(lightness: Floats, reach: float) -> Floats:
    """(LEVELS, ...) 1 at the level of a lightness, falling evenly to 0 at `reach` L* from it."""
    levels = np.linspace(0, 100, LEVELS, dtype=np.float32)
    far = np.abs(levels.reshape(-1, *(1,) * lightness.ndim) - lightness)
    return cast(Floats, np.maximum(0, 1 - far / np.float32(reach)).astype(np.float32))


def _median(values: Floats, weight: npt.NDArray[np.floating]) -> float:
    """Weighted median; 0 where nothing has weight."""
    total = float(weight.sum())
    if total <= _NOTHING:
        return 0.0
    order = np.argsort(values, axis=None)
    sums = np.cumsum(weight.ravel()[order])
    return float(values.ravel()[order][np.searchsorted(sums, 0.5 * total)])
