"""The parts together: a real network learns, and the command does it all."""

import itertools
import logging

import pytest
import torch
from made_shards import texture, write_shard

from vidcolor import cli
from vidcolor.io.shards import Pictures
from vidcolor.models.registry import create_model, model_spec
from vidcolor.models.weights import load_model, read_card
from vidcolor.train.data.batches import TrainBatches
from vidcolor.train.data.config import DataConfig
from vidcolor.train.degrade import DegradeConfig
from vidcolor.train.loop.fit import FitConfig, FitState, fit
from vidcolor.train.phases import PhaseConfig, make_phase


@pytest.mark.parametrize("phase", ["full", "finetune"])
def test_one_batch_is_learned_by_heart(shard, phase):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = create_model("quarternet", width=16)
    spec = model_spec("quarternet")
    learned = make_phase(PhaseConfig(name=phase), model, spec, 32)
    pictures = Pictures((shard,))
    data = DataConfig(("x",), sizes=(32,), batch_size=2, crop=32)
    batch = TrainBatches(pictures, data, DegradeConfig(), view=learned.view, stride=spec.stride)[0]
    config = FitConfig(steps=60, warmup=3, lr=1e-2, ema=0.5, precision="float32")
    state = FitState(learned, config)
    losses = [r.losses["smooth_l1"] for r in fit(state, itertools.repeat(batch), config)]
    assert len(losses) == 60
    assert losses[-1] < 0.3 * losses[0]


def test_the_command_trains_resumes_and_exports(tmp_path, caplog, capsys):
    shard = write_shard(tmp_path / "a.tar", {f"{i}.png": texture(i) for i in range(4)})
    config = tmp_path / "run.toml"
    config.write_text(
        f'[data]\ntrain = ["{shard}"]\nval = ["{shard}"]\nsizes = [32]\nbatch_size = 2\n'
        "workers = 0\n[model]\nwidth = 8\n[fit]\nsteps = 4\nwarmup = 1\n"
        f'[run]\nfolder = "{tmp_path / "run"}"\nval_side = 32\n[card]\nlicense = "mine"\n'
    )
    target = tmp_path / "out.safetensors"
    caplog.set_level(logging.INFO, "vidcolor")
    for _ in range(2):  # the second time there is nothing left to do
        assert cli.main(["train", "--config", str(config), "--export", str(target)]) == 0
    model, name = load_model(target)
    assert name == "quarternet"
    mean = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["mean"]
    torch.testing.assert_close(
        model.state_dict()["last.head.weight"],
        mean["module.last.head.weight"],
        atol=1e-3,
        rtol=1e-3,
    )
    card = read_card(target)
    assert (card["steps"], card["license"]) == (4, "mine")
    assert card["validation"]["short_side"] == 32
    capsys.readouterr()
    assert cli.main(["train", "--config", str(config), "--fit.stps", "9"]) == 2
    assert "did you mean --fit.steps?" in capsys.readouterr().err
