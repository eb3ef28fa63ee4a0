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

__all__ = ["chroma_instability", "color_consistency", "jensen_shannon", "visible"]

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


def color_consistency(frames: Iterable[Array]) -> float:
    """Color distribution consistency (CDC) of a shot: lower is steadier.

    Mean over R, G, B and over frame distances 1, 2 and 4 of the mean divergence between the
    256-bin histograms of two frames. Its goal is the truth's own value, not 0.

    Reference: Liu et al., Temporally consistent video colorization, CVM 2024, arXiv 2110.04562.

    Args:
        frames: (H, W, 3) uint8 each; read once, four histograms are kept.

    Returns:
        The mean over the distances that the shot is long enough for; nan for a single frame.
    """
    recent: deque[Floats] = deque(maxlen=max(_STEPS))
    sums, counts = dict.fromkeys(_STEPS, 0.0), dict.fromkeys(_STEPS, 0)
    for frame in frames:
        histogram = np.stack(
            [np.bincount(frame[..., c].ravel(), minlength=256) for c in range(3)]
        ) / (frame.shape[0] * frame.shape[1])
        for step in _STEPS:
            if len(recent) >= step:
                pairs = zip(histogram, recent[-step], strict=True)
                sums[step] += sum(jensen_shannon(p, q) for p, q in pairs) / 3
                counts[step] += 1
        recent.append(histogram)
    means = [sums[step] / counts[step] for step in _STEPS if counts[step]]
    return float(np.mean(means)) if means else math.nan


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
    distance = np.linalg.norm(ab - moved, axis=-1)
    return float(np.mean(distance if visible is None else distance * visible))


def visible(flow: Floats, back: Floats) -> npt.NDArray[np.bool_]:
    """Where flow can be believed: it comes back to where it went out, and is no edge of motion.

    Reference: Lai et al., Learning blind video temporal consistency, ECCV 2018, after Ruder et
    al., Artistic style transfer for videos, 2016.

    Args:
        flow: (H, W, 2) flow from a frame to the next.
        back: (H, W, 2) the next frame's flow to this one, warped onto this one.

    Returns:
        (H, W) bool.
    """

    def size(x: Floats) -> Floats:
        return np.sum(x * x, axis=-1)

    returns = size(flow + back) <= 0.01 * (size(flow) + size(back)) + 0.5
    slopes = np.asarray(np.gradient(flow, axis=(0, 1)))  # (2, H, W, 2)
    edges = size(slopes[0]) + size(slopes[1]) > 0.01 * size(flow) + 0.002
    return np.asarray(returns & ~edges)
