"""What all effects share: the kind of array, and how long a pixel of the scan is here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["SCAN_LINES", "Image", "scan_px"]

Image = npt.NDArray[np.float32]
"""Gray (H, W) or RGB (H, W, 3), float32 in 0..1, gamma-coded."""

SCAN_LINES = 1080
"""Lines of the scan in which sizes of damage are stated."""


def scan_px(gray: Image) -> float:
    """Pixels of this picture to one pixel of a scan of 1080 lines, the picture being a frame."""
    return min(gray.shape[:2]) / SCAN_LINES
