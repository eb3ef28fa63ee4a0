"""a*b* of a small grid as color of a large one that follows the edges of luma.

A model is a*b* as a line over (L* + 16) / 116 in every cell of the network's grid. Where the large
grid has few samples to a cell, the model is interpolated there and turned into R' - Y' and B' - Y'
by the exact formulas. Where it has many, the powers and cubes of Lab are paid for by the cell: each
is converted at two lightnesses, and a line through both is a model of R' - Y' and B' - Y'. The two
are taken from the luma that lies around the cell, so plain areas come out exactly.

References: He and Sun, Fast guided filter, arXiv 1505.00996; CIE 15:2004 (L*a*b*); IEC 61966-2-1
(sRGB).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.color.difference import color_difference, green_of

__all__ = [
    "Axis",
    "ColorField",
    "guided_model",
    "look_up",
    "plain_model",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Model = list[list[Floats]]
"""Slopes of two planes over (L* + 16) / 116, and their offsets, (h, w) each; perhaps another four,
the least and the greatest values of both. Four, as OpenCV interpolates four channels faster than
two or three."""

_STRIP_VALUES = 1 << 15
"""Values worked on at once: temporaries of this size stay in the processor's cache."""

_MOST_AT_ONCE = 1 << 14
"""Rows or columns that OpenCV is given to interpolate: from 32767 it refuses."""

_NODES = 0.5
"""Where a line meets the curve that it stands for, as a part of the half range of luma around the
cell. Chebyshev's 0.71 errs least at the ends; most samples lie nearer to the middle."""

_MANY_SAMPLES = 2
"""Samples to a cell from which two conversions by cell cost less than one by sample."""

_LEAST_RANGE = 0.002
"""Half range of (L* + 16) / 116 in a plain area: enough for a slope that float32 can hold."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Samples of a plane along one axis, as seen from the cells of a small grid that covers it.

    Attributes:
        cells: Cells of the small grid.
        samples: Samples of the plane.
        first: Place of the first sample, in cells; the middle of the first cell is at 0.
        step: Cells from a sample to the next.
    """

    cells: int
    samples: int
    first: float
    step: float

    def places(self) -> Floats:
        """(samples,) where the samples lie, in cells."""
        return (self.first + self.step * np.arange(self.samples)).astype(np.float32)

    def below(self) -> npt.NDArray[np.intp]:
        """(samples,) the cell at or before each sample; the first where there is none."""
        return np.clip(np.floor(self.places()), 0, self.cells - 1).astype(np.intp)

    def reach(self, margin: float = 0) -> tuple[npt.NDArray[np.intp], int]:
        """(cells,) first sample that linear interpolation gives a part of a cell, and how many.

        Args:
            margin: Cells by which it may be farther off.
        """
        # a sample on the very middle of the next cell has nothing of this one
        near = 1 - 1e-4 + margin
        cells = np.arange(self.cells)
        first = np.ceil((cells - near - self.first) / self.step)
        last = np.floor((cells + near - self.first) / self.step)
        first, last = (np.clip(ends, 0, self.samples - 1).astype(np.intp) for ends in (first, last))
        return first, max(1, int((last - first).max()) + 1)


def plain_model(planes: list[Floats]) -> Model:
    """Color that is the same at every lightness.

    Args:
        planes: a* and b*, (h, w) each.
    """
    flat = np.zeros_like(planes[0])
    return [[flat, flat, *planes]]


def guided_model(planes: list[Floats], lightness: Floats, radius: int, epsilon: float) -> Model:
    """Color that follows lightness as it does around the cell, no further than it is seen there.

    The slopes are the guided filter's. The offsets are such that the planes themselves stand where
    the small grid has its samples, so that nothing the network drew is smoothed; between them the
    edges of luma decide.

    Args:
        planes: a* and b*, (h, w) each.
        lightness: (h, w) L*.
        radius: Half width of the window, in cells.
        epsilon: Contrast in L* under which there is grain and no edge.
    """
    guide = (np.asarray(lightness, np.float32) + np.float32(16)) * np.float32(1 / 116)
    size = (2 * radius + 1, 2 * radius + 1)
    taps = np.full(size[0], 1 / size[0], np.float32)

    def mean(x: Floats) -> Floats:
        return cast(Floats, cv2.sepFilter2D(x, -1, taps, taps, borderType=cv2.BORDER_REFLECT))

    # about the mean of the picture: float32 has no digits to lose in E[x^2] - E[x]^2
    away: Floats = guide - guide.mean()
    mean_away = mean(away)
    variance: Floats = mean(away * away) - mean_away * mean_away
    np.maximum(variance, np.float32(0), out=variance)
    variance += np.float32((epsilon / 116) ** 2)
    slopes = []
    for plane in planes:
        covariance: Floats = mean(away * plane) - mean_away * mean(plane)
        covariance /= variance
        slopes.append(mean(covariance))
    offsets = [plane - slope * guide for plane, slope in zip(planes, slopes, strict=True)]
    window = np.ones(size, np.uint8)
    least = [cast(Floats, cv2.erode(plane, window)) for plane in planes]
    most = [cast(Floats, cv2.dilate(plane, window)) for plane in planes]
    return [slopes + offsets, least + most]


class ColorField:
    """R' - Y' and B' - Y' at the samples of a plane, strip by strip.

    Args:
        model: a*b* on the small grid.
        luma: (H, W) codes of the picture.
        guide: (L* + 16) / 116 by code.
        y: Rows of the plane over rows of the small grid.
        x: Columns, likewise.
        weights: (Kr, Kb) of Y'.

    Attributes:
        y, x, weights: As they were given.
        ends: Least and greatest code around each cell, (h, w); None where samples are so few that
            nothing is known by cell.
    """

    def __init__(
        self,
        model: Model,
        luma: Array,
        guide: Floats,
        y: Axis,
        x: Axis,
        weights: tuple[float, float],
    ) -> None:
        self.y, self.x, self.weights = y, x, weights
        self.ends: tuple[Array, Array] | None = None
        if y.samples * x.samples >= _MANY_SAMPLES * y.cells * x.cells:
            self.ends = _ends(luma, y, x)
            self._guides = [look_up(guide, end) for end in self.ends]
            self._lines = _convert(model, _nodes(*self._guides), weights)
            model = [self._lines]
        self._model = [cast(Floats, cv2.merge(part)) for part in model]
        self._strips = list(_strips(y.samples, x.samples))
        self._places = y.places()[:, None]
        self._columns = np.tile(x.places(), (self._strips[0].stop, 1))
        # the same memory for all strips: it stays in the cache
        self._row = np.empty_like(self._columns)
        self._mixed = [np.empty((*self._columns.shape, 4), np.float32) for _ in self._model]
        self._planes = [[np.empty_like(self._columns) for _ in range(4)] for _ in self._model]

    def strips(self) -> list[slice]:
        """Rows that are worked on at once."""
        return self._strips

    def at(self, rows: slice, guide: Floats) -> tuple[Floats, Floats]:
        """R' - Y' and B' - Y' of a strip, given its (L* + 16) / 116; good until the next strip."""
        count = rows.stop - rows.start
        x, y = self._columns[:count], self._row[:count]
        y[:] = self._places[rows]
        model = []
        for part, mixed, kept in zip(self._model, self._mixed, self._planes, strict=True):
            _interpolate(part, x, y, mixed[:count])
            model.append(cv2.split(mixed[:count], [plane[:count] for plane in kept]))
        if self.ends is None:
            return color_difference(guide, *_evaluate(cast(Model, model), guide), *self.weights)
        red, blue, red_offset, blue_offset = cast(Model, model)[0]
        red *= guide
        red += red_offset
        blue *= guide
        blue += blue_offset
        return red, blue

    def reaches(self) -> tuple[Floats, Floats]:
        """Least and greatest of R' - Y', G' - Y' and B' - Y' by cell, (h, w), if there are `ends`.

        The part that a sample gets of a cell lies between them.
        """
        red_slope, blue_slope, red_offset, blue_offset = self._lines
        ends = []
        for guide in self._guides:
            red, blue = red_slope * guide, blue_slope * guide
            red += red_offset
            blue += blue_offset
            ends += [red, green_of(red, blue, *self.weights), blue]
        return functools.reduce(np.minimum, ends), functools.reduce(np.maximum, ends)


def _interpolate(part: Floats, x: Floats, y: Floats, out: Floats) -> None:
    """Channels of cells at places, into a view."""
    for start in range(0, x.shape[1], _MOST_AT_ONCE):
        here = slice(start, start + _MOST_AT_ONCE)
        cv2.remap(
            part,
            x[:, here],
            y[:, here],
            cv2.INTER_LINEAR,
            dst=out[:, here],
            borderMode=cv2.BORDER_REPLICATE,
        )


def _evaluate(model: Model, guide: Floats) -> tuple[Floats, Floats]:
    """Both planes of a model at (L* + 16) / 116."""
    (slope, other_slope, offset, other_offset), *bounds = model
    plane, other = slope * guide, other_slope * guide
    plane += offset
    other += other_offset
    # a highlight that the small grid never saw must not throw the line far off
    for least, other_least, most, other_most in bounds:
        np.minimum(np.maximum(plane, least, out=plane), most, out=plane)
        np.minimum(np.maximum(other, other_least, out=other), other_most, out=other)
    return plane, other


def _convert(
    model: Model, nodes: tuple[Floats, Floats], weights: tuple[float, float]
) -> list[Floats]:
    """R' - Y' and B' - Y' as lines, of a*b* as lines that end at their bounds."""
    lines = [np.empty_like(nodes[0]) for _ in range(4)]
    for rows in _strips(*nodes[0].shape):
        here = [[plane[rows] for plane in part] for part in model]
        low, high = (node[rows] for node in nodes)
        at_low, at_high = (
            color_difference(node, *_evaluate(here, node), *weights) for node in (low, high)
        )
        across = high - low
        for start, end, slope, offset in zip(at_low, at_high, lines[:2], lines[2:], strict=True):
            end -= start
            end /= across
            slope[rows] = end
            end *= low
            np.subtract(start, end, out=offset[rows])
    return lines


def look_up(table: Floats, codes: Array) -> Floats:
    """Values of a table, (256,) or (65536,) float32, by code of its type."""
    if codes.dtype == np.uint8 and codes.ndim == 2:
        return cast(Floats, cv2.LUT(codes, table))
    return np.take(table, codes)


def _strips(rows: int, columns: int) -> Iterator[slice]:
    step = min(max(1, _STRIP_VALUES // max(1, columns)), _MOST_AT_ONCE)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _ends(luma: Array, y: Axis, x: Axis) -> tuple[Array, Array]:
    """Least and greatest code, (h, w), of all pixels that tell of samples with a part of a cell."""
    (first_y, count_y), (first_x, count_x) = (
        Axis(axis.cells, pixels, 0.5 * axis.cells / pixels - 0.5, axis.cells / pixels).reach(
            axis.step
        )
        for axis, pixels in zip((y, x), luma.shape, strict=True)
    )
    # some rows more do no harm, and three looks at bunches of rows are faster than many at rows
    bunch = max(1, count_y // 3)
    block = np.ones(((count_y - 2) // bunch + 2, count_x), np.uint8)
    low = cv2.erode(_bunched(np.minimum, luma, bunch), block, anchor=(0, 0))
    high = cv2.dilate(_bunched(np.maximum, luma, bunch), block, anchor=(0, 0))
    low, high = (cast(Array, end)[first_y // bunch].take(first_x, axis=1) for end in (low, high))
    return low, high


def _bunched(choose: np.ufunc, rows: Array, bunch: int) -> Array:
    """Every so many rows made one."""
    chosen = rows[::bunch].copy()
    for start in range(1, bunch):
        here = rows[start::bunch]
        choose(chosen[: len(here)], here, out=chosen[: len(here)])
    return chosen


def _nodes(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Two (L* + 16) / 116 for every cell, spread over those of the samples that it touches."""
    middle = (low + high) * np.float32(0.5)
    half = (high - low) * np.float32(0.5 * _NODES)
    np.maximum(half, np.float32(_LEAST_RANGE), out=half)
    return middle - half, middle + half
