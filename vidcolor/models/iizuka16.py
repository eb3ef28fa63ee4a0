"""Let there be Color!: what a picture is as a whole tells what its places look like.

Six convolutions that see the picture are shared by two branches: mid-level features at an eighth
of the size, and, from a view of 224x224 pixels, one vector of the whole picture. The fusion layer
joins them at every place. A classifier beside the vector learns with the color and makes it know
what kind of picture this is. Since the vector is all that one branch tells the other, that of
another picture can take its place: season, time of day and mood are exchanged
(docs/style-transfer.md).

Reference:
    Iizuka, Simo-Serra, Ishikawa: Let there be Color!: Joint End-to-end Learning of Global and
    Local Image Priors for Automatic Image Colorization with Simultaneous Classification. ACM
    Transactions on Graphics 35(4) (SIGGRAPH), 2016.

Weights:
    Those of the authors (satoshiiizuka/siggraph2016_colorization: MIT Places, and ImageNet) are
    CC BY-NC-SA 4.0, for no commercial use, in Torch7's format; `TORCH7_ORDER` says what there
    becomes what here. There is no published PyTorch file.

Differs:
    The vector's part of the fusion layer, b + W y_global, is computed once for a picture and not
    at every place; a picture of 224x224 is its own view, so its low-level features are computed
    once. The view is resized with antialiasing. Batch norm follows the fusion layer too, as the
    size of the published file says. The true L* is used, where the released script makes L* of a
    picture whose U and V are its gray. A new network's gray mean is that of ImageNet; the
    released models carry their own. In which color space it answers is a setting (section 4.3).
"""

from __future__ import annotations

import itertools
import math
import typing

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.color.lab import lightness_to_gray
from vidcolor.color.spaces import ColorSpace, SpaceName
from vidcolor.errors import ConfigError
from vidcolor.models.registry import register_model
from vidcolor.records import Hints, Rois

__all__ = ["TORCH7_ORDER", "Iizuka16", "iizuka16"]

_MULTIPLE = 8
_VIEW = 224  # side of the picture that the global branch sees
_VIEW_CELLS = 7  # and of its last map
_LIMIT = 100.0  # a*b* of a plane's 1
_GRAY_MEAN = 0.459  # gray of ImageNet, by its published means of R, G and B
_START_STD = 0.02  # of the last layer: a new network is near gray


def _both(prefixes: tuple[str, ...], layer: str) -> tuple[str, ...]:
    return tuple(f"{prefix}.{part}" for prefix in prefixes for part in (layer, "norm"))


TORCH7_ORDER: tuple[str, ...] = (
    *_both(tuple(f"low.{i}" for i in range(6)), "conv"),
    *_both(tuple(f"global_conv.{i}" for i in range(4)), "conv"),
    *_both(tuple(f"global_linear.{i}" for i in range(3)), "linear"),
    *_both(tuple(f"mid.{i}" for i in range(2)), "conv"),
    *_both(("fusion",), "conv"),
    *_both(tuple(f"color.{i}" for i in range(4)), "conv"),
    "color.4.conv",
    *_both(("classifier.0",), "linear"),
    "classifier.1.linear",
)
"""Prefixes of convolutions, linear layers and norms, in the order of the tables of the paper.

Of the fusion layer the columns of the mid-level features come first, then those of the vector. The
maps of the global branch are flattened by channel, row, column.
"""


class _Conv(nn.Module):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride, padding=1)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)), inplace=True)


class _Linear(nn.Module):
    """Linear layer, batch norm, ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.linear = nn.Linear(before, after)
        # vectors are maps of one cell: training over several machines knows norms of maps only
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.linear(x)[:, :, None, None]), inplace=True).flatten(1)


class _Fusion(nn.Module):
    """A 1x1 convolution over each place's features and the vector of the whole picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, mid: Tensor, whole: Tensor) -> Tensor:
        local, common = torch.split(self.conv.weight, mid.shape[1], dim=1)
        bias = F.linear(whole, common.flatten(1), self.conv.bias)
        return F.relu(self.norm(F.conv2d(mid, local) + bias[:, :, None, None]), inplace=True)


class _Last(nn.Module):
    """3x3 convolution to planes of color, before the sigmoid."""

    def __init__(self, before: int, planes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, planes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class _Score(nn.Module):
    """Linear layer to logits."""

    def __init__(self, before: int, labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(before, labels)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def _stack(channels: tuple[int, ...], strides: tuple[int, ...]) -> nn.Sequential:
    pairs = zip(itertools.pairwise(channels), strides, strict=True)
    return nn.Sequential(*(_Conv(before, after, step) for (before, after), step in pairs))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Iizuka16(nn.Module):
    """The network of this page; the contract is `models.registry.Colorizer`.

    It learns from batches of at least two pictures: batch norm of one vector knows no spread.

    Args:
        width: Channels of the first layer; the paper has 64 (42 million parameters).
        labels: Kinds of pictures that the classifier tells apart; 205 in MIT Places, 0: there is
            no classifier.
        space: In which planes the network answers: "lab", "yuv" or "rgb".

    Attributes:
        idle: Parameters whose names start so have no part in `forward`.
        labels: See above and `models.registry.Classifies`.
        space: See `models.registry.Paints`.
        whole_size: Numbers in the vector of the whole picture, see `models.registry.SeesWhole`.
    """

    def __init__(self, width: int = 64, labels: int = 205, space: SpaceName = "lab") -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width must be at least 1 channel, not {width}")
        if labels < 0 or labels == 1:
            raise ConfigError(f"labels must be 0, for none, or at least 2, not {labels}")
        if space not in typing.get_args(SpaceName):
            raise ConfigError(f"space must be lab, yuv or rgb, not {space!r}")
        self.labels = labels
        self.space = ColorSpace(space, _LIMIT)
        self.whole_size = 4 * width
        self.idle: tuple[str, ...] = ("classifier.",) if labels else ()
        c1, c2, c4, c8 = width, 2 * width, 4 * width, 8 * width
        last = max(1, width // 2)
        self.register_buffer("gray_mean", torch.tensor(_GRAY_MEAN))
        self.low = _stack((1, c1, c2, c2, c4, c4, c8), (2, 1, 2, 1, 2, 1))
        self.mid = _stack((c8, c8, c4), (1, 1))
        self.global_conv = _stack((c8, c8, c8, c8, c8), (2, 1, 2, 1))
        self.global_linear = nn.Sequential(
            _Linear(_VIEW_CELLS**2 * c8, 16 * width), _Linear(16 * width, c8), _Linear(c8, c4)
        )
        self.fusion = _Fusion(c4)
        self.color = nn.Sequential(
            _Conv(c4, c2), _Conv(c2, c1), _Conv(c1, c1), _Conv(c1, last),
            _Last(last, self.space.channels),
        )  # fmt: skip
        if labels:
            self.classifier = nn.Sequential(_Linear(c8, c4), _Score(c4, labels))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.weight[0].numel()))
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.get_parameter("color.4.conv.weight"), std=_START_STD)

    def forward(
        self,
        lightness: Tensor,
        rois: Rois | None = None,
        hints: Hints | None = None,
        whole: Tensor | None = None,
    ) -> Tensor:
        """Color of frames; instances and hints are ignored.

        Args:
            lightness: (N, 1, H, W) L* in 0..100; sides multiples of 8.
            rois: Ignored.
            hints: Ignored.
            whole: (N, D) or (1, D), vectors of `whole` to go by; without, each frame has its own.

        Returns:
            (N, 2, H/2, W/2) float32 a*b*.

        Raises:
            ValueError: If a side is no multiple of 8, or `whole` does not fit.
        """
        return self.space.decode(self._paint(lightness, whole), lightness)

    def whole(self, lightness: Tensor) -> Tensor:
        """(N, D) float32 vectors of whole pictures: see `models.registry.SeesWhole`."""
        gray = self._gray(lightness)
        return self._vector(self._overview(gray, None)).float()

    def part(self, phase: str, classes: bool = False) -> tuple[str, ...]:
        """Prefixes of the parameters that learn: see `models.registry.Phased`.

        The classifier (`idle`) is one of them; it rests where no kinds of pictures are told.
        """
        return tuple(f"{name}." for name, _ in self.named_children())

    def inherit(self, phase: str) -> None:
        """Nothing: there is one net, whatever the phase."""

    def answer(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """What a training phase looks at: `forward`."""
        return self(lightness)

    def answer_planes(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """(N, 2 or 3, H/2, W/2) float32 planes in 0..1: see `models.registry.Paints`."""
        return self._paint(lightness, None)

    def answer_labels(self, phase: str, lightness: Tensor) -> tuple[Tensor, Tensor]:
        """(N, labels) float32 logits, and planes: see `models.registry.Classifies`.

        Raises:
            ConfigError: If the network was built without labels.
        """
        if not self.labels:
            raise ConfigError("a network without labels cannot tell kinds of pictures apart")
        gray = self._gray(lightness)
        low = self.low(gray)
        seen = self._overview(gray, low)
        return self.classifier(seen).float(), self._planes(low, self._vector(seen))

    def _gray(self, lightness: Tensor) -> Tensor:
        height, width = lightness.shape[2:]
        if height % _MULTIPLE or width % _MULTIPLE:
            raise ValueError(f"sides must be multiples of {_MULTIPLE}, not {height}x{width}")
        mean = self.gray_mean
        assert isinstance(mean, Tensor)
        return lightness_to_gray(lightness) - mean

    def _paint(self, lightness: Tensor, whole: Tensor | None) -> Tensor:
        """Planes in 0..1, by `whole` or by each picture's own vector."""
        gray = self._gray(lightness)
        low = self.low(gray)
        if whole is None:
            whole = self._vector(self._overview(gray, low))
        elif whole.shape[1:] != (self.whole_size,) or (
            whole.shape[0] != gray.shape[0] and whole.shape[0] != 1
        ):
            raise ValueError(
                f"whole must be ({gray.shape[0]}, {self.whole_size}) or (1, {self.whole_size}), "
                f"not {tuple(whole.shape)}"
            )
        return self._planes(low, whole)

    def _overview(self, gray: Tensor, low: Tensor | None) -> Tensor:
        """(N, 8 width) what the classifier sees; `low` are the features of `gray` if known."""
        # an exported graph is for all sizes and has one way only
        if torch.compiler.is_compiling() or tuple(gray.shape[2:]) != (_VIEW, _VIEW):
            gray = F.interpolate(
                gray, (_VIEW, _VIEW), mode="bilinear", align_corners=False, antialias=True
            )
            low = None
        features = self.global_conv(self.low(gray) if low is None else low)
        first, second, _ = self.global_linear
        return second(first(features.flatten(1)))

    def _vector(self, seen: Tensor) -> Tensor:
        return self.global_linear[2](seen)

    def _planes(self, low: Tensor, whole: Tensor) -> Tensor:
        first, second, third, fourth, last = self.color
        x = _double(first(self.fusion(self.mid(low), whole)))
        x = _double(third(second(x)))
        return torch.sigmoid(last(fourth(x)).float())


@register_model(multiple=_MULTIPLE, weights="iizuka16", short_side=224, stride=2)
def iizuka16(width: int = 64, labels: int = 205, space: SpaceName = "lab") -> Iizuka16:
    """Iizuka et al. 2016; see `Iizuka16`."""
    return Iizuka16(width, labels, space)
