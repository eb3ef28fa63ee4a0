"""Partial convolutions: pictures with holes of any shape, filled.

Reference:
    Liu, Reda, Shih, Wang, Tao, Catanzaro: Image Inpainting for Irregular Holes Using Partial
    Convolutions. ECCV 2018. arXiv:1804.07723. Placement of norms and activations as in public code:
    NVIDIA/partialconv (BSD-3-Clause), naoto0804/pytorch-inpainting-with-partial-conv (MIT).

Weights:
    Ours: trained by `configs/train/partialconv-film.toml`. Foreign checkpoints are renamed and
    rescaled when they are imported, see `vidcolor.models.formats`.

Differs:
    The layer keeps nothing between calls. A tensor's mask is a list of groups, each one channel
    that stands for many, because behind a layer all channels have the same mask: equal results
    without a dense convolution of ones. Holes are zeroed by choice, not by a product, so that
    what lies in them, were it no number, cannot leak. Counts are float32 whatever the precision
    of the data.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.errors import ConfigError
from vidcolor.models.registry import register_inpainter

__all__ = [
    "Group",
    "PartialConv2d",
    "PartialConvUNet",
    "compose",
    "partialconv",
]

Group = tuple[Tensor, int]
"""(N, 1, H, W) float32, 1 where valid and 0 in holes, and how many channels have this mask."""

_KERNELS = (7, 5, 5, 3, 3, 3, 3, 3)
_UNITS = (1, 2, 4, 8, 8, 8, 8, 8)  # channels of the encoder's layers, in units of the width
_SLOPE = 0.2
_DEPTHS = range(3, 9)


class PartialConv2d(nn.Conv2d):
    """A convolution that sees valid cells only, and says which cells are valid after it.

    `x' = W(X * M) N/S + b` where a window has any valid cell, else 0; N is the number of cells of
    a window, S that of valid ones (section 3.1). Beyond the border there are holes.

    Args:
        in_channels: C.
        out_channels: C'.
        kernel_size: Side of the window.
        stride: As in `nn.Conv2d`, like the rest.
        padding: Cells beyond the border.
        dilation: Between cells of a window.
        bias: Added where anything is valid; not scaled.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, bias=bias
        )

    def forward(  # type: ignore[override]  # a mask goes in and comes out
        self, x: Tensor, groups: Sequence[Group]
    ) -> tuple[Tensor, Tensor]:
        """Convolve what is valid.

        Args:
            x: (N, C, H, W); what lies in holes does not matter.
            groups: Masks of consecutive channels; their numbers sum to C.

        Returns:
            (N, C', h, w), 0 in holes, and their (N, 1, h, w) float32 mask.
        """
        ratio, valid = self.update(groups)
        whole = torch.cat([mask.expand(-1, count, -1, -1) for mask, count in groups], dim=1)
        seen = torch.where(whole > 0, x, x.new_zeros(()))
        raw = F.conv2d(seen, self.weight, None, self.stride, self.padding, self.dilation)
        out = raw.float() * ratio
        if self.bias is not None:
            out = out + self.bias.float()[:, None, None] * valid
        return out, valid

    @torch.no_grad()
    def update(self, groups: Sequence[Group]) -> tuple[Tensor, Tensor]:
        """N/S of each window, 0 where nothing is valid, and the new mask: (N, 1, h, w) float32."""
        side = self.kernel_size[0]
        cells = float(side * side * sum(count for _, count in groups))
        with torch.autocast(groups[0][0].device.type, enabled=False):
            total = sum(count * mask.float() for mask, count in groups)
            ones = torch.ones(1, 1, side, side, device=groups[0][0].device)
            seen = F.conv2d(
                cast(Tensor, total), ones, None, self.stride, self.padding, self.dilation
            ).round()
        valid = (seen > 0).float()
        return valid * (cells / seen.clamp(min=1)), valid


class _Block(nn.Module):
    """Partial convolution, batch norm, activation; also in the twin without masks."""

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: int,
        stride: int,
        partial: bool,
        slope: float | None,
        plain: bool = False,
    ) -> None:
        super().__init__()
        make = PartialConv2d if partial else nn.Conv2d
        first = kernel == _KERNELS[0]  # sees the picture itself, and has no norm
        self.conv = make(*channels, kernel, stride, padding=kernel // 2, bias=plain)
        self.norm = None if plain or first else nn.BatchNorm2d(channels[1])
        self.slope = slope
        gain = 0.0 if slope is None else slope
        nn.init.kaiming_normal_(self.conv.weight, a=gain)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, groups: Sequence[Group] | None) -> tuple[Tensor, Tensor | None]:
        if groups is None:
            x, valid = self.conv(x), None
        else:
            x, valid = self.conv(x, groups)
        if self.norm is not None:
            x = self.norm(x)
        if self.slope is not None:
            x = F.leaky_relu(x, self.slope) if self.slope else F.relu(x)
        return x, valid


class PartialConvUNet(nn.Module):
    """The network of the paper's table: an encoder to 1 / 2^depth, and back with skips.

    Args:
        channels: Of the picture: 1 gray, 3 RGB.
        depth: Layers of the encoder; 5 closes holes of 78 pixels, 6 of 142, 7 of 270, 8 of 526.
        width: Channels of the first layer; the published network has 64.
        partial: False builds the twin with ordinary convolutions, which gets the mask as one more
            channel of the picture: what the paper calls Conv.

    Attributes:
        channels: See above.
        multiple: Sides of the picture must be multiples of this.
        encoder: Its blocks, finest first.
        decoder: Its blocks, finest first.

    Raises:
        ConfigError: For a depth or width out of range.
    """

    def __init__(
        self, channels: int = 1, depth: int = 7, width: int = 64, partial: bool = True
    ) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ConfigError(f"channels must be 1 (gray) or 3 (RGB), not {channels}")
        if depth not in _DEPTHS:
            raise ConfigError(f"depth must be {_DEPTHS[0]} to {_DEPTHS[-1]}, not {depth}")
        if width < 1:
            raise ConfigError(f"width must be at least 1 channel, not {width}")
        self.channels, self.partial = channels, partial
        self.multiple = 2**depth
        seen = channels if partial else channels + 1
        steps = (seen, *(width * units for units in _UNITS[:depth]))
        self.encoder = nn.ModuleList(
            _Block(pair, kernel, 2, partial, 0.0)
            for pair, kernel in zip(itertools.pairwise(steps), _KERNELS, strict=False)
        )
        self.decoder = nn.ModuleList()
        for step in range(1, depth):
            into = (steps[step + 1] + steps[step], steps[step])
            self.decoder.append(_Block(into, 3, 1, partial, _SLOPE))
        last = _Block((steps[1] + seen, channels), 3, 1, partial, None, plain=True)
        self.decoder.insert(0, last)

    def forward(self, image: Tensor, valid: Tensor) -> Tensor:
        """Fill holes.

        Args:
            image: (N, C, H, W) float32 in 0..1; sides multiples of `multiple`.
            valid: (N, 1, H, W) float32: 1 where the picture is to be believed, 0 in holes.

        Returns:
            (N, C, H, W) float32, the whole picture as the network sees it; `compose` takes of it
            what lies in holes. 0 where nothing was valid far and wide.

        Raises:
            ValueError: If shapes do not fit.
        """
        n, channels, height, width = image.shape
        if channels != self.channels or valid.shape != (n, 1, height, width):
            raise ValueError(
                f"image must be (N, {self.channels}, H, W) and valid (N, 1, H, W), not "
                f"{tuple(image.shape)} and {tuple(valid.shape)}"
            )
        if height % self.multiple or width % self.multiple:
            raise ValueError(f"sides must be multiples of {self.multiple}, not {height}x{width}")
        held = torch.where(valid > 0, image, image.new_zeros(()))
        return self._filled(held, valid) if self.partial else self._plain(held, valid)

    def _filled(self, image: Tensor, valid: Tensor) -> Tensor:
        layers: list[tuple[Tensor, Tensor]] = [(image, valid.float())]
        for block in self.encoder:
            x, mask = layers[-1]
            layers.append(block(x, [(mask, x.shape[1])]))
        x, mask = layers.pop()
        for block in reversed(self.decoder):
            skip, skip_mask = layers.pop()
            groups = [(_doubled(mask), x.shape[1]), (skip_mask, skip.shape[1])]
            x, mask = block(torch.cat((_doubled(x), skip.to(x.dtype)), dim=1), groups)
        return x

    def _plain(self, image: Tensor, valid: Tensor) -> Tensor:
        layers = [torch.cat((image, valid.to(image.dtype)), dim=1)]
        for block in self.encoder:
            layers.append(block(layers[-1], None)[0])
        x = layers.pop()
        for block in reversed(self.decoder):
            skip = layers.pop()
            x, _ = block(torch.cat((_doubled(x), skip.to(x.dtype)), dim=1), None)
        return x.float()


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def compose(image: Tensor, valid: Tensor, answer: Tensor) -> Tensor:
    """The picture where it is valid, the answer in holes: (N, C, H, W)."""
    return torch.where(valid > 0, image, answer)


@register_inpainter
def partialconv(
    width: int = 64,
    channels: Literal[1, 3] = 1,
    depth: int = 7,
    layer: Literal["partial", "ordinary"] = "partial",
) -> PartialConvUNet:
    """See `PartialConvUNet`; "ordinary" is its twin without masks."""
    return PartialConvUNet(channels, depth, width, layer == "partial")
