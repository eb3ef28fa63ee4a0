"""Several colorings of clips whose color was thrown away: side by side, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidcolor.build import Download, build_line, choose_device
from vidcolor.color.measure.frechet import Fid
from vidcolor.errors import ConfigError
from vidcolor.evaluate.config import EvaluateConfig
from vidcolor.evaluate.frame import Grids
from vidcolor.evaluate.measurement import Measurement
from vidcolor.evaluate.recolor import measure_colorings
from vidcolor.evaluate.sets.clips import Footage, find_clips
from vidcolor.evaluate.sets.config import UNCOLORED, VideosConfig
from vidcolor.evaluate.sets.cost import Meter, networks_of
from vidcolor.evaluate.sets.entries import Entry, choose, lines_of
from vidcolor.evaluate.sets.gallery import Cell, Gallery, GalleryRow
from vidcolor.evaluate.sets.report import LevelReport, Row, SetReport, columns_of
from vidcolor.evaluate.sets.scores import TRUTH, Metrics, Scores
from vidcolor.evaluate.sets.summary import caption, fid_note, kind_of
from vidcolor.evaluate.sets.temporal import TEMPORAL
from vidcolor.ops.letterbox import Bars
from vidcolor.pipeline import Pipeline
from vidcolor.records import Colored, FrameBatch, Tracked, Tracks
from vidcolor.schema import to_dict
from vidcolor.stages.colorize import NoColor

__all__ = ["VideoJob"]

Bytes = npt.NDArray[np.uint8]
Progress = Callable[[int], None]
Values = dict[str, dict[str, float | None]]

_MOVING = frozenset(("instability", "popping", "warping_error"))  # are measured along motion


@dataclass(frozen=True, slots=True)
class _Runner:
    """A row: a line that colors clips."""

    label: str
    entry: Entry
    line: Pipeline
    meter: Meter


@dataclass(frozen=True, slots=True)
class _ClipScores:
    """What was found in a clip: values by coloring and metric."""

    name: str
    frames: int
    shots: int
    coverage: float | None
    values: Values


@dataclass(slots=True)
class _Watcher:
    """Measures the pictures of a clip as they go by."""

    clip: str
    every: int
    measured: Sequence[str]
    scores: Scores
    gallery: Gallery

    def __call__(self, number: int, pictures: Mapping[str, Bytes]) -> None:
        found: Mapping[str, Mapping[str, float]] = {}
        if number % self.every == 0:
            colorings = {name: pictures[name] for name in self.measured}
            found = self.scores.add(pictures[TRUTH], colorings)
        if not self.gallery.wants:
            self.gallery.skip()
            return
        cells = {name: Cell(one, caption(found.get(name, {}))) for name, one in pictures.items()}
        self.gallery.add(f"{Path(self.clip).name}#{number}", cells)


class VideoJob:
    """An evaluation that is checked and ready: clips are there, lines are laid.

    Memory: the networks; what every line looks ahead in its own copy of the clip; a few numbers a
    frame; the gallery.

    Args:
        data: Clips, see `find_clips`.
        config: The protocol.
        folder: Where names in lists begin.
        download: Told of bytes done and total when the detector's weights are fetched.

    Raises:
        VidcolorError: If clips, weights or a metric's network are missing, or settings do not fit.
    """

    unit = "frame"

    def __init__(
        self,
        data: Sequence[str],
        config: VideosConfig,
        folder: Path | None = None,
        download: Download | None = None,
    ) -> None:
        self._config = config
        self._named = tuple(data)
        found = find_clips(data, folder, config.exact_rate, config.line.input)
        self._clips: list[Footage] = found[: config.limit or None]
        device = choose_device(config.line.device)
        self._metrics = Metrics.load(config.metrics, config.files, str(device))
        self._runners = [*self._rows(download)]
        labels = self.labels
        if len({*labels, UNCOLORED, TRUTH}) < len(labels) + 2:
            raise ConfigError(f"rows need names of their own: {', '.join(labels)}")
        self.gallery: tuple[GalleryRow, ...] = ()

    def _rows(self, download: Download | None) -> Iterator[_Runner]:
        config = self._config
        lines = lines_of(config.lines, config.line)
        for name, settings in lines:
            for entry in choose(config.colorizers, config.weights, settings):
                label = entry.label if len(lines) == 1 else f"{entry.label}, {name}"
                line = build_line(entry.config, download=download)
                yield _Runner(label, entry, line, Meter(networks_of(line.colorize)))

    @property
    def total(self) -> int | None:
        """About how many frames there are."""
        most = self._config.frames
        counts = [
            most if clip.count is None else min(clip.count, most or clip.count)
            for clip in self._clips
        ]
        return sum(counts) if all(counts) else None

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the colorings."""
        return tuple(runner.label for runner in self._runners)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the gallery."""
        return (UNCOLORED, *self.labels, TRUTH)

    @property
    def _measured(self) -> tuple[str, ...]:
        """Colorings that have a row, baselines first."""
        return (*((UNCOLORED,) if UNCOLORED in self._config.baselines else ()), *self.labels)

    def run(self, progress: Progress) -> SetReport:
        """Color and measure.

        Args:
            progress: Told of every frame that was measured.

        Raises:
            MediaError: If a clip cannot be read.
        """
        fid, gallery = self._metrics.fid(), Gallery(self._config.gallery)
        clips = [self._measure(clip, fid, gallery, progress) for clip in self._clips]
        self.gallery = gallery.rows()
        return self._report(clips, fid)

    def _measure(
        self, clip: Footage, fid: Fid | None, gallery: Gallery, progress: Progress
    ) -> _ClipScores:
        config = self._config
        sizes = EvaluateConfig(
            short_side=config.short_side, motion_side=config.motion_side, flow=config.flow,
            every=0, bars=config.bars, worst=0,
        )  # fmt: skip
        bars = clip.bars() if config.bars == "cut" else Bars()
        grids = Grids.of(clip.info, bars, sizes)
        scores = Scores(self._metrics, fid)
        watcher = _Watcher(clip.name, config.every, self._measured, scores, gallery)
        with ExitStack() as stack:
            truth = stack.enter_context(clip.color(grids))
            colorings: dict[str, Iterable[Colored]] = {}
            for runner in self._runners:
                frames = _first(stack.enter_context(clip.luma()), config.frames)
                run: Iterable[Colored] = runner.line(frames)
                if config.speed:
                    run = runner.meter.follow(run, lambda batch: len(batch.frames))
                colorings[runner.label] = run
            gray = _first(stack.enter_context(clip.luma()), config.frames)
            colorings[UNCOLORED] = map(_uncolored, gray)
            composes = {runner.label: runner.entry.config.compose for runner in self._runners}
            composes[UNCOLORED] = config.line.compose
            found = measure_colorings(truth, colorings, sizes, composes, progress, watcher)
        return self._scored(clip, found, watcher.scores)

    def _scored(self, clip: Footage, found: Measurement, scores: Scores) -> _ClipScores:
        values: Values = {}
        for name in scores.names:
            steadiness = found.film(name).color
            means: dict[str, float | None] = {**scores.mean(name)}
            for key, one in TEMPORAL.items():
                means[key] = one.of(steadiness)
            values[name] = {key: means.get(key) for key in self._config.metrics if key != "fid"}
        first = found.film(self.labels[0])
        shots = len(found.shots(self.labels[0]))
        return _ClipScores(clip.name, first.frames, shots, first.coverage, values)

    def _report(self, clips: Sequence[_ClipScores], fid: Fid | None) -> SetReport:
        config, labels = self._config, self.labels
        pictures = sum(math.ceil(clip.frames / config.every) for clip in clips)
        fids = {} if fid is None or pictures < 2 else fid.values()
        rows = []
        for name in (*self._measured, TRUTH):
            scores = {
                metric: _mean([clip.values[name].get(metric) for clip in clips])
                for metric in config.metrics
            }
            if name in fids:
                scores["fid"] = fids[name].value
            runner = next((one for one in self._runners if one.label == name), None)
            cost = runner.meter.cost() if config.speed and runner is not None else None
            rows.append(Row(name, kind_of(name, labels), scores, cost))
        return SetReport(
            of="videos",
            title=config.title,
            data=self._named,
            how=_how(config, sum(clip.frames for clip in clips)),
            protocol=to_dict(config),
            left_out={},
            notes=(*self._notes(clips), *fid_note(fids)),
            columns=columns_of(config.metrics),
            levels=(LevelReport("clip", len(clips), tuple(rows)),),
            single={
                "clips": [
                    {"name": c.name, "frames": c.frames, "shots": c.shots, "scores": c.values}
                    for c in clips
                ]
            },
        )

    def _notes(self, clips: Sequence[_ClipScores]) -> Iterator[str]:
        config = self._config
        cover = _mean([clip.coverage for clip in clips])
        if cover is not None and not _MOVING.isdisjoint(config.metrics):
            yield (
                f"motion by DIS {config.flow} at a shorter side of {config.motion_side} px, "
                f"followed in {100 * cover:.0f} % of the picture"
            )
        for metric in config.metrics:
            there = sum(clip.values[self.labels[0]].get(metric) is not None for clip in clips)
            if metric in TEMPORAL and there < len(clips):
                yield f"{metric}: of {there} of {len(clips)} clips, the others are too short"


def _first(frames: Iterable[FrameBatch], count: int) -> Iterator[FrameBatch]:
    """The first frames of a clip, or all; no more is read."""
    left = count
    for batch in frames:
        yield batch[:left] if count else batch
        left -= len(batch)
        if count and left <= 0:
            return


def _uncolored(batch: FrameBatch) -> Colored:
    return NoColor()(Tracked(batch, Tracks.empty()))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _how(config: VideosConfig, frames: int) -> str:
    at = f"a short side of {config.short_side} px" if config.short_side else "their own size"
    every = "" if config.every == 1 else f", pictures every {config.every} frames"
    return f"{frames} frames, colored by the line, compared at {at}, mean over clips{every}"
