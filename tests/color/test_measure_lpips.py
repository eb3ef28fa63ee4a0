import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision

from vidcolor.color.measure import Lpips, lpips_distance, metric
from vidcolor.color.measure.perceptual import _kept
from vidcolor.errors import WeightsError

# after which layers of torchvision's `features` LPIPS looks: ReLU 1 to 5 of AlexNet, the last one
# of each block of VGG16
SEEN = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}


def _features(name):
    """Layers as torchvision has them, of widths that were published, with random weights."""
    with torch.device("meta"):
        layers = getattr(torchvision.models, name)(weights=None).features
    layers = layers.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in layers.parameters():
            fan_in = value[0].numel() if value.dim() > 1 else 100
            value.normal_(generator=generator).mul_((2 / fan_in) ** 0.5)
    return layers.eval().requires_grad_(False)


def _write(path, layers):
    tensors = {f"features.{key}": value for key, value in layers.state_dict().items()}
    torch.save(tensors | {"classifier.1.bias": torch.zeros(3)}, path)
    return path


@pytest.fixture(scope="module")
def alexnet():
    return _features("alexnet")


@pytest.fixture(scope="module")
def file(alexnet, tmp_path_factory):
    return _write(tmp_path_factory.mktemp("alexnet") / "net.pth", alexnet)


@pytest.fixture(scope="module")
def measure(file):
    return Lpips(file)


def _picture(seed, size=(70, 90)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def _by_hand(layers, network, pred, target):
    """The paper's section 3.1: unit length over channels, weighted squares, mean over pixels."""
    package = Path(importlib.util.find_spec("lpips").origin).parent
    heads = torch.load(
        package / "weights" / "v0.1" / f"{network}.pth", map_location="cpu", weights_only=True
    )
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    maps = []
    for rgb in (pred, target):
        x = ((torch.from_numpy(rgb).permute(2, 0, 1) / 255 - mean) / deviation)[None]
        seen = []
        for number, layer in enumerate(layers):
            x = layer(x.clone())
            if number in SEEN[network]:
                seen.append(F.normalize(x, dim=1))
        maps.append(seen)
    total = 0.0
    for number, (first, second) in enumerate(zip(*maps, strict=True)):
        weights = heads[f"lin{number}.model.1.weight"]
        total += float((weights * (first - second) ** 2).sum(1).mean())
    return total


def test_lpips_is_the_formula_of_its_paper(alexnet, measure):
    for seed, size in ((0, (70, 90)), (2, (64, 64))):
        pred, target = _picture(seed, size), _picture(seed + 1, size)
        expected = _by_hand(alexnet, "alex", pred, target)
        assert expected > 0.05
        assert measure(pred, target) == pytest.approx(expected, rel=1e-4)
        assert measure(target, pred) == pytest.approx(measure(pred, target), rel=1e-5)
        assert measure(pred, pred) == 0


def test_small_pictures_are_enlarged_to_64_pixels(measure):
    small = [_picture(seed, (16, 20)) for seed in (0, 1)]
    large = [cv2.resize(x, (80, 64), interpolation=cv2.INTER_LINEAR) for x in small]
    assert measure(*small) == pytest.approx(measure(*large))
    assert measure(*[np.tile(x, (4, 4, 1)) for x in small]) != pytest.approx(measure(*small))


def test_every_door_measures_the_same(file, measure):
    pair = _picture(0), _picture(1)
    expected = measure(*pair)
    assert metric("lpips", file=file)(*pair) == expected


def test_random_numbers_of_others_stay(file):
    before = torch.get_rng_state()
    Lpips(file)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", [(69, 90), (70, 90, 1)])
def test_what_is_no_pair_is_refused(measure, size):
    with pytest.raises(ValueError, match="one shape"):
        measure(_picture(0), np.zeros(size, np.uint8))


def test_a_missing_package_is_named(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(WeightsError, match=r"pip install 'vidcolor\[eval\]'"):
        Lpips(file)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of torch hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    _kept.cache_clear()
    yield tmp_path / "hub" / "checkpoints"
    _kept.cache_clear()


def test_torchs_cache_is_looked_into_and_nothing_fetched(cache, alexnet, measure):
    with pytest.raises(WeightsError) as error:
        lpips_distance(_picture(0), _picture(1))
    message = str(error.value)
    assert str(cache / "alexnet-owt-7be5be79.pth") in message
    assert "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth" in message
    assert "vidcolor weights fetch alexnet" in message
    assert "\n" not in message
    cache.mkdir(parents=True)
    _write(cache / "alexnet-owt-7be5be79.pth", alexnet)
    pair = _picture(0), _picture(1)
    assert lpips_distance(*pair) == measure(*pair)


def test_a_download_that_fails_is_one_line(cache, monkeypatch):
    def fetch(url, path, digest, progress):
        assert (url.rpartition("/")[2], digest) == ("alexnet-owt-7be5be79.pth", "7be5be79")
        assert Path(path).parent.is_dir()
        raise OSError("no way out")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    with pytest.raises(WeightsError, match=r"cannot fetch .*alexnet.*no way out"):
        Lpips(download=True)


def test_files_of_another_network_are_refused(file, tmp_path):
    good = torch.load(file, weights_only=True)
    lacking = {key: value for key, value in good.items() if key != "features.3.bias"}
    cases = [
        (lacking, r"lacks features\.3\.bias"),
        (good | {"features.13.weight": torch.zeros(1)}, r"unknown features\.13\.weight"),
        (good | {"features.0.bias": torch.zeros(63)}, r"features\.0\.bias is \(63,\), not \(64,\)"),
        ({"model": good}, "no named tensors"),
        ([1, 2], "no named tensors"),
    ]
    for content, match in cases:
        path = tmp_path / "other.pth"
        torch.save(content, path)
        with pytest.raises(WeightsError, match=match) as error:
            Lpips(path)
        assert str(path) in str(error.value)


class _Program:
    def __reduce__(self):
        return (Path.touch, (Path(self.mark),))


def test_a_file_that_is_a_program_is_refused(tmp_path):
    program = _Program()
    program.mark = str(tmp_path / "ran")
    torch.save({"features.0.weight": program}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match="more than tensors"):
        Lpips(tmp_path / "net.pth")
    assert not (tmp_path / "ran").exists()


def test_a_damaged_file_is_refused(file, tmp_path):
    content = file.read_bytes()
    for number, part in enumerate((content[: len(content) // 2], b"", b"<html>no</html>")):
        path = tmp_path / f"{number}.pth"
        path.write_bytes(part)
        with pytest.raises(WeightsError, match=f"{number}.pth") as error:
            Lpips(path)
        assert "vidcolor weights fetch alexnet" in str(error.value)
        assert "\n" not in str(error.value)


def test_lpips_through_vgg_is_the_formula_of_its_paper(tmp_path):
    layers = _features("vgg16")
    path = _write(tmp_path / "vgg.pth", layers)
    pair = _picture(0), _picture(1)
    measure = metric("lpips_vgg", file=path)
    assert measure(*pair) == pytest.approx(_by_hand(layers, "vgg", *pair), rel=1e-4)
