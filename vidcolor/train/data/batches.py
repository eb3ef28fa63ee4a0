"""Color pictures as batches that depend only on seed and step.

Three views, one for each phase of Su et al. (CVPR 2020, 4.4): "whole" pictures for the full-image
net, one "instance" of each picture for the instance net, whole pictures with their "instances" for
the fusion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.shards import Pictures
from vidcolor.records import Hints, Rois
from vidcolor.train.data.batch import Batch, Pair
from vidcolor.train.data.config import DataConfig, View
from vidcolor.train.data.order import Order
from vidcolor.train.data.sample import Sample, Sampler
from vidcolor.train.degrade import DegradeConfig

__all__ = ["TrainBatches"]


class TrainBatches(Dataset[Batch]):
    """Batch number `step`, the same for the same seed however training was interrupted.

    Pictures are drawn epoch by epoch without repetition, cropped to squares, mirrored, degraded.
    Picture i of a batch is the same on however many processes the batch is spread.

    Args:
        pictures: All pictures.
        config: See `DataConfig`.
        film: Film effects.
        view: "whole"; "instance", a box of each picture in place of the picture; "instances",
            whole pictures with `Batch.rois`. Where instances are wanted, pictures are left out
            that `DataConfig` says have none.
        stride: Pixels of the input to a cell of `Batch.ab`; see `ModelSpec.stride`.
        part: Number of this process and how many there are; each gets an equal slice.
        pair: Give `Batch.pair`: the later frame of the shard, or the still moved.
        labels: Kind of each picture, for `Batch.labels`.
        points: Give so many `Batch.points` a picture.

    Raises:
        ConfigError: If the batch cannot be divided, or no picture has instances.
    """

    def __init__(
        self,
        pictures: Pictures,
        config: DataConfig,
        film: DegradeConfig,
        *,
        view: View = "whole",
        stride: int = 4,
        part: tuple[int, int] = (0, 1),
        pair: bool = False,
        labels: Sequence[int] | None = None,
        points: int = 0,
    ) -> None:
        rank, world = part
        if config.batch_size % world:
            raise ConfigError(
                f"batch_size {config.batch_size} cannot be divided among {world} processes"
            )
        self.config = config
        share = config.batch_size // world
        self._slots = range(rank * share, (rank + 1) * share)
        self._sampler = Sampler(pictures, config, film, view, stride, pair, labels, points)
        self._usable = [n for n in range(len(pictures)) if self._sampler.usable(n)]
        if not self._usable:
            raise ConfigError(
                f"none of {len(pictures)} pictures has a box of score {config.box_score} and "
                f"{config.smallest_box_px} pixels; build the set with a detector, or set "
                "data.random_boxes"
            )
        self._order = Order(len(self._usable), config.seed)

    def _size(self, step: int) -> int:
        sizes = self.config.sizes
        return sizes[int(np.random.default_rng((self.config.seed, step)).integers(len(sizes)))]

    def _number(self, place: int) -> int:
        """The picture at a place of the endless row of epochs."""
        return self._usable[self._order(place)]

    def _numbers(self, step: int) -> list[int]:
        first = step * self.config.batch_size
        return [self._number(first + slot) for slot in self._slots]

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step.

        Raises:
            MediaError: If a picture cannot be decoded, or all are too gray.
        """
        size = self._size(step)
        return _batch([self._sample(step, slot, size) for slot in self._slots])

    def _sample(self, step: int, slot: int, size: int) -> Sample:
        """A sample with color: for gray ones others step in, from the place after the batch on."""
        place = step * self.config.batch_size + slot
        # twice as many as there are pictures hold a whole epoch, wherever that begins
        for attempt in range(2 * len(self._usable) + 1):
            key = (step, slot, attempt) if attempt else (step, slot)
            away = self.config.batch_size + attempt - 1 if attempt else 0
            sample = self._sampler.draw(self._number(place + away), size, key)
            if sample is not None:
                return sample
        raise MediaError(
            f"no picture has a color range of {self.config.color_range} and boxes inside it; give "
            "other pictures or lower data.color_range"
        )


def _batch(samples: list[Sample]) -> Batch:
    hints = [sample.hints for sample in samples if sample.hints is not None]
    pairs = [sample.pair for sample in samples if sample.pair is not None]
    labels = [sample.label for sample in samples if sample.label is not None]
    points = [sample.points for sample in samples if sample.points is not None]
    return Batch(
        _stack([sample.lightness[None] for sample in samples]),
        _stack([sample.ab for sample in samples]),
        _rois(samples),
        Hints(*(_stack(arrays) for arrays in zip(*hints, strict=True))) if hints else None,
        Pair(*(_stack(arrays) for arrays in zip(*pairs, strict=True))) if pairs else None,
        torch.tensor(labels, dtype=torch.int64) if labels else None,
        _stack(points) if points else None,
    )


def _stack(arrays: Sequence[npt.NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def _rois(samples: list[Sample]) -> Rois | None:
    """The close-ups of all samples, or None if the view has none."""
    parts = [
        (frame, sample.crops, sample.boxes)
        for frame, sample in enumerate(samples)
        if sample.crops is not None and sample.boxes is not None
    ]
    if not parts:
        return None
    frames = [frame for frame, _, boxes in parts for _ in boxes]
    side = len(samples[0].lightness)
    return Rois(
        torch.from_numpy(np.concatenate([crops for _, crops, _ in parts])),
        torch.from_numpy(np.concatenate([boxes for _, _, boxes in parts])),
        torch.tensor(frames, dtype=torch.int64),
        torch.ones(len(frames)),
        (side, side),
    )
