"""Measures what the line makes of color clips whose color was thrown away.

    python scripts/measure_film.py CLIP... [--frames N] [--config FILE] [--jsonl FILE] [--set ...]

Every clip is decoded once and its objects are looked for once. It is colored frame by frame
(the network alone: no cadence, anchor, memory, stabilizer), by the whole line, and by the line
with boxes lost at random: all boxes of 30 % of the frames, and each box with a chance of 30 %.
All run side by side in process, without an encoder. Printed for each clip, with what was asked:

* instability of a*b* as the line gives it: at most a third of the network's. That of the
  finished pictures stands beside it; it has a floor that no line gets under, because Y' with its
  grain sets what color fits beside it, and rounds it to 8 bit;
* CDC minus the truth's, 1e-3: at most half of the network's (or not above the truth's);
* PSNR in dB: no less than the network's (0.05 dB are chance);
* mean chroma: no less than the network's by more than 2 %;
* instability with lost boxes: changed by less than 10 %;
* the largest difference of a*b* when frames come in batches of 16, 5 and 1: the same pixels.

With --jsonl a row is appended after each clip, and clips that are there with the same settings
are not measured again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vidcolor import schema
from vidcolor.build import build_line
from vidcolor.config import Config
from vidcolor.errors import VidcolorError
from vidcolor.evaluate.config import EvaluateConfig
from vidcolor.evaluate.recolor import (
    Clip,
    each_frame_alone,
    first_frames,
    largest_difference,
    measure_colorings,
    without_boxes,
    without_frames,
)
from vidcolor.pipeline import Pipeline

LOST = 0.3
BATCHES = (16, 5, 1)
MOST_INSTABILITY, MOST_CDC, LEAST_CHROMA = 1 / 3, 1 / 2, 0.98
LEAST_PSNR_DB, MOST_CHANGE, MOST_DIFFERENCE = -0.05, 0.10, 0.01


def main() -> None:
    """Measure the clips of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, help="only the first so many of each clip")
    parser.add_argument("--config", type=Path, help="a TOML file with settings of the line")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="stabilize.tau=4")
    parser.add_argument("--jsonl", type=Path, help="rows already measured, and where new ones go")
    parser.add_argument("--seed", type=int, default=0, help="of the boxes that are lost")
    parser.add_argument("--window-frames", type=int, default=48, help="compared for batches")
    arguments = parser.parse_args()
    config = settings(arguments.config, arguments.set)
    plan = {
        "frames": arguments.frames,
        "seed": arguments.seed,
        "window_frames": arguments.window_frames,
        "config": schema.to_dict(config),
    }
    done = measured(arguments.jsonl, plan)
    rows = []
    line: Pipeline | None = None
    for clip in arguments.clips:
        if clip.name not in done:
            line = line or build_line(config)
            row = {"clip": clip.name, **measure(clip, line, config, arguments)}
            done[clip.name] = row
            if arguments.jsonl:
                with arguments.jsonl.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**row, "plan": plan}) + "\n")
        rows.append(done[clip.name])
    print(table(rows))


def settings(path: Path | None, pairs: list[str]) -> Config:
    """The config of the line: defaults, file, `KEY=VALUE`."""
    known = {leaf.name: leaf for leaf in schema.leaves(Config)}
    data = schema.read_toml(path) if path else {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name not in known:
            raise SystemExit(f"--set {pair}: no such key; `vidcolor settings` lists them")
        schema.put(data, known[name].path, schema.parse(text, known[name]))
    return schema.load(Config, data)


def measured(path: Path | None, plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows of a file that were measured with the same settings, by the name of the clip."""
    if path is None or not path.exists():
        return {}
    rows = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines() if text]
    same = json.loads(json.dumps(plan))
    return {row["clip"]: row for row in rows if row.get("plan") == same}


def measure(
    path: Path, line: Pipeline, config: Config, arguments: argparse.Namespace
) -> dict[str, Any]:
    """The numbers of a clip."""
    began = time.monotonic()
    say = teller(path.name)
    sizes = EvaluateConfig(every=0, worst=0)
    clip = Clip.read(path, arguments.frames, sizes)
    seen = list(line.detect(line.shots(clip.frames)))
    say("objects found", len(clip.truth))

    def rng() -> np.random.Generator:
        return np.random.default_rng(arguments.seed)

    colorings = {
        "line": line.color(line.track(seen)),
        "alone": each_frame_alone(line).color(line.track(seen)),
        "lost frames": line.color(line.track(without_frames(seen, LOST, rng()))),
        "lost boxes": line.color(line.track(without_boxes(seen, LOST, rng()))),
    }
    count = 0

    def progress(frames: int) -> None:
        nonlocal count
        count += frames
        if count % 25 == 0:
            say("measured", count)

    found = measure_colorings(clip, colorings, sizes, config.compose, progress)
    row: dict[str, Any] = {
        name: dataclasses.asdict(found.film(name)) for name in (*colorings, "truth")
    }
    row |= {
        "cdc_excess": {name: found.film(name).cdc_excess for name in colorings},
        "frames": len(clip.truth),
        "shots": len(found.shots("line")),
        "boxes": sum(len(item.detections) for item in seen),
        "batch_difference": largest_difference(
            line, first_frames(clip.frames, arguments.window_frames), BATCHES
        ),
        "seconds": round(time.monotonic() - began, 1),
    }
    say("done", count)
    return row


def teller(name: str) -> Callable[[str, int], None]:
    """Says on stderr how far a clip is."""
    began = time.monotonic()

    def say(what: str, count: int) -> None:
        sys.stderr.write(f"{time.monotonic() - began:7.1f} s  {name}: {what}, {count} frames\n")
        sys.stderr.flush()

    return say


def judged(row: dict[str, Any]) -> dict[str, tuple[float, bool]]:
    """What was asked of a clip: value and whether it is fulfilled."""
    line, alone = row["line"]["color"], row["alone"]["color"]
    lost = [row[name]["color"]["planes_instability"] for name in ("lost frames", "lost boxes")]
    excess = row["cdc_excess"]
    changes = [share(one, line["planes_instability"]) - 1 for one in lost]
    decibels = row["line"]["fidelity"]["psnr"] - row["alone"]["fidelity"]["psnr"]
    calm = share(line["planes_instability"], alone["planes_instability"])
    even = share(excess["line"], excess["alone"])
    pale = share(line["chroma"], alone["chroma"])
    return {
        "instability": (calm, calm <= MOST_INSTABILITY),
        "cdc": (even, excess["line"] <= max(0.0, MOST_CDC * excess["alone"])),
        "psnr": (decibels, decibels >= LEAST_PSNR_DB),
        "chroma": (pale, pale >= LEAST_CHROMA),
        "lost frames": (changes[0], abs(changes[0]) < MOST_CHANGE),
        "lost boxes": (changes[1], abs(changes[1]) < MOST_CHANGE),
        "batches": (row["batch_difference"], row["batch_difference"] <= MOST_DIFFERENCE),
    }


def share(value: float, of: float) -> float:
    """A ratio; 1 of nothing and nothing."""
    if of:
        return value / of
    return 1.0 if value == 0 else float("inf")


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, a row a clip; what is not fulfilled is marked by an exclamation mark."""
    head = [
        "clip", "frames", "instability of a*b*: alone", "line", "ratio", "of pictures: truth",
        "alone", "line", "CDC-true e-3: alone",
        "line", "ratio", "PSNR: alone", "line", "gain", "chroma: truth", "alone", "line", "ratio",
        "lost frames", "lost boxes", "batches", "all",
    ]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        found = judged(row)
        of = {name: row[name]["color"] for name in ("line", "alone", "truth")}
        decibels = {name: row[name]["fidelity"]["psnr"] for name in ("line", "alone")}

        def mark(name: str, shape: str, found: dict[str, tuple[float, bool]] = found) -> str:
            value, good = found[name]
            return format(value, shape) + ("" if good else " !")

        cells = [
            row["clip"], str(row["frames"]),
            *(f"{of[name]['planes_instability']:.3f}" for name in ("alone", "line")),
            mark("instability", ".2f"),
            *(f"{of[name]['instability']:.2f}" for name in ("truth", "alone", "line")),
            *(f"{row['cdc_excess'][name] * 1000:+.2f}" for name in ("alone", "line")),
            mark("cdc", ".2f"),
            *(f"{decibels[name]:.2f}" for name in ("alone", "line")),
            mark("psnr", "+.2f"),
            *(f"{of[name]['chroma']:.2f}" for name in ("truth", "alone", "line")),
            mark("chroma", ".3f"),
            mark("lost frames", "+.1%"), mark("lost boxes", "+.1%"), mark("batches", ".4f"),
            "yes" if all(good for _, good in found.values()) else "no",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        main()
    except VidcolorError as error:
        raise SystemExit(f"measure_film: {error}") from None
