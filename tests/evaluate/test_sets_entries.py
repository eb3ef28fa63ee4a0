"""Which colorizers are meant by names, files, and the words for many."""

import pytest

from vidcolor.config import Config
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.evaluate.sets import entries
from vidcolor.evaluate.sets.entries import choose, lines_of
from vidcolor.models.registry import list_models
from vidcolor.schema import load


def chosen(colorizers=(), weights=(), line=None):
    found = choose(colorizers, weights, line or Config())
    return [(e.label, e.config.colorize.colorizer, e.config.colorize.weights) for e in found]


def test_without_any_name_the_line_is_what_it_is():
    assert chosen() == [("starter", "auto", "auto")]
    line = load(Config, {"colorize": {"weights": "runs/mine.safetensors"}})
    assert chosen(line=line) == [("mine", "auto", "runs/mine.safetensors")]


def test_networks_ask_for_their_weights():
    assert chosen(["siggraph17", "eccv16"]) == [
        ("siggraph17", "siggraph17", "auto"),
        ("eccv16", "eccv16", "auto"),
    ]
    assert [one for _, one, _ in chosen(["all"])] == list(list_models())
    assert len(list_models()) == 9
    with pytest.raises(ConfigError, match="did you mean 'siggraph17'"):
        chosen(["sigraph17"])


def test_weights_by_recipe_are_for_networks():
    expected = [(f"{name}, recipe", name, "recipe") for name in list_models()]
    assert chosen(["all"], ["recipe"]) == expected
    with pytest.raises(ConfigError, match="say which by --colorizer"):
        chosen([], ["recipe"])


def test_weights_are_called_by_what_tells_them_apart(tmp_path):
    assert chosen([], ["starter", "runs/a/best.safetensors", "ours=runs/b/best.safetensors"]) == [
        ("starter", "auto", "starter"),
        ("best", "auto", "runs/a/best.safetensors"),
        ("ours", "auto", "runs/b/best.safetensors"),
    ]
    assert [label for label, _, _ in chosen([], ["a/best.pth", "b/best.pth"])] == [
        "a/best.pth",
        "b/best.pth",
    ]
    odd = tmp_path / "a=b.safetensors"
    odd.touch()
    assert chosen([], [str(odd)]) == [("a=b", "auto", str(odd))]
    with pytest.raises(ConfigError, match="LABEL=FILE"):
        chosen([], ["=x.pth"])
    with pytest.raises(ConfigError, match="two colorizers are called 'x'"):
        chosen([], ["x=a.pth", "x=b.pth"])


def test_one_network_is_what_all_weights_must_be_for():
    assert chosen(["siggraph17"], ["a.pth"]) == [("a", "siggraph17", "a.pth")]
    assert chosen(["siggraph17", "eccv16"], ["a.pth"]) == [("a", "auto", "a.pth")]


def test_installed_weights(monkeypatch, tmp_path):
    here = {name: tmp_path for name in ("starter", "siggraph17", "eccv16", "alexnet")}
    monkeypatch.setattr(entries, "installed", lambda: here)
    assert [label for label, _, _ in chosen([], ["installed"])] == [
        "starter", "siggraph17", "eccv16",
    ]  # fmt: skip
    assert chosen(["eccv16"], ["installed"]) == [("eccv16", "auto", "eccv16")]
    with pytest.raises(WeightsError, match="no weights of ddcolor are installed"):
        chosen(["ddcolor"], ["installed"])


def test_lines_lie_over_the_settings(tmp_path):
    path = tmp_path / "slow.toml"
    path.write_text("[stabilize]\ntau = 9.0\n")
    base = load(Config, {"precision": "float32", "stabilize": {"tau": 2.0}})
    found = dict(lines_of(("whole", "alone", str(path), f"mine={path}"), base))
    assert list(found) == ["whole", "alone", "slow", "mine"]
    assert found["whole"] == base
    assert not found["alone"].stabilize.enabled
    assert found["alone"].cadence.cadence == "every"
    assert found["slow"].stabilize.tau == 9.0
    assert {one.precision for one in found.values()} == {"float32"}
    with pytest.raises(ConfigError, match="two lines are called 'whole'"):
        lines_of(("whole", "whole"), base)
    path.write_text("[stabilise]\ntau = 9.0\n")
    with pytest.raises(ConfigError, match=r"slow.toml.*did you mean 'stabilize'"):
        lines_of((str(path),), base)
