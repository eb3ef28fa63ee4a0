"""Records the small fixtures by which tests check color classes and the patch critic.

Usage: python scripts/record_parity_losses.py bins colorizers_zhang.npz tests/data/bins_zhang.npz
       python scripts/record_parity_losses.py critic NETWORKS.py tests/data/critic_pix2pix.npz

`bins` cuts rows out of a full fixture of the color classes of Zhang et al. `critic` runs the
reference discriminator: NETWORKS.py is `models/networks.py` of richzhang/colorization-pytorch at
commit 66a1cb2. Weights are made by a formula of their names (scripts/check_parity.py), so none
are stored.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

MOST_BYTES = 50_000
SALT = "colorizers-public-1"
ROWS = 10  # of logits, which fill most of the file
BINS = "formulas and released arrays of richzhang/colorization (Caffe branch), float64"
CRITIC = "richzhang/colorization-pytorch @66a1cb2, run on a CPU in float32"

# name, discriminator layers, width, norm, height and width of the color grid
CRITICS = [
    ("three_batch", 3, 16, "batch", (48, 40)),
    ("one_batch", 1, 16, "batch", (32, 32)),
    ("two_instance", 2, 16, "instance", (20, 24)),
]

Arrays = dict[str, Any]


def load(path: Path) -> ModuleType:
    """A Python file as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def bins(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Rows of a full fixture."""
    full = np.load(path)
    arrays = {f"zhang/{key}": full[key] for key in full.files}
    for key in ("logits", "mean_T1", "anneal_T038", "anneal_scale2606", "mode", "ce", "ce_weight"):
        arrays[f"zhang/{key}"] = full[key][:ROWS]
    arrays["zhang/weighted_ce_mean"] = (full["ce"][:ROWS] * full["ce_weight"][:ROWS]).mean()
    index = {
        "meta": {"salt": SALT, "source": BINS},
        "cases": [{"name": "zhang", "kind": "bins"}],
    }
    return index, arrays


def critics(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Scores, losses and the norm of the gradient of the reference discriminator."""
    reference, formula = load(path), load(Path(__file__).with_name("check_parity.py"))
    cases, arrays = [], {}
    for number, (name, layers, width, norm, (height, across)) in enumerate(CRITICS):
        kind = {
            "batch": functools.partial(nn.BatchNorm2d, affine=True),
            "instance": functools.partial(nn.InstanceNorm2d, affine=False),
        }[norm]
        net = reference.NLayerDiscriminator(3, width, layers, kind)
        for key, value in net.named_parameters():
            value.data = torch.from_numpy(formula.fan_in_recipe(SALT, key, tuple(value.shape)))
        rng = np.random.default_rng(number)
        # whole numbers are small on disk
        light8 = rng.integers(0, 101, (2, 1, height, across), np.uint8)
        true8, pred8 = rng.integers(-80, 81, (2, 2, 2, height, across), np.int8)
        lightness, true, pred = (torch.from_numpy(x).float() for x in (light8, true8, pred8))
        pred.requires_grad_()
        # its inputs: centered lightness by 100, a*b* by 110
        shade = (lightness - 50) / 100
        seen = net(torch.cat((shade, true / 110), 1))
        made = net(torch.cat((shade, pred / 110), 1))
        case = {"scores": seen}
        for loss in ("least_squares", "vanilla"):
            judge = reference.GANLoss(use_lsgan=loss == "least_squares")
            squash = torch.sigmoid if loss == "vanilla" else torch.nn.Identity()
            (gradient,) = torch.autograd.grad(judge(squash(made), True), pred, retain_graph=True)
            case |= {
                f"{loss}/true": judge(squash(seen), True) * 0.5,
                f"{loss}/pred": judge(squash(made), False) * 0.5,
                f"{loss}/generator": judge(squash(made), True),
                f"{loss}/gradnorm": gradient.double().norm(),
            }
        arrays |= {f"{name}/{key}": value.detach().numpy() for key, value in case.items()}
        inputs = {"lightness": light8, "ab_true": true8, "ab_pred": pred8}
        arrays |= {f"{name}/{key}": value for key, value in inputs.items()}
        cases.append(
            {"name": name, "kind": "critic", "layers": layers, "width": width, "norm": norm}
        )
    return {"meta": {"salt": SALT, "source": CRITIC}, "cases": cases}, arrays


def main(arguments: list[str] | None = None) -> int:
    """Write one fixture."""
    parser = argparse.ArgumentParser(description="Record what tests compare losses with.")
    parser.add_argument("kind", choices=("bins", "critic"))
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args(arguments)
    index, arrays = (bins if args.kind == "bins" else critics)(args.source)
    arrays["index_json"] = np.array(json.dumps(index))
    np.savez_compressed(args.output, **arrays)
    size = args.output.stat().st_size
    print(f"{args.output}: {len(index['cases'])} cases, {size} bytes")
    return 0 if size <= MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
