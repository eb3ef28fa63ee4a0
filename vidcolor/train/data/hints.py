"""Colors as a person might give them: small patches of the true color.

Reference: Zhang et al., Real-Time User-Guided Image Colorization with Learned Deep Priors, ACM
Transactions on Graphics 36(4), 2017, arXiv:1705.02999, section 3.2, with the numbers of its
public code.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["simulate_hints"]

Floats = npt.NDArray[np.float32]

_STOP = 0.125  # chance that no further patch is given: 7 on average
_LARGEST_PX = 9


def simulate_hints(ab: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Patches of one color each: their number is geometric, their places lean to the center.

    Sides are 1 to 9 pixels, all alike likely. The corner of a patch of side P in H rows is normal
    with mean (H - P + 1) / 2 and deviation (H - P + 1) / 4, clipped to the picture and truncated;
    the same along the columns. Later patches lie over earlier ones.

    Args:
        ab: (H, W, 2) float32 a*b* of the picture.
        rng: Source of all randomness.

    Returns:
        (2, H, W) float32 mean a*b* of each patch, 0 elsewhere, and the (1, H, W) mask, 1 where
        a color is given; for `records.Hints`. One picture in eight gets none.
    """
    size = ab.shape[:2]
    given = np.zeros((2, *size), np.float32)
    mask = np.zeros((1, *size), np.float32)
    for _ in range(int(rng.geometric(_STOP)) - 1):
        side = min(int(rng.integers(1, _LARGEST_PX + 1)), *size)
        top, left = (
            int(min(max(rng.normal(room / 2, room / 4), 0), room - 1))
            for room in (size[0] - side + 1, size[1] - side + 1)
        )
        patch = (slice(top, top + side), slice(left, left + side))
        given[(slice(None), *patch)] = ab[patch].mean(axis=(0, 1))[:, None, None]
        mask[(0, *patch)] = 1
    return given, mask
