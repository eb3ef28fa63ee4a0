"""The loop: knows nothing of pictures, files or bars; yields a report per step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vidcolor.errors import ConfigError
from vidcolor.train.data import Batch

__all__ = ["FitConfig", "FitState", "Phase", "Report", "fit"]


@dataclass(frozen=True, slots=True)
class FitConfig:
    """The optimizer and its schedule.

    Attributes:
        steps: Steps of the whole schedule.
        lr: Highest learning rate.
        warmup: Steps over which the rate rises to `lr`; a cosine to 0 follows.
        weight_decay: Of AdamW, on matrices and kernels only.
        ema: Decay of the running mean of the weights, which is what gets shipped.
        clip: Largest norm of the gradient.
        precision: "bfloat16" computes convolutions in half the bits, weights stay float32.
    """

    steps: int
    lr: float = 3e-3
    warmup: int = 200
    weight_decay: float = 0.02
    ema: float = 0.999
    clip: float = 1.0
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.warmup < 0 or self.lr <= 0:
            raise ConfigError("steps and lr must be positive, warmup not negative")


class Phase(Protocol):
    """What the loop asks of a phase."""

    model: nn.Module

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and tensors of what learns."""
        ...

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named losses of a batch."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """One step.

    Attributes:
        step: Steps done, from 1.
        losses: Values by name.
        lr: Learning rate of this step.
        grad_norm: Norm of the gradient before clipping.
    """

    step: int
    losses: dict[str, float]
    lr: float
    grad_norm: float


class FitState:
    """All that a step changes: weights, their mean, optimizer, step count.

    `state_dict` and `load_state_dict` make an exact resume possible.
    """

    def __init__(self, phase: Phase, config: FitConfig) -> None:
        self.phase = phase
        self.step = 0
        named = [(name, p) for name, p in phase.parameters() if p.requires_grad]
        groups = [
            {"params": [p for _, p in named if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for _, p in named if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.lr)
        average = get_ema_multi_avg_fn(config.ema)  # type: ignore[no-untyped-call]  # torch
        self.mean = AveragedModel(phase.model, multi_avg_fn=average, use_buffers=True)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers only; `torch.load(weights_only=True)` reads it."""
        return {
            "step": self.step,
            "model": self.phase.model.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.step = state["step"]
        self.phase.model.load_state_dict(state["model"])
        self.mean.load_state_dict(state["mean"])
        self.optimizer.load_state_dict(state["optimizer"])


def _rate(step: int, config: FitConfig) -> float:
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def fit(state: FitState, batches: Iterable[Batch], config: FitConfig) -> Iterator[Report]:
    """Train from `state.step` on, one yield per step.

    Args:
        state: Changed in place; save it between two yields to resume exactly.
        batches: Batches of step `state.step`, `state.step + 1`, ...
        config: Optimizer and schedule.

    Raises:
        FloatingPointError: If the loss is no longer a number.
    """
    model = state.phase.model
    device = next(model.parameters()).device
    half = config.precision == "bfloat16"
    for batch in batches:
        if state.step >= config.steps:
            return
        model.train()
        lr = _rate(state.step, config)
        for group in state.optimizer.param_groups:
            group["lr"] = lr
        moved = Batch(
            batch.lightness.to(device).to(memory_format=torch.channels_last), batch.ab.to(device)
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            losses = state.phase.losses(moved)
        loss = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at step {state.step}; lower fit.lr")
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch
        norm = nn.utils.clip_grad_norm_([p for _, p in state.phase.parameters()], config.clip)
        state.optimizer.step()
        state.mean.update_parameters(model)
        state.step += 1
        yield Report(state.step, {k: float(v.detach()) for k, v in losses.items()}, lr, float(norm))
