"""The six classes of holes of the paper: by share of the picture, with and without border.

G. Liu et al. (ECCV 2018) report on 1000 masks each whose holes cover (0.01, 0.1], (0.1, 0.2], ...,
(0.5, 0.6] of the picture, once with holes that touch its border and once with holes that keep away
from it, by 50 of 512 pixels. Share and border of a mask are always counted, never taken from a
name: the order of the public set is not documented.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np

from vidcolor.errors import ConfigError
from vidcolor.holes.draw import KINDS, HoleKind, draw_hole
from vidcolor.holes.outlines import Hole

__all__ = [
    "CLASSES",
    "Drawn",
    "class_name",
    "class_of",
    "clear_border",
    "draw_class",
    "draw_share",
    "margin",
    "share",
    "touches_border",
]

CLASSES: tuple[tuple[float, float], ...] = (
    (0.01, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6)
)  # fmt: skip
"""Shares of the picture, above the first and up to the second number."""

_MARGIN = 50 / 512
_TRIES = 60
_UNIONS = 40
_TOO_SMALL = 3
_LESS, _MORE = 0.7, 1.2
_LEAST_AMOUNT = 0.02


class Drawn(NamedTuple):
    """A hole and how it came to be.

    Attributes:
        hole: (H, W) bool.
        kind: What was drawn.
    """

    hole: Hole
    kind: HoleKind


def share(hole: Hole) -> float:
    """Part of the picture that is hole, 0..1."""
    return float(np.count_nonzero(hole)) / hole.size


def touches_border(hole: Hole) -> bool:
    """Whether a cell of the outermost rows or columns is hole."""
    return bool(hole[0].any() or hole[-1].any() or hole[:, 0].any() or hole[:, -1].any())


def class_of(hole: Hole) -> int | None:
    """Number 0..5 of the hole's class, None if it is smaller or larger than all."""
    found = share(hole)
    return next((n for n, (low, high) in enumerate(CLASSES) if low < found <= high), None)


def class_name(number: int) -> str:
    """`0.01-0.1`."""
    low, high = CLASSES[number]
    return f"{low:g}-{high:g}"


def margin(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns at each edge that holes without border keep free: 50 / 512 of the side."""
    return int(np.ceil(size[0] * _MARGIN)), int(np.ceil(size[1] * _MARGIN))


def clear_border(hole: Hole) -> Hole:
    """The hole without its cells near the edges."""
    rows, columns = margin((hole.shape[0], hole.shape[1]))
    kept = np.zeros_like(hole)
    inner = np.s_[rows : hole.shape[0] - rows, columns : hole.shape[1] - columns]
    kept[inner] = hole[inner]
    return kept


def draw_class(
    number: int,
    border: bool | None,
    size: tuple[int, int],
    rng: np.random.Generator,
    kinds: Sequence[str] = KINDS,
    weights: Sequence[float] = (),
    lines: float | None = None,
) -> Drawn:
    """A hole of a class.

    Args:
        number: Class, 0..5.
        border: Whether it touches the border, or keeps away from it; None: as it comes.
        size: Height and width.
        rng: Source of all randomness.
        kinds: Kinds to choose from.
        weights: How probable each kind is, equally if empty.
        lines: Height of the frame of which the picture is a crop, see `draw_hole`.

    Raises:
        ConfigError: If there is no such class, or none of the kinds makes such a hole.
    """
    if not 0 <= number < len(CLASSES):
        raise ConfigError(f"hole class {number}: there are 0 to {len(CLASSES) - 1}")
    return draw_share(*CLASSES[number], border, size, rng, kinds, weights, lines)


def draw_share(
    low: float,
    high: float,
    border: bool | None,
    size: tuple[int, int],
    rng: np.random.Generator,
    kinds: Sequence[str] = KINDS,
    weights: Sequence[float] = (),
    lines: float | None = None,
) -> Drawn:
    """A hole whose share of the picture is above `low` and at most `high`; see `draw_class`.

    A kind is chosen first and then drawn until it fits, so that kinds that seldom fit are not
    rarer than the others. What is too small is joined with more of its kind; after one that is too
    large, ranges reach less far. A kind that does not fit after 60 tries, or makes too small holes
    three times with full ranges, gives way to another.

    Raises:
        ConfigError: If none of the kinds makes such a hole.
    """
    _check(size, kinds, weights)
    chance = np.asarray(weights or [1.0] * len(kinds), np.float64)
    chance = np.maximum(chance / chance.sum(), 0)
    count = int(np.count_nonzero(chance))
    for place in rng.choice(len(kinds), count, replace=False, p=chance):
        kind = cast(HoleKind, kinds[place])
        hole = _fitting(kind, low, high, border, size, rng, lines)
        if hole is not None:
            return Drawn(hole, kind)
    where = {True: " that touch the border", False: " away from the border", None: ""}[border]
    raise ConfigError(
        f"no holes over ({low:g}, {high:g}] of {size[0]}x{size[1]} pixels{where} among "
        f"{', '.join(kinds)} after {_TRIES} tries each; allow other kinds or a larger picture"
    )


def _check(size: tuple[int, int], kinds: Sequence[str], weights: Sequence[float]) -> None:
    if min(size) < 1:
        raise ConfigError(f"size {size[0]}x{size[1]}: sides must be at least 1 pixel")
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"{kind!r} is no kind of hole; known: {', '.join(KINDS)}")
    if not kinds:
        raise ConfigError(f"kinds: none is given; known: {', '.join(KINDS)}")
    if weights and (len(weights) != len(kinds) or min(weights) < 0 or sum(weights) <= 0):
        raise ConfigError(
            f"weights: expected {len(kinds)} numbers from 0, not all of them 0, one for each kind"
        )


def _fitting(
    kind: HoleKind,
    low: float,
    high: float,
    border: bool | None,
    size: tuple[int, int],
    rng: np.random.Generator,
    lines: float | None,
) -> Hole | None:
    """A hole of one kind, or None."""
    amount, left = 1.0, _TOO_SMALL
    for _ in range(_TRIES):
        hole = np.zeros(size, np.bool_)
        for _ in range(_UNIONS):
            more = draw_hole(kind, size, rng, amount=amount, lines=lines)
            hole = hole | (clear_border(more) if border is False else more)
            if share(hole) > low:
                break
        found = share(hole)
        if low < found <= high and (not border or touches_border(hole)):
            return hole
        if found > high:
            amount = max(_LEAST_AMOUNT, amount * _LESS)
        elif found <= low:
            left -= amount == 1
            if not left:
                return None
            amount = min(1.0, amount * _MORE)
    return None
