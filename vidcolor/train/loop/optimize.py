"""Which optimizer learns, how fast, when.

Reference: Zeiler: ADADELTA, 2012 (arXiv:1212.5701); Loshchilov and Hutter: Decoupled Weight Decay
Regularization, ICLR 2019 (arXiv:1711.05101); Smith and Topin: Super-Convergence, 2017
(arXiv:1708.07120): one cycle. Differs: the cycle is that of the rate; momentum stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from vidcolor.errors import ConfigError
from vidcolor.models.objective import rate_factor

__all__ = ["FitConfig", "critic_optimizer", "optimizer", "rate", "shares"]

_ADAMW_DECAY = 0.02
_ADADELTA_RHO, _ADADELTA_EPS = 0.95, 1e-6  # Zeiler 2012, section 4.1
_CYCLE_START, _CYCLE_END = 1 / 25, 1 / 25e4  # of the highest rate, as fast.ai's one cycle


@dataclass(frozen=True, slots=True)
class FitConfig:
    """The optimizer and its schedule.

    Attributes:
        steps: Steps of the whole schedule.
        lr: Highest learning rate.
        optimizer: "adamw" takes weight decay apart from the gradient, all others add it to it:
            "adam"; "sgd"; "adadelta", which finds its own rates, so that `lr` is 1.
        betas: Decay of the two running means of "adamw" and "adam".
        momentum: Share of its last step with which "sgd" goes on.
        weight_decay: On matrices and kernels only; none is 0.02 for "adamw", 0 for "adam".
        schedule: After the warm-up, "cosine" falls to 0 over the rest, "linear" stays level for
            `constant` steps and then falls in a line to 0 (the paper's), "step" falls by `gamma`
            at each of `milestones`, "constant" stays level. "onecycle" rises over `warmup` and
            falls over the rest, both along half a cosine, from 1/25 and to 1/250000 of `lr`.
        warmup: Steps over which the rate rises to `lr`; in a line unless "onecycle".
        constant: First step of the line of "linear".
        milestones: Steps at which "step" falls.
        gamma: Factor of each fall of "step".
        slow: Prefixes of parameters that learn slower, such as a trunk that is trained already.
        slow_rate: Their learning rate, in parts of the others'.
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
        critic_betas: As `betas`, of the critic, which is "adam"'s.
    """

    steps: int
    lr: float = 3e-3
    optimizer: Literal["adamw", "adam", "sgd", "adadelta"] = "adamw"
    betas: tuple[float, ...] = (0.9, 0.999)
    momentum: float = 0.0
    weight_decay: float | None = None
    schedule: Literal["cosine", "linear", "step", "constant", "onecycle"] = "cosine"
    warmup: int = 200
    constant: int = 0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    slow: tuple[str, ...] = ()
    slow_rate: float = 0.1
    ema: float = 0.999
    clip: float = 1.0
    accumulate: int = 1
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    channels_last: bool = True
    bad_steps: int = 10
    critic_lr: float = 2e-4
    critic_betas: tuple[float, ...] = (0.5, 0.999)  # Isola et al., CVPR 2017, 3.3

    def __post_init__(self) -> None:
        for name in ("steps", "lr", "gamma", "accumulate", "bad_steps", "critic_lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("warmup", "constant", "clip", "weight_decay"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ConfigError(f"{name} must not be negative, not {value}")
        for name in ("betas", "critic_betas"):
            betas = getattr(self, name)
            if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
                raise ConfigError(f"{name} must be two numbers from 0 to below 1, not {betas}")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum must be from 0 to below 1, not {self.momentum}")
        if self.momentum and self.optimizer != "sgd":
            raise ConfigError(f"momentum is for sgd, not for {self.optimizer}; see betas")
        if not 0 < self.slow_rate <= 1:
            raise ConfigError(f"slow_rate must be above 0 and up to 1, not {self.slow_rate}")
        if self.schedule == "onecycle" and self.warmup > self.steps:
            raise ConfigError(f"warmup {self.warmup} is more than steps {self.steps}")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema must be from 0 to below 1, not {self.ema}")
        if self.constant > self.steps:
            raise ConfigError(f"constant {self.constant} is more than steps {self.steps}")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ConfigError(f"milestones must rise, not {self.milestones}")


def rate(step: int, config: FitConfig) -> float:
    """Learning rate of a step, from 0, in parts of the highest."""
    if config.schedule == "onecycle":
        return _cycle(step, config)
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


def _cycle(step: int, config: FitConfig) -> float:
    top = max(0, config.warmup - 1)
    if step < top:
        low, high, done = _CYCLE_START, 1.0, step / top
    else:
        low, high, done = 1.0, _CYCLE_END, (step - top) / max(1, config.steps - 1 - top)
    return high + (low - high) * (1 + math.cos(math.pi * min(1.0, done))) / 2


def optimizer(
    learning: Iterable[tuple[str, nn.Parameter]], config: FitConfig
) -> torch.optim.Optimizer:
    """Of what learns, by name; only matrices and kernels decay.

    Its groups are as long as `shares` says.

    Raises:
        ConfigError: If nothing of what learns is slow though some should be.
    """
    named = list(learning)
    decay = config.weight_decay
    if decay is None:
        decay = _ADAMW_DECAY if config.optimizer == "adamw" else 0.0
    kinds = [[p for name, p in named if not (config.slow and name.startswith(config.slow))]]
    if config.slow:
        kinds.append([p for name, p in named if name.startswith(config.slow)])
        if not kinds[1]:
            raise ConfigError(
                f"fit.slow: nothing that learns is named like {', '.join(config.slow)}"
            )
    groups = [
        {"params": [p for p in kind if (p.ndim > 1) == large], "weight_decay": decay * large}
        for kind in kinds
        for large in (True, False)
    ]
    betas = (config.betas[0], config.betas[1])
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, config.lr, momentum=config.momentum)
    if config.optimizer == "adadelta":
        return torch.optim.Adadelta(groups, config.lr, rho=_ADADELTA_RHO, eps=_ADADELTA_EPS)
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, config.lr, betas)
    return torch.optim.AdamW(groups, config.lr, betas)


def shares(config: FitConfig) -> Iterator[float]:
    """Of each group of `optimizer`, its learning rate in parts of the highest."""
    yield from (1.0, 1.0)
    if config.slow:
        yield from (config.slow_rate, config.slow_rate)


def critic_optimizer(critic: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    """Of an adversary's critic."""
    betas = (config.critic_betas[0], config.critic_betas[1])
    return torch.optim.Adam(critic.parameters(), config.critic_lr, betas)
