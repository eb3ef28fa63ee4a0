"""The critics of DDColor and of DeOldify, which see whole pictures, and DDColor's color losses.

Both look at pictures, not at color given lightness: they tell colorized pictures from true ones by
all that there is to see. Scores are of patches; either game is played with the cross entropy of
each (`adversary`).

Reference:
    Kang, Yang, Ouyang, Ren, Li, Xie: DDColor: Towards Photo-Realistic Image Colorization via Dual
    Decoders. ICCV 2023. arXiv:2212.11613. Antic: DeOldify. 2019,
    https://github.com/jantic/DeOldify. Colorfulness: Hasler, Suesstrunk: Measuring Colourfulness
    in Natural Images. SPIE Human Vision and Electronic Imaging 2003.
Weights:
    DeOldify's published critics (jantic/DeOldify, MIT) are of width 256 and have these keys.
Differs: both take RGB in 0..1; DeOldify's normalizes it itself. New weights start as He et al.
    (2015) propose. The colorfulness of a gray picture has a gradient, zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidcolor.models.unet import SelfAttention, SpectralConv

__all__ = ["DdcolorCritic", "DeoldifyCritic", "color_enhanced", "colorfulness_loss"]

_BLOCKS = 3
_KERNEL = 4  # of what halves, and of the scores
_CELL_PX = 1 << (_BLOCKS + 1)  # side of what the last convolution sees as one
_SLOPE = 0.2  # DeOldify's, below zero
_DROP_FIRST, _DROP = 0.075, 0.15  # DeOldify's
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_GRAY = (0.2989, 0.587, 0.114)  # of R, G and B, as DDColor has it
_CHROMA_SHARE = 0.3  # of the mean's length beside the deviation's
_TINY = 1e-12


def _unit(conv: SpectralConv, activation: nn.Module, attention: bool = False) -> nn.Sequential:
    seen = [SelfAttention(conv.weight_orig.shape[0])] if attention else []
    return nn.Sequential(conv, activation, *seen)


def _flat(convs: nn.Sequential | nn.ModuleList, x: Tensor) -> Tensor:
    """(N, K) scores.

    Raises:
        ValueError: If the picture is too small for one.
    """
    least = _KERNEL * _CELL_PX
    if min(x.shape[2:]) < least:
        raise ValueError(
            f"this critic needs pictures of at least {least} pixels, not "
            f"{x.shape[2]}x{x.shape[3]}; train on larger crops"
        )
    for conv in convs:
        x = conv(x)
    return x.flatten(1).float()


class DdcolorCritic(nn.Module):
    """DDColor's discriminator: spectral norm, ReLU, attention after the second halving.

    Args:
        width: Channels of the first layer; published 64.

    Raises:
        ValueError: If `width` is not positive.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"a critic needs a width of at least 1, not {width}")
        units = [_unit(SpectralConv(3, width, _KERNEL, 2, 1, bias=True), nn.ReLU(inplace=True))]
        for number in range(_BLOCKS):
            same = SpectralConv(width, width, 3, 1, 1, bias=True)
            half = SpectralConv(width, 2 * width, _KERNEL, 2, 1, bias=True)
            units.append(_unit(same, nn.ReLU(inplace=True)))
            units.append(_unit(half, nn.ReLU(inplace=True), attention=number == 0))
            width *= 2
        last = SpectralConv(width, width, 3, 1, 1, bias=True)
        units.append(_unit(last, nn.ReLU(inplace=True)))
        units.append(nn.Sequential(SpectralConv(width, 1, _KERNEL)))
        self.layers = nn.ModuleList(units)

    def forward(self, rgb: Tensor) -> Tensor:
        """Scores of patches, high for true pictures.

        Args:
            rgb: (N, 3, H, W) gamma-coded sRGB in 0..1; sides of at least 64.

        Returns:
            (N, K) float32, no activation; K = (H/16 - 3) (W/16 - 3), sides rounded down.

        Raises:
            ValueError: If the pictures are too small.
        """
        return _flat(self.layers, rgb)


class DeoldifyCritic(nn.Sequential):
    """DeOldify's critic: spectral norm, leaky ReLU, dropout, attention after the second halving.

    Args:
        width: Channels of the first layer; published 256.

    Raises:
        ValueError: If `width` is not positive.
    """

    def __init__(self, width: int = 256) -> None:
        if width < 1:
            raise ValueError(f"a critic needs a width of at least 1, not {width}")

        def leaky() -> nn.Module:
            return nn.LeakyReLU(_SLOPE, inplace=True)

        parts: list[nn.Module] = [
            _unit(SpectralConv(3, width, _KERNEL, 2, 1, bias=True), leaky()),
            nn.Dropout2d(_DROP_FIRST),
        ]
        for number in range(_BLOCKS):
            same = SpectralConv(width, width, 3, 1, 1, bias=True)
            half = SpectralConv(width, 2 * width, _KERNEL, 2, 1, bias=True)
            parts += [
                _unit(same, leaky()),
                nn.Dropout2d(_DROP),
                _unit(half, leaky(), attention=number == 0),
            ]
            width *= 2
        parts += [
            _unit(SpectralConv(width, width, 3, 1, 1, bias=True), leaky()),
            nn.Sequential(SpectralConv(width, 1, _KERNEL)),
        ]
        super().__init__(*parts)

    def forward(self, rgb: Tensor) -> Tensor:
        """Scores of patches, high for true pictures: see `DdcolorCritic.forward`."""
        x = [(rgb[:, i : i + 1] - _MEAN[i]) / _STD[i] for i in range(len(_MEAN))]
        return _flat(self, torch.cat(x, dim=1))


def colorfulness_loss(rgb: Tensor, weight: float = 1.0) -> Tensor:
    """How far pictures are from colorful ones (Kang et al. 2023, colorfulness loss).

    Args:
        rgb: (N, 3, H, W) gamma-coded sRGB in 0..1.
        weight: Of the loss; published 0.5.

    Returns:
        The sum over pictures of 1 less their colorfulness by Hasler and Suesstrunk.
    """
    red, green, blue = rgb.float().flatten(2).unbind(1)
    opponents = torch.stack(((red - green).abs(), ((red + green) / 2 - blue).abs()))
    # a root has no gradient at 0, where gray pictures are
    spread = opponents.var(2).sum(0).clamp(min=_TINY).sqrt()
    middle = opponents.mean(2).square().sum(0).clamp(min=_TINY).sqrt()
    return weight * (1 - (spread + _CHROMA_SHARE * middle)).sum()


def color_enhanced(rgb: Tensor, factor: float = 1.2) -> Tensor:
    """Pictures with stronger color, which DDColor shows its critic as true.

    Args:
        rgb: (N, 3, H, W) gamma-coded sRGB in 0..1.
        factor: Of what is not gray.

    Returns:
        The same shape, clipped to 0..1.
    """
    shares = rgb.new_tensor(_GRAY).view(1, 3, 1, 1)
    gray = (rgb * shares).sum(1, keepdim=True)
    return (gray + factor * (rgb - gray)).clamp(0, 1)
