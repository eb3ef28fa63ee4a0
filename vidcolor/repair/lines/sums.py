"""Where a picture is brighter or darker along a line than beside it, summed along the line.

A faint scratch drowns in the grain of every single row, but not in the sum of many: noise grows
with the root of their number, the line with the number. Rows are averaged in small groups first;
columns stay as they are.

Reference: Kokaram, Detection and Removal of Line Scratches in Degraded Motion Picture Sequences,
EUSIPCO 1996 (horizontal median); Newson et al., Robust Automatic Line Scratch Detection in Films,
IEEE TIP 2014 (what lies left and right of a scratch is alike).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["BANDS", "Residual", "Segment", "residual_of", "segments"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]

BANDS = 5
"""Overlapping bands of a picture: each a third of its height, each begins in the middle of the one
above."""

_GROUPS = 135  # groups of rows that a picture is averaged to, at least
_SAMPLES = 9  # means of which the background is the median
_MEDIAN_SORT = (
    (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (0, 3), (3, 6), (1, 4),
    (4, 7), (1, 4), (2, 5), (5, 8), (2, 5), (4, 6), (2, 4), (4, 6),
)  # fmt: skip
"""Compare and exchange in this order, and the median of nine lies in the middle."""
_LEAST_SIGMA = 0.6  # cv, of a mean over a group of rows: compressed films have no grain
_CLIP = 3.0  # sigmas that a group may count for
_MAD = 1.4826
_TIED = 0.97  # of the best sum, within which a lean is as good
_CHUNKS = 4  # parts of a height that local noise is measured over, sideways


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """Groups of rows of a picture, and how far they differ from what is beside each pixel.

    Attributes:
        mean: (R, W) float32 in cv, averaged over groups of rows.
        over: (R, W) float32 in cv: `mean` less the background.
        noise: (BANDS, W) float32 in cv: robust standard deviation of `over` around.
        rows: Rows of the picture in a group.
        reach: Columns on each side that the background is taken from.
        height: Rows of the picture; the last group may hold fewer than `rows`.
    """

    mean: Floats
    over: Floats
    noise: Floats
    rows: int
    reach: int
    height: int

    @property
    def band(self) -> int:
        """Groups of a band."""
        return _band(len(self.mean))

    def starts(self) -> Places:
        """First group of each band."""
        return _starts(len(self.mean))


def residual_of(plane: Array, unit: int, widest_px: float) -> Residual:
    """Average groups of rows, and take off the median of what is beside.

    Args:
        plane: (H, W) codes.
        unit: Codes to a cv.
        widest_px: Width of the widest line to be seen; the background spans more than two.
    """
    height, width = plane.shape
    rows = max(1, height // _GROUPS)
    wide = plane.astype(np.uint16) if plane.dtype == np.int32 else plane
    count = -(-height // rows)
    fill = count * rows - height
    if fill:
        wide = np.concatenate([wide, np.repeat(wide[-1:], fill, axis=0)])
    sums = cast(
        Array, cv2.resize(wide.astype(np.float32), (width, count), None, 0, 0, cv2.INTER_AREA)
    )
    mean = cast(Floats, sums * np.float32(1 / unit))
    step = max(1, round((2 * widest_px + 1) / _SAMPLES))
    over = mean - _beside(mean, step)
    return Residual(mean, over, _noise(over, height), rows, step * _SAMPLES // 2, height)


def _band(count: int) -> int:
    return max(1, count // 3)


def _starts(count: int) -> Places:
    return np.rint(np.linspace(0, count - _band(count), BANDS)).astype(np.intp)


def _beside(mean: Floats, step: int) -> Floats:
    """Median of nine means of `step` columns each, side by side around every pixel."""
    width = mean.shape[1]
    reach = step * (_SAMPLES // 2)
    soft = cv2.blur(mean, (step, 1)) if step > 1 else mean
    padded = np.pad(
        np.asarray(soft, np.float32),
        ((0, 0), (reach, reach)),
        mode="reflect" if reach < width else "edge",
    )
    taken = [padded[:, i * step : i * step + width].copy() for i in range(_SAMPLES)]
    spare = np.empty_like(taken[0])
    for low, high in _MEDIAN_SORT:
        np.minimum(taken[low], taken[high], out=spare)
        np.maximum(taken[low], taken[high], out=taken[high])
        taken[low], spare = spare, taken[low]
    return taken[_SAMPLES // 2]


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a line in one band.

    Attributes:
        band: Number of the band.
        x: Column in the middle of the band.
        lean: Columns to the right for each row down.
        z: How far the sum stands out of noise; negative for dark lines.
    """

    band: int
    x: float
    lean: float
    z: float


def segments(residual: Residual, least: float, most_lean: float, most: int) -> list[Segment]:
    """Pieces of lines that stand out, strongest first in each band.

    Args:
        residual: Of a frame.
        least: Least |z|.
        most_lean: Steepest lean that is looked at, columns for a row.
        most: At most so many of a band.
    """
    band, width = residual.band, residual.over.shape[1]
    starts = residual.starts()
    stack = residual.over[starts[:, None] + np.arange(band)]  # (BANDS, band, W)
    stack = np.clip(stack / residual.noise[:, None], -_CLIP, _CLIP)
    farthest = max(1, round(most_lean * band * residual.rows))  # columns over the whole band
    leans = np.arange(-farthest, farthest + 1)
    pad = farthest // 2 + 1
    padded = np.pad(stack, ((0, 0), (0, 0), (pad, pad)))
    sums = np.zeros((len(leans), BANDS, width), np.float32)
    for j in range(band):
        away = (j - (band - 1) / 2) / band
        for i, lean in enumerate(leans):
            shift = pad + round(lean * away)
            sums[i] += padded[:, j, shift : shift + width]
    sums *= np.float32(1 / np.sqrt(band))
    return [
        segment
        for sign in (1, -1)
        for number in range(BANDS)
        for segment in _peaks(sums[:, number] * sign, sign, number, least, most, residual, leans)
    ]


def _noise(over: Floats, height: int) -> Floats:
    """(BANDS, W) robust standard deviation of groups of rows, by chunks of columns."""
    count, width = over.shape
    chunks = max(1, round(_CHUNKS * width / height))
    edges = np.rint(np.linspace(0, width, chunks + 1)).astype(int)
    size = np.abs(over[::2])
    sigma = np.empty((BANDS, chunks))
    for number, start in enumerate(_starts(count)):
        rows = size[start // 2 : (start + _band(count) + 1) // 2]
        for chunk, (a, b) in enumerate(pairwise(edges)):
            sigma[number, chunk] = np.median(rows[:, a:b]) * _MAD
    middles = (edges[:-1] + edges[1:]) / 2
    columns = np.arange(width) + 0.5
    smooth = np.stack([np.interp(columns, middles, row) for row in sigma])
    return np.maximum(smooth, _LEAST_SIGMA).astype(np.float32)


def _peaks(
    sums: Floats, sign: int, band: int, least: float, most: int, residual: Residual, leans: Array
) -> list[Segment]:
    best = sums.max(axis=0)
    if float(best.max()) < least:
        return []
    soft = cast(Floats, cv2.blur(best[None], (3, 1)))[0]
    tall = residual.band * residual.rows
    free = np.ones(len(best), np.bool_)
    found: list[Segment] = []
    for x in np.argsort(-soft, kind="stable"):
        if best[x] < least or len(found) == most:
            break
        if free[x]:
            free[max(0, x - residual.reach // 2) : x + residual.reach // 2 + 1] = False
            lean = leans[sums[:, x] >= _TIED * best[x]].mean() / tall
            found.append(Segment(band, float(x), float(lean), sign * float(best[x])))
    return found
