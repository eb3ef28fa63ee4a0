"""All that changes while training, in one place that can be saved."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vidcolor.build import choose_precision
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.train.adversary import Adversary
from vidcolor.train.loop.distributed import World, make_norms_global
from vidcolor.train.loop.optimize import FitConfig, critic_optimizer, optimizer, shares

__all__ = ["Examples", "Finish", "FitState", "Phase", "Turn"]

_log = logging.getLogger(__name__)

Turn = Literal["network", "critic", "both"]
"""Who learns in a step."""


class Finish(Protocol):
    """See `FitState.undone_unless_finished`."""

    def __call__(self, learned: bool, excused: bool, verdict: float = 0.0) -> None:
        """Take the step, or leave the batch out; `verdict` is the critic's loss."""
        ...


class Examples(Protocol):
    """What the loop asks of a batch; what is in it is between its source and the phase."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice) -> Self:
        """Some of them."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """The same on `device`."""
        ...


class Phase(Protocol):
    """What the loop asks of a phase."""

    @property
    def model(self) -> nn.Module:
        """The whole network."""
        ...

    @property
    def adversary(self) -> Adversary | None:
        """Whom the network tries to mislead."""
        ...

    @property
    def view(self) -> str:
        """What of a picture the phase looks at: "whole", "instance" or "instances"."""
        ...

    def learns(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and tensors of what learns; all others have no gradient.

        Nothing, where only the critic does.
        """
        ...

    def train_mode(self) -> None:
        """Put what learns in training mode, the rest in evaluation mode."""
        ...

    def losses(self, batch: Any) -> tuple[dict[str, Tensor], Tensor]:
        """Named losses, whose sum is minimized, and what was predicted: a*b*, or pictures."""
        ...

    def colors(self, batch: Any) -> Tensor:
        """What was predicted alone, for steps in which only the critic learns."""
        ...


class FitState:
    """Everything that changes while training: weights, moments, running mean, counts.

    `state_dict` and `load_state_dict` make an exact resume possible. What a network draws at
    random while it learns (dropout) is a function of seed and step, so there is no more to keep.

    Args:
        phase: What learns; its network lies where it is to be trained.
        config: Optimizer and precision.
        world: Who trains together.

    Attributes:
        step: Steps done.
        skipped: Steps in which nothing was learned, since loss or gradient were not finite.
        bad: The last steps of that kind in a row.
        sure: The critic has just become so sure that it is the network's turn.
        whole: Weights, moments and mean fit together: false only while they are being changed.
        mean: Running mean of the weights.
        dtype: Of convolutions.
        half: Whether that is less than the weights have.

    Raises:
        ConfigError: If the precision needs another device.
    """

    def __init__(self, phase: Phase, config: FitConfig, world: World | None = None) -> None:
        self.phase = phase
        self.world = world or World()
        self.step = self.skipped = self.bad = 0
        self.whole = True
        self.sure = False
        self.device = next(phase.model.parameters()).device
        self.dtype = choose_precision(config.precision, self.device)
        self.half = self.dtype is not torch.float32
        scaled = self.dtype is torch.float16
        if scaled and self.device.type != "cuda":
            raise ConfigError('precision "float16" needs a CUDA device; take "bfloat16"')
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaled)
        self.critic = None if phase.adversary is None else phase.adversary.critic
        self._make_norms_global()
        learning = list(phase.learns())
        self.optimizer = optimizer(learning, config) if learning else None
        self._shares = tuple(shares(config))
        self.critic_optimizer = None
        if self.critic is not None:
            self.critic.to(self.device)
            self.critic_optimizer = critic_optimizer(self.critic, config)
        average = get_ema_multi_avg_fn(config.ema)  # type: ignore[no-untyped-call]  # torch
        self.mean = AveragedModel(phase.model, multi_avg_fn=average, use_buffers=True)

    def _make_norms_global(self) -> None:
        if self.world.size == 1:
            return
        if self.critic is not None:
            make_norms_global(self.critic)
        if self.phase.view != "instances":
            make_norms_global(self.phase.model)
            return
        # one process may have instances and another none: norms that only instances reach would
        # wait for the others forever
        self.phase.train_mode()
        norms = (m for m in self.phase.model.modules() if isinstance(m, nn.BatchNorm2d))
        if self.world.first and any(norm.training for norm in norms):
            _log.info("batch norm takes the statistics of each process's part of a batch")

    @property
    def turn(self) -> Turn:
        """Who learns in the next step."""
        adversary = self.phase.adversary
        if adversary is None:
            return "network"
        if self.optimizer is None:
            return "critic"
        if not adversary.until:
            return "both"
        return "network" if self.sure else "critic"

    def set_rates(self, lr: float, critic_lr: float) -> None:
        """Learning rates of the next step."""
        if self.optimizer is not None:
            for group, share in zip(self.optimizer.param_groups, self._shares, strict=True):
                group["lr"] = lr * share
        if self.critic_optimizer is not None:
            for group in self.critic_optimizer.param_groups:
                group["lr"] = critic_lr

    def forget_gradients(self) -> None:
        """Of network and critic."""
        if self.optimizer is not None:
            self.optimizer.zero_grad(set_to_none=True)
        if self.critic_optimizer is not None:
            self.critic_optimizer.zero_grad(set_to_none=True)

    @contextlib.contextmanager
    def undone_unless_finished(self) -> Iterator[Finish]:
        """Around the work for a step, which changes statistics of batch norm as it goes.

        What it gives is called with `learned` when gradients are ready: true takes the step,
        false leaves the batch out, `excused` ones not being counted as bad. Without that call
        (an error, an interrupt) all is as before. By the critic's loss, the `verdict`, it is known
        whose turn comes next.
        """
        modules = [self.phase.model] if self.critic is None else [self.phase.model, self.critic]
        before = [(b, b.clone()) for module in modules for b in module.buffers()]
        taken, turn = False, self.turn

        def finish(learned: bool, excused: bool, verdict: float = 0.0) -> None:
            nonlocal taken
            self.whole = False
            if learned:
                taken = True
                if self.optimizer is not None and turn != "critic":
                    self.scaler.step(self.optimizer)
                    self.mean.update_parameters(self.phase.model)
                if self.critic_optimizer is not None and turn != "network":
                    self.critic_optimizer.step()
                if self.phase.adversary is not None:
                    self.sure = turn == "critic" and verdict < self.phase.adversary.until
                self.bad = 0
            else:
                self.skipped += 1
                self.bad += not excused
            if turn != "critic":
                self.scaler.update()
            self.step += 1
            self.whole = True

        try:
            yield finish
        finally:
            if not taken:
                for buffer, value in before:
                    buffer.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers only; `torch.load(weights_only=True)` reads it."""
        state = {
            "step": self.step,
            "skipped": self.skipped,
            "bad": self.bad,
            "model": self.phase.model.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizer": None if self.optimizer is None else self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        if self.critic is not None and self.critic_optimizer is not None:
            state["critic"] = self.critic.state_dict()
            state["critic_optimizer"] = self.critic_optimizer.state_dict()
            state["sure"] = self.sure
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises:
            WeightsError: If it is the state of something else.
        """
        try:
            self.phase.model.load_state_dict(state["model"])
            self.mean.load_state_dict(state["mean"])
            if self.optimizer is not None:
                self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            if self.critic is not None and self.critic_optimizer is not None:
                self.critic.load_state_dict(state["critic"])
                self.critic_optimizer.load_state_dict(state["critic_optimizer"])
                self.sure = state.get("sure", False)  # runs of before had no turns
            self.step, self.skipped, self.bad = state["step"], state["skipped"], state["bad"]
        except (
            LookupError, ValueError, RuntimeError, TypeError, AttributeError, AssertionError
        ) as error:  # fmt: skip
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise WeightsError(f"training state of another version or network ({reason})") from None
