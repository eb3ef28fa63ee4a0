"""Pictures with holes as batches that depend only on seed and step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from vidcolor.errors import ConfigError
from vidcolor.holes.source import HoleSource
from vidcolor.io.shards import Pictures
from vidcolor.train.data.order import Order
from vidcolor.train.data.window import crop_window
from vidcolor.train.degrade import degrade
from vidcolor.train.inpaint.batch import HoleBatch
from vidcolor.train.inpaint.config import InpaintConfig

__all__ = ["HoleBatches"]

Floats = npt.NDArray[np.float32]

_SAMPLE = 2  # part of the seed of crops and film effects; `Order` has the first
_WHITE = np.float32(255)


class HoleBatches(Dataset[HoleBatch]):
    """Batch number `step`, the same for the same seed however training was interrupted.

    Pictures are drawn epoch by epoch without repetition, cropped to squares, mirrored, made gray
    like film where the network has one channel. Picture i of a batch and its hole are the same on
    however many processes the batch is spread.

    Args:
        pictures: All pictures.
        config: Of the run.
        part: Number of this process and how many there are; each gets an equal slice.

    Raises:
        ConfigError: If the batch cannot be divided.
    """

    def __init__(
        self, pictures: Pictures, config: InpaintConfig, part: tuple[int, int] = (0, 1)
    ) -> None:
        rank, world = part
        data = config.data
        if data.batch_size % world:
            raise ConfigError(
                f"batch_size {data.batch_size} cannot be divided among {world} processes"
            )
        share = data.batch_size // world
        self._slots = range(rank * share, (rank + 1) * share)
        self._pictures = pictures
        self._config = config
        self._order = Order(len(pictures), data.seed)
        self._holes = HoleSource(config.holes)

    def __getitem__(self, step: int) -> HoleBatch:
        """The batch of a step.

        Raises:
            MediaError: If a picture cannot be decoded.
            ConfigError: If there are no holes of the kinds and sizes that are asked for.
        """
        data = self._config.data
        draw = np.random.default_rng((data.seed, step)).integers(len(data.sizes))
        side = data.sizes[int(draw)]
        first = step * data.batch_size
        images = [self._image(first + slot, step, slot, side) for slot in self._slots]
        holes = [self._holes(first + slot, (side, side)) for slot in self._slots]
        valid = np.stack([~hole for hole in holes])[:, None].astype(np.float32)
        return HoleBatch(torch.from_numpy(np.stack(images)), torch.from_numpy(valid))

    def _image(self, place: int, step: int, slot: int, side: int) -> Floats:
        """(C, S, S) in 0..1."""
        config = self._config
        data = config.data
        rng = np.random.default_rng((data.seed, _SAMPLE, step, slot))
        picture = self._pictures.rgb(self._order(place))
        size = (picture.shape[0], picture.shape[1])
        window = crop_window(size, data.smallest_crop, False, rng, data.largest_crop)
        rgb = window.cut(picture, side).astype(np.float32) / _WHITE
        if config.channels > 1:
            return np.ascontiguousarray(rgb.transpose(2, 0, 1))
        return degrade(rgb, config.degrade, rng)[None]
