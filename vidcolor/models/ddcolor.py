"""DDColor: a pixel decoder and, beside it, a decoder of colors that ask the picture.

A ConvNeXt sees the picture, a U-Net brings its features back to full size, and a hundred color
queries learn from three of that U-Net's maps what colors there are. Each query times the features
is a map; a*b* is a weighted sum of the maps.

Reference:
    Kang, Yang, Ouyang, Ren, Li, Xie: DDColor: Towards Photo-Realistic Image Colorization via Dual
    Decoders. ICCV 2023. arXiv:2212.11613. Encoder: Liu, Mao, Wu, Feichtenhofer, Darrell, Xie: A
    ConvNet for the 2020s. CVPR 2022. arXiv:2201.03545. Color decoder: Cheng, Misra, Schwing,
    Kirillov, Girdhar: Masked-attention Mask Transformer. CVPR 2022. arXiv:2112.01527.
Weights:
    piddnad/DDColor (Apache-2.0): `ddcolor-modelscope`, `ddcolor-paper` and `ddcolor-artistic` are
    "large", `ddcolor-tiny` is "tiny". See `vidcolor.models.catalog`. Nobody published weights for
    "base".
Differs: gray is that of L* as the line computes it, resized by area where the published program
    takes a bilinear sample. The line lays a*b* beside the film's luma by its own composition,
    guided by that luma; published is nearest-neighbor. The maps of the queries are summed before
    they are made, which is the same but for rounding. The final LayerNorm of the ConvNeXt is
    carried, as files have it, but not computed. No stochastic depth in training. New weights
    start small as ConvNeXt's do, the U-Net's as He et al. (2015) propose.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.color.lab import lightness_to_gray
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models.registry import register_model
from vidcolor.models.unet import (
    ShuffleUp,
    SpectralConv,
    UnetBlock,
    adopt_strictly,
    blur,
    fold_norms,
)
from vidcolor.records import Hints, Rois

__all__ = ["DDColor", "Variant", "ddcolor"]

Variant = Literal["tiny", "base", "large"]

_MULTIPLE = 32
_SIDE = 512  # of the published program's squares
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_WIDTH = 64  # at which everything has its published size

# blocks of the four stages, channels of the first at `_WIDTH`
_ENCODERS: Mapping[str, tuple[tuple[int, ...], int]] = {
    "tiny": ((3, 3, 9, 3), 96),
    "base": ((3, 3, 27, 3), 128),
    "large": ((3, 3, 27, 3), 192),
}
_ENCODER_EPS = 1e-6
_GAMMA = 1e-6  # what new blocks of the encoder add

_QUERIES = 100
_LAYERS = 9
_HEADS = 8
_LAST_SCALE = 4  # from the U-Net's last map to the picture
_SCALES = 3  # maps that the queries look at, in turn


class _ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel of (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _ConvNextBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, _ENCODER_EPS)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), _GAMMA))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class _ConvNext(nn.Module):
    """(N, 3, H, W) normalized RGB to four maps at 1/4 to 1/32 of the size."""

    def __init__(self, depths: tuple[int, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        downs = [
            nn.Sequential(nn.Conv2d(3, widths[0], 4, 4), _ChannelNorm(widths[0], _ENCODER_EPS))
        ]
        for before, after in itertools.pairwise(widths):
            norm = _ChannelNorm(before, _ENCODER_EPS)
            downs.append(nn.Sequential(norm, nn.Conv2d(before, after, 2, 2)))
        self.downsample_layers = nn.ModuleList(downs)
        self.stages = nn.ModuleList(
            nn.Sequential(*(_ConvNextBlock(width) for _ in range(depth)))
            for depth, width in zip(depths, widths, strict=True)
        )
        for number, width in enumerate(widths):
            self.add_module(f"norm{number}", _ChannelNorm(width, _ENCODER_EPS))
        self.norm = nn.LayerNorm(widths[-1], _ENCODER_EPS)
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(part.weight, std=0.02)
                assert part.bias is not None
                nn.init.zeros_(part.bias)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for number, (down, stage) in enumerate(
            zip(self.downsample_layers, self.stages, strict=True)
        ):
            x = stage(down(x))
            maps.append(self.get_submodule(f"norm{number}")(x))
        return maps


class _Attention(nn.Module):
    """Attention of several heads; the three first projections are one entry."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(N, Q, C) for (N, Q, C) queries of (N, K, C) keys and values."""
        size = query.shape[2] // self.heads
        parts = zip(
            (query, key, value),
            self.in_proj_weight.chunk(3),
            self.in_proj_bias.chunk(3),
            strict=True,
        )
        q, k, v = (
            F.linear(x, weight, bias).view(x.shape[0], -1, self.heads, size).transpose(1, 2)
            for x, weight, bias in parts
        )
        seen = F.scaled_dot_product_attention(q, k, v)
        return self.out_proj(seen.transpose(1, 2).flatten(2))


class _CrossLayer(nn.Module):
    """The queries ask a map."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = _Attention(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, embed: Tensor, placed: Tensor, memory: Tensor) -> Tensor:
        return self.norm(x + self.multihead_attn(x + embed, placed, memory))


class _SelfLayer(nn.Module):
    """The queries ask each other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = _Attention(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, embed: Tensor) -> Tensor:
        return self.norm(x + self.self_attn(x + embed, x + embed, x))


class _FeedLayer(nn.Module):
    """Each query for itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, 8 * width)
        self.linear2 = nn.Linear(8 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.linear2(F.relu(self.linear1(x))))


class _Mlp(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            x = F.relu(layer(x))
        return last(x)


def _place_code(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """(1, height * width, channels) sines and cosines of y in the first half, of x in the second.

    Places are counted from 1 and are parts of the side, so that the code does not depend on the
    size of the picture.
    """
    half = channels // 2
    number = torch.arange(half, device=device)
    period = 10000 ** (2 * (number // 2) / half)

    def axis(size: int) -> Tensor:
        place = torch.arange(1, size + 1, device=device)
        phase = place[:, None] / (place[-1] + 1e-6) * (2 * math.pi) / period
        return torch.where(number % 2 == 0, phase.sin(), phase.cos())

    y = axis(height)[:, None].expand(height, width, half)
    x = axis(width)[None].expand(height, width, half)
    return torch.cat((y, x), dim=2).flatten(0, 1)[None]


class _ColorDecoder(nn.Module):
    """What the color queries say after they have asked three maps and each other, in turn.

    Args:
        inputs: Channels of the three maps, coarsest first.
        width: Channels of a query.
    """

    def __init__(self, inputs: tuple[int, ...], width: int) -> None:
        super().__init__()
        heads = math.gcd(_HEADS, width)
        self.query_feat = nn.Embedding(_QUERIES, width)
        self.query_embed = nn.Embedding(_QUERIES, width)
        self.level_embed = nn.Embedding(_SCALES, width)
        self.input_proj = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in inputs)
        self.transformer_cross_attention_layers = nn.ModuleList(
            _CrossLayer(width, heads) for _ in range(_LAYERS)
        )
        self.transformer_self_attention_layers = nn.ModuleList(
            _SelfLayer(width, heads) for _ in range(_LAYERS)
        )
        self.transformer_ffn_layers = nn.ModuleList(_FeedLayer(width) for _ in range(_LAYERS))
        self.decoder_norm = nn.LayerNorm(width)
        self.color_embed = _Mlp(width, 3)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """(N, 100, width) of three (N, C, H, W)."""
        memories, placed = [], []
        for number, (project, features) in enumerate(zip(self.input_proj, maps, strict=True)):
            memory = project(features).flatten(2).transpose(1, 2) + self.level_embed.weight[number]
            height, width = features.shape[2:]
            memories.append(memory)
            placed.append(memory + _place_code(height, width, memory.shape[2], memory.device))
        embed = self.query_embed.weight
        x = self.query_feat.weight.expand(maps[0].shape[0], -1, -1)
        for number, (cross, own, feed) in enumerate(
            zip(
                self.transformer_cross_attention_layers,
                self.transformer_self_attention_layers,
                self.transformer_ffn_layers,
                strict=True,
            )
        ):
            level = number % _SCALES
            x = feed(own(cross(x, embed, placed[level], memories[level]), embed))
        return self.color_embed(self.decoder_norm(x))


class _Decoder(nn.Module):
    """Both decoders: four maps of the encoder to what the queries say, and the U-Net's last map.

    Args:
        encoder: Channels of the four maps, finest first.
        deep: Channels of the U-Net's first maps.
    """

    def __init__(self, encoder: tuple[int, ...], deep: int) -> None:
        super().__init__()
        outputs = (deep, deep, deep // 2)
        inputs = (encoder[3], *outputs[:2])
        self.layers = nn.ModuleList(
            UnetBlock(before, after, skip, after)
            for before, after, skip in zip(inputs, outputs, encoder[2::-1], strict=True)
        )
        self.last_shuf = ShuffleUp(SpectralConv(deep // 2, 8 * deep, bias=True), scale=_LAST_SCALE)
        self.color_decoder = _ColorDecoder(outputs, deep // 2)

    def forward(self, taps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(N, 100, C) queries, and the (N, C, H/4, W/4) map that `last_shuf` is made for."""
        x, maps = taps[3], []
        for layer, tap in zip(self.layers, taps[2::-1], strict=True):
            x = layer(x, tap)
            maps.append(x)
        return self.color_decoder(maps), x


class DDColor(nn.Module):
    """The network of this page; the contract is `models.registry.Colorizer`.

    Args:
        width: 64 is the published size, to which all numbers of channels are in proportion. The
            number of queries, and of layers, stays.
        variant: Which ConvNeXt.

    Attributes:
        idle: Parameters whose names start so have no part in `forward`.
        optional: Entries whose names start so may be missing in files.
    """

    mean: Tensor
    std: Tensor
    idle: tuple[str, ...] = ("encoder.arch.norm.",)
    optional: tuple[str, ...] = ("encoder.arch.norm.", "mean", "std")

    def __init__(self, width: int = _WIDTH, variant: Variant = "large") -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width must be at least 1, not {width}")
        if variant not in _ENCODERS:
            raise ConfigError(f"variant must be {', '.join(_ENCODERS)}, not {variant!r}")
        depths, first = _ENCODERS[variant]
        widths = tuple((first * width // _WIDTH) << stage for stage in range(4))
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        self.encoder = nn.ModuleDict({"arch": _ConvNext(depths, widths)})
        self.decoder = _Decoder(widths, 8 * width)
        self.refine_net = nn.Sequential(nn.Sequential(SpectralConv(_QUERIES + 3, 2, bias=True)))

    def forward(
        self, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """Predict color; instances and hints are ignored.

        Args:
            lightness: (N, 1, H, W) float32 L* in 0..100; H, W multiples of 32.
            rois: Ignored.
            hints: Ignored.

        Returns:
            (N, 2, H, W) float32 a*b*, bounded by nothing.

        Raises:
            ValueError: If a side is no multiple of 32.
        """
        return self.predict(lightness_to_gray(lightness).expand(-1, 3, -1, -1))

    def predict(self, rgb: Tensor) -> Tensor:
        """The network as published.

        Args:
            rgb: (N, 3, H, W) gamma-coded sRGB in 0..1, gray; H, W multiples of 32.

        Returns:
            (N, 2, H, W) float32 a*b*.

        Raises:
            ValueError: If a side is no multiple of 32.
        """
        height, width = rgb.shape[2:]
        if height % _MULTIPLE or width % _MULTIPLE:
            raise ValueError(f"sides must be multiples of {_MULTIPLE}, not {height}x{width}")
        x = (rgb - self.mean) / self.std
        queries, features = self.decoder(self.encoder["arch"](x))
        return self._paint(queries, features, x).float()

    def _paint(self, queries: Tensor, features: Tensor, rgb: Tensor) -> Tensor:
        """(N, 2, H, W) `refine_net` of the maps of the queries and of the picture.

        All that follows the ReLU of `last_shuf` is linear, so what the queries and `refine_net`
        do to its channels becomes one matrix, and only two planes are shuffled and blurred.
        """
        refine = cast(SpectralConv, self.refine_net.get_submodule("0.0"))
        weight = refine.effective().flatten(1)
        last = self.decoder.last_shuf
        x = last.conv(features)
        color = weight[:, :_QUERIES] @ queries
        # each pixel of a block of `scale` x `scale` has its own share of the channels
        share = torch.eye(last.scale**2, dtype=color.dtype, device=color.device)
        matrix = (color[:, :, None, :, None] * share[:, None]).flatten(3).flatten(1, 2)
        planes = (matrix @ x.flatten(2)).view(x.shape[0], -1, *x.shape[2:])
        ab = blur(F.pixel_shuffle(planes.float(), last.scale))
        return ab + F.conv2d(rgb, weight[:, _QUERIES:, None, None], refine.bias)

    def part(self, phase: str, classes: bool = False) -> tuple[str, ...]:
        """Prefixes of the parameters that learn: see `models.registry.Phased`."""
        taps = (f"encoder.arch.norm{number}." for number in range(4))
        body = ("encoder.arch.downsample_layers.", "encoder.arch.stages.")
        return (*body, *taps, "decoder.", "refine_net.")

    def inherit(self, phase: str) -> None:
        """Nothing: there is one net, whatever the phase."""

    def answer(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """What a training phase looks at: `forward`."""
        return self(lightness, rois, hints)

    def adopt(self, tensors: Mapping[str, Tensor], of: str) -> None:
        """Take a ConvNeXt's weights by the keys of its authors: see `models.registry.Adopts`.

        Its classifier is left out; the norms of the four maps stay as they are.
        """
        if not of.startswith("convnext"):
            raise WeightsError(f"ddcolor can begin with the weights of a convnext, not of {of}")
        kept = {key: value for key, value in tensors.items() if not key.startswith("head.")}
        own = tuple(f"norm{number}." for number in range(4))
        adopt_strictly(self.encoder["arch"], kept, of, own)

    def fold(self) -> None:
        """Work the norms of weights into them, for good: see `models.registry.Folds`."""
        fold_norms(self)


@register_model(
    multiple=_MULTIPLE, weights="ddcolor-modelscope", square=_SIDE, short_side=_SIDE, stride=1
)
def ddcolor(width: int = _WIDTH, variant: Variant = "large") -> DDColor:
    """DDColor, 2023; see `DDColor`. Pictures are squashed to a square, as published."""
    return DDColor(width, variant)
