"""Small runs, and what they left behind."""

import json
from pathlib import Path

import torch

from vidcolor.schema import load, merge
from vidcolor.train.run import TrainConfig, train


def maker(shard, root):
    """Makes configs of runs of six steps, saved every three."""

    def make(folder="run", **over):
        base = {
            "data": {"train": [shard], "val": [], "sizes": [32], "batch_size": 2, "workers": 0,
                     "crop": 32},
            "model": {"width": 8},
            "fit": {"steps": 6, "warmup": 2, "ema": 0.5, "precision": "float32"},
            "run": {"folder": str(root / folder), "save_every": 3, "val_every": 100,
                    "val_side": 32, "log_every": 1, "samples": 2, "device": "cpu"},
        }  # fmt: skip
        return load(TrainConfig, merge(base, over))

    return make


def folder_of(config):
    return Path(config.run.folder)


def run(config, **options):
    return [progress.report.step for progress in train(config, **options)]


def state_of(config):
    return torch.load(folder_of(config) / "last.pt", weights_only=True)


def rows_of(config):
    return [json.loads(line) for line in (folder_of(config) / "log.jsonl").open()]


def assert_same(a, b, where="state"):
    """Every number the same, to the bit, but for the clock."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a.keys() - {"seconds"}:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}.{i}")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b, where


def assert_same_run(one, other):
    assert_same(state_of(one), state_of(other))
    assert_same(rows_of(one), rows_of(other))
