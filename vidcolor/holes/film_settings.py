"""Which damage is laid over a film."""

from __future__ import annotations

from dataclasses import dataclass, fields

from vidcolor.errors import ConfigError

__all__ = ["FilmDamage"]

_CODES = 255.0
_RANGES = {
    "dust_px": 1e3, "opacity": 1.0, "hair_px": 1e3, "hair_length_px": 1e3, "dark": _CODES,
    "light": _CODES, "scratch_px": 1e3, "scratch_opacity": 1.0,
}  # fmt: skip
_SHARES = ("hairs", "bright", "splices", "burns", "whole", "pairs", "flicker")


@dataclass(frozen=True, slots=True)
class FilmDamage:
    """Damage of a film; lengths in pixels of a picture of 240 lines, brightness in cv.

    Attributes:
        dust: Mean number of specks and hairs in a frame, from 0.
        dust_px: Least and largest radius of a speck (of a disc of its area).
        hairs: Part of the dust that is hairs, 0 to 1.
        hair_px: Least and largest thickness of a hair.
        hair_length_px: Shortest and longest hair.
        opacity: How much of the picture dust hides, least and most, 0 to 1.
        bright: Part of the marks that is bright, 0 to 1.
        dark: Brightness of dark marks, from and to, in cv 0 to 255.
        light: Brightness of bright marks, from and to, in cv 0 to 255.
        scratches: Number of lines that stay through the film.
        scratch_px: Least and largest width of a scratch.
        scratch_opacity: How much of the picture scratches hide, least and most, 0 to 1.
        whole: Part of the scratches that go from top to bottom, 0 to 1.
        pairs: Part of the scratches that have a companion beside them, 0 to 1.
        drift_px: Most that a scratch moves from frame to frame, besides a jitter of half of that.
        gate_hairs: Number of hairs that hang from the edge of the frame through the film.
        splices: Probability of a frame to begin a splice, a band of 1 to 3 frames, 0 to 1.
        burns: Probability of a frame to begin a burn, which grows for 3 to 12 frames, 0 to 1.
        flicker: Standard deviation of the gain of a frame, 0 to 1.
        weave_px: Standard deviation of the shift of a frame, from 0.
        grain: Standard deviation of grain in a medium gray, in cv from 0.
    """

    dust: float = 14.0
    dust_px: tuple[float, ...] = (1.2, 7.0)
    hairs: float = 0.2
    hair_px: tuple[float, ...] = (0.5, 1.0)
    hair_length_px: tuple[float, ...] = (5.0, 60.0)
    opacity: tuple[float, ...] = (0.6, 1.0)
    bright: float = 0.5
    dark: tuple[float, ...] = (0.0, 30.0)
    light: tuple[float, ...] = (215.0, 255.0)
    scratches: int = 2
    scratch_px: tuple[float, ...] = (1.0, 3.0)
    scratch_opacity: tuple[float, ...] = (0.35, 0.9)
    whole: float = 0.6
    pairs: float = 0.2
    drift_px: float = 0.1
    gate_hairs: int = 0
    splices: float = 0.0
    burns: float = 0.0
    flicker: float = 0.0
    weave_px: float = 0.0
    grain: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges."""
        for name, most in _RANGES.items():
            ends = getattr(self, name)
            if len(ends) != 2 or not 0 <= ends[0] <= ends[1] <= most:
                raise ConfigError(f"{name}: {ends} are not two rising numbers in 0..{most:g}")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}: {getattr(self, name)} is not within 0..1")
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, tuple) and not 0 <= value < float("inf"):
                raise ConfigError(f"{field.name}: {value} is not a number from 0")
