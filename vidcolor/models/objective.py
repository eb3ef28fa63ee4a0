"""What the published networks were trained by: color classes, loss, learning rate, samples.

Reference:
    Zhang et al. 2017 (arXiv:1705.02999) and Su, Chu, Huang: Instance-aware Image Colorization,
    CVPR 2020 (arXiv:2005.10825), as their public code has it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "CLASS_STEP",
    "class_centers",
    "class_to_color",
    "color_class",
    "color_range",
    "mean_color",
    "pixel_loss",
    "rate_factor",
]

CLASS_STEP = 10.0
"""Side of a color class in a*b* units."""

_LIMIT = 110.0  # classes cover [-110, 110] along both axes
_SIDE = 23


def color_class(ab: Tensor) -> Tensor:
    """Numbers of the color classes.

    Args:
        ab: (N, 2, H, W) a*b* in [-110, 110].

    Returns:
        (N, 1, H, W) int64 in 0..528: 23 * a + b, counted in steps of 10 from -110, rounded
        half to even.
    """
    steps = torch.round((ab + _LIMIT) / CLASS_STEP).long()
    return steps[:, :1] * _SIDE + steps[:, 1:]


def class_to_color(number: Tensor) -> Tensor:
    """(N, 2, H, W) float32 a*b* at the center of (N, 1, H, W) class numbers."""
    steps = torch.cat((number // _SIDE, number % _SIDE), dim=1)
    return steps.float() * CLASS_STEP - _LIMIT


def class_centers() -> Tensor:
    """(529, 2) float32 a*b* of all color classes, in the order of their numbers."""
    return class_to_color(torch.arange(_SIDE * _SIDE).view(1, 1, 1, -1))[0, :, 0].T.contiguous()


def mean_color(probabilities: Tensor) -> Tensor:
    """(N, 2, H, W) expected a*b* of (N, 529, H, W) probabilities."""
    n, _, height, width = probabilities.shape
    grid = probabilities.view(n, _SIDE, _SIDE, height, width)
    steps = torch.arange(_SIDE, device=grid.device, dtype=grid.dtype) * CLASS_STEP - _LIMIT
    a = torch.einsum("nahw,a->nhw", grid.sum(2), steps)
    b = torch.einsum("nbhw,b->nhw", grid.sum(1), steps)
    return torch.stack((a, b), dim=1)


def pixel_loss(pred: Tensor, target: Tensor, delta: float = 1 / 110) -> Tensor:
    """Smooth L1 of each pixel, summed over a and b.

    Args:
        pred: (N, 2, H, W) a*b*, in any unit (the published networks': 110).
        target: The same of the truth.
        delta: Errors below it count squared, in the same unit; the paper's is one a*b* unit.

    Returns:
        (N, 1, H, W); the published training minimizes ten times its mean.
    """
    return F.smooth_l1_loss(pred, target, beta=delta, reduction="none").sum(1, keepdim=True)


def color_range(ab: Tensor) -> Tensor:
    """(N,) extent of a plus that of b over each picture; nearly gray samples have little.

    The published training skips pictures below 10 a*b* units (the backbone's: 5).
    """
    flat = ab.flatten(2)
    return (flat.amax(2) - flat.amin(2)).sum(1)


def rate_factor(epoch: int, constant: int, decay: int) -> float:
    """Factor of the learning rate in an epoch, from 0: level, then a line toward 0."""
    return 1.0 - max(0, epoch + 1 - constant) / (decay + 1)
