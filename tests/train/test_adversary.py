import importlib.util
import json
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from vidcolor.errors import ConfigError
from vidcolor.schema import load
from vidcolor.train.adversary import (
    Adversary,
    AdversaryConfig,
    PatchCritic,
    make_adversary,
    patch_layers,
)

ROOT = Path(__file__).parents[2]
NORMS = ["batch", "instance", "spectral"]


def _random(*shape, seed=0, scale=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype) * scale


def _critic(*settings, seed=0):
    torch.manual_seed(seed)
    return PatchCritic(*settings)


class Mean(nn.Module):
    """A critic whose scores can be told beforehand: `scale` times the mean of a."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, lightness, ab):
        return self.scale * ab[:, :1].mean((2, 3), keepdim=True)


# --- the critic ---------------------------------------------------------------------------------


def test_published_size():
    critic = PatchCritic()
    # 4x4 kernels: 3-64 with bias; 64-128, 128-256, 256-512 with two numbers of batch norm a
    # channel instead; 512-1 with bias
    expected = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 64 + 1
    assert sum(p.numel() for p in critic.parameters()) == expected + 2 * (128 + 256 + 512)
    with torch.no_grad():
        scores = critic(torch.zeros(1, 1, 256, 256), torch.zeros(1, 2, 256, 256))
    assert scores.shape == (1, 1, 30, 30)


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_score_looks_at_its_patch_only(layers, field):
    critic = _critic(layers, 4, "spectral").eval()  # which ties no cells together
    assert critic.receptive_field == field
    for part in critic.layers:
        if isinstance(part, nn.LeakyReLU):
            part.negative_slope = 1.0
    ab = torch.zeros(1, 2, 96, 96, requires_grad=True)
    scores = critic(torch.zeros(1, 1, 96, 96), ab)
    middle = scores.shape[2] // 2
    scores[0, 0, middle, middle].backward()
    touched = ab.grad.abs().sum((0, 1)).sum(1).nonzero().flatten()
    assert int(touched.max() - touched.min()) + 1 == field
    assert 0 < int(touched.min()) < int(touched.max()) < 95  # not cut by the border


def test_layers_follow_the_grid():
    sides = (16, 32, 33, 34, 64, 69, 70, 512)
    assert [patch_layers(side) for side in sides] == [1, 1, 1, 2, 2, 2, 3, 3]
    with pytest.raises(ConfigError, match="at least 16 cells, not 15; train on larger crops"):
        patch_layers(15)
    quarter = make_adversary(AdversaryConfig(width=8), 32).critic
    assert quarter(torch.zeros(1, 1, 128, 128), torch.zeros(1, 2, 32, 32)).shape == (1, 1, 14, 14)
    assert make_adversary(AdversaryConfig(width=8), 256).critic.receptive_field == 70
    assert make_adversary(AdversaryConfig(width=8, layers=2), 32).critic.receptive_field == 34


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_least_grid_gives_one_score(layers, norm):
    critic = _critic(layers, 2, norm)
    side = critic.least_side
    assert critic(torch.zeros(1, 1, 64, 64), torch.zeros(1, 2, side, side)).shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match=f"at least {side} cells"):
        critic(torch.zeros(1, 1, 64, 64), torch.zeros(1, 2, side, side - 1))


@torch.no_grad()
def test_lightness_is_averaged_over_cells():
    critic = _critic(1, 8, "spectral").eval()
    ab = _random(1, 2, 16, 24, scale=20)
    small = torch.rand(1, 1, 16, 24, generator=torch.Generator().manual_seed(1)) * 60 + 20
    large = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    # a checkerboard that is gone in the mean, but not where single pixels are taken
    y, x = torch.meshgrid(torch.arange(64), torch.arange(96), indexing="ij")
    large = large + 15.0 * ((-1.0) ** (x + y))
    scores = critic(small, ab)
    torch.testing.assert_close(critic(large, ab), scores, rtol=1e-4, atol=1e-5)
    assert float((critic(100 - small, ab) - scores).abs().max()) > 1e-3  # it is looked at


@pytest.mark.parametrize("norm", NORMS)
def test_evaluation_mode_scores_the_same(norm):
    critic = _critic(1, 4, norm)
    lightness, ab = torch.full((2, 1, 16, 16), 40.0), _random(2, 2, 16, 16, scale=20)
    for _ in range(60):  # until the vectors of spectral norm no longer move
        trained = critic(lightness, ab)
    torch.testing.assert_close(critic.eval()(lightness, ab), trained, rtol=1e-4, atol=1e-6)
    keys = set(critic.state_dict())
    assert not [key for key in keys if "running" in key]


@torch.no_grad()
def test_spectral_norm_bounds_every_layer():
    critic = _critic(2, 8, "spectral")
    for _ in range(60):
        critic(torch.zeros(1, 1, 16, 16), torch.zeros(1, 2, 16, 16))
    for part in critic.eval().layers:
        if isinstance(part, nn.Conv2d):
            largest = torch.linalg.matrix_norm(part.weight.flatten(1), 2)
            assert float(largest) == pytest.approx(1, rel=1e-3)


# --- the game -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["least_squares", "vanilla"])
def test_losses_by_hand(kind):
    game = Adversary(Mean(), kind)
    lightness = torch.zeros(1, 1, 4, 4)
    pred, true = torch.full((1, 2, 4, 4), 0.2), torch.full((1, 2, 4, 4), 0.7)
    low, high = 0.4, 1.4  # the scores
    if kind == "least_squares":
        wanted = {"pred": low**2 / 2, "true": (high - 1) ** 2 / 2, "generator": (low - 1) ** 2}
    else:
        wanted = {
            "pred": math.log1p(math.exp(low)) / 2,
            "true": math.log1p(math.exp(-high)) / 2,
            "generator": math.log1p(math.exp(-low)),
        }
    losses = game.critic_losses(lightness, pred, true)
    losses["generator"] = game.generator_loss(lightness, pred)
    assert losses.keys() == wanted.keys()
    for name, value in wanted.items():
        assert float(losses[name].detach()) == pytest.approx(value, rel=1e-6)


def test_each_side_learns_from_its_own_loss():
    game = Adversary(_critic(1, 4, "batch"))
    frozen = game.critic.layers[0].bias
    frozen.requires_grad_(False)
    lightness, true = torch.full((2, 1, 16, 16), 50.0), _random(2, 2, 16, 16, scale=30)
    pred = _random(2, 2, 16, 16, seed=1, scale=5).requires_grad_()
    game.generator_loss(lightness, pred).backward()
    assert float(pred.grad.abs().sum()) > 0
    assert all(p.grad is None for p in game.critic.parameters())
    assert all(p.requires_grad == (p is not frozen) for p in game.critic.parameters())
    pred.grad = None
    sum(game.critic_losses(lightness, pred, true).values()).backward()
    assert pred.grad is None
    moved = [p for p in game.critic.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in moved)
    assert float(game.critic.layers[0].weight.grad.abs().sum()) > 0


def test_critic_is_released_after_an_error():
    game = Adversary(_critic(1, 4, "batch"))
    with pytest.raises(ValueError, match="at least"):
        game.generator_loss(torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 4, 4))
    assert all(p.requires_grad for p in game.critic.parameters())


@pytest.mark.parametrize("kind", ["least_squares", "vanilla"])
@pytest.mark.parametrize("norm", NORMS)
def test_gradient_of_the_colorizer_is_right(norm, kind):
    critic = _critic(1, 2, norm).double().eval()
    lightness = 50 + _random(2, 1, 12, 12, scale=10, dtype=torch.float64)
    ab = _random(2, 2, 6, 6, scale=40, dtype=torch.float64).requires_grad_()
    game = Adversary(critic, kind)
    assert torch.autograd.gradcheck(lambda x: 100 * game.generator_loss(lightness, x), (ab,))


@pytest.mark.parametrize("norm", NORMS)
def test_critic_learns_to_tell_vivid_from_drab(norm):
    game = Adversary(_critic(1, 8, norm))
    optimizer = torch.optim.Adam(game.critic.parameters(), 2e-3, (0.5, 0.999))
    for step in range(60):
        lightness = 50 + _random(4, 1, 64, 64, seed=2 * step, scale=15)
        true = _random(4, 2, 4, 4, seed=2 * step + 1, scale=30).repeat_interleave(4, 2)
        true = true.repeat_interleave(4, 3)
        losses = game.critic_losses(lightness, 0.3 * true, true)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    # one half times one half squared twice, 1/4, is what it gets by guessing
    with torch.no_grad():
        assert float(sum(losses.values())) < 0.15
        vivid, drab = (game.generator_loss(lightness, part * true) for part in (1.0, 0.3))
    assert vivid < drab


@pytest.mark.parametrize("kind", ["least_squares", "vanilla"])
@pytest.mark.parametrize("norm", NORMS)
def test_half_precision_stays_finite(norm, kind):
    game = Adversary(_critic(1, 4, norm), kind)
    lightness = torch.full((2, 1, 64, 64), 100.0)
    pred = torch.full((2, 2, 16, 16), 128.0).bfloat16().requires_grad_()
    true = torch.zeros(2, 2, 16, 16)  # flat pictures: no deviation to divide by
    with torch.autocast("cpu", torch.bfloat16):
        loss = game.generator_loss(lightness, pred)
        losses = game.critic_losses(lightness, pred, true)
    total = sum(losses.values()) + loss
    assert {value.dtype for value in (loss, *losses.values())} == {torch.float32}
    total.backward()
    assert total.isfinite()
    assert pred.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in game.critic.parameters())


@pytest.mark.parametrize("kind", ["least_squares", "vanilla"])
def test_scores_of_half_precision_are_judged_in_float32(kind):
    class Half(Mean):
        def forward(self, lightness, ab):
            return super().forward(lightness, ab).bfloat16()

    ab = torch.full((1, 2, 2, 2), 0.125)
    exact = Adversary(Mean(), kind).generator_loss(ab[:, :1], ab)  # a score of 1/4 is not rounded
    ours = Adversary(Half(), kind).generator_loss(ab[:, :1], ab)
    assert ours.dtype == torch.float32
    assert torch.equal(ours, exact)


@torch.no_grad()
def test_vanilla_survives_a_sure_critic():
    game = Adversary(Mean(), "vanilla")
    sure = torch.full((1, 2, 2, 2), 5e3)
    lightness = torch.zeros(1, 1, 2, 2)
    assert float(game.generator_loss(lightness, -sure)) == pytest.approx(1e4)
    assert float(game.critic_losses(lightness, -sure, sure)["pred"]) == 0


def test_colors_on_different_grids_are_refused():
    with pytest.raises(ValueError, match="one grid"):
        Adversary(Mean()).critic_losses(
            torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 2, 2)
        )


# --- settings -----------------------------------------------------------------------------------


def test_settings_are_read_from_a_table():
    config = load(AdversaryConfig, {"kind": "vanilla", "layers": 2, "width": 8, "norm": "spectral"})
    game = make_adversary(config, 64)
    assert game.kind == "vanilla"
    assert game.critic.receptive_field == 34
    assert game.critic.layers[0].weight.shape == (8, 3, 4, 4)
    assert hasattr(game.critic.layers[0], "parametrizations")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "wasserstein"}, "kind must be"),
        ({"layers": 6}, "layers must be"),
        ({"width": 0}, "width must be"),
        ({"norm": "layer"}, "norm must be"),
    ],
)
def test_wrong_settings_are_told(settings, message):
    with pytest.raises(ConfigError, match=message):
        AdversaryConfig(**settings)


def test_misuse_is_told():
    with pytest.raises(ConfigError, match="at least 24 cells, not 20"):
        make_adversary(AdversaryConfig(layers=3), 20)
    with pytest.raises(ValueError, match="needs layers and width"):
        PatchCritic(layers=0)
    with pytest.raises(ValueError, match="no adversary of kind 'hinge'"):
        Adversary(Mean(), "hinge")


# --- the reference ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parity():
    path = ROOT / "scripts/check_parity.py"
    spec = importlib.util.spec_from_file_location("parity_critic", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["parity_critic"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fixture(parity):
    return parity.Fixture(str(ROOT / "tests/data/critic_pix2pix.npz"))


@pytest.mark.parametrize("name", ["three_batch", "one_batch", "two_instance"])
def test_recorded_numbers_of_the_reference(parity, fixture, name):
    errors = parity.check(fixture, fixture.cases[name])
    games = ("least_squares", "vanilla")
    assert {error.quantity for error in errors} == {"scores"} | {
        f"{kind}/{part}" for kind in games for part in ("true", "pred", "generator", "gradnorm")
    }
    assert not [error for error in errors if error.bad]


def test_a_mistake_is_seen(parity, fixture, monkeypatch):
    monkeypatch.setattr("vidcolor.train.adversary._SLOPE", 0.1)
    errors = parity.check(fixture, fixture.cases["one_batch"])
    assert [error for error in errors if error.bad]


def test_record_is_small_and_names_its_source(parity, fixture):
    assert (ROOT / "tests/data/critic_pix2pix.npz").stat().st_size <= 50_000
    meta = json.loads(str(fixture.arrays["index_json"]))["meta"]
    assert meta["source"].startswith("richzhang/colorization-pytorch @66a1cb2")
