import faulthandler
import itertools
import math
import os
import socket
from dataclasses import replace

import pytest
import torch
from made_shards import texture, write_shard
from processes import fresh_processes
from torch import nn
from toys import Painter, batch, toy, weights, with_rois

from vidcolor.errors import ConfigError
from vidcolor.models.registry import ModelSpec, create_model, model_spec
from vidcolor.schema import load
from vidcolor.train.adversary import AdversaryConfig
from vidcolor.train.data.batch import Batch
from vidcolor.train.loop.distributed import (
    GlobalBatchNorm2d,
    World,
    join,
    make_norms_global,
    world_of_environment,
)
from vidcolor.train.loop.fit import FitConfig, FitState, fit
from vidcolor.train.phases import PhaseConfig, make_phase
from vidcolor.train.run import TrainConfig, train

WORLD = 2
FIT = {"warmup": 0, "schedule": "constant", "precision": "float32", "optimizer": "adam"}
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
PAINTER = ModelSpec("painter", Painter, 1, False, False, None, 32, 32, "", 1)
SMALL = AdversaryConfig(width=4)


# --- what happens in one process, and in each of two --------------------------------------------


def _learn(world, batches, settings=(), stop=None, phase=None, **of_toy):
    """What comes of learning from this process's slices of batches."""
    config = FitConfig(len(batches), **{**FIT, "lr": 0.01, **dict(settings)})
    state = FitState(phase or toy(**of_toy), config, world)
    share = len(batches[0]) // world.size
    own = (one[world.rank * share : (world.rank + 1) * share] for one in batches)
    reports = list(fit(state, own, config, stop=stop and (lambda: stop(world, state))))
    found = {"losses": [r.losses for r in reports], "norms": [r.grad_norm for r in reports]}
    found["skipped"] = [r.skipped for r in reports]
    found["halted"] = [r.halted for r in reports]
    if state.critic is not None:
        found["critic"] = state.critic.state_dict()
    return {**found, "weights": weights(state), "mean": state.mean.module.state_dict()}


def _learn_with_a_real_network(world):
    """In float64: where rounding is small, so are differences, however deep the network."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = create_model("quarternet", width=8).double()
    phase = make_phase(PhaseConfig(), model, model_spec("quarternet"), 32)
    batches = [batch(step, side=32) for step in range(4)]
    batches = [Batch(b.lightness.double(), b.ab[:, :, ::4, ::4].double()) for b in batches]
    return _learn(world, batches, phase=phase)


def _learn_of_painter(world, **settings):
    """Of the planes of a toy, at points, with kinds of pictures, or its critic's game alone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        phase = make_phase(PhaseConfig(loss="planes", **settings), Painter(), PAINTER, 16, labels=3)
    random = torch.Generator().manual_seed(3)
    batches = []
    for step in range(3):
        drawn = torch.randint(16, (4, 5, 2), generator=random)
        labels = torch.tensor([step % 3, -1, 2, 0])
        one = batch(step, side=16)
        points = (drawn + 0.5) / 16 if phase.config.points else None
        batches.append(replace(one, labels=labels, points=points))
    return _learn(world, batches, phase=phase)


def _spoil_last_picture(one):
    lightness = one.lightness.clone()
    lightness[-1] = math.nan
    return Batch(lightness, one.ab)


def _scenarios(world):
    plain = [batch(step) for step in range(5)]
    yield "plain", lambda: _learn(world, plain)
    yield "parts", lambda: _learn(world, plain, {"accumulate": 2}, norm=False)
    # instances in the first half of the batch only, in both, in none
    some = [with_rois(batch(i), frames) for i, frames in enumerate(([0, 1], [0, 3], [], [1]))]
    everything = {"view": "instances", "part": ("first", "last", "instance"), "norm": False}
    yield "instances", lambda: _learn(world, some, **everything)
    yield "instances in parts", lambda: _learn(world, some, {"accumulate": 2}, **everything)
    alone = {"view": "instances", "part": ("instance",), "norm": False}
    yield "only instances", lambda: _learn(world, some, **alone)
    large = [batch(step, side=16) for step in range(3)]
    yield "critic", lambda: _learn(world, large, {"critic_lr": 0.01}, critic=True)
    turns = {"critic": True, "until": 100.0}
    yield "turns", lambda: _learn(world, large, {"critic_lr": 0.01}, **turns)
    yield "points", lambda: _learn_of_painter(world, points=5)
    yield "labels", lambda: _learn_of_painter(world, label_weight=0.1)
    yield "critic alone", lambda: _learn_of_painter(world, name="critic", critic=SMALL)
    yield "real network", lambda: _learn_with_a_real_network(world)
    bad = [plain[0], _spoil_last_picture(plain[1]), *plain[2:]]
    yield "bad", lambda: _learn(world, bad)
    yield (
        "stop",
        lambda: _learn(
            world, plain, stop=lambda world, state: world.rank == world.size - 1 and state.step == 2
        ),
    )


def _norm(world):
    """Batch norm over 4 pictures, of which the first process has 3."""
    x = torch.randn(4, 5, 3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    kind = nn.BatchNorm2d if world.size == 1 else GlobalBatchNorm2d
    norm = kind(5, momentum=0.3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-1, 2, 5))
        norm.bias.copy_(torch.linspace(1, 2, 5))
    own = x if world.size == 1 else (x[:3], x[3:])[world.rank]
    own = own.clone().requires_grad_()
    y = norm(own)
    # a loss in which every picture counts in its own way
    factors = torch.arange(1.0, 5)[:, None, None, None]
    factors = factors if world.size == 1 else (factors[:3], factors[3:])[world.rank]
    (factors * y.square() * y.sigmoid()).sum().backward()
    norm.eval()
    found = {"y": y.detach(), "gradient": own.grad, "eval": norm(own).detach()}
    return {**found, "buffers": dict(norm.named_buffers())}


def _run(config):
    return [progress.report.losses for progress in train(config)]


def _process(rank, port, folder, config):
    """One of two processes, as torchrun starts them."""
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(250, exit=True)  # where it stands, should it never end
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": WORLD, "MASTER_PORT": port}
    os.environ.update({k: str(v) for k, v in own.items()}, MASTER_ADDR="127.0.0.1")
    world = world_of_environment()
    join(world, torch.device("cpu"))
    found = {name: learn() for name, learn in _scenarios(world)}
    found["norm"] = _norm(world)
    found["run"] = _run(config)
    torch.save(found, folder / f"rank{rank}.pt")


# --- the two sides ------------------------------------------------------------------------------


def _config(folder, shard):
    return load(
        TrainConfig,
        {
            "data": {"train": [shard], "sizes": [32], "batch_size": 4, "workers": 0,
                     "val": [shard]},
            "model": {"width": 8},
            "fit": {"steps": 3, "warmup": 2, "precision": "float32"},
            "run": {"folder": str(folder), "log_every": 1, "val_side": 32, "device": "cpu"},
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("two")
    shard = write_shard(folder / "a.tar", {f"{i}.png": texture(i) for i in range(6)})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = fresh_processes()
    config = _config(folder / "run", shard)
    processes = [
        context.Process(target=_process, args=(rank, port, folder, config)) for rank in range(WORLD)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * WORLD
    found = [torch.load(folder / f"rank{rank}.pt") for rank in range(WORLD)]
    return folder, shard, found


SCENARIOS = [name for name, _ in _scenarios(World())]


def _painter_start():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return Painter().state_dict()


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "stop"])
def test_two_processes_learn_what_one_learns(together, name):
    alone = dict(_scenarios(World()))[name]()
    for found in (one[name] for one in together[2]):
        for key in ("losses", "norms", "skipped"):
            torch.testing.assert_close(found[key], alone[key], **TOLERANCE, equal_nan=True)
        for key in {"weights", "mean", "critic"} & alone.keys():
            torch.testing.assert_close(found[key], alone[key], **TOLERANCE)
    if name == "bad":
        assert alone["skipped"] == [False, True, False, False, False]
    if name != "real network":
        start = toy(norm=name in ("plain", "critic", "turns", "bad")).model.state_dict()
        learned = "instance.weight" if name == "only instances" else "last.weight"
        if name in ("points", "labels", "critic alone"):
            start, learned = _painter_start(), "head.weight"
        if name == "critic alone":
            assert torch.equal(alone["weights"][learned], start[learned])
            return
        assert not torch.allclose(alone["weights"][learned], start[learned])


def test_processes_hold_the_same_bits(together):
    first, second = together[2]
    for name in SCENARIOS:
        torch.testing.assert_close(first[name]["weights"], second[name]["weights"], rtol=0, atol=0)


def test_all_stop_when_one_wants_to(together):
    assert [found["stop"]["halted"] for found in together[2]] == [[False, False, True]] * 2


def test_global_norm_is_batch_norm_over_all_pictures(together):
    alone, found = _norm(World()), [one["norm"] for one in together[2]]
    for key in ("y", "gradient", "eval"):
        torch.testing.assert_close(torch.cat([one[key] for one in found]), alone[key])
    for one in found:
        torch.testing.assert_close(one["buffers"], alone["buffers"])


def test_a_run_of_two_is_the_run_of_one_and_written_once(together, tmp_path):
    folder, shard, found = together
    alone = _run(_config(tmp_path / "run", shard))
    for one in found:
        for step, expected in zip(one["run"], alone, strict=True):
            assert step == pytest.approx(expected, rel=1e-4)
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))
    written = (folder / "run").rglob("*")
    assert sorted(["run", *(str(p.relative_to(folder)) for p in written)]) == names
    assert len((folder / "run" / "log.jsonl").read_text().splitlines()) == 3


# --- in one process -----------------------------------------------------------------------------


def test_the_environment_says_who_trains(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert world_of_environment() == World(0, 1, 0)
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    with pytest.raises(ConfigError, match="not LOCAL_RANK, MASTER_ADDR, MASTER_PORT"):
        world_of_environment()
    for name in ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    assert world_of_environment() == World(3, 4, 1)
    assert not world_of_environment().first
    monkeypatch.setenv("RANK", "4")
    with pytest.raises(ConfigError, match="RANK 4"):
        world_of_environment()
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(ConfigError, match="numbers"):
        world_of_environment()


def test_norms_are_replaced_in_place_and_nothing_else():
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ModuleDict({"n": nn.BatchNorm2d(3, eps=0.1)}))
    model[1]["n"].eval()
    kept = list(itertools.chain(model.named_parameters(), model.named_buffers()))
    make_norms_global(model)
    after = list(itertools.chain(model.named_parameters(), model.named_buffers()))
    assert [name for name, _ in after] == [name for name, _ in kept]
    assert all(a is b for (_, a), (_, b) in zip(after, kept, strict=True))
    norm = model[1]["n"]
    assert isinstance(norm, GlobalBatchNorm2d)
    assert (norm.eps, norm.training) == (0.1, False)
    assert type(model[0]) is nn.Conv2d
