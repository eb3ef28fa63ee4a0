"""Measures how well color is held still, on true color made to flicker.

Usage: python scripts/measure_stabilizer.py CLIP... [--frames 60] [--tau 3 ...]

The a*b* of each clip, at 384 pixels wide, gets smooth jitter (sigma 6 unless told otherwise,
independent from frame to frame) and a box that loses 70 % of its chroma in a quarter of the
frames. Printed for no filter, plain means over 5 and 15 frames, and ours: PSNR in dB / CDC in
1e-3 / chroma instability; the PSNR of the filter applied to the true color, which is what it
destroys; the CDC of the truth; and milliseconds of processor time a frame.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from vidcolor.color.lab import lab_to_rgb, rgb_to_lab
from vidcolor.color.measure import chroma_instability, color_consistency, psnr, visible
from vidcolor.io.video import VideoReader
from vidcolor.ops.flow import dis_flow, warp
from vidcolor.records import Chroma, Colored, ColorSpec, FrameBatch, Tracks, VideoInfo
from vidcolor.stages.stabilize import StabilizeConfig, Stabilizer

WIDTH_PX = 384


def main() -> None:
    """Measure the clips of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sigma", type=float, default=6.0, help="of the jitter, in a*b*")
    for field in dataclasses.fields(StabilizeConfig):
        if field.name != "enabled":
            parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    arguments = parser.parse_args()
    names = {field.name for field in dataclasses.fields(StabilizeConfig)} - {"enabled"}
    config = StabilizeConfig(**{name: getattr(arguments, name) for name in names})
    cv2.setNumThreads(1)
    print(
        f"{'':24}{'none':>22}{'5-frame mean':>22}{'15-frame mean':>22}{'ours':>22}"
        f"{'true, 15':>10}{'true, ours':>12}{'true CDC':>10}{'ms':>7}"
    )
    rows = [
        measure(clip, arguments.frames, arguments.seed, arguments.sigma, config)
        for clip in arguments.clips
    ]
    if len(rows) > 1:
        print(f"{'mean':24}" + line(np.mean(rows, axis=0)))


def line(values: np.ndarray) -> str:
    """A row of the table."""
    quality = "".join(
        f"{p:10.1f} /{c:5.1f} /{i:4.2f}" for p, c, i in np.reshape(values[:12], (4, 3))
    )
    return quality + f"{values[12]:10.1f}{values[13]:12.1f}{values[14]:10.1f}{values[15]:7.1f}"


def measure(clip: Path, count: int, seed: int, sigma: float, config: StabilizeConfig) -> np.ndarray:
    """Print and return the numbers of one clip."""
    lab = read_lab(clip, count)
    lightness, true = lab[:, :1], lab[:, 1:]
    damaged = flicker(true, seed, sigma)
    truth = to_rgb(lightness, true)
    paths = motion(lightness)
    numbers = []
    began = time.process_time()
    ours = stabilized(damaged, lightness, config)
    spent = (time.process_time() - began) / len(lab) * 1000
    for ab in (damaged, plain_mean(damaged, 5), plain_mean(damaged, 15), ours):
        rgb = to_rgb(lightness, ab)
        numbers += [
            np.mean([psnr(a, b) for a, b in zip(rgb, truth, strict=True)]),
            color_consistency(rgb) * 1000,
            instability(ab, paths),
        ]
    for ab in (plain_mean(true, 15), stabilized(true, lightness, config)):
        kept = [psnr(a, b) for a, b in zip(to_rgb(lightness, ab), truth, strict=True)]
        numbers.append(np.mean(np.minimum(kept, 80)))
    row = np.array([*numbers, color_consistency(truth) * 1000, spent])
    print(f"{clip.stem:24}" + line(row), flush=True)
    return row


def read_lab(clip: Path, count: int) -> np.ndarray:
    """(N, 3, h, w) L*a*b* of the first frames, 384 pixels wide."""
    import av  # the reader gives luma only, and this needs the color

    with VideoReader(clip) as reader:
        height, width = reader.info.size
    size = (WIDTH_PX, round(height * WIDTH_PX / width))
    frames = []
    with av.open(str(clip)) as container:
        for frame, _ in zip(container.decode(video=0), range(count), strict=False):
            small = cv2.resize(frame.to_ndarray(format="rgb24"), size, interpolation=cv2.INTER_AREA)
            frames.append(small.transpose(2, 0, 1))
    return rgb_to_lab(torch.from_numpy(np.stack(frames)).float() / 255).numpy()


def flicker(ab: np.ndarray, seed: int, sigma: float) -> np.ndarray:
    """Smooth jitter in every frame, and a box that pales in a quarter of them."""
    rng = np.random.default_rng(seed)
    n, _, h, w = ab.shape
    result = ab.copy()
    for i in range(n):
        for c in range(2):
            coarse = rng.normal(0, 1, (h // 32 + 2, w // 32 + 2)).astype(np.float32)
            smooth = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
            result[i, c] += sigma * smooth / smooth.std()
        if rng.random() < 0.25:
            result[i, :, h // 4 : 3 * h // 4, w // 3 : 2 * w // 3] *= 0.3
    return result


def plain_mean(ab: np.ndarray, length: int) -> np.ndarray:
    """Mean over `length` frames without regard to motion."""
    reach = length // 2
    return np.stack(
        [ab[max(0, i - reach) : i + reach + 1].mean(axis=0) for i in range(len(ab))]
    ).astype(np.float32)


def stabilized(ab: np.ndarray, lightness: np.ndarray, config: StabilizeConfig) -> np.ndarray:
    """Ours, fed in batches of 16."""
    n, _, h, w = ab.shape
    info = VideoInfo(h, w, Fraction(25), Fraction(1, 25), color=ColorSpec())
    luma = torch.zeros(n, 1, h, w, dtype=torch.uint8)

    def batches():
        for i in range(0, n, 16):
            part = slice(i, min(i + 16, n))
            chroma = Chroma(torch.from_numpy(ab[part]), torch.from_numpy(lightness[part]))
            frames = FrameBatch(luma[part], tuple(range(n))[part], info, index=i, start=i)
            yield Colored(frames, Tracks.empty(), chroma)

    return torch.cat([c.chroma.ab for c in Stabilizer(config)(batches())]).numpy()


def motion(lightness: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Flow from each frame to the next, and where it can be believed."""
    gray = np.clip(np.rint(lightness[:, 0] * 2.55), 0, 255).astype(np.uint8)
    paths = []
    for here, there in itertools.pairwise(gray):
        onward, back = dis_flow(here, there), dis_flow(there, here)
        paths.append((onward, visible(onward, warp(back, onward))))
    return paths


def instability(ab: np.ndarray, paths: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean chroma instability over the pairs."""
    planes = ab.transpose(0, 2, 3, 1)
    return float(
        np.mean(
            [
                chroma_instability(planes[i], warp(planes[i + 1], flow), mask)
                for i, (flow, mask) in enumerate(paths)
            ]
        )
    )


def to_rgb(lightness: np.ndarray, ab: np.ndarray) -> list[np.ndarray]:
    """(h, w, 3) uint8 each."""
    lab = torch.from_numpy(np.concatenate((lightness, ab), axis=1))
    rgb = (lab_to_rgb(lab).clamp(0, 1) * 255).round().byte().numpy()
    return list(rgb.transpose(0, 2, 3, 1))


if __name__ == "__main__":
    main()
