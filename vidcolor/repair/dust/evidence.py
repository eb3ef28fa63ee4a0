"""How sure it is that a region is damage of one frame and nothing that moves.

A spike in time is not yet damage: hands, leaves and water make spikes as well, because nothing in
either neighbor lies where the flow says. But what is there in the frame is then somewhere near in
a neighbor, or the neighbors disagree with each other, or the surroundings do not fit. Each of these
is measured; a fixed weighing of their logarithms makes a probability.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, log
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.dust.seeds import Region
from vidcolor.repair.dust.views import Box, Views, box_around
from vidcolor.repair.records import Hole

__all__ = ["Evidence", "gather", "probability", "searched"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is measured of a region; values in cv unless said.

    Attributes:
        area: In pixels of a picture of 240 lines.
        excess: Most that it is beyond its references.
        contrast: Mean difference from the neighbor that is nearer in value, pixel by pixel.
        unlike: How far the most similar thing near in either neighbor is from it.
        apart: How far the neighbors are from each other there.
        around: How far the surroundings are from those in the neighbors.
        texture: Deviation of the neighbors' picture there.
        unsettled: How far flow there and back misses the start around it, on the better side, in
            pixels of a picture of 240 lines.
        elsewhere: Pixels near in both neighbors that are as bright as it, where the frame is not,
            over its own: what is gone from here is there.
        restless: Share of a wide surrounding where the neighbors differ from each other.
    """

    area: float
    excess: float
    contrast: float
    unlike: float
    apart: float
    around: float
    texture: float
    unsettled: float
    elsewhere: float
    restless: float

    def weighed(self) -> Floats:
        """(9,) float32: what is weighed.

        Logarithms of the values in cv and of the area, of `elsewhere`, and, for marks that are
        large enough to be things, of `restless`.
        """
        values = (
            self.area, self.excess, self.contrast, self.unlike,
            self.apart, self.around, self.texture,
        )  # fmt: skip
        thing = max(0.0, log((self.area + _NOTHING) / _THING_AT_240))
        unrest = log(1 + self.restless / _NO_UNREST)
        moved = log(self.elsewhere + _NO_MOVE)
        logarithms = np.log(np.asarray(values, np.float32) + _NOTHING)
        return np.append(logarithms, np.array((moved, unrest * thing), np.float32))


# Logistic regression on 3 365 marks and 46 019 false seeds of 60 short films, composed of moving
# photographs and cut-outs with and without grain, weave, flicker and compression.
_WEIGHTS = np.array(
    (0.147, -0.814, 3.662, 4.135, -0.847, -1.749, -2.129, -0.129, -0.360), np.float32
)
_BIAS = -9.007
_NOTHING = np.float32(2)
_NO_MOVE = 0.1
_NO_UNREST = 0.01
_THING_AT_240 = 20.0
_SEARCH_AT_240 = 12
_WIDE_AT_240 = 24
_RIM_AT_240 = 1.0
_INNER_AT_240 = 3.0
_SETTLED_AT_240 = 6
_RESTLESS_CV = 12.0
_LINES = 240
_SURROUNDINGS = 90  # percentile
_CODES = 255.0
_SEARCH_LINES = 480  # regions are searched for on pictures of at most about so many lines


def probability(evidence: Evidence) -> float:
    """0..1 that a region is damage."""
    score = float(_WEIGHTS @ evidence.weighed()) + _BIAS
    return float(1 / (1 + np.exp(-np.clip(score, -30, 30))))


def gather(views: Views, region: Region, bent: Hole) -> Evidence:
    """Measure a region, without the search: `unlike` is what it is at the very place.

    Its probability is the most that `searched` can still come to.

    Args:
        views: The frame between its neighbors.
        region: In question.
        bent: (h, w) cells of the small grid under seeds, whose own flow says nothing.
    """
    rim = _rim(views, region)
    step = max(1, round(min(views.size) / _SEARCH_LINES))
    ring = ~_grown(region.core, _INNER_AT_240 * views.unit)[::step, ::step]
    first, second = np.abs(region.gray - region.before), np.abs(region.gray - region.after)
    apart = np.abs(region.before - region.after)[rim]
    largest = np.maximum(first[::step, ::step], second[::step, ::step])
    return Evidence(
        area=float(np.count_nonzero(region.core)) / views.unit**2,
        excess=region.excess,
        contrast=float(np.minimum(first, second)[region.core].mean()),
        unlike=min(float(np.sqrt((one[rim] ** 2).mean())) for one in (first, second)),
        apart=float(apart.mean()),
        around=float(np.percentile(largest[ring], _SURROUNDINGS)) if ring.any() else _CODES,
        texture=float(((region.before + region.after) / 2)[rim].std()),
        unsettled=_unsettled(views, region, bent),
        elsewhere=0.0,
        restless=0.0,
    )


def _unsettled(views: Views, region: Region, bent: Hole) -> float:
    rows, columns = bent.shape
    across, down = columns / views.size[1], rows / views.size[0]
    left, top, right, bottom = region.box
    small = (int(left * across), int(top * down), ceil(right * across), ceil(bottom * down))
    unit = min(rows, columns) / _LINES
    small = box_around(small, max(1, round(_SETTLED_AT_240 * unit)), (rows, columns))
    place = np.s_[small[1] : small[3], small[0] : small[2]]
    outside = ~bent[place]
    if not outside.any():
        return 0.0
    return min(float(np.median(side.error[place][outside])) for side in views.sides) / unit


def _rim(views: Views, region: Region) -> Hole:
    return _grown(region.core, _RIM_AT_240 * views.unit)


def _grown(hole: Hole, radius: float) -> Hole:
    size = 2 * max(1, round(radius)) + 1
    return cv2.dilate(hole.astype(np.uint8), np.ones((size, size), np.uint8)) > 0


def searched(views: Views, region: Region, evidence: Evidence) -> Evidence:
    """The same with what lies near in the neighbors: see `unlike` and `elsewhere`.

    The thing is looked for along the flow and, because flow of large things drags small ones
    along, where it is in the frame as well.
    """
    rim = _rim(views, region)
    rows, columns = np.flatnonzero(rim.any(1)), np.flatnonzero(rim.any(0))
    inner = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    left, top = region.box[0] + int(columns[0]), region.box[1] + int(rows[0])
    box = (left, top, region.box[0] + int(columns[-1]) + 1, region.box[1] + int(rows[-1]) + 1)
    pattern, weight = region.gray[inner], rim[inner].astype(np.float32)
    factor = max(1, round(min(views.size) / _SEARCH_LINES))
    wide = box_around(box, round(_SEARCH_AT_240 * views.unit), views.size)
    unlike = [evidence.unlike]
    for side in views.sides:
        at_rest = side.gray[wide[1] : wide[3], wide[0] : wide[2]]
        for picture in (side.part(wide), at_rest):
            unlike.append(_closest(picture, pattern, weight, factor))
    elsewhere, restless = _moved(views, region, box)
    return replace(evidence, unlike=min(unlike), elsewhere=elsewhere, restless=restless)


def _moved(views: Views, region: Region, box: Box) -> tuple[float, float]:
    """`elsewhere`, in the neighbor with fewer such pixels, and `restless`."""
    left, top, right, bottom = box_around(box, round(_WIDE_AT_240 * views.unit), views.size)
    step = max(1, round(min(views.size) / _SEARCH_LINES))
    frame = views.gray[top:bottom:step, left:right:step]
    first, second = (side.part((left, top, right, bottom), step) for side in views.sides)
    shade = float(np.median(region.gray[region.core]))
    nearer = np.minimum(np.abs(region.gray - region.before), np.abs(region.gray - region.after))
    half = float(nearer[region.core].mean()) / 2
    lacking = np.abs(frame - shade) > half
    alike = (np.abs(one - shade) <= half for one in (first, second))
    count = min(int(np.count_nonzero(one & lacking)) for one in alike) * step**2
    restless = float((np.abs(first - second) > _RESTLESS_CV).mean())
    return count / max(1, int(np.count_nonzero(region.core))), restless


def _closest(picture: Floats, pattern: Floats, weight: Floats, factor: int) -> float:
    if factor > 1 and min(pattern.shape) >= 4 * factor:
        picture, pattern, weight = (_reduced(one, factor) for one in (picture, pattern, weight))
    errors = cv2.matchTemplate(picture, pattern, cv2.TM_SQDIFF, mask=weight)
    return float(np.sqrt(max(0.0, float(errors.min())) / float((weight * weight).sum())))


def _reduced(plane: Floats, factor: int) -> Floats:
    size = max(1, plane.shape[1] // factor), max(1, plane.shape[0] // factor)
    return cast(Floats, cv2.resize(plane, size, interpolation=cv2.INTER_AREA))
