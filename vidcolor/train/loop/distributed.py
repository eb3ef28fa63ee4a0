"""Several processes that train one network, as torchrun starts them.

    torchrun --nproc-per-node 2 --no-python vidcolor train --config X

Each process sees its slice of every batch; gradients are averaged by `DistributedDataParallel`,
batch norm looks at the whole batch (`GlobalBatchNorm2d`), so that the result does not depend on
the number of processes. Alone, everything here does nothing.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vidcolor.errors import ConfigError

__all__ = [
    "GlobalBatchNorm2d",
    "World",
    "average_gradients",
    "join",
    "make_norms_global",
    "mean_of",
    "same_everywhere",
    "world_of_environment",
]

# the first process alone measures and saves, and the others wait for it that long at most
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class World:
    """Who trains together.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
        local_rank: Number of this process on its machine; also that of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size or self.local_rank < 0:
            raise ConfigError(f"RANK {self.rank} does not fit WORLD_SIZE {self.size}")

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes, measures and talks."""
        return self.rank == 0


def world_of_environment() -> World:
    """What torchrun says: `RANK`, `WORLD_SIZE`, `LOCAL_RANK`; without them a process is alone.

    Raises:
        ConfigError: If a part is missing or no number.
    """
    if "WORLD_SIZE" not in os.environ:
        return World()
    needed = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    missing = [name for name in (*needed, "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE is set but not {', '.join(missing)}; start the processes with torchrun"
        )
    try:
        rank, size, local_rank = (int(os.environ[name]) for name in needed)
    except ValueError:
        raise ConfigError(f"{', '.join(needed)} must be numbers; torchrun sets them") from None
    return World(rank, size, local_rank)


def join(world: World, device: torch.device) -> torch.device:
    """Meet the other processes; once in the life of a process.

    Args:
        world: From `world_of_environment`.
        device: Where the network is to lie; "cuda" is the GPU of this process's number.

    Returns:
        The device of this process.

    Raises:
        ConfigError: If the GPU is not there, or the others cannot be met.
    """
    if world.size == 1:
        return device
    if device.type == "cuda":
        if world.local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"process {world.local_rank} of this machine has no GPU "
                f"({torch.cuda.device_count()} here); lower --nproc-per-node"
            )
        device = torch.device("cuda", world.local_rank)
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        backend = "nccl" if device.type == "cuda" else "gloo"
        try:
            dist.init_process_group(
                backend, rank=world.rank, world_size=world.size, timeout=_PATIENCE
            )
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"cannot meet the other processes: {error}") from None
        # not when a run ends: under torchrun a group cannot be met a second time
        atexit.register(_leave)
    return device


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def mean_of(values: Tensor, world: World) -> Tensor:
    """Mean over all processes of a tensor that each has; the same everywhere."""
    if world.size > 1:
        dist.all_reduce(values)
        values /= world.size
    return values


def same_everywhere(number: int, world: World, device: torch.device) -> bool:
    """Whether all processes give the same number."""
    if world.size == 1:
        return True
    extremes = torch.tensor([number, -number], device=device)
    dist.all_reduce(extremes, dist.ReduceOp.MAX)
    return int(extremes.sum()) == 0


def average_gradients(parameters: Iterable[nn.Parameter], world: World) -> None:
    """Mean over all processes of gradients that `DistributedDataParallel` does not see."""
    if world.size == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = mean_of(torch.cat([gradient.flatten() for gradient in gradients]), world)
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


class _Sum(torch.autograd.Function):
    """Sum over all processes; what each makes of it counts for the gradients of all."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone()
        dist.all_reduce(gradient)
        return gradient


def _sum(values: Tensor) -> Tensor:
    return _Sum.apply(values)


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, exactly as over one batch.

    Same parameters, buffers and names as `nn.BatchNorm2d`, and the same results where a process
    is alone or in evaluation mode. `nn.SyncBatchNorm` does not run on CPUs. Mean and variance are
    taken in two rounds, which loses no digits to cancellation.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) normalized; all processes must call it equally often."""
        own = not self.training and self.running_mean is not None
        if own or not dist.is_initialized():
            return super().forward(input)
        self._check_input_dim(input)
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        channels = x.shape[1]
        share = x.new_tensor([x.numel() / channels])
        first = _sum(torch.cat((x.sum((0, 2, 3)), share)))
        count = first[channels:].detach()
        mean = first[:channels] / count
        centered = x - mean[:, None, None]
        variance = _sum(centered.square().sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        result = centered * scale[:, None, None]
        if self.affine:
            result = result + self.bias[:, None, None]
        return result.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or not self.training:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def make_norms_global(module: nn.Module) -> None:
    """Put `GlobalBatchNorm2d` in the place of every `nn.BatchNorm2d` inside `module`.

    Parameters and buffers stay the same objects under the same names.
    """
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(module, name, _global_norm(child))
        else:
            make_norms_global(child)


def _global_norm(norm: nn.BatchNorm2d) -> GlobalBatchNorm2d:
    result = GlobalBatchNorm2d(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    result.weight, result.bias = norm.weight, norm.bias
    for name, value in norm.named_buffers(recurse=False):
        setattr(result, name, value)
    result.train(norm.training)
    return result
