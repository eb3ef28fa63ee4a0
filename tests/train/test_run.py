import itertools
import json
import shutil
import sys

import cv2
import numpy as np
import pytest
import torch
from made_shards import flat, texture, write_shard
from runs import assert_same, folder_of, rows_of, run, state_of

from vidcolor.errors import ConfigError, WeightsError
from vidcolor.io.shards import Pictures
from vidcolor.models.registry import create_model
from vidcolor.models.weights import identify, load_model, read_card
from vidcolor.train.data.batch import Batch
from vidcolor.train.data.batches import TrainBatches
from vidcolor.train.loop.watch import Watch
from vidcolor.train.prior import class_weights
from vidcolor.train.run import ModelConfig, export, train
from vidcolor.train.validate import Scores

# --- the folder ---------------------------------------------------------------------------------


def test_a_done_run_is_left_alone(whole, caplog):
    before = {path: path.stat().st_mtime_ns for path in folder_of(whole).rglob("*")}
    with caplog.at_level("INFO", "vidcolor"):
        assert run(whole) == []
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder_of(whole)}: done, 6 steps"
    ]
    assert before == {path: path.stat().st_mtime_ns for path in folder_of(whole).rglob("*")}


def test_another_config_does_not_continue_a_run(config, whole):
    shutil.copytree(folder_of(whole), folder_of(config()))
    with pytest.raises(ConfigError, match=r"other settings \(fit\.lr was 0\.003, is 0\.1\)"):
        run(config(fit={"lr": 0.1}))
    free = config(run={"save_every": 2, "log_every": 2}, card={"data": "x"})
    assert run(free) == []


def test_weights_of_a_run_that_broke_before_it_saved_do_not_stay(config, whole, tmp_path):
    one = config(run={"save_every": 6})
    folder_of(one).mkdir()
    shutil.copy(folder_of(whole) / "last.safetensors", folder_of(one) / "best.safetensors")
    with pytest.raises(ConfigError, match="holds weights but no run"):
        run(one)
    shutil.copy(folder_of(whole) / "config.toml", folder_of(one))
    with pytest.raises(ConfigError, match=r"other settings \(fit\.lr"):
        run(config(fit={"lr": 0.1}))
    run(one)  # nothing is measured here
    assert not (folder_of(one) / "best.safetensors").exists()


def test_a_batch_without_numbers_is_told_and_counted(config, monkeypatch, caplog):
    draw = TrainBatches.__getitem__

    def drawn(self, step):
        batch = draw(self, step)
        return Batch(batch.lightness * float("nan"), batch.ab) if step == 1 else batch

    monkeypatch.setattr(TrainBatches, "__getitem__", drawn)
    one = config(fit={"steps": 3})
    assert [p.report.skipped for p in train(one)] == [False, True, False]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "step 2: no finite loss or gradient; that batch is left out"
    ]
    rows = rows_of(one)
    assert (rows[1]["smooth_l1"], rows[1]["grad_norm"]) == (None, None)
    assert [row.get("skipped") for row in rows] == [None, 1, 1]
    assert rows[2]["smooth_l1"] > 0


def test_what_a_run_leaves_behind(config, shard):
    one = config(
        data={"val": [shard]}, run={"val_every": 3}, card={"license": "mine", "limits": "all"}
    )
    progress = list(train(one))
    folder = folder_of(one)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    pictures = {f"samples/step-000000{step}-{i}.png" for step in (3, 6) for i in (0, 1)}
    assert names == pictures | {
        "config.toml", "run.json", "log.jsonl", "card.md",
        "last.pt", "last.safetensors", "best.safetensors",
    }  # fmt: skip
    assert [p.report.step for p in progress if p.scores] == [3, 6]
    rows = rows_of(one)
    assert rows[2]["val"]["psnr"] == progress[2].scores.psnr
    assert rows[5]["val"]["gain"] == pytest.approx(progress[5].scores.gain)
    assert "val" not in rows[1]
    (begin,) = json.loads((folder / "run.json").read_text())["starts"]
    assert (begin["torch"], begin["device"], begin["precision"], begin["processes"]) == (
        torch.__version__, "cpu", "float32", 1,
    )  # fmt: skip
    model, name = load_model(folder / "last.safetensors")
    assert name == "quarternet"
    mean = {k.removeprefix("module."): v for k, v in state_of(one)["mean"].items()}
    kept = model.state_dict()
    for key in kept:
        if key.startswith("encoder"):
            torch.testing.assert_close(kept[key], mean[key], atol=1e-3, rtol=1e-3)
    # the net of close-ups, whose phase is still to come, begins as that of pictures
    decoder = {key: value for key, value in kept.items() if key.startswith("decoder.")}
    assert decoder
    for key, value in decoder.items():
        assert torch.equal(kept[f"close.{key}"], value), key
    card = read_card(folder / "last.safetensors")
    assert (card["phase"], card["steps"], card["license"], card["pictures_seen"]) == (
        "full", 6, "mine", 12,
    )  # fmt: skip
    assert card["validation"]["psnr"] == progress[5].scores.psnr
    page = (folder / "card.md").read_text()
    for words in ("## License\n\nmine", "## Limits\n\nall", "| steps | 6 of 6 |", "lr = 0.003"):
        assert words in page
    # gray, colored, true: of the first and the fourth of six pictures
    strip = cv2.imread(str(folder / "samples" / "step-0000006-1.png"))[:, :, ::-1]
    assert strip.shape == (32, 96, 3)
    expected = cv2.resize(texture(3), (32, 32), interpolation=cv2.INTER_AREA)
    assert np.array_equal(strip[:, 64:], expected)
    gray = strip[:, :32].astype(int)
    assert np.abs(gray - gray.mean(2, keepdims=True)).max() <= 1


def test_best_are_the_weights_of_the_highest_gain_also_after_a_break(config, shard, monkeypatch):
    gains = {2: 1.0, 4: 3.0, 6: 2.0}
    weights = {}

    def scores(self, model):
        step = len(weights) * 2 + 2
        weights[step] = model.encoder.stem[0].weight.detach().clone()
        return Scores(10 + gains[step], 10.0, 1.0, 2.0)

    monkeypatch.setattr(Watch, "scores", scores)
    one = config(data={"val": [shard]}, run={"val_every": 2})
    best = [p.best for p in itertools.islice(train(one), 5)]
    assert best == [False, True, False, True, False]
    assert [p.best for p in train(one)] == [False]
    source = folder_of(one) / "best.safetensors"
    kept = load_model(source)[0].encoder.stem[0].weight
    torch.testing.assert_close(kept, weights[4], atol=1e-3, rtol=1e-3)
    assert not torch.allclose(kept, weights[6], atol=1e-3, rtol=1e-3)
    assert read_card(source)["validation"] == {
        "gain": 3.0, "psnr": 13.0, "psnr_gray": 10.0, "chroma": 1.0, "chroma_true": 2.0,
        "step": 4, "short_side": 32,
    }  # fmt: skip
    assert "| best weights | step 4 |" in (folder_of(one) / "card.md").read_text()


def test_the_latest_may_be_the_best_and_all_be_kept(config, shard, monkeypatch):
    gains = iter((3.0, 2.0, 1.0))
    monkeypatch.setattr(Watch, "scores", lambda self, model: Scores(10 + next(gains), 10.0, 1, 2))
    over = {"data": {"val": [shard]}, "run": {"val_every": 2, "best": "latest", "keep": True}}
    one = config(**over)
    assert [p.best for p in train(one)] == [False, True] * 3
    folder = folder_of(one)
    kept = {path.name for path in folder.glob("step-*.safetensors")}
    assert kept == {f"step-000000{step}.safetensors" for step in (2, 4, 6)}
    states = [load_model(folder / f"step-000000{step}.safetensors")[0] for step in (2, 6)]
    best = load_model(folder / "best.safetensors")[0].state_dict()
    assert_same(best, states[1].state_dict())
    assert not torch.equal(best["decoder.whole.0.weight"], states[0].decoder.whole[0].weight)
    assert read_card(folder / "step-0000002.safetensors")["validation"]["gain"] == 3.0
    changed = {**over, "run": {**over["run"], "best": "gain"}}
    with pytest.raises(ConfigError, match=r"run\.best was 'latest', is 'gain'"):
        run(config(**changed))


def test_export_gives_best_or_last_with_new_words(config, shard, tmp_path):
    one = config(data={"val": [shard]}, run={"val_every": 6})
    with pytest.raises(WeightsError):
        export(one, tmp_path / "none.safetensors", "last")
    run(one)
    changed = config(data={"val": [shard]}, run={"val_every": 6}, card={"license": "new"})
    for which in ("best", "last"):
        export(changed, tmp_path / "out.safetensors", which)
        source = load_model(folder_of(one) / f"{which}.safetensors")[0].state_dict()
        assert_same(load_model(tmp_path / "out.safetensors")[0].state_dict(), source)
    assert identify(tmp_path / "out.safetensors")[2] == {"width": 8}
    assert read_card(tmp_path / "out.safetensors")["license"] == "new"


# --- the beginning ------------------------------------------------------------------------------


def test_a_phase_starts_from_the_weights_of_another_run_once(config, whole, tmp_path):
    shutil.copytree(folder_of(whole), tmp_path / "first")
    begin = load_model(tmp_path / "first" / "last.safetensors")[0].state_dict()
    start = {"name": "instance", "start_from": str(tmp_path / "first")}
    second = config("second", phase=start, fit={"steps": 3})
    steps = train(second)
    next(steps)
    steps.close()
    shutil.rmtree(tmp_path / "first")  # from now on nobody needs it
    assert run(second) == [2, 3]
    learned = state_of(second)["model"]
    encoder = [key for key in begin if key.startswith("encoder.")]
    assert encoder
    for key in encoder:  # what the phase leaves as it was
        assert torch.equal(learned[key], begin[key]), key
    third = config("third", phase=start)
    with pytest.raises(WeightsError, match="first"):
        run(third)
    (tmp_path / "first").mkdir()
    with pytest.raises(WeightsError, match=r"neither best\.safetensors nor last"):
        run(third)


def test_settings_of_the_builder_are_checked():
    model = ModelConfig("instcolor", 8, ("fuse_without_boxes=false", "mask_cent = 0.25"))
    assert model.builder_settings() == {
        "width": 8, "fuse_without_boxes": False, "mask_cent": 0.25,
    }  # fmt: skip
    assert create_model("instcolor", **model.builder_settings()).full is not None
    for settings, message in {
        ("outwards=true",): "did you mean 'outward'",
        ("width=3",): "no setting 'width' here",
        ("outward",): '"key=value"',
        ("outward=true", "outward=false"): "twice",
        ("outward=perhaps",): "'perhaps' is not bool",
    }.items():
        with pytest.raises(ConfigError, match=message):
            ModelConfig("instcolor", 8, settings)
    with pytest.raises(ConfigError, match="did you mean 'quarternet'"):
        ModelConfig("quarternt")


def test_parts_of_a_batch_are_at_least_one_picture(config):
    with pytest.raises(ConfigError, match=r"fit.accumulate 3"):
        config(fit={"accumulate": 3})


def test_rare_colors_weigh_more(tmp_path):
    # three pictures of one class, one of another, as two colors that lie far apart
    red, blue = (200, 40, 40), (40, 60, 200)
    members = {f"{i}.png": flat(color) for i, color in enumerate((red, red, red, blue))}
    pictures = Pictures((write_shard(tmp_path / "a.tar", members),))
    centers = torch.tensor([[60.0, 40.0], [33.0, -80.0]])
    weights = class_weights(pictures, centers, 0.5)
    # (p + 1/2)/2 of 3/4 and 1/4: weights go as 1/0.625 to 1/0.375, their mean is 1
    ratio = 0.625 / 0.375
    expected = torch.tensor([1.0, ratio]) / (0.75 + 0.25 * ratio)
    torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-3)


# --- TensorBoard --------------------------------------------------------------------------------


def test_tensorboard_says_what_to_install(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"pip install 'vidcolor\[tensorboard\]'"):
        run(config(run={"tensorboard": True}))


def test_tensorboard_gets_curves_and_pictures(config, shard):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    one = config(data={"val": [shard]}, run={"val_every": 3, "tensorboard": True})
    for _ in itertools.islice(train(one), 4):
        pass
    run(one)
    events = EventAccumulator(str(folder_of(one) / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/smooth_l1")] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in events.Scalars("val/gain")] == [3, 6]
    assert [event.step for event in events.Images("sample 0")] == [3, 6]
