"""Running means of color, and how they are brought along, measured and joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.ops.flow import bend, bends

__all__ = ["Floats", "Frame", "Mean", "add", "carry", "distance", "join", "own_weight", "remap"]

Floats = npt.NDArray[np.float32]


@dataclass(slots=True)
class Mean:
    """A running mean: (2, h, w) a*b*, and (h, w) samples in it."""

    ab: Floats
    count: Floats


@dataclass(slots=True)
class Frame:
    """A frame that is no repetition, as long as its window is open.

    Attributes:
        ab: (2, h, w) a*b* as predicted.
        lightness: (h, w) L*.
        noise: Standard deviation of the grain in L*.
        mean: Forward mean.
        sure: (h, w) how far the color is a person's, where any is.
        worth: (h, w) samples that it counts as for that.
        back: (2, h, w) column and row in the frame before where its pixels were.
        back_trust: (h, w) of that frame's pixels, along `back`.
        onward: (2, h, w) column and row of its pixels in the next frame, once that is known.
        trust: (h, w) of the next frame's pixels, along `onward`.
    """

    ab: Floats
    lightness: Floats
    noise: float
    mean: Mean
    sure: Floats | None = None
    worth: Floats | None = None
    back: Floats | None = None
    back_trust: Floats | None = None
    onward: Floats | None = None
    trust: Floats | None = None


def distance(first: Floats, second: Floats) -> Floats:
    """(h, w) squared distance of two (2, h, w) a*b*."""
    away = first - second
    away *= away
    square: Floats = away[0]
    square += away[1]
    return square


def own_weight(frame: Frame, weight: Floats | None) -> Floats:
    """(h, w) samples that a frame alone counts as."""
    return np.ones(frame.lightness.shape, np.float32) if weight is None else weight


def remap(image: Floats, places: Floats) -> Floats:
    """(h, w) or (h, w, C) with `result(p) = image(places(p))`, bilinear, the border repeated."""
    across, down = places
    moved = cv2.remap(image, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cast(Floats, moved)


def carry(mean: Mean, other: Floats | None, places: Floats, cubic: bool) -> tuple[Mean, Floats]:
    """A mean brought along, in memory of its own, and another plane with it, where there is one.

    Bilinear interpolation takes four planes in half the time of three, so without another plane
    one goes along in vain.
    """
    planes = [mean.ab[0], mean.ab[1], mean.count, mean.count if other is None else other]
    image = remap(cast(Floats, cv2.merge(planes)), places)
    moved = np.empty((3, *mean.count.shape), np.float32)
    # the fourth apart, or the mean would keep its memory
    last = np.empty((1, *mean.count.shape), np.float32)
    cv2.split(image, [*moved, *last])
    if cubic:
        shares = bends(places)
        bend(moved, shares)
        if other is not None:
            bend(last, shares)
    return Mean(moved[:2], moved[2]), last[0]


def add(frame: Frame, trust: Floats, moved: Mean, weight: Floats | None, n_most: int) -> Mean:
    """The frame's own sample added to the mean brought to it, which is written over."""
    count = moved.count
    # cubics undershoot
    np.maximum(count, np.float32(0), out=count)
    count *= trust
    most = np.float32(n_most)
    if weight is None:
        count += np.float32(1)
        np.minimum(count, most, out=count)
        share = np.reciprocal(count)
    else:
        count += weight
        # a person's color makes the mean heavier, not shorter
        np.minimum(count, most if frame.sure is None else most * np.maximum(weight, 1), out=count)
        share = weight / count
    away = frame.ab - moved.ab
    for plane, own in zip(moved.ab, away, strict=True):
        cv2.accumulateProduct(own, share, plane)
    return moved


def join(frame: Frame, forward: Mean, backward: Mean, weight: Floats | None) -> Mean:
    """Both means by their counts, the frame's own sample once."""
    own = np.float32(1) if weight is None else weight
    total = forward.count + backward.count
    total -= own
    ab: Floats = forward.ab * (forward.count / total)
    ab += backward.ab * (backward.count / total)
    ab -= frame.ab * (own / total)
    return Mean(ab, total)
