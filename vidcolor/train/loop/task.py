"""What a run asks of whatever it trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import nn
from torch.utils.data import Dataset

from vidcolor.train.loop.card import Measured
from vidcolor.train.loop.state import Phase

__all__ = ["Task", "Watcher"]


class Watcher(Protocol):
    """Measures a network while it trains."""

    def scores(self, model: nn.Module) -> Measured:
        """Numbers of a whole network of the run."""
        ...

    def samples(self, model: nn.Module) -> Iterator[npt.NDArray[np.uint8]]:
        """(H, 3 W, 3) uint8 RGB: what the network saw, what it made, and what is true."""
        ...


class Task(Protocol):
    """A network, what it learns from, and how it is measured."""

    @property
    def phase(self) -> Phase:
        """What learns."""
        ...

    @property
    def notes(self) -> dict[str, Any]:
        """What is saved with the state, to be had again when the run goes on."""
        ...

    def batches(self, part: tuple[int, int]) -> Dataset[Any]:
        """Batches by step, for a process by its number and how many there are."""
        ...

    def watch(self) -> Watcher | None:
        """How it is measured; None where it is not."""
        ...

    def whole(self, mean: nn.Module) -> nn.Module:
        """What is written as weights: the running mean, or a completed copy of it."""
        ...
