"""Boxes: overlap, growth, center form, and the way to the upright picture.

Boxes are (K, 4) xyxy floats: left and top inside, right and bottom outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from vidcolor.records import VideoInfo

__all__ = ["Upright", "area", "clip", "from_center", "grow", "iou", "to_center"]

_MOST_ASPECT = Fraction(4)  # pixels said to be longer than this are a broken header


def area(boxes: Tensor) -> Tensor:
    """(K,) areas of (K, 4) boxes; empty and inverted ones have 0."""
    return (boxes[:, 2] - boxes[:, 0]).clamp(min=0) * (boxes[:, 3] - boxes[:, 1]).clamp(min=0)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """(K, M) intersection over union of (K, 4) and (M, 4) boxes, in 0..1."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    common = (high - low).clamp(min=0).prod(dim=2)
    union = area(first)[:, None] + area(second)[None] - common
    return torch.where(union > 0, common / union.clamp(min=1e-12), torch.zeros_like(union))


def grow(boxes: Tensor, ratio: float) -> Tensor:
    """Boxes moved out on each side by `ratio` of their own width and height."""
    size = boxes[:, 2:] - boxes[:, :2]
    return torch.cat((boxes[:, :2] - ratio * size, boxes[:, 2:] + ratio * size), dim=1)


def clip(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes cut to a picture of `size` (height, width)."""
    height, width = size
    limit = boxes.new_tensor((width, height, width, height))
    return torch.minimum(boxes.clamp(min=0), limit)


def to_center(boxes: Tensor) -> Tensor:
    """(K, 4) center x, center y, log width, log height; sides count as at least 1e-3."""
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    return torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, size.log()), dim=1)


def from_center(centers: Tensor) -> Tensor:
    """(K, 4) xyxy of what `to_center` gives."""
    half = centers[:, 2:].exp() / 2
    return torch.cat((centers[:, :2] - half, centers[:, :2] + half), dim=1)


@dataclass(frozen=True, slots=True)
class Upright:
    """The picture as people see it (turned upright, square pixels), and the way back.

    Attributes:
        info: The coded frames.
    """

    info: VideoInfo

    @property
    def _square(self) -> tuple[int, int]:
        """Coded orientation, square pixels: the shorter direction is stretched, none shrinks."""
        height, width = self.info.size
        aspect = self.info.sample_aspect
        if aspect <= 0 or max(aspect, 1 / aspect) > _MOST_ASPECT:
            return height, width
        if aspect >= 1:
            return height, round(width * aspect)
        return round(height / aspect), width

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` of the upright picture."""
        height, width = self._square
        return (width, height) if self.info.rotation in (90, 270) else (height, width)

    def picture(self, planes: Tensor) -> Tensor:
        """(N, C, H, W) float planes of coded frames, upright with square pixels."""
        if tuple(planes.shape[2:]) != self._square:
            planes = F.interpolate(planes, size=self._square, mode="bilinear", antialias=True)
        return torch.rot90(planes, self.info.rotation // 90, (2, 3))

    def _scale(self, boxes: Tensor) -> Tensor:
        (height, width), (tall, wide) = self.info.size, self._square
        x, y = wide / width, tall / height
        return boxes.new_tensor((x, y, x, y))

    def from_frame(self, boxes: Tensor) -> Tensor:
        """(K, 4) boxes in coded frame pixels, as they lie in the upright picture."""
        height, width = self._square
        x0, y0, x1, y1 = (boxes * self._scale(boxes)).unbind(1)
        turned = {
            0: (x0, y0, x1, y1),
            90: (y0, width - x1, y1, width - x0),
            180: (width - x1, height - y1, width - x0, height - y0),
            270: (height - y1, x0, height - y0, x1),
        }[self.info.rotation]
        return torch.stack(turned, dim=1)

    def to_frame(self, boxes: Tensor) -> Tensor:
        """(K, 4) boxes in the upright picture, in coded frame pixels."""
        height, width = self._square
        x0, y0, x1, y1 = boxes.unbind(1)
        turned = {
            0: (x0, y0, x1, y1),
            90: (width - y1, x0, width - y0, x1),
            180: (width - x1, height - y1, width - x0, height - y0),
            270: (y0, height - x1, y1, height - x0),
        }[self.info.rotation]
        return torch.stack(turned, dim=1) / self._scale(boxes)
