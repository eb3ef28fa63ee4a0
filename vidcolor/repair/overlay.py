"""The film with its damage in color: a preview that plays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vidcolor.color.lab import rgb_to_lab
from vidcolor.color.luma import to_lightness
from vidcolor.records import Chroma, Colored, FrameBatch, Tracks
from vidcolor.repair.records import Kind, Repaired, Spot
from vidcolor.repair.sheet import COLORS

__all__ = ["overlay"]

Floats = npt.NDArray[np.float32]

_LEAST = 0.35  # opacity of what nobody believes
_TONE = 0.45  # luma of spots, in parts of white


def overlay(repaired: Repaired) -> Colored:
    """Frames as they were, every spot in the color of its kind, paler the less sure.

    Rejected spots are left out; those in review are shown. Spots are drawn at one luma, because
    black and white, which damage mostly is, have no color.
    """
    frames = _with_tone(repaired)
    inks = {kind: _ink(rgb) for kind, rgb in COLORS.items()}
    ab, lightness = [], []
    for number, spots in enumerate(repaired.marked.spots):
        ab.append(_halved(torch.from_numpy(_painted(spots, frames.info.size, inks))[None]))
        plane = frames.luma[number : number + 1]
        lightness.append(_halved(to_lightness(plane, frames.info.color)))
    return Colored(frames, Tracks.empty(), Chroma(torch.cat(ab), torch.cat(lightness)))


def _with_tone(repaired: Repaired) -> FrameBatch:
    frames = repaired.marked.frames
    if not any(repaired.marked.spots):
        return frames
    spec, luma = frames.info.color, frames.luma.clone()
    tone = round(spec.black + _TONE * (spec.white - spec.black))
    for plane, spots in zip(luma[:, 0].numpy(), repaired.marked.spots, strict=True):
        for spot in spots:
            if spot.state != "rejected":
                plane[spot.place][spot.hole] = tone
    return replace(frames, luma=luma)


def _painted(spots: Sequence[Spot], size: tuple[int, int], inks: Mapping[Kind, Floats]) -> Floats:
    """(2, H, W) a*b* of a frame: 0 where nothing is damaged."""
    ab = np.zeros((2, *size), np.float32)
    for spot in spots:
        if spot.state != "rejected":
            opacity = np.float32(_LEAST + (1 - _LEAST) * spot.confidence)
            rows, columns = spot.place
            ab[:, rows, columns][:, spot.hole] = opacity * inks[spot.kind]
    return ab


def _halved(planes: Tensor) -> Tensor:
    """A film has color at half the size, so nothing finer is needed."""
    return F.avg_pool2d(planes, 2, ceil_mode=True)


def _ink(rgb: tuple[int, int, int]) -> Floats:
    """(2, 1) a*b* of a color, as strong as it goes."""
    picture = torch.tensor(rgb, dtype=torch.float32).reshape(1, 3, 1, 1) / 255
    ab = rgb_to_lab(picture)[0, 1:, 0].numpy()
    return np.asarray(1.4 * ab, np.float32)
