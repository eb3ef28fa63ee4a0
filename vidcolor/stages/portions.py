"""How many frames a network is given at once, and how they get to its device and back."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["CudaMemory", "DeviceMemory", "Link", "Portions"]

_log = logging.getLogger(__name__)

_CPU_FRAMES = 4
_CPU_PIXELS = 2 * 512 * 512
"""Measured, one core, bfloat16: small networks are fastest at 4 pictures at a time, large ones at
1 or 2; more only take memory."""

_FREE_SHARE = 0.5
"""Of the device's free memory: others may want some, and so do the convolutions' workspaces."""
_MOST_BYTES = 3 << 30
"""More at once makes no GPU faster."""


class DeviceMemory(Protocol):
    """What a device says of its memory, in bytes."""

    def free(self) -> int:
        """What can still be had."""
        ...

    def taken(self) -> int:
        """What tensors take now."""
        ...

    def peak(self) -> int:
        """The most that they have taken at any time."""
        ...


class CudaMemory:
    """Memory of a CUDA device.

    Args:
        device: Which one.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def free(self) -> int:
        """What the driver has left, and what PyTorch keeps in store."""
        stored = torch.cuda.memory_reserved(self._device) - self.taken()
        return int(torch.cuda.mem_get_info(self._device)[0]) + stored

    def taken(self) -> int:
        """What tensors take now."""
        return torch.cuda.memory_allocated(self._device)

    def peak(self) -> int:
        """The most that they have taken; never reset, because others read it too."""
        return torch.cuda.max_memory_allocated(self._device)


class Portions:
    """Divides frames into portions that a network is given one after the other.

    Without `memory` portions are as large as fixed numbers say. With it the first frame goes
    alone; by what it took, portions become as large as fits into a share of the memory that is
    free then, rounded down to a power of 2, so that small changes of what is free change nothing.

    Args:
        frames: In a portion, at most; None: as many as there are.
        pixels: That all pictures of a portion have together, at most; one frame always goes.
        memory: Of the device, where it is to be asked.
    """

    def __init__(
        self,
        frames: int | None = None,
        pixels: int | None = None,
        memory: DeviceMemory | None = None,
    ) -> None:
        self._frames, self._pixels = frames, pixels
        self._memory = memory

    @classmethod
    def of(cls, device: torch.device) -> Portions:
        """What suits a device: of a GPU without a way of asking, all frames at once."""
        if device.type == "cpu":
            return cls(_CPU_FRAMES, _CPU_PIXELS)
        return cls(memory=CudaMemory(device) if device.type == "cuda" else None)

    def count(self, pixels: Sequence[int]) -> int:
        """How many of the first frames go together.

        Args:
            pixels: Of each frame that is left: its picture and its close-ups; at least one.
        """
        if self._memory is not None:
            return 1
        total = 0
        for number, own in enumerate(pixels):
            total += own
            too_much = self._pixels is not None and total > self._pixels
            if number and (too_much or number == self._frames):
                return number
        return len(pixels)

    @contextmanager
    def measured(self, pixels: int) -> Iterator[None]:
        """While the network sees a portion of so many pixels; what is known already stays."""
        memory = self._memory
        if memory is None:
            yield
            return
        before = memory.taken()
        yield
        # what others took meanwhile counts as ours: portions get smaller, never too large
        cost = max(1, memory.peak() - before) / pixels
        most = int(min(_FREE_SHARE * memory.free(), _MOST_BYTES) / cost)
        self._pixels = 1 << max(0, most.bit_length() - 1)
        self._memory = None

    def shrink(self, frames: int) -> int:
        """A portion of so many frames, two at least, was too large; returns how many go now."""
        self._frames = frames // 2
        return self._frames


class Link:
    """The way of tensors to a device and back.

    To a CUDA device they go by way of locked memory and nobody waits for them: the next portion
    is on its way while the network works.

    Args:
        device: The device.
        locked: Go by way of locked memory; None: where it helps.
    """

    def __init__(self, device: torch.device, locked: bool | None = None) -> None:
        self.device = device
        self._locked = device.type == "cuda" if locked is None else locked

    def up(self, tensor: Tensor) -> Tensor:
        """A tensor of the CPU, on the device."""
        if self._locked:
            try:
                return tensor.pin_memory().to(self.device, non_blocking=True)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self._give_up(error)
        return tensor.to(self.device)

    def down(self, tensor: Tensor) -> Tensor:
        """A tensor of the device, on the CPU; not to be read before `wait`."""
        if self._locked:
            try:
                room = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            except RuntimeError as error:
                self._give_up(error)
            else:
                return room.copy_(tensor, non_blocking=True)
        return tensor.cpu()

    def wait(self) -> None:
        """Until all that was sent is there."""
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()

    def _give_up(self, error: RuntimeError) -> None:
        self._locked = False
        _log.warning(
            "no locked memory for %s (%s): going on with plain copies",
            self.device,
            str(error).splitlines()[0],
        )
