"""What a network that fills holes minimizes.

Reference: Liu, Reda, Shih, Wang, Tao, Catanzaro: Image Inpainting for Irregular Holes Using Partial
Convolutions, ECCV 2018 (arXiv:1804.07723), section 3.3; the public code of naoto0804
(pytorch-inpainting-with-partial-conv, MIT), whose smoothness covers the whole picture; Johnson,
Alahi, Fei-Fei, ECCV 2016 (arXiv:1603.08155): Gram matrices.
Weights: those of VGG-16, see `vidcolor.train.features`.
Differs: pixels are in 0..1, where public code takes them less ImageNet's mean and over its
deviation, which makes the terms of pixels 4.4 times as large; only VGG gets them like that. Gray
is shown to VGG three times.

All are means over all cells, also those where a term is 0: a small hole counts little. All are
computed in float32 whatever autocast says, but for the features.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.models.partialconv import compose
from vidcolor.train.features import imagenet

__all__ = ["TERMS", "Pools", "Smoothed", "Term", "gram", "loss_terms", "total_variation"]

Term = Literal["valid", "hole", "perceptual", "style", "tv"]
"""The terms by name, in the order of the paper."""

TERMS: tuple[Term, ...] = get_args(Term)

Smoothed = Literal["hole", "whole"]
"""Where a picture is to be smooth: the paper's hole and a pixel around it, or everywhere."""

_GRAY_TO_RGB = 3


class Pools:
    """What VGG-16 sees after its first pools.

    Args:
        layers: `features` of torchvision's `vgg16`, or the same narrower. They do not learn.
        normalized: Pictures lose ImageNet's mean and are divided by its deviation first. Public
            code whose pictures come like that from the start does not.
        count: How many pools.
    """

    def __init__(self, layers: nn.Sequential, normalized: bool = True, count: int = 3) -> None:
        pools = [n for n, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)][:count]
        edges = [0, *(number + 1 for number in pools)]
        frozen = layers.eval().requires_grad_(False)
        self.parts = nn.ModuleList(frozen[a:b] for a, b in itertools.pairwise(edges))
        self.normalized = normalized

    def to(self, device: torch.device) -> Pools:
        """Go where the pictures are."""
        self.parts.to(device)
        return self

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """The features.

        Args:
            pictures: (N, 1, H, W) gray or (N, 3, H, W) RGB in 0..1; gradients reach them.

        Returns:
            (N, C, h, w) float32 after each pool, finest first.
        """
        x = pictures.expand(-1, _GRAY_TO_RGB, -1, -1)
        x = imagenet(x) if self.normalized else x
        found = []
        for part in self.parts:
            x = part(x)
            found.append(x.float())
        return found


def gram(features: Tensor) -> Tensor:
    """Which features come together, wherever that is.

    Args:
        features: (N, C, H, W).

    Returns:
        (N, C, C) float32: products of channels, summed over places, over C H W.
    """
    n, channels, height, width = features.shape
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().reshape(n, channels, height * width)
        return (flat / (channels * height * width)) @ flat.transpose(1, 2)


def total_variation(picture: Tensor, region: Tensor | None = None) -> Tensor:
    """Mean difference of neighbors, across plus down.

    Args:
        picture: (N, C, H, W).
        region: (N, 1, H, W), above 0 where it counts: a difference does if both neighbors lie in
            it, the others are 0. None: everywhere.

    Returns:
        A scalar.
    """
    total = picture.new_zeros(())
    for axis in (2, 3):
        first, second = _neighbors(picture, axis)
        apart = (first - second).abs()
        if region is not None:
            one, other = _neighbors(region, axis)
            apart = apart * ((one > 0) & (other > 0))
        total = total + apart.mean()
    return total


def _neighbors(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    length = x.shape[axis] - 1
    return x.narrow(axis, 0, length), x.narrow(axis, 1, length)


def loss_terms(
    answer: Tensor,
    image: Tensor,
    valid: Tensor,
    names: Collection[Term] = TERMS,
    pools: Pools | None = None,
    smoothed: Smoothed = "hole",
) -> dict[Term, Tensor]:
    """Terms of the loss, each a scalar that is not weighted.

    "valid" and "hole" are absolute errors of the answer where the picture is valid and where it is
    not; "perceptual" is that of features, "style" that of their Gram matrices, both of the answer
    and of the picture composed of it; "tv" is the variation of the composed picture.

    Args:
        answer: (N, C, H, W) of the network.
        image: (N, C, H, W) the truth, in 0..1.
        valid: (N, 1, H, W), 1 where the picture is valid and 0 in holes.
        names: Which terms.
        pools: For "perceptual" and "style".
        smoothed: Where "tv" looks.

    Returns:
        The terms of `names`, in the order of `TERMS`.

    Raises:
        ValueError: If features are asked for and there are no pools.
    """
    image, valid = image.float(), valid.float()
    answer = answer.float()
    apart = (answer - image).abs()
    composed = compose(image, valid, answer)
    found: dict[Term, Tensor] = {
        "valid": (valid * apart).mean(),
        "hole": ((1 - valid) * apart).mean(),
    }
    if "perceptual" in names or "style" in names:
        if pools is None:
            raise ValueError("perceptual and style look through VGG-16: give its pools")
        found |= _seen(answer, composed, image, pools)
    if "tv" in names:
        region = None
        if smoothed == "hole":
            region = F.max_pool2d(1 - valid, 3, stride=1, padding=1)
        found["tv"] = total_variation(composed, region)
    return {name: found[name] for name in TERMS if name in names}


def _seen(answer: Tensor, composed: Tensor, image: Tensor, pools: Pools) -> dict[Term, Tensor]:
    with torch.no_grad():
        true = pools(image)
    totals = {"perceptual": answer.new_zeros(()), "style": answer.new_zeros(())}
    for picture in (answer, composed):
        for own, other in zip(pools(picture), true, strict=True):
            totals["perceptual"] = totals["perceptual"] + F.l1_loss(own, other)
            totals["style"] = totals["style"] + F.l1_loss(gram(own), gram(other))
    return {"perceptual": totals["perceptual"], "style": totals["style"]}
