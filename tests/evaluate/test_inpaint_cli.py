"""`vidcolor evaluate inpaint` as people run it."""

import json
import os

import cv2
import numpy as np
import pytest
from made_sets import smooth, write_png
from made_shards import write_shard

from vidcolor import cli
from vidcolor.evaluate.inpaint.exemplar import Exemplar

FILES = {"results.json", "results.csv", "results.md", "results.tex", "sheet.png", "scores.jsonl"}
FEW = ("--per-class", "1", "--methods", "telea,mean", "--classes", "0.1-0.2", "film")


@pytest.fixture(autouse=True)
def quiet_home(monkeypatch, tmp_path):
    """No settings of whoever runs the tests."""
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in list(os.environ):
        if name.startswith("VIDCOLOR_") and name != "VIDCOLOR_CACHE":
            monkeypatch.delenv(name)


@pytest.fixture
def shard(tmp_path):
    return write_shard(tmp_path / "set.tar", {f"{n}.png": smooth(n, (64, 80)) for n in range(3)})


@pytest.fixture
def run(capsys):
    """Runs the program in this process; gives exit code, stdout, stderr."""

    def run(*words):
        words = ("evaluate", "inpaint", *(str(word) for word in words), "--device", "cpu")
        code = cli.main([*words, "--quiet"])
        return code, *capsys.readouterr()

    return run


def test_tables_on_stdout_and_all_files_in_a_folder(run, shard, tmp_path):
    out = tmp_path / "out"
    code, text, _ = run(shard, *FEW, "--out", out)
    assert code == 0
    lines = text.splitlines()
    start = lines.index("PSNR in holes, dB (higher is better)")
    assert lines[start + 1].split() == ["holes", "n", "telea", "mean"]
    assert [line.split()[0] for line in lines[start + 2 : start + 5]] == ["0.1-0.2"] * 2 + ["film"]
    assert {path.name for path in out.iterdir()} == FILES
    rows = json.loads((out / "results.json").read_text())["rows"]
    by_name = {row["class"]: row["methods"] for row in rows}
    shown = lines[start + 4].split()
    assert float(shown[2]) == pytest.approx(by_name["film"]["telea"]["hole_psnr"]["mean"], abs=0.01)
    better = [row["telea"]["hole_psnr"]["mean"] - row["mean"]["hole_psnr"]["mean"]
              for row in by_name.values()]  # fmt: skip
    assert min(better) > 3  # smooth pictures
    sheet = cv2.imread(str(out / "sheet.png"))
    assert sheet.shape[1] == 8 + 5 * (256 + 8)  # damaged, holes, two methods, truth


def test_the_same_again_is_the_same(run, shard, tmp_path):
    settings = (*FEW, "--metrics", "psnr")
    text = [run(shard, *settings, "--seed", seed)[1].split("\ntime of")[0] for seed in (5, 5, 6)]
    assert text[0] == text[1] != text[2]
    out = tmp_path / "out"
    run(shard, *settings, "--seed", 5, "--out", out)
    kept = (out / "scores.jsonl").read_text()
    _, again, _ = run(shard, *settings, "--seed", 5, "--out", out)
    assert again.split("\ntime of")[0] == text[0]
    assert (out / "scores.jsonl").read_text() == kept  # nothing was measured twice
    run(shard, *settings, "--seed", 6, "--out", out, "--overwrite")
    assert len((out / "scores.jsonl").read_text().splitlines()) == len(kept.splitlines())


def test_keys_of_methods_are_flags(run, shard, monkeypatch):
    seen = []
    fill = Exemplar.__call__
    monkeypatch.setattr(
        Exemplar, "__call__",
        lambda self, *args: (seen.append(self._config.patch), fill(self, *args))[1],
    )  # fmt: skip
    code, *_ = run(shard, "--methods", "exemplar", "--classes", "film", "--per-class", 1,
                   "--exemplar.patch", 5)  # fmt: skip
    assert code == 0
    assert seen == [5]


def test_every_key_is_listed_and_explained(capsys):
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "inpaint", "--keys"])
    text = capsys.readouterr().out
    assert "--exemplar.patch 7\n    Side of a patch in pixels, odd." in text
    assert "--line.KEY" not in text


def one_line(found, *parts):
    code, text, error = found
    assert code in (1, 2)
    assert not text
    assert "Traceback" not in error
    line, *more = error.splitlines()
    assert not more or code == 2  # how the command is used
    for part in parts:
        assert part in line


def test_mistakes_are_told_in_one_line(run, shard, tmp_path):
    one_line(run(tmp_path / "none.tar"), "none.tar", "no such file or folder")
    one_line(run(shard, "--methods", "magic"), "methods are of telea", "'magic'")
    one_line(run(shard, "--classes", "film,0.9"), "classes are of 0.01-0.1", "'0.9'")
    one_line(run(shard, "--weights", "starter"), "a colorizer's, not an inpainter's")
    one_line(run(shard, "--weights", tmp_path / "no.safetensors"), "no.safetensors")
    one_line(run(shard, "--masks", tmp_path / "no"), "no: is no folder of masks")
    one_line(run(shard, "--radius", "wide"), "radius")
    one_line(run(shard, "--radios", "3"), "did you mean --radius?")
    one_line(run(shard, *FEW, "--metrics", "lpips"), "alexnet")
    (tmp_path / "letter.txt").write_text("dear")
    one_line(run(shard, *FEW, "--out", tmp_path), "holds files", "--overwrite")
    write_png(tmp_path / "small" / "1.png", smooth(1, (20, 40)))
    one_line(run(tmp_path / "small", *FEW), "1.png: is 40x20", "--side")
    protocol = tmp_path / "other.toml"
    protocol.write_text('of = "pictures"\n')
    one_line(run(shard, "--config", protocol), "is for: vidcolor evaluate pictures")
    broken = tmp_path / "broken.tar"
    write_shard(broken, {"1.png": b"\x89PNG none"})
    one_line(run(broken, *FEW), "1.png")


def test_masks_in_a_folder(run, shard, tmp_path):
    hole = np.zeros((64, 64, 3), np.uint8)
    hole[20:30, 20:50] = 255
    write_png(tmp_path / "masks" / "1.png", hole)
    code, text, _ = run(
        shard, "--masks", tmp_path / "masks", "--methods", "mean", "--classes", "0.01-0.1"
    )
    assert code == 0
    assert "0.01-0.1 inside  1" in text
    assert "Masks were too few for 20 pairs in every row; none for 0.01-0.1 border." in text
