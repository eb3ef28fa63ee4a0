"""Where and when marks lie on a film: what stays is drawn once, what comes and goes by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vidcolor.holes import film_marks
from vidcolor.holes.film_marks import Look, Mark
from vidcolor.holes.film_settings import FilmDamage
from vidcolor.holes.film_wear import LINES
from vidcolor.holes.outlines import Floats, thread

__all__ = ["FilmPlan"]

_STAY, _FRAME, _SPLICE, _BURN = 1, 2, 4, 5
"""Last word of a seed: streams that must not run in step."""

_LEAN = float(np.tan(np.radians(0.5)))
_APART_PX = (2.0, 9.0)
_SPLICE_FRAMES = 3
_BURN_FRAMES = (3, 12)
_BAND = (0.02, 0.12)
_BURNT = (0.005, 0.12)
_MARK_OPACITY = (0.8, 1.0)
_SATURATED = ((0.0, 6.0), (249.0, 255.0))
_AT_EDGE = 0.7
_WAVER_PX = 0.15


@dataclass(frozen=True, slots=True)
class _Scratch:
    """A line that stays.

    Attributes:
        x: Column at mid-height in the first frame.
        lean: Columns to the right for each row down.
        speed: Columns a frame.
        width: Across.
        opacity: At its strongest.
        level: Brightness in cv.
        ends: First row and the row after its last.
        number: Which of the scratches it is.
    """

    x: float
    lean: float
    speed: float
    width: float
    opacity: float
    level: float
    ends: tuple[float, float]
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class _GateHair:
    points: Floats
    thickness: float
    look: Look


def _between(ends: Sequence[float], rng: np.random.Generator) -> float:
    return rng.uniform(ends[0], ends[1])


class FilmPlan:
    """All the damage of a film of one size.

    Args:
        config: Which damage.
        seed: At least 0.
        size: Height and width of frames.

    Attributes:
        size: As given.
    """

    def __init__(self, config: FilmDamage, seed: int, size: tuple[int, int]) -> None:
        self.size = size
        self._config = config
        self._seed = seed
        self._unit = size[0] / LINES
        rng = np.random.default_rng((seed, _STAY))
        self._scratches = self._draw_scratches(rng)
        self._gate_hairs = [self._draw_gate_hair(rng) for _ in range(config.gate_hairs)]

    def marks(self, number: int) -> Iterator[Mark]:
        """Marks of a frame, from 0, lowest first."""
        rng = np.random.default_rng((self._seed, number, _FRAME))
        found = [
            *self._dust(rng),
            *(self._streak(one, number, rng) for one in self._scratches),
            *(self._hanging(one, rng) for one in self._gate_hairs),
            *self._splices(number),
            *self._burns(number),
        ]
        return (mark for mark in found if mark is not None)

    def _level(self, rng: np.random.Generator) -> float:
        light = rng.random() < self._config.bright
        return _between(self._config.light if light else self._config.dark, rng)

    def _somewhere(self, rng: np.random.Generator) -> Floats:
        return rng.uniform((0, 0), (self.size[1], self.size[0]))

    def _dust(self, rng: np.random.Generator) -> Iterator[Mark | None]:
        config, unit = self._config, self._unit
        for _ in range(int(rng.poisson(config.dust))):
            look = Look(_between(config.opacity, rng), self._level(rng))
            place = self._somewhere(rng)
            if rng.random() < config.hairs:
                length = unit * _between(config.hair_length_px, rng)
                thickness = unit * _between(config.hair_px, rng)
                yield film_marks.hair(place, length, thickness, look, self.size, rng)
            else:
                radius = unit * _between(config.dust_px, rng)
                yield film_marks.blotch(place, radius, look, self.size, rng)

    def _draw_scratches(self, rng: np.random.Generator) -> list[_Scratch]:
        config, unit, (height, width) = self._config, self._unit, self.size
        scratches: list[_Scratch] = []
        for number in range(config.scratches):
            top, bottom = np.sort(rng.uniform(0, height, 2))
            whole = rng.random() < config.whole
            one = _Scratch(
                x=rng.uniform(0, width),
                lean=rng.uniform(-_LEAN, _LEAN),
                speed=unit * config.drift_px * rng.uniform(-1, 1),
                width=unit * _between(config.scratch_px, rng),
                opacity=_between(config.scratch_opacity, rng),
                level=self._level(rng),
                ends=(-height, 2 * height) if whole else (float(top), float(bottom)),
                number=number,
            )
            apart, narrower = unit * _between(_APART_PX, rng), rng.uniform(0.5, 1)
            scratches.append(one)
            if rng.random() < config.pairs:
                width_beside = max(unit * config.scratch_px[0], one.width * narrower)
                beside = one.x + apart + (one.width + width_beside) / 2
                scratches.append(replace(one, x=beside, width=width_beside))
        return scratches

    def _streak(self, one: _Scratch, number: int, rng: np.random.Generator) -> Mark | None:
        jitter = np.random.default_rng((self._seed, number, one.number, _STAY))
        away = self._unit * self._config.drift_px * 0.5 * jitter.uniform(-1, 1)
        rows = np.arange(self.size[0]) + 0.5 - self.size[0] / 2
        middle = np.asarray(one.x + one.speed * number + away + one.lean * rows, np.float64)
        least = self._config.scratch_opacity[0]
        opacity = (max(least, 0.7 * one.opacity), one.opacity)
        return film_marks.streak(middle, one.width, one.ends, opacity, one.level, self.size, rng)

    def _draw_gate_hair(self, rng: np.random.Generator) -> _GateHair:
        """A thread from a point at an edge into the frame."""
        config, unit, (height, width) = self._config, self._unit, self.size
        points = thread(unit * _between(config.hair_length_px, rng), rng)
        away = np.arctan2(*points[-1][::-1])
        side = int(rng.integers(0, 4))
        inward = side * np.pi / 2 + rng.uniform(-0.6, 0.6)
        turn = inward - away
        cosine, sine = np.cos(turn), np.sin(turn)
        turned = points @ np.array(((cosine, sine), (-sine, cosine)))
        x, y = self._somewhere(rng)
        start = ((0, y), (x, 0), (width, y), (x, height))[side]
        joined = np.concatenate((np.zeros((1, 2)), turned)) + start
        look = Look(_between(_MARK_OPACITY, rng), _between(config.dark, rng))
        return _GateHair(joined, unit * _between(config.hair_px, rng), look)

    def _hanging(self, one: _GateHair, rng: np.random.Generator) -> Mark | None:
        """The hair as it hangs in this frame: its loose end wavers."""
        loose = np.linspace(0, 1, len(one.points))[:, None]
        wavered = one.points + loose * rng.standard_normal(2) * _WAVER_PX * self._unit
        return film_marks.gate_hair(wavered, one.thickness, one.look, self.size)

    def _splices(self, number: int) -> Iterator[Mark]:
        for start in range(max(0, number - _SPLICE_FRAMES + 1), number + 1):
            rng = np.random.default_rng((self._seed, start, _SPLICE))
            begins, frames = (
                rng.random() < self._config.splices,
                rng.integers(1, 1 + _SPLICE_FRAMES),
            )
            if begins and number < start + frames:
                tall = self.size[0] * _between(_BAND, rng)
                look = Look(_between(_MARK_OPACITY, rng), self._level(rng))
                yield film_marks.band(tall, bool(rng.random() < 0.5), look, self.size, rng)

    def _burns(self, number: int) -> Iterator[Mark]:
        least, most = _BURN_FRAMES
        for start in range(max(0, number - most + 1), number + 1):
            rng = np.random.default_rng((self._seed, start, _BURN))
            begins, frames = rng.random() < self._config.burns, int(rng.integers(least, most + 1))
            if begins and number < start + frames:
                middle = self._somewhere(rng)
                if rng.random() < _AT_EDGE:
                    axis = int(rng.integers(0, 2))
                    middle[axis] = rng.integers(0, 2) * self.size[1 - axis]
                grown = (number - start + 1) / frames
                area = _BURNT[0] + grown * (_between(_BURNT, rng) - _BURNT[0])
                light = int(rng.random() < self._config.bright)
                look = Look(_between(_MARK_OPACITY, rng), _between(_SATURATED[light], rng))
                yield film_marks.burn(middle, area, look, self.size, rng)
