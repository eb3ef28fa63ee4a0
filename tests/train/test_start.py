"""Where a network begins: trunks and weights of others."""

import pytest
import torch
from safetensors.torch import save_file
from toys import Painter

from vidcolor.errors import WeightsError
from vidcolor.models.registry import create_model
from vidcolor.models.weights import WeightFile, WeightsSpec, save_weights
from vidcolor.train import start as module
from vidcolor.train.start import start


def _trunk(tmp_path, monkeypatch, name="trunkish"):
    """Weights of the kind "backbone", known and installed."""
    torch.manual_seed(7)
    tensors = dict(torch.nn.Conv2d(1, 6, 1).state_dict())
    path = tmp_path / f"{name}-0123abcd.safetensors"
    save_file(tensors, path)
    spec = WeightsSpec(name, "backbone", name, "", "", (WeightFile(path.name),))
    monkeypatch.setattr(module, "known_weights", lambda: (spec,))
    monkeypatch.setattr(module, "find", lambda asked: {name: path}[asked])
    return tensors, path


@pytest.mark.parametrize("by", ["name", "file"])
def test_a_trunk_is_adopted(tmp_path, monkeypatch, by):
    tensors, path = _trunk(tmp_path, monkeypatch)
    model = Painter()
    head = model.head.weight.clone()
    start(model, "painter", "full", "trunkish" if by == "name" else path)
    assert model.adopted == "trunkish"
    assert torch.equal(model.trunk.weight, tensors["weight"])
    assert torch.equal(model.head.weight, head)


def test_the_network_says_which_trunks_are_of_use(tmp_path, monkeypatch):
    _trunk(tmp_path, monkeypatch, "treeish")
    with pytest.raises(WeightsError, match="can begin with trunkish, not with treeish"):
        start(Painter(), "painter", "full", "treeish")
    with pytest.raises(WeightsError, match="treeish: for treeish, not for quarternet"):
        start(create_model("quarternet", width=2), "quarternet", "full", "treeish")


def test_a_network_may_begin_with_the_trunk_of_another(tmp_path):
    torch.manual_seed(1)
    other = create_model("residual_encoder", width=2)
    path = tmp_path / "a.safetensors"
    save_weights(path, other, "residual_encoder", {"width": 2}, {"phase": "full"})
    model = create_model("hypercolumn", width=2)
    head = {key: value.clone() for key, value in model.head.state_dict().items()}
    start(model, "hypercolumn", "finetune", path)
    torch.testing.assert_close(model.trunk.state_dict(), other.trunk.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(dict(model.head.state_dict()), head, rtol=0, atol=0)
    with pytest.raises(WeightsError, match="for residual_encoder, not for eccv16"):
        start(create_model("eccv16", width=2), "eccv16", "full", path)


def test_its_own_weights_are_taken_whole(tmp_path):
    torch.manual_seed(1)
    other = create_model("hypercolumn", width=2)
    path = tmp_path / "a.safetensors"
    save_weights(path, other, "hypercolumn", {"width": 2}, {"phase": "full"})
    model = create_model("hypercolumn", width=2)
    start(model, "hypercolumn", "finetune", path)
    torch.testing.assert_close(model.state_dict(), other.state_dict(), rtol=0, atol=0)
    with pytest.raises(WeightsError, match=r"other settings than model\.\* asks for"):
        start(create_model("hypercolumn", width=3), "hypercolumn", "full", path)
