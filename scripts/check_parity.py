"""Runs parity fixtures through our networks and prints the largest error of each case.

Usage: python scripts/check_parity.py FIXTURE.npz ...

A fixture holds inputs and the outputs that a reference implementation gave for them with weights
made by a formula of their names (`vidcolor.models.recipe`), so that no weight file is needed.
Whole-picture cases (`e2e`, `demo`) need Pillow, which vidcolor itself does not. The exit status is
1 if a limit is exceeded.

A trimmed fixture (scripts/record_parity_excerpt.py) may name a `stride` in a case: outputs are
then stored at every `stride`-th row and column only. An archive without an index is one case, whose
kind is told by its arrays.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from parity import classic, partialconv, partialconv_loss, published, zhang
from parity.fixture import (
    BINS,
    BINS_FLOAT32,
    GRADIENT,
    LAB,
    LOGITS,
    LOSS,
    MAPS,
    RGB,
    ROUNDING,
    SCORES,
    SPREAD,
    SPREAD_WEIGHTS,
    TANH,
    Case,
    Error,
    Fixture,
    compare_map,
    difference,
    fill_trunk,
    output,
    picture,
    relative,
    stats,
)
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.color.bins import (
    annealed_mean,
    gamut_bins,
    rebalance,
    smooth_prior,
    soft_encode,
)
from vidcolor.color.lab import lab_to_rgb, rgb_to_lab
from vidcolor.guidance.hints import levin
from vidcolor.models import objective
from vidcolor.models.instcolor import FUSIONS, PUBLISHED, InstColor, WeightGenerator, instance_maps
from vidcolor.models.layers import AB_SCALE
from vidcolor.models.placement import LEVELS, Placement, choose_boxes, rows
from vidcolor.models.recipe import fan_in_value, trunk_value
from vidcolor.records import Rois
from vidcolor.train.adversary import Adversary, PatchCritic
from vidcolor.train.losses import color_classes

# --- networks -----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def published_instcolor(salt: str) -> InstColor:
    """All three nets of InstColorization."""
    with torch.device("meta"):
        net = InstColor(**PUBLISHED)
    assert net.full is not None
    for part, tag in ((net.full, "GComp"), (net.instance, "G"), (net.fusion, "GF")):
        fill_trunk(part, salt, tag)
    return net


# --- the kinds ----------------------------------------------------------------------------------


def check_recipe(fix: Fixture, case: Case) -> Iterator[Error]:
    """The formula of the weights."""
    for tag, key, shape in case["keys"]:
        value = trunk_value(case["salt"], tag, key, tuple(shape))
        theirs = fix.get(case, f"{tag}.{key}/head")
        yield Error("head", difference(value.ravel()[: len(theirs)], theirs), 0.0)
        total = float(value.astype(np.float64).sum())
        yield Error("sum", relative(total, float(fix.get(case, f"{tag}.{key}/sum"))), 1e-9)


def check_color(fix: Fixture, case: Case) -> Iterator[Error]:
    """Color code and classes."""
    unit = torch.tensor([100.0, AB_SCALE, AB_SCALE]).view(1, 3, 1, 1)
    center = torch.tensor([50.0, 0.0, 0.0]).view(1, 3, 1, 1)
    lab = rgb_to_lab(fix.tensor(case, "rgb8")[None].float() / 255)
    norm = (lab - center) / unit
    yield Error("lab_norm", difference(norm, fix.get(case, "lab_norm")), LAB)
    back = lab_to_rgb(lab)
    yield Error("roundtrip_rgb", difference(back, fix.get(case, "lab_roundtrip_rgb")), RGB)
    wild = lab_to_rgb(fix.tensor(case, "lab_in") * unit + center)
    yield Error("rgb_unclamped", difference(wild, fix.get(case, "lab_in_rgb_unclamped")), RGB)
    number = objective.color_class(fix.tensor(case, "lab_in")[:, 1:] * AB_SCALE)
    yield Error("encode_idx", difference(number, fix.get(case, "encode_idx")), 0.0)
    mean = objective.mean_color(fix.tensor(case, "class_prob")) / AB_SCALE
    yield Error("class_mean_ab", difference(mean, fix.get(case, "class_mean_ab")), ROUNDING)


def check_boxinfo(fix: Fixture, case: Case) -> Iterator[Error]:
    """Placement numbers."""
    ours = []
    for x0, y0, x1, y1, width, height, side in fix.get(case, "in").tolist():
        box = torch.tensor([[x0, y0, x1, y1]])
        sides = [side >> level for level in range(LEVELS)]
        ours.append(torch.cat([rows(box, (height, width), (s, s))[0] for s in sides]))
    yield Error("rows", difference(torch.stack(ours), fix.get(case, "out")), 0.0)


def check_topn(fix: Fixture, case: Case) -> Iterator[Error]:
    """Choice of boxes."""
    boxes, scores = fix.tensor(case, "bbox"), fix.tensor(case, "scores")
    chosen = boxes.trunc()[choose_boxes(boxes, scores, case["box_num"])]
    yield Error("selected", difference(chosen, fix.get(case, "selected")), 0.0)


def _levels(fix: Fixture, case: Case) -> list[Tensor]:
    suffixes = ("", "_2x", "_4x", "_8x")
    return [fix.tensor(case, f"box_info{suffix}") for suffix in suffixes]


class Spy:
    """Compares what the generators of a fusion net make while it runs."""

    def __init__(self, fix: Fixture, case: Case, net: InstColor) -> None:
        self.errors: list[Error] = []
        self.hooks = [
            net.fusion.get_submodule(name).register_forward_hook(self.look(fix, case, name))
            for _, name, _ in FUSIONS
        ]

    def look(self, fix: Fixture, case: Case, name: str) -> Callable[..., None]:
        """A hook that compares one generator."""

        def hook(module: nn.Module, inputs: tuple[Any, ...], result: Tensor) -> None:
            assert isinstance(module, WeightGenerator)
            compare_map(self.errors, fix, case, f"fused/{name}", result)
            shares = module.shares(*inputs)[0]
            if fix.has(case, f"wmap/{name}/stats"):
                theirs = fix.get(case, f"wmap/{name}/stats")
                ours = np.stack([stats(share) for share in shares])
                self.errors.append(Error("wmap/stats", difference(ours, theirs), MAPS))
            if fix.has(case, f"wmap/{name}"):
                theirs = fix.get(case, f"wmap/{name}")
                kept = output(case, shares[None])[0]
                self.errors.append(Error("wmap", difference(kept, theirs), MAPS))

        return hook

    def __enter__(self) -> Spy:
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()


def _compare_instances(fix: Fixture, case: Case, net: InstColor, crops: Tensor) -> list[Error]:
    errors: list[Error] = []
    for name, value in instance_maps(net.instance, crops).items():
        compare_map(errors, fix, case, f"inst/{name}", value)
    if fix.has(case, "inst/out_reg/head"):
        compare_map(errors, fix, case, "inst/out_reg", net.instance.predict(crops))
    return errors


def _net_inputs(fix: Fixture, case: Case) -> tuple[Tensor, Tensor, Placement]:
    """Network inputs of a `net` case."""

    def joined(kind: str) -> Tensor:
        return torch.cat([fix.tensor(case, f"{kind}_{part}") for part in ("A", "hint", "mask")], 1)

    n = case["n"]
    levels = _levels(fix, case)
    return joined("full"), joined("crop"), Placement.of_rows(levels, [0] * n, torch.ones(n))


def check_net(fix: Fixture, case: Case) -> Iterator[Error]:
    """The networks, fed their own input channels."""
    net = published_instcolor(fix.salt)
    assert net.full is not None
    full = torch.cat([fix.tensor(case, f"full_{part}") for part in ("A", "hint", "mask")], 1)
    if fix.has(case, "gcomp_out"):
        logits, color = net.full.predict_both(full)
        color = output(case, color)
        yield Error("gcomp_out", difference(color, fix.get(case, "gcomp_out")), TANH)
        if fix.has(case, "gcomp_class_sub"):
            theirs = fix.get(case, "gcomp_class_sub")
            yield Error("class", difference(logits[:, :, ::4, ::4], theirs), LOGITS)
        if fix.has(case, "gcomp_class/stats"):
            theirs = fix.get(case, "gcomp_class/stats")
            yield Error("class/stats", difference(stats(logits), theirs), LOGITS)
    if not case["n"]:
        alone = output(case, net.fusion.predict(full))
        theirs = fix.get(case, "fusion_out_zero_instances")
        yield Error("fusion_out_zero_instances", difference(alone, theirs), TANH)
        return
    full, crops, placement = _net_inputs(fix, case)
    yield from _compare_instances(fix, case, net, crops)
    with Spy(fix, case, net) as spy:
        fused = output(case, net.fuse(full, crops, placement))
    yield from spy.errors
    yield Error("fusion_out", difference(fused, fix.get(case, "fusion_out")), TANH)


def check_e2e(fix: Fixture, case: Case) -> Iterator[Error]:
    """From an 8-bit picture and boxes to an 8-bit picture."""
    from PIL import Image

    net = published_instcolor(fix.salt)
    image = fix.get(case, "image")
    size = (image.shape[0], image.shape[1])
    side = case["final_size"]

    def lightness(part: Image.Image) -> Tensor:
        small = part.resize((side, side), Image.Resampling.BILINEAR)
        return rgb_to_lab(picture(np.array(small)))[:, :1]

    source = Image.fromarray(image)
    full = lightness(source)
    step = case["full_A_stride"]
    ours = (full - 50)[:, :, ::step, ::step] / 100
    yield Error("full_A", difference(ours, fix.get(case, "full_A")), LAB)
    boxes = fix.tensor(case, "bbox")
    boxes = boxes[choose_boxes(boxes, fix.tensor(case, "scores"), case["box_num"])].trunc()
    rois = None
    with Spy(fix, case, net) as spy:
        if len(boxes):
            corners = [tuple(int(v) for v in box) for box in boxes.tolist()]
            crops = torch.cat([lightness(source.crop(corner)) for corner in corners])
            for level, theirs in enumerate(_levels(fix, case)):
                at = (side >> level, side >> level)
                yield Error("box_info", difference(rows(boxes.long(), size, at), theirs.numpy()), 0)
            shade = (crops - 50) / 100
            theirs = fix.get(case, "crop_A/stats")
            yield Error("crop_A", difference(np.stack([stats(s) for s in shade]), theirs), LAB)
            sub = fix.get(case, "crop_A/sub")
            yield Error("crop_A", difference(shade[:, :, ::8, ::8], sub), LAB)
            channels = torch.cat((shade, torch.zeros(len(shade), 2, side, side)), 1)
            channels = F.pad(channels, (0, 0, 0, 0, 0, 1), value=-0.5)
            yield from _compare_instances(fix, case, net, channels)
            one = torch.zeros(len(boxes), dtype=torch.int64)
            rois = Rois(crops, boxes, one, torch.ones(len(boxes)), size)
        ab = net(full, rois)
    yield from spy.errors
    theirs = fix.get(case, "out_ab")
    yield Error("out_ab", difference(output(case, ab / AB_SCALE), theirs), TANH)
    rgb = lab_to_rgb(torch.cat((full, ab), 1)).clamp(0, 1)
    rgb8 = torch.round(output(case, rgb) * 255)[0].permute(1, 2, 0)
    yield Error("rgb8", difference(rgb8, fix.get(case, "rgb8").astype(float)), 1.0)


def check_loss(fix: Fixture, case: Case) -> Iterator[Error]:
    """Loss, choice of samples, learning rate."""
    pred, target = fix.tensor(case, "pred"), fix.tensor(case, "target")
    loss = objective.pixel_loss(pred, target)
    yield Error("huber_map", difference(loss, fix.get(case, "huber_map")), ROUNDING)
    mean = 10 * float(loss.double().mean())
    yield Error("huber_mean_x10", relative(mean, float(fix.get(case, "huber_mean_x10"))), LOSS)
    plain = (pred - target).abs().sum(1, keepdim=True)
    yield Error("l1_map", difference(plain, fix.get(case, "l1_map")), ROUNDING)
    extent = objective.color_range(target)
    yield Error("ab_range", difference(extent, fix.get(case, "ab_range")), ROUNDING)
    for least in (5, 10):
        kept = extent >= least / AB_SCALE
        yield Error("keep", difference(kept, fix.get(case, f"keep_thresh{least}")), 0.0)
    for name, constant, decay in (("full", 100, 50), ("fusion", 10, 20)):
        ours = [objective.rate_factor(e, constant, decay) for e in range(constant + decay)]
        theirs = fix.get(case, f"lr_factor_{name}")
        yield Error("lr_factor", difference(np.array(ours), theirs), 1e-12)


def check_grad(fix: Fixture, case: Case) -> Iterator[Error]:
    """Gradients of what the fusion phase trains, all nets in evaluation mode."""
    net = published_instcolor(fix.salt)
    prefix = f"{case['name']}/gradnorm/"
    names = [key.removeprefix(prefix) for key in fix.arrays.files if key.startswith(prefix)]
    full, crops, placement = _net_inputs(fix, fix.cases[case["source"]])
    with torch.enable_grad():
        loss = (
            10
            * objective.pixel_loss(
                net.fuse(full, crops, placement), fix.tensor(case, "target_ab")
            ).mean()
        )
        weights = [net.fusion.get_parameter(name) for name in names]
        gradients = torch.autograd.grad(loss, weights)
    yield Error("loss_G", relative(float(loss.detach()), float(fix.get(case, "loss_G"))), LOSS)
    for name, gradient in zip(names, gradients, strict=True):
        theirs = float(fix.get(case, f"gradnorm/{name}"))
        yield Error("gradnorm", relative(float(gradient.double().norm()), theirs), GRADIENT)


def check_bins(fix: Fixture, case: Case) -> Iterator[Error]:
    """Encoding and decoding of the 313 bins, rebalancing, and the loss."""
    centers = gamut_bins().double()
    ab = fix.tensor(case, "ab").double()
    for k in (5, 10):
        clear = fix.get(case, f"gap{k}") > 1e-6  # elsewhere the order of equal distances counts
        theirs = fix.get(case, f"enc{k}")[clear]
        for kind, limit in ((torch.float64, BINS), (torch.float32, BINS_FLOAT32)):
            numbers, shares = soft_encode(ab.to(kind)[..., None, None], centers, k)
            empty = torch.zeros(len(ab), len(centers), 1, 1, dtype=kind)
            dense = empty.scatter(1, numbers, shares)[clear][..., 0, 0]
            yield Error(f"enc{k}/{str(kind)[6:]}", difference(dense, theirs), limit)
    logits = fix.tensor(case, "logits")[..., None, None]
    # the mode is the mean of a very low temperature
    for name, temperature in (
        ("mean_T1", 1.0),
        ("anneal_T038", 0.38),
        ("anneal_scale2606", 1 / 2.606),
        ("mode", 1e-4),
    ):
        ours = annealed_mean(logits, centers, temperature)[..., 0, 0]
        yield Error(name, difference(ours, fix.get(case, name)), BINS)
    prior = fix.tensor(case, "prior")
    released, smoothed = rebalance(prior), smooth_prior(prior, centers)
    yield Error("weights_release", difference(released, fix.get(case, "weights_release")), BINS)
    yield Error("prior_smoothed", difference(smoothed, fix.get(case, "prior_smoothed")), BINS)
    ours = rebalance(smoothed)
    yield Error("weights_smoothed", difference(ours, fix.get(case, "weights_smoothed")), BINS)
    target = ab[: len(logits), :, None, None]
    weight = fix.get(case, "ce_weight")
    for row, plain in enumerate(fix.get(case, "ce").tolist()):
        pixel = slice(row, row + 1)
        ours = float(color_classes(logits[pixel], target[pixel], centers))
        yield Error("ce", relative(ours, plain), BINS)
        weighted = float(color_classes(logits[pixel], target[pixel], centers, released))
        yield Error("ce_weight", relative(weighted, plain * weight[row]), BINS)
    mean = float(color_classes(logits, target, centers, released))
    theirs = float(fix.get(case, "weighted_ce_mean"))
    yield Error("weighted_ce_mean", relative(mean, theirs), BINS)


def check_critic(fix: Fixture, case: Case) -> Iterator[Error]:
    """PatchGAN scores and losses, batch norm with the batch at hand."""
    critic = PatchCritic(case["layers"], case["width"], case["norm"])
    state = {
        key: torch.from_numpy(
            fan_in_value(fix.salt, key.replace("layers", "model"), tuple(value.shape))
        )
        for key, value in critic.state_dict().items()
    }
    critic.load_state_dict(state)
    lightness, true, pred = (
        fix.tensor(case, name).float() for name in ("lightness", "ab_true", "ab_pred")
    )
    pred.requires_grad_()
    yield Error("scores", difference(critic(lightness, true), fix.get(case, "scores")), SCORES)
    for kind in ("least_squares", "vanilla"):
        game = Adversary(critic, kind)
        losses = game.critic_losses(lightness, pred, true)
        for name, value in losses.items():
            theirs = float(fix.get(case, f"{kind}/{name}"))
            yield Error(f"{kind}/{name}", relative(float(value), theirs), LOSS)
        with torch.enable_grad():
            loss = game.generator_loss(lightness, pred)
            (gradient,) = torch.autograd.grad(loss, pred)
        theirs = float(fix.get(case, f"{kind}/generator"))
        yield Error(f"{kind}/generator", relative(float(loss.detach()), theirs), LOSS)
        theirs = float(fix.get(case, f"{kind}/gradnorm"))
        ours = float(gradient.double().norm())
        yield Error(f"{kind}/gradnorm", relative(ours, theirs), GRADIENT)


def check_levin(fix: Fixture, case: Case) -> Iterator[Error]:
    """Color spread from scribbles by the released rule: pictures, a film, rows of the matrix."""
    for prefix in ("", "flat_", "video_"):
        if not fix.has(case, f"{prefix}solution"):
            continue
        luma, known, values, theirs = (
            fix.get(case, f"{prefix}{name}") for name in ("Y", "mask", "hint", "solution")
        )
        motion = None
        if prefix == "video_":
            flows = (fix.get(case, f"video_{name}") for name in ("fx", "fy", "gx", "gy"))
            motion = levin.Motion(*flows)
        ours = levin.solve(luma, known, values, motion)
        step = luma.size // theirs[..., 0].size  # excerpts keep every so many-th pixel
        ours = ours.reshape(-1, theirs.shape[-1])[::step].reshape(theirs.shape)
        yield Error(f"{prefix}solution", difference(ours, theirs), SPREAD)
    if fix.has(case, "probe_yx"):
        luma = fix.get(case, "Y")
        weights = levin.spread(luma)
        for (y, x), theirs in zip(
            fix.get(case, "probe_yx"), fix.get(case, "probe_window"), strict=True
        ):
            row = -weights[[y * luma.shape[1] + x]].toarray().reshape(luma.shape)
            row[y, x] += 1
            window = np.pad(row, 1)[y : y + 3, x : x + 3]
            yield Error("probe_window", difference(window, theirs), SPREAD_WEIGHTS)


CHECKS: dict[str, Callable[[Fixture, Case], Iterator[Error]]] = {
    **classic.CHECKS,
    **partialconv.CHECKS,
    **partialconv_loss.CHECKS,
    **published.CHECKS,
    **zhang.CHECKS,
    "bins": check_bins,
    "boxinfo": check_boxinfo,
    "color": check_color,
    "critic": check_critic,
    "e2e": check_e2e,
    "grad": check_grad,
    "levin": check_levin,
    "loss": check_loss,
    "net": check_net,
    "recipe": check_recipe,
    "topn": check_topn,
}


def why_skipped(case: Case) -> str | None:
    """Why a case cannot be checked, or None."""
    if case["kind"] not in CHECKS:
        return f"no network of ours is of kind {case['kind']!r}"
    if case["kind"] == "demo" and case["net"] not in zhang.NETWORKS:
        return f"no network of ours is {case['net']!r}"
    if case["kind"] in ("e2e", "demo"):
        try:
            import PIL  # noqa: F401
        except ImportError:
            return "needs Pillow (pip install pillow)"
    return None


def largest(errors: Iterator[Error]) -> list[Error]:
    """Of each quantity the worst error, in the order of first appearance."""
    worst: dict[str, Error] = {}
    for error in errors:
        before = worst.get(error.quantity)
        if before is None or error.bad or (error.value > before.value and not before.bad):
            worst[error.quantity] = error
    return list(worst.values())


@torch.no_grad()
def check(fix: Fixture, case: Case) -> list[Error]:
    """The largest error of each quantity of a case."""
    return largest(CHECKS[case["kind"]](fix, case))


def main(arguments: list[str] | None = None) -> int:
    """Check the named fixtures."""
    parser = argparse.ArgumentParser(description="Compare our networks with recorded numbers.")
    parser.add_argument("fixtures", nargs="+", metavar="FIXTURE.npz")
    failed = 0
    for path in parser.parse_args(arguments).fixtures:
        fix = Fixture(path)
        print(path)
        for case in fix.cases.values():
            label = f"  {case['name']} ({case['kind']})"
            reason = why_skipped(case)
            if reason is not None:
                print(f"{label}: skipped, {reason}")
                continue
            print(label)
            for error in check(fix, case):
                verdict = "EXCEEDED" if error.bad else "ok"
                failed += error.bad
                numbers = f"{error.value:9.2e}  limit {error.limit:7.0e}"
                print(f"    {error.quantity:28} {numbers}  {verdict}")
    print("all within limits" if not failed else f"{failed} quantities exceed their limit")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
