"""Which pictures are learned from, and what of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vidcolor.errors import ConfigError
from vidcolor.train.data.pairs import MotionConfig

__all__ = ["DataConfig", "View"]

View = Literal["whole", "instance", "instances"]


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Where pictures come from and how they are cut.

    Attributes:
        train: Shell patterns of tar shards with pictures to train on.
        val: Shell patterns of tar shards to measure on.
        sizes: Sides of the square crops, multiples of what the network needs; each step draws one.
        batch_size: Pictures of a step, over all processes.
        smallest_crop: Smallest part of the short side that a crop shows.
        largest_crop: Largest part; where both are 224/256, crops are of 224 pixels of pictures
            whose short side is 256.
        squash: Crops have the picture's aspect and are squashed to squares, as the published
            training of InstColor does (with smallest_crop = 1), instead of being square.
        color_range: Extent of a* plus that of b* that a sample must have; grayer ones are left
            out and another picture is taken. 0 takes all; InstColor was trained with 10.
        box_score: Least score of boxes that count as instances.
        smallest_box_px: Least height and width of instances, in pixels of the stored picture.
        box_jitter: Most that each edge of an instance moves, in parts of its side, when it is
            learned alone.
        random_boxes: Number of boxes drawn at random in pictures where nobody looked for objects;
            0 leaves such pictures out when instances are learned.
        boxes_max: Most instances of a picture when fusion is learned.
        without_boxes: Show also pictures in which nothing was found when fusion is learned.
        crop: Side of the close-ups that fusion gets.
        hints: Part of pictures with simulated hints of a person; for networks that take them.
        labels: What says of what kind each training picture is, for networks that learn that
            beside color: "folder" is the folder of its name in its shard; else a CSV file with
            the columns name and category. Empty: nobody.
        seed: Seed of order, crops and degradation.
        workers: Processes that prepare batches, for each process that trains.
        motion: Made motion of stills, for the temporal loss.
    """

    train: tuple[str, ...]
    val: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (128,)
    batch_size: int = 64
    smallest_crop: float = 0.5
    largest_crop: float = 1.0
    squash: bool = False
    color_range: float = 0.0
    box_score: float = 0.5
    smallest_box_px: int = 16
    box_jitter: float = 0.05
    random_boxes: int = 2
    boxes_max: int = 8
    without_boxes: bool = True
    crop: int = 128
    hints: float = 0.0
    labels: str = ""
    seed: int = 0
    workers: int = 1
    motion: MotionConfig = field(default_factory=MotionConfig)

    def __post_init__(self) -> None:
        if not 0 < self.smallest_crop <= 1:
            raise ConfigError(f"smallest_crop must be in (0, 1], not {self.smallest_crop}")
        if not self.smallest_crop <= self.largest_crop <= 1:
            raise ConfigError(
                f"largest_crop must be from smallest_crop ({self.smallest_crop}) to 1, not "
                f"{self.largest_crop}"
            )
        if not self.sizes or any(size < 32 or size % 8 for size in self.sizes):
            raise ConfigError(f"sizes must be multiples of 8 from 32 on, not {self.sizes}")
        if self.crop < 32 or self.crop % 8:
            raise ConfigError(f"crop must be a multiple of 8 from 32 on, not {self.crop}")
        for name in ("batch_size", "boxes_max", "smallest_box_px"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("workers", "random_boxes", "color_range", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, not {getattr(self, name)}")
        for name, most in (("box_score", 1), ("hints", 1), ("box_jitter", 0.4)):
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f"{name} must be 0 to {most}, not {getattr(self, name)}")
