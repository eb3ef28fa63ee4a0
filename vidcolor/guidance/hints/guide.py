"""What the solve of hints sees of a frame: lightness without grain, and how it moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.ops.flow import FlowPreset, as_gray, dis_flow, warp

__all__ = ["LEAST_NOISE", "Box", "Link", "denoise", "link", "to_cells"]

Floats = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]

LEAST_NOISE = 0.5
"""Grain, in L*, that every frame is taken to have."""

_NOISE_FACTOR = 3.0
_WINDOW_PX = 3
_PULSE = 8.0  # change of exposure between frames, in L*, that is no change of the picture
_USUAL_MISS = 1.0  # in cells, of the way there and back, and a share of the way
_MISS_SHARE = 0.15
_BOX_MARGIN = 1.0  # in L*, by which the motion of a box must explain a place better than flow


def denoise(lightness: Floats, noise: float) -> Floats:
    """(h, w) L* with its grain smoothed and its edges kept; only a guide, never shown."""
    return cast(Floats, cv2.bilateralFilter(lightness, 5, _NOISE_FACTOR * noise, 1.5))


def to_cells(box: Box, frame_size: tuple[int, int], size: tuple[int, int]) -> Box:
    """A box in pixels of a frame of `frame_size`, on a grid of `size`."""
    y, x = size[0] / frame_size[0], size[1] / frame_size[1]
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """How a frame hangs together with the one that its color comes from.

    Attributes:
        flow: (h, w, 2) float32 (x, y): where each cell of this frame lies in the other.
        trust: (h, w) float32 in 0..1: whether that is the same thing.
        pulse: L* by which this frame is exposed more.
    """

    flow: Floats
    trust: Floats
    pulse: float


def link(
    guide: Floats,
    other: Floats,
    noise: float,
    boxes: Mapping[int, Box],
    other_boxes: Mapping[int, Box],
    preset: FlowPreset = "medium",
) -> Link:
    """Motion from a frame to another: flow, or that of a box where it explains the luma better.

    Args:
        guide: (h, w) L* of this frame.
        other: (h, w) L* of the other.
        noise: Deviation of the grain in L*.
        boxes: In cells, by track: objects whose motion may be asked.
        other_boxes: The same in the other frame.
        preset: Effort for flow.
    """
    flow = dis_flow(as_gray(guide), as_gray(other), preset)
    away, pulse = _residual(guide, other, flow)
    astray = _astray(flow, dis_flow(as_gray(other), as_gray(guide), preset))
    for track, box in boxes.items():
        if track in other_boxes:
            _ride(guide, other, flow, away, astray, box, other_boxes[track])
    tau = max(3.0, _NOISE_FACTOR * noise)
    trust = np.exp(away * away * np.float32(-0.5 / tau**2) - astray * astray)
    return Link(flow, trust, pulse)


def _residual(guide: Floats, other: Floats, flow: Floats) -> tuple[Floats, float]:
    """(h, w) difference of luma along a flow, in L*, less a change of exposure; that change."""
    difference = guide - warp(other[..., None], flow)[..., 0]
    pulse = min(_PULSE, max(-_PULSE, float(np.median(difference[::4, ::4]))))
    difference -= np.float32(pulse)
    np.abs(difference, out=difference)
    window = (_WINDOW_PX, _WINDOW_PX)
    smooth = cast(Floats, cv2.blur(difference, window, borderType=cv2.BORDER_REPLICATE))
    return smooth, pulse


def _astray(flow: Floats, back: Floats) -> Floats:
    """(h, w) how far the way there and back misses, in units of what is usual.

    What was hidden in the other frame has no place there: flow leads it to whatever hid it, from
    where the way back leads elsewhere.
    """
    missed = flow + warp(back, flow)
    usual = np.float32(_USUAL_MISS) + np.float32(_MISS_SHARE) * _length(flow)
    return _length(missed) / usual


def _length(flow: Floats) -> Floats:
    return cast(Floats, cv2.magnitude(*cv2.split(flow)))


def _ride(
    guide: Floats,
    other: Floats,
    flow: Floats,
    away: Floats,
    astray: Floats,
    box: Box,
    to: Box,
) -> None:
    """Replace flow by the motion of a box where that explains the luma better."""
    height, width = guide.shape
    x0, y0 = max(0, int(box[0])), max(0, int(box[1]))
    x1, y1 = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
    if x1 <= x0 or y1 <= y0 or box[2] - box[0] < 1 or box[3] - box[1] < 1:
        return
    x, y = np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5)
    there_x = to[0] + (x - box[0]) * (to[2] - to[0]) / (box[2] - box[0])
    there_y = to[1] + (y - box[1]) * (to[3] - to[1]) / (box[3] - box[1])
    rigid = flow.copy()
    rigid[y0:y1, x0:x1] = np.stack((there_x - x, there_y - y), axis=2)
    strange = _residual(guide, other, rigid)[0][y0:y1, x0:x1]
    better = strange + _BOX_MARGIN < away[y0:y1, x0:x1]
    flow[y0:y1, x0:x1][better] = rigid[y0:y1, x0:x1][better]
    away[y0:y1, x0:x1][better] = strange[better]
    astray[y0:y1, x0:x1][better] = 0
