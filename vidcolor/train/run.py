"""A whole training run: config to weights, resumable, in a folder of its own."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Literal

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vidcolor.build import choose_device
from vidcolor.errors import ConfigError
from vidcolor.io.shards import Pictures
from vidcolor.models.registry import create_model, model_spec
from vidcolor.models.weights import identify, load_model, read_card, save_weights
from vidcolor.schema import to_dict
from vidcolor.train.config import CardConfig, ModelConfig, RunConfig, TrainConfig
from vidcolor.train.data.batch import Batch
from vidcolor.train.data.batches import TrainBatches
from vidcolor.train.data.labels import Labels, read_labels
from vidcolor.train.loop.distributed import World, join, same_everywhere, world_of_environment
from vidcolor.train.loop.fit import FitState, fit
from vidcolor.train.loop.folder import LAST, RunFolder, critic_of, weights_of
from vidcolor.train.loop.keeper import Keeper, Progress
from vidcolor.train.phases import ColorPhase, make_phase
from vidcolor.train.prior import class_weights
from vidcolor.train.start import start, start_critic

__all__ = ["CardConfig", "ModelConfig", "Progress", "RunConfig", "TrainConfig", "export", "train"]

_log = logging.getLogger(__name__)


def train(
    config: TrainConfig, stop: Callable[[], bool] | None = None
) -> Generator[Progress, None, None]:
    """Run or resume; yields after every step, after it was measured, logged and, when due, saved.

    See `vidcolor.train.loop.folder` for what the run leaves behind. Batches depend only on seed and
    step, so a killed and resumed run becomes what an unbroken one would have become. Whoever
    stops early closes the iterator (or says so by `stop`), and the last step is saved. A run that
    is done yields nothing. Under torchrun all processes call this alike; the first writes.

    Args:
        config: All settings.
        stop: Asked once a step; the run ends, saved, after the step in which it says yes in any
            process.

    Raises:
        ConfigError: If the folder holds a run with another config, or a setting asks for what is
            not there.
        MediaError: If pictures are missing or unreadable, or the disk is full.
        WeightsError: If what the run starts from does not fit.
        DivergenceError: If there is nothing finite to learn from any more.
    """
    world = world_of_environment()
    device = join(world, choose_device(config.run.device))
    folder = RunFolder(config.run.folder)
    saved = folder.saved_state(config)
    step = 0 if saved is None else int(saved["step"])
    if not same_everywhere(step, world, device):
        raise ConfigError(f"the processes see different runs in {folder.path}; share that folder")
    if step >= config.fit.steps:
        if world.first:
            _log.info("%s: done, %d steps", folder.path, step)
        return
    pictures = Pictures(config.data.train)
    labels = read_labels(pictures, config.data.labels) if config.data.labels else None
    phase, weights = _phase(config, device, pictures, saved, labels)
    state = FitState(phase, config.fit, world)
    history: dict[str, Any] = {"labels": _kinds(config, labels, saved)}
    if saved is not None:
        state.load_state_dict(saved)
        history |= {key: saved[key] for key in ("best", "seconds") if key in saved}
    del saved  # as large as all that learns
    if world.first and (step or config.phase.start_from):
        begin = f"from step {step}" if step else f"from {weights_of(config.phase.start_from)}"
        _log.info("%s: goes on %s, up to step %d", folder.path, begin, config.fit.steps)
    batches = _batches(config, pictures, phase, world, step, labels)
    keeper = Keeper(config, folder, state, history, weights) if world.first else None
    steps = fit(state, batches, config.fit, seed=config.data.seed, stop=stop)
    try:
        for report in steps:
            yield Progress(report) if keeper is None else keeper.note(report)
    finally:
        steps.close()
        if keeper is not None:
            keeper.close()


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


def _batches(
    config: TrainConfig,
    pictures: Pictures,
    phase: ColorPhase,
    world: World,
    step: int,
    labels: Labels | None,
) -> Iterator[Batch]:
    data = TrainBatches(
        pictures,
        config.data,
        config.degrade,
        view=phase.view,
        stride=model_spec(config.model.name).stride,
        part=(world.rank, world.size),
        pair=config.phase.temporal > 0,
        labels=None if labels is None else labels.numbers,
        points=config.phase.points,
    )
    loader = DataLoader(
        data,
        batch_size=None,
        sampler=range(step, config.fit.steps),
        num_workers=config.data.workers,
        prefetch_factor=4 if config.data.workers else None,
        worker_init_fn=_prepare_worker,
        generator=torch.Generator(),  # else it draws from the caller's
    )
    # workers are forked here; OpenCV's threads do not come along, and a worker that inherited a
    # pool would wait for them forever
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return iter(loader)
    finally:
        cv2.setNumThreads(threads)


def _prepare_worker(worker: int) -> None:
    """Whoever interrupts means the parent, with which workers end anyway."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def export(config: TrainConfig, path: Path, which: Literal["best", "last"] = "best") -> None:
    """Write the weights of a run, with its model card, where others find them.

    Args:
        config: Of the run; its `card` replaces the words of the card.
        path: A `.safetensors` file.
        which: Those of the measurement with the highest gain (the last where nothing was
            measured), or the last. Where several processes train, the first writes.

    Raises:
        WeightsError: If the run has no weights yet.
    """
    if not world_of_environment().first:
        return
    source = Path(config.run.folder).expanduser() / LAST
    if which == "best":
        source = Path(weights_of(config.run.folder))
    _, name, settings = identify(source)
    model, _ = load_model(source)
    card = {**read_card(source), **to_dict(config.card)}
    save_weights(path, model, name, settings, card, half=True)
