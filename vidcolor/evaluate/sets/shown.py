"""A picture as a protocol shows it, and the boxes in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.evaluate.sets.config import PicturesConfig
from vidcolor.evaluate.sets.resize import resize
from vidcolor.io.image import still_frame
from vidcolor.pipeline import Pipeline

__all__ = ["Boxes", "Shown", "find_boxes", "show"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_GRID = 32


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Instances that networks may see.

    Attributes:
        corners: (K, 4) float32 xyxy in pixels of a picture.
        weight: (K,) float32, how much each counts.
    """

    corners: Floats
    weight: Floats

    @classmethod
    def given(cls, corners: Floats | None, most: int) -> Boxes:
        """The first boxes of those that came with a picture."""
        found = np.zeros((0, 4), np.float32) if corners is None else corners[:most]
        return cls(np.asarray(found, np.float32), np.ones(len(found), np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A picture as it is measured.

    Attributes:
        stored: (H, W, 3) uint8, as it is in the data.
        truth: The same at the size at which it is compared.
    """

    stored: Bytes
    truth: Bytes

    def scaled(self, corners: Floats) -> Floats:
        """Boxes of the stored picture in pixels of the compared one."""
        (height, width), (tall, wide) = self.stored.shape[:2], self.truth.shape[:2]
        return np.asarray(corners * np.array((wide / width, tall / height) * 2, np.float32))


def show(rgb: Bytes, config: PicturesConfig) -> Shown:
    """Bring a picture to the size of the protocol."""
    return Shown(rgb, resize(rgb, _size(rgb, config), config.resize))


def _size(rgb: Bytes, config: PicturesConfig) -> tuple[int, int]:
    height, width = int(rgb.shape[0]), int(rgb.shape[1])
    if not config.size:
        return height, width
    if config.fit == "square":
        return config.size, config.size
    grid = _GRID if config.fit == "grid" else 1
    scale = config.size / min(height, width)
    return (
        max(grid, round(height * scale / grid) * grid),
        max(grid, round(width * scale / grid) * grid),
    )


def find_boxes(line: Pipeline, rgb: Bytes, most: int) -> Boxes:
    """Boxes that the line's detector sees in a stored picture, the surest first."""
    (tracked,) = line.follow([still_frame(rgb)])
    found = tracked.tracks
    order = torch.argsort(found.detections.scores, descending=True, stable=True)[:most]
    found = found[order]
    return Boxes(found.detections.boxes.numpy(), found.weight.numpy())
