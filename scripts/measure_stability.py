"""Measures what holding color still does to colored clips whose truth is known.

    python scripts/measure_stability.py CLIP... [--cache DIR] [--set stabilize.n_most=12 ...]
    python scripts/measure_stability.py CLIP... --drop 0.3 [--seeds 3]

The color of each clip is thrown away and made again with the default weights, frame by frame and
with anchor and stabilizer, at the network's size. Printed for both: chroma instability, CDC in
1e-3 (per shot, weighed by frames), PSNR in dB against the truth, mean chroma; the truth's own CDC
and chroma; and in the column `held` whether instability is at most a third, CDC above the truth's
at most half, PSNR within 0.05 dB and mean chroma within 2 % of frame by frame, or better (a letter
each, `-` where not). What the network says is kept in DIR, if one is given.

With `--drop`, all boxes of so many frames, drawn at random, are thrown away before tracks are
made of them, and the instability of what comes out of the line is compared.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from measure_stabilizer import instability, motion, to_rgb

from vidcolor.build import build_line
from vidcolor.color.lab import rgb_to_lab
from vidcolor.color.measure import color_consistency, psnr
from vidcolor.config import Config
from vidcolor.io.video import VideoReader
from vidcolor.pipeline import Pipeline
from vidcolor.records import Chroma, Colored, Detected, Detections, FrameBatch, Tracks, VideoInfo
from vidcolor.schema import load, put
from vidcolor.stages.anchor import Anchor, AnchorConfig
from vidcolor.stages.remember import Forget
from vidcolor.stages.stabilize import Hold, StabilizeConfig, Stabilizer

Array = npt.NDArray[np.float32]
BATCH = 16


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip as the network colored it, with the truth.

    Attributes:
        ab: (N, 2, h, w) a*b*, frame by frame.
        lightness: (N, 1, h, w) L*.
        shot: (N,) number of the shot.
        held: (N,) frames that repeat the one before.
        truth: (N, h, w, 3) uint8 RGB.
    """

    ab: Array
    lightness: Array
    shot: npt.NDArray[np.int64]
    held: npt.NDArray[np.bool_]
    truth: npt.NDArray[np.uint8]

    def batches(self) -> Iterator[Colored]:
        """As it comes from the colorizer."""
        start = 0
        for end in range(1, len(self.shot) + 1):
            if end < len(self.shot) and self.shot[end] == self.shot[start]:
                continue
            for first in range(start, end, BATCH):
                yield self._batch(slice(first, min(first + BATCH, end)), first - start)
            start = end

    def _batch(self, part: slice, start: int) -> Colored:
        ab, lightness = torch.from_numpy(self.ab[part]), torch.from_numpy(self.lightness[part])
        frames = FrameBatch(
            torch.zeros(lightness.shape, dtype=torch.uint8),
            tuple(range(part.start, part.stop)),
            VideoInfo(int(ab.shape[2]), int(ab.shape[3])),
            index=part.start,
            shot=int(self.shot[part.start]),
            start=start,
            held=torch.from_numpy(self.held[part]),
        )
        return Colored(frames, Tracks.empty(), Chroma(ab, lightness))


def bare(line: Pipeline) -> Pipeline:
    """The line without anything that holds color over time."""
    return dataclasses.replace(line, anchor=Forget(), remember=Forget(), stabilize=Hold())


def color(path: Path, cache: Path | None) -> Clip:
    """What the network says, from `cache` if it was asked before."""
    kept = None if cache is None else cache / f"{path.stem}.stability.npz"
    if kept is not None and kept.exists():
        with np.load(kept) as planes:
            return Clip(**planes)
    line = bare(build_line(Config()))
    with VideoReader(path) as reader:
        parts = [(one.frames, one.chroma) for one in line(reader)]
    ab = np.concatenate([chroma.ab.numpy() for _, chroma in parts])
    clip = Clip(
        ab,
        np.concatenate([chroma.lightness.numpy() for _, chroma in parts]),
        np.concatenate([np.full(len(frames), frames.shot) for frames, _ in parts]),
        np.concatenate([frames.is_held().numpy() for frames, _ in parts]),
        read_truth(path, len(ab), (ab.shape[3], ab.shape[2])),
    )
    if kept is not None:
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **{f.name: getattr(clip, f.name) for f in dataclasses.fields(clip)})
    return clip


def read_truth(path: Path, count: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """(N, h, w, 3) RGB; `size` is (width, height)."""
    import av  # the reader gives luma only, and this needs the color

    with av.open(str(path)) as container:
        frames = zip(container.decode(video=0), range(count), strict=False)
        pictures = [frame.to_ndarray(format="rgb24") for frame, _ in frames]
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in pictures])


def consistency(pictures: npt.NDArray[np.uint8], shot: npt.NDArray[np.int64]) -> float:
    """CDC in 1e-3, mean over shots by their frames."""
    numbers, counts = np.unique(shot, return_counts=True)
    long = counts > 4
    each = [1000 * color_consistency(pictures[shot == number]) for number in numbers[long]]
    return float(np.average(each, weights=counts[long]))


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Of one coloring."""

    instability: float
    cdc: float
    psnr: float
    chroma: float

    def __str__(self) -> str:
        return f"{self.instability:8.3f}{self.cdc:8.2f}{self.psnr:8.2f}{self.chroma:7.2f}"


def measure(clip: Clip, ab: Array, paths: list[tuple[Array, Array]]) -> Numbers:
    """Everything about a coloring of the clip."""
    rgb = np.stack([to_rgb(clip.lightness[i : i + 1], ab[i : i + 1])[0] for i in range(len(ab))])
    numbers = np.unique(clip.shot)
    within = [
        (instability(ab[clip.shot == n], paths_of(paths, clip.shot, n)), (clip.shot == n).sum() - 1)
        for n in numbers
        if (clip.shot == n).sum() > 1
    ]
    return Numbers(
        float(np.average([one for one, _ in within], weights=[count for _, count in within])),
        consistency(rgb, clip.shot),
        float(np.mean([psnr(a, b) for a, b in zip(rgb, clip.truth, strict=True)])),
        float(np.hypot(ab[:, 0], ab[:, 1]).mean()),
    )


def paths_of(
    paths: list[tuple[Array, Array]], shot: npt.NDArray[np.int64], number: int
) -> list[tuple[Array, Array]]:
    """Motion between the frames of one shot."""
    places = np.flatnonzero(shot == number)
    return paths[places[0] : places[-1]]


def table(paths: list[Path], cache: Path | None, config: dict[str, object]) -> None:
    """Print how each clip is held."""
    anchor, stabilize = (
        load(cls, config.get(name, {}), name)
        for name, cls in (("anchor", AnchorConfig), ("stabilize", StabilizeConfig))
    )
    print(f"{'':22}{'frame by frame':>31}{'':4}{'held':>31}{'truth: CDC, chroma':>22}   held   ms")
    for path in paths:
        clip = color(path, cache)
        ways = motion(clip.lightness)
        before = measure(clip, clip.ab, ways)
        began = time.process_time()
        steady = Stabilizer(stabilize)(Anchor(anchor)(clip.batches()))
        ab = torch.cat([one.chroma.ab for one in steady]).numpy()
        spent = 1000 * (time.process_time() - began) / len(ab)
        after = measure(clip, ab, ways)
        true = consistency(clip.truth, clip.shot)
        lab = rgb_to_lab(torch.from_numpy(clip.truth[::4]).permute(0, 3, 1, 2).float() / 255)
        chroma = float(lab[:, 1:].norm(dim=1).mean())
        marks = marked(before, after, true)
        print(
            f"{path.stem:22}{before}{'':4}{after}{true:14.2f}{chroma:8.2f}   {marks}{spent:7.1f}",
            flush=True,
        )


def marked(before: Numbers, after: Numbers, true: float) -> str:
    """A letter for each aim that is reached."""
    reached = (
        after.instability <= before.instability / 3,
        after.cdc <= true + max(0.0, before.cdc - true) / 2,
        after.psnr >= before.psnr - 0.05,
        after.chroma >= 0.98 * before.chroma,
    )
    return "".join(letter if yes else "-" for letter, yes in zip("icpm", reached, strict=True))


def drop(path: Path, part: float, seeds: int) -> None:
    """Print the instability with all boxes and with some thrown away."""
    line = build_line(Config())
    line = dataclasses.replace(line, anchor=Anchor(AnchorConfig()))
    with VideoReader(path) as reader:
        seen = list(line.detect(line.shots(reader)))
    boxes = sum(len(one.detections) for one in seen)
    raw, held = [], []
    ways = None
    for seed in range(seeds + 1):
        some = seen if seed == 0 else list(without(seen, part, np.random.default_rng(seed)))
        for values, way in ((raw, bare(line)), (held, line)):
            colored = list(way.color(line.track(some)))
            lightness = torch.cat([one.chroma.lightness for one in colored]).numpy()
            ab = torch.cat([one.chroma.ab for one in colored]).numpy()
            shot = np.concatenate([np.full(len(o.frames), o.frames.shot) for o in colored])
            ways = ways or motion(lightness)
            clip = Clip(ab, lightness, shot, shot < 0, np.zeros(0, np.uint8))
            values.append(
                np.mean(
                    [
                        instability(ab[clip.shot == n], paths_of(ways, clip.shot, n))
                        for n in np.unique(clip.shot)
                        if (clip.shot == n).sum() > 1
                    ]
                )
            )
    for name, values in (("frame by frame", raw), ("held", held)):
        changes = "".join(f"{100 * (v / values[0] - 1):+8.1f} %" for v in values[1:])
        print(f"{path.stem:22}{boxes:6d} boxes  {name:16}{values[0]:8.4f}{changes}", flush=True)


def without(seen: list[Detected], part: float, rng: np.random.Generator) -> Iterator[Detected]:
    """The same batches, with no boxes in a part of the frames; the detector did look at them."""
    for one in seen:
        gone = torch.from_numpy(rng.random(len(one.frames)) < part)
        kept: Detections = one.detections[~gone[one.detections.frame]]
        yield dataclasses.replace(one, detections=kept)


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--drop", type=float, default=0.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="STAGE.FIELD=VALUE")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    config: dict[str, object] = {}
    for one in options.set:
        key, value = one.split("=")
        put(config, tuple(key.split(".")), float(value) if "." in value else int(value))
    if options.drop:
        for path in options.clips:
            drop(path, options.drop, options.seeds)
    else:
        table(options.clips, options.cache, config)


if __name__ == "__main__":
    main()
