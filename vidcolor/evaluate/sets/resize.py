"""Pictures at the size of a protocol; how they get there moves PSNR by tenths of a dB."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

__all__ = ["Resize", "resize"]

Bytes = npt.NDArray[np.uint8]

Resize = Literal["area", "bilinear", "bicubic", "cv_bilinear", "cv_bicubic"]

_PILLOW = ("bilinear", "bicubic")


def resize(rgb: Bytes, size: tuple[int, int], how: Resize) -> Bytes:
    """A picture at another size; the same array where it has it already.

    "bilinear" and "bicubic" are Pillow's, within a code value where the filter does not overshoot
    black or white: it is as wide as the scale, so nothing aliases. OpenCV's ("cv_...") look at two
    or four pixels whatever the scale, which leaves shrunken pictures sharper and noisier. "area"
    averages, unless the shorter side grows: then it interpolates, as training does.

    Args:
        rgb: (H, W, 3) uint8.
        size: `(height, width)` of the result.
        how: See `PicturesConfig.resize`.
    """
    if rgb.shape[:2] == size:
        return rgb
    if how not in _PILLOW:
        grows = min(size) > min(rgb.shape[:2])
        area = cv2.INTER_LINEAR if grows else cv2.INTER_AREA
        kind = {"area": area, "cv_bilinear": cv2.INTER_LINEAR, "cv_bicubic": cv2.INTER_CUBIC}[how]
        return np.asarray(cv2.resize(rgb, size[::-1], interpolation=kind), np.uint8)
    planes = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
    small: Any = F.interpolate(planes, size=size, mode=how, antialias=True, align_corners=False)
    return np.ascontiguousarray(small[0].permute(1, 2, 0).numpy())
