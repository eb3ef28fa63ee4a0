"""Optimizers and schedules against those of torch."""

import itertools

import pytest
import torch
from toys import batch, toy, weights

from vidcolor.errors import ConfigError
from vidcolor.train.loop.fit import FitConfig, FitState, fit
from vidcolor.train.loop.optimize import rate

PLAIN = {"warmup": 0, "schedule": "constant", "precision": "float32", "clip": 0.0, "ema": 0.5}


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        ({"optimizer": "adadelta", "lr": 1.0, "weight_decay": 0.01},
         lambda groups: torch.optim.Adadelta(groups, lr=1.0, rho=0.95, eps=1e-6)),
        ({"optimizer": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 0.01},
         lambda groups: torch.optim.SGD(groups, lr=0.02, momentum=0.9)),
        ({"optimizer": "sgd", "lr": 0.1, "weight_decay": 0.01},
         lambda groups: torch.optim.SGD(groups, lr=0.1)),
    ],
    ids=["adadelta", "momentum", "sgd"],
)  # fmt: skip
def test_a_step_is_that_of_torch(settings, theirs):
    config = FitConfig(4, **{**PLAIN, **settings})
    state, other = FitState(toy(norm=False), config), toy(norm=False)
    learning = [p for _, p in other.learns()]
    optimizer = theirs(
        [
            {"params": [p for p in learning if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
        ]
    )
    before = weights(state)
    for step in range(4):
        optimizer.zero_grad()
        other.losses(batch(step))[0]["l2"].backward()
        optimizer.step()
    list(fit(state, map(batch, range(4)), config))
    for key, value in other.model.state_dict().items():
        torch.testing.assert_close(weights(state)[key], value)
    assert not torch.equal(weights(state)["last.weight"], before["last.weight"])


def test_weight_decay_is_none_unless_asked_but_for_adamw():
    for name, decay in (("adamw", 0.02), ("adam", 0.0), ("sgd", 0.0), ("adadelta", 0.0)):
        state = FitState(toy(), FitConfig(4, optimizer=name))
        assert [g["weight_decay"] for g in state.optimizer.param_groups] == [decay, 0.0]


@pytest.mark.parametrize(("steps", "warmup"), [(20, 6), (9, 8), (30, 24)])
def test_one_cycle_is_that_of_torch(steps, warmup):
    config = FitConfig(steps, schedule="onecycle", warmup=warmup)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=steps, pct_start=warmup / steps, cycle_momentum=False
    )
    theirs = []
    for _ in range(steps):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(theirs) < steps:
            schedule.step()
    assert [rate(step, config) for step in range(steps)] == pytest.approx(theirs)


@pytest.mark.parametrize("warmup", [0, 1])
def test_a_cycle_may_begin_at_its_top(warmup):
    config = FitConfig(3, schedule="onecycle", warmup=warmup)
    # down to 1/250000 along half a cosine
    assert [rate(step, config) for step in range(3)] == pytest.approx([1, 0.500002, 4e-6])
    assert rate(0, FitConfig(1, schedule="onecycle", warmup=warmup)) == 1


def test_what_is_slow_learns_at_its_own_rate():
    config = FitConfig(3, **{**PLAIN, "lr": 0.5, "slow": ("first.",), "slow_rate": 1e-3})
    plain = FitConfig(3, **{**PLAIN, "lr": 0.5})
    state = FitState(toy(norm=False), config)
    list(fit(state, map(batch, range(1)), config))
    assert [g["lr"] for g in state.optimizer.param_groups] == [0.5, 0.5, 5e-4, 5e-4]
    alone, slow = FitState(toy(norm=False), plain), FitState(toy(norm=False), config)
    first = weights(alone)
    list(fit(alone, map(batch, range(1)), plain))
    list(fit(slow, map(batch, range(1)), config))
    for key in ("first.weight", "last.weight"):
        share = (weights(slow)[key] - first[key]) / (weights(alone)[key] - first[key])
        wanted = 1e-3 if key.startswith("first") else 1.0
        # the first step of Adam is as long as the rate
        torch.testing.assert_close(share, torch.full_like(share, wanted), rtol=5e-2, atol=1e-4)
    with pytest.raises(ConfigError, match=r"fit\.slow: nothing that learns .* like instance\."):
        FitState(toy(), FitConfig(3, slow=("instance.",)))


def test_slow_ones_survive_a_break():
    config = FitConfig(4, **{**PLAIN, "slow": ("first.",), "lr": 0.01})
    whole, first = FitState(toy(), config), FitState(toy(), config)
    list(fit(whole, map(batch, range(4)), config))
    list(itertools.islice(fit(first, map(batch, range(4)), config), 2))
    second = FitState(toy(seed=4), config)
    second.load_state_dict(first.state_dict())
    list(fit(second, map(batch, range(2, 4)), config))
    torch.testing.assert_close(weights(second), weights(whole), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"momentum": 0.9}, "momentum is for sgd, not for adamw"),
        ({"momentum": 1.0, "optimizer": "sgd"}, "momentum must be from 0 to below 1"),
        ({"critic_betas": (0.5,)}, "critic_betas must be two numbers"),
        ({"slow_rate": 0.0}, "slow_rate must be above 0"),
        ({"schedule": "onecycle", "warmup": 11}, "warmup 11 is more than steps 10"),
    ],
)
def test_settings_out_of_range(wrong, message):
    with pytest.raises(ConfigError, match=message):
        FitConfig(10, **wrong)


def test_the_critic_has_betas_of_its_own():
    state = FitState(toy(critic=True), FitConfig(3, critic_betas=(0.0, 0.9), critic_lr=3e-4))
    (group,) = state.critic_optimizer.param_groups
    assert (group["betas"], group["lr"]) == ((0.0, 0.9), 3e-4)
