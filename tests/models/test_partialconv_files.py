"""Networks of partial convolutions by others: found, renamed, rescaled, and refused."""

import pytest
import torch
from dense_partialconv import dense_layer, dense_net, random_net

from vidcolor.cli import main
from vidcolor.errors import WeightsError
from vidcolor.models import catalog, formats, store, weights
from vidcolor.models.catalog import WeightFile, WeightsSpec
from vidcolor.models.partialconv import PartialConv2d
from vidcolor.models.partialconv_files import of_sums
from vidcolor.models.registry import create_model

NAOTO = {"width": 3, "channels": 3, "depth": 3, "scale": "imagenet"}
OPENMMLAB = {"width": 3, "channels": 3, "depth": 3, "scale": "signed", "first_bias": True}
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


@pytest.fixture(autouse=True)
def known(tmp_path, monkeypatch):
    """Narrow networks under the names of those that are published, and our own not there."""
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "_ASSETS", tmp_path / "assets")
    own = next(spec for spec in catalog.known_weights() if spec.name == "repair")

    def spec(name, settings, url=None):
        return WeightsSpec(
            name, "inpainter", "partialconv", "MIT", "https://example.org",
            (WeightFile(f"{name}.pth", url),), settings, by_hand="" if url else f"look for {name}",
            foreign=True,
        )  # fmt: skip

    published = tmp_path / "published.pth"
    torch.save(_openmmlab(random_net(3, 3, 3, first_bias=True, seed=3)), published)
    monkeypatch.setattr(
        catalog,
        "_KNOWN",
        (own, spec("naoto", NAOTO), spec("openmmlab", OPENMMLAB, published.as_uri())),
    )


def _picture():
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(2, 3, 24, 32, generator=generator)
    valid = (torch.rand(2, 1, 24, 32, generator=generator) < 0.4).float()
    valid[:, :, :10, :12] = 0
    return image, valid


def _naoto():
    """As its code writes it: masks' kernels beside, weights in sums, an optimizer around."""
    net = random_net(3, 3, 3)
    for key in [key for key in net if key.endswith("input_conv.weight")]:
        net[key] = net[key] * net[key][0].numel()
        net[key.replace("input_conv", "mask_conv")] = torch.ones_like(net[key])
    return net


def _wrapped(net):
    return {"n_iter": 1_000_000, "model": net, "optimizer": {"state": {}, "param_groups": [{}]}}


def _openmmlab(net):
    """The same network as its code writes one that sees blue first."""
    state = {}
    for key, value in net.items():
        name, rest = key.split(".", 1)
        part, number = name.split("_")
        part = f"generator.{'encoder' if part == 'enc' else 'decoder'}.{part}{number}"
        rest = rest.replace("input_conv.", "")
        state[f"{part}.{rest}"] = value.clone()
        if rest == "conv.weight":
            state[f"{part}.conv.weight_mask_updater"] = torch.ones_like(value)
    state["loss_percep.vgg.vgg_layers.0.weight"] = torch.zeros(64, 3, 3, 3)
    return {"meta": {"epoch": 1, "iter": 500_000}, "state_dict": state}


def _import(name, content, tmp_path):
    path = tmp_path / "file.pth"
    torch.save(content, path)
    (made,) = weights.import_files(name, [path])
    assert made.name == f"{name}.safetensors"
    return weights.load_inpainter(name)


def _assert_near(ours, theirs):
    reach = 3e-6 * float(theirs.detach().abs().max())
    torch.testing.assert_close(ours.double(), theirs, atol=reach, rtol=0)


# --- scales -------------------------------------------------------------------------------------


def test_weights_of_sums():
    """W(XM)/S of one layer is W'(XM) N/S of the other."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (
        torch.randn(size, generator=generator) for size in ((1, 6, 9, 9), (4, 6, 5, 5))
    )  # fmt: skip
    mask = (torch.rand(1, 1, 9, 9, generator=generator) < 0.1).float()
    layer = PartialConv2d(6, 4, 5, 2, 2)
    torch.nn.init.constant_(layer.bias, 0.1)
    layer.weight.data = of_sums(weight)
    ours, _ = layer(x, [(mask, 6)])
    theirs, _ = dense_layer(
        x.double(), mask.double().expand(x.shape), weight.double(), layer.bias.double(), 2, True
    )
    _assert_near(ours, theirs)


@torch.no_grad()
def test_a_file_of_naoto0804_answers_as_its_own_code(tmp_path):
    net = _naoto()
    loaded = _import("naoto", _wrapped(net), tmp_path)
    image, valid = _picture()
    kept = {key: value for key, value in net.items() if "mask_conv" not in key}
    theirs = dense_net(kept, (image - MEAN) / STD, valid, divides_by_count=True) * STD + MEAN
    assert theirs.std() > 0.05
    _assert_near(loaded(image, valid), theirs)


@torch.no_grad()
def test_a_file_of_openmmlab_answers_as_its_own_code(tmp_path):
    net = random_net(3, 3, 3, first_bias=True)
    loaded = _import("openmmlab", _openmmlab(net), tmp_path)
    image, valid = _picture()
    blue_first = image.flip(1) * 2 - 1
    theirs = dense_net(net, blue_first, valid, divides_by_count=False).flip(1) / 2 + 0.5
    _assert_near(loaded(image, valid), theirs)


@torch.no_grad()
def test_fetched_and_converted(tmp_path):
    (made,) = weights.fetch("openmmlab")
    assert weights.installed() == {"openmmlab": made}
    assert [path.name for path in made.parent.iterdir() if path.suffix != ".lock"] == [made.name]
    net = random_net(3, 3, 3, first_bias=True, seed=3)
    first = weights.read_tensors(made)["encoder.0.conv.weight"]
    assert torch.equal(first, net["enc_1.conv.input_conv.weight"].flip(1))


@torch.no_grad()
def test_own_files_are_taken_as_they_are(tmp_path):
    """The official layer multiplies by N/S, as ours does."""
    settings = {"width": 2, "channels": 1, "depth": 3}
    net = create_model("partialconv", **settings)
    path = tmp_path / "mine.safetensors"
    weights.save_weights(path, net, "partialconv", settings, {"license": "CC0"})
    weights.import_files("naoto", [path])
    found = weights.load_inpainter("naoto").state_dict()
    assert all(torch.equal(found[key], value) for key, value in net.state_dict().items())
    assert weights.read_card("naoto")["license"] == "CC0"


# --- refusals -----------------------------------------------------------------------------------


def test_a_form_of_another_scale_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="of naoto0804, whose networks work in scale imagenet"):
        _import("openmmlab", _wrapped(_naoto()), tmp_path)
    with pytest.raises(WeightsError, match="of OpenMMLab, whose networks work in scale signed"):
        _import("naoto", _openmmlab(random_net(3, 3, 3, first_bias=True)), tmp_path)
    assert weights.installed() == {}


@pytest.mark.parametrize("change", ["mask", "missing", "more", "shape", "mask missing"])
def test_keys_are_strict(change, tmp_path):
    net = _naoto()
    expected = "made for another network than partialconv: "
    if change == "mask":
        net["enc_2.conv.mask_conv.weight"][0, 0, 0, 0] = 2
        expected = r"'enc_2\.conv\.mask_conv\.weight' should be all ones"
    elif change == "missing":
        del net["dec_2.bn.running_var"]
        expected += r"missing 'decoder\.1\.norm\.running_var'"
    elif change == "more":
        net["enc_4.conv.input_conv.weight"] = torch.zeros(24, 24, 3, 3)
        expected += r"unexpected 'encoder\.3\.conv\.weight'"
    elif change == "shape":
        net["enc_3.conv.input_conv.weight"] = torch.zeros(12, 6, 3, 3)
        expected += r"'encoder\.2\.conv\.weight' is 12x6x3x3, not 12x6x5x5"
    else:  # nobody misses what is always ones
        del net["enc_2.conv.mask_conv.weight"]
        assert _import("naoto", _wrapped(net), tmp_path)
        return
    with pytest.raises(WeightsError, match=expected):
        _import("naoto", _wrapped(net), tmp_path)
    assert weights.installed() == {}


def test_files_of_keras_are_refused_in_one_line(tmp_path):
    path = tmp_path / "pconv_imagenet.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(WeightsError, match=r"a file of Keras \(HDF5\).*1x1 convolution") as error:
        weights.import_files("naoto", [path])
    assert "\n" not in str(error.value)


def test_files_are_recognized():
    net = random_net(2, 3, 3)
    assert formats.guess_network(net) == "naoto0804's partial convolutions"
    theirs = _openmmlab(net)["state_dict"]
    assert formats.guess_network(theirs) == "OpenMMLab's partial convolutions"
    own = create_model("partialconv", width=2, depth=3).state_dict()
    assert formats.guess_network(own) == "partialconv"


def test_a_bare_file_says_how_to_go_on(tmp_path):
    path = tmp_path / "1000000.pth"
    torch.save(_wrapped(_naoto()), path)
    words = r"seems to be naoto0804's partial convolutions\. .* import NAME 1000000\.pth"
    with pytest.raises(WeightsError, match=words):
        weights.load_inpainter(path)


def test_other_kinds_fill_no_holes(tmp_path):
    settings = {"width": 8}
    path = tmp_path / "color.safetensors"
    weights.save_weights(path, create_model("eccv16", **settings), "eccv16", settings, {})
    with pytest.raises(WeightsError, match="is for eccv16, which fills no holes"):
        weights.load_inpainter(path)
    with pytest.raises(WeightsError, match="'partialconv' is a network; weights for it: repair"):
        weights.load_inpainter("partialconv")


# --- weights that come with the package -----------------------------------------------------------


def test_shipped_weights_are_used_where_they_are_and_missed_where_not(tmp_path, capsys):
    with pytest.raises(WeightsError, match=r"repair\.safetensors is missing from the package"):
        weights.load_inpainter("repair")
    assert "repair" not in weights.installed()
    assert {row.name: row.installed for row in weights.list_weights()}["repair"] == "no"
    settings = {"width": 4, "depth": 5}
    file = tmp_path / "assets" / "repair.safetensors"
    net = create_model("partialconv", **settings)
    weights.save_weights(file, net, "partialconv", settings, {"license": "MIT"}, half=True)
    assert weights.load_inpainter("repair").multiple == 32
    assert weights.installed()["repair"] == file
    assert main(["weights", "list"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("repair"))
    assert str(file) in row
    assert row.split()[1:3] == ["inpainter", "partialconv"]


def test_commands(tmp_path, capsys):
    path = tmp_path / "1000000.pth"
    torch.save(_wrapped(_naoto()), path)
    assert main(["weights", "import", "naoto", str(path)]) == 0
    assert main(["weights", "show", "naoto"]) == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "cache" / "naoto.safetensors") in out
    assert "scale imagenet" in out
    assert main(["weights", "fetch", "repair"]) == 1
    assert "missing from the package" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["name", "network", "file", "recipe"])
def test_what_colors_nothing_is_not_exported_as_a_colorizer(by, tmp_path, capsys):
    settings = {"width": 2, "depth": 3}
    path = tmp_path / "mine.safetensors"
    net = create_model("partialconv", **settings)
    weights.save_weights(path, net, "partialconv", settings, {})
    given = {"name": ["repair"], "network": ["partialconv"], "file": [str(path)]}
    arguments = given.get(by, ["recipe", "--colorizer", "partialconv"])
    out = tmp_path / "out.pt2"
    assert main(["export", arguments[0], str(out), *arguments[1:]]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "not a colorizer's" in lines[0] or "fills holes and colors nothing" in lines[0]
    assert not out.exists()
