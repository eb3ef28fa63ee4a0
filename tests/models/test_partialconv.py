"""Partial convolutions: the layer, the network, and its ordinary twin."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from dense_partialconv import by_loops, dense_net, random_net

from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models import weights
from vidcolor.models.partialconv import PartialConv2d, PartialConvUNet, compose, smooth_fill
from vidcolor.models.partialconv_files import renamed
from vidcolor.models.registry import create_model, list_inpainters, list_models, model_spec
from vidcolor.models.weights import load_inpainter, load_model, save_weights


@pytest.fixture(autouse=True)
def seeded():
    """Weights and pictures that are drawn without a generator are the same in every run."""
    torch.manual_seed(0)


def _random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _valid(*shape, share=0.4, seed=1):
    """Most of it holes, so that whole windows are."""
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share).float()


# --- the layer ----------------------------------------------------------------------------------

LAYERS = {  # kernel, stride, padding, dilation, height, width
    "plain": (3, 1, 1, 1, 7, 8),
    "stride": (3, 2, 1, 1, 9, 6),
    "large": (7, 2, 3, 1, 11, 13),
    "odd": (5, 2, 2, 1, 9, 11),
    "dilated": (3, 1, 2, 2, 9, 8),
    "dilated and apart": (3, 2, 1, 3, 12, 11),
    "unpadded": (3, 1, 0, 1, 6, 7),
    "point": (1, 1, 0, 1, 9, 8),
    "point apart": (1, 2, 0, 1, 11, 12),
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("counts", [(3,), (1, 1, 1), (2, 1)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_its_definition(name, counts, bias):
    side, stride, padding, dilation, height, width = LAYERS[name]
    layer = PartialConv2d(3, 4, side, stride, padding, dilation, bias)
    x = _random(2, 3, height, width)
    groups = [(_valid(2, 1, height, width, share=0.05, seed=i), n) for i, n in enumerate(counts)]
    mask = torch.cat([one.expand(-1, n, -1, -1) for one, n in groups], 1)
    out, valid = layer(x, groups)
    shift = layer.bias.detach().numpy() if bias else 0.0
    arrays = (part.detach().double().numpy() for part in (x, mask, layer.weight))
    theirs, theirs_valid = by_loops(*arrays, shift, stride, padding, dilation)
    np.testing.assert_allclose(out.detach().numpy(), theirs, atol=3e-5)
    np.testing.assert_array_equal(valid.numpy(), theirs_valid)
    assert not valid.requires_grad
    assert 0 < valid.mean() < 1 or side > 3


def test_borders_count_as_holes():
    """With all valid: N/S is 1 inside, 9/6 at edges, 9/4 in corners."""
    layer = PartialConv2d(2, 1, 3, padding=1)
    ratio, valid = layer.update([(torch.ones(1, 1, 4, 5), 2)])
    rows = [[2.25, 1.5, 1.5, 1.5, 2.25], [1.5, 1, 1, 1, 1.5]]
    assert ratio[0, 0].tolist() == [*rows, *rows[::-1]]
    assert valid.all()


def test_groups_count_by_their_channels():
    """A window of one cell with 3 valid channels of 4: 4/3."""
    layer = PartialConv2d(4, 1, 1)
    one, none = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    assert float(layer.update([(one, 3), (none, 1)])[0]) == pytest.approx(4 / 3)
    assert float(layer.update([(none, 3), (one, 1)])[0]) == 4
    assert float(layer.update([(none, 3), (none, 1)])[0]) == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e38])
def test_what_lies_in_holes_never_leaks(bad):
    layer = PartialConv2d(3, 4, 3, padding=1)
    mask = _valid(2, 1, 8, 8)
    clean = torch.where(mask > 0, _random(2, 3, 8, 8), torch.zeros(()))
    results = []
    for filled in (clean, torch.where(mask > 0, clean, torch.tensor(bad))):
        x = filled.clone().requires_grad_()
        out, _ = layer(x, [(mask, 3)])
        results.append((out, *torch.autograd.grad(out.square().sum(), (x, *layer.parameters()))))
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)
    gradient = results[0][1]
    assert torch.all(gradient[mask.expand_as(gradient) == 0] == 0)


def test_no_gradient_comes_of_holes_alone():
    layer = PartialConv2d(3, 4, 3, padding=1)
    x = _random(1, 3, 6, 6).requires_grad_()
    out, valid = layer(x, [(torch.zeros(1, 1, 6, 6), 3)])
    assert torch.all(out == 0)
    assert torch.all(valid == 0)
    out.sum().backward()
    assert all(torch.all(p.grad == 0) for p in (x, *layer.parameters()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("holes", ["all", "all but one", "many"])
def test_half_precision_has_no_nan(holes, dtype):
    mask = torch.zeros(1, 1, 16, 16)
    if holes == "all but one":
        mask[..., 8, 8] = 1
    elif holes == "many":
        mask = _valid(1, 1, 16, 16, share=0.1)
    layer = PartialConv2d(64, 8, 7, stride=2, padding=3)
    x = _random(1, 64, 16, 16)
    exact, exact_valid = layer(x, [(mask, 64)])
    ratio, _ = layer.update([(mask, 64)])
    with torch.autocast("cpu", dtype=dtype):
        out, valid = layer(x, [(mask, 64)])
        assert torch.equal(layer.update([(mask, 64)])[0], ratio)  # counts stay exact
        out.sum().backward()
    assert out.dtype == valid.dtype == torch.float32
    assert torch.equal(valid, exact_valid)
    assert out.isfinite().all()
    assert all(p.grad.isfinite().all() for p in layer.parameters())
    # one valid cell is taken 49 times, and its error too
    reach = 0.02 * float(exact.detach().abs().max()) + 1e-6
    torch.testing.assert_close(out, exact, atol=reach, rtol=0)


@torch.no_grad()
def test_the_factor_is_taken_in_float32():
    """A cell that stands for 49 of them goes beyond float16."""
    layer = PartialConv2d(64, 8, 7, stride=2, padding=3, bias=False)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 8, 8] = 1
    x = 8000 * _random(1, 64, 16, 16)
    exact, _ = layer(x, [(mask, 64)])
    with torch.autocast("cpu", dtype=torch.float16):
        out, _ = layer(x, [(mask, 64)])
    assert float(exact.abs().max()) > torch.finfo(torch.float16).max
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, exact, atol=0.01 * float(exact.abs().max()), rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_network_in_half_precision(dtype):
    net = _narrow(1)
    image = torch.rand(1, 1, 32, 32)
    for share in (0.0, 0.002, 0.5):
        valid = _valid(1, 1, 32, 32, share=share)
        with torch.autocast("cpu", dtype=dtype):
            out = net(image, valid)
        assert out.dtype == torch.float32
        assert out.isfinite().all()
        scale = float(net(image, valid).abs().max())
        assert float((out - net(image, valid)).abs().max()) <= 0.1 * scale


def test_the_layer_remembers_nothing():
    layer = PartialConv2d(2, 3, 3, padding=1)
    x, mask, ones = _random(1, 2, 6, 6), _valid(1, 1, 6, 6), torch.ones(1, 1, 6, 6)
    before = layer(x, [(ones, 2)])[0]
    holed = layer(x, [(mask, 2)])[0]
    assert not torch.equal(before, holed)
    assert torch.equal(layer(x, [(ones, 2)])[0], before)
    assert torch.equal(layer(x, [(mask, 2)])[0], holed)
    assert set(layer.state_dict()) == {"weight", "bias"}


def test_one_mask_serves_a_batch():
    layer = PartialConv2d(2, 3, 3, padding=1)
    x, mask = _random(3, 2, 6, 6), _valid(1, 1, 6, 6)
    out, valid = layer(x, [(mask, 2)])
    every, _ = layer(x, [(mask.expand(3, -1, -1, -1), 2)])
    assert valid.shape == (1, 1, 6, 6)
    torch.testing.assert_close(out, every)


def test_masks_between_0_and_1_are_valid():
    layer = PartialConv2d(2, 3, 3, padding=1)
    x, mask = _random(1, 2, 6, 6), _valid(1, 1, 6, 6)
    assert torch.equal(layer(x, [(mask * 0.05, 2)])[0], layer(x, [(mask, 2)])[0])


def test_without_holes_it_is_a_convolution_but_at_borders():
    layer = PartialConv2d(3, 4, 5, padding=2)
    x = _random(1, 3, 9, 9)
    plain = F.conv2d(x, layer.weight, layer.bias, padding=2)
    ours, _ = layer(x, [(torch.ones(1, 1, 9, 9), 3)])
    torch.testing.assert_close(ours[..., 2:-2, 2:-2], plain[..., 2:-2, 2:-2])
    assert (ours - plain)[..., 0, 0].abs().max() > 0.01


# --- the network --------------------------------------------------------------------------------


def _narrow(channels=1, depth=3, width=4, first_bias=False, scale="unit", seed=0):
    net = PartialConvUNet(channels, depth, width, scale=scale, first_bias=first_bias)
    net.load_state_dict(renamed(random_net(width, depth, channels, first_bias, seed)))
    return net.eval()


def _assert_near(ours, theirs):
    """To a few units in the last place of the largest value."""
    reach = 3e-6 * float(theirs.abs().max())
    torch.testing.assert_close(ours.double(), theirs, atol=reach, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("depth", "height", "width"), [(3, 32, 24), (4, 32, 48), (5, 64, 32)])
def test_network_is_its_definition(depth, height, width, channels):
    tensors = random_net(4, depth, channels)
    net = _narrow(channels, depth)
    image = torch.rand(2, channels, height, width)
    valid = _valid(2, 1, height, width, share=0.3)
    valid[:, :, :20, :20] = 0
    theirs = dense_net(tensors, image, valid, divides_by_count=False)
    assert theirs.std() > 0.05
    _assert_near(net(image, valid), theirs)


@torch.no_grad()
def test_first_layer_with_a_bias():
    tensors = random_net(4, 3, 3, first_bias=True)
    image, valid = torch.rand(1, 3, 16, 16), _valid(1, 1, 16, 16)
    ours = _narrow(3, first_bias=True)(image, valid)
    _assert_near(ours, dense_net(tensors, image, valid, False))
    without = {key: value for key, value in tensors.items() if key != "enc_1.conv.input_conv.bias"}
    assert (ours - dense_net(without, image, valid, False)).abs().max() > 0.05


@torch.no_grad()
@pytest.mark.parametrize(
    ("scale", "mean", "std"),
    [
        ("imagenet", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ("signed", [0.5] * 3, [0.5] * 3),
    ],
)
def test_values_are_converted_at_the_door(scale, mean, std):
    image, valid = torch.rand(1, 3, 16, 16), _valid(1, 1, 16, 16)
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (mean, std))
    inner = dense_net(random_net(4, 3, 3), (image - mean) / std, valid, False)
    _assert_near(_narrow(3, scale=scale)(image, valid), inner * std + mean)


def test_smooth_fill_by_hand():
    """Of two valid cells of four their mean; of a single one, however far, itself; of none, 0."""
    picture = torch.tensor([[1.0, 7.0], [3.0, 7.0]])[None, None]
    left = torch.tensor([[1.0, 0.0], [1.0, 0.0]])[None, None]
    assert smooth_fill(picture, left)[0, 0].tolist() == [[1, 2], [3, 2]]
    one = torch.zeros(1, 1, 40, 24)
    one[..., 30, 5] = 1
    image = torch.rand(1, 3, 40, 24)
    expected = image[..., 30:31, 5:6].expand_as(image)
    torch.testing.assert_close(smooth_fill(image, one), expected)
    assert torch.all(smooth_fill(image, torch.zeros_like(one)) == 0)


def test_smooth_fill_keeps_what_is_valid_and_levels():
    image, valid = torch.rand(2, 1, 37, 50), _valid(2, 1, 37, 50, share=0.3)
    filled = smooth_fill(torch.where(valid > 0, image, torch.nan), valid)
    assert torch.equal(filled[valid > 0], image[valid > 0])
    assert filled.min() >= image[valid > 0].min()
    assert filled.max() <= image[valid > 0].max()
    flat = torch.full((2, 1, 37, 50), 0.3)
    torch.testing.assert_close(smooth_fill(torch.where(valid > 0, flat, torch.nan), valid), flat)


@torch.no_grad()
def test_untrained_it_answers_a_smooth_fill():
    image, valid = torch.rand(2, 1, 32, 48), _valid(2, 1, 32, 48, share=0.6)
    net = PartialConvUNet(1, 3, 4, scale="smooth").eval()
    given = torch.where(valid > 0, image, torch.nan)
    torch.testing.assert_close(net(given, valid), smooth_fill(image, valid))
    net.load_state_dict(renamed(random_net(4, 3, 1)))
    # it sees what differs from means of 8x8, enlarged, and answers what is to be added
    filled = smooth_fill(image, valid)
    coarse = F.interpolate(F.avg_pool2d(filled, 8), scale_factor=8, mode="bilinear")
    added = dense_net(random_net(4, 3, 1), image - coarse, valid, False)
    _assert_near(net(given, valid) - filled, added)


@torch.no_grad()
def test_only_what_is_valid_counts_and_nothing_gives_nothing():
    net = _narrow()
    image, valid = torch.rand(1, 1, 32, 32), _valid(1, 1, 32, 32, share=0.7)
    answer = net(image, valid)
    for other in (torch.zeros(()), torch.tensor(float("nan")), torch.tensor(1e30)):
        assert torch.equal(net(torch.where(valid > 0, image, other), valid), answer)
    assert torch.all(net(image, torch.zeros_like(valid)) == 0)


@torch.no_grad()
def test_pictures_of_a_batch_do_not_meet():
    net = _narrow()
    image, valid = torch.rand(3, 1, 16, 16), _valid(3, 1, 16, 16)
    alone = [net(image[i : i + 1], valid[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(net(image, valid), torch.cat(alone))
    last = net.to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(image, valid), torch.cat(alone), atol=1e-5, rtol=1e-5)


def _closes(net, layers, gap, start):
    valid = torch.ones(1, 1, 4, 256)
    valid[..., start : start + gap] = 0
    for block in net.encoder[:layers]:
        _, valid = block.conv.update([(valid, 1)])
    return bool(valid.all())


@pytest.mark.parametrize(("layers", "gap"), [(1, 6), (2, 14), (3, 30), (4, 46), (5, 78)])
def test_how_fast_holes_close(layers, gap):
    """The largest straight gaps, wherever they begin, of section 2's table."""
    net = PartialConvUNet(1, 5, 1)
    places = range(64, 96)
    assert all(_closes(net, layers, gap, start) for start in places)
    assert not all(_closes(net, layers, gap + 1, start) for start in places)


@pytest.mark.parametrize(
    ("channels", "depth", "numbers"),
    [(3, 7, 25_779_796), (3, 8, 32_859_732), (1, 7, 25_772_298), (1, 8, 32_852_234)],
)
def test_as_many_weights_as_published(channels, depth, numbers):
    with torch.device("meta"):
        net = create_model("partialconv", channels=channels, depth=depth)
    assert sum(p.numel() for p in net.parameters()) == numbers
    assert net.multiple == 2**depth


def test_every_weight_learns():
    net = PartialConvUNet(1, 3, 4).train()
    image, valid = torch.rand(2, 1, 32, 32), _valid(2, 1, 32, 32, share=0.8)
    net(image, valid).abs().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


@torch.no_grad()
def test_the_ordinary_twin_sees_the_mask_beside_the_picture():
    net, twin = PartialConvUNet(1, 3, 4), PartialConvUNet(1, 3, 4, partial=False).eval()
    more = [a.shape[1] - b.shape[1] for a, b in _weights(twin, net)]
    assert more == [1, 0, 0, 1, 0, 0]  # the first layer and the last, which see the picture
    image, valid = torch.rand(1, 1, 16, 16), _valid(1, 1, 16, 16)
    answer = twin(image, valid)
    assert torch.equal(twin(torch.where(valid > 0, image, torch.nan), valid), answer)
    # what it makes of holes is not what it makes of black
    black = twin(torch.where(valid > 0, image, torch.zeros(())), torch.ones_like(valid))
    assert (answer - black).abs().max() > 1e-3


def _weights(*nets):
    both = [[p for p in net.parameters() if p.ndim == 4] for net in nets]
    return zip(*both, strict=True)


def test_compose_keeps_the_picture():
    image, answer = torch.rand(1, 3, 4, 4), torch.full((1, 3, 4, 4), 2.0)
    valid = _valid(1, 1, 4, 4)
    made = compose(image, valid, answer)
    kept = valid.expand_as(image) > 0
    assert torch.equal(made[kept], image[kept])
    assert torch.all(made[~kept] == 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"channels": 2}, "channels must be 1"),
        ({"depth": 9}, "depth must be 3 to 8"),
        ({"width": 0}, "width must be at least 1"),
        ({"scale": "byte"}, "scale must be unit, imagenet, signed"),
        ({"scale": "imagenet"}, "for pictures of 3 channels"),
        ({"layer": "partly"}, "layer must be partial or ordinary"),
    ],
)
def test_settings_are_checked(settings, words):
    with pytest.raises(ConfigError, match=words):
        create_model("partialconv", **settings)


@pytest.mark.parametrize(
    ("image", "valid", "words"),
    [
        ((1, 3, 16, 16), (1, 1, 16, 16), r"image must be \(N, 1, H, W\)"),
        ((1, 1, 16, 16), (1, 1, 16, 8), "valid"),
        ((1, 1, 16, 20), (1, 1, 16, 20), "multiples of 8, not 16x20"),
    ],
)
def test_shapes_are_checked(image, valid, words):
    with pytest.raises(ValueError, match=words):
        _narrow()(torch.zeros(image), torch.zeros(valid))


# --- doors --------------------------------------------------------------------------------------


def test_inpainters_are_no_colorizers():
    assert "partialconv" in list_inpainters()
    assert "partialconv" not in list_models()
    with pytest.raises(ConfigError, match="fills holes and colors nothing"):
        model_spec("partialconv")


@torch.no_grad()
def test_saved_and_loaded(tmp_path):
    settings = {"width": 4, "channels": 3, "depth": 3, "scale": "signed", "first_bias": True}
    net = _narrow(3, scale="signed", first_bias=True)
    path = tmp_path / "mine.safetensors"
    save_weights(path, net, "partialconv", settings, {"license": "CC0"})
    loaded = load_inpainter(path)
    image, valid = torch.rand(1, 3, 16, 16), _valid(1, 1, 16, 16)
    torch.testing.assert_close(loaded(image, valid), net(image, valid), atol=1e-5, rtol=1e-5)
    assert not loaded.training
    with pytest.raises(WeightsError, match="is for partialconv, which fills holes and colors"):
        load_model(path)


@torch.no_grad()
def test_weights_by_formula(monkeypatch):
    monkeypatch.setattr(weights, "create_model", lambda name: create_model(name, width=4, depth=3))
    nets = [load_inpainter("recipe:partialconv") for _ in range(2)]
    image, valid = torch.rand(1, 1, 32, 32), _valid(1, 1, 32, 32, share=0.8)
    first, second = (net(image, valid) for net in nets)
    assert torch.equal(first, second)
    assert 0.01 < first.std() < 100
    with pytest.raises(WeightsError, match="unknown weights 'recipe:siggraph17'"):
        load_inpainter("recipe:siggraph17")
