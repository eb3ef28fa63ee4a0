"""What fills a hole from its surroundings when no neighbor in time knows what was there."""

from __future__ import annotations

from typing import Any, Protocol, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.records import Hole

__all__ = ["Fill", "TeleaFill"]

Floats = npt.NDArray[np.float32]


class Fill(Protocol):
    """Fills holes of a picture."""

    def __call__(self, gray: Floats, hole: Hole, /) -> Floats:
        """Values for the holes.

        Args:
            gray: (H, W) float32 in cv; what lies in holes does not matter.
            hole: (H, W), true where to fill.

        Returns:
            (H, W) float32 in cv: `gray` where there is no hole.
        """
        ...


class TeleaFill:
    """The fast marching method: needs no weights.

    Reference: Telea, An Image Inpainting Technique Based on the Fast Marching Method, Journal of
    Graphics Tools 2004 (OpenCV's implementation).

    Args:
        radius_px: Of the neighborhood from which a pixel is filled.
    """

    def __init__(self, radius_px: float = 3.0) -> None:
        self._radius = radius_px

    def __call__(self, gray: Floats, hole: Hole, /) -> Floats:
        """See `Fill`."""
        if not hole.any():
            return gray
        codes = cast(Any, np.clip(np.rint(gray * 256), 0, 65535).astype(np.uint16))
        filled = cv2.inpaint(codes, hole.astype(np.uint8), self._radius, cv2.INPAINT_TELEA)
        return np.where(hole, np.asarray(filled, np.float32) * np.float32(1 / 256), gray)
