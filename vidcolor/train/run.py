"""A whole training run: config to weights, resumable, in a folder of its own."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Literal

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from vidcolor.build import choose_device
from vidcolor.errors import ConfigError
from vidcolor.models.weights import load_inpainter, load_model, read_card, save_weights
from vidcolor.schema import to_dict
from vidcolor.train.config import CardConfig, ModelConfig, RunConfig, TrainConfig
from vidcolor.train.inpaint.config import InpaintConfig
from vidcolor.train.inpaint.task import InpaintTask
from vidcolor.train.kinds import AnyConfig
from vidcolor.train.loop.color import ColorTask
from vidcolor.train.loop.distributed import join, same_everywhere, world_of_environment
from vidcolor.train.loop.fit import FitState, fit
from vidcolor.train.loop.folder import LAST, RunFolder, weights_of
from vidcolor.train.loop.keeper import Keeper, Progress
from vidcolor.train.loop.task import Task

__all__ = ["CardConfig", "ModelConfig", "Progress", "RunConfig", "TrainConfig", "export", "train"]

_log = logging.getLogger(__name__)


def train(
    config: AnyConfig, stop: Callable[[], bool] | None = None
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
    task = _task(config, device, saved)
    state = FitState(task.phase, config.fit, world)
    history: dict[str, Any] = {}
    if saved is not None:
        state.load_state_dict(saved)
        history = {key: saved[key] for key in ("best", "seconds") if key in saved}
    del saved  # as large as all that learns
    if world.first and (step or config.phase.start_from):
        begin = f"from step {step}" if step else f"from {weights_of(config.phase.start_from)}"
        _log.info("%s: goes on %s, up to step %d", folder.path, begin, config.fit.steps)
    batches = _batches(task.batches((world.rank, world.size)), config, step)
    keeper = Keeper(config, folder, state, history, task) if world.first else None
    steps = fit(state, batches, config.fit, seed=config.data.seed, stop=stop)
    try:
        for report in steps:
            yield Progress(report) if keeper is None else keeper.note(report)
    finally:
        steps.close()
        if keeper is not None:
            keeper.close()


def _task(config: AnyConfig, device: torch.device, saved: dict[str, Any] | None) -> Task:
    if isinstance(config, InpaintConfig):
        return InpaintTask(config, device, saved)
    return ColorTask(config, device, saved)


def _batches(data: Dataset[Any], config: AnyConfig, step: int) -> Iterator[Any]:
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


def export(config: AnyConfig, path: Path, which: Literal["best", "last"] = "best") -> None:
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
    fills = isinstance(config, InpaintConfig)
    model = load_inpainter(source) if fills else load_model(source)[0]
    card = {**read_card(source), **to_dict(config.card)}
    settings = config.model.builder_settings()
    save_weights(path, model, config.model.name, settings, card, half=True)
