"""What a step of training gets: pictures and their holes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["HoleBatch"]


@dataclass(frozen=True, slots=True, eq=False)
class HoleBatch:
    """Pictures with holes to be filled.

    Attributes:
        image: (N, C, S, S) float32 in 0..1, whole: what is under the holes is the truth.
        valid: (N, 1, S, S) float32, 1 where the network sees the picture and 0 in holes.
    """

    image: Tensor
    valid: Tensor

    def __post_init__(self) -> None:
        if self.image.ndim != 4:
            raise ValueError(f"image must be (N, C, S, S), not {tuple(self.image.shape)}")
        expected = (len(self.image), 1, *self.image.shape[2:])
        if tuple(self.valid.shape) != expected:
            raise ValueError(f"valid must be {expected}, not {tuple(self.valid.shape)}")

    def __len__(self) -> int:
        return len(self.image)

    def to(self, device: torch.device | str) -> HoleBatch:
        """The same on `device`, pictures channels last."""
        image = self.image.to(device).to(memory_format=torch.channels_last)
        return HoleBatch(image, self.valid.to(device))

    def __getitem__(self, part: slice) -> HoleBatch:
        return HoleBatch(self.image[part], self.valid[part])
