"""Splices: bands at the top or bottom that differ from the frames around, near a cut or a jump."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError
from vidcolor.repair.motion import Neighbor, neighbors
from vidcolor.repair.pane import Pane, PaneConfig, picture_window
from vidcolor.repair.records import Hole, Link, Spot
from vidcolor.repair.small import SmallFrames, coarse, narrowed
from vidcolor.repair.spots import trimmed
from vidcolor.repair.window import Window

__all__ = ["BandConfig", "BandDetector"]

Floats = npt.NDArray[np.float32]

_SIGMAS = {"low": 8.0, "normal": 6.0, "high": 5.0, "maximum": 4.0}
_CONTRAST = {"low": 16.0, "normal": 12.0, "high": 10.0, "maximum": 8.0}
_MAD = 1.4826
_LASTS = 3  # frames at most, so that the fourth neighbor is whole
_NEAR_CUT = 2  # frames on each side of a cut that a splice can reach
_KNOWN = 0.6  # of a row must be seen in the neighbors
_AFTER = 0.4  # of the row behind a band may differ at most
_CALM = 0.5  # of the threshold: where the rest differs more, motion was not understood
_SURE = 0.7


@dataclass(frozen=True, slots=True)
class BandConfig:
    """How bands of splices are found.

    Attributes:
        enabled: Look for them.
        sensitivity: `low`, `normal`, `high` or `maximum`: how little a band may differ.
        least: Thinnest band, as a share of the height.
        most: Thickest band, as a share of the height.
        across: Share of the width that must differ.
        jump: Vertical jump of the picture that counts like a cut, as a share of the height.
    """

    enabled: bool = True
    sensitivity: str = "normal"
    least: float = 0.01
    most: float = 0.15
    across: float = 0.8
    jump: float = 0.01

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.sensitivity not in _SIGMAS:
            known = ", ".join(_SIGMAS)
            raise ConfigError(f"sensitivity must be one of {known}, not {self.sensitivity!r}")
        for name in ("least", "most", "across", "jump"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be above 0 to 1, not {getattr(self, name)}")
        if self.least >= self.most:
            raise ConfigError(f"least ({self.least}) must be below most ({self.most})")


class BandDetector:
    """Finds bands of splices.

    A band is compared with frames so far away that it has ended there: those on both sides of a
    jump, those away from a cut.

    Memory: small pictures of the frames of a window. At a cut: dropped.

    Attributes:
        before: Frames before the one in question.
        after: Frames after it.

    Args:
        config: How bands are found.
        pane: How the picture window is found.
    """

    before = _LASTS + 2
    after = _LASTS + 2

    def __init__(self, config: BandConfig | None = None, pane: PaneConfig | None = None) -> None:
        self._config = config or BandConfig()
        self._pane = pane or PaneConfig()

    def begin(self) -> Callable[[Window], list[Spot]]:
        """See `Detector`."""
        if not self._config.enabled:
            return lambda _: []
        return _Shot(self._config, self._pane)


class _Shot:
    def __init__(self, config: BandConfig, pane: PaneConfig) -> None:
        self._config, self._pane_config = config, pane
        self._small = SmallFrames()
        self._pane: Pane | None = None

    def __call__(self, window: Window) -> list[Spot]:
        window = coarse(narrowed(window, BandDetector.before, BandDetector.after))
        self._small.keep(window.frames)
        references = self._references(window)
        if len(references) < 2:
            return []
        if self._pane is None:
            planes = [frame.plane for frame in window.frames]
            bits = window.frame.info.color.bits
            self._pane = picture_window(planes, bits, self._pane_config)
        return self._bands(window, references)

    def _references(self, window: Window) -> list[Neighbor]:
        """Two frames in which a band of this one has ended; none where no splice can be."""
        left = len(window.frames) - 1 - window.at
        far = _LASTS + 1
        if window.frame.place < _NEAR_CUT:
            found = neighbors(window, 0, far + 1)
        elif window.ends and left < _NEAR_CUT:
            found = neighbors(window, far + 1, 0)
        elif self._jumps(window):
            found = [one for one in neighbors(window, far, far) if abs(one.steps) == far]
        else:
            return []
        return [one for one in found if abs(one.steps) >= far]

    def _jumps(self, window: Window) -> bool:
        """Whether the picture jumped up or down within two frames of this one."""
        links = [frame.link for frame in window.frames]
        steps = [0.0 if link is None else _down(link) for link in links]
        usual = float(np.median(steps))
        near = steps[max(0, window.at - _NEAR_CUT + 1) : window.at + _NEAR_CUT + 1]
        return any(abs(step - usual) > self._config.jump for step in near)

    def _bands(self, window: Window, references: Sequence[Neighbor]) -> list[Spot]:
        pane = self._pane
        assert pane is not None
        parts = [self._small.difference(window.frame, one) for one in references]
        known = np.logical_and.reduce([part[1] for part in parts])
        size = known.shape
        scale = size[0] / window.frame.info.height
        rows = slice(round(pane.top * scale), round(pane.bottom * scale))
        over = [part[0][rows] for part in parts]
        least = np.minimum(np.abs(over[0]), np.abs(over[1]))
        same = np.sign(over[0]) == np.sign(over[1])
        differs = np.where(same, least, 0)
        spots = []
        for turned in (False, True):
            tall = self._band(differs, known[rows], turned)
            if tall:
                spots.append(_spot(tall / scale, turned, pane))
        return [spot for spot in spots if spot is not None]

    def _band(self, differs: Floats, known: Hole, turned: bool) -> int:
        """Rows of the grid that a band takes at the top (turned: at the bottom); 0 for none."""
        config = self._config
        if turned:
            differs, known = differs[::-1], known[::-1]
        most = round(config.most * len(differs))
        rest = differs[most:][known[most:]]
        if not rest.size:
            return 0
        sigma = _MAD * float(np.median(rest))
        least = max(_SIGMAS[config.sensitivity] * sigma, _CONTRAST[config.sensitivity])
        if float(np.quantile(rest, 0.75)) > _CALM * least:
            return 0
        seen = np.maximum(known.sum(axis=1), 1)
        share = ((differs > least) & known).sum(axis=1) / seen
        unknown = known.mean(axis=1) < _KNOWN
        first = int(np.argmin(unknown))  # a picture that jumped shows rows that no other frame has
        share[unknown] = 0
        tall = first + int(np.argmin(share[first:] >= config.across))
        if tall - first < config.least * len(differs) or tall > most or share[tall + 1] > _AFTER:
            return 0
        return tall + 1


def _down(link: Link) -> float:
    """Vertical motion of the whole picture, as a share of its height."""
    return float(np.median(link.back[::4, ::4, 1])) / len(link.back)


def _spot(tall: float, turned: bool, pane: Pane) -> Spot | None:
    rows = int(np.ceil(tall))
    hole = pane.inside.copy()
    if turned:
        hole[: pane.bottom - rows] = False
    else:
        hole[pane.top + rows :] = False
    return trimmed("splice", (0, 0), hole, _SURE, "accepted")
