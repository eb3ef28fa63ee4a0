"""Where instances lie in the feature maps of a trunk.

Reference:
    Su, Chu, Huang: Instance-aware Image Colorization. CVPR 2020. arXiv:2005.10825; the numbers
    as its public code computes them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["LEVELS", "Placement", "choose_boxes", "place", "rows"]

LEVELS = 4
"""The maps of a trunk come at 1, 1/2, 1/4 and 1/8 of the input."""

_SLACK = 1e-3


def choose_boxes(boxes: Tensor, scores: Tensor, count: int) -> Tensor:
    """The boxes that the published system colorizes, in its order.

    Args:
        boxes: (K, 4) xyxy in frame pixels.
        scores: (K,).
        count: At most so many, the best; -1 takes all.

    Returns:
        Positions in `boxes`, int64: by rising score if some were left out, else as they came.
    """
    if 0 < count < len(boxes):
        return torch.argsort(scores, stable=True)[-count:]
    return torch.arange(len(boxes))


def _span(low: int, high: int, length: int, cells: int) -> tuple[int, int]:
    """First cell and end along one axis of a box in integer pixels."""
    first, end = int(low / length * cells), int(high / length * cells)
    if end - first < 1:
        if cells - end > 1:
            end += 1
        else:
            first -= 1
    return first, end


def rows(boxes: Tensor, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """The published placement numbers of one level.

    Args:
        boxes: (K, 4) integer xyxy in pixels of `size`.
        size: `(height, width)` of the frame.
        grid: `(height, width)` of the feature map.

    Returns:
        (K, 6) int64: cells left of the box, right, above, below, its width and height; corners
        truncated independently on each grid, an empty side widened by one cell.
    """
    out = []
    for x0, y0, x1, y1 in boxes.tolist():
        left, right = _span(x0, x1, size[1], grid[1])
        top, bottom = _span(y0, y1, size[0], grid[0])
        out.append(
            [left, grid[1] - right, top, grid[0] - bottom, right - left, bottom - top],
        )
    return torch.tensor(out, dtype=torch.int64).view(-1, 6)


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where K instances lie in N frames, at the four scales of a trunk.

    Attributes:
        rectangles: Of each level, of each instance: top, left, height, width in cells.
        frame: Frame of the batch of each instance.
        log_weight: (K,) float32, log of `Rois.weight`.
        boxes: Of each instance, x0, y0, x1, y1 as parts of the frame's width and height; the
            crop's content then lies there to the fraction of a cell. If None it is stretched
            over the rectangle, as the published code does.
    """

    rectangles: tuple[tuple[tuple[int, int, int, int], ...], ...]
    frame: tuple[int, ...]
    log_weight: Tensor
    boxes: tuple[tuple[float, float, float, float], ...] | None = None

    @classmethod
    def of_rows(cls, levels: list[Tensor], frame: list[int], weight: Tensor) -> Placement:
        """Of the published numbers, (K, 6) for each level; see `rows`."""
        return cls(
            tuple(
                tuple((top, left, h, w) for left, _, top, _, w, h in level.tolist())
                for level in levels
            ),
            tuple(frame),
            weight.float().log(),
        )

    def __len__(self) -> int:
        return len(self.frame)

    def members(self) -> dict[int, list[int]]:
        """Instances of each frame that has some."""
        found: dict[int, list[int]] = {}
        for instance, frame in enumerate(self.frame):
            found.setdefault(frame, []).append(instance)
        return found

    def part(self, frames: list[int]) -> tuple[Placement, list[int]]:
        """The instances of some frames, which then count from 0 in the order given.

        Returns:
            The placement and which instances those are.
        """
        number = {frame: i for i, frame in enumerate(frames)}
        keep = [k for k, frame in enumerate(self.frame) if frame in number]
        chosen = Placement(
            tuple(tuple(level[k] for k in keep) for level in self.rectangles),
            tuple(number[self.frame[k]] for k in keep),
            self.log_weight[torch.tensor(keep, dtype=torch.int64, device=self.log_weight.device)],
            None if self.boxes is None else tuple(self.boxes[k] for k in keep),
        )
        return chosen, keep

    def patch(self, x: Tensor, instance: int, level: int, grid: tuple[int, int]) -> Tensor:
        """What a map of a crop puts in its rectangle.

        Args:
            x: (C, h, w) map of the instance.
            instance: Its number.
            level: Scale of the map.
            grid: `(height, width)` of the frame's map.

        Returns:
            (C, height, width) of the rectangle, bilinear, not antialiased; `x`'s type.
        """
        top, left, height, width = self.rectangles[level][instance]
        if self.boxes is None:
            size = (height, width)
            return F.interpolate(x[None], size, mode="bilinear", align_corners=False)[0].to(x.dtype)
        x0, y0, x1, y1 = self.boxes[instance]
        cells_x = torch.arange(left, left + width, device=x.device, dtype=torch.float32)
        cells_y = torch.arange(top, top + height, device=x.device, dtype=torch.float32)
        u = 2 * ((cells_x + 0.5) / grid[1] - x0) / (x1 - x0) - 1
        v = 2 * ((cells_y + 0.5) / grid[0] - y0) / (y1 - y0) - 1
        points = torch.stack((u.expand(height, width), v[:, None].expand(height, width)), dim=-1)
        # in half precision the points themselves would be off by cells
        sampled = F.grid_sample(
            x[None].float(), points[None], padding_mode="border", align_corners=False
        )
        return sampled[0].to(x.dtype)


def place(
    boxes: Tensor,
    frame: Tensor,
    weight: Tensor,
    size: tuple[int, int],
    input_size: tuple[int, int],
    outward: bool,
) -> tuple[Placement, list[int]]:
    """Find the cells of boxes; what has no area inside its frame is left out.

    Args:
        boxes: (K, 4) xyxy in pixels of `size`.
        frame: (K,) frame of the batch.
        weight: (K,) in (0, 1].
        size: `(height, width)` of the frame.
        input_size: `(height, width)` of the network's input.
        outward: Rectangles are the smallest of whole cells of the coarsest map that hold the
            box, the same at all scales, and the content lies exactly; otherwise corners are
            truncated to pixels and again at each scale, and the content stretched.

    Returns:
        The placement and which boxes are in it.
    """
    limit = torch.tensor([size[1], size[0]] * 2, dtype=torch.float64)
    inside = boxes.detach().cpu().double().clamp(min=0).minimum(limit)
    if not outward:
        inside = inside.trunc()
    kept = (inside[:, 2:] > inside[:, :2]).all(dim=1).nonzero().flatten()
    inside = inside[kept]
    grids = [(input_size[0] >> k, input_size[1] >> k) for k in range(LEVELS)]
    frames = frame.detach().cpu()[kept].tolist()
    weights = weight[kept.to(weight.device)]
    if not outward:
        levels = [rows(inside.long(), size, grid) for grid in grids]
        return Placement.of_rows(levels, frames, weights), kept.tolist()
    parts = (inside / limit).tolist()
    coarse = [_cells(part, grids[-1]) for part in parts]
    rectangles = tuple(
        tuple((top * f, left * f, h * f, w * f) for top, left, h, w in coarse)
        for f in (1 << (LEVELS - 1 - level) for level in range(LEVELS))
    )
    exact = tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in parts)
    return Placement(rectangles, tuple(frames), weights.float().log(), exact), kept.tolist()


def _cells(box: list[float], grid: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, height, width of the whole cells that hold a box given as parts."""
    sides = []
    for low, high, count in ((box[1], box[3], grid[0]), (box[0], box[2], grid[1])):
        # a corner within a thousandth of a cell of an edge lies on it
        first = min(int(low * count + _SLACK), count - 1)
        sides.append((first, max(math.ceil(high * count - _SLACK), first + 1) - first))
    (top, height), (left, width) = sides
    return top, left, height, width
