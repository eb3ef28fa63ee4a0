"""Losses on a*b*."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["smooth_l1"]


def smooth_l1(pred: Tensor, target: Tensor, delta: float) -> Tensor:
    """Smooth L1 (Huber over delta) of a*b*, both channels summed, mean over pixels.

    Args:
        pred: (N, 2, H, W) a*b*.
        target: The same.
        delta: a*b* units below which the error counts squared (Su et al., section 3: 1).

    Returns:
        Scalar, in units of `delta`.
    """
    return F.smooth_l1_loss(pred / delta, target / delta, reduction="none").sum(1).mean()
