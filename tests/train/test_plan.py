import tomllib

import pytest
from made_shards import texture, write_shard

from vidcolor.errors import ConfigError
from vidcolor.models.weights import read_card
from vidcolor.schema import load, parse, put, to_toml
from vidcolor.train.plan import flags, plan
from vidcolor.train.run import TrainConfig, train

FILE = """
phases = ["full", "instance", "fusion"]
[data]
train = ["a.tar"]
[run]
folder = "runs/mine"
[fit]
steps = 100
lr = 1e-3
[phase]
start_from = "zhang.safetensors"
[fusion.fit]
lr = 1e-5
steps = 20
[instance.data]
batch_size = 8
"""


def runs(text=FILE, over=(), only=None):
    tables = {}
    known = flags()
    for name, value in dict(over).items():
        put(tables, known[name].path, parse(value, known[name]))
    return plan(tomllib.loads(text), tables, "x.toml", only)


def test_each_phase_has_a_folder_and_starts_where_the_one_before_ended():
    found = [(run.phase.name, run.run.folder, run.phase.start_from) for run in runs()]
    assert found == [
        ("full", "runs/mine/full", "zhang.safetensors"),
        ("instance", "runs/mine/instance", "runs/mine/full"),
        ("fusion", "runs/mine/fusion", "runs/mine/instance"),
    ]


def test_a_table_of_a_phase_is_for_that_phase_only():
    full, instance, fusion = runs()
    assert [run.fit.lr for run in (full, instance, fusion)] == [1e-3, 1e-3, 1e-5]
    assert [run.fit.steps for run in (full, instance, fusion)] == [100, 100, 20]
    assert [run.data.batch_size for run in (full, instance, fusion)] == [64, 8, 64]


def test_flags_win_those_of_a_phase_most():
    full, instance, fusion = runs(over={"fit.lr": "0.5", "instance.fit.lr": "0.25"})
    assert [run.fit.lr for run in (full, instance, fusion)] == [0.5, 0.25, 0.5]
    moved = runs(over={"run.folder": "elsewhere"})
    assert [run.run.folder for run in moved] == [
        "elsewhere/full", "elsewhere/instance", "elsewhere/fusion",
    ]  # fmt: skip
    given = runs(FILE + '[instance.phase]\nstart_from = "b"\n[fusion.run]\nfolder = "c"\n')
    assert [run.phase.start_from for run in given] == [
        "zhang.safetensors",
        "b",
        "runs/mine/instance",
    ]
    assert [run.run.folder for run in given] == ["runs/mine/full", "runs/mine/instance", "c"]


def test_one_phase_alone_is_the_same_run():
    assert runs(only="instance") == [runs()[1]]
    with pytest.raises(ConfigError, match="no phase 'finetune'"):
        runs(only="finetune")


def test_without_phases_it_is_one_run():
    text = '[data]\ntrain = ["a"]\n[run]\nfolder = "r"\n[fit]\nsteps = 5\n'
    (run,) = runs(text, {"fit.lr": "0.5"})
    assert (run.run.folder, run.fit.lr, run.phase.name) == ("r", 0.5, "full")
    assert runs(text, only="full")
    with pytest.raises(ConfigError, match="trains 'full', not 'fusion'"):
        runs(text, only="fusion")


TWICE = """
phases = ["full", "full-2", "finetune"]
[data]
train = ["a.tar"]
[run]
folder = "runs/mine"
[fit]
steps = 100
lr = 1e-3
[full.phase]
start_from = "zhang.safetensors"
[full.data]
batch_size = 8
sizes = [64]
[full.run]
folder = "elsewhere"
[full-2.data]
sizes = [128]
"""


def test_a_phase_that_comes_again_has_the_settings_of_the_first_and_its_own():
    found = runs(TWICE)
    assert [run.phase.name for run in found] == ["full", "full", "finetune"]
    assert [run.data.batch_size for run in found] == [8, 8, 64]
    assert [run.data.sizes for run in found] == [(64,), (128,), (128,)]
    # but it begins where the first ended, and goes elsewhere
    assert [run.run.folder for run in found] == [
        "elsewhere", "runs/mine/full-2", "runs/mine/finetune",
    ]  # fmt: skip
    assert [run.phase.start_from for run in found] == [
        "zhang.safetensors", "elsewhere", "runs/mine/full-2",
    ]  # fmt: skip
    flagged = runs(TWICE, {"full.data.batch_size": "4", "full-2.fit.lr": "0.5", "fit.lr": "0.1"})
    assert [run.data.batch_size for run in flagged] == [4, 4, 64]
    assert [run.fit.lr for run in flagged] == [0.1, 0.5, 0.1]
    assert runs(TWICE, only="full-2") == [found[1]]
    with pytest.raises(ConfigError, match="no phase 'full-3'"):
        runs(TWICE, only="full-3")
    with pytest.raises(ConfigError, match=r"x\.toml\.full-3: phases = .* does not have it"):
        runs(TWICE, {"full-3.fit.lr": "1"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FILE.replace('"fusion"]', '"fussion"]'), "did you mean 'fusion'"),
        (FILE.replace('"instance", ', ""), r"x\.toml\.instance: phases = .* does not have it"),
        (FILE.replace('"instance"', '"full"'), "list of different phases"),
        (FILE.replace('["full", "instance", "fusion"]', '"full"'), "list of different phases"),
        (FILE.replace("phases = ", "#"), r"is for files with phases"),
        (FILE.replace("lr = 1e-5", "lrr = 1"), r"\[fusion\]\.fit\.lrr: unknown key"),
        (FILE + '[full.phase]\nname = "fusion"\n', r"full\.phase\.name"),
        ("full = 3\n" + FILE, r"full: expected a table, got 3"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        runs(text)


def test_every_run_of_a_plan_survives_being_saved():
    for run in runs():
        assert load(TrainConfig, tomllib.loads(to_toml(run))) == run


def test_three_phases_train_one_after_another_and_a_second_call_does_nothing(tmp_path):
    notes = {"boxes": [[4, 4, 40, 40]], "width": 64, "height": 48}
    members = {}
    for number in range(3):
        members |= {f"{number}.png": texture(number), f"{number}.json": notes}
    shard = write_shard(tmp_path / "a.tar", members)
    text = (
        f'phases = ["full", "instance", "fusion"]\n[data]\ntrain = ["{shard}"]\nsizes = [32]\n'
        "crop = 32\nbatch_size = 2\nworkers = 0\n[model]\nwidth = 8\n"
        f'[fit]\nsteps = 2\n[run]\nfolder = "{tmp_path / "runs"}"\ndevice = "cpu"\n'
    )
    steps = [[p.report.step for p in train(run)] for run in runs(text)]
    assert steps == [[1, 2]] * 3
    assert [list(train(run)) for run in runs(text)] == [[], [], []]
    cards = [
        read_card(tmp_path / "runs" / phase / "last.safetensors")
        for phase in ("full", "instance", "fusion")
    ]
    assert [card["phase"] for card in cards] == ["full", "instance", "fusion"]
    assert cards[2]["started_from"] == str(tmp_path / "runs" / "instance")
