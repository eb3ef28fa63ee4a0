"""Weights by formula: the same everywhere, for every network, before anybody has trained it."""

import zlib

import numpy as np
import pytest
import torch

from vidcolor.build import chosen_weights
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models.recipe import fan_in_value, fill, recipe_state, unit
from vidcolor.models.registry import create_model, list_models, model_spec
from vidcolor.models.weights import RECIPE, load_model
from vidcolor.stages.colorize import ColorizeConfig

NARROW = {
    "quarternet": {"width": 8},
    "ddcolor": {"width": 4, "variant": "tiny"},
    "deoldify": {"width": 4, "variant": "artistic"},
    "iizuka16": {"width": 4, "labels": 3},
}
SMALL = ("quarternet", "hypercolumn", "residual_encoder")  # of which the published size is quick


def _narrow(name):
    return fill(create_model(name, **NARROW.get(name, {"width": 4})))


def test_numbers_are_those_of_pcg64_by_name():
    """53 bits of each raw number, as NumPy's own generator takes them."""
    seed = zlib.crc32(b"some name")
    expected = np.random.Generator(np.random.PCG64(seed)).random(6).reshape(2, 3)
    np.testing.assert_array_equal(unit("some name", (2, 3)), expected)


def test_scale_is_that_of_he_by_fan_in():
    """Uniform within sqrt(6 / fan-in): variance 2 / fan-in."""
    value = fan_in_value("s", "x.weight", (64, 32, 3, 3))
    assert np.abs(value).max() <= np.sqrt(6 / 288)
    assert value.var() == pytest.approx(2 / 288, rel=0.02)
    assert fan_in_value("s", "x.num_batches_tracked", (), torch.int64).tolist() == 0
    variance = fan_in_value("s", "n.running_var", (1000,), variance=(2.0, 3.0))
    assert variance.min() >= 2
    assert variance.max() < 3
    assert np.ptp(variance) > 0.9


def test_spectral_vectors_are_singular_ones():
    entries = {"l.weight_orig": torch.empty(6, 5), "l.weight_u": torch.empty(6),
               "l.weight_v": torch.empty(5)}  # fmt: skip
    state = recipe_state(entries, lambda k, s, d: fan_in_value("s", k, s, d))
    matrix = state["l.weight_orig"].double().numpy()
    sigma = state["l.weight_u"].numpy() @ matrix @ state["l.weight_v"].numpy()
    assert 0.9 * np.linalg.norm(matrix, 2) < sigma <= np.linalg.norm(matrix, 2) * (1 + 1e-6)


@pytest.mark.parametrize("name", list_models())
def test_every_network_is_filled_and_colors(name):
    net, again = _narrow(name), _narrow(name)
    assert not net.training
    own, other = net.state_dict(), again.state_dict()
    assert all(torch.equal(own[key], other[key]) for key in own)
    floats = [value for value in own.values() if value.is_floating_point() and value.numel() > 1]
    assert all(value.isfinite().all() and value.std() > 0 for value in floats)
    spec = model_spec(name)
    if hasattr(net, "fold"):
        net.fold()
    light = torch.linspace(0, 100, 64 * 96).view(1, 1, 64, 96)
    with torch.no_grad():
        ab = net(light)
    assert ab.shape == (1, 2, 64 // spec.stride, 96 // spec.stride)
    assert ab.dtype == torch.float32
    assert ab.isfinite().all()
    # neither gray nor run away nor all at the end of the range
    assert 0.05 < ab.std() < 200
    assert ab.abs().max() < 1000
    assert ab.unique().numel() > 100


@pytest.mark.parametrize("name", SMALL)
def test_networks_of_published_size_load_by_name(name):
    net, of = load_model(RECIPE + name)
    assert of == name
    numbers = sum(parameter.numel() for parameter in net.parameters())
    assert numbers == sum(p.numel() for p in create_model(name).parameters()) > 5e6
    key, entry = next((k, v) for k, v in net.state_dict().items() if v.ndim == 4)
    formula = fan_in_value("vidcolor", key, tuple(entry.shape))
    np.testing.assert_array_equal(entry.numpy(), formula)


def test_what_a_config_means_by_recipe():
    assert chosen_weights(ColorizeConfig(colorizer="deoldify", weights="recipe")) == (
        "recipe:deoldify"
    )
    with pytest.raises(ConfigError, match="say which by --colorizer"):
        chosen_weights(ColorizeConfig(weights="recipe"))
    with pytest.raises(ConfigError, match=r"unknown colorizer 'deoldfy'; did you mean 'deoldify'"):
        load_model("recipe:deoldfy")
    with pytest.raises(WeightsError, match="are for a network: say which by recipe:NAME"):
        load_model("recipe")
