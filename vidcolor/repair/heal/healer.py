"""Heals holes: with what other frames show, else with what the surroundings suggest.

The order of section 13 of the restoration rules: other frames along the motion first, then the
patch of the frame before (so that what must be made up does not boil), then a line through which
the picture shines, then interpolation across thin lines, then the fill. Grain comes last.

Reference: Kokaram, Motion Picture Restoration, Springer 1998 (missing data between motion
compensated neighbors).

Differs: a source is not refused because forward and backward flow disagree: under damage they do
even where the source is right. How well it fits on the ring around the hole decides alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError
from vidcolor.records import FrameBatch
from vidcolor.repair.heal.fill import Fill
from vidcolor.repair.heal.paths import Paths
from vidcolor.repair.heal.regrain import Grain, GrainMeter
from vidcolor.repair.heal.rest import Rest
from vidcolor.repair.heal.sources import View, ring_sigma
from vidcolor.repair.heal.temporal import Reach, temporal
from vidcolor.repair.heal.wounds import Tile, Wound, wounds
from vidcolor.repair.records import Hole, Kind, Marked, Repaired
from vidcolor.repair.window import Frame, Window, each_marked

__all__ = ["Heal", "HealConfig"]

_log = logging.getLogger(__name__)
Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_TILE_PX = 96
_STAYING: frozenset[Kind] = frozenset({"scratch", "burn", "hair", "user"})  # or may well


@dataclass(frozen=True, slots=True)
class HealConfig:
    """How holes are healed.

    Attributes:
        strength: How much of the repair is laid over the damage, 0 (nothing) to 1.
        grain: Give patches the grain of the shot.
        near_frames: Different pictures on each side in which a hole's content is looked for, 1
            to 12.
        far_frames: The same for what may stay at its place (scratches, burns, hairs, your own
            holes) and where nothing moves, up to 48.
        shine_through: Where the picture shows through a line, take the line off it rather than
            make up what is behind.
    """

    strength: float = 1.0
    grain: bool = True
    near_frames: int = 4
    far_frames: int = 12
    shine_through: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength must be 0 to 1, not {self.strength}")
        if not 1 <= self.near_frames <= 12:
            raise ConfigError(f"near_frames must be 1 to 12, not {self.near_frames}")
        if not self.near_frames <= self.far_frames <= 48:
            raise ConfigError(
                f"far_frames must be near_frames ({self.near_frames}) to 48, not {self.far_frames}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Patched:
    """What becomes of one frame: codes for its holes."""

    patches: tuple[tuple[Tile, Array], ...]

    @property
    def changed(self) -> int:
        return sum(int(np.count_nonzero(tile.hole)) for tile, _ in self.patches)


class Heal:
    """Heals the accepted spots of frames; nothing else changes by a single code.

    Memory: `far_frames` frames on each side of the one in work; where patches were made up in the
    frame before; grain of the shot. Lookahead: `far_frames`. At a cut: all dropped, nothing is
    taken from another shot.

    Args:
        config: How.
        fill: For what no other frame shows.
    """

    def __init__(self, config: HealConfig, fill: Fill) -> None:
        self._config, self._fill = config, fill

    def __call__(self, marked: Iterable[Marked]) -> Iterator[Repaired]:
        """The frames, healed; frames without accepted spots are the tensors that came."""
        far = self._config.far_frames
        for batch, results in each_marked(marked, far, far, self._begin):
            yield Repaired(
                _composed(batch.frames, results), batch, tuple(one.changed for one in results)
            )

    def _begin(self) -> Callable[[Window], _Patched]:
        return _Shot(self._config, self._fill).heal


def _composed(frames: FrameBatch, results: list[_Patched]) -> FrameBatch:
    """Codes of patches laid into copies; that nothing else changed is checked frame by frame."""
    if not any(one.patches for one in results):
        return frames
    luma = frames.luma.clone()
    planes = luma[:, 0].numpy()
    for i, one in enumerate(results):
        if not one.patches:
            continue
        allowed = np.zeros(planes[i].shape, np.bool_)
        for tile, codes in one.patches:
            planes[i][tile.place][tile.hole] = codes
            allowed[tile.place] |= tile.hole
        outside = int(np.count_nonzero((planes[i] != frames.luma[i, 0].numpy()) & ~allowed))
        assert outside == 0, f"repair changed {outside} pixels outside the holes"
        _log.debug(
            "frame %d: %d pixels may change, none outside changed", frames.index + i, one.changed
        )
    return replace(frames, luma=luma)


class _Shot:
    """Heals the frames of one shot in order."""

    def __init__(self, config: HealConfig, fill: Fill) -> None:
        self._config = config
        self._wounds: dict[int, tuple[Wound, ...]] = {}
        self._paths = Paths(self._find)
        self._measure = GrainMeter(self._paths, self._find)
        self._rest = Rest(fill, self._paths, self._find, config.shine_through)
        self._reach = Reach(config.near_frames, config.far_frames)
        self._last: tuple[Frame, _Patched] | None = None
        self._first_of_run = 0

    def _find(self, frame: Frame) -> tuple[Wound, ...]:
        found = self._wounds.get(frame.place)
        if found is None:
            found = wounds(frame, _TILE_PX)
            self._wounds[frame.place] = found
        return found

    def heal(self, window: Window) -> _Patched:
        """One frame."""
        frame = window.frame
        if frame.link is None or not frame.link.same:
            self._first_of_run = frame.place
        result = self._copied(frame)
        if result is None:
            result = self._healed(window)
        self._last = (frame, result)
        oldest = window.frames[0].place
        self._paths.forget(oldest)
        for place in [p for p in self._wounds if p < oldest]:
            del self._wounds[place]
        return result

    def _copied(self, frame: Frame) -> _Patched | None:
        """The result of the frame before, where this one repeats it, damage and all."""
        if self._last is None or frame.link is None or not frame.link.same:
            return None
        before, result = self._last
        if not np.array_equal(before.plane, frame.plane):
            return None
        mine, its = self._find(frame), self._find(before)
        same = len(mine) == len(its) and all(
            a.tiles[0].box == b.tiles[0].box and a.area == b.area
            for a, b in zip(mine, its, strict=True)
        )
        if same:
            self._rest.repeated(frame)
        return result if same else None

    def _healed(self, window: Window) -> _Patched:
        frame = window.frame
        found = self._find(frame)
        if not found or self._config.strength == 0:
            self._rest.nothing()
            return _Patched(())
        grain = self._measure(window)
        tiles = [tile for wound in found for tile in wound.tiles]
        sigma = ring_sigma(frame.info.height)
        canvas = frame.gray()
        kept = np.zeros(canvas.shape, np.float16)
        left = np.zeros(canvas.shape, np.bool_)
        views: list[tuple[Tile, View]] = []
        for wound in found:
            stays = not _STAYING.isdisjoint(wound.kinds)
            for tile in wound.tiles:
                view = View(frame, tile, tiles, sigma)
                filling = temporal(
                    view, window, self._paths, self._find, grain.sigma, self._reach, stays
                )
                canvas[view.place][filling.found] = filling.values[filling.found]
                kept[view.place][filling.found] = filling.kept[filling.found]
                left[view.place] |= view.hole & ~filling.found
                views.append((tile, view))
        if left.any():
            canvas = self._rest.fill(window, canvas, left, views, grain.sigma)
        else:
            self._rest.nothing()
        return _Patched(
            tuple(
                (tile, self._codes(view, tile, canvas, kept, left, grain)) for tile, view in views
            )
        )

    def _codes(
        self, view: View, tile: Tile, canvas: Floats, kept: Array, left: Hole, grain: Grain
    ) -> Array:
        """Codes for the pixels of a tile's hole, with grain, at the depth of the source."""
        frame = view.frame
        values = canvas[tile.place]
        if self._config.grain and grain.visible:
            lacking = 1 - kept[tile.place].astype(np.float32)
            made_up = left[tile.place]
            if made_up.any():
                lacking = np.where(made_up, np.float32(grain.lacking(values, made_up)), lacking)
            # by place in the shot: repeats of a frame get the same grain, parts of films too
            noise = grain.noise(tile.hole.shape, self._first_of_run, tile.top, tile.left)
            values = values + noise * grain.level(values) * np.sqrt(np.maximum(lacking, 0))
        source = frame.plane[tile.place][tile.hole]
        old = source.astype(np.float32)
        mixed = old + np.float32(self._config.strength) * (
            values[tile.hole] * np.float32(frame.unit) - old
        )
        low, high = _span(view)
        return np.clip(np.rint(mixed), low, high).astype(source.dtype)


def _span(view: View) -> tuple[int, int]:
    """Least and largest code for a repair: the range of the film, and what lies beside the hole."""
    spec = view.frame.info.color
    beside = view.frame.plane[view.place][~view.damaged]
    if not beside.size:
        return spec.black, spec.white
    return min(spec.black, int(beside.min())), max(spec.white, int(beside.max()))
