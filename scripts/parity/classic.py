"""Classical pieces: Dahl's loss, and color by statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from parity.fixture import Array, Case, Error, Fixture, difference, relative
from vidcolor.color.lab import rgb_to_lab
from vidcolor.color.spaces import ColorSpace
from vidcolor.color.transfer import reinhard, welsh
from vidcolor.train.losses import blurred, dahl_distance, plane_distance

EXACT = 1e-9  # largest error allowed, from the page that describes the fixtures
CLEAR = 1e-6  # costs of matches that are nearer than that are ties to another Lab code


def _planes(picture: Array) -> Tensor:
    """(1, C, H, W) of (H, W, C)."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


def _rows(planes: Tensor, theirs: Array) -> Array:
    """(h, w, C) of (1, C, H, W), where an excerpt keeps every so many-th row and column."""
    step = -(-planes.shape[2] // theirs.shape[0])
    return planes[0, :, ::step, ::step].permute(1, 2, 0).numpy()


def check_dahl(fix: Fixture, case: Case) -> Iterator[Error]:
    """UV, both blurs, and the loss with its terms."""
    space = ColorSpace("yuv")
    uv = {}
    for name in ("a", "b"):
        if not fix.has(case, f"dahl_rgb_{name}"):  # an excerpt
            uv[name] = _planes(fix.get(case, f"dahl_uv_{name}"))
            continue
        uv[name] = space.of_rgb(_planes(fix.get(case, f"dahl_rgb_{name}")))
        if fix.has(case, f"dahl_uv_{name}"):
            theirs = fix.get(case, f"dahl_uv_{name}")
            yield Error(f"uv_{name}", difference(_rows(uv[name], theirs), theirs), EXACT)
    for side in (3, 5):
        theirs = fix.get(case, f"dahl_blur{side}_a")
        ours = _rows(blurred(uv["a"], side), theirs)
        yield Error(f"blur{side}", difference(ours, theirs), EXACT)
    pairs = [(uv["a"], uv["b"]), *((blurred(uv["a"], n), blurred(uv["b"], n)) for n in (3, 5))]
    count = uv["a"].numel()  # they take sums where we take means
    for pair, theirs in zip(pairs, fix.get(case, "dahl_loss_terms").tolist(), strict=True):
        ours = float(plane_distance(*pair).mean()) * count
        yield Error("loss_terms", relative(ours, theirs), EXACT)
    ours = float(dahl_distance(uv["a"], uv["b"]).mean()) * count
    yield Error("loss_sum", relative(ours, float(fix.get(case, "dahl_loss_sum"))), EXACT)


def check_transfer(fix: Fixture, case: Case) -> Iterator[Error]:
    """Reinhard's statistics and Welsh's matches."""
    if fix.has(case, "reinhard_out"):
        ours = reinhard(fix.get(case, "reinhard_src"), fix.get(case, "reinhard_ref"))
        yield Error("reinhard", difference(ours, fix.get(case, "reinhard_out")), EXACT)
    if fix.has(case, "welsh_ab"):
        gray = fix.get(case, "welsh_target_grey")
        own = rgb_to_lab(_planes(np.repeat(gray[..., None], 3, 2)))[0, 0].numpy()
        reference = rgb_to_lab(_planes(fix.get(case, "welsh_ref")))[0].numpy()
        found = welsh(own, reference[0], reference[1:]).transpose(1, 2, 0)
        clear = fix.get(case, "welsh_margin") > CLEAR
        yield Error("welsh", difference(found[clear], fix.get(case, "welsh_ab")[clear]), EXACT)


def check_classic(fix: Fixture, case: Case) -> Iterator[Error]:
    """All of them."""
    yield from check_dahl(fix, case)
    yield from check_transfer(fix, case)


CHECKS: dict[str, Callable[[Fixture, Case], Iterator[Error]]] = {"classic": check_classic}
