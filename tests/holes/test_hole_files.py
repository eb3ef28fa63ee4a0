"""Sets of masks on disk: built whole or not at all, read from any folder, counted again."""

import csv
import logging

import cv2
import numpy as np
import pytest

from vidcolor.errors import ConfigError, MediaError
from vidcolor.holes.classes import CLASSES, class_name
from vidcolor.holes.files import (
    HoleFiles,
    SetConfig,
    build_set,
    draw_numbered,
    encode_hole,
    list_masks,
    read_hole,
)
from vidcolor.holes.sheet import draw_sheet, set_table

SMALL = SetConfig(count=13, size=64, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_set(tmp_path_factory.mktemp("sets") / "masks", SMALL)


def save(path, gray):
    path.write_bytes(cv2.imencode(path.suffix, gray)[1].tobytes())


def test_a_set_is_what_its_index_says(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        *(f"{n:06}.png" for n in range(13)), "holes.csv", "set.toml"
    ]  # fmt: skip
    rows = list(csv.DictReader((folder / "holes.csv").open()))
    assert [row["id"] for row in rows] == [f"3-{n}" for n in range(13)]
    for index, row in enumerate(rows):
        gray = cv2.imread(str(folder / row["file"]), cv2.IMREAD_UNCHANGED)
        assert gray.shape == (64, 64)
        assert gray.dtype == np.uint8
        assert set(np.unique(gray)) == {0, 255}
        assert row["border"] == ("without", "with")[index % 2]
        assert row["class"] == class_name(index // 2 % 6)
        low, high = CLASSES[index // 2 % 6]
        assert low < (gray == 255).mean() <= high
        assert float(row["share"]) == pytest.approx((gray == 255).mean(), abs=1e-6)
        edge = np.concatenate((gray[0], gray[-1], gray[:, 0], gray[:, -1]))
        assert edge.any() == (row["border"] == "with")
        again = draw_numbered(SMALL, index)
        assert np.array_equal(again.hole, gray == 255)
        assert again.kind == row["kind"]


def test_the_same_settings_make_the_same_bytes(folder, tmp_path):
    again = build_set(tmp_path / "again", SMALL)
    other = build_set(tmp_path / "other", SetConfig(count=13, size=64, seed=4))
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()
    assert (other / "000000.png").read_bytes() != (folder / "000000.png").read_bytes()


def test_nothing_is_overwritten_unasked(tmp_path):
    out = tmp_path / "masks"
    first = build_set(out, SetConfig(count=2, size=32))
    before = (out / "000001.png").read_bytes()
    with pytest.raises(ConfigError, match="exists; use --overwrite"):
        build_set(out, SetConfig(count=1, size=32, seed=1))
    assert (first / "000001.png").read_bytes() == before
    build_set(out, SetConfig(count=1, size=32, seed=1), overwrite=True)
    assert not (out / "000001.png").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="is no set of masks"):
        build_set(tmp_path / "mine", SetConfig(count=1, size=32), overwrite=True)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
    (tmp_path / "empty").mkdir()
    build_set(tmp_path / "empty", SetConfig(count=1, size=32))
    with pytest.raises(MediaError, match="there is no folder"):
        build_set(tmp_path / "no" / "where", SetConfig(count=1, size=32))
    with pytest.raises(ConfigError, match="is no folder"):
        build_set(out / "000000.png", SetConfig(count=1, size=32))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "masks", "mine"]


def test_an_interrupted_set_leaves_nothing_and_keeps_the_old_one(tmp_path):
    def interrupt(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_set(tmp_path / "masks", SetConfig(count=3, size=32), progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    build_set(tmp_path / "masks", SetConfig(count=2, size=32))
    with pytest.raises(KeyboardInterrupt):
        build_set(
            tmp_path / "masks", SetConfig(count=3, size=32), overwrite=True, progress=interrupt
        )
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]
    assert len(list_masks(tmp_path / "masks")) == 2


def test_a_set_that_cannot_be_drawn_leaves_nothing(tmp_path):
    with pytest.raises(ConfigError, match="allow other kinds"):
        build_set(
            tmp_path / "masks",
            SetConfig(count=1, size=512, kinds=("thin_film",), classes=(5,), border="without"),
        )
    assert list(tmp_path.iterdir()) == []


def test_white_is_damaged_from_128_on(tmp_path):
    save(tmp_path / "a.png", np.array([[0, 127], [128, 255]], np.uint8))
    assert read_hole(tmp_path / "a.png").tolist() == [[False, False], [True, True]]
    assert read_hole(tmp_path / "a.png", invert=True).tolist() == [[True, True], [False, False]]


def test_colored_and_deep_masks_are_read(tmp_path):
    save(tmp_path / "rgb.png", np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8))
    save(tmp_path / "deep.png", np.array([[0, 65535, 30000, 36000]], np.uint16))
    assert read_hole(tmp_path / "rgb.png").tolist() == [[False, True]]
    assert read_hole(tmp_path / "deep.png").tolist() == [[False, True, False, True]]


def test_sizes_change_by_nearest_neighbors_only(tmp_path):
    hole = np.zeros((9, 7), np.bool_)
    hole[4, 3] = True
    (tmp_path / "a.png").write_bytes(encode_hole(hole))
    thrice = read_hole(tmp_path / "a.png", (27, 21))
    assert np.array_equal(thrice, np.kron(hole, np.ones((3, 3), np.bool_)))
    third = read_hole(tmp_path / "a.png", (3, 7))
    assert third.tolist() == hole[1::3].tolist()


def test_a_foreign_folder_is_counted_and_read_in_natural_order(tmp_path):
    for number, rows in (("10", 3), ("2", 12), ("1", 0)):
        gray = np.zeros((20, 20), np.uint8)
        gray[1 : 1 + rows] = 255
        save(tmp_path / f"mask_{number}.png", gray)
    (tmp_path / "notes.txt").write_text("not a mask")
    found = list(HoleFiles(tmp_path).measured())
    assert [one.path.name for one in found] == ["mask_1.png", "mask_2.png", "mask_10.png"]
    assert [one.share for one in found] == [0, 0.6, 0.15]
    assert [one.number for one in found] == [None, 5, 1]
    assert [one.border for one in found] == [False, True, True]
    assert [one.kind for one in found] == ["", "", ""]


def test_the_index_is_believed_for_kinds_only(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    save(tmp_path / "000000.png", np.full((64, 64), 255, np.uint8))
    first, second, *_ = HoleFiles(tmp_path).measured()
    assert (first.share, first.border, first.number) == (1.0, True, None)
    assert second.kind == draw_numbered(SMALL, 1).kind


def test_masks_that_are_nearly_all_white_are_spoken_of(tmp_path, caplog, folder):
    gray = np.full((20, 20), 255, np.uint8)
    gray[5:8, 5:8] = 0
    for number in range(3):
        save(tmp_path / f"{number}.png", gray)
    with caplog.at_level(logging.WARNING, "vidcolor"):
        HoleFiles(folder)
        HoleFiles(tmp_path, invert=True)
        assert not caplog.records
        HoleFiles(tmp_path)
    (record,) = caplog.records
    assert "98 % hole; if white means valid" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_what_is_no_mask_is_one_line(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    (tmp_path / "b.png").write_bytes(b"")
    for name in ("a.png", "b.png"):
        with pytest.raises(MediaError, match="is no picture"):
            read_hole(tmp_path / name)
    with pytest.raises(MediaError, match="cannot be read"):
        read_hole(tmp_path / "c.png")
    with pytest.raises(MediaError, match="is no folder of masks"):
        list_masks(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="holds no masks"):
        HoleFiles(tmp_path / "empty")


@pytest.mark.parametrize(
    ("key", "value"),
    [("count", 0), ("size", 4), ("size", 9000), ("kinds", ("dots",)), ("classes", (6,)),
     ("classes", ()), ("border", "some"), ("seed", -1)],
)  # fmt: skip
def test_settings_of_a_set_are_checked(key, value):
    with pytest.raises(ConfigError, match=key):
        SetConfig(**{"count": 1, key: value})


def test_the_table_counts(folder):
    lines = set_table(HoleFiles(folder).measured()).splitlines()
    cells = [line.split() for line in lines]
    assert cells[0] == ["share", "without", "with", "mean", "share"]
    assert cells[1][:3] == ["0.01-0.1", "2", "1"]
    assert [row[1:3] for row in cells[2:7]] == [["1", "1"]] * 5
    assert cells[7][:3] == ["all", "7", "6"]
    assert sum(int(part.split()[-1]) for part in lines[8][7:].split(", ")) == 13


def test_the_sheet_shows_holes_white_on_black():
    whole, none = np.ones((64, 32), np.bool_), np.zeros((30, 30), np.bool_)
    sheet = draw_sheet([("a", whole), ("b", none), ("c", whole)], columns=2)
    assert sheet.shape == (2 * 214 + 6, 2 * 198 + 6, 3)
    assert (sheet[22 + 6 : 200, 6 : 6 + 96] == 255).all()  # half as wide as tall
    assert (sheet[22 + 6 : 200, 6 + 96 : 6 + 192] == 128).all()
    assert (sheet[22:214, 204:396] == 0).all()
