from pathlib import Path

import pytest

from vidcolor.config import SHORT_NAMES, Config
from vidcolor.schema import leaves, load, read_toml, to_dict, to_toml
from vidcolor.train.run import TrainConfig

FILES = sorted((Path(__file__).parents[1] / "configs").rglob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_loads_and_changes_something(path):
    data = read_toml(path)
    if path.parent.name == "train":
        assert load(TrainConfig, data).fit.steps > 0
    else:
        assert load(Config, data) != Config()


def test_the_resolved_config_can_be_saved_and_read_back(tmp_path):
    config = load(Config, {"output": {"crf": 3}, "input": {"start": 1.5}})
    path = tmp_path / "all.toml"
    path.write_text(to_toml(config))
    assert load(Config, read_toml(path)) == config
    assert load(Config, to_dict(config)) == config


def test_every_setting_is_explained():
    unexplained = [leaf.name for leaf in leaves(Config) if not leaf.help]
    assert unexplained == []
    unexplained = [leaf.name for leaf in leaves(TrainConfig) if not leaf.help]
    assert unexplained == []


def test_short_names_name_settings():
    known = {leaf.path for leaf in leaves(Config)}
    assert set(SHORT_NAMES.values()) <= known
