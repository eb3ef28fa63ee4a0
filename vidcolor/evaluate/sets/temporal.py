"""The metrics of steadiness by name: how to print them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from vidcolor.evaluate.records import Steadiness

__all__ = ["TEMPORAL", "Temporal"]


@dataclass(frozen=True, slots=True)
class Temporal:
    """A metric of a clip.

    Attributes:
        name: By which it is asked for; that of the value in `Steadiness`.
        title: Over its column.
        head: The same where there is little room.
        unit: Of what is printed.
        better: "truth": nearest to what the true clip has.
        decimals: That are worth printing.
        scale: What values are multiplied by when printed.
    """

    name: str
    title: str
    head: str
    unit: str
    better: Literal["higher", "lower", "truth"]
    decimals: int
    scale: float = 1.0

    def of(self, clip: Steadiness) -> float | None:
        """Its value of a clip; None where there was nothing to measure."""
        value: float | None = getattr(clip, self.name)
        return value


TEMPORAL: Mapping[str, Temporal] = MappingProxyType(
    {
        one.name: one
        for one in (
            Temporal("cdc", "CDC", "CDC e-3", "1e-3", "truth", 3, 1e3),
            Temporal("instability", "chroma instability", "instab", "a*b*", "truth", 2),
            Temporal("popping", "popping", "popping", "a*b*", "truth", 2),
            Temporal("warping_error", "warping error (DIS)", "warp e-4", "1e-4", "lower", 2, 1e4),
            Temporal("drift", "drift", "drift", "a*b*", "truth", 2),
        )
    }
)
"""All there are, in the order in which tables have them."""
