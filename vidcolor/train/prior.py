"""How much each color class counts: rare colors more, since gray is safe and everywhere."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vidcolor.color.bins import ColorPrior, rebalance
from vidcolor.train.data.planes import ab_of
from vidcolor.train.measured import ColorPictures

__all__ = ["class_weights"]

_CAP = 20.0  # most that one class counts against another


def class_weights(
    pictures: ColorPictures, centers: Tensor, strength: float, limit: int = 2000, step: int = 4
) -> Tensor:
    """Weights of the classes from how common they are in the training pictures.

    Zhang et al. (ECCV 2016, 2.2) count over all of ImageNet; a sample of the set at hand will do.

    Args:
        pictures: What is learned from.
        centers: (Q, 2) a*b* of the classes.
        strength: `PhaseConfig.rebalance`: 0 weighs all alike, near 1 by the inverse of their
            share.
        limit: So many pictures, evenly spaced, are looked at.
        step: Every `step`-th pixel of every `step`-th row counts.

    Returns:
        (Q,) float32; their mean over the pixels is 1.
    """
    prior = ColorPrior(centers)
    count = min(len(pictures), limit)
    for place in range(count):
        rgb = pictures.rgb(place * len(pictures) // count)[::step, ::step]
        ab = ab_of(np.ascontiguousarray(rgb, np.float32) / np.float32(255))
        prior.add(torch.from_numpy(ab).permute(2, 0, 1)[None])
    # the cap keeps a rare color of a small set from outweighing all others
    return rebalance(prior.probabilities(), mix=1 - strength, cap=_CAP).float()
