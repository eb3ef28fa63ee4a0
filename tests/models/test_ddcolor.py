"""The contract of `models.registry.Colorizer` for DDColor, narrow, and its parts by hand."""

import hashlib
import json
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vidcolor.color.lab import lightness_to_gray
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models import ddcolor as module
from vidcolor.models.recipe import fill
from vidcolor.models.registry import create_model, model_spec
from vidcolor.models.unet import SpectralConv

VARIANTS = ["tiny", "base", "large"]


def _light(n, height=32, width=64):
    return torch.rand(n, 1, height, width, generator=torch.Generator().manual_seed(n)) * 100


@pytest.fixture(scope="module")
def net():
    return fill(create_model("ddcolor", width=4, variant="tiny"))


# --- contract -----------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("width", [1, 3, 6])
def test_every_width_and_variant_answers(variant, width):
    net = fill(create_model("ddcolor", width=width, variant=variant))
    light = _light(1)
    before = [t.clone() for t in (light, *net.buffers())]
    ab = net(light)
    assert ab.shape == (1, 2, 32, 64)
    assert ab.dtype == torch.float32
    assert ab.isfinite().all()
    assert ab.std() > 0.05
    for old, new in zip(before, (light, *net.buffers()), strict=True):
        assert torch.equal(old, new)
    assert torch.equal(net(light), ab)


@torch.no_grad()
def test_a_batch_equals_its_frames_one_by_one(net):
    light = _light(3)
    together = net(light)
    assert (together[0] - together[1]).abs().max() > 0.1
    for frame in range(3):
        alone = net(light[frame : frame + 1])
        torch.testing.assert_close(alone[0], together[frame], atol=1e-4, rtol=0)


@torch.no_grad()
def test_sides_must_be_multiples(net):
    with pytest.raises(ValueError, match="multiples of 32, not 48x64"):
        net(_light(1, 48, 64))


@torch.no_grad()
def test_half_precision_and_channels_last_stay_near(net):
    light = _light(2, 64, 64)
    plain = net(light)
    last = fill(create_model("ddcolor", width=4, variant="tiny"))
    last = last.to(memory_format=torch.channels_last)
    fast = light.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last(fast), plain, atol=1e-4, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        half = last(fast)
    assert half.dtype == torch.float32
    assert (half - plain).abs().mean() < 0.05 * plain.abs().mean()


def test_every_parameter_learns_but_the_idle_ones():
    torch.manual_seed(0)
    net = create_model("ddcolor", width=4, variant="tiny").train()
    for name, parameter in net.named_parameters():
        if name.endswith("gamma"):
            nn.init.constant_(parameter, 0.5)
    net(_light(2, 64, 64)).square().sum().backward()
    without = {name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == {"encoder.arch.norm.weight", "encoder.arch.norm.bias"}
    assert without == {name for name, _ in net.named_parameters() if name.startswith(net.idle)}
    learning = net.part("full")
    assert learning == net.part("finetune")
    rest = {name for name, _ in net.named_parameters() if not name.startswith(learning)}
    assert rest == without


@torch.no_grad()
def test_training_moves_the_vectors_of_spectral_norm_and_evaluation_does_not():
    net = fill(create_model("ddcolor", width=4, variant="tiny"))
    convs = {name: part for name, part in net.named_modules() if isinstance(part, SpectralConv)}
    assert len(convs) == 2 * 3 + 2

    def moved(step):
        before = {name: conv.weight_u.clone() for name, conv in convs.items()}
        step()
        return {
            name for name, conv in convs.items() if not torch.equal(conv.weight_u, before[name])
        }

    assert not moved(lambda: net.eval()(_light(1)))
    assert moved(lambda: net.train()(_light(2))) == set(convs)


@torch.no_grad()
def test_folding_changes_the_entries_and_nothing_else():
    net = fill(create_model("ddcolor", width=4, variant="tiny"))
    before, keys = net(_light(1)), set(net.state_dict())
    net.fold()
    assert torch.equal(net(_light(1)), before)
    after = set(net.state_dict())
    assert not [key for key in after if key.endswith(("_orig", "_u", "_v"))]
    folded = {key.removesuffix("_orig") for key in keys if key.endswith("_orig")}
    assert after - keys == folded
    assert len(folded) == 8


def test_spec_and_settings():
    spec = model_spec("ddcolor")
    assert (spec.multiple, spec.square, spec.short_side, spec.stride) == (32, 512, 512, 1)
    assert (spec.weights, spec.rois, spec.hints) == ("ddcolor-modelscope", False, False)
    with pytest.raises(ConfigError, match="width must be at least 1, not 0"):
        create_model("ddcolor", width=0)
    with pytest.raises(ConfigError, match="variant must be tiny, base, large, not 'huge'"):
        create_model("ddcolor", variant="huge")
    with pytest.raises(TypeError):
        create_model("ddcolor", widht=4)


# --- the network --------------------------------------------------------------------------------


@torch.no_grad()
def test_the_network_sees_gray_and_normalizes_it_itself(net, monkeypatch):
    seen = []
    hook = net.encoder["arch"].register_forward_pre_hook(lambda _m, x: seen.extend(x))
    light = _light(1)
    ab = net(light)
    hook.remove()
    gray = lightness_to_gray(light)[:, 0]
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    for channel in range(3):
        expected = (gray - mean[channel]) / std[channel]
        torch.testing.assert_close(seen[0][:, channel], expected)
    assert torch.equal(net.predict(lightness_to_gray(light).repeat(1, 3, 1, 1)), ab)


@torch.no_grad()
def test_color_is_the_refined_sum_of_the_maps_of_the_queries(net):
    """As published: a hundred maps at full size, and the picture beside them."""
    rgb = lightness_to_gray(_light(2)).expand(-1, 3, -1, -1)
    x = (rgb - net.mean) / net.std
    queries, last = net.decoder(net.encoder["arch"](x))
    assert queries.shape == (2, 100, 16)
    maps = torch.einsum("nqc,nchw->nqhw", queries, net.decoder.last_shuf(last))
    assert maps.shape == (2, 100, 32, 64)
    expected = net.refine_net(torch.cat((maps, x), dim=1))
    torch.testing.assert_close(net.predict(rgb), expected, atol=1e-4, rtol=1e-4)


def test_place_code_by_hand():
    code = module._place_code(2, 3, 8, torch.device("cpu")).view(2, 3, 8)
    # four numbers for y, then four for x: sine and cosine at 1, then at 1/100 of the frequency
    for row in range(2):
        for column in range(3):
            expected = []
            for place, size in ((row, 2), (column, 3)):
                angle = (place + 1) / (size + 1e-6) * 2 * math.pi
                for frequency in (1, 10000 ** (-2 / 4)):
                    expected += [math.sin(angle * frequency), math.cos(angle * frequency)]
            torch.testing.assert_close(code[row, column], torch.tensor(expected), atol=1e-5, rtol=0)


@torch.no_grad()
def test_attention_is_torchs():
    torch.manual_seed(0)
    ours, theirs = module._Attention(16, 4), nn.MultiheadAttention(16, 4, batch_first=True)
    ours.in_proj_bias.uniform_(-1, 1)
    theirs.load_state_dict(ours.state_dict())
    query, key, value = torch.randn(2, 5, 16), torch.randn(2, 7, 16), torch.randn(2, 7, 16)
    expected = theirs(query, key, value, need_weights=False)[0]
    torch.testing.assert_close(ours(query, key, value), expected)


@torch.no_grad()
def test_blocks_of_the_encoder_are_torchvisions():
    from torchvision.models.convnext import CNBlock

    torch.manual_seed(0)
    ours, theirs = module._ConvNextBlock(6), CNBlock(6, 0.3, 0.0)
    ours.gamma.copy_(theirs.layer_scale.flatten())
    for name, part in (("dwconv", 0), ("norm", 2), ("pwconv1", 3), ("pwconv2", 5)):
        getattr(ours, name).load_state_dict(theirs.block[part].state_dict())
    x = torch.randn(2, 6, 9, 8)
    torch.testing.assert_close(ours(x), theirs.eval()(x))


@torch.no_grad()
def test_taps_are_normed_but_what_goes_on_is_not(net):
    seen = {}
    encoder = net.encoder["arch"]
    hooks = [
        part.register_forward_hook(lambda _m, x, y, n=name: seen.update({n: (x[0], y)}))
        for name, part in encoder.named_modules()
        if name in ("norm1", "stages.1", "downsample_layers.2")
    ]
    net(_light(1))
    for hook in hooks:
        hook.remove()
    raw = seen["stages.1"][1]
    assert torch.equal(seen["norm1"][0], raw)
    assert torch.equal(seen["downsample_layers.2"][0], raw)
    weight, bias = encoder.norm1.weight, encoder.norm1.bias
    expected = F.layer_norm(raw.movedim(1, 3), (12,), weight, bias, 1e-6).movedim(3, 1)
    torch.testing.assert_close(seen["norm1"][1], expected)


def test_files_may_lack_what_follows_from_nothing(net):
    lacking = {key for key in net.state_dict() if key.startswith(net.optional)}
    assert lacking == {"mean", "std", "encoder.arch.norm.weight", "encoder.arch.norm.bias"}


def test_it_begins_with_a_convnext():
    net = create_model("ddcolor", width=2, variant="tiny")
    own = {key: v.clone() for key, v in net.encoder["arch"].state_dict().items()}
    taps = tuple(f"norm{number}." for number in range(4))
    given = {key: torch.full_like(v, 0.25) for key, v in own.items() if not key.startswith(taps)}
    classifier = {"head.weight": torch.zeros(9, 24), "head.bias": torch.zeros(9)}
    net.adopt({**given, **classifier}, "convnext_tiny")
    for key, value in net.encoder["arch"].state_dict().items():
        assert torch.equal(value, own[key] if key.startswith(taps) else given[key])
    with pytest.raises(WeightsError, match="can begin with the weights of a convnext, not of vgg"):
        net.adopt(given, "vgg16")
    given.pop("stages.0.0.gamma")
    with pytest.raises(WeightsError, match=r"missing 'stages.0.0.gamma'"):
        net.adopt(given, "convnext_tiny")


# --- manifests ----------------------------------------------------------------------------------

# SHA-256 of the JSON of [[key, shape, type], ...], sorted, of the recorded reference networks
MANIFESTS = {
    "tiny": (
        440, 55_006_640, "aa6c891c94dd2188ebe8b3ce266d7e14a961eb4c31bccea16bace3232962757d",
    ),
    "large": (
        602, 227_869_328, "b89bfd5e639f4e6fa8fcc341569ff28c806b1c4ac7d1cbeef2cb2c6d5db152e2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("variant", MANIFESTS)
def test_keys_and_shapes_are_the_published_ones(variant):
    with torch.device("meta"):
        net = create_model("ddcolor", variant=variant)
    entries = [
        [key, list(value.shape), str(value.dtype).removeprefix("torch.")]
        for key, value in net.state_dict().items()
    ]
    text = json.dumps(sorted(entries), separators=(",", ":"))
    parameters = sum(p.numel() for p in net.parameters())
    found = (len(entries), parameters, hashlib.sha256(text.encode()).hexdigest())
    assert found == MANIFESTS[variant]
