"""What runs a network fastest on this processor: PyTorch's ways to compute, or ONNX Runtime.

    python benchmarks/backends.py [--cases starter siggraph17 ...] [--threads 1 2] [--rounds 5]
                                  [--out FILE]

Each network is exported once (`vidcolor export` refuses a file that answers otherwise) and then
runs in turn, in one process, on the same pictures:

* `contiguous`: PyTorch, float32, planes one after another;
* `float32`: PyTorch, float32, channels last: what the line does where nothing is faster;
* `bfloat16`: PyTorch, convolutions in bfloat16, channels last: what the line does by default where
  the processor has units for it (left out where it has none);
* `onnxruntime`: ONNX Runtime, float32, with all its optimizations.

The first pass of each is not counted; then `rounds` times every one takes its turn. Printed are the
median ms a picture, and how many times as fast each is as the line's own default (the last but one
column is against float32), as the median over the rounds of the ratio within a round, so that what
else runs on the machine changes little. With one thread the clock is processor time, otherwise wall
time. `differs` is the largest difference from `contiguous`, in thousandths of the largest |a*b*|.
Weights but the starter's are by formula: what they are does not change the time. Written as JSON to
`benchmarks/results/backends-cpu.json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent))
import line as line_benchmark

from vidcolor.build import choose_precision
from vidcolor.export import export_colorizer
from vidcolor.models.recipe import fill
from vidcolor.models.registry import create_model
from vidcolor.models.weights import load_model, save_weights

Run = Callable[[], Tensor]
CPU = torch.device("cpu")
SHORT_S = 0.2  # a turn that is shorter is taken several times


@dataclass(frozen=True)
class Case:
    """A network at a size.

    Attributes:
        weights: Known weights, or a colorizer that gets its weights by formula.
        size: `(height, width)` of its pictures.
        batch: Pictures at a time.
        settings: Of the colorizer's builder.
    """

    weights: str
    size: tuple[int, int]
    batch: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)


CASES = {
    "starter": Case("starter", (192, 256)),
    "starter-8": Case("starter", (192, 256), 8),
    "siggraph17": Case("siggraph17", (256, 344)),
    "eccv16": Case("eccv16", (256, 344)),
    "iizuka16": Case("iizuka16", (224, 296)),
    "hypercolumn": Case("hypercolumn", (224, 296)),
    "residual_encoder": Case("residual_encoder", (224, 296)),
    "deoldify": Case("deoldify", (160, 160)),
    "ddcolor-tiny": Case("ddcolor", (256, 256), settings={"variant": "tiny"}),
}


def prepare(case: Case, folder: Path) -> str:
    """Name or file of the weights; those by formula are written first."""
    if case.weights == "starter":
        return case.weights
    path = folder / f"{case.weights}.safetensors"
    if not path.exists():
        module = fill(create_model(case.weights, **case.settings))
        save_weights(path, module, case.weights, case.settings, {})
    return str(path)


def backends(weights: str, exported: Path, picture: Tensor) -> dict[str, Run]:
    """By name, what answers for a picture."""

    def torch_model(memory_format: torch.memory_format) -> nn.Module:
        model: Any = load_model(weights)[0]
        if hasattr(model, "fold"):
            model.fold()
        return model.to(memory_format=memory_format)

    plain, last = torch_model(torch.contiguous_format), torch_model(torch.channels_last)
    onnx = load_model(exported)[0]
    moved = picture.contiguous(memory_format=torch.channels_last)

    def half() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return last(moved)

    runs: dict[str, Run] = {"contiguous": lambda: plain(picture), "float32": lambda: last(moved)}
    if default() == "bfloat16":
        runs["bfloat16"] = half
    runs["onnxruntime"] = lambda: onnx(moved)
    return runs


def default() -> str:
    """What the line takes on this processor."""
    return str(choose_precision("auto", CPU)).removeprefix("torch.")


def take_turns(
    runs: Mapping[str, Run], rounds: int, now: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of one run by name, in every round; nothing of the first pass."""
    repeats = {}
    for name, run in runs.items():
        run()
        before = now()
        run()
        repeats[name] = max(1, round(SHORT_S / max(1e-6, now() - before)))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            before = now()
            for _ in range(repeats[name]):
                run()
            seconds[name].append((now() - before) / repeats[name])
    return seconds


def summary(seconds: Mapping[str, Sequence[float]], batch: int, base: str) -> dict[str, Any]:
    """Medians by name: ms a picture, and times as fast as the default and as float32."""
    return {
        name: {
            "ms": round(1e3 * statistics.median(own) / batch, 2),
            "least_ms": round(1e3 * min(own) / batch, 2),
            "times_default": round(ratio(seconds[base], own), 3),
            "times_float32": round(ratio(seconds["float32"], own), 3),
        }
        for name, own in seconds.items()
    }


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Median over the rounds of how much longer `one` took."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


@torch.inference_mode()
def measure(case: Case, folder: Path, threads: Sequence[int], rounds: int) -> dict[str, Any]:
    """A case by number of threads."""
    weights = prepare(case, folder)
    exported = folder / f"{case.weights}.onnx"
    if not exported.exists():
        with torch.inference_mode(False):
            export_colorizer(weights, exported)
    generator = torch.Generator().manual_seed(0)
    picture = 100 * torch.rand(case.batch, 1, *case.size, generator=generator)
    rows: dict[str, Any] = {"size": list(case.size), "batch": case.batch, "threads": {}}
    for count in threads:
        torch.set_num_threads(count)  # ONNX Runtime takes as many when it opens the file
        runs = backends(weights, exported, picture)
        answers = {name: run().float() for name, run in runs.items()}
        largest = float(answers["contiguous"].abs().max())
        now = time.process_time if count == 1 else time.perf_counter
        found = summary(take_turns(runs, rounds, now), case.batch, default())
        for name, answer in answers.items():
            off = float((answer - answers["contiguous"]).abs().max()) / largest
            found[name]["differs"] = float(f"{1e3 * off:.2g}")
        rows["threads"][str(count)] = found
    return rows


def table(cases: Mapping[str, Any], base: str) -> str:
    """The numbers as people read them."""
    lines = [
        f"{'case':18}{'threads':>8}  {'backend':13}{'ms':>9}{'x ' + base:>12}{'x float32':>11}"
        f"{'differs':>10}"
    ]
    lines += [
        f"{name:18}{count:>8}  {backend:13}{row['ms']:9.1f}{row['times_default']:12.2f}"
        f"{row['times_float32']:11.2f}{row['differs']:10.2g}"
        for name, case in cases.items()
        for count, rows in case["threads"].items()
        for backend, row in rows.items()
    ]
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    import onnxruntime

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    cores = torch.get_num_threads()
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--threads", nargs="+", type=int, default=sorted({1, cores}))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    about = line_benchmark.machine(["--device", "cpu"])
    about |= {"onnxruntime": onnxruntime.__version__, "rounds": given.rounds}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in given.cases:
            results[name] = measure(CASES[name], Path(folder), given.threads, given.rounds)
            print(table({name: results[name]}, default()), flush=True)
    out = given.out or line_benchmark.ROOT / "benchmarks" / "results" / "backends-cpu.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    data = {"about": about, "default": default(), "cases": results}
    out.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(f"written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
