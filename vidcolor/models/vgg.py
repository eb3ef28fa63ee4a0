"""The trunk of VGG-16 up to conv4_3, and what the colorizers on its taps have in common.

Reference:
    Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition.
    ICLR 2015. arXiv:1409.1556.

Weights:
    Those of torchvision's `vgg16`, trained on ImageNet (`vgg16-397923af.pth`, BSD-3-Clause), or
    the trunk of a network of ours; see `VggColorizer.adopt`.

Differs:
    What no tap lies above is not there: the last pool, conv5 and the classifier. New weights
    start as He et al. (2015) propose by fan-in, so that the taps of a trunk that nobody has
    trained are of one size, whatever the width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from vidcolor.color.lab import lightness_to_gray
from vidcolor.color.spaces import ColorSpace, SpaceName
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.records import Hints, Rois

__all__ = ["GRAY_START", "MULTIPLE", "VggColorizer", "VggTrunk", "make_space", "norm"]

MULTIPLE = 8
"""Sides of the input must be multiples of this: the trunk halves them three times."""

GRAY_START = 0.1
"""Weight of the last batch norm of a new head, whose first colors are so near gray."""

# of ImageNet, as torchvision's weights were trained
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_GROUPS = ((1, 2), (2, 2), (4, 3), (8, 3))  # channels in units of the width, convolutions
_UNUSED = ("features.24.", "features.26.", "features.28.", "classifier.")  # of torchvision's vgg16
_OURS = ("hypercolumn", "residual_encoder")
_TRUNK = "trunk."
_AB_LIMIT = 110.0
_NORM_EPS = 1e-3  # as in the ports of Dahl's networks
_PIXELS_AT_ONCE = 2**19  # ten pictures of 224x224, or one of 480x856


def norm(channels: int, weight: float = 1.0) -> nn.BatchNorm2d:
    """Batch norm of a head, with a weight to start from."""
    layer = nn.BatchNorm2d(channels, eps=_NORM_EPS)
    nn.init.constant_(layer.weight, weight)
    return layer


class VggTrunk(nn.Module):
    """VGG-16 up to conv4_3; keys as in torchvision.

    Args:
        width: Channels of the first group; the published network has 64.

    Attributes:
        channels: Of the taps, finest first.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width must be at least 1 channel, not {width}")
        layers: list[nn.Module] = []
        self.channels: tuple[int, ...] = (3,)
        for units, count in _GROUPS:
            if layers:
                layers.append(nn.MaxPool2d(2))
            before = self.channels[-1]
            for _ in range(count):
                conv = nn.Conv2d(before, units * width, 3, padding=1)
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # Conv2d has a bias by default
                layers += [conv, nn.ReLU(inplace=True)]
                before = units * width
            self.channels += (before,)
        self.features = nn.Sequential(*layers)

    def forward(self, lightness: Tensor) -> tuple[Tensor, ...]:
        """The taps.

        Args:
            lightness: (N, 1, H, W) L* in 0..100; sides multiples of 8.

        Returns:
            (N, C, h, w) each, by `channels`: the input, which is gray in three channels, each
            normalized as ImageNet's, then conv1_2, conv2_2, conv3_3 and conv4_3 after their ReLU,
            at 1, 1, 1/2, 1/4 and 1/8 of the size.

        Raises:
            ValueError: If a side is no multiple of 8.
        """
        height, width = lightness.shape[2:]
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(f"sides must be multiples of {MULTIPLE}, not {height}x{width}")
        gray = lightness_to_gray(lightness)
        x = torch.cat([(gray - mean) / std for mean, std in zip(_MEAN, _STD, strict=True)], dim=1)
        taps = [x]
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                taps.append(x)
            x = layer(x)
        return (*taps, x)

    def adopt(self, tensors: Mapping[str, Tensor], of: str) -> None:
        """Take trained weights.

        Args:
            tensors: By the keys of `of`; what is no part of this trunk is left out.
            of: "vgg16" (torchvision's), "hypercolumn" or "residual_encoder".

        Raises:
            WeightsError: If `of` is another network, or a key or shape does not fit.
        """
        if of in _OURS:
            given = {
                key.removeprefix(_TRUNK): value
                for key, value in tensors.items()
                if key.startswith(_TRUNK)
            }
        elif of == "vgg16":
            given = {k: v for k, v in tensors.items() if not k.startswith(_UNUSED)}
        else:
            raise WeightsError(
                f"weights of {of}: a trunk of VGG-16 begins with vgg16 or with the trunk of "
                f"{' or '.join(_OURS)}"
            )
        own = self.state_dict()
        for key in [*own, *given]:
            if key not in given or key not in own:
                fault = "lack" if key in own else "have an unknown"
                raise WeightsError(
                    f"weights of {of} {fault} {key!r}; expected the layers of torchvision's vgg16 "
                    f"(not vgg16_bn, vgg19 or another one): give that file"
                )
            if given[key].shape != own[key].shape:
                raise WeightsError(
                    f"weights of {of}: {key!r} is {_shape(given[key])}, expected "
                    f"{_shape(own[key])}; choose the width that they were made with"
                    + (" (64)" if of == "vgg16" else "")
                )
        self.load_state_dict(given)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


class VggColorizer(nn.Module):
    """A head that paints planes of color from the taps of VGG-16.

    The contracts are those of `models.registry`: `Colorizer`, `Phased`, `Paints`, `Adopts`.

    Args:
        head: Makes (N, C, H, W) float32 planes in 0..1 of the taps.
        trunk: Makes the taps.
        space: Which planes.
        learn_trunk: The trunk learns as well. Otherwise it stays as it was given: no gradient is
            computed for it, and only the head learns, so that networks for many titles have one
            trunk in common.

    Attributes:
        space: Which planes.
        idle: Parameters whose names start so have no part in `forward`: none.
    """

    idle: tuple[str, ...] = ()

    def __init__(
        self, head: nn.Module, trunk: VggTrunk, space: ColorSpace, learn_trunk: bool
    ) -> None:
        super().__init__()
        self.space = space
        self.learn_trunk = learn_trunk
        self.trunk = trunk
        self.head = head

    def forward(
        self, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """Color of frames.

        Args:
            lightness: (N, 1, H, W) L* in 0..100; sides multiples of 8.
            rois: Ignored.
            hints: Ignored.

        Returns:
            (N, 2, H, W) float32 a*b*.

        Raises:
            ValueError: If a side is no multiple of 8.
        """
        return self.space.decode(self.answer_planes("full", lightness), lightness)

    def part(self, phase: str, classes: bool = False) -> tuple[str, ...]:
        """Prefixes of the parameters that learn, in every phase: see `models.registry.Phased`."""
        return ("head.", _TRUNK) if self.learn_trunk else ("head.",)

    def inherit(self, phase: str) -> None:
        """Nothing: there is one net, whatever the phase."""

    def answer(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """What a training phase looks at: `forward`."""
        return cast(Tensor, self(lightness))

    def answer_planes(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """(N, C, H, W) float32 planes in 0..1: see `models.registry.Paints`.

        To bound memory, pictures go in groups of half a million pixels, but for batch norm that
        learns: its statistics are those of the batch.
        """
        most = max(1, _PIXELS_AT_ONCE // (lightness.shape[2] * lightness.shape[3]))
        learns = any(module.training for module in self.head.modules())
        alone = learns or torch.compiler.is_compiling()
        groups = (lightness,) if alone else torch.split(lightness, most)
        planes = [self.head(self.taps(group)) for group in groups]
        return planes[0] if len(planes) == 1 else torch.cat(planes)

    def adopt(self, tensors: Mapping[str, Tensor], of: str) -> None:
        """Take a trunk, and leave the head as it is: see `VggTrunk.adopt`."""
        self.trunk.adopt(tensors, of)

    def taps(self, lightness: Tensor) -> tuple[Tensor, ...]:
        """What `VggTrunk` says; with gradients only where the trunk learns."""
        if self.learn_trunk or not torch.is_grad_enabled():
            return cast(tuple[Tensor, ...], self.trunk(lightness))
        with torch.no_grad():
            return cast(tuple[Tensor, ...], self.trunk(lightness))


def make_space(name: SpaceName) -> ColorSpace:
    """The planes of an answer.

    Args:
        name: "lab" is a*b* of -110 to 110, "yuv" what Dahl's networks answer, "rgb" all three
            colors, of which lightness is dropped.

    Raises:
        ConfigError: If there is no such space.
    """
    try:
        return ColorSpace(name, _AB_LIMIT)
    except ValueError as error:
        raise ConfigError(f"space: {error}") from None
