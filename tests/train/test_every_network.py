"""Every colorizer can be trained: what its phase says learns, moves; the rest stays."""

import functools
import itertools

import pytest
import torch

from vidcolor.models.registry import create_model, list_models, model_spec
from vidcolor.train.data.batch import Batch
from vidcolor.train.loop.fit import FitConfig, FitState, fit
from vidcolor.train.phases import PhaseConfig, make_phase

# settings of a small one; what it is trained on; how its phase is called
NETS = {
    "quarternet": ({"width": 4}, {}),
    "siggraph17": ({"width": 2}, {}),
    "instcolor": ({"width": 2}, {}),
    "eccv16": ({"width": 4}, {"loss": "classes"}),
    "iizuka16": (
        {"width": 2, "labels": 3, "space": "yuv"}, {"loss": "planes", "label_weight": 0.01},
    ),
    "hypercolumn": ({"width": 2, "space": "yuv"}, {"loss": "planes", "points": 40}),
    "residual_encoder": ({"width": 4, "learn_trunk": True}, {"loss": "dahl"}),
    "ddcolor": ({"width": 4, "variant": "tiny"}, {"loss": "l1", "delta": 20.0}),
    "deoldify": ({"width": 4, "variant": "artistic", "learn_encoder": False}, {"loss": "l1"}),
}  # fmt: skip
SIDE, STEPS = 64, 12


def _batch(spec, points):
    g = torch.Generator().manual_seed(5)
    cells = SIDE // spec.stride
    smooth = torch.nn.functional.interpolate(
        torch.rand(3, 1, 4, 4, generator=g), size=SIDE, mode="bilinear", align_corners=False
    )
    lightness = 20 + 60 * smooth
    small = torch.nn.functional.interpolate(lightness, size=cells, mode="area")
    ab = torch.cat((small - 50, 60 - small), 1)
    drawn = (torch.randint(cells, (3, points, 2), generator=g) + 0.5) / cells
    return Batch(lightness, ab, labels=torch.tensor([0, 1, 2]), points=drawn if points else None)


@functools.cache  # both tests look at one run
def _trained(name):
    """What learns, the weights before, and the losses."""
    settings, phase = NETS[name]
    with torch.random.fork_rng([]):
        torch.manual_seed(2)
        model, spec = create_model(name, **settings), model_spec(name)
    phase = make_phase(PhaseConfig(**phase), model, spec, SIDE, labels=3)
    config = FitConfig(
        STEPS, lr=5e-3, optimizer="adam", warmup=0, schedule="constant", precision="float32"
    )
    state = FitState(phase, config)
    before = {key: value.clone() for key, value in model.named_parameters()}
    batch = _batch(spec, phase.config.points)
    reports = list(fit(state, itertools.repeat(batch), config))
    return phase, before, [sum(report.losses.values()) for report in reports]


def test_no_network_is_forgotten():
    assert sorted(NETS) == list(list_models())


@pytest.mark.parametrize("name", NETS)
def test_what_is_said_to_learn_moves_and_all_else_stays(name):
    phase, before, _ = _trained(name)
    learning = {key for key, _ in phase.learns()}
    now = dict(phase.model.named_parameters())
    moved = {key for key, value in now.items() if not torch.equal(value, before[key])}
    part = phase.model.part("full", phase.config.classes)
    assert learning == {key for key in now if key.startswith(part)}
    assert moved == learning


@pytest.mark.parametrize("name", NETS)
def test_one_batch_is_learned(name):
    _, _, losses = _trained(name)
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.parametrize("name", ["deoldify", "ddcolor"])
def test_norms_of_weights_follow_where_weights_learn(name):
    settings, _ = NETS[name]
    phase = make_phase(PhaseConfig(), create_model(name, **settings), model_spec(name), SIDE)
    phase.train_mode()
    modules = dict(phase.model.named_modules())
    normed = {path: m for path, m in modules.items() if hasattr(m, "weight_u")}
    assert len(normed) > 5
    assert all(module.training for module in normed.values())
    if name == "deoldify":  # whose encoder rests here
        assert not any(m.training for path, m in modules.items() if path.startswith("layers.0"))
        assert modules["layers.1"].training
