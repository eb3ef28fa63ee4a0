"""Methods that fill holes, measured on pictures with holes: pair by pair, row by row."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidcolor.build import choose_device
from vidcolor.color.measure.catalog import Measure as Distance
from vidcolor.errors import MediaError
from vidcolor.evaluate.inpaint.config import FILM, InpaintConfig
from vidcolor.evaluate.inpaint.ledger import Ledger
from vidcolor.evaluate.inpaint.methods import Filler, choose_methods, common_channels
from vidcolor.evaluate.inpaint.pairs import Group, Pair, Pairs
from vidcolor.evaluate.inpaint.report import InpaintReport, MethodNote, Row, Value, summary
from vidcolor.evaluate.inpaint.scores import SECONDS, measures_of, score
from vidcolor.evaluate.sets.gallery import Cell, Gallery, GalleryRow
from vidcolor.evaluate.sets.scores import TRUTH, Metrics
from vidcolor.schema import to_dict

__all__ = ["DAMAGED", "HOLES", "InpaintJob", "codes_of"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Progress = Callable[[int], None]

DAMAGED, HOLES = "damaged", "holes"
"""Columns of the sheet before those of the methods."""

_MARKED = (255, 0, 255)


@dataclass(slots=True)
class _Found:
    """What is gathered of a row while pairs go by."""

    share: array[float] = field(default_factory=lambda: array("d"))
    names: list[str] = field(default_factory=list)
    scores: dict[str, dict[str, array[float]]] = field(default_factory=dict)

    def add(self, method: str, scores: Mapping[str, float]) -> None:
        row = self.scores.setdefault(method, {name: array("d") for name in scores})
        for name, value in scores.items():
            row[name].append(value)

    def row(self, name: str) -> Row:
        values: dict[str, dict[str, Value]] = {
            method: {key: summary(found) for key, found in scores.items()}
            for method, scores in self.scores.items()
        }
        return Row(name, len(self.names), float(np.mean(self.share)), values)

    def single(self) -> dict[str, object]:
        scores = {
            method: {key: [*values] for key, values in found.items()}
            for method, found in self.scores.items()
        }
        return {"names": self.names, "scores": scores}


def codes_of(picture: Floats) -> Bytes:
    """8-bit codes of a picture in 0..1.

    Raises:
        ValueError: If anything in it is no number.
    """
    if not np.isfinite(picture).all():
        raise ValueError("a method answered with what is no number")
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


class InpaintJob:
    """An evaluation that is checked and ready: data is there, networks are loaded.

    Args:
        data: Pictures, see `vidcolor.evaluate.sets.data.open_data`.
        config: The protocol.
        folder: Where names in lists begin.

    Attributes:
        gallery: The first pair of each row, filled by all, when it has run.

    Raises:
        VidcolorError: If data, masks, weights or a metric's network are missing, or do not fit.
    """

    unit = "filling"

    def __init__(
        self, data: Sequence[str], config: InpaintConfig, folder: Path | None = None
    ) -> None:
        self._config, self._named = config, tuple(data)
        device = choose_device(config.device)
        self._fillers = choose_methods(config, device)
        self._channels = common_channels(self._fillers, config.channels)
        self._pairs = Pairs(data, config, self._channels, folder)
        self._lpips: Distance | None = None
        if "lpips" in config.metrics:
            self._lpips = Metrics.load(["lpips"], config.files, str(device)).each["lpips"]
        self.gallery: tuple[GalleryRow, ...] = ()

    @property
    def total(self) -> int:
        """How often holes are filled, at most."""
        return self._pairs.total * len(self._fillers)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the gallery."""
        return (DAMAGED, HOLES, *(one.label for one in self._fillers), TRUTH)

    def run(self, progress: Progress, ledger: Ledger | None = None) -> InpaintReport:
        """Fill and measure.

        Args:
            progress: Told of every hole that was filled, or was known from before.
            ledger: Where scores are kept and found.

        Raises:
            MediaError: If a picture or mask cannot be read, or no pair is left to measure.
        """
        ledger = ledger or Ledger(None)
        gallery = Gallery(len(self._pairs.groups))
        rows: list[Row] = []
        single: dict[str, object] = {}
        for group in self._pairs.groups:
            found = self._measure_row(group, gallery, ledger, progress)
            if found.names:
                rows.append(found.row(group.name))
                single[group.name] = found.single()
        if not rows:
            raise MediaError(
                f"{self._config.masks or self._config.film_masks}: none of the masks is of "
                f"{', '.join(self._config.classes)}; see vidcolor masks sort"
            )
        self.gallery = gallery.rows()
        return self._report(tuple(rows), single)

    def _measure_row(
        self, group: Group, gallery: Gallery, ledger: Ledger, progress: Progress
    ) -> _Found:
        found = _Found()
        for pair in self._pairs.of(group):
            found.names.append(pair.name)
            found.share.append(float(pair.hole.mean()))
            cells = _cells(pair) if pair.index == 0 else {}
            for filler in self._fillers:
                scores = self._known(pair, filler, ledger)
                if scores is None or cells:
                    filled, seconds = self._fill(pair, filler)
                    if scores is None:
                        scores = self._scored(pair, filled) | {SECONDS: seconds}
                        ledger.add(pair.digest, self._mark(filler), scores)
                    if cells:
                        cells[filler.label] = _cell(pair, filled, scores)
                found.add(filler.label, scores)
                progress(1)
            if cells:
                gallery.add(f"{group.name}: {pair.name}", cells)
        return found

    def _mark(self, filler: Filler) -> str:
        return f"{filler.mark}; vidcolor {version('vidcolor')}"

    def _known(self, pair: Pair, filler: Filler, ledger: Ledger) -> dict[str, float] | None:
        """Scores from before, if nothing of what is asked for is missing in them."""
        known = ledger.get(pair.digest, self._mark(filler))
        names = [one.name for one in measures_of(self._config.metrics)] + [SECONDS]
        if known is None or any(name not in known for name in names):
            return None
        return {name: known[name] for name in names}

    def _fill(self, pair: Pair, filler: Filler) -> tuple[Bytes, float]:
        image = pair.truth.astype(np.float32) / np.float32(255)
        image[pair.hole] = 0  # nobody sees what was there
        began = time.perf_counter()
        filled = filler.fill(image, pair.hole)
        seconds = time.perf_counter() - began
        return codes_of(filled), seconds

    def _scored(self, pair: Pair, filled: Bytes) -> dict[str, float]:
        return score(pair.truth, filled, pair.hole, self._config.metrics, self._lpips)

    def _report(self, rows: tuple[Row, ...], single: Mapping[str, object]) -> InpaintReport:
        config = self._config
        fewer = [row for row in rows if row.count < config.per_class]
        missing = [one.name for one in self._pairs.groups if one.name not in single]
        notes = []
        if fewer or missing:
            absent = f"; none for {', '.join(missing)}" if missing else ""
            notes.append(f"Masks were too few for {config.per_class} pairs in every row{absent}.")
        return InpaintReport(
            title=config.title,
            data=self._named,
            how=_how(config, self._channels),
            protocol=to_dict(config),
            methods=tuple(MethodNote(one.label, one.network) for one in self._fillers),
            measures=measures_of(config.metrics),
            rows=rows,
            notes=tuple(notes),
            single=single,
        )


def _shown(picture: Bytes) -> Bytes:
    """As R'G'B'."""
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def _cells(pair: Pair) -> dict[str, Cell]:
    """What a row of the sheet has beside fillings."""
    damaged = _shown(pair.truth).copy()
    damaged[pair.hole] = _MARKED
    holes = _shown(pair.hole[..., None].astype(np.uint8) * np.uint8(255))
    share = Cell(holes, f"{100 * float(pair.hole.mean()):.1f} %")
    return {DAMAGED: Cell(damaged), HOLES: share, TRUTH: Cell(_shown(pair.truth))}


def _cell(pair: Pair, filled: Bytes, scores: Mapping[str, float]) -> Cell:
    mixed = np.where(pair.hole[..., None], filled, pair.truth)
    caption = f"{scores['hole_psnr']:.1f} dB in holes" if "hole_psnr" in scores else ""
    return Cell(_shown(mixed), caption)


def _how(config: InpaintConfig, channels: int) -> str:
    """The protocol in words."""
    kind = "gray" if channels == 1 else "RGB"
    side = f"{config.side}x{config.side} px ({config.resize})" if config.side else "their own size"
    holes = []
    if {*config.classes} - {FILM}:
        holes.append("masks from files" if config.masks else f"holes of {', '.join(config.kinds)}")
    if FILM in config.classes:
        holes.append(f"film {'from files' if config.film_masks else 'drawn'}")
    how = f"{kind} squares at {side}, {', '.join(holes)}, seed {config.seed}"
    return f"{how}, mean ± standard error"
