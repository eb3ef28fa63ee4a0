"""Gives back the chroma that averaging takes away."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Saturation"]

Floats = npt.NDArray[np.float32]

_REPAYS_FRAMES = 8  # shorter, and the gain would flicker with the color it is to hold
_REMEMBERS_FRAMES = 60  # at the largest gain
_PLAY = 0.003  # part of the chroma that may be lost for good
_FAINT = 0.5  # |a*b*| under which there is nothing to give back
_STEP = 2  # every second pixel is looked at


class Saturation:
    """A slow gain with which the mean chroma of a shot does not fall.

    The mean of colors of one hue is as strong as they are; of different hues it is weaker, and
    color that is held to its past misses what the picture gains later. What is owed since the
    shot began is paid back over the next frames; what there is too much of is kept for later, not
    taken away.

    Memory: a number. Lookahead: none. One is made for each shot.

    Args:
        most: Largest gain; 1 switches it off.
    """

    def __init__(self, most: float) -> None:
        self.most = most
        self._owed = 0.0

    def restore(self, wanted: Floats, given: Floats) -> Floats:
        """`given` with the chroma that `wanted` has on average.

        Args:
            wanted: (2, h, w) a*b* of the next frame as it came.
            given: (2, h, w) what was made of it.
        """
        if self.most == 1:
            return given
        before, after = (_chroma(ab) for ab in (wanted, given))
        gain = 1 + max(0.0, self._owed) / (_REPAYS_FRAMES * max(after, _FAINT))
        gain = min(self.most, gain)
        # what the limit refuses is not owed for ever, or a gain would outlive its reason
        most = _REMEMBERS_FRAMES * before * (self.most - 1)
        self._owed = min(most, self._owed + (1 - _PLAY) * before - gain * after)
        if gain == 1:
            return given
        result: Floats = given * np.float32(gain)
        return result


def _chroma(ab: Floats) -> float:
    square = np.square(ab[:, ::_STEP, ::_STEP])
    return float(np.sqrt(square[0] + square[1]).mean())
