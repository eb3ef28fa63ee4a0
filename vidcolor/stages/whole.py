"""What a shot is as a whole, for networks that go by such a vector.

Iizuka et al. (SIGGRAPH 2016) color a picture by what its places look like and by one vector of the
whole of it: indoors or outdoors, season, time of day. Taken from each frame by itself the vector
wavers, and all hues with it; so it is held through a shot. Taken from another picture it changes
season and light: style transfer.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from vidcolor.records import FrameBatch, Tracked

__all__ = ["NoWhole", "ShotWhole"]

_STEP = 4  # neighbors look alike: of the first frames every so many-th is looked at


class NoWhole:
    """The null object: each frame's own vector, if the network has any. Memory: none."""

    def __call__(self, tracked: Iterable[Tracked], /) -> Iterator[Tracked]:
        """The same batches."""
        return iter(tracked)


class ShotWhole:
    """Gives all frames of a shot one vector: the mean over its beginning, a style's, or a mixture.

    Frames are looked at one by one, at places counted from the beginning of the shot, so that the
    vector does not depend on how frames come in batches.

    Memory: the first `frames` frames of a shot and a batch, until the vector is known; then the
    vector. None where a style counts alone. Lookahead: `frames`, or none. Cut: dropped.

    Args:
        see: (N, D) float32 vectors of frames.
        frames: How many frames at the beginning of a shot tell what it is; 0: each frame has its
            own vector.
        style: (1, D) vector of another picture, or None.
        weight: How much of the style, 0 to 1; the rest is the shot's own.
    """

    def __init__(
        self,
        see: Callable[[FrameBatch], Tensor],
        frames: int,
        style: Tensor | None = None,
        weight: float = 1.0,
    ) -> None:
        self.see = see
        self.frames = frames
        self.style = style
        self.weight = weight

    def __call__(self, tracked: Iterable[Tracked], /) -> Iterator[Tracked]:
        """The same batches with `Tracked.whole`."""
        if self.style is not None and self.weight == 1:
            for batch in tracked:
                yield replace(batch, whole=self.style)
            return
        tell = self._together if self.frames else self._singly
        for _, shot in itertools.groupby(tracked, lambda batch: batch.frames.shot):
            yield from tell(shot)

    def _together(self, batches: Iterator[Tracked]) -> Iterator[Tracked]:
        waiting: deque[Tracked] = deque()
        rows: list[Tensor] = []
        count = 0
        for batch in batches:
            waiting.append(batch)
            for number in range(len(batch.frames)):
                if count < self.frames and count % _STEP == 0:
                    rows.append(self.see(batch.frames[number : number + 1]))
                count += 1
            if count >= self.frames:
                break
        # float64: the order of the sum does not show
        whole = self._mixed(torch.cat(rows).double().mean(0, keepdim=True).float())
        while waiting:
            yield replace(waiting.popleft(), whole=whole)
        for batch in batches:
            yield replace(batch, whole=whole)

    def _singly(self, batches: Iterator[Tracked]) -> Iterator[Tracked]:
        """A vector for each frame; held frames have that of the frame which they repeat."""
        row: Tensor | None = None
        for batch in batches:
            rows: list[Tensor] = []
            for number, held in enumerate(batch.frames.is_held().tolist()):
                if row is None or not held:
                    row = self._mixed(self.see(batch.frames[number : number + 1]))
                rows.append(row)
            yield replace(batch, whole=torch.cat(rows))

    def _mixed(self, own: Tensor) -> Tensor:
        return own if self.style is None else self.weight * self.style + (1 - self.weight) * own
