"""The command masks as people run it."""

import cv2
import numpy as np
import pytest

from vidcolor import cli
from vidcolor.cli import holes as command
from vidcolor.holes.classes import CLASSES, class_name
from vidcolor.holes.draw import KINDS


def test_words_of_the_command_are_those_of_the_library():
    """The command line keeps a copy, so that `--help` answers without loading OpenCV."""
    assert command._KINDS == KINDS
    assert [class_name(number) for number in range(len(CLASSES))] == list(command._CLASSES)


def test_build_sort_and_show(tmp_path, capsys):
    out = tmp_path / "masks"
    words = ["masks", "build", str(out), "--count", "6", "--size", "48", "--seed", "2"]
    assert cli.main([*words, "--border", "with", "--classes", "0.2-0.3", "--kinds", "thin"]) == 0
    capsys.readouterr()
    assert cli.main(["masks", "sort", str(out)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[3][:3] == ["0.2-0.3", "0", "6"]
    assert lines[-1] == ["kinds:", "thin", "6"]
    sheet = tmp_path / "sheet.png"
    assert cli.main(["masks", "show", str(out), "--out", str(sheet)]) == 0
    assert cv2.imread(str(sheet)).shape == (214 + 6, 6 * 198 + 6, 3)


def test_build_keeps_what_is_there(tmp_path, capsys):
    out = tmp_path / "masks"
    words = ["masks", "build", str(out), "--count", "1", "--size", "32"]
    assert cli.main(words) == 0
    before = (out / "holes.csv").read_bytes()
    capsys.readouterr()
    assert cli.main([*words, "--seed", "5"]) == 1
    error = capsys.readouterr().err.strip()
    assert "--overwrite" in error
    assert "\n" not in error
    assert (out / "holes.csv").read_bytes() == before
    assert cli.main([*words, "--seed", "5", "--overwrite"]) == 0
    assert (out / "holes.csv").read_text().splitlines()[1].startswith("5-0,")


def test_show_of_a_kind_is_a_function_of_the_seed(tmp_path):
    pictures = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        sheet = tmp_path / f"{name}.png"
        words = ["masks", "show", "shapes", "--out", str(sheet), "--size", "64", "--count", "4"]
        assert cli.main([*words, "--seed", seed]) == 0
        pictures.append(cv2.imread(str(sheet)))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["build", "{}/x"], 2, "--count"),
        (["build", "{}/x", "--count", "0"], 2, "whole number from 1"),
        (["build", "{}/x", "--count", "1", "--kinds", "dots"], 2, "dots"),
        (["build", "{}/x", "--count", "1", "--size", "4"], 1, "size: 4"),
        (["build", "{}/x", "--count", "1", "--sise", "64"], 2, "--sise"),
        (["show", "dots", "--out", "{}/s.png"], 1, "neither a folder nor a kind"),
        (["show", "thin", "--out", "{}/s.jpg"], 1, "s.png"),
        (["show", "thin", "--out", "{}/s.png", "--seed", "1.5"], 2, "number from 0"),
        (["sort", "{}/nowhere"], 1, "no folder of masks"),
        (["sort", "{}"], 1, "holds no masks"),
        ([], 2, "ACTION"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_left(tmp_path, capsys, words, code, says):
    assert cli.main(["masks", *(word.format(tmp_path) for word in words)]) == code
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []
