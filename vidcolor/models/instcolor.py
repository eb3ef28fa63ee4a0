"""Instance-aware colorization: full-image, instance and fusion nets.

Reference:
    Su, Chu, Huang: Instance-aware Image Colorization. CVPR 2020. arXiv:2005.10825.

Weights:
    `instcolor`, the authors' three files (ericsujw/InstColorization, MIT), trained on
    COCO-Stuff. See `vidcolor.models.catalog`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models.layers import AB_SCALE, MULTIPLE, Trunk, network_input
from vidcolor.models.objective import class_centers
from vidcolor.models.placement import Placement, place
from vidcolor.models.registry import register_model
from vidcolor.records import Hints, Rois

__all__ = ["PUBLISHED", "FusionNet", "InstColor", "WeightGenerator", "instance_maps", "instcolor"]

PUBLISHED: Mapping[str, Any] = MappingProxyType(
    {
        "width": 64,
        "mask_cent": 0.5,
        "fuse_without_boxes": False,
        "mask_outside": False,
        "outward": False,
    }
)
"""Settings under which the published weights give the published pictures."""

FUSIONS: tuple[tuple[str, str, int], ...] = (
    ("conv1_2", "weight_layer", 0),
    ("conv2_2", "weight_layer2", 1),
    ("conv3_3", "weight_layer3", 2),
    ("conv4_3", "weight_layer4", 3),
    ("conv5_3", "weight_layer5", 3),
    ("conv6_3", "weight_layer6", 3),
    ("conv7_3", "weight_layer7", 3),
    ("conv8_up", "weight_layer8_1", 2),
    ("conv8_3", "weight_layer8_2", 2),
    ("conv9_up", "weight_layer9_1", 1),
    ("conv9_3", "weight_layer9_2", 1),
    ("conv10_up", "weight_layer10_1", 0),
    ("conv10_2", "weight_layer10_2", 0),
)
"""Map, the generator that fuses it, and its level (0 is the input's size, 3 an eighth)."""

_FAR = 100_000.0  # added to the background's logit outside all boxes: its weight is then 1


def instance_maps(net: Trunk, x: Tensor) -> dict[str, Tensor]:
    """The 13 maps of crops as the fusion takes them.

    The published code rectifies the three `*_up` maps in place before they are read, so they
    come after their ReLU here, while the background's come before it.

    Args:
        net: The instance net.
        x: (K, 4, S, S) network input.
    """
    maps: dict[str, Tensor] = {}

    def keep(name: str, value: Tensor) -> Tensor:
        maps[name] = F.relu(value) if name.endswith("_up") else value
        return value

    net.features(x, keep)
    return maps


def _stack(channels: int) -> nn.Sequential:
    sizes = (channels, 16, 16, 1)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
    for layer in layers[::2]:
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        nn.init.normal_(layer.weight, std=0.02)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


class WeightGenerator(nn.Module):
    """Fuses one map of the frames with those of their instances by a softmax at each pixel.

    New ones start as a plain average.

    Args:
        channels: Of the map.
        mask_outside: An instance takes no part outside its own box. The published code lets it
            compete there with logit 0 and feature 0, which dilutes color where boxes overlap.
    """

    def __init__(self, channels: int, mask_outside: bool) -> None:
        super().__init__()
        self.simple_instance_conv = _stack(channels)
        self.simple_bg_conv = _stack(channels)
        self.mask_outside = mask_outside

    def shares(
        self, background: Tensor, features: Tensor, placement: Placement, level: int
    ) -> dict[int, Tensor]:
        """Weights of the fusion.

        Args:
            background: (N, C, H, W) map of the frames.
            features: (K, C, h, w) maps of the instances.
            placement: Where they lie.
            level: Scale of the map.

        Returns:
            Of each frame with instances, (n + 1, H, W) float32 weights that sum to 1: its
            instances in their order, the background last.
        """
        height, width = background.shape[2:]
        members = placement.members()
        frames = list(members)
        some = background if len(frames) == len(background) else background[frames]
        back = self.simple_bg_conv(some).float()
        front = self.simple_instance_conv(features).float()
        outside = -torch.inf if self.mask_outside else 0.0
        result = {}
        for row, (frame, instances) in enumerate(members.items()):
            near = torch.zeros(height, width, dtype=torch.bool)
            logits = []
            for k in instances:
                top, left, h, w = placement.rectangles[level][k]
                near[top : top + h, left : left + w] = True
                margins = (left, width - left - w, top, height - top - h)
                patch = placement.patch(front[k], k, level, (height, width))[0]
                patch = F.pad(patch, margins, value=outside)
                logits.append(patch + placement.log_weight[k])
            far = (~near).to(back.device, non_blocking=True)
            logits.append(back[row if some is not background else frame, 0] + _FAR * far)
            result[frame] = torch.stack(logits).softmax(dim=0)
        return result

    def forward(
        self, background: Tensor, features: Tensor, placement: Placement, level: int
    ) -> Tensor:
        """(N, C, H, W) fused map; frames without instances stay as they are. See `shares`."""
        shares = self.shares(background, features, placement, level)
        members = placement.members()
        height, width = background.shape[2:]
        fused = [background[i : i + 1] for i in range(len(background))]
        for frame, share in shares.items():
            share = share.to(background.dtype)
            result = fused[frame] * share[-1]
            for row, k in enumerate(members[frame]):
                top, left, h, w = placement.rectangles[level][k]
                patch = placement.patch(features[k], k, level, (height, width))
                part = (slice(top, top + h), slice(left, left + w))
                result[(0, slice(None), *part)] += patch.to(result.dtype) * share[(row, *part)]
            fused[frame] = result
        return torch.cat(fused) if len(fused) > 1 else fused[0]


class FusionNet(Trunk):
    """A trunk whose maps are fused with those of the instances, one after another.

    Differs: `weight_layerout` is kept for the published keys; it is idle, as in the paper's
    code.

    Args:
        width: See `Trunk`.
        mask_outside: See `WeightGenerator`.
    """

    def __init__(self, width: int = 64, mask_outside: bool = True) -> None:
        super().__init__(width)
        for name, generator, _ in FUSIONS:
            self.add_module(generator, WeightGenerator(self.channels[name], mask_outside))
        self.weight_layerout = WeightGenerator(2, mask_outside)

    def fuse(self, x: Tensor, maps: dict[str, Tensor], placement: Placement) -> Tensor:
        """Color of frames with their instances.

        Args:
            x: (N, 4, H, W) network input.
            maps: Of the K instances, from `instance_maps`; each is taken out once used, so
                that its memory is free.
            placement: Where they lie.

        Returns:
            (N, 2, H, W) float32 ab in units of 110.
        """
        table = {name: (generator, level) for name, generator, level in FUSIONS}

        def visit(name: str, value: Tensor) -> Tensor:
            generator, level = table[name]
            fused: Tensor = self.get_submodule(generator)(value, maps.pop(name), placement, level)
            # joining may lose the memory format that convolutions are fast in
            if value.is_contiguous(memory_format=torch.channels_last):
                fused = fused.contiguous(memory_format=torch.channels_last)
            return fused

        return self.regress(self.features(x, visit))


class InstColor(nn.Module):
    """Colors frames and the crops of their instances, and fuses both.

    Differs: the published weights switch to another network where a frame has no box, let
    instances compete outside their boxes, and place them by truncation at each scale; the three
    settings whose defaults correct this are for weights trained with them.

    Args:
        width: See `Trunk`.
        mask_cent: Taken off the hint mask; 0.5 for the published weights.
        fuse_without_boxes: Frames without a box go through the fusion net as well, and there is
            no full-image net; colors then do not jump when detections come and go.
        mask_outside: An instance has no say outside its box; see `WeightGenerator`.
        outward: Instances lie where their boxes are, in rectangles of whole cells of the
            coarsest map; otherwise corners are truncated at each scale. See `placement.place`.
        instances_at_once: Frames are taken in groups of at most so many instances, to bound
            memory (about 0.2 GB an instance at 256 pixels in float32). Changes no result.

    Attributes:
        full: Full-image net, or None.
        instance: Net of the crops.
        fusion: Fusion net.
        idle: Parameters whose names start so have no part in `forward`.
        color_from_classes: False, see `models.registry.ColorClasses`.
    """

    color_from_classes = False
    idle: tuple[str, ...] = (
        "full.model_class.",
        "instance.model_class.",
        "instance.model_out.",
        "fusion.model_class.",
        "fusion.weight_layerout.",
    )

    def __init__(
        self,
        width: int = 64,
        mask_cent: float = 0.5,
        fuse_without_boxes: bool = True,
        mask_outside: bool = True,
        outward: bool = True,
        instances_at_once: int = 32,
    ) -> None:
        super().__init__()
        self.mask_cent = mask_cent
        self.fuse_without_boxes = fuse_without_boxes
        self.outward = outward
        self.instances_at_once = instances_at_once
        self.full = None if fuse_without_boxes else Trunk(width)
        self.instance = Trunk(width)
        self.fusion = FusionNet(width, mask_outside)

    def forward(
        self, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """Color of frames.

        Args:
            lightness: (N, 1, H, W) L* in 0..100; sides multiples of 8.
            rois: Instances; crops are squares whose side is a multiple of 8. Boxes without
                area inside the frame are ignored.
            hints: Given colors on the grid of `lightness`; crops get their part of them.

        Returns:
            (N, 2, H, W) float32 a*b* in (-110, 110).

        Raises:
            ValueError: If the sizes do not fit or an instance names a frame that is not there.
        """
        frames = network_input(lightness, hints, self.mask_cent)
        if rois is None or not len(rois):
            return AB_SCALE * self._without(frames)
        count = len(frames)
        if int(rois.frame.min()) < 0 or int(rois.frame.max()) >= count:
            raise ValueError(f"rois name frames outside 0..{count - 1}")
        input_size = (lightness.shape[2], lightness.shape[3])
        placement, keep = place(
            rois.boxes, rois.frame, rois.weight, rois.size, input_size, self.outward
        )
        some = sorted(set(placement.frame))
        none = sorted(set(range(count)) - set(some))
        parts: list[Tensor] = []
        order: list[int] = []
        if none:
            parts.append(self._without(frames[none]))
            order += none
        if some:
            kept = torch.tensor(keep, device=rois.crops.device)
            crop_hints = None if hints is None else _crop_hints(hints, rois, kept)
            crops = network_input(rois.crops[kept], crop_hints, self.mask_cent)
            for group in self._groups(placement, some):
                near, which = placement.part(group)
                parts.append(self.fuse(frames[group], crops[which], near))
                order += group
        ab = torch.cat(parts)
        if order != list(range(count)):
            ab = ab[torch.tensor(order, device=ab.device).argsort()]
        return AB_SCALE * ab

    def fuse(self, frames: Tensor, crops: Tensor, placement: Placement) -> Tensor:
        """Color of frames that have instances, in network units.

        Args:
            frames: (N, 4, H, W) network input.
            crops: (K, 4, S, S) network input of the instances, at least one.
            placement: Where they lie.

        Returns:
            (N, 2, H, W) float32 ab in units of 110.
        """
        return self.fusion.fuse(frames, instance_maps(self.instance, crops), placement)

    def part(self, phase: str, classes: bool = False) -> tuple[str, ...]:
        """Prefixes of the parameters that learn: see `models.registry.Phased`.

        In "fusion" the weight generators and, as in the published code, the last block and the
        output layer of the fusion net. Where there is no full-image net (`fuse_without_boxes`)
        the trunk of the fusion net is it.
        """
        generators = tuple(f"fusion.{name}." for _, name, _ in FUSIONS)
        if phase == "full":
            name = "fusion" if self.full is None else "full"
            return tuple(f"{name}.{part}" for part in self._whole.learning(classes))
        if phase == "instance":
            return tuple(f"instance.{part}" for part in self.instance.learning(classes))
        if phase == "fusion":
            return (*generators, "fusion.model10.", "fusion.model_out.")
        close = [part for part in self.instance.learning(False) if part != "model_out."]
        trunk = self.fusion.learning(classes)
        return (*(f"instance.{p}" for p in close), *(f"fusion.{p}" for p in trunk), *generators)

    def inherit(self, phase: str) -> None:
        """Start a phase from the one before: see `models.registry.Phased`."""
        if phase == "instance":
            self.instance.load_state_dict(self._trunk_of_whole())
        elif phase == "fusion" and self.full is not None:
            self.fusion.load_state_dict(self.fusion.state_dict() | self._trunk_of_whole())

    def adopt(self, tensors: Mapping[str, Tensor], of: str) -> None:
        """Take those of siggraph17 as all three nets: see `models.registry.Adopts`."""
        if of != "siggraph17":
            raise WeightsError(f"instcolor can begin with siggraph17, not with {of}")
        for net in (self.full, self.instance, self.fusion):
            if net is not None:
                net.load_state_dict(net.state_dict() | dict(tensors))

    def answer(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """What a training phase looks at: see `models.registry.Phased`."""
        if phase in ("full", "instance"):
            net = self._whole if phase == "full" else self.instance
            return AB_SCALE * net.predict(network_input(lightness, hints, self.mask_cent))
        return self(lightness, rois, hints)

    def color_classes(self) -> Tensor:
        """(529, 2) a*b* of the classes."""
        return class_centers()

    def answer_classes(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> tuple[Tensor, Tensor]:
        """(N, 529, H/4, W/4) logits, and color; for "full" and "instance" only.

        Raises:
            ConfigError: In another phase: the fused maps have no class head.
        """
        if phase not in ("full", "instance"):
            raise ConfigError(f"instcolor has no color classes in the phase {phase!r}")
        net = self._whole if phase == "full" else self.instance
        logits, color = net.predict_both(network_input(lightness, hints, self.mask_cent))
        return logits, AB_SCALE * color

    @property
    def _whole(self) -> Trunk:
        """The net of frames without instances."""
        return self.fusion if self.full is None else self.full

    def _trunk_of_whole(self) -> dict[str, Tensor]:
        state = self._whole.state_dict()
        return {key: value for key, value in state.items() if key.startswith("model")}

    def _without(self, frames: Tensor) -> Tensor:
        return self._whole.predict(frames)

    def _groups(self, placement: Placement, frames: list[int]) -> list[list[int]]:
        """Frames in groups of at most `instances_at_once` instances, or of one frame."""
        members = placement.members()
        groups: list[list[int]] = []
        taken = 0
        for frame in frames:
            number = len(members[frame])
            if not groups or taken + number > self.instances_at_once:
                groups.append([])
                taken = 0
            groups[-1].append(frame)
            taken += number
        return groups


def _crop_hints(hints: Hints, rois: Rois, kept: Tensor) -> Hints:
    """Each instance's part of the hints, by the nearest pixel."""
    height, width = hints.mask.shape[2:]
    side_y, side_x = rois.crops.shape[2:]
    both = torch.cat((hints.ab * hints.mask, hints.mask), dim=1)
    scale = rois.boxes.new_tensor([width / rois.size[1], height / rois.size[0]] * 2)
    boxes = rois.boxes[kept] * scale
    steps_y = (torch.arange(side_y, device=boxes.device) + 0.5) / side_y
    steps_x = (torch.arange(side_x, device=boxes.device) + 0.5) / side_x
    y = boxes[:, 1:2] + steps_y * (boxes[:, 3:4] - boxes[:, 1:2])
    x = boxes[:, 0:1] + steps_x * (boxes[:, 2:3] - boxes[:, 0:1])
    y = y.long().clamp(0, height - 1)
    x = x.long().clamp(0, width - 1)
    cut = both[rois.frame[kept][:, None, None], :, y[:, :, None], x[:, None, :]]
    cut = cut.permute(0, 3, 1, 2)
    return Hints(cut[:, :2].contiguous(), cut[:, 2:].contiguous())


@register_model(multiple=MULTIPLE, weights="instcolor", rois=True, hints=True, square=256)
def instcolor(
    width: int = 64,
    mask_cent: float = 0.5,
    fuse_without_boxes: bool = True,
    mask_outside: bool = True,
    outward: bool = True,
) -> InstColor:
    """Su et al. 2020, corrected; `PUBLISHED` has the settings of the authors' weights."""
    return InstColor(width, mask_cent, fuse_without_boxes, mask_outside, outward)
