"""Color of a frame that has hints of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from vidcolor.guidance.hints.levin import solve_known, spread
from vidcolor.guidance.hints.marks import Area, FrameMarks, Strokes
from vidcolor.guidance.hints.reach import Terrain, falloff

__all__ = ["HintedFrame", "solve_frame"]

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

_SURE = 0.4  # share of the way to the nearest other color, up to which the nearer one has it
_MOST_COLORS = 24  # colors told apart by their ways; more are left to the solve alone
_EPSILON = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class HintedFrame:
    """What hints say of their own frame.

    Attributes:
        ab: (2, h, w) a*b*.
        weight: (h, w) in 0..1: how far the color reaches; 1 at the cells that the person has hit,
            with `ab` as said.
        stop: (h, w) in 0..1: how far the automatic color is asked for.
    """

    ab: Floats
    weight: Floats
    stop: Floats


def solve_frame(guide: Floats, noise: float, marks: FrameMarks, terrain: Terrain) -> HintedFrame:
    """Spread the hints of a frame over what they mean.

    How far a hint reaches is told by the cheapest way to each cell (`reach`). A cell that is much
    nearer to one color than to any other has that color; between them the equations of Levin et
    al. decide, and between strokes of the same picture.

    Args:
        guide: (h, w) L* without grain.
        noise: Deviation of the grain in L*.
        marks: The hints.
        terrain: What it costs to spread over the guide.
    """
    frame = _spread_strokes(guide, noise, marks.strokes, terrain)
    for area in marks.areas:
        frame = _lay(frame, area, _soft(area, terrain))
    return frame


def _soft(area: Area, terrain: Terrain) -> Floats:
    """(h, w) in 0..1: the border of an area where luma has an edge near it."""
    if not area.outside.any():
        return np.ones(terrain.guide.shape, np.float32)
    inward = terrain.distance(area.core, np.inf)
    outward = terrain.distance(area.outside, np.inf)
    share = outward / np.maximum(inward + outward, 1e-6)
    x = np.clip((share - 0.35) / 0.3, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


def _lay(frame: HintedFrame, area: Area, soft: Floats) -> HintedFrame:
    ab, weight = frame.ab.copy(), frame.weight.copy()
    share = soft * (not area.leaves)
    total = share + (1 - soft) * weight
    for i in range(2):
        mixed = share * area.ab[i] + (1 - soft) * weight * ab[i]
        ab[i] = np.where(total > _EPSILON, mixed / np.maximum(total, _EPSILON), ab[i])
    stop = frame.stop * (1 - soft) + soft * area.leaves
    return HintedFrame(ab, total.astype(np.float32), stop.astype(np.float32))


def _spread_strokes(
    guide: Floats, noise: float, strokes: list[Strokes], terrain: Terrain
) -> HintedFrame:
    shape = guide.shape
    if not strokes:
        zero = np.zeros(shape, np.float32)
        return HintedFrame(np.zeros((2, *shape), np.float32), zero, zero)
    known = np.full(shape, -1)
    for number, stroke in enumerate(strokes):  # the later of two strokes lies on top
        known[stroke.cells] = number
    ways = [_way(terrain, stroke, known == n) for n, stroke in enumerate(strokes)]
    nearest = np.min(ways, axis=0)
    fixed = known.copy()
    if len(strokes) <= _MOST_COLORS:
        _claim(fixed, strokes, ways)
    values = _values(fixed, strokes)
    reached = np.isfinite(nearest) & (nearest < 1)
    places = np.flatnonzero(reached)
    solved = np.zeros((guide.size, 3))
    if places.size:
        weights = _within(spread(guide / 100, None, (noise / 100) ** 2), places)
        solved[places] = solve_known(weights, fixed.ravel()[places] >= 0, values[places])
    a, b, share = (solved[:, i].reshape(shape) for i in range(3))
    safe = np.maximum(share, _EPSILON)
    fall = falloff(nearest)
    return HintedFrame(
        np.stack((np.where(share > _EPSILON, a / safe, 0), np.where(share > _EPSILON, b / safe, 0)))
        .astype(np.float32),
        (fall * share).astype(np.float32),
        (fall * (1 - share)).astype(np.float32),
    )  # fmt: skip


def _way(terrain: Terrain, stroke: Strokes, cells: Flags) -> Floats:
    """(h, w) cost of the way from a stroke, 1 where its reach ends."""
    if stroke.reach == 0:
        return np.where(cells, 0, np.inf).astype(np.float32)
    # of what is painted in many colors nobody knows which luma means which
    way: Floats = terrain.distance(cells, stroke.reach, alike=stroke.ab.ndim == 1)
    way /= np.float32(stroke.reach)
    if stroke.within is not None:
        way = np.where(stroke.within | cells, way, np.float32(np.inf))
    return way


def _claim(fixed: npt.NDArray[Any], strokes: list[Strokes], ways: list[Floats]) -> None:
    """Give cells to a color that is much nearer than all others."""
    labels: dict[tuple[float, ...], int] = {}
    groups: dict[int, Floats] = {}
    for number, stroke in enumerate(strokes):
        plain = stroke.ab.ndim == 1
        key = (*stroke.ab.tolist(), stroke.leaves) if plain else (float(number), 0.0, 0.0, 1.0)
        label = labels.setdefault(key, number)
        groups[label] = np.minimum(groups[label], ways[number]) if label in groups else ways[number]
    for label, way in groups.items():
        if strokes[label].ab.ndim > 1:
            continue  # painted in many colors: which one is nearer is not known here
        others = [other for name, other in groups.items() if name != label]
        rival = np.min(others, axis=0) if others else np.full(way.shape, np.inf)
        fixed[(fixed < 0) & (way < 1) & (way <= _SURE * rival)] = label


def _values(fixed: npt.NDArray[Any], strokes: list[Strokes]) -> npt.NDArray[np.float64]:
    """(P, 3): a*, b* and 1, all times whether there is color, of the cells that have one."""
    values = np.zeros((3, *fixed.shape))
    for number, stroke in enumerate(strokes):
        cells = fixed == number
        if stroke.leaves:
            continue
        ab = stroke.ab[:, cells] if stroke.ab.ndim > 1 else stroke.ab[:, None]
        values[:2, cells] = ab
        values[2, cells] = 1
    return np.asarray(values.reshape(3, -1).T)


def _within(weights: Any, places: npt.NDArray[Any]) -> Any:
    """The part of a graph among some pixels, its rows again adding up to one."""
    part = sparse.csr_array(weights[places][:, places])
    total = np.asarray(part.sum(axis=1)).ravel()
    return sparse.csr_array(sparse.diags_array(1 / np.where(total > 0, total, 1)) @ part)
