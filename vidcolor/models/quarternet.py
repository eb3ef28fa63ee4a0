"""QuarterNet: color at a quarter of the resolution, small enough to ship and to train on a CPU.

Color needs little detail, so the network never looks at single pixels: 4x4 pixels become 16
channels, a U-Net works at 1/4 to 1/32 of the size, and a vector of the whole picture is added at
the bottom (the global features of Iizuka et al., SIGGRAPH 2016). Instances are read by the same
trunk, once more, as close-ups, and their color is laid over the picture's inside feathered boxes
(the idea of Su et al., CVPR 2020, at the output only).

Reference: own design. Pixel rearrangement: Shi et al., CVPR 2016, arXiv:1609.05158. Residual
    blocks: He et al., CVPR 2016, arXiv:1512.03385.
Weights: `starter`, trained by this repository (configs/train/starter.toml).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.models.registry import register_model
from vidcolor.records import Hints, Rois

__all__ = ["QuarterNet", "quarternet"]

_CENTER = 50.0  # L* that becomes 0
_AB_SCALE = 10.0  # a*b* of an output of 1


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(x + self.norm2(self.conv2(y)), inplace=True)


class _Up(nn.Module):
    """Half the channels, twice the size, plus what the way down saw at that size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.skip = nn.Conv2d(outputs, outputs, 1)
        self.norm = nn.BatchNorm2d(outputs)
        self.block = _Residual(outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(self.reduce(x), scale_factor=2.0, mode="nearest")
        return self.block(F.relu(self.norm(x + self.skip(skip)), inplace=True))


class QuarterNet(nn.Module):
    """The network of this page; the contract is `models.registry.Colorizer`.

    Args:
        width: Channels at 1/4 of the size; the deeper levels grow from it.
        depth: Residual blocks of each level on the way down.
        instance_share: Color of an instance counts this much against the picture's 1.
        feather: Part of a box's side over which an instance fades in from each edge.
    """

    def __init__(
        self,
        width: int = 64,
        depth: int = 1,
        instance_share: float = 0.5,
        feather: float = 0.15,
    ) -> None:
        super().__init__()
        widths = (width, 2 * width, 13 * width // 4, 4 * width)
        self.instance_share = instance_share
        self.feather = feather
        self.stem = _conv(16, widths[0])
        self.levels = nn.ModuleList(
            nn.Sequential(*(_Residual(w) for _ in range(depth))) for w in widths[:3]
        )
        self.downs = nn.ModuleList(_conv(widths[i], widths[i + 1], 2) for i in range(3))
        self.bottom = nn.Sequential(_Residual(widths[3], dilation=2), _Residual(widths[3]))
        self.whole = nn.Sequential(
            nn.Linear(widths[3], widths[3]), nn.ReLU(inplace=True), nn.Linear(widths[3], widths[3])
        )
        self.ups = nn.ModuleList(_Up(widths[i + 1], widths[i]) for i in (2, 1, 0))
        self.head = nn.Conv2d(widths[0], 2, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # Conv2d has a bias by default

    def _see(self, lightness: Tensor) -> Tensor:
        """(N, 1, H, W) L* -> (N, 2, H/4, W/4) a*b*, float32."""
        x = self.stem(F.pixel_unshuffle((lightness - _CENTER) / _CENTER, 4))
        skips = []
        for level, down in zip(self.levels, self.downs, strict=True):
            x = level(x)
            skips.append(x)
            x = down(x)
        x = self.bottom(x)
        x = F.relu(x + self.whole(x.mean((2, 3)))[:, :, None, None])
        for up in self.ups:
            x = up(x, skips.pop())
        return self.head(x).float() * _AB_SCALE

    def forward(
        self, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """Predict color; `hints` are not used (`ModelSpec.hints` is false).

        Args:
            lightness: (N, 1, H, W) float32 L* in 0..100; H, W multiples of 32.
            rois: Instances, seen again as close-ups; crop sides are multiples of 32.
            hints: Ignored.

        Returns:
            (N, 2, H/4, W/4) float32 a*b*.
        """
        ab = self._see(lightness)
        if rois is None or len(rois) == 0 or self.instance_share == 0:
            return ab
        return self._lay_over(ab, self._see(rois.crops), rois)

    def _lay_over(self, ab: Tensor, close: Tensor, rois: Rois) -> Tensor:
        """Weighted mean of the picture's color and that of the instances over it."""
        _, _, height, width = ab.shape
        x0, y0, x1, y1 = (rois.boxes / rois.boxes.new_tensor([*rois.size[::-1]] * 2)).unbind(1)
        # where each cell of the picture lies in the box: -1 left or top edge, +1 right or bottom
        cells_x = (torch.arange(width, device=ab.device) + 0.5) / width
        cells_y = (torch.arange(height, device=ab.device) + 0.5) / height
        u = 2 * (cells_x - x0[:, None]) / (x1 - x0).clamp(min=1e-6)[:, None] - 1
        v = 2 * (cells_y - y0[:, None]) / (y1 - y0).clamp(min=1e-6)[:, None] - 1
        grid = torch.stack(
            (u[:, None, :].expand(-1, height, -1), v[:, :, None].expand(-1, -1, width)), dim=-1
        )
        placed = F.grid_sample(close, grid, padding_mode="border", align_corners=False)
        ramp_u = ((1 - u.abs()) / (2 * self.feather)).clamp(0, 1)
        ramp_v = ((1 - v.abs()) / (2 * self.feather)).clamp(0, 1)
        share = ramp_v[:, None, :, None] * ramp_u[:, None, None, :]
        share = share * (self.instance_share * rois.weight)[:, None, None, None]
        total = torch.ones_like(ab[:, :1]).index_add(0, rois.frame, share)
        return ab.index_add(0, rois.frame, share * placed) / total


@register_model(multiple=32, weights="starter", rois=True, short_side=192, crop=128)
def quarternet(
    width: int = 64, depth: int = 1, instance_share: float = 0.5, feather: float = 0.15
) -> QuarterNet:
    """QuarterNet; 5.7 million parameters at width 64."""
    return QuarterNet(width, depth, instance_share, feather)
