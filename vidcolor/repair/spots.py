"""Making spots of holes."""

from __future__ import annotations

import numpy as np

from vidcolor.repair.records import Hole, Kind, Spot, State

__all__ = ["trimmed"]


def trimmed(
    kind: Kind, origin: tuple[int, int], hole: Hole, confidence: float, state: State
) -> Spot | None:
    """A spot whose box is as small as can be; None if the hole is empty.

    Args:
        kind: Of damage.
        origin: Row and column of the frame where `hole` begins.
        hole: (h, w) bool.
        confidence: 0..1.
        state: Whether it will be repaired.
    """
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    part = hole[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1].copy()
    return Spot(kind, origin[0] + top, origin[1] + left, part, confidence, "auto", state)
