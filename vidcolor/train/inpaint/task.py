"""A network that fills holes as the task of a run."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from vidcolor.errors import WeightsError
from vidcolor.io.shards import Pictures
from vidcolor.models.registry import create_model
from vidcolor.models.weights import load_inpainter
from vidcolor.train.inpaint.batch import HoleBatch
from vidcolor.train.inpaint.config import InpaintConfig
from vidcolor.train.inpaint.data import HoleBatches
from vidcolor.train.inpaint.phase import InpaintPhase
from vidcolor.train.inpaint.watch import InpaintWatch
from vidcolor.train.loop.folder import weights_of

__all__ = ["InpaintTask"]


class InpaintTask:
    """A network, its pictures and holes, how it is measured: what `run.train` asks for.

    Args:
        config: Of the run.
        device: Where the network is to lie.
        saved: State that the run goes on from, or None.

    Attributes:
        phase: What learns.
        notes: Nothing.

    Raises:
        MediaError: If pictures are missing or unreadable.
        WeightsError: If what the run starts from does not fit, or VGG-16 is not installed where
            the loss looks through it.
    """

    def __init__(
        self, config: InpaintConfig, device: torch.device, saved: dict[str, Any] | None
    ) -> None:
        self._config = config
        self._pictures = Pictures(config.data.train)
        self.notes: dict[str, Any] = {}
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(config.data.seed)
            model: Any = create_model(config.model.name, **config.model.builder_settings())
        self._multiple = int(model.multiple)
        if saved is None and config.phase.start_from:
            _start(model, weights_of(config.phase.start_from))
        layout = torch.channels_last if config.fit.channels_last else torch.contiguous_format
        model.to(device).to(memory_format=layout)
        self.phase = InpaintPhase(model, config.phase)
        self.phase.to(device)

    def batches(self, part: tuple[int, int]) -> Dataset[HoleBatch]:
        """Batches by step."""
        return HoleBatches(self._pictures, self._config, part)

    def watch(self) -> InpaintWatch | None:
        """How it is measured."""
        if not self._config.data.val:
            return None
        return InpaintWatch(self._config, self._multiple, self.phase.pools)

    def whole(self, mean: nn.Module) -> nn.Module:
        """The network as it is: it has no parts that learn later."""
        return mean


def _start(model: nn.Module, weights: str) -> None:
    """Give a new network the values of another run."""
    state = load_inpainter(weights).state_dict()
    own = model.state_dict()
    wrong = [key for key in {**own, **state} if _shape(own, key) != _shape(state, key)]
    if wrong:
        raise WeightsError(
            f"{weights}: made with other settings than model.* asks for (first at {wrong[0]!r})"
        )
    model.load_state_dict(state)


def _shape(tensors: dict[str, Any], key: str) -> tuple[int, ...] | None:
    return tuple(tensors[key].shape) if key in tensors else None
