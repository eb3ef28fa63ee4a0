"""A colorizer as the task of a run."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from vidcolor.io.shards import Pictures
from vidcolor.models.registry import create_model, model_spec
from vidcolor.models.weights import read_card
from vidcolor.train.config import TrainConfig
from vidcolor.train.data.batch import Batch
from vidcolor.train.data.batches import TrainBatches
from vidcolor.train.data.labels import Labels, read_labels
from vidcolor.train.loop.folder import critic_of, weights_of
from vidcolor.train.loop.watch import Watch
from vidcolor.train.phases import ColorPhase, make_phase
from vidcolor.train.prior import class_weights
from vidcolor.train.start import complete, start, start_critic

__all__ = ["ColorTask"]


class ColorTask:
    """A network that colors, its pictures, how it is measured: what `run.train` asks for.

    Args:
        config: Of the run.
        device: Where the network is to lie.
        saved: State that the run goes on from, or None.

    Attributes:
        phase: What learns.
        notes: Weights of the color classes, and names of the kinds of pictures.

    Raises:
        ConfigError: If a setting asks for what is not there.
        MediaError: If pictures are missing or unreadable.
        WeightsError: If what the run starts from does not fit.
    """

    def __init__(
        self, config: TrainConfig, device: torch.device, saved: dict[str, Any] | None
    ) -> None:
        self._config = config
        self._pictures = Pictures(config.data.train)
        self._labels: Labels | None = None
        if config.data.labels:
            self._labels = read_labels(self._pictures, config.data.labels)
        self.phase, weights = _phase(config, device, self._pictures, saved, self._labels)
        kinds = _kinds(config, self._labels, saved)
        self.notes: dict[str, Any] = {"class_weights": weights, "labels": list(kinds)}

    def batches(self, part: tuple[int, int]) -> Dataset[Batch]:
        """Batches by step."""
        config = self._config
        return TrainBatches(
            self._pictures,
            config.data,
            config.degrade,
            view=self.phase.view,
            stride=model_spec(config.model.name).stride,
            part=part,
            pair=config.phase.temporal > 0,
            labels=None if self._labels is None else self._labels.numbers,
            points=config.phase.points,
        )

    def watch(self) -> Watch | None:
        """How the phase is measured; in "critic" the network stays as it is."""
        config = self._config
        if not config.data.val or config.phase.name == "critic":
            return None
        return Watch(config, model_spec(config.model.name))

    def whole(self, mean: nn.Module) -> nn.Module:
        """A copy that can color with all its parts, also those whose phase is still to come."""
        model = copy.deepcopy(mean)
        complete(model, self._config.phase.name)
        return model


def _kinds(
    config: TrainConfig, labels: Labels | None, saved: dict[str, Any] | None
) -> tuple[str, ...]:
    """Names of the kinds of pictures that the network knows, from before if it learns none now."""
    if labels is not None:
        return labels.names
    if saved is not None:
        return tuple(saved.get("labels", ()))
    if not config.phase.start_from:
        return ()
    return tuple(read_card(weights_of(config.phase.start_from)).get("labels", ()))


def _phase(
    config: TrainConfig,
    device: torch.device,
    pictures: Pictures,
    saved: dict[str, Any] | None,
    labels: Labels | None,
) -> tuple[ColorPhase, Tensor | None]:
    """What learns, a function of seed and settings at first; and what each color class weighs."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(config.data.seed)
        model: Any = create_model(config.model.name, **config.model.builder_settings())
        weights = None
        if config.phase.classes and config.phase.rebalance and hasattr(model, "color_classes"):
            centers = model.color_classes()
            if saved is not None:
                weights = saved.get("class_weights")
            elif centers is not None:
                weights = class_weights(pictures, centers, config.phase.rebalance)
        spec = model_spec(config.model.name)
        kinds = 0 if labels is None else len(labels.names)
        phase = make_phase(config.phase, model, spec, min(config.data.sizes), weights, kinds)
    if saved is None and config.phase.start_from:
        begin = weights_of(config.phase.start_from)
        start(model, config.model.name, config.phase.name, begin)
    if saved is None and config.phase.start_critic and phase.adversary is not None:
        folder = config.phase.start_critic
        start_critic(phase.adversary.critic, critic_of(folder), folder)
    if phase.features is not None:
        phase.features.to(device)
    layout = torch.channels_last if config.fit.channels_last else torch.contiguous_format
    model.to(device).to(memory_format=layout)
    return phase, weights
