"""Dahl's residual encoder: guess color of the deepest tap of VGG-16, then mend it tap by tap.

Reference:
    Dahl: Automatic Colorization, 2016 (an article): the second of its two networks.
    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016.
    arXiv:1512.03385: shortcuts that add.
    Simonyan, Zisserman 2015 (arXiv:1409.1556): the trunk.

Weights:
    None published that load here; Dahl's TensorFlow graph is for non-commercial use. The trunk is
    torchvision's `vgg16` (BSD-3-Clause) or one of our own; the head, 0.5 million weights, is
    trained with `vidcolor train`.

Differs:
    Any size of multiples of 8, not 224x224. Maps are enlarged with pixels on half coordinates;
    TensorFlow's of 2016 had them on whole ones, which matters for weights of that time only. a*b*
    is the usual color space, UV (Dahl's) a setting. Running statistics follow by 0.1, not 0.0001,
    so that short training is enough. The last batch norm starts small, so that a new network
    says gray. Three channels at full size keep little detail of color; `widened` has more.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.color.spaces import SpaceName
from vidcolor.models.registry import register_model
from vidcolor.models.vgg import GRAY_START, MULTIPLE, VggColorizer, VggTrunk, make_space, norm

__all__ = ["Head", "ResidualEncoder", "residual_encoder"]

_BOTTLENECK = 3  # channels at full size, as published
_START_STD = 0.01


def _step(inputs: int, outputs: int, weight: float = 1.0) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), norm(outputs, weight)
    )


class Head(nn.Module):
    """The table of the article; batch norm takes the place of biases.

    Args:
        taps: Channels of the taps, finest first: 3, 64, 128, 256, 512 as published.
        planes: Of the answer.
        fine: Channels at full size; 3 as published.
    """

    def __init__(self, taps: tuple[int, ...], planes: int, fine: int) -> None:
        super().__init__()
        _, *before, deepest = taps
        self.fine = fine
        # of the taps, finest first
        self.norms = nn.ModuleList(norm(count) for count in (fine, *before, deepest))
        self.deepest = nn.Conv2d(deepest, before[-1], 1, bias=False)
        self.ups = nn.ModuleList(
            _step(count, after)
            for count, after in zip(before[::-1], (*before[-2::-1], fine), strict=True)
        )
        self.mend = _step(fine, fine)
        self.paint = _step(fine, planes, GRAY_START)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.trunc_normal_(
                    layer.weight, std=_START_STD, a=-2 * _START_STD, b=2 * _START_STD
                )

    def forward(self, taps: tuple[Tensor, ...]) -> Tensor:
        """(N, planes, H, W) float32 in 0..1 of taps."""
        x = F.relu(self.deepest(self.norms[-1](taps[-1])), inplace=True)
        for up, normed, tap in zip(self.ups, self.norms[-2:0:-1], taps[-2:0:-1], strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = F.relu(up(x + normed(tap)), inplace=True)
        # gray is as many channels as it is added to
        gray = taps[0][:, :1].expand(-1, self.fine, -1, -1)
        x = F.relu(self.mend(x + self.norms[0](gray)), inplace=True)
        return torch.sigmoid(self.paint(x).float())


class ResidualEncoder(VggColorizer):
    """Dahl's second network; the contracts are those of `VggColorizer`.

    Args:
        width: See `residual_encoder`.
        space: See `residual_encoder`.
        widened: See `residual_encoder`.
        learn_trunk: See `VggColorizer`.

    Raises:
        ConfigError: If a setting is out of range.
    """

    def __init__(
        self,
        width: int = 64,
        space: SpaceName = "lab",
        widened: bool = False,
        learn_trunk: bool = False,
    ) -> None:
        trunk, planes = VggTrunk(width), make_space(space)
        fine = max(_BOTTLENECK, width // 2) if widened else _BOTTLENECK
        super().__init__(Head(trunk.channels, planes.channels, fine), trunk, planes, learn_trunk)


@register_model(multiple=MULTIPLE, weights="residual_encoder", short_side=224)
def residual_encoder(
    width: int = 64, space: SpaceName = "lab", widened: bool = False, learn_trunk: bool = False
) -> ResidualEncoder:
    """The residual encoder of Dahl 2016.

    Args:
        width: Channels of the trunk's first group; the published network has 64.
        space: Planes of the answer: "lab", "yuv" (Dahl's) or "rgb".
        widened: Half the width instead of 3 channels at full size; no longer the published
            network, but with more detail of color.
        learn_trunk: The trunk learns as well; published: no.
    """
    return ResidualEncoder(width, space, widened, learn_trunk)
