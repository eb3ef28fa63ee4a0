"""From luma codes to CIE lightness."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from vidcolor.color.lab import rgb_to_lab
from vidcolor.records import ColorSpec

__all__ = ["to_lightness", "to_signal"]


def to_signal(luma: Tensor, spec: ColorSpec) -> Tensor:
    """Y' in [0, 1] of luma codes, float32; what lies outside the nominal range is clamped.

    Args:
        luma: Integer codes in `spec`'s range and depth, any shape.
        spec: How to read the codes.
    """
    return ((luma.float() - spec.black) / (spec.white - spec.black)).clamp(0, 1)


@functools.lru_cache(maxsize=16)
def _table(spec: ColorSpec) -> Tensor:
    codes = torch.arange(1 << spec.bits, dtype=torch.int32)
    gray = to_signal(codes, spec).view(1, 1, -1).expand(1, 3, -1)
    return rgb_to_lab(gray)[0, 0].contiguous()


def to_lightness(luma: Tensor, spec: ColorSpec) -> Tensor:
    """CIE lightness of gray code values, read with the sRGB curve as in training.

    Args:
        luma: (N, 1, H, W) integer codes in `spec`'s range and depth.
        spec: How to read the codes.

    Returns:
        (N, 1, H, W) float32 L* in [0, 100], D65, same device.

    Raises:
        ValueError: If `luma` is not an integer tensor.
    """
    if luma.is_floating_point():
        raise ValueError(f"luma must hold integer codes, not {luma.dtype}")
    return _table(spec).to(luma.device)[luma.long()]
