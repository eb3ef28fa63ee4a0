"""`vidcolor weights` as people run it, and what `--colorizer X` says without weights."""

import contextlib
import functools
import hashlib
import http.server
import threading

import cv2
import numpy as np
import pytest
import torch

from vidcolor import cli
from vidcolor.models import catalog
from vidcolor.models.catalog import WeightFile, WeightsSpec
from vidcolor.models.registry import create_model, list_models, model_spec


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def run(capsys):
    def run(*words):
        code = cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def _serving(folder):
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def known(tmp_path, monkeypatch):
    """Two small networks, one of them not for commerce, and a folder with the files of both."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    specs = []
    for name, narrow in (("free", 2), ("bound", 3)):
        path = folder / f"{name}.pth"
        torch.save(create_model("eccv16", width=narrow).state_dict(), path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        file = WeightFile(path.name, f"http://127.0.0.1:9/{name}.pth", digest)
        specs.append(
            WeightsSpec(
                name, "colorizer", "eccv16", "CC-BY-NC-4.0" if name == "bound" else "MIT",
                "https://example.org", (file,), {"width": narrow}, paper="A. Uthor: Colors. 2031",
                notes="small", non_commercial=name == "bound",
            )
        )  # fmt: skip
    monkeypatch.setattr(catalog, "_KNOWN", tuple(specs))
    return folder


def test_list_says_what_each_is_for(run):
    code, out, _ = run("weights", "list")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert lines["name"].split()[:3] == ["name", "kind", "network"]
    for name, kind in (("starter", "colorizer"), ("vgg16", "backbone"), ("alexnet", "metric"),
                       ("maskrcnn_resnet50_fpn_v2", "detector")):  # fmt: skip
        assert lines[name].split()[1] == kind
    assert "non-commercial" in lines["iizuka16"]
    assert "874.1 MB" in lines["deoldify-video"]
    assert set(lines) >= {spec.name for spec in catalog.known_weights()}


def test_show_says_everything(run, cache):
    code, out, _ = run("weights", "show", "iizuka16", "hypercolumn")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 100 or str(cache) in out
    words = " ".join(out.split())
    for part in (
        "Let there be Color!", "CC-BY-NC-SA-4.0 (non-commercial)", "colornet.t7",
        "http://iizuka.cs.tsukuba.ac.jp/data/colornet.t7", f"{cache}/iizuka16.safetensors",
        "vidcolor weights fetch iizuka16 --accept-license", "installed no",
        "nobody publishes any that load here",
    ):  # fmt: skip
        assert part in words
    code, _, err = run("weights", "show", "hypercolum")
    assert code == 1
    assert "did you mean 'hypercolumn'?" in err


@pytest.mark.parametrize("form", ["http", "file", "path"])
def test_fetch_several_from_a_mirror(form, known, cache, run):
    with _serving(known) as server:
        base = {"http": server, "file": known.as_uri(), "path": str(known)}[form]
        code, _, err = run(
            "weights", "fetch", "free", "bound", "free", "--base-url", base, "--accept-license"
        )
    assert (code, err.count("installed ")) == (0, 2)
    for name in ("free.pth", "bound.pth"):
        assert (cache / name).read_bytes() == (known / name).read_bytes()


def test_one_that_fails_keeps_no_other_from_coming(known, cache, run):
    (known / "free.pth").write_bytes(b"something else")
    code, _, err = run("weights", "fetch", "free", "bound", "--accept-license", "--base-url", known)
    lines = err.splitlines()
    assert code == 1
    assert "free.pth is not the file it should be: sha256" in lines[0]
    assert f"installed {cache / 'bound.pth'}" in lines[1]
    assert lines[2] == "vidcolor: 1 of 2 not installed: free"


def test_names_and_licenses_are_looked_at_before_anything_comes(known, cache, run):
    code, _, err = run("weights", "fetch", "free", "bound", "--base-url", known)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "vidcolor weights fetch bound --accept-license" in err
    code, _, err = run("weights", "fetch", "free", "bond", "--base-url", known)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "did you mean 'bound'?" in err
    assert not cache.exists()


def test_offline_is_one_line_with_what_to_do(known, run):
    code, _, err = run("weights", "fetch", "free")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "offline?" in err
    assert "vidcolor weights import free free.pth" in err


def test_import_and_path(known, cache, run):
    code, _, err = run("weights", "import", "free", known / "free.pth")
    assert (code, err) == (0, f"vidcolor: installed {cache / 'free.safetensors'}\n")
    assert run("weights", "path") == (0, f"{cache}\n", "")
    code, out, _ = run("weights", "list")
    assert str(cache / "free.safetensors") in out


@pytest.mark.parametrize("name", [n for n in list_models() if n != "quarternet"])
def test_each_colorizer_says_which_file_it_lacks(name, run, tmp_path, cache):
    cv2.imwrite(str(tmp_path / "in.png"), np.full((32, 32), 128, np.uint8))
    code, out, err = run(
        "colorize", tmp_path / "in.png", tmp_path / "out.png", "--colorizer", name,
        "--detector", "none",
    )  # fmt: skip
    spec = catalog.weights_spec(model_spec(name).weights)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    lies = spec.converted if spec.foreign or not spec.files else spec.files[0].name
    assert f"no {lies}" in err
    assert str(cache) in err
    assert f"vidcolor weights {'fetch' if spec.files else 'import'} {spec.name}" in err
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("name", ["hypercolumn", "residual_encoder"])
def test_networks_run_by_recipe(name, run, tmp_path):
    gray = np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "in.png"), gray)
    code, _, err = run(
        "colorize", tmp_path / "in.png", tmp_path / "out.png", "--colorizer", name,
        "--weights", "recipe", "--detector", "none", "--colorize.short_side", "64",
    )  # fmt: skip
    assert code == 0, err
    color = cv2.imread(str(tmp_path / "out.png"))
    assert color.shape == (48, 64, 3)
    assert np.ptp(color.astype(int), axis=2).max() > 0  # no gray


def test_recipe_wants_a_network(run, tmp_path):
    cv2.imwrite(str(tmp_path / "in.png"), np.zeros((32, 32), np.uint8))
    code, _, err = run(
        "colorize", tmp_path / "in.png", tmp_path / "out.png", "--weights", "recipe",
        "--detector", "none",
    )  # fmt: skip
    assert code == 1
    assert "say which by --colorizer" in err
