"""A whole training run: config to weights, resumable, in a folder of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import torch
from torch.utils.data import DataLoader

from vidcolor.errors import ConfigError
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights
from vidcolor.schema import load, read_toml, to_dict, to_toml
from vidcolor.train.checkpoint import read_state, write_state
from vidcolor.train.data import DataConfig, Pictures, TrainBatches
from vidcolor.train.degrade import DegradeConfig
from vidcolor.train.fit import FitConfig, FitState, Report, fit
from vidcolor.train.phases import Full, PhaseConfig
from vidcolor.train.validate import Scores, validate

__all__ = ["CardConfig", "ModelConfig", "Progress", "RunConfig", "TrainConfig", "export", "train"]

_STATE = "last.pt"
_LOG = "log.jsonl"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What is trained.

    Attributes:
        name: A registered colorizer.
        width: Its width, where 64 is the full one.
    """

    name: str = "quarternet"
    width: int = 64


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Where a run lives and how often it looks up.

    Attributes:
        folder: Receives config, state, log and weights; an existing run there is resumed.
        save_every: Steps between saved states.
        val_every: Steps between measurements.
        val_side: Short side of validation pictures in pixels.
        device: "cpu", "cuda", ...
    """

    folder: str
    save_every: int = 500
    val_every: int = 1000
    val_side: int = 160
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class CardConfig:
    """What the weights say about themselves; numbers are added by `export`.

    Attributes:
        data: What was learned from.
        license: License of the weights, and of the data as far as it is known.
        limits: What they are bad at.
    """

    data: str = ""
    license: str = ""
    limits: str = ""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything about a run; saved with it.

    Attributes:
        data: Pictures.
        run: The folder.
        fit: Optimizer and schedule.
        model: The network.
        phase: The loss.
        degrade: Film effects.
        card: Words for the model card.
    """

    data: DataConfig
    run: RunConfig
    fit: FitConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    phase: PhaseConfig = field(default_factory=PhaseConfig)
    degrade: DegradeConfig = field(default_factory=DegradeConfig)
    card: CardConfig = field(default_factory=CardConfig)


@dataclass(frozen=True, slots=True)
class Progress:
    """What the caller shows.

    Attributes:
        report: The step.
        scores: Validation of the running mean, where this step was measured.
    """

    report: Report
    scores: Scores | None


def _log(folder: Path, progress: Progress, seconds: float) -> None:
    row: dict[str, object] = {
        "step": progress.report.step,
        "seconds": round(seconds, 1),
        "lr": progress.report.lr,
        "grad_norm": progress.report.grad_norm,
        **progress.report.losses,
    }
    if progress.scores:
        row["val"] = to_dict(progress.scores)
    with (folder / _LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(1)


def train(config: TrainConfig) -> Iterator[Progress]:
    """Run or resume; yields after every step, after it was logged and, when due, saved.

    The run folder holds `config.toml`, `log.jsonl` and `last.pt`. Batches depend only on seed and
    step, so a killed and resumed run sees what an unbroken one would have seen.

    Raises:
        ConfigError: If the folder holds a run with another config.
        MediaError: If pictures are missing or unreadable.
    """
    folder = Path(config.run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "config.toml"
    if (folder / _STATE).exists() and kept.exists():
        before = load(TrainConfig, read_toml(kept), str(kept))
        if replace(before, card=config.card) != config:
            raise ConfigError(f"{folder} holds a run with other settings; give another run.folder")
    kept.write_text(to_toml(config), encoding="utf-8")

    torch.manual_seed(config.data.seed)
    model = create_model(config.model.name, width=config.model.width)
    model = model.to(config.run.device).to(memory_format=torch.channels_last)
    state = FitState(Full(model, config.phase), config.fit)
    if (folder / _STATE).exists():
        state.load_state_dict(read_state(folder / _STATE))

    pictures = Pictures(config.data.train)
    val = Pictures(config.data.val) if config.data.val else None
    loader = DataLoader(
        TrainBatches(pictures, config.data, config.degrade),
        batch_size=None,
        sampler=range(state.step, config.fit.steps),
        num_workers=config.data.workers,
        prefetch_factor=4 if config.data.workers else None,
        worker_init_fn=_one_thread,
    )
    started = time.monotonic()
    for report in fit(state, loader, config.fit):
        last = report.step == config.fit.steps
        scores = None
        if val and (last or report.step % config.run.val_every == 0):
            scores = validate(state.mean.module, val, config.run.val_side)
        progress = Progress(report, scores)
        if scores or report.step % 20 == 0 or last:
            _log(folder, progress, time.monotonic() - started)
        if last or report.step % config.run.save_every == 0:
            write_state(folder / _STATE, state.state_dict())
        yield progress


def export(config: TrainConfig, path: Path) -> None:
    """Write the running mean of a run's weights, in half precision, with a model card.

    Args:
        config: Of the run; its folder must hold a state.
        path: A `.safetensors` file.

    Raises:
        WeightsError: If the run has no readable state.
    """
    folder = Path(config.run.folder)
    state = read_state(folder / _STATE)
    settings = {"width": config.model.width}
    model = create_model(config.model.name, **settings)
    mean = {
        key.removeprefix("module."): value
        for key, value in state["mean"].items()
        if key.startswith("module.")
    }
    model.load_state_dict(mean)
    rows = [json.loads(line) for line in (folder / _LOG).read_text("utf-8").splitlines()]
    measured = [row for row in rows if "val" in row]
    card = {
        **to_dict(config.card),
        "steps": state["step"],
        "pictures_seen": state["step"] * config.data.batch_size,
        "config": to_toml(config),
        "validation": measured[-1]["val"] | {"short_side": config.run.val_side} if measured else {},
    }
    save_weights(path, model, config.model.name, settings, card, half=True)
