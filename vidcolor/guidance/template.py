"""What is known of an object's color, in the coordinates of its box."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vidcolor.errors import GuidanceError

__all__ = ["GRID", "Pin", "Template"]

GRID = 8
"""Cells of a template along each side of the box."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """Color of an object, cell by cell of its box.

    Attributes:
        ab: (2, GRID, GRID) float32 a*b*.
        lightness: (GRID, GRID) float32 L* that the color was seen with.
        weight: (GRID, GRID) float32 in 0..1: how sure the color is; 0 knows nothing.
    """

    ab: Tensor
    lightness: Tensor
    weight: Tensor

    def __post_init__(self) -> None:
        for name, shape in (
            ("ab", (2, GRID, GRID)), ("lightness", (GRID, GRID)), ("weight", (GRID, GRID)),
        ):  # fmt: skip
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"{name} must be {shape}, not {tuple(getattr(self, name).shape)}")

    def to_text(self) -> str:
        """Short enough for a text file: base64, a byte a value (a* + 128, b* + 128, L*, 255 w)."""
        planes = torch.cat(
            (self.ab + 128, self.lightness[None] * 2.55, self.weight[None] * 255)
        ).numpy()
        codes = np.clip(np.rint(planes), 0, 255).astype(np.uint8)
        return base64.b64encode(codes.tobytes()).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> Template:
        """Read `to_text` back, to half a unit.

        Raises:
            GuidanceError: If the text is none.
        """
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError:
            data = b""
        if len(data) != 4 * GRID * GRID:
            raise GuidanceError(f"{text[:20]!r}... is no color template; leave it out to forget it")
        codes = np.frombuffer(data, np.uint8).reshape(4, GRID, GRID).astype(np.float32)
        planes = torch.from_numpy(codes)
        return cls(planes[:2] - 128, planes[2] / 2.55, planes[3] / 255)


@dataclass(frozen=True, slots=True, eq=False)
class Pin:
    """A person's word on the color of a track.

    Attributes:
        track: Identity of the track, as in `Tracks.ids`.
        template: Its color.
    """

    track: int
    template: Template
