"""Kinds of pictures: where they are said, how they reach the network, what is kept of them."""

import shutil

import pytest
import torch
from made_shards import texture, write_shard
from runs import maker, rows_of, run
from toys import Painter, batch

from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.shards import Pictures
from vidcolor.models.registry import ModelSpec
from vidcolor.models.weights import read_card
from vidcolor.train.data.batches import TrainBatches
from vidcolor.train.data.config import DataConfig
from vidcolor.train.data.labels import read_labels
from vidcolor.train.degrade import DegradeConfig
from vidcolor.train.phases import PhaseConfig, make_phase
from vidcolor.train.run import train

NAMES = ("sea/a.png", "forest/b.png", "sea/c.png", "d.png", "city/old/e.png")
SPEC = ModelSpec("painter", Painter, 1, False, False, None, 32, 32, "", 1)


@pytest.fixture
def pictures(tmp_path):
    members = {name: texture(number) for number, name in enumerate(NAMES)}
    return Pictures((write_shard(tmp_path / "a.tar", members),))


def _csv(tmp_path, text):
    path = tmp_path / "kinds.csv"
    path.write_text(text)
    return str(path)


# --- where they are said ------------------------------------------------------------------------


def test_a_folder_is_a_kind(pictures):
    labels = read_labels(pictures, "folder")
    assert labels.names == ("city/old", "forest", "sea")
    assert labels.numbers == (2, 1, 2, -1, 0)


def test_a_table_says_kinds_of_what_it_names(pictures, tmp_path):
    table = _csv(
        tmp_path,
        "shard,name,source,category\n"
        "a.tar,sea/a.png,x,water\na.tar,elsewhere.png,x,fire\na.tar,d.png,x,land\n"
        "b.tar,d.png,x,land\na.tar,sea/c.png,x,\n",
    )
    labels = read_labels(pictures, table)
    assert labels.names == ("land", "water")  # nothing here is of fire
    assert labels.numbers == (1, -1, -1, 0, -1)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("name,kind\nd.png,x\n", MediaError, "no column 'category'; expected name and category"),
        ("name,category\nd.png,x\nd.png,y\n", MediaError, "line 3: 'd.png' is 'y', before .* 'x'"),
        ("name,category\nd.png,x\nsea/a.png,x\n", ConfigError, "are 'x'; kinds .* at least two"),
        ("name,category\nother.png,x\n", ConfigError, "it knows no picture"),
        ("", MediaError, "no column 'name' and no column 'category'"),
    ],
)
def test_tables_that_say_nothing_are_refused(pictures, tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        read_labels(pictures, _csv(tmp_path, text))


def test_tables_that_cannot_be_read_are_refused(pictures, tmp_path):
    with pytest.raises(MediaError, match=r"none\.csv: cannot read data\.labels: No such file"):
        read_labels(pictures, str(tmp_path / "none.csv"))
    (tmp_path / "bytes.csv").write_bytes(b"name,category\n\xff\xfe,x\n")
    with pytest.raises(MediaError, match=r"bytes\.csv: not a table in UTF-8"):
        read_labels(pictures, str(tmp_path / "bytes.csv"))


# --- how they reach the network -----------------------------------------------------------------


def test_a_batch_has_the_kind_of_each_of_its_pictures(pictures):
    labels = read_labels(pictures, "folder")
    config = DataConfig(("x",), sizes=(32,), batch_size=5)
    batches = TrainBatches(pictures, config, DegradeConfig(), labels=labels.numbers)
    for step in range(3):
        assert batches[step].labels.tolist() == [
            labels.numbers[number] for number in batches._numbers(step)
        ]
    assert sorted(batches[0].labels.tolist()) == [-1, 0, 1, 2, 2]
    assert TrainBatches(pictures, config, DegradeConfig())[0].labels is None


def test_a_picture_that_steps_in_brings_its_own_kind(tmp_path):
    members = {"gray/0.png": texture(0).mean(2, keepdims=True).repeat(3, 2).astype("uint8")}
    members |= {f"color/{i}.png": texture(i) for i in range(1, 4)}
    pictures = Pictures((write_shard(tmp_path / "a.tar", members),))
    labels = read_labels(pictures, "folder")
    config = DataConfig(("x",), sizes=(32,), batch_size=4, color_range=10.0)
    batch = TrainBatches(pictures, config, DegradeConfig(), labels=labels.numbers)[0]
    assert batch.labels.tolist() == [0, 0, 0, 0]  # "color"; gray was left out


def _phase(**settings):
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        model = Painter()
    config = PhaseConfig(**{"loss": "planes", "label_weight": 0.25, **settings})
    return make_phase(config, model, SPEC, 32, labels=3)


def _labeled(numbers):
    one = batch(0, count=len(numbers))
    return type(one)(one.lightness, one.ab, labels=torch.tensor(numbers))


def test_kinds_are_learned_beside_color_in_one_pass():
    phase, one = _phase(), _labeled([0, 2, -1, 1])
    passes = []
    phase.model.trunk.register_forward_hook(lambda *_: passes.append(1))
    values, pred = phase.losses(one)
    assert len(passes) == 1
    assert list(values) == ["planes", "labels"]
    logits, planes = phase.model.answer_labels("full", one.lightness)
    logs = logits.log_softmax(1)
    expected = -(logs[0, 0] + logs[1, 2] + logs[3, 1]) / 4  # one of four is not known
    torch.testing.assert_close(values["labels"], 0.25 * expected)
    target = one.ab / 200 + 0.5  # a*b* of -100 to 100
    torch.testing.assert_close(values["planes"], (planes - target).square().mean())
    torch.testing.assert_close(pred, 200 * planes - 100)


def test_the_classification_reaches_what_it_looks_at_and_no_more():
    phase = _phase()
    phase.losses(_labeled([0, 1, 2, 0]))[0]["labels"].backward()
    reached = {name for name, p in phase.learns() if p.grad is not None}
    assert reached == {"trunk.weight", "trunk.bias", "classify.weight", "classify.bias"}


def test_batches_without_kinds_are_refused():
    with pytest.raises(ConfigError, match=r"phase\.label_weight needs labels"):
        _phase().losses(batch(0))


def test_without_kinds_the_classifier_rests():
    phase = _phase(label_weight=0.0)
    assert {name.split(".")[0] for name, _ in phase.learns()} == {"trunk", "head"}
    assert not phase.model.classify.weight.requires_grad


def test_numbers_of_kinds_must_agree():
    with pytest.raises(ConfigError, match=r"of 5 kinds, painter tells 3 apart; .*labels=5"):
        make_phase(PhaseConfig(loss="planes", label_weight=1.0), Painter(), SPEC, 32, labels=5)
    plain = torch.nn.Conv2d(1, 2, 1)
    with pytest.raises(ConfigError, match=r"phase\.label_weight 1\.0: .* kinds of pictures"):
        make_phase(PhaseConfig(label_weight=1.0), plain, SPEC, 32, labels=5)


# --- whole runs ---------------------------------------------------------------------------------


@pytest.fixture
def scenes(tmp_path):
    members = {f"{kind}/{i}.png": texture(i) for i, kind in enumerate(("sea", "land") * 3)}
    return maker(write_shard(tmp_path / "scenes.tar", members), tmp_path)


IIZUKA = {
    "data": {"labels": "folder"},
    "phase": {"loss": "planes", "label_weight": 1 / 300},
    "model": {"name": "iizuka16", "width": 2, "settings": ["labels=2"]},
    "fit": {"optimizer": "adadelta", "lr": 1.0, "steps": 2},
}


def test_a_run_says_what_kinds_it_knows(scenes):
    one = scenes(**IIZUKA)
    assert run(one) == [1, 2]
    card = read_card(f"{one.run.folder}/last.safetensors")
    assert card["labels"] == ["land", "sea"]
    assert {"planes", "labels"} <= rows_of(one)[0].keys()
    # one that learns color alone from there on knows them still, also after a break
    tune = {**IIZUKA, "data": {}, "phase": {"name": "finetune", "start_from": one.run.folder}}
    other = scenes("other", **{**tune, "run": {"save_every": 1}})
    steps = train(other)
    next(steps)
    steps.close()
    shutil.rmtree(one.run.folder)
    assert run(other) == [2]
    assert read_card(f"{other.run.folder}/last.safetensors")["labels"] == ["land", "sea"]


def test_settings_that_do_not_fit_together_are_refused(scenes):
    with pytest.raises(ConfigError, match=r"of 2 kinds, iizuka16 tells 7 apart.*labels=2"):
        run(scenes(**{**IIZUKA, "model": {**IIZUKA["model"], "settings": ["labels=7"]}}))
    with pytest.raises(ConfigError, match=r"phase\.label_weight: needs data\.labels"):
        scenes(**{**IIZUKA, "data": {}})
    with pytest.raises(ConfigError, match=r"data\.labels: nothing learns from it"):
        scenes(**{**IIZUKA, "phase": {"loss": "planes"}})
    with pytest.raises(ConfigError, match="space must be lab, yuv, rgb, not 'hsv'"):
        scenes(model={"name": "iizuka16", "settings": ["space=hsv"]})
