"""Settings of the solve of hints."""

from __future__ import annotations

from dataclasses import dataclass

from vidcolor.errors import ConfigError

__all__ = ["HintsConfig"]

_FLOWS = ("ultrafast", "fast", "medium")


@dataclass(frozen=True, slots=True)
class HintsConfig:
    """How hints spread.

    Attributes:
        short_side: Short side in pixels of the grid that hints are solved on; best that of the
            network.
        contrast: Edge in L* at which a hint stops.
        shade: Difference in L* from the luma of a hint itself at which it stops.
        extent: How far a hint spreads over a flat area, in short sides of the frame.
        border: How far luma may move the border of a region, in short sides of the frame.
        firmness: How much motion counts against luma when color is carried from frame to frame.
        flow: Effort for motion: `ultrafast`, `fast` or `medium`.
    """

    short_side: int = 192
    contrast: float = 8.0
    shade: float = 15.0
    extent: float = 0.7
    border: float = 0.02
    firmness: float = 4.0
    flow: str = "medium"

    def __post_init__(self) -> None:
        if not 64 <= self.short_side <= 1024:
            raise ConfigError(f"short_side must be 64 to 1024, not {self.short_side}")
        for name in ("contrast", "shade"):
            if not 0 < getattr(self, name) <= 100:
                raise ConfigError(
                    f"{name} must be above 0 and at most 100, not {getattr(self, name)}"
                )
        if not 0 < self.extent <= 10:
            raise ConfigError(f"extent must be above 0 and at most 10, not {self.extent}")
        if not 0 <= self.border <= 0.5:
            raise ConfigError(f"border must be 0 to 0.5, not {self.border}")
        if not 0 < self.firmness <= 1000:
            raise ConfigError(f"firmness must be above 0 and at most 1000, not {self.firmness}")
        if self.flow not in _FLOWS:
            raise ConfigError(f"flow must be one of {', '.join(_FLOWS)}, not {self.flow!r}")
