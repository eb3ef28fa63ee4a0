"""Measures what references are worth, on clips whose true color is known.

Usage: python scripts/measure_references.py CLIP... [--frames 60] [--foreign PICTURE] [--out FILE]

Each clip goes through the whole line: without references ("automatic"), with the true first frame
moved along a chain of flows ("flow"), with the true first frame as the only reference ("first"),
with the true first and last frame ("first, last"), and with a picture of another scene ("foreign":
the first frame of the next clip, of the first one after the last, unless a picture is given).
References are given as plain pictures; that they are frames of the clip is for the line to find
out. A row has PSNR in dB (mean over frames, the reference's own frames left out), CIEDE2000, CDC
in 1e-3, the step: the greatest fall in PSNR from a frame to the next, and the milliseconds that
a frame took in the references' own pass. Pictures of a frame in the middle are written on demand.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from vidcolor.api import make_config
from vidcolor.build import build_line
from vidcolor.color.compose import ComposeConfig, compose_rgb
from vidcolor.color.lab import rgb_to_lab
from vidcolor.color.measure import color_consistency, delta_e_2000, psnr
from vidcolor.guidance.layers import LayerStore
from vidcolor.guidance.references.entries import Reference, ReferenceEntry
from vidcolor.guidance.references.solve import ReferencesConfig, solve_references
from vidcolor.io.color_frames import ColorReader, read_picture
from vidcolor.io.input_config import InputConfig
from vidcolor.models.weights import load_model
from vidcolor.ops.flow import dis_flow, warp
from vidcolor.ops.resize import from_network, luma_to_network, network_size
from vidcolor.records import Colored, FrameBatch, Layer
from vidcolor.stages.overlay import NoOverlay, Overlay

BATCH = 16
COLORINGS = ("automatic", "flow", "first", "first, last", "foreign")


def main() -> None:
    """Measure the clips of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--every", type=int, default=4, help="frames between two CIEDE2000")
    parser.add_argument("--foreign", type=Path)
    parser.add_argument("--out", type=Path, help="table in Markdown")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of a frame")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    lines = [
        "| clip | coloring | PSNR | delta E | CDC | step | ms |",
        "|---|---|---|---|---|---|---|",
    ]
    found: dict[str, list[list[float]]] = {}
    for number, clip in enumerate(arguments.clips):
        other = arguments.clips[(number + 1) % len(arguments.clips)]
        foreign = read_picture(arguments.foreign) if arguments.foreign else first_frame(other)
        for name, row in measure(clip, foreign, arguments).items():
            found.setdefault(name, []).append(row)
            lines.append(written(clip.stem, name, row))
            print(lines[-1], flush=True)
    for name, rows in found.items():
        lines.append(written("**mean**", name, list(np.mean(rows, axis=0))))
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def written(clip: str, name: str, row: list[float]) -> str:
    """A line of the table."""
    quality, delta, consistency, step, spent = row
    ms = f"{spent:.0f}" if spent else ""
    return (
        f"| {clip} | {name} | {quality:.2f} | {delta:.2f} | {consistency:.2f} | {step:.1f} | {ms} |"
    )


def first_frame(clip: Path) -> np.ndarray:
    """(H, W, 3) uint8."""
    with ColorReader(clip, InputConfig(batch_size=1)) as reader:
        frames = next(iter(reader))
        return reader.color(frames.pts[0])


def measure(
    clip: Path, foreign: np.ndarray, arguments: argparse.Namespace
) -> dict[str, list[float]]:
    """Numbers of one clip by coloring: PSNR, CIEDE2000, CDC, step, milliseconds."""
    line = build_line(make_config(device="cpu"))
    shots, truth = read(clip, arguments.frames)
    tracked = list(line.follow(line.shots(shots)))
    predicted = list(line.colorize(line.see_whole(tracked)))
    cut = [batch.frames for batch in tracked]
    if cut[-1].shot:
        sys.exit(f"{clip}: has cuts")
    model = load_model("starter")[0]
    rows = {}
    for name in COLORINGS:
        with LayerStore() as store:
            began = time.process_time()
            if name == "flow":
                chain(cut, truth[0], store)
            elif name != "automatic":
                pictures = {
                    "first": [truth[0]],
                    "first, last": [truth[0], truth[-1]],
                    "foreign": [foreign],
                }[name]
                given = [Reference(ReferenceEntry("-"), Path("-"), p) for p in pictures]
                solve_references(cut, given, model, ReferencesConfig(), store)
            spent = (time.process_time() - began) / len(truth) * 1000
            refer = NoOverlay() if name == "automatic" else Overlay(store)
            told = dataclasses.replace(line, colorize=_Given(predicted), refer=refer)
            frames = [rgb for colored in told.color(tracked) for rgb in composed(colored)]
        rows[name] = [
            *quality(frames, truth, arguments.every),
            spent if name not in ("automatic", "flow") else 0,
        ]
        if arguments.pictures:
            arguments.pictures.mkdir(parents=True, exist_ok=True)
            at = 3 * len(frames) // 4
            both = np.concatenate((frames[at], truth[at]), axis=1)
            file = arguments.pictures / f"{clip.stem}_{name.replace(', ', '_')}.png"
            cv2.imwrite(str(file), both[..., ::-1])
    return rows


def read(clip: Path, most: int) -> tuple[list[FrameBatch], list[np.ndarray]]:
    """Luma batches and the true color of the first frames."""
    batches: list[FrameBatch] = []
    truth: list[np.ndarray] = []
    with ColorReader(clip, InputConfig(batch_size=BATCH)) as reader:
        for batch in reader:
            part = batch[: max(0, most - len(truth))]
            batches.append(part)
            truth += [reader.color(pts) for pts in part.pts]
            reader.forget(batch.pts[-1])
            if len(truth) >= most:
                break
    return batches, truth


def composed(colored: Colored) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 of each frame."""
    frames, chroma = colored.frames, colored.chroma
    for i, codes in enumerate(frames.luma[:, 0].numpy()):
        yield compose_rgb(
            codes,
            chroma.ab[i].numpy(),
            chroma.lightness[i, 0].numpy(),
            frames.info.color,
            ComposeConfig(),
        )


def chain(shots: list[FrameBatch], picture: np.ndarray, store: LayerStore) -> None:
    """The first frame moved along flow from frame to frame: what anyone would do first."""
    info = shots[0].info
    size = network_size(info, 192, 32)
    _, ab = Reference(ReferenceEntry("-"), Path("-"), picture).small(size)
    color = np.ascontiguousarray(ab.transpose(1, 2, 0))
    place = np.zeros((*size, 2), np.float32)
    before = None
    for batch in shots:
        lightness = luma_to_network(batch, size)[:, 0].numpy()
        for pts, plane in zip(batch.pts, lightness, strict=True):
            gray = np.clip(np.rint(plane * 2.55), 0, 255).astype(np.uint8)
            if before is not None:
                back = dis_flow(gray, before)
                place = back + warp(place, back)
            before = gray
            moved = torch.from_numpy(warp(color, place).transpose(2, 0, 1).copy())[None]
            layer = from_network(moved, info)
            store.put(pts, Layer(layer, torch.ones_like(layer[:, :1])))


def quality(frames: list[np.ndarray], truth: list[np.ndarray], every: int) -> list[float]:
    """PSNR, CIEDE2000, CDC and step; the first and the last frame count in CDC only."""
    inner = range(1, len(frames) - 1)
    levels = [psnr(frames[i], truth[i]) for i in inner]
    deltas = [
        float(np.mean(delta_e_2000(lab(frames[i]), lab(truth[i])))) for i in list(inner)[::every]
    ]
    step = max((a - b for a, b in itertools.pairwise(levels)), default=0.0)
    return [
        float(np.mean(levels)),
        float(np.mean(deltas)),
        1000 * color_consistency(frames),
        step,
    ]


def lab(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) L*a*b* of uint8."""
    planes = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None].float() / 255
    return rgb_to_lab(planes)[0].permute(1, 2, 0).numpy()


class _Given:
    """A colorizer that has already predicted."""

    def __init__(self, predicted: list[Colored]) -> None:
        self.predicted = predicted

    def __call__(self, tracked: object, /) -> Iterator[Colored]:
        return iter(self.predicted)


if __name__ == "__main__":
    main()
