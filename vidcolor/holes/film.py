"""Film damage with known truth: what was added, where, of which kind.

For measuring detection and repair, and for training on pairs. Dust and hairs lie on one frame,
scratches stay at nearly the same column for the whole film; splices, burns and hairs in the gate
are off unless asked for. What changes the whole picture (weave, flicker, grain) is off too and
comes first: it belongs to the frame that a repair is to give back.

Sizes with `px` are pixels of a picture of 240 lines and scale with its height. What a mark changes
by less than one cv is not changed at all, so that a frame differs from its truth in its hole and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vidcolor.errors import ConfigError
from vidcolor.holes.film_marks import DamageKind, Mark
from vidcolor.holes.film_plan import FilmPlan
from vidcolor.holes.film_settings import FilmDamage
from vidcolor.holes.film_wear import Plane, worn
from vidcolor.holes.outlines import Hole

__all__ = [
    "DamageKind",
    "DamagedFilm",
    "DamagedFrame",
    "FilmDamage",
    "damage_film",
    "damage_frames",
]

_SEEN = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class DamagedFrame:
    """A frame with damage, and the truth.

    Attributes:
        frame: (H, W) float32 in cv 0..255, damaged.
        clean: The same without the marks: what a repair is to give back.
        hole: (H, W) bool, exactly where the two differ (by 1 cv or more).
        kinds: The part of the hole that each kind of damage had a share in; only kinds that are
            there. Together they are the hole; they may overlap.
    """

    frame: Plane
    clean: Plane
    hole: Hole
    kinds: dict[DamageKind, Hole]


class DamagedFilm(NamedTuple):
    """All frames of a damaged film.

    Attributes:
        frames: Damaged, (H, W) float32 in cv.
        holes: (H, W) bool, where they are damaged.
        kinds: The holes by kind.
    """

    frames: list[Plane]
    holes: list[Hole]
    kinds: list[dict[DamageKind, Hole]]


def damage_film(
    frames: Sequence[Plane], config: FilmDamage | None = None, seed: int = 0
) -> DamagedFilm:
    """Lay damage over a film; a function of frames, settings and seed.

    Args:
        frames: (H, W) float32 in cv 0..255, all of one size. They are not changed.
        config: Which damage; dust and two scratches if None.
        seed: Another number, other damage; at least 0.

    Raises:
        ConfigError: If frames differ in size or are no planes, or the seed is below 0.
    """
    made = list(damage_frames(frames, config, seed))
    return DamagedFilm(
        [one.frame for one in made], [one.hole for one in made], [one.kinds for one in made]
    )


def damage_frames(
    frames: Iterable[Plane], config: FilmDamage | None = None, seed: int = 0
) -> Iterator[DamagedFrame]:
    """The same frame by frame, with the undamaged frames, for films of any length.

    Frame n of a longer film is damaged like frame n of a shorter one.
    """
    config = config or FilmDamage()
    if seed < 0:
        raise ConfigError(f"seed: {seed} is below 0")
    plan: FilmPlan | None = None
    for number, frame in enumerate(frames):
        if frame.ndim != 2 or not frame.size:
            raise ConfigError(f"frame {number}: shape {frame.shape}; expected (height, width)")
        size = frame.shape[0], frame.shape[1]
        plan = plan or FilmPlan(config, seed, size)
        if plan.size != size:
            raise ConfigError(f"frame {number}: {size} is not the size of the first, {plan.size}")
        yield _marked(worn(frame, config, seed, number), plan.marks(number))


def _marked(clean: Plane, marks: Iterable[Mark]) -> DamagedFrame:
    frame = clean.copy()
    touched: dict[DamageKind, Hole] = {}
    for mark in marks:
        height, width = mark.alpha.shape
        place = np.s_[mark.top : mark.top + height, mark.left : mark.left + width]
        under = frame[place]
        under += mark.alpha * (np.float32(mark.level) - under)
        touched.setdefault(mark.kind, np.zeros(frame.shape, np.bool_))[place] |= mark.alpha > 0
    hole: Hole = np.abs(frame - clean) >= _SEEN
    frame[~hole] = clean[~hole]
    kinds = {kind: seen & hole for kind, seen in touched.items()}
    return DamagedFrame(frame, clean, hole, {k: seen for k, seen in kinds.items() if seen.any()})
