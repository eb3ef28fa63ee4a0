"""Networks of partial convolutions that others trained: renamed, and in the paper's scale.

Reference:
    For a window with weights W, values X and valid cells M, of which S are valid and N there are,
    three forms are in circulation: the paper's W(XM) N/S + b (NVIDIA/partialconv, and OpenMMLab
    after it), W(XM) / S + b (naoto0804), and W(XM) kH kW / S + b with S over all channels
    (MathiasGruber/PConv-Keras). The first is ours; `of_sums` makes it of the second.

Differs:
    OpenMMLab's networks see blue first; their first and last layers are turned around here, which
    is exact. Values between which a network works (`Scale`) cannot be worked into its weights,
    since what a window sees of the mean depends on its holes: `PartialConvUNet` converts them.
    Files of Keras are not taken: their layers add the bias in holes too and a 1x1 convolution with
    a sigmoid follows, so they are for another network than the paper's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidcolor.errors import WeightsError

__all__ = ["from_foreign", "of_sums", "refuse_keras", "renamed"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_COUNTED = re.compile(r"(enc|dec)_(\d+)\.(conv\.input_conv|conv\.mask_conv|bn)\.(\w+)")
_OPENMMLAB = re.compile(r"generator\.(?:encoder|decoder)\.(enc|dec)(\d+)\.(conv|bn)\.(\w+)")
_ONES = ("conv.mask_conv.weight", "conv.weight_mask_updater")  # endings of what sums masks
_LOSSES = "loss_percep."  # a VGG beside OpenMMLab's network
_PARTS = {"enc": "encoder", "dec": "decoder", "conv": "conv", "bn": "norm"}
_CODES = 3  # red, green, blue


def of_sums(weight: Tensor) -> Tensor:
    """Weights of a layer that multiplies by N/S, of one that divides by S alone.

    Args:
        weight: (C', C, kH, kW).
    """
    return weight / weight[0].numel()


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Entries under our names; those whose names are nobody's known here keep theirs."""
    found = {}
    for key, value in tensors.items():
        match = _COUNTED.fullmatch(key) or _OPENMMLAB.fullmatch(key)
        if match is None:
            found[key] = value
            continue
        part, number, kind, last = match.groups()
        found[f"{_PARTS[part]}.{int(number) - 1}.{_PARTS[kind.partition('.')[0]]}.{last}"] = value
    return found


def from_foreign(
    tensors: Mapping[str, Tensor], settings: Mapping[str, Any], name: str
) -> dict[str, Tensor]:
    """A network as we have it, of one by naoto0804 or OpenMMLab; others stay as they are.

    Args:
        tensors: By key.
        settings: Of the builder; their `scale` must be that of the form.
        name: Of the file, for the error.

    Raises:
        WeightsError: If masks are not summed by ones, or the network works in another scale.
    """
    counted = any(_COUNTED.fullmatch(key) for key in tensors)
    openmmlab = any(_OPENMMLAB.fullmatch(key) for key in tensors)
    if not counted and not openmmlab:
        return dict(tensors)
    whose, scale = ("naoto0804", "imagenet") if counted else ("OpenMMLab", "signed")
    if settings.get("scale", "unit") != scale:
        raise WeightsError(
            f"{name} is of {whose}, whose networks work in scale {scale}; these weights are for "
            f"scale {settings.get('scale', 'unit')}: import it under the name of {whose}'s "
            f"(vidcolor weights list)"
        )
    kept = {}
    for key, value in tensors.items():
        if key.endswith(_ONES):
            if not bool(torch.all(value == 1)):
                raise WeightsError(f"{name}: {key!r} should be all ones, which sum a mask")
        elif not (openmmlab and key.startswith(_LOSSES)):
            kept[key] = of_sums(value) if key.endswith(".input_conv.weight") else value
    found = renamed(kept)
    return _red_first(found) if openmmlab else found


def _red_first(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    first, last, bias = (
        tensors.get(key)
        for key in ("encoder.0.conv.weight", "decoder.0.conv.weight", "decoder.0.conv.bias")
    )
    if first is None or last is None or bias is None:
        return tensors  # what is missing is told when keys are compared
    # the last layer sees the picture behind what it enlarges
    turned = torch.cat((last[:, :-_CODES], last[:, -_CODES:].flip(1)), dim=1).flip(0)
    return {
        **tensors,
        "encoder.0.conv.weight": first.flip(1),
        "decoder.0.conv.weight": turned,
        "decoder.0.conv.bias": bias.flip(0),
    }


def refuse_keras(path: Path) -> None:
    """Stop at a file of Keras.

    Raises:
        WeightsError: If it is one.
    """
    with path.open("rb") as file:
        if file.read(len(_HDF5)) == _HDF5:
            raise WeightsError(
                f"{path} is a file of Keras (HDF5), as PConv-Keras writes: its layers add the bias "
                f"in holes and end in a 1x1 convolution with a sigmoid, which no network here has; "
                f"take one of the others (vidcolor weights list)"
            )
