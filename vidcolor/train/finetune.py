"""Adapting a network to one film or series: from a few colored episodes to weights that know it.

One call builds a set of the colored episodes (by shots, so that what is measured was never
learned), trains all that colors for a few hundred steps at a low rate, stops when the held-out
shots get no better, and says what it was good for. Nothing is written where it did not help.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from torch import nn

from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.image import write_image
from vidcolor.io.shards import Pictures
from vidcolor.io.target import Target
from vidcolor.models.registry import ModelSpec, model_spec
from vidcolor.models.weights import identify, load_model, read_card
from vidcolor.train.config import CardConfig, ModelConfig, RunConfig, TrainConfig
from vidcolor.train.data.config import DataConfig
from vidcolor.train.dataset.build import BuildConfig, BuildReport, build_dataset
from vidcolor.train.degrade import DegradeConfig
from vidcolor.train.loop.folder import BEST, LAST, RunFolder
from vidcolor.train.loop.optimize import FitConfig
from vidcolor.train.phases import PhaseConfig
from vidcolor.train.preview import some_pictures
from vidcolor.train.run import export, train
from vidcolor.train.validate import Scores, color_picture, validate

__all__ = ["FinetuneConfig", "FinetuneReport", "finetune"]

_log = logging.getLogger(__name__)

_SHOWN = (("SSIM", 3, "ssim"), ("delta E 2000", 2, "delta_e"))
_SHEET_ROWS = 8
_COLUMN = 352
_PAPER = 250
_MARGIN = 6
_TITLE = 24


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """How a network is adapted. The defaults suit one to a dozen episodes.

    Attributes:
        weights: What is adapted: a name of known weights, or a file.
        steps: Steps at most.
        patience: Measurements in a row that are worse than the best, by more than chance, after
            which training stops.
        chance: Measurements on n held-out pictures differ by chance by this many dB, over the root
            of n. The last weights, whose rate was lowest, are taken unless the best beat them by
            more.
        every: Steps between measurements.
        least_gain: dB on held-out shots below which it did not help, and nothing is written.
        lr: Highest learning rate.
        batch_size: Pictures of a step.
        size: Side of the square crops in pixels.
        smallest_crop: Smallest part of the short side that a crop shows.
        freeze: Prefixes of parameters that stay as they are.
        freeze_norms: Leave the statistics of batch norm as they are.
        film: Share of pictures that each film effect is put on; episodes of our own days need
            little of it.
        val_side: Short side of the held-out pictures when they are measured.
        seed: Of order, crops and effects.
        device: "auto" is a GPU where there is one; "cpu", "cuda", ...
        set: What is taken from the episodes; see `vidcolor dataset build`.
    """

    weights: str = "starter"
    steps: int = 400
    patience: int = 3
    chance: float = 4.0
    every: int = 50
    least_gain: float = 0.1
    lr: float = 1e-3
    batch_size: int = 16
    size: int = 128
    smallest_crop: float = 0.5
    freeze: tuple[str, ...] = ()
    freeze_norms: bool = False
    film: float = 0.1
    val_side: int = 192
    seed: int = 0
    device: str = "auto"
    set: BuildConfig = field(default_factory=lambda: BuildConfig(val=0.15, per_shot=6))

    def __post_init__(self) -> None:
        for name in ("steps", "patience", "every", "lr"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive, not {getattr(self, name)}")
        if not 0 <= self.film <= 1:
            raise ConfigError(f"film must be 0 to 1, not {self.film}")
        if self.set.val <= 0:
            raise ConfigError("set.val must be above 0: without held-out shots nobody can tell")


@dataclass(frozen=True, slots=True)
class FinetuneReport:
    """What became of it.

    Attributes:
        before: Scores of the weights as they were, on held-out shots.
        after: The same of the adapted ones.
        steps: After how many those were; 0 if they did not help.
        set: What was learned from.
        written: Files that were written; none where it did not help.
    """

    before: Scores
    after: Scores
    steps: int
    set: BuildReport
    written: tuple[Path, ...]

    def table(self) -> str:
        """The scores as lines of text."""
        rows: list[tuple[str, ...]] = [("held-out shots", "before", "after")]
        rows.append(("PSNR", *(f"{one.psnr:.2f} dB" for one in (self.before, self.after))))
        rows.append(("over gray", *(f"{one.gain:+.2f} dB" for one in (self.before, self.after))))
        for name, digits, pick in _SHOWN:
            values = (_best(one, pick) for one in (self.before, self.after))
            rows.append((name, *(f"{value:.{digits}f}" for value in values)))
        true = f"{self.after.chroma_true:.1f}"
        rows.append(
            ("mean chroma, of " + true, f"{self.before.chroma:.1f}", f"{self.after.chroma:.1f}")
        )
        return "\n".join(f"{a:<24}{b:>12}{c:>12}" for a, b, c in rows)


def finetune(
    on: Sequence[str | Path],
    out: str | Path,
    config: FinetuneConfig | None = None,
    *,
    target: str | Path | None = None,
    overwrite: bool = False,
    frames: Callable[[int], None] | None = None,
    steps: Callable[[int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> FinetuneReport | None:
    """Adapt weights to a film or series.

    What is under way lies in a folder beside `out` (its name with `.run`): the set and the run.
    A call that was killed goes on there. It stays, for the model card, the log and the pictures.

    Args:
        on: Colored episodes: films, folders of pictures, pictures, tar shards.
        out: The adapted weights, a `.safetensors` file.
        config: How; the defaults if None.
        target: The black-and-white episode that it is for: the sheet shows its frames, before
            and after. Without it, the sheet shows held-out pictures.
        overwrite: Replace `out` if it exists.
        frames: Told of frames read while the set is built.
        steps: Told of steps done.
        stop: Asked once a step; it ends, saved, when it says yes.

    Returns:
        Scores before and after, and which files were written: the weights, and the sheet under
        the same name as `.png`. None if it was stopped.

    Raises:
        ConfigError: If a setting does not fit, or the set has too few shots to hold some back.
        MediaError: If a source is missing or damaged, or `out` exists.
        WeightsError: If the weights are missing or damaged.
        DivergenceError: If the loss is no number any more.
    """
    config, out = config or FinetuneConfig(), Path(out).expanduser()
    if out.suffix != ".safetensors":
        raise MediaError(f"{out}: weights end in .safetensors")
    sheet = out.with_suffix(".png")
    for path in (out, sheet):
        Target(path, overwrite, []).discard()  # before any work
    if target is not None and not Path(target).expanduser().exists():
        raise MediaError(f"{target}: no such file")
    identify(config.weights)
    work = out.with_suffix(".run")
    report = build_dataset(on, work / "set", config.set, progress=frames)
    if not report.total.val or not report.total.train:
        raise ConfigError(
            f"{work / 'set'}: {report.total.train} pictures to learn from and {report.total.val} "
            "held back; give more shots, or change set.val"
        )
    run = _run(config, work, [str(Path(one).name) for one in on])
    _train(run, config, report.total.val, steps, stop)
    if stop is not None and stop():
        return None
    return _conclude(config, run, report, out, sheet, target)


def _best(scores: Scores, what: str) -> float:
    """A detailed score of the pictures as the network colors them, with instances if it can."""
    assert scores.picture is not None
    rows = scores.picture.rows
    return float(getattr(rows.get("instances") or rows["colored"], what))


def _run(config: FinetuneConfig, work: Path, names: Sequence[str]) -> TrainConfig:
    """The training run that this is."""
    _, model, settings = identify(config.weights)
    width = int(settings.get("width", 64))
    rest = tuple(f"{key}={value}" for key, value in settings.items() if key != "width")
    card = read_card(config.weights)
    film = config.film
    return TrainConfig(
        data=DataConfig(
            train=(str(work / "set" / "train-*.tar"),),
            val=(str(work / "set" / "val-*.tar"),),
            sizes=(config.size,),
            batch_size=config.batch_size,
            smallest_crop=config.smallest_crop,
            random_boxes=1,
            seed=config.seed,
        ),
        run=RunConfig(
            folder=str(work / "run"),
            save_every=config.every,
            val_every=config.every,
            val_side=config.val_side,
            device=config.device,
        ),
        fit=FitConfig(steps=config.steps, lr=config.lr, warmup=min(20, config.steps), ema=0.98),
        model=ModelConfig(model, width, rest),
        phase=PhaseConfig(
            name="finetune",
            start_from=config.weights,
            freeze=config.freeze,
            freeze_norms=config.freeze_norms,
        ),
        degrade=DegradeConfig(
            stock=film, tone=film, blur=film, grain=film,
            scratches=0, dust=0, flicker=0, compression=film, interlace=0,
        ),
        card=CardConfig(
            data=f"{', '.join(names)}; before that: {card.get('data') or config.weights}",
            license=str(card.get("license", "")),
            limits="knows the colors of what it was adapted to",
        ),
    )  # fmt: skip


def _train(
    run: TrainConfig,
    config: FinetuneConfig,
    held: int,
    tell: Callable[[int], None] | None,
    stop: Callable[[], bool] | None,
) -> None:
    """Until it gets worse."""
    chance = _chance(config, held)
    gains = [row["val"]["gain"] for row in RunFolder(run.run.folder).rows() if row.get("val")]
    if _stale(gains, chance) >= config.patience:
        return
    with closing(train(run, stop)) as steps:
        for progress in steps:
            if tell is not None:
                tell(1)
            if progress.scores is None:
                continue
            gains.append(progress.scores.gain)
            _log.info(
                "step %d: %.2f dB (%+.2f over gray)%s",
                progress.report.step, progress.scores.psnr, progress.scores.gain,
                ", best so far" if progress.best else "",
            )  # fmt: skip
            if _stale(gains, chance) >= config.patience:
                _log.info("worse for %d measurements: enough", config.patience)
                break


def _chance(config: FinetuneConfig, held: int) -> float:
    return config.chance / math.sqrt(held)


def _stale(gains: Sequence[float], chance: float) -> int:
    """How many measurements in a row were worse than the best by more than `chance`."""
    count = 0
    for gain in reversed(gains):
        if gain == max(gains) or gain > max(gains) - chance:
            break
        count += 1
    return count


def _conclude(
    config: FinetuneConfig,
    run: TrainConfig,
    report: BuildReport,
    out: Path,
    sheet: Path,
    target: str | Path | None,
) -> FinetuneReport:
    folder = RunFolder(run.run.folder)
    gains = [row["val"]["gain"] for row in folder.rows() if row.get("val")]
    which: Literal["best", "last"] = (
        "best" if _stale(gains, _chance(config, report.total.val)) else "last"
    )
    chosen = folder.path / (BEST if which == "best" else LAST)
    spec = model_spec(run.model.name)
    held = Pictures(run.data.val)
    old, _ = load_model(config.weights)
    new, _ = load_model(chosen)

    def boxes(number: int) -> npt.NDArray[np.float32] | None:
        return held.boxes(number, run.data.box_score)

    before, after = (
        validate(model, held, config.val_side, spec=spec, boxes=boxes, detail=True)
        for model in (old, new)
    )
    if after.psnr - before.psnr < config.least_gain:
        return FinetuneReport(before, after, 0, report, ())
    _draw(sheet, [old, new], spec, held, target, config.val_side)
    export(run, out, which)
    steps = int(read_card(chosen)["steps"])
    return FinetuneReport(before, after, steps, report, (out, sheet))


def _draw(
    path: Path,
    models: Sequence[nn.Module],
    spec: ModelSpec,
    held: Pictures,
    target: str | Path | None,
    side: int,
) -> None:
    """Rows of gray, before, after and, of held-out pictures, true."""
    rows: list[list[Any]] = []
    if target is not None:
        pictures = [rgb for _, rgb in some_pictures(Path(target).expanduser(), _SHEET_ROWS)]
    else:
        count = min(_SHEET_ROWS, len(held))
        pictures = [held.rgb(i * len(held) // count) for i in range(count)]
    for rgb in pictures:
        small, *colored = (_fit(cell) for cell in _colorings(rgb, models, spec, side))
        gray = np.repeat(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
        rows.append([gray, *colored, *([small] if target is None else [])])
    titles = ["gray", "before", "after", "true"][: len(rows[0])]
    write_image(path, _page(rows, titles), overwrite=True)


def _colorings(
    rgb: npt.NDArray[np.uint8], models: Sequence[nn.Module], spec: ModelSpec, side: int
) -> list[Any]:
    pictures = [color_picture(model, rgb, side, spec) for model in models]
    return [pictures[0][0], *(colored for _, colored in pictures)]


def _fit(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """No wider than a column."""
    height, width = picture.shape[:2]
    if width <= _COLUMN:
        return picture
    size = (_COLUMN, round(height * _COLUMN / width))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _page(rows: list[list[npt.NDArray[np.uint8]]], titles: Sequence[str]) -> Any:
    width = max(cell.shape[1] for row in rows for cell in row)
    head = np.full((_TITLE, (width + _MARGIN) * len(titles), 3), _PAPER, np.uint8)
    for place, title in enumerate(titles):
        where = (place * (width + _MARGIN) + _MARGIN, _TITLE - 7)
        cv2.putText(head, title, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (30, 30, 30), 1, cv2.LINE_AA)
    page = [head]
    for row in rows:
        height = row[0].shape[0] + _MARGIN
        paper = np.full((height, (width + _MARGIN) * len(titles), 3), _PAPER, np.uint8)
        for place, cell in enumerate(row):
            left = place * (width + _MARGIN)
            paper[: cell.shape[0], left : left + cell.shape[1]] = cell
        page.append(paper)
    return np.concatenate(page)
