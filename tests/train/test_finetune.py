"""Adapting weights to a series: what it learns, what it says, what it leaves behind."""

import cv2
import numpy as np
import pytest
import torch

from vidcolor.errors import ConfigError, MediaError, WeightsError
from vidcolor.io.shards import Pictures
from vidcolor.models.registry import create_model
from vidcolor.models.weights import load_model, read_card, save_weights
from vidcolor.train import finetune as module
from vidcolor.train.dataset.config import BuildConfig
from vidcolor.train.finetune import FinetuneConfig, finetune
from vidcolor.train.loop.fit import Report
from vidcolor.train.loop.keeper import Progress
from vidcolor.train.validate import Scores, validate


def _episode(folder, count, seed):
    """Pictures of one style: what is bright is orange, what is dark is blue."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        light = cv2.resize(rng.random((5, 7)).astype(np.float32), (112, 96))
        rgb = np.where(light[..., None] > 0.5, (230, 150, 70), (40, 60, 140))
        rgb = (rgb * (0.6 + 0.4 * light[..., None])).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:03}.png"), rgb[:, :, ::-1])
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(4)
    model = create_model("quarternet", width=8)
    path = tmp_path_factory.mktemp("w") / "small.safetensors"
    card = {"license": "of the test", "data": "nothing"}
    save_weights(path, model, "quarternet", {"width": 8}, card)
    return str(path)


def _config(weights, **settings):
    build = BuildConfig(
        val=0.25, short_side=96, least_side=32, least_difference=0, least_untoned=0,
        same_bits=0, alike_bits=0,
    )  # fmt: skip
    given = {"steps": 40, "every": 20, "batch_size": 8, "size": 32, "val_side": 64, "lr": 2e-2}
    return FinetuneConfig(weights=weights, set=build, device="cpu", **{**given, **settings})


def test_it_learns_the_series_and_says_so(tmp_path, weights):
    first, second = _episode(tmp_path / "ep1", 12, 1), _episode(tmp_path / "ep2", 12, 2)
    unseen = _episode(tmp_path / "ep3", 4, 3)
    out = tmp_path / "series.safetensors"
    told = []
    report = finetune([first, second], out, _config(weights), target=unseen, steps=told.append)
    assert report.before.chroma == 0
    assert report.after.psnr > report.before.psnr + 1
    assert sum(told) == 40
    assert report.set.total.train + report.set.total.val == 24
    assert report.written == (out, out.with_suffix(".png"))
    # the numbers are those of the file that was written, on pictures that were held back
    model, name = load_model(out)
    assert name == "quarternet"
    held = Pictures((str(tmp_path / "series.run" / "set" / "val-*.tar"),))
    assert len(held) == report.set.total.val > 1
    assert validate(model, held, 64).psnr == pytest.approx(report.after.psnr, abs=0.1)
    card = read_card(out)
    assert "ep1, ep2" in card["data"]
    assert card["license"] == "of the test"
    sheet = cv2.imread(str(out.with_suffix(".png")))
    assert sheet.shape[0] > 4 * 64
    assert sheet.shape[1] > 3 * 64
    text = report.table()
    assert f"{report.after.psnr:.2f} dB" in text
    assert "delta E 2000" in text


def test_where_it_does_not_help_nothing_is_written(tmp_path, weights):
    episode = _episode(tmp_path / "ep", 10, 1)
    out = tmp_path / "a.safetensors"
    report = finetune([episode], out, _config(weights, steps=4, every=2, least_gain=90.0))
    assert report.written == ()
    assert not out.exists()
    assert not out.with_suffix(".png").exists()


def test_it_stops_when_it_gets_worse(tmp_path, weights, monkeypatch):
    given = [2.0, 1.2, 1.6, 1.2, 1.1, 1.0, 5.0]
    seen = []

    def measured(run, stop):
        for step, gain in enumerate(given, 1):
            seen.append(gain)
            yield Progress(Report(step, {}, 0.1, 1.0), Scores(20 + gain, 20, 5, 9), step == 1)

    monkeypatch.setattr(module, "train", measured)
    config = _config(weights, patience=3, chance=2.0)
    run = module._run(config, tmp_path, ["ep"])
    # of 16 held-out pictures, 2 / 4 dB are chance
    module._train(run, config, 16, None, None)
    assert seen == given[:6]


def test_the_last_weights_are_taken_unless_the_best_beat_them_by_more_than_chance():
    assert [
        module._stale(gains, 0.5)
        for gains in (
            [1.0, 2.0, 1.6], [1.0, 2.0, 1.4], [2.0, 1.4, 1.3, 1.2], [2.0, 1.4, 1.6, 1.2], [2.0], []
        )
    ] == [0, 1, 3, 1, 0, 0]  # fmt: skip


def test_a_stopped_one_goes_on(tmp_path, weights):
    episode = _episode(tmp_path / "ep", 10, 1)
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    config = _config(weights, steps=8, every=4, least_gain=-90.0)
    finetune([episode], whole, config)
    done = []
    stopped = finetune([episode], broken, config, steps=done.append, stop=lambda: len(done) >= 3)
    assert stopped is None
    assert not broken.exists()
    assert finetune([episode], broken, config) is not None
    first, second = load_model(whole)[0].state_dict(), load_model(broken)[0].state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_what_is_there_is_not_replaced(tmp_path, weights):
    episode = _episode(tmp_path / "ep", 10, 1)
    out = tmp_path / "a.safetensors"
    out.write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists"):
        finetune([episode], out, _config(weights))
    assert out.read_bytes() == b"mine"


def test_what_cannot_work_is_said_at_once(tmp_path, weights):
    episode = _episode(tmp_path / "ep", 1, 1)
    out = tmp_path / "a.safetensors"
    with pytest.raises(ConfigError, match="give more shots"):
        finetune([episode], out, _config(weights))
    with pytest.raises(WeightsError):
        finetune([episode], out, _config("no-such-weights"))
    with pytest.raises(MediaError, match=r"\.safetensors"):
        finetune([episode], tmp_path / "a.pt", _config(weights))
    with pytest.raises(MediaError, match="no such file"):
        finetune([episode], out, _config(weights), target=tmp_path / "none.mkv")
    with pytest.raises(ConfigError, match=r"set\.val"):
        FinetuneConfig(set=BuildConfig(val=0))
