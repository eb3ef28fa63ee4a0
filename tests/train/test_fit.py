import copy
import itertools
import math

import pytest
import torch
from torch import nn
from toys import batch, toy, weights

from vidcolor.errors import ConfigError, VidcolorError, WeightsError
from vidcolor.train.data.batch import Batch
from vidcolor.train.loop.fit import DivergenceError, FitConfig, FitState, fit
from vidcolor.train.loop.optimize import rate

PLAIN = {"warmup": 0, "schedule": "constant", "precision": "float32", "clip": 0.0, "ema": 0.5}


def config(steps=4, **settings):
    return FitConfig(steps, **{**PLAIN, **settings})


def state_of(settings, **phase):
    return FitState(toy(**phase), settings)


def run(state, settings, batches=None, **options):
    numbered = (batch(step) for step in itertools.count(state.step))
    return list(fit(state, numbered if batches is None else batches, settings, **options))


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def spoiled(one):
    return Batch(one.lightness * math.nan, one.ab)


# --- schedule -----------------------------------------------------------------------------------


def test_rates_are_those_of_the_formulas():
    cosine = FitConfig(12, warmup=2)
    assert [rate(step, cosine) for step in (0, 1, 2, 7)] == pytest.approx([0.5, 1, 1, 0.5])
    assert rate(11, cosine) == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.9)))
    # Su et al.'s code: 1 - max(0, e + 1 - level) / (line + 1), with 2 level and 4 in line
    linear = FitConfig(6, schedule="linear", warmup=0, constant=2)
    expected = [1, 1, 4 / 5, 3 / 5, 2 / 5, 1 / 5]
    assert [rate(step, linear) for step in range(6)] == pytest.approx(expected)
    steps = FitConfig(9, schedule="step", warmup=0, milestones=(3, 5), gamma=0.5)
    assert [rate(step, steps) for step in (0, 2, 3, 4, 5, 8)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    level = FitConfig(9, schedule="constant", warmup=4)
    assert [rate(step, level) for step in (0, 3, 4, 8)] == [0.25, 1, 1, 1]


def test_the_rate_reaches_optimizer_and_report():
    settings = config(schedule="step", milestones=(1,), lr=0.5, optimizer="adam")
    state = state_of(settings)
    assert [report.lr for report in run(state, settings)] == [0.5, *[pytest.approx(0.05)] * 3]
    assert [group["lr"] for group in state.optimizer.param_groups] == pytest.approx([0.05] * 2)


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"lr": math.nan}, {"betas": (0.9,)}, {"betas": (0.9, 1.0)}, {"ema": 1.0},
     {"clip": -1.0}, {"accumulate": 0}, {"constant": 11}, {"milestones": (5, 5)}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        FitConfig(**{"steps": 10, **wrong})


# --- one step -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)]
)
def test_a_step_is_that_of_torch(name, kind):
    settings = config(3, optimizer=name, lr=0.01, weight_decay=0.1, betas=(0.8, 0.9), clip=0.3)
    state = state_of(settings, norm=False)
    other = toy(norm=False)
    learning = [p for _, p in other.learns()]
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    theirs = kind(groups, lr=0.01, betas=(0.8, 0.9))
    norms = []
    for step in range(3):
        theirs.zero_grad()
        other.losses(batch(step))[0]["l2"].backward()
        norms.append(float(nn.utils.clip_grad_norm_(learning, 0.3)))
        theirs.step()
    reports = run(state, settings)
    assert max(norms) > 0.3
    assert [report.grad_norm for report in reports] == pytest.approx(norms)
    for key, value in other.model.state_dict().items():
        torch.testing.assert_close(weights(state)[key], value)


def test_only_what_learns_moves_and_all_of_it():
    settings = config()
    state = state_of(settings)
    before = weights(state)
    run(state, settings)
    moved = {key for key, value in weights(state).items() if not torch.equal(value, before[key])}
    assert moved == {key for key in before if not key.startswith("instance")}


def test_the_mean_forgets_by_its_decay():
    settings = config(3, ema=0.75)
    state = state_of(settings)
    seen = [weights(state)["last.bias"] for _ in fit(state, map(batch, range(3)), settings)]
    expected = seen[0]
    for value in seen[1:]:
        expected = 0.75 * expected + 0.25 * value
    torch.testing.assert_close(state.mean.module.last.bias, expected)
    assert not torch.allclose(expected, seen[-1])


def test_one_batch_is_learned_by_heart():
    settings = config(150, lr=0.03, warmup=5)
    state = state_of(settings)
    losses = [r.losses["l2"] for r in run(state, settings, itertools.repeat(batch(0)))]
    assert len(losses) == 150
    assert losses[-1] < 0.05 * losses[0]


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_parts_of_a_batch_add_up_to_the_batch(parts):
    whole, pieces = config(3), config(3, accumulate=parts)
    one, other = state_of(whole, norm=False), state_of(pieces, norm=False)
    for a, b in zip(run(one, whole), run(other, pieces), strict=True):
        assert b.losses == pytest.approx(a.losses, rel=1e-5)
        assert b.grad_norm == pytest.approx(a.grad_norm, rel=1e-5)
    for key, value in weights(one).items():
        torch.testing.assert_close(weights(other)[key], value)


def test_bfloat16_computes_in_bfloat16_and_keeps_float32():
    settings = config(2, precision="bfloat16")
    state = state_of(settings)
    kinds = []
    state.phase.model.last.register_forward_hook(lambda m, i, o: kinds.append(o.dtype))
    run(state, settings)
    assert set(kinds) == {torch.bfloat16}
    floats = [v for v in weights(state).values() if v.is_floating_point()]
    assert {v.dtype for v in floats} == {torch.float32}


def test_float16_is_for_cuda():
    with pytest.raises(ConfigError, match="CUDA"):
        state_of(config(precision="float16"))


def test_the_scale_of_float16_is_found_without_counting_as_bad():
    settings = config(30, bad_steps=1, lr=0.01)
    plain, scaled = state_of(settings), state_of(settings)
    # the scaler of float16, which CPUs lack, on float32, whose range ends at 2^128
    scaled.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126)
    loud = Batch(batch(0).lightness, 30 * batch(0).ab)
    reports = run(scaled, settings, itertools.repeat(loud))
    left_out = sum(report.skipped for report in reports)
    assert reports[0].skipped
    assert 0 < left_out < 20
    assert (scaled.skipped, scaled.bad) == (left_out, 0)
    run(plain, settings, itertools.repeat(loud, 30 - left_out))
    for key, value in weights(plain).items():
        torch.testing.assert_close(weights(scaled)[key], value)
    again = state_of(settings)
    again.scaler = torch.amp.GradScaler("cpu")
    again.load_state_dict(scaled.state_dict())
    assert again.scaler.get_scale() == scaled.scaler.get_scale()


# --- numbers that are none ----------------------------------------------------------------------


def test_a_bad_batch_leaves_no_trace():
    settings = config(5, optimizer="adamw")
    clean, hurt = state_of(settings), state_of(settings)
    run(clean, settings, [batch(0), batch(1), batch(2)])
    reports = run(
        hurt, settings, [batch(0), spoiled(batch(9)), batch(1), spoiled(batch(9)), batch(2)]
    )
    assert [report.skipped for report in reports] == [False, True, False, True, False]
    assert (hurt.step, hurt.skipped, hurt.bad) == (5, 2, 0)
    one, other = clean.state_dict(), hurt.state_dict()
    assert equal(one["model"], other["model"])
    assert equal(one["mean"], other["mean"])
    moments = [
        [v for entry in s["optimizer"]["state"].values() for v in entry.values()]
        for s in (one, other)
    ]
    assert all(map(torch.equal, *moments))


def test_an_infinite_gradient_of_a_finite_loss_is_left_out():
    settings = config(2)
    state = state_of(settings)
    state.phase.model.last.bias.register_hook(lambda gradient: gradient * math.inf)
    before = weights(state)
    (first, _) = run(state, settings)
    assert first.skipped
    assert math.isfinite(first.losses["l2"])
    assert equal(before, weights(state))


def test_too_many_bad_batches_in_a_row_stop_with_advice():
    settings = config(9, bad_steps=3)
    state = state_of(settings)
    bad = spoiled(batch(0))
    steps = fit(state, [bad, bad, batch(0), bad, bad, bad], settings)
    assert [report.skipped for report in itertools.islice(steps, 5)] == [
        True,
        True,
        False,
        True,
        True,
    ]
    with pytest.raises(DivergenceError, match=r"3 steps up to step 6: lower\s+fit.lr"):
        next(steps)
    assert issubclass(DivergenceError, VidcolorError)
    assert all(v.isfinite().all() for v in weights(state).values())


def test_an_interrupted_step_never_was():
    settings = config(3)
    state, other = state_of(settings), state_of(settings)
    whole = run(other, settings)

    def interrupt(gradient):
        raise KeyboardInterrupt

    steps = fit(state, map(batch, range(3)), settings)
    next(steps)
    before = weights(state)
    handle = state.phase.model.first.weight.register_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(steps)
    handle.remove()
    assert state.whole
    assert equal(before, weights(state))
    assert [state.step, *(r.step for r in run(state, settings))] == [1, 2, 3]
    assert equal(weights(state), weights(other))
    assert whole[-1].step == 3


# --- going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("critic", [False, True])
def test_going_on_from_a_state_changes_no_bit(critic):
    settings = config(6, optimizer="adamw", warmup=2, schedule="cosine", accumulate=2)
    whole = state_of(settings, dropout=0.5, critic=critic)
    run(whole, settings, map(lambda s: batch(s, side=16), range(6)), seed=3)
    first = state_of(settings, dropout=0.5, critic=critic)
    steps = fit(first, (batch(s, side=16) for s in range(6)), settings, seed=3)
    list(itertools.islice(steps, 3))
    kept = copy.deepcopy(first.state_dict())
    torch.rand(7)  # what others draw meanwhile does not matter
    second = state_of(settings, seed=5, dropout=0.5, critic=critic)
    second.load_state_dict(kept)
    run(second, settings, [batch(s, side=16) for s in range(3, 6)], seed=3)
    one, other = whole.state_dict(), second.state_dict()
    for key in ("model", "mean", *(["critic"] if critic else [])):
        assert equal(one[key], other[key]), key
    assert one["step"] == other["step"] == 6


def test_what_layers_draw_depends_on_the_seed_and_not_on_the_caller():
    settings = config(2)
    states = [state_of(settings, dropout=0.5) for _ in range(3)]
    for state, seed in zip(states, (0, 0, 1), strict=True):
        torch.manual_seed(id(state) % 1000)
        before = torch.get_rng_state()
        run(state, settings, seed=seed)
        assert torch.equal(before, torch.get_rng_state())
    assert equal(weights(states[0]), weights(states[1]))
    assert not equal(weights(states[0]), weights(states[2]))


def test_bad_batches_are_counted_across_a_break():
    settings = config(9, bad_steps=3)
    state, other = state_of(settings), state_of(settings)
    bad = spoiled(batch(0))
    run(state, settings, [bad, batch(0), bad, bad])
    other.load_state_dict(state.state_dict())
    assert (other.step, other.skipped, other.bad) == (4, 3, 2)
    with pytest.raises(DivergenceError, match="3 steps up to step 5"):
        run(other, settings, [bad])


def test_the_state_of_another_network_is_refused():
    settings = config()
    state = state_of(settings)
    with pytest.raises(WeightsError, match="another version or network"):
        state.load_state_dict({**state.state_dict(), "model": {}})


def test_the_loop_ends_when_asked():
    settings = config(9)
    state = state_of(settings)
    reports = run(state, settings, stop=lambda: state.step >= 2)
    assert [(report.step, report.halted) for report in reports] == [
        (1, False), (2, False), (3, True),
    ]  # fmt: skip


# --- a critic -----------------------------------------------------------------------------------


def test_critic_and_network_learn_each_from_its_own_loss():
    settings = config(2, lr=1e-2, critic_lr=1e-2, optimizer="adam")
    state = state_of(settings, critic=True, norm=False)
    other = toy(critic=True, norm=False)
    other.adversary.critic.load_state_dict(state.critic.state_dict())
    ours = torch.optim.Adam([p for _, p in other.learns()], 1e-2)
    critics = torch.optim.Adam(other.adversary.critic.parameters(), 1e-2, (0.5, 0.999))
    for step in range(2):
        one = batch(step, side=16)
        ours.zero_grad()
        losses, pred = other.losses(one)
        sum(losses.values()).backward()
        critics.zero_grad()
        sum(other.adversary.critic_losses(one.lightness, pred.detach(), one.ab).values()).backward()
        ours.step()
        critics.step()
    reports = run(state, settings, [batch(step, side=16) for step in range(2)])
    assert set(reports[0].losses) == {"l2", "adversarial", "critic_pred", "critic_true"}
    for key, value in other.model.state_dict().items():
        torch.testing.assert_close(weights(state)[key], value)
    for key, value in other.adversary.critic.state_dict().items():
        torch.testing.assert_close(state.critic.state_dict()[key], value)


def test_a_critic_without_numbers_is_a_bad_step_too():
    settings = config(2)
    state = state_of(settings, critic=True)
    next(state.critic.parameters()).register_hook(lambda gradient: gradient * math.nan)
    before, critic = weights(state), copy.deepcopy(state.critic.state_dict())
    reports = run(state, settings, [batch(0, side=16), batch(1, side=16)])
    assert all(report.skipped for report in reports)
    assert equal(before, weights(state))
    assert equal(critic, state.critic.state_dict())
