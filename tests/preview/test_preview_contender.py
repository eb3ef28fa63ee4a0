"""What people mean by the words behind --compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidcolor.build import chosen_weights
from vidcolor.errors import ConfigError
from vidcolor.preview.contender import find_contenders, one_contender

BASE = (
    {"stabilize": {"tau": 3.0}, "compose": {"saturation": 0.5}},
    {},
    {"detect": {"detector": "none"}},
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_words_are_colorizers_weights_configs_and_scripts(tmp_path):
    Path("warm.toml").write_text("[compose]\nsaturation = 1.5\n")
    Path("mine.safetensors").write_bytes(b"")
    Path("film.vidcolor").write_text("")
    words = ["ddcolor", "siggraph17-retrained", "mine.safetensors", "warm.toml", "film.vidcolor"]
    ddcolor, retrained, mine, warm, script = find_contenders(words, BASE)
    assert [one.name for one in (ddcolor, retrained, mine, warm, script)] == words
    assert chosen_weights(ddcolor.config.colorize) == "ddcolor-modelscope"
    assert ddcolor.config.colorize.colorizer == "ddcolor"
    assert chosen_weights(retrained.config.colorize) == "siggraph17-retrained"
    assert chosen_weights(mine.config.colorize) == str(tmp_path / "mine.safetensors")
    assert (warm.config.compose.saturation, warm.config.stabilize.tau) == (1.5, 3.0)
    assert script.script == Path("film.vidcolor")
    for one in (ddcolor, retrained, mine, warm, script):  # all else they share
        assert one.config.detect.detector == "none"
        assert one.config.stabilize.tau == 3.0
    assert all(one.script is None for one in (ddcolor, retrained, mine, warm))


def test_a_word_counts_more_than_the_flags_a_config_less():
    layers = ({}, {}, {"colorize": {"colorizer": "eccv16", "weights": "eccv16"},
                       "stabilize": {"tau": 9.0}})  # fmt: skip
    Path("slow.toml").write_text('[stabilize]\ntau = 1.0\n[colorize]\nweights = "starter"\n')
    starter, slow = find_contenders(["starter", "slow.toml"], layers)
    assert starter.config.colorize.colorizer == "auto"
    assert chosen_weights(starter.config.colorize) == "starter"
    assert slow.config.stabilize.tau == 9.0
    assert chosen_weights(slow.config.colorize) == "eccv16"


def test_a_network_and_its_own_weights_are_the_same():
    one, _ = find_contenders(["siggraph17", "starter"], BASE)
    assert one.config.colorize.colorizer == "siggraph17"
    assert chosen_weights(one.config.colorize) == "siggraph17"


def test_weights_by_recipe():
    one, _ = find_contenders(["recipe:quarternet", "starter"], BASE)
    assert chosen_weights(one.config.colorize) == "recipe:quarternet"


def test_all_follow_a_script_but_those_that_are_one():
    Path("a.vidcolor").write_text("")
    plain, script = find_contenders(["starter", "a.vidcolor"], BASE, Path("film.vidcolor"))
    assert plain.script == Path("film.vidcolor")
    assert script.script == Path("a.vidcolor")
    assert plain.layers[-1] == {"colorize": {"colorizer": "auto", "weights": "starter"}}
    assert script.layers == BASE


def test_files_of_one_name_are_told_apart():
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "run.toml").write_text("")
    names = [one.name for one in find_contenders(["a/run.toml", "b/run.toml", "starter"], BASE)]
    assert names == ["a/run.toml", "b/run.toml", "starter"]
    assert find_contenders(["a/run.toml", "starter"], BASE)[0].name == "run.toml"


def test_a_file_that_is_called_like_a_network_is_ambiguous(tmp_path):
    Path("starter").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"'starter' is known weights and a file here \(\./star"):
        find_contenders(["starter", "eccv16"], BASE)
    one, _ = find_contenders(["./starter", "eccv16"], BASE)
    assert chosen_weights(one.config.colorize) == str(tmp_path / "starter")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ddcolour", "starter"], r"'ddcolour' is no colorizer.*did you mean 'ddcolor'\?"),
        (["zzzzzz", "starter"], r"'zzzzzz' is no colorizer.*colorizers are ddcolor, deoldify"),
        (["repair", "starter"], r"the weights 'repair' color nothing.*inpainter"),
        (["gone.safetensors", "starter"], r"there is no file of weights gone.safetensors"),
        (["gone.vidcolor", "starter"], r"there is no color script gone.vidcolor"),
        (["gone.toml", "starter"], r"gone.toml: cannot read the config"),
        (["wrong.toml", "starter"], r"wrong.toml.stabilise: unknown key; did you mean 'stabilize'"),
        (["starter"], r"name at least two, not 1"),
        (["starter", "starter"], r"'starter' is named twice"),
        (["recipe:nothing", "starter"], r"nothing"),
    ],
)
def test_what_means_nothing_is_one_clear_line(words, message):
    Path("wrong.toml").write_text("[stabilise]\ntau = 1.0\n")
    with pytest.raises(ConfigError, match=message) as caught:
        find_contenders(words, BASE)
    assert "\n" not in str(caught.value)


def test_one_way_is_all_layers_joined():
    one = one_contender("after", BASE)
    assert (one.name, one.script, one.layers) == ("after", None, BASE)
    assert one.config.compose.saturation == 0.5
    assert one.config.detect.detector == "none"
