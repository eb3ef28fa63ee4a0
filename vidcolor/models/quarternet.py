"""QuarterNet: color at a quarter of the resolution, small enough to ship and to train on a CPU.

Color needs little detail, so the network never looks at single pixels: 4x4 pixels become 16
channels, a U-Net works at 1/4 to 1/32 of the size, and a vector of the whole picture is added at
the bottom (the global features of Iizuka et al., SIGGRAPH 2016). It is instance-aware as the
networks of Su et al. (CVPR 2020) are, with shared eyes: pictures and close-ups of their instances
go through one encoder, close-ups have a decoder of their own, and at each of seven maps a weight
generator decides, cell by cell, how much of each instance enters the picture's map.

Reference: own design. Pixel rearrangement: Shi et al., CVPR 2016, arXiv:1609.05158. Residual
    blocks: He et al., CVPR 2016, arXiv:1512.03385. Fusion: Su, Chu, Huang, CVPR 2020,
    arXiv:2005.10825.
Weights: `starter`, trained by this repository (configs/train/starter.toml).
Differs: from Su et al.: one encoder for both; an instance takes no part outside its box and fades
    in from its edges; a new weight generator trusts the picture, not the plain average; frames
    without instances go the same way, so that color does not jump when a detection comes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.color.bins import annealed_mean, gamut_bins
from vidcolor.models.placement import Placement, place
from vidcolor.models.registry import register_model
from vidcolor.records import Hints, Rois

__all__ = ["QuarterNet", "quarternet"]

_CENTER = 50.0  # L* that becomes 0
_AB_SCALE = 10.0  # a*b* of an output of 1
_LOGIT_LIMIT = 4.0  # of a weight generator: no map counts more than e^8 times another
_TRUST = 0.55  # a new generator gives the picture e^(4 tanh 0.55) = 7.4 times an instance's weight
_WORTH_PX = (24.0, 96.0)  # shorter side of a box, in the network's picture, that counts 0 and 1
_FEATHER = 0.15  # part of a box's side over which an instance fades in from each edge

Visit = Callable[[str, Tensor], Tensor]
"""Called with each map and its name; the network goes on with what comes back."""

# map, its level (0 is a quarter of the input's size, 3 a thirty-second)
_MAPS = (
    ("down0", 0), ("down1", 1), ("down2", 2), ("bottom", 3), ("up2", 2), ("up1", 1), ("up0", 0),
)  # fmt: skip


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _unchanged(name: str, value: Tensor) -> Tensor:
    return value


class _Residual(nn.Module):
    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(x + self.norm2(self.conv2(y)), inplace=True)


class _Up(nn.Module):
    """Half the channels, twice the size, plus what the way down saw at that size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.skip = nn.Conv2d(outputs, outputs, 1)
        self.norm = nn.BatchNorm2d(outputs)
        self.block = _Residual(outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(self.reduce(x), scale_factor=2.0, mode="nearest")
        return self.block(F.relu(self.norm(x + self.skip(skip)), inplace=True))


class _Encoder(nn.Module):
    """(N, 1, H, W) L* to maps at 1/4, 1/8, 1/16 and 1/32 of the size."""

    def __init__(self, widths: tuple[int, ...], depth: int) -> None:
        super().__init__()
        self.stem = _conv(16, widths[0])
        self.levels = nn.ModuleList(
            nn.Sequential(*(_Residual(w) for _ in range(depth))) for w in widths[:3]
        )
        self.downs = nn.ModuleList(_conv(widths[i], widths[i + 1], 2) for i in range(3))
        self.bottom = nn.Sequential(_Residual(widths[3], dilation=2), _Residual(widths[3]))

    def forward(self, lightness: Tensor, visit: Visit) -> list[Tensor]:
        x = self.stem(F.pixel_unshuffle((lightness - _CENTER) / _CENTER, 4))
        maps = []
        for number, (level, down) in enumerate(zip(self.levels, self.downs, strict=True)):
            maps.append(visit(f"down{number}", level(x)))
            x = down(maps[-1])
        return [*maps, self.bottom(x)]


class _Decoder(nn.Module):
    """The four maps back to one at 1/4 of the size, knowing the whole picture."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        deep = widths[3]
        self.whole = nn.Sequential(
            nn.Linear(deep, deep), nn.ReLU(inplace=True), nn.Linear(deep, deep)
        )
        self.ups = nn.ModuleList(_Up(widths[i + 1], widths[i]) for i in (2, 1))

    def forward(self, maps: list[Tensor], visit: Visit) -> Tensor:
        x = maps[3]
        x = visit("bottom", F.relu(x + self.whole(x.mean((2, 3)))[:, :, None, None]))
        for level, up in zip((2, 1), self.ups, strict=True):
            x = visit(f"up{level}", up(x, maps[level]))
        return x


class _Last(nn.Module):
    """The last step up, and color."""

    def __init__(self, widths: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.up = _Up(widths[1], widths[0])
        self.head = nn.Conv2d(widths[0], outputs, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # Conv2d has a bias by default

    def forward(self, x: Tensor, first: Tensor, visit: Visit) -> Tensor:
        return self.head(visit("up0", self.up(x, first))).float()


def _generator(channels: int, start: float) -> nn.Sequential:
    last = nn.Conv2d(16, 1, 3, padding=1)
    nn.init.normal_(last.weight, std=0.02)
    nn.init.constant_(last.bias, start)  # type: ignore[arg-type]  # as above
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(inplace=True), last,
    )  # fmt: skip


class _Blend(nn.Module):
    """Weighted mean, cell by cell, of a map of the frames and those of their instances.

    Args:
        channels: Of the maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.frame = _generator(channels, _TRUST)
        self.instance = _generator(channels, 0.0)

    def forward(
        self, background: Tensor, features: Tensor, placement: Placement, level: int
    ) -> Tensor:
        """(N, C, H, W) fused map of a (N, C, H, W) and K (C, h, w)."""
        size = (background.shape[2], background.shape[3])
        own = self._weight(self.frame(background))
        near = self._weight(self.instance(features))
        trust = placement.log_weight.exp()
        members = placement.members()
        frames = []
        for frame in range(len(background)):
            fused = background[frame].float() * own[frame]
            total = own[frame].clone()
            for k in members.get(frame, ()):
                top, left, height, width = placement.rectangles[level][k]
                part = (slice(None), slice(top, top + height), slice(left, left + width))
                share = placement.patch(near[k], k, level, size) * trust[k]
                share = share * _inside(placement, k, level, size, background.device)
                fused[part] += share * placement.patch(features[k], k, level, size).float()
                total[part] += share
            frames.append(fused / total if frame in members else background[frame].float())
        return torch.stack(frames).to(background.dtype)

    def _weight(self, logits: Tensor) -> Tensor:
        return (_LOGIT_LIMIT * torch.tanh(logits.float())).exp()


def _inside(
    placement: Placement, k: int, level: int, grid: tuple[int, int], device: torch.device
) -> Tensor:
    """(height, width) of a rectangle: 0 outside the box to 1 well inside, as much as cells tell."""
    assert placement.boxes is not None
    top, left, height, width = placement.rectangles[level][k]
    x0, y0, x1, y1 = placement.boxes[k]
    ramps = []
    for first, count, cells, low, high in (
        (top, height, grid[0], y0, y1),
        (left, width, grid[1], x0, x1),
    ):
        center = torch.arange(first, first + count, device=device, dtype=torch.float32) + 0.5
        low, high = low * cells, high * cells
        depth = torch.minimum(center - low, high - center) + 0.5
        ramps.append((depth / max(1.0, _FEATHER * (high - low))).clamp(0, 1))
    return ramps[0][:, None] * ramps[1]


def _worth(rois: Rois, size: tuple[int, int]) -> Tensor:
    """(K,) 0 to 1: how much a close-up can tell, by the shorter side of its box.

    What is tiny in the picture has next to nothing in it, however large it is shown.
    """
    scale = rois.boxes.new_tensor([size[1] / rois.size[1], size[0] / rois.size[0]])
    sides = ((rois.boxes[:, 2:] - rois.boxes[:, :2]) * scale).amin(1)
    least, full = _WORTH_PX
    return ((sides - least) / (full - least)).clamp(1e-4, 1)


class _Fusion(nn.Module):
    """Weight generators of the seven maps, and a last step of its own (as in Su et al.)."""

    def __init__(self, widths: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.blends = nn.ModuleDict({name: _Blend(widths[level]) for name, level in _MAPS})
        self.last = _Last(widths, outputs)


class QuarterNet(nn.Module):
    """The network of this page; the contract is `models.registry.Colorizer`.

    Args:
        width: Channels at 1/4 of the size; the deeper levels grow from it.
        depth: Residual blocks of each level on the way down.
        fusion: Can use instances; otherwise they are ignored, and that part is not there.
        bins: Answers with a distribution over the 313 colors of Zhang et al. (ECCV 2016), whose
            annealed mean is the color, instead of with a color.

    Attributes:
        uses_rois: Whether instances make a difference.
        idle: Parameters whose names start so have no part in `forward`.
        color_from_classes: See `models.registry.ColorClasses`.
    """

    def __init__(
        self, width: int = 64, depth: int = 1, fusion: bool = True, bins: bool = False
    ) -> None:
        super().__init__()
        widths = (width, 2 * width, 13 * width // 4, 4 * width)
        outputs = len(gamut_bins()) if bins else 2
        self.uses_rois = fusion
        self.idle: tuple[str, ...] = ("last.", "close.last.head.") if fusion else ()
        self.encoder = _Encoder(widths, depth)
        self.decoder = _Decoder(widths)
        self.last = _Last(widths, outputs)
        self.bins = bins
        self.color_from_classes = bins
        if fusion:
            self.close = nn.ModuleDict(
                {"decoder": _Decoder(widths), "last": _Last(widths, outputs)}
            )
            self.fusion = _Fusion(widths, outputs)

    def forward(
        self, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """Predict color; `hints` are not used (`ModelSpec.hints` is false).

        Args:
            lightness: (N, 1, H, W) float32 L* in 0..100; H, W multiples of 32.
            rois: Instances, seen again as close-ups; crop sides are multiples of 32.
            hints: Ignored.

        Returns:
            (N, 2, H/4, W/4) float32 a*b*.
        """
        return self._color(self._out("fusion" if self.uses_rois else "full", lightness, rois))

    def describe(self, lightness: Tensor) -> tuple[Tensor, ...]:
        """What the encoder sees: see `models.registry.Describes`.

        Returns:
            Maps (N, C, H/s, W/s) with s = 4, 8, 16, 32 and C = width times 1, 2, 13/4, 4.
        """
        return tuple(self.encoder(lightness, _unchanged))

    def answer(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """What a training phase looks at: see `models.registry.Phased`."""
        return self._color(self._out(phase, lightness, rois))

    def answer_classes(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> tuple[Tensor, Tensor]:
        """(N, 313, H/4, W/4) logits and the color they mean; needs `bins`."""
        out = self._out(phase, lightness, rois)
        return out, self._color(out)

    def color_classes(self) -> Tensor | None:
        """(313, 2) a*b* of the classes, or None."""
        return gamut_bins() if self.bins else None

    def part(self, phase: str, classes: bool = False) -> tuple[str, ...]:
        """Prefixes of the parameters that learn: see `models.registry.Phased`."""
        if phase == "full" or not self.uses_rois:
            return ("encoder.", "decoder.", "last.")
        return {
            "instance": ("close.",),
            "fusion": ("fusion.",),
            # all that `forward` goes through
            "finetune": ("encoder.", "decoder.", "close.decoder.", "close.last.up.", "fusion."),
        }[phase]

    def inherit(self, phase: str) -> None:
        """Start a phase from the one before: see `models.registry.Phased`."""
        if phase == "instance" and self.uses_rois:
            self.close["decoder"].load_state_dict(self.decoder.state_dict())
            self.close["last"].load_state_dict(self.last.state_dict())
        elif phase == "fusion" and self.uses_rois:
            self.fusion.last.load_state_dict(self.last.state_dict())

    def _out(self, phase: str, lightness: Tensor, rois: Rois | None) -> Tensor:
        if phase == "full" or not self.uses_rois:
            return _run(self.encoder, self.decoder, self.last, lightness, _unchanged)
        if phase == "instance":
            return _run(
                self.encoder, self.close["decoder"], self.close["last"], lightness, _unchanged
            )
        visit = _unchanged if rois is None or len(rois) == 0 else self._fuse(lightness, rois)
        return _run(self.encoder, self.decoder, self.fusion.last, lightness, visit)

    def _fuse(self, lightness: Tensor, rois: Rois) -> Visit:
        """Close-ups are seen now; their maps enter when the frames' come by."""
        size = (lightness.shape[2], lightness.shape[3])
        grid = (size[0] // 4, size[1] // 4)
        weight = rois.weight * _worth(rois, size)
        placement, kept = place(rois.boxes, rois.frame, weight, rois.size, grid, outward=True)
        if not kept:
            return _unchanged
        maps: dict[str, Tensor] = {}

        def keep(name: str, value: Tensor) -> Tensor:
            maps[name] = value
            return value

        _maps(self.encoder, self.close["decoder"], self.close["last"], rois.crops[kept], keep)
        levels = dict(_MAPS)

        def visit(name: str, value: Tensor) -> Tensor:
            blend = self.fusion.blends[name]
            fused: Tensor = blend(value, maps.pop(name), placement, levels[name])
            return fused.contiguous(memory_format=torch.channels_last)

        return visit

    def _color(self, out: Tensor) -> Tensor:
        return annealed_mean(out, gamut_bins().to(out.device)) if self.bins else out * _AB_SCALE


def _maps(
    encoder: nn.Module, decoder: nn.Module, last: nn.Module, lightness: Tensor, visit: Visit
) -> None:
    """Run up to the last map, without color."""
    maps = encoder(lightness, visit)
    visit("up0", last.up(decoder(maps, visit), maps[0]))  # type: ignore[operator]  # a module


def _run(
    encoder: nn.Module, decoder: nn.Module, last: nn.Module, lightness: Tensor, visit: Visit
) -> Tensor:
    maps = encoder(lightness, visit)
    return last(decoder(maps, visit), maps[0], visit)


@register_model(multiple=32, weights="starter", rois=True, short_side=192, crop=128, stride=4)
def quarternet(
    width: int = 64, depth: int = 1, fusion: bool = True, bins: bool = False
) -> QuarterNet:
    """QuarterNet; 7.6 million parameters at width 64, 5.7 without fusion."""
    return QuarterNet(width, depth, fusion, bins)
