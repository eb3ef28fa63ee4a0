"""Weight files and archives: data, never code; no larger than they are; nothing outside of them."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import readers
import safetensors.torch
import torch

from vidcolor.color.measure.networks import read_file
from vidcolor.errors import MediaError, WeightsError
from vidcolor.io.shards import Pictures
from vidcolor.models import formats, torch7, weights
from vidcolor.stages.zoo_file import read_zoo
from vidcolor.tensor_file import Bounded, load_saved
from vidcolor.train.loop.checkpoint import read_state, write_state

FILES = 60
NAMES = (
    "safetensors", "metadata of safetensors", "pth", "training state", "network of a metric", "t7",
    "onnx", "pt2", "model zoo", "segment", "shard", "tar of pictures",
)  # fmt: skip


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    return {case.name: case for case in readers.cases(folder)}


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_file_is_read_or_refused_in_one_line(cases, name, tmp_path):
    case = cases[name]
    for data in case.seeds:
        (tmp_path / case.file).write_bytes(data)
        case.read(tmp_path / case.file)
    found = [readers.attempt(case, seed, tmp_path) for seed in range(FILES)]
    assert [finding for _, finding in found if finding] == []
    assert not all(good for good, _ in found)


# segments lie in a folder of our own
@pytest.mark.parametrize("name", [name for name in NAMES if name != "segment"])
def test_what_is_no_file_is_refused_and_not_waited_for(cases, name, tmp_path):
    case = cases[name]
    path = tmp_path / case.file
    os.mkfifo(path)
    with pytest.raises(case.refuses):
        case.read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(case.refuses):
        case.read(path)


# --- code ---------------------------------------------------------------------------------------


class Program:
    """What runs when a pickle of it is loaded by one who trusts it."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


def _malicious(mark):
    evil = Program(mark)
    zipped, old = io.BytesIO(), io.BytesIO()
    torch.save({"a": torch.ones(2), "b": evil}, zipped)
    torch.save({"a": torch.ones(2), "b": evil}, old, _use_new_zipfile_serialization=False)
    return {
        "zip": zipped.getvalue(),
        "old": old.getvalue(),
        "bare": pickle.dumps(evil),
        "model": pickle.dumps({"model": {"w": np.ones(2), "x": evil}}),
    }


@pytest.mark.parametrize("kind", ["zip", "old", "bare", "model"])
def test_no_program_in_a_pickle_runs(kind, tmp_path):
    mark = tmp_path / "ran"
    data = _malicious(mark)[kind]
    for name, read in {
        "w.pth": formats.read_tensors,
        "w.ckpt": weights.load_model,
        "s.pt": read_state,
        "z.pkl": read_zoo,
        "m.pth": lambda path: read_file(path, "a network", "get it"),
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(WeightsError) as error:
            read(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
        assert not mark.exists()
    if kind == "bare":  # the file is what it seems to be: who trusts it runs it
        pickle.loads(data)
        assert mark.exists()


def test_functions_of_torch7_are_passed_over(cases, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "n.t7"
    path.write_bytes(cases["t7"].seeds[0])
    root = torch7.read_torch7(path)
    assert root.entries["f"].name == "function"
    assert root.entries["mean"] == 0.5
    assert root.entries["layer"].fields["weight"].to_torch().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not (tmp_path / "owned").exists()


# --- sizes --------------------------------------------------------------------------------------


def _saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _compressed(data):
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(1).expand(1 << 20, 1 << 20), "1048576x1048576, larger than the file"),
        (torch.zeros(1 << 40, device="meta"), "not in memory"),
        (torch.eye(3).to_sparse(), "sparse"),
        (torch.eye(3).to_sparse_csr(), "sparse"),
    ],
)
def test_tensors_that_claim_more_than_the_file_has_are_refused(tmp_path, content, message):
    for name, read in (("w.pth", formats.read_tensors), ("s.pt", read_state)):
        (tmp_path / name).write_bytes(_saved({"model": {"a": content}}))
        with pytest.raises(WeightsError, match=message):
            read(tmp_path / name)


def test_a_bomb_in_a_zip_is_not_unpacked(tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(_compressed(_saved({"a": torch.zeros(8 << 20)})))
    assert path.stat().st_size < 200_000
    with pytest.raises(WeightsError, match="would unpack to more than it is"):
        formats.read_tensors(path)
    path = tmp_path / "checkpoints.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("G", "GF", "GComp"):
            archive.writestr(f"latest_net_{name}.pth", bytes(8 << 20))
    with pytest.raises(WeightsError, match="would unpack to 24 MB"):
        formats.gather("instcolor", {}, [path])


def test_names_with_folders_in_an_archive_lead_nowhere(tmp_path):
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    path = inside / "checkpoints.zip"
    good = _saved({"x": torch.ones(1)})
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../../latest_net_G", "/latest_net_GF", "../latest_net_GComp"):
            archive.writestr(f"{name}.pth", good)
    with pytest.raises(WeightsError, match="made for another network"):
        formats.gather("instcolor", {}, [path])
    old = tmp_path / "old.pth"
    with tarfile.open(old, "w") as archive:
        for name in ("../escaped", "storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(WeightsError, match=r"old\.pth is damaged or no weight file"):
        formats.read_tensors(old)
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert files == ["a/b/checkpoints.zip", "old.pth"]


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("siggraph17", '{"width": 3000}', "far larger than the file"),
        ("siggraph17", '{"width": 1e400}', "cannot make siggraph17"),
        ("siggraph17", '{"width": "x"}', "cannot make siggraph17"),
        ("siggraph17", '{"width": ' + "9" * 5000 + "}", "settings are no JSON object"),
        ("siggraph17", "[" * 100_000, "settings are no JSON object"),
        ("siggraph17", "[]", "settings are no JSON object"),
        ("x\n" * 1000, "{}", r"cannot make x\\nx"),
    ],
)
def test_settings_in_a_file_cannot_ask_for_any_network(tmp_path, model, settings, message):
    path = tmp_path / "w.safetensors"
    told = {"model": model, "settings": settings}
    path.write_bytes(safetensors.torch.save({"a": torch.ones(1)}, told))
    with pytest.raises(WeightsError, match=message) as error:
        weights.load_model(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_tensors_are_counted_before_they_are_filled():
    with pytest.raises(ValueError, match="far larger"), Bounded(1 << 30):
        torch.nn.Linear(1 << 16, 1 << 15)
    with Bounded(1000):
        assert torch.nn.Linear(10, 10).weight.shape == (10, 10)


@pytest.mark.parametrize("code", [b"\x96", b"\x95", b"\x8d", b"\x8e"])
def test_lengths_of_a_pickle_are_not_believed(tmp_path, code):
    data = b"\x80\x05" + code + struct.pack("<Q", 1 << 40) + b"."
    for name, read in (("w.pth", formats.read_tensors), ("z.pkl", read_zoo)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(WeightsError):
            read(tmp_path / name)


def test_arrays_of_the_zoo_are_read_as_data(tmp_path):
    path = tmp_path / "z.pkl"
    arrays = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "n": np.float32(2.5),
    }
    for protocol in (2, 3, 4):
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "x"}, protocol))
        read = read_zoo(path)
        assert list(read) == list(arrays)
        for key, value in arrays.items():
            assert np.array_equal(read[key].numpy(), value)
    for odd in (np.array([None, {}]), np.array(["text"]), np.zeros(2, "datetime64[s]")):
        path.write_bytes(pickle.dumps({"model": {"w": odd}}, 4))
        with pytest.raises(WeightsError, match=r"z\.pkl: is no pickle of arrays"):
            read_zoo(path)


def test_an_array_that_lies_about_its_shape_is_no_array(tmp_path):
    good = pickle.dumps({"model": {"w": np.zeros((2, 3), np.float32)}}, 2)
    assert b"K\x02K\x03" in good
    path = tmp_path / "z.pkl"
    path.write_bytes(good.replace(b"K\x02K\x03", b"K\x7fK\x7f"))
    with pytest.raises(WeightsError, match="cannot reshape"):
        read_zoo(path)


# --- training, shards ---------------------------------------------------------------------------


def test_a_state_that_is_none_is_refused(tmp_path):
    path = tmp_path / "state.pt"
    for data in (b"", b"x", _saved([1, 2]), _saved(torch.ones(2))):
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=r"state\.pt: not a readable training state \(.+\)"):
            read_state(path)
    state = {"step": 3, "model": {"a": torch.ones(2)}, "circle": []}
    write_state(path, state)
    assert read_state(path)["step"] == 3


def test_lists_that_hold_themselves_are_walked_once():
    circle = []
    circle += [circle, {"x": circle}]
    assert load_saved(io.BytesIO(_saved({"a": circle})))["a"][0] is not None


def test_members_of_a_shard_are_as_large_as_they_are(tmp_path, cases):
    path = tmp_path / "s.tar"
    entry = tarfile.TarInfo("a.png")
    entry.size = 1 << 40
    path.write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(MediaError, match=r"s\.tar: not a readable tar file: a\.png claims"):
        Pictures((str(path),))
    entry.size = 4096
    path.write_bytes(entry.tobuf() + bytes(1024))
    with pytest.raises(MediaError, match=r"s\.tar: not a readable tar file"):
        Pictures((str(path),))


@pytest.mark.parametrize(
    "notes", [b"[" * 100_000, b'{"time": ' + b"9" * 5000 + b"}", b"\xff", b"[]"]
)
def test_notes_that_are_none_are_refused(tmp_path, cases, notes):
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        for name, data in (("a.png", readers._png(readers._colored())), ("a.json", notes)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    with pytest.raises(MediaError, match=r"s\.tar: a\.json: not readable notes|notes"):
        Pictures((str(path),))


def test_what_is_written_is_read(tmp_path):
    tensors = {"a.weight": torch.randn(3, 4), "n": torch.tensor(3)}
    torch.save({"state_dict": tensors}, tmp_path / "w.pth")
    read = formats.read_tensors(tmp_path / "w.pth")
    assert all(torch.equal(read[key], tensors[key]) for key in tensors)
    card = {"license": "CC0", "numbers": [1, 2.5], "text": "ä\n\x7f"}
    formats.write_tensors(tmp_path / "w.safetensors", tensors, "x", {"width": 2}, card)
    assert formats.stated(tmp_path / "w.safetensors") == ("x", {"width": 2}, card)
