"""What the seed experiment trains, on what, for how long."""

import argparse
import itertools
from pathlib import Path

import pytest
import seed_experiment as seed


@pytest.fixture
def args(tmp_path):
    return argparse.Namespace(photos="photos-*.tar", out=tmp_path, minutes=[10.0, 4.0])


@pytest.mark.parametrize("name", seed.NETWORKS)
def test_each_network_learns_photographs_then_the_series(name, args):
    runs = seed.runs_of(name, args, {"finetune": {"fit": {"steps": 7}}})
    *photos, series = runs
    assert {run.data.train for run in photos} == {("photos-*.tar",)}
    assert series.data.train == (str(args.out / "color" / "train-*.tar"),)
    assert (series.phase.name, series.fit.steps) == ("finetune", 7)
    for before, run in itertools.pairwise(runs):
        assert run.phase.start_from == before.run.folder
        assert Path(run.run.folder).parent == args.out / name


@pytest.mark.parametrize("name", ["hypercolumn", "residual-encoder"])
def test_trunks_learn_from_photographs_and_stay_for_the_series(name, args):
    photos, series = (run.model.builder_settings() for run in seed.runs_of(name, args, {}))
    assert photos.pop("learn_trunk") is True
    assert photos == series


@pytest.mark.parametrize("name", seed.NETWORKS)
def test_all_networks_get_the_same_time(name, args):
    phases = [run.phase.name for run in seed.runs_of(name, args, {})]
    seconds = [seed.budget(phase, phases, args.minutes) for phase in phases]
    assert sum(seconds[:-1]) == pytest.approx(600)
    assert seconds[-1] == 240
