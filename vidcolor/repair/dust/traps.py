"""What looks like damage of one frame and is none: flashes, rain, things that fly past.

Whatever is doubtful here is not thrown away: it is put to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.dust.seeds import Region
from vidcolor.repair.dust.views import Views, box_around
from vidcolor.repair.motion import Neighbor
from vidcolor.repair.window import Frame

__all__ = ["falls_together", "flashes", "flies_past"]

Floats = npt.NDArray[np.float32]

_FLASH = 0.08
_FLASH_CV = 6.0
_FLASH_STEP = 8  # pixels between those whose median is taken
_PATH_AT_240 = 40
_PATH_SLACK_AT_240 = 3.0
_PATH_SLACK = 0.25  # of a step: a ball slows down, and comes nearer; for what is found again so:
_PATH_SAME = 0.4
_PATH_LEAST_AT_240 = 6.0  # flow follows what is slower
_PATH_LIKE = 0.6  # rest of the contrast where a thing is found again
_STREAKS = 12
_STREAK_ASPECT = 3.0
_STREAK_ALIKE = 0.8
_SEARCH_LINES = 360


def flashes(frame: Frame, pair: Sequence[Neighbor]) -> bool:
    """The whole frame is brighter or darker than both neighbors: lightning, a shot fired."""
    own, *others = (
        float(np.median(one.plane[::_FLASH_STEP, ::_FLASH_STEP])) / one.unit
        for one in (frame, *(one.frame for one in pair))
    )
    limit = max(_FLASH_CV, _FLASH * own)
    return all(own - other > limit for other in others) or all(
        other - own > limit for other in others
    )


def flies_past(views: Views, region: Region) -> bool:
    """A thing alike is in both neighbors, at opposite places: a ball, a bird, a blinking eye."""
    rim = max(1, round(views.unit))
    kernel = np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)
    shape = cv2.dilate(region.core.astype(np.uint8), kernel)
    rows, columns = np.flatnonzero(shape.any(1)), np.flatnonzero(shape.any(0))
    inner = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    left, top = region.box[0] + int(columns[0]), region.box[1] + int(rows[0])
    box = (left, top, region.box[0] + int(columns[-1]) + 1, region.box[1] + int(rows[-1]) + 1)
    pattern, weight = region.gray[inner], shape[inner].astype(np.float32)
    nearer = np.minimum(np.abs(region.gray - region.before), np.abs(region.gray - region.after))
    limit = _PATH_LIKE * float(nearer[region.core].mean())
    factor = max(1, round(min(views.size) / _SEARCH_LINES))
    if min(pattern.shape) < 3 * factor:
        factor = 1
    steps = []
    worst = 0.0
    for side in views.sides:
        far = round(_PATH_AT_240 * views.unit) * abs(side.neighbor.steps)
        wide = box_around(box, far, views.size)
        picture = side.gray[wide[1] : wide[3], wide[0] : wide[2]]
        error, place = _closest(picture, pattern, weight, factor)
        if error > limit:
            return False
        worst = max(worst, error)
        moved = np.subtract(place, (box[0] - wide[0], box[1] - wide[1]))
        steps.append(moved / side.neighbor.steps)
    first, second = steps
    speed = float(np.hypot(*(first + second))) / 2
    fast = speed > _PATH_LEAST_AT_240 * views.unit
    slack = _PATH_SLACK_AT_240 * views.unit
    if worst <= limit * _PATH_SAME / _PATH_LIKE:
        slack = max(slack, _PATH_SLACK * speed)
    return fast and float(np.hypot(*(first - second))) <= slack


def _closest(
    picture: Floats, pattern: Floats, weight: Floats, factor: int
) -> tuple[float, tuple[int, int]]:
    """Root mean square difference at the most similar place, and its x and y in `picture`."""
    if factor > 1:
        picture, pattern, weight = (
            cast(Floats, cv2.resize(one, None, fx=1 / factor, fy=1 / factor, interpolation=3))
            for one in (picture, pattern, weight)
        )
    errors = cv2.matchTemplate(picture, pattern, cv2.TM_SQDIFF, mask=weight)
    least, _, place, _ = cv2.minMaxLoc(errors)
    error = float(np.sqrt(max(0.0, least) / float((weight * weight).sum())))
    return error, (place[0] * factor, place[1] * factor)


def falls_together(regions: Sequence[Region]) -> bool:
    """Many long marks of one polarity point one way: rain or snow."""
    angles, bright = [], 0
    for region in regions:
        ys, xs = np.nonzero(region.core)
        if len(xs) < 3:
            continue
        spread = np.cov(np.stack((xs, ys)).astype(np.float64))
        small, large = np.linalg.eigvalsh(spread)
        if large < _STREAK_ASPECT**2 * max(small, 1 / 12):
            continue
        angles.append(0.5 * np.arctan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1]))
        bright += region.bright
    if len(angles) < _STREAKS:
        return False
    alike = max(bright, len(angles) - bright) / len(angles)
    together = abs(np.exp(2j * np.array(angles)).mean())
    return alike >= _STREAK_ALIKE and together >= _STREAK_ALIKE
