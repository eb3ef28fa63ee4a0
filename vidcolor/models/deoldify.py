"""DeOldify: a ResNet and a U-Net that were taught by a feature loss and, shortly, by a critic.

Reference:
    Antic: DeOldify. 2019, https://github.com/jantic/DeOldify (there is no paper). Trunk: He,
    Zhang, Ren, Sun: Deep Residual Learning. CVPR 2016. arXiv:1512.03385. Parts: see
    `vidcolor.models.unet`.
Weights:
    jantic/DeOldify (MIT): `deoldify-artistic` is "artistic", `deoldify-stable` and
    `deoldify-video` are "wide". See `vidcolor.models.catalog`.
Differs: gray is that of L* as the line computes it, resized by area where the published program
    resizes a color picture by Pillow's bilinear filter. Its answer is RGB of another lightness than
    the film's; the published program keeps its U and V and clips to 8 bits on the way, we keep
    them unclipped, as a*b* at the film's luma. What it does between 8-bit pictures is in
    scripts/parity/published.py. New weights start as He et al. (2015) propose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.color.lab import lightness_to_gray
from vidcolor.color.spaces import ColorSpace
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models.registry import register_model
from vidcolor.models.unet import (
    ShuffleUp,
    SpectralConv,
    UnetBlock,
    WeightNormConv,
    adopt_strictly,
    complete_spectral,
    conv_unit,
    fold_norms,
)
from vidcolor.records import Hints, Rois

__all__ = ["DeOldify", "Variant", "deoldify"]

Variant = Literal["artistic", "wide"]

_MULTIPLE = 16  # a render factor
_SIDE = 560  # a render factor of 35
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_REACH = 3.0  # largest answer, in deviations of ImageNet
_YUV = ColorSpace("yuv")

# of torchvision's networks, the places of the modules in a sequence
_TRUNK = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
_BACKBONES = {"artistic": "resnet34", "wide": "resnet101"}


class _Residual(nn.Module):
    """Two 3x3 convolutions, or three of which the middle one is 3x3, beside a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = 4 * width if bottleneck else width
        # channels before and after, kernel, stride; which is the 3x3 convolution's
        shapes = (
            ((inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1))
            if bottleneck
            else ((inputs, width, 3, stride), (width, width, 3, 1))
        )
        self.count = len(shapes)
        for number, (before, after, kernel, step) in enumerate(shapes, 1):
            conv = nn.Conv2d(before, after, kernel, step, kernel // 2, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            self.add_module(f"conv{number}", conv)
            self.add_module(f"bn{number}", nn.BatchNorm2d(after))
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number in range(1, self.count + 1):
            y = self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(y))
            if number < self.count:
                y = F.relu(y, inplace=True)
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


def _trunk(width: int, depths: tuple[int, ...], bottleneck: bool) -> nn.Sequential:
    """A ResNet without its classifier."""
    parts: list[nn.Module] = [
        nn.Conv2d(3, width, 7, 2, 3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]
    inputs = width
    for stage, depth in enumerate(depths):
        blocks = []
        for block in range(depth):
            stride = 2 if stage and not block else 1
            blocks.append(_Residual(inputs, width << stage, stride, bottleneck))
            inputs = (width << stage) * (4 if bottleneck else 1)
        parts.append(nn.Sequential(*blocks))
    return nn.Sequential(*parts)


class _Refine(nn.Module):
    """Two 3x3 convolutions with ReLU, on top of what they see."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                SpectralConv(channels, channels, 3, padding=1, bias=True), nn.ReLU(inplace=True)
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.layers
        return x + second(first(x))


class DeOldify(nn.Module):
    """The network of this page; the contract is `models.registry.Colorizer`.

    Args:
        width: Channels of the first convolution, to which all others are in proportion; 64 is
            the published size.
        variant: "artistic" has a ResNet-34 and two convolutions on each step up, "wide" (the
            published "stable" and "video") a ResNet-101 and one.
        learn_encoder: In training, the ResNet learns too. The published training leaves it alone
            in the first epoch, and again while there is a critic.

    Attributes:
        idle: Parameters whose names start so have no part in `forward`: none.
        variances: Ranges of running variances, by prefix, that keep weights by formula in bounds.
    """

    idle: tuple[str, ...] = ()
    variances: ClassVar[Mapping[str, tuple[float, float]]] = {
        "layers.0.": (1.5, 2.5),  # sums of shortcuts grow
        "layers.": (0.18, 0.28),
    }

    def __init__(
        self, width: int = 64, variant: Variant = "wide", learn_encoder: bool = True
    ) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width must be at least 1, not {width}")
        if variant not in _BACKBONES:
            raise ConfigError(f"variant must be {' or '.join(_BACKBONES)}, not {variant!r}")
        self.learn_encoder = learn_encoder
        self.backbone = _BACKBONES[variant]
        wide = variant == "wide"
        deepest = (32 if wide else 8) * width
        skips = tuple(s * width for s in ((16, 8, 4, 1) if wide else (4, 2, 1, 1)))
        layers: dict[str, nn.Module] = {
            "0": _trunk(width, (3, 4, 23, 3) if wide else (3, 4, 6, 3), wide),
            "1": nn.BatchNorm2d(deepest),
            "3": nn.Sequential(conv_unit(deepest, 2 * deepest), conv_unit(2 * deepest, deepest)),
        }
        inputs = deepest
        for number, skip in enumerate(skips):
            last = number == len(skips) - 1
            if wide:
                outputs = up = 4 * width if last else 8 * width
            else:
                up = inputs // 2
                outputs = max(1, 3 * (up + skip) // (4 if last else 2))
            layers[str(4 + number)] = UnetBlock(
                inputs, up, skip, outputs, deep=not wide, attention=number == 1, fits=False
            )
            inputs = outputs
        layers["8"] = ShuffleUp(WeightNormConv(inputs, 4 * inputs))
        layers["10"] = _Refine(inputs + 3)
        layers["11"] = nn.Sequential(SpectralConv(inputs + 3, 3, bias=True))
        self.layers = nn.ModuleDict(layers)

    def forward(
        self, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """Predict color; instances and hints are ignored.

        Args:
            lightness: (N, 1, H, W) float32 L* in 0..100; H, W multiples of 16.
            rois: Ignored.
            hints: Ignored.

        Returns:
            (N, 2, H, W) float32 a*b* of the color that has the answer's U and V and the
            picture's luma; it may lie outside sRGB.

        Raises:
            ValueError: If a side is no multiple of 16.
        """
        gray = lightness_to_gray(lightness)
        normalized = torch.cat([(gray - m) / s for m, s in zip(_MEAN, _STD, strict=True)], dim=1)
        answer = self.predict(normalized)
        rgb = torch.cat(
            [answer[:, i : i + 1] * _STD[i] + _MEAN[i] for i in range(len(_MEAN))], dim=1
        )
        return _YUV.decode(_YUV.of_rgb(rgb.clamp(0, 1)), lightness)

    def predict(self, rgb: Tensor) -> Tensor:
        """The network as published.

        Args:
            rgb: (N, 3, H, W) gray, gamma-coded sRGB less the mean of ImageNet, over its deviation;
                H, W multiples of 16.

        Returns:
            (N, 3, H, W) float32 RGB in the same units, in (-3, 3).

        Raises:
            ValueError: If a side is no multiple of 16.
        """
        height, width = rgb.shape[2:]
        if height % _MULTIPLE or width % _MULTIPLE:
            raise ValueError(f"sides must be multiples of {_MULTIPLE}, not {height}x{width}")
        trunk = self.layers["0"]
        assert isinstance(trunk, nn.Sequential)
        x, seen = rgb, []
        for part in trunk:
            x = part(x)
            seen.append(x)
        x = self.layers["3"](F.relu(self.layers["1"](x)))
        for number, skip in zip("4567", (seen[6], seen[5], seen[4], seen[2]), strict=True):
            x = self.layers[number](x, skip)
        del seen
        x = torch.cat((self.layers["8"](x), rgb), dim=1)
        x = self.layers["11"](self.layers["10"](x)).float()
        return 2 * _REACH * torch.sigmoid(x) - _REACH

    def part(self, phase: str, classes: bool = False) -> tuple[str, ...]:
        """Prefixes of the parameters that learn: see `models.registry.Phased`."""
        names = list(self.layers) if self.learn_encoder else list(self.layers)[1:]
        return tuple(f"layers.{name}." for name in names)

    def inherit(self, phase: str) -> None:
        """Nothing: there is one net, whatever the phase."""

    def answer(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """What a training phase looks at: `forward`."""
        return self(lightness, rois, hints)

    def adopt(self, tensors: Mapping[str, Tensor], of: str) -> None:
        """Take a ResNet's weights by torchvision's keys: see `models.registry.Adopts`.

        Its classifier is left out.
        """
        if not of.startswith(self.backbone):
            raise WeightsError(
                f"this deoldify can begin with the weights of {self.backbone}, not of {of}"
            )
        renamed = {}
        for key, value in tensors.items():
            first, _, rest = key.partition(".")
            if first != "fc":
                renamed[f"{_TRUNK.get(first, first)}.{rest}"] = value
        adopt_strictly(self.layers["0"], renamed, of)

    def fold(self) -> None:
        """Work the norms of weights into them, for good: see `models.registry.Folds`."""
        fold_norms(self)

    @staticmethod
    def complete(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Entries that very old files lack, computed of those that they have."""
        return complete_spectral(tensors)


@register_model(
    multiple=_MULTIPLE, weights="deoldify-video", square=_SIDE, short_side=_SIDE, stride=1
)
def deoldify(width: int = 64, variant: Variant = "wide", learn_encoder: bool = True) -> DeOldify:
    """DeOldify, 2019; see `DeOldify`. Pictures are squashed to a square, as published."""
    return DeOldify(width, variant, learn_encoder)
