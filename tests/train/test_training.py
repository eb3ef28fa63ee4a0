import io
import itertools
import tarfile

import cv2
import numpy as np
import pytest
import torch

from vidcolor import cli
from vidcolor.errors import ConfigError, MediaError
from vidcolor.models.registry import create_model
from vidcolor.models.weights import load_model, read_card
from vidcolor.schema import load
from vidcolor.train.data import DataConfig, Pictures, TrainBatches, ab_of, lightness_of
from vidcolor.train.degrade import DegradeConfig, degrade, gray_signal
from vidcolor.train.fit import FitConfig, FitState, fit
from vidcolor.train.phases import Full, PhaseConfig
from vidcolor.train.run import TrainConfig, train
from vidcolor.train.validate import validate

PLAIN = DegradeConfig(stock=0, tone=0, blur=0, grain=0)


def _shard(path, count=6, side=48):
    """Pictures whose color follows from their brightness pattern, so that it can be learned."""
    rng = np.random.default_rng(3)
    with tarfile.open(path, "w") as archive:
        for number in range(count):
            noise = cv2.resize(rng.random((6, 6)).astype(np.float32), (side, side + 16))
            warm = noise > 0.5
            rgb = np.where(warm[..., None], (200, 120, 40), (40, 70, 160)).astype(np.uint8)
            data = cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes()
            entry = tarfile.TarInfo(f"set/{number}.png")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return str(path)


def _config(tmp_path, folder, **fit):
    shard = _shard(tmp_path / "a.tar")
    return load(
        TrainConfig,
        {
            "data": {
                "train": [shard], "val": [shard], "sizes": [32], "batch_size": 4, "workers": 0,
            },
            "model": {"width": 8},
            "fit": {"steps": 6, "warmup": 2, "ema": 0.5, **fit},
            "run": {"folder": str(tmp_path / folder), "save_every": 3, "val_every": 100,
                    "val_side": 32},
        },
    )  # fmt: skip


def _weights(folder):
    return torch.load(folder / "last.pt", weights_only=True)["model"]


def test_lightness_and_ab_agree_with_scikit_image():
    color = pytest.importorskip("skimage.color")
    rgb = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    gray = rgb[..., 0]
    expected = color.rgb2lab(np.repeat(gray[..., None], 3, 2))[..., 0]
    assert np.abs(lightness_of(gray) - expected).max() < 0.05
    assert np.abs(ab_of(rgb) - color.rgb2lab(rgb)[..., 1:]).max() < 0.6


def test_without_effects_the_gray_is_luma():
    rgb = np.random.default_rng(1).random((9, 7, 3)).astype(np.float32)
    outcomes = [degrade(rgb, PLAIN, np.random.default_rng(seed)) for seed in range(12)]
    lumas = [
        rgb @ np.array(w, np.float32) for w in ((0.2126, 0.7152, 0.0722), (0.299, 0.587, 0.114))
    ]
    hits = [[np.abs(gray - luma).max() < 1e-5 for luma in lumas] for gray in outcomes]
    assert all(any(row) for row in hits)
    assert {row.index(True) for row in hits} == {0, 1}


def test_film_is_seeded_in_range_and_blind_to_red_when_orthochromatic():
    rgb = np.zeros((16, 16, 3), np.float32)
    rgb[:, 8:, 2] = 0.8
    rgb[:, :8, 0] = 0.8
    film = DegradeConfig(stock=1, tone=1, blur=1, grain=1)
    one = degrade(rgb, film, np.random.default_rng(5))
    assert np.array_equal(one, degrade(rgb, film, np.random.default_rng(5)))
    assert not np.array_equal(one, degrade(rgb, film, np.random.default_rng(6)))
    assert one.min() >= 0
    assert one.max() <= 1
    assert gray_signal(rgb, (0.06, 0.58, 0.36))[0, 0] < 0.1


def test_batches_depend_on_seed_and_step_only(tmp_path):
    pictures = Pictures((_shard(tmp_path / "a.tar"),))
    config = DataConfig(train=("x",), sizes=(32,), batch_size=3)
    first = TrainBatches(pictures, config, DegradeConfig())
    again = TrainBatches(pictures, config, DegradeConfig())
    for step in (5, 0, 5):
        torch.testing.assert_close(first[step].lightness, again[step].lightness, atol=0, rtol=0)
    assert not torch.equal(first[0].lightness, first[1].lightness)
    # six pictures, three a step: two steps see every picture once
    assert sorted(first._numbers(0) + first._numbers(1)) == list(range(6))


def test_one_batch_is_learned_by_heart(tmp_path):
    pictures = Pictures((_shard(tmp_path / "a.tar"),))
    batch = TrainBatches(pictures, DataConfig(("x",), sizes=(32,), batch_size=4), PLAIN)[0]
    torch.manual_seed(0)
    config = FitConfig(steps=150, warmup=5, lr=5e-3, ema=0.5)
    state = FitState(Full(create_model("quarternet", width=16), PhaseConfig()), config)
    losses = [r.losses["smooth_l1"] for r in fit(state, itertools.repeat(batch), config)]
    assert len(losses) == 150
    assert losses[-1] < 0.1 * losses[0]
    torch.testing.assert_close(
        state.mean.module.head.weight, state.phase.model.head.weight, atol=1e-2, rtol=0.1
    )


def test_killed_and_resumed_equals_never_killed(tmp_path):
    for _ in train(_config(tmp_path, "whole")):
        pass
    broken = _config(tmp_path, "broken")
    for progress in train(broken):
        if progress.report.step == 4:  # one step after a save: it is done again
            break
    for _ in train(broken):
        pass
    whole, resumed = _weights(tmp_path / "whole"), _weights(tmp_path / "broken")
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_another_config_does_not_continue_a_run(tmp_path):
    for _ in train(_config(tmp_path, "run")):
        pass
    with pytest.raises(ConfigError, match="other settings"):
        next(iter(train(_config(tmp_path, "run", lr=1e-4))))


def test_validation_counts_color_only(tmp_path):
    pictures = Pictures((_shard(tmp_path / "a.tar"),))

    class Gray(torch.nn.Module):
        def forward(self, lightness):
            n, _, h, w = lightness.shape
            return torch.zeros(n, 2, h // 4, w // 4)

    scores = validate(Gray(), pictures, 32)
    assert scores.gain == 0
    assert scores.chroma == 0
    assert scores.chroma_true > 20


def test_missing_shards_are_named(tmp_path):
    with pytest.raises(MediaError, match="no such shard"):
        Pictures((str(tmp_path / "none-*.tar"),))
    (tmp_path / "bad.tar").write_bytes(b"nonsense" * 100)
    with pytest.raises(MediaError, match=r"bad\.tar: not a readable tar"):
        Pictures((str(tmp_path / "bad.tar"),))


def test_the_command_trains_resumes_and_exports(tmp_path, capsys):
    shard = _shard(tmp_path / "a.tar")
    config = tmp_path / "run.toml"
    config.write_text(
        f'[data]\ntrain = ["{shard}"]\nval = ["{shard}"]\nsizes = [32]\nbatch_size = 2\n'
        "workers = 0\n[model]\nwidth = 8\n[fit]\nsteps = 4\nwarmup = 1\n"
        f'[run]\nfolder = "{tmp_path / "run"}"\nval_side = 32\n[card]\nlicense = "mine"\n'
    )
    target = tmp_path / "out.safetensors"
    for _ in range(2):  # the second time there is nothing left to do
        assert cli.main(["train", "--config", str(config), "--export", str(target)]) == 0
    model, name = load_model(target)
    assert name == "quarternet"
    mean = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["mean"]
    torch.testing.assert_close(
        model.state_dict()["head.weight"], mean["module.head.weight"], atol=1e-3, rtol=1e-3
    )
    card = read_card(target)
    assert (card["steps"], card["license"]) == (4, "mine")
    assert card["validation"]["short_side"] == 32
    capsys.readouterr()
    assert cli.main(["train", "--config", str(config), "--fit.stps", "9"]) == 2
    assert "did you mean --fit.steps?" in capsys.readouterr().err
