import io
import json
import tarfile

import cv2
import numpy as np
import pytest
import skimage.color
import skimage.metrics
import torch

from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights


@pytest.fixture(scope="module")
def measure(tool):
    return tool("scripts/measure_pictures.py")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A network that gives everything one color: a* 9, b* 12, with instances or without."""
    model = create_model("quarternet", width=8)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("head.bias"):
                value.copy_(torch.tensor([0.9, 1.2]))
    path = tmp_path_factory.mktemp("weights") / "one.safetensors"
    save_weights(path, model, "quarternet", {"width": 8}, {})
    return str(path)


def _smooth(seed, size=(64, 96), low=70, high=180):
    small = np.random.default_rng(seed).uniform(low, high, (5, 6, 3)).astype(np.float32)
    soft = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.rint(soft).clip(0, 255).astype(np.uint8)


def _colored(rgb, a, b):
    lab = skimage.color.rgb2lab(rgb)
    lab[..., 1], lab[..., 2] = a, b
    return np.rint(skimage.color.lab2rgb(lab) * 255).astype(np.uint8)


def _psnr(pred, true):
    return skimage.metrics.peak_signal_noise_ratio(true, pred)


@pytest.fixture
def coco(tmp_path):
    """Three pictures with color and one without; crowds and crumbs among the boxes."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    truths = {f"{i}.png": _smooth(i) for i in range(3)}
    truths["gray.png"] = np.repeat(_smooth(9)[..., :1], 3, axis=2)
    for name, rgb in truths.items():
        cv2.imwrite(str(folder / name), rgb[..., ::-1])
    images = [{"id": i, "file_name": f"pictures/{n}"} for i, n in enumerate(truths)]
    images[2]["mean_chroma"] = 1.0  # known to be gray, whatever the file looks like
    rows = [
        {"image_id": 0, "bbox": [4, 4, 20, 20]},
        {"image_id": 0, "bbox": [30, 8, 40, 50], "area": 1200.0},
        {"image_id": 0, "bbox": [0, 0, 90, 60], "iscrowd": 1},
        {"image_id": 0, "bbox": [0, 0, 60, 7]},
        {"image_id": 0, "bbox": [0, 0, 60, 60], "area": 200.0},
        {"image_id": 2, "bbox": [0, 0, 60, 60]},
        {"image_id": 3, "bbox": [0, 0, 60, 60]},
    ]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": rows}))
    return path, truths


def test_coco_pictures_have_color_and_objects(measure, coco):
    path, truths = coco
    pictures = measure.CocoPictures(path, path.parent)
    # 1 has no box, 2 is said to be gray, the last one is
    assert len(pictures) == 1
    assert np.array_equal(pictures.rgb(0), truths["0.png"])
    assert pictures.boxes(0).tolist() == [[30, 8, 70, 58], [4, 4, 24, 24]]


def _run(measure, capsys, *arguments):
    assert measure.main([*arguments, "--json", "--precision", "float32", "--device", "cpu"]) == 0
    return json.loads(capsys.readouterr().out)


def test_networks_beside_uncolored_and_mean_color(measure, coco, weights, capsys):
    path, truths = coco
    found = _run(
        measure, capsys, "--coco", str(path), "--weights", weights, "--short-side", "64",
        "--mean-color", "5", "-3",
    )  # fmt: skip
    assert found["through"] == "network"
    truth = truths["0.png"]
    parts = {
        "picture": [(slice(None), slice(None))],
        "instance": [(slice(8, 58), slice(30, 70)), (slice(4, 24), slice(4, 24))],
    }
    assert [result["level"] for result in found["results"]] == list(parts)
    for result in found["results"]:
        assert result["short_side"] == 64
        assert result["count"] == len(parts[result["level"]])
        colors = {
            "uncolored": (0, 0), "mean color": (5, -3), weights: (9, 12),
            f"{weights}, instances": (9, 12),
        }  # fmt: skip
        assert set(result["rows"]) == set(colors)
        for name, color in colors.items():
            pictured = _colored(truth, *color)
            expected = np.mean([_psnr(pictured[p], truth[p]) for p in parts[result["level"]]])
            assert result["rows"][name]["psnr"] == pytest.approx(expected, abs=0.02)


def _shard(path, pictures):
    with tarfile.open(path, "w") as archive:
        for number, rgb in enumerate(pictures):
            data = cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()
            entry = tarfile.TarInfo(f"{number}.png")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return str(path)


def test_weights_are_compared_in_one_table(measure, weights, tmp_path, capsys):
    shard = _shard(tmp_path / "val.tar", [_smooth(1), _smooth(2)])
    train = _shard(tmp_path / "train.tar", [_colored(_smooth(5), 20, 10)])
    other = create_model("quarternet", width=8)  # untrained: gray
    save_weights(tmp_path / "gray.safetensors", other, "quarternet", {"width": 8}, {})
    assert measure.main(
        ["--photos", shard, "--weights", weights, str(tmp_path / "gray.safetensors"),
         "--short-side", "64", "32", "--mean-of", train]
    ) == 0  # fmt: skip
    first, second, *rest = capsys.readouterr().out.strip().split("\n\n2 whole")
    assert rest == []
    assert "short side 64 px" in first
    assert "short side 32 px" in second
    rows = {
        cells[0]: cells[1:]
        for line in first.splitlines()
        if line.startswith("| ")
        for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
    }
    assert list(rows)[1:] == [
        "uncolored", "mean color", weights, str(tmp_path / "gray.safetensors"),
    ]  # fmt: skip
    truths = [_smooth(1), _smooth(2)]
    expected = [np.mean([_psnr(_colored(t, *c), t) for t in truths]) for c in ((0, 0), (9, 12))]
    assert float(rows["uncolored"][0]) == pytest.approx(expected[0], abs=0.02)
    assert float(rows[weights][0]) == pytest.approx(expected[1], abs=0.02)
    assert float(rows[weights][1]) == pytest.approx(expected[1] - expected[0], abs=0.03)
    assert rows["uncolored"][1] == ""
    assert rows[str(tmp_path / "gray.safetensors")] == [
        rows["uncolored"][0], "+0.00", *rows["uncolored"][2:],
    ]  # fmt: skip
    chroma = float(rows["mean color"][5].split()[0])
    assert chroma == pytest.approx(np.hypot(20, 10), abs=0.5)


def test_the_line_keeps_luma_and_takes_shares(measure, coco, weights, capsys):
    path, truths = coco
    found = _run(
        measure, capsys, "--line", "--coco", str(path), "--weights", weights,
        "--short-side", "64", "--share", "0", "0.5", "1",
    )  # fmt: skip
    assert found["through"] == "line"
    picture, instance = found["results"]
    names = [weights, f"{weights}, instances at 0.5", f"{weights}, instances"]
    assert list(picture["rows"]) == list(instance["rows"]) == ["uncolored", *names]
    truth = truths["0.png"]
    luma = np.rint(truth @ np.array([0.2126, 0.7152, 0.0722])).astype(np.uint8)
    gray = np.repeat(luma[..., None], 3, axis=2)
    assert picture["rows"]["uncolored"]["psnr"] == pytest.approx(_psnr(gray, truth), abs=0.01)
    for name in names:
        assert picture["rows"][name]["chroma"] == pytest.approx(15, abs=0.5)


def test_what_is_missing_is_said_in_one_line(measure, coco, tmp_path, capsys):
    path, _ = coco
    assert measure.main(["--coco", str(path), "--folder", str(tmp_path / "no")]) == 2
    assert "no/pictures/0.png: not a readable picture; see --folder" in capsys.readouterr().err
    broken = tmp_path / "broken.json"
    broken.write_text('{"images": []}')
    assert measure.main(["--coco", str(broken)]) == 2
    assert "no COCO annotations" in capsys.readouterr().err
    empty = tmp_path / "empty.json"
    empty.write_text('{"images": [], "annotations": []}')
    assert measure.main(["--coco", str(empty)]) == 2
    assert "no pictures with color" in capsys.readouterr().err
    assert measure.main(["--coco", str(path), "--weights", str(tmp_path / "none.safetensors")]) == 2
    assert "none.safetensors" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        measure.main(["--coco", str(path), "--line", "--share", "2"])
