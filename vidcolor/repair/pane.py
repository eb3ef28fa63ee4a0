"""The picture window: what of a frame shows the picture, and what the edge of the gate.

Scans of film show the gate: black bars, one of them often wider, and rounded corners. Nothing out
there is damage, and what is found at its edge is mostly the edge itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError
from vidcolor.repair.records import Hole

__all__ = ["Pane", "PaneConfig", "picture_window"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_LINES = 270  # of the pictures that are looked at
_FULL = 0.97  # share of a line of a bar that is dark
_HALF = 0.6  # behind the edge of a bar less than this is dark
_SOFT_LINES = 4  # over which a bar may pass into the picture
_LEAST_CORNER = 3  # lines of the small picture: less is not rounded
_BORDER_LINES = 2  # of which the level of black is taken


@dataclass(frozen=True, slots=True)
class PaneConfig:
    """How the picture window is found.

    Attributes:
        enabled: Look for it; else the whole frame is the picture.
        darkest: A bar is not brighter than this, in cv.
        lit: Above the black of the frame's edge by so much there is picture, in cv.
        widest: Most of a side that a bar may take.
        corner: Most of a side that a rounded corner may take.
        margin_px: Pixels of a picture of 1080 lines left out inside the edge as well.
    """

    enabled: bool = True
    darkest: float = 40.0
    lit: float = 12.0
    widest: float = 0.3
    corner: float = 0.15
    margin_px: float = 4.0

    def __post_init__(self) -> None:
        """Check ranges."""
        for name, most in (("darkest", 255.0), ("lit", 255.0), ("margin_px", 100.0)):
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f"{name} must be 0 to {most:g}, not {getattr(self, name)}")
        for name in ("widest", "corner"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise ConfigError(f"{name} must be 0 to 0.5, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True, eq=False)
class Pane:
    """The picture window of a shot.

    Attributes:
        top: Rows of the bar above.
        left: Columns of the bar at the left.
        bottom: Row after the last of the picture.
        right: Column after the last of the picture.
        inside: (H, W) bool, true where there is picture: the box less rounded corners.
    """

    top: int
    left: int
    bottom: int
    right: int
    inside: Hole

    @property
    def whole(self) -> bool:
        """Whether the frame has neither bars nor corners."""
        return bool(self.inside.all())


def picture_window(
    planes: Sequence[Array], bits: int = 8, config: PaneConfig | None = None
) -> Pane:
    """Find the picture window of frames of one shot, or of a single picture.

    What is dark in all frames, at the edge, as dark as the edge, and ends in a straight side or
    a corner is no picture. A dark scene ends in neither.

    Args:
        planes: (H, W) codes each, all of one size; a few of different moments are best.
        bits: Depth of the codes.
        config: How.
    """
    config = config or PaneConfig()
    height, width = planes[0].shape
    if not config.enabled:
        return Pane(0, 0, height, width, np.ones((height, width), np.bool_))
    factor = max(1, round(height / _LINES))
    size = (-(-width // factor), -(-height // factor))
    lightest = np.maximum.reduce([_small(plane, size, bits) for plane in planes])
    dark = lightest <= _dark_level(lightest, config)
    ends = [_bar(dark, config), _bar(dark[::-1], config), _bar(dark.T, config)]
    ends.append(_bar(dark.T[::-1], config))
    top, bottom, left, right = (one * factor for one in ends)
    margin = [round(config.margin_px * height / 1080) if one else 0 for one in ends]
    top, left = top + margin[0], left + margin[2]
    bottom, right = height - bottom - margin[1], width - right - margin[3]
    inside = np.zeros((height, width), np.bool_)
    corners = _corners(dark, (ends[0], ends[1], ends[2], ends[3]), config)
    shown = cv2.resize((~corners).astype(np.uint8), (width, height), None, 0, 0, cv2.INTER_NEAREST)
    inside[top:bottom, left:right] = np.asarray(shown, np.bool_)[top:bottom, left:right]
    return Pane(top, left, bottom, right, inside)


def _small(plane: Array, size: tuple[int, int], bits: int) -> Floats:
    wide = plane.astype(np.uint16) if plane.dtype == np.int32 else plane
    small = cast(Array, cv2.resize(wide, size, None, 0, 0, cv2.INTER_AREA))
    return small.astype(np.float32) * np.float32(2.0 ** (8 - bits))


def _dark_level(lightest: Floats, config: PaneConfig) -> float:
    edge = [lightest[:_BORDER_LINES], lightest[-_BORDER_LINES:]]
    edge += [lightest[:, :_BORDER_LINES].T, lightest[:, -_BORDER_LINES:].T]
    black = min(float(np.median(one)) for one in edge)
    corners = [lightest[a, b] for a in (0, -1) for b in (0, -1)]
    return min(config.darkest, min(black, *map(float, corners)) + config.lit)


def _bar(dark: Hole, config: PaneConfig) -> int:
    """Lines of the bar at the beginning."""
    share = dark.mean(axis=1)
    edge = int(np.argmax(share < _FULL)) if (share < _FULL).any() else len(share)
    behind = share[edge : edge + _SOFT_LINES]
    if edge == 0 or edge > config.widest * len(share) or float(behind.min()) > _HALF:
        return 0
    return edge + int(np.argmax(behind <= _HALF))


def _corners(dark: Hole, bars: tuple[int, int, int, int], config: PaneConfig) -> Hole:
    """(h, w), true in rounded corners of what is left between bars."""
    top, bottom, left, right = bars
    found = np.zeros_like(dark)
    rows, columns = slice(top, dark.shape[0] - bottom), slice(left, dark.shape[1] - right)
    most = round(config.corner * min(dark[rows, columns].shape))
    for down in (1, -1):
        for across in (1, -1):
            box = dark[rows, columns][::down, ::across][: most + 1, : most + 1]
            wide = np.minimum.accumulate(np.where(box.all(axis=1), most + 1, box.argmin(axis=1)))
            tall = np.count_nonzero(wide)
            if _LEAST_CORNER <= wide[0] <= most and _LEAST_CORNER <= tall <= most:
                corner = np.arange(box.shape[1]) < wide[:, None]
                found[rows, columns][::down, ::across][: most + 1, : most + 1] |= corner
    return found
