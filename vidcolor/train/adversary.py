"""A critic that tells true colors from made ones, patch by patch, and the losses it gives.

There are three: one that sees lightness and color, and two that see the picture which both make
(`vidcolor.train.critics`).

Reference: Isola et al.: Image-to-Image Translation with Conditional Adversarial Networks,
CVPR 2017 (arXiv:1611.07004), the 70x70 PatchGAN; Mao et al.: Least Squares Generative Adversarial
Networks, ICCV 2017 (arXiv:1611.04076); Miyato et al.: Spectral Normalization, ICLR 2018
(arXiv:1802.05957). The game of NoGAN, in which the critic learns until it is sure, and only then
the network a step: Antic: DeOldify, 2019, its public code.
Differs: the number of layers can follow the size of the color grid; normalization always uses the
batch at hand, there are no running statistics; no pool of earlier predictions. The two of pictures
see color over the lightness of the film, so that they cannot win by lightness.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from vidcolor.color.bins import at_least_float32
from vidcolor.errors import ConfigError
from vidcolor.models.layers import AB_SCALE
from vidcolor.train.critics import DdcolorCritic, DeoldifyCritic, color_enhanced
from vidcolor.train.losses import rgb_of

__all__ = [
    "Adversary",
    "AdversaryConfig",
    "AdversaryKind",
    "CriticNetwork",
    "CriticNorm",
    "PatchCritic",
    "make_adversary",
    "patch_layers",
    "picture_of",
]

AdversaryKind = Literal["least_squares", "vanilla"]
CriticNorm = Literal["batch", "instance", "spectral"]
CriticNetwork = Literal["patch", "ddcolor", "deoldify"]

_MOST_LAYERS = 3  # 70 pixels; larger patches gave no better pictures (Isola et al., section 4.4)
_KERNEL = 4
_SLOPE = 0.2
_WIDEST = 8  # no layer has more channels than this times the first
_DEVIATION = 0.02  # of the first weights
_LEAST_PX = 64  # side of the smallest picture that the critics of pictures have a score for


@dataclass(frozen=True, slots=True)
class AdversaryConfig:
    """The critic and its game.

    Attributes:
        network: "patch" sees lightness and color, "ddcolor" and "deoldify" the picture; the three
            are those of the papers.
        kind: least_squares, or vanilla (cross entropy).
        layers: Layers of the critic that halve; 3 looks at patches of 70 cells of the color
            grid, 2 at 34, 1 at 16. 0: the most that fit into the grid. For "patch".
        width: Channels of the critic's first layer; published are 64, and 256 for "deoldify".
        norm: batch as published; instance, which sees nothing of other pictures but little of
            how strong the color of a whole picture is; spectral, which sees both. For "patch".
        until: The critic learns alone until its loss falls below this, then the network a step;
            0: both learn in every step. NoGAN: 0.65, with "vanilla".
    """

    network: CriticNetwork = "patch"
    kind: AdversaryKind = "least_squares"
    layers: int = 0
    width: int = 64
    norm: CriticNorm = "batch"
    until: float = 0.0

    def __post_init__(self) -> None:
        if self.network not in ("patch", "ddcolor", "deoldify"):
            raise ConfigError(f"network must be patch, ddcolor or deoldify, not {self.network!r}")
        if self.network != "patch" and (self.layers or self.norm != "batch"):
            raise ConfigError(f"layers and norm are for the patch critic, not for {self.network}")
        if not 0 <= self.until < math.inf:
            raise ConfigError(f"until must not be negative, not {self.until}")
        if self.kind not in ("least_squares", "vanilla"):
            raise ConfigError(f"kind must be least_squares or vanilla, not {self.kind!r}")
        if not 0 <= self.layers <= 5:
            raise ConfigError(f"layers must be 0 (by size) to 5, not {self.layers}")
        if self.width < 1:
            raise ConfigError(f"width must be at least 1, not {self.width}")
        if self.norm not in ("batch", "instance", "spectral"):
            raise ConfigError(f"norm must be batch, instance or spectral, not {self.norm!r}")


def _field(layers: int) -> int:
    """Side of the patch that one score looks at."""
    side = 1 + 2 * (_KERNEL - 1)  # the last two layers do not halve
    for _ in range(layers):
        side = 2 * side + _KERNEL - 2
    return side


def patch_layers(side: int) -> int:
    """Layers of a critic whose patches fit into a grid.

    Args:
        side: Shorter side of the color grid, in cells.

    Returns:
        1 to 3: the most whose patch (16, 34, 70) is not larger than the grid.

    Raises:
        ConfigError: If the grid is too small for any critic.
    """
    for layers in range(_MOST_LAYERS, 0, -1):
        if _field(layers) <= side:
            return layers
    raise ConfigError(
        f"an adversary needs a color grid of at least {_field(1)} cells, not {side}; "
        "train on larger crops"
    )


class PatchCritic(nn.Module):
    """Scores of overlapping patches of a picture: how true is its color, given its lightness.

    Args:
        layers: Layers that halve, at least 1; two follow that do not.
        width: Channels of the first.
        norm: What keeps the layers between first and last in bounds.

    Raises:
        ValueError: If `layers` or `width` is not positive.
    """

    def __init__(self, layers: int = 3, width: int = 64, norm: CriticNorm = "batch") -> None:
        super().__init__()
        if layers < 1 or width < 1:
            raise ValueError(f"a critic needs layers and width, not {layers} and {width}")
        self.receptive_field = _field(layers)
        self.least_side = 3 << layers  # the last two layers take a cell each
        widths = [width * min(1 << number, _WIDEST) for number in range(layers + 1)]
        parts: list[nn.Module] = [_conv(3, width, 2, norm), nn.LeakyReLU(_SLOPE)]
        for number in range(1, layers + 1):
            step = 2 if number < layers else 1
            parts.append(_conv(widths[number - 1], widths[number], step, norm, norm != "batch"))
            if norm != "spectral":
                kind = nn.BatchNorm2d if norm == "batch" else nn.InstanceNorm2d
                parts.append(
                    kind(widths[number], affine=norm == "batch", track_running_stats=False)
                )
            parts.append(nn.LeakyReLU(_SLOPE))
        parts.append(_conv(widths[-1], 1, 1, norm))
        self.layers = nn.Sequential(*parts)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                nn.init.normal_(part.weight, 1.0, _DEVIATION)

    def forward(self, lightness: Tensor, ab: Tensor) -> Tensor:
        """Scores of patches, high for true color.

        Args:
            lightness: (N, 1, H, W) L* in 0..100 of any size; averaged over the cells of the
                color grid.
            ab: (N, 2, h, w) a*b*.

        Returns:
            (N, 1, h', w'), no activation; 30 x 30 scores for a grid of 256 and three layers.

        Raises:
            ValueError: If the grid is too small.
        """
        if min(ab.shape[2:]) < self.least_side:
            raise ValueError(
                f"this critic needs a color grid of at least {self.least_side} cells, not "
                f"{tuple(ab.shape[2:])}; give it fewer layers"
            )
        shade = lightness.to(ab.dtype)
        if shade.shape[2:] != ab.shape[2:]:
            shade = F.interpolate(shade, size=ab.shape[2:], mode="area")
        return self.layers(torch.cat(((shade - 50) / 100, ab / AB_SCALE), 1))


def _conv(inputs: int, outputs: int, step: int, norm: CriticNorm, bias: bool = True) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, _KERNEL, step, padding=1, bias=bias)
    nn.init.normal_(conv.weight, 0.0, _DEVIATION)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return spectral_norm(conv) if norm == "spectral" else conv


class Adversary:
    """The game of a colorizer and its critic.

    The caller steps both: the colorizer on its losses and `generator_loss`, and the critic, with
    an optimizer of its own, on the sum of `critic_losses`.

    Args:
        critic: Scores of (lightness, ab); of R'G'B' pictures if `pictures`.
        kind: `least_squares` or `vanilla`.
        pictures: The critic sees what lightness and color make.
        enhance: Colors of true pictures are made so many times as strong; for critics of pictures.
        share: Of each of both critic losses.
        until: See `AdversaryConfig`.

    Attributes:
        critic: As given; learns, and belongs into the training state, not into the weights.
        until: As given.
    """

    def __init__(
        self,
        critic: nn.Module,
        kind: AdversaryKind = "least_squares",
        *,
        pictures: bool = False,
        enhance: float = 1.0,
        share: float = 0.5,
        until: float = 0.0,
    ) -> None:
        if kind not in ("least_squares", "vanilla"):
            raise ValueError(f"no adversary of kind {kind!r}; there are least_squares and vanilla")
        self.critic = critic
        self.kind = kind
        self.until = until
        self._pictures = pictures
        self._enhance = enhance
        self._share = share

    def generator_loss(self, lightness: Tensor, ab_pred: Tensor) -> Tensor:
        """How far the critic is from taking predicted colors for true.

        Gradients reach `ab_pred`; the critic's weights get none.

        Args:
            lightness: (N, 1, H, W) L*.
            ab_pred: (N, 2, h, w) a*b*, on the grid of the target (`losses.to_grid`).
        """
        with _held(self.critic):
            return self._distance(self._scores(lightness, ab_pred), 1.0)

    def critic_losses(
        self, lightness: Tensor, ab_pred: Tensor, ab_true: Tensor
    ) -> dict[str, Tensor]:
        """What the critic minimizes.

        Args:
            lightness: (N, 1, H, W) L*.
            ab_pred: (N, 2, h, w) a*b*; no gradient reaches it.
            ab_true: (N, 2, h, w) a*b*.

        Returns:
            `pred` and `true`, each with its factor `share`; they are summed.

        Raises:
            ValueError: If the colors lie on different grids.
        """
        if ab_pred.shape != ab_true.shape:
            raise ValueError(
                f"predicted and true color must lie on one grid, not {tuple(ab_pred.shape)} and "
                f"{tuple(ab_true.shape)}; use losses.to_grid"
            )
        made = self._scores(lightness, ab_pred.detach())
        true = self._scores(lightness, ab_true, self._enhance)
        return {
            "pred": self._share * self._distance(made, 0.0),
            "true": self._share * self._distance(true, 1.0),
        }

    def _scores(self, lightness: Tensor, ab: Tensor, enhance: float = 1.0) -> Tensor:
        ab = at_least_float32(ab)
        if not self._pictures:
            return self.critic(lightness, ab)
        return self.critic(picture_of(lightness, ab, enhance))

    def _distance(self, scores: Tensor, wanted: float) -> Tensor:
        scores = at_least_float32(scores)
        aim = torch.full_like(scores, wanted)
        if self.kind == "least_squares":
            return F.mse_loss(scores, aim)
        return F.binary_cross_entropy_with_logits(scores, aim)


def picture_of(lightness: Tensor, ab: Tensor, enhance: float = 1.0) -> Tensor:
    """What critics and features see; of true pictures with stronger color, as in DDColor.

    Args:
        lightness: (N, 1, H, W) L*.
        ab: (N, 2, h, w) a*b*.
        enhance: How many times as strong the color is; 1 leaves it alone, and does not clip.

    Returns:
        (N, 3, H, W) R'G'B', see `losses.rgb_of`.
    """
    rgb = rgb_of(lightness, ab)
    return rgb if enhance == 1 else color_enhanced(rgb, enhance)


def make_adversary(
    config: AdversaryConfig, side: int, stride: int = 1, enhance: float = 1.0
) -> Adversary:
    """An adversary with a new critic.

    Args:
        config: What it is like.
        side: Shorter side of the smallest color grid that it will see.
        stride: Pixels of the picture to a cell of that grid.
        enhance: See `Adversary`.

    Raises:
        ConfigError: If the grid or picture is too small for the critic.
    """
    if config.network != "patch":
        if side * stride < _LEAST_PX:
            raise ConfigError(
                f"the critic {config.network} needs pictures of at least {_LEAST_PX} pixels, not "
                f"{side * stride}; train on larger crops"
            )
        deoldify = config.network == "deoldify"
        seer = (DeoldifyCritic if deoldify else DdcolorCritic)(config.width)
        # DDColor sums both losses of the critic, the others take their mean
        share = 0.5 if deoldify else 1.0
        return Adversary(
            seer, config.kind, pictures=True, enhance=enhance, share=share, until=config.until
        )
    layers = config.layers or patch_layers(side)
    critic = PatchCritic(layers, config.width, config.norm)
    if side < critic.least_side:
        raise ConfigError(
            f"an adversary of {layers} layers needs a color grid of at least "
            f"{critic.least_side} cells, not {side}; give it fewer layers or larger crops"
        )
    return Adversary(critic, config.kind, until=config.until)


@contextmanager
def _held(module: nn.Module) -> Iterator[None]:
    """Gradients pass through, but the parameters that learn get none."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
