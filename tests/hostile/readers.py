"""Every reader of files that a person gives, with valid files to begin with."""

from __future__ import annotations

import base64
import gc
import io
import json
import pickle
import random
import runpy
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from mutations import mutate

from vidcolor import schema
from vidcolor.color.lut import read_cube
from vidcolor.color.measure.networks import read_file
from vidcolor.config import Config
from vidcolor.errors import (
    ConfigError,
    GuidanceError,
    MediaError,
    VidcolorError,
    WeightsError,
)
from vidcolor.evaluate.config import EvaluateConfig
from vidcolor.evaluate.sets.data import CocoSet, read_lines
from vidcolor.evaluate.sets.shelf import TarShelf
from vidcolor.guidance.hints.entries import place, read_hints
from vidcolor.guidance.hints.paintings import read_painting
from vidcolor.guidance.moment import FrameTimes
from vidcolor.guidance.references.entries import ReferenceEntry, load_references
from vidcolor.guidance.script.file import read_script, script_text
from vidcolor.guidance.tracks.file import load_tracks, to_text
from vidcolor.holes.files import read_hole
from vidcolor.io.masks import open_holes
from vidcolor.io.segment_file import Segment, SegmentFile, read_packets, read_segment
from vidcolor.io.shards import Pictures
from vidcolor.models import formats, onnx, torch7, weights
from vidcolor.models.registry import create_model
from vidcolor.records import FrameBatch, VideoInfo
from vidcolor.repair.spots_file import read_verdicts
from vidcolor.stages.boxes_file import BoxesFile
from vidcolor.stages.shots_file import read_shots
from vidcolor.stages.zoo_file import read_zoo
from vidcolor.train.config import TrainConfig
from vidcolor.train.data.labels import read_labels
from vidcolor.train.dataset.coco import CocoBoxes
from vidcolor.train.dataset.finished import read_finished
from vidcolor.train.loop.checkpoint import read_state

__all__ = ["Case", "Finding", "attempt", "cases"]

INFO = VideoInfo(48, 64)
TIMES = FrameTimes(tuple(range(96)), Fraction(1, 25))
MOST_LETTERS = 4000


@dataclass(frozen=True, slots=True)
class Case:
    """A reader.

    Attributes:
        name: For reports.
        file: Name of the file that it reads.
        kind: How to change it, see `mutate`.
        seeds: Valid files.
        read: Reads the file and uses what it holds.
        refuses: What it may raise.
    """

    name: str
    file: str
    kind: str
    seeds: Sequence[bytes]
    read: Callable[[Path], object]
    refuses: type[VidcolorError] | tuple[type[VidcolorError], ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a reader did that it must not do."""

    case: str
    seed: int
    what: str
    data: bytes


def attempt(case: Case, seed: int, folder: Path) -> tuple[bool, Finding | None]:
    """Read one changed file.

    Returns:
        Whether it was read, and what went wrong.
    """
    rng = random.Random(f"{case.name} {seed}")
    data = mutate(rng.choice(case.seeds), case.kind, rng)
    path = folder / case.file
    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case.read(path)
    except case.refuses as error:
        text = str(error)
        if "\n" in text or "\r" in text or len(text) > MOST_LETTERS or not text.isprintable():
            return False, Finding(case.name, seed, f"message {text[:300]!r}", data)
        if path.name not in text and str(path) not in text:
            return False, Finding(case.name, seed, f"names no file: {text[:300]!r}", data)
        return False, None
    except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
        gc.collect()
        return False, Finding(case.name, seed, f"{type(error).__name__}: {error}"[:300], data)
    return True, None


# --- what is done with what was read ------------------------------------------------------------


def _frames() -> list[FrameBatch]:
    luma = torch.zeros(4, 1, *INFO.size, dtype=torch.uint8)
    return [FrameBatch(luma, (0, 1, 2, 3), INFO)]


def _boxes(path: Path) -> object:
    return list(BoxesFile(path)(_frames()))


def _hints(path: Path) -> object:
    return place(read_hints(path), TIMES, INFO)


def _script(path: Path) -> object:
    script = read_script(path, partial(schema.load, Config))
    script.tracks_file()
    script.grades_of_tracks()
    script_text(script)
    return script


def _tracks(path: Path) -> object:
    tracks = load_tracks(path)
    to_text(tracks)
    tracks.seconds(5)
    return [entry.known() for entry in tracks.tracks]


def _cube(path: Path) -> object:
    seen = read_cube(path)(torch.rand(1, 3, 4, 4))
    assert seen.shape == (1, 3, 4, 4)
    return seen


def _config(kind: type) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        config: Any = schema.load(kind, schema.read_toml(path), str(path))
        return schema.to_toml(config)

    return read


def _references(path: Path) -> object:
    (reference,) = load_references((ReferenceEntry(str(path)),))
    return reference.small((64, 96))


def _mask(path: Path) -> object:
    with open_holes(path, INFO) as holes:
        return holes.hole(0)


def _weights(path: Path) -> object:
    network, _ = weights.load_model(path)
    return network


def _tensors(path: Path) -> object:
    return {key: value.sum() for key, value in formats.read_tensors(path).items()}


def _onnx(path: Path) -> object:
    network: Any = onnx.open_onnx(path)
    try:
        with torch.inference_mode():
            return network(torch.full((1, 1, 16, 16), 50.0))
    except RuntimeError as error:
        # whether it answers is known only when asked; it must not crash
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path}: does not answer") from None
    except ValueError:
        raise WeightsError(f"{path}: does not take such pictures") from None


def _torch7(path: Path) -> object:
    waiting, seen = [torch7.read_torch7(path)], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, torch7.Table):
            waiting += [*one.entries.values(), *one.listed()]
        elif isinstance(one, torch7.Record):
            waiting += one.fields.values()
        elif isinstance(one, torch7.StridedTensor):
            try:
                one.to_torch()
            except WeightsError as error:
                raise WeightsError(f"{path}: {error}") from None
    return seen


def _shard(path: Path) -> object:
    pictures = Pictures((str(path),))
    return [(pictures.rgb(i), pictures.boxes(i), pictures.later(i)) for i in range(len(pictures))]


def _shelf(path: Path) -> object:
    shelf = TarShelf(path)
    return [shelf.read(name) for name in shelf.names]


def _labels(path: Path) -> object:
    return read_labels(SimpleNamespace(names=["a.png", "b.png"]), str(path))  # type: ignore[arg-type]


def _segment(path: Path) -> object:
    if read_segment(path) is None:
        raise MediaError(f"{path}: no segment")
    return list(read_packets(path))


# --- valid files --------------------------------------------------------------------------------


def _toml(config: Any) -> bytes:
    return schema.to_toml(config).encode()


def _line(**row: Any) -> bytes:
    return json.dumps(row).encode() + b"\n"


def _png(picture: Any, suffix: str = ".png") -> bytes:
    return bytes(cv2.imencode(suffix, picture)[1].tobytes())


def _colored() -> Any:
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (64, 48))


def _saved(content: Any, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def _tar(**members: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def _t7() -> bytes:
    """A table with a number, a text, a boolean, a function, an object and a tensor."""

    def text(word: str) -> bytes:
        return struct.pack("<i", len(word)) + word.encode()

    def key(word: str) -> bytes:
        return struct.pack("<i", 2) + text(word)

    storage = struct.pack("<ii", 4, 4) + text("V 1") + text("torch.FloatStorage")
    storage += struct.pack("<q6f", 6, *range(6))
    tensor = struct.pack("<ii", 4, 3) + text("V 1") + text("torch.FloatTensor")
    tensor += struct.pack("<i2q2qq", 2, 2, 3, 3, 1, 1) + storage
    fields = struct.pack("<iii", 3, 6, 1) + key("weight") + tensor
    module = struct.pack("<ii", 4, 5) + text("V 1") + text("nn.Linear") + fields
    function = struct.pack("<ii", 8, 7) + text("os.execute('touch owned')") + struct.pack("<i", 0)
    parts = [
        key("mean") + struct.pack("<id", 1, 0.5),
        key("name") + key("net"),
        key("train") + struct.pack("<ii", 5, 1),
        key("f") + function,
        key("layer") + module,
        key("again") + struct.pack("<ii", 4, 3),
    ]
    return struct.pack("<iii", 3, 1, len(parts)) + b"".join(parts)


_CARD = onnx.ExportCard(
    "siggraph17", {"width": 8}, 8, 1, 64, None, None, False, 0, ("instances", "hints"),
    "recipe", "", "", "0",
)  # fmt: skip


def _program() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"n/extra/{onnx.CARD_KEY}.json", _CARD.to_text())
    return file.getvalue()


def _exported() -> bytes:
    import onnx as library
    from onnx import TensorProto, helper

    shape = ("n", 1, "h", "w")
    weight = helper.make_tensor("w", TensorProto.FLOAT, (2, 1, 1, 1), [0.5, -0.5])
    graph = helper.make_graph(
        [helper.make_node("Conv", ["lightness", "w"], ["ab"])],
        "net",
        [helper.make_tensor_value_info("lightness", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("ab", TensorProto.FLOAT, ("n", 2, "h", "w"))],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    library.helper.set_model_props(model, {onnx.CARD_KEY: _CARD.to_text()})
    return bytes(model.SerializeToString())


def _safetensors(folder: Path) -> bytes:
    path = folder / "w.safetensors"
    network = create_model("siggraph17", width=2)
    weights.save_weights(path, network, "siggraph17", {"width": 2}, {"license": "CC0"}, half=True)
    return path.read_bytes()


def _segment_file(folder: Path) -> bytes:
    path = folder / "segment"
    file = SegmentFile(path)
    for pts in range(3):
        file.write(pts, pts == 0, bytes(40 + pts))
    file.finish(Segment("key", 0, 2, 3, 0, "00"))
    return path.read_bytes()


def _coco() -> bytes:
    table = {
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 30], "area": 900}],
        "categories": [{"id": 1, "name": "person"}],
    }
    return json.dumps(table).encode()


_HINTS = {
    "version": 1,
    "hints": [
        {"frame": 12, "points": [31, 14], "color": "steelblue", "radius_px": 2.5},
        {"time": "0:03.5", "points": [40, 6, 60, 6], "color": "#7a4b2c", "reach": 0.5},
        {"pts": 12, "region": [0.1, 0.1, 0.5, 0.5], "unit": "fractions", "color": "lab(60 1 2)"},
        {"track": 4, "whole": True, "color": "ab(-8 22)", "note": "coat"},
    ],
}
_CUBE_1D = b'TITLE "look"\nLUT_1D_SIZE 3\nDOMAIN_MIN 0 0 0\n0 0 0\n0.5 0.4 0.6\n1 1 1\n'
_CUBE_3D = b"# c\nLUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 0 1\n" + b"".join(
    f"{i % 2} {i // 2 % 2} {i // 4}\n".encode() for i in range(8)
)
_FINISHED = b"""version = 1
identity = "abc"
shards = ["train-000000.tar"]
[[sources]]
name = "film.mkv"
kind = "film"
frames = 10
looked = 10
train = 8
val = 2
broken = ""
[sources.dropped]
dark = 1
"""


_TESTS = Path(__file__).resolve().parents[1]
_ROOT = _TESTS.parent / "configs"
_CONFIGS = {
    "archive": (_ROOT / "archive.toml").read_bytes(),
    "train": (_ROOT / "train" / "eccv16-paper.toml").read_bytes(),
    "evaluate": _toml(EvaluateConfig()),
}


def _texts() -> list[Case]:
    script = runpy.run_path(str(_TESTS / "guidance" / "scripts.py"))["SCRIPT"]
    boxes = _line(frame=0, pts=0, time=0.0, boxes=[[1, 2, 30, 40]], scores=[0.9], labels=["person"])
    boxes += _line(frame=2, boxes=[[1, 2.5, 30, 40], [0, 0, 5, 5]], ids=[1, 2])
    with_ids = _line(frame=0, pts=0, boxes=[[1, 2, 30, 40]], ids=[7])
    shots = {
        "shots": [
            {"shot": 0, "start": 0, "end": 47, "pts": 0, "time": 0.0, "end_time": 2.0},
            {"start": 48, "end": 60},
        ]
    }
    tracks: dict[str, Any] = {
        "version": 1,
        "begin": 0,
        "time_base": "1/25",
        "tracks": [
            {"id": 1, "identity": "man", "color": "gray", "until": "0:02.5", "box": [0, 0, 9, 9]},
            {
                "id": 1,
                "identity": "boy",
                "since": 2.5,
                "template": base64.b64encode(bytes(256)).decode(),
            },
        ],
    }
    spots = _line(frame=12, pts=12, kind="dust", box=[4, 5, 9, 9], area=9, confidence=0.9,
                  source="auto", state="accepted") * 2  # fmt: skip
    text = "text"
    return [
        Case(
            "boxes",
            "b.jsonl",
            "lines",
            (boxes.splitlines(True)[0], with_ids),
            _boxes,
            GuidanceError,
        ),
        Case("shots", "s.json", "json", (json.dumps(shots).encode(),), read_shots, GuidanceError),
        Case("hints", "h.json", "json", (json.dumps(_HINTS).encode(),), _hints, GuidanceError),
        Case("tracks", "t.json", "json", (json.dumps(tracks).encode(),), _tracks, GuidanceError),
        Case("spots", "v.jsonl", "lines", (spots,), read_verdicts, GuidanceError),
        Case("script", "film.vidcolor", text, (script.encode(),), _script, GuidanceError),
        Case("cube", "look.cube", text, (_CUBE_1D, _CUBE_3D), _cube, GuidanceError),
        Case(
            "config",
            "c.toml",
            text,
            (_toml(Config()), _CONFIGS["archive"]),
            _config(Config),
            ConfigError,
        ),
        Case(
            "train config", "t.toml", text, (_CONFIGS["train"],), _config(TrainConfig), ConfigError
        ),
        Case(
            "evaluate config",
            "e.toml",
            text,
            (_CONFIGS["evaluate"],),
            _config(EvaluateConfig),
            ConfigError,
        ),
        Case(
            "list of pictures", "l.txt", text, (b"# a\na.png\nb/c.png\n",), read_lines, MediaError
        ),
        Case(
            "labels",
            "l.csv",
            text,
            (b"name,category\na.png,sea\nb.png,hill\n",),
            _labels,
            (MediaError, ConfigError),
        ),
        Case(
            "boxes of COCO",
            "c.json",
            "json",
            (_coco(),),
            lambda p: CocoBoxes([str(p)]),
            GuidanceError,
        ),
        Case(
            "pictures of COCO",
            "c.json",
            "json",
            (_coco(),),
            lambda p: CocoSet(p, p.parent),
            MediaError,
        ),
        Case(
            "finished set",
            "dataset.toml",
            text,
            (_FINISHED,),
            lambda p: read_finished(p.parent, SimpleNamespace(identity="abc")),
            (MediaError, ConfigError),
        ),
    ]


def _pictures() -> list[Case]:
    gray = cv2.cvtColor(_colored(), cv2.COLOR_BGR2GRAY)
    whole = _png(_colored())
    deep = _png((_colored().astype(np.uint16) * 257), ".tif")
    mask = _png(np.uint8(gray > 128) * 255)
    painting = partial(read_painting, info=INFO, size=(12, 16))
    pictures = (whole, deep, _png(_colored(), ".jpg"))
    notes = json.dumps({"source": "f", "shot": 1, "boxes": [[0, 0, 9, 9]], "scores": [1]}).encode()
    shard = _tar(a_png=whole, a_json=notes, b_jpg=pictures[2], a_next_png=whole)
    return [
        Case("painted frame", "0001.png", "bytes", pictures, painting, GuidanceError),
        Case("reference", "r.png", "bytes", pictures, _references, GuidanceError),
        Case("mask", "m.png", "bytes", (mask,), _mask, MediaError),
        Case("hole", "m.png", "bytes", (mask,), read_hole, MediaError),
        Case("shard", "s.tar", "bytes", (shard,), _shard, MediaError),
        Case("tar of pictures", "s.tar", "bytes", (shard,), _shelf, MediaError),
    ]


def _networks(folder: Path) -> list[Case]:
    tensors = {
        "a.weight": torch.ones(2, 3),
        "b": torch.ones(1),
        "c": torch.ones(2, dtype=torch.half),
    }
    state = {"step": 3, "model": tensors, "optimizer": {"state": {0: {"m": torch.ones(2)}}}}
    zoo = pickle.dumps({"model": {"w": np.ones((2, 3), np.float32)}}, protocol=2)
    saved = (_saved({"state_dict": tensors}), _saved(tensors, zipped=False))
    measured = partial(read_file, what="a network", get="get it")
    ours = (_safetensors(folder),)
    settings = ("metadata of safetensors", "w.safetensors", "header")
    return [
        Case("safetensors", "w.safetensors", "bytes", ours, _weights, WeightsError),
        Case(*settings, ours, _weights, WeightsError),
        Case("pth", "w.pth", "bytes", saved, _tensors, WeightsError),
        Case("training state", "s.pt", "bytes", (_saved(state),), read_state, WeightsError),
        Case("network of a metric", "m.pth", "bytes", saved[1:], measured, WeightsError),
        Case("t7", "n.t7", "bytes", (_t7(),), _torch7, WeightsError),
        Case("onnx", "n.onnx", "bytes", (_exported(),), _onnx, WeightsError),
        Case("pt2", "n.pt2", "bytes", (_program(),), onnx.read_export, WeightsError),
        Case("model zoo", "n.pkl", "bytes", (zoo,), read_zoo, WeightsError),
        Case("segment", "s.segment", "bytes", (_segment_file(folder),), _segment, MediaError),
    ]  # fmt: skip


def cases(folder: Path) -> list[Case]:
    """All of them.

    Args:
        folder: For files that are made on the way.
    """
    return [*_texts(), *_pictures(), *_networks(folder)]
