"""InstColorization as its authors' programs run it: frame by frame, in float32, plainly written."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.models.instcolor import FUSIONS, InstColor, WeightGenerator, instance_maps
from vidcolor.models.layers import AB_SCALE, network_input
from vidcolor.models.placement import LEVELS, rows
from vidcolor.records import Rois

FAR = 100_000.0


class Published(nn.Module):
    """The published procedure behind the contract of a colorizer.

    Reference: Su, Chu, Huang: Instance-aware Image Colorization, CVPR 2020, and the order of work
    of its public code (`test_fusion.py`, `models/fusion_model.py`).

    Args:
        net: With the settings of the published weights.
    """

    def __init__(self, net: InstColor) -> None:
        super().__init__()
        self.net = net.to(memory_format=torch.contiguous_format)
        self.uses_rois = True

    def forward(self, lightness: Tensor, rois: Rois | None = None) -> Tensor:
        """(N, 2, H, W) a*b*, frame by frame."""
        found = []
        for number in range(len(lightness)):
            own = None if rois is None else (rois.frame == number).nonzero().flatten()
            frame = lightness[number : number + 1].contiguous()
            if rois is None or own is None or not len(own):
                found.append(self.without_boxes(frame))
            else:
                found.append(self.with_boxes(frame, rois.crops[own], rois.boxes[own], rois.size))
        return torch.cat(found)

    def without_boxes(self, frame: Tensor) -> Tensor:
        """The full-image net gives classes and color; the classes are dropped."""
        assert self.net.full is not None
        x = network_input(frame, None, self.net.mask_cent)
        return AB_SCALE * self.net.full.predict_both(x)[1]

    def with_boxes(
        self, frame: Tensor, crops: Tensor, boxes: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """The instance net on the batch of crops, then the fusion net."""
        mask_cent = self.net.mask_cent
        close = network_input(crops.contiguous(), None, mask_cent)
        maps = instance_maps(self.net.instance, close)
        self.net.instance.regress(maps["conv10_2"])  # computed there as well, and not used
        grid = int(frame.shape[2]), int(frame.shape[3])
        placed = [
            rows(boxes.trunc().long(), size, (grid[0] >> k, grid[1] >> k)) for k in range(LEVELS)
        ]
        table = {name: (generator, level) for name, generator, level in FUSIONS}

        def visit(name: str, value: Tensor) -> Tensor:
            generator, level = table[name]
            stacks: Any = self.net.fusion.get_submodule(generator)
            return fused(stacks, value, maps[name], placed[level])

        fusion = self.net.fusion
        x = network_input(frame, None, mask_cent)
        return AB_SCALE * fusion.regress(fusion.features(x, visit))


def fused(
    generator: WeightGenerator, background: Tensor, features: Tensor, placed: Tensor
) -> Tensor:
    """A map of a frame fused with those of its instances, each laid out over the whole frame.

    Args:
        generator: Its two stacks of convolutions.
        background: (1, C, H, W).
        features: (K, C, h, w).
        placed: (K, 6) cells left, right, above, below, width, height.
    """
    logits = generator.simple_instance_conv(features)
    near = torch.zeros(background.shape[2:])
    weights, layers = [], []
    for k, (left, right, top, bottom, width, height) in enumerate(placed.tolist()):
        near[top : top + height, left : left + width] = 1
        for one, many in ((logits, weights), (features, layers)):
            small = F.interpolate(
                one[k : k + 1], (height, width), mode="bilinear", align_corners=False
            )
            many.append(F.pad(small, (left, right, top, bottom)))
    weights.append(generator.simple_bg_conv(background) + FAR * (1 - near))
    layers.append(background)
    shares = torch.cat(weights, dim=1).softmax(dim=1)
    return sum((shares[:, i : i + 1] * layer for i, layer in enumerate(layers)), torch.zeros(()))
