"""Networks whose weights come from a file are made without random ones, and are the same."""

import pytest
import torch
from torch import nn

from vidcolor.models import formats
from vidcolor.models.registry import create_model, list_inpainters, list_models
from vidcolor.tensor_file import Unfilled

WIDTH = {"width": 4}
COUNTER = "num_batches_tracked"


@pytest.fixture(autouse=True)
def unfilled_memory_is_no_number(monkeypatch):
    real = torch.empty

    def empty(*size, **named):
        made = real(*size, **named)
        return made.fill_(torch.nan) if made.is_floating_point() else made

    monkeypatch.setattr(torch, "empty", empty)


def _state(net):
    """All parameters and buffers, also those that no file has."""
    return dict([*net.named_parameters(), *net.named_buffers()])


def _kept(net):
    """Names of what files may lack."""
    beginnings = getattr(net, "optional", ())
    return {key for key in net.state_dict() if key.startswith(beginnings) or key.endswith(COUNTER)}


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("name", [*list_models(), *list_inpainters()])
def test_a_network_from_tensors_is_that_which_was_filled_before(name, complete):
    torch.manual_seed(1)
    filled = create_model(name, **WIDTH)
    left_out = set() if complete else _kept(filled)
    tensors = {k: v.clone() for k, v in filled.state_dict().items() if k not in left_out}
    torch.manual_seed(2)
    made = formats.build_model(tensors, name, WIDTH, "w")
    wanted, found = _state(filled), _state(made)
    assert list(found) == list(wanted)
    assert [key for key in wanted if not torch.equal(wanted[key], found[key])] == []


def test_nothing_is_drawn_that_a_file_will_give():
    with Unfilled():
        layers = [nn.Linear(3, 4), nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(3, 4, 1)]
        drawn = nn.init.trunc_normal_(torch.empty(50), std=0.1, a=-0.1, b=0.1)
    assert all(layer.weight.isnan().all() for layer in layers)
    assert not nn.Linear(3, 4).weight.isnan().any()
    # what draws until the numbers lie within its bounds would do so forever
    assert 0 < drawn.abs().max() <= 0.1
    assert not any(layer.bias.isnan().any() for layer in layers)
