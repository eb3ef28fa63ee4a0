"""The whole line without its network: what everything else costs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHROMA = 10.0
"""Of the made-up a*b*; about what a colored picture has."""

Sizes = dict[tuple[int, int], tuple[int, int]]


class Instant(nn.Module):
    """Answers at once, in the shape of a network's answers: color that goes with lightness.

    So it lies on things and moves with them, as color does, and an encoder has as much to do.

    The network itself is asked once for each size of picture, to learn how large its answers are.
    Everything around it is done as ever: pictures and close-ups are made for it, and its answers
    go the way of all colors.

    Args:
        network: What it stands in for.
        sizes: Of answers, by size of pictures; kept by the caller, so that nothing is asked twice.
    """

    def __init__(self, network: nn.Module, sizes: Sizes) -> None:
        super().__init__()
        self._network = [network]  # a list: no part of this module
        self._sizes = sizes
        self.uses_rois = getattr(network, "uses_rois", True)
        self.whole_size = int(getattr(network, "whole_size", 0))

    def whole(self, lightness: Tensor) -> Tensor:
        """Vectors of whole pictures, for networks that go by them."""
        return torch.zeros(len(lightness), self.whole_size, device=lightness.device)

    def forward(self, lightness: Tensor, *given: Any, **named: Any) -> Tensor:
        """(N, 2, h, w) a*b*."""
        size = int(lightness.shape[2]), int(lightness.shape[3])
        if size not in self._sizes:
            whole = {"whole": self.whole(lightness[:1])} if "whole" in named else {}
            answer = self._network[0](lightness[:1], None, **whole)
            self._sizes[size] = int(answer.shape[2]), int(answer.shape[3])
        return tints(lightness, self._sizes[size])


def tints(lightness: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, 2, *size) float32 a*b* that turns from cold to warm as (N, 1, H, W) L* rises."""
    angle = F.interpolate(lightness.float(), size, mode="area") * (math.pi / 100)
    return CHROMA * torch.cat((-angle.cos(), angle.sin() - 0.5), 1)


def networks(line: Any) -> list[Any]:
    """The stages of a line that hold a network: one, or two that are merged."""
    found, open_ = [], [line.colorize]
    while open_:
        stage = open_.pop()
        if hasattr(stage, "model"):
            found.append(stage)
        open_ += [
            part
            for part in (getattr(stage, name, None) for name in ("colorize", "first", "second"))
            if part is not None
        ]
    return found


@contextlib.contextmanager
def changed_lines(change: Callable[[Any], Any]) -> Iterator[None]:
    """Films are colored by other lines: by what `change` makes of the line of their settings.

    Raises:
        RuntimeError: On leaving, if no line was made: then something else was measured.
    """
    import vidcolor.plain as plain

    build, made = plain.build_line, 0

    def build_line(*given: Any, **named: Any) -> Any:
        nonlocal made
        made += 1
        return change(build(*given, **named))

    plain.build_line = build_line
    try:
        yield
    finally:
        plain.build_line = build
    if not made:
        raise RuntimeError("no line was made by vidcolor.plain.build_line; who makes it now?")


def without_network(sizes: Sizes) -> Callable[[Any], Any]:
    """What takes the networks out of a line, see `Instant`."""

    def change(line: Any) -> Any:
        stages = networks(line)
        if not stages:
            raise RuntimeError("the line has no stage with a network")
        for stage in stages:
            stage.model = Instant(stage.model, sizes)
        return line

    return change
