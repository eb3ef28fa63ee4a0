"""Chroma from one grid to another, for codecs that do not have the source's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["ChromaGrid", "resample"]

Floats = npt.NDArray[np.float32]

_PLACES: dict[str | None, tuple[float, float]] = {
    None: (0.5, 0.0),  # what decoders take where nothing is said
    "left": (0.5, 0.0),
    "center": (0.5, 0.5),
    "topleft": (0.0, 0.0),
    "top": (0.0, 0.5),
}
"""Place of a chroma sample, down and across, in the block of luma samples that it serves."""


@dataclass(frozen=True, slots=True)
class ChromaGrid:
    """Where chroma samples lie.

    Attributes:
        rows: Luma rows to a chroma row.
        columns: Luma columns to a chroma column.
        siting: FFmpeg's name of their place; None is `left`.
    """

    rows: int
    columns: int
    siting: str | None = None

    @property
    def offset(self) -> tuple[float, float]:
        """`(y, x)` of the first sample in luma pixels, the first of which is at 0."""
        down, across = _PLACES[self.siting]
        return down * (self.rows - 1), across * (self.columns - 1)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """`(height, width)` of the chroma planes of a picture."""
        return -(-height // self.rows), -(-width // self.columns)


def resample(
    plane: npt.NDArray[Any], source: ChromaGrid, target: ChromaGrid, size: tuple[int, int]
) -> Floats:
    """A chroma plane on another grid: linear where it grows, averaged first where it shrinks.

    Args:
        plane: (h, w) on the grid `source`.
        source: Where its samples lie.
        target: Where they are wanted.
        size: `(height, width)` of the picture.

    Returns:
        (h', w') float32 on the grid `target`.
    """
    down, across = target.rows / source.rows, target.columns / source.columns
    blurred = cv2.sepFilter2D(
        np.ascontiguousarray(plane, np.float32),
        cv2.CV_32F,
        _tent(across),
        _tent(down),
        borderType=cv2.BORDER_REPLICATE,
    )
    y = (target.offset[0] - source.offset[0]) / source.rows
    x = (target.offset[1] - source.offset[1]) / source.columns
    height, width = target.size(*size)
    moved = cv2.warpAffine(
        blurred,
        np.array([[across, 0, x], [0, down, y]], np.float64),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cast(Floats, moved)


def _tent(factor: float) -> Floats:
    """Weights of a tent as wide as the samples are taken apart."""
    half = max(1, round(factor))
    weights = half - np.abs(np.arange(1 - half, half))
    return np.asarray(weights / weights.sum(), np.float32)
