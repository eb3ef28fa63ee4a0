"""Fetching known weights: mirrors, other checksums, foreign forms, unwritable places."""

import hashlib

import pytest
import torch

from vidcolor.errors import WeightsError
from vidcolor.models import catalog, store, weights
from vidcolor.models.catalog import WeightFile, WeightsSpec
from vidcolor.models.instcolor import PUBLISHED
from vidcolor.models.recipe import fill
from vidcolor.models.registry import create_model, list_models, model_spec

SETTINGS = {"width": 2}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "cache"


@pytest.fixture
def net():
    return fill(create_model("eccv16", **SETTINGS))


@pytest.fixture
def published(tmp_path, net):
    path = tmp_path / "there" / "pytorch_model.bin"
    path.parent.mkdir()
    torch.save(net.state_dict(), path)
    return path


@pytest.fixture
def know(monkeypatch):
    def know(file, **more):
        spec = WeightsSpec(
            more.pop("name", "small"), more.pop("kind", "colorizer"), more.pop("model", "eccv16"),
            "MIT", "https://example.org", (file,), more.pop("settings", SETTINGS), **more,
        )  # fmt: skip
        monkeypatch.setattr(catalog, "_KNOWN", (spec,))

    return know


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _same(net, name):
    own, found = net.state_dict(), weights.load_model(name)[0].state_dict()
    return own.keys() == found.keys() and all(torch.equal(own[k], found[k]) for k in own)


def test_a_file_has_its_own_name_in_the_cache(know, published, cache, net):
    """Many are called alike by their authors."""
    know(WeightFile("small.pytorch_model.bin", published.as_uri()))
    with pytest.raises(
        WeightsError,
        match=r"no small\.pytorch_model\.bin in .*cache; get them with: vidcolor weights fetch "
        r"small; if you have the file: vidcolor weights import small pytorch_model\.bin$",
    ):
        weights.find("small")
    assert weights.fetch("small") == [cache / "small.pytorch_model.bin"]
    assert _same(net, "small")


def test_other_places_are_tried_in_turn(know, published, tmp_path, net):
    gone = [(tmp_path / f"gone{n}").as_uri() for n in range(2)]
    digest = _sha256(published)
    know(WeightFile("f.pth", gone[0], digest, mirrors=(gone[1], published.as_uri())))
    weights.fetch("small")
    assert _same(net, "small")
    (tmp_path / "cache" / "f.pth").unlink()
    know(WeightFile("f.pth", gone[0], digest, mirrors=(gone[1],)))
    with pytest.raises(WeightsError, match=r"gone0.*gone1.*weights import small gone0$") as caught:
        weights.fetch("small")
    assert len(str(caught.value).splitlines()) == 1
    # a mirror of one's own replaces all of them
    (tmp_path / "mine").mkdir()
    published.rename(tmp_path / "mine" / "f.pth")
    weights.fetch("small", base_url=str(tmp_path / "mine"))
    assert _same(net, "small")


def test_a_place_with_wrong_bytes_is_passed_over(know, published, tmp_path, net):
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(published.read_bytes()[:-1] + b"!")
    file = WeightFile("f.pth", wrong.as_uri(), _sha256(published), mirrors=(published.as_uri(),))
    know(file)
    weights.fetch("small")
    assert _same(net, "small")


@pytest.mark.parametrize("kind", ["colorizer", "backbone"])
def test_sha1_where_authors_state_that(kind, know, published, cache):
    digest = hashlib.sha1(published.read_bytes()).hexdigest()
    know(WeightFile("f.pth", published.as_uri(), sha1=digest[:-1] + "x"), kind=kind)
    with pytest.raises(WeightsError, match=f"sha1 {digest} instead of .*; nothing installed"):
        weights.fetch("small")
    assert list(cache.iterdir()) == []
    know(WeightFile("f.pth", published.as_uri(), sha1=digest), kind=kind)
    assert weights.fetch("small") == [cache / "f.pth"]


def test_foreign_files_are_converted_and_not_kept(know, published, cache):
    settings = {**PUBLISHED, "width": 2}
    net = fill(create_model("instcolor", **settings))
    prefixes = {"full": "image_model", "instance": "instance_model", "fusion": "fusion_model"}
    state = {}
    for key, value in net.state_dict().items():
        part, _, rest = key.partition(".")
        layers = ("8up", "3short8", "9up", "2short9", "10up", "1short10", "_class")
        for layer in layers:
            rest = rest.replace(f"model{layer}.0.", f"model{layer}.")
        state[f"{prefixes[part]}.{rest}"] = value
    torch.save({"state_dict": state}, published)
    know(
        WeightFile("single.pth", published.as_uri()),
        model="instcolor", settings=settings, foreign=True,
    )  # fmt: skip
    with pytest.raises(WeightsError, match=r"no small\.safetensors, made of single\.pth, in "):
        weights.find("small")
    assert weights.fetch("small") == [cache / "small.safetensors"]
    assert [path.name for path in cache.iterdir()] == ["small.safetensors"]
    assert _same(net, "small")
    (cache / "small.safetensors").unlink()
    torch.save({"x": torch.zeros(1)}, published)
    with pytest.raises(WeightsError, match="weights import small pytorch_model"):
        weights.fetch("small")
    assert list(cache.iterdir()) == []


def test_what_nobody_publishes_cannot_be_fetched(cache):
    for name in ("hypercolumn", "residual_encoder"):
        for ask in (weights.find, weights.fetch, weights.load_model):
            with pytest.raises(WeightsError) as caught:
                ask(name)
            text = str(caught.value)
            assert f"no {name}.safetensors in {cache}" in text
            for words in ("nobody publishes", "vidcolor train --config", "--weights FILE",
                          f"weights import {name} FILE", "--weights recipe"):  # fmt: skip
                assert words in text
    assert not cache.exists()


def test_licenses_are_refused_before_anything_is_fetched(know, published, cache):
    know(WeightFile("f.pth", published.as_uri()), non_commercial=True)
    with pytest.raises(WeightsError, match=r"fetch small --accept-license \(MIT forbids commerc"):
        weights.find("small")
    with pytest.raises(WeightsError, match=r"forbids commercial use.*--accept-license"):
        store.refuse_unaccepted("small", False)
    assert not cache.exists()
    weights.fetch("small", accept_license=True)
    store.refuse_unaccepted("small", False)  # it is here: nothing is fetched


def test_nothing_is_written_where_all_is_here(know, published, cache, net):
    know(WeightFile("f.pth", published.as_uri()))
    weights.fetch("small")
    before = cache.stat().st_mtime_ns
    assert weights.fetch("small") == [cache / "f.pth"]
    assert _same(net, "small")
    assert cache.stat().st_mtime_ns == before


def test_a_cache_that_cannot_be_written(know, published, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("a file where a folder should be")
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "taken" / "cache"))
    know(WeightFile("f.pth", published.as_uri()))
    with pytest.raises(WeightsError, match=r"cannot write .*taken.*; VIDCOLOR_CACHE names another"):
        weights.fetch("small")


@pytest.mark.parametrize("name", [n for n in list_models() if n != "quarternet"])
def test_every_colorizer_says_what_it_lacks_and_how_to_get_it(name, cache):
    spec = catalog.weights_spec(model_spec(name).weights)
    with pytest.raises(WeightsError) as caught:
        weights.load_model(spec.name)
    text = str(caught.value)
    lies = spec.converted if spec.foreign or not spec.files else spec.files[0].name
    assert f"no {lies}" in text
    assert str(cache) in text
    assert f"vidcolor weights import {spec.name} " in text
    if spec.files:
        assert f"vidcolor weights fetch {spec.name}" in text
    assert len(text.splitlines()) == 1


def test_weights_that_only_sound_like_a_network():
    with pytest.raises(WeightsError, match=r"'quarternet' is a network; weights for it: starter$"):
        weights.load_model("quarternet")
    with pytest.raises(
        WeightsError, match=r"'ddcolor' is a network.*ddcolor-modelscope, ddcolor-pa"
    ):
        weights.load_model("ddcolor")


def test_everything_known_of_some_weights(know, published, cache):
    rows = dict(store.describe("iizuka16"))
    assert rows["license"] == "CC-BY-NC-SA-4.0 (non-commercial)"
    assert rows["would lie at"] == str(cache / "iizuka16.safetensors")
    assert "--accept-license" in rows["get it by"]
    assert rows["sha1"] == "d397faf0b63a173680824474bfeab4725c375ca2"
    assert [h for h, _ in store.describe("deoldify-stable")].count("from") == 2
    assert dict(store.describe("deoldify-stable"))["size"] == "874,066,230 bytes"
    assert "nobody publishes" in dict(store.describe("hypercolumn"))["get it by"]
    assert dict(store.describe("hypercolumn"))["would lie at"] == str(
        cache / "hypercolumn.safetensors"
    )
    know(WeightFile("f.pth", published.as_uri()), short_side=512)
    before = dict(store.describe("small"))
    assert (before["installed"], before["short side"]) == ("no", "512 px")
    assert before["would lie at"] == str(cache / "f.pth")
    weights.fetch("small")
    after = dict(store.describe("small"))
    assert after["installed"] == str(cache / "f.pth")
    assert not {"would lie at", "get it by"} & set(after)
