"""In which order pictures come."""

from __future__ import annotations

import numpy as np

__all__ = ["Order"]

_ORDER = 1  # part of the seed; `sample` has the others


class Order:
    """An endless row of epochs, each with every picture once.

    Args:
        count: Pictures.
        seed: Another number, another order.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._epoch = -1
        self._permutation = np.empty(0, np.int64)

    def __call__(self, place: int) -> int:
        """The picture at a place of the row."""
        epoch, place = divmod(place, self._count)
        if self._epoch != epoch:
            self._epoch = epoch
            rng = np.random.default_rng((self._seed, _ORDER, epoch))
            self._permutation = rng.permutation(self._count)
        return int(self._permutation[place])
