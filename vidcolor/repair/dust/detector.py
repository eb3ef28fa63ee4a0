"""Damage that is on one frame only: dust, dirt, sparkle, hairs that did not stay in the gate.

Such a mark is neither in the frame before nor in the one after, once both are laid over the frame.
So pixels are looked for that lie beyond everything around their place in either neighbor; what
belongs to them is outlined; and how sure it is that this is damage, not something that moves, is
weighed from what the surroundings and a search in the neighbors say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError
from vidcolor.repair.dust.evidence import Evidence, gather, probability, searched
from vidcolor.repair.dust.grain import Grain, measure_grain
from vidcolor.repair.dust.outline import spots_of_region
from vidcolor.repair.dust.seeds import Polarity, Reach, Region, cells, find_seeds, regions
from vidcolor.repair.dust.traps import falls_together, flashes, flies_past
from vidcolor.repair.dust.views import Views, look
from vidcolor.repair.motion import nearest, neighbors
from vidcolor.repair.pane import PaneConfig, picture_window
from vidcolor.repair.records import Hole, Spot, State
from vidcolor.repair.small import narrowed
from vidcolor.repair.window import Window

__all__ = ["Dust", "DustConfig"]

Floats = npt.NDArray[np.float32]

_SEEN_FRAMES = 4
_SLACK_LINES = 480  # a reference of 3x3 pixels suits about so many lines
_GROW_AT_240 = 2.0
_MARGIN_AT_240 = 8
_MOST_REGIONS = 600
_UNSETTLED_AT_240 = 1.0  # error of flow there and back, on both sides: surer than else
_LARGE_AT_240 = 60.0  # a false repair so large is seen
_LARGEST_AT_240 = 160.0  # where the camera moves: things in flight are larger than most dust
_PAN_AT_240 = 6.0
_FITS = 2.0  # times the least threshold: surroundings that differ more are not followed
_MOVED_SHARE = 0.5  # of it is near in both neighbors, but not in the frame: it moved
_GROWING_SHARE = 0.5  # of the threshold: what belongs to a seed


class _Level(NamedTuple):
    """A sensitivity.

    Threshold in deviations of grain; its least value in cv; how sure a mark must be to be
    repaired, and how sure a large one that may have moved.
    """

    grains: float
    floor: float
    sure: float
    sure_moved: float


_LEVELS: dict[str, _Level] = {
    "low": _Level(10, 16, 0.95, 0.9995),
    "normal": _Level(8, 12, 0.9, 0.999),
    "high": _Level(6, 8, 0.5, 0.95),
    "maximum": _Level(5, 6, 0.15, 0.5),
}


@dataclass(frozen=True, slots=True)
class DustConfig:
    """How damage of single frames is found.

    Attributes:
        enabled: Look for it.
        sensitivity: `low`, `normal`, `high` or `maximum`. False repairs cost more than dust that
            is missed, so go up only as far as needed.
        polarity: Look for marks that are `dark`, `bright` or `both`.
        review: Marks at least so sure (0..1), but not sure enough to be repaired, are listed.
        suspend: Where more than this share (0..1) of a frame seems damaged, as in rain or snow,
            nothing of it is repaired without a person's word.
    """

    enabled: bool = True
    sensitivity: str = "normal"
    polarity: str = "both"
    review: float = 0.4
    suspend: float = 0.015

    def __post_init__(self) -> None:
        if self.sensitivity not in _LEVELS:
            names = ", ".join(_LEVELS)
            raise ConfigError(f"sensitivity must be one of {names}, not {self.sensitivity!r}")
        if self.polarity not in ("dark", "bright", "both"):
            raise ConfigError(f"polarity must be dark, bright or both, not {self.polarity!r}")
        for name in ("review", "suspend"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be above 0, at most 1, not {getattr(self, name)}")


class Dust:
    """Finds damage of single frames.

    Memory: the grain of the shot. Lookahead: 4 frames, so that frames held on twos have
    different neighbors. At a cut: forgotten; the first and the last frame of a shot are compared
    with two frames of one side. Shots of fewer than three different frames show nothing.

    Args:
        config: What to look for.
        pane: How the picture window is found.
    """

    before = _SEEN_FRAMES
    after = _SEEN_FRAMES

    def __init__(self, config: DustConfig | None = None, pane: PaneConfig | None = None) -> None:
        self._config = config or DustConfig()
        self._pane = pane or PaneConfig()

    def begin(self) -> Callable[[Window], list[Spot]]:
        """See `find.Detector`."""
        if not self._config.enabled:
            return lambda _: []
        return _Shot(self._config, self._pane)


class _Shot:
    def __init__(self, config: DustConfig, pane: PaneConfig) -> None:
        self._config, self._pane = config, pane
        self._level = _LEVELS[config.sensitivity]
        self._least = min(config.review, self._level.sure)
        self._limits: Floats | None = None
        self._outside: Hole | None = None

    def __call__(self, window: Window) -> list[Spot]:
        window = narrowed(window, _SEEN_FRAMES, _SEEN_FRAMES)
        if self._limits is None:
            self._limits = self._thresholds(measure_grain(window.frames))
            planes, bits = [one.plane for one in window.frames], window.frame.info.color.bits
            pane = picture_window(planes, bits, self._pane)
            self._outside = None if pane.whole else ~pane.inside
        before, after = nearest(neighbors(window, 2, 2))
        if before is None or after is None or flashes(window.frame, (before, after)):
            return []
        views = look(window, (before, after))
        threshold = _at(self._limits, views.gray)
        reach = Reach(
            slack=max(1, round(min(views.size) / _SLACK_LINES)),
            grow=max(1, round(_GROW_AT_240 * views.unit)),
            margin=max(4, round(_MARGIN_AT_240 * views.unit)),
        )
        excess = find_seeds(views, threshold, reach.slack, cast(Polarity, self._config.polarity))
        if self._outside is not None:
            excess[self._outside] = 0
        bent = cells(excess > 0, views.sides[0].flow.shape[:2])
        views.mistrust(bent)
        half_seen, unseen = views.unseen()
        excess[unseen] = 0
        found = regions(views, excess, threshold * _GROWING_SHARE, reach, _MOST_REGIONS)
        return self._spots(views, found, threshold, bent, half_seen)

    def _thresholds(self, grain: Grain) -> Floats:
        """By brightness in whole cv; a single one where grain does not matter."""
        table = np.maximum(self._level.grains * grain.table(), np.float32(self._level.floor))
        return table[0].reshape(()) if bool((table == table[0]).all()) else table

    def _spots(
        self, views: Views, found: list[Region], threshold: Floats, bent: Hole, half_seen: Hole
    ) -> list[Spot]:
        likely: list[tuple[Region, Evidence, float]] = []
        for region in found:
            evidence = gather(views, region, bent)
            if probability(evidence) < self._least:
                continue
            evidence = searched(views, region, evidence)
            confidence = probability(evidence)
            if confidence >= self._least:
                likely.append((region, evidence, confidence))
        accepted = [region for region, _, confidence in likely if confidence >= self._level.sure]
        flagged = sum(int(np.count_nonzero(region.core)) for region in accepted)
        suspended = flagged > self._config.suspend * views.gray.size or falls_together(accepted)
        panned = _speed(views) > _PAN_AT_240 * views.unit
        states: list[State] = []
        for region, evidence, confidence in likely:
            left, top, right, bottom = region.box
            half = views.one_sided or bool(half_seen[top:bottom, left:right][region.core].any())
            doubtful = (
                suspended
                or confidence < self._level.sure
                or self._moves(evidence, confidence, half)
                or (panned and evidence.area > _LARGEST_AT_240)
                or flies_past(views, region)
            )
            states.append("review" if doubtful else "accepted")
        whole = {
            (one[0].group, one[0].bright)
            for one, state in zip(likely, states, strict=True)
            if state == "accepted"
        }
        spots: list[Spot] = []
        for (region, _, confidence), state in zip(likely, states, strict=True):
            part = (region.group, region.bright) in whole  # what crosses a mark may part it
            state = "accepted" if part else state
            spots.extend(spots_of_region(views, region, threshold, confidence, state))
        return spots

    def _moves(self, evidence: Evidence, confidence: float, half: bool) -> bool:
        """Whether it may be a thing that moves; neighbors of one side tell only half of it."""
        unsettled = evidence.unsettled > _UNSETTLED_AT_240
        return (
            (confidence < (1 + self._level.sure) / 2 and (unsettled or half))
            or (half and evidence.around > _FITS * self._level.floor)
            or (
                confidence < self._level.sure_moved
                and evidence.area > _LARGE_AT_240
                and evidence.elsewhere > _MOVED_SHARE
            )
        )


def _speed(views: Views) -> float:
    """Median way of the picture to its neighbors, in pixels a step."""
    found = []
    for side in views.sides:
        way = np.linalg.norm(side.flow[::4, ::4], axis=2) * (views.size[1] / side.flow.shape[1])
        found.append(float(np.median(way)) / abs(side.neighbor.steps))
    return max(found)


def _at(limits: Floats, gray: Floats) -> Floats:
    """The threshold of each pixel, (H, W) float32 in cv, or () where there is but one."""
    if limits.ndim == 0:
        return limits
    whole = np.clip(np.rint(gray), 0, len(limits) - 1).astype(np.uint8)
    return cast(Floats, cv2.LUT(whole, limits))
