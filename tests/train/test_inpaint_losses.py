"""What a network that fills holes minimizes: by hand, and as public code has it.

The fixture is an excerpt (scripts/record_parity_excerpt.py) of what the loss of
naoto0804/pytorch-inpainting-with-partial-conv @8d64e7e gave for a VGG-16 with weights by formula.
"""

from pathlib import Path

import check_parity
import pytest
import torch
import torchvision
from parity import partialconv_loss
from parity.fixture import Fixture
from safetensors.torch import save_file
from torch import nn

from vidcolor.errors import WeightsError
from vidcolor.train import features as module
from vidcolor.train.inpaint import losses
from vidcolor.train.inpaint.losses import TERMS, Pools, gram, loss_terms, total_variation

FIXTURE = Fixture(str(Path(__file__).parents[1] / "data" / "parity_partialconv_loss.npz"))
COMPARED = {*TERMS, "total", "grad_out", "gram"}


@pytest.fixture(scope="module", autouse=True)
def _forget_network():
    yield
    partialconv_loss.published_pools.cache_clear()


@pytest.mark.parametrize("case", ["loss_rgb", "loss_gray"])
def test_as_public_code_has_it(case):
    errors = check_parity.check(FIXTURE, FIXTURE.cases[case])
    assert {error.quantity for error in errors} == COMPARED
    assert [error for error in errors if error.bad] == []


def test_a_mistake_in_gram_matrices_is_seen(monkeypatch):
    def without_size(features):
        flat = features.flatten(2)
        return flat @ flat.transpose(1, 2) / features.shape[1]

    monkeypatch.setattr(losses, "gram", without_size)
    errors = check_parity.check(FIXTURE, FIXTURE.cases["loss_gray"])
    assert {error.quantity for error in errors if error.bad} == {"style", "total", "grad_out"}


def test_pixels_by_hand():
    image = torch.zeros(1, 1, 4, 4)
    answer = torch.full((1, 1, 4, 4), 0.5)
    answer[0, 0, 1, 1] = 0.25  # the only one in the hole
    valid = torch.ones(1, 1, 4, 4)
    valid[0, 0, 1, 1] = 0
    found = loss_terms(answer, image, valid, ("tv", "hole", "valid"))
    assert list(found) == ["valid", "hole", "tv"]
    # over all 16 cells, whatever the hole's size
    assert float(found["valid"]) == pytest.approx(15 * 0.5 / 16)
    assert float(found["hole"]) == pytest.approx(0.25 / 16)
    # of the composed picture: two steps of 1/4 each way, among 12 neighbors each way
    assert float(found["tv"]) == pytest.approx(2 * (2 * 0.25) / 12)


def test_what_lies_outside_the_hole_does_not_reach_the_composed_picture():
    image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    valid = torch.ones(1, 1, 8, 8)
    valid[..., 3:5, 3:5] = 0
    other = torch.where(valid > 0, image + 5, image)
    found = [loss_terms(x, image, valid, ("valid", "hole", "tv")) for x in (image, other)]
    assert float(found[0]["tv"]) == float(found[1]["tv"]) > 0
    assert float(found[1]["valid"]) == pytest.approx(5 * 60 / 64)
    assert float(found[1]["hole"]) == 0


def test_smoothness_of_the_hole_and_of_all():
    # a step between columns 1 and 2, far from the hole, and one at the border of what surrounds it
    image = torch.zeros(1, 1, 6, 8)
    image[..., 2:] = 1.0
    valid = torch.ones(1, 1, 6, 8)
    valid[..., 2, 5] = 0
    smooth = {w: loss_terms(image, image, valid, ("tv",), smoothed=w) for w in ("hole", "whole")}
    assert float(smooth["whole"]["tv"]) == pytest.approx(6 / (6 * 7))
    assert float(smooth["hole"]["tv"]) == 0
    image[..., 2, 5] = 0.5  # now in the hole: four steps of 1/2
    found = loss_terms(image, image, valid, ("tv",))["tv"]
    assert float(found) == pytest.approx(2 * 0.5 / (6 * 7) + 2 * 0.5 / (5 * 8))
    # a pixel around the hole counts, the next does not
    image = torch.zeros(1, 1, 6, 8)
    image[..., 2, 6] = 1.0
    found = loss_terms(image, image, valid, ("tv",))["tv"]
    assert float(found) == pytest.approx(1 / (6 * 7) + 2 / (5 * 8))


def test_variation_is_that_of_differences():
    x = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(2)).double()
    expected = x.diff(dim=2).abs().mean() + x.diff(dim=3).abs().mean()
    torch.testing.assert_close(total_variation(x), expected)


def test_gram_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])
    torch.testing.assert_close(gram(features), torch.tensor([[[5.0, 1.0], [1.0, 10.0]]]) / 4)
    half = gram(1e3 * torch.ones(1, 64, 32, 32, dtype=torch.float16))
    assert half.dtype is torch.float32
    torch.testing.assert_close(half, torch.full((1, 64, 64), 1e6 / 64))


def _narrow():
    """Layers in the order of torchvision's vgg16, a few channels each."""
    torch.manual_seed(3)
    made, before = [], 3
    for width in (2, 2, "M", 3, 3, "M", 4, 4, 4, "M", 5):
        if width == "M":
            made.append(nn.MaxPool2d(2, 2))
            continue
        made += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(inplace=True)]
        before = width
    return nn.Sequential(*made)


def test_features_are_those_after_three_pools():
    net = _narrow()
    pools = Pools(net)
    gray = torch.rand(2, 1, 16, 24, generator=torch.Generator().manual_seed(4))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        x = (gray - mean) / deviation
        expected = [(x := net[a:b](x)) for a, b in ((0, 5), (5, 10), (10, 17))]
    found = pools(gray)
    assert [tuple(f.shape) for f in found] == [(2, 2, 8, 12), (2, 3, 4, 6), (2, 4, 2, 3)]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        raw = Pools(net, normalized=False)(gray)[0]
        torch.testing.assert_close(raw, net[:5](gray.expand(-1, 3, -1, -1).clone()))


def test_both_pictures_are_compared_by_features_and_gradients_reach_the_answer_alone():
    pools = Pools(_narrow())
    generator = torch.Generator().manual_seed(5)
    image, answer = torch.rand(2, 1, 3, 16, 16, generator=generator)
    valid = torch.ones(1, 1, 16, 16)
    valid[..., 4:12, 4:12] = 0
    answer.requires_grad_()
    found = loss_terms(answer, image, valid, ("perceptual", "style"), pools)
    composed = torch.where(valid > 0, image, answer)
    perceptual = style = 0.0
    for picture in (answer, composed):
        for a, b in zip(pools(picture), pools(image), strict=True):
            perceptual = perceptual + (a - b).abs().mean()
            style = style + (gram(a) - gram(b)).abs().mean()
    torch.testing.assert_close(found["perceptual"], perceptual)
    torch.testing.assert_close(found["style"], style)
    sum(found.values()).backward()
    assert answer.grad.abs().sum() > 0
    assert all(p.grad is None for p in pools.parts.parameters())
    with pytest.raises(ValueError, match="VGG-16"):
        loss_terms(answer, image, valid, ("style",))


def test_numbers_stay_numbers_in_half_precision():
    image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(6))
    pools = Pools(_narrow())
    for holes in (0.0, 1.0):
        valid = torch.full((1, 1, 16, 16), holes)
        with torch.autocast("cpu", torch.bfloat16):
            found = loss_terms(1e4 * image, image, valid, TERMS, pools)
        assert all(value.dtype is torch.float32 and value.isfinite() for value in found.values())


def test_plain_vgg_is_read_and_nothing_else(tmp_path, monkeypatch):
    with torch.device("meta"):
        empty = torchvision.models.vgg16(weights=None).features
    tensors = {f"features.{k}": torch.zeros(v.shape) for k, v in empty.state_dict().items()}
    tensors["features.0.bias"] += 1
    tensors["classifier.0.bias"] = torch.zeros(3)
    path = tmp_path / "vgg16.safetensors"
    save_file(tensors, path)
    monkeypatch.setattr(module, "find", lambda name: {"vgg16": path}[name])
    found = Pools(module.load_vgg16(), normalized=False)(torch.zeros(1, 3, 16, 16))
    assert [f.shape[1] for f in found] == [64, 128, 256]
    del tensors["features.5.weight"]
    with pytest.raises(WeightsError, match=r"not torchvision's vgg16 \(.*5\.weight"):
        module.vgg16(tensors, "file")
