"""The loop: knows nothing of pictures, files or bars; yields a report per step.

A step happens whole or not at all: where a loss or a gradient is no finite number, or somebody
interrupts, weights, moments, statistics and running mean stay what they were.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vidcolor.errors import VidcolorError
from vidcolor.train.data.batch import Batch
from vidcolor.train.loop.distributed import average_gradients, mean_of
from vidcolor.train.loop.optimize import FitConfig, rate
from vidcolor.train.loop.state import Examples, FitState, Phase

__all__ = ["DivergenceError", "FitConfig", "FitState", "Phase", "Report", "fit"]

_CRITIC = "critic_"  # before the names of its losses


class DivergenceError(VidcolorError, FloatingPointError):
    """Training has left the range of numbers."""


@dataclass(frozen=True, slots=True)
class Report:
    """One step, the same in all processes.

    Attributes:
        step: Steps done.
        losses: By name, of this step's whole batch.
        lr: Learning rate; the critic's, where only that learns.
        grad_norm: Norm of the gradient before clipping.
        skipped: Losses or gradient were not finite and nothing was learned.
        halted: The last one, since some process was asked to stop.
    """

    step: int
    losses: dict[str, float]
    lr: float
    grad_norm: float
    skipped: bool = False
    halted: bool = False


class _Losses(nn.Module):
    """The losses of a phase as a module's answer, where the hooks that average gradients work."""

    def __init__(self, phase: Phase) -> None:
        super().__init__()
        self.model = phase.model
        self._phase = phase

    def forward(self, batch: Examples) -> tuple[dict[str, Tensor], Tensor]:
        losses, pred = self._phase.losses(batch)
        if self._phase.view == "instances":
            # where a process sees no instance, others wait for the gradients of what joins them
            nothing = 0 * torch.stack([p.sum() for _, p in self._phase.learns()]).sum()
            name = next(iter(losses))
            losses = {**losses, name: losses[name] + nothing}
        return losses, pred


class _Step:
    """What a batch does to a state."""

    def __init__(self, state: FitState, config: FitConfig, seed: int) -> None:
        self.state = state
        self.config = config
        self.seed = seed
        self.losses: nn.Module = _Losses(state.phase)
        if state.world.size > 1 and state.optimizer is not None:
            self.losses = DistributedDataParallel(self.losses)

    def __call__(self, batch: Examples, stop: bool) -> Report:
        """Learn from a batch, and hear whether any process wants to stop."""
        state, config = self.state, self.config
        factor = rate(state.step, config)
        state.set_rates(config.lr * factor, config.critic_lr * factor)
        state.phase.train_mode()
        with state.undone_unless_finished() as finish:
            with _drawing((self.seed, state.step, state.world.rank), state.device):
                losses = self._gradients(batch.to(state.device))
            norm = self._norm()
            own = torch.stack([*losses.values(), norm])
            signs = own.new_tensor([not bool(own.isfinite().all()), stop])
            bad, halt, *values = mean_of(torch.cat((signs, own[:-1])), state.world).tolist()
            named = dict(zip(losses, values, strict=True))
            # in float16 the scale of the loss is found by going too far
            overflow = state.turn != "critic" and not bool(norm.isfinite())
            verdict = sum(value for name, value in named.items() if name.startswith(_CRITIC))
            finish(
                learned=not bad,
                excused=overflow and state.scaler.get_scale() > 1,
                verdict=verdict,
            )
        lr = (config.critic_lr if state.optimizer is None else config.lr) * factor
        return Report(state.step, named, lr, float(norm), bool(bad), bool(halt))

    def _gradients(self, batch: Examples) -> dict[str, Tensor]:
        """Put gradients of the whole batch where the optimizers find them; losses by name."""
        state = self.state
        state.forget_gradients()
        count, parts = len(batch), min(self.config.accumulate, len(batch))
        edges = [count * i // parts for i in range(parts + 1)]
        totals: dict[str, Tensor] = {}
        turn = state.turn
        for i in range(parts):
            part = batch[edges[i] : edges[i + 1]]
            share = len(part) / count
            losses: dict[str, Tensor] = {}
            if turn == "critic":
                pred = self._look(part)
            else:
                losses, pred = self._learn(part, share, last=i + 1 == parts)
            if turn != "network":
                losses |= self._criticize(part, pred, share)
            for name, value in losses.items():
                value = share * value.detach().float()
                totals[name] = totals[name] + value if name in totals else value
        if state.critic is not None and turn != "network":
            average_gradients(state.critic.parameters(), state.world)
        return totals

    @torch.no_grad()
    def _look(self, part: Examples) -> Tensor:
        """The network's colors, of which it learns nothing."""
        state = self.state
        with torch.autocast(state.device.type, state.dtype, enabled=state.half):
            return state.phase.colors(part).float()

    def _learn(self, part: Examples, share: float, last: bool) -> tuple[dict[str, Tensor], Tensor]:
        state = self.state
        apart: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if isinstance(self.losses, DistributedDataParallel) and not last:
            apart = self.losses.no_sync()  # gradients travel once, with the last part
        with apart:
            with torch.autocast(state.device.type, state.dtype, enabled=state.half):
                losses, pred = self.losses(part)
            loss = share * torch.stack(list(losses.values())).sum()
            state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch
        return losses, pred.detach().float()

    def _criticize(self, part: Examples, pred: Tensor, share: float) -> dict[str, Tensor]:
        """The critic learns to tell what was predicted from what is true."""
        adversary = self.state.phase.adversary
        assert adversary is not None
        assert isinstance(part, Batch)  # only colors have critics
        # its loss is not scaled, so float16 is not for it
        bfloat16 = self.state.dtype is torch.bfloat16
        with torch.autocast(self.state.device.type, torch.bfloat16, enabled=bfloat16):
            losses = adversary.critic_losses(part.lightness, pred, part.ab)
        loss = share * torch.stack(list(losses.values())).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch
        return {f"{_CRITIC}{name}": value for name, value in losses.items()}

    def _norm(self) -> Tensor:
        """Norm of the gradient, which is clipped; not finite if the critic's is not.

        Where only the critic learns it is the critic's, which is never clipped.
        """
        state = self.state
        norms = []
        if state.optimizer is not None and state.turn != "critic":
            state.scaler.unscale_(state.optimizer)
            learning = [p for group in state.optimizer.param_groups for p in group["params"]]
            norms.append(nn.utils.clip_grad_norm_(learning, self.config.clip or math.inf))
        if state.critic is not None and state.turn != "network":
            norms.append(nn.utils.clip_grad_norm_(state.critic.parameters(), math.inf))
        return torch.where(norms[-1].isfinite(), norms[0], norms[-1])


@contextlib.contextmanager
def _drawing(key: tuple[int, ...], device: torch.device) -> Iterator[None]:
    """Layers that draw at random (dropout) do so by `key`; the caller's numbers stay as they are.

    Such layers take no generator.
    """
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))
    cuda = device.type == "cuda"
    with torch.random.fork_rng([device] if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def fit(
    state: FitState,
    batches: Iterable[Examples],
    config: FitConfig,
    *,
    seed: int = 0,
    stop: Callable[[], bool] | None = None,
) -> Generator[Report, None, None]:
    """Train from `state.step` on, one yield per step.

    Args:
        state: Changed in place; save it between two yields to resume exactly.
        batches: Batches of step `state.step`, `state.step + 1`, ... Where several processes
            train, each has its slice of the same batch.
        config: Optimizer and schedule.
        seed: Of what layers draw at random.
        stop: Asked once a step; the loop ends after the step in which any process says yes.

    Raises:
        DivergenceError: If `config.bad_steps` steps in a row had no finite loss and gradient;
            the state is that of the last good one.
    """
    if state.step >= config.steps:
        return
    step = _Step(state, config, seed)
    for batch in batches:
        report = step(batch, stop is not None and stop())
        if state.bad >= config.bad_steps:
            raise DivergenceError(
                f"no finite loss or gradient in {state.bad} steps up to step {state.step}: lower "
                'fit.lr, lengthen fit.warmup, or compute in fit.precision = "float32"'
            )
        yield report
        if report.halted or state.step >= config.steps:
            return
