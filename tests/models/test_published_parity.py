"""DDColor and DeOldify against numbers that their published code gave for the same weights.

The fixtures are excerpts (scripts/record_parity_excerpt.py) of recordings of piddnad/DDColor
@2adb63f and jantic/DeOldify @5f86c28, of the smaller variants, with weights by formula.
"""

from pathlib import Path

import check_parity
import pytest
import torch
import torch.nn.functional as F
from parity import published
from parity.fixture import Fixture
from torch import nn

from vidcolor.models import ddcolor
from vidcolor.models.unet import SelfAttention, SpectralConv

DATA = Path(__file__).parents[1] / "data"
FIXTURES = {
    ("ddcolor", "tiny"): Fixture(str(DATA / "parity_ddcolor.npz")),
    ("deoldify", "artistic"): Fixture(str(DATA / "parity_deoldify.npz")),
}
# quantities that must have been compared, so that a renamed array cannot pass unseen
COMPARED = {
    "ddcolor": {"recipe", "act_arch_norm3", "act_layers_0", "out", "pic_grey_out_bgr"},
    "deoldify": {"recipe", "out_odd", "pic_square_rgb", "pic_raw_rgb", "pic_out_rgb/share"},
}


@pytest.fixture(scope="module", autouse=True)
def _forget_networks():
    yield
    published.published_ddcolor.cache_clear()
    published.published_deoldify.cache_clear()


@pytest.mark.parametrize(("family", "variant"), FIXTURES)
def test_within_limits(family, variant):
    fixture = FIXTURES[family, variant]
    case = fixture.cases[variant]
    assert case["kind"] == family
    errors = check_parity.check(fixture, case)
    assert COMPARED[family] <= {error.quantity for error in errors}
    assert not [error for error in errors if error.bad]


@torch.no_grad()
def _error(family, variant, quantity):
    """One error, without computing what comes after it."""
    fixture = FIXTURES[family, variant]
    errors = check_parity.CHECKS[family](fixture, fixture.cases[variant])
    return next(error for error in errors if error.quantity == quantity)


def _net(family, variant):
    return getattr(published, f"published_{family}")("colorizers-public-1", variant)


def _swapped(unit):
    """A convolution unit with its norm before its ReLU."""
    conv, relu, norm, *rest = unit
    return nn.Sequential(conv, norm, relu, *rest)


@pytest.mark.parametrize(
    "mistake",
    ["no_blur", "norm_before_relu", "own_first", "x_first", "not_normed", "normed_goes_on"],
)
def test_known_mistakes_in_ddcolor_exceed_the_limits(mistake, monkeypatch):
    net = _net("ddcolor", "tiny")
    if mistake == "no_blur":
        monkeypatch.setattr("vidcolor.models.unet.blur", lambda x: x)
        monkeypatch.setattr("vidcolor.models.ddcolor.blur", lambda x: x)
    elif mistake == "norm_before_relu":
        block = net.decoder.layers[1]
        monkeypatch.setitem(block._modules, "conv", _swapped(block.conv))
    elif mistake == "own_first":
        # the order of a usual decoder: queries ask each other, then the picture
        colors = net.decoder.color_decoder
        for own, cross in zip(
            colors.transformer_self_attention_layers,
            colors.transformer_cross_attention_layers,
            strict=True,
        ):
            ask, think = cross.forward, own.forward
            monkeypatch.setattr(
                cross,
                "forward",
                lambda x, e, p, m, ask=ask, think=think: ask(think(x, e), e, p, m),
            )
            monkeypatch.setattr(own, "forward", lambda x, _e: x)
    elif mistake == "x_first":
        code = ddcolor._place_code
        monkeypatch.setattr(
            ddcolor, "_place_code", lambda h, w, c, device: code(h, w, c, device).roll(c // 2, 2)
        )
    elif mistake == "not_normed":
        conv = net.refine_net[0][0]
        monkeypatch.setattr(conv, "normed", lambda: conv.weight_orig)
    else:
        stage = net.encoder["arch"].stages[1]
        monkeypatch.setitem(
            net.encoder["arch"].stages._modules,
            "1",
            nn.Sequential(stage, net.encoder["arch"].norm1),
        )
    out = _error("ddcolor", "tiny", "out")
    assert out.value > 100 * out.limit


@pytest.mark.parametrize(
    "mistake", ["no_blur", "norm_before_relu", "bilinear", "other_softmax", "no_attention", "range"]
)
def test_known_mistakes_in_deoldify_exceed_the_limits(mistake, monkeypatch):
    net = _net("deoldify", "artistic")
    if mistake == "no_blur":
        monkeypatch.setattr("vidcolor.models.unet.blur", lambda x: x)
    elif mistake == "norm_before_relu":
        block = net.layers["6"]
        monkeypatch.setitem(block._modules, "conv1", _swapped(block.conv1))
    elif mistake == "bilinear":
        resize = F.interpolate
        monkeypatch.setattr(
            "vidcolor.models.unet.F.interpolate",
            lambda x, size, mode: resize(x, size, mode="bilinear"),
        )
    elif mistake == "other_softmax":
        seen = net.layers["5"].conv2[3]
        query, key = seen.query, seen.key
        monkeypatch.setitem(seen._modules, "query", key)
        monkeypatch.setitem(seen._modules, "key", query)
    elif mistake == "no_attention":
        seen = net.layers["5"].conv2[3]
        assert isinstance(seen, SelfAttention)
        monkeypatch.setitem(seen._parameters, "gamma", nn.Parameter(torch.zeros(1)))
    else:
        monkeypatch.setattr("vidcolor.models.deoldify._REACH", 2.0)
    out = _error("deoldify", "artistic", "out_odd")
    assert out.value > 100 * out.limit


@torch.no_grad()
@pytest.mark.parametrize(("family", "variant"), FIXTURES)
def test_stored_vectors_belong_to_the_weights(family, variant):
    """The formula's vectors are near the singular ones, so that norms are near 1."""
    convs = [part for part in _net(family, variant).modules() if isinstance(part, SpectralConv)]
    smallest = min(convs, key=lambda conv: conv.weight_orig.numel())
    norm = torch.linalg.matrix_norm(smallest.normed().flatten(1), 2)
    assert 0.99 < float(norm) < 1.2
