import json
import resource
import shutil
import tomllib

import cv2
import numpy as np
import pytest
from made_films import (
    album,
    build,
    config,
    contents,
    gray,
    shot,
    write_film,
)
from media import cut_off, make_video

from vidcolor.errors import ConfigError, MediaError
from vidcolor.schema import leaves, load, parse
from vidcolor.train.dataset.build import build_dataset
from vidcolor.train.dataset.config import BuildConfig


def sources(tmp_path):
    film = write_film(tmp_path / "a.mkv", [*shot(1), *shot(2), *shot(3, 7)])
    return [film, album(tmp_path / "in", range(20, 25))]


def test_the_same_input_gives_the_same_bytes_wherever_it_lies(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    given = sources(tmp_path / "x")
    build(given, tmp_path / "one", pairs=True)
    shutil.copytree(tmp_path / "x", tmp_path / "y", dirs_exist_ok=True)
    build([tmp_path / "y" / path.name for path in given], tmp_path / "two", pairs=True)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert set(one) == {
        "train-000000.tar", "val-000000.tar", "manifest.jsonl", "dataset.toml", "sheet.png"
    }  # fmt: skip
    assert one == two


def test_a_finished_set_is_left_alone_or_refused(tmp_path):
    given = sources(tmp_path)
    first, _ = build(given, tmp_path / "set")
    before = contents(tmp_path / "set")
    again, _ = build(given, tmp_path / "set")
    assert first.new
    assert not again.new
    assert (again.sources, again.shards) == (
        tuple(type(s)(**{**asdict(s), "dropped": nonzero(s)}) for s in first.sources),
        first.shards,
    )
    elsewhere, _ = build(given, tmp_path / "set", device="cpu", keep_partial=True)
    assert not elsewhere.new  # neither says what the set is
    for options, what in (({"short_side": 48}, given), ({}, given[:1])):
        with pytest.raises(ConfigError, match="finished set of other sources or settings"):
            build(what, tmp_path / "set", **options)
    write_film(tmp_path / "a.mkv", shot(8))
    with pytest.raises(ConfigError, match="finished set of other sources or settings"):
        build(given, tmp_path / "set")
    assert contents(tmp_path / "set") == before


def asdict(record):
    return {name: getattr(record, name) for name in record.__slots__}


def nonzero(record):
    return {why: count for why, count in record.dropped.items() if count}


def test_files_of_others_are_not_touched(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/train-000000.tar").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        build(sources(tmp_path), tmp_path / "set")
    assert contents(tmp_path / "set") == {"train-000000.tar": b"mine"}


def test_settings_are_kept_with_the_set(tmp_path):
    build(sources(tmp_path), tmp_path / "set", quality=90)
    data = tomllib.loads((tmp_path / "set/dataset.toml").read_text())
    assert load(BuildConfig, data["settings"]) == config(quality=90)
    assert [row["name"] for row in data["sources"]] == ["a", "in"]
    assert data["sources"][0]["frames"] == 27


def test_sources_of_one_name_stay_apart(tmp_path):
    films = []
    for folder, seed in (("x", 1), ("y", 2)):
        (tmp_path / folder).mkdir()
        films.append(write_film(tmp_path / folder / "e p.mkv", shot(seed)))
    report, pictures = build([*films, films[0]], tmp_path / "set")
    assert [one.name for one in report.sources] == ["e p", "e p-2"]
    assert {p["source"] for p in pictures.values()} == {"e p", "e p-2"}
    assert {key.split("-s0")[0] for key in pictures} == {"e-p", "e-p-2"}


def test_folders_of_films_are_walked_but_not_the_set_itself(tmp_path):
    (tmp_path / "series/s1").mkdir(parents=True)
    for name, seed in (("s1/e2.mkv", 1), ("s1/e10.mkv", 2), ("e0.mkv", 3)):
        write_film(tmp_path / "series" / name, shot(seed))
    out = tmp_path / "series/set"
    report, _ = build([tmp_path / "series"], out)
    names = [one.name for one in report.sources]
    assert names == ["series/e0", "series/s1/e10", "series/s1/e2"]
    again, _ = build([tmp_path / "series"], out)
    assert not again.new


def test_a_broken_film_is_named_and_the_others_are_kept(tmp_path):
    good = write_film(tmp_path / "good.mkv", [*shot(1), *shot(2)])
    bad = cut_off(make_video(tmp_path / "bad.mkv", frames=40, size=(96, 128), color=True).path, 0.6)
    text = tmp_path / "none.mkv"
    text.write_text("no film")
    out = tmp_path / "set"
    with pytest.raises(MediaError, match=r"bad\.mkv: is damaged.*\(and 1 more\).*--keep-partial"):
        build([bad, good, text], out)
    assert not list(out.glob("*.tar"))
    assert len(list((out / ".work").glob("*.tar"))) == 1
    report, pictures = build([good], out)
    assert {p["source"] for p in pictures.values()} == {"good"}
    assert report.sources[0].frames == 20
    assert not (out / ".work").exists()

    report, pictures = build([bad, good, text], tmp_path / "part", keep_partial=True)
    bad_row, good_row, text_row = report.sources
    assert "is damaged or cut off" in bad_row.broken
    assert 0 < bad_row.frames < 40
    assert bad_row.train + bad_row.val
    assert good_row.broken == ""
    assert "none.mkv" in text_row.broken
    with pytest.raises(ConfigError, match="finished set of other"):
        build([bad, good], tmp_path / "part", keep_partial=True)


def test_a_finished_source_is_not_read_again(tmp_path):
    good = write_film(tmp_path / "good.mkv", [*shot(1), *shot(2)])
    bad = tmp_path / "bad.mkv"
    bad.write_text("no film")
    counts = []
    with pytest.raises(MediaError, match="bad"):
        build_dataset([good, bad], tmp_path / "set", config(), progress=counts.append)
    assert sum(counts) == 20
    build_dataset([good], tmp_path / "set", config(val=0.5), progress=counts.append)
    assert sum(counts) == 20
    with pytest.raises(MediaError, match="bad"):
        build_dataset([good, bad], tmp_path / "b", config(quality=80), progress=counts.append)
    build_dataset([good], tmp_path / "b", config(quality=81), progress=counts.append)
    assert sum(counts) == 60  # other settings: other pictures


def test_nothing_left_is_an_error_that_says_why(tmp_path):
    film = write_film(tmp_path / "a.mkv", gray(shot(1)))
    with pytest.raises(MediaError, match=r"nothing is left of 5 .*\(5 without color\)"):
        build([film], tmp_path / "set")


@pytest.mark.parametrize("most", [4_000, 60_000])
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, most):
    """4 kB do not hold a source's pictures, 60 kB not the set."""
    given = sources(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        with pytest.raises(MediaError, match=r"set.*cannot be written \(file too large\).*again"):
            build(given, tmp_path / "set")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    build(given, tmp_path / "set")
    build(given, tmp_path / "whole")
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


def test_what_is_missing_or_does_not_fit_is_said_before_anything_is_written(tmp_path):
    film = write_film(tmp_path / "a.mkv", shot(1))
    (tmp_path / "empty").mkdir()
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text("")
    for given, options, error, message in (
        ([tmp_path / "b.mkv"], {}, MediaError, r"b\.mkv: no such file"),
        ([tmp_path / "empty"], {}, MediaError, "holds no film, picture or shard"),
        ([], {}, MediaError, "no source is given"),
        ([film, album(tmp_path / "in")], {"detector": "boxes:none"}, MediaError, "none"),
        ([tmp_path / "in"], {"detector": f"boxes:{boxes}"}, ConfigError, "belongs to one film"),
        ([tmp_path / "in"], {"coco": ["none.json"]}, MediaError, r"none\.json: cannot be read"),
    ):
        with pytest.raises(error, match=message):
            build(given, tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


def test_every_setting_can_be_a_flag_and_has_help():
    for leaf in leaves(BuildConfig):
        assert leaf.help, leaf.name
        if isinstance(leaf.default, int | float | str):
            text = str(leaf.default)
            assert parse(text, leaf) == leaf.default or text == ""


@pytest.mark.parametrize(
    "bad", [{"every_s": 0}, {"val": 1.0}, {"short_side": 8}, {"least_side": 400}, {"same_bits": 14}]
)
def test_settings_are_checked(bad):
    with pytest.raises(ConfigError):
        BuildConfig(**bad)


def test_the_sheet_shows_both_sides_with_boxes(tmp_path):
    film = write_film(tmp_path / "a.mkv", [*shot(1), *shot(2)])
    boxes = tmp_path / "boxes.jsonl"
    rows = [{"frame": n, "boxes": [[30, 20, 70, 60]]} for n in range(20)]
    boxes.write_text("".join(json.dumps(row) + "\n" for row in rows))
    build([film], tmp_path / "plain", per_shot=1)
    build([film], tmp_path / "boxed", per_shot=1, detector=f"boxes:{boxes}")
    plain, boxed = (cv2.imread(str(tmp_path / name / "sheet.png")) for name in ("plain", "boxed"))
    assert plain.shape == boxed.shape == (2 * (28 + 126 + 6), 8 * 198 + 6, 3)
    where = np.argwhere((plain != boxed).any(2))
    cells = [where[(where[:, 0] >= top) & (where[:, 0] < top + 160)] for top in (0, 160)]
    for top, cell in zip((0, 160), cells, strict=True):
        # a picture of 64x85 in a place of 120x192: 1.875 times as large, 16 px from the left
        (y0, x0), (y1, x1) = cell.min(0), cell.max(0)
        scale = 1.875 * 64 / 72
        expected = np.array([28 + top + 20 * scale, 22 + 30 * scale])
        assert np.abs((y0, x0) - expected).max() <= 3
        assert np.abs((y1 - y0, x1 - x0) - np.array([40 * scale] * 2)).max() <= 4
