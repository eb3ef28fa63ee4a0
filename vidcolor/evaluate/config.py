"""Settings of `vidcolor evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vidcolor.errors import ConfigError
from vidcolor.ops.flow import FlowPreset
from vidcolor.stages.cut import CutConfig
from vidcolor.stages.track import TrackConfig

__all__ = ["EvaluateConfig"]

_LEAST_SIDE_PX = 16


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """What is measured, and at which size.

    Attributes:
        short_side: Shorter side, in pixels, at which pictures are compared with the truth and
            counted into histograms; 0 is their own. Nothing is enlarged.
        motion_side: Shorter side of what is followed along motion: instability, popping, warping
            error, and chroma with them.
        flow: Effort for motion: `ultrafast`, `fast` or `medium`.
        every: SSIM, CIEDE2000 and LPIPS are taken of every nth frame; 0 leaves them out.
        lpips: Measure LPIPS too; needs the package lpips and its network.
        bars: `cut` leaves black bars out of everything, `keep` measures whole frames.
        align: `clock` matches frames by their times, `first` by their times since the first frame.
        start: Seconds of truth and source at which the result begins, if it is of a part.
        worst: Moments of flicker that are listed.
        apart: Seconds between two of them, at least.
        batch_size: Frames decoded at a time.
        cut: How shots are found.
        track: How boxes without identities are followed.
    """

    short_side: int = 0
    motion_side: int = 256
    flow: FlowPreset = "medium"
    every: int = 1
    lpips: bool = False
    bars: Literal["cut", "keep"] = "cut"
    align: Literal["clock", "first"] = "clock"
    start: float | None = None
    worst: int = 12
    apart: float = 0.5
    batch_size: int = 8
    cut: CutConfig = field(default_factory=CutConfig)
    track: TrackConfig = field(default_factory=TrackConfig)

    def __post_init__(self) -> None:
        if self.short_side and self.short_side < _LEAST_SIDE_PX:
            raise ConfigError(f"short_side must be 0 or at least 16, not {self.short_side}")
        if self.motion_side < _LEAST_SIDE_PX:
            raise ConfigError(f"motion_side must be at least 16, not {self.motion_side}")
        for name in ("every", "worst"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {self.batch_size}")
        if not 0 <= self.apart < float("inf"):
            raise ConfigError(f"apart must be 0 or more seconds, not {self.apart}")
        if self.start is not None and not 0 <= self.start < float("inf"):
            raise ConfigError(f"start must be 0 or more seconds, not {self.start}")
