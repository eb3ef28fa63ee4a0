"""Color of hypercolumns: of all that VGG-16 says above a pixel.

Reference:
    Hariharan, Arbelaez, Girshick, Malik: Hypercolumns for Object Segmentation and Fine-grained
    Localization. CVPR 2015. arXiv:1411.5752.
    Dahl: Automatic Colorization, 2016 (an article): the first of its two networks.
    Larsson, Maire, Shakhnarovich: Learning Representations for Automatic Colorization. ECCV 2016.
    arXiv:1603.06668: training at few points.
    Simonyan, Zisserman 2015 (arXiv:1409.1556): the trunk.

Weights:
    None published that load here; Dahl's TensorFlow graph is for non-commercial use. The trunk is
    torchvision's `vgg16` (BSD-3-Clause) or one of our own; the head is trained with
    `vidcolor train`.

Differs:
    The column is never built (see `ColumnConv`), which changes no result. Any size of multiples
    of 8, not 224x224. Taps are enlarged with pixels on half coordinates; TensorFlow's of 2016 had
    them on whole ones, which matters for weights of that time only. a*b* is the usual color
    space, UV (Dahl's) a setting. The trunk sees pictures as torchvision normalizes them. The last
    batch norm starts small, so that a new network says gray.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.color.spaces import SpaceName
from vidcolor.errors import ConfigError
from vidcolor.models.registry import register_model
from vidcolor.models.vgg import GRAY_START, MULTIPLE, VggColorizer, VggTrunk, make_space, norm

__all__ = ["ColumnConv", "Head", "Hypercolumn", "hypercolumn"]

_NARROW = 3  # channels of the stage that Dahl's figure has before the output


class ColumnConv(nn.Module):
    """A convolution of the hypercolumn that never builds it; no bias.

    The column is the taps, enlarged bilinearly to the size of the first and joined: 963 channels
    at full width, 193 MB for a picture of 224x224. A convolution is a sum over taps and over the
    cells of its kernel; of each cell it is a 1x1 convolution, which may as well come before the
    enlarging. Shifts by a pixel come after it, so that borders stay exact, first those along
    rows. No map is larger than the output, and coarse taps cost next to nothing. Measured on one
    core in float32, the whole network takes 0.17 GB and 0.7 s for 224x224 and 0.9 GB and 8 s for
    480x856; with the column built, 0.47 GB and 2.1 s, 3.5 GB and 20 s.

    Args:
        taps: Channels of each.
        outputs: Channels.
        kernel: Side of the kernel, odd; the column is 0 outside the picture.
    """

    def __init__(self, taps: tuple[int, ...], outputs: int, kernel: int) -> None:
        super().__init__()
        self.taps = taps
        self.weight = nn.Parameter(torch.empty(outputs, sum(taps), kernel, kernel))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, taps: tuple[Tensor, ...]) -> Tensor:
        """(N, outputs, H, W) of (N, C, h, w) each, (H, W) the size of the first."""
        height, width = taps[0].shape[2:]
        middle = self.weight.shape[2] // 2
        total: Tensor | None = None
        coarse = []
        for tap, weight in zip(taps, torch.split(self.weight, list(self.taps), dim=1), strict=True):
            if tap.shape[2:] == (height, width):
                total = _plus(total, F.conv2d(tap, weight, padding=middle))
            else:
                coarse.append((tap, weight))
        for y in range(self.weight.shape[2]):
            line: Tensor | None = None
            for tap, weight in coarse:
                row = _row(tap, weight[:, :, y : y + 1], width)
                line = _plus(line, _enlarge(row, height, width))
            if line is not None:
                total = _plus(total, _shift(line, 2, y - middle))
        assert total is not None
        return total

    def at(self, taps: tuple[Tensor, ...], grid: Tensor, inside: Tensor) -> Tensor:
        """The same in small windows of the pictures, without their outermost pixels.

        Args:
            taps: As above.
            grid: (N, P, S, S, 2) x and y of the pixels of P windows, -1 and 1 the picture's edges.
            inside: (N * P, 1, S, S), whether they lie in the picture.

        Returns:
            (N * P, outputs, s, s), s = S - kernel + 1.
        """
        count, points, side = grid.shape[:3]
        total: Tensor | None = None
        for tap, weight in zip(taps, torch.split(self.weight, list(self.taps), dim=1), strict=True):
            values = F.grid_sample(
                tap.float(),
                grid.view(count, points * side, side, 2),
                mode="bilinear",
                padding_mode="border",
                align_corners=False,
            )
            windows = values.view(count, -1, points, side, side).transpose(1, 2).flatten(0, 1)
            total = _plus(total, F.conv2d(windows.masked_fill(~inside, 0), weight))
        assert total is not None
        return total


def _plus(total: Tensor | None, part: Tensor) -> Tensor:
    return part if total is None else total.add_(part)


def _row(tap: Tensor, weight: Tensor, width: int) -> Tensor:
    """(N, O, h, W) of (N, C, h, w) and a (O, C, 1, K) line of a kernel."""
    total: Tensor | None = None
    for x, cell in enumerate(torch.split(weight, 1, dim=3)):
        wide = _enlarge(F.conv2d(tap, cell), tap.shape[2], width)
        total = _plus(total, _shift(wide, 3, x - weight.shape[3] // 2))
    assert total is not None
    return total


def _enlarge(x: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)


def _shift(x: Tensor, dim: int, by: int) -> Tensor:
    """What lies so many pixels further; 0 outside."""
    if not by:
        return x
    kept = x.narrow(dim, max(by, 0), x.shape[dim] - abs(by))
    beyond = torch.zeros_like(x.narrow(dim, 0, abs(by)))
    return torch.cat((kept, beyond) if by > 0 else (beyond, kept), dim)


class Head(nn.Module):
    """Planes of a hypercolumn; batch norm takes the place of biases.

    Args:
        taps: Channels of the taps.
        width: 64 makes 128 and 64 channels, as published.
        planes: Of the answer.
        kernel: Of all convolutions.
        narrow: A stage of 3 channels before the last.
    """

    def __init__(
        self, taps: tuple[int, ...], width: int, planes: int, kernel: int, narrow: bool
    ) -> None:
        super().__init__()
        channels = (2 * width, width, *((_NARROW,) if narrow else ()), planes)
        self.kernel = kernel
        self.column = ColumnConv(taps, channels[0], kernel)
        convs = [
            nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
            for before, after in itertools.pairwise(channels)
        ]
        for conv in convs:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList([*map(norm, channels[:-1]), norm(planes, GRAY_START)])

    def forward(self, taps: tuple[Tensor, ...]) -> Tensor:
        """(N, planes, H, W) float32 in 0..1 of taps."""
        x = self.norms[0](self.column(taps))
        for conv, normed in zip(self.convs, self.norms[1:], strict=True):
            x = normed(conv(F.relu(x, inplace=True)))
        return torch.sigmoid(x.float())

    def at(self, taps: tuple[Tensor, ...], points: Tensor) -> Tensor:
        """The same at points: see `Hypercolumn.answer_at`."""
        height, width = taps[0].shape[2:]
        grid, inside = self._windows(points, height, width)
        x = self.norms[0](self.column.at(taps, grid, inside))
        edge = self.kernel // 2
        for number, (conv, normed) in enumerate(zip(self.convs, self.norms[1:], strict=True), 1):
            # a convolution of the whole picture sees 0 around it
            here = slice(number * edge, inside.shape[2] - number * edge)
            seen = F.relu(x, inplace=True).masked_fill(~inside[:, :, here, here], 0)
            assert isinstance(conv, nn.Conv2d)
            x = normed(F.conv2d(seen, conv.weight))
        count, number = points.shape[:2]
        return torch.sigmoid(x.float()).view(count, number, -1).transpose(1, 2)

    def _windows(self, points: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """What `ColumnConv.at` takes: all pixels that the answer at each point depends on."""
        count, number = points.shape[:2]
        if self.kernel == 1:
            grid = (2 * points - 1)[:, :, None, None]
            return grid, grid.new_ones((count * number, 1, 1, 1), dtype=torch.bool)
        reach = len(self.norms) * (self.kernel // 2)
        size = points.new_tensor([width, height])
        center = torch.minimum((points * size).floor().clamp(min=0), size - 1)
        steps = torch.arange(-reach, reach + 1, device=points.device, dtype=points.dtype)
        x = center[..., :1, None] + steps.expand(len(steps), -1)
        y = center[..., 1:, None] + steps[:, None].expand(-1, len(steps))
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        grid = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), dim=4)
        return grid, inside.flatten(0, 1)[:, None]


class Hypercolumn(VggColorizer):
    """Dahl's first network; the contracts are those of `VggColorizer`, and `Sparse`.

    Args:
        width: See `hypercolumn`.
        space: See `hypercolumn`.
        kernel: See `hypercolumn`.
        narrow: See `hypercolumn`.
        learn_trunk: See `VggColorizer`.

    Raises:
        ConfigError: If a setting is out of range.
    """

    head: Head

    def __init__(
        self,
        width: int = 64,
        space: SpaceName = "lab",
        kernel: int = 3,
        narrow: bool = False,
        learn_trunk: bool = False,
    ) -> None:
        if kernel not in (1, 3):
            raise ConfigError(f"kernel must be 1 or 3, not {kernel}")
        trunk, planes = VggTrunk(width), make_space(space)
        head = Head(trunk.channels, width, planes.channels, kernel, narrow)
        super().__init__(head, trunk, planes, learn_trunk)

    def answer_at(self, phase: str, lightness: Tensor, points: Tensor) -> Tensor:
        """What `answer_planes` says at points: see `models.registry.Sparse`.

        With 1x1 convolutions, taps are sampled at the points themselves. With 3x3 ones a point
        stands for the pixel that it lies in, and the 7x7 pixels around it (9x9 with the narrow
        stage) are looked at, so that with settled statistics the answer is that of the whole
        picture. While batch norm learns, its statistics are those of these windows; what of them
        lies beyond the picture's edge counts too.

        Args:
            phase: All are alike.
            lightness: (N, 1, H, W) L* in 0..100; sides multiples of 8.
            points: (N, P, 2) float32 x and y in parts of the width and height, 0..1; the center
                of pixel i is (i + 0.5) / W.

        Returns:
            (N, C, P) float32 in 0..1.

        Raises:
            ValueError: If a side is no multiple of 8, or points are not (N, P, 2).
        """
        if points.ndim != 3 or len(points) != len(lightness) or points.shape[2] != 2:
            raise ValueError(f"points must be ({len(lightness)}, P, 2), not {tuple(points.shape)}")
        return self.head.at(self.taps(lightness), points)


@register_model(multiple=MULTIPLE, weights="hypercolumn", short_side=224)
def hypercolumn(
    width: int = 64,
    space: SpaceName = "lab",
    kernel: int = 3,
    narrow: bool = False,
    learn_trunk: bool = False,
) -> Hypercolumn:
    """Hypercolumns of VGG-16, and the head of Dahl 2016.

    Args:
        width: Channels of the trunk's first group; the published network has 64.
        space: Planes of the answer: "lab", "yuv" (Dahl's) or "rgb".
        kernel: Of the head: 3 as published, or 1, which looks at single columns.
        narrow: A stage of 3 channels before the last, as in Dahl's figure.
        learn_trunk: The trunk learns as well; published: no.
    """
    return Hypercolumn(width, space, kernel, narrow, learn_trunk)
