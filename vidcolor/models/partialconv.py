"""Partial convolutions: pictures with holes of any shape, filled.

Reference:
    Liu, Reda, Shih, Wang, Tao, Catanzaro: Image Inpainting for Irregular Holes Using Partial
    Convolutions. ECCV 2018. arXiv:1804.07723. Placement of norms and activations as in public code:
    NVIDIA/partialconv (BSD-3-Clause), naoto0804/pytorch-inpainting-with-partial-conv (MIT).

Weights:
    Ours: trained by `configs/train/partialconv-film.toml`. Foreign checkpoints are renamed and
    rescaled when they are imported, see `vidcolor.models.partialconv_files`.

Differs:
    The layer keeps nothing between calls. A tensor's mask is a list of groups, each one channel
    that stands for many, because behind a layer all channels have the same mask: equal results
    without a dense convolution of ones. Holes are zeroed by choice, not by a product, so that
    what lies in them, were it no number, cannot leak; in the network once for each map, before it
    is enlarged or joined. Counts are float32 whatever the precision of the data. With the scale
    "smooth" an untrained network answers a smooth fill (pull-push: Gortler, Grzeszczuk, Szeliski,
    Cohen: The Lumigraph, SIGGRAPH 1996), so that hours of training go into what is better than
    that.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.errors import ConfigError
from vidcolor.models.registry import register_inpainter

__all__ = [
    "Group",
    "PartialConv2d",
    "PartialConvUNet",
    "Scale",
    "compose",
    "partialconv",
    "smooth_fill",
]

Group = tuple[Tensor, int]
"""(N, 1, H, W) float32, 1 where valid and 0 in holes, and how many channels have this mask."""

Scale = Literal["unit", "imagenet", "signed", "smooth"]
"""Values between which a network works: 0..1; those of ImageNet's mean and deviation; -1..1; or
"smooth": it sees what differs from a coarse picture, and answers what differs from a smooth fill.
"""

_MEAN_STD: dict[Scale, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "signed": ((0.5,), (0.5,)),
}
_KERNELS = (7, 5, 5, 3, 3, 3, 3, 3)
_UNITS = (1, 2, 4, 8, 8, 8, 8, 8)  # channels of the encoder's layers, in units of the width
_SLOPE = 0.2
_DEPTHS = range(3, 9)
_COARSE = 8  # pixels to a cell of the coarse picture of the scale "smooth"


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
        parts = torch.split(x, [count for _, count in groups], dim=1)
        held = [_held(part, mask) for part, (mask, _) in zip(parts, groups, strict=True)]
        return self.convolve(held[0] if len(held) == 1 else torch.cat(held, dim=1), groups)

    def convolve(self, held: Tensor, groups: Sequence[Group]) -> tuple[Tensor, Tensor]:
        """What `forward` does, of an `x` that is 0 in holes already."""
        ratio, valid = self.update(groups)
        raw = F.conv2d(held, self.weight, None, self.stride, self.padding, self.dilation)
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
            total = sum(count * (mask > 0).float() for mask, count in groups)
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
        norm: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__()
        make = PartialConv2d if partial else nn.Conv2d
        self.conv = make(*channels, kernel, stride, padding=kernel // 2, bias=bias)
        self.norm = nn.BatchNorm2d(channels[1]) if norm else None
        self.slope = slope
        gain = 0.0 if slope is None else slope
        nn.init.kaiming_normal_(self.conv.weight, a=gain)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, groups: Sequence[Group] | None) -> tuple[Tensor, Tensor | None]:
        """Of an `x` that is 0 in holes; the answer, after its norm, is not."""
        if groups is None:
            x, valid = self.conv(x), None
        else:
            x, valid = cast(PartialConv2d, self.conv).convolve(x, groups)
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
        scale: Values between which it works; pictures go in and come out in 0..1 all the same.
        first_bias: The first layer has a bias, as some foreign networks' have.

    Attributes:
        channels: See above.
        multiple: Sides of the picture must be multiples of this.
        encoder: Its blocks, finest first.
        decoder: Its blocks, finest first.

    Raises:
        ConfigError: For a depth or width out of range, or a scale that is not for `channels`.
    """

    def __init__(
        self,
        channels: int = 1,
        depth: int = 7,
        width: int = 64,
        partial: bool = True,
        scale: Scale = "unit",
        first_bias: bool = False,
    ) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ConfigError(f"channels must be 1 (gray) or 3 (RGB), not {channels}")
        if depth not in _DEPTHS:
            raise ConfigError(f"depth must be {_DEPTHS[0]} to {_DEPTHS[-1]}, not {depth}")
        if width < 1:
            raise ConfigError(f"width must be at least 1 channel, not {width}")
        if scale not in get_args(Scale):
            raise ConfigError(f"scale must be {', '.join(get_args(Scale))}, not {scale!r}")
        if scale == "imagenet" and channels != 3:
            raise ConfigError("scale imagenet is for pictures of 3 channels, not of 1")
        self.channels, self.partial, self.scale = channels, partial, scale
        self.multiple = 2**depth
        seen = channels if partial else channels + 1
        steps = (seen, *(width * units for units in _UNITS[:depth]))
        self.encoder = nn.ModuleList(
            _Block(pair, kernel, 2, partial, 0.0, norm=step > 0, bias=first_bias and not step)
            for step, (pair, kernel) in enumerate(
                zip(itertools.pairwise(steps), _KERNELS, strict=False)
            )
        )
        self.decoder = nn.ModuleList()
        for step in range(1, depth):
            into = (steps[step + 1] + steps[step], steps[step])
            self.decoder.append(_Block(into, 3, 1, partial, _SLOPE))
        last = _Block((steps[1] + seen, channels), 3, 1, partial, None, norm=False, bias=True)
        if scale == "smooth":
            nn.init.zeros_(last.conv.weight)
        self.decoder.insert(0, last)

    def forward(self, image: Tensor, valid: Tensor) -> Tensor:
        """Fill holes.

        Args:
            image: (N, C, H, W) float32 in 0..1; sides multiples of `multiple`.
            valid: (N, 1, H, W) float32: 1 where the picture is to be believed, 0 in holes.

        Returns:
            (N, C, H, W) float32, the whole picture as the network sees it; `compose` takes of it
            what lies in holes. Where nothing was valid far and wide it is 0 of `scale`.

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
        if self.scale == "unit":
            return self._answer(image, valid)
        if self.scale == "smooth":
            filled = smooth_fill(image, valid)
            coarse = F.interpolate(
                F.avg_pool2d(filled, _COARSE), scale_factor=_COARSE, mode="bilinear"
            )
            return filled + self._answer(image - coarse, valid)
        mean, std = (image.new_tensor(part).view(1, -1, 1, 1) for part in _MEAN_STD[self.scale])
        return self._answer((image - mean) / std, valid) * std + mean

    def _answer(self, image: Tensor, valid: Tensor) -> Tensor:
        held = _held(image, valid)
        return self._filled(held, valid) if self.partial else self._plain(held, valid)

    def _filled(self, image: Tensor, valid: Tensor) -> Tensor:
        layers: list[tuple[Tensor, Tensor]] = [(image, (valid > 0).float())]
        for block in self.encoder:
            held, mask = layers[-1]
            x, mask = block(held, [(mask, held.shape[1])])
            layers.append((_held(x, mask), mask))
        x, mask = layers.pop()
        for block in reversed(self.decoder):
            skip, skip_mask = layers.pop()
            groups = [(_doubled(mask), x.shape[1]), (skip_mask, skip.shape[1])]
            x, mask = block(_joined(_held(x, mask), skip), groups)
        return x

    def _plain(self, image: Tensor, valid: Tensor) -> Tensor:
        layers = [torch.cat((image, (valid > 0).to(image.dtype)), dim=1)]
        for block in self.encoder:
            layers.append(block(layers[-1], None)[0])
        x = layers.pop()
        for block in reversed(self.decoder):
            skip = layers.pop()
            x, _ = block(_joined(x, skip), None)
        return x.float()


def _held(x: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask > 0, x, x.new_zeros(()))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def smooth_fill(image: Tensor, valid: Tensor) -> Tensor:
    """Holes filled by pull-push: by means of what is valid near them, coarser the larger they are.

    Args:
        image: (N, C, H, W) float32; what lies in holes does not matter.
        valid: (N, 1, H, W): 1 where the picture is to be believed, 0 in holes.

    Returns:
        (N, C, H, W) float32: the picture where it is valid; 0 where nothing is.
    """
    mask = (valid > 0).float()
    levels = [(_held(image.float(), mask), mask)]  # sums of valid pixels, and how many, up to 1
    while min(levels[-1][0].shape[2:]) > 1:
        total, count = (
            4 * F.avg_pool2d(part, 2, ceil_mode=True, count_include_pad=False)
            for part in levels[-1]
        )
        most = count.clamp(min=1)
        levels.append((total / most, count / most))
    total, count = (part.sum((2, 3), keepdim=True) for part in levels[-1])
    filled = (total / count.clamp(min=1e-6)).expand_as(levels[-1][0])
    for total, count in reversed(levels):
        size = total.shape[2:]
        if filled.shape[2:] != size:
            filled = F.interpolate(filled, size=size, mode="bilinear")
        filled = total + (1 - count) * filled
    return filled


def _joined(x: Tensor, skip: Tensor) -> Tensor:
    wide = _doubled(x)
    if wide.is_contiguous(memory_format=torch.channels_last):
        # of one channel it lies so anyway, but unless it says so, all are laid anew
        skip = skip.to(memory_format=torch.channels_last)
    return torch.cat((wide, skip.to(x.dtype)), dim=1)


def compose(image: Tensor, valid: Tensor, answer: Tensor) -> Tensor:
    """The picture where it is valid, the answer in holes: (N, C, H, W)."""
    return torch.where(valid > 0, image, answer)


@register_inpainter
def partialconv(
    width: int = 64,
    channels: Literal[1, 3] = 1,
    depth: int = 7,
    layer: Literal["partial", "ordinary"] = "partial",
    scale: Scale = "unit",
    first_bias: bool = False,
) -> PartialConvUNet:
    """See `PartialConvUNet`; "ordinary" is its twin without masks."""
    if layer not in ("partial", "ordinary"):
        raise ConfigError(f"layer must be partial or ordinary, not {layer!r}")
    return PartialConvUNet(channels, depth, width, layer == "partial", scale, first_bias)
