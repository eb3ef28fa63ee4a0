r"""The seed experiment: color the gray episodes of a series by its color episodes.

    python scripts/seed_experiment.py --photos 'data/train/photos-train-*.tar' \
        --color pepper_carrot/ep03 pepper_carrot/ep05 ... --gray pepper_carrot/ep06 \
        --minutes 15 5 --out runs/seed

Trains each network (configs/train/seed-*.toml) from nothing: first on photographs, then on the
color episodes, and leaves its weights as OUT/NAME.safetensors. All get the same time: minutes of
CPU time of the training process, for photographs and for the series. How many steps that is, is
measured first; run it with OMP_NUM_THREADS=1 where other programs run too. What was done stays: the
same command goes on. At the end it prints the command that makes the table.

Reference: the anime colorization of a Japanese blog (2016) after Dahl: Automatic Colorization,
2016, in which a network learns from the color broadcasts of a series and colors its first, gray
season.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from vidcolor.errors import VidcolorError
from vidcolor.schema import merge, read_toml
from vidcolor.train.config import TrainConfig
from vidcolor.train.dataset.build import BuildConfig, build_dataset
from vidcolor.train.plan import plan
from vidcolor.train.run import export, train

CONFIGS = Path(__file__).parents[1] / "configs" / "train"
NETWORKS = ("hypercolumn", "residual-encoder", "quarternet")
CALIBRATION_STEPS = 12
WARM_UP_STEPS = 4
# of a network's time on photographs, for networks that learn close-ups too
SHARES = {"instance": 0.1, "fusion": 0.1}

log = logging.getLogger("seed_experiment")


def seconds_a_step(run: TrainConfig, scratch: Path) -> float:
    """CPU seconds of a training step, measured on a run that is thrown away."""
    trial = dataclasses.replace(
        run,
        run=dataclasses.replace(
            run.run, folder=str(scratch), save_every=10**6, val_every=10**6, samples=0
        ),
        fit=dataclasses.replace(run.fit, steps=10**6, warmup=0),
    )
    times: list[float] = []
    with closing(train(trial)) as steps:
        for progress in steps:
            times.append(time.process_time())
            if progress.report.step > WARM_UP_STEPS + CALIBRATION_STEPS:
                break
    spent = sorted(b - a for a, b in itertools.pairwise(times[WARM_UP_STEPS:]))
    return spent[len(spent) // 2]


def budget(phase: str, phases: Sequence[str], minutes: Sequence[float]) -> float:
    """Seconds that a phase may take."""
    if phase == "finetune":
        return 60 * minutes[1]
    share = SHARES.get(phase, 1 - sum(SHARES.get(p, 0) for p in phases))
    return 60 * minutes[0] * share


def runs_of(name: str, args: argparse.Namespace, over: dict[str, Any]) -> list[TrainConfig]:
    """The runs of a network, one after another."""
    paths = {
        "data": {"train": [args.photos]},
        "finetune": {"data": {"train": [str(args.out / "color" / "train-*.tar")]}},
        "run": {"folder": str(args.out / name)},
    }
    return plan(read_toml(CONFIGS / f"seed-{name}.toml"), merge(paths, over), f"seed-{name}.toml")


def train_network(name: str, args: argparse.Namespace) -> Path:
    """All phases of a network; its weights."""
    folder = args.out / name
    weights = args.out / f"{name}.safetensors"
    if weights.exists():
        return weights
    known = folder / "steps.json"
    steps: dict[str, int] = json.loads(known.read_text()) if known.exists() else {}
    phases = [run.phase.name for run in runs_of(name, args, {})]
    for number, phase in enumerate(phases):
        fixed = {p: {"fit": {"steps": n}} for p, n in steps.items()}
        run = runs_of(name, args, fixed)[number]
        if phase not in steps:
            cost = seconds_a_step(run, args.out / "calibration" / f"{name}-{phase}")
            steps[phase] = max(1, round(budget(phase, phases, args.minutes) / cost))
            folder.mkdir(parents=True, exist_ok=True)
            known.write_text(json.dumps(steps) + "\n")
            log.info("%s, %s: %.3f s a step, %d steps", name, phase, cost, steps[phase])
            run = runs_of(name, args, {**fixed, phase: {"fit": {"steps": steps[phase]}}})[number]
        began = time.process_time()
        with closing(train(run)) as reports:
            for _ in reports:
                pass
        log.info("%s, %s: %.1f CPU minutes", name, phase, (time.process_time() - began) / 60)
    export(run, weights, "last")
    return weights


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", required=True, help="shards of photographs, a shell pattern")
    parser.add_argument("--color", nargs="+", required=True, help="color episodes")
    parser.add_argument("--gray", nargs="+", required=True, help="episodes to measure on, in color")
    parser.add_argument(
        "--minutes", type=float, nargs=2, default=[15, 5], metavar=("PHOTOS", "SERIES")
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        for episodes, folder in ((args.color, "color"), (args.gray, "gray")):
            build_dataset(episodes, args.out / folder, BuildConfig(val=0, per_shot=6))
        weights = [train_network(name, args) for name in args.networks]
    except VidcolorError as error:
        print(f"seed_experiment: {error}", file=sys.stderr)
        return 1
    shards = args.out / "gray" / "train-*.tar"
    print(
        f"vidcolor evaluate pictures '{shards}' --config configs/evaluate/photos.toml --weights",
        *weights,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
