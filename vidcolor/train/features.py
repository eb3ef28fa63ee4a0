"""How different two pictures look to a network that knows things, not only pixels.

Reference: Johnson, Alahi, Fei-Fei: Perceptual Losses for Real-Time Style Transfer and
Super-Resolution, ECCV 2016 (arXiv:1603.08155); which features count how much: Kang et al.: DDColor,
ICCV 2023 (arXiv:2212.11613), section 3.4 and its public code; Antic: DeOldify, 2019, its public
code. The network: Simonyan and Zisserman, ICLR 2015 (arXiv:1409.1556), with batch norm; without,
for what fills holes (`vidcolor.train.inpaint.losses`).
Weights: torchvision's `vgg16_bn` and `vgg16`, trained on ImageNet (BSD-3-Clause); see `vidcolor
weights`.
Differs: both compare what their networks answer; here the color is laid over the lightness of the
film first, so that only color is learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.errors import WeightsError
from vidcolor.models.weights import find, read_tensors

__all__ = [
    "BACKBONE",
    "FeatureKind",
    "Features",
    "imagenet",
    "load_features",
    "load_vgg16",
    "vgg16",
    "vgg16_bn",
]

FeatureKind = Literal["ddcolor", "deoldify"]

BACKBONE = "vgg16_bn"
"""Name of the weights that the features come from."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_FEATURES = "features."


@dataclass(frozen=True, slots=True)
class _Taps:
    """Which layers of torchvision's `vgg16_bn.features` count, how much, and how much pixels."""

    layers: Mapping[int, float]
    pixels: float = 0.0


_TAPS: Mapping[str, _Taps] = {
    # the first convolution of each of the five groups, before its batch norm
    "ddcolor": _Taps({0: 1 / 16, 7: 1 / 8, 14: 1 / 4, 24: 1 / 2, 34: 1.0}),
    # what the third, fourth and fifth pool get to see
    "deoldify": _Taps({22: 20.0, 32: 70.0, 42: 10.0}, pixels=1.0),
}


def imagenet(rgb: Tensor) -> Tensor:
    """(N, 3, H, W) R'G'B' of 0..1, less the mean of ImageNet's pictures, over their deviation."""
    mean, std = (rgb.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    return (rgb - mean) / std


class Features:
    """Mean absolute difference of features, summed over layers, each with its weight.

    Args:
        layers: `features` of torchvision's `vgg16_bn`, or the same narrower. They do not learn.
        kind: Whose choice of layers: "ddcolor" looks at five, "deoldify" at three and at the
            pixels.
    """

    def __init__(self, layers: nn.Sequential, kind: FeatureKind) -> None:
        self._taps = _TAPS[kind]
        self.layers = layers[: max(self._taps.layers) + 1].eval().requires_grad_(False)

    def to(self, device: torch.device) -> Features:
        """Go where the pictures are."""
        self.layers.to(device)
        return self

    def __call__(self, pred: Tensor, true: Tensor) -> Tensor:
        """The difference.

        Args:
            pred: (N, 3, H, W) R'G'B'; gradients reach it.
            true: (N, 3, H, W) R'G'B'.

        Returns:
            A scalar.
        """
        x, y = imagenet(pred), imagenet(true.detach())
        total = self._taps.pixels * F.l1_loss(x, y)
        for number, layer in enumerate(self.layers):
            x, y = layer(x), layer(y)
            if number in self._taps.layers:
                apart = F.l1_loss(x.float(), y.float())
                total = total + self._taps.layers[number] * apart
        return total


def vgg16_bn(tensors: Mapping[str, Tensor], where: str) -> nn.Sequential:
    """The convolutions of torchvision's `vgg16_bn`.

    Args:
        tensors: By its keys; those of the classifier are left out.
        where: They are from, for errors.

    Raises:
        WeightsError: If a key or shape does not fit.
    """
    return _convolutions("vgg16_bn", tensors, where)


def vgg16(tensors: Mapping[str, Tensor], where: str) -> nn.Sequential:
    """The same of `vgg16`, without batch norm."""
    return _convolutions("vgg16", tensors, where)


def _convolutions(name: str, tensors: Mapping[str, Tensor], where: str) -> nn.Sequential:
    import torchvision  # takes a second

    with torch.device("meta"):
        layers = torchvision.models.get_model(name, weights=None).features
    own = {
        key.removeprefix(_FEATURES): value
        for key, value in tensors.items()
        if key.startswith(_FEATURES)
    }
    try:
        layers.load_state_dict(own, assign=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise WeightsError(f"{where}: not torchvision's {name} ({reason})") from None
    assert isinstance(layers, nn.Sequential)
    return layers.float()


def load_features(kind: FeatureKind) -> Features:
    """Features of the installed weights.

    Raises:
        WeightsError: If the file is missing, with the command that fetches it, or is another
            network's.
    """
    path = find(BACKBONE)
    return Features(vgg16_bn(read_tensors(path), str(path)), kind)


def load_vgg16() -> nn.Sequential:
    """The convolutions of VGG-16, of the installed weights.

    Raises:
        WeightsError: If the file is missing, with the command that fetches it, or is another
            network's.
    """
    path = find("vgg16")
    return vgg16(read_tensors(path), str(path))
