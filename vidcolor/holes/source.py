"""Holes without end, each a function of a seed and its number only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vidcolor.errors import ConfigError
from vidcolor.holes.classes import CLASSES, Drawn, draw_share
from vidcolor.holes.draw import KINDS
from vidcolor.holes.outlines import Hole

__all__ = ["HoleSource", "HolesConfig", "Shares"]

Shares = Literal["uniform", "film"]

_FILM_SHARES = ((0.0, 0.05, 0.6), (0.05, 0.2, 0.25), (0.2, 1.0, 0.15))
"""Above, up to, how often: most damage of film is small."""


@dataclass(frozen=True, slots=True)
class HolesConfig:
    """Which holes are drawn to train on.

    Attributes:
        seed: Another number, other holes; at least 0.
        kinds: What is drawn: strokes, thin, shapes, rectangles, walk, film, thin_film.
        weights: How often each kind is drawn, in proportion; equally often if empty.
        shares: How large holes are: uniform (the six classes of the paper alike, from 0.01 to
            0.6 of the picture) or film (60 % up to 0.05, 25 % up to 0.2, 15 % larger).
        largest: Largest share of the picture that is hole, 0.001 to 1; above 0.01 for uniform.
        lines: Lines of the frame of which a picture is a crop, for damage of film; drawn from 480
            to 1080 if 0.
    """

    seed: int = 0
    kinds: tuple[str, ...] = KINDS
    weights: tuple[float, ...] = ()
    shares: Shares = "uniform"
    largest: float = 0.6
    lines: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.seed < 0:
            raise ConfigError(f"seed: {self.seed} is below 0")
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise ConfigError(f"kinds: {list(self.kinds)}; expected some of {', '.join(KINDS)}")
        if self.weights and (
            len(self.weights) != len(self.kinds) or min(self.weights) < 0 or sum(self.weights) <= 0
        ):
            raise ConfigError(f"weights: expected {len(self.kinds)} numbers from 0, one per kind")
        least = CLASSES[0][0] if self.shares == "uniform" else 0.001
        if not least < self.largest <= 1:
            raise ConfigError(f"largest: {self.largest} is not above {least} and at most 1")
        if self.lines < 0:
            raise ConfigError(f"lines: {self.lines} is below 0")

    def ranges(self) -> tuple[tuple[float, float, float], ...]:
        """Ranges of shares: above, up to, probability (they sum to 1)."""
        uniform = tuple((low, high, 1.0) for low, high in CLASSES)
        kept = [
            (low, min(high, self.largest), often)
            for low, high, often in (uniform if self.shares == "uniform" else _FILM_SHARES)
            if low < self.largest
        ]
        total = sum(often for _, _, often in kept)
        return tuple((low, high, often / total) for low, high, often in kept)


class HoleSource:
    """Holes by number: the same seed, number and size give the same hole, whoever asks and when.

    Args:
        config: What is drawn.
    """

    def __init__(self, config: HolesConfig) -> None:
        self.config = config
        self._ranges = config.ranges()

    def __call__(self, index: int, size: tuple[int, int]) -> Hole:
        """(H, W) bool hole number `index`, from 0; it is never empty.

        Raises:
            ConfigError: If the kinds cannot make a hole of the share that was drawn for it.
        """
        return self.drawn(index, size).hole

    def drawn(self, index: int, size: tuple[int, int]) -> Drawn:
        """The hole and its kind."""
        config = self.config
        rng = np.random.default_rng((config.seed, index))
        often = [probability for _, _, probability in self._ranges]
        low, high, _ = self._ranges[int(rng.choice(len(often), p=often))]
        return draw_share(
            low, high, None, size, rng, config.kinds, config.weights, config.lines or None
        )
