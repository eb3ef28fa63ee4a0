"""The networks of the `colorizers` package of richzhang/colorization: `eccv16`, `siggraph17`."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parity.fixture import (
    AB,
    LAB,
    Case,
    Error,
    Fixture,
    compare_map,
    difference,
    fill_trunk,
    output,
    picture,
)
from vidcolor.color.lab import lab_to_rgb, rgb_to_lab
from vidcolor.models.eccv16 import Eccv16
from vidcolor.models.siggraph17 import Siggraph17
from vidcolor.records import Hints

__all__ = ["CHECKS", "NETWORKS", "published_eccv16", "published_siggraph17"]


@functools.lru_cache(maxsize=1)
def published_siggraph17(salt: str) -> Siggraph17:
    """The network of 2017."""
    with torch.device("meta"):
        net = Siggraph17(mask_cent=0.0)
    fill_trunk(net, salt, "siggraph17")
    return net


@functools.lru_cache(maxsize=1)
def published_eccv16(salt: str) -> Eccv16:
    """The network of 2016."""
    with torch.device("meta"):
        net = Eccv16()
    fill_trunk(net, salt, "eccv16")
    return net


def _enlarged(ab: Tensor, like: Tensor) -> Tensor:
    """The published networks answer at the size of their input."""
    size = (int(like.shape[2]), int(like.shape[3]))
    if tuple(ab.shape[2:]) == size:
        return ab
    return F.interpolate(ab, size, mode="bilinear", align_corners=False)


def _watched(
    fix: Fixture, case: Case, net: nn.Module, names: tuple[str, ...], hints: Hints | None = None
) -> Iterator[Error]:
    """The maps named, and the color."""
    errors: list[Error] = []
    lightness = fix.tensor(case, "L")
    with ExitStack() as hooks:
        for name in names:

            def look(_m: nn.Module, _i: object, value: Tensor, name: str = name) -> None:
                compare_map(errors, fix, case, f"act/{name}", value)

            hook = net.get_submodule(name).register_forward_hook(look)
            hooks.callback(hook.remove)
        ab = _enlarged(net(lightness, hints=hints), lightness)
    yield from errors
    yield Error("out_ab", difference(output(case, ab), fix.get(case, "out_ab")), AB)


def check_siggraph17(fix: Fixture, case: Case) -> Iterator[Error]:
    """The network of 2017, with and without hints."""
    hints = None
    if case["hint"]:
        hints = Hints(fix.tensor(case, "ab_hint"), fix.tensor(case, "mask"))
    names = ("model1", "model4", "model7", "model8", "model10")
    yield from _watched(fix, case, published_siggraph17(fix.salt), names, hints)


def check_eccv16(fix: Fixture, case: Case) -> Iterator[Error]:
    """The network of 2016."""
    names = ("model1", "model4", "model7", "model8", "softmax", "model_out")
    yield from _watched(fix, case, published_eccv16(fix.salt), names)


NETWORKS = {"eccv16": published_eccv16, "siggraph17": published_siggraph17}
"""What the demo runs, by the name that its case has."""


def check_demo(fix: Fixture, case: Case) -> Iterator[Error]:
    """From an 8-bit picture to a color picture of its own size."""
    from PIL import Image

    image = fix.get(case, "image")
    height, width = case["HW"]
    source = Image.fromarray(image)
    small = np.array(source.resize((width, height), Image.Resampling.BICUBIC))
    light, small_light = (rgb_to_lab(picture(p))[:, :1] for p in (image, small))
    for name, ours in (("L_orig", light), ("L_rs", small_light)):
        if fix.has(case, name):
            yield Error(name, difference(ours, fix.get(case, name)), 100 * LAB)
    ab = _enlarged(NETWORKS[case["net"]](fix.salt)(small_light), small_light)
    yield Error("out_ab", difference(output(case, ab), fix.get(case, "out_ab")), AB)
    rgb = lab_to_rgb(torch.cat((light, _enlarged(ab, light)), 1)).clamp(0, 1)
    theirs = fix.get(case, "rgb")
    yield Error("rgb", difference(output(case, rgb)[0].permute(1, 2, 0), theirs), 1e-4)


CHECKS = {"demo": check_demo, "eccv16": check_eccv16, "siggraph17": check_siggraph17}
