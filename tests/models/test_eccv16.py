"""The contract of `models.registry.Colorizer` for the network of 2016, narrow."""

import hashlib
import itertools
import json

import pytest
import torch
from made_shards import texture, write_shard

from vidcolor.color.bins import annealed_mean, gamut_bins
from vidcolor.errors import ConfigError
from vidcolor.io.shards import Pictures
from vidcolor.models.registry import create_model, model_spec
from vidcolor.train.data.batches import TrainBatches
from vidcolor.train.data.config import DataConfig
from vidcolor.train.degrade import DegradeConfig
from vidcolor.train.loop.fit import FitConfig, FitState, fit
from vidcolor.train.phases import PhaseConfig, make_phase
from vidcolor.train.prior import class_weights

WIDTH = 4


def _make(seed=0, **settings):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = create_model("eccv16", width=WIDTH, **settings)
        for key, value in net.state_dict().items():
            if key.endswith("running_mean"):
                value.normal_(0.2, 0.1)
            elif key == "model8.6.weight":
                value.mul_(20)  # decided, not all bins alike
    return net.eval()


def _light(n, height=32, width=48):
    return torch.rand(n, 1, height, width, generator=torch.Generator().manual_seed(n)) * 100


@torch.no_grad()
def test_shape_range_and_purity():
    net, light = _make(), _light(2)
    before = [t.clone() for t in (light, *net.buffers())]
    ab = net(light)
    assert ab.shape == (2, 2, 8, 12)
    assert ab.dtype == torch.float32
    # a mean of bins lies between them
    low, high = gamut_bins().amin(0), gamut_bins().amax(0)
    assert (ab >= low.view(1, 2, 1, 1)).all()
    assert (ab <= high.view(1, 2, 1, 1)).all()
    assert ab.std() > 0.5
    assert all(torch.equal(a, b) for a, b in zip(before, (light, *net.buffers()), strict=True))
    assert torch.equal(net(light), ab)


@torch.no_grad()
def test_a_batch_equals_its_frames_one_by_one():
    net, light = _make(), _light(3)
    whole = net(light)
    for frame in range(3):
        alone = net(light[frame : frame + 1])
        torch.testing.assert_close(whole[frame : frame + 1], alone, atol=2e-3, rtol=0)


def test_every_parameter_has_a_gradient():
    net = _make().train()
    net(_light(3)).square().sum().backward()
    without = {key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == set()
    assert net.idle == ()


@torch.no_grad()
def test_half_precision_and_channels_last_stay_near():
    net, light = _make(), _light(2)
    plain = net(light)
    last = net.to(memory_format=torch.channels_last)
    fast = light.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last(fast), plain, atol=2e-3, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        half = last(fast)
    assert half.dtype == torch.float32
    assert (half - plain).abs().mean() < 1.5


def test_sides_must_be_multiples():
    net, spec = _make(), model_spec("eccv16")
    assert (spec.multiple, spec.stride, spec.rois, spec.hints) == (8, 4, False, False)
    with torch.no_grad():
        assert net(_light(1, 8, 24)).shape[2:] == (2, 6)
        with pytest.raises(ValueError, match="multiples of 8, not 28x32"):
            net(_light(1, 28, 32))


def test_settings_are_checked():
    assert create_model("eccv16", width=1).model4[0].out_channels == 8
    with pytest.raises(ConfigError, match="width"):
        create_model("eccv16", width=0)
    with pytest.raises(ConfigError, match="temperature"):
        create_model("eccv16", temperature=0.0)
    with pytest.raises(TypeError):
        create_model("eccv16", widht=4)


@torch.no_grad()
@pytest.mark.parametrize("temperature", [1.0, 0.38, 0.02])
def test_color_is_the_annealed_mean_of_the_classes(temperature):
    net, light = _make(temperature=temperature), _light(2)
    logits, color = net.answer_classes("full", light)
    assert logits.shape == (2, 313, 8, 12)
    assert torch.equal(color, net(light))
    assert torch.equal(net.color_classes(), gamut_bins())
    assert net.color_from_classes
    # of the same logits by other code
    expected = annealed_mean(logits, gamut_bins(), temperature)
    torch.testing.assert_close(color, expected, atol=1e-3, rtol=0)
    if temperature == 0.02:
        mode = gamut_bins()[logits.argmax(1)].permute(0, 3, 1, 2)
        clear = logits.topk(2, 1).values.diff(dim=1).abs() > 0.3
        assert clear.float().mean() > 0.2
        torch.testing.assert_close(color[clear.expand_as(color)], mode[clear.expand_as(mode)],
                                   atol=0.1, rtol=0)  # fmt: skip


def test_bins_stay_and_all_else_learns():
    net = _make()
    part = net.part("full", classes=True)
    fixed = [key for key, _ in net.named_parameters() if not key.startswith(part)]
    assert fixed == ["model_out.weight"]
    assert net.part("finetune") == part
    torch.testing.assert_close(net.model_out.weight[:, :, 0, 0] * 110, gamut_bins().T)


def test_one_batch_is_learned_by_heart_with_rare_colors_counting_more(tmp_path):
    shard = write_shard(tmp_path / "a.tar", {f"{i}.png": texture(i) for i in range(2)})
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = create_model("eccv16", width=8)
    bins = net.model_out.weight.detach().clone()
    spec = model_spec("eccv16")
    weights = class_weights(Pictures((shard,)), gamut_bins(), 0.5)
    config = PhaseConfig(name="full", loss="classes", rebalance=0.5)
    learned = make_phase(config, net, spec, 32, weights)
    data = DataConfig(("x",), sizes=(32,), batch_size=2, crop=32)
    batch = TrainBatches(
        Pictures((shard,)), data, DegradeConfig(), view=learned.view, stride=spec.stride
    )[0]
    steps = FitConfig(steps=60, warmup=3, lr=1e-2, ema=0.5, precision="float32")
    state = FitState(learned, steps)
    losses = [r.losses["classes"] for r in fit(state, itertools.repeat(batch), steps)]
    assert losses[-1] < 0.5 * losses[0]
    net.eval()
    with torch.no_grad():
        far = (net(batch.lightness) - batch.ab).norm(dim=1).mean()
    assert far < 0.7 * batch.ab.norm(dim=1).mean()
    assert torch.equal(net.model_out.weight, bins)


# SHA-256 of the JSON of [[key, shape, type], ...], in the order of the recorded reference network
MANIFEST = (82, 32_236_011, "19030d92111cddfa61e35c54bdd5e2b64cad10fb77ad6bd76fbc96e3b48f9066")


def test_keys_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        net = create_model("eccv16")
    entries = [
        [key, list(value.shape), str(value.dtype).removeprefix("torch.")]
        for key, value in net.state_dict().items()
    ]
    text = json.dumps(entries, separators=(",", ":"))
    parameters = sum(p.numel() for p in net.parameters())
    assert (len(entries), parameters, hashlib.sha256(text.encode()).hexdigest()) == MANIFEST
