"""Color by statistics, beneath what was matched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.color.transfer import welsh
from vidcolor.guidance.references.descriptors import CELL_PX
from vidcolor.guidance.references.entries import Reference

__all__ = ["beneath"]

Floats = npt.NDArray[np.float32]

_SIZE = (24, 40)  # of the picture whose pixels are candidates: 960, about 200 in the paper
_SMALL = (192, 320)


def beneath(
    references: Sequence[Reference], lightness: Floats, found: tuple[Floats, Floats] | None
) -> tuple[Floats, Floats]:
    """What was found, and what statistics say where that is not sure.

    Args:
        references: Those of which only statistics count.
        lightness: (h, w) L* of the frame.
        found: (h, w, 2) a*b* and (h, w) weight; None where nothing was looked for.

    Returns:
        The same two.
    """
    if not references:
        assert found is not None
        return found
    height, width = lightness.shape
    cells = (width // CELL_PX, height // CELL_PX)
    small = cast(Floats, cv2.resize(lightness, cells, interpolation=cv2.INTER_AREA))
    total = np.zeros((*small.shape, 2), np.float32)
    for reference in references:
        total += welsh(small, *_tiny(reference)).transpose(1, 2, 0) * reference.entry.strength
    total /= np.float32(sum(reference.entry.strength for reference in references))
    ab = cast(Floats, cv2.resize(total, (width, height)))
    strongest = max(reference.entry.strength for reference in references)
    if found is None:
        return ab, np.full(lightness.shape, strongest, np.float32)
    own = found[1]
    joined = own + (1 - own) * np.float32(strongest)
    part = own / np.maximum(joined, np.float32(1e-6))
    return ab + part[..., None] * (found[0] - ab), joined


def _tiny(reference: Reference) -> tuple[Floats, Floats]:
    """L* and a*b* of so few pixels that all can be compared."""
    lightness, ab = reference.small(_SMALL)
    planes = [
        cast(Floats, cv2.resize(plane, _SIZE[::-1], interpolation=cv2.INTER_AREA))
        for plane in (lightness, *ab)
    ]
    return planes[0], np.stack(planes[1:])
