"""A last layer that makes the colors of a network by formula mean something."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from measure.bare import networks
from measure.settings import read_flags
from torch import Tensor, nn

from vidcolor.models.instcolor import InstColor
from vidcolor.models.layers import AB_SCALE
from vidcolor.models.registry import model_spec
from vidcolor.records import FrameBatch, Rois, Tracked

FIT_FRAMES, RIDGE = 2, 1e-2

Readout = Callable[[InstColor], None]
"""Gives the last layer of a network its weights."""


def fitted(net: InstColor, pictures: Sequence[tuple[Tensor, Rois | None, Tensor]]) -> None:
    """Fit the last layer, so that the network says what somebody else said, as nearly as it can.

    Args:
        net: Is changed.
        pictures: (1, 1, H, W) L*, its instances, and (1, 2, H, W) a*b* that is wanted.
    """
    convolution = net.fusion.model_out[0]
    assert isinstance(convolution, nn.Conv2d)
    seen: list[Tensor] = []
    hook = convolution.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    wanted = []
    with torch.no_grad():
        for lightness, rois, ab in pictures:
            net(lightness, rois)
            wanted.append((ab / AB_SCALE).clamp(-0.99, 0.99).atanh())
        hook.remove()
        columns = torch.cat([one.permute(0, 2, 3, 1).flatten(0, 2) for one in seen]).double()
        targets = torch.cat([one.permute(0, 2, 3, 1).flatten(0, 2) for one in wanted]).double()
        mean, center = columns.mean(0), targets.mean(0)
        moved = columns - mean
        square = moved.T @ moved
        square += RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
        weight = torch.linalg.solve(square, moved.T @ (targets - center))
        convolution.weight.copy_(weight.T[:, :, None, None])
        assert convolution.bias is not None
        convolution.bias.copy_(center - mean @ weight)


def as_the_starter(clip: Path, frames: int, boxes: Path) -> Readout:
    """The readout that is fitted to the starter's colors of a few frames.

    Args:
        clip: Whose frames.
        frames: The first so many; a few of them, far apart, are taken.
        boxes: File of their boxes.
    """
    from vidcolor.build import build_line
    from vidcolor.io.video import VideoReader
    from vidcolor.stages.colorize import ColorizeFrames

    config = read_flags(["--detector", f"boxes:{boxes}", "--cadence", "every"], None)
    line = build_line(config)
    with VideoReader(clip, config.input) as reader:
        tracked = list(line.follow(line.shots(first_frames(reader, frames))))
    numbers = {round(i * (frames - 1) / (FIT_FRAMES - 1)) for i in range(FIT_FRAMES)}
    told = [(batch, i) for batch in tracked for i in range(len(batch.frames))]
    picked = [_single(*told[number]) for number in sorted(numbers) if number < len(told)]

    def readout(net: InstColor) -> None:
        shown: list[tuple[Tensor, Rois | None]] = []

        def show(lightness: Tensor, rois: Rois | None = None) -> Tensor:
            shown.append((lightness, rois))
            return torch.zeros(len(lightness), 2, *lightness.shape[2:])

        stage = ColorizeFrames(
            _Shows(show), model_spec("instcolor"), config.colorize, torch.device("cpu")
        )
        pictures = []
        for one in picked:
            stage(one)
            lightness, rois = shown[-1]
            ab = networks(line)[0](one).chroma.ab
            size = (int(lightness.shape[2]), int(lightness.shape[3]))
            wanted = F.interpolate(ab, size, mode="bilinear", align_corners=False)
            pictures.append((lightness, rois, wanted))
        fitted(net, pictures)

    return readout


class _Shows(nn.Module):
    """Hands on what a network would be asked."""

    def __init__(self, show: Callable[..., Tensor]) -> None:
        super().__init__()
        self._show = show

    def forward(self, *given: Any) -> Tensor:
        return self._show(*given)


def _single(batch: Tracked, number: int) -> Tracked:
    """A frame of a batch, with its tracks."""
    own = batch.tracks[batch.tracks.detections.frame == number]
    own = dataclasses.replace(
        own, detections=dataclasses.replace(own.detections, frame=torch.zeros_like(own.ids))
    )
    frames = dataclasses.replace(batch.frames[number : number + 1], held=None)
    return Tracked(frames, own)


def first_frames(batches: Iterable[FrameBatch], frames: int) -> Iterator[FrameBatch]:
    """The first frames of a film, in its batches."""
    for batch in batches:
        yield batch[: min(len(batch), frames)]
        frames -= len(batch)
        if frames <= 0:
            return
