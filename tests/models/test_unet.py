"""Norms of weights and steps up, against formulas by hand and torch's own norms."""

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vidcolor.errors import WeightsError
from vidcolor.models.unet import (
    SelfAttention,
    ShuffleUp,
    SpectralConv,
    UnetBlock,
    WeightNormConv,
    adopt_strictly,
    blur,
    complete_spectral,
    conv_unit,
    fold_norms,
)

PARTS = ["weight_orig", "weight_u", "weight_v"]


def _pair(kind, *shape, **settings):
    """Our convolution, and torch's with its own norm and the same numbers."""
    torch.manual_seed(0)
    ours = SpectralConv(*shape, **settings, dimensions=1 if kind is nn.Conv1d else 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch has a newer one, with other entries
        theirs = nn.utils.spectral_norm(kind(*shape, **settings))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize(
    ("kind", "shape", "settings"),
    [
        (nn.Conv2d, (3, 5, 4, 2, 1), {"bias": True}),
        (nn.Conv2d, (6, 4, 3, 1, 1), {"bias": False}),
        (nn.Conv1d, (6, 2, 1), {"bias": False}),
    ],
)
def test_spectral_norm_is_torchs_in_training_and_evaluation(kind, shape, settings):
    ours, theirs = _pair(kind, *shape, **settings)
    assert set(ours.state_dict()) == set(theirs.state_dict())
    x = torch.randn(2, shape[0], *(9, 10)[: ours.weight_orig.ndim - 2])
    for step in range(3):
        answers = []
        for net in (ours, theirs):
            net.train(step < 2).zero_grad()
            answers.append(net(x))
            answers[-1].square().sum().backward()
        torch.testing.assert_close(*answers)
        torch.testing.assert_close(ours.weight_orig.grad, theirs.weight_orig.grad)
        for part in PARTS:
            torch.testing.assert_close(getattr(ours, part), getattr(theirs, part))


@torch.no_grad()
def test_only_training_moves_the_vectors_and_brings_the_largest_singular_value_to_1():
    conv, x = SpectralConv(6, 8, 3), torch.randn(1, 6, 5, 5)
    before = [b.clone() for b in conv.buffers()]
    conv.eval()(x)
    assert all(torch.equal(a, b) for a, b in zip(before, conv.buffers(), strict=True))
    conv.train()(x)
    assert not any(torch.equal(a, b) for a, b in zip(before, conv.buffers(), strict=True))
    for _ in range(200):
        conv(x)
    norm = torch.linalg.matrix_norm(conv.normed().flatten(1), 2)
    torch.testing.assert_close(norm, torch.ones(()))


def test_two_passes_of_a_step_can_both_be_learned_from():
    conv = SpectralConv(3, 4, 3).train()
    first, second = conv(torch.randn(1, 3, 5, 5)), conv(torch.randn(1, 3, 5, 5))
    (first.sum() + second.sum()).backward()
    assert conv.weight_orig.grad.abs().sum() > 0


@torch.no_grad()
def test_weight_norm_is_torchs():
    torch.manual_seed(0)
    ours = WeightNormConv(6, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = nn.utils.weight_norm(nn.Conv2d(6, 4, 1))
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    x = torch.randn(2, 6, 5, 5)
    torch.testing.assert_close(ours.normed(), ours.weight_v)  # a new one is as it starts
    ours.weight_g.uniform_(0.5, 1.5)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x), theirs(x))


@torch.no_grad()
@pytest.mark.parametrize("kind", [SpectralConv, WeightNormConv])
def test_half_precision_does_not_reach_the_norms(kind):
    torch.manual_seed(0)
    plain = kind(40, 30, 3)
    half = copy.deepcopy(plain)
    plain.prepare()
    expected = plain.normed()
    with torch.autocast("cpu", torch.bfloat16):
        half.prepare()
        weight = half.normed()
    assert weight.dtype == torch.float32
    assert torch.equal(weight, expected)


@torch.no_grad()
def test_folding_changes_entries_and_nothing_else():
    torch.manual_seed(0)
    net = nn.ModuleDict(
        {
            "spectral": SpectralConv(4, 8, 3, 1, 1, bias=True),
            "lengths": WeightNormConv(8, 8),
            "seen": SelfAttention(8),
            "plain": nn.Conv2d(8, 2, 1),
        }
    ).eval()
    net["seen"].gamma.fill_(0.7)
    x = torch.randn(2, 4, 6, 5)

    def run():
        y = x
        for part in net.values():
            y = part(y)
        return y

    before = run()
    fold_norms(net)
    assert torch.equal(run(), before)
    assert set(net.state_dict()) == {
        "spectral.weight", "spectral.bias", "lengths.weight", "lengths.bias", "seen.gamma",
        "seen.query.weight", "seen.key.weight", "seen.value.weight", "plain.weight", "plain.bias",
    }  # fmt: skip
    assert net["seen"].query.weight.shape == (1, 8, 1)
    fold_norms(net)
    assert torch.equal(run(), before)


# --- steps up -----------------------------------------------------------------------------------


def test_blur_by_hand():
    x = torch.tensor([[1.0, 3.0], [5.0, 11.0]])[None, None]
    # the first row and column see themselves twice
    assert blur(x)[0, 0].tolist() == [[1.0, 2.0], [3.0, 5.0]]


@torch.no_grad()
def test_channels_become_pixels_by_hand():
    up = ShuffleUp(nn.Conv2d(4, 4, 1, bias=False))
    nn.init.dirac_(up.conv[0].weight)
    x = torch.tensor([8.0, 4.0, -6.0, 2.0]).view(1, 4, 1, 1)
    # ReLU, then 8 4 above 0 2, then means with the left and the upper neighbor
    assert up(x)[0, 0].tolist() == [[8.0, 6.0], [4.0, 3.5]]


@torch.no_grad()
def test_norm_of_a_step_up_comes_before_its_relu_and_that_of_a_unit_after():
    up = ShuffleUp(nn.Conv2d(2, 4, 1), norm=4).eval()
    up.conv[1].bias.fill_(-50.0)
    assert (up(torch.randn(1, 2, 3, 3)) == 0).all()
    unit = conv_unit(2, 3).eval()
    unit[2].bias.fill_(-50.0)
    assert (unit(torch.randn(1, 2, 3, 3)) < -40).all()


@torch.no_grad()
def test_attention_is_the_softmax_over_the_asked():
    torch.manual_seed(0)
    net = SelfAttention(16).eval()
    x = torch.randn(2, 16, 5, 7) * 2
    assert torch.equal(net(x), x)  # a new one adds nothing
    net.gamma.fill_(0.4)
    flat = x.double().flatten(2)
    query, key, value = (
        torch.einsum("oc,ncp->nop", conv.normed()[..., 0].double(), flat)
        for conv in (net.query, net.key, net.value)
    )
    assert query.shape[1] == 2
    share = torch.einsum("nci,ncj->nij", query, key).softmax(1)
    expected = x.double() + 0.4 * torch.einsum("nci,nij->ncj", value, share).view(x.shape)
    torch.testing.assert_close(net(x).double(), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("places", [1, 8, 34, 35])
def test_groups_of_places_change_nothing(places):
    torch.manual_seed(0)
    net, x = SelfAttention(16).eval(), torch.randn(2, 16, 5, 7)
    net.gamma.fill_(1.0)
    whole = net(x)
    net.places = places
    torch.testing.assert_close(net(x), whole, atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("deep", [False, True])
def test_a_block_joins_what_is_below_with_what_was_seen(deep):
    torch.manual_seed(0)
    block = UnetBlock(6, 4, 3, 5, deep=deep, fits=False).eval()
    for part in block.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.2, 0.2)
            part.bias.uniform_(-0.5, 0.5)
    x, skip = torch.randn(2, 6, 3, 4), torch.randn(2, 3, 5, 8)
    up = F.interpolate(block.shuf(x), size=(5, 8), mode="nearest")
    # the last of six rows is left out
    assert torch.equal(up, block.shuf(x)[:, :, [0, 1, 2, 3, 4]])
    joined = torch.cat((up, block.bn(skip)), 1).clamp(min=0)
    units = (block.conv1, block.conv2) if deep else (block.conv,)
    for unit in units:
        joined = unit(joined)
    answer = block(x, skip)
    assert answer.shape == (2, 5, 5, 8)
    torch.testing.assert_close(answer, joined)


# --- weights ------------------------------------------------------------------------------------


def test_what_very_old_files_lack_is_computed():
    weight = torch.tensor([[3.0, 1.0], [0.0, 1.0]])[..., None, None]
    u = torch.tensor([0.6, 0.8])
    tensors = {
        "a.weight_orig": weight,
        "a.weight_u": u,
        "b.weight_g": torch.ones(2, 1, 1, 1),
        "b.weight_v": weight,
        "c.weight": weight,
    }
    whole = complete_spectral(tensors)
    # W^T u = (1.8, 1.4), of length sqrt(5.2)
    expected = torch.tensor([1.8, 1.4]) / 5.2**0.5
    torch.testing.assert_close(whole["a.weight_v"], expected)
    assert set(whole) == {*tensors, "a.weight_v"}
    again = complete_spectral({**whole, "a.weight_v": torch.zeros(2)})
    assert (again["a.weight_v"] == 0).all()


def test_strangers_weights_are_taken_whole_or_not_at_all():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    given = {k: torch.full_like(v, 2) for k, v in before.items() if not k.startswith("2.")}
    for change, fault in (
        ({"1.bias": None}, "missing '1.bias'"),
        ({"3.weight": torch.zeros(1)}, "unexpected '3.weight'"),
        ({"0.weight": torch.zeros(3, 2, 3, 3)}, "of another shape '0.weight'"),
    ):
        wrong = {k: v for k, v in {**given, **change}.items() if v is not None}
        with pytest.raises(WeightsError, match=f"vgg do not fit this network: {fault}"):
            adopt_strictly(net, wrong, "vgg", ("2.",))
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    del given["1.num_batches_tracked"]
    adopt_strictly(net, given, "vgg", ("2.",))
    after = net.state_dict()
    assert all((after[key] == 2).all() for key in given)
    assert torch.equal(after["2.weight"], before["2.weight"])
