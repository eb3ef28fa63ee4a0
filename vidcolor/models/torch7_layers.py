"""Networks in files of Torch7: which layers have weights, and what ours calls them.

`weighted_layers` finds convolutions, linear layers and norms in the order in which they were put
together, and `match` gives them the names that a network of ours has for them.

Differs:
    `colornet.t7` of Iizuka et al. was never seen. It is known that it is a table of a number `mean`
    and a graph `model`, whose `forwardnodes` hold sequences of layers; whether its layers are
    those of the paper is found out when it is read, and `match` names the first that is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from vidcolor.errors import WeightsError
from vidcolor.models.torch7 import Record, StridedTensor, Table, sides

__all__ = ["Layer", "match", "weighted_layers"]

_KINDS = {
    "SpatialConvolution": "convolution",
    "SpatialConvolutionMM": "convolution",
    "Linear": "linear layer",
    "BatchNormalization": "norm",
    "SpatialBatchNormalization": "norm",
}
_NORM_EPS = 1e-5  # of Torch7, where a norm does not say
_PARTS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True, eq=False, slots=True)
class Layer:
    """A layer with weights.

    Attributes:
        name: Of its class.
        kind: "convolution", "linear layer" or "norm".
        tensors: "weight", "bias", "running_mean", "running_var", as far as it has them.
        eps: Of a norm.
        inverted: Its "running_var" is one over the deviation, as Torch7 had it once.
    """

    name: str
    kind: str
    tensors: Mapping[str, StridedTensor]
    eps: float = _NORM_EPS
    inverted: bool = False


def weighted_layers(root: Any, name: str) -> list[Layer]:
    """The layers of a network that have weights, in the order in which it was put together.

    Layers that share a weight with an earlier one are that layer once more and are left out.

    Args:
        root: A network as `read_torch7` gives it, or a table that has it as `model`.
        name: Of the file, for the error.

    Raises:
        WeightsError: If there is no network, or a layer with weights of a kind unknown here.
    """
    if isinstance(root, Table):
        root = root.entries.get("model")
    if not isinstance(root, Record):
        raise WeightsError(f"{name} holds no network of Torch7 (an nn.Module, or one as `model`)")
    layers: list[Layer] = []
    seen: set[int] = set()
    shared: set[tuple[int, int]] = set()
    todo: list[Any] = [root]
    while todo:
        module = todo.pop()
        if not isinstance(module, Record) or id(module) in seen:
            continue
        seen.add(id(module))
        inner = _inner(module)
        if inner is not None:
            todo += inner[::-1]
            continue
        weight = module.fields.get("weight")
        if not isinstance(weight, StridedTensor) or weight.storage is None:
            continue
        place = (id(weight.storage), weight.offset)
        if place not in shared:
            shared.add(place)
            layers.append(_layer(module, name))
    return layers


def _inner(module: Record) -> list[Any] | None:
    """What a container holds; None for a layer."""
    nodes = module.fields.get("forwardnodes")  # of a graph, in the order of computing
    if isinstance(nodes, Table):
        data = (node.fields.get("data") for node in nodes.listed() if isinstance(node, Record))
        return [entry.entries.get("module") for entry in data if isinstance(entry, Table)]
    modules = module.fields.get("modules")
    return list(modules.listed()) if isinstance(modules, Table) else None


def _layer(module: Record, name: str) -> Layer:
    kind = _KINDS.get(module.name.rpartition(".")[2])
    if kind is None:
        raise WeightsError(f"{name}: a {module.name} has weights, and is unknown here")
    fields: dict[Any, Any] = dict(module.fields)
    inverted = "running_var" not in fields and "running_std" in fields
    if inverted:  # of versions before the end of 2015: one over the deviation
        fields["running_var"] = fields["running_std"]
    tensors = {part: fields[part] for part in _PARTS if isinstance(fields.get(part), StridedTensor)}
    eps = fields.get("eps")
    return Layer(module.name, kind, tensors, eps if isinstance(eps, float) else _NORM_EPS, inverted)


def match(
    layers: Sequence[Layer],
    order: Sequence[str],
    shapes: Mapping[str, Sequence[int]],
    name: str,
    optional: Sequence[str] = (),
) -> dict[str, Tensor]:
    """The entries of a network of ours, from layers of Torch7.

    Layers follow one another in the file as in a branch of the network (a run of `order` whose
    prefixes begin alike), but which branch comes first is the file's affair. Kinds and shapes of
    all layers must be those of the network, and they must fit in one way only.

    Args:
        layers: See `weighted_layers`.
        order: Prefixes of all layers of the network.
        shapes: Of its entries, by key.
        name: Of the file, for the error.
        optional: Beginnings of branches that the file may lack.

    Returns:
        float32 by key; of optional branches that the file lacks, nothing.

    Raises:
        WeightsError: If a layer is missing, too many, or of another shape; it names the first.
    """
    branches: dict[str, list[str]] = {}
    for prefix in order:
        branches.setdefault(prefix.partition(".")[0], []).append(prefix)
    found = [
        way
        for way in _ways(layers, list(branches.values()), shapes)
        if all(branch in optional for branch in branches if branches[branch][0] not in way)
        and len(way) == len(layers)
    ]
    if len(found) != 1:
        raise WeightsError(_mismatch(layers, list(branches.values()), shapes, name, len(found)))
    tensors: dict[str, Tensor] = {}
    for layer, prefix in zip(layers, found[0], strict=True):
        tensors |= _entries(layer, prefix, shapes)
    return tensors


def _ways(
    layers: Sequence[Layer], branches: list[list[str]], shapes: Mapping[str, Sequence[int]]
) -> Iterator[list[str]]:
    """All orders of branches that fit the layers as far as they go."""
    stack: list[tuple[list[str], list[list[str]]]] = [([], branches)]
    while stack:
        way, rest = stack.pop()
        further = [
            branch
            for branch in rest
            if len(way) + len(branch) <= len(layers)
            and all(
                not _fault(layer, prefix, shapes)
                for layer, prefix in zip(layers[len(way) :], branch, strict=False)
            )
        ]
        if not further:
            yield way
        for branch in further:
            stack.append((way + branch, [other for other in rest if other is not branch]))


def _mismatch(
    layers: Sequence[Layer],
    branches: list[list[str]],
    shapes: Mapping[str, Sequence[int]],
    name: str,
    ways: int,
) -> str:
    """Why layers do not fit, in words."""
    if ways:
        return f"{name}: its layers fit the network in {ways} ways, so none is safe"
    best = max(_ways(layers, branches, shapes), key=len)
    left = [branch for branch in branches if branch[0] not in best]
    if not left:
        extra = layers[len(best)]
        return (
            f"{name} has {len(layers)} layers with weights, the network {len(best)}: the first "
            f"that is too many is a {extra.name} of {_shape(extra)}"
        )
    rest = layers[len(best) :]
    depths = [_depth(rest, branch, shapes) for branch in left]
    depth = max(depths)
    wanted = [branch[depth] for branch, d in zip(left, depths, strict=True) if d == depth]
    if depth >= len(rest):
        return f"{name} has {len(layers)} layers with weights and none for {wanted[0]!r}"
    layer = rest[depth]
    reasons = " or ".join(f"{prefix!r} ({_fault(layer, prefix, shapes)})" for prefix in wanted)
    return (
        f"{name}: layer {len(best) + depth + 1} of {len(layers)} with weights is a {layer.name} "
        f"of {_shape(layer)}, where the network has {reasons}"
    )


def _depth(
    layers: Sequence[Layer], branch: Sequence[str], shapes: Mapping[str, Sequence[int]]
) -> int:
    """How many layers follow a branch that they do not end."""
    pairs = enumerate(zip(layers, branch, strict=False))
    return next(
        (place for place, (layer, prefix) in pairs if _fault(layer, prefix, shapes)),
        min(len(layers), len(branch) - 1),
    )


def _shape(layer: Layer) -> str:
    weight = layer.tensors.get("weight")
    return sides(weight.sizes) if weight is not None else "no weight"


def _fault(layer: Layer, prefix: str, shapes: Mapping[str, Sequence[int]]) -> str:
    """Why a layer cannot be the one of a prefix, or nothing."""
    wanted = tuple(shapes[f"{prefix}.weight"])
    kind = {4: "convolution", 2: "linear layer", 1: "norm"}[len(wanted)]
    if layer.kind != kind:
        return f"expected a {kind}"
    for part in _PARTS:
        if f"{prefix}.{part}" not in shapes:
            continue
        expected, given = tuple(shapes[f"{prefix}.{part}"]), layer.tensors.get(part)
        if given is None:
            return f"expected a {part} of {sides(expected)}"
        # some convolutions of Torch7 keep their kernels flat
        flat = (expected[0], int(np.prod(expected[1:]))) if len(expected) == 4 else expected
        if given.sizes not in (expected, flat):
            return f"expected a {part} of {sides(expected)}, not {sides(given.sizes)}"
    return ""


def _entries(layer: Layer, prefix: str, shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    tensors = {}
    for part, given in layer.tensors.items():
        key = f"{prefix}.{part}"
        if key in shapes:
            value = given.to_torch().reshape(tuple(shapes[key]))
            if part == "running_var" and layer.inverted:
                value = value.pow(-2) - layer.eps
            tensors[key] = value
    return tensors
