"""Critics of pictures, critics that learn alone, and games in turns."""

import copy
import itertools
import math

import pytest
import torch
from made_shards import texture, write_shard
from runs import assert_same_run, folder_of, maker, rows_of, run, state_of
from toys import Painter, batch, toy, weights

from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models.registry import ModelSpec
from vidcolor.models.weights import load_model, read_card
from vidcolor.train.adversary import Adversary, AdversaryConfig, make_adversary, picture_of
from vidcolor.train.critics import DdcolorCritic, DeoldifyCritic, color_enhanced
from vidcolor.train.loop.fit import FitConfig, FitState, fit
from vidcolor.train.losses import rgb_of
from vidcolor.train.phases import PhaseConfig, make_phase
from vidcolor.train.plan import plan
from vidcolor.train.run import train

PLAIN = {"warmup": 0, "schedule": "constant", "precision": "float32", "clip": 0.0, "ema": 0.5}
SPEC = ModelSpec("painter", Painter, 1, False, False, None, 32, 32, "", 2)


class Redness(torch.nn.Module):
    """A critic of pictures whose scores can be told: the mean of red, times a weight."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, rgb):
        return self.scale * rgb[:, 0].mean((1, 2))[:, None]


def _colors(seed=0, side=8):
    generator = torch.Generator().manual_seed(seed)
    lightness = 30 + 40 * torch.rand(2, 1, 2 * side, 2 * side, generator=generator)
    ab = 15 * torch.randn(2, 2, 2, side, side, generator=generator)
    return lightness, ab[0], ab[1]


# --- critics of pictures ------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_critics_of_pictures_see_what_lightness_and_color_make(share):
    game = Adversary(Redness(), "vanilla", pictures=True, enhance=1.2, share=share)
    lightness, pred, true = _colors()
    red = {
        "pred": rgb_of(lightness, pred)[:, 0].mean((1, 2)),
        "true": color_enhanced(rgb_of(lightness, true), 1.2)[:, 0].mean((1, 2)),
    }
    wanted = {
        "pred": share * red["pred"].exp().log1p().mean(),
        "true": share * (-red["true"]).exp().log1p().mean(),
    }
    with torch.no_grad():
        losses = game.critic_losses(lightness, pred, true)
    torch.testing.assert_close(losses, wanted)
    pred.requires_grad_()
    loss = game.generator_loss(lightness, pred)
    torch.testing.assert_close(loss, (-red["pred"]).exp().log1p().mean())
    loss.backward()
    assert float(pred.grad.abs().sum()) > 0
    assert game.critic.scale.grad is None


def test_true_pictures_are_left_alone_unless_asked():
    lightness, _, true = _colors()
    bright = lightness + 40  # some of it outside sRGB
    assert float(rgb_of(bright, true).max()) > 1
    assert torch.equal(picture_of(bright, true), rgb_of(bright, true))
    assert float(picture_of(bright, true, 1.2).max()) == 1


def test_the_critic_is_made_as_asked():
    config = AdversaryConfig("ddcolor", "vanilla", width=2)
    game = make_adversary(config, 32, 2, 1.2)
    assert isinstance(game.critic, DdcolorCritic)
    lightness, pred, true = _colors(side=32)
    game.critic.eval()
    with torch.no_grad():
        scores = game.critic(picture_of(lightness, true, 1.2))
        losses = game.critic_losses(lightness, pred, true)
    assert scores.shape == (2, 1)
    expected = (-scores).exp().log1p().mean()  # DDColor sums both losses
    torch.testing.assert_close(losses["true"], expected)
    game = make_adversary(AdversaryConfig("deoldify", "vanilla", width=2, until=0.65), 64)
    assert isinstance(game.critic, DeoldifyCritic)
    assert game.until == 0.65
    lightness, pred, true = _colors(side=64)
    game.critic.eval()
    with torch.no_grad():
        expected = (-game.critic(rgb_of(lightness, true))).exp().log1p().mean() / 2
        torch.testing.assert_close(game.critic_losses(lightness, pred, true)["true"], expected)
    with pytest.raises(ConfigError, match="ddcolor needs pictures of at least 64 pixels, not 48"):
        make_adversary(config, 24, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "dragan"}, "network must be patch, ddcolor or deoldify"),
        ({"network": "ddcolor", "layers": 2}, "layers and norm are for the patch critic"),
        ({"network": "deoldify", "norm": "spectral"}, "layers and norm are for the patch critic"),
        ({"until": -1.0}, "until must not be negative"),
        ({"until": math.nan}, "until must not be negative"),
    ],
)
def test_wrong_critics_are_told(settings, message):
    with pytest.raises(ConfigError, match=message):
        AdversaryConfig(**settings)
    with pytest.raises(ConfigError, match="start_critic: there is no critic"):
        PhaseConfig(start_critic="x")
    with pytest.raises(ConfigError, match="enhance must be positive"):
        PhaseConfig(enhance=0.0)
    with pytest.raises(ConfigError, match="enhance: nobody sees true pictures"):
        PhaseConfig(enhance=1.2, adversarial=1.0)


# --- turns --------------------------------------------------------------------------------------


def _settings(steps, **more):
    return FitConfig(steps, **{**PLAIN, "optimizer": "adam", "lr": 1e-2, **more})


def _state(settings, **of_toy):
    return FitState(toy(norm=False, critic=True, **of_toy), settings)


def _moved(state, settings, count):
    """Of each step: who learned, and the losses."""
    batches = (batch(step, side=16) for step in itertools.count(state.step))
    found = []
    for _, report in zip(range(count), fit(state, batches, settings), strict=False):
        now = {"network": weights(state), "critic": copy.deepcopy(state.critic.state_dict())}
        found.append((now, report))
    return found


def _who(before, after):
    return {
        name
        for name in ("network", "critic")
        if any(not torch.equal(after[name][key], before[name][key]) for key in before[name])
    }


def _turns(state, settings, count):
    first = {"network": weights(state), "critic": copy.deepcopy(state.critic.state_dict())}
    found = _moved(state, settings, count)
    places = [first, *(now for now, _ in found)]
    return [_who(a, b) for a, b in itertools.pairwise(places)], [report for _, report in found]


def test_the_critic_learns_until_it_is_sure_then_the_network_a_step():
    settings = _settings(9, critic_lr=1e-2)
    # least squares of a critic that guesses is near 1/2 + ...: everything below 100 is sure
    who, reports = _turns(_state(settings, until=100.0), settings, 4)
    assert who == [{"critic"}, {"network"}, {"critic"}, {"network"}]
    assert [set(report.losses) for report in reports[:2]] == [
        {"critic_pred", "critic_true"},
        {"l2", "adversarial"},
    ]
    # never sure
    who, _ = _turns(_state(settings, until=1e-6), settings, 4)
    assert who == [{"critic"}] * 4
    # both, in each step
    who, _ = _turns(_state(settings), settings, 2)
    assert who == [{"critic", "network"}] * 2


def test_sure_is_a_loss_below_the_limit():
    settings = _settings(8, critic_lr=3e-2)
    state = _state(settings, until=0.3)
    who, reports = _turns(state, settings, 8)
    for now, report, after in zip(who, reports, who[1:], strict=False):
        if now == {"critic"}:
            total = report.losses["critic_pred"] + report.losses["critic_true"]
            assert after == ({"network"} if total < 0.3 else {"critic"})
        else:
            assert after == {"critic"}
    assert {"network"} in who
    assert who[:2] == [{"critic"}, {"critic"}]  # it was not sure from the start


def test_the_mean_moves_with_the_network_only():
    settings = _settings(3)
    state = _state(settings, until=1e-6)
    before = copy.deepcopy(state.mean.state_dict())
    _turns(state, settings, 3)
    torch.testing.assert_close(state.mean.state_dict(), before, rtol=0, atol=0)


def test_going_on_in_the_middle_of_turns_changes_no_bit():
    settings = _settings(6, critic_lr=1e-2)
    whole = _state(settings, until=100.0)
    _turns(whole, settings, 6)
    first = _state(settings, until=100.0)
    _turns(first, settings, 3)
    assert first.sure  # the network's turn comes next
    second = _state(settings, until=100.0, seed=5)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    _turns(second, settings, 3)
    for key in ("model", "mean", "critic"):
        torch.testing.assert_close(
            second.state_dict()[key], whole.state_dict()[key], rtol=0, atol=0
        )


def test_a_bad_batch_in_the_critics_turn_leaves_no_trace():
    settings = _settings(3)
    state = _state(settings, until=100.0)
    one = batch(0, side=16)
    bad = type(one)(one.lightness * math.nan, one.ab)
    before = weights(state), copy.deepcopy(state.critic.state_dict())
    reports = list(fit(state, [bad, one, one], settings))
    assert [report.skipped for report in reports] == [True, False, False]
    assert set(reports[1].losses) == {"critic_pred", "critic_true"}
    state = _state(settings, until=100.0)
    list(fit(state, [bad], settings))
    torch.testing.assert_close((weights(state), state.critic.state_dict()), before, rtol=0, atol=0)
    assert state.bad == 1


# --- the critic alone ---------------------------------------------------------------------------


def test_in_its_own_phase_only_the_critic_learns():
    torch.manual_seed(1)
    config = PhaseConfig(
        name="critic", loss="planes", label_weight=0.1, critic=AdversaryConfig(width=4)
    )
    phase = make_phase(config, Painter(), SPEC, 64)
    assert list(phase.learns()) == []
    settings = _settings(4, critic_lr=2e-3)
    state = FitState(phase, settings)
    batches = [
        type(one)(one.lightness, one.ab[:, :, ::2, ::2])
        for one in (batch(s, side=64) for s in range(4))
    ]
    first = {"network": weights(state), "critic": copy.deepcopy(state.critic.state_dict())}
    reports = list(fit(state, batches, settings))
    last = {"network": weights(state), "critic": state.critic.state_dict()}
    assert _who(first, last) == {"critic"}
    assert [set(r.losses) for r in reports] == [{"critic_pred", "critic_true"}] * 4
    assert [r.lr for r in reports] == [2e-3] * 4
    assert all(r.grad_norm > 0 for r in reports)
    # and it learns by Adam, from what the network says of the batch
    again = make_phase(config, Painter(), SPEC, 64)
    again.model.load_state_dict(first["network"])
    critic = again.adversary.critic
    critic.load_state_dict(first["critic"])
    adam = torch.optim.Adam(critic.parameters(), 2e-3, (0.5, 0.999))
    for one in batches:
        pred = torch.nn.functional.interpolate(
            again.model(one.lightness), size=32, mode="bilinear", align_corners=False
        )
        adam.zero_grad()
        sum(again.adversary.critic_losses(one.lightness, pred, one.ab).values()).backward()
        adam.step()
    torch.testing.assert_close(critic.state_dict(), last["critic"])


# --- whole runs ---------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path):
    members = {f"{i}.png": texture(i, (96, 96)) for i in range(4)}
    return write_shard(tmp_path / "a.tar", members)


GAME = {"network": "deoldify", "kind": "vanilla", "width": 2, "until": 0.65}
NOGAN = {
    "data": {"sizes": [64]},
    "model": {"name": "residual_encoder", "width": 2},
    "phase": {"critic": GAME},
}


def test_a_plan_of_nogan_hands_the_critic_on(pictures, tmp_path):
    text = {
        **NOGAN,
        "phases": ["full", "full-2", "critic", "finetune", "critic-2", "finetune-2"],
        "data": {"train": [pictures], "sizes": [64], "batch_size": 2, "workers": 0},
        "fit": {"steps": 2, "warmup": 0, "precision": "float32"},
        "run": {"folder": str(tmp_path / "nogan"), "device": "cpu", "log_every": 1},
        "full-2": {"data": {"batch_size": 1}},
        "finetune": {"phase": {"adversarial": 1.0}},
        "finetune-2": {"phase": {"adversarial": 1.0}},
    }
    runs = plan(text)
    assert [one.phase.name for one in runs] == [
        "full", "full", "critic", "finetune", "critic", "finetune",
    ]  # fmt: skip
    base = tmp_path / "nogan"
    assert [one.run.folder for one in runs] == [str(base / name) for name in text["phases"]]
    assert [one.phase.start_from for one in runs] == ["", *(one.run.folder for one in runs[:-1])]
    assert [one.phase.start_critic for one in runs] == [
        "", "", "", *(str(base / name) for name in ("critic", "finetune", "critic-2")),
    ]  # fmt: skip
    assert [one.data.batch_size for one in runs[:3]] == [2, 1, 2]
    assert plan(text, only="critic-2") == [runs[4]]
    assert [run(one) for one in runs] == [[1, 2]] * 6
    # the critic leaves the network alone, and the game begins with both
    before, between = (load_model(base / n / "last.safetensors")[0] for n in ("full-2", "critic"))
    torch.testing.assert_close(between.state_dict(), before.state_dict(), rtol=0, atol=0)
    assert read_card(base / "critic" / "last.safetensors")["phase"] == "critic"
    taught, played = (state_of(one)["critic"] for one in runs[2:4])
    learned = [key for key in taught if not key.endswith(("weight_u", "weight_v"))]
    away = max(float((taught[key] - played[key]).abs().max()) for key in learned)
    assert 0 < away < 3 * 2e-4  # two steps of Adam at most, where a new critic's are all others


def test_a_critic_is_gone_on_with_or_refused(pictures, tmp_path):
    config = maker(pictures, tmp_path)
    measured = {"data": {**NOGAN["data"], "val": [pictures]}, "run": {"val_every": 1}}
    first = config("first", **{**NOGAN, **measured, "phase": {"name": "critic", "critic": GAME}})
    assert run(first) == [1, 2, 3, 4, 5, 6]
    assert not (folder_of(first) / "best.safetensors").exists()
    assert set(rows_of(first)[0]) == {
        "step", "seconds", "lr", "grad_norm", "critic_pred", "critic_true",
    }  # fmt: skip
    game = {"name": "full", "adversarial": 1.0, "critic": GAME}
    start = {"start_critic": str(folder_of(first))}
    still = config("still", **{**NOGAN, "phase": {**game, **start}, "fit": {"critic_lr": 1e-30}})
    steps = train(still)
    next(steps)
    steps.close()
    taught, ours = state_of(first)["critic"], state_of(still)["critic"]
    learned = {key for key in taught if not key.endswith(("weight_u", "weight_v"))}
    assert learned
    assert all(torch.equal(taught[key], ours[key]) for key in learned)
    wider = {**game, **start, "critic": {**GAME, "width": 3}}
    with pytest.raises(WeightsError, match=r"start_critic .*first: its critic was made with other"):
        run(config("wider", **{**NOGAN, "phase": wider}))
    lost = {**game, "start_critic": str(tmp_path / "none")}
    with pytest.raises(WeightsError, match=r"none: has no last\.pt; train that run first"):
        run(config("lost", **{**NOGAN, "phase": lost}))
    alone = config("alone", model=NOGAN["model"])
    run(alone)
    lost = {**game, "start_critic": str(folder_of(alone))}
    with pytest.raises(WeightsError, match="alone: that run has no critic"):
        run(config("lost", **{**NOGAN, "phase": lost}))


@pytest.mark.parametrize("name", ["critic", "full"])
def test_killed_and_resumed_equals_never_killed_with_a_critic(pictures, tmp_path, name):
    config = maker(pictures, tmp_path)
    phase = {"name": name, "critic": {**GAME, "until": 5.0}}
    phase |= {"adversarial": 1.0} if name == "full" else {}
    over = {**NOGAN, "phase": phase, "fit": {"steps": 4, "critic_betas": [0.0, 0.9]}}
    whole, killed = config("whole", **over), config("killed", **over)
    assert run(whole) == [1, 2, 3, 4]
    steps = train(killed)
    next(steps)
    steps.close()
    assert state_of(killed)["sure"]
    assert run(killed) == [2, 3, 4]
    assert_same_run(whole, killed)
