"""Layers of color, kept by frame between the pass that finds them and the pass that uses them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.records import FrameBatch, Layer

__all__ = ["LayerStore"]

_AB_STEP = 1 / 256  # a*b* of a code: int16 reaches +-128


class LayerStore:
    """Layers of single frames, by pts, in a file that ends with the store.

    a*b* is kept to 1/256, weight to 1/255. A frame that has no layer takes no room.

    Args:
        folder: Where the file lies; None: the system's folder for such files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by `close`
        self._places: dict[int, tuple[int, tuple[int, int]]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, pts: int) -> bool:
        return pts in self._places

    def put(self, pts: int, layer: Layer) -> None:
        """Keep the layer of one frame; a later one takes its place.

        Args:
            pts: Of the frame.
            layer: Of one frame, N = 1.

        Raises:
            ValueError: If the layer is of several frames.
        """
        if len(layer) != 1:
            raise ValueError(f"a layer of one frame is wanted, not of {len(layer)}")
        if not bool((layer.weight > 0).any()):
            self._places.pop(pts, None)
            return
        height, width = (int(v) for v in layer.ab.shape[2:])
        ab = np.clip(np.rint(layer.ab.numpy() / _AB_STEP), -32768, 32767).astype(np.int16)
        weight = np.clip(np.rint(layer.weight.numpy() * 255), 0, 255).astype(np.uint8)
        place = self._file.seek(0, 2)
        self._file.write(ab.tobytes() + weight.tobytes())
        self._places[pts] = place, (height, width)

    def get(self, pts: int) -> Layer | None:
        """The layer of one frame, if it has one."""
        if pts not in self._places:
            return None
        place, (height, width) = self._places[pts]
        count = height * width
        self._file.seek(place)
        ab = self._read(2 * count, np.dtype(np.int16)).reshape(1, 2, height, width)
        weight = self._read(count, np.dtype(np.uint8)).reshape(1, 1, height, width)
        return Layer(
            torch.from_numpy(ab.astype(np.float32) * np.float32(_AB_STEP)),
            torch.from_numpy(weight.astype(np.float32) / np.float32(255)),
        )

    def of(self, frames: FrameBatch) -> list[Layer | None]:
        """The layer of each frame of a batch, None where there is none."""
        return [self.get(pts) for pts in frames.pts]

    def _read(self, count: int, kind: np.dtype[Any]) -> npt.NDArray[Any]:
        return np.frombuffer(self._file.read(count * kind.itemsize), kind)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __enter__(self) -> LayerStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
