"""The unordered memory of references: every cell of every picture, and which ones are alike."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Match", "Memory"]

Floats = npt.NDArray[np.float32]

_CHUNK = 1056  # cells compared at once; bounds memory and stays near the caches


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """What a picture's n cells found.

    Attributes:
        distance: (n,) to the best cell: squared, up to about 0.5 the same thing, above 2 another.
        cells: (n, b) numbers of the best cells in the memory, best first.
        ab: (n, 2) a*b*, the mean of the k best by how near they are.
        doubt: (n,) how far those k disagree: their variance in a*b*.
    """

    distance: Floats
    cells: npt.NDArray[np.int64]
    ab: Floats
    doubt: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Cells of references with their color.

    Attributes:
        keys: (M, D) descriptors.
        ab: (M, 2) a*b*.
        numbers: (M,) what each cell is called outside.
        k: Cells that are asked for a color.
        sharpness: How fast the say of a cell falls with its squared distance.
    """

    keys: Tensor
    ab: Tensor
    numbers: Tensor
    k: int = 12
    sharpness: float = 4.0

    @classmethod
    def of(cls, keys: Tensor, ab: Tensor, numbers: Tensor, most: int, k: int = 12) -> Memory:
        """Of all cells; of more than `most` every so many are taken, evenly."""
        if len(keys) > most:
            taken = (torch.arange(most, dtype=torch.float64) * (len(keys) / most)).long()
            keys, ab, numbers = keys[taken].contiguous(), ab[taken], numbers[taken]
        return cls(keys, ab, numbers, min(k, len(keys)))

    @torch.inference_mode()
    def match(self, queries: Tensor, columns: int, best: int = 2) -> Match:
        """Look cells up. Every other column is searched for; those between try what both found.

        Args:
            queries: (n, D) descriptors, row by row of a grid.
            columns: Of the grid, an even number.
            best: How many cells of the memory are named for each.
        """
        rows = queries.view(-1, columns // 2, 2, queries.shape[1])
        found = self._search(rows[:, :, 0].reshape(-1, queries.shape[1]))
        found = found.view(len(rows), -1, self.k)
        right = torch.cat((found[:, 1:], found[:, -1:]), 1)
        half = (self.k + 1) // 2
        between = torch.cat((found[..., :half], right[..., : self.k - half]), 2)
        place = torch.stack((found, between), 2).view(-1, self.k)
        distance = torch.cat(
            [
                ((self.keys[at] - part[:, None]) ** 2).sum(2)
                for at, part in zip(
                    torch.split(place, _CHUNK), torch.split(queries, _CHUNK), strict=True
                )
            ]
        )
        place, order = place.sort(dim=1)
        distance = distance.gather(1, order)
        # what both neighbors found counts once
        distance[:, 1:][place[:, 1:] == place[:, :-1]] = torch.inf
        distance, order = distance.sort(dim=1)
        place = place.gather(1, order)
        weight = torch.softmax(-self.sharpness * distance, dim=1)[..., None]
        colors = self.ab[place]
        mean = (weight * colors).sum(1)
        doubt = (weight * (colors - mean[:, None]) ** 2).sum((1, 2))
        return Match(
            distance[:, 0].numpy(),
            self.numbers[place[:, :best]].numpy(),
            mean.numpy(),
            doubt.numpy(),
        )

    def _search(self, queries: Tensor) -> Tensor:
        """(n, k) places of the nearest keys, nearest first but for rounding."""
        rough = _rough_type()
        half = (self.keys * self.keys).sum(1) / 2
        keys = self.keys.to(rough).T
        found = []
        for part in torch.split(queries, _CHUNK):
            near = (part.to(rough) @ keys).float().sub_(half)
            found.append(near.topk(self.k, dim=1).indices)
        return torch.cat(found)


@functools.cache
def _rough_type() -> torch.dtype:
    """In which cells are preselected; half of it is enough where processors have units for that."""
    units = torch.cpu.get_capabilities()
    return torch.bfloat16 if units.get("amx_bf16") else torch.float32
