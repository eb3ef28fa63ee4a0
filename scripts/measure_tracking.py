"""How much nearer to the truth tracked boxes are than detected ones, and whether any blinks.

Real boxes (a COCO-style JSON file) move along smooth made-up paths: drift, sway, change of
size, entering and leaving. Detections of them are jittered, sometimes cut in half, dropped out
at random, scored unsteadily, and joined by false ones. The tracker of the package gets these.

    python scripts/measure_tracking.py INSTANCES.json --shots 60
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vidcolor.ops.boxes import clip, from_center, iou, to_center
from vidcolor.records import Detected, Detections, FrameBatch, Tracked, VideoInfo
from vidcolor.stages.track import TrackConfig, Tracker

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """What spoils the detections; `jitter` is the deviation of a corner, a part of the size."""

    jitter: float = 0.04
    missed: float = 0.12
    halved: float = 0.02
    false_a_frame: float = 0.3


@dataclass(frozen=True)
class Shot:
    """Truth: (T, K, 4) boxes, NaN while an object is away; (K,) labels; frame size."""

    boxes: Array
    labels: NDArray[np.int64]
    size: tuple[int, int]


def make_shots(path: Path, count: int, frames: int, rng: np.random.Generator) -> Iterator[Shot]:
    """Shots whose objects are the boxes of one picture each."""
    table = json.loads(path.read_text())
    of_image: dict[int, list[tuple[list[float], int]]] = {}
    for entry in table["annotations"]:
        x, y, width, height = entry["bbox"]
        if min(width, height) >= 16:
            of_image.setdefault(entry["image_id"], []).append(
                ([x, y, x + width, y + height], entry["category_id"])
            )
    images = [one for one in table["images"] if one["id"] in of_image]
    for i in rng.permutation(len(images))[:count]:
        image = images[i]
        entries = of_image[image["id"]][:8]
        start = to_center(torch.tensor([box for box, _ in entries], dtype=torch.float64)).numpy()
        size = (image["height"], image["width"])
        paths = np.stack([_path(one, size, frames, rng) for one in start], axis=1)
        yield Shot(paths, np.array([label for _, label in entries]), size)


def _path(center: Array, size: tuple[int, int], frames: int, rng: np.random.Generator) -> Array:
    """(T, 4) xyxy of what a frame shows of an object that starts at `center`."""
    t = np.arange(frames)
    result = np.tile(center, (frames, 1))
    side = np.exp(center[2:].mean())
    for axis in range(2):
        sway = rng.uniform(0, 0.25) * side
        period, phase = rng.uniform(30, 120), rng.uniform(0, 2 * np.pi)
        drift = rng.normal(0, 0.008) * side
        result[:, axis] += drift * t + sway * np.sin(2 * np.pi * t / period + phase)
    result[:, 2:] += (
        rng.uniform(0, 0.12) * np.sin(2 * np.pi * t / rng.uniform(60, 150) + rng.uniform(0, 6))
    )[:, None]
    boxes = clip(from_center(torch.from_numpy(result)), size).numpy()
    boxes[(boxes[:, 2:] - boxes[:, :2]).min(axis=1) < 8] = np.nan
    if rng.random() < 0.4:
        if rng.random() < 0.5:
            boxes[: rng.integers(8, frames // 2)] = np.nan
        else:
            boxes[-rng.integers(8, frames // 2) :] = np.nan
    return boxes


def detect(shot: Shot, noise: Noise, every: int, rng: np.random.Generator) -> list[Detected]:
    """Spoiled detections, one batch a frame."""
    frames, count = shot.boxes.shape[:2]
    info = VideoInfo(*shot.size)
    plane = torch.zeros(1, 1, *shot.size, dtype=torch.uint8)
    level = rng.uniform(0.65, 0.9, count)
    result = []
    for t in range(frames):
        boxes, scores, labels = [], [], []
        for k in range(count):
            box = shot.boxes[t, k]
            if np.isnan(box[0]) or rng.random() < noise.missed:
                continue
            side = np.tile(box[2:] - box[:2], 2)
            box = box + rng.normal(0, noise.jitter, 4) * side
            if rng.random() < noise.halved:
                box = box.copy()
                box[rng.integers(2, 4)] = (box[0] + box[2]) / 2 if rng.random() < 0.5 else box[3]
            box = np.sort(box.reshape(2, 2), axis=0).ravel()
            boxes.append(clip(torch.from_numpy(box[None]), shot.size).numpy()[0])
            scores.append(float(np.clip(level[k] + rng.normal(0, 0.15), 0.1, 0.99)))
            labels.append(int(shot.labels[k]))
        for _ in range(rng.poisson(noise.false_a_frame)):
            height, width = shot.size
            x, y = rng.uniform(0, width * 0.8), rng.uniform(0, height * 0.8)
            boxes.append(np.array((x, y, x + width * 0.2, y + height * 0.2)))
            scores.append(float(rng.uniform(0.1, 0.6)))
            labels.append(1)
        looked = t % every == 0
        found = Detections.empty()
        if looked and boxes:
            found = Detections(
                torch.tensor(np.stack(boxes), dtype=torch.float32),
                torch.tensor(scores),
                torch.tensor(labels),
                torch.zeros(len(boxes), dtype=torch.int64),
            )
        frame = FrameBatch(plane, (t,), info, index=t, start=t)
        result.append(Detected(frame, found, torch.tensor([looked])))
    return result


@dataclass
class Tally:
    """Sums over objects and frames."""

    error: float = 0.0
    overlap: float = 0.0
    hits: int = 0
    present: int = 0
    flips: int = 0

    def add(self, truth: Array, boxes: list[Array]) -> None:
        """One object: (T, 4) truth and the candidates of each frame; IoU below 0.3 is absence."""
        on = []
        for true, found in zip(truth, boxes, strict=True):
            if np.isnan(true[0]):
                continue
            self.present += 1
            overlap = iou(torch.from_numpy(true[None]), torch.from_numpy(found))[0].numpy()
            best = int(overlap.argmax()) if len(found) else -1
            on.append(best >= 0 and overlap[best] >= 0.3)
            if on[-1]:
                self.hits += 1
                self.overlap += float(overlap[best])
                side = np.tile(true[2:] - true[:2], 2)
                self.error += float(np.abs((found[best] - true) / side).mean())
        if True in on:
            life = on[on.index(True) : len(on) - on[::-1].index(True)]
            self.flips += sum(a != b for a, b in itertools.pairwise(life))

    def row(self) -> str:
        """Error in percent of the size, IoU, part of the frames covered, flips."""
        hits = max(1, self.hits)
        return (
            f"{100 * self.error / hits:8.2f} {self.overlap / hits:7.3f} "
            f"{self.hits / max(1, self.present):8.3f} {self.flips:6d}"
        )


def boxes_by_frame(shot: list[Tracked]) -> list[Array]:
    """Boxes of each frame."""
    return [one.tracks.detections.boxes.double().numpy() for one in shot]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("instances", type=Path)
    parser.add_argument("--shots", type=int, default=60)
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--every", type=int, nargs="+", default=[1, 2, 3, 4, 6, 8])
    parser.add_argument("--jitter", type=float, nargs="+", default=[0.02, 0.04, 0.08])
    parser.add_argument("--missed", type=float, default=0.12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE")
    options = parser.parse_args()
    kinds = {
        one.name: type(getattr(TrackConfig(), one.name)) for one in dataclasses.fields(TrackConfig)
    }
    changes = dict(one.split("=") for one in options.set)
    config = TrackConfig(**{name: kinds[name](value) for name, value in changes.items()})
    print("every jitter what         error %     IoU  covered  flips blinks changes false ms/frame")
    for every in options.every:
        for jitter in options.jitter:
            rng = np.random.default_rng(options.seed)
            tallies = {"raw >= 0.7": Tally(), "raw >= 0.1": Tally(), "tracked": Tally()}
            false_tracks, changes, blinks, seconds, frames = 0, 0, 0, 0.0, 0
            for shot in make_shots(options.instances, options.shots, options.frames, rng):
                noise = Noise(jitter=jitter, missed=options.missed)
                seen = detect(shot, noise, every, rng)
                began = time.perf_counter()
                tracked = list(Tracker(config)(iter(seen)))
                seconds += time.perf_counter() - began
                frames += len(tracked)
                raw = {}
                for least in (0.7, 0.1):
                    found = [one.detections for one in seen]
                    raw[least] = [one.boxes[one.scores >= least].double().numpy() for one in found]
                tallies_in = (raw[0.7], raw[0.1], boxes_by_frame(tracked))
                for k in range(shot.boxes.shape[1]):
                    for tally, boxes in zip(tallies.values(), tallies_in, strict=True):
                        tally.add(shot.boxes[:, k], boxes)
                false_tracks += _false_tracks(shot, tracked)
                more = _breaks(shot, tracked)
                changes, blinks = changes + more[0], blinks + more[1]
            tail = f" {blinks:6d} {changes:7d} {false_tracks:5d} {1000 * seconds / frames:8.2f}"
            for name, tally in tallies.items():
                print(
                    f"{every:5d} {jitter:6.2f} {name:12s}{tally.row()}{tail * (name == 'tracked')}"
                )


def _breaks(shot: Shot, tracked: list[Tracked]) -> tuple[int, int]:
    """Changes of identity on the same object; identities that go off and come back (blinks)."""
    changes = 0
    frames_of: dict[int, list[int]] = {}
    last: dict[int, int] = {}
    for t, one in enumerate(tracked):
        ids = one.tracks.ids.tolist()
        for number in ids:
            frames_of.setdefault(number, []).append(t)
        boxes = one.tracks.detections.boxes.double()
        overlap = iou(torch.from_numpy(np.nan_to_num(shot.boxes[t])), boxes).numpy()
        for k in range(len(overlap)):
            # clearly this one's box, not that of a neighbor it crosses
            best = int(overlap[k].argmax()) if len(ids) else -1
            if best < 0 or overlap[k, best] < 0.6 or overlap[:, best].argmax() != k:
                continue
            changes += last.get(k, ids[best]) != ids[best]
            last[k] = ids[best]
    blinks = sum(len(frames) != frames[-1] - frames[0] + 1 for frames in frames_of.values())
    return changes, blinks


def _false_tracks(shot: Shot, tracked: list[Tracked]) -> int:
    """Identities that never lie on an object."""
    good: dict[int, bool] = {}
    for t, one in enumerate(tracked):
        truth = shot.boxes[t][~np.isnan(shot.boxes[t][:, 0])]
        boxes = one.tracks.detections.boxes.double()
        overlap = iou(boxes, torch.from_numpy(truth)).numpy()
        for i, number in enumerate(one.tracks.ids.tolist()):
            good[number] = good.get(number, False) or bool((overlap[i] > 0.3).any())
    return sum(not one for one in good.values())


if __name__ == "__main__":
    main()
