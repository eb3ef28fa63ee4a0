"""Colorings of clips: the truth that they are compared with, means, what is pooled."""

import json

import cv2
import numpy as np
import pytest
from made_color import BLUE, RED, texture, tint, write_film
from made_sets import FLOAT, one_color, write_png
from media import make_video

from vidcolor.color.measure import color_consistency
from vidcolor.errors import ConfigError, MediaError
from vidcolor.evaluate.sets import scores
from vidcolor.evaluate.sets.clips import find_clips
from vidcolor.evaluate.sets.config import VideosConfig
from vidcolor.evaluate.sets.markup import to_text
from vidcolor.evaluate.sets.videos import VideoJob
from vidcolor.io.input_config import InputConfig
from vidcolor.schema import load, merge

ALONE = {"detect": {"detector": "none"}}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return {
        "warm": one_color(folder / "warm.safetensors", 9, 12),
        "cool": one_color(folder / "cool.safetensors", -4, -10),
    }


@pytest.fixture
def clips(tmp_path):
    """A film of five red frames, and a folder of three blue ones."""
    red = [tint(texture(i), RED) for i in range(5)]
    blue = [tint(texture(2 * i, seed=3), BLUE) for i in range(3)]
    (tmp_path / "clips").mkdir()
    write_film(tmp_path / "clips" / "red.mkv", red)
    for number, rgb in enumerate(blue):
        write_png(tmp_path / "clips" / "blue" / f"{number}.png", rgb)
    return tmp_path / "clips", red, blue


def job(data, folder=None, **settings):
    settings = {"bars": "keep", "line": ALONE} | settings
    return VideoJob([str(d) for d in data], load(VideosConfig, merge(FLOAT, settings)), folder)


def table(report):
    (level,) = report.levels
    return {row.name: dict(row.scores) for row in level.rows}


def psnr(pred, true):
    return 10 * np.log10(255**2 / np.mean((pred.astype(float) - true) ** 2))


def luma(rgb):
    return np.rint(rgb @ np.array([0.2126, 0.7152, 0.0722]))[..., None]


def test_frames_are_averaged_and_then_clips(weights, clips):
    folder, red, blue = clips
    found = job([folder], weights=[weights["warm"], weights["cool"]],
                metrics=["psnr", "chroma", "cdc"], lines=["alone"])  # fmt: skip
    assert found.total == 8
    told = []
    report = found.run(told.append)
    assert sum(told) == 8
    result = table(report)
    assert list(result) == ["uncolored", "warm", "cool", "truth"]
    clip_means = [
        np.mean([psnr(np.repeat(luma(f), 3, axis=2), f) for f in frames]) for frames in (red, blue)
    ]
    # not the mean over all eight frames
    assert result["uncolored"]["psnr"] == pytest.approx(np.mean(clip_means), abs=0.02)
    assert result["warm"]["chroma"] == pytest.approx(15, abs=0.5)
    assert result["cool"]["chroma"] == pytest.approx(np.hypot(4, 10), abs=0.5)
    true = [color_consistency(frames) for frames in (red, blue)]
    assert result["truth"]["cdc"] == pytest.approx(np.mean(true), rel=1e-6)
    single = json.loads(report.to_json())["single"]["clips"]
    assert [(one["frames"], one["shots"]) for one in single] == [(5, 1), (3, 1)]
    assert single[0]["name"].endswith("red.mkv")
    assert single[1]["scores"]["truth"]["cdc"] == pytest.approx(true[1], abs=1e-8)


def test_nothing_is_compared_across_a_cut(weights, tmp_path):
    red = [tint(texture(0), RED)] * 6
    blue = [tint(texture(0, seed=9), BLUE)] * 6
    path = write_film(tmp_path / "cut.mkv", [*red, *blue])
    report = job([path], weights=[weights["warm"]], metrics=["cdc", "instability"]).run(
        lambda count: None
    )
    (clip,) = report.single["clips"]
    assert clip["shots"] == 2
    assert table(report)["truth"] == {"cdc": 0, "instability": 0}
    assert color_consistency([*red, *blue]) > 0.05


def test_lines_are_compared(weights, clips, tmp_path):
    folder, *_ = clips
    gray = tmp_path / "gray.toml"
    gray.write_text("[compose]\nsaturation = 0.0\n")
    report = job([folder / "red.mkv"], weights=[weights["warm"]], metrics=["chroma"],
                 lines=["whole", str(gray)]).run(lambda count: None)  # fmt: skip
    result = table(report)
    assert list(result) == ["uncolored", "warm, whole", "warm, gray", "truth"]
    assert result["warm, whole"]["chroma"] == pytest.approx(15, abs=0.5)
    assert result["warm, gray"]["chroma"] == result["uncolored"]["chroma"]
    assert result["warm, gray"]["chroma"] == pytest.approx(0, abs=0.01)


def test_frames_and_clips_may_be_limited(weights, clips):
    folder, red, _ = clips
    found = job([folder], weights=[weights["warm"]], metrics=["psnr"], frames=2, limit=1)
    assert found.total == 2
    report = found.run(lambda count: None)
    (clip,) = report.single["clips"]
    assert clip["frames"] == 2
    expected = np.mean([psnr(np.repeat(luma(f), 3, axis=2), f) for f in red[:2]])
    assert table(report)["uncolored"]["psnr"] == pytest.approx(expected, abs=0.02)


def test_pictures_may_be_measured_of_every_nth_frame(weights, tmp_path):
    frames = [tint(texture(i), BLUE if i % 2 else RED) for i in range(5)]
    path = write_film(tmp_path / "film.mkv", frames)
    report = job([path], weights=[weights["warm"]], metrics=["psnr"], every=2).run(
        lambda count: None
    )
    decibels = [psnr(np.repeat(luma(f), 3, axis=2), f) for f in frames]
    assert abs(decibels[0] - decibels[1]) > 1
    expected = np.mean(decibels[::2])
    assert table(report)["uncolored"]["psnr"] == pytest.approx(expected, abs=0.02)


def test_fid_pools_the_frames_of_all_clips(weights, clips, monkeypatch):
    folder, red, blue = clips

    class Means:
        name = "means"

        def __init__(self, file, device):
            pass

        def __call__(self, pictures):
            return pictures.mean(axis=(1, 2))

    monkeypatch.setattr(scores, "Inception", Means)
    report = job([folder], weights=[weights["warm"]], metrics=["fid"], baselines=["uncolored"]).run(
        lambda count: None
    )
    means = np.array([f.mean(axis=(0, 1)) for f in (*red, *blue)])
    gray = np.array([np.full(3, luma(f).mean()) for f in (*red, *blue)])
    mean, covariance = means.mean(axis=0), np.cov(means.T)
    away, other = gray.mean(axis=0), np.cov(gray.T)
    values = np.linalg.eigvals(covariance @ other).real.clip(0)
    expected = (
        np.sum((mean - away) ** 2)
        + np.trace(covariance + other)
        - 2 * np.sqrt(values).sum()
    )  # fmt: skip
    assert table(report)["uncolored"]["fid"] == pytest.approx(expected, rel=1e-2)
    assert report.notes == ("FID: 8 pictures pooled, means",)


def test_a_folder_of_frames_and_a_film_of_them_are_the_same(weights, tmp_path):
    frames = [tint(texture(i), RED) for i in range(12)]
    film = write_film(tmp_path / "film.mkv", frames)
    for number, rgb in enumerate(frames):
        write_png(tmp_path / "frames" / f"{number}.png", rgb)
    metrics = ["psnr", "ssim", "cdc", "instability", "warping_error"]
    one, two = (
        table(job([path], weights=[weights["warm"]], metrics=metrics).run(lambda count: None))
        for path in (film, tmp_path / "frames")
    )
    for name, values in one.items():
        known = {key: value for key, value in values.items() if value is not None}
        assert {key: two[name][key] for key in known} == pytest.approx(known, rel=0.02, abs=1e-3)


def test_clips_are_found_by_folders_and_lists(clips):
    folder, *_ = clips
    settings = (25, InputConfig())
    assert [one.name for one in find_clips([str(folder)], None, *settings)] == [
        str(folder / "red.mkv"), str(folder / "blue"),
    ]  # fmt: skip
    some = folder / "val.txt"
    some.write_text("blue\n")
    (one,) = find_clips([str(some)], None, *settings)
    assert (one.name, one.count) == (str(folder / "blue"), 3)
    some.write_text("green\n")
    with pytest.raises(MediaError, match=r"val.txt: there is no green in .*; see --folder"):
        find_clips([str(some)], None, *settings)
    (folder / "empty").mkdir()
    with pytest.raises(MediaError, match="holds no film and no pictures"):
        find_clips([str(folder / "empty")], None, *settings)
    with pytest.raises(MediaError, match="no part by time"):
        find_clips([str(folder)], None, 25, InputConfig(start=0.04))


def test_gray_films_and_mixed_frames_are_refused(weights, tmp_path):
    with pytest.raises(MediaError, match="is gray"):
        job([make_video(tmp_path / "gray.mkv").path], weights=[weights["warm"]])
    for number, size in enumerate(((48, 64), (64, 48))):
        write_png(tmp_path / "odd" / f"{number}.png", tint(texture(size=size), RED))
    with pytest.raises(MediaError, match=r"1.png: is 48x64, 0.png is 64x48; the frames of a clip"):
        job([tmp_path / "odd"], weights=[weights["warm"]]).run(lambda count: None)


def test_black_bars_are_left_out_of_frames_too(weights, tmp_path):
    for number in range(6):
        rgb = tint(texture(number, (96, 128)), RED)
        rgb[:12] = rgb[-12:] = 0
        write_png(tmp_path / "bars" / f"{number}.png", rgb)
    cut, kept = (
        table(job([tmp_path / "bars"], weights=[weights["warm"]], metrics=["chroma"],
                  bars=bars).run(lambda count: None))["truth"]["chroma"]
        for bars in ("cut", "keep")
    )  # fmt: skip
    assert kept == pytest.approx(cut * 72 / 96, rel=0.02)


def test_what_one_should_know_is_noted(weights, clips):
    folder, *_ = clips
    write_png(folder / "one" / "0.png", tint(texture(), RED))
    report = job([folder], weights=[weights["warm"]], metrics=["psnr", "cdc", "instability"],
                 flow="fast", motion_side=32, speed=True).run(lambda count: None)  # fmt: skip
    motion, *short = report.notes
    assert motion.startswith("motion by DIS fast at a shorter side of 32 px, followed in ")
    assert short == [
        "cdc: of 2 of 3 clips, the others are too short",
        "instability: of 2 of 3 clips, the others are too short",
    ]
    (row,) = [row for row in report.levels[0].rows if row.kind == "colorizer"]
    assert row.cost.sees is not None
    assert row.cost.seconds > 0
    assert "9 frames, colored by the line" in to_text(report)


def test_the_gallery_shows_frames_of_all_clips(weights, clips):
    folder, red, _ = clips
    found = job([folder], weights=[weights["warm"]], metrics=["psnr"], gallery=2)
    found.run(lambda count: None)
    assert found.columns == ("uncolored", "warm", "truth")
    names = [one.name for one in found.gallery]
    assert len(names) == 2
    shown = found.gallery[0].cells["truth"].picture
    number = int(names[0].partition("#")[2])
    assert names[0].startswith("red.mkv#")
    big = cv2.resize(red[number], (128, 96), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(shown, big)


def test_settings_that_make_no_sense():
    for settings, message in (
        ({"lines": ["hole"]}, "lines are whole, alone, or TOML files, not 'hole'"),
        ({"metrics": ["cdd"]}, "did you mean 'cdc'"),
        ({"rate": 0.0}, "rate must be above 0"),
        ({"every": 0}, "every must be 1 or more"),
        ({"baselines": ["gray"]}, "baselines are of uncolored"),
    ):
        with pytest.raises(ConfigError, match=message):
            load(VideosConfig, settings)
