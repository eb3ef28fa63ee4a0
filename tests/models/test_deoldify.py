"""The contract of `models.registry.Colorizer` for DeOldify, narrow, and its parts by hand."""

import hashlib
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.color import rgb2lab
from torch import nn

from vidcolor.color.lab import lightness_to_gray
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models import deoldify as module
from vidcolor.models.recipe import fill
from vidcolor.models.registry import create_model, model_spec
from vidcolor.models.unet import SelfAttention, SpectralConv

VARIANTS = ["artistic", "wide"]
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def _light(n, height=32, width=48):
    return torch.rand(n, 1, height, width, generator=torch.Generator().manual_seed(n)) * 100


@pytest.fixture(scope="module", params=VARIANTS)
def net(request):
    return fill(create_model("deoldify", width=4, variant=request.param))


# --- contract -----------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("width", [1, 2, 5])
def test_every_width_and_variant_answers(variant, width):
    net = fill(create_model("deoldify", width=width, variant=variant))
    light = _light(1)
    before = [t.clone() for t in (light, *net.buffers())]
    ab = net(light)
    assert ab.shape == (1, 2, 32, 48)
    assert ab.dtype == torch.float32
    assert ab.isfinite().all()
    assert ab.std() > 0.5
    for old, new in zip(before, (light, *net.buffers()), strict=True):
        assert torch.equal(old, new)
    assert torch.equal(net(light), ab)


@torch.no_grad()
def test_a_batch_equals_its_frames_one_by_one(net):
    light = _light(3, 48, 48)
    together = net(light)
    assert (together[0] - together[1]).abs().max() > 1
    for frame in range(3):
        alone = net(light[frame : frame + 1])
        torch.testing.assert_close(alone[0], together[frame], atol=2e-3, rtol=0)


@torch.no_grad()
def test_sides_must_be_multiples(net):
    assert net(_light(1, 80, 48)).shape == (1, 2, 80, 48)
    with pytest.raises(ValueError, match="multiples of 16, not 40x48"):
        net(_light(1, 40, 48))


@torch.no_grad()
def test_half_precision_and_channels_last_stay_near(net):
    light = _light(2)
    x = (lightness_to_gray(light) - MEAN) / STD
    plain = net.predict(x)
    last = fill(create_model("deoldify", width=4, variant=_variant(net)))
    last = last.to(memory_format=torch.channels_last)
    fast = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last.predict(fast), plain, atol=1e-4, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        half = last.predict(fast)
        assert last(light).dtype == torch.float32
    assert half.dtype == torch.float32
    assert (half - plain).abs().mean() < 0.1 * plain.abs().mean()


def _variant(net):
    return "wide" if net.backbone == "resnet101" else "artistic"


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_learns(variant):
    torch.manual_seed(0)
    net = create_model("deoldify", width=2, variant=variant).train()
    for part in net.modules():
        if isinstance(part, SelfAttention):
            nn.init.constant_(part.gamma, 0.5)
    x = (lightness_to_gray(_light(3, 48, 64)) - MEAN) / STD
    net.predict(x).square().sum().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == [name for name, _ in net.named_parameters() if name.startswith(net.idle)]
    assert net.idle == ()
    for phase in ("full", "finetune"):
        learning = net.part(phase)
        assert all(name.startswith(learning) for name, _ in net.named_parameters())


def test_the_encoder_can_be_left_alone():
    net = create_model("deoldify", width=1, variant="artistic", learn_encoder=False)
    rest = [name for name, _ in net.named_parameters() if not name.startswith(net.part("full"))]
    encoder = [name for name, _ in net.named_parameters() if name.startswith("layers.0.")]
    assert rest == encoder
    assert len(encoder) == 108  # 36 convolutions and norms of two numbers of a ResNet-34


@torch.no_grad()
def test_training_moves_the_vectors_of_spectral_norm_and_evaluation_does_not():
    net = fill(create_model("deoldify", width=4, variant="artistic"))
    convs = {name: part for name, part in net.named_modules() if isinstance(part, SpectralConv)}
    # middle, four steps up of three, attention, refinement, color
    assert len(convs) == 2 + 4 * 3 + 3 + 2 + 1

    def moved(step):
        before = {name: conv.weight_u.clone() for name, conv in convs.items()}
        step()
        return {
            name for name, conv in convs.items() if not torch.equal(conv.weight_u, before[name])
        }

    assert not moved(lambda: net.eval()(_light(1)))
    assert moved(lambda: net.train()(_light(2, 48, 48))) == set(convs)


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS)
def test_folding_changes_the_entries_and_nothing_else(variant):
    net = fill(create_model("deoldify", width=4, variant=variant))
    before, keys = net(_light(1)), set(net.state_dict())
    net.fold()
    assert torch.equal(net(_light(1)), before)
    after = set(net.state_dict())
    assert not [key for key in after if key.endswith(("_orig", "_u", "_v", "_g"))]
    folded = {key.removesuffix("_orig") for key in keys if key.endswith("_orig")}
    assert after - keys == folded | {"layers.8.conv.0.weight"}


def test_spec_and_settings():
    spec = model_spec("deoldify")
    assert (spec.multiple, spec.square, spec.short_side, spec.stride) == (16, 560, 560, 1)
    assert (spec.weights, spec.rois, spec.hints) == ("deoldify-video", False, False)
    with pytest.raises(ConfigError, match="width must be at least 1, not 0"):
        create_model("deoldify", width=0)
    with pytest.raises(ConfigError, match="variant must be artistic or wide, not 'stable'"):
        create_model("deoldify", variant="stable")
    with pytest.raises(TypeError):
        create_model("deoldify", widht=4)


# --- the network --------------------------------------------------------------------------------


@torch.no_grad()
def test_color_is_that_of_the_answer_at_the_luma_of_the_picture(net):
    light = _light(2)
    gray = lightness_to_gray(light)
    rgb = (net.predict((gray - MEAN) / STD) * STD + MEAN).clamp(0, 1)
    luma = (rgb * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    # the same U and V at another Y: all three channels move by the difference of both
    moved = (rgb - luma + gray).movedim(1, 3).double().numpy()
    expected = np.moveaxis(rgb2lab(moved)[..., 1:], 3, 1)
    np.testing.assert_allclose(net(light).numpy(), expected, atol=5e-3)


@torch.no_grad()
def test_gray_answers_are_gray(net, monkeypatch):
    monkeypatch.setattr(net, "predict", lambda x: (torch.full_like(x, 0.3) - MEAN) / STD)
    assert net(_light(1)).abs().max() < 0.02


@torch.no_grad()
def test_answers_lie_within_three_deviations_and_the_network_sees_gray(net, monkeypatch):
    seen = []
    hook = net.layers["0"][0].register_forward_pre_hook(lambda _m, x: seen.extend(x))
    light = _light(1)
    net(light)
    hook.remove()
    x = (lightness_to_gray(light) - MEAN) / STD
    torch.testing.assert_close(seen[0], x)
    for bias, edge in ((100.0, 3.0), (-100.0, -3.0)):
        bright = nn.Parameter(torch.full((3,), bias))
        monkeypatch.setitem(net.layers["11"][0]._parameters, "bias", bright)
        torch.testing.assert_close(net.predict(x), torch.full_like(x, edge))


@torch.no_grad()
@pytest.mark.parametrize("bottleneck", [False, True])
def test_the_trunk_is_torchvisions(bottleneck):
    from torchvision.models import resnet

    torch.manual_seed(0)
    kind = resnet.Bottleneck if bottleneck else resnet.BasicBlock
    depths = [1, 2, 1, 1] if bottleneck else [2, 1, 1, 2]
    theirs = resnet.ResNet(kind, depths).eval()
    for name, value in theirs.named_buffers():
        if name.endswith("mean"):
            value.uniform_(-0.1, 0.1)
        elif name.endswith("var"):
            value.uniform_(0.5, 1.5)
    ours = module._trunk(64, tuple(depths), bottleneck).eval()
    children = list(theirs.children())[:8]
    ours.load_state_dict(nn.Sequential(*children).state_dict())
    x = torch.randn(1, 3, 48, 40)
    expected = x
    for child in children:
        expected = child(expected)
    assert expected.std() > 0.1
    torch.testing.assert_close(ours(x), expected, atol=1e-4, rtol=1e-4)


def test_it_begins_with_a_resnet():
    net = create_model("deoldify", width=1, variant="artistic")
    names = {v: k for k, v in module._TRUNK.items()}
    given = {}
    for key, value in net.layers["0"].state_dict().items():
        first, _, rest = key.partition(".")
        given[f"{names[first]}.{rest}"] = torch.full_like(value, 2)
    assert {"conv1.weight", "bn1.running_var", "layer4.2.conv2.weight"} <= set(given)
    assert "layer2.0.downsample.1.bias" in given
    before = {k: v.clone() for k, v in net.state_dict().items() if not k.startswith("layers.0.")}
    net.adopt({**given, "fc.weight": torch.zeros(5, 8), "fc.bias": torch.zeros(5)}, "resnet34")
    assert all((value == 2).all() for value in net.layers["0"].state_dict().values())
    assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())
    with pytest.raises(WeightsError, match="weights of resnet34, not of resnet101"):
        net.adopt(given, "resnet101")
    given["layer1.9.conv1.weight"] = given.pop("layer1.0.conv1.weight")
    with pytest.raises(WeightsError, match=r"missing '4.0.conv1.weight'; unexpected '4.9.conv1"):
        net.adopt(given, "resnet34")


def test_very_old_files_are_completed(net):
    state = net.state_dict()
    old = {
        key: value
        for key, value in state.items()
        if not (key.endswith("weight_v") and value.ndim == 1)
    }
    assert len(old) < len(state)
    whole = type(net).complete(old)
    assert set(whole) == set(state)
    for key in set(state) - set(old):
        # in a file of a trained network v belongs to u, as W^T u over its length
        stem = key.removesuffix("_v")
        matrix = state[f"{stem}_orig"].flatten(1)
        expected = F.normalize(matrix.T @ state[f"{stem}_u"], dim=0)
        torch.testing.assert_close(whole[key], expected)


# --- manifests ----------------------------------------------------------------------------------

# SHA-256 of the JSON of [[key, shape, type], ...], sorted, of the recorded reference networks
MANIFESTS = {
    "artistic": (
        378, 63_646_881, "5754c016464dff1b74aa6be7c31b4a7f0a8f997cf8d929826933b058b7f8e34a",
    ),
    "wide": (
        754, 218_222_197, "6ba75485064b80c3a9b10f46255dd9b21a9b98bfb807a07a6d9665dbd5f914fd",
    ),
}  # fmt: skip


@pytest.mark.parametrize("variant", MANIFESTS)
def test_keys_and_shapes_are_the_published_ones(variant):
    with torch.device("meta"):
        net = create_model("deoldify", variant=variant)
    entries = [
        [key, list(value.shape), str(value.dtype).removeprefix("torch.")]
        for key, value in net.state_dict().items()
    ]
    text = json.dumps(sorted(entries), separators=(",", ":"))
    parameters = sum(p.numel() for p in net.parameters())
    found = (len(entries), parameters, hashlib.sha256(text.encode()).hexdigest())
    assert found == MANIFESTS[variant]
