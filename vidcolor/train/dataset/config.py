"""Settings of a set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vidcolor.errors import ConfigError
from vidcolor.stages.cut import CutConfig
from vidcolor.stages.detect import DetectConfig

__all__ = ["BuildConfig"]


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """What is taken from films and pictures, and how it is stored.

    `detect.every` has no meaning here: detectors look at the frames that `every_s` offers.

    Attributes:
        every_s: A shot offers its first frame and one every so many seconds.
        per_shot: Most frames of a shot that are kept; those that differ most from each other.
        least_difference: Frames of a shot differ by at least this, in mean L*a*b* units.
        short_side: Short side of stored pictures in pixels; smaller ones stay as they are.
        least_side: Pictures with a shorter short side are left out.
        least_chroma: Pictures with a lower mean chroma (a*b* units) are gray and left out.
        least_untoned: The same of what is left when the color that goes with lightness is taken
            away: below it a picture is gray film with a tone (sepia), and left out.
        bars: Cut off black bars (letterbox, pillarbox).
        same_bits: Pictures whose 64-bit hashes differ in at most so many bits are one picture.
        alike_bits: Shots with pictures that differ in at most so many (of one film: 8 more) go
            to the same side of the split.
        val: Share of the shots that are set aside for validation.
        pairs: Store a later frame of the shot beside each picture of a film, as KEY.next.jpg.
        pair_s: Seconds to the later frame.
        format: Of stored pictures: jpg (4:4:4) or png.
        quality: Of JPEG, 1 to 100.
        shard_mb: A shard is closed when it has grown to so many megabytes.
        coco: COCO JSON files with the boxes of pictures, found by file name.
        keep_partial: Take what can be read of damaged films, leave out what cannot be opened, and
            finish; else the set is not finished before they are mended or left out.
        device: Where a detector computes: auto, cpu, cuda, ...
        cut: How shots and held frames are found.
        detect: Who looks for objects: --detector auto, torchvision, detectron2, motion,
            boxes:FILE, none.
    """

    every_s: float = 0.5
    per_shot: int = 4
    least_difference: float = 3.0
    short_side: int = 320
    least_side: int = 96
    least_chroma: float = 4.0
    least_untoned: float = 1.1
    bars: bool = True
    same_bits: int = 5
    alike_bits: int = 12
    val: float = 0.1
    pairs: bool = False
    pair_s: float = 0.125
    format: Literal["jpg", "png"] = "jpg"
    quality: int = 95
    shard_mb: int = 256
    coco: tuple[str, ...] = ()
    keep_partial: bool = False
    device: str = "auto"
    cut: CutConfig = field(default_factory=CutConfig)
    detect: DetectConfig = field(default_factory=DetectConfig)

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "every_s": (0.01, 3600),
            "per_shot": (1, 32),
            "least_difference": (0, 100),
            "short_side": (32, 4096),
            "least_side": (16, 4096),
            "least_chroma": (0, 100),
            "least_untoned": (0, 100),
            "same_bits": (0, 16),
            "alike_bits": (0, 20),
            "val": (0, 0.9),
            "pair_s": (0.001, 10),
            "quality": (1, 100),
            "shard_mb": (1, 100_000),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} must be {low} to {high}, not {value}")
        if self.least_side > self.short_side:
            raise ConfigError(
                f"least_side {self.least_side} is more than short_side {self.short_side}: "
                "no picture would be kept"
            )
        if self.alike_bits < self.same_bits:
            raise ConfigError(
                f"alike_bits {self.alike_bits} must not be below same_bits {self.same_bits}"
            )
