"""Two colorizers, one color."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from vidcolor.errors import ConfigError
from vidcolor.records import Chroma, Colored, FrameBatch, Tracked
from vidcolor.stages.cadence import Predicts

__all__ = ["Colorizer", "MergeConfig", "MergedColorizer"]


@dataclass(frozen=True, slots=True)
class MergeConfig:
    """A second network that has a say in the color.

    Attributes:
        colorizer: The second network, see `vidcolor weights list`; "none": there is none, unless
            `weights` say so.
        weights: Its weights, a known name or a file; "auto" is what the colorizer asks for.
        share: Weight of the second one's color, 0 to 1.
        mode: "mean" blends the two; "clamp" first draws the second one's color to within `limit`
            of the first one's, so that it can correct but not overrule.
        limit: Farthest distance in a*b* for "clamp"; 20 is about what 15 % of a chroma code are.
    """

    colorizer: str = "none"
    weights: str = "auto"
    share: float = 0.4
    mode: Literal["mean", "clamp"] = "mean"
    limit: float = 20.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConfigError(f"share must be 0 to 1, not {self.share}")
        if not 0 < self.limit <= 256:
            raise ConfigError(f"limit must be above 0 and up to 256, not {self.limit}")

    @property
    def enabled(self) -> bool:
        """Whether there is a second network."""
        return (self.colorizer != "none" or self.weights != "auto") and self.share > 0


class Colorizer(Predicts, Protocol):
    """A network that colors frames one by one, perhaps with close-ups of instances."""

    @property
    def uses_rois(self) -> bool:
        """Whether instances make a difference."""
        ...

    @property
    def whole_size(self) -> int:
        """Numbers in a vector of a whole picture; 0: the network has none."""
        ...

    def whole(self, frames: FrameBatch, /) -> Tensor:
        """(N, `whole_size`) float32 vectors of whole frames."""
        ...


class MergedColorizer:
    """Asks two colorizers and merges what they say, on the finer of their grids.

    The constrained merge of HAVC (https://github.com/dan64/vs-deoldify) clamps each chroma code of
    the second picture to a share of the first one's; here the difference in a*b* is shortened,
    which keeps its direction and does not depend on the codes' zero.

    Memory: none of frames. Lookahead: none. Cut: as its parts.

    Args:
        first: Has the last word where `config.mode` is "clamp".
        second: The other.
        config: How they are merged.
    """

    def __init__(self, first: Colorizer, second: Colorizer, config: MergeConfig) -> None:
        self.first = first
        self.second = second
        self.config = config

    @property
    def uses_rois(self) -> bool:
        """Whether instances make a difference."""
        return self.first.uses_rois or self.second.uses_rois

    @property
    def whole_size(self) -> int:
        """Numbers in the vectors of both networks; 0: neither has one."""
        return self.first.whole_size + self.second.whole_size

    def whole(self, frames: FrameBatch, /) -> Tensor:
        """(N, `whole_size`) float32: the vectors of both side by side."""
        return torch.cat((self.first.whole(frames), self.second.whole(frames)), 1)

    def lightness(self, frames: FrameBatch, /) -> Tensor:
        """(N, 1, h, w) float32 L* on the grid of the merged color."""
        first, second = self.first.lightness(frames), self.second.lightness(frames)
        return first if _cells(first) >= _cells(second) else second

    def __call__(self, tracked: Tracked, /) -> Colored:
        """Color one batch."""
        own, other = self._wholes(tracked)
        first, second = self.first(own).chroma, self.second(other).chroma
        finer = first if _cells(first.ab) >= _cells(second.ab) else second
        size = (int(finer.ab.shape[2]), int(finer.ab.shape[3]))
        below, above = _fit(first.ab, size), _fit(second.ab, size)
        away = above - below
        if self.config.mode == "clamp":
            length = (away * away).sum(dim=1, keepdim=True).sqrt()
            away = away * (self.config.limit / length.clamp(min=self.config.limit))
        chroma = Chroma(below + self.config.share * away, finer.lightness)
        return Colored(tracked.frames, tracked.tracks, chroma)

    def _wholes(self, tracked: Tracked) -> tuple[Tracked, Tracked]:
        """What each network is to see: its own part of the vectors."""
        if tracked.whole is None:
            return tracked, tracked
        sizes = [self.first.whole_size, self.second.whole_size]
        first, second = (
            replace(tracked, whole=part if size else None)
            for part, size in zip(torch.split(tracked.whole, sizes, dim=1), sizes, strict=True)
        )
        return first, second


def _cells(plane: Tensor) -> int:
    return int(plane.shape[2] * plane.shape[3])


def _fit(ab: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(ab.shape[2:]) == size:
        return ab
    return F.interpolate(ab, size=size, mode="bilinear", align_corners=False, antialias=True)
