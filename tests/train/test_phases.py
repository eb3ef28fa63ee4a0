"""Phases: what learns, what stays, where each begins."""

import pytest
import torch

from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models.registry import create_model, model_spec
from vidcolor.models.weights import save_weights
from vidcolor.records import Hints, Rois
from vidcolor.train import phases
from vidcolor.train.data.batch import Batch, Pair
from vidcolor.train.losses import distance
from vidcolor.train.phases import PhaseConfig
from vidcolor.train.start import complete, start

NETS = {
    "quarternet": {"width": 8},
    "siggraph17": {"width": 4},
    "instcolor": {"width": 4},
    "instcolor published": {"width": 4, "fuse_without_boxes": False, "mask_outside": False},
}
PHASES = [
    (name, phase)
    for name in NETS
    for phase in ("full", "instance", "fusion", "finetune")
    if name != "siggraph17" or phase in ("full", "finetune")
]


def make_phase(config, model, spec, weights=None):
    return phases.make_phase(config, model, spec, 64, weights)


def _net(name, **settings):
    torch.manual_seed(2)
    model = create_model(name.split()[0], **{**NETS[name], **settings})
    with torch.no_grad():
        for key, p in model.named_parameters():
            if key.endswith("head.weight") or "model_out.0.weight" in key:
                p.normal_(std=0.3)
            elif "_conv.4.bias" in key:
                p.uniform_(0.2, 0.6)  # alive after the last ReLU of a weight generator
    return model, model_spec(name.split()[0])


def _batch(spec, view, pair=False):
    g = torch.Generator().manual_seed(5)
    light = torch.rand(2, 1, 64, 64, generator=g) * 100
    h = 64 // spec.stride
    ab = torch.randn(2, 2, h, h, generator=g) * 20
    rois = None
    if view == "instances":
        boxes = torch.tensor([[4.0, 4, 40, 60], [20, 10, 60, 50], [0, 0, 64, 40]])
        crops = torch.rand(3, 1, 32, 32, generator=g) * 100
        rois = Rois(crops, boxes, torch.tensor([0, 0, 1]), torch.ones(3), (64, 64))
    later = None
    if pair:
        motion, seen = torch.zeros(2, 2, h, h), torch.ones(2, 1, h, h)
        later = Pair(torch.rand(2, 1, 64, 64, generator=g) * 100, motion, seen)
    return Batch(light, ab, rois, None, later)


def _step(phase, batch, lr=0.05):
    phase.train_mode()
    values, pred = phase.losses(batch)
    parameters = [p for _, p in phase.learns()]
    torch.autograd.backward(sum(values.values()))
    without = [n for n, p in phase.learns() if p.grad is None]
    with torch.no_grad():
        for p in parameters:
            p -= lr * p.grad / p.grad.norm().clamp(min=1e-12)
    return values, pred, without


@pytest.mark.parametrize(("name", "which"), PHASES)
def test_what_learns_moves_and_all_else_stays(name, which):
    model, spec = _net(name)
    phase = make_phase(PhaseConfig(name=which), model, spec)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    values, pred, without = _step(phase, _batch(spec, phase.view))
    assert without == []
    assert list(values) == ["smooth_l1"]
    assert pred.shape[2:] == (64 // spec.stride,) * 2
    learning = {n for n, _ in phase.learns()}
    for key, value in model.named_parameters():
        assert torch.equal(value, before[key]) == (key not in learning), key
    for key, value in model.named_buffers():
        if key.endswith("running_mean"):
            owner = key.rsplit(".", 1)[0] + ".weight"
            moved = owner in learning and which != "fusion"
            assert torch.equal(value, before[key]) == (not moved), key


def test_the_parts_of_the_three_phases_are_apart_and_make_up_what_colors():
    model, spec = _net("quarternet")
    parts = [
        {n for n, _ in make_phase(PhaseConfig(name=p), model, spec).learns()}
        for p in ("full", "instance", "fusion")
    ]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    every = {n for n, _ in model.named_parameters()}
    assert parts[0] | parts[1] | parts[2] == every
    tune = {n for n, _ in make_phase(PhaseConfig(name="finetune"), model, spec).learns()}
    assert tune == {n for n in every if not n.startswith(model.idle)}


def test_the_published_third_phase_trains_generators_last_block_and_output():
    model, spec = _net("instcolor published")
    phase = make_phase(PhaseConfig(name="fusion"), model, spec)
    tops = {".".join(n.split(".")[:2]) for n, _ in phase.learns()}
    assert len(tops) == 15
    assert {"fusion.model10", "fusion.model_out", "fusion.weight_layer8_1"} <= tops
    assert "fusion.weight_layerout" not in tops
    phase.train_mode()
    assert not any(m.training for m in model.modules())


@pytest.mark.parametrize("name", ["quarternet", "instcolor", "instcolor published"])
def test_each_phase_starts_from_the_one_before(name, tmp_path):
    model, spec = _net(name)
    registered = name.split()[0]
    paths = {}
    for which in ("full", "instance"):
        phase = make_phase(PhaseConfig(name=which), model, spec)
        _step(phase, _batch(spec, phase.view))
        paths[which] = tmp_path / f"{which}.safetensors"
        save_weights(paths[which], model, registered, NETS[name], {"phase": which})
    light = _batch(spec, "whole").lightness

    def answers(net, phase):
        with torch.inference_mode():
            return net.eval().answer(phase, light)

    done = {which: _net(name)[0] for which in ("full", "instance")}
    for which, path in paths.items():
        start(done[which], registered, which, path)
    fresh, _ = _net(name)
    start(fresh, registered, "instance", paths["full"])
    # the instance net begins as the full-image net
    torch.testing.assert_close(answers(fresh, "instance"), answers(fresh, "full"))
    assert not torch.allclose(answers(done["instance"], "instance"), answers(fresh, "instance"))
    last, _ = _net(name)
    start(last, registered, "fusion", paths["instance"])
    torch.testing.assert_close(answers(last, "instance"), answers(done["instance"], "instance"))
    # without instances the fusion begins as the full-image net
    torch.testing.assert_close(answers(last, "fusion"), answers(done["full"], "full"))
    # and to go on with weights that have all three changes nothing
    path = tmp_path / "fusion.safetensors"
    _step(make_phase(PhaseConfig(name="fusion"), last, spec), _batch(spec, "instances"))
    save_weights(path, last, registered, NETS[name], {"phase": "fusion"})
    again, _ = _net(name)
    start(again, registered, "fusion", path)
    torch.testing.assert_close(again.state_dict(), last.state_dict())


def test_after_the_first_phase_alone_the_network_colors_as_that_phase_learned():
    model, spec = _net("quarternet")
    phase = make_phase(PhaseConfig(name="full"), model, spec)
    _step(phase, _batch(spec, "whole"))
    complete(model, "full")
    batch = _batch(spec, "instances")
    with torch.inference_mode():
        model.eval()
        full, fused = model.answer("full", batch.lightness), model(batch.lightness, batch.rois)
        assert torch.equal(full, model(batch.lightness))
    away = (full - fused).abs().mean() / full.abs().mean()
    assert 0 < away < 0.5


def test_weights_of_other_settings_are_refused(tmp_path):
    model, _ = _net("quarternet", width=4)
    path = tmp_path / "a.safetensors"
    save_weights(path, model, "quarternet", {"width": 4}, {})
    other, _ = _net("quarternet")
    with pytest.raises(WeightsError, match=r"other settings than model\.\* asks for"):
        start(other, "quarternet", "full", path)
    with pytest.raises(WeightsError, match="for quarternet, not for siggraph17"):
        start(_net("siggraph17")[0], "siggraph17", "full", path)


def test_weights_without_instances_are_a_start_for_a_network_with_them(tmp_path):
    plain, _ = _net("quarternet", fusion=False)
    path = tmp_path / "a.safetensors"
    save_weights(path, plain, "quarternet", {"width": 8, "fusion": False}, {})
    model, spec = _net("quarternet")
    start(model, "quarternet", "fusion", path)
    light = _batch(spec, "whole").lightness
    with torch.inference_mode():
        torch.testing.assert_close(model.eval()(light), plain.eval()(light))
        torch.testing.assert_close(model.answer("instance", light), plain(light))


def test_the_trunk_of_siggraph17_starts_all_three_nets(tmp_path):
    trunk, _ = _net("siggraph17")
    path = tmp_path / "a.safetensors"
    save_weights(path, trunk, "siggraph17", {"width": 4}, {})
    model, _ = _net("instcolor")
    start(model, "instcolor", "full", path)
    for net in (model.instance, model.fusion):
        torch.testing.assert_close(net.model5[2].weight, trunk.model5[2].weight)


def test_frozen_prefixes_and_norms_stay():
    model, spec = _net("quarternet")
    config = PhaseConfig(name="finetune", freeze=("encoder.", "fusion.blends."), freeze_norms=True)
    phase = make_phase(config, model, spec)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    _step(phase, _batch(spec, "instances"))
    moved = {
        k.split(".")[0] for k, v in model.state_dict().items() if not torch.equal(v, before[k])
    }
    assert moved == {"decoder", "close", "fusion"}
    assert not any("running" in k for k, v in model.state_dict().items()
                   if not torch.equal(v, before[k]))  # fmt: skip
    with pytest.raises(ConfigError, match="learns nothing"):
        make_phase(PhaseConfig(freeze=("encoder.", "decoder.", "last.")), model, spec)


def test_classes_beside_color_and_alone():
    model, spec = _net("quarternet", bins=True)
    batch = _batch(spec, "whole")
    first, _, _ = _step(make_phase(PhaseConfig(loss="classes"), model, spec), batch, lr=0)
    both = PhaseConfig(loss="l2+classes", class_weight=0.5)
    second, _, without = _step(make_phase(both, model, spec), batch, lr=0)
    assert list(first) == ["classes"]
    assert list(second) == ["classes", "l2"]
    torch.testing.assert_close(second["classes"], 0.5 * first["classes"])
    assert without == []
    zhang = _net("siggraph17")
    beside = PhaseConfig(loss="smooth_l1+classes")
    values, _, without = _step(make_phase(beside, *zhang), _batch(zhang[1], "whole"), lr=0)
    assert list(values) == ["classes", "smooth_l1"]
    assert without == []
    with pytest.raises(ConfigError, match="color beside its classes"):
        make_phase(PhaseConfig(loss="classes"), *zhang)
    with pytest.raises(ConfigError, match="bins=true"):
        make_phase(PhaseConfig(loss="classes"), *_net("quarternet"))


def test_rare_classes_weigh_more():
    model, spec = _net("quarternet", bins=True)
    batch = _batch(spec, "whole")
    plain, _, _ = _step(make_phase(PhaseConfig(loss="classes"), model, spec), batch, lr=0)
    weights = torch.full((313,), 3.0)
    heavy, _, _ = _step(make_phase(PhaseConfig(loss="classes"), model, spec, weights), batch, lr=0)
    torch.testing.assert_close(heavy["classes"], 3 * plain["classes"])


def test_a_moment_later_the_color_is_the_same():
    model, spec = _net("quarternet")
    phase = make_phase(PhaseConfig(temporal=2.0), model, spec)
    batch = _batch(spec, "whole", pair=True)
    values, _, _ = _step(phase, batch, lr=0)
    assert values["temporal"] > 0
    still = Batch(batch.lightness, batch.ab, None, None,
                  Pair(batch.lightness, batch.pair.motion, batch.pair.seen))  # fmt: skip
    model.eval()
    values, _ = phase.losses(still)
    assert values["temporal"].abs() < 1e-3
    with pytest.raises(ConfigError, match="pairs"):
        phase.losses(_batch(spec, "whole"))


def test_what_lies_in_boxes_can_count_beside_the_picture():
    model, spec = _net("quarternet")
    phase = make_phase(PhaseConfig(name="fusion", instance_loss=0.5), model, spec)
    batch = _batch(spec, "instances")
    values, pred, without = _step(phase, batch, lr=0)
    assert list(values) == ["smooth_l1", "instances"]
    assert without == []
    apart = distance(pred.detach(), batch.ab)
    inside = [
        apart[0, 0, 1:15, 1:10].mean(),
        apart[0, 0, 2:13, 5:15].mean(),
        apart[1, 0, :10].mean(),
    ]
    torch.testing.assert_close(values["instances"].detach(), 0.5 * torch.stack(inside).mean())


def test_the_critic_has_its_say():
    model, spec = _net("quarternet")
    phase = make_phase(PhaseConfig(adversarial=0.1), model, spec)
    values, _, without = _step(phase, _batch(spec, "whole"), lr=0)
    assert list(values) == ["smooth_l1", "adversarial"]
    assert without == []


def test_hints_reach_the_network():
    model, spec = _net("siggraph17")
    phase = make_phase(PhaseConfig(), model, spec)
    batch = _batch(spec, "whole")
    phase.train_mode()
    plain = phase.losses(batch)[1]
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, :, 20:30, 20:30] = 1
    given = Hints(torch.full((2, 2, 64, 64), 60.0), mask)
    led = phase.losses(Batch(batch.lightness, batch.ab, None, given))[1]
    assert (led - plain).abs().max() > 0.01


def test_phases_that_a_network_cannot_do_are_refused():
    with pytest.raises(ConfigError, match="needs a network with instances"):
        make_phase(PhaseConfig(name="fusion"), *_net("siggraph17"))
    with pytest.raises(ConfigError, match="needs a network with instances"):
        make_phase(PhaseConfig(name="instance"), *_net("quarternet", fusion=False))
    for wrong in ({"delta": 0.0}, {"rebalance": 1.0}, {"temporal": -1.0}):
        with pytest.raises(ConfigError):
            PhaseConfig(**wrong)
