"""What this machine can do at most, and what a network asks of it.

    python benchmarks/machine.py [--rounds 5] [--colorizers starter siggraph17 ...|none|all]
                                 [--out FILE]

Measured are the product of two square matrices in float32 and bfloat16 (GFLOP/s, the best of some
sizes, each round anew) and copying memory (GB/s, what is read and what is written both counted),
with as many threads as PyTorch takes. Counted, not timed, is what the network of each colorizer
computes for one frame at its own size, and for one close-up where it sees any: multiplications and
additions, by `torch.utils.flop_counter`. One by the other is the least time that the network could
take. Written as JSON to `benchmarks/results/machine-DEVICE.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measure.rounds import FOLDER, Case, Value, write_result
from measure.settings import machine

SIZES = (512, 1024, 2048)
COPY_BYTES = 256 << 20
SHORT_S = 0.15  # a turn is repeated until it has taken as long
FRAME = (480, 640)
STARTER = "starter"


def rate(run: Callable[[], object], wait: Callable[[], None] = lambda: None) -> float:
    """How often a second something runs, once it is warm."""
    run()
    wait()
    count = 0
    before = time.perf_counter()
    while True:
        run()
        count += 1
        wait()
        took = time.perf_counter() - before
        if took >= SHORT_S:
            return count / took


def peaks(rounds: int, device: Any, sizes: tuple[int, ...] = SIZES) -> dict[str, Value]:
    """The most that a device gives, by name.

    Args:
        rounds: How often everything takes its turn.
        device: A torch device.
        sizes: Rows of the matrices.
    """
    import torch

    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    memory = torch.empty(2, COPY_BYTES // 2, dtype=torch.uint8, device=device).fill_(1)
    found: dict[str, list[float]] = {"float32": [], "bfloat16": [], "copy": []}
    for _ in range(rounds):
        for name in ("float32", "bfloat16"):
            best = 0.0
            for size in sizes:
                left, right = torch.randn(2, size, size, device=device).to(getattr(torch, name))
                out = torch.empty_like(left)
                times = rate(lambda a=left, b=right, c=out: torch.mm(a, b, out=c), wait)
                best = max(best, 2e-9 * size**3 * times)
            found[name].append(best)
        copies = rate(lambda: memory[0].copy_(memory[1]), wait)
        found["copy"].append(1e-9 * COPY_BYTES * copies)
    units = {"float32": "GFLOP/s", "bfloat16": "GFLOP/s", "copy": "GB/s"}
    return {name: Value(units[name], tuple(all_), more=True) for name, all_ in found.items()}


def network_gflop(flags: list[str], size: tuple[int, int] = FRAME) -> dict[str, Any]:
    """What the network of some settings computes.

    Args:
        flags: Of the line.
        size: `(height, width)` of the film.

    Returns:
        `frame`: GFLOP for a frame without close-ups; `crop`: for each close-up more, 0 for
        networks that see none; `size`: of the picture that the network sees.
    """
    import torch

    from vidcolor.build import chosen_weights
    from vidcolor.models.registry import spec_of
    from vidcolor.models.weights import load_model, suited_side
    from vidcolor.ops.resize import network_size
    from vidcolor.records import Rois, VideoInfo

    config = settings_of(flags).colorize
    weights = chosen_weights(config)
    model, of = load_model(weights)
    model.requires_grad_(False)  # or the counter follows gradients of parameters that are inputs
    spec = spec_of(model, of)
    side = config.side or suited_side(weights) or spec.square or spec.short_side
    small = network_size(VideoInfo(*size), side, spec.multiple, spec.square is not None)
    lightness = torch.full((1, 1, *small), 50.0)
    frame = gflop(lambda: model(lightness))
    crop = 0.0
    if spec.rois and config.instances and getattr(model, "uses_rois", True):
        box = torch.tensor([[0.25, 0.25, 0.75, 0.75]]) * torch.tensor([small[1], small[0]] * 2)
        close = torch.full((1, 1, spec.crop, spec.crop), 50.0)
        rois = Rois(close, box, torch.zeros(1, dtype=torch.int64), torch.ones(1), small)
        crop = gflop(lambda: model(lightness, rois)) - frame
    return {"frame": round(frame, 3), "crop": round(crop, 3), "size": list(small)}


def settings_of(flags: list[str]) -> Any:
    """The config of flags."""
    from measure.settings import read_flags

    return read_flags(flags, None)


def gflop(run: Callable[[], object]) -> float:
    """What a call computes, in 10^9 multiplications and additions."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    # not under inference_mode: there the counter does not see what composite operators do
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9


def colorizer_names(wanted: list[str]) -> list[str]:
    """Names of colorizers; `all` is each network once, `none` is none.

    Raises:
        SystemExit: If there is no such network.
    """
    from vidcolor.models.registry import list_models

    networks = [name for name in list_models() if name != "quarternet"]  # the starter's
    known = [STARTER, *networks]
    if wanted == ["all"]:
        return known
    names = [] if wanted == ["none"] else wanted
    for name in names:
        if name not in known:
            raise SystemExit(f"unknown colorizer {name}; there are {', '.join(known)}")
    return names


def colorizer_flags(name: str) -> list[str]:
    """Flags that choose a colorizer; all but the starter have weights by formula."""
    if name == STARTER:
        return []
    return ["--colorize.colorizer", name, "--colorize.weights", "recipe"]


def main() -> int:
    """Command line."""
    import torch

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--colorizers", nargs="+", default=["all"], metavar="NAME")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--last-line", action="store_true", help="only print medians, as JSON")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    about = machine(["--device", given.device])
    device = torch.device(about["device"])
    values = peaks(given.rounds, device, tuple(given.sizes))
    if given.last_line:
        print(json.dumps({name: round(value.median, 2) for name, value in values.items()}))
        return 0
    print(f"{about['processor']}, {torch.get_num_threads()} threads of {about['cores']} cores")
    for name, value in values.items():
        print(f"  {name:10s} {value.median:9.1f} {value.unit}")
    networks = {}
    for name in colorizer_names(given.colorizers):
        networks[name] = found = network_gflop(colorizer_flags(name))
        height, width = found["size"]
        least = 1e3 * found["frame"] / values["float32"].median
        print(
            f"  {name:18s} {height}x{width:4d} {found['frame']:9.2f} GFLOP a frame, "
            f"{found['crop']:8.2f} a close-up; at the float32 peak {least:8.1f} ms a frame",
            flush=True,
        )
    threads = {"threads": torch.get_num_threads()}
    out = given.out or FOLDER / f"machine-{about['device']}.json"
    write_result(out, "machine", about, {"peaks": Case(threads, values)}, {"networks": networks})
    print(f"written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
