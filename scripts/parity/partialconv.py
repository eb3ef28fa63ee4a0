"""Partial convolutions: the layer, files that divide by the count alone, and the U-Net."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parity.fixture import Array, Case, Error, Fixture, difference, output, relative
from vidcolor.models.partialconv import Group, PartialConv2d, PartialConvUNet
from vidcolor.models.partialconv_files import of_sums, renamed

__all__ = ["CHECKS", "foreign_name", "holes", "recipe", "summary", "wave"]

# largest error allowed, from the page that describes the fixtures
LAYER, LAYER_GRADIENT, NET, LEARNED, NORM = 1e-5, 1e-4, 1e-4, 1e-4, 2e-3
EXACT, SAMPLE = 0.0, 1e-9
PUBLISHED_WIDTH = 64
INPUT, UPSTREAM, TARGET = 0.0, 1.3, 0.7
"""Phases of `wave`: of inputs, of gradients that come from above, of pictures to learn."""
_SAMPLES, _STEP = 48, 7919  # of a summary


# --- formulas -----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)  # networks of one fixture share most of them
def recipe(salt: str, key: str, shape: tuple[int, ...]) -> Array:
    """A weight by its name, float32; not to be written to."""
    seed = zlib.crc32((salt + key).encode())
    z = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)
    if len(shape) >= 2:
        z = z * np.sqrt(2 / np.prod(shape[1:]))
    elif key.endswith("running_var"):
        z = 1 + 0.2 * np.abs(z)
    elif key.endswith("bn.weight"):
        z = 1 + 0.1 * z
    elif key.endswith("num_batches_tracked"):
        z = np.zeros(shape)
    else:
        z = 0.1 * z
    return np.asarray(z, np.float32)


def _weight(fix: Fixture, key: str, like: Tensor) -> Tensor:
    return torch.from_numpy(recipe(fix.salt, key, tuple(like.shape)).copy())


def wave(shape: tuple[int, ...], phase: float = INPUT) -> Tensor:
    """A picture by formula, float32."""
    n, c, y, x = np.ogrid[tuple(slice(side) for side in shape)]
    value = np.sin(0.37 * (x + 1) + 0.53 * (c + 1) + 0.61 * n + phase) * np.cos(
        0.23 * (y + 1) + 0.17 * (c + 1) - phase
    ) + 0.35 * np.sin(0.071 * (x + 1) * (1 + 0.1 * c) + 0.043 * (y + 1) + phase)
    return torch.from_numpy(value.astype(np.float32))


def holes(fix: Fixture, case: Case) -> Tensor | None:
    """The case's mask, float32, 1 where valid; None where it has none."""
    if not fix.has(case, "mask_in_bits"):
        return None
    shape = case["mask_in_shape"]
    return torch.from_numpy(_bits(fix.get(case, "mask_in_bits"), tuple(shape))).float()


def _bits(packed: Array, shape: tuple[int, ...]) -> Array:
    return np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape)


def summary(x: Tensor) -> Array:
    """Mean, population deviation, least and largest value, and samples."""
    flat = x.detach().double().contiguous().flatten().numpy()
    samples = flat[np.arange(_SAMPLES) * _STEP % flat.size]
    return np.array([flat.mean(), flat.std(), flat.min(), flat.max(), *samples])


def _worst(name: str, ours: Tensor | Array, theirs: Array, limit: float, least: float) -> Error:
    """Relative to the largest reference value, of at least `least`; exact where that is 0."""
    scale = max(least, float(np.abs(theirs).max(initial=0.0)))
    return Error(name, difference(ours, theirs) / (scale or 1.0), limit if scale else EXACT)


def _gradient(name: str, ours: Tensor | None, theirs: Array) -> Error:
    """Exactly 0 where the reference is 0 all over."""
    assert ours is not None
    limit = LAYER_GRADIENT if np.any(theirs) else EXACT
    return _worst(name, ours, theirs, limit, 1.0)


def check_formulas(fix: Fixture, case: Case) -> Iterator[Error]:
    """Samples of weights and inputs."""
    for key, sample in case["recipe_check"].items():
        value = recipe(fix.salt, key, tuple(sample["shape"])).astype(float)
        yield Error("first4", difference(value.ravel()[:4], np.array(sample["first4"])), EXACT)
        for name, ours in (("mean", value.mean()), ("std", value.std())):
            yield Error(name, difference(ours, np.array(sample[name])), SAMPLE)
    for formula, samples in case["input_check"].items():
        *shape, phase = (float(value) for value in re.findall(r"=(-?[\d.]+)", formula))
        value = wave(tuple(int(side) for side in shape), phase).numpy()
        for place, theirs in samples.items():
            kept = value[tuple(_index(part) for part in place.strip("[]").split(","))]
            yield Error("wave", difference(kept, np.array(theirs)), EXACT)


def _index(text: str) -> int | slice:
    """Of one axis, as NumPy writes it."""
    bounds = [int(part) if part else None for part in text.split(":")]
    return slice(*bounds) if len(bounds) > 1 else int(text)


# --- the layer ----------------------------------------------------------------------------------


def _layer(fix: Fixture, case: Case) -> PartialConv2d:
    made = PartialConv2d(
        case["cin"], case["cout"], case["k"], case["s"], case["p"], case.get("d", 1), case["bias"]
    )
    for part, entry in made.named_parameters():
        entry.data = _weight(fix, f"{case['name']}.{part}", entry)
    return made


def _groups(fix: Fixture, case: Case, channels: int) -> list[Group]:
    """One for each channel of the mask; a mask of one channel stands for all."""
    mask = holes(fix, case)
    if mask is None:
        mask = torch.ones(1, 1, case["h"], case["w"])
    return [(one, channels // mask.shape[1]) for one in mask.split(1, dim=1)]


def _input(case: Case) -> Tensor:
    shape = (case["n"], case["cin"], case["h"], case["w"])
    return wave(shape, case.get("xphase", INPUT))


def _check_layer(fix: Fixture, case: Case, layer: PartialConv2d) -> Iterator[Error]:
    x = _input(case).requires_grad_()
    groups = _groups(fix, case, case["cin"])
    with torch.enable_grad():
        out, valid = layer(x, groups)
        if fix.has(case, "grad_x"):
            (out * wave(tuple(out.shape), UPSTREAM)).sum().backward()
    yield _worst("out", output(case, out), fix.get(case, "out"), LAYER, 1.0)
    theirs = fix.get(case, "mask_out")  # all channels alike
    ours = output(case, valid).expand(theirs.shape)
    yield Error("mask_out", difference(ours, theirs.astype(float)), EXACT)
    if fix.has(case, "ratio"):
        ratio, _ = layer.update(groups)
        yield _worst("ratio", output(case, ratio), fix.get(case, "ratio"), LAYER, 1.0)
    if fix.has(case, "grad_x"):
        assert x.grad is not None
        yield _gradient("grad_x", output(case, x.grad), fix.get(case, "grad_x"))
        yield _gradient("grad_w", layer.weight.grad, fix.get(case, "grad_w"))
    if fix.has(case, "grad_b"):
        assert layer.bias is not None
        yield _gradient("grad_b", layer.bias.grad, fix.get(case, "grad_b"))


def check_layer(fix: Fixture, case: Case) -> Iterator[Error]:
    """The official layer."""
    yield from _check_layer(fix, case, _layer(fix, case))


def check_count(fix: Fixture, case: Case) -> Iterator[Error]:
    """A layer that divides by the count alone, as its weights are imported."""
    layer = _layer(fix, case)
    layer.weight.data = of_sums(layer.weight.data)
    yield from _check_layer(fix, case, layer)


# --- the network --------------------------------------------------------------------------------


def foreign_name(key: str) -> str:
    """The name that an entry of ours has in the reference network."""
    part, number, kind, rest = key.split(".", 3)
    names = {"encoder": "enc", "decoder": "dec", "conv": "conv.input_conv", "norm": "bn"}
    return f"{names[part]}_{int(number) + 1}.{names[kind]}.{rest}"


def _net(fix: Fixture, case: Case) -> PartialConvUNet:
    width = case["trace_shapes"]["enc_1"][1] if "trace_shapes" in case else PUBLISHED_WIDTH
    with torch.device("meta"):
        net = PartialConvUNet(case["cin"], case["layers"], width)
    theirs = {foreign_name(key): entry for key, entry in net.state_dict().items()}
    # the names are the importer's; weights by recipe are in the paper's scale already
    made = renamed({key: _weight(fix, key, entry) for key, entry in theirs.items()})
    net.load_state_dict(made, assign=True)
    for parameter in net.parameters():
        parameter.requires_grad_()
    net.train(case["mode"] != "eval")
    if case["mode"] == "train_frozen_enc_bn":
        net.encoder.eval()
    return net


class _Watch:
    """Compares what blocks give, and its mask.

    Attributes:
        errors: Of all blocks so far.
        mask: That of the last block.
    """

    def __init__(self, fix: Fixture, case: Case, net: PartialConvUNet) -> None:
        self.fix, self.case = fix, case
        self.errors: list[Error] = []
        self.mask = torch.empty(0)
        self.hooks = ExitStack()
        for part, blocks in (("enc", net.encoder), ("dec", net.decoder)):
            for number, block in enumerate(blocks, 1):
                look = functools.partial(self._look, f"{part}_{number}")
                self.hooks.callback(block.register_forward_hook(look).remove)

    def _look(self, name: str, _block: Any, _given: Any, answer: tuple[Tensor, Tensor]) -> None:
        x, self.mask = answer
        part = name.partition("_")[0]
        if self.fix.has(self.case, f"trace_{name}"):
            theirs = self.fix.get(self.case, f"trace_{name}")
            self.errors.append(_worst(f"{part}/trace", summary(x), theirs, NET, 0.0))
        if self.fix.has(self.case, f"mask_{name}_bits"):
            self.errors.append(_mask_error(self.fix, self.case, f"{part}/mask", name, self.mask))


def _mask_error(fix: Fixture, case: Case, quantity: str, name: str, ours: Tensor) -> Error:
    theirs = _bits(fix.get(case, f"mask_{name}_bits"), tuple(ours.shape))
    return Error(quantity, difference(ours, theirs.astype(float)), EXACT)


def check_unet(fix: Fixture, case: Case) -> Iterator[Error]:
    """The U-Net, in evaluation or learning."""
    net = _net(fix, case)
    image, valid = _input(case), holes(fix, case)
    assert valid is not None
    learning = case["mode"] != "eval"
    watch = _Watch(fix, case, net)
    with watch.hooks, torch.set_grad_enabled(learning):
        # what lies in holes must not matter
        out = net(torch.where(valid > 0, image, torch.nan), valid)
    yield from watch.errors
    yield _worst("out", output(case, out), fix.get(case, "out"), NET, 0.0)
    yield _worst("out_summary", summary(out), fix.get(case, "out_summary"), NET, 0.0)
    yield _mask_error(fix, case, "mask_out", "out", watch.mask)
    if learning:
        yield from _learning(fix, case, net, out)


def _learning(fix: Fixture, case: Case, net: PartialConvUNet, out: Tensor) -> Iterator[Error]:
    with torch.enable_grad():
        loss = (out - wave(tuple(out.shape), TARGET)).abs().mean()
        loss.backward()
    yield Error("loss", relative(float(loss), float(fix.get(case, "loss").item())), LEARNED)
    ours = {foreign_name(key): entry for key, entry in net.named_parameters()}
    for key, theirs in zip(case["grad_norm_keys"], fix.get(case, "grad_norms"), strict=True):
        gradient = ours[key].grad
        assert gradient is not None
        norm = float(gradient.double().norm())
        yield Error("grad_norms", relative(norm, float(theirs)), NORM)
    theirs = fix.get(case, "grad_enc_1_w")
    gradient = ours["enc_1.conv.input_conv.weight"].grad
    assert gradient is not None
    yield _worst("grad_enc_1_w", gradient[: len(theirs)], theirs, NORM, 0.0)
    buffers = {foreign_name(key): entry for key, entry in net.named_buffers()}
    for key, entry in buffers.items():
        if fix.has(case, key):
            yield _worst("buffers", entry, fix.get(case, key), LEARNED, 0.0)


CHECKS: dict[str, Callable[[Fixture, Case], Iterator[Error]]] = {
    "partialconv formulas": check_formulas,
    "partialconv layer": check_layer,
    "partialconv layer_countnorm": check_count,
    "partialconv unet": check_unet,
}
