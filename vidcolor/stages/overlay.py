"""Lays known color over that of the network."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vidcolor.guidance.layers import LayerStore
from vidcolor.records import Chroma, Colored, Layer

__all__ = ["NoOverlay", "Overlay"]


class NoOverlay:
    """The null object: color as it came. Memory: none. Lookahead: none."""

    def __call__(self, colored: Colored, /) -> Colored:
        """The same."""
        return colored


class Overlay:
    """Lays the layers of a store over the color of frames: `ab + weight * (layer - ab)`.

    Where a layer has its say, `Chroma.sure` rises to its weight. Memory: none of frames.
    Lookahead: none. Cut: frames do not see each other.

    Args:
        store: What earlier passes have found.
    """

    def __init__(self, store: LayerStore) -> None:
        self.store = store

    def __call__(self, colored: Colored, /) -> Colored:
        """Frames with known color where there is some."""
        layers = self.store.of(colored.frames)
        if not any(layers):
            return colored
        chroma = colored.chroma
        size = (int(chroma.ab.shape[2]), int(chroma.ab.shape[3]))
        ab = chroma.ab.clone()
        sure = torch.zeros_like(chroma.lightness) if chroma.sure is None else chroma.sure.clone()
        for i, layer in enumerate(layers):
            if layer is None:
                continue
            known, weight = _fit(layer, size)
            ab[i] += weight * (known - ab[i])
            sure[i] = torch.maximum(sure[i], weight)
        return replace(colored, chroma=Chroma(ab, chroma.lightness, chroma.flow, sure))


def _fit(layer: Layer, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(2, h, w) and (1, h, w) on the grid of the color."""
    both = torch.cat((layer.ab, layer.weight), dim=1)
    if tuple(both.shape[2:]) != size:
        both = F.interpolate(both, size=size, mode="bilinear", align_corners=False)
    return both[0, :2], both[0, 2:]
