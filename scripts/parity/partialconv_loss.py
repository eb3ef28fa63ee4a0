"""What networks with partial convolutions minimize, through a VGG-16 with weights by formula."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torchvision
from torch import Tensor

from parity.fixture import Array, Case, Error, Fixture, difference, output, relative
from parity.partialconv import holes, recipe, summary, wave
from vidcolor.train.features import vgg16
from vidcolor.train.inpaint.losses import TERMS, Pools, gram, loss_terms

__all__ = ["CHECKS", "published_pools"]

# largest error allowed, from the page that describes the fixtures
TERM, SLOPE, SUMMARY = 1e-5, 1e-2, 1e-4
PREDICTED = 0.9
"""Phase of `wave`: of the network's answer."""
_NAMES = {"perceptual": "prc"}


@functools.lru_cache(maxsize=1)
def published_pools(salt: str) -> Pools:
    """The trunk; layers behind the third pool, which nobody looks at, are zero."""
    with torch.device("meta"):
        empty = torchvision.models.vgg16(weights=None).features
    made = {}
    last = [n for n, layer in enumerate(empty) if isinstance(layer, torch.nn.MaxPool2d)][2]
    for key, entry in empty.state_dict().items():
        shape = tuple(entry.shape)
        seen = int(key.partition(".")[0]) < last
        value = recipe(salt, f"vgg.features.{key}", shape) if seen else np.zeros(shape, np.float32)
        made[f"features.{key}"] = torch.from_numpy(value)
    return Pools(vgg16(made, "the recipe"), normalized=False)


def _total(fix: Fixture, case: Case, answer: Tensor) -> tuple[list[Tensor], Tensor]:
    """Terms as the fixture has them, and their weighted sum."""
    shape = (case["n"], case["cin"], case["h"], case["w"])
    valid = holes(fix, case)
    assert valid is not None
    pools = published_pools(fix.salt)
    # the reference looks at the variation of the whole picture
    found = loss_terms(answer, wave(shape), valid, TERMS, pools, smoothed="whole")
    weights = {name: case["weights"][_NAMES.get(name, name)] for name in TERMS}
    total = torch.stack([weights[name] * found[name] for name in TERMS]).sum()
    return [found[name] for name in TERMS], total


def check_loss(fix: Fixture, case: Case) -> Iterator[Error]:
    """All terms, their sum, its slope, and Gram matrices of the truth."""
    shape = (case["n"], case["cin"], case["h"], case["w"])
    answer = wave(shape, PREDICTED).requires_grad_()
    with torch.enable_grad():
        terms, total = _total(fix, case, answer)
        (slope,) = torch.autograd.grad(total, answer)
    for name, ours, theirs in zip(
        (*TERMS, "total"), (*terms, total), fix.get(case, "terms").tolist(), strict=True
    ):
        yield Error(name, relative(float(ours.detach()), theirs), TERM)
    yield Error("grad_out", _apart(output(case, slope), fix.get(case, "grad_out")), SLOPE)
    for number, features in enumerate(published_pools(fix.salt)(wave(shape)), 1):
        theirs = fix.get(case, f"gram{number}_summary")
        ours = summary(gram(features))
        yield Error("gram", difference(ours, theirs) / float(np.abs(theirs).max()), SUMMARY)


def _apart(ours: Tensor, theirs: Array) -> float:
    """Length of the difference, relative."""
    return float(np.linalg.norm(ours.double().numpy() - theirs) / np.linalg.norm(theirs))


CHECKS: dict[str, Callable[[Fixture, Case], Iterator[Error]]] = {"partialconv loss": check_loss}
