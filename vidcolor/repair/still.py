"""Damage of a single picture: what can be told without other frames.

Little can. A thread, a wire and a scratch look alike in one picture, and so do a speck of dust and
a distant bird. So only what is small, sharp and lies on a calm ground is repaired unasked, and
thin straight lines that run from the top to the bottom; other thin marks, level lines among them
(horizons and curbs run from side to side as well), are for review. All thresholds are
absolute: in a clean picture nothing is found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError
from vidcolor.repair.lines.sums import residual_of, segments
from vidcolor.repair.lines.trace import Line, TraceLimits, trace
from vidcolor.repair.pane import PaneConfig, picture_window
from vidcolor.repair.records import Hole, Spot
from vidcolor.repair.spots import trimmed
from vidcolor.repair.window import Frame, Window

__all__ = ["StillConfig", "StillDamage"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_CONTRAST = {"low": 64.0, "normal": 48.0, "high": 36.0, "maximum": 24.0}
_LINE_CONTRAST = {"low": 24.0, "normal": 16.0, "high": 12.0, "maximum": 8.0}
_STRONG = {"low": 16.0, "normal": 14.0, "high": 12.0, "maximum": 10.0}
_SCAN_LINES = 1080
_JOINT_PX = 1.0  # by which marks are thicker where they bend
_LEAST_THICK_PX = 3  # a mark may be so thick in small pictures
_GROW = 0.4  # of the contrast: pixels beside a seed that belong to the mark
_SEEN = 0.2  # likewise: less than this is seen around a mark that is shown
_RING_PX = (2, 10)  # from a mark, where its surroundings are
_CALM = 0.95  # quantile of a speck's surroundings that must be calm
_LONG_CALM = 0.75  # likewise of what is only shown
_LOOSE = {"low": 0.75, "normal": 1.0, "high": 2.0, "maximum": 3.0}
"""Factors of how much the surroundings of a speck may vary, and of how long it may be."""

_LONG = 4.0  # times the thickest mark: marks so long are shown
_MOST = 4000  # marks of a picture that are looked at: with more it is texture
_LINE_PIECES = 12
_AGREE, _BRIDGE = 0.85, 0.1  # of a line: share of one sign, gap as share of the picture
_CROP = 12  # pixels around a mark that are looked at
_SURE, _MAYBE = 0.75, 0.4


@dataclass(frozen=True, slots=True)
class StillConfig:
    """How damage of a single picture is found.

    Attributes:
        enabled: Look for it.
        sensitivity: `low`, `normal`, `high` or `maximum`: how faint a mark may be.
        thick_px: Thickest mark, in pixels of a picture of 1080 lines.
        speck_px: Longest speck that is repaired unasked, in pixels of 1080 lines, at normal
            sensitivity.
        calm: Most that the surroundings of a speck may vary, in cv, at normal sensitivity.
        shown: The same for long thin marks that are shown for review; bright ones, as the paper is
            that creases lay bare.
        line_lean: Steepest lean of a line from upright or level, in pixels a pixel.
        whole: Share of the height that an upright line must cross to be repaired unasked.
        shortest: Share of the picture that a line must cross to be shown at all.
        alike: Most that both sides of a line may differ, in cv.
    """

    enabled: bool = True
    sensitivity: str = "normal"
    thick_px: float = 8.0
    speck_px: float = 6.0
    calm: float = 8.0
    shown: float = 10.0
    line_lean: float = 0.15
    whole: float = 0.95
    shortest: float = 0.4
    alike: float = 8.0

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.sensitivity not in _CONTRAST:
            known = ", ".join(_CONTRAST)
            raise ConfigError(f"sensitivity must be one of {known}, not {self.sensitivity!r}")
        for name, least, most in (
            ("thick_px", 1, 100), ("speck_px", 1, 500), ("calm", 0, 255), ("shown", 0, 255),
            ("line_lean", 0, 0.5), ("whole", 0, 1), ("shortest", 0, 1), ("alike", 0, 255),
        ):  # fmt: skip
            if not least <= getattr(self, name) <= most:
                raise ConfigError(
                    f"{name} must be {least:g} to {most:g}, not {getattr(self, name)}"
                )


class StillDamage:
    """Finds damage of pictures that stand alone; of frames that have others beside them, nothing.

    Attributes:
        before: Frames before the one in question: whether there is any.
        after: Frames after it: whether there is any.

    Args:
        config: How damage is found.
        pane: How the picture window is found.
    """

    before = 1
    after = 1

    def __init__(self, config: StillConfig | None = None, pane: PaneConfig | None = None) -> None:
        self._config = config or StillConfig()
        self._pane = pane or PaneConfig()

    def begin(self) -> Callable[[Window], list[Spot]]:
        """See `Detector`."""

        def find(window: Window) -> list[Spot]:
            alone = len(window.frames) == 1 and window.begins and window.ends
            return self.find(window.frame) if alone and self._config.enabled else []

        return find

    def find(self, frame: Frame) -> list[Spot]:
        """Damage of one picture."""
        bits = frame.info.color.bits
        pane = picture_window([frame.plane], bits, self._pane)
        lines = self._lines(frame, pane.inside)
        taken = np.zeros(frame.plane.shape, np.bool_)
        for spot in lines:
            taken[spot.place] |= spot.hole
        return lines + self._marks(frame, pane.inside, taken)

    def _lines(self, frame: Frame, inside: Hole) -> list[Spot]:
        """Straight lines, upright and level."""
        spots = []
        for turned in (False, True):
            plane = np.ascontiguousarray(frame.plane.T) if turned else frame.plane
            size = (plane.shape[0], plane.shape[1])
            for line in self._straight(plane, frame):
                part = line.hole(size)
                if part is None:
                    continue
                top, left, hole = part
                if turned:
                    top, left, hole = left, top, hole.T
                hole = hole & inside[top : top + hole.shape[0], left : left + hole.shape[1]]
                whole = not turned and float(line.there.mean()) >= self._config.whole
                sure = _SURE if whole else _MAYBE
                spot = trimmed(
                    "scratch", (top, left), hole, sure, "accepted" if whole else "review"
                )
                if spot is not None:
                    spots.append(spot)
        return spots

    def _straight(self, plane: Array, frame: Frame) -> list[Line]:
        config = self._config
        widest = max(_LEAST_THICK_PX, config.thick_px * min(plane.shape) / _SCAN_LINES)
        limits = TraceLimits(
            _STRONG[config.sensitivity], _LINE_CONTRAST[config.sensitivity], widest, _AGREE,
            config.alike, _BRIDGE, config.shortest,
        )  # fmt: skip
        residual = residual_of(plane, frame.unit, widest)
        found = segments(residual, limits.strong / 2, config.line_lean, _LINE_PIECES)
        near = residual.reach
        return [
            line
            for line in trace(residual, found, limits)
            if line.strong and near < float(np.median(line.x)) < plane.shape[1] - 1 - near
        ]

    def _marks(self, frame: Frame, inside: Hole, taken: Hole) -> list[Spot]:
        """Specks and other thin marks on calm ground."""
        config = self._config
        scale = min(frame.plane.shape) / _SCAN_LINES
        thick = max(_LEAST_THICK_PX, round(config.thick_px * scale))
        gray = frame.gray()
        over = _over(gray, 3 * thick // 2 * 2 + 1)  # what lies aslant covers more of the window
        least = _CONTRAST[config.sensitivity]
        spots = []
        for sign in (1, -1):
            signed = over * np.float32(sign)
            seeds = signed > least
            grown = ((signed > _GROW * least) & inside & ~taken).astype(np.uint8)
            count, labels, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=8)
            hit = np.flatnonzero(np.bincount(labels[seeds], minlength=count))
            if len(hit) > _MOST:
                continue
            for number in hit[hit > 0]:
                box = [int(value) for value in stats[number][:4]]
                spot = self._mark(gray, over, labels, int(number), box, thick, scale)
                if spot is not None:
                    spots.append(spot)
        return spots

    def _mark(
        self,
        gray: Floats,
        over: Floats,
        labels: Array,
        number: int,
        box: Sequence[int],
        thick: int,
        scale: float,
    ) -> Spot | None:
        config = self._config
        left, top, width, height = box
        first, ahead = max(0, top - _CROP), max(0, left - _CROP)
        place = np.s_[first : top + height + _CROP, ahead : left + width + _CROP]
        hole = labels[place] == number
        within = cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, 3)
        if 2 * float(within.max()) - 1 > thick + _JOINT_PX:
            return None
        contrast = float(np.abs(over[place][hole]).max())
        ring = _around(hole, _RING_PX[1]) & ~_around(hole, _RING_PX[0])
        loose = _LOOSE[config.sensitivity]
        length = float(np.hypot(width, height)) / np.sqrt(2)
        speck = max(_LEAST_THICK_PX, config.speck_px * scale * loose)
        grown = _around(hole, 1)
        if length <= speck and _varies(gray[place], ring) <= config.calm * loose:
            return trimmed("dust", (first, ahead), grown, _SURE, "accepted")
        around = float(np.quantile(np.abs(over[place][ring]), _LONG_CALM))
        calm = around <= min(_SEEN * contrast, config.shown * loose)
        bright = float(np.median(over[place][hole])) > 0
        if not (calm and bright and length >= _LONG * thick):
            return None
        return trimmed("hair", (first, ahead), grown, _MAYBE, "review")


def _varies(gray: Floats, ring: Hole) -> float:
    """How near to a plane nearly all of the ground lies, cv."""
    y, x = np.nonzero(ring)
    values = gray[y, x].astype(np.float64)
    terms = np.stack([np.ones(len(x)), x, y], axis=1)
    fitted, *_ = np.linalg.lstsq(terms, values, rcond=None)
    return float(np.quantile(np.abs(values - terms @ fitted), _CALM))


def _over(gray: Floats, side: int) -> Floats:
    """(H, W) cv that pixels lie above the median of their surroundings."""
    eight = np.clip(np.rint(gray), 0, 255).astype(np.uint8)
    return gray - np.asarray(cv2.medianBlur(eight, side), np.float32)


def _around(hole: Hole, pixels: int) -> Hole:
    """`hole` and what is so near to it."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(hole.astype(np.uint8), kernel) > 0
