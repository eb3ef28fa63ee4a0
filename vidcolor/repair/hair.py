"""Hairs caught in the gate: thin things that hang from the edge of the picture and stay.

Frames are taken in blocks of twelve. What is thin and darker (or brighter) than what it lies on in
more than half of a block stays in the median of the block: there a hair is seen, and a scene that
moves is not. Only thin things that reach the edge of the picture window count, and only while the
scene moves: what stays in a scene that stands still may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError
from vidcolor.repair.pane import Pane, PaneConfig, picture_window
from vidcolor.repair.records import Hole, Link, Spot
from vidcolor.repair.small import narrowed
from vidcolor.repair.spots import trimmed
from vidcolor.repair.window import Frame, Window

__all__ = ["HairConfig", "HairDetector"]

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_CONTRAST = {"low": 8.0, "normal": 5.0, "high": 4.0, "maximum": 3.0}
_SCAN_LINES = 1080
_GRAIN = 3.0 / np.sqrt(3.0)  # sigmas of grain that the median of a block must exceed
_MAD = 1.4826
_STANDING = 0.3  # most of the frame that may stand still, or nothing can be told
_COARSE = 4  # every so many cells of the grid of motion are kept
_BESIDE = 2  # of them around a hair, where the scene must move
_OFTEN = 0.8  # of the frames, in which the pixels of a hair are seen on average
_SPARSE = 0.01  # more of the picture than this is no hair but a scene that stands still
_SURE = 0.75
_LEAST_THICK_PX = 3.0  # a hair may be so thick in small pictures
_SLIDE_PX = 16.0  # by which a thing is moved along the scene's way
_LEAST_SLIDE_PX = 6.0
_SLIDES = 0.25  # of it that then covers itself: more is an edge of the scene
_LEAST_SIDE_PX = 5
_BITS = 10  # that deeper pictures are looked at with
_SCRATCH_LEAN = 0.12  # width over height: what is steeper is for the finder of scratches


@dataclass(frozen=True, slots=True)
class HairConfig:
    """How hairs in the gate are found. Lengths in pixels of a picture of 1080 lines.

    Attributes:
        enabled: Look for them.
        sensitivity: `low`, `normal`, `high` or `maximum`: how faint a hair may be.
        block: Frames in which a hair must stay.
        around_px: Side of the window that a hair does not fill.
        thick_px: Thickest hair.
        shortest_px: Shortest hair.
        longest_px: Longest hair.
        edge_px: A hair reaches so near to the edge of the picture window.
        moved_px: The scene must move so much over the block.
    """

    enabled: bool = True
    sensitivity: str = "normal"
    block: int = 12
    around_px: float = 9.0
    thick_px: float = 4.0
    shortest_px: float = 40.0
    longest_px: float = 400.0
    edge_px: float = 4.0
    moved_px: float = 12.0

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.sensitivity not in _CONTRAST:
            known = ", ".join(_CONTRAST)
            raise ConfigError(f"sensitivity must be one of {known}, not {self.sensitivity!r}")
        if not 6 <= self.block <= 48:
            raise ConfigError(f"block must be 6 to 48, not {self.block}")
        for name in ("around_px", "thick_px", "shortest_px", "longest_px", "edge_px", "moved_px"):
            if not 1 <= getattr(self, name) <= 2000:
                raise ConfigError(f"{name} must be 1 to 2000, not {getattr(self, name)}")


class HairDetector:
    """Finds hairs in the gate.

    Memory: two counts for each pixel, over a block and the one before. Lookahead: a block. At a
    cut: dropped.

    Attributes:
        before: Frames before the one in question.
        after: Frames after it.

    Args:
        config: How hairs are found.
        pane: How the picture window is found.
    """

    before = 0

    def __init__(self, config: HairConfig | None = None, pane: PaneConfig | None = None) -> None:
        self._config = config or HairConfig()
        self._pane = pane or PaneConfig()
        self.after = self._config.block - 1

    def begin(self) -> Callable[[Window], list[Spot]]:
        """See `Detector`."""
        if not self._config.enabled:
            return lambda _: []
        return _Shot(self._config, self._pane)


@dataclass(slots=True, eq=False)
class _Block:
    """What stayed in some frames.

    Attributes:
        dark: (H, W) in how many of them a pixel is darker than its surroundings.
        bright: The same for brighter.
        frames: How many they are, repeats left out.
        steps: (h, w, 2) motion of the scene between them, in pixels, on a coarse grid.
    """

    dark: Bytes
    bright: Bytes
    frames: int = 0
    steps: list[Floats] = field(default_factory=list)

    def move(self, link: Link, width: int) -> None:
        """Add the step between two frames."""
        scale = np.float32(-width / link.back.shape[1])
        self.steps.append(link.back[_COARSE // 2 :: _COARSE, _COARSE // 2 :: _COARSE] * scale)

    def ways(self) -> Floats:
        """(n, h, w, 2) how far the scene has gone after each step, pixels."""
        return np.cumsum(np.stack(self.steps), axis=0, dtype=np.float32)


class _Shot:
    def __init__(self, config: HairConfig, pane: PaneConfig) -> None:
        self._config, self._pane_config = config, pane
        self._pane: Pane | None = None
        self._last: _Block | None = None
        self._spots: list[Spot] = []

    def __call__(self, window: Window) -> list[Spot]:
        window = narrowed(window, 0, self._config.block - 1)
        if self._pane is None:
            planes = [one.plane for one in window.frames]
            bits = window.frame.info.color.bits
            self._pane = picture_window(planes, bits, self._pane_config)
        if window.frame.place % self._config.block == 0:
            ahead = window.frames[window.at : window.at + self._config.block]
            block = self._count(ahead)
            whole = block
            if block.frames < self._config.block and self._last is not None:
                whole = _joined(self._last, block)
            self._last = block
            self._spots = self._hairs(whole, window.frame)
        return self._spots

    def _count(self, frames: Sequence[Frame]) -> _Block:
        shape = frames[0].plane.shape
        block = _Block(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))
        for number, frame in enumerate(frames):
            if frame.link is not None and frame.link.same:
                continue
            block.frames += 1
            if number and frame.link is not None:
                block.move(frame.link, shape[1])
            plane, unit, side = _at_depth(frame, self._config.around_px)
            least = _CONTRAST[self._config.sensitivity] * unit
            kernel = np.ones((side, side), np.uint8)
            for counts, kind in (
                (block.bright, cv2.MORPH_TOPHAT),
                (block.dark, cv2.MORPH_BLACKHAT),
            ):
                over = cast(Array, cv2.morphologyEx(plane, kind, kernel))
                counts += over > _usual(over) + max(least, _GRAIN * _spread(over))
        return block

    def _hairs(self, block: _Block, frame: Frame) -> list[Spot]:
        config, pane = self._config, self._pane
        assert pane is not None
        scale = len(frame.plane) / _SCAN_LINES
        if block.frames < config.block or not block.steps:
            return []
        ways = block.ways()
        extent = np.linalg.norm(ways.max(axis=0) - ways.min(axis=0), axis=2)
        if float(np.mean(extent < config.moved_px * scale)) > _STANDING:
            return []
        spots = []
        for counts in (block.dark, block.bright):
            stays = (counts > block.frames // 2) & pane.inside
            if np.count_nonzero(stays) <= _SPARSE * stays.size:
                spots += self._thin(counts, stays, pane, block)
        return spots

    def _thin(self, counts: Bytes, stays: Hole, pane: Pane, block: _Block) -> list[Spot]:
        """What is thin and hangs from the edge of the picture window."""
        config, scale = self._config, len(stays) / _SCAN_LINES
        count, labels, stats, _ = cv2.connectedComponentsWithStats(stays.astype(np.uint8))
        framed = np.pad(pane.inside.astype(np.uint8), 1)
        depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[1:-1, 1:-1]
        spots = []
        for number in range(1, count):
            left, top, width, height, _ = (int(value) for value in stats[number])
            length = np.hypot(width, height) / scale
            if not config.shortest_px <= length <= config.longest_px:
                continue
            place = np.s_[top : top + height, left : left + width]
            hole = np.asarray(labels[place] == number)
            reach = depth[place][hole]
            hangs = reach.min() <= 1 + config.edge_px * scale
            if not hangs or reach.max() < config.shortest_px * scale / 2:
                continue
            thin = _thickness(hole) <= max(_LEAST_THICK_PX, config.thick_px * scale)
            if not thin or width < _SCRATCH_LEAN * height:
                continue
            if float(counts[place][hole].mean()) < _OFTEN * block.frames:
                continue
            away = _way(block.ways(), (left, top, width, height), stays.shape)
            if float(np.hypot(*away)) < config.moved_px * scale or _slides(hole, away, scale):
                continue
            spots.append(_grown(hole, top, left, pane))
        return [spot for spot in spots if spot is not None]


def _thickness(hole: Hole) -> float:
    """Of the thickest part, in pixels."""
    within = cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, 3)
    return 2 * float(within.max()) - 1


def _way(
    ways: Floats, box: tuple[int, int, int, int], size: tuple[int, ...]
) -> tuple[float, float]:
    """Longest way (x, y) that the scene around a box of (left, top, width, height) went, pixels."""
    rows, columns = ways.shape[1:3]
    down, across = rows / size[0], columns / size[1]
    top, bottom = int(box[1] * down) - _BESIDE, int((box[1] + box[3]) * down) + _BESIDE + 1
    left, right = int(box[0] * across) - _BESIDE, int((box[0] + box[2]) * across) + _BESIDE + 1
    part = ways[:, max(0, top) : bottom, max(0, left) : right]
    path = np.concatenate([np.zeros((1, 2)), np.median(part, axis=(1, 2))])
    steps = path[:, None] - path[None]
    longest = np.unravel_index(int(np.argmax((steps**2).sum(axis=2))), steps.shape[:2])
    x, y = steps[longest]
    return float(x), float(y)


def _slides(hole: Hole, away: tuple[float, float], scale: float) -> bool:
    """Whether a thing lies along the scene's way, so that it covers itself when it moves.

    An edge of the scene that does so stays in the same place of the frame, as a hair would.
    """
    part = max(_SLIDE_PX * scale, _LEAST_SLIDE_PX) / max(float(np.hypot(*away)), 1e-6)
    x, y = round(abs(away[0]) * part), round(abs(away[1]) * part)
    turned = hole if away[0] * away[1] >= 0 else hole[:, ::-1]
    if y >= turned.shape[0] or x >= turned.shape[1]:
        return False
    again = turned[y:, x:] & turned[: turned.shape[0] - y, : turned.shape[1] - x]
    return bool(np.count_nonzero(again) > _SLIDES * np.count_nonzero(hole))


def _grown(hole: Hole, top: int, left: int, pane: Pane) -> Spot | None:
    """The spot of a hair with its soft edge, a pixel."""
    up, ahead = min(1, top), min(1, left)
    grown = cv2.dilate(
        np.pad(hole, ((up, 1), (ahead, 1))).astype(np.uint8), np.ones((3, 3), np.uint8)
    )
    top, left = top - up, left - ahead
    grown = grown[: len(pane.inside) - top, : pane.inside.shape[1] - left]
    inside = pane.inside[top : top + len(grown), left : left + grown.shape[1]]
    return trimmed("hair", (top, left), (grown > 0) & inside, _SURE, "accepted")


def _at_depth(frame: Frame, around_px: float) -> tuple[Array, int, int]:
    """The plane with ten bits at most, its codes to a cv, and the side of the surroundings."""
    side = max(_LEAST_SIDE_PX, round(around_px * len(frame.plane) / _SCAN_LINES / 2) * 2 + 1)
    plane, bits = frame.plane, frame.info.color.bits
    if bits > 8:
        plane = (plane >> max(0, bits - _BITS)).astype(np.int16)
    return plane, 1 << (min(bits, _BITS) - 8), side


def _usual(over: Array) -> float:
    return float(np.median(over[::8, ::8]))


def _spread(over: Array) -> float:
    """Robust standard deviation."""
    some = over[::8, ::8].astype(np.float32)
    return float(np.median(np.abs(some - np.median(some)))) * _MAD


def _joined(first: _Block, second: _Block) -> _Block:
    return _Block(
        first.dark + second.dark,
        first.bright + second.bright,
        first.frames + second.frames,
        first.steps + second.steps,
    )
