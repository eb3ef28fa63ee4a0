"""The contract of `models.registry.Colorizer`, for the published architectures, narrow."""

import hashlib
import json

import pytest
import torch
from torch import nn

from vidcolor.errors import ConfigError
from vidcolor.models.instcolor import FUSIONS, PUBLISHED, InstColor
from vidcolor.models.placement import place
from vidcolor.models.registry import create_model, model_spec
from vidcolor.models.siggraph17 import Siggraph17
from vidcolor.records import Hints, Rois

WIDTH = 4
NAMES = ["siggraph17", "instcolor", "instcolor as published"]
QUIRKS = {key: value for key, value in PUBLISHED.items() if key != "width"}


def _make(name, seed=0):
    torch.manual_seed(seed)
    settings = QUIRKS if "published" in name else {}
    net = create_model(name.split(maxsplit=1)[0], width=WIDTH, **settings)
    for key, value in net.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_(0.2, 0.1)
        elif "_conv." in key and key.endswith("bias"):
            value.uniform_(0.5, 1.0)  # alive after their last ReLU
        elif "_conv." in key and key.endswith("weight"):
            value.normal_(0, 0.1 if value.shape[1] < 16 else 0.04)
        elif key == "model_out.0.weight" or key.endswith(".model_out.0.weight"):
            value.normal_(0, 0.5)
    return net.eval()


def _light(n, height=32, width=48):
    return torch.rand(n, 1, height, width, generator=torch.Generator().manual_seed(n)) * 100


def _rois(frames, seed=1):
    """Overlapping instances of the frames named."""
    generator = torch.Generator().manual_seed(seed)
    k = len(frames)
    low = torch.rand(k, 2, generator=generator) * torch.tensor([100.0, 60.0])
    side = 20 + torch.rand(k, 2, generator=generator) * torch.tensor([70.0, 50.0])
    return Rois(
        torch.rand(k, 1, 32, 32, generator=generator) * 100,
        torch.cat((low, low + side), 1),
        torch.tensor(frames),
        0.2 + 0.8 * torch.rand(k, generator=generator),
        (120, 200),
    )


def _pick(rois, keep):
    return Rois(rois.crops[keep], rois.boxes[keep], rois.frame[keep], rois.weight[keep], rois.size)


def _hints(n, height=32, width=48):
    generator = torch.Generator().manual_seed(3)
    mask = (torch.rand(n, 1, height, width, generator=generator) > 0.8).float()
    return Hints(torch.randn(n, 2, height, width, generator=generator) * 30, mask)


@pytest.fixture(scope="module", params=NAMES)
def net(request):
    return _make(request.param)


@torch.no_grad()
def test_shape_range_and_purity(net):
    light, rois, hints = _light(2), _rois([0, 1, 1]), _hints(2)
    before = [t.clone() for t in (light, rois.crops, rois.boxes, hints.ab, *net.buffers())]
    ab = net(light, rois, hints)
    assert ab.shape == (2, 2, 32, 48)
    assert ab.dtype == torch.float32
    assert ab.isfinite().all()
    assert ab.abs().max() < 110
    assert ab.std() > 0.5
    for old, new in zip(
        before, (light, rois.crops, rois.boxes, hints.ab, *net.buffers()), strict=True
    ):
        assert torch.equal(old, new)
    assert torch.equal(net(light, rois, hints), ab)


@torch.no_grad()
def test_a_batch_equals_its_frames_one_by_one(net):
    light, rois, hints = _light(4), _rois([0, 2, 2, 3, 0]), _hints(4)
    whole = net(light, rois, hints)
    for frame in range(4):
        keep = rois.frame == frame
        own = _pick(rois, keep)
        own = Rois(own.crops, own.boxes, torch.zeros_like(own.frame), own.weight, own.size)
        one = Hints(hints.ab[frame : frame + 1], hints.mask[frame : frame + 1])
        alone = net(light[frame : frame + 1], own if len(own) else None, one)
        torch.testing.assert_close(whole[frame : frame + 1], alone, atol=2e-3, rtol=0)


@torch.no_grad()
def test_the_order_of_boxes_changes_nothing(net):
    light, rois = _light(2), _rois([0, 1, 1, 0, 1])
    shuffled = _pick(rois, torch.tensor([4, 0, 3, 2, 1]))
    torch.testing.assert_close(net(light, rois), net(light, shuffled), atol=2e-3, rtol=0)


@torch.no_grad()
def test_hints_are_used_only_where_the_mask_says(net):
    light, hints = _light(1), _hints(1)
    plain = net(light)
    assert (net(light, hints=hints) - plain).abs().max() > 0.05
    nothing = Hints(hints.ab, torch.zeros_like(hints.mask))
    torch.testing.assert_close(net(light, hints=nothing), plain)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_gradient_but_the_idle_ones(name):
    net = _make(name).train()
    net(_light(3), _rois([0, 0, 1]), _hints(3)).square().sum().backward()
    without = {key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    idle = {key for key, _ in net.named_parameters() if key.startswith(net.idle)}
    assert without == idle
    assert idle


@pytest.mark.parametrize("name", ["siggraph17", "instcolor"])
def test_sides_must_be_multiples(name):
    net, spec = _make(name), model_spec(name)
    with torch.no_grad():
        assert net(_light(1, spec.multiple, 3 * spec.multiple)).shape[2:] == (8, 24)
        with pytest.raises(ValueError, match="multiples of 8, not 28x32"):
            net(_light(1, 28, 32))
        with pytest.raises(ValueError, match="hints are"):
            net(_light(1), hints=_hints(1, 16, 16))


@torch.no_grad()
@pytest.mark.parametrize("name", ["siggraph17", "instcolor"])
def test_half_precision_and_channels_last_stay_near(name):
    net = _make(name)
    light, rois = _light(2), _rois([0, 1, 1])
    plain = net(light, rois)
    last = net.to(memory_format=torch.channels_last)
    fast = light.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last(fast, rois), plain, atol=2e-3, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        half = last(fast, rois)
    assert half.dtype == torch.float32
    assert (half - plain).abs().mean() < 1.5


def test_spec_says_what_the_networks_use():
    zhang, su = model_spec("siggraph17"), model_spec("instcolor")
    assert (zhang.rois, zhang.hints, su.rois, su.hints) == (False, True, True, True)
    assert (zhang.multiple, su.multiple, su.square) == (8, 8, 256)


@pytest.mark.parametrize("name", ["siggraph17", "instcolor"])
def test_settings_are_checked(name):
    with pytest.raises(ConfigError, match="width"):
        create_model(name, width=0)
    with pytest.raises(TypeError):
        create_model(name, widht=4)


# --- siggraph17 ---------------------------------------------------------------------------------


@torch.no_grad()
def test_mask_cent_shifts_the_fourth_channel():
    centered, plain = (Siggraph17(WIDTH, cent).eval() for cent in (0.5, 0.0))
    plain.load_state_dict(centered.state_dict())
    first, second = (net.model1[0] for net in (centered, plain))
    light = _light(1)
    seen = []
    for layer in (first, second):
        layer.register_forward_hook(lambda _m, x, y: seen.append((x[0], y.clone())))
    centered(light), plain(light)
    assert seen[0][0][:, 3].unique().tolist() == [-0.5]
    assert seen[1][0][:, 3].unique().tolist() == [0.0]
    shift = -0.5 * first.weight[:, 3].sum((1, 2))
    # the border sees padding
    inner = (seen[0][1] - seen[1][1])[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(inner, shift.view(1, -1, 1, 1).expand_as(inner))


def test_new_networks_start_near_gray_and_alive():
    torch.manual_seed(0)
    net = Siggraph17(8).train()
    ab = net(_light(4))
    assert 0.01 < ab.abs().mean() < 30


# --- instcolor ----------------------------------------------------------------------------------


@torch.no_grad()
def test_published_quirk_another_network_without_boxes():
    net = _make("instcolor as published")
    light = _light(2)
    ab = net(light, _rois([1]))
    direct = 110 * net.full.predict(_input(light[:1]))
    torch.testing.assert_close(ab[:1], direct, atol=2e-3, rtol=0)
    assert (ab[:1] - 110 * net.fusion.predict(_input(light[:1]))).abs().max() > 0.5


def _input(light):
    n, _, h, w = light.shape
    return torch.cat(
        ((light - 50) / 100, torch.zeros(n, 2, h, w), torch.full((n, 1, h, w), -0.5)), 1
    )


@torch.no_grad()
def test_one_network_for_all_frames_and_a_fading_weight_ends_there():
    net = _make("instcolor")
    assert net.full is None
    light, rois = _light(1), _rois([0])
    none = net(light)
    steps = []
    for weight in (1.0, 0.1, 0.01, 1e-6):
        faded = Rois(rois.crops, rois.boxes, rois.frame, torch.tensor([weight]), rois.size)
        steps.append(float((net(light, faded) - none).abs().mean()))
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > 0.3
    assert steps[-1] < 1e-2


def _shares(net, placement):
    k = len(placement)
    layer = net.fusion.weight_layer
    x = torch.rand(1, WIDTH, 32, 32, generator=torch.Generator().manual_seed(0))
    return layer.shares(x, x.expand(k, -1, -1, -1), placement, 0)[0]


@torch.no_grad()
def test_outside_its_box_an_instance_has_no_say_unless_published():
    boxes = torch.tensor([[0, 0, 16, 16], [8, 8, 32, 32]]).float()
    placement, _ = place(boxes, torch.zeros(2, dtype=int), torch.ones(2), (32, 32), (32, 32), False)
    for name, expected in (("instcolor", 0.0), ("instcolor as published", None)):
        first, second, back = _shares(_make(name), placement)
        torch.testing.assert_close(first + second + back, torch.ones(32, 32))
        # only the second box covers this part
        elsewhere = first[20:30, 20:30]
        if expected is None:
            assert elsewhere.min() > 0.01
        else:
            assert elsewhere.max() == expected
        # outside both the background alone counts
        assert back[0:4, 24:].min() == 1
        assert first[0:8, 0:8].min() > 0.01


@torch.no_grad()
def test_weight_one_is_the_published_softmax_and_half_weight_halves_the_odds():
    net = _make("instcolor")
    boxes = torch.tensor([[0, 0, 32, 32]]).float()
    shares = []
    for weight in (1.0, 0.5):
        placement, _ = place(
            boxes, torch.zeros(1, dtype=int), torch.tensor([weight]), (32, 32), (32, 32), True
        )
        front, back = _shares(net, placement)
        shares.append(front / back)
    torch.testing.assert_close(shares[1], shares[0] / 2)


@torch.no_grad()
def test_new_generators_average():
    torch.manual_seed(0)
    net = InstColor(WIDTH).eval()
    boxes = torch.tensor([[0, 0, 32, 32]]).float()
    placement, _ = place(boxes, torch.zeros(1, dtype=int), torch.ones(1), (32, 32), (32, 32), True)
    front, back = _shares(net, placement)
    torch.testing.assert_close(front, back, atol=0.02, rtol=0)


@torch.no_grad()
def test_groups_of_frames_change_nothing():
    net = _make("instcolor")
    light, rois = _light(4), _rois([0, 1, 1, 1, 2, 3, 3])
    whole = net(light, rois)
    for most in (1, 2, 3):
        net.instances_at_once = most
        torch.testing.assert_close(net(light, rois), whole, atol=2e-3, rtol=0)


@torch.no_grad()
def test_crops_get_their_part_of_the_hints():
    net = _make("instcolor")
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:16, 16:32] = 1
    ab = torch.full((1, 2, 32, 32), 55.0)
    seen = []
    net.instance.model1[0].register_forward_hook(lambda _m, x, _y: seen.append(x[0]))
    rois = Rois(
        torch.zeros(1, 1, 16, 16),
        torch.tensor([[40.0, 20, 80, 60]]),  # the hints lie in x 40..80, y 20..40
        torch.tensor([0]),
        torch.ones(1),
        (80, 80),
    )
    net(torch.zeros(1, 1, 32, 32), rois, Hints(ab, mask))
    channels = seen[0][0]
    expected = torch.zeros(16, 16)
    expected[:8] = 1
    assert torch.equal(channels[3] + 0.5, expected)
    assert torch.equal(channels[1], 0.5 * expected)


@torch.no_grad()
def test_boxes_outside_the_frame_are_ignored_and_bad_frames_refused():
    net = _make("instcolor")
    light, rois = _light(1), _rois([0])
    away = Rois(rois.crops, rois.boxes + 500, rois.frame, rois.weight, rois.size)
    torch.testing.assert_close(net(light, away), net(light))
    with pytest.raises(ValueError, match=r"outside 0\.\.0"):
        net(light, _rois([1]))


def test_every_map_is_fused_once():
    assert [name for name, _, _ in FUSIONS] == list(InstColor(1).fusion.channels)
    generators = {generator for _, generator, _ in FUSIONS}
    own = {name for name, m in InstColor(1).fusion.named_children() if "weight_layer" in name}
    assert own - generators == {"weight_layerout"}


# --- manifests ----------------------------------------------------------------------------------

# SHA-256 of the JSON of [[key, shape, type], ...], sorted, of the recorded reference networks
TRUNK = (107, 34_187_027, "e73f14b6a7e685de9e9fe74ed6a19666db5dc53e5c7953408f7209458aebf822")
FUSION = (275, 35_270_831, "018235b3b697b7b46f154ae4508ffa051f53a270916ea0754d8078a2abcab9b7")


def _manifest(net: nn.Module):
    entries = [
        [key, list(value.shape), str(value.dtype).removeprefix("torch.")]
        for key, value in net.state_dict().items()
    ]
    text = json.dumps(sorted(entries), separators=(",", ":"))
    parameters = sum(p.numel() for p in net.parameters())
    return len(entries), parameters, hashlib.sha256(text.encode()).hexdigest()


def test_keys_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        zhang = create_model("siggraph17")
        su = create_model("instcolor", **PUBLISHED)
    assert _manifest(zhang) == TRUNK
    assert _manifest(su.full) == TRUNK
    assert _manifest(su.instance) == TRUNK
    assert _manifest(su.fusion) == FUSION
    prefixes = {key.partition(".")[0] for key in su.state_dict()}
    assert prefixes == {"full", "instance", "fusion"}
