"""All settings of a run that trains a network to fill holes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch

from vidcolor.errors import ConfigError
from vidcolor.holes.source import HolesConfig
from vidcolor.models.registry import create_model, list_inpainters
from vidcolor.train.config import CardConfig, ModelConfig, RunConfig
from vidcolor.train.degrade import DegradeConfig
from vidcolor.train.degrade.config import EFFECTS
from vidcolor.train.inpaint.losses import TERMS, Smoothed, Term
from vidcolor.train.loop.optimize import FitConfig

__all__ = [
    "InpaintConfig",
    "InpaintDataConfig",
    "InpaintPhaseConfig",
    "InpaintPhaseName",
]

InpaintPhaseName = Literal["inpaint"]

_DAMAGE = ("scratches", "dust", "speckle")
"""Effects that a network would learn to paint, did they lie in the truth."""


@dataclass(frozen=True, slots=True)
class InpaintDataConfig:
    """Where pictures come from and how they are cut.

    Attributes:
        train: Shell patterns of tar shards with pictures to train on.
        val: Shell patterns of tar shards to measure on.
        sizes: Sides of the square crops, multiples of what the network needs; each step draws one.
        batch_size: Pictures of a step, over all processes.
        smallest_crop: Smallest part of the short side that a crop shows.
        largest_crop: Largest part.
        seed: Seed of order, crops and film effects.
        workers: Processes that prepare batches, for each process that trains.
    """

    train: tuple[str, ...]
    val: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (128,)
    batch_size: int = 16
    smallest_crop: float = 0.5
    largest_crop: float = 1.0
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.smallest_crop <= self.largest_crop <= 1:
            raise ConfigError(
                f"smallest_crop {self.smallest_crop} and largest_crop {self.largest_crop}: "
                "expected 0 < smallest_crop <= largest_crop <= 1"
            )
        if not self.sizes or min(self.sizes) < 1:
            raise ConfigError(f"sizes must be positive, at least one, not {self.sizes}")
        if self.batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {self.batch_size}")
        for name in ("seed", "workers"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class InpaintPhaseConfig:
    """What the network minimizes, and whether its encoder's norms stay as they are.

    Attributes:
        name: "inpaint"; a file may have it several times, as "inpaint", "inpaint-2", ...
        start_from: Weights to begin with: a file, or the folder of a run. Empty begins from
            nothing.
        valid: Weight of the absolute error where the picture is valid.
        hole: Weight of that in holes. Both are means over all pixels, so that where holes are
            small this has to be large to count.
        perceptual: Weight of the difference of features of VGG-16; the weights `vgg16` must be
            installed. 0, with `style` 0, does without.
        style: Weight of the difference of their Gram matrices, of the answer and of the picture
            composed of it.
        tv: Weight of the variation of the composed picture.
        smoothed: Where that is looked at: "hole" is the hole and a pixel around it (the paper),
            "whole" the whole picture (public code).
        freeze_norms: Of the encoder, "statistics" stay as they are, "all" also weight and bias of
            the norms; "none" learns everything. Batch norm counts holes too, so what it has
            learned depends on how large they are: the paper ends with a phase that holds it.
    """

    name: InpaintPhaseName = "inpaint"
    start_from: str = ""
    valid: float = 1.0
    hole: float = 6.0
    perceptual: float = 0.05
    style: float = 120.0
    tv: float = 0.1
    smoothed: Smoothed = "hole"
    freeze_norms: Literal["none", "statistics", "all"] = "none"

    def __post_init__(self) -> None:
        for name in TERMS:
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must not be negative, not {getattr(self, name)}")
        if not self.hole and not self.features:
            raise ConfigError("hole is 0: nothing tells what lies in holes; set it, or perceptual")

    def weights(self) -> dict[Term, float]:
        """Of the terms that count."""
        return {name: getattr(self, name) for name in TERMS if getattr(self, name)}

    @property
    def features(self) -> bool:
        """Whether VGG-16 is looked through."""
        return bool(self.perceptual or self.style)


def _untouched() -> DegradeConfig:
    return DegradeConfig(**dict.fromkeys(EFFECTS, 0.0))  # type: ignore[arg-type]  # all are shares


@dataclass(frozen=True, slots=True)
class InpaintConfig:
    """Everything about a run; saved with it.

    Attributes:
        data: Pictures.
        run: The folder.
        fit: Optimizer and schedule.
        model: The network.
        phase: The loss.
        holes: What is to be filled.
        degrade: Film effects, in what the network sees and in what it is to answer alike: grain is
            kept. None unless the file has the table.
        card: Words for the model card.
    """

    data: InpaintDataConfig
    run: RunConfig
    fit: FitConfig
    model: ModelConfig = field(default_factory=lambda: ModelConfig("partialconv"))
    phase: InpaintPhaseConfig = field(default_factory=InpaintPhaseConfig)
    holes: HolesConfig = field(default_factory=HolesConfig)
    degrade: DegradeConfig = field(default_factory=_untouched)
    card: CardConfig = field(default_factory=CardConfig)

    def __post_init__(self) -> None:
        if self.model.name not in list_inpainters():
            raise ConfigError(f"model.name: {self.model.name} fills no holes")
        if self.fit.accumulate > self.data.batch_size:
            raise ConfigError(
                f"fit.accumulate {self.fit.accumulate} is more than the "
                f"{self.data.batch_size} pictures of data.batch_size"
            )
        with torch.device("meta"):
            model = create_model(self.model.name, **self.model.builder_settings())
        multiple, channels = int(model.multiple), int(model.channels)  # type: ignore[arg-type]
        if any(size % multiple for size in self.data.sizes):
            raise ConfigError(
                f"data.sizes: this network takes multiples of {multiple}, not "
                f"{', '.join(map(str, self.data.sizes))}"
            )
        if self.run.val_side < multiple:
            raise ConfigError(
                f"run.val_side {self.run.val_side}: this network takes at least {multiple} pixels"
            )
        asked = [name for name in EFFECTS if getattr(self.degrade, name)]
        damage = [name for name in asked if name in _DAMAGE]
        if damage:
            raise ConfigError(
                f"degrade.{damage[0]}: lies in the truth too and would be learned; set it to 0, "
                "holes are [holes]'s"
            )
        if asked and channels > 1:
            raise ConfigError(
                f"degrade.{asked[0]}: film is gray; leave [degrade] out, or set "
                "model.settings channels=1"
            )

    @property
    def channels(self) -> int:
        """Of the pictures: 1 is luma, 3 is RGB."""
        return int(self.model.builder_settings().get("channels", 1))
