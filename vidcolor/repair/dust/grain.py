"""How strong the grain of a shot is, in dependence on brightness.

Thresholds are multiples of it, so that noise is not damage. One curve serves a whole shot: that of
a single frame would explode beside a cut and blind whoever relies on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidcolor.repair.dust.photometric import matched
from vidcolor.repair.motion import compensated, enlarged, neighbors
from vidcolor.repair.window import Frame, Window

__all__ = ["LEAST_GRAIN", "Grain", "measure_grain"]

Floats = npt.NDArray[np.float32]

LEAST_GRAIN = 0.8
"""cv; copies that were compressed or denoised have hardly any grain, yet errors of motion."""

_BINS = 8
_CODES = 256
_MAD = 1.4826  # a normal distribution's deviation over its median absolute deviation
_TRIPLE = float(np.sqrt(1.5))  # deviation of c - (a + b) / 2 over that of one frame
_TRIPLES = 3  # the first ones of the shot: more tell nothing new
_LEAST_PIXELS = 400  # a bin with fewer borrows from its neighbors
_SAMPLES = 200_000  # pixels of a frame that are looked at, about


@dataclass(frozen=True, slots=True)
class Grain:
    """Deviation of the noise by brightness.

    Attributes:
        levels: In cv, at the centers of eight equal bins of 0..255 cv.
    """

    levels: tuple[float, ...]

    def at(self, gray: Floats) -> Floats:
        """Grain at each brightness in cv, interpolated between the bins; same shape."""
        width = _CODES / len(self.levels)
        centers = (np.arange(len(self.levels)) + 0.5) * width
        return np.interp(gray, centers, self.levels).astype(np.float32)

    def table(self) -> Floats:
        """(256,) float32: grain at each whole cv."""
        return self.at(np.arange(_CODES, dtype=np.float32))


def measure_grain(frames: Sequence[Frame]) -> Grain:
    """Measure it on consecutive frames of one shot.

    `1.4826 MAD(c - (a + b) / 2) / sqrt(1.5)` with a and b the compensated frames before and after
    c, by bins of the brightness of (a + b) / 2, over the first three c that have both. Where a
    speck or a thing that moves too fast is concerned, the median passes over it.

    Args:
        frames: In order. Frames that repeat one another count once.

    Returns:
        At least `LEAST_GRAIN` everywhere; exactly that if no frame has both neighbors.
    """
    residuals: list[Floats] = []
    brightness: list[Floats] = []
    for at in range(1, len(frames) - 1):
        window = Window(frames, at, begins=False, ends=False)
        sides = neighbors(window, 1, 1)
        link = frames[at].link
        if len(residuals) == _TRIPLES:
            break
        if [one.steps for one in sides] != [-1, 1] or (link is not None and link.same):
            continue
        center = frames[at].gray()
        first, second = (
            matched(compensated(one.frame.gray(), enlarged(one.there, center.shape)), center)
            for one in sides
        )
        mean = (first + second) * np.float32(0.5)
        step = max(1, round((center.size / _SAMPLES) ** 0.5))
        residuals.append(np.ravel(center[::step, ::step] - mean[::step, ::step]))
        brightness.append(np.ravel(mean[::step, ::step]))
    if not residuals:
        return Grain((LEAST_GRAIN,) * _BINS)
    return Grain(_levels(np.concatenate(residuals), np.concatenate(brightness)))


def _levels(residual: Floats, brightness: Floats) -> tuple[float, ...]:
    bins = np.clip(brightness * (_BINS / _CODES), 0, _BINS - 1).astype(np.intp)
    counts = np.bincount(bins, minlength=_BINS)
    known = [i for i in range(_BINS) if counts[i] >= min(_LEAST_PIXELS, counts.max())]
    values = [_deviation(residual[bins == i]) for i in known]
    spread = np.interp(np.arange(_BINS), known, values)
    return tuple(float(max(LEAST_GRAIN, value)) for value in spread)


def _deviation(residual: Floats) -> float:
    center = np.median(residual)
    return float(np.median(np.abs(residual - center))) * _MAD / _TRIPLE
