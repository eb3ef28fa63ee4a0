"""Known weights: loading, importing, fetching, and every way in which that can fail."""

import hashlib
import json
import pickle
import subprocess
import sys
import zipfile

import pytest
import torch

from vidcolor.errors import WeightsError
from vidcolor.models import catalog as table
from vidcolor.models import formats, store, weights
from vidcolor.models.catalog import WeightFile, WeightsSpec
from vidcolor.models.instcolor import PUBLISHED
from vidcolor.models.registry import create_model

WIDTH = 2
SMALL = {
    "siggraph17": {"width": WIDTH, "mask_cent": 0.0},
    "instcolor": {**PUBLISHED, "width": WIDTH},
}


def _net(model, seed=0):
    torch.manual_seed(seed)
    return create_model(model, **SMALL[model]).eval()


def _spec(name, model, files, **more):
    kind = more.pop("kind", "colorizer")
    more.setdefault("foreign", model == "instcolor")
    return WeightsSpec(
        name, kind, model, "MIT", "https://example.org", files, SMALL.get(model, {}), **more
    )


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, no torch.hub folder, and small networks under the known names."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("VIDCOLOR_CACHE", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return folder


@pytest.fixture
def published(tmp_path):
    """A folder with a small siggraph17 as its authors would publish it."""
    folder = tmp_path / "published"
    folder.mkdir()
    torch.save(_net("siggraph17").state_dict(), folder / "zhang.pth")
    return folder


@pytest.fixture
def catalog(published, monkeypatch):
    def put(*specs):
        monkeypatch.setattr(table, "_KNOWN", specs)

    digest = hashlib.sha256((published / "zhang.pth").read_bytes()).hexdigest()
    file = WeightFile("zhang.pth", (published / "zhang.pth").as_uri(), digest)
    authors = WeightFile("single.pth", "https://nowhere.invalid/single.pth", "00000000")
    put(
        _spec("zhang", "siggraph17", (file,)),
        _spec("su", "instcolor", (authors,), by_hand="look here, then: import su X.zip"),
        _spec("eye", "somercnn", (WeightFile("eye.pth", None, digest),), kind="detector"),
    )
    return put


def _same(a, b):
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


# --- places ------------------------------------------------------------------------------------


def test_cache_folder(monkeypatch, tmp_path):
    assert weights.cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("VIDCOLOR_CACHE")
    monkeypatch.setattr(store.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert weights.cache_dir() == tmp_path / "xdg" / "vidcolor"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert weights.cache_dir() == tmp_path / "home" / ".cache" / "vidcolor"
    monkeypatch.setattr(store.sys, "platform", "darwin")
    assert weights.cache_dir() == tmp_path / "home" / "Library" / "Caches" / "vidcolor"
    monkeypatch.setattr(store.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert weights.cache_dir() == tmp_path / "local" / "vidcolor" / "Cache"


def test_the_catalog_needs_no_torch():
    code = "import sys, vidcolor.models.store as s; s.list_weights(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- finding ------------------------------------------------------------------------------------


def test_unknown_names_get_the_nearest(catalog):
    with pytest.raises(WeightsError, match="did you mean 'zhang'"):
        weights.find("zhangg")
    with pytest.raises(WeightsError, match=r"unknown weights 'quux'.*vidcolor weights list"):
        weights.load_model("quux")
    with pytest.raises(WeightsError, match=r"'siggraph17' is a network; weights for it: zhang$"):
        weights.find("siggraph17")


def test_missing_weights_name_file_folder_and_command(catalog, cache):
    with pytest.raises(WeightsError, match=r"no zhang\.pth in .*cache.*weights fetch zhang"):
        weights.find("zhang")
    with pytest.raises(WeightsError, match="weights fetch su"):
        weights.load_model("su")
    assert weights.installed() == {}
    assert not cache.exists()


def test_missing_starter_is_a_broken_package(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "_ASSETS", tmp_path)
    with pytest.raises(WeightsError, match=r"starter\.safetensors is missing.*install"):
        weights.find("starter")


def test_torch_hub_files_are_used_if_whole(catalog, published, tmp_path, caplog):
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    content = (published / "zhang.pth").read_bytes()
    (hub / "eye.pth").write_bytes(content)
    assert weights.find("eye") == hub / "eye.pth"
    (hub / "zhang.pth").write_bytes(content[:-100])
    with pytest.raises(WeightsError, match="not installed"):
        weights.find("zhang")
    assert "damaged" in caplog.text
    (hub / "zhang.pth").write_bytes(content)
    assert weights.load_model("zhang")[1] == "siggraph17"


# --- fetching -----------------------------------------------------------------------------------


def test_fetch_installs_and_loads(catalog, cache):
    seen = []
    assert weights.fetch("zhang", progress=lambda *p: seen.append(p)) == [cache / "zhang.pth"]
    assert seen
    assert weights.installed() == {"zhang": cache / "zhang.pth"}
    net, model = weights.load_model("zhang")
    assert model == "siggraph17"
    assert not net.training
    assert _same(net, _net("siggraph17"))
    row = next(row for row in weights.list_weights() if row.name == "zhang")
    assert (row.installed, row.size) == (
        str(cache / "zhang.pth"),
        (cache / "zhang.pth").stat().st_size,
    )
    seen.clear()
    assert weights.fetch("zhang") == [cache / "zhang.pth"]
    assert not seen


@pytest.mark.parametrize("form", ["path", "uri"])
def test_fetch_from_a_mirror(form, catalog, cache, published):
    (published / "zhang.pth").rename(published.parent / "moved.pth")
    mirror = published.parent / "mirror"
    mirror.mkdir()
    (published.parent / "moved.pth").rename(mirror / "zhang.pth")
    base = str(mirror) if form == "path" else mirror.as_uri() + "/"
    assert weights.fetch("zhang", base_url=base) == [cache / "zhang.pth"]


def test_fetch_refuses_wrong_bytes(catalog, cache, published):
    (published / "zhang.pth").write_bytes(b"something else")
    with pytest.raises(WeightsError, match=r"nothing installed; .*weights import zhang zhang\.pth"):
        weights.fetch("zhang")
    assert weights.installed() == {}
    assert list(cache.iterdir()) == []


def test_without_a_checksum_the_network_is_checked(catalog, cache, published):
    file = WeightFile("zhang.pth", (published / "zhang.pth").as_uri())
    catalog(_spec("zhang", "siggraph17", (file,)))
    state = _net("siggraph17").state_dict()
    torch.save({**state, "extra": torch.zeros(1)}, published / "zhang.pth")
    with pytest.raises(WeightsError, match="unexpected 'extra'"):
        weights.fetch("zhang")
    assert weights.installed() == {}
    torch.save(state, published / "zhang.pth")
    weights.fetch("zhang")
    assert _same(weights.load_model("zhang")[0], _net("siggraph17"))


def test_fetch_says_how_else(catalog, monkeypatch):
    monkeypatch.setattr(
        store, "download", lambda *_, **__: (_ for _ in ()).throw(WeightsError("offline"))
    )
    with pytest.raises(WeightsError, match=r"offline; look here, then: import su X\.zip"):
        weights.fetch("su")
    with pytest.raises(WeightsError, match="cannot be fetched by a program"):
        weights.fetch("eye")


def test_licenses_that_forbid_commercial_use_must_be_accepted(catalog, published):
    file = WeightFile("zhang.pth", (published / "zhang.pth").as_uri())
    catalog(_spec("zhang", "siggraph17", (file,), non_commercial=True))
    with pytest.raises(WeightsError, match=r"forbids commercial use.*--accept-license"):
        weights.fetch("zhang")
    assert weights.installed() == {}
    assert weights.fetch("zhang", accept_license=True)
    assert "non-commercial" in weights.list_weights()[0].license


# --- importing ----------------------------------------------------------------------------------

FILES = {
    "full": "latest_net_GComp.pth",
    "instance": "latest_net_G.pth",
    "fusion": "latest_net_GF.pth",
}


def _authors_files(folder, net):
    """As the authors have them: GF with `module.`, old files without counters."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for part, name in FILES.items():
        state = net.get_submodule(part).state_dict()
        state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
        if part == "fusion":
            state = {f"module.{k}": v for k, v in state.items()}
        torch.save(state, folder / name)
        paths.append(folder / name)
    return paths


ONE_LAYER = ("model8up", "model3short8", "model9up", "model2short9", "model10up", "model1short10")


def _openmmlab(net):
    prefixes = {"full": "image_model", "instance": "instance_model", "fusion": "fusion_model"}
    state = {}
    for key, value in net.state_dict().items():
        part, _, rest = key.partition(".")
        for layer in (*ONE_LAYER, "model_class"):
            rest = rest.replace(f"{layer}.0.", f"{layer}.") if rest.startswith(layer) else rest
        state[f"{prefixes[part]}.{rest}"] = value
    assert "fusion_model.model8up.weight" in state
    assert "image_model.model_out.0.weight" in state
    return {"state_dict": state, "meta": {"epoch": 1}}


@pytest.mark.parametrize("form", ["files", "zip", "openmmlab", "ours"])
def test_instcolor_comes_in_many_forms(form, catalog, cache, tmp_path):
    net = _net("instcolor")
    for key, value in net.state_dict().items():
        if key.endswith("num_batches_tracked"):
            value.zero_()
    if form == "files":
        given = _authors_files(tmp_path / "authors", net)[::-1]
    elif form == "zip":
        given = [tmp_path / "checkpoints.zip"]
        with zipfile.ZipFile(given[0], "w", zipfile.ZIP_DEFLATED) as archive:
            chosen = tmp_path / "checkpoints" / "coco_finetuned_mask_256_ffs"
            other = tmp_path / "checkpoints" / "siggraph_retrained"
            paths = _authors_files(chosen, net) + _authors_files(other, _net("instcolor", 9))
            for path in paths:
                archive.write(path, path.relative_to(tmp_path).as_posix())
    elif form == "openmmlab":
        given = [tmp_path / "single.pth"]
        torch.save(_openmmlab(net), given[0])
    else:
        given = [tmp_path / "mine.safetensors"]
        weights.save_weights(given[0], net, "instcolor", SMALL["instcolor"], {})
    assert weights.import_files("su", given) == [cache / "su.safetensors"]
    loaded, model = weights.load_model("su")
    assert model == "instcolor"
    assert _same(loaded, net)
    assert (loaded.fuse_without_boxes, loaded.outward, loaded.mask_cent) == (False, False, 0.5)
    card = weights.read_card("su")
    assert card["license"] == "MIT"
    assert set(card["files"]) == {path.name for path in given}


def test_fetched_foreign_file_is_converted(catalog, cache, tmp_path):
    net = _net("instcolor")
    torch.save(_openmmlab(net), tmp_path / "single.pth")
    uri = (tmp_path / "single.pth").as_uri()
    catalog(_spec("su", "instcolor", (WeightFile("single.pth", uri, None),)))
    digest = hashlib.sha256((tmp_path / "single.pth").read_bytes()).hexdigest()
    catalog(_spec("su", "instcolor", (WeightFile("single.pth", uri, digest[:8]),)))
    assert weights.fetch("su") == [cache / "su.safetensors"]
    assert [path.name for path in cache.iterdir()] == ["su.safetensors"]
    assert _same(weights.load_model("su")[0], net)


def test_import_of_too_few_or_wrongly_named_files(catalog, tmp_path):
    paths = _authors_files(tmp_path / "authors", _net("instcolor"))
    with pytest.raises(WeightsError, match=r"three files latest_net_GComp\.pth.*got latest_net_G"):
        weights.import_files("su", paths[:2])
    renamed = paths[0].rename(paths[0].with_name("mine.pth"))
    with pytest.raises(WeightsError, match=r"got mine\.pth, latest_net_G\.pth"):
        weights.import_files("su", [renamed, *paths[1:]])
    with pytest.raises(WeightsError, match="is no file"):
        weights.import_files("su", [tmp_path / "absent.pth"])
    with pytest.raises(WeightsError, match="siggraph17 is one file, not 2"):
        weights.import_files("zhang", paths[1:])
    assert weights.installed() == {}


def test_import_of_swapped_files_names_the_network(catalog, tmp_path):
    paths = _authors_files(tmp_path / "authors", _net("instcolor"))
    g, gf = paths[1], paths[2]
    content = g.read_bytes()
    g.write_bytes(gf.read_bytes())
    gf.write_bytes(content)
    with pytest.raises(WeightsError, match=r"missing 'fusion\.weight_layer.*and \d+ more"):
        weights.import_files("su", paths)
    with pytest.raises(WeightsError, match=r"unexpected 'weight_layer.*fusion net"):
        weights.import_files("zhang", [g])


def test_import_of_a_zip_without_the_files(catalog, tmp_path):
    path = tmp_path / "checkpoints.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/latest_net_G.pth", b"")
        archive.writestr("b/latest_net_G.pth", b"")
        archive.writestr("b/latest_net_GComp.pth", b"")
    with pytest.raises(WeightsError, match=r"need one latest_net_G\.pth.*a/.*, b/"):
        weights.import_files("su", [path])


def test_import_of_detector_files(catalog, cache, published, tmp_path):
    assert weights.import_files("eye", [published / "zhang.pth"]) == [cache / "eye.pth"]
    assert weights.import_files("eye", [cache / "eye.pth"]) == [cache / "eye.pth"]
    (cache / "eye.pth").unlink()
    (tmp_path / "other.pth").write_bytes(b"0")
    with pytest.raises(WeightsError, match="sha256"):
        weights.import_files("eye", [tmp_path / "other.pth"])
    with pytest.raises(WeightsError, match="one file"):
        weights.import_files("eye", [])
    assert weights.installed() == {}
    with pytest.raises(WeightsError, match="a detector's, not a colorizer's"):
        weights.load_model("eye")


def test_import_of_a_file_that_was_trained_further(catalog, cache, published, tmp_path, caplog):
    assert weights.import_files("zhang", [published / "zhang.pth"]) == [cache / "zhang.safetensors"]
    assert not caplog.text
    own = _net("siggraph17", 5)
    torch.save(own.state_dict(), tmp_path / "own.pth")
    weights.import_files("zhang", [tmp_path / "own.pth"])
    assert "own.pth fits zhang, but is not the published file" in caplog.text
    assert _same(weights.load_model("zhang")[0], own)


def test_starter_cannot_be_replaced(tmp_path):
    with pytest.raises(WeightsError, match="comes with the package"):
        weights.import_files("starter", [tmp_path / "x.safetensors"])


# --- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
def test_saved_weights_load_again(half, tmp_path):
    net = _net("siggraph17")
    path = tmp_path / "deep" / "mine.safetensors"
    card = {"license": "CC0", "psnr": 24.5, "steps": [1, 2]}
    weights.save_weights(path, net, "siggraph17", SMALL["siggraph17"], card, half)
    assert weights.read_card(path) == card
    loaded, model = weights.load_model(str(path))
    assert model == "siggraph17"
    assert all(v.dtype in (torch.float32, torch.int64) for v in loaded.state_dict().values())
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    if not half:
        assert _same(loaded, net)
    whole, stored = net.state_dict(), formats.read_tensors(path)
    for key, value in stored.items():
        expected = torch.float16 if half and value.ndim >= 2 else whole[key].dtype
        assert value.dtype == expected
        torch.testing.assert_close(value.to(whole[key].dtype), whole[key], rtol=1e-3, atol=1e-7)
    light = torch.rand(1, 1, 16, 16) * 100
    with torch.no_grad():
        torch.testing.assert_close(loaded(light), net(light), atol=0.05 if half else 1e-4, rtol=0)


def test_saving_refuses_what_could_not_be_loaded(tmp_path):
    net = _net("siggraph17")
    with pytest.raises(WeightsError, match=r"\.safetensors"):
        weights.save_weights(tmp_path / "x.pth", net, "siggraph17", SMALL["siggraph17"], {})
    with pytest.raises(WeightsError, match="2x4x3x3, not 8x4x3x3"):
        weights.save_weights(tmp_path / "x.safetensors", net, "siggraph17", {"width": 8}, {})
    with pytest.raises(WeightsError, match="cannot make siggraph17"):
        weights.save_weights(tmp_path / "x.safetensors", net, "siggraph17", {"depth": 8}, {})
    with torch.no_grad():
        net.model1[0].weight[0, 0] = 1e6
    args = (net, "siggraph17", SMALL["siggraph17"], {})
    weights.save_weights(tmp_path / "x.safetensors", *args)
    with pytest.raises(WeightsError, match=r"'model1\.0\.weight' has values.*too large"):
        weights.save_weights(tmp_path / "y.safetensors", *args, half=True)
    (tmp_path / "taken").write_text("")
    with pytest.raises(WeightsError, match="cannot write"):
        weights.save_weights(tmp_path / "taken" / "x.safetensors", *args)
    assert sorted(path.name for path in tmp_path.glob("*safetensors*")) == ["x.safetensors"]


def test_damaged_files(tmp_path):
    path = tmp_path / "mine.safetensors"
    weights.save_weights(path, _net("siggraph17"), "siggraph17", SMALL["siggraph17"], {})
    content = path.read_bytes()
    for broken in (content[:-1], content[:100], b"", b"\xff" * 64):
        path.write_bytes(broken)
        with pytest.raises(WeightsError, match=r"mine\.safetensors is damaged"):
            weights.load_model(path)
    whole = tmp_path / "zhang.pth"
    torch.save(_net("siggraph17").state_dict(), whole)
    content = whole.read_bytes()
    for broken in (content[:-500], content[:100], b"", b"\x80garbage", b"<html>Not found</html>"):
        whole.write_bytes(broken)
        with pytest.raises(WeightsError, match=r"zhang\.pth is damaged") as caught:
            formats.read_tensors(whole)
        assert len(str(caught.value).splitlines()) == 1


class _Bomb:
    def __reduce__(self):
        import os

        return (os.system, ("echo boom",))


def test_pickles_that_hold_more_than_tensors(tmp_path, capfd):
    path = tmp_path / "bomb.pth"
    torch.save({"model1.0.weight": torch.zeros(1), "x": _Bomb()}, path)
    with pytest.raises(WeightsError, match="holds more than tensors and is refused"):
        formats.read_tensors(path)
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(WeightsError, match="refused"):
        formats.read_tensors(path)
    assert "boom" not in capfd.readouterr().out
    torch.save({"epoch": 3}, path)
    with pytest.raises(WeightsError, match="'epoch' is a int, not a tensor"):
        formats.read_tensors(path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="holds a list"):
        formats.read_tensors(path)


def test_weights_of_another_network_name_keys_shapes_and_network(tmp_path):
    state = _net("siggraph17").state_dict()

    def fault(tensors):
        with pytest.raises(WeightsError) as caught:
            formats.check_model(tensors, "siggraph17", SMALL["siggraph17"], "f.pth")
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    assert "missing 'model1.0.weight'" in fault(
        {k: v for k, v in state.items() if k != "model1.0.weight"}
    )
    assert "'model1.0.weight' is 2x1x3x3, not 2x4x3x3" in fault(
        {**state, "model1.0.weight": torch.zeros(2, 1, 3, 3)}
    )
    wide = create_model("siggraph17", width=3).state_dict()
    text = fault(wide)
    assert "seems to be siggraph17 of width 3" in text
    assert "and 60 more" in text or "more" in text
    cases = {
        "eccv16": {"model1.0.weight": torch.zeros(2, 1, 3, 3), "model8.6.weight": torch.zeros(1)},
        "Mask R-CNN": {"backbone.x": torch.zeros(1), "roi_heads.mask_predictor.y": torch.zeros(1)},
        "Faster R-CNN": {"roi_heads.box_predictor.y": torch.zeros(1)},
        "OpenMMLab": {"image_model.model1.0.weight": torch.zeros(1)},
        "first key is 'foo'": {"foo": torch.zeros(1)},
        "first key is 'none'": {},
    }
    for words, tensors in cases.items():
        assert words in fault(tensors)


def test_old_files_without_counters(tmp_path):
    net = _net("siggraph17")
    state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    built = formats.build_model(state, "siggraph17", SMALL["siggraph17"], "f")
    assert _same(built, net)


def test_files_that_do_not_say_what_they_are(catalog, tmp_path, published):
    net = _net("siggraph17")
    nameless = tmp_path / "latest_net_G.pth"
    torch.save(net.state_dict(), nameless)
    with pytest.raises(WeightsError, match=r"does not say which network.*siggraph17 of width 2"):
        weights.load_model(nameless)
    # a published file under its own name is known
    assert _same(weights.load_model(published / "zhang.pth")[0], net)
    with pytest.raises(WeightsError, match="is no file"):
        weights.load_model(tmp_path / "absent.safetensors")
    import safetensors.torch

    bare = tmp_path / "bare.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, bare)
    with pytest.raises(WeightsError, match="does not say"):
        weights.load_model(bare)
    safetensors.torch.save_file({"a": torch.zeros(1)}, bare, {"model": "nonet", "settings": "{}"})
    with pytest.raises(WeightsError, match="unknown colorizer 'nonet'"):
        weights.load_model(bare)
    safetensors.torch.save_file(
        {"a": torch.zeros(1)}, bare, {"model": "siggraph17", "settings": "["}
    )
    with pytest.raises(WeightsError, match="no JSON object"):
        weights.load_model(bare)


def test_metadata_is_readable_by_others(tmp_path):
    path = tmp_path / "mine.safetensors"
    weights.save_weights(path, _net("siggraph17"), "siggraph17", SMALL["siggraph17"], {"a": 1})
    length = int.from_bytes(path.read_bytes()[:8], "little")
    metadata = json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]
    assert metadata["model"] == "siggraph17"
    assert json.loads(metadata["settings"]) == SMALL["siggraph17"]
    assert json.loads(metadata["card"]) == {"a": 1}
