"""Files of other people in the forms in which they go around, and files that must not be read."""

import ast
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from vidcolor.errors import WeightsError
from vidcolor.models import catalog, formats, weights
from vidcolor.models.catalog import WeightFile, WeightsSpec
from vidcolor.models.recipe import fill
from vidcolor.models.registry import create_model, list_models
from vidcolor.stages.detect_detectron2 import _read as read_detectron2
from vidcolor.train.loop.checkpoint import read_state

ROOT = Path(__file__).parents[2]
NARROW = {
    "siggraph17": {"width": 2, "mask_cent": 0.0},
    "eccv16": {"width": 2},
    "iizuka16": {"width": 2, "labels": 3},
    "ddcolor": {"width": 4, "variant": "tiny"},
    "deoldify": {"width": 2, "variant": "artistic"},
    "hypercolumn": {"width": 2},
    "residual_encoder": {"width": 2},
}
OPTIONAL = ("encoder.arch.norm.", "mean", "std")  # that files of DDColor may lack


@pytest.fixture(autouse=True)
def known(tmp_path, monkeypatch):
    """Narrow networks under the names of those that are published."""
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    specs = [
        WeightsSpec(
            name, "colorizer", name, "MIT", "https://example.org",
            () if name == "hypercolumn" else (WeightFile(f"{name}.published.pth"),), settings,
            foreign=name == "iizuka16",
        )
        for name, settings in NARROW.items()
    ]  # fmt: skip
    backbone = WeightsSpec(
        "trunk", "backbone", "convnext_tiny", "MIT", "https://example.org",
        (WeightFile("trunk.pth"),), signs={"downsample_layers.0.0.weight": (96, 3, 4, 4)},
    )  # fmt: skip
    monkeypatch.setattr(catalog, "_KNOWN", (*specs, backbone))


def _state(name):
    return dict(fill(create_model(name, **NARROW[name])).state_dict())


def _import(name, content, path):
    torch.save(content, path)
    weights.import_files(name, [path])
    loaded, model = weights.load_model(name)
    assert model == name
    return loaded.state_dict()


def _assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


# --- forms --------------------------------------------------------------------------------------

FORMS = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "params": lambda state: {"params": state},
    "model and opt": lambda state: {"model": state, "opt": {"state": {}, "lr": [1e-3]}},
    "parallel": lambda state: {"params": {f"module.{k}": v for k, v in state.items()}},
    "no counters": lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
    "half": lambda state: {k: v.half() if v.ndim > 1 else v for k, v in state.items()},
}


@pytest.mark.parametrize("name", ["eccv16", "ddcolor", "deoldify"])
@pytest.mark.parametrize("form", FORMS)
def test_files_come_in_many_forms(form, name, tmp_path):
    state = _state(name)
    found = _import(name, FORMS[form](state), tmp_path / "file.pth")
    if form == "half":
        state = {k: v.half().float() if v.ndim > 1 else v for k, v in state.items()}
    _assert_same(found, state)


def test_what_ddcolor_may_lack(tmp_path):
    state = _state("ddcolor")
    given = {key: value for key, value in state.items() if not key.startswith(OPTIONAL)}
    assert len(state) - len(given) == 4
    found = _import("ddcolor", {"params": given}, tmp_path / "file.pth")
    # the constants of ImageNet, and a norm that does nothing
    assert found["mean"].flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert found["std"].flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    assert found["encoder.arch.norm.weight"].unique().tolist() == [1.0]
    assert found["encoder.arch.norm.bias"].unique().tolist() == [0.0]
    _assert_same({key: found[key] for key in given}, given)
    del given["encoder.arch.norm0.weight"]
    with pytest.raises(WeightsError, match=r"missing 'encoder\.arch\.norm0\.weight'; it seems"):
        _import("ddcolor", given, tmp_path / "less.pth")


def test_old_files_of_deoldify_lack_a_vector_that_follows(tmp_path):
    state = _state("deoldify")
    stems = [key.removesuffix("_orig") for key in state if key.endswith("weight_orig")]
    given = {k: v for k, v in state.items() if k.removesuffix("_v") not in stems}
    assert len(state) - len(given) == len(stems) > 10
    found = _import("deoldify", {"model": given, "opt": {}}, tmp_path / "old.pth")
    for stem in stems:
        matrix = state[f"{stem}_orig"].flatten(1).double().numpy()
        v = matrix.T @ state[f"{stem}_u"].double().numpy()
        np.testing.assert_allclose(found[f"{stem}_v"].numpy(), v / np.linalg.norm(v), atol=1e-6)
    # where the shapes do not fit, the error names them, and not the sum that failed
    given[f"{stems[0]}_u"] = torch.zeros(99)
    with pytest.raises(WeightsError, match=r"made for another network than deoldify.*99"):
        _import("deoldify", given, tmp_path / "odd.pth")


def test_files_without_a_name_of_their_own(tmp_path):
    """All of DDColor's are called alike: which one it is, nobody can say but its owner."""
    path = tmp_path / "pytorch_model.bin"
    torch.save(_state("ddcolor"), path)
    with pytest.raises(WeightsError, match=r"seems to be ddcolor\. .* import NAME pytorch_model"):
        weights.load_model(path)
    path = path.rename(tmp_path / "ddcolor.published.pth")
    _assert_same(weights.load_model(path)[0].state_dict(), _state("ddcolor"))


def test_own_training_becomes_what_a_colorizer_takes(tmp_path):
    """With settings and card of its own, which are not those of the table."""
    settings = {"width": 3, "kernel": 1}
    net = fill(create_model("hypercolumn", **settings))
    card = {"license": "CC0", "psnr": 24.5}
    path = tmp_path / "mine.safetensors"
    weights.save_weights(path, net, "hypercolumn", settings, card)
    with pytest.raises(WeightsError, match=r"no hypercolumn\.safetensors in .*cache"):
        weights.find("hypercolumn")
    (made,) = weights.import_files("hypercolumn", [path])
    loaded, _ = weights.load_model("hypercolumn")
    _assert_same(loaded.state_dict(), net.state_dict())
    assert weights.identify("hypercolumn") == (made, "hypercolumn", settings)
    found = weights.read_card("hypercolumn")
    assert {key: found[key] for key in card} == card
    assert list(found["files"]) == ["mine.safetensors"]
    with pytest.raises(WeightsError, match="is for hypercolumn, not for eccv16"):
        weights.import_files("eccv16", [path])


def test_trunks_are_copied_if_their_layers_are_those(tmp_path):
    path = tmp_path / "other.pth"
    trunk = {"downsample_layers.0.0.weight": torch.zeros(96, 3, 4, 4), "head.bias": torch.ones(3)}
    torch.save({"model": trunk}, path)
    (made,) = weights.import_files("trunk", [path])
    assert made.name == "trunk.pth"
    assert made.read_bytes() == path.read_bytes()
    _assert_same(weights.read_tensors(weights.find("trunk")), trunk)
    with pytest.raises(WeightsError, match="a backbone's, not a colorizer's"):
        weights.load_model("trunk")
    made.unlink()
    for wrong, words in (
        ({"downsample_layers.0.0.weight": torch.zeros(192, 3, 4, 4)}, "is 192x3x4x4, not 96x3x4x4"),
        ({"layer1.0.conv1.weight": torch.zeros(1)}, r"missing.*seems to be a ResNet"),
    ):
        torch.save(wrong, path)
        with pytest.raises(WeightsError, match=words):
            weights.import_files("trunk", [path])
    assert weights.installed() == {}


# --- guesses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list_models())
def test_every_colorizer_is_recognized(name):
    settings = NARROW.get(name, {"width": 2} if name == "instcolor" else {"width": 8})
    assert name in formats.guess_network(create_model(name, **settings).state_dict())


def test_backbones_are_recognized():
    models = pytest.importorskip("torchvision.models")
    small = {"ResNet": models.resnet18(), "VGG or AlexNet": models.squeezenet1_1()}
    for words, net in small.items():
        assert words in formats.guess_network(net.state_dict())
    assert "Inception" in formats.guess_network({"Mixed_5b.branch1x1.conv.weight": torch.zeros(1)})


def test_the_error_says_what_the_file_seems_to_be(tmp_path):
    for name, other in (("ddcolor", "deoldify"), ("deoldify", "eccv16"), ("eccv16", "ddcolor")):
        with pytest.raises(WeightsError, match=f"another network than {name}.*{other}"):
            _import(name, _state(other), tmp_path / "file.pth")
    assert weights.installed() == {}


# --- files that must not be read ----------------------------------------------------------------


class _Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.fixture
def marker(tmp_path):
    path = tmp_path / "boom"
    yield path
    assert not path.exists()


def test_the_bomb_works(tmp_path):
    pickle.loads(pickle.dumps(_Bomb(tmp_path / "boom"))).close()
    assert (tmp_path / "boom").exists()


ENVELOPES = {
    "bare": lambda bomb: {"model1.0.weight": torch.zeros(1), "x": bomb},
    "opt": lambda bomb: {"model": {"layers.0": torch.zeros(1)}, "opt": bomb},
    "key": lambda bomb: {bomb: torch.zeros(1)},
    "inside": lambda bomb: {"state_dict": {"x": bomb}},
    "alone": lambda bomb: bomb,
}


def _write(content, path, form):
    if form == "zip":
        torch.save(content, path)
    elif form == "legacy":
        torch.save(content, path, _use_new_zipfile_serialization=False)
    else:
        path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("form", ["zip", "legacy", "plain"])
@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("suffix", ["pth", "bin", "t7", "safetensors"])
def test_no_file_runs_a_program(suffix, envelope, form, marker, tmp_path):
    path = tmp_path / f"file.{suffix}"
    _write(ENVELOPES[envelope](_Bomb(marker)), path, form)
    refused = "damaged" if suffix == "safetensors" else "refused, since such a file could run any"
    for read in (
        formats.read_tensors,
        weights.load_model,
        lambda p: weights.import_files("deoldify", [p]),
        lambda p: weights.import_files("iizuka16", [p]),
        lambda p: weights.import_files("trunk", [p]),
    ):
        with pytest.raises(WeightsError, match=refused) as caught:
            read(path)
        assert len(str(caught.value).splitlines()) == 1
    if suffix == "pth":
        assert "weights_only=False" in str(caught.value)  # how to get on, at one's own risk


def test_no_member_of_a_zip_runs_a_program(marker, tmp_path, monkeypatch):
    spec = WeightsSpec(
        "su", "colorizer", "instcolor", "MIT", "https://example.org", (WeightFile("one.pth"),),
        {"width": 2}, foreign=True,
    )  # fmt: skip
    monkeypatch.setattr(catalog, "_KNOWN", (spec,))
    names = [
        f"a/coco_finetuned_mask_256_ffs/latest_net_{part}.pth" for part in ("G", "GF", "GComp")
    ]
    for bad in names:
        with zipfile.ZipFile(tmp_path / "checkpoints.zip", "w") as archive:
            for name in names:
                content = _Bomb(marker) if name == bad else {"x": torch.zeros(1)}
                torch.save(content, tmp_path / "member")
                archive.write(tmp_path / "member", name)
        with pytest.raises(WeightsError, match=rf"{bad.rpartition('/')[2]} is damaged, or holds"):
            weights.import_files("su", [tmp_path / "checkpoints.zip"])


def test_no_checkpoint_and_no_file_of_detectron2_runs_a_program(marker, tmp_path):
    path = tmp_path / "file.pt"
    torch.save({"model": _Bomb(marker)}, path)
    with pytest.raises(WeightsError):
        read_state(path)
    for name in ("file.pkl", "file.pth"):
        _write({"model": _Bomb(marker)}, tmp_path / name, "plain")
        with pytest.raises(WeightsError):
            read_detectron2(tmp_path / name)


UNSAFE = {
    "pickle.load", "pickle.loads", "torch.hub.load", "torch.jit.load", "torch.export.load",
    "torch.package.PackageImporter", "marshal.load", "marshal.loads", "shelve.open",
    "yaml.load", "joblib.load", "eval", "exec",
}  # fmt: skip
ARRAYS_ONLY = "vidcolor/stages/zoo_file.py"
OWN_WORK = ("vidcolor/export.py", "torch.export.load")  # what it has just written itself


def _calls(text):
    if not any(word in text for word in (".load", "eval(", "exec(", "Importer", "shelve")):
        return  # nothing to parse
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            keywords = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
            yield ast.unparse(node.func), keywords, node.lineno


def test_nothing_in_the_source_unpickles_unsafely():
    seen = 0
    for folder in ("vidcolor", "scripts", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            where = path.relative_to(ROOT).as_posix()
            text = path.read_text()
            for name, keywords, line in _calls(text):
                if name == "torch.load":
                    seen += 1
                    assert keywords.get("weights_only") is True, f"{where}:{line}"
                if name in ("np.load", "numpy.load"):
                    assert keywords.get("allow_pickle", False) is False, f"{where}:{line}"
                allowed = name not in UNSAFE or (where, name) == OWN_WORK
                assert allowed, f"{where}:{line}: {name}"
            if "pickle._Unpickler" in text:
                assert where == ARRAYS_ONLY
    assert seen >= 1
