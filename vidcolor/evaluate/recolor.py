"""Color clips colored anew in several ways, without encoding, and measured side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from vidcolor.color.compose import ComposeConfig, compose_rgb
from vidcolor.errors import MediaError
from vidcolor.evaluate.config import EvaluateConfig
from vidcolor.evaluate.frame import Bytes, Grids, Look
from vidcolor.evaluate.match import find_bars
from vidcolor.evaluate.measurement import Measurement
from vidcolor.io.color_frames import ColorReader
from vidcolor.io.input_config import InputConfig
from vidcolor.ops.letterbox import Bars
from vidcolor.pipeline import Pipeline
from vidcolor.records import Colored, Detected, FrameBatch
from vidcolor.stages.cadence import EveryFrame
from vidcolor.stages.overlay import NoOverlay
from vidcolor.stages.remember import Forget
from vidcolor.stages.stabilize import Hold
from vidcolor.stages.whole import NoWhole

__all__ = [
    "TRUTH",
    "Clip",
    "TrueColor",
    "Watch",
    "each_frame_alone",
    "first_frames",
    "largest_difference",
    "measure_colorings",
    "rebatched",
    "without_boxes",
    "without_frames",
]

TRUTH = "truth"
"""Name of the true color among the colorings."""

Watch = Callable[[int, Mapping[str, Bytes]], None]
"""Told of every frame: its number in the film, and its colorings, the truth among them."""


class TrueColor(Protocol):
    """What colorings are measured against."""

    @property
    def grids(self) -> Grids:
        """Sizes."""
        ...

    def true(self, pts: int) -> Bytes:
        """(H, W, 3) uint8 R'G'B' of a frame at the compared size; frames are asked for in order."""
        ...


@dataclass(frozen=True, slots=True)
class Clip:
    """A color clip in memory: what the line sees of it, and its true color.

    Attributes:
        frames: Its luma, as read.
        truth: (H, W, 3) uint8 R'G'B' of each frame, by pts, at the compared size.
        grids: Sizes.
    """

    frames: tuple[FrameBatch, ...]
    truth: Mapping[int, Bytes]
    grids: Grids

    @classmethod
    def read(cls, path: Path, count: int | None, config: EvaluateConfig) -> Clip:
        """The first frames of a film, decoded once.

        Args:
            path: A film in color.
            count: How many frames; None is all.
            config: Sizes, and whether bars are cut off.

        Raises:
            MediaError: If it cannot be read or has no color.
        """
        bars = find_bars(path) if config.bars == "cut" else Bars()
        batches: list[FrameBatch] = []
        truth: dict[int, Bytes] = {}
        with ColorReader(path, InputConfig(batch_size=16)) as reader:
            grids = Grids.of(reader.info, bars, config)
            for batch in reader:
                part = batch if count is None else batch[: count - len(truth)]
                for pts in part.pts:
                    truth[pts] = grids.crop(reader.color(pts, grids.whole))
                reader.forget(batch.pts[-1])
                batches.append(part)
                if count is not None and len(truth) >= count:
                    break
            if not reader.has_color:
                raise MediaError(f"{path}: is gray; a film in color is wanted")
        return cls(tuple(batches), truth, grids)

    def true(self, pts: int) -> Bytes:
        """The true color of a frame."""
        return self.truth[pts]


def each_frame_alone(line: Pipeline) -> Pipeline:
    """The line with the network at every frame, and nothing that makes its color steady."""
    network = getattr(line.colorize, "colorize", None)
    if network is None:
        raise ValueError(f"{type(line.colorize).__name__} does not say which network it asks")
    return replace(
        line,
        see_whole=NoWhole(),
        colorize=EveryFrame(network),
        refer=NoOverlay(),
        anchor=Forget(),
        remember=Forget(),
        stabilize=Hold(),
        tone=Forget(),
        obey=NoOverlay(),
        grade=NoOverlay(),
    )


def without_frames(
    seen: Iterable[Detected], share: float, rng: np.random.Generator
) -> Iterator[Detected]:
    """Detections with all boxes of some frames lost; the detector has looked there in vain."""
    for item in seen:
        lost = torch.from_numpy(rng.random(len(item.frames)) < share)
        yield _kept(item, ~lost[item.detections.frame])


def without_boxes(
    seen: Iterable[Detected], share: float, rng: np.random.Generator
) -> Iterator[Detected]:
    """Detections with some boxes lost, each by itself."""
    for item in seen:
        yield _kept(item, torch.from_numpy(rng.random(len(item.detections)) >= share))


def _kept(item: Detected, keep: torch.Tensor) -> Detected:
    ids = None if item.ids is None else item.ids[keep]
    return replace(item, detections=item.detections[keep], ids=ids)


def rebatched(frames: Iterable[FrameBatch], most: int) -> Iterator[FrameBatch]:
    """The same frames in batches of at most `most`."""
    for batch in frames:
        for first in range(0, len(batch), most):
            yield batch[first : first + most]


def largest_difference(line: Pipeline, frames: Sequence[FrameBatch], sizes: Sequence[int]) -> float:
    """How far a*b* of the whole line differ when frames come in batches of other sizes.

    Args:
        line: The line.
        frames: Of a film.
        sizes: Of batches, each compared with the first.

    Returns:
        The largest absolute difference of any value, in a*b*.
    """
    runs = [_frames_of(line(rebatched(frames, most))) for most in sizes]
    worst = 0.0
    for (_, _, first), *others in zip(*runs, strict=True):
        for _, _, other in others:
            worst = max(worst, float((first - other).abs().max()))
    return worst


def _frames_of(batches: Iterable[Colored]) -> Iterator[tuple[Colored, int, torch.Tensor]]:
    """Batch, number in it and (2, h, w) a*b* of every frame."""
    for batch in batches:
        for i in range(len(batch.frames)):
            yield batch, i, batch.chroma.ab[i]


def measure_colorings(
    clip: TrueColor,
    colorings: Mapping[str, Iterable[Colored]],
    config: EvaluateConfig,
    compose: ComposeConfig | Mapping[str, ComposeConfig],
    progress: Callable[[int], None] | None = None,
    watch: Watch | None = None,
) -> Measurement:
    """Run colorings of a clip frame by frame side by side, and measure them against the truth.

    Args:
        clip: The clip.
        colorings: What the line made of its frames, by name; read as they are needed. Shots are
            those of the first one.
        config: What is measured.
        compose: How color is laid beside luma, perhaps another way in each coloring.
        progress: Told how many frames were measured.
        watch: Sees the pictures that are measured.

    Returns:
        The measurement, ended; the truth is in it as `TRUTH`.
    """
    measurement = Measurement((*colorings, TRUTH), TRUTH, clip.grids, config)
    runs = [_frames_of(run) for run in colorings.values()]
    if isinstance(compose, ComposeConfig):
        compose = dict.fromkeys(colorings, compose)
    for frames in zip(*runs, strict=True):
        batch, i, _ = frames[0]
        pts, luma = batch.frames.pts[i], batch.frames.luma[i, 0].numpy()
        pictures, planes = {TRUTH: clip.true(pts)}, {}
        for name, (colored, place, ab) in zip(colorings, frames, strict=True):
            assert colored.frames.pts[place] == pts, "colorings give the same frames in order"
            rgb = compose_rgb(
                luma,
                ab.numpy(),
                colored.chroma.lightness[place, 0].numpy(),
                colored.frames.info.color,
                compose[name],
            )
            pictures[name] = clip.grids.rgb(rgb)
            planes[name] = clip.grids.planes(ab.numpy())
        measurement.push(
            Look(
                number=batch.frames.index + i,
                time=float(pts * batch.frames.info.time_base),
                shot=batch.frames.shot,
                gray=clip.grids.gray(luma),
                colorings=pictures,
                planes=planes,
            )
        )
        if watch is not None:
            watch(batch.frames.index + i, pictures)
        if progress is not None:
            progress(1)
    measurement.end()
    return measurement


def first_frames(frames: Iterable[FrameBatch], count: int) -> tuple[FrameBatch, ...]:
    """The first frames of a film, batched as they were."""
    kept: list[FrameBatch] = []
    for batch in frames:
        if count > 0:
            kept.append(batch[:count])
            count -= len(batch)
    return tuple(kept)
