"""What is done between steps: measuring, logging, drawing, saving."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from vidcolor.errors import MediaError, WeightsError
from vidcolor.models.weights import save_weights
from vidcolor.train.kinds import AnyConfig
from vidcolor.train.loop.board import Board, NoBoard, TensorBoard
from vidcolor.train.loop.card import Measured, card_of, card_page, numbers
from vidcolor.train.loop.fit import FitState, Report
from vidcolor.train.loop.folder import BEST, LAST, RunFolder
from vidcolor.train.loop.task import Task, Watcher

__all__ = ["Keeper", "Progress"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """What the caller shows.

    Attributes:
        report: The step.
        scores: Validation of the running mean, where this step was measured.
        best: Whether they are the best so far.
    """

    report: Report
    scores: Measured | None = None
    best: bool = False


class Keeper:
    """Measures, logs, draws and saves; in the first process only.

    Args:
        config: Of the run.
        folder: Its folder.
        state: What learns.
        history: Best scores so far and seconds, of the state that the run goes on from.
        task: What is trained.
    """

    def __init__(
        self,
        config: AnyConfig,
        folder: RunFolder,
        state: FitState,
        history: dict[str, Any],
        task: Task,
    ) -> None:
        self._config = config
        self._folder = folder
        self._state = state
        self._task = task
        self._best: dict[str, float] = dict(history.get("best", {}))
        self._seconds = float(history.get("seconds", 0.0))
        self._started = time.monotonic()
        self._saved_step = state.step
        self._watch = task.watch()
        self._board: Board = NoBoard()
        if config.run.tensorboard:
            self._board = TensorBoard(folder.path / "tensorboard", state.step)
        precision = str(state.dtype).removeprefix("torch.")
        facts = {"device": str(state.device), "precision": precision, "processes": state.world.size}
        folder.begin(config, state.step, facts)

    def _elapsed(self) -> float:
        return self._seconds + time.monotonic() - self._started

    def note(self, report: Report) -> Progress:
        """Do what is due after a step."""
        run, step = self._config.run, report.step
        last = step == self._config.fit.steps
        if report.skipped and self._state.bad:
            _log.warning("step %d: no finite loss or gradient; that batch is left out", step)
        scores, best = None, False
        if self._watch is not None and (last or step % run.val_every == 0):
            scores, best = self._measure(self._watch, step)
        if scores is not None or last or step % run.log_every == 0:
            self._log(report, scores)
        if last or step % run.save_every == 0:
            self._save()
        return Progress(report, scores, best)

    def _measure(self, watch: Watcher, step: int) -> tuple[Measured, bool]:
        mean = self._state.mean.module
        scores = watch.scores(mean)
        found = numbers(scores)
        latest = self._config.run.best == "latest"
        better = latest or not self._best or found["gain"] > self._best["gain"]
        if better:
            self._best = {**found, "step": step}
            self._write_weights(BEST, self._best)
        if self._config.run.keep:
            self._write_weights(f"step-{step:07}.safetensors", {**found, "step": step})
        for number, rgb in enumerate(watch.samples(mean)):
            self._folder.draw(f"step-{step:07}-{number}", rgb)
            self._board.picture(step, f"sample {number}", rgb)
        self._board.scalars(step, {f"val/{name}": value for name, value in found.items()})
        return scores, better

    def _log(self, report: Report, scores: Measured | None) -> None:
        values = {"lr": report.lr, "grad_norm": report.grad_norm, **report.losses}
        if not report.skipped:
            self._board.scalars(report.step, {f"train/{k}": v for k, v in values.items()})
        row: dict[str, Any] = {"step": report.step, "seconds": round(self._elapsed(), 1)}
        row |= {name: None if report.skipped else value for name, value in values.items()}
        if self._state.skipped:
            row["skipped"] = self._state.skipped
        if scores is not None:
            row["val"] = numbers(scores)
        self._folder.log(row)

    def _write_weights(self, name: str, measured: dict[str, float] | None) -> dict[str, Any]:
        config = self._config
        model = self._task.whole(self._state.mean.module)
        labels = self._task.notes.get("labels", ())
        card = card_of(config, self._state.step, self._elapsed(), measured, labels)
        settings = config.model.builder_settings()
        save_weights(self._folder.path / name, model, config.model.name, settings, card, half=True)
        return card

    def _save(self) -> None:
        state, rows = self._state, self._folder.rows()
        measured = [row["val"] for row in rows if row["step"] == state.step and "val" in row]
        best = int(self._best.get("step", 0))
        extra = {"best": self._best, "seconds": self._elapsed(), **self._task.notes}
        try:
            card = self._write_weights(
                LAST, measured[0] | {"step": state.step} if measured else None
            )
            self._folder.write_card(card_page(card, self._config, rows, best))
            self._folder.save({**state.state_dict(), **extra})
        except (MediaError, WeightsError) as error:
            before, self._saved_step = self._saved_step, state.step  # no second try
            raise MediaError(
                f"{error}; once that is mended, the same command goes on from step {before}"
            ) from None
        self._saved_step = state.step

    def close(self) -> None:
        """Save what was learned since the last time, if it is whole."""
        try:
            if self._state.whole and self._state.step > self._saved_step:
                self._save()
        finally:
            self._board.close()
