"""What a training step gets: a record that slices and moves like those of the line."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from vidcolor.records import Hints, Rois

__all__ = ["Batch", "Pair"]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The same scenes a moment later, and where everything went.

    Attributes:
        lightness: (N, 1, S, S) float32 L* of the later frame, degraded like film.
        motion: (N, 2, h, w) float32 x and y in cells of the target's grid: the cell that lies at
            p now lies at p + motion later.
        seen: (N, 1, h, w) float32, 1 where the later frame shows the same surface, 0 where it
            is hidden, outside, or the motion is not known.
    """

    lightness: Tensor
    motion: Tensor
    seen: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pictures to learn from.

    Attributes:
        lightness: (N, 1, S, S) float32 L* of the degraded gray.
        ab: (N, 2, h, w) float32 a*b* of the color picture, on the grid that the network answers
            on (`ModelSpec.stride`).
        rois: Instances of the pictures, for the fusion phase; boxes in pixels of `lightness`.
        hints: Given colors on the grid of `lightness`, for networks that take them.
        pair: The same scenes a moment later, for the temporal loss.
        labels: (N,) int64 kinds of the pictures (`data.labels`), -1 where not known.
        points: (N, P, 2) float32 x and y in parts of the width and height, 0..1: where alone the
            network is to answer; centers of cells of `ab`.
    """

    lightness: Tensor
    ab: Tensor
    rois: Rois | None = None
    hints: Hints | None = None
    pair: Pair | None = None
    labels: Tensor | None = None
    points: Tensor | None = None

    def __post_init__(self) -> None:
        n = len(self.lightness)
        if self.lightness.ndim != 4 or self.lightness.shape[1] != 1:
            raise ValueError(f"lightness must be (N, 1, S, S), not {tuple(self.lightness.shape)}")
        if self.ab.ndim != 4 or tuple(self.ab.shape[:2]) != (n, 2):
            raise ValueError(f"ab must be ({n}, 2, h, w), not {tuple(self.ab.shape)}")
        if self.labels is not None and tuple(self.labels.shape) != (n,):
            raise ValueError(f"labels must be ({n},), not {tuple(self.labels.shape)}")
        if self.points is not None and (
            self.points.ndim != 3 or len(self.points) != n or self.points.shape[2] != 2
        ):
            raise ValueError(f"points must be ({n}, P, 2), not {tuple(self.points.shape)}")

    def __len__(self) -> int:
        return len(self.lightness)

    def to(self, device: torch.device | str) -> Batch:
        """The same on `device`, pictures channels last."""
        return Batch(
            self.lightness.to(device).to(memory_format=torch.channels_last),
            self.ab.to(device),
            None if self.rois is None else self.rois.to(device),
            None if self.hints is None else self.hints.to(device),
            None if self.pair is None else Pair(*(t.to(device) for t in _tensors(self.pair))),
            None if self.labels is None else self.labels.to(device),
            None if self.points is None else self.points.to(device),
        )

    def __getitem__(self, part: slice) -> Batch:
        first, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError("a batch is sliced without step")
        rois = self.rois
        if rois is not None:
            keep = (rois.frame >= first) & (rois.frame < stop)
            rois = Rois(
                rois.crops[keep],
                rois.boxes[keep],
                rois.frame[keep] - first,
                rois.weight[keep],
                rois.size,
            )
        return replace(
            self,
            lightness=self.lightness[part],
            ab=self.ab[part],
            rois=rois,
            hints=None if self.hints is None else Hints(self.hints.ab[part], self.hints.mask[part]),
            pair=None if self.pair is None else Pair(*(t[part] for t in _tensors(self.pair))),
            labels=None if self.labels is None else self.labels[part],
            points=None if self.points is None else self.points[part],
        )


def _tensors(pair: Pair) -> list[Tensor]:
    return [getattr(pair, field.name) for field in fields(pair)]
