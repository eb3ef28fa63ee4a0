"""The trunk that the networks of Zhang et al. (2017) and Su et al. (2020) share.

Reference:
    Zhang, Zhu, Isola, Geng, Lin, Yu, Efros: Real-Time User-Guided Image Colorization with
    Learned Deep Priors. ACM Transactions on Graphics 36(4), 2017. arXiv:1705.02999.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vidcolor.errors import ConfigError
from vidcolor.records import Hints

__all__ = ["AB_SCALE", "MULTIPLE", "Trunk", "Visit", "network_input"]

AB_SCALE = 110.0
"""a*b* of the output 1 of the final tanh, and of the hint input 1."""

MULTIPLE = 8
"""Sides of the input must be multiples of this, or shortcuts and up-path differ by a pixel."""

_CLASSES = 23 * 23  # bins of 10 by 10 over a*b* in [-110, 110]

Visit = Callable[[str, Tensor], Tensor]
"""Called with each feature map and its name; the trunk goes on with what comes back."""


def network_input(lightness: Tensor, hints: Hints | None, mask_cent: float) -> Tensor:
    """The four channels that the trunk sees.

    Args:
        lightness: (N, 1, H, W) L* in 0..100.
        hints: Given colors on the same grid, or None.
        mask_cent: Taken off the hint mask: 0.5 or 0, as the weights were trained.

    Returns:
        (N, 4, H, W): lightness in -0.5..0.5, hint ab in units of 110 (0 where none was given),
        mask.

    Raises:
        ValueError: If a side is no multiple of 8 or the hints lie on another grid.
    """
    n, _, height, width = lightness.shape
    if height % MULTIPLE or width % MULTIPLE:
        raise ValueError(f"sides must be multiples of {MULTIPLE}, not {height}x{width}")
    gray = (lightness - 50) / 100
    if hints is None:
        rest = gray.new_zeros(n, 3, height, width)
        rest[:, 2] = -mask_cent
        return torch.cat((gray, rest), dim=1)
    if tuple(hints.mask.shape) != (n, 1, height, width):
        raise ValueError(f"hints are {tuple(hints.mask.shape)}, lightness {tuple(lightness.shape)}")
    return torch.cat((gray, hints.ab * hints.mask / AB_SCALE, hints.mask - mask_cent), dim=1)


def _block(channels: tuple[int, ...], dilation: int = 1, first_relu: bool = False) -> nn.Sequential:
    """3x3 convolutions with ReLU, then batch norm; a leading ReLU when the input is a sum."""
    # that leading ReLU must not work in place: others hold the sum as well
    layers: list[nn.Module] = [nn.ReLU()] if first_relu else []
    for before, after in itertools.pairwise(channels):
        layers += [
            nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.BatchNorm2d(channels[-1]))


def _up(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1))


def _short(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1))


def _start(layer: nn.Conv2d | nn.ConvTranspose2d, fan_in: int) -> None:
    """Weights as He et al. 2015 propose for ReLU."""
    nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_in))
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


class Trunk(nn.Module):
    """Hourglass of ten blocks with three shortcuts; keys and shapes of the published networks.

    Differs: new weights start as He et al. (2015) propose, not as N(0, 0.02), so that narrow
    versions train from scratch; the output layer starts near 0, at gray.

    Args:
        width: Channels of the first block; the published networks have 64 (34 million
            parameters).
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width must be at least 1 channel, not {width}")
        c1, c2, c3, c4 = width, 2 * width, 4 * width, 8 * width
        self.channels = {
            "conv1_2": c1,
            "conv2_2": c2,
            "conv3_3": c3,
            "conv4_3": c4,
            "conv5_3": c4,
            "conv6_3": c4,
            "conv7_3": c4,
            "conv8_up": c3,
            "conv8_3": c3,
            "conv9_up": c2,
            "conv9_3": c2,
            "conv10_up": c2,
            "conv10_2": c2,
        }
        self.model1 = _block((4, c1, c1))
        self.model2 = _block((c1, c2, c2))
        self.model3 = _block((c2, c3, c3, c3))
        self.model4 = _block((c3, c4, c4, c4))
        self.model5 = _block((c4, c4, c4, c4), dilation=2)
        self.model6 = _block((c4, c4, c4, c4), dilation=2)
        self.model7 = _block((c4, c4, c4, c4))
        self.model8up = _up(c4, c3)
        self.model3short8 = _short(c3, c3)
        self.model8 = _block((c3, c3, c3), first_relu=True)
        self.model9up = _up(c3, c2)
        self.model2short9 = _short(c2, c2)
        self.model9 = _block((c2, c2), first_relu=True)
        self.model10up = _up(c2, c2)
        self.model1short10 = _short(c1, c2)
        self.model10 = nn.Sequential(
            nn.ReLU(), nn.Conv2d(c2, c2, 3, padding=1), nn.LeakyReLU(0.2, inplace=True)
        )
        self.model_class = nn.Sequential(nn.Conv2d(c3, _CLASSES, 1))
        self.model_out = nn.Sequential(nn.Conv2d(c2, 2, 1), nn.Tanh())
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                _start(layer, layer.weight[0].numel())
            elif isinstance(layer, nn.ConvTranspose2d):
                # of a 4x4 kernel with stride 2 each output sees a quarter of the taps
                _start(layer, 4 * layer.in_channels)
        final = self.model_out[0]
        assert isinstance(final, nn.Conv2d)
        nn.init.normal_(final.weight, std=0.02)

    def features(self, x: Tensor, visit: Visit) -> Tensor:
        """Run the trunk up to its last map.

        Args:
            x: (N, 4, H, W), see `network_input`.
            visit: Sees each of the 13 maps in order; all that follows, shortcuts included, uses
                what it returns. The three `*_up` maps come before their ReLU.

        Returns:
            (N, 2c, H, W), the map `conv10_2` as returned by `visit`.
        """
        conv1 = visit("conv1_2", self.model1(x))
        conv2 = visit("conv2_2", self.model2(conv1[:, :, ::2, ::2]))
        conv3 = visit("conv3_3", self.model3(conv2[:, :, ::2, ::2]))
        deep = visit("conv4_3", self.model4(conv3[:, :, ::2, ::2]))
        deep = visit("conv5_3", self.model5(deep))
        deep = visit("conv6_3", self.model6(deep))
        deep = visit("conv7_3", self.model7(deep))
        up = visit("conv8_up", self.model8up(deep) + self.model3short8(conv3))
        del deep, conv3
        up = visit("conv8_3", self.model8(up))
        up = visit("conv9_up", self.model9up(up) + self.model2short9(conv2))
        del conv2
        up = visit("conv9_3", self.model9(up))
        up = visit("conv10_up", self.model10up(up) + self.model1short10(conv1))
        del conv1
        return visit("conv10_2", self.model10(up))

    def regress(self, last: Tensor) -> Tensor:
        """(N, 2, H, W) float32 ab in units of 110, in (-1, 1), of the map `conv10_2`."""
        conv, tanh = self.model_out
        return tanh(conv(last).float())

    def learning(self, classes: bool) -> tuple[str, ...]:
        """Prefixes of the trunk's own parameters, with or without the class head."""
        names = [name for name, _ in self.named_children() if name.startswith("model")]
        return tuple(f"{name}." for name in names if classes or name != "model_class")

    def predict(self, x: Tensor) -> Tensor:
        """(N, 2, H, W) float32 ab in units of 110 of a (N, 4, H, W) input."""
        return self.regress(self.features(x, lambda _, value: value))

    def predict_both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits and color, for training with the class loss.

        Returns:
            (N, 529, H/4, W/4) float32 logits of the bins of `color_class`, and what `predict`
            returns.
        """
        kept: list[Tensor] = []

        def keep(name: str, value: Tensor) -> Tensor:
            if name == "conv8_3":
                kept.append(value)
            return value

        color = self.regress(self.features(x, keep))
        return self.model_class(kept[0]).float(), color
