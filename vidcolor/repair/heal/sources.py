"""What another frame shows at the place of a hole, in the light of this frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.heal.paths import FindWounds, Way
from vidcolor.repair.heal.wounds import Box, Tile, laid
from vidcolor.repair.records import Hole
from vidcolor.repair.window import Frame

__all__ = ["Sight", "View", "along", "around", "from_frame", "ring_sigma", "suspected"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_RING_AT_240 = 2.5  # sigma of the weights of the ring, in pixels
_REACH = 2.5  # of the ring, in sigmas
_CUBIC_PX = 3  # that interpolation sees beside a place
_DAMAGED_SHARE = 0.05  # of a pixel, by which it is no source
_LEAST_RING = 6.0  # undamaged pixels, by weight
_GAIN = (0.8, 1.25)
_GAIN_PRIOR = 100.0  # cv^2: contrast of a ring below which a gain is not believed
_RING_SIGMAS = 3.0
_RING_CV = 2.0
_RING_SPREADS = 0.25  # ring error that is fair, in deviations of what lies around the hole
_OUTLIER = 3.0  # median errors that one pixel of the ring counts at most
_MOST_CV = 60.0
_LEAST = 1e-3
_FINE_SIGMA = 2.0  # in cells of the grid on which is blurred


def ring_sigma(height: int) -> float:
    """Width of the ring around a hole from which sources are judged, in pixels."""
    return _RING_AT_240 * max(1.0, height / 240)


def around(box: Box, size: tuple[int, int], sigma: float) -> Box:
    """A box with its ring, clipped to the frame."""
    margin = round(_REACH * sigma)
    left, top, right, bottom = box
    return (
        max(0, left - margin),
        max(0, top - margin),
        min(size[1], right + margin),
        min(size[0], bottom + margin),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What one source shows.

    Attributes:
        values: (h, w) float32 in cv, matched to the light of the frame.
        usable: (h, w) bool: inside the picture and undamaged there.
        error: (h, w) float32 in cv: how far it is from the frame on the ring near each pixel.
    """

    values: Floats
    usable: Hole
    error: Floats


class View:
    """One tile of a hole with its ring, to be compared with sources.

    Args:
        frame: The damaged one.
        tile: What is to be filled now.
        damaged: All final holes of the frame, as tiles.
        sigma: See `ring_sigma`.

    Attributes:
        box: Of tile and ring.
        codes: (h, w) float32 in cv as decoded.
        hole: (h, w) bool, what the tile is to fill.
        damaged: (h, w) bool, all that is damaged.
        spread: (h, w) float32 in cv: deviation of the undamaged pixels around.
    """

    def __init__(self, frame: Frame, tile: Tile, damaged: list[Tile], sigma: float) -> None:
        self.frame, self._sigma = frame, sigma
        self.box = around(tile.box, cast(tuple[int, int], frame.plane.shape), sigma)
        left, top, right, bottom = self.box
        unit = np.float32(1 / frame.unit)
        self.codes: Floats = frame.plane[top:bottom, left:right].astype(np.float32) * unit
        self.hole = laid([tile], self.box)
        self.damaged = laid(damaged, self.box)
        away = cv2.distanceTransform((~self.hole).view(np.uint8), cv2.DIST_L2, 3)
        self._ring = np.exp(cast(Floats, away) * np.float32(-0.5 / sigma)) * ~self.damaged
        self._mean = _Mean(self._ring, sigma)
        mean = self._mean(self.codes)
        self.spread = np.sqrt(np.maximum(self._mean(self.codes * self.codes) - mean * mean, 0))

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the box."""
        left, top, right, bottom = self.box
        return slice(top, bottom), slice(left, right)

    def limit(self, grain: float) -> Floats:
        """(h, w) largest ring error in cv with which a source is believed, at a grain level.

        Where much is going on around a hole, surroundings suggest nothing better than a source
        that fits a little less.
        """
        return np.float32(_RING_SIGMAS * grain + _RING_CV) + np.float32(_RING_SPREADS) * self.spread

    def matched(self, values: Floats, usable: Hole) -> Sight | None:
        """A source in the light of this frame; None if the ring shows too little to judge it.

        Gain by least squares, shrunk toward 1 where the ring has little contrast; then an offset
        that varies smoothly and makes seams vanish.

        Args:
            values: (h, w) float32 in cv, fetched along the motion.
            usable: (h, w), where it may be believed.
        """
        mean = self._mean if usable.all() else _Mean(self._ring * usable, self._sigma)
        if mean.total < _LEAST_RING:
            return None
        here, there = mean.whole(self.codes), mean.whole(values)
        mine, other = self.codes - here, values - there
        slope = (mean.whole(mine * other) + _GAIN_PRIOR) / (mean.whole(other * other) + _GAIN_PRIOR)
        lit = other * np.float32(min(_GAIN[1], max(_GAIN[0], slope))) + here
        off = self.codes - lit
        most = _OUTLIER * 1.5 * mean.whole(np.abs(off)) + 1
        lit = lit + mean(np.clip(off, -most, most))
        error = mean(np.minimum(np.abs(self.codes - lit), _MOST_CV))
        return Sight(lit, usable, error)


class _Mean:
    """Weighted means around each pixel."""

    def __init__(self, weight: Floats, sigma: float) -> None:
        self.total = float(weight.sum())
        self._weight = weight
        self._sigma = sigma
        self._near = _blurred(weight, sigma) + np.float32(_LEAST)

    def whole(self, values: Floats) -> float:
        return float(np.vdot(values, self._weight)) / max(self.total, _LEAST)

    def __call__(self, values: Floats) -> Floats:
        """(h, w): of what is near; of all that there is, where nothing is near."""
        part = _blurred(values * self._weight, self._sigma)
        return (part + np.float32(_LEAST * self.whole(values))) / self._near


def _blurred(values: Floats, sigma: float) -> Floats:
    """Gaussian blur without what lies beyond; wide ones on a smaller grid."""
    factor = int(sigma / _FINE_SIGMA)
    if factor < 2:
        smooth = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_ISOLATED)
        return cast(Floats, smooth)
    height, width = values.shape
    size = (-(-width // factor), -(-height // factor))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    border = cv2.BORDER_ISOLATED
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=border)
    return cast(Floats, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def from_frame(
    view: View, way: Way, find: FindWounds, picture: Floats | None = None
) -> Sight | None:
    """What a frame shows at the place of a hole, in the light of the damaged frame.

    Args:
        view: The place.
        way: From the place to that frame.
        find: The final holes of a frame.
        picture: See `along`.
    """
    return view.matched(*along(way, find, picture))


def along(way: Way, find: FindWounds, picture: Floats | None = None) -> tuple[Floats, Hole]:
    """Codes of a frame, fetched along the motion by bicubic interpolation.

    Args:
        way: To the frame.
        find: The final holes of a frame.
        picture: (H, W) float32 in cv: taken in place of the frame's own codes, and as undamaged.

    Returns:
        (h, w) float32 in cv, and where it may be believed: inside the picture and undamaged.
    """
    place = way.place
    height, width = way.frame.plane.shape
    box = _needed(place, (height, width))
    left, top, right, bottom = box
    if picture is None:
        unit = np.float32(1 / way.frame.unit)
        codes = way.frame.plane[top:bottom, left:right].astype(np.float32) * unit
    else:
        codes = picture[top:bottom, left:right]
    cells = place - np.array((left, top), np.float32)
    values = _fetched(codes, cells, cv2.INTER_CUBIC)
    x, y = place[..., 0], place[..., 1]
    usable = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    if picture is None:
        spoiled = suspected(way.frame, box, find)
        if spoiled.any():
            share = _fetched(spoiled.astype(np.float32), cells, cv2.INTER_LINEAR)
            usable &= share <= _DAMAGED_SHARE
    return values, usable


def suspected(frame: Frame, box: Box, find: FindWounds) -> Hole:
    """What may be damaged of a part of a frame: final holes, and spots that wait for review."""
    tiles = [t for wound in find(frame) for t in wound.tiles]
    waiting = [spot for spot in frame.spots if spot.state == "review"]
    return laid(tiles, box) | laid(waiting, box) if waiting else laid(tiles, box)


def _fetched(image: Floats, cells: Floats, kind: int) -> Floats:
    moved = cv2.remap(image, cells, cast(Any, None), kind, borderMode=cv2.BORDER_REPLICATE)
    return cast(Floats, moved)


def _needed(place: Floats, size: tuple[int, int]) -> Box:
    """The part of a frame that interpolation at places sees; at least one pixel."""
    ends = []
    for axis, length in ((0, size[1]), (1, size[0])):
        first = int(np.clip(np.floor(place[..., axis].min()) - _CUBIC_PX, 0, length - 1))
        last = int(np.clip(np.ceil(place[..., axis].max()) + _CUBIC_PX + 1, first + 1, length))
        ends.append((first, last))
    return ends[0][0], ends[1][0], ends[0][1], ends[1][1]
