"""What a place of a picture looks like, in a few numbers that can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.models.registry import Describes

__all__ = ["CELL_PX", "Looks", "see"]

Floats = npt.NDArray[np.float32]

CELL_PX = 4
"""Side of a cell in pixels of the small picture: the finest map of a network has as much."""

_TRUST = (1.0, 1.0, 1.0, 0.8)  # length of a descriptor's part from each map, finest first
_DEVIATION_LEAST = 0.01  # a channel that hardly says anything is not blown up
_LIGHT_WEIGHT = 2.0
_LIGHT_UNIT = 25.0  # L* that counts as 1
_LIGHT_SIGMAS = (2.0, 5.0)  # cells
_TEXTURE_SIGMAS = (1.5, 4.0)  # cells
_TEXTURE_WEIGHT = 2.0


@torch.inference_mode()
def see(model: Describes, lightness: Floats) -> tuple[Tensor, ...]:
    """Maps of a network for one small picture.

    Args:
        model: In evaluation mode; runs on the device of its parameters.
        lightness: (h, w) L*, sides multiples of 32.

    Returns:
        (C, h/s, w/s) float32 on the CPU, s = 4, 8, 16, 32.
    """
    device = next(cast(nn.Module, model).parameters()).device
    picture = torch.from_numpy(np.ascontiguousarray(lightness))[None, None].to(device)
    maps = model.describe(picture.contiguous(memory_format=torch.channels_last))
    return tuple(m[0].float().cpu() for m in maps)


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """How cells are described: maps of a network, normalized and shortened, and own measures.

    The channels of each map get mean 0 and deviation 1 over the references, each place unit length;
    on the grid of cells all maps together are turned to their principal axes and cut. Beside them
    stand lightness and its deviation at several scales, which the network may have thrown away.
    Distances are then squared and Euclidean: up to about 0.5 is the same thing, above 2 another.

    Attributes:
        means: Per map (C, 1, 1).
        deviations: Per map (C, 1, 1).
        axes: Per map (D, C): its columns of the principal axes.
    """

    means: tuple[Tensor, ...]
    deviations: tuple[Tensor, ...]
    axes: tuple[Tensor, ...]

    @classmethod
    def of(cls, pictures: Sequence[tuple[tuple[Tensor, ...], Floats]], length: int) -> Looks:
        """Learn from the references.

        Args:
            pictures: Maps and (h, w) L* of each.
            length: Most principal axes that are kept.
        """
        levels = list(zip(*(maps for maps, _ in pictures), strict=True))
        joined = [torch.cat([m.flatten(1) for m in level], 1) for level in levels]
        means = tuple(part.mean(1)[:, None, None] for part in joined)
        deviations = tuple(part.std(1)[:, None, None] + _DEVIATION_LEAST for part in joined)
        cells = []
        for maps, lightness in pictures:
            parts = _normalized(maps, means, deviations)
            cells.append(torch.cat([_on_cells(part, lightness.shape) for part in parts]))
        both = torch.cat(cells, 1)
        _, vectors = torch.linalg.eigh(both @ both.T / both.shape[1])  # ascending
        kept = vectors.T.flip(0)[:length].contiguous()
        axes = kept.split([len(mean) for mean in means], dim=1)
        return cls(means, deviations, axes)

    def __call__(self, maps: tuple[Tensor, ...], lightness: Floats) -> Tensor:
        """Descriptors of a picture's cells.

        Args:
            maps: What `see` gave for it.
            lightness: (h, w) L*.

        Returns:
            (n, D) float32, row by row of the grid of h / 4 by w / 4 cells.
        """
        parts = _normalized(maps, self.means, self.deviations)
        network = torch.zeros(len(self.axes[0]), lightness.size // CELL_PX**2)
        for part, axes in zip(parts, self.axes, strict=True):
            turned = torch.einsum("dc,chw->dhw", axes, part)  # few channels are enlarged faster
            network += _on_cells(turned, lightness.shape)
        return torch.cat((network, torch.from_numpy(_light(lightness)))).T.contiguous()


def _on_cells(part: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(C, n) of a (C, h, w) map on the grid of cells."""
    size = (shape[0] // CELL_PX, shape[1] // CELL_PX)
    if tuple(part.shape[1:]) != size:
        part = F.interpolate(part[None], size=size, mode="bilinear", align_corners=False)[0]
    return part.flatten(1)


def _normalized(
    maps: Sequence[Tensor], means: tuple[Tensor, ...], deviations: tuple[Tensor, ...]
) -> list[Tensor]:
    """Maps in which each place has the length that the map is trusted with."""
    return [
        F.normalize((m - mean) / deviation, dim=0) * trust
        for m, mean, deviation, trust in zip(maps, means, deviations, _TRUST, strict=True)
    ]


def _light(lightness: Floats) -> Floats:
    """(6, n) lightness and texture of the cells at several scales."""
    unit: Floats = lightness * np.float32(1 / _LIGHT_UNIT)
    size = (lightness.shape[1] // CELL_PX, lightness.shape[0] // CELL_PX)
    mean = cast(Floats, cv2.resize(unit, size, interpolation=cv2.INTER_AREA))
    square = cast(Floats, cv2.resize(unit * unit, size, interpolation=cv2.INTER_AREA))
    planes = [mean] + [_smooth(mean, sigma) for sigma in _LIGHT_SIGMAS]
    variances = [square - mean * mean]
    for sigma in _TEXTURE_SIGMAS:
        variances.append(_smooth(mean * mean, sigma) - _smooth(mean, sigma) ** 2)
    for variance in variances:
        planes.append(np.float32(_TEXTURE_WEIGHT) * np.sqrt(np.maximum(variance, 0)))
    rows = np.stack(planes).reshape(len(planes), -1)
    return np.asarray(rows * np.float32(_LIGHT_WEIGHT / np.sqrt(len(planes))), np.float32)


def _smooth(plane: Floats, sigma: float) -> Floats:
    return cast(Floats, cv2.GaussianBlur(plane, (0, 0), sigma))
