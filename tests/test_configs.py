from pathlib import Path

import pytest

from vidcolor.config import SHORT_NAMES, Config
from vidcolor.evaluate.inpaint import InpaintConfig
from vidcolor.evaluate.sets import PicturesConfig, VideosConfig
from vidcolor.schema import leaves, load, read_toml, to_dict, to_toml
from vidcolor.train.config import TrainConfig
from vidcolor.train.plan import plan

FILES = sorted((Path(__file__).parents[1] / "configs").rglob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_loads_and_changes_something(path):
    data = read_toml(path)
    if path.parent.name == "train":
        assert all(run.fit.steps > 0 for run in plan(data))
    elif path.parent.name == "evaluate":
        kinds = {"pictures": PicturesConfig, "videos": VideosConfig, "inpaint": InpaintConfig}
        kind = kinds[data["of"]]
        assert load(kind, data) != kind()
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
    for kind in (TrainConfig, PicturesConfig, VideosConfig, InpaintConfig):
        unexplained = [leaf.name for leaf in leaves(kind) if not leaf.help]
        assert unexplained == []


def test_short_names_name_settings():
    known = {leaf.path for leaf in leaves(Config)}
    assert set(SHORT_NAMES.values()) <= known


def test_the_published_procedure_is_that_of_its_scripts():
    """Su et al., CVPR 2020: rates and epochs of the published scripts; delta one a*b* unit."""
    full, instance, fusion = plan(read_toml(next(f for f in FILES if f.stem == "instcolor-paper")))
    assert [run.fit.lr for run in (full, instance, fusion)] == [5e-4, 5e-4, 5e-5]
    assert [run.data.batch_size for run in (full, instance, fusion)] == [16, 16, 1]
    assert {run.phase.delta for run in (full, instance, fusion)} == {1.0}
    pictures = 118_287
    for run, constant, decay in ((full, 100, 50), (instance, 100, 50), (fusion, 10, 20)):
        epoch = pictures // run.data.batch_size
        assert run.fit.constant == constant * epoch
        assert run.fit.steps == (constant + decay) * epoch
    assert full.phase.start_from == "siggraph17-retrained"
    assert instance.phase.start_from == full.run.folder
    assert fusion.phase.start_from == instance.run.folder
