"""The training files of the papers: their numbers, and that each runs, made small."""

import math
from pathlib import Path

import pytest
from made_shards import texture, write_shard
from toys import narrow_vgg

from vidcolor.schema import read_toml
from vidcolor.train import phases
from vidcolor.train.features import Features
from vidcolor.train.plan import plan
from vidcolor.train.run import train

FILES = Path(__file__).parents[2] / "configs" / "train"
GAME = {"critic_pred", "critic_true"}

# file: width, settings, names of the losses of the first step of each run
SMALL = {
    "eccv16-paper": (4, None, [{"classes"}]),
    "iizuka16-paper": (2, ["space=lab", "labels=2"], [{"planes", "labels"}]),
    "hypercolumn-paper": (2, None, [{"dahl"}]),
    "residual-encoder-paper": (4, None, [{"dahl"}]),
    "title-hypercolumn": (2, None, [{"smooth_l1"}]),
    "title-residual-encoder": (4, None, [{"smooth_l1"}]),
    "ddcolor-paper": (
        4, ["variant=tiny"], [{"l1", "perceptual", "colorfulness", "adversarial"} | GAME],
    ),
    # the critic begins the game; the other trunk has fewer layers
    "deoldify-nogan-video": (2, ["variant=artistic"], [*[{"perceptual"}] * 4, GAME, GAME, GAME]),
}  # fmt: skip


def _plan(name):
    return plan(read_toml(FILES / f"{name}.toml"))


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    members = {f"{kind}/{i}.png": texture(i, (80, 96)) for i, kind in enumerate(("a", "b"))}
    return write_shard(tmp_path_factory.mktemp("papers") / "a.tar", members)


@pytest.mark.parametrize("name", SMALL)
def test_each_file_trains(name, shard, tmp_path, monkeypatch):
    monkeypatch.setattr(phases, "load_features", lambda kind: Features(narrow_vgg(), kind))
    width, settings, losses = SMALL[name]
    over = {
        "data": {"train": [shard], "val": [], "sizes": [64], "batch_size": 2, "workers": 0},
        "model": {"width": width} | ({} if settings is None else {"settings": settings}),
        "phase": {"start_from": "", "critic": {"width": 2}},
        "fit": {"steps": 1, "warmup": 0, "precision": "float32"},
        "run": {"folder": str(tmp_path / "run"), "device": "cpu"},
    }
    found = []
    for run in plan(read_toml(FILES / f"{name}.toml"), over):
        (progress,) = train(run)
        assert all(math.isfinite(value) for value in progress.report.losses.values())
        found.append(set(progress.report.losses))
    assert found == losses


def test_numbers_of_iizuka():
    (run,) = _plan("iizuka16-paper")
    assert (run.data.batch_size, run.data.sizes, run.fit.steps) == (128, (224,), 200_000)
    assert run.data.sizes[0] / run.data.smallest_crop == run.data.sizes[0] / run.data.largest_crop
    assert run.data.sizes[0] / run.data.largest_crop == 256
    assert run.phase.label_weight == 1 / 300
    assert run.model.builder_settings() == {"width": 64, "space": "lab", "labels": 205}


@pytest.mark.parametrize("space", ["yuv", "rgb"])
def test_the_comparison_of_color_spaces_is_a_flag_a_run(space):
    lab = _plan("iizuka16-paper")[0]
    over = {"model": {"settings": [f"space={space}", "labels=205"]}}
    (run,) = plan(read_toml(FILES / "iizuka16-paper.toml"), over)
    assert run.model.builder_settings()["space"] == space
    assert (run.data, run.fit, run.phase, run.degrade) == (
        lab.data, lab.fit, lab.phase, lab.degrade,
    )  # fmt: skip


def test_numbers_of_zhang_and_dahl():
    (zhang,) = _plan("eccv16-paper")
    assert (zhang.data.sizes, zhang.data.batch_size, zhang.fit.lr) == ((176,), 40, 3e-5)
    assert zhang.data.sizes[0] / zhang.data.largest_crop == 256
    assert zhang.fit.weight_decay == pytest.approx(1e-3 / (176 / 4) ** 2, rel=0.01)
    (dahl,) = _plan("residual-encoder-paper")
    assert (dahl.data.batch_size, dahl.fit.lr, dahl.fit.steps) == (6, 0.1, 156_000)
    assert (dahl.fit.optimizer, dahl.fit.momentum, dahl.fit.weight_decay) == ("sgd", 0.0, 0.0)


def test_numbers_of_ddcolor():
    (run,) = _plan("ddcolor-paper")
    assert (run.data.sizes, run.data.batch_size, run.fit.steps) == ((256,), 4 * 4, 400_000)
    assert run.fit.milestones == tuple(range(80_000, 360_001, 40_000))
    phase = run.phase
    assert 2 / phase.delta == 0.1  # of the mean over both planes
    assert (phase.perceptual, phase.adversarial, phase.colorfulness / 4) == (5.0, 1.0, 0.5)


@pytest.mark.parametrize(
    ("name", "cycles", "lr", "weight"),
    [("artistic", 6, 1e-5, 2.0), ("stable", 4, 2e-5, 1.5), ("video", 1, 5e-6, 1.5)],
)
def test_numbers_of_nogan(name, cycles, lr, weight):
    runs = _plan(f"deoldify-nogan-{name}")
    alone, games = runs[:4], [run for run in runs if run.phase.name == "finetune"]
    assert [run.data.sizes[0] for run in alone] == [64, 64, 128, 192]
    assert [run.fit.lr for run in alone] == [1e-3, 3e-4, 1e-4, 5e-5]
    assert [run.fit.lr * run.fit.slow_rate for run in alone[1:]] == pytest.approx(
        [3e-7, 1e-7, 5e-8]
    )
    images = 1_281_167
    parts = [run.fit.steps * run.data.batch_size / images for run in alone]
    assert parts == pytest.approx([1, 1, 1, 0.5], abs=1e-3)
    critics = [run for run in runs if run.phase.name == "critic"]
    epochs = [run.fit.steps * run.data.batch_size / (0.085 * images) for run in critics]
    assert epochs == pytest.approx([6, *[4] * cycles], abs=1e-3)
    assert [run.fit.critic_lr for run in critics] == [1e-3, *[1e-4] * cycles]
    assert len(games) == cycles
    for run in games:
        assert (run.fit.lr, run.phase.perceptual, run.phase.critic.until) == (lr, weight, 0.65)
        assert run.fit.critic_lr == pytest.approx(5 * lr)
        assert run.fit.betas == run.fit.critic_betas == (0.0, 0.9)
        assert run.fit.steps * run.data.batch_size / images <= 0.03
        assert "learn_encoder=false" in run.model.settings
    assert all("variant=artistic" in run.model.settings for run in runs) == (name == "artistic")
    assert all(run.degrade.speckle == (0.8 if name == "video" else 0) for run in runs)
