"""The door to weights: list, get, load, save.

`load_model("starter")` gives a colorizer ready to use, `load_inpainter("repair")` a network that
fills holes; `fetch` and `import_files` install those that are known (`vidcolor.models.catalog`);
`save_weights` writes what training made.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vidcolor.errors import WeightsError
from vidcolor.models import formats, onnx
from vidcolor.models.catalog import Kind
from vidcolor.models.recipe import fill
from vidcolor.models.registry import create_model, list_inpainters, model_spec
from vidcolor.models.store import (
    WeightFile,
    WeightsRow,
    WeightsSpec,
    cache_dir,
    fetch,
    find,
    import_files,
    installed,
    known_weights,
    list_weights,
    weights_spec,
)

__all__ = [
    "RECIPE",
    "WeightFile",
    "WeightsRow",
    "WeightsSpec",
    "cache_dir",
    "fetch",
    "find",
    "identify",
    "import_files",
    "installed",
    "known_weights",
    "list_weights",
    "load_inpainter",
    "load_model",
    "read_card",
    "read_tensors",
    "save_weights",
    "suited_side",
    "weights_spec",
]

RECIPE = "recipe:"
"""Before the name of a network: its weights by formula, see `vidcolor.models.recipe`."""

read_tensors = formats.read_tensors


def _looks_like_file(name: str) -> bool:
    if any(spec.name == name for spec in known_weights()):
        return False
    suffixes = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".t7", *onnx.EXPORTED)
    return Path(name).is_file() or Path(name).suffix in suffixes or len(Path(name).parts) > 1


def identify(name: str | Path) -> tuple[Path, str, dict[str, Any]]:
    """What to load.

    Args:
        name: Of known weights, or a file: safetensors written by `save_weights`, one of the
            published files under its own name, or a network written by `vidcolor export`.

    Returns:
        The file, the registered colorizer that it is for, and the settings of its builder.

    Raises:
        WeightsError: If there is no such file, or it does not say what it is, or it is no
            colorizer's.
    """
    spec, path = _located(name, "colorizer")
    if path.suffix in onnx.EXPORTED:
        card = onnx.read_export(path)
        return path, card.model, dict(card.settings)
    own = formats.stated(path)
    if own is not None:
        if own[0] in list_inpainters():
            raise WeightsError(f"{path} is for {own[0]}, which fills holes and colors nothing")
        return path, own[0], own[1]
    if spec is None:
        named = [s for s in known_weights() for file in s.files if file.name == path.name]
        spec = next((s for s in named if s.kind == "colorizer" and not s.foreign), None)
    if spec is None:
        raise WeightsError(
            f"{path} does not say which network and settings it is for; it seems to be "
            f"{formats.guess_network(read_tensors(path))}. If it is one of the published files: "
            f"vidcolor weights import NAME {path.name} (names: vidcolor weights list)"
        )
    return path, spec.model, dict(spec.settings)


def _located(name: str | Path, kind: Kind) -> tuple[WeightsSpec | None, Path]:
    """A file, or that of known weights, which must be of a kind."""
    if _looks_like_file(str(name)):
        return None, Path(name).expanduser()
    if name in list_inpainters() and kind != "inpainter":
        raise WeightsError(f"{name!r} fills holes and colors nothing, {_wanted(kind)} is needed")
    spec = weights_spec(str(name))
    if spec.kind != kind:
        raise WeightsError(f"weights {name!r} are {_wanted(spec.kind)}'s, not {_wanted(kind)}'s")
    return spec, find(spec.name)


def _wanted(kind: Kind) -> str:
    return f"an {kind}" if kind == "inpainter" else f"a {kind}"


def suited_side(name: str) -> int:
    """Short side that suits known weights, by their name or that of their file; else 0."""
    file = Path(name).name
    for spec in known_weights():
        if name == spec.name or file == spec.converted or file in (f.name for f in spec.files):
            return spec.short_side
    return 0


def load_model(name: str | Path, device: torch.device | str = "cpu") -> tuple[nn.Module, str]:
    """A colorizer with its weights.

    Args:
        name: Of known weights, or a file, see `identify`; or `RECIPE` and a colorizer.
        device: Where it is to lie.

    Returns:
        The network, float32, channels last, in evaluation mode, and its registered name. One
        that was exported has a `spec` of its own, see `registry.spec_of`.

    Raises:
        WeightsError: If the weights are missing, damaged, or made for another network.
        ConfigError: If an exported network cannot run on `device`, or there is no network whose
            weights are to be by formula.
    """
    if f"{name}:" == RECIPE:
        raise WeightsError(f"weights by recipe are for a network: say which by {RECIPE}NAME")
    if str(name).startswith(RECIPE):
        model = model_spec(str(name).removeprefix(RECIPE)).name
        module = fill(create_model(model))
    else:
        if Path(name).suffix in onnx.EXPORTED:
            return onnx.load_exported(Path(name).expanduser(), device)
        path, model, settings = identify(name)
        module = formats.build_model(read_tensors(path), model, settings, str(path))
    return module.to(device).to(memory_format=torch.channels_last), model


def load_inpainter(name: str | Path, device: torch.device | str = "cpu") -> nn.Module:
    """A network that fills holes, with its weights: `registry.Inpainter`.

    Args:
        name: Of known weights of kind "inpainter", or a file written by `save_weights`; or `RECIPE`
            and an inpainter.
        device: Where it is to lie.

    Returns:
        The network, float32, channels last, in evaluation mode.

    Raises:
        WeightsError: If the weights are missing, damaged, or those of another kind of network.
    """
    model = str(name).removeprefix(RECIPE)
    if str(name).startswith(RECIPE) and model in list_inpainters():
        module = fill(create_model(model))
        return module.to(device).to(memory_format=torch.channels_last)
    _, path = _located(name, "inpainter")
    own = formats.stated(path)
    if own is None:
        raise WeightsError(
            f"{path} does not say which network and settings it is for; it seems to be "
            f"{formats.guess_network(read_tensors(path))}. If it is one of the published files: "
            f"vidcolor weights import NAME {path.name} (names: vidcolor weights list)"
        )
    if own[0] not in list_inpainters():
        raise WeightsError(f"{path} is for {own[0]}, which fills no holes")
    module = formats.build_model(read_tensors(path), own[0], own[1], str(path))
    return module.to(device).to(memory_format=torch.channels_last)


def read_card(name: str | Path) -> dict[str, Any]:
    """What a file of ours says about itself: data, license, numbers; empty if it says nothing.

    Raises:
        WeightsError: If there is no such file or it is damaged.
    """
    path = Path(name).expanduser() if _looks_like_file(str(name)) else find(str(name))
    own = formats.stated(path)
    return {} if own is None else own[2]


def save_weights(
    path: str | Path,
    module: nn.Module,
    model: str,
    settings: Mapping[str, Any],
    card: Mapping[str, Any],
    half: bool = False,
) -> None:
    """Write a network so that `load_model` can read it.

    Args:
        path: Ends in `.safetensors`.
        module: The network.
        model: Its registered name.
        settings: With which its builder makes it.
        card: License, data, steps, numbers; anything that JSON can hold.
        half: Store weights with two or more dimensions as float16.

    Raises:
        WeightsError: If `path` has another ending, the settings make another network, or the
            file cannot be written.
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        raise WeightsError(f"{target}: weights are written as .safetensors")
    tensors = formats.check_model(dict(module.state_dict()), model, settings, target.name)
    formats.write_tensors(target, tensors, model, settings, card, half)
