"""Color pictures from tar shards, as batches that depend only on seed and step."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidcolor.color.lab import rgb_to_lab
from vidcolor.errors import ConfigError, MediaError
from vidcolor.train.degrade import DegradeConfig, degrade

__all__ = ["Batch", "DataConfig", "Pictures", "TrainBatches", "ab_of", "lightness_of"]

_SUFFIXES = (".jpg", ".jpeg", ".png")
_LIGHTNESS = rgb_to_lab(torch.linspace(0, 1, 8192).view(1, 1, -1).expand(1, 3, -1))[0, 0].numpy()


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Where pictures come from and how they are cut.

    Attributes:
        train: Shell patterns of tar shards with pictures to train on.
        val: Shell patterns of tar shards to measure on.
        sizes: Sides of the square crops; each step draws one.
        batch_size: Pictures of a step.
        smallest_crop: Smallest part of the short side that a crop shows.
        seed: Seed of order, crops and degradation.
        workers: Processes that prepare batches.
    """

    train: tuple[str, ...]
    val: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (128,)
    batch_size: int = 64
    smallest_crop: float = 0.5
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.smallest_crop <= 1:
            raise ConfigError(f"smallest_crop must be in (0, 1], not {self.smallest_crop}")
        if any(size % 32 for size in self.sizes):
            raise ConfigError(f"sizes must be multiples of 32, not {self.sizes}")


class Batch(NamedTuple):
    """Pictures to learn from.

    Attributes:
        lightness: (N, 1, S, S) float32 L* of the degraded gray.
        ab: (N, 2, S/4, S/4) float32 a*b* of the color picture.
    """

    lightness: Tensor
    ab: Tensor


class Pictures:
    """Encoded pictures of tar shards, held in memory (a tenth of their decoded size).

    Args:
        patterns: Shell patterns relative to the working folder; `~` is known.

    Raises:
        MediaError: If nothing matches or a shard cannot be read.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self.names: list[str] = []
        self._data: list[bytes] = []
        for pattern in patterns:
            base = Path(pattern).expanduser()
            shards = sorted(Path(base.anchor or ".").glob(str(base.relative_to(base.anchor))))
            if not shards:
                raise MediaError(f"{pattern}: no such shard; give tar files with pictures")
            for shard in shards:
                self._read(shard)

    def _read(self, shard: Path) -> None:
        try:
            with tarfile.open(shard) as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    if file is not None and member.name.lower().endswith(_SUFFIXES):
                        self.names.append(member.name)
                        self._data.append(file.read())
        except (OSError, tarfile.TarError) as error:
            raise MediaError(f"{shard}: not a readable tar file: {error}") from None

    def __len__(self) -> int:
        return len(self._data)

    def rgb(self, number: int) -> npt.NDArray[np.uint8]:
        """Picture `number`, (H, W, 3) uint8 RGB.

        Raises:
            MediaError: If it cannot be decoded.
        """
        picture = cv2.imdecode(np.frombuffer(self._data[number], np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise MediaError(f"{self.names[number]}: not a readable picture")
        return np.ascontiguousarray(picture[:, :, ::-1])


def lightness_of(gray: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """L* of gamma-coded sRGB gray in 0..1, by table: within 0.02 of `color.rgb_to_lab`."""
    return _LIGHTNESS[np.rint(gray * (len(_LIGHTNESS) - 1)).astype(np.uint16)]


def ab_of(rgb: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """a*b* (H, W, 2) of gamma-coded sRGB in 0..1 (OpenCV: within 0.5 of the exact value)."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[:, :, 1:], np.float32)


class TrainBatches(Dataset[Batch]):
    """Batch number `step`, the same for the same seed however training was interrupted.

    Pictures are drawn epoch by epoch without repetition, cropped to squares, mirrored, degraded.
    """

    def __init__(self, pictures: Pictures, config: DataConfig, film: DegradeConfig) -> None:
        self.pictures = pictures
        self.config = config
        self.film = film

    def _size(self, step: int) -> int:
        sizes = self.config.sizes
        return sizes[int(np.random.default_rng((self.config.seed, step)).integers(len(sizes)))]

    def _numbers(self, step: int) -> list[int]:
        count, total = self.config.batch_size, len(self.pictures)
        places = [divmod(place, total) for place in range(step * count, (step + 1) * count)]
        return [int(self._order(epoch)[place]) for epoch, place in places]

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            rng = np.random.default_rng((self.config.seed, 1, epoch))
            self._permutation = rng.permutation(len(self.pictures))
        return self._permutation

    def __getitem__(self, step: int) -> Batch:
        size = self._size(step)
        count = self.config.batch_size
        lightness = np.empty((count, 1, size, size), np.float32)
        ab = np.empty((count, 2, size // 4, size // 4), np.float32)
        for i, number in enumerate(self._numbers(step)):
            rng = np.random.default_rng((self.config.seed, 2, step, i))
            lightness[i, 0], ab[i] = self._sample(number, size, rng)
        return Batch(torch.from_numpy(lightness), torch.from_numpy(ab))

    def _sample(
        self, number: int, size: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        picture = self.pictures.rgb(number)
        height, width = picture.shape[:2]
        side = round(min(height, width) * rng.uniform(self.config.smallest_crop, 1))
        top = int(rng.integers(height - side + 1))
        left = int(rng.integers(width - side + 1))
        crop = picture[top : top + side, left : left + side]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        shrink = side > size
        resized = cv2.resize(
            np.ascontiguousarray(crop),
            (size, size),
            interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR,
        )
        rgb = np.asarray(resized, np.float32) / np.float32(255)
        small = cv2.resize(ab_of(rgb), (size // 4, size // 4), interpolation=cv2.INTER_AREA)
        target = np.asarray(small.transpose(2, 0, 1), np.float32)
        return lightness_of(degrade(rgb, self.film, rng)), target
