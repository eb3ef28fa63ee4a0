"""The contract of `models.registry.Colorizer` for the network of Iizuka et al., narrow."""

import pytest
import torch
import torch.nn.functional as F

from vidcolor.color.lab import lightness_to_gray, rgb_to_lab
from vidcolor.errors import ConfigError
from vidcolor.models.iizuka16 import TORCH7_ORDER
from vidcolor.models.registry import create_model, model_spec

WIDTH, LABELS = 2, 5


@torch.no_grad()
def _make(seed=0, **settings):
    """Narrow, alive, with statistics that a norm in the wrong place would show."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = create_model("iizuka16", **{"width": WIDTH, "labels": LABELS, **settings})
        for layer in net.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0  # takes what it sees
                layer.weight.uniform_(0.8, 1.2)
                layer.bias.uniform_(0.2, 0.6)
        net.get_parameter("color.4.conv.weight").normal_(0, 0.5)
        net.train()
        see = net.answer_labels if net.labels else net.answer
        see("full", _light(4))
    return net.eval()


@pytest.fixture(scope="module")
def net():
    return _make()


def _light(n, height=32, width=48, seed=0):
    generator = torch.Generator().manual_seed(10 * n + seed)
    coarse = torch.rand(n, 1, 4, 6, generator=generator) * 100
    return F.interpolate(coarse, (height, width), mode="bilinear")


@torch.no_grad()
def test_shape_range_and_purity(net):
    light = _light(2)
    before = [t.clone() for t in (light, *net.buffers())]
    ab = net(light)
    assert ab.shape == (2, 2, 16, 24)
    assert ab.dtype == torch.float32
    assert ab.abs().max() <= 100
    assert ab.std() > 0.5
    assert all(torch.equal(a, b) for a, b in zip(before, (light, *net.buffers()), strict=True))
    assert torch.equal(net(light), ab)


@torch.no_grad()
def test_a_batch_equals_its_frames_one_by_one(net):
    light = _light(3)
    together = net(light)
    for frame in range(3):
        alone = net(light[frame : frame + 1])
        torch.testing.assert_close(together[frame : frame + 1], alone, atol=2e-3, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("size", [(8, 8), (40, 16), (224, 224), (232, 240)])
def test_any_multiple_of_eight_gives_half_the_size(net, size):
    assert net(_light(1, *size)).shape[2:] == (size[0] // 2, size[1] // 2)


def test_every_parameter_has_a_gradient_but_the_idle_ones(net):
    net.zero_grad()
    net(_light(3)).square().sum().backward()
    without = {key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    net.zero_grad()
    assert without == {key for key, _ in net.named_parameters() if key.startswith(net.idle)}
    assert without == {
        f"classifier.{part}.{kind}"
        for part in ("0.linear", "0.norm", "1.linear")
        for kind in ("weight", "bias")
    }


@torch.no_grad()
def test_half_precision_and_channels_last_stay_near():
    net, light = _make(), _light(2)
    plain, vector = net(light), net.whole(light)
    last = net.to(memory_format=torch.channels_last)
    fast = light.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last(fast), plain, atol=2e-3, rtol=0)
    torch.testing.assert_close(last.whole(fast), vector, atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        half, half_vector = last(fast), last.whole(fast)
    assert half.dtype == half_vector.dtype == torch.float32
    assert (half - plain).abs().mean() < 1.5


def test_settings_and_sides_are_checked(net):
    spec = model_spec("iizuka16")
    assert (spec.multiple, spec.stride, spec.rois, spec.hints) == (8, 2, False, False)
    for wrong in ({"width": 0}, {"labels": -1}, {"labels": 1}, {"space": "hsv"}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            create_model("iizuka16", **{"width": 1, **wrong})
    with pytest.raises(TypeError):
        create_model("iizuka16", widht=4)
    with pytest.raises(ValueError, match="multiples of 8, not 28x32"):
        net(_light(1, 28, 32))
    with pytest.raises(ValueError, match="multiples of 8"):
        net.whole(_light(1, 28, 32))
    for shape in ((3, 8), (2, 9), (8,)):
        with pytest.raises(ValueError, match=r"whole must be \(2, 8\) or \(1, 8\)"):
            net(_light(2), whole=torch.zeros(shape))


@torch.no_grad()
def test_the_narrowest_network_works():
    net = _make(width=1, labels=0)
    assert net(_light(1)).shape == (1, 2, 16, 24)
    assert net.idle == ()


# --- the layers ---------------------------------------------------------------------------------


def _norm(x, state, name):
    """Batch norm by its formula."""
    mean, variance, weight, bias = (
        state[f"{name}.norm.{part}"].view(1, -1, *[1] * (x.ndim - 2))
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


@torch.no_grad()
def test_layers_are_those_of_the_tables():
    """The same network written down once more, from the paper's tables, without any sharing."""
    net = _make(seed=1)
    light = _light(1, 24, 40)
    state = net.state_dict()

    def conv(x, name, stride=1):
        x = F.conv2d(x, state[f"{name}.conv.weight"], state[f"{name}.conv.bias"], stride, 1)
        return _norm(x, state, name).clamp(min=0)

    def linear(x, name):
        x = x @ state[f"{name}.linear.weight"].T + state[f"{name}.linear.bias"]
        return _norm(x, state, name).clamp(min=0)

    def low(x):
        for number, stride in enumerate((2, 1, 2, 1, 2, 1)):
            x = conv(x, f"low.{number}", stride)
        return x

    # sRGB of L*: by CIE, in float64
    f = (light.double() + 16) / 116
    linear_light = torch.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    gray = torch.where(
        linear_light > 0.0031308,
        1.055 * linear_light.clamp(min=1e-9) ** (1 / 2.4) - 0.055,
        12.92 * linear_light,
    ).float()
    gray = gray - state["gray_mean"]
    view = F.interpolate(gray, (224, 224), mode="bilinear")  # enlarged: nothing to smooth
    x = low(view)
    for number, stride in enumerate((2, 1, 2, 1)):
        x = conv(x, f"global_conv.{number}", stride)
    assert x.shape[2:] == (7, 7)
    seen = linear(linear(x.flatten(1), "global_linear.0"), "global_linear.1")
    vector = linear(seen, "global_linear.2")
    torch.testing.assert_close(net.whole(light), vector, atol=1e-3, rtol=1e-3)
    mid = conv(conv(low(gray), "mid.0"), "mid.1")
    both = torch.cat((mid, vector[:, :, None, None].expand(-1, -1, *mid.shape[2:])), 1)
    x = F.conv2d(both, state["fusion.conv.weight"], state["fusion.conv.bias"])
    x = _norm(x, state, "fusion").clamp(min=0)
    x = conv(x, "color.0").repeat_interleave(2, 2).repeat_interleave(2, 3)
    x = conv(conv(x, "color.1"), "color.2").repeat_interleave(2, 2).repeat_interleave(2, 3)
    x = conv(x, "color.3")
    x = F.conv2d(x, state["color.4.conv.weight"], state["color.4.conv.bias"], padding=1)
    expected = 100 * (2 / (1 + (-x).exp()) - 1)
    ab = net(light)
    assert ab.std() > 0.5
    torch.testing.assert_close(ab, expected, atol=5e-3, rtol=0)
    logits, planes = net.answer_labels("full", light)
    scores = linear(seen, "classifier.0")
    scores = scores @ state["classifier.1.linear.weight"].T + state["classifier.1.linear.bias"]
    torch.testing.assert_close(logits, scores, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(planes, expected / 200 + 0.5, atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_picture_of_the_views_size_is_seen_once(net):
    light = _light(1, 224, 224)
    counts = []
    hook = net.low[0].register_forward_hook(lambda *_: counts.append(1))
    ab = net(light)
    assert len(counts) == 1
    net.answer_labels("full", light)
    assert len(counts) == 2
    other = net(light, whole=net.whole(light))
    hook.remove()
    assert torch.equal(ab, other)


@torch.no_grad()
def test_grain_of_a_large_picture_is_averaged_in_the_view(net):
    grain = 30 + 40 * torch.rand(1, 1, 896, 896, generator=torch.Generator().manual_seed(0))
    views = []
    hook = net.low[0].register_forward_hook(lambda _m, x, _y: views.append(x[0]))
    net.whole(grain)
    hook.remove()
    assert views[0].shape == (1, 1, 224, 224)
    # of the grain of 4x4 pixels a sixth is left, by picking it would be half
    assert views[0].std() < 0.25 * lightness_to_gray(grain).std()


# --- the vector of the whole picture ------------------------------------------------------------


@torch.no_grad()
def test_own_vector_changes_nothing_and_anothers_does(net):
    light, other = _light(2), _light(2, 48, 32, seed=5) / 2
    vectors = net.whole(light)
    assert vectors.shape == (2, net.whole_size)
    ab = net(light)
    assert torch.equal(net(light, whole=vectors), ab)
    changed = net(light, whole=net.whole(other))
    assert (changed - ab).abs().mean() > 0.05
    # one for all
    first = vectors[:1]
    shared = net(light, whole=first)
    torch.testing.assert_close(shared[:1], ab[:1], atol=2e-3, rtol=0)
    torch.testing.assert_close(shared[1:], net(light[1:], whole=first), atol=2e-3, rtol=0)


@torch.no_grad()
def test_a_given_vector_spares_the_global_branch(net):
    light, vector = _light(1), net.whole(_light(1, seed=3))
    seen = []
    hook = net.global_conv.register_forward_hook(lambda *_: seen.append(1))
    net(light, whole=vector)
    hook.remove()
    assert not seen


# --- learning -----------------------------------------------------------------------------------


def test_labels_reach_the_classifier_and_the_global_branch_only():
    net = _make()
    logits, _ = net.answer_labels("full", _light(2))
    F.cross_entropy(logits, torch.tensor([1, 3])).backward()
    reached = {k.split(".")[0] for k, p in net.named_parameters() if p.grad is not None}
    assert reached == {"classifier", "global_linear", "global_conv", "low"}
    # the vector itself lies behind the branching
    assert net.global_linear[2].linear.weight.grad is None
    assert net.global_linear[1].linear.weight.grad.any()


def test_phases():
    net = _make()
    part = net.part("full")
    assert net.part("finetune") == part
    assert all(key.startswith(part) for key, _ in net.named_parameters())
    plain = _make(labels=0)
    assert not any(key.startswith("classifier") for key in plain.state_dict())
    with pytest.raises(ConfigError, match="labels"):
        plain.answer_labels("full", _light(1))


def test_a_new_network_learns_one_batch_by_heart():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = create_model("iizuka16", width=4, labels=3).train()
    light = _light(3, 32, 32)
    with torch.no_grad():
        assert (net.answer_planes("full", light) - 0.5).abs().mean() < 0.1  # near gray
    color = torch.tensor([[30.0, 10], [-20, 40], [5, -35]])[:, :, None, None]
    target = net.space.encode(light, color.expand(-1, -1, 16, 16))
    labels = torch.tensor([0, 1, 2])
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        logits, planes = net.answer_labels("full", light)
        far, kind = F.mse_loss(planes, target), F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        (far + kind / 300).backward()
        optimizer.step()
        losses.append((far.item(), kind.item()))
    assert losses[-1][0] < 0.4 * losses[0][0]
    assert losses[-1][1] < 0.5 * losses[0][1]


@torch.no_grad()
@pytest.mark.parametrize(("space", "planes"), [("lab", 2), ("yuv", 2), ("rgb", 3)])
def test_color_spaces(space, planes):
    net, light = _make(space=space), _light(1)
    answer = net.answer_planes("full", light)
    assert answer.shape == (1, planes, 16, 24)
    assert answer.min() >= 0
    assert answer.max() <= 1
    if space == "lab":
        expected = 200 * answer - 100
    elif space == "rgb":
        expected = rgb_to_lab(answer)[:, 1:]
    else:
        expected = net.space.decode(answer, light)
        # neutral planes are neutral whatever the lightness
        gray = net.space.decode(torch.full_like(answer, 0.5), light)
        torch.testing.assert_close(gray, torch.zeros_like(gray), atol=0.05, rtol=0)
    torch.testing.assert_close(net(light), expected, atol=1e-4, rtol=0)


# --- keys ---------------------------------------------------------------------------------------


def test_parameters_are_as_many_as_published():
    with torch.device("meta"):
        net = create_model("iizuka16")
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    assert sum(count.values()) == 42_367_343
    rounded = {name: round(number / 1e6, 3) for name, number in count.items()}
    assert rounded == {
        "low": 2.290,
        "mid": 3.541,
        "global_conv": 9.443,
        "global_linear": 26.351,  # 26.219 and 0.132
        "fusion": 0.132,
        "color": 0.425,
        "classifier": 0.185,
    }


def test_the_order_for_torch7_names_every_layer_once():
    net = _make()
    layers = {key.rpartition(".")[0] for key, _ in net.named_parameters()}
    assert set(TORCH7_ORDER) == layers
    assert len(TORCH7_ORDER) == len(layers)
    with torch.device("meta"):
        full = create_model("iizuka16")
    shapes = [tuple(full.get_parameter(f"{name}.weight").shape) for name in TORCH7_ORDER]
    convolutions = [shape for shape in shapes if len(shape) == 4]
    assert convolutions[:2] == [(64, 1, 3, 3), (128, 64, 3, 3)]
    assert convolutions[-1] == (2, 32, 3, 3)
    matrices = [shape for shape in shapes if len(shape) == 2]
    assert matrices == [(1024, 25088), (512, 1024), (256, 512), (256, 512), (205, 256)]
