"""How steady color is from frame to frame.

All of it is worth little without colorfulness beside it: gray is perfectly steady.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Consistency",
    "chroma_instability",
    "color_consistency",
    "histograms",
    "jensen_shannon",
    "visible",
    "warping_error",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]
_STEPS = (1, 2, 4)


def jensen_shannon(p: Floats, q: Floats) -> float:
    """Jensen-Shannon divergence of two histograms that sum to one; natural log, at most ln 2."""
    m = (p + q) / 2

    def relative(x: Floats) -> float:
        there = x > 0
        return float(np.sum(x[there] * np.log(x[there] / m[there])))

    return (relative(p) + relative(q)) / 2


def histograms(frame: Array) -> Floats:
    """Share of the pixels that has each code, channel by channel.

    Args:
        frame: (H, W, C) uint8, or (H, W) for a single channel.

    Returns:
        (C, 256) float64, rows sum to one.
    """
    channels = frame.reshape(-1, frame.shape[2]).T if frame.ndim == 3 else frame.reshape(1, -1)
    counts = [np.bincount(channel, minlength=256) for channel in channels]
    return np.stack(counts) / channels.shape[1]


class Consistency:
    """Color distribution consistency (CDC) of frames as they come: lower is steadier.

    Mean over R, G, B and over frame distances 1, 2 and 4 of the mean divergence between the
    256-bin histograms of two frames. Its goal is the truth's own value, not 0. Four histograms
    are kept.

    Reference: Liu et al., Temporally consistent video colorization, CVM 2024, arXiv 2110.04562.
    """

    def __init__(self) -> None:
        self._recent: deque[Floats] = deque(maxlen=max(_STEPS))
        self._sums = dict.fromkeys(_STEPS, 0.0)
        self._counts = dict.fromkeys(_STEPS, 0)

    def cut(self) -> None:
        """What follows is not compared with what was."""
        self._recent.clear()

    def push(self, histogram: Floats) -> None:
        """Take the `histograms` of a frame."""
        for step in _STEPS:
            if len(self._recent) >= step:
                pairs = zip(histogram, self._recent[-step], strict=True)
                self._sums[step] += sum(jensen_shannon(p, q) for p, q in pairs) / len(histogram)
                self._counts[step] += 1
        self._recent.append(histogram)

    def merge(self, other: Consistency) -> None:
        """Count the pairs that `other` has seen too."""
        for step in _STEPS:
            self._sums[step] += other._sums[step]
            self._counts[step] += other._counts[step]

    def value(self) -> float:
        """The mean over the distances that there were pairs for; nan before the second frame."""
        means = [self._sums[step] / self._counts[step] for step in _STEPS if self._counts[step]]
        return float(np.mean(means)) if means else math.nan


def color_consistency(frames: Iterable[Array]) -> float:
    """Color distribution consistency (CDC) of a shot, see `Consistency`.

    Args:
        frames: (H, W, 3) uint8 each; read once, four histograms are kept.

    Returns:
        The mean over the distances that the shot is long enough for; nan for a single frame.
    """
    measured = Consistency()
    for frame in frames:
        measured.push(histograms(frame))
    return measured.value()


def chroma_instability(
    ab: Floats, moved: Floats, visible: npt.NDArray[np.bool_] | None = None
) -> float:
    """Mean distance in a*b* between a frame and the next one moved onto it.

    Args:
        ab: (H, W, 2) a*b*.
        moved: (H, W, 2) a*b* of the next frame, warped along motion.
        visible: (H, W) where motion is known (see `visible`); everywhere if not given.

    Returns:
        a*b* units, averaged over all pixels, hidden ones counting as 0. True film has 0.15-0.7.
    """
    distance = np.hypot(ab[..., 0] - moved[..., 0], ab[..., 1] - moved[..., 1])
    return float(np.mean(distance if visible is None else distance * visible))


def warping_error(frame: Floats, moved: Floats, visible: npt.NDArray[np.bool_]) -> float:
    """Mean squared difference between a frame and the next one moved onto it, where it is visible.

    Reference: Lai et al., Learning blind video temporal consistency, ECCV 2018.

    Args:
        frame: (H, W, C) in 0..1.
        moved: (H, W, C) of the next frame, warped along motion.
        visible: (H, W) where motion is known, see `visible`.

    Returns:
        The sum over visible pixels and channels by their number; 0 where nothing is visible.
    """
    count = int(np.count_nonzero(visible)) * frame.shape[2]
    if not count:
        return 0.0
    squares = np.square(frame - moved).sum(axis=-1, dtype=np.float64)
    return float(np.sum(squares * visible) / count)


def visible(flow: Floats, back: Floats) -> npt.NDArray[np.bool_]:
    """Where flow can be believed: it comes back to where it went out, and is no edge of motion.

    Reference: Lai et al., Learning blind video temporal consistency, ECCV 2018, after Ruder et
    al., Artistic style transfer for videos, 2016.

    Args:
        flow: (H, W, 2) flow from a frame to the next.
        back: (H, W, 2) the next frame's flow to this one, warped onto this one.

    Returns:
        (H, W) bool. The slopes of motion are central differences, one-sided at the border.
    """

    def size(x: Floats) -> Floats:
        return np.sum(x * x, axis=-1)

    returns = size(flow + back) <= 0.01 * (size(flow) + size(back)) + 0.5
    slopes = np.asarray(np.gradient(flow, axis=(0, 1)))  # (2, H, W, 2)
    edges = size(slopes[0]) + size(slopes[1]) > 0.01 * size(flow) + 0.002
    return np.asarray(returns & ~edges)
