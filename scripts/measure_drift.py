"""Measures how far the color of a place slides through a long shot.

    python scripts/measure_drift.py PHOTO... [--seconds 60] [--motion pan|zoom|still] [--visitor]

A shot is made of a photograph by moving a camera over it and back, several times, so that its last
second shows what its first did; with grain, pulses of exposure and, with `--visitor`, something
large (a part of the picture, mirrored and darkened) that comes in and goes out again. It is
colored frame by frame, and what comes out of the line is laid back onto the photograph, where
every place has its color over time. Printed for each way to hold color, in units of a*b*: the mean
distance between the first second and the last, between the first second and each later one on
average and at most, and the mean chroma.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.build import build_line
from vidcolor.config import Config
from vidcolor.records import Colored, FrameBatch, Tracked, Tracks, VideoInfo
from vidcolor.schema import load
from vidcolor.stages.anchor import Anchor, AnchorConfig
from vidcolor.stages.remember import Forget
from vidcolor.stages.stabilize import Hold, StabilizeConfig, Stabilizer

Array = npt.NDArray[np.float32]
RATE = 25
SIZE = (360, 640)
BATCH = 16


@dataclasses.dataclass(frozen=True)
class Camera:
    """How the camera goes over the photograph.

    Attributes:
        motion: `pan` goes to the other side and back, `zoom` goes near meanwhile, `still` stays.
        rounds: How often there and back.
        grain: Standard deviation, in codes.
        pulse: Of exposure, largest gain.
        visitor: Something large passes through the middle of each round.
        seed: Of the grain and of the pulses.
    """

    motion: str = "pan"
    rounds: int = 3
    grain: float = 2.0
    pulse: float = 0.02
    visitor: bool = False
    seed: int = 0


def places(photo: tuple[int, int], frames: int, camera: Camera) -> list[Array]:
    """(2, 3) from pixels of each frame to those of the photograph."""
    height, width = photo
    result = []
    widest = min(width, height * SIZE[1] / SIZE[0])
    for t in range(frames):
        phase = 2 * np.pi * camera.rounds * t / max(1, frames - 1)
        along = (1 - np.cos(phase)) / 2 if camera.motion != "still" else 0.5
        view = widest * (0.75 if camera.motion == "still" else 0.6)
        if camera.motion == "zoom":
            view *= 1 - 0.3 * along
        scale = view / SIZE[1]
        x = (width - view) * along
        y = (height - view * SIZE[0] / SIZE[1]) * (0.5 + 0.3 * np.sin(phase))
        result.append(np.array(((scale, 0, x), (0, scale, y)), np.float32))
    return result


def shoot(photo: Array, paths: list[Array], camera: Camera) -> Iterator[FrameBatch]:
    """Frames of the shot; `photo` is (H, W) luma codes."""
    rng = np.random.default_rng(camera.seed)
    info = VideoInfo(*SIZE, rate=Fraction(RATE), time_base=Fraction(1, RATE))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    guest = cv2.resize(photo[:, ::-1], SIZE[::-1]) * 0.4 + 10
    frames = len(paths)
    for start in range(0, frames, BATCH):
        stop = min(start + BATCH, frames)
        planes = []
        for t in range(start, stop):
            plane = cv2.warpAffine(
                photo, paths[t], SIZE[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT
            )
            if camera.visitor:
                _enter(plane, guest, (t * camera.rounds / frames) % 1)
            gain = 1 + camera.pulse * np.sin(2 * np.pi * t / 7) * rng.random()
            plane = plane * gain + rng.normal(0, camera.grain, SIZE).astype(np.float32)
            planes.append(np.clip(np.rint(plane), 16, 235).astype(np.uint8))
        luma = torch.from_numpy(np.stack(planes)[:, None])
        yield FrameBatch(luma, tuple(range(start, stop)), info, index=start, start=start)


def _enter(plane: Array, guest: Array, phase: float) -> None:
    """Something that covers up to half of the picture, in the middle third of a round."""
    cover = int(SIZE[1] * 0.5 * np.clip(1 - abs(phase - 0.5) * 6, 0, 1))
    if cover:
        plane[SIZE[0] // 5 :, -cover:] = guest[SIZE[0] // 5 :, :cover]


class Record:
    """Color over time of each place of the photograph, second by second.

    Args:
        photo: `(height, width)` of it.
        paths: Where each frame lies on it.
        skip: Frames that show something else in front of it, by number.
    """

    def __init__(self, photo: tuple[int, int], paths: list[Array]) -> None:
        self.scale = 0.25
        self.size = (round(photo[1] * self.scale), round(photo[0] * self.scale))
        self.paths = paths
        self.first: Array | None = None
        self.distances: list[float] = []
        self.chroma: list[float] = []
        self._sum = self._empty()
        self._count = 0

    def _empty(self) -> Array:
        return np.zeros((self.size[1], self.size[0], 3), np.float32)

    def add(self, ab: Array) -> None:
        """(2, h, w) a*b* of the next frame."""
        path = self.paths[self._count].astype(np.float64)
        height, width = ab.shape[1:]
        to_frame = np.diag((SIZE[1] / width, SIZE[0] / height, 1.0))
        matrix = np.diag((self.scale, self.scale, 1.0)) @ np.vstack((path, (0, 0, 1))) @ to_frame
        planes = np.dstack((ab[0], ab[1], np.ones_like(ab[0])))
        self._sum += cv2.warpAffine(planes, matrix[:2], self.size)
        self.chroma.append(float(np.hypot(ab[0], ab[1]).mean()))
        self._count += 1
        if self._count % RATE == 0:
            self._second()

    def _second(self) -> None:
        mean = self._sum[..., :2] / np.maximum(self._sum[..., 2:], 1)
        seen = self._sum[..., 2] > RATE / 2
        self._sum = self._empty()
        if self.first is None:
            self.first = np.dstack((mean, seen))
            return
        both = seen & (self.first[..., 2] > 0)
        if both.mean() > 0.02:
            away = np.linalg.norm(mean - self.first[..., :2], axis=2)
            self.distances.append(float(away[both].mean()))

    def row(self) -> str:
        """First second to last, to each later one on average and at most; mean chroma."""
        away = self.distances
        return (
            f"{away[-1]:8.2f}{np.mean(away):10.2f}{np.max(away):10.2f}{np.mean(self.chroma):10.2f}"
        )


Stages = Callable[[Iterable[Colored]], Iterable[Colored]]


def ways(anchor: AnchorConfig, stabilize: StabilizeConfig) -> dict[str, Stages]:
    """What holds color, by name."""
    return {
        "frame by frame": Hold(),
        "stabilizer": Stabilizer(stabilize),
        "anchor, stabilizer": lambda x: Stabilizer(stabilize)(Anchor(anchor)(x)),
    }


def measure(photo: Array, frames: int, camera: Camera, stages: dict[str, Stages]) -> dict[str, str]:
    """The row of each way, all in one pass over the shot."""
    config = load(Config, {"detect": {"detector": "none"}}, "measure_drift")
    line = build_line(config)
    line = dataclasses.replace(line, anchor=Forget(), remember=Forget(), stabilize=Hold())
    size = (photo.shape[0], photo.shape[1])
    paths = places(size, frames, camera)
    tracked = (Tracked(batch, Tracks.empty()) for batch in shoot(photo, paths, camera))
    copies = itertools.tee(line.color(tracked), len(stages))
    records = {name: Record(size, paths) for name in stages}
    runs = [iter(stage(copy)) for stage, copy in zip(stages.values(), copies, strict=True)]
    for batches in itertools.zip_longest(*runs):
        for record, batch in zip(records.values(), batches, strict=True):
            for ab in batch.chroma.ab.numpy():
                record.add(ab)
    return {name: record.row() for name, record in records.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--motion", choices=("pan", "zoom", "still"), default="pan")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--grain", type=float, default=2.0)
    parser.add_argument("--pulse", type=float, default=0.02)
    parser.add_argument("--visitor", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="of the anchor")
    options = parser.parse_args()
    kinds = {
        one.name: type(getattr(AnchorConfig(), one.name))
        for one in dataclasses.fields(AnchorConfig)
    }
    changes = dict(one.split("=") for one in options.set)
    anchor = AnchorConfig(**{name: kinds[name](value) for name, value in changes.items()})
    camera = Camera(options.motion, options.rounds, options.grain, options.pulse, options.visitor)
    cv2.setNumThreads(1)
    print(f"{'':40}{'last':>8}{'mean':>10}{'most':>10}{'chroma':>10}")
    for path in options.photos:
        photo = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if photo is None:
            raise SystemExit(f"{path}: no picture")
        codes = photo.astype(np.float32) * np.float32(219 / 255) + np.float32(16)
        rows = measure(codes, options.seconds * RATE, camera, ways(anchor, StabilizeConfig()))
        for name, row in rows.items():
            print(f"{path.stem[:18]:20}{name:20}{row}", flush=True)


if __name__ == "__main__":
    main()
