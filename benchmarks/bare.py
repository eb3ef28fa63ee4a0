"""The whole line without its network: what everything else costs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

AMPLITUDE = 30.0
"""Of the made-up a*b*; about what a colored picture has."""
WAVES = 1.5

Sizes = dict[tuple[int, int], tuple[int, int]]


class Instant(nn.Module):
    """Answers at once what a network of the same shape would answer: smooth waves of color.

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
        self._answers: dict[tuple[int, int], Tensor] = {}
        self.uses_rois = getattr(network, "uses_rois", True)
        self.whole_size = int(getattr(network, "whole_size", 0))

    def whole(self, lightness: Tensor) -> Tensor:
        """Vectors of whole pictures, for networks that go by them."""
        return torch.zeros(len(lightness), self.whole_size, device=lightness.device)

    def forward(self, lightness: Tensor, *given: Any, **named: Any) -> Tensor:
        """(N, 2, h, w) a*b*."""
        size = int(lightness.shape[2]), int(lightness.shape[3])
        if size not in self._answers:
            if size not in self._sizes:
                whole = {"whole": self.whole(lightness[:1])} if "whole" in named else {}
                answer = self._network[0](lightness[:1], None, **whole)
                self._sizes[size] = int(answer.shape[2]), int(answer.shape[3])
            self._answers[size] = waves(*self._sizes[size]).to(lightness.device)
        return self._answers[size].expand(len(lightness), -1, -1, -1).contiguous()


def waves(height: int, width: int) -> Tensor:
    """(1, 2, height, width) float32 a*b*, smooth and nowhere both 0."""
    y = torch.linspace(0, 2 * math.pi * WAVES, height)[:, None].expand(height, width)
    x = torch.linspace(0, 2 * math.pi * WAVES, width)[None].expand(height, width)
    return AMPLITUDE * torch.stack(((x + y).cos(), (x + y).sin()))[None]


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
