"""The network of Zhang et al. (2016): color as a choice among 313 bins.

Reference:
    Zhang, Isola, Efros: Colorful Image Colorization. ECCV 2016. arXiv:1603.08511.

Weights:
    `eccv16` of the `colorizers` package (richzhang/colorization, BSD-2-Clause), trained on
    ImageNet. See `vidcolor.models.catalog`.

Differs:
    `forward` answers at a quarter of the size, where the classes are; the published code then
    enlarges four times (bilinear), which whoever lays color over a picture does anyway. The
    published PyTorch network takes the plain mean of the bins; the paper's annealed mean is
    `temperature`. New weights start as He et al. (2015) propose, and a new `model_out` is the
    bins themselves and does not learn: color follows from the classes. Sides must be multiples
    of 8, where the published code rounds up.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from vidcolor.color.bins import gamut_bins
from vidcolor.errors import ConfigError
from vidcolor.models.layers import AB_SCALE, MULTIPLE
from vidcolor.models.registry import register_model
from vidcolor.records import Hints, Rois

__all__ = ["Eccv16", "eccv16"]

_CENTER, _SPAN = 50.0, 100.0  # L* that becomes 0, and what becomes 1


def _block(channels: tuple[int, ...], stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolutions with ReLU, the last with `stride`, then batch norm."""
    layers: list[nn.Module] = []
    last = len(channels) - 2
    for number, (before, after) in enumerate(itertools.pairwise(channels)):
        step = stride if number == last else 1
        layers += [
            nn.Conv2d(before, after, 3, step, padding=dilation, dilation=dilation),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.BatchNorm2d(channels[-1]))


class Eccv16(nn.Module):
    """Keys and shapes of the published network; the contract is `models.registry.Colorizer`.

    Args:
        width: Channels of the first block; the published network has 64 (32 million parameters).
        temperature: Of the softmax over bins: 1 is their mean, as published in PyTorch; 0.38, the
            paper's, is more vivid; toward 0 only the likeliest bin counts.

    Attributes:
        idle: Nothing: all parameters have a part in `forward`.
        color_from_classes: True, see `models.registry.ColorClasses`.
    """

    color_from_classes = True
    idle: tuple[str, ...] = ()

    def __init__(self, width: int = 64, temperature: float = 1.0) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width must be at least 1 channel, not {width}")
        if not 0 < temperature <= 10:
            raise ConfigError(f"temperature must be above 0 and up to 10, not {temperature}")
        self.temperature = temperature
        c1, c2, c3, c4 = width, 2 * width, 4 * width, 8 * width
        bins = gamut_bins()
        self.model1 = _block((1, c1, c1), stride=2)
        self.model2 = _block((c1, c2, c2), stride=2)
        self.model3 = _block((c2, c3, c3, c3), stride=2)
        self.model4 = _block((c3, c4, c4, c4))
        self.model5 = _block((c4, c4, c4, c4), dilation=2)
        self.model6 = _block((c4, c4, c4, c4), dilation=2)
        self.model7 = _block((c4, c4, c4, c4))
        self.model8 = nn.Sequential(
            nn.ConvTranspose2d(c4, c3, 4, stride=2, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(c3, c3, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(c3, c3, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(c3, len(bins), 1),
        )  # fmt: skip
        self.softmax = nn.Softmax(dim=1)
        self.model_out = nn.Conv2d(len(bins), 2, 1, bias=False)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer is not self.model_out:
                # of a 4x4 kernel with stride 2 each output sees a quarter of the taps
                is_up = isinstance(layer, nn.ConvTranspose2d)
                fan_in = 4 * layer.in_channels if is_up else layer.weight[0].numel()
                nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_in))
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.model_out.weight.copy_((bins.T / AB_SCALE)[:, :, None, None])

    def forward(
        self, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """Color of frames; instances and hints are ignored.

        Args:
            lightness: (N, 1, H, W) L* in 0..100; sides multiples of 8.
            rois: Ignored.
            hints: Ignored.

        Returns:
            (N, 2, H/4, W/4) float32 a*b*.

        Raises:
            ValueError: If a side is no multiple of 8.
        """
        return self._color(self._logits(lightness))

    def part(self, phase: str, classes: bool = False) -> tuple[str, ...]:
        """Prefixes of the parameters that learn: see `models.registry.Phased`."""
        return tuple(f"model{number}." for number in range(1, 9))

    def inherit(self, phase: str) -> None:
        """Nothing: there is one net, whatever the phase."""

    def answer(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """What a training phase looks at: `forward`."""
        return self(lightness)

    def color_classes(self) -> Tensor:
        """(313, 2) a*b* of the classes."""
        return gamut_bins()

    def answer_classes(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> tuple[Tensor, Tensor]:
        """(N, 313, H/4, W/4) float32 logits, and the color that they mean."""
        logits = self._logits(lightness)
        return logits, self._color(logits)

    def _logits(self, lightness: Tensor) -> Tensor:
        height, width = lightness.shape[2:]
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(f"sides must be multiples of {MULTIPLE}, not {height}x{width}")
        x = (lightness - _CENTER) / _SPAN
        for number in range(1, 9):
            x = self.get_submodule(f"model{number}")(x)
        return x.float()

    def _color(self, logits: Tensor) -> Tensor:
        # autocast would take the sum over bins in half precision
        with torch.autocast(logits.device.type, enabled=False):
            return AB_SCALE * self.model_out(self.softmax(logits / self.temperature))


@register_model(multiple=MULTIPLE, weights="eccv16", short_side=256, stride=4)
def eccv16(width: int = 64, temperature: float = 1.0) -> Eccv16:
    """Zhang et al. 2016; see `Eccv16`."""
    return Eccv16(width, temperature)
