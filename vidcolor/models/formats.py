"""Weight files: reading, renaming foreign keys, strict checks, writing.

A file of ours is safetensors whose metadata has `model` (a registered name), `settings` (of its
builder) and `card` (license, data, numbers), the last two as JSON. Foreign files are read as
tensors only; a pickle that holds more is refused, and of a file of Torch7 nothing is run.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import lzma
import os
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from vidcolor.errors import ConfigError, WeightsError
from vidcolor.given import one_line, shown
from vidcolor.models import partialconv_files, torch7, torch7_layers
from vidcolor.models.registry import create_model
from vidcolor.tensor_file import Bounded, Unfilled, load_saved

__all__ = [
    "Tensors",
    "build_model",
    "check_model",
    "check_signs",
    "gather",
    "guess_network",
    "read_metadata",
    "read_tensors",
    "stated",
    "write_tensors",
]

Tensors = dict[str, Tensor]

_WRAPPERS = ("state_dict", "params", "model")  # names under which files keep their tensors
_COUNTER = "num_batches_tracked"
_SHOWN = 3  # keys that an error names

# of InstColorization: part of our network, its file, prefix in OpenMMLab's single file
_PARTS = (
    ("full", "latest_net_GComp.pth", "image_model"),
    ("instance", "latest_net_G.pth", "instance_model"),
    ("fusion", "latest_net_GF.pth", "fusion_model"),
)
_MOST_GROWTH = 20  # that an archive may grow by when unpacked; weights hardly do
_LONGEST_REASON = 400
_NAME_SHOWN = 100  # letters of a network's name in an error
_SLACK = 1 << 28  # elements that a network may have beside those of its file: a gigabyte
_BAD_ZIP = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError,
    NotImplementedError, LookupError, struct.error, OverflowError,
)  # fmt: skip
_FOLDER = "coco_finetuned_mask_256_ffs"  # of the files to take, where a zip has several
_CLASSIFIER = "classifier"  # of Iizuka et al., beside what colors
_FAMILIES = (  # beginnings of keys, and whose they are
    ("image_model.", "OpenMMLab's InstColorization"),
    ("global_linear.", "iizuka16"),
    ("encoder.stem.", "quarternet"),  # which may have a fusion too
    ("encoder.0.conv.", "partialconv"),
    ("enc_1.conv.input_conv.", "naoto0804's partial convolutions"),
    ("generator.encoder.enc1.", "OpenMMLab's partial convolutions"),
    ("fusion.", "instcolor"),
    ("encoder.arch.", "ddcolor"),
    ("layers.11.0.", "deoldify"),
    ("head.deepest.", "residual_encoder"),
    ("trunk.features.", "hypercolumn"),
    ("roi_heads.mask_predictor.", "torchvision's Mask R-CNN"),
    ("roi_heads.box_predictor.", "torchvision's Faster R-CNN"),
    ("Mixed_5b.", "an Inception v3 (of FID, or of torchvision)"),
    ("downsample_layers.", "a ConvNeXt, where a ddcolor can begin"),
    ("layer1.0.conv1.", "a ResNet, where a deoldify can begin"),
    ("features.0.", "a VGG or AlexNet, where others begin or measure"),
)
_ONE_LAYER = re.compile(
    r"(model8up|model3short8|model9up|model2short9|model10up|model1short10|model_class)"
    r"\.(weight|bias)"
)


# --- reading ------------------------------------------------------------------------------------


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty for others.

    Raises:
        WeightsError: If the file is missing or damaged.
    """
    if not _is_safetensors(path):
        return {}
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path} is damaged or no safetensors file: {_line(error)}") from None
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None


def stated(path: Path) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
    """What a file of ours says of itself.

    Returns:
        The registered network, the settings of its builder, and the card; None of other files.

    Raises:
        WeightsError: If the file is missing or damaged.
    """
    metadata = read_metadata(path)
    if "model" not in metadata:
        return None
    return metadata["model"], _object(path, metadata, "settings"), _object(path, metadata, "card")


def _object(path: Path, metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    try:
        value = json.loads(metadata.get(key, "{}"))
    except (ValueError, RecursionError):  # numbers of a million digits, lists in lists in lists
        value = None
    if not isinstance(value, dict):
        raise WeightsError(f"{path}: its {key} are no JSON object; the file is damaged")
    return value


def read_tensors(path: Path) -> Tensors:
    """All tensors of a weight file, on the CPU.

    A `module.` before every key (DataParallel) and what is around all of them (`state_dict`,
    `params`, `model`) are taken off.

    Raises:
        WeightsError: If the file is missing, damaged, or holds more than tensors.
    """
    if _is_safetensors(path):
        try:
            return dict(safetensors.torch.load_file(path))
        except safetensors.SafetensorError as error:
            raise WeightsError(
                f"{path} is damaged or no safetensors file: {_line(error)}"
            ) from None
        except OSError as error:
            raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        if torch7.is_torch7(path):
            raise WeightsError(
                f"{path} is a file of Torch7, to be converted first: vidcolor weights import "
                f"iizuka16 {path.name}"
            )
        with path.open("rb") as file:
            return _read_pickle(file, str(path))
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None


def _is_safetensors(path: Path) -> bool:
    if not path.is_file():
        raise WeightsError(f"{path} is no file")
    return path.suffix == ".safetensors"


def _read_pickle(file: BinaryIO, name: str) -> Tensors:
    try:
        content = load_saved(file)
    except pickle.UnpicklingError:
        raise WeightsError(
            f"{name} is damaged, or holds more than tensors and is refused, since such a file "
            f"could run any program; if you trust its makers, take its tensors out where nothing "
            f"can be lost (torch.load with weights_only=False, torch.save of the state dict alone)"
        ) from None
    except ValueError as error:
        raise WeightsError(f"{name} is damaged or no weight file: {_line(error)}") from None
    if isinstance(content, Mapping):
        inside = (content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping))
        content = next(inside, content)
    if not isinstance(content, Mapping):
        raise WeightsError(f"{name} holds a {type(content).__name__}, not named tensors")
    tensors = {key: value for key, value in content.items() if key != "_metadata"}
    for key, value in tensors.items():
        if not isinstance(key, str):
            raise WeightsError(f"{name} has {shown(key)} for a name of a tensor, which is no text")
        if not isinstance(value, Tensor):
            raise WeightsError(f"{name}: {shown(key)} is a {type(value).__name__}, not a tensor")
    if tensors and all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


# --- foreign files ------------------------------------------------------------------------------


def gather(
    model: str, settings: Mapping[str, Any], paths: Sequence[Path]
) -> tuple[Tensors, dict[str, Any], dict[str, Any]]:
    """The tensors of a network, from one or several files in our or foreign form.

    Args:
        model: Registered name.
        settings: Of its builder, for files that do not say.
        paths: Of the files.

    Returns:
        The tensors; the settings that they are for; the card of a file of ours, else empty.

    Raises:
        WeightsError: If files are missing, damaged, or made for another network.
    """
    own = stated(paths[0]) if len(paths) == 1 else None
    chosen, card = dict(settings), {}
    if own is not None:
        if own[0] != model:
            raise WeightsError(f"{paths[0]} is for {own[0]}, not for {model}")
        tensors, chosen, card = read_tensors(paths[0]), own[1], own[2]
    elif model == "instcolor":
        tensors = _gather_instcolor(paths)
    elif len(paths) != 1:
        raise WeightsError(f"{model} is one file, not {len(paths)}")
    elif model == "iizuka16" and torch7.is_torch7(paths[0]):
        tensors, chosen = _from_torch7(paths[0], settings)
    elif model == "partialconv":
        partialconv_files.refuse_keras(paths[0])
        tensors = read_tensors(paths[0])
        tensors = partialconv_files.from_foreign(tensors, settings, paths[0].name)
    else:
        tensors = read_tensors(paths[0])
    name = ", ".join(path.name for path in paths)
    return check_model(tensors, model, chosen, name), chosen, card


def _gather_instcolor(paths: Sequence[Path]) -> Tensors:
    if len(paths) == 1:
        path = paths[0]
        names = _members(path)
        if names is not None:
            try:
                with zipfile.ZipFile(path) as archive:
                    _check_growth(archive, path, names.values())
                    files = {part: archive.read(name) for part, name in names.items()}
            except _BAD_ZIP as error:
                raise WeightsError(f"{path} is damaged: {_line(error)}") from None
            parts = {
                part: _read_pickle(io.BytesIO(content), f"{path}:{names[part]}")
                for part, content in files.items()
            }
            return _join(parts)
        tensors = read_tensors(path)
        if any(key.startswith("image_model.") for key in tensors):
            return _from_openmmlab(tensors)
        if any(key.startswith("fusion.") for key in tensors):
            return tensors
    part_of = {file: part for part, file, _ in _PARTS}
    given = {part_of.get(path.name): path for path in paths}
    if len(paths) != len(_PARTS) or None in given or len(given) != len(_PARTS):
        raise WeightsError(
            f"instcolor takes the three files {', '.join(part_of)}, the zip that holds them, or "
            f"OpenMMLab's single file; got {', '.join(path.name for path in paths) or 'none'}"
        )
    return _join({part: read_tensors(given[part]) for part, _, _ in _PARTS})


def _members(path: Path) -> dict[str, str] | None:
    """Of a zip, the member for each part; None for a weight file (which may be a zip inside)."""
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _BAD_ZIP as error:
        raise WeightsError(f"{path} is damaged: {_line(error)}") from None
    if not any(name.endswith(".pth") for name in names):
        return None
    found = {}
    for part, file, _ in _PARTS:
        same = [name for name in names if name.rpartition("/")[2] == file]
        chosen = [name for name in same if _FOLDER in name.split("/")] or same
        if len(chosen) != 1:
            listed = ", ".join(chosen) or "none"
            raise WeightsError(f"{path}: need one {file}, in {_FOLDER}/, found {listed}")
        found[part] = chosen[0]
    return found


def _check_growth(archive: zipfile.ZipFile, path: Path, names: Iterable[str]) -> None:
    size = sum(archive.getinfo(name).file_size for name in names)
    if size > _MOST_GROWTH * path.stat().st_size:
        raise WeightsError(
            f"{path} would unpack to {size >> 20} MB, far more than weights can be compressed; it "
            "is no archive of weights"
        )


def _join(parts: Mapping[str, Tensors]) -> Tensors:
    return {
        f"{part}.{key}": value for part, tensors in parts.items() for key, value in tensors.items()
    }


def _from_openmmlab(tensors: Tensors) -> Tensors:
    prefixes = {foreign: part for part, _, foreign in _PARTS}
    renamed = {}
    for key, value in tensors.items():
        prefix, _, rest = key.partition(".")
        rest = _ONE_LAYER.sub(r"\1.0.\2", rest) if _ONE_LAYER.fullmatch(rest) else rest
        renamed[f"{prefixes.get(prefix, prefix)}.{rest}"] = value
    return renamed


def _from_torch7(path: Path, settings: Mapping[str, Any]) -> tuple[Tensors, dict[str, Any]]:
    """Of `colornet.t7`; without a classifier, which nothing needs to color, `labels` is 0."""
    from vidcolor.models.iizuka16 import TORCH7_ORDER

    root = torch7.read_torch7(path)
    mean = root.entries.get("mean") if isinstance(root, torch7.Table) else None
    if not isinstance(mean, float):
        raise WeightsError(f"{path} has no number `mean` beside its network, as colornet.t7 has")
    state = _create("iizuka16", settings, path.name).state_dict()
    tensors = torch7_layers.match(
        torch7_layers.weighted_layers(root, path.name),
        TORCH7_ORDER,
        {key: value.shape for key, value in state.items()},
        path.name,
        optional=(_CLASSIFIER,),
    )
    chosen = dict(settings)
    if not any(key.startswith(f"{_CLASSIFIER}.") for key in tensors):
        chosen["labels"] = 0
    return {**tensors, "gray_mean": torch.tensor(mean)}, chosen


def guess_network(tensors: Mapping[str, Tensor]) -> str:
    """In words, the network that tensors seem to be made for."""
    keys = set(tensors)
    first = tensors.get("model1.0.weight")
    if {"model1.0.weight", "model10.1.weight"} <= keys and first is not None and first.ndim == 4:
        if any(key.startswith("weight_layer") for key in keys):
            return "InstColorization's fusion net (latest_net_GF.pth)"
        return f"siggraph17 of width {len(first)}, or a part of InstColorization"
    if first is not None and "model8.6.weight" in keys:
        return "eccv16 of Zhang et al. 2016"
    for prefix, name in _FAMILIES:
        if any(key.startswith(prefix) for key in keys):
            return name
    return f"a network unknown here (its first key is {next(iter(tensors), 'none')!r})"


# --- networks -----------------------------------------------------------------------------------


def _create(
    model: str, settings: Mapping[str, Any], name: str, tensors: Tensors | None = None
) -> nn.Module:
    # not on the meta device: its first use imports torch's compiler, which takes seconds
    whole = sum(value.numel() for value in (tensors or {}).values())
    try:
        with Bounded(2 * whole + _SLACK), Unfilled():  # some are made twice
            return create_model(model, **settings)
    except (
        ConfigError, TypeError, ValueError, RuntimeError, ArithmeticError, LookupError, MemoryError,
        AttributeError, AssertionError, RecursionError,
    ) as error:  # fmt: skip
        made = f"cannot make {one_line(model[:_NAME_SHOWN])} with {shown(dict(settings))}"
        raise WeightsError(f"{name}: {made}: {_line(error)[:_LONGEST_REASON]}") from None


def _settings_text(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), sort_keys=True)


def check_model(tensors: Tensors, model: str, settings: Mapping[str, Any], name: str) -> Tensors:
    """Compare keys and shapes with those of a network.

    Args:
        tensors: By key.
        model: Registered name.
        settings: Of its builder.
        name: Of the file, for the error.

    Returns:
        `tensors`, with `num_batches_tracked` set to 0 where old files lack it, with what the
        network can work out of the others (its static method `complete`), and with its own values
        for what files may lack (its attribute `optional`, beginnings of keys).

    Raises:
        WeightsError: If a key or shape differs; it names the first ones and the network that
            the file seems to be made for.
    """
    return _compare(tensors, _create(model, settings, name, tensors), model, name)


def _compare(tensors: Tensors, module: nn.Module, model: str, name: str) -> Tensors:
    own = module.state_dict()
    complete = getattr(module, "complete", None)
    if complete is not None:
        with contextlib.suppress(RuntimeError):  # shapes that do not fit are named below
            tensors = complete(tensors)
    optional: tuple[str, ...] = getattr(module, "optional", ())
    kept = {k: v for k, v in own.items() if k not in tensors and k.startswith(optional)}
    missing = [k for k in own if k not in tensors and k not in kept and not k.endswith(_COUNTER)]
    unexpected = [key for key in tensors if key not in own]
    differing = [
        f"{key!r} is {_shape(value.shape)}, not {_shape(own[key].shape)}"
        for key, value in tensors.items()
        if key in own and value.shape != own[key].shape
    ]
    faults = []
    if missing:
        faults.append(f"missing {_some(map(repr, missing), len(missing))}")
    if unexpected:
        faults.append(f"unexpected {_some(map(repr, unexpected), len(unexpected))}")
    if differing:
        faults.append(_some(differing, len(differing)))
    if faults:
        raise WeightsError(
            f"{name} was made for another network than {model}: {'; '.join(faults)}; "
            f"it seems to be {guess_network(tensors)}"
        )
    counters = {k: torch.zeros((), dtype=torch.int64) for k in own if k.endswith(_COUNTER)}
    return {**counters, **kept, **tensors}


def check_signs(
    tensors: Tensors, signs: Mapping[str, tuple[int, ...]], what: str, name: str
) -> None:
    """Compare some entries with those that a network is known by.

    Args:
        tensors: By key.
        signs: Shapes by key.
        what: Name of the network.
        name: Of the file, for the error.

    Raises:
        WeightsError: If one is missing or of another shape.
    """
    for key, shape in signs.items():
        if key not in tensors or tuple(tensors[key].shape) != shape:
            has = _shape(tensors[key].shape) if key in tensors else "missing"
            raise WeightsError(
                f"{name} is not {what}: {key!r} is {has}, not {_shape(torch.Size(shape))}; "
                f"it seems to be {guess_network(tensors)}"
            )


def _shape(shape: torch.Size) -> str:
    return "x".join(map(str, shape)) or "a number"


def _some(items: Iterable[str], count: int) -> str:
    shown = ", ".join(itertools.islice(items, _SHOWN))
    return shown if count <= _SHOWN else f"{shown} and {count - _SHOWN} more"


def build_model(tensors: Tensors, model: str, settings: Mapping[str, Any], name: str) -> nn.Module:
    """A network with weights, float32, on the CPU, in evaluation mode.

    Raises:
        WeightsError: See `check_model`.
    """
    module = _create(model, settings, name, tensors)
    tensors = _compare(tensors, module, model, name)
    whole = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    module.load_state_dict(whole, assign=True)
    return module.eval()


# --- writing ------------------------------------------------------------------------------------


def write_tensors(
    path: Path,
    tensors: Mapping[str, Tensor],
    model: str,
    settings: Mapping[str, Any],
    card: Mapping[str, Any],
    half: bool = False,
) -> None:
    """Write a weight file of ours; it appears whole or not at all.

    Args:
        path: Ends in `.safetensors`; its folder is made.
        tensors: By key.
        model: Registered name.
        settings: Of its builder.
        card: Anything that JSON can hold.
        half: Store weights with two or more dimensions as float16. Biases and statistics stay
            float32.

    Raises:
        WeightsError: If a weight is not finite or too large for `half`, or the file cannot be
            written.
    """
    stored = {}
    for key, value in tensors.items():
        kept = value.detach().cpu()
        if half and kept.is_floating_point() and kept.ndim >= 2:
            kept = kept.half()
        if kept.is_floating_point() and not kept.isfinite().all():
            kind = "too large for float16 or not finite" if half else "not finite"
            raise WeightsError(f"{path}: {key!r} has values that are {kind}")
        stored[key] = kept.clone(memory_format=torch.contiguous_format)
    metadata = {
        "model": model,
        "settings": _settings_text(settings),
        "card": json.dumps(dict(card), sort_keys=True),
    }
    # a name of its own: two programs may write the same file at once
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # not save_file, which lets nobody else read the file
        part.write_bytes(safetensors.torch.save(stored, metadata))
        part.replace(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"cannot write {path}: {_line(error)}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
