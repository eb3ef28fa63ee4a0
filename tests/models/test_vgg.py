"""The trunk against torchvision's, and the contract of the two colorizers on it, narrow."""

import numpy as np
import pytest
import torch
import torchvision
from skimage.color import lab2rgb
from torch import nn
from torchvision.models import vgg16_bn
from torchvision.transforms.functional import normalize
from vgg_nets import NETS, learn, light, make

from vidcolor.color.spaces import ColorSpace
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models import vgg
from vidcolor.models.registry import create_model, model_spec
from vidcolor.models.vgg import VggTrunk
from vidcolor.train.config import ModelConfig


@pytest.fixture(scope="module", params=NETS)
def net(request):
    return make(request.param)


# --- the trunk ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published():
    """torchvision's network; only the layers below conv4_3 have values."""
    with torch.device("meta"):
        whole = torchvision.models.vgg16()
    torch.manual_seed(0)
    below = whole.features[:23].to_empty(device="cpu")
    for layer in below:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.1)
    return whole


@torch.no_grad()
def test_taps_are_those_of_torchvision(published):
    trunk = VggTrunk()
    trunk.adopt(published.state_dict(), "vgg16")
    lightness = light(1, 24, 32)
    lab = np.concatenate([lightness.numpy(), np.zeros((1, 2, 24, 32))], 1)[0].transpose(1, 2, 0)
    gray = torch.from_numpy(lab2rgb(lab).transpose(2, 0, 1)[None].astype(np.float32))
    asked = torchvision.models.VGG16_Weights.IMAGENET1K_V1.transforms()
    x = normalize(gray, asked.mean, asked.std)
    taps = trunk(lightness)
    assert [tap.shape[1] for tap in taps] == list(trunk.channels) == [3, 64, 128, 256, 512]
    assert [tuple(tap.shape[2:]) for tap in taps] == [
        (24, 32), (24, 32), (12, 16), (6, 8), (3, 4)
    ]  # fmt: skip
    torch.testing.assert_close(taps[0], x, atol=1e-3, rtol=0)
    # after the ReLU of conv1_2, conv2_2, conv3_3 and conv4_3, each right before a pool
    for tap, stop in zip(taps[1:], (4, 9, 16, 23), strict=True):
        assert tap.std() > 0.1
        torch.testing.assert_close(tap, published.features[:stop](x), atol=2e-3, rtol=1e-3)


def test_what_is_no_vgg16_is_refused(published):
    trunk, state = VggTrunk(), published.state_dict()
    narrow = VggTrunk(8)
    with pytest.raises(WeightsError, match=r"'features\.0\.weight' is 64x3x3x3, expected 8x3x3x3"):
        narrow.adopt(state, "vgg16")
    with pytest.raises(WeightsError, match=r"lack 'features\.17\.bias'"):
        trunk.adopt({k: v for k, v in state.items() if k != "features.17.bias"}, "vgg16")
    with torch.device("meta"):
        normed = vgg16_bn().state_dict()
    with pytest.raises(WeightsError, match="not vgg16_bn"):
        trunk.adopt(normed, "vgg16")
    with pytest.raises(WeightsError, match=r"unknown 'features\.30\.weight'"):
        trunk.adopt({**state, "features.30.weight": torch.zeros(1)}, "vgg16")
    with pytest.raises(WeightsError, match="weights of siggraph17"):
        trunk.adopt({}, "siggraph17")


@pytest.mark.parametrize("of", ["hypercolumn", "residual_encoder"])
def test_one_trunk_serves_all(of):
    other = make(of, seed=1)
    for name in ("hypercolumn", "residual_encoder"):
        net = make(name, seed=2)
        before = {key: value.clone() for key, value in net.state_dict().items()}
        net.adopt(other.state_dict(), of)
        for key, value in net.state_dict().items():
            if key.startswith("trunk."):
                assert torch.equal(value, other.state_dict()[key])
                assert not value.any() or not torch.equal(value, before[key])
            else:
                assert torch.equal(value, before[key])
        lacking = {k: v for k, v in other.state_dict().items() if k != "trunk.features.0.bias"}
        with pytest.raises(WeightsError, match=r"lack 'features\.0\.bias'"):
            net.adopt(lacking, of)


# --- the contract -------------------------------------------------------------------------------


@torch.no_grad()
def test_shape_range_and_purity(net):
    lightness = light(2)
    before = [t.clone() for t in (lightness, *net.buffers())]
    ab = net(lightness)
    assert ab.shape == (2, 2, 32, 48)
    assert ab.dtype == torch.float32
    assert ab.isfinite().all()
    assert ab.std() > 2
    for old, new in zip(before, (lightness, *net.buffers()), strict=True):
        assert torch.equal(old, new)
    assert torch.equal(net(lightness), ab)
    assert torch.equal(net.answer("finetune", lightness), ab)


@torch.no_grad()
def test_planes_are_those_of_the_color_space(net):
    lightness = light(2)
    planes = net.answer_planes("full", lightness)
    assert planes.shape == (2, net.space.channels, 32, 48)
    assert planes.dtype == torch.float32
    assert planes.min() >= 0
    assert planes.max() <= 1
    space = ColorSpace(net.space.name, 110)
    torch.testing.assert_close(net(lightness), space.decode(planes, lightness))


@torch.no_grad()
def test_a_batch_equals_its_frames_one_by_one_and_groups_change_nothing(net, monkeypatch):
    lightness = light(4)
    whole = net(lightness)
    alone = torch.cat([net(lightness[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(whole, alone, atol=1e-3, rtol=1e-4)
    seen = []
    handle = net.trunk.register_forward_hook(lambda _m, x, _y: seen.append(len(x[0])))
    monkeypatch.setattr(vgg, "_PIXELS_AT_ONCE", 3 * 32 * 48)
    torch.testing.assert_close(net(lightness), whole, atol=1e-3, rtol=1e-4)
    handle.remove()
    assert seen == [3, 1]


@pytest.mark.parametrize("name", ["hypercolumn", "residual_encoder"])
def test_groups_do_not_divide_what_statistics_are_of(name, monkeypatch):
    net = make(name).train()
    lightness = light(4)
    together = net(lightness)
    monkeypatch.setattr(vgg, "_PIXELS_AT_ONCE", 1)
    with torch.no_grad():
        torch.testing.assert_close(net(lightness), together)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("learn_trunk", [False, True])
def test_every_parameter_has_a_gradient_but_those_of_a_frozen_trunk(name, learn_trunk):
    net = make(name, learn_trunk=learn_trunk).train()
    net(light(3)).square().sum().backward()
    without = {key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    learning = net.part("full")
    assert learning == net.part("finetune")
    assert without == {key for key, _ in net.named_parameters() if not key.startswith(learning)}
    assert without == ({key for key in without if key.startswith("trunk.")})
    assert bool(without) is not learn_trunk
    assert net.idle == ()


@torch.no_grad()
def test_half_precision_and_channels_last_stay_near(net):
    lightness = light(2)
    plain = net(lightness)
    net.to(memory_format=torch.channels_last)
    last = lightness.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(net(last), plain, atol=2e-3, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        half = net(last)
    assert half.dtype == torch.float32
    assert (half - plain).abs().mean() < 0.05 * plain.std()


@pytest.mark.parametrize("name", ["hypercolumn", "residual_encoder"])
def test_sides_must_be_multiples(name):
    net, spec = make(name), model_spec(name)
    assert (spec.multiple, spec.short_side, spec.stride, spec.square) == (8, 224, 1, None)
    with torch.no_grad():
        assert net(light(1, 8, 24)).shape == (1, 2, 8, 24)
        with pytest.raises(ValueError, match="multiples of 8, not 28x32"):
            net(light(1, 28, 32))


@pytest.mark.parametrize("name", ["hypercolumn", "residual_encoder"])
def test_settings(name):
    wrong = [{"width": 0}, {"space": "hsv"}] + [{"kernel": 2}] * (name == "hypercolumn")
    for settings in wrong:
        with pytest.raises(ConfigError, match=next(iter(settings))):
            create_model(name, **settings)
    with pytest.raises(TypeError):
        create_model(name, widht=4)
    more = ("narrow=true", "kernel=1") if name == "hypercolumn" else ("widened=true",)
    config = ModelConfig(name, 1, ("space=yuv", "learn_trunk=true", *more))
    net = create_model(name, **config.builder_settings()).eval()
    assert (net.space.name, net.learn_trunk) == ("yuv", True)
    assert net(light(1)).shape == (1, 2, 32, 48)


@pytest.mark.parametrize("name", NETS)
def test_one_batch_is_learned_by_heart(name):
    torch.manual_seed(0)
    net = create_model(name.split()[0], width=8, **NETS[name])
    lightness = nn.functional.interpolate(light(2, 4, 4), size=(16, 16), mode="bilinear")
    ab = torch.cat((lightness / 2 - 30, 20 - lightness.flip(3) / 3), 1)
    trunk = [p.clone() for p in net.trunk.parameters()]
    # it begins near gray
    with torch.no_grad():
        assert net(lightness).abs().mean() < 8
    target = net.space.encode(lightness, ab)
    losses = learn(net, lambda: net.answer_planes("full", lightness), target)
    assert losses[-1] < 0.25 * losses[0]
    for old, new in zip(trunk, net.trunk.parameters(), strict=True):
        assert torch.equal(old, new)
