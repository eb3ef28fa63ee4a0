"""Files of Torch7: read as data, refused when damaged, and `colornet.t7` made into iizuka16.

The bytes are written here after the description of the format; no file of Torch7 was at hand.
"""

import itertools
import struct

import numpy as np
import pytest
import torch

from vidcolor.errors import WeightsError
from vidcolor.models import catalog, formats, torch7, torch7_layers, weights
from vidcolor.models.catalog import WeightFile, WeightsSpec
from vidcolor.models.iizuka16 import TORCH7_ORDER as ORDER
from vidcolor.models.registry import create_model

WIDTH, LABELS = 2, 3
SETTINGS = {"width": WIDTH, "labels": LABELS}


# --- a writer -----------------------------------------------------------------------------------


class Object:
    """An object of a class: written as its name and a table of its fields."""

    def __init__(self, name, **fields):
        self.name, self.fields = name, fields


class Storage:
    def __init__(self, values, element="Double"):
        self.values, self.element = np.asarray(values), element


class View:
    """A tensor of a storage."""

    def __init__(self, storage, sizes, strides=None, offset=1):
        self.storage, self.sizes, self.offset = storage, sizes, offset
        steps = [int(np.prod(sizes[i + 1 :])) for i in range(len(sizes))]
        self.strides = steps if strides is None else strides


CODES = {"Double": "<f8", "Float": "<f4", "Long": "<i8", "Byte": "u1", "Cuda": "<f4"}


class Writer:
    def __init__(self, versions=True):
        self.parts, self.indices, self.versions = [], {}, versions
        self.kept = []  # or the next object might have the same id

    def int(self, value):
        self.parts.append(struct.pack("<i", value))

    def text(self, value):
        self.int(len(value.encode()))
        self.parts.append(value.encode())

    def name(self, value):
        if self.versions:
            self.text("V 1")
        self.text(value)

    def is_new(self, kind, value):
        self.int(kind)
        known = id(value) in self.indices
        self.kept.append(value)
        self.int(self.indices.setdefault(id(value), len(self.indices) + 1))
        return not known

    def write(self, value):
        if value is None:
            self.int(0)
        elif isinstance(value, bool):
            self.int(5)
            self.int(int(value))
        elif isinstance(value, int | float):
            self.int(1)
            self.parts.append(struct.pack("<d", value))
        elif isinstance(value, str):
            self.int(2)
            self.text(value)
        elif isinstance(value, list):
            self.write_table(value, dict(enumerate(value, 1)))
        elif isinstance(value, dict):
            self.write_table(value, value)
        elif isinstance(value, Object):
            if self.is_new(4, value):
                self.name(value.name)
                self.write(value.fields)
        elif isinstance(value, View):
            if self.is_new(4, value):
                element = value.storage.element if value.storage else "Double"
                self.name(f"torch.{element}Tensor")
                self.int(len(value.sizes))
                longs = (*value.sizes, *value.strides, value.offset)
                self.parts.append(struct.pack(f"<{len(longs)}q", *longs))
                self.write(value.storage)
        else:
            assert isinstance(value, Storage)
            if self.is_new(4, value):
                self.name(f"torch.{value.element}Storage")
                self.parts.append(struct.pack("<q", value.values.size))
                self.parts.append(value.values.astype(CODES[value.element]).tobytes())

    def write_table(self, identity, entries):
        if self.is_new(3, identity):
            self.int(len(entries))
            for key, value in entries.items():
                self.write(key)
                self.write(value)


def _save(path, value, versions=True):
    writer = Writer(versions)
    writer.write(value)
    path.write_bytes(b"".join(writer.parts))
    return path


def _view(tensor, element="Double"):
    array = tensor.detach().numpy()
    return View(Storage(array.reshape(-1), element), list(array.shape))


# --- reading ------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.t7"


def test_plain_values(path):
    value = {"n": 2.5, "yes": True, "no": False, "text": "größe", "none": None, "list": [1, 2, 3]}
    table = torch7.read_torch7(_save(path, value))
    entries = table.entries
    assert (entries["n"], entries["yes"], entries["no"]) == (2.5, True, False)
    assert (entries["text"], entries["none"]) == ("größe", None)
    assert list(entries["list"].listed()) == [1.0, 2.0, 3.0]
    assert torch7.is_torch7(path)
    for single in (3.5, "word", None, True):
        assert torch7.read_torch7(_save(path, single)) == single


@pytest.mark.parametrize("element", ["Double", "Float", "Long", "Byte", "Cuda"])
@pytest.mark.parametrize("versions", [True, False])
def test_tensors(element, versions, path):
    view = View(Storage(np.arange(12), element), [2, 3], [6, 1], offset=4)
    tensor = torch7.read_torch7(_save(path, view, versions)).to_torch()
    # rows of three, six apart, from the fourth element on
    assert tensor.tolist() == [[3, 4, 5], [9, 10, 11]]
    assert tensor.dtype == torch.float32


def test_transposed_empty_and_repeated_tensors(path):
    storage = Storage(np.arange(6))
    read = torch7.read_torch7(
        _save(
            path,
            {
                "t": View(storage, [3, 2], [1, 3]),
                "empty": View(None, []),
                "none": View(Storage([]), [0, 3]),
                "repeated": View(storage, [1000, 1000], [0, 0]),
            },
        )
    ).entries
    assert read["t"].to_torch().tolist() == [[0, 3], [1, 4], [2, 5]]
    assert read["t"].storage is read["repeated"].storage
    assert read["empty"].to_torch().shape == (0,)
    assert read["none"].to_torch().shape == (0, 3)
    with pytest.raises(WeightsError, match="1000x1000 is larger than its storage"):
        read["repeated"].to_torch()


def test_unknown_objects_are_records_and_functions_are_skipped(path):
    inner = Object("os.execute", command="echo boom")
    read = torch7.read_torch7(_save(path, {"evil": inner, "after": 7.0}))
    assert read.entries["evil"].name == "os.execute"
    assert read.entries["evil"].fields == {"command": "echo boom"}
    assert read.entries["after"] == 7.0
    for kind in (6, 7, 8):
        writer = Writer()
        writer.int(3)
        writer.int(1)
        writer.int(2)
        writer.write("run")
        writer.int(kind)
        if kind != 6:
            writer.int(2)
        writer.text("\x1bLua bytecode")
        writer.write(None)  # what it closes over
        writer.write("after")
        writer.write(7.0)
        path.write_bytes(b"".join(writer.parts))
        entries = torch7.read_torch7(path).entries
        assert (entries["run"].name, entries["after"]) == ("function", 7.0)


def test_circles_are_followed_once(path):
    first = Object("nn.First")
    second = Object("nn.Second", back=first)
    first.fields["next"] = second
    first.fields["me"] = first.fields
    read = torch7.read_torch7(_save(path, first))
    assert read.fields["next"].fields["back"] is read
    assert read.fields["me"].entries is read.fields


def test_nesting_of_any_depth(path):
    writer = Writer()
    for _ in range(20_000):  # the writer above would recurse
        writer.int(3)
        writer.int(len(writer.parts))
        writer.int(1)
        writer.write("in")
    writer.int(0)
    path.write_bytes(b"".join(writer.parts))
    read, depth = torch7.read_torch7(path), 0
    while read is not None:
        read, depth = read.entries["in"], depth + 1
    assert depth == 20_000


def test_a_table_with_objects_for_keys_keeps_the_rest(path):
    writer = Writer()
    writer.int(3)
    writer.int(99)
    writer.int(3)
    for key, value in ((Object("node"), 1.0), (True, 2.0), ("kept", 3.0)):
        writer.write(key)
        writer.write(value)
    path.write_bytes(b"".join(writer.parts))
    assert torch7.read_torch7(path).entries == {"kept": 3.0}


# --- hostile files ------------------------------------------------------------------------------


def _refused(path, content, match):
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=match) as caught:
        torch7.read_torch7(path)
    assert len(str(caught.value).splitlines()) == 1


def test_every_truncation_is_seen(path):
    layer = Object("nn.Linear", weight=_view(torch.rand(1, 2)), train=True)
    content = _save(path, {"model": layer, "mean": 0.5}).read_bytes()
    for length in range(len(content)):
        _refused(path, content[:length], "damaged")


def _ints(*values):
    return struct.pack(f"<{len(values)}i", *values)


def _named(name):
    return _ints(3) + b"V 1" + _ints(len(name)) + name


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (_ints(9), "nothing of kind 9"),
        (_ints(-1), "nothing of kind -1"),
        (_ints(2, 2**31 - 1), "2147483647 things of 1 bytes should follow"),
        (_ints(2, -5) + b"12345", "-5 things"),
        (_ints(3, 1, 2**30), "1073741824 things of 8 bytes"),
        (_ints(3, 1, -1), "-1 things"),
        (_ints(8, 1, 2**30), "1073741824 things"),
        (_ints(4, 1, 300) + b"n" * 300 + _ints(0), "a name has 300 letters"),
        (_ints(4, 1) + _named(b"torch.DoubleStorage") + struct.pack("<q", 2**62), "things of 8"),
        (_ints(4, 1) + _named(b"torch.ByteStorage") + struct.pack("<q", -1), "-1 things of 1"),
        (_ints(4, 1) + _named(b"torch.FloatTensor") + _ints(2**30), "1073741824 sides"),
        (_ints(4, 1) + _named(b"torch.FloatTensor") + _ints(-3), "-3 sides"),
        (b"\x80\x02}q\x00.", "nothing of kind"),
        (b"", "it is empty"),
        (b"4\n1\n3\nV 1\n13\nnn.Sequential\n", "ASCII form"),
    ],
)
def test_absurd_files(content, match, path):
    _refused(path, content, match)


@pytest.mark.parametrize(
    ("sizes", "strides", "offset", "match"),
    [
        ([3, 3], [3, 1], 1, "reaches beyond its storage"),
        ([6], [1], 2, "reaches beyond"),
        ([2], [2**62], 1, "reaches beyond"),
        ([2**62, 2**62], [2**62, 1], 1, "reaches beyond"),
        ([2], [1], 0, "reaches beyond"),
        ([2], [1], -(2**63), "reaches beyond|argument out of range"),
        ([-2, 3], [3, 1], 1, "sides of -2x3"),
        ([2, 3], [-3, 1], 1, "sides of 2x3"),
    ],
)
def test_tensors_that_reach_beyond_their_storage(sizes, strides, offset, match, path):
    content = _save(path, View(Storage(np.arange(6)), sizes, strides, offset)).read_bytes()
    _refused(path, content, match)


def test_a_tensor_without_a_storage_and_one_that_is_its_own(path):
    head = _ints(4, 1) + _named(b"torch.FloatTensor") + _ints(1) + struct.pack("<3q", 1, 1, 1)
    _refused(path, head + _ints(4, 1), "a part of itself")
    _refused(path, head + _ints(0), "reaches beyond")
    _refused(path, head + _ints(2, 1) + b"x", "no storage where one should be")


def test_a_file_of_nothing_but_objects_ends(path, monkeypatch):
    monkeypatch.setattr(torch7, "_MOST_OBJECTS", 1000)
    content = _ints(3, 1, 2000) + _ints(0) * 4000
    _refused(path, content, "more than 1000 objects")


# --- colornet.t7 --------------------------------------------------------------------------------


def _net(labels=LABELS, seed=0):
    torch.manual_seed(seed)
    net = create_model("iizuka16", width=WIDTH, labels=labels).eval()
    with torch.no_grad():  # norms that are no identity
        for key, value in net.state_dict().items():
            if key.endswith(("norm.weight", "running_var")):
                value.uniform_(0.5, 1.5)
            elif key.endswith(("norm.bias", "running_mean", "conv.bias", "linear.bias")):
                value.uniform_(-0.5, 0.5)
    return net


def _layer(state, prefix, flat=False, old_norm=False):
    def part(name):
        return _view(state[f"{prefix}.{name}"])

    weight = state[f"{prefix}.weight"]
    fields = {"weight": part("weight"), "bias": part("bias"), "gradWeight": part("weight")}
    if weight.ndim == 4:
        if flat:
            fields["weight"] = _view(weight.flatten(1))
        return Object(f"nn.SpatialConvolution{'MM' * flat}", **fields)
    if weight.ndim == 2:
        return Object("nn.Linear", **fields)
    fields["running_mean"] = part("running_mean")
    if old_norm:
        fields["running_std"] = _view((state[f"{prefix}.running_var"] + 1e-3).rsqrt())
        fields["eps"] = 1e-3
    else:
        fields["running_var"] = part("running_var")
    return Object("nn.SpatialBatchNormalization", **fields)


def _sequence(state, prefixes, **settings):
    modules = []
    for prefix in prefixes:
        modules += [_layer(state, prefix, **settings), Object("nn.ReLU")]
    return Object("nn.Sequential", modules=modules)


def _twin(module):
    """A layer of its own that shares its numbers with another one."""
    parts = {
        key: View(value.storage, value.sizes, value.strides) if isinstance(value, View) else value
        for key, value in module.fields.items()
    }
    return Object(module.name, **parts)


def _graph(*modules):
    """A graph as nngraph saves it: nodes in the order of computing, which know their children."""
    nodes = [Object("nngraph.Node", data={"module": module}) for module in modules]
    for before, after in itertools.pairwise(nodes):
        before.fields["children"] = [after]
    return Object("nn.gModule", forwardnodes=nodes, modules=[m for m in modules if m])


def _colornet(state, labels=True, mid_first=True, **settings):
    """As the released program uses it: inputs, shared low-level features, branches, fusion."""

    def of(*begin):
        return [prefix for prefix in ORDER if prefix.startswith(begin)]

    low = _sequence(state, of("low."), **settings)
    shared = Object("nn.Sequential", modules=[_twin(m) for m in low.fields["modules"]])
    mid = _sequence(state, of("mid."), **settings)
    inside = _sequence(state, of("global_conv.", "global_linear."), **settings)
    branches = [mid, shared, inside] if mid_first else [shared, inside, mid]
    ends = [_sequence(state, of("classifier."))] if labels else []
    return {
        "mean": 0.4321,
        "model": _graph(
            None,
            low,
            *branches,
            Object("nn.JoinTable"),
            _sequence(state, of("fusion."), **settings),
            _sequence(state, of("color."), **settings),
            *ends,
        ),
    }


@pytest.fixture
def known(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    spec = WeightsSpec(
        "color", "colorizer", "iizuka16", "CC-BY-NC-SA-4.0", "https://example.org",
        (WeightFile("colornet.t7"),), SETTINGS, foreign=True,
    )  # fmt: skip
    monkeypatch.setattr(catalog, "_KNOWN", (spec,))
    return tmp_path / "colornet.t7"


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("mid_first", [True, False])
@pytest.mark.parametrize("form", [{}, {"flat": True}, {"old_norm": True}])
def test_colornet_becomes_iizuka16(form, mid_first, labels, known):
    net = _net()
    _save(known, _colornet(net.state_dict(), labels, mid_first, **form))
    (made,) = weights.import_files("color", [known])
    assert made.name == "color.safetensors"
    loaded, model = weights.load_model("color")
    assert model == "iizuka16"
    assert loaded.labels == (LABELS if labels else 0)
    assert loaded.gray_mean == pytest.approx(0.4321)
    own = net.state_dict()
    assert set(loaded.state_dict()) == {k for k in own if labels or "classifier" not in k}
    for key, value in loaded.state_dict().items():
        if key != "gray_mean" and "num_batches" not in key:
            torch.testing.assert_close(value, own[key], rtol=1e-4, atol=1e-5)
    net.gray_mean.fill_(0.4321)
    light = torch.rand(1, 1, 32, 40) * 100
    with torch.no_grad():
        torch.testing.assert_close(loaded(light), net(light), rtol=1e-4, atol=2e-3)


def test_columns_and_rows_are_not_exchanged(known):
    """A kernel whose every number is known: (out, in, row, column), row by row."""
    net = _net()
    weight = net.state_dict()["color.3.conv.weight"]
    with torch.no_grad():
        weight.copy_(torch.arange(weight.numel()).view_as(weight))
    _save(known, _colornet(net.state_dict()))
    weights.import_files("color", [known])
    loaded = weights.load_model("color")[0].state_dict()["color.3.conv.weight"]
    assert loaded[0, 1, 2, 0] == 9 + 6  # first output, second input, last row, first column


def _import_fails(known, value, match):
    _save(known, value)
    with pytest.raises(WeightsError, match=match) as caught:
        weights.import_files("color", [known])
    assert len(str(caught.value).splitlines()) == 1
    assert weights.installed() == {}


def test_the_first_layer_that_differs_is_named(known):
    state = _net().state_dict()
    wide = {**state, "mid.1.conv.weight": torch.zeros(8, 16, 5, 5)}
    _import_fails(
        known, _colornet(wide),
        r"colornet\.t7: layer 15 of 44 with weights is a nn\.SpatialConvolution of 8x16x5x5, "
        r"where the network has .*'mid\.1\.conv' \(expected a weight of 8x16x3x3, not 8x16x5x5\)",
    )  # fmt: skip
    other = {**state, "color.0.norm.running_mean": torch.zeros(5)}
    _import_fails(known, _colornet(other), "running_mean of 4, not 5")


def test_layers_too_many_too_few_or_of_another_kind(known):
    state = _net().state_dict()
    value = _colornet(state)
    value["model"].fields["forwardnodes"].append(
        Object("nngraph.Node", data={"module": _layer(_net(seed=1).state_dict(), "low.0.conv")})
    )
    _import_fails(known, value, r"has 45 layers with weights, the network 44: the first .* 2x1x3x3")
    value = _colornet(state)
    del value["model"].fields["forwardnodes"][-2]  # the colors
    _import_fails(known, value, r"has 35 layers with weights and none for 'color\.0\.conv'")
    value = _colornet(state)
    value["model"].fields["forwardnodes"][1:2] = []  # low-level features of one input...
    del value["model"].fields["forwardnodes"][2]  # ... and of the other
    _import_fails(known, value, r"has 32 layers with weights and none for 'low\.0\.conv'")
    value = _colornet(state)
    value["model"].fields["forwardnodes"].append(
        Object("nngraph.Node", data={"module": Object("nn.PReLU", weight=_view(torch.ones(1)))})
    )
    _import_fails(known, value, r"a nn\.PReLU has weights, and is unknown here")


def test_other_files_of_torch7(known):
    model = _colornet(_net().state_dict())["model"]
    _import_fails(known, {"model": model}, "no number `mean`")
    _import_fails(known, model, "no number `mean`")
    _import_fails(known, {"mean": 0.4}, "holds no network of Torch7")
    with pytest.raises(WeightsError, match=r"file of Torch7, .*weights import iizuka16 colornet"):
        weights.load_model(known)
    with pytest.raises(WeightsError, match="is no file"):
        weights.load_model(known.with_name("absent.t7"))


def test_a_container_within_itself_ends(path):
    layer = Object("nn.Linear", weight=_view(torch.ones(2, 2)), bias=_view(torch.ones(2)))
    box = Object("nn.Sequential", modules=[layer])
    box.fields["modules"].append(box)
    layers = torch7_layers.weighted_layers(torch7.read_torch7(_save(path, box)), "f")
    assert [found.name for found in layers] == ["nn.Linear"]


def test_layers_that_fit_in_two_ways_are_refused(path):
    def linear():
        return Object("nn.Linear", weight=_view(torch.rand(2, 2)), bias=_view(torch.rand(2)))

    box = Object("nn.Sequential", modules=[linear(), linear()])
    layers = torch7_layers.weighted_layers(torch7.read_torch7(_save(path, box)), "f")
    shapes = {f"{name}.{part}": size for name in ("one", "two")
              for part, size in (("weight", (2, 2)), ("bias", (2,)))}  # fmt: skip
    with pytest.raises(WeightsError, match="fit the network in 2 ways"):
        torch7_layers.match(layers, ("one", "two"), shapes, "f")


def test_pytorch_files_are_not_taken_for_torch7(tmp_path):
    torch.save(_net().state_dict(), tmp_path / "new.pth")
    torch.save(_net().state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("new.pth", "old.pth"):
        assert not torch7.is_torch7(tmp_path / name)
        tensors, settings, card = formats.gather("iizuka16", SETTINGS, [tmp_path / name])
        assert (settings, card) == (SETTINGS, {})
        assert torch.equal(tensors["gray_mean"], _net().gray_mean)
