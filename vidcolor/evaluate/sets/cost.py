"""What a network costs: time, size, memory, and the shapes that go in and come out."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["Cost", "Meter", "networks_of"]

_WARM_UP = 2  # first calls, which set things up

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Cost:
    """What coloring a picture costs.

    Attributes:
        seconds: Of coloring a picture, median without the first two, None where there are no
            more; of clips the mean over frames, reading and every stage of the line with it.
            Noisy, and of this machine.
        parameters: Of the networks.
        memory_mb: Their weights and, beside them, the most that a pass of the first picture holds
            at once, 10^6 bytes; what kernels use inside themselves is not counted. None for clips.
        sees: `(height, width)` of the first picture as the network got it.
        gives: `(height, width)` of its answer.
    """

    seconds: float | None
    parameters: int
    memory_mb: float | None
    sees: tuple[int, int] | None
    gives: tuple[int, int] | None


def networks_of(stage: object) -> list[nn.Module]:
    """The networks of what colors frames, also of two that are merged."""
    model = getattr(stage, "model", None)
    if isinstance(model, nn.Module):
        return [model]
    parts = [getattr(stage, name, None) for name in ("first", "second", "colorize")]
    return [model for part in parts if part is not None for model in networks_of(part)]


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch says nothing of it
    """Counts the bytes of tensors that are made within it and still there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.most = self._now = 0
        self._known: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {
            one.untyped_storage()._cdata
            for one in tree_leaves((args, kwargs))
            if isinstance(one, Tensor)
        }
        for one in tree_leaves(made):
            if isinstance(one, Tensor):
                self._count(one.untyped_storage(), given)
        return made

    def _count(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known or key in given:
            return

        def gone(_: object) -> None:
            self._known.pop(key, None)
            self._now -= size

        self._known[key] = weakref.ref(storage, gone)
        self._now += size
        self.most = max(self.most, self._now)


class Meter:
    """Watches one coloring.

    Args:
        networks: That it asks.
    """

    def __init__(self, networks: list[nn.Module]) -> None:
        self._networks = networks
        self._seconds: list[float] = []
        self._calls = self._frames = 0
        self._spent = 0.0
        self._memory: float | None = None
        self._shapes: list[tuple[tuple[int, int], tuple[int, int]]] = []

    def __call__(self, work: Callable[[], Result]) -> Result:
        """Do it, and see what it costs."""
        self._calls += 1
        if self._calls == 1:
            with self._watched():
                return work()
        self._wait()
        began = time.perf_counter()
        result = work()
        self._wait()
        if self._calls > _WARM_UP:
            self._seconds.append(time.perf_counter() - began)
        return result

    def follow(self, run: Iterable[Result], frames: Callable[[Result], int]) -> Iterator[Result]:
        """Watch a coloring that comes batch by batch; everything before it is counted.

        Args:
            run: The coloring.
            frames: How many frames a batch has.
        """
        batches = iter(run)
        while True:
            began = time.perf_counter()
            if self._shapes:
                batch = next(batches, None)
            else:
                with self._seen():
                    batch = next(batches, None)
            self._wait()
            self._spent += time.perf_counter() - began
            if batch is None:
                return
            self._frames += frames(batch)
            yield batch

    def _wait(self) -> None:
        if torch.cuda.is_available() and any(
            one.device.type == "cuda" for net in self._networks for one in net.parameters()
        ):
            torch.cuda.synchronize()

    @contextmanager
    def _seen(self) -> Iterator[None]:
        """Notes what goes into the networks and what comes out."""

        def saw(module: nn.Module, given: Any, answer: Any) -> None:
            (height, width), (tall, wide) = given[0].shape[2:], answer.shape[2:]
            self._shapes.append(((int(height), int(width)), (int(tall), int(wide))))

        hooks = [network.register_forward_hook(saw) for network in self._networks]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        with self._seen(), _Held() as held:
            yield
        weights = sum(_bytes(network) for network in self._networks)
        self._memory = (held.most + weights) / 1e6

    def cost(self) -> Cost:
        """What was seen."""
        sees, gives = self._shapes[0] if self._shapes else (None, None)
        seconds = float(np.median(self._seconds)) if self._seconds else None
        if self._frames:
            seconds = self._spent / self._frames
        return Cost(
            seconds,
            sum(one.numel() for network in self._networks for one in network.parameters()),
            self._memory,
            sees,
            gives,
        )


def _bytes(network: nn.Module) -> int:
    storages = {
        one.untyped_storage()._cdata: one.untyped_storage().nbytes()
        for one in (*network.parameters(), *network.buffers())
    }
    return sum(storages.values())
