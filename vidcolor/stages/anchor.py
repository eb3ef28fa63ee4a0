"""Keeps the color of a place from drifting through a shot.

What a network makes of a wall depends on what else is in the picture: as people come and go and
the camera turns, its color slides, too slowly for a filter that looks a second around. Here the
low frequencies of a*b* are held to what they were when the place was first seen.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.errors import ConfigError
from vidcolor.ops.flow import FlowPreset, as_gray, dis_flow
from vidcolor.ops.median import median_of
from vidcolor.records import Chroma, Colored
from vidcolor.stages.motion_planes import Matrix, fit_camera
from vidcolor.stages.saturation import Saturation
from vidcolor.stages.scene import LEAST_SIDE, Floats, SceneMap, scaled

__all__ = ["Anchor", "AnchorConfig"]

Bytes = npt.NDArray[np.uint8]

_LAYER = 4  # planes of a layer of the map: L*, a*, b*, count
_LAYERS = 2  # looks that a place may have, in turn
_STRANGE = 0.1  # a place that resembles a look less has another
_LIGHT_LEARNS = 100  # frames over which the lightness of a look follows slow changes
_SURE = 1e-3
_LEAST_FOLLOWS = 0.2  # of the picture must move with the camera, or it has none
_GRID_PX = 8


@dataclass(frozen=True, slots=True)
class AnchorConfig:
    """How firmly a place keeps its color through a shot.

    Attributes:
        enabled: Hold the color of places.
        strength: Part of the drift that is taken back, 0 to 1.
        cell_px: Side of a cell of the map, in pixels of the network's picture.
        learn_frames: A place's color is the mean of its first so many frames.
        hold_frames: After that it follows the network's with this time constant.
        tau: Change of lightness, in L*, at which a place begins to be another.
        limit: Change of a*b* at which it begins to be another, whatever its lightness.
        pulse: Change of exposure of the whole picture, in L*, that is none of the place.
        spread_cells: How far a correction reaches into places that are not known yet.
        reach: Sides of the map, in sides of the picture.
        gain_most: Largest gain that keeps the mean chroma of a shot; 1 is off.
    """

    enabled: bool = True
    strength: float = 1.0
    cell_px: int = 4
    learn_frames: int = 20
    hold_frames: int = 3000
    tau: float = 4.0
    limit: float = 30.0
    pulse: float = 6.0
    spread_cells: float = 0.0
    reach: int = 5
    gain_most: float = 1.25

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"anchor.strength is {self.strength}, expected 0 to 1")
        if not 1 <= self.cell_px <= 64:
            raise ConfigError(f"anchor.cell_px is {self.cell_px}, expected 1 to 64")
        if not 1 <= self.learn_frames <= self.hold_frames <= 1_000_000:
            raise ConfigError(
                "1 <= learn_frames <= hold_frames <= 1000000 is needed, not "
                f"{self.learn_frames} and {self.hold_frames}"
            )
        for name in ("tau", "limit"):
            if not 0 < getattr(self, name) <= 100:
                raise ConfigError(f"anchor.{name} is {getattr(self, name)}, expected over 0 to 100")
        for name in ("pulse", "spread_cells"):
            if not 0 <= getattr(self, name) <= 100:
                raise ConfigError(f"anchor.{name} is {getattr(self, name)}, expected 0 to 100")
        if not 1 <= self.gain_most <= 4:
            raise ConfigError(f"anchor.gain_most is {self.gain_most}, expected 1 to 4")
        if not 1 <= self.reach <= 16:
            raise ConfigError(f"anchor.reach is {self.reach}, expected 1 to 16")


class Anchor:
    """Draws the low frequencies of a*b* to what they were at the same place of the scene.

    A coarse map of the scene (`scene.SceneMap`) moves against the camera. Each of its cells knows
    up to two looks: L*, a*b* and for how long it was seen so. A frame's cell x is held against
    the look m that resembles it, `g = exp(-dL^2 / (2 tau^2) - |x - m|^4 / (2 limit^4))`, and the
    color gets `strength * g * (m - x)`, interpolated. So what changes color with its lightness
    (a lamp, a fade, an object that comes in) or changes it grossly is let through, and finds its
    old color again when it changes back. A look is the plain mean of its first `learn_frames`
    and then nearly stands. New places take the correction of those around them, so that color
    slides neither in time nor along a pan.

    `Chroma.flow` is used and, where nobody has looked, made. Colors that are a person's
    (`Chroma.sure`) are not drawn, and taught to the map at once.

    Where less than a fifth of the picture moves as a camera would move it, the map begins anew.

    Memory: the map, `reach**2` frames of cells. Lookahead: none. At a cut everything is
    dropped. Held frames are copies.

    Args:
        config: How firmly.
        flow: Effort for motion, where it is not known yet; that of `stabilize`, which uses it.
    """

    def __init__(self, config: AnchorConfig, flow: FlowPreset = "balanced") -> None:
        self.config = config
        self.flow = flow

    def __call__(self, colored: Iterable[Colored], /) -> Iterator[Colored]:
        """The same batches with anchored color and with flow.

        Raises:
            ValueError: If the color of a shot changes its size.
        """
        shot: _Shot | None = None
        number = -1
        for batch in colored:
            if shot is None or batch.frames.shot != number:
                shot, number = _Shot(self.config, self.flow), batch.frames.shot
            yield replace(batch, chroma=shot.batch(batch.chroma, batch.frames.is_held().tolist()))


class _Shot:
    """The state of one shot."""

    def __init__(self, config: AnchorConfig, preset: FlowPreset) -> None:
        self.config = config
        self.preset = preset
        self.map: SceneMap | None = None
        self.saturation = Saturation(config.gain_most)
        self.gray: Bytes | None = None  # of the last frame that was no repetition
        self.last: tuple[Floats, Floats] | None = None  # its finished a*b*, and its L*

    def batch(self, chroma: Chroma, held: list[bool]) -> Chroma:
        """All frames of a batch."""
        ab, lightness = np.empty(chroma.ab.shape, np.float32), chroma.lightness.numpy()
        if any(held):
            lightness = lightness.copy()
        looked = chroma.flow is not None
        flow = np.zeros(ab.shape, np.float32) if chroma.flow is None else chroma.flow.numpy()
        for i, is_held in enumerate(held):
            if is_held and self.last is not None:
                ab[i], lightness[i] = self.last
                continue
            gray = as_gray(lightness[i, 0])
            if self.gray is not None and self.gray.shape != gray.shape:
                raise ValueError(
                    f"color of a shot changes its size from {self.gray.shape} to {gray.shape}"
                )
            if self.gray is not None and not looked:
                flow[i] = dis_flow(self.gray, gray, self.preset).transpose(2, 0, 1)
            sure = None if chroma.sure is None else chroma.sure[i, 0].numpy()
            ab[i] = self._frame(chroma.ab[i].numpy(), lightness[i, 0], sure, gray, flow[i])
            self.gray, self.last = gray, (ab[i], lightness[i])
        if self.last is not None:
            # apart from the batch, which would stay in memory with it
            self.last = self.last[0].copy(), self.last[1].copy()
        return replace(
            chroma,
            ab=torch.from_numpy(ab),
            lightness=torch.from_numpy(lightness),
            flow=torch.from_numpy(flow),
        )

    def _frame(
        self, ab: Floats, lightness: Floats, sure: Floats | None, gray: Bytes, flow: Floats
    ) -> Floats:
        """(2, h, w) anchored a*b* of a frame."""
        height, width = lightness.shape
        rows, columns = (max(2, round(side / self.config.cell_px)) for side in lightness.shape)
        cells = height / rows, width / columns
        planes = [lightness, ab[0], ab[1], *([] if sure is None else [sure])]
        small = cv2.resize(cv2.merge(planes), (columns, rows), interpolation=cv2.INTER_AREA)
        small = cast(Floats, cv2.blur(small, (3, 3), borderType=cv2.BORDER_REPLICATE))
        camera, fits = np.eye(3), True
        if self.gray is not None and min(gray.shape) >= LEAST_SIDE:
            moved = flow.transpose(1, 2, 0)
            camera, fits = fit_camera(moved, self.gray, gray)
            fits = fits and _follows(moved, camera) > _LEAST_FOLLOWS
        if self.map is None or not fits:
            # where no movement of a camera is to be seen, nobody knows what place is which
            self.map = SceneMap((rows, columns), _LAYER * _LAYERS, _LAYER, self.config.reach)
        elif self.gray is not None:
            to_cells = scaled(1 / cells[1], 1 / cells[0])
            self.map.move(to_cells @ camera @ np.linalg.inv(to_cells), small[..., 0])
        part = self.map.part()
        edge = _edge(rows, columns)
        seen = np.empty((rows, columns, len(planes) + 1), np.float32)
        np.multiply(small[..., :3], edge[..., None], out=seen[..., :3])
        seen[..., 3] = edge
        if sure is not None:
            np.multiply(small[..., 3], edge, out=seen[..., 4])
        view = self.map.planes[part.rows, part.columns]
        correction = part.lift(self._learn(view, part.lay(seen)), (height, width), cells)
        a, b, weight = cast(tuple[Floats, ...], cv2.split(correction))[:3]
        # cells beyond the border know nothing, and must not weaken those within
        np.maximum(weight, np.float32(_SURE), out=weight)
        share = np.float32(self.config.strength) / weight
        change = np.empty_like(ab)
        np.multiply(a, share, out=change[0])
        np.multiply(b, share, out=change[1])
        if sure is not None:
            change *= 1 - sure
        change += ab
        return self.saturation.restore(ab, change)

    def _learn(self, view: Floats, laid: Floats) -> Floats:
        """(rows, columns, 4) correction of the cells of `view`, which lie in the frame, and 0.

        `view` is a part of the map and learns from the frame that was `laid` on it: L*, a*, b*,
        weight, and how far it is a person's, where any is.
        """
        config = self.config
        # plane by plane, while the map and the frame have all values of a cell together
        shown, known = _planes(laid), _planes(view)
        weight = shown[3]
        inside = weight > np.float32(_SURE)
        scale = 1 / np.maximum(weight, np.float32(_SURE))
        now = shown[:3] * scale
        told = shown[4] * scale if len(shown) > 4 else np.float32(0)
        looks = [known[i : i + _LAYER] for i in range(0, len(known), _LAYER)]
        now[0] -= np.float32(self._pulse(looks, now, inside))
        alike = [self._alike(look, now) * inside for look in looks]
        second = alike[1] > alike[0]
        gate = np.where(second, alike[1], alike[0])
        look = np.where(second, looks[1], looks[0])
        count = look[3]
        away = look[1:3] - now[1:]
        trust = gate * np.minimum(count / np.float32(config.learn_frames), 1)
        around = self._around(away, trust)
        # OpenCV moves four planes in half the time of three
        correction = np.zeros((4, *weight.shape), np.float32)
        np.multiply(trust * away + (1 - trust) * around, inside, out=correction[:2])
        correction[2] = inside

        # what a look learns: the color as it will be seen, a person's as it is
        youth = 1 - np.minimum(count / np.float32(config.learn_frames), 1)
        wanted = now[1:] + youth * (1 - told) * around
        amount = weight * gate
        total = np.minimum(count + amount, np.float32(config.hold_frames))
        young = total < config.learn_frames
        rate = amount / np.where(young, np.maximum(total, 1), np.float32(config.hold_frames))
        rate = np.maximum(rate, told)
        learned = np.empty_like(look)
        faster = np.maximum(rate, amount / np.float32(_LIGHT_LEARNS))
        learned[0] = look[0] + faster * (now[0] - look[0])
        learned[1:3] = look[1:3] + rate * (wanted - look[1:3])
        learned[3] = np.maximum(total, told * np.float32(config.learn_frames))

        # a look that nobody knows takes the place of the one that was seen for less
        strange = (gate < np.float32(_STRANGE)) & (weight > np.float32(0.25))
        weaker = looks[1][3] < looks[0][3]
        fresh = np.concatenate((now[:1], wanted, weight[None]))
        usual = inside & ~strange
        for i, layer in enumerate(looks):
            np.copyto(layer, learned, where=usual & (second if i else ~second))
            np.copyto(layer, fresh, where=strange & (weaker if i else ~weaker))
        view[:] = known.transpose(1, 2, 0)
        return np.ascontiguousarray(correction.transpose(1, 2, 0))

    def _pulse(self, looks: list[Floats], now: Floats, inside: npt.NDArray[np.bool_]) -> float:
        """By how much the whole picture is lighter than the map has it."""
        most = np.where(looks[1][3] > looks[0][3], looks[1][0], looks[0][0])
        there = inside & (np.maximum(looks[0][3], looks[1][3]) >= 1)
        if not there.any():
            return 0.0
        pulse = median_of((now[0] - most).compress(there.ravel()))
        return min(self.config.pulse, max(-self.config.pulse, pulse))

    def _alike(self, look: Floats, now: Floats) -> Floats:
        """(h, w) in 0..1: whether a cell has this look."""
        difference = now - look[:3]
        difference *= difference
        light = difference[0] * np.float32(-0.5 / self.config.tau**2)
        color = difference[1] + difference[2]
        color *= np.float32(1 / self.config.limit**2)
        distance = light - np.float32(0.5) * color * color
        return cast(Floats, np.exp(distance) * (look[3] > 0))

    def _around(self, away: Floats, trust: Floats) -> Floats:
        """(2, h, w) correction that the neighborhood agrees on, less of it far from any."""
        if self.config.spread_cells == 0:
            return np.zeros_like(away)
        sigma = self.config.spread_cells
        both = cast(Floats, cv2.merge((*(away * trust), trust)))
        both = cast(Floats, cv2.GaussianBlur(both, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))
        both = _planes(both)
        return cast(Floats, both[:2] / (both[2] + np.float32(0.05)))


def _planes(cells: Floats) -> Floats:
    """(C, h, w) copy of (h, w, C)."""
    return cells.transpose(2, 0, 1).copy()


def _follows(flow: Floats, camera: Matrix) -> float:
    """Part of the picture that moves with the camera, within a pixel."""
    here = _grid(*flow.shape[:2])
    away = here @ (camera - np.eye(3))[:2].T - flow[::_GRID_PX, ::_GRID_PX].reshape(-1, 2)
    away *= away
    return np.count_nonzero(away[:, 0] + away[:, 1] < 1) / len(away)


@functools.lru_cache(maxsize=4)
def _grid(height: int, width: int) -> Matrix:
    """(n, 3) column, row and 1 of every few pixels."""
    rows, columns = np.mgrid[0:height:_GRID_PX, 0:width:_GRID_PX].reshape(2, -1)
    grid = np.stack((columns, rows, np.ones_like(rows)), axis=1).astype(np.float64)
    grid.flags.writeable = False
    return grid


@functools.lru_cache(maxsize=4)
def _edge(rows: int, columns: int) -> Floats:
    """(rows, columns) weight of samples: a network sees little of what surrounds the border."""
    down, across = (
        np.minimum(np.arange(n) + 1, n - np.arange(n)) / max(1.0, n / 12) for n in (rows, columns)
    )
    edge = np.minimum(np.minimum(down[:, None], across[None]), 1).astype(np.float32)
    edge.flags.writeable = False
    return edge
