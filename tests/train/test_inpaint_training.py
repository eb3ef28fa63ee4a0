"""Runs of networks that fill holes: they learn, hold what is to be held, resume exactly."""

import itertools
import json
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from made_shards import texture, write_shard
from parity.fixture import Fixture
from runs import assert_same_run, folder_of, maker, rows_of, run, state_of

from vidcolor.cli import main
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.holes.source import HolesConfig, HoleSource
from vidcolor.io.shards import Pictures
from vidcolor.models.partialconv import PartialConvUNet, compose
from vidcolor.models.weights import load_inpainter, read_card
from vidcolor.schema import load, merge, to_toml
from vidcolor.train.inpaint import watch
from vidcolor.train.inpaint.batch import HoleBatch
from vidcolor.train.inpaint.config import InpaintConfig, InpaintPhaseConfig
from vidcolor.train.inpaint.data import HoleBatches
from vidcolor.train.inpaint.phase import InpaintPhase
from vidcolor.train.inpaint.watch import InpaintWatch
from vidcolor.train.loop.fit import FitState, fit
from vidcolor.train.loop.optimize import FitConfig
from vidcolor.train.run import export, train

PLAIN = {"perceptual": 0.0, "style": 0.0}
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    members = {f"{number}.png": texture(number, (40, 56)) for number in range(5)}
    return write_shard(tmp_path_factory.mktemp("holes") / "a.tar", members)


@pytest.fixture
def config(pictures, tmp_path):
    """Makes configs of runs of four steps, saved every two."""

    def make(folder="run", **over):
        base = {
            "data": {"train": [pictures], "sizes": [32], "batch_size": 2, "workers": 0},
            "model": {"name": "partialconv", "width": 2, "settings": ["depth=3"]},
            "phase": PLAIN,
            "holes": {"kinds": ["thin_film"], "shares": "film"},
            "fit": {"steps": 4, "warmup": 1, "ema": 0.5, "precision": "float32"},
            "run": {"folder": str(tmp_path / folder), "save_every": 2, "val_every": 2,
                    "val_side": 32, "log_every": 1, "samples": 2, "device": "cpu"},
        }  # fmt: skip
        return load(InpaintConfig, merge(base, over))

    return make


def _net(seed=0, **settings):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return PartialConvUNet(**{"channels": 1, "depth": 3, "width": 8, **settings})


def _batch(count=2, side=32):
    image = np.stack([texture(n, (side, side), 16)[..., 0] for n in range(count)])[:, None]
    valid = torch.ones(count, 1, side, side)
    valid[..., 10:13, :] = 0
    valid[..., 20:26, 4:9] = 0
    return HoleBatch(torch.from_numpy(image).float() / 255, valid)


def _weights(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


@pytest.mark.parametrize("partial", [True, False], ids=["partial", "ordinary"])
def test_a_batch_is_learned_by_heart(partial):
    phase = InpaintPhase(_net(partial=partial), InpaintPhaseConfig(**PLAIN, tv=0.0))
    settings = FitConfig(steps=60, lr=1e-2, warmup=5, optimizer="adam", precision="float32")
    one = _batch()
    reports = list(fit(FitState(phase, settings), itertools.repeat(one), settings))
    first, last = reports[0].losses["hole"], reports[-1].losses["hole"]
    assert last < first / 8
    with torch.no_grad():
        filled = compose(one.image, one.valid, phase.colors(one))
    assert (filled - one.image).abs()[one.valid == 0].mean() < 0.05


def test_weighted_terms_are_minimized():
    phase = InpaintPhase(_net(), InpaintPhaseConfig(**PLAIN, valid=2.0, hole=3.0, tv=0.0))
    one = _batch()
    with torch.no_grad():
        values, answer = phase.losses(one)
    apart = (answer - one.image).abs()
    assert set(values) == {"valid", "hole"}
    torch.testing.assert_close(values["valid"], 2 * (apart * one.valid).mean())
    torch.testing.assert_close(values["hole"], 3 * (apart * (1 - one.valid)).mean())


@pytest.mark.parametrize("held", ["none", "statistics", "all"])
def test_norms_of_the_encoder_stay_to_the_bit_and_all_else_moves(held):
    settings = FitConfig(steps=3, lr=1e-3, warmup=0, optimizer="adam", precision="float32")
    phase = InpaintPhase(_net(), InpaintPhaseConfig(**PLAIN, freeze_norms=held))
    state = FitState(phase, settings)
    before = _weights(phase.model)
    for _ in fit(state, itertools.repeat(_batch()), settings):
        phase.model.train()  # as anybody may, between two steps
    for part in (phase.model, state.mean.module):
        after = part.state_dict()
        still = {key for key in before if torch.equal(before[key], after[key])}
        norms = {key for key in before if key.startswith("encoder.") and ".norm." in key}
        own = {key for key in norms if key.endswith((".weight", ".bias"))}
        assert len(norms) == 2 * 5
        assert len(own) == 2 * 2
        assert still == {"none": set(), "statistics": norms - own, "all": norms}[held]


def test_the_second_phase_is_in_the_mode_of_the_fixture(monkeypatch):
    """Public code's fine-tuning, recorded: statistics of the encoder stay, weights learn."""
    partialconv = pytest.importorskip("parity.partialconv")
    fix = Fixture(str(DATA / "parity_partialconv.npz"))
    case = fix.cases["unet_5_finetune"]
    made = partialconv._net(fix, case)

    def remade(given_fix, given_case):
        made.eval()
        InpaintPhase(made, InpaintPhaseConfig(**PLAIN, freeze_norms="statistics")).train_mode()
        return made

    monkeypatch.setattr(partialconv, "_net", remade)
    errors = list(partialconv.check_unet(fix, case))
    assert {"out", "loss", "grad_norms", "buffers"} <= {error.quantity for error in errors}
    assert [error for error in errors if error.bad] == []


def test_a_run_measures_saves_and_can_be_taken(config, pictures, tmp_path):
    one = config(data={"val": [pictures]}, card={"license": "mine"})
    found = list(train(one))
    assert [p.report.step for p in found] == [1, 2, 3, 4]
    assert [p.scores is not None for p in found] == [False, True, False, True]
    assert list(train(one)) == []
    folder = folder_of(one)
    card = read_card(folder / "last.safetensors")
    scores = found[3].scores
    assert (card["license"], card["steps"], card["pictures_seen"]) == ("mine", 4, 8)
    assert card["validation"]["psnr_holes"] == scores.psnr_holes
    assert card["validation"]["gain"] == scores.psnr_holes - scores.telea_holes
    assert {"valid", "hole", "tv"} < set(card["validation"])
    assert "perceptual" not in card["validation"]
    row = rows_of(one)[3]
    assert {"valid", "hole", "tv"} < set(row)
    assert set(row["val"]) > {"psnr", "telea_holes", "tv"}
    # gray with holes in white, filled, true
    strip = cv2.imread(str(folder / "samples" / "step-0000004-1.png"))
    assert strip.shape == (32, 3 * 40, 3)
    holed, filled, true = np.split(strip.astype(int), 3, axis=1)
    white = (holed == 255).all(axis=2) & (true != 255).any(axis=2)
    assert white.any()
    assert np.array_equal(filled[~white], true[~white])
    export(one, tmp_path / "mine.safetensors", "last")
    net = load_inpainter(tmp_path / "mine.safetensors")
    mean = {k.removeprefix("module."): v for k, v in state_of(one)["mean"].items()}
    for key, value in net.state_dict().items():
        torch.testing.assert_close(value, mean[key], atol=1e-3, rtol=1e-3)


def test_resume_is_never_having_stopped(config, pictures):
    whole, broken = (config(name, data={"val": [pictures]}) for name in ("whole", "broken"))
    assert run(whole) == [1, 2, 3, 4]
    # killed at step 3: what step 2 saved is all there is
    steps = train(broken)
    list(itertools.islice(steps, 3))
    state = (folder_of(broken) / "last.pt").read_bytes()
    steps.close()
    (folder_of(broken) / "last.pt").write_bytes(state)
    assert run(broken) == [3, 4]
    assert_same_run(whole, broken)


def test_closing_saves(config):
    one = config()
    steps = train(one)
    list(itertools.islice(steps, 3))
    steps.close()
    assert state_of(one)["step"] == 3
    assert run(one) == [4]


def test_batches_are_functions_of_seed_and_step(config, pictures, tmp_path):
    settings = config(data={"batch_size": 4})
    stored = Pictures((pictures,))
    whole = HoleBatches(stored, settings)[7]
    again = HoleBatches(stored, settings)[7]
    assert torch.equal(whole.image, again.image)
    assert torch.equal(whole.valid, again.valid)
    parts = [HoleBatches(stored, settings, (rank, 2))[7] for rank in range(2)]
    assert torch.equal(whole.image, torch.cat([part.image for part in parts]))
    assert torch.equal(whole.valid, torch.cat([part.valid for part in parts]))
    shard = write_shard(tmp_path / "one.tar", {"a.png": texture(3, (80, 80))})
    single = HoleBatches(Pictures((shard,)), config())
    crops = [crop for step in range(2) for crop in single[step].image]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(crops, 2))
    other = HoleBatches(stored, config(data={"batch_size": 4, "seed": 1}))[7]
    assert not torch.equal(whole.image, other.image)
    source = HoleSource(settings.holes)
    for slot in range(4):
        hole = source(7 * 4 + slot, (32, 32))
        assert hole.any()
        assert np.array_equal(whole.valid[slot, 0].numpy() == 0, hole)
    with pytest.raises(ConfigError, match="divided among 3"):
        HoleBatches(stored, settings, (0, 3))


def test_pictures_are_luma_and_grain_is_in_them(config, tmp_path):
    flat = np.full((40, 40, 3), (200, 100, 50), np.uint8)
    shard = write_shard(tmp_path / "flat.tar", {"a.png": flat})
    clean = HoleBatches(Pictures((shard,)), config(data={"train": [shard]}))[0].image
    lumas = [np.dot(w, (200, 100, 50)) / 255 for w in
             ((0.2126, 0.7152, 0.0722), (0.299, 0.587, 0.114))]  # fmt: skip
    for picture in clean:
        assert min(abs(float(picture.mean()) - luma) for luma in lumas) < 1e-5
        assert float(picture.std()) < 1e-6
    off = dict.fromkeys(("stock", "tone", "blur", "flicker", "scratches", "dust"), 0.0)
    off |= {"interlace": 0.0, "compression": 0.0, "grain": 1.0, "grain_strength": 0.1}
    grainy = HoleBatches(Pictures((shard,)), config(degrade=off))[0].image
    assert float(grainy.std(dim=(1, 2, 3)).max()) > 0.005


def test_color_pictures_are_seen_in_color(config, pictures):
    settings = config(model={"settings": ["depth=3", "channels=3"]}, data={"val": [pictures]})
    batch = HoleBatches(Pictures((pictures,)), settings)[0]
    assert batch.image.shape == (2, 3, 32, 32)
    assert float(batch.image.std(dim=1).mean()) > 0.05
    (*_, last) = train(settings)
    assert last.scores.telea_holes > 10


def test_measured_is_what_the_network_filled(config, pictures):
    """A network that knows the answer, off by one and a half codes, has the PSNR of one and two."""
    settings = config(data={"val": [pictures]})
    found = InpaintWatch(settings, 8, None)
    gray = [one.picture for one in found._set]

    class Knows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.number = 0

        def forward(self, image, valid):
            self.number += 1
            return torch.where(valid > 0, 0.0, image + 2 / 255)

    assert all(picture.shape == (32, 40) for picture in gray)
    scores = found.scores(Knows())
    assert max(int(picture.max()) for picture in gray) <= 253
    assert scores.psnr_holes == pytest.approx(20 * np.log10(255 / 2))
    shares = [one.hole.mean() for one in found._set]
    expected = np.mean([20 * np.log10(255 / 2) - 10 * np.log10(share) for share in shares])
    assert scores.psnr == pytest.approx(expected)
    assert scores.hole == pytest.approx(2 / 255 * np.mean(shares), rel=1e-4)
    telea = []
    for one in found._set:
        filled = cv2.inpaint(one.picture, one.hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
        error = (filled.astype(float) - one.picture)[one.hole]
        telea.append(10 * np.log10(255**2 / np.mean(error**2)))
    assert scores.telea_holes == pytest.approx(np.mean(telea))
    assert scores.gain == pytest.approx(scores.psnr_holes - np.mean(telea))


def test_holes_to_measure_on_are_not_those_of_training(config, pictures):
    settings = config(data={"val": [pictures]}, holes={"seed": 5})
    one = InpaintWatch(settings, 8, None)._set[0]
    other = InpaintWatch(config(data={"val": [pictures]}), 8, None)._set[0]
    assert np.array_equal(one.hole, other.hole)
    assert not np.array_equal(one.hole, HoleSource(settings.holes)(0, one.hole.shape))
    assert HolesConfig().seed != watch._SEED


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_all_hole_has_numbers(precision):
    phase = InpaintPhase(_net(), InpaintPhaseConfig(**PLAIN))
    phase.train_mode()
    one = _batch()
    empty = HoleBatch(one.image, torch.zeros_like(one.valid))
    with torch.autocast("cpu", precision):
        values, answer = phase.losses(empty)
    sum(values.values()).backward()
    assert answer.isfinite().all()
    assert all(value.isfinite() for value in values.values())
    gradients = [p.grad for _, p in phase.learns() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


TOML = """
phases = ["inpaint", "inpaint-2"]
[data]
train = ["{shard}"]
sizes = [32]
batch_size = 2
workers = 0
[model]
name = "partialconv"
width = 2
settings = ["depth=3"]
[phase]
perceptual = 0.0
style = 0.0
[holes]
kinds = ["thin_film"]
[fit]
steps = 2
lr = 2e-4
[run]
folder = "{folder}"
device = "cpu"
[inpaint-2.phase]
freeze_norms = "statistics"
[inpaint-2.fit]
lr = 5e-5
"""


def test_the_command_trains_both_phases(pictures, tmp_path, capsys):
    path, out = tmp_path / "film.toml", tmp_path / "film.safetensors"
    path.write_text(TOML.format(shard=pictures, folder=tmp_path / "run"))
    assert main(["train", "--config", str(path), "--export", str(out), "--quiet"]) == 0
    first, second = (tmp_path / "run" / name for name in ("inpaint", "inpaint-2"))
    kept = [tomllib.loads((folder / "config.toml").read_text()) for folder in (first, second)]
    assert [one["fit"]["lr"] for one in kept] == [2e-4, 5e-5]
    assert [one["phase"]["freeze_norms"] for one in kept] == ["none", "statistics"]
    assert kept[1]["phase"]["start_from"] == str(first)
    states = [
        load_inpainter(folder / "last.safetensors").state_dict() for folder in (first, second)
    ]
    for key in states[0]:
        if "running" in key:
            held = key.startswith("encoder.")
            assert torch.equal(states[0][key], states[1][key]) == held, key
    assert read_card(out)["phase"] == "inpaint"
    assert json.loads((second / "run.json").read_text())["starts"][0]["step"] == 0
    # keys are those of this kind, and flags too
    assert main(["train", "--config", str(path), "--keys"]) == 0
    keys = capsys.readouterr().out
    assert "holes.kinds" in keys
    assert "phase.freeze_norms" in keys
    assert "phase.delta" not in keys


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"phase": {"perceptual": -1.0}}, "perceptual must not be negative, not -1.0"),
        ({"phase": {"hole": 0.0}}, "hole is 0: nothing tells what lies in holes"),
        ({"phase": {"adversarial": 1.0}}, "phase.adversarial: unknown key"),
        ({"data": {"sizes": [36]}}, "data.sizes: this network takes multiples of 8, not 36"),
        ({"data": {"smallest_crop": 0.0}}, "expected 0 < smallest_crop <= largest_crop <= 1"),
        ({"data": {"batch_size": 0}}, "batch_size must be at least 1, not 0"),
        ({"run": {"val_side": 4}}, "run.val_side 4: this network takes at least 8 pixels"),
        ({"degrade": {"scratches": 0.5}}, "degrade.scratches: lies in the truth too"),
        (
            {"degrade": {"scratches": 0.0, "dust": 0.0}, "model": {"settings": ["channels=3"]},
             "data": {"sizes": [128]}, "run": {"val_side": 128}},
            "degrade.stock: film is gray",
        ),
        ({"model": {"settings": ["layer=odd"]}}, "layer must be partial, ordinary, not 'odd'"),
        ({"model": {"name": "starter"}}, "'starter'"),
        ({"model": {"name": "quarternet", "settings": []}}, "quarternet fills no holes"),
        ({"holes": {"kinds": ["stroke"]}}, "stroke"),
        ({"fit": {"accumulate": 3}}, "fit.accumulate 3 is more than the 2 pictures"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_a_line(config, over, words):
    with pytest.raises(ConfigError) as error:
        config(**over)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_what_does_not_fit_the_run_is_said(config, tmp_path, monkeypatch):
    one = config("one")
    assert run(one) == [1, 2, 3, 4]
    with pytest.raises(WeightsError, match=r"made with other settings than model\.\*"):
        run(config("two", phase={"start_from": str(folder_of(one))}, model={"width": 3}))
    with pytest.raises(ConfigError, match=r"phase\.hole was 6\.0, is 7\.0"):
        run(config("one", phase={"hole": 7.0}))
    with pytest.raises(ConfigError, match="holds a run of 'partialconv', not of 'quarternet'"):
        run(maker(one.data.train[0], tmp_path)("one"))
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=r"'vgg16' are not installed: no vgg16.*fetch vgg16"):
        run(config("three", phase={"perceptual": 0.05}))


def test_settings_can_be_saved_and_read_back(config):
    one = config(phase={"smoothed": "whole"}, model={"settings": ["depth=3", "layer=ordinary"]})
    assert load(InpaintConfig, tomllib.loads(to_toml(one))) == one
