"""What the page may set, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidcolor.color.grade import GradeConfig
from vidcolor.config import Config
from vidcolor.errors import GuidanceError
from vidcolor.guidance.script.entries import ColorScript, ShotEntry, Table
from vidcolor.preview.web.desk.controls import (
    CONTROLS,
    check_network,
    check_settings,
    chosen,
    control,
    effective,
    fit,
)
from vidcolor.preview.web.server.answers import plain
from vidcolor.schema import leaves, load, put

LEAVES = {leaf.name: leaf for leaf in leaves(Config)}


def values(one):
    if one.kind == "switch":
        return [True, False]
    return list(one.choices) if one.kind == "choice" else [one.least, one.most]


@pytest.mark.parametrize("one", CONTROLS, ids=lambda one: one.key)
def test_every_control_is_a_setting_that_takes_its_values(one):
    assert one.key in LEAVES
    assert one.help == LEAVES[one.key].help != ""
    assert one.default == LEAVES[one.key].default
    for value in values(one):
        data: dict = {}
        fitted = fit(one.key, value, False)
        put(data, one.path, fitted)
        if one.key == "output.crf" and value == 63:
            data["output"]["codec"] = "av1"
        config = load(Config, data)
        assert effective(config)[one.key] == fitted
        assert type(effective(config)[one.key]) is type(fitted)
    assert fit(one.key, None, False) is None


@pytest.mark.parametrize("one", CONTROLS, ids=lambda one: one.key)
def test_a_default_is_within_reach(one):
    if one.default is not None:
        assert fit(one.key, one.default, False) == one.default


def test_numbers_have_a_slider_and_words_a_list():
    for one in CONTROLS:
        if one.kind == "number":
            assert one.least < one.most
            assert 0 < one.step <= one.most - one.least
        assert bool(one.choices) == (one.kind == "choice")
        assert (one.least is None) == (one.kind != "number")
    assert len({one.key for one in CONTROLS}) == len(CONTROLS)
    json.dumps(plain(CONTROLS))


@pytest.mark.parametrize(
    "key",
    [
        "guidance.hints", "guidance.references", "grade.lut", "restore.masks", "restore.spots",
        "restore.protect", "restore.weights", "colorize.style", "cut.shots_file", "device",
        "detect.detectron2_weights", "detect.detectron2_config", "output.overwrite",
        "merge.weights", "", "stabilize", None, 3, ["stabilize.tau"],
    ],
)  # fmt: skip
def test_nothing_else_can_be_set(key):
    with pytest.raises(GuidanceError, match="cannot be set here"):
        fit(key, "x", False)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("detect.detector", "boxes:/etc/passwd", "not one of auto"),
        ("colorize.weights", "/home/me/w.pth", "not one of auto"),
        ("colorize.weights", "resnet50", "not one of auto"),
        ("colorize.colorizer", ["auto"], "not one of"),
        ("stabilize.tau", 9.5, "0.5 to 9"),
        ("stabilize.tau", "3", "a number"),
        ("stabilize.tau", True, "a number"),
        ("stabilize.tau", float("nan"), "a number"),
        ("stabilize.tau", 10**400, "a number"),
        ("stabilize.n_most", 2.5, "whole number"),
        ("stabilize.enabled", 1, "on or off"),
        ("restore.enabled", "true", "on or off"),
    ],
)  # fmt: skip
def test_values_are_checked(key, value, message):
    with pytest.raises(GuidanceError, match=message):
        fit(key, value, False)


def test_whole_numbers_and_others_are_told_apart():
    assert type(fit("stabilize.n_most", 12.0, True)) is int
    assert type(fit("stabilize.tau", 3, True)) is float
    assert type(fit("output.crf", 20, False)) is int


def test_some_things_go_for_the_whole_film():
    for key in ("output.crf", "output.codec", "compose.saturation"):
        assert control(key).scope == "film"
        with pytest.raises(GuidanceError, match="whole film"):
            fit(key, control(key).default, True)
    assert {one.scope for one in CONTROLS if one.key.startswith("grade.")} == {"both"}


def test_weights_are_those_of_the_network():
    check_network("siggraph17", "siggraph17-retrained")
    check_network(None, "eccv16")
    check_network("auto", "eccv16")
    with pytest.raises(GuidanceError, match="are for eccv16, not for siggraph17"):
        check_network("siggraph17", "eccv16")


def script(film: dict, shot: dict) -> ColorScript:
    shots = (ShotEntry(0, 0, 4), ShotEntry(1, 5, 9, settings=Table(shot)))
    return ColorScript(1, settings=Table(film), shots=shots)


def test_settings_of_a_shot_are_checked_with_those_of_the_film():
    # each is good by itself, but both at once say how large the network's picture is
    film, shot = {"colorize": {"short_side": 256}}, {"colorize": {"render_factor": 20}}
    check_settings(None, script(film, {}), Path())
    check_settings(None, script({}, shot), Path())
    for old in (script({}, shot), script(film, {})):
        with pytest.raises(GuidanceError, match=r"shot 2.*give one of both"):
            check_settings(old, script(film, shot), Path())
    wrong = script(film, shot)
    check_settings(wrong, wrong, Path())  # what was wrong before is not this change's fault


def test_what_is_chosen_is_listed_by_key():
    table = {"stabilize": {"tau": 4.0, "flow": "fast"}, "cut": {"held": False}, "restore": {}}
    assert chosen(table) == {"stabilize.tau": 4.0}
    config = Config(grade=GradeConfig(tint=3.0))
    assert effective(config)["grade.tint"] == 3.0
    assert effective(config).keys() == {one.key for one in CONTROLS}
