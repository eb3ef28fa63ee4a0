"""Measures how well holes are healed, where the truth is known.

    python scripts/measure_heal.py CLIP... [--dust 20] [--scratches 0] [--weights FILE]

Frames of each clip, in gray, are damaged with dust (so much that about 28 dB are left) or with
scratches, and healed with the true holes given, grown like those of detectors. Printed: PSNR in dB
of whole frames / within the grown holes, for the damaged film, Telea, Navier-Stokes, a median of
three frames, and ours without and with new grain, which cannot raise PSNR; and milliseconds of
processor time of a frame for ours.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.holes.film import FilmDamage, damage_frames
from vidcolor.io.input_config import InputConfig
from vidcolor.io.video import VideoReader
from vidcolor.models.weights import load_inpainter
from vidcolor.records import FrameBatch
from vidcolor.repair.heal.fill import Fill, NetFill, TeleaFill
from vidcolor.repair.heal.grow import Grow
from vidcolor.repair.heal.healer import Heal, HealConfig
from vidcolor.repair.judge import spots_of
from vidcolor.repair.motion import FollowConfig, follow
from vidcolor.repair.records import Marked, union
from vidcolor.stages.cut import CutConfig, FindShots

Array = npt.NDArray[Any]
NAMES = ("damaged", "telea", "navier-stokes", "median", "ours", "with grain")
PEAK = 255.0


def main() -> None:
    """Measure the clips of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=14)
    parser.add_argument("--start", type=float, default=0.8, help="seconds into the clip")
    parser.add_argument("--dust", type=float, default=20.0, help="mean number of marks a frame")
    parser.add_argument("--scratches", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", default="none", help="network for what is left; none: Telea")
    arguments = parser.parse_args()
    fill: Fill = TeleaFill()
    if arguments.weights != "none":
        fill = NetFill(load_inpainter(arguments.weights), torch.device("cpu"))
    damage = FilmDamage(dust=arguments.dust, scratches=arguments.scratches)
    print(f"{'':20}" + "".join(f"{name:>16}" for name in NAMES) + f"{'ms':>8}")
    rows = []
    for clip in arguments.clips:
        shots = list(shots_of(clip, arguments.start, arguments.frames))
        rows.append(measure(shots, damage, arguments.seed, fill))
        print(f"{clip.stem:20}{line(rows[-1])}", flush=True)
    print(f"{'mean':20}{line(np.mean(rows, axis=0))}")


def line(values: Array) -> str:
    """A row of the table."""
    cells = "".join(
        f"{whole:9.2f} /{hole:5.1f}" for whole, hole in np.reshape(values[:-1], (-1, 2))
    )
    return f"{cells}{values[-1]:8.0f}"


def shots_of(clip: Path, start: float, count: int) -> Iterator[FrameBatch]:
    """The first frames of a clip, each batch a shot of its own."""
    with VideoReader(clip, InputConfig(start=start)) as reader:
        found: dict[int, list[FrameBatch]] = {}
        left = count
        for batch in FindShots(CutConfig())(_first(reader, count)):
            found.setdefault(batch.shot, []).append(batch)
            left -= len(batch)
    for parts in found.values():
        yield replace(
            parts[0],
            luma=torch.cat([one.luma for one in parts]),
            pts=tuple(itertools.chain.from_iterable(one.pts for one in parts)),
            held=torch.cat([one.is_held() for one in parts]),
        )


def _first(batches: Iterable[FrameBatch], count: int) -> Iterator[FrameBatch]:
    for batch in batches:
        yield batch[:count]
        count -= len(batch)
        if count <= 0:
            return


def measure(shots: Sequence[FrameBatch], damage: FilmDamage, seed: int, fill: Fill) -> Array:
    """PSNR of whole frames and of holes for every method, then milliseconds a frame."""
    clean = [plane.astype(np.float32) for shot in shots for plane in shot.luma[:, 0].numpy()]
    made = list(damage_frames(clean, damage, seed))
    marked, number = [], 0
    for shot in shots:
        part = made[number : number + len(shot)]
        number += len(shot)
        codes = np.stack([np.clip(np.rint(one.frame), 0, PEAK) for one in part]).astype(np.uint8)
        frames = replace(shot, luma=torch.from_numpy(codes[:, None]))
        (moved,) = follow([frames], FollowConfig())
        kind = "scratch" if damage.scratches else "dust"
        spots = tuple(
            tuple(replace(s, kind=kind, source="auto") for s in spots_of(one.hole)) for one in part
        )
        marked.extend(Grow()([Marked(moved, spots)]))
    holes = [union(spots, plane.shape) for one in marked for spots, plane in zip(
        one.spots, one.frames.luma[:, 0], strict=True)]  # fmt: skip
    damaged = [plane for one in marked for plane in one.frames.luma[:, 0].numpy()]
    results = [damaged]
    for method in (cv2.INPAINT_TELEA, cv2.INPAINT_NS):
        results.append(
            [
                cv2.inpaint(p, h.view(np.uint8), 3, method)
                for p, h in zip(damaged, holes, strict=True)
            ]
        )
    results.append(_median(damaged, holes))
    spent = 0.0
    for grain in (False, True):
        began = time.process_time()
        healed = list(Heal(HealConfig(grain=grain), fill)(marked))
        spent = (time.process_time() - began) / len(clean) * 1000
        results.append([plane for one in healed for plane in one.frames.luma[:, 0].numpy()])
    scores = [_psnr(some, clean, holes) for some in results]
    return np.array([*itertools.chain.from_iterable(scores), spent])


def _median(damaged: Sequence[Array], holes: Sequence[Array]) -> list[Array]:
    """The median of three frames in holes, without motion."""
    found = []
    for n, hole in enumerate(holes):
        around = [damaged[max(0, n - 1)], damaged[n], damaged[min(len(damaged) - 1, n + 1)]]
        found.append(np.where(hole, np.median(around, axis=0), damaged[n]))
    return found


def _psnr(
    some: Sequence[Array], clean: Sequence[Array], holes: Sequence[Array]
) -> tuple[float, float]:
    """Of all frames together, and of their holes together."""
    whole, inside, pixels = 0.0, 0.0, 0
    for plane, truth, hole in zip(some, clean, holes, strict=True):
        error = (plane.astype(np.float64) - truth) ** 2
        whole += float(error.mean()) / len(clean)
        inside += float(error[hole].sum())
        pixels += int(hole.sum())
    return tuple(10 * np.log10(PEAK**2 / max(v, 1e-9)) for v in (whole, inside / max(pixels, 1)))


if __name__ == "__main__":
    main()
