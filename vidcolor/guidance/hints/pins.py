"""Colors of objects, from hints that belong to them."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.guidance.hints.frame import HintedFrame
from vidcolor.guidance.hints.guide import Box
from vidcolor.guidance.hints.marks import Area, FrameMarks, Strokes
from vidcolor.guidance.template import GRID, Pin, Template

__all__ = ["owned", "pin_of"]

Floats = npt.NDArray[np.float32]

_SAMPLES = 8  # of a cell of the template, along each side
_NEAR = 6.0  # in a*b*, from the color that was said
_MOSTLY = 0.6  # of what a hint colors, that lies in the box if it is the object that it means


def owned(marks: FrameMarks, frame: HintedFrame, boxes: Mapping[int, Box]) -> dict[int, Floats]:
    """What the hints of a frame color of the objects that they belong to.

    A hint whose color spreads mostly outside the box belongs to something behind the object and
    says nothing of it.

    Args:
        marks: The hints.
        frame: What became of them.
        boxes: In cells, by track.

    Returns:
        (h, w) weight of the color, by track.
    """
    weights: dict[int, Floats] = {}
    hints: list[Strokes | Area] = [*marks.strokes, *marks.areas]
    for hint in hints:
        if hint.track is None or hint.leaves or hint.track not in boxes:
            continue
        meant = _meant(hint, frame)
        if _inside(meant, boxes[hint.track]) < _MOSTLY * float(meant.sum()):
            continue
        before = weights.get(hint.track)
        weights[hint.track] = meant if before is None else np.maximum(before, meant)
    return weights


def pin_of(track: int, ab: Floats, guide: Floats, weight: Floats, box: Box) -> Pin:
    """The color of an object in the coordinates of its box.

    Args:
        track: Its id.
        ab: (2, h, w) a*b*.
        guide: (h, w) L*.
        weight: (h, w) in 0..1: where the color is the object's.
        box: In cells.
    """
    return Pin(track, _template(ab, guide, weight, box))


def _meant(hint: Strokes | Area, frame: HintedFrame) -> Floats:
    """(h, w) weight of the color of one hint: what hangs together with it and is of its color."""
    start = hint.cells if isinstance(hint, Strokes) else hint.core
    color = hint.ab if hint.ab.ndim > 1 else hint.ab[:, None, None]
    near = np.hypot(*(frame.ab - color)) < _NEAR
    there = (frame.weight > 0.02) & (near | (hint.ab.ndim > 1))
    _, parts = cv2.connectedComponents(there.astype(np.uint8), connectivity=4)
    hit = np.unique(np.asarray(parts)[start & there])
    return np.where(np.isin(parts, hit) & there, frame.weight, 0).astype(np.float32)


def _inside(weight: Floats, box: Box) -> float:
    x0, y0, x1, y1 = (max(0, round(v)) for v in box)
    return float(weight[y0:y1, x0:x1].sum())


def _template(ab: Floats, guide: Floats, weight: Floats, box: Box) -> Template:
    """Cells of the box, colors averaged by weight."""
    count = GRID * _SAMPLES
    x = box[0] + (np.arange(count) + 0.5) * (box[2] - box[0]) / count - 0.5
    y = box[1] + (np.arange(count) + 0.5) * (box[3] - box[1]) / count - 0.5
    map_x, map_y = (m.astype(np.float32) for m in np.meshgrid(x, y))
    planes = np.stack((weight, ab[0] * weight, ab[1] * weight, guide), axis=2)
    sampled = np.asarray(
        cv2.remap(planes, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    )
    cells = sampled.reshape(GRID, _SAMPLES, GRID, _SAMPLES, 4).mean(axis=(1, 3))
    sure = np.clip(cells[..., 0], 0, 1)
    safe = np.maximum(sure, 1e-4)
    color = np.stack((cells[..., 1] / safe, cells[..., 2] / safe)) * (sure > 1e-3)
    return Template(
        torch.from_numpy(color.astype(np.float32)),
        torch.from_numpy(np.ascontiguousarray(cells[..., 3], np.float32)),
        torch.from_numpy(sure.astype(np.float32)),
    )
