"""Measures the detectors of lines, hairs, bands and burns on films.

Usage: python scripts/measure_lines.py FILM... [--frames N] [--scratches] [--size LINES]
                                       [--seed 0] [--sensitivity normal] [--out FOLDER]

As they are, films show false alarms (if they are clean): pixels that would be repaired, and that
would be shown for review, in percent of all pixels. With --scratches, two drifting scratches are
laid over each film, 1 to 3 pixels of 240 lines wide and 0.35 to 0.9 opaque, and precision and
recall of their pixels are printed, each within a pixel. --out writes frames with what was found:
red would be repaired, yellow is for review, green are true pixels that were missed.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from vidcolor.holes.film import FilmDamage, damage_frames
from vidcolor.io.video import VideoReader
from vidcolor.records import FrameBatch
from vidcolor.repair.bands import BandConfig, BandDetector
from vidcolor.repair.burns import BurnConfig, BurnDetector
from vidcolor.repair.find import Detector, Finder
from vidcolor.repair.hair import HairConfig, HairDetector
from vidcolor.repair.lines.detector import LineConfig, LineDetector
from vidcolor.repair.motion import FollowConfig, follow
from vidcolor.repair.records import Marked, union
from vidcolor.repair.window import Window
from vidcolor.stages.cut import CutConfig, FindShots

Array = np.ndarray[Any, Any]
SCRATCHES = FilmDamage(dust=0, scratches=2, pairs=0, whole=1)
RED, YELLOW, GREEN = (0, 0, 255), (0, 200, 255), (0, 220, 0)
SHOWN = 6


@dataclass
class Count:
    """Sums over the frames of a film."""

    frames: int = 0
    pixels: int = 0
    accepted: int = 0
    review: int = 0
    hit: int = 0
    found: int = 0
    seen: int = 0
    hit_review: int = 0
    found_review: int = 0
    seen_review: int = 0
    true: int = 0
    spots: Counter[str] = field(default_factory=Counter)


class Timed:
    """A detector that counts its time."""

    def __init__(self, inner: Detector) -> None:
        self.inner, self.spent = inner, 0.0
        self.before, self.after = inner.before, inner.after

    def begin(self):
        """As the detector."""
        ask = self.inner.begin()

        def timed(window: Window):
            began = time.thread_time()
            spots = ask(window)
            self.spent += time.thread_time() - began
            return spots

        return timed


def main() -> None:
    """Measure the films of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=10**9)
    parser.add_argument("--scratches", action="store_true")
    parser.add_argument("--size", type=int, help="lines that films are brought to")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sensitivity", default="normal")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    total = Count()
    for film in arguments.films:
        count = measure(film, arguments)
        report(film.name, count, arguments.scratches)
        for name in vars(total):
            setattr(total, name, getattr(total, name) + getattr(count, name))
    if len(arguments.films) > 1:
        report("all", total, arguments.scratches)


def detectors(sensitivity: str) -> list[Timed]:
    """All of this room that look for what lasts or covers much."""
    found = [
        LineDetector(LineConfig(sensitivity=sensitivity)),
        HairDetector(HairConfig(sensitivity=sensitivity)),
        BandDetector(BandConfig(sensitivity=sensitivity)),
        BurnDetector(BurnConfig(sensitivity=sensitivity)),
    ]
    return [Timed(one) for one in found]


def measure(film: Path, arguments: argparse.Namespace) -> Count:
    """Counts of one film; prints what it costs."""
    count, truth = Count(), {}
    timed = detectors(arguments.sensitivity)
    shown: list[tuple[int, Array]] = []
    with VideoReader(film) as reader:
        shots = FindShots(CutConfig())(resized(limited(reader, arguments.frames), arguments.size))
        if arguments.scratches:
            shots = damaged(shots, truth, arguments.seed)
        for marked in Finder(timed)(follow(shots, FollowConfig())):
            tally(marked, truth, count)
            if arguments.out is not None:
                shown += pictures(marked, truth)
            for i in range(len(marked.frames)):
                truth.pop(marked.frames.index + i, None)
    cost = ", ".join(
        f"{type(one.inner).__name__} {1000 * one.spent / max(1, count.frames):.1f}" for one in timed
    )
    print(f"{film.name}: {count.frames} frames; ms a frame: {cost}")
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        shown.sort(key=lambda one: -one[0])
        picked = shown[: SHOWN // 2] + shown[SHOWN // 2 :: max(1, len(shown) // (SHOWN // 2))]
        cv2.imwrite(
            str(arguments.out / f"{film.stem}_lines.png"), np.vstack([p for _, p in picked[:SHOWN]])
        )
    return count


def limited(batches: Iterable[FrameBatch], frames: int) -> Iterator[FrameBatch]:
    """The first frames of a film."""
    for batch in batches:
        if batch.index >= frames:
            return
        yield batch[: frames - batch.index]


def resized(batches: Iterable[FrameBatch], lines: int | None) -> Iterator[FrameBatch]:
    """Frames brought to a height."""
    for batch in batches:
        if lines is None or lines == batch.info.height:
            yield batch
            continue
        width = round(batch.info.width * lines / batch.info.height)
        planes = [
            cv2.resize(plane, (width, lines), interpolation=cv2.INTER_CUBIC)
            for plane in batch.luma[:, 0].numpy()
        ]
        info = replace(batch.info, height=lines, width=width)
        yield replace(batch, luma=torch.from_numpy(np.stack(planes))[:, None], info=info)


def damaged(
    batches: Iterable[FrameBatch], truth: dict[int, Array], seed: int
) -> Iterator[FrameBatch]:
    """Frames with scratches; the true holes go to `truth` by frame number."""
    queue: list[Array] = []

    def frames() -> Iterator[Array]:
        while True:
            yield queue.pop()

    marks = damage_frames(frames(), SCRATCHES, seed)
    for batch in batches:
        unit = 1 << (batch.info.color.bits - 8)
        planes = []
        for i, plane in enumerate(batch.luma[:, 0].numpy()):
            queue.append(plane.astype(np.float32) / unit)
            one = next(marks)
            truth[batch.index + i] = one.hole
            planes.append(np.clip(np.rint(one.frame * unit), 0, 255 * unit).astype(plane.dtype))
        yield replace(batch, luma=torch.from_numpy(np.stack(planes))[:, None])


def tally(marked: Marked, truth: dict[int, Array], count: Count) -> None:
    """Add the frames of a batch."""
    frames, ring = marked.frames, np.ones((3, 3), np.uint8)
    for i, spots in enumerate(marked.spots):
        size = frames.info.size
        accepted, shown = union(spots, size), union(spots, size, review=True)
        count.frames += 1
        count.pixels += accepted.size
        count.accepted += int(accepted.sum())
        count.review += int((shown & ~accepted).sum())
        count.spots.update(f"{one.kind} {one.state}" for one in spots)
        true = truth.get(frames.index + i)
        if true is None:
            continue
        near = cv2.dilate(true.astype(np.uint8), ring) > 0
        count.true += int(true.sum())
        for flags, tail in ((accepted, ""), (shown, "_review")):
            around = cv2.dilate(flags.astype(np.uint8), ring) > 0
            for name, number in (
                ("hit", (flags & near).sum()),
                ("found", flags.sum()),
                ("seen", (true & around).sum()),
            ):
                setattr(count, name + tail, getattr(count, name + tail) + int(number))


def pictures(marked: Marked, truth: dict[int, Array]) -> list[tuple[int, Array]]:
    """Every tenth frame beside itself with what was found, and how much that was."""
    made = []
    frames = marked.frames
    for i, spots in enumerate(marked.spots):
        if (frames.index + i) % 10:
            continue
        plane = frames.luma[i, 0].numpy() >> (frames.info.color.bits - 8)
        gray = cv2.cvtColor(plane.astype(np.uint8), cv2.COLOR_GRAY2BGR)
        drawn = gray.copy()
        accepted = union(spots, frames.info.size)
        shown = union(spots, frames.info.size, review=True)
        true = truth.get(frames.index + i)
        if true is not None:
            drawn[true] = GREEN
        drawn[shown], drawn[accepted] = YELLOW, RED
        made.append((int(shown.sum()), np.hstack([gray, drawn])))
    return made


def report(name: str, count: Count, scratches: bool) -> None:
    """Print a film."""
    share = 100 / max(1, count.pixels)
    line = f"{name}: repaired {count.accepted * share:.4f} %, review {count.review * share:.4f} %"
    if scratches:
        for title, tail in (("repaired", ""), ("with review", "_review")):
            hit, found, seen = (getattr(count, part + tail) for part in ("hit", "found", "seen"))
            line += (
                f"; {title}: precision {hit / max(1, found):.3f} recall "
                f"{seen / max(1, count.true):.3f}"
            )
    print(line, dict(sorted(count.spots.items())), flush=True)


if __name__ == "__main__":
    main()
