"""Which optimizer learns, how fast, when."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from vidcolor.errors import ConfigError
from vidcolor.models.objective import rate_factor

__all__ = ["FitConfig", "critic_optimizer", "optimizer", "rate"]

_CRITIC_BETAS = (0.5, 0.999)  # Isola et al., CVPR 2017, 3.3
_ADAMW_DECAY = 0.02


@dataclass(frozen=True, slots=True)
class FitConfig:
    """The optimizer and its schedule.

    Attributes:
        steps: Steps of the whole schedule.
        lr: Highest learning rate.
        optimizer: "adamw" takes weight decay apart from the gradient, "adam" adds it to it.
        betas: Decay of the optimizer's two running means.
        weight_decay: On matrices and kernels only; none is 0.02 for "adamw", 0 for "adam".
        schedule: After the warm-up, "cosine" falls to 0 over the rest, "linear" stays level for
            `constant` steps and then falls in a line to 0 (the paper's), "step" falls by `gamma`
            at each of `milestones`, "constant" stays level.
        warmup: Steps over which the rate rises to `lr`.
        constant: First step of the line of "linear".
        milestones: Steps at which "step" falls.
        gamma: Factor of each fall of "step".
        ema: Decay of the running mean of the weights, which is what gets shipped.
        clip: Largest norm of the gradient; 0 does not clip.
        accumulate: Parts in which a batch is taken, one after another, to save memory. The result
            is that of the whole batch, but batch norm sees the parts.
        precision: Of convolutions, weights stay float32: "bfloat16" or "float16" (CUDA only)
            take half the bits; "auto" does so where the device has units for it.
        channels_last: Lay pictures out with channels last, which is mostly faster.
        bad_steps: Steps in a row without a finite loss and gradient after which training stops;
            fewer are left out.
        critic_lr: Highest learning rate of the critic, where the phase has one.
    """

    steps: int
    lr: float = 3e-3
    optimizer: Literal["adamw", "adam"] = "adamw"
    betas: tuple[float, ...] = (0.9, 0.999)
    weight_decay: float | None = None
    schedule: Literal["cosine", "linear", "step", "constant"] = "cosine"
    warmup: int = 200
    constant: int = 0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    ema: float = 0.999
    clip: float = 1.0
    accumulate: int = 1
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    channels_last: bool = True
    bad_steps: int = 10
    critic_lr: float = 2e-4

    def __post_init__(self) -> None:
        for name in ("steps", "lr", "gamma", "accumulate", "bad_steps", "critic_lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("warmup", "constant", "clip", "weight_decay"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ConfigError(f"{name} must not be negative, not {value}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must be two numbers from 0 to below 1, not {self.betas}")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema must be from 0 to below 1, not {self.ema}")
        if self.constant > self.steps:
            raise ConfigError(f"constant {self.constant} is more than steps {self.steps}")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ConfigError(f"milestones must rise, not {self.milestones}")


def rate(step: int, config: FitConfig) -> float:
    """Learning rate of a step, from 0, in parts of the highest."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    if config.schedule == "cosine":
        done = (step - config.warmup) / max(1, config.steps - config.warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    if config.schedule == "linear":
        return max(0.0, rate_factor(step, config.constant, config.steps - config.constant))
    if config.schedule == "step":
        return config.gamma ** sum(step >= milestone for milestone in config.milestones)
    return 1.0


def optimizer(parameters: Iterable[nn.Parameter], config: FitConfig) -> torch.optim.Optimizer:
    """Of what learns; only matrices and kernels decay."""
    learning = list(parameters)
    decay = config.weight_decay
    if decay is None:
        decay = _ADAMW_DECAY if config.optimizer == "adamw" else 0.0
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.lr, betas=(config.betas[0], config.betas[1]))


def critic_optimizer(critic: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    """Of an adversary's critic."""
    return torch.optim.Adam(critic.parameters(), config.critic_lr, _CRITIC_BETAS)
