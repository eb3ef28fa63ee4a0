"""dataset, train and finetune as people run them."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vidcolor import cli
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights

TRAIN = """
phases = ["full", "instance", "fusion"]
[data]
train = ["{folder}/set/train-*.tar"]
val = ["{folder}/set/val-*.tar"]
sizes = [32]
crop = 32
batch_size = 4
workers = 0
[model]
width = 8
[fit]
steps = {steps}
warmup = 1
ema = 0.5
precision = "float32"
[run]
folder = "{folder}/runs"
val_every = {steps}
save_every = 100
val_side = 32
samples = 0
device = "cpu"
"""


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A folder with pictures, the set made of it, and small weights."""
    folder = tmp_path_factory.mktemp("series")
    (folder / "ep1").mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        rgb = cv2.resize(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8), (96, 80))
        cv2.imwrite(str(folder / "ep1" / f"{number:02}.png"), rgb)
    words = ["dataset", "build", str(folder / "ep1"), "--out", str(folder / "set")]
    keys = ["--val", "0.3", "--short_side", "64", "--least_side", "32", "--detector", "none"]
    assert cli.main([*words, *keys]) == 0
    torch.manual_seed(0)
    model = create_model("quarternet", width=8)
    save_weights(folder / "small.safetensors", model, "quarternet", {"width": 8}, {})
    return folder


def _file(folder, steps=3, at=None):
    path = (at or folder) / "train.toml"
    text = TRAIN.format(folder=folder, steps=steps)
    path.write_text(text.replace(f"{folder}/runs", f"{at or folder}/runs"))
    return path


def test_a_set_is_told_in_a_table_and_made_once(series, capsys):
    rows = [json.loads(line) for line in (series / "set" / "manifest.jsonl").open()]
    assert len(rows) == 12
    words = ["dataset", "build", str(series / "ep1"), "--out", str(series / "set")]
    keys = ["--val", "0.3", "--short_side", "64", "--least_side", "32", "--detector", "none"]
    before = {path.name: path.stat().st_mtime_ns for path in (series / "set").iterdir()}
    assert cli.main([*words, *keys]) == 0
    out, err = capsys.readouterr()
    assert "ep1" in out
    assert "was there already" in err
    assert {path.name: path.stat().st_mtime_ns for path in (series / "set").iterdir()} == before
    assert cli.main([*words, "--val", "0.5"]) == 1
    assert "other sources or settings" in capsys.readouterr().err


def test_a_sheet_of_film_effects(series, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    words = ["dataset", "preview", str(series / "set"), "--out", str(out), "--count", "2"]
    assert cli.main(words) == 0
    assert cv2.imread(str(out)).shape[0] > 300
    assert cli.main(words) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_three_phases_one_file_then_colors(series, tmp_path, capsys):
    path, out = _file(series, at=tmp_path), tmp_path / "mine.safetensors"
    assert cli.main(["train", "--config", str(path), "--export", str(out)]) == 0
    err = capsys.readouterr().err
    assert [f"phase {name} in" in err for name in ("full", "instance", "fusion")] == [True] * 3
    picture = series / "ep1" / "00.png"
    assert cli.main(["colorize", str(picture), str(tmp_path / "c.png"), "--weights", str(out)]) == 0
    assert cli.main(["train", "--config", str(path), "--quiet", "--fit.steps", "4"]) == 1
    assert "fit.steps was 3, is 4" in capsys.readouterr().err


_LONG = 200  # steps, of which a fast machine has not done all when the signal comes


def test_ctrl_c_saves_and_the_same_command_goes_on(series, tmp_path):
    path = _file(series, _LONG, tmp_path)
    words = ["train", "--config", str(path), "--phase", "full"]
    command = [sys.executable, "-m", "vidcolor.cli", *words]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    log = tmp_path / "runs" / "full" / "log.jsonl"
    until = time.monotonic() + 120
    while time.monotonic() < until and not (log.exists() and log.stat().st_size):
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    err = child.communicate(timeout=60)[1]
    assert child.returncode == 130, err
    assert "goes on from here" in err
    state = torch.load(tmp_path / "runs" / "full" / "last.pt", weights_only=True)
    assert 20 <= state["step"] < _LONG
    assert cli.main(words) == 0
    whole = tmp_path / "whole"
    whole.mkdir()
    unbroken = _file(series, _LONG, whole)
    assert cli.main(["train", "--config", str(unbroken), "--phase", "full"]) == 0
    first, second = (
        load_file(folder / "runs" / "full" / "last.safetensors") for folder in (tmp_path, whole)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_finetune_tells_before_and_after(series, tmp_path, capsys):
    out = tmp_path / "s.safetensors"
    words = ["finetune", "--on", str(series / "ep1"), "--out", str(out), "--device", "cpu"]
    words += ["--weights", str(series / "small.safetensors"), "--set.detect.detector", "none"]
    words += ["--steps", "4", "--every", "2", "--size", "32", "--val_side", "32"]
    words += ["--set.short_side", "64", "--set.least_side", "32", "--batch_size", "4"]
    assert cli.main([*words, "--least_gain", "-50"]) == 0
    text = capsys.readouterr().out
    assert "before" in text
    assert "delta E 2000" in text
    assert out.is_file()
    assert cli.main([*words, "--least_gain", "50", "--overwrite"]) == 1
    assert "nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["dataset", "build"], 2, "SOURCE is missing"),
        (["dataset"], 2, "ACTION"),
        (["dataset", "build", "no.mkv", "--out", "x"], 1, "no such file or folder"),
        (["train"], 2, "--config FILE is missing"),
        (["train", "--config", "no.toml"], 1, "cannot read the config"),
        (["finetune", "--out", "x.safetensors"], 2, "--on EPISODE... is missing"),
        (["finetune", "--on", "no.mkv", "--out", "x.pt"], 1, "weights end in .safetensors"),
        (["finetune", "--on", "a", "--out", "x.safetensors", "--step", "3"], 2, "--steps"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(words, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["train"], ["finetune"], ["dataset", "build"]])
def test_every_key_is_listed_with_its_meaning(command, capsys):
    assert cli.main([*command, "--keys"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 20
    assert all(line.startswith("--") for line in lines[::2])
    assert all(len(line.strip()) > 10 for line in lines[1::2])
