"""InstColorization at full width: the published procedure beside ours, on the same boxes.

    python benchmarks/instcolor.py [--clip FILE] [--frames 40] [--few 3] [--rounds 3]
                                   [--instances 4] [--width 64] [--color-frames 12]
                                   [--readout starter|recipe] [--out FILE]

A clip (the example, unless another is given) with boxes by a formula, four objects that drift, is
colored in these ways, which take turns in one process:

* `published`: as the authors' programs do it: each frame by itself, in float32, PyTorch's standard
  layout, a batch of one: the instance net on the crops of the frame, its color too, then the
  fusion net; where a frame has no box the full-image net with its class head. Written plainly
  in `published.py`, from our modules, which have the published numbers (`docs/colorizers.md`);
* `every` and `auto`: ours with `--cadence every` and `--cadence auto`, by the settings of the
  published weights (`models.instcolor.PUBLISHED`);
* `ours every`, `ours auto`: the same by our own settings, which are the default.

Measured are the colorize stage alone (boxes and frames wait in memory), and the whole line from
file to file. `published` and `every` cost the same for each frame and run over the first `--few`
frames; `auto` runs over all, because it lives from what lies between keyframes. Ratios are taken
round by round. Weights are by formula, the same for all ways; the network of a width of 64 has the
published size.

CIEDE2000 is that of the colorize stage, at the network's size, mean over the pixels of the first
`--color-frames` frames: `auto` to `every`, and, over the first `--few`, `every` to `published`,
which is what half precision and another order of sums cost. Weights by formula alone answer to
every speck with another color, as no trained network does, and what lies between keyframes could
not be told; so the last layer, and only that, is fitted to what the starter says of frames of the
clip (ridge regression, 129 numbers each for a* and b*). `--readout recipe` leaves the formula's.
Mean chroma stands beside the differences. Written as JSON to
`benchmarks/results/instcolor-DEVICE.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measure.bare import changed_lines, networks
from measure.clocks import device_wait, peak_memory_mb
from measure.films import describe, make_clip, write_boxes
from measure.published import Published
from measure.readout import Readout, as_the_starter, first_frames
from measure.rounds import FOLDER, Case, Value, write_result
from measure.settings import duration, machine, read_flags

from vidcolor.models.instcolor import PUBLISHED, InstColor
from vidcolor.models.recipe import fill
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights

FLOOR = "published"
SOURCE_HEIGHT = 480
WAYS = {
    FLOOR: ("published", "every"),
    "every": ("published", "every"),
    "auto": ("published", "auto"),
    "ours every": ("ours", "every"),
    "ours auto": ("ours", "auto"),
}
"""Settings of the weights, and cadence, of each way."""


# -- the ways ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to color the clip.

    Attributes:
        name: See above.
        flags: Of the line.
        frames: Over how many frames it runs.
        change: What is made of the line of these flags.
    """

    name: str
    flags: list[str]
    frames: int
    change: Callable[[Any], Any]


def write_weights(folder: Path, width: int, readout: Readout) -> dict[str, Path]:
    """Files of weights by formula, by the settings that they are for."""
    files = {}
    for name, settings in (
        ("published", {**PUBLISHED, "width": width}),
        ("ours", {"width": width}),
    ):
        files[name] = folder / f"{name}.safetensors"
        module = fill(create_model("instcolor", **settings))
        assert isinstance(module, InstColor)
        readout(module)
        save_weights(files[name], module, "instcolor", settings, {})
    return files


def by_the_book(line: Any) -> Any:
    """The line with the published procedure in float32."""
    from vidcolor.models.weights import load_model

    for stage in networks(line):
        model, _ = load_model(stage.config.weights)  # unfolded, and nobody else's
        assert isinstance(model, InstColor)
        stage.model, stage.dtype = Published(model), torch.float32
    return line


def ways(given: argparse.Namespace, clip: Path, folder: Path) -> list[Way]:
    """All ways, in their order."""
    readout: Readout = _left_alone
    if given.readout == "starter":
        readout = as_the_starter(clip, given.frames, folder / "boxes.jsonl")
    files = write_weights(folder, given.width, readout)
    found = []
    for name, (settings, cadence) in WAYS.items():
        flags = [*given.flags, "--colorize.colorizer", "instcolor", "--colorize.weights"]
        flags += [str(files[settings]), "--detector", f"boxes:{folder / 'boxes.jsonl'}"]
        flags += ["--cadence", cadence]
        frames = given.frames if cadence == "auto" else min(given.few, given.frames)
        change = by_the_book if name == FLOOR else _as_it_is
        found.append(Way(name, flags, frames, change))
    return found


def _as_it_is(line: Any) -> Any:
    return line


def _left_alone(net: InstColor) -> None:
    pass


# -- measurements --------------------------------------------------------------------------------


class Stage:
    """The colorize stage of a way, and the batches that come to it."""

    def __init__(self, way: Way, clip: Path) -> None:
        from vidcolor.build import build_line
        from vidcolor.io.video import VideoReader

        config = read_flags(way.flags, None)
        line = way.change(build_line(config))
        self.way, self._wait = way, device_wait(config)
        self._colorize = line.colorize
        with VideoReader(clip, config.input) as reader:
            self._tracked = list(line.follow(line.shots(first_frames(reader, way.frames))))

    def seconds(self) -> float:
        """Wall time for one frame."""
        before = time.perf_counter()
        for _ in self._colorize(iter(self._tracked)):
            pass
        self._wait()
        return (time.perf_counter() - before) / self.way.frames

    def colors(self, frames: int) -> Tensor:
        """(n, 3, h, w) L*a*b* of the first frames."""
        found, count = [], 0
        for batch in self._colorize(iter(self._tracked)):
            found.append(torch.cat((batch.chroma.lightness, batch.chroma.ab), 1))
            count += len(batch.chroma)
            if count >= frames:
                break
        return torch.cat(found)[:frames]

    def longer(self, frames: int, clip: Path) -> Stage:
        """The same way over more frames."""
        return Stage(dataclasses.replace(self.way, frames=frames), clip)


def whole_line(way: Way, clip: Path, folder: Path, rate: Any) -> float:
    """Wall time of the whole line for one frame."""
    from vidcolor.api import open_job

    config = read_flags(way.flags, duration(way.frames, rate))
    with changed_lines(way.change):
        job = open_job(clip, folder / "out.mkv", config)
        before = time.perf_counter()
        frames = job.run(lambda count: None)
        took = time.perf_counter() - before
    if frames != way.frames:
        raise SystemExit(f"{clip}: {frames} frames where {way.frames} were expected")
    return took / frames


def difference(one: Tensor, other: Tensor) -> tuple[float, float]:
    """Mean CIEDE2000 of (n, 3, h, w) L*a*b*, and of the worst frame."""
    from vidcolor.color.measure import delta_e_2000

    pairs = zip(one.permute(0, 2, 3, 1).numpy(), other.permute(0, 2, 3, 1).numpy(), strict=True)
    found = [float(np.mean(delta_e_2000(a, b), dtype=np.float64)) for a, b in pairs]
    return float(np.mean(found)), max(found)


def measure(
    given: argparse.Namespace, clip: Path, folder: Path
) -> tuple[dict[str, Value], dict[str, Any]]:
    """Rounds of all ways, and differences of color."""
    from vidcolor.io.video import VideoReader

    with VideoReader(clip) as reader:
        rate, size = reader.info.rate, reader.info.size
    write_boxes(folder / "boxes.jsonl", given.frames, given.instances, size)
    stages = [Stage(way, clip) for way in ways(given, clip, folder)]
    by_name = {stage.way.name: stage for stage in stages}
    colors = measure_colors(by_name, given, clip)  # and all networks have run once
    print("\n".join(color_lines(colors)), file=sys.stderr, flush=True)
    seconds: dict[str, list[float]] = {}
    for number in range(given.rounds):
        for stage in stages:
            name = stage.way.name
            seconds.setdefault(f"stage {name}", []).append(stage.seconds())
            if not name.startswith("ours"):
                took = whole_line(stage.way, clip, folder, rate)
                seconds.setdefault(f"line {name}", []).append(took)
            told = ", ".join(
                f"{part} {1e3 * seconds[f'{part} {name}'][-1]:.0f} ms a frame"
                for part in ("stage", "line")
                if f"{part} {name}" in seconds
            )
            print(f"round {number}, {name}: {told}", file=sys.stderr, flush=True)
    values = {
        name: Value(
            "ms/frame",
            tuple(1e3 * one for one in found),
            None if name.endswith(FLOOR) else f"{name.partition(' ')[0]} {FLOOR}",
        )
        for name, found in seconds.items()
    }
    return values, colors


def measure_colors(
    stages: dict[str, Stage], given: argparse.Namespace, clip: Path
) -> dict[str, Any]:
    """CIEDE2000 of ways to others, and mean chroma."""
    few = stages[FLOOR].way.frames
    most = min(given.color_frames, given.frames)
    colors: dict[str, Any] = {}
    reference, every = stages[FLOOR].colors(few), stages["every"].colors(few)
    colors["every to published"] = _told(every, reference)
    for name in ("", "ours "):
        exact = stages[f"{name}every"].longer(most, clip).colors(most)
        colors[f"{name}auto to {name}every"] = _told(stages[f"{name}auto"].colors(most), exact)
    return colors


def _told(one: Tensor, other: Tensor) -> dict[str, Any]:
    mean, worst = difference(one, other)
    return {
        "delta_e_2000": round(mean, 4),
        "worst_frame": round(worst, 4),
        "frames": len(one),
        "chroma": round(float(other[:, 1:].norm(dim=1).mean()), 2),
    }


def ratios(values: dict[str, Value]) -> dict[str, dict[str, float]]:
    """How many times as fast as the published procedure each way is: ratios within a round."""
    found = {}
    for name, value in values.items():
        if value.floor is not None:
            pairs = zip(values[value.floor].rounds, value.rounds, strict=True)
            all_ = [a / b for a, b in pairs]
            told = {"times": statistics.median(all_), "least": min(all_), "most": max(all_)}
            found[name] = {key: round(number, 3) for key, number in told.items()}
    return found


def table(values: dict[str, Value], times: dict[str, Any], colors: dict[str, Any]) -> str:
    """The numbers as people read them."""
    lines = [f"{'':20}{'ms a frame':>12}{'fps':>9}  times as fast as published (least, most)"]
    for name, value in values.items():
        if value.unit != "ms/frame":
            lines.append(f"{name:20}{value.median:12.1f} {value.unit}")
            continue
        line = f"{name:20}{value.median:12.1f}{1e3 / value.median:9.3f}"
        if name in times:
            line += "  {times:.2f} ({least:.2f}, {most:.2f})".format(**times[name])
        lines.append(line)
    return "\n".join(lines + color_lines(colors))


def color_lines(colors: dict[str, Any]) -> list[str]:
    """Differences of color as people read them."""
    return [
        f"{name}: CIEDE2000 {one['delta_e_2000']:.3f}, worst frame {one['worst_frame']:.3f}, "
        f"of {one['frames']} frames with a mean chroma of {one['chroma']}"
        for name, one in colors.items()
    ]


def main(words: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clip", type=Path, help="instead of the example")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--few", type=int, default=3, help="frames of what costs the same for each")
    parser.add_argument("--color-frames", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--instances", type=int, default=4)
    parser.add_argument("--width", type=int, default=64, help="channels of the first block")
    parser.add_argument("--readout", choices=("starter", "recipe"), default="starter")
    parser.add_argument("--out", type=Path)
    parser.add_argument("flags", nargs="*", metavar="OPTION", help="of the line, after --")
    given = parser.parse_args(words)
    logging.getLogger("vidcolor").setLevel(logging.ERROR)  # the boxes are of more frames, yes
    about = machine(given.flags)
    keys = ("frames", "few", "instances", "width", "readout")
    with tempfile.TemporaryDirectory() as name:
        clip = given.clip or Path(name) / "example.mp4"
        if given.clip is None:
            make_clip(SOURCE_HEIGHT, clip, given.frames)
        values, colors = measure(given, clip, Path(name))
        case = {**describe(clip), **{key: getattr(given, key) for key in keys}}
    times = ratios(values)
    memory = peak_memory_mb()
    if memory is not None:
        values["memory"] = Value("MB", (memory,))
    print(table(values, times, colors))
    out = given.out or FOLDER / f"instcolor-{about['device']}.json"
    more = {"times_published": times, "colors": colors}
    write_result(out, "instcolor", about, {"instcolor": Case(case, values)}, more)
    print(f"written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
