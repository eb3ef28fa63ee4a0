"""`vidcolor evaluate pictures` and `videos` as people run them; the protocols on stand-ins."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skimage.color
import skimage.metrics
import torch
from made_shards import texture, write_shard
from PIL import Image
from torchvision.models import alexnet

from vidcolor import cli
from vidcolor.color.measure.catalog import metric
from vidcolor.evaluate.sets import scores
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights, weights_spec
from vidcolor.schema import read_toml

PROTOCOLS = Path(__file__).resolve().parents[1] / "configs" / "evaluate"
COLOR = (9, 12)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A network that gives everything one color."""
    model = create_model("quarternet", width=8)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("head.bias"):
                value.copy_(torch.tensor(COLOR) / 10)
    path = tmp_path_factory.mktemp("weights") / "warm.safetensors"
    save_weights(path, model, "quarternet", {"width": 8}, {})
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The part of an AlexNet that LPIPS sees through; it has learned nothing."""
    torch.manual_seed(0)
    state = alexnet(weights=None, num_classes=1).features.state_dict()
    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.save({f"features.{key}": value for key, value in state.items()}, path)
    return path


@pytest.fixture(autouse=True)
def quiet_home(monkeypatch, tmp_path):
    """No downloads and no settings of whoever runs the tests."""
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in list(os.environ):
        if name.startswith("VIDCOLOR_") and name != "VIDCOLOR_CACHE":
            monkeypatch.delenv(name)


@pytest.fixture
def run(weights, capsys):
    """Runs the program in this process; gives exit code, stdout, stderr."""

    def run(kind, *words, color=True):
        words = ["evaluate", kind, *(str(word) for word in words)]
        if color:
            words += ["--weights", str(weights)]
        words += ["--device", "cpu"]
        code = cli.main(words)
        return code, *capsys.readouterr()

    return run


def write_png(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))


def painted(rgb):
    lab = skimage.color.rgb2lab(rgb)
    lab[..., 1:] = COLOR
    return np.rint(skimage.color.lab2rgb(lab).clip(0, 1) * 255).astype(np.uint8)


def psnr(pred, true):
    return skimage.metrics.peak_signal_noise_ratio(true, pred)


def squashed(rgb, size=256, how=Image.Resampling.BILINEAR):
    return np.array(Image.fromarray(rgb).resize((size, size), how))


@pytest.fixture
def pictures(tmp_path):
    truths = {f"n0{i}/{i}.JPEG": texture(i, (60, 80)) for i in range(3)}
    for name, rgb in truths.items():
        write_png((tmp_path / "set" / name).with_suffix(".png"), rgb)
    return tmp_path / "set", [*truths.values()]


def first_row(path, level=0):
    rows = json.loads(path.read_text())["levels"][level]["rows"]
    return {row["name"]: row["scores"] for row in rows}


def test_all_outputs_at_once(run, pictures, tmp_path):
    folder, _ = pictures
    out = tmp_path / "out"
    out.mkdir()
    files = {"json": "a.json", "table": "a.md", "latex": "a.tex", "sheet": "a.png"}
    words = [word for key, name in files.items() for word in (f"--{key}", out / name)]
    code, text, _ = run("pictures", folder, *words, "--save", out / "saved", "--metrics", "psnr",
                        "--way", "network")  # fmt: skip
    assert code == 0
    assert text.splitlines()[2] == "3 pictures"
    assert text.splitlines()[5].startswith("warm")
    assert sorted(path.name for path in out.iterdir()) == sorted([*files.values(), "saved"])
    assert (out / "a.md").read_text().splitlines()[2] == "3 pictures:"
    assert r"\begin{tabular}{lr}" in (out / "a.tex").read_text()
    assert cv2.imread(str(out / "a.png")).shape[1] == 8 + 3 * 264
    data = json.loads((out / "a.json").read_text())
    saved = cv2.imread(str(out / "saved" / "warm" / "n01" / "1.png"))[..., ::-1]
    true = texture(1, (60, 80))
    each = data["single"]["scores"]["picture"]["warm"]["psnr"]
    assert psnr(saved, true) == pytest.approx(each[1])
    assert len([*(out / "saved").rglob("*.png")]) == 3


def test_outputs_are_looked_at_before_the_work(run, pictures, tmp_path):
    folder, _ = pictures
    there = tmp_path / "there.json"
    there.write_text("mine")
    for words, message in (
        (["--json", there], "there.json: exists; use --overwrite to replace it"),
        (["--json", tmp_path / "a.txt"], "--json writes .json; name it a.json"),
        (["--table", tmp_path / "a.txt"], "--table writes .md; name it a.md"),
        (["--sheet", tmp_path / "a.jpg"], "--sheet writes .png; name it a.png"),
        (["--latex", tmp_path / "no" / "a.tex"], "there is no folder"),
        (["--save", there], "there.json: exists and is no folder"),
        (["--save", folder], "holds files; use --overwrite"),
        (["--save", tmp_path / "no" / "saved"], "there is no folder"),
    ):
        code, text, err = run("pictures", tmp_path / "nothing-here", *words)
        assert (code, text) == (1, "")
        assert message in err
        assert len(err.splitlines()) == 1
    assert there.read_text() == "mine"
    code, _, _ = run("pictures", folder, "--json", there, "--overwrite", "--metrics", "psnr")
    assert code == 0
    assert json.loads(there.read_text())["of"] == "pictures"


def test_pictures_that_are_saved_again_replace_only_themselves(run, pictures, tmp_path):
    folder, _ = pictures
    saved = tmp_path / "saved"
    write_png(saved / "warm" / "n01" / "1.png", texture(9))
    (saved / "mine.txt").write_text("mine")
    code, *_ = run("pictures", folder, "--save", saved, "--overwrite", "--metrics", "psnr")
    assert code == 0
    assert (saved / "mine.txt").read_text() == "mine"
    assert cv2.imread(str(saved / "warm" / "n01" / "1.png")).shape == (60, 80, 3)
    # two pictures of one name do not replace each other
    code, *_ = run("pictures", folder, folder, "--save", tmp_path / "twice", "--metrics", "psnr")
    assert code == 0
    names = sorted(path.name for path in (tmp_path / "twice" / "warm" / "n01").iterdir())
    assert names == ["1-2.png", "1.png"]


def test_interrupted_or_broken_off_nothing_is_there(run, pictures, tmp_path):
    folder, _ = pictures
    out = tmp_path / "out"
    out.mkdir()
    (folder / "n02" / "2.png").write_bytes(b"no picture")
    code, text, err = run("pictures", folder, "--json", out / "a.json", "--save", out / "saved",
                          "--metrics", "psnr")  # fmt: skip
    assert (code, text) == (1, "")
    assert "2.png: is no picture" in err
    assert [*out.iterdir()] == []


def test_ctrl_c_leaves_nothing(pictures, weights, tmp_path):
    """The signal comes when two pictures are colored and saved, and a third is to be."""
    folder, _ = pictures
    out = tmp_path / "out"
    out.mkdir()
    program = """
import os, signal, sys
from vidcolor import cli
from vidcolor.evaluate.sets import pictures
show, count = pictures.show, 0
def shown(*given):
    global count
    count += 1
    if count == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return show(*given)
pictures.show = shown
sys.exit(cli.main(sys.argv[1:]))
"""
    words = ["evaluate", "pictures", folder, "--weights", weights, "--save", out / "saved",
             "--json", out / "a.json", "--metrics", "psnr", "--device", "cpu"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 130
    assert "interrupted" in done.stderr
    assert [*out.iterdir()] == []


def test_flags_lie_over_the_protocol(run, pictures, tmp_path):
    folder, truths = pictures
    protocol = tmp_path / "mine.toml"
    protocol.write_text('of = "pictures"\ntitle = "mine"\nway = "network"\nmetrics = ["ssim"]\n')
    code, text, _ = run("pictures", folder, "--config", protocol, "--metrics", "psnr,delta_e",
                        "chroma", "--border=5", "--line.precision", "float32")  # fmt: skip
    assert code == 0
    assert text.splitlines()[0] == "mine"
    assert text.splitlines()[4].split() == ["PSNR", "gain", "dE00", "chroma"]
    expected = np.mean([psnr(painted(t)[5:-5, 5:-5], t[5:-5, 5:-5]) for t in truths])
    assert float(text.splitlines()[6].split()[1]) == pytest.approx(expected, abs=0.02)


def test_what_is_wrong_is_said_in_one_line(run, pictures, tmp_path):
    folder, _ = pictures
    protocol = tmp_path / "mine.toml"
    protocol.write_text("borders = 3\n")
    for kind, words, expected, message in (
        ("pictures", [folder, "--borders", "3"], 2, "--borders; did you mean --border?"),
        ("pictures", [folder, "--config", protocol], 1, "mine.toml.borders: unknown key; did you"),
        ("pictures", [folder, "--config", PROTOCOLS / "davis.toml"], 1,
         "davis.toml: is for: vidcolor evaluate videos DATA"),
        ("videos", [folder, "--config", PROTOCOLS / "photos.toml"], 1,
         "photos.toml: is for: vidcolor evaluate pictures DATA"),
        ("pictures", [folder, "--metrics", "lpips"], 1, "vidcolor weights fetch alexnet"),
        ("pictures", [folder, "--metrics", "fid"], 1, "vidcolor weights fetch inception"),
        ("videos", [tmp_path / "no.mkv"], 1, "no.mkv"),
        ("pictures", [folder, "--metrics", "none"], 1, "nothing to measure"),
    ):  # fmt: skip
        code, text, err = run(kind, *words)
        assert (code, text) == (expected, "")
        assert message in err
    code, _, err = run("pictures", "--limit", "3")
    assert code == 2
    assert "required: DATA" in err
    assert "usage: vidcolor evaluate pictures" in err
    code, _, err = run("pictures", "--border", "3", folder)
    assert code == 2
    assert "--border needs a value; DATA comes before keys" in err


def test_the_film_that_is_finished_is_still_measured(capsys, tmp_path):
    assert cli.main(["evaluate", str(tmp_path / "no.mkv")]) == 1
    assert "no.mkv" in capsys.readouterr().err
    assert cli.main(["evaluate"]) == 2
    assert "RESULT is missing" in capsys.readouterr().err


def test_lpips_of_a_film_looks_where_weights_are_fetched_to(capsys, tmp_path, network):
    films = []
    for name in ("result", "truth"):
        path = tmp_path / f"{name}.mkv"
        with av.open(str(path), "w") as out:
            stream = out.add_stream("ffv1", rate=25)
            stream.height, stream.width, stream.pix_fmt = 64, 96, "bgr0"
            for seed in range(2):
                frame = av.VideoFrame.from_ndarray(texture(seed, (64, 96)), "rgb24")
                out.mux(stream.encode(frame.reformat(format="bgr0")))
            out.mux(stream.encode(None))
        films.append(str(path))
    words = ["evaluate", films[0], "--truth", films[1], "--lpips", "true", "--bars", "keep"]
    assert cli.main(words) == 1
    assert "vidcolor weights fetch alexnet" in capsys.readouterr().err
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "alexnet-owt-7be5be79.pth").write_bytes(network.read_bytes())
    assert cli.main(words) == 0
    heads, film = capsys.readouterr().out.splitlines()[3:5]
    end = heads.index("LPIPS") + len("LPIPS")
    assert film[:end].split()[-1] == "0.0000"


@pytest.mark.parametrize("kind", ["pictures", "videos"])
def test_keys_are_listed(kind, capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(["evaluate", kind, "--keys"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    assert "--gallery 8\n    " in text
    assert "--line.KEY\n" in text
    assert "--line.device" not in text


def test_mean_color_of_a_training_set(run, pictures, tmp_path):
    folder, truths = pictures
    flat = np.full((32, 32, 3), (150, 100, 90), np.uint8)
    train = write_shard(tmp_path / "train.tar", {"1.png": flat})
    path = tmp_path / "a.json"
    code, *_ = run("pictures", folder, "--mean-of", train, "--way", "network", "--metrics", "psnr",
                   "--json", path)  # fmt: skip
    assert code == 0
    lab = skimage.color.rgb2lab(flat)[0, 0]

    def worn(rgb):
        own = skimage.color.rgb2lab(rgb)
        own[..., 1:] = lab[1:]
        return np.rint(skimage.color.lab2rgb(own).clip(0, 1) * 255).astype(np.uint8)

    expected = np.mean([psnr(worn(t), t) for t in truths])
    assert first_row(path)["mean color"]["psnr"] == pytest.approx(expected, abs=0.02)


# the protocols of papers, on stand-ins


@pytest.mark.parametrize("path", sorted(PROTOCOLS.glob("*.toml")), ids=lambda path: path.stem)
def test_protocols_name_weights_that_are_known(path):
    names = [name for name in read_toml(path).get("weights", ()) if name != "recipe"]
    assert {weights_spec(name).kind for name in names} <= {"colorizer"}


def test_coco_stuff(run, network, tmp_path):
    truth = texture(1, (120, 160))
    write_png(tmp_path / "val2017" / "000000000001.png", truth)
    rows = {
        "images": [{"id": 1, "file_name": "000000000001.png"}],
        "annotations": [{"image_id": 1, "bbox": [20, 30, 80, 60]}],
    }
    (tmp_path / "a").mkdir()
    boxes = tmp_path / "a" / "instances_val2017.json"
    boxes.write_text(json.dumps(rows))
    out = tmp_path / "out.json"
    code, text, _ = run("pictures", boxes, "--folder", tmp_path / "val2017", "--config",
                        PROTOCOLS / "coco-stuff-val.toml", "--json", out,
                        "--line.detect.detector", "none", "--files.alexnet", network)  # fmt: skip
    assert code == 0
    assert text.startswith("COCO-Stuff val, 256x256 (Su et al. 2020)\n")
    small = squashed(truth)
    colored = painted(small)
    lpips = metric("lpips", file=network)
    # 20..100 of 160 columns, 30..90 of 120 rows
    parts = [(slice(None), slice(None)), (slice(64, 192), slice(32, 160))]
    for level, part in enumerate(parts):
        found = first_row(out, level)["warm"]
        assert list(found) == ["lpips", "psnr", "ssim"]
        assert found["psnr"] == pytest.approx(psnr(colored[part], small[part]), abs=0.02)
        assert found["lpips"] == pytest.approx(lpips(colored[part], small[part]), rel=0.02)


def test_ctest10k(run, pictures, network, tmp_path):
    folder, truths = pictures
    tar = tmp_path / "ILSVRC2012_img_val.tar"
    with tarfile.open(tar, "w") as archive:
        archive.add(folder, "val")
    names = tmp_path / "ctest10k.txt"
    names.write_text("2\nn00/0.png\n")
    out = tmp_path / "out.json"
    code, *_ = run("pictures", names, "--folder", tar, "--config",
                   PROTOCOLS / "imagenet-ctest10k.toml", "--json", out,
                   "--line.detect.detector", "none", "--files.alexnet", network)  # fmt: skip
    assert code == 0
    assert json.loads(out.read_text())["single"]["names"] == ["val/n02/2.png", "val/n00/0.png"]
    expected = np.mean([psnr(painted(squashed(t)), squashed(t)) for t in (truths[2], truths[0])])
    assert first_row(out)["warm"]["psnr"] == pytest.approx(expected, abs=0.02)


def test_places205(run, pictures, network, tmp_path):
    folder, truths = pictures
    names = tmp_path / "val_places205.txt"
    names.write_text("n01/1.png 162\nn02/2.png 3\n")
    out = tmp_path / "out.json"
    code, *_ = run("pictures", names, "--folder", folder, "--config",
                   PROTOCOLS / "places205-val.toml", "--json", out,
                   "--line.detect.detector", "none", "--files.alexnet", network)  # fmt: skip
    assert code == 0
    expected = np.mean([psnr(painted(squashed(t)), squashed(t)) for t in truths[1:]])
    assert first_row(out)["warm"]["psnr"] == pytest.approx(expected, abs=0.02)


class Means:
    """Features that need no network: the mean of each channel."""

    name = "means"

    def __init__(self, file, device):
        pass

    def __call__(self, pictures):
        return pictures.mean(axis=(1, 2))


def test_imagenet5k(run, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "Inception", Means)
    folder, truths = pictures
    out = tmp_path / "out.json"
    code, *_ = run("pictures", folder, "--config", PROTOCOLS / "imagenet5k-ddcolor.toml",
                   "--json", out, "--line.detect.detector", "none", "--limit", "2")  # fmt: skip
    assert code == 0
    found = first_row(out)
    assert list(found["warm"]) == ["fid", "colorfulness", "colorfulness_difference", "psnr"]
    small = [cv2.resize(t, (256, 256), interpolation=cv2.INTER_LINEAR) for t in truths[:2]]
    expected = np.mean([psnr(painted(t), t) for t in small])
    assert found["warm"]["psnr"] == pytest.approx(expected, abs=0.02)
    assert found["warm"]["fid"] > 0


def test_davis_and_videvo(run, network, tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "Inception", Means)
    frames = {name: [texture(seed, (48, 64))] * 5 for seed, name in enumerate(("cat", "dog"))}
    for name, pictures in frames.items():
        for number, rgb in enumerate(pictures):
            write_png(tmp_path / "480p" / name / f"{number:05}.png", rgb)
    (tmp_path / "val.txt").write_text("dog\n")
    words = ["--line.detect.detector", "none", "--files.alexnet", network]
    for protocol, data, clips in (
        ("davis.toml", [tmp_path / "val.txt", "--folder", tmp_path / "480p"], ["dog"]),
        ("videvo.toml", [tmp_path / "480p"], ["cat", "dog"]),
    ):
        out = tmp_path / f"{protocol}.json"
        code, *_ = run("videos", *data, "--config", PROTOCOLS / protocol, "--json", out, *words)
        assert code == 0
        data = json.loads(out.read_text())
        assert [Path(one["name"]).name for one in data["single"]["clips"]] == clips
        found = first_row(out)
        assert list(found) == ["uncolored", "warm, alone", "warm, whole", "truth"]
        assert list(found["truth"]) == [
            "psnr", "ssim_uniform", "lpips", "fid", "colorfulness", "cdc", "warping_error",
        ]  # fmt: skip
        # nothing moves
        assert found["truth"]["cdc"] == found["warm, alone"]["cdc"] == 0
        grays = []
        for name in clips:
            true = frames[name][0]
            luma = np.rint(true @ np.array([0.2126, 0.7152, 0.0722]))
            grays.append(psnr(np.repeat(luma.astype(np.uint8)[..., None], 3, axis=2), true))
        assert found["uncolored"]["psnr"] == pytest.approx(np.mean(grays), abs=0.01)


def test_own_photos_and_networks(run, pictures, tmp_path):
    folder, truths = pictures
    out = tmp_path / "photos.json"
    code, *_ = run("pictures", folder, "--config", PROTOCOLS / "photos.toml", "--json", out)
    assert code == 0
    # 60x80 at a short side of 192, sides multiples of 32
    small = [cv2.resize(t, (256, 192), interpolation=cv2.INTER_LINEAR) for t in truths]
    expected = np.mean([psnr(painted(t), t) for t in small])
    assert first_row(out)["warm"]["psnr"] == pytest.approx(expected, abs=0.02)

    code, text, _ = run("pictures", folder, "--config", PROTOCOLS / "networks.toml",
                        "--colorizer", "quarternet", "--size", "64", color=False)  # fmt: skip
    assert code == 0
    heads, row = text.splitlines()[4:6]
    assert heads.split() == ["sees", "gives", "M", "par.", "MB", "s", "(noisy)"]
    assert row.split()[:4] == ["quarternet,", "recipe", "64x64", "16x16"]
