"""Curves and pictures for TensorBoard, for those who want them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError

__all__ = ["Board", "NoBoard", "TensorBoard"]


class Board(Protocol):
    """Where curves are drawn."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """A point of each curve."""
        ...

    def picture(self, step: int, name: str, rgb: npt.NDArray[np.uint8]) -> None:
        """(H, W, 3) uint8 RGB."""
        ...

    def close(self) -> None:
        """Write what is still in memory."""
        ...


class NoBoard:
    """Draws nothing."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def picture(self, step: int, name: str, rgb: npt.NDArray[np.uint8]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class TensorBoard:
    """Writes event files.

    Args:
        folder: For them; TensorBoard is pointed at it.
        step: Steps done; what earlier files have of later ones is hidden.

    Raises:
        ConfigError: If the package is missing.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError(
                "run.tensorboard needs a package: pip install 'vidcolor[tensorboard]'"
            ) from None
        purge = step + 1 if step else None
        self._writer = SummaryWriter(str(folder), purge_step=purge)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """A point of each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, rgb: npt.NDArray[np.uint8]) -> None:
        """(H, W, 3) uint8 RGB."""
        self._writer.add_image(name, rgb, step, dataformats="HWC")

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()
