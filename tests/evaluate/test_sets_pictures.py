"""Colorizers on pictures: what they are given, what is compared, what is said."""

import json

import numpy as np
import pytest
import skimage.metrics
from made_sets import (
    colored,
    job,
    luma_alone,
    one_color,
    psnr,
    rows,
    run,
    smooth,
    write_png,
)
from made_shards import write_shard
from PIL import Image

from vidcolor.api import colorize_image
from vidcolor.color.measure import colorfulness
from vidcolor.errors import ConfigError, MediaError, WeightsError
from vidcolor.evaluate.sets import scores
from vidcolor.models.recipe import fill
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return {
        "warm": one_color(folder / "warm.safetensors", 9, 12),
        "cool": one_color(folder / "cool.safetensors", -4, -10),
    }


@pytest.fixture
def pictures(tmp_path):
    """Two sizes, so that nothing depends on all being alike."""
    truths = {"a.png": smooth(1), "b/c.png": smooth(2, (80, 64))}
    for name, rgb in truths.items():
        write_png(tmp_path / "set" / name, rgb)
    return tmp_path / "set", truths


METRICS = ["psnr", "ssim", "colorfulness", "chroma"]


def test_several_colorizers_in_one_run_by_the_network(weights, pictures):
    folder, truths = pictures
    found = run(
        [folder], way="network", weights=[*weights.values()], metrics=METRICS,
        mean_color=[5.0, -3.0],
    )  # fmt: skip
    colors = {"uncolored": (0, 0), "mean color": (5, -3), "warm": (9, 12), "cool": (-4, -10)}
    table = rows(found)
    assert list(table) == [*colors, "truth"]
    for name, color in colors.items():
        pictured = [(colored(truth, *color), truth) for truth in truths.values()]
        assert table[name]["psnr"] == pytest.approx(
            np.mean([psnr(*pair) for pair in pictured]), abs=0.02
        )
        assert table[name]["chroma"] == pytest.approx(np.hypot(*color), abs=0.3)
        ssim = [
            skimage.metrics.structural_similarity(
                true, pred, channel_axis=2, gaussian_weights=True, sigma=1.5,
                use_sample_covariance=False,
            )
            for pred, true in pictured
        ]  # fmt: skip
        assert table[name]["ssim"] == pytest.approx(np.mean(ssim), abs=0.002)
    assert table["truth"] == {
        "psnr": None,
        "ssim": None,
        "colorfulness": pytest.approx(np.mean([colorfulness(t) for t in truths.values()])),
        "chroma": pytest.approx(table["truth"]["chroma"]),
    }
    (level,) = found.levels
    assert level.count == 2
    assert [row.kind for row in level.rows] == [
        "baseline", "baseline", "colorizer", "colorizer", "truth",
    ]  # fmt: skip


def test_the_line_colors_as_films_and_pictures_are_colored(weights, pictures):
    folder, truths = pictures
    kept = {}
    found = job([folder], weights=[weights["warm"]], metrics=["psnr"]).run(
        lambda count: None, lambda label, name, rgb: kept.__setitem__((label, name), rgb)
    )
    table = rows(found)
    grays = [psnr(luma_alone(truth), truth) for truth in truths.values()]
    assert table["uncolored"]["psnr"] == pytest.approx(np.mean(grays))
    expected = []
    for name, truth in truths.items():
        same = colorize_image(
            truth, weights=weights["warm"], detector="none", precision="float32", device="cpu"
        )
        assert np.array_equal(kept["warm", name], same)
        expected.append(psnr(same, truth))
    assert table["warm"]["psnr"] == pytest.approx(np.mean(expected))


def test_pictures_are_squashed_and_shrunk_as_the_protocol_says(weights, pictures):
    folder, truths = pictures
    settings = {"way": "network", "weights": [weights["warm"]], "metrics": ["psnr"]}
    found = run([folder], size=32, fit="square", resize="bicubic", **settings)
    small = [
        np.asarray(Image.fromarray(t).resize((32, 32), Image.Resampling.BICUBIC))
        for t in truths.values()
    ]
    expected = np.mean([psnr(colored(t, 9, 12), t) for t in small])
    assert rows(found)["warm"]["psnr"] == pytest.approx(expected, abs=0.02)
    assert "at 32x32 px (bicubic)" in found.how

    # 64x96 and 80x64 at a short side of 48: 48x72 and 60x48; of a grid 64x64 both
    sizes = {"short": [(48, 72), (60, 48)], "grid": [(64, 64), (64, 64)]}
    for fit, expected in sizes.items():
        kept = []
        job([folder], size=48, fit=fit, **settings).run(
            lambda count: None, lambda label, name, rgb, kept=kept: kept.append(rgb.shape[:2])
        )
        assert kept == expected


def test_a_border_is_left_out_of_everything(weights, pictures):
    folder, truths = pictures
    found = run([folder], way="network", weights=[weights["warm"]], metrics=["psnr"], border=7)
    expected = [psnr(colored(t, 9, 12)[7:-7, 7:-7], t[7:-7, 7:-7]) for t in truths.values()]
    assert rows(found)["warm"]["psnr"] == pytest.approx(np.mean(expected), abs=0.02)
    with pytest.raises(MediaError, match=r"a.png: nothing is left of it without a border of 40"):
        run([folder], way="network", weights=[weights["warm"]], border=40)


@pytest.fixture
def coco(tmp_path):
    """Three pictures with color and a gray one; only the first and the gray one have boxes."""
    truths = {f"{i}.png": smooth(i) for i in range(3)}
    truths["gray.png"] = np.repeat(smooth(9)[..., :1], 3, axis=2)
    for name, rgb in truths.items():
        write_png(tmp_path / name, rgb)
    images = [{"id": i, "file_name": name} for i, name in enumerate(truths)]
    images[2]["mean_chroma"] = 1.0  # said to be gray, whatever the file looks like
    boxes = [
        {"image_id": 0, "bbox": [4, 4, 20, 20]},
        {"image_id": 0, "bbox": [30, 8, 40, 50]},
        {"image_id": 3, "bbox": [0, 0, 60, 60]},
    ]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": boxes}))
    return path, truths


PARTS = [(slice(8, 58), slice(30, 70)), (slice(4, 24), slice(4, 24))]


def test_instances_are_measured_each_by_itself(weights, coco):
    path, truths = coco
    found = run([path], way="network", weights=[*weights.values()], metrics=["psnr"],
                with_boxes_only=True, least_chroma=4.0)  # fmt: skip
    assert found.left_out == {"without boxes": 2, "gray": 1}
    assert [(one.level, one.count) for one in found.levels] == [("picture", 1), ("instance", 2)]
    colors = {
        "uncolored": (0, 0), "warm": (9, 12), "warm, instances": (9, 12), "cool": (-4, -10),
        "cool, instances": (-4, -10),
    }  # fmt: skip
    truth = truths["0.png"]
    table = rows(found, "instance")
    assert list(table) == list(colors)
    for name, color in colors.items():
        pictured = colored(truth, *color)
        expected = np.mean([psnr(pictured[part], truth[part]) for part in PARTS])
        assert table[name]["psnr"] == pytest.approx(expected, abs=0.02)
    # without filters all count, but for the picture that the set itself calls gray
    found = run([path], weights=[weights["warm"]], metrics=["psnr"], least_chroma=1.5)
    assert found.levels[0].count == 2
    assert found.left_out == {"gray": 2}


def test_boxes_shrink_with_the_picture(weights, coco):
    path, truths = coco
    found = run([path], way="network", weights=[weights["warm"]], metrics=["psnr"],
                with_boxes_only=True, least_chroma=4.0, size=32, fit="square",
                resize="bilinear")  # fmt: skip
    small = np.asarray(Image.fromarray(truths["0.png"]).resize((32, 32), Image.Resampling.BILINEAR))
    # 30..70 of 96 columns and 8..58 of 64 rows; the other box is too small to be measured
    part = slice(4, 29), slice(10, 23)
    (instance,) = [one for one in found.levels if one.level == "instance"]
    assert instance.count == 1
    expected = psnr(colored(small, 9, 12)[part], small[part])
    assert rows(found, "instance")["warm"]["psnr"] == pytest.approx(expected, abs=0.02)


def test_instances_count_as_much_as_they_are_told(tmp_path, coco):
    """A network whose instances differ from its pictures: shares lie between none and all."""
    path, _ = coco
    model = fill(create_model("quarternet", width=8))
    save_weights(tmp_path / "w.safetensors", model, "quarternet", {"width": 8}, {})
    for way in ("line", "network"):
        kept = {}

        def keep(label, name, rgb, kept=kept):
            kept.setdefault(label, []).append(rgb)

        job([path], way=way, weights=[str(tmp_path / "w.safetensors")], metrics=["psnr"],
            instances=[0.0, 0.3, 1.0], limit=1).run(lambda count: None, keep)  # fmt: skip
        assert list(kept) == ["w", "w, instances at 0.3", "w, instances"]
        none, some, full = (one[0].astype(int) for one in kept.values())
        assert np.abs(full - none).sum() > np.abs(some - none).sum() > 0


def test_boxes_that_nobody_wants_make_no_rows(weights, coco):
    path, _ = coco
    found = run([path], weights=[weights["warm"]], metrics=["psnr"], boxes="none")
    assert list(rows(found)) == ["uncolored", "warm"]
    assert [one.level for one in found.levels] == ["picture", "instance"]
    found = run([path], weights=[weights["warm"]], metrics=["psnr"], levels=["instance"])
    assert [one.level for one in found.levels] == ["instance"]


def test_boxes_may_come_from_the_detector_of_the_line(weights, pictures, tmp_path):
    folder, _ = pictures
    boxes = tmp_path / "boxes.jsonl"
    line = {"frame": 0, "pts": 0, "boxes": [[1, 1, 40, 40]], "scores": [0.9], "labels": ["cat"]}
    boxes.write_text(json.dumps(line) + "\n")
    found = run([folder], weights=[weights["warm"]], metrics=["psnr"], boxes="detected", limit=1,
                line={"detect": {"detector": f"boxes:{boxes}"}})  # fmt: skip
    assert list(rows(found)) == ["uncolored", "warm", "warm, instances"]
    # nothing was given, so nothing is measured by instances
    assert [one.level for one in found.levels] == ["picture"]


def test_fid_pools_all_pictures(weights, pictures, monkeypatch):
    folder, truths = pictures

    class Means:
        """Features that can be worked out by hand: the mean of each channel."""

        name = "means"

        def __init__(self, file, device):
            pass

        def __call__(self, pictures):
            return pictures.mean(axis=(1, 2))

    monkeypatch.setattr(scores, "Inception", Means)
    found = run([folder], way="network", weights=[weights["warm"]], metrics=["fid"])

    def statistics(pictures):
        means = np.array([one.mean(axis=(0, 1)) for one in pictures])
        return means.mean(axis=0), np.cov(means.T)

    mean, covariance = statistics(truths.values())
    away, other = statistics([colored(t, 9, 12) for t in truths.values()])
    # of two pictures covariances have rank one: C = d d^T, and tr (C1 C2)^(1/2) = |d1 . d2|
    d, e = (np.sqrt(np.linalg.eigvalsh(c)[-1]) * np.linalg.eigh(c)[1][:, -1]
            for c in (covariance, other))  # fmt: skip
    expected = np.sum((mean - away) ** 2) + np.trace(covariance) + np.trace(other) - 2 * abs(d @ e)
    assert rows(found)["warm"]["fid"] == pytest.approx(expected, rel=0.02)
    assert found.notes == (
        "FID: 2 pictures pooled, means; no more than it has features, so compare it with nothing "
        "but the same pictures",
    )
    assert "truth" not in rows(found)


def test_a_limit_counts_pictures_that_are_measured(weights, coco):
    path, _ = coco
    seen = []
    found = job([path], weights=[weights["warm"]], metrics=["psnr"], limit=2, least_chroma=4.0)
    assert found.total == 2
    report = found.run(seen.append)
    assert report.levels[0].count == 2
    assert report.single["names"] == ["0.png", "1.png"]
    assert sum(seen) == 2


def test_scores_are_kept_one_by_one(weights, pictures):
    folder, truths = pictures
    found = run([folder], way="network", weights=[weights["warm"]], metrics=["psnr"])
    data = json.loads(found.to_json())
    assert data["single"]["names"] == ["a.png", "b/c.png"]
    each = data["single"]["scores"]["picture"]["warm"]["psnr"]
    expected = [psnr(colored(truth, 9, 12), truth) for truth in truths.values()]
    assert each == pytest.approx(expected, abs=0.02)
    assert data["protocol"]["way"] == "network"
    assert data["protocol"]["line"]["precision"] == "float32"


def test_speed_without_any_metric(weights, pictures):
    folder, _ = pictures
    found = run([folder, folder], weights=[weights["warm"]], metrics=[], speed=True, way="network",
                size=64, fit="square")  # fmt: skip
    ((row,),) = [one.rows for one in found.levels]
    assert row.name == "warm"
    assert row.cost.sees == (64, 64)
    assert row.cost.gives == (16, 16)
    assert row.cost.seconds > 0
    model = create_model("quarternet", width=8)
    assert row.cost.parameters == sum(one.numel() for one in model.parameters())
    with pytest.raises(ConfigError, match="nothing to measure"):
        run([folder], weights=[weights["warm"]], metrics=[])


def test_the_gallery_shows_what_was_measured(weights, pictures):
    folder, _ = pictures
    found = job([folder], way="network", weights=[weights["warm"]], metrics=["psnr"], size=128,
                fit="square", resize="cv_bilinear", gallery=1)  # fmt: skip
    report = found.run(lambda count: None)
    assert found.columns == ("uncolored", "warm", "truth")
    (shown,) = found.gallery
    assert set(shown.cells) == set(found.columns)
    assert shown.cells["truth"].picture.shape == (256, 256, 3)
    each = report.single["scores"]["picture"]["warm"]["psnr"]
    names = report.single["names"]
    assert shown.cells["warm"].caption == f"{each[names.index(shown.name)]:.1f} dB"
    gray = shown.cells["uncolored"].picture.astype(int)
    assert np.abs(gray - gray.mean(axis=2, keepdims=True)).max() <= 2


def test_what_is_missing_is_said_before_the_work(weights, pictures, tmp_path, monkeypatch):
    folder, _ = pictures
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(WeightsError, match="vidcolor weights fetch siggraph17"):
        job([folder], weights=["siggraph17"])
    with pytest.raises(WeightsError, match=r"alexnet.*vidcolor weights fetch alexnet"):
        job([folder], weights=[weights["warm"]], metrics=["lpips"])
    with pytest.raises(WeightsError, match=r"nowhere.pth.*vidcolor weights fetch inception"):
        job([folder], weights=[weights["warm"]], metrics=["fid"],
            files={"inception": "nowhere.pth"})  # fmt: skip
    with pytest.raises(ConfigError, match=r"no metric 'ssmi'; did you mean 'ssim'"):
        job([folder], metrics=["ssmi"])
    with pytest.raises(ConfigError, match="least_instance_px must be at least 11, what ssim"):
        job([folder], metrics=["ssim"], least_instance_px=8)
    with pytest.raises(ConfigError, match="for quarternet, not for --colorizer siggraph17"):
        job([folder], colorizers=["siggraph17"], weights=[weights["warm"]])
    with pytest.raises(ConfigError, match="merged networks color by the line only"):
        job([folder], way="network", weights=[weights["warm"]],
            line={"merge": {"weights": weights["cool"]}})  # fmt: skip
    style = str(folder / "a.png")
    with pytest.raises(ConfigError, match="a style"):
        job([folder], way="network", weights=[weights["warm"]], line={"colorize": {"style": style}})
    with pytest.raises(ConfigError, match="rows need names of their own"):
        job([folder], weights=[f"truth={weights['warm']}"])


def test_nothing_to_measure_is_an_error(weights, tmp_path):
    gray = write_png(tmp_path / "gray.png", np.repeat(smooth(1)[..., :1], 3, axis=2))
    with pytest.raises(MediaError, match=r"no picture to measure; left out: 1 gray"):
        run([gray], weights=[weights["warm"]], least_chroma=4.0)


def test_boxes_of_shards_count(weights, tmp_path):
    notes = {"boxes": [[30, 8, 70, 58], [4, 4, 24, 24]], "scores": [0.9, 0.8]}
    path = write_shard(tmp_path / "set.tar", {"1.png": smooth(1), "1.json": notes})
    found = run([path], way="network", weights=[weights["warm"]], metrics=["psnr"],
                most_instances=1)  # fmt: skip
    truth = smooth(1)
    part = PARTS[0]
    expected = psnr(colored(truth, 9, 12)[part], truth[part])
    assert rows(found, "instance")["warm"]["psnr"] == pytest.approx(expected, abs=0.02)
