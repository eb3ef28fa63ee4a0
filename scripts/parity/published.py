"""DDColor, DeOldify and their critics, and what their programs do between 8-bit pictures."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parity.fixture import Array, Case, Error, Fixture, difference, output, relative
from vidcolor.models.ddcolor import DDColor
from vidcolor.models.deoldify import DeOldify
from vidcolor.models.recipe import fan_in_value, fill
from vidcolor.train.critics import (
    DdcolorCritic,
    DeoldifyCritic,
    color_enhanced,
    colorfulness_loss,
)

__all__ = ["CHECKS", "published_ddcolor", "published_deoldify"]

SALT = "colorizers-public-1"  # of archives that do not name theirs
PICTURE_SIDE = 96  # of DDColor's network picture in the fixture
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# ten times the difference between float32 and float64, from the page that describes the fixtures;
# for color itself at most what is asked of every network
OUT, OUT_RGB = 1e-4, 2.4e-5
TAPS, DECODER, MAPS = 3e-5, 1e-4, 4e-4  # of DDColor
TRUNK, STEPS = 1e-4, 2.4e-4  # of DeOldify
SCORES, SCORE_MAPS, COLOR_LOSS, PIXELS = 4e-7, 1e-5, 1e-6, 1e-6
LEVEL, RAW_LEVELS, MERGED_LEVELS, MISSED = 1.0, 1.0, 2.0, 0.01  # of 8 bits; share of values

Activations = dict[str, Tensor]


# --- networks -----------------------------------------------------------------------------------


def _fill(module: nn.Module, salt: str, variances: dict[str, tuple[float, float]]) -> nn.Module:
    def value(key: str, shape: tuple[int, ...], dtype: torch.dtype) -> Array:
        limits = next(limits for prefix, limits in variances.items() if key.startswith(prefix))
        return fan_in_value(salt, key, shape, dtype, limits)

    return fill(module, value)


@functools.lru_cache(maxsize=1)
def published_ddcolor(salt: str, variant: str) -> DDColor:
    """DDColor by formula."""
    with torch.device("meta"):
        net = DDColor(variant=variant)  # type: ignore[arg-type]  # one of its names
    _fill(net, salt, {"": (0.1, 0.2)})
    return net


@functools.lru_cache(maxsize=1)
def published_deoldify(salt: str, variant: str) -> DeOldify:
    """DeOldify by formula."""
    with torch.device("meta"):
        net = DeOldify(variant=variant)  # type: ignore[arg-type]  # one of its names
    _fill(net, salt, {"layers.0.": (1.5, 2.5), "": (0.18, 0.28)})
    return net


def _variant(fix: Fixture, case: Case, key: str, shapes: dict[str, tuple[int, ...]]) -> str:
    """Which network it is: the one whose entry begins as recorded."""
    salt, theirs = fix.salt or SALT, fix.get(case, f"w_{key}")
    fits = {
        variant: difference(fan_in_value(salt, key, shape).ravel()[: theirs.size], theirs)
        for variant, shape in shapes.items()
    }
    return min(fits, key=lambda variant: fits[variant])


def _heads(fix: Fixture, case: Case, net: nn.Module) -> Iterator[Error]:
    prefix = "w_" if fix.bare else f"{case['name']}/w_"
    state = net.state_dict()
    for name in fix.arrays.files:
        if name.startswith(prefix):
            theirs = fix.arrays[name]
            ours = state[name.removeprefix(prefix)].flatten()[: theirs.size]
            yield Error("recipe", difference(ours, theirs), 0.0)


# --- what goes on inside ------------------------------------------------------------------------


def _watch(net: nn.Module, names: dict[str, str], run: Callable[[], Tensor]) -> Activations:
    """What modules said in a run, by the names that the fixture has for them, and the answer."""
    seen: Activations = {}
    with ExitStack() as hooks:
        for module, name in names.items():

            def look(_m: nn.Module, _i: object, value: Tensor, name: str = name) -> None:
                seen[name] = value

            hook = net.get_submodule(module).register_forward_hook(look)
            hooks.callback(hook.remove)
        seen["out"] = run()
    return seen


def _kept(value: Tensor) -> Tensor:
    """What the fixture keeps of an activation."""
    if value.ndim != 4:
        return value
    c, h, w = (max(1, side // 16) for side in value.shape[1:])
    return value[:, ::c, ::h, ::w]


def _compare(
    fix: Fixture, case: Case, seen: Activations, limits: dict[str, float], prefix: str = "act_"
) -> Iterator[Error]:
    """Errors of the activations whose names fit the patterns; the first that fits counts."""
    for name, value in seen.items():
        if fix.has(case, prefix + name):
            limit = next(limit for pattern, limit in limits.items() if re.match(pattern, name))
            theirs = fix.get(case, prefix + name)
            yield Error(f"{prefix}{name}", difference(_kept(value), theirs), limit)


def _gray(fix: Fixture, case: Case, name: str) -> Tensor:
    """Input of a network; excerpts have one channel of three that are equal."""
    return fix.tensor(case, name).expand(-1, 3, -1, -1)


# --- DDColor ------------------------------------------------------------------------------------

_DDCOLOR_HEAD = "encoder.arch.stages.2.0.pwconv1.weight"
_DDCOLOR_SHAPES: dict[str, tuple[int, ...]] = {"tiny": (1536, 384), "large": (3072, 768)}
_DDCOLOR_NAMES = {
    **{f"encoder.arch.norm{i}": f"arch_norm{i}" for i in range(4)},
    **{f"decoder.layers.{i}": f"layers_{i}" for i in range(3)},
    "decoder.color_decoder.decoder_norm": "color_decoder_decoder_norm",
    "decoder.color_decoder.color_embed": "color_decoder_color_embed",
}


def check_ddcolor(fix: Fixture, case: Case) -> Iterator[Error]:
    """The network from its own input, and its program from picture to picture."""
    variant = _variant(fix, case, _DDCOLOR_HEAD, _DDCOLOR_SHAPES)
    net = published_ddcolor(fix.salt or SALT, variant)
    yield from _heads(fix, case, net)
    x = _gray(fix, case, "x")
    seen = _watch(net, _DDCOLOR_NAMES, lambda: net.predict(x))
    # the network sums the maps of its queries without making them
    seen["last_shuf"] = net.decoder.last_shuf(seen["layers_2"])
    seen["color_decoder"] = torch.einsum(
        "nqc,nchw->nqhw", seen["color_decoder_color_embed"], seen["last_shuf"]
    )
    # recorded with queries before pictures
    name = "color_decoder_decoder_norm"
    seen[name] = seen[name].transpose(0, 1)
    color = seen.pop("out")
    limits = {"arch_": TAPS, "color_decoder$": MAPS, "": DECODER}
    yield from _compare(fix, case, seen, limits)
    yield Error("out", difference(output(case, color), fix.get(case, "out")), OUT)
    for name in ("pic", "pic_grey"):
        if fix.has(case, f"{name}_bgr"):
            bgr = ddcolor_picture(net, fix.get(case, f"{name}_bgr"), PICTURE_SIDE)
            theirs = fix.get(case, f"{name}_out_bgr")
            error = difference(_pixels(case, bgr), theirs.astype(float))
            yield Error(f"{name}_out_bgr", error, LEVEL)


def ddcolor_picture(net: DDColor, bgr: Array, side: int) -> Array:
    """What DDColor's program makes of an 8-bit picture: Lab of OpenCV, nearest chroma."""
    picture = (bgr / 255).astype(np.float32)
    light = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)[..., :1]
    small = cv2.cvtColor(cv2.resize(picture, (side, side)), cv2.COLOR_BGR2LAB)
    small[..., 1:] = 0
    gray = cv2.cvtColor(small, cv2.COLOR_LAB2RGB)
    ab = net.predict(torch.from_numpy(gray).permute(2, 0, 1)[None])
    ab = F.interpolate(ab, size=bgr.shape[:2])[0].permute(1, 2, 0)
    lab = np.concatenate((light, ab.numpy()), axis=-1)
    return (cv2.cvtColor(lab, cv2.COLOR_LAB2BGR) * 255).round().astype(np.uint8)


def _pixels(case: Case, picture: Array) -> Array:
    """The part of a picture that the case keeps."""
    stride = int(case.get("stride", 1))
    return picture[::stride, ::stride]


# --- DeOldify -----------------------------------------------------------------------------------

_DEOLDIFY_HEAD = "layers.0.4.0.conv1.weight"
_DEOLDIFY_SHAPES: dict[str, tuple[int, ...]] = {
    "artistic": (64, 64, 3, 3),
    "wide": (64, 64, 1, 1),
}
_DEOLDIFY_NAMES = {
    f"layers.{name}": f"layers_{name.replace('.', '_')}"
    for name in ("0.2", "0.4", "0.5", "0.6", "0.7", "3", "4", "5", "6", "7", "8", "10", "11")
}


def check_deoldify(fix: Fixture, case: Case) -> Iterator[Error]:
    """The network from its own input, and its program from picture to picture."""
    variant = _variant(fix, case, _DEOLDIFY_HEAD, _DEOLDIFY_SHAPES)
    net = published_deoldify(fix.salt or SALT, variant)
    yield from _heads(fix, case, net)
    for name in ("sq", "odd"):
        if not fix.has(case, f"x_{name}"):
            continue
        x = _normalized(fix.tensor(case, f"x_{name}"))
        seen = _watch(net, _DEOLDIFY_NAMES, functools.partial(net.predict, x))
        answer = seen.pop("out")
        if name == "sq":
            yield from _compare(fix, case, seen, {"layers_0_": TRUNK, "": STEPS})
        theirs = fix.get(case, f"out_{name}")
        yield Error(f"out_{name}", difference(output(case, answer), theirs), OUT_RGB)
    factor = int(fix.get(case, "pic_render_factor"))
    steps = deoldify_picture(net, fix.get(case, "pic_rgb"), factor)
    for (name, ours), levels in zip(steps.items(), (0.0, RAW_LEVELS, MERGED_LEVELS), strict=True):
        apart = np.abs(_pixels(case, ours).astype(float) - fix.get(case, f"pic_{name}_rgb"))
        yield Error(f"pic_{name}_rgb", float(apart.max()), levels)
        yield Error(f"pic_{name}_rgb/share", float((apart > 0).mean()), MISSED)


def _normalized(x: Tensor) -> Tensor:
    """The input; excerpts have the first channel only, of which the others follow."""
    if x.shape[1] == len(MEAN):
        return x
    gray = x.double() * STD[0] + MEAN[0]
    return torch.cat([(gray - m) / s for m, s in zip(MEAN, STD, strict=True)], dim=1).float()


def deoldify_picture(net: DeOldify, rgb: Array, render_factor: int) -> dict[str, Array]:
    """What DeOldify's program makes of an 8-bit picture, step by step.

    Returns:
        `square`: what the network is given; `raw`: its answer at the size of the picture, cut off
        to whole numbers before it was resized; `out`: its U and V beside the picture's Y, all in
        8 bits.
    """
    from PIL import Image

    side = 16 * render_factor
    bilinear = Image.Resampling.BILINEAR
    square = Image.fromarray(rgb).resize((side, side), bilinear).convert("LA").convert("RGB")
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    x = torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 255
    answer = net.predict(((x - mean) / std)[None])[0] * std + mean
    cut = (answer.clamp(0, 1) * 255).permute(1, 2, 0).numpy().astype(np.uint8)
    raw = np.array(Image.fromarray(cut).resize((rgb.shape[1], rgb.shape[0]), bilinear))
    merged = cv2.cvtColor(raw, cv2.COLOR_RGB2YUV)
    merged[..., 0] = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV)[..., 0]
    out = cv2.cvtColor(merged, cv2.COLOR_YUV2RGB)
    return {"square": np.array(square), "raw": raw, "out": np.asarray(out)}


# --- critics ------------------------------------------------------------------------------------


def check_discriminators(fix: Fixture, case: Case) -> Iterator[Error]:
    """The critics, and the pieces of DDColor's losses that are of pictures alone."""
    x = fix.tensor(case, "x")
    with torch.device("meta"):
        ours, theirs = DdcolorCritic(), DeoldifyCritic(64)
    for critic in (ours, theirs):
        _fill(critic, fix.salt or SALT, {"": (0.1, 0.2)})
    names = {f"layers.{i}": f"layers_{i}" for i in (0, 2, 4, 7)}
    seen = _watch(ours, names, lambda: ours(x))
    scores = seen.pop("out")
    yield from _compare(fix, case, seen, {"": SCORE_MAPS}, prefix="ddcolor_disc_")
    yield Error("ddcolor_disc_out", difference(scores, fix.get(case, "ddcolor_disc_out")), SCORES)
    given: list[Any] = []
    hook = theirs[0].register_forward_pre_hook(lambda _m, inputs: given.extend(inputs))
    scores = theirs(x)
    hook.remove()
    yield Error("x_norm", difference(given[0], fix.get(case, "x_norm")), PIXELS)
    recorded = fix.get(case, "deoldify_critic64_out")
    yield Error("deoldify_critic64_out", difference(scores, recorded), SCORES)
    loss = float(colorfulness_loss(x, 0.5))
    recorded = fix.get(case, "colorfulness_loss_w05")
    yield Error("colorfulness_loss_w05", relative(loss, float(recorded)), COLOR_LOSS)
    strong = color_enhanced(x)[:, :, ::4, ::4]
    yield Error("color_enhance_12", difference(strong, fix.get(case, "color_enhance_12")), PIXELS)


CHECKS = {
    "ddcolor": check_ddcolor,
    "deoldify": check_deoldify,
    "discriminators": check_discriminators,
}
