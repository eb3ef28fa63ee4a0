"""What features say of two pictures; with a narrow VGG and with hand-made layers."""

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from toys import Painter, batch, narrow_vgg

from vidcolor.errors import WeightsError
from vidcolor.models.registry import ModelSpec
from vidcolor.train import features as module
from vidcolor.train.critics import color_enhanced, colorfulness_loss
from vidcolor.train.features import Features, imagenet, vgg16_bn
from vidcolor.train.losses import rgb_of
from vidcolor.train.phases import PhaseConfig, make_phase

SPEC = ModelSpec("painter", Painter, 1, False, False, None, 32, 32, "", 1)


def _pair(seed=0, side=32):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 2, 3, side, side, generator=generator)


def _by_layers(net, x, names):
    """Outputs of groups: conv{g}_{i} is a convolution's, relu{g}_{i} what comes of it."""
    found, group, number = {}, 1, 0
    for layer in net.eval():
        x = layer(x.clone())
        if isinstance(layer, nn.MaxPool2d):
            group, number = group + 1, 0
        elif isinstance(layer, nn.Conv2d):
            number += 1
            found[f"conv{group}_{number}"] = x.clone()
        elif isinstance(layer, nn.ReLU):
            found[f"relu{group}_{number}"] = x.clone()
    return [found[name] for name in names]


PAPERS = {
    "ddcolor": ({f"conv{g}_1": 2.0 ** (g - 5) for g in range(1, 6)}, 0.0),
    "deoldify": ({"relu3_3": 20.0, "relu4_3": 70.0, "relu5_3": 10.0}, 1.0),
}


@pytest.mark.parametrize("kind", PAPERS)
def test_the_layers_and_weights_of_each_paper(kind):
    weights, pixels = PAPERS[kind]
    net, (pred, true) = narrow_vgg(), _pair()
    x, y = imagenet(pred), imagenet(true)
    expected = pixels * (x - y).abs().mean()
    with torch.no_grad():
        pairs = zip(_by_layers(net, x, weights), _by_layers(net, y, weights), strict=True)
        for weight, (a, b) in zip(weights.values(), pairs, strict=True):
            expected += weight * (a - b).abs().mean()
    assert float(Features(net, kind)(pred, true)) == pytest.approx(float(expected), rel=1e-5)


def test_imagenet_by_hand():
    gray = torch.full((1, 3, 1, 1), 0.5)
    expected = [(0.5 - m) / s for m, s in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]
    assert imagenet(gray).flatten().tolist() == pytest.approx(expected)


def test_gradients_reach_the_picture_and_nothing_else():
    net, (pred, true) = narrow_vgg(), _pair()
    pred.requires_grad_()
    true.requires_grad_()
    net.train()
    seen = Features(net, "deoldify")
    seen(pred, true).backward()
    assert float(pred.grad.abs().sum()) > 0
    assert true.grad is None
    assert all(p.grad is None for p in net.parameters())
    before = net[1].running_mean.clone()
    seen(pred, true)
    assert torch.equal(net[1].running_mean, before)
    assert float(seen(true, true).detach()) == 0


def _published():
    with torch.device("meta"):
        own = torchvision.models.vgg16_bn(weights=None)
    shapes = {k: v for k, v in own.state_dict().items() if k.startswith("features.")}
    return {k: torch.zeros(v.shape, dtype=v.dtype) for k, v in shapes.items()}


def test_the_published_file_is_taken_strictly():
    tensors = _published()
    tensors["features.0.weight"] += 0.25
    tensors["classifier.6.bias"] = torch.zeros(1000)
    # the file of 2017 does not count batches
    old = {k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}
    for given in (tensors, old):
        layers = vgg16_bn(given, "x.pth")
        assert layers[0].weight[0, 0, 0, 0].item() == 0.25
        assert layers[0].weight.device.type == "cpu"
        layers(torch.zeros(1, 3, 32, 32))
    lacking = {k: v for k, v in tensors.items() if k != "features.14.bias"}
    with pytest.raises(WeightsError, match=r"x\.pth: not torchvision's vgg16_bn .*features|14\.b"):
        vgg16_bn(lacking, "x.pth")
    with pytest.raises(WeightsError, match=r"not torchvision's vgg16_bn"):
        vgg16_bn(tensors | {"features.0.weight": torch.zeros(64, 3, 5, 5)}, "x.pth")


# --- in a phase ---------------------------------------------------------------------------------


def _phase(**settings):
    torch.manual_seed(1)
    config = PhaseConfig(**settings)
    given = Features(narrow_vgg(), config.features)
    return make_phase(config, Painter(), SPEC, 32, features=given)


def _batch():
    one = batch(0, count=2, side=32)
    return type(one)(one.lightness, one.ab)


def test_a_phase_compares_pictures_of_one_lightness():
    phase, one = _phase(loss="none", perceptual=5.0, features="deoldify"), _batch()
    values, pred = phase.losses(one)
    assert list(values) == ["perceptual"]
    seen = Features(narrow_vgg(), "deoldify")
    made, true = rgb_of(one.lightness, pred), rgb_of(one.lightness, one.ab)
    torch.testing.assert_close(values["perceptual"], 5 * seen(made, true))
    values["perceptual"].backward()
    assert float(phase.model.head.weight.grad.abs().sum()) > 0


def test_true_pictures_may_be_made_more_colorful():
    phase, one = _phase(perceptual=1.0, enhance=1.2, delta=20.0, loss="l1"), _batch()
    values, pred = phase.losses(one)
    made, true = rgb_of(one.lightness, pred), rgb_of(one.lightness, one.ab)
    seen = Features(narrow_vgg(), "ddcolor")
    torch.testing.assert_close(values["perceptual"], seen(made, color_enhanced(true, 1.2)))
    # the distance of colors looks at the true ones; DDColor's is 0.1 of the mean of both planes
    torch.testing.assert_close(values["l1"], 0.1 * (pred - one.ab).abs().mean())


def test_colorfulness_is_a_mean_over_pictures():
    phase, one = _phase(colorfulness=0.5), _batch()
    values, pred = phase.losses(one)
    apart = [colorfulness_loss(rgb_of(one.lightness, pred)[i : i + 1], 0.5) for i in range(2)]
    torch.testing.assert_close(values["colorfulness"], torch.stack(apart).mean())
    assert values["colorfulness"].isfinite()


def test_the_features_are_those_installed(tmp_path, monkeypatch):
    config = PhaseConfig(perceptual=1.0)

    def missing(name):
        raise WeightsError(f"weights {name!r} are not installed")

    monkeypatch.setattr(module, "find", missing)
    with pytest.raises(WeightsError, match="'vgg16_bn' are not installed"):
        make_phase(config, Painter(), SPEC, 32)
    # neither a critic alone nor a phase without features asks for them
    make_phase(PhaseConfig(name="critic", perceptual=1.0), Painter(), SPEC, 64)
    make_phase(PhaseConfig(), Painter(), SPEC, 32)
    path = tmp_path / "vgg16_bn.safetensors"
    save_file(_published(), path)
    monkeypatch.setattr(module, "find", lambda name: {"vgg16_bn": path}[name])
    phase = make_phase(config, Painter(), SPEC, 32)
    assert len(phase.features.layers) == 35
    assert phase.features.layers[34].weight.shape == (512, 512, 3, 3)
