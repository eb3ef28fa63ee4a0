"""The critics of DDColor and DeOldify, against the same layers made of torch's own parts."""

import hashlib
import json
import warnings

import pytest
import torch
from torch import nn

from vidcolor.models.recipe import fill
from vidcolor.models.unet import SelfAttention
from vidcolor.train.critics import (
    DdcolorCritic,
    DeoldifyCritic,
    color_enhanced,
    colorfulness_loss,
)

CRITICS = [DdcolorCritic, DeoldifyCritic]
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def _rgb(n, height=64, width=80, seed=0):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


def _norm(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.spectral_norm(module)


class Attention(nn.Module):
    """As the critics' specification writes it: softmax over dimension 1."""

    def __init__(self, channels):
        super().__init__()
        few = channels // 8
        self.query = _norm(nn.Conv1d(channels, few, 1, bias=False))
        self.key = _norm(nn.Conv1d(channels, few, 1, bias=False))
        self.value = _norm(nn.Conv1d(channels, channels, 1, bias=False))
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        flat = x.flatten(2)
        share = (self.query(flat).transpose(1, 2) @ self.key(flat)).softmax(1)
        return self.gamma * (self.value(flat) @ share).view(x.shape) + x


def _reference(width, kind):
    """The published layers, and the places of those with weights."""

    def conv(inputs, outputs, kernel, stride=1, padding=1, bias=True):
        return _norm(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias))

    def act():
        return nn.ReLU() if kind is DdcolorCritic else nn.LeakyReLU(0.2)

    units = [nn.Sequential(conv(3, width, 4, 2), act())]
    for number in range(3):
        half = nn.Sequential(conv(width, 2 * width, 4, 2), act())
        if number == 0:
            half.append(Attention(2 * width))
        units += [nn.Sequential(conv(width, width, 3), act()), half]
        width *= 2
    units += [nn.Sequential(conv(width, width, 3), act())]
    units += [nn.Sequential(conv(width, 1, 4, 1, 0, bias=False))]
    if kind is DdcolorCritic:
        return nn.ModuleDict({"layers": nn.Sequential(*units)}), lambda net, x: net["layers"](x)
    # dropout after the first and after each 3x3 convolution of the three blocks
    places = [0, 2, 4, 5, 7, 8, 10, 11, 12]
    net = nn.ModuleDict({str(place): unit for place, unit in zip(places, units, strict=True)})

    def run(net, x):
        x = (x - MEAN) / STD
        for unit in net.values():
            x = unit(x)
        return x

    return net, run


@torch.no_grad()
@pytest.mark.parametrize("kind", CRITICS)
def test_scores_are_those_of_the_published_layers(kind):
    ours = fill(kind(8))
    theirs, run = _reference(8, kind)
    theirs.load_state_dict(ours.state_dict())
    rgb = _rgb(2, 96, 112)
    expected = run(theirs.eval(), rgb).flatten(1)
    assert expected.shape == (2, 12)
    torch.testing.assert_close(ours(rgb), expected, atol=1e-6, rtol=1e-4)
    assert expected.std() > 1e-3


# SHA-256 of the JSON of [[key, shape, type], ...], sorted, of the recorded reference networks
MANIFESTS = {
    (DdcolorCritic, 64): (
        45,
        5_919_617,
        "e0f8be5bf4a5d682d5928ad2af3ff14436eb8585adc257c50b9096b8682b0988",
    ),
    (DeoldifyCritic, 64): (
        45,
        5_919_617,
        "5a7a7cb5e1d0f23ae3b4e1f30123cf20282521fe47638cd6f9965f9d03259d93",
    ),
    (DeoldifyCritic, 256): (
        45,
        94_555_649,
        "bf56e52f423f3052a060405849a98952f56de7cc1b7a8c323074c5965318a14d",
    ),
}


@pytest.mark.parametrize(("kind", "width"), MANIFESTS)
def test_keys_and_shapes_are_the_published_ones(kind, width):
    with torch.device("meta"):
        net = kind(width)
    entries = [
        [key, list(value.shape), str(value.dtype).removeprefix("torch.")]
        for key, value in net.state_dict().items()
    ]
    text = json.dumps(sorted(entries), separators=(",", ":"))
    parameters = sum(p.numel() for p in net.parameters())
    found = (len(entries), parameters, hashlib.sha256(text.encode()).hexdigest())
    assert found == MANIFESTS[kind, width]


@pytest.mark.parametrize("kind", CRITICS)
def test_every_parameter_learns_and_only_training_moves_the_vectors(kind):
    torch.manual_seed(0)
    critic = kind(8).train()
    for part in critic.modules():
        if isinstance(part, SelfAttention):
            nn.init.constant_(part.gamma, 0.3)
    before = {key: value.clone() for key, value in critic.named_buffers()}
    critic(_rgb(3)).square().sum().backward()
    assert not [key for key, p in critic.named_parameters() if p.grad is None or not p.grad.any()]
    # a single row has but one direction
    still = [key for key, b in critic.named_buffers() if torch.equal(b, before[key])]
    assert {key.rpartition(".")[0] for key in still} <= {"layers.8.0", "12.0"}
    before = {key: value.clone() for key, value in critic.named_buffers()}
    critic.eval()(_rgb(1))
    assert all(torch.equal(value, before[key]) for key, value in critic.named_buffers())


def test_deoldifys_critic_drops_in_training_only():
    torch.manual_seed(0)
    critic = DeoldifyCritic(4).eval()
    rates = [part.p for part in critic.modules() if isinstance(part, nn.Dropout2d)]
    assert rates == [0.075, 0.15, 0.15, 0.15]
    assert torch.equal(critic(_rgb(1)), critic(_rgb(1)))
    for part in critic:
        part.train(isinstance(part, nn.Dropout2d))
    assert not torch.equal(critic(_rgb(1)), critic(_rgb(1)))
    assert not [part for part in DdcolorCritic(4).modules() if isinstance(part, nn.Dropout2d)]


@torch.no_grad()
@pytest.mark.parametrize("kind", CRITICS)
def test_least_picture_gives_one_score_and_smaller_ones_are_refused(kind):
    critic = kind(2).eval()
    assert critic(_rgb(1, 64, 64)).shape == (1, 1)
    assert critic(_rgb(1, 79, 95)).shape == (1, 2)
    with pytest.raises(ValueError, match="at least 64 pixels, not 63x64; train on larger crops"):
        critic(_rgb(1, 63, 64))
    with pytest.raises(ValueError, match="width of at least 1, not 0"):
        kind(0)


# --- losses of color ----------------------------------------------------------------------------


def test_colorfulness_by_hand():
    # two pixels: rg = |R-G| is 0.6 and 0.2, yb = |(R+G)/2 - B| is 0.1 and 0.5
    picture = torch.tensor([[0.8, 0.2, 0.4], [0.5, 0.7, 0.1]]).T.reshape(1, 3, 1, 2)
    spread = (0.08 + 0.08) ** 0.5  # variances of two values 0.4 apart, unbiased
    middle = (0.4**2 + 0.3**2) ** 0.5
    expected = 1 - (spread + 0.3 * middle)
    assert float(colorfulness_loss(picture)) == pytest.approx(expected, rel=1e-6)
    three = picture.expand(3, -1, -1, -1)  # a sum over pictures
    assert float(colorfulness_loss(three, 0.5)) == pytest.approx(1.5 * expected, rel=1e-6)


def test_gray_pictures_have_a_gradient():
    gray = torch.full((2, 3, 8, 8), 0.5, requires_grad=True)
    loss = colorfulness_loss(gray)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(2.0, abs=1e-5)
    assert gray.grad.isfinite().all()


def test_stronger_color_by_hand():
    rgb = torch.tensor([0.5, 0.4, 0.9]).view(1, 3, 1, 1)
    gray = 0.2989 * 0.5 + 0.587 * 0.4 + 0.114 * 0.9
    expected = [1.2 * v - 0.2 * gray for v in (0.5, 0.4, 0.9)]
    assert color_enhanced(rgb).flatten().tolist() == pytest.approx(
        [expected[0], expected[1], 1.0 if expected[2] > 1 else expected[2]], rel=1e-5
    )
    assert color_enhanced(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)).flatten().tolist() == [
        1.0, 0.0, 0.0,
    ]  # fmt: skip
    torch.testing.assert_close(color_enhanced(rgb, 1.0), rgb)
