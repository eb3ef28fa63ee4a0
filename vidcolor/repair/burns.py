"""Burns, water and decay: large ragged areas, burnt out, black or bubbling, that come and go.

Nobody should have such an area repaired unasked: all of them are for review.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError
from vidcolor.repair.motion import Neighbor, nearest, neighbors
from vidcolor.repair.records import Hole, Spot
from vidcolor.repair.small import SmallFrames, coarse, narrowed
from vidcolor.repair.spots import trimmed
from vidcolor.repair.window import Frame, Window

__all__ = ["BurnConfig", "BurnDetector"]

Floats = npt.NDArray[np.float32]

_CONTRAST = {"low": 32.0, "normal": 24.0, "high": 18.0, "maximum": 12.0}
_FAR = 4  # neighbors so far away know what a burn of a few frames hides
_VARIANCE_CELLS = 7
_QUIET = 4.0  # cv^2: variances are not compared below
_MARKED = 0.5  # of an area must be saturated or of another variance
_OPEN = 3  # cells: thinner parts are no burn
_MOST = 0.6  # confidence
_FULL = 64.0  # cv of contrast that gives it


@dataclass(frozen=True, slots=True)
class BurnConfig:
    """How burns and decay are found.

    Attributes:
        enabled: Look for them.
        sensitivity: `low`, `normal`, `high` or `maximum`: how little a burn may differ.
        area: Smallest burn, as a share of the frame.
        saturated: Share of the range at each end that counts as burnt out or black.
        variance: Factor by which local variance must change otherwise.
        ragged: Least perimeter^2 / (4 pi area): 1 for a disc.
    """

    enabled: bool = True
    sensitivity: str = "normal"
    area: float = 0.005
    saturated: float = 0.03
    variance: float = 6.0
    ragged: float = 2.0

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.sensitivity not in _CONTRAST:
            known = ", ".join(_CONTRAST)
            raise ConfigError(f"sensitivity must be one of {known}, not {self.sensitivity!r}")
        for name, least, most in (
            ("area", 1e-4, 1), ("saturated", 0, 0.5), ("variance", 1, 1000), ("ragged", 1, 100),
        ):  # fmt: skip
            if not least <= getattr(self, name) <= most:
                raise ConfigError(
                    f"{name} must be {least:g} to {most:g}, not {getattr(self, name)}"
                )


class BurnDetector:
    """Finds burns and decay of up to seven frames, and the ends of longer ones.

    An area must be absent on both sides: in the next pictures, or in those four away.

    Memory: small pictures of the frames of a window. At a cut: dropped.

    Attributes:
        before: Frames before the one in question.
        after: Frames after it.

    Args:
        config: How burns are found.
    """

    before = _FAR
    after = _FAR

    def __init__(self, config: BurnConfig | None = None) -> None:
        self._config = config or BurnConfig()

    def begin(self) -> Callable[[Window], list[Spot]]:
        """See `Detector`."""
        if not self._config.enabled:
            return lambda _: []
        return _Shot(self._config)


@dataclass(frozen=True, slots=True, eq=False)
class _Over:
    """A frame beside another one.

    Attributes:
        more: (h, w) cv that it lies above that.
        known: (h, w) where that shows the same.
        there: (h, w) cv, that where this one is.
    """

    more: Floats
    known: Hole
    there: Floats


class _Shot:
    def __init__(self, config: BurnConfig) -> None:
        self._config = config
        self._small = SmallFrames()
        self._seen = -2 * _FAR  # where something last came or went

    def __call__(self, window: Window) -> list[Spot]:
        window = coarse(narrowed(window, _FAR, _FAR))
        self._small.keep(window.frames)
        over = [self._over(window.frame, one) for one in neighbors(window, 1, 1)]
        burnt = [self._burnt(window.frame, one) for one in over]
        if any(_pieces(one, self._config) for one in burnt):
            self._seen = window.frame.place
        if window.frame.place > self._seen + 2 * _FAR - 2:
            return []
        if len(over) == 2:
            found = self._areas(window.frame, over, burnt)
            if found:
                return found
        far = [one for one in neighbors(window, _FAR, _FAR) if abs(one.steps) >= _FAR - 1]
        pair = [one for one in nearest(far) if one is not None]
        sides = {one.steps > 0 for one in pair}
        over = [self._over(window.frame, one) for one in pair]
        burnt = [self._burnt(window.frame, one, ends=len(sides) < 2) for one in over]
        return self._areas(window.frame, over, burnt)

    def _over(self, frame: Frame, neighbor: Neighbor) -> _Over:
        over, known = self._small.difference(frame, neighbor)
        small = self._small.of(frame, (over.shape[0], over.shape[1]))
        return _Over(over, known, small - over)

    def _burnt(self, frame: Frame, over: _Over, ends: bool = False) -> Hole:
        """(h, w), true where the frame differs from a neighbor as a burn does.

        Args:
            frame: In question.
            over: The neighbor.
            ends: All neighbors lie on one side of the frame: something may have left them burnt,
                so that only what is burnt out or black here counts.
        """
        config = self._config
        size = (over.there.shape[0], over.there.shape[1])
        differs = over.known & (np.abs(over.more) > _CONTRAST[config.sensitivity])
        if np.count_nonzero(differs) < config.area * differs.size:
            return np.zeros(size, np.bool_)
        small = self._small.of(frame, size)
        marked = self._saturated(frame, small) & ~self._saturated(frame, over.there)
        if not ends:
            ratio = np.maximum(_variance(small), _QUIET) / np.maximum(_variance(over.there), _QUIET)
            marked |= (ratio > config.variance) | (ratio < 1 / config.variance)
        share = cv2.blur(marked.astype(np.float32), (_VARIANCE_CELLS, _VARIANCE_CELLS))
        return differs & (np.asarray(share) >= _MARKED)

    def _saturated(self, frame: Frame, small: Floats) -> Hole:
        spec = frame.info.color
        black, white = spec.black / frame.unit, spec.white / frame.unit
        end = self._config.saturated * (white - black)
        return (small > white - end) | (small < black + end)

    def _areas(self, frame: Frame, over: Sequence[_Over], burnt: Sequence[Hole]) -> list[Spot]:
        if len(over) < 2:
            return []
        both = burnt[0] & burnt[1] & (np.sign(over[0].more) == np.sign(over[1].more))
        spots = []
        for cells in _pieces(both, self._config):
            contrast = float(np.median(np.abs(over[0].more[cells])))
            confidence = _MOST * min(1.0, contrast / _FULL)
            size = frame.info.size
            hole = cv2.resize(cells.astype(np.uint8), size[::-1], None, 0, 0, cv2.INTER_NEAREST)
            spots.append(trimmed("burn", (0, 0), np.asarray(hole > 0), confidence, "review"))
        return [spot for spot in spots if spot is not None]


def _pieces(burnt: Hole, config: BurnConfig) -> list[Hole]:
    """Connected parts that are large and ragged enough."""
    if np.count_nonzero(burnt) < config.area * burnt.size:
        return []
    kernel = np.ones((_OPEN, _OPEN), np.uint8)
    whole = cv2.morphologyEx(burnt.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    whole = cv2.morphologyEx(whole, cv2.MORPH_OPEN, kernel)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(whole)
    pieces = []
    for number in range(1, count):
        area = int(stats[number][cv2.CC_STAT_AREA])
        cells = np.asarray(labels == number)
        if area >= config.area * whole.size and _raggedness(cells, area) >= config.ragged:
            pieces.append(cells)
    return pieces


def _variance(small: Floats) -> Floats:
    """(h, w) local variance, cv^2."""
    side = (_VARIANCE_CELLS, _VARIANCE_CELLS)
    mean = cv2.blur(small, side)
    return cast(Floats, np.maximum(cv2.blur(small * small, side) - mean * mean, 0))


def _raggedness(cells: Hole, area: int) -> float:
    """perimeter^2 / (4 pi area)."""
    outlines, _ = cv2.findContours(cells.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    perimeter = sum(cv2.arcLength(outline, True) for outline in outlines)
    return float(perimeter * perimeter / (4 * np.pi * max(1, area)))
