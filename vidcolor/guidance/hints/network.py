"""Hints for networks that take them: what is surely known of a frame, thinned out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from vidcolor.guidance.layers import LayerStore
from vidcolor.ops.resize import to_network
from vidcolor.records import FrameBatch, Hints

__all__ = ["HintSource", "StoredHints"]

HintSource = Callable[[FrameBatch, tuple[int, int]], Hints | None]
"""Given frames and the `(height, width)` of the upright picture that the network sees, the hints on
that picture, one for each frame; None where nothing is known of any of them."""

_SURE = 0.95
_STEP_PX = 12
_POINT_PX = 3
_THIN_PX = 9


class StoredHints:
    """Hints from the layers that the solve has found.

    Networks have learned with points and not with areas, so an area becomes a lattice of points;
    what is thinner than its step stays whole. Memory: none.

    Args:
        store: Layers of the frames.
    """

    def __init__(self, store: LayerStore) -> None:
        self.store = store

    def __call__(self, frames: FrameBatch, size: tuple[int, int]) -> Hints | None:
        """See `HintSource`."""
        layers = self.store.of(frames)
        if not any(layer is not None for layer in layers):
            return None
        ab = torch.zeros(len(frames), 2, *size)
        mask = torch.zeros(len(frames), 1, *size)
        for i, layer in enumerate(layers):
            if layer is None:
                continue
            planes = torch.cat((layer.ab * layer.weight, layer.weight), dim=1)
            planes = to_network(planes, frames.info, size)
            known = _thinned(planes[:, 2:] >= _SURE)
            ab[i] = torch.where(known, planes[:, :2] / planes[:, 2:].clamp(min=_SURE), 0.0)[0]
            mask[i] = known[0].float()
        return Hints(ab, mask)


def _thinned(sure: Tensor) -> Tensor:
    """(1, 1, H, W) bool: points of a lattice inside areas, and whatever is thin."""
    areas = _grow(~_grow(~sure))
    y, x = (torch.arange(side) % _STEP_PX < _POINT_PX for side in sure.shape[2:])
    lattice = y[:, None] & x[None]
    return sure & (lattice | ~areas)


def _grow(cells: Tensor) -> Tensor:
    grown = functional.max_pool2d(cells.float(), _THIN_PX, 1, _THIN_PX // 2)
    return grown > 0
