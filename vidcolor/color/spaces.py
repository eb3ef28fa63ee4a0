"""Color spaces in which a network may answer: a*b*, UV, or RGB, as planes in 0..1.

Reference: Iizuka, Simo-Serra, Ishikawa: Let there be Color!, SIGGRAPH 2016, section 4.3, compares
the three; the scaling of UV is that of Dahl: Automatic Colorization, 2016. Differs: what goes out
by one matrix comes back by its exact inverse, and nothing is clipped on the way back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from vidcolor.color.lab import lab_to_rgb, lightness_to_gray, rgb_to_lab

__all__ = ["ColorSpace", "SpaceName"]

SpaceName = Literal["lab", "yuv", "rgb"]

_LUMA = (0.299, 0.587, 0.114)
_U, _V = 0.492, 0.877  # of B - Y and of R - Y
_U_MOST, _V_MOST = 0.435912, 0.614777  # U and V of full blue and full red


def _luma(rgb: Tensor) -> Tensor:
    red, green, blue = _LUMA
    return red * rgb[:, :1] + green * rgb[:, 1:2] + blue * rgb[:, 2:3]


@dataclass(frozen=True, slots=True)
class ColorSpace:
    """Planes in 0..1, and the a*b* that they mean.

    Attributes:
        name: "lab" is a*b*, "yuv" U and V of gamma-coded R'G'B', "rgb" R'G'B' itself.
        limit: a*b* at 1; 0 is -limit. For "lab" only.
    """

    name: SpaceName = "lab"
    limit: float = 110.0

    def __post_init__(self) -> None:
        if self.name not in ("lab", "yuv", "rgb"):
            raise ValueError(f"no color space {self.name!r}; there are lab, yuv and rgb")
        if self.limit <= 0:
            raise ValueError(f"limit must be positive, not {self.limit}")

    @property
    def channels(self) -> int:
        """Planes of an answer."""
        return 3 if self.name == "rgb" else 2

    def encode(self, lightness: Tensor, ab: Tensor) -> Tensor:
        """Planes of true color.

        Args:
            lightness: (N, 1, H, W) L* in 0..100, of any size.
            ab: (N, 2, h, w) a*b*.

        Returns:
            (N, channels, h, w) in 0..1, clipped; float32 at least.
        """
        if self.name == "lab":
            return (ab / (2 * self.limit) + 0.5).clamp(0, 1)
        lab = torch.cat((_at(lightness, ab), ab), dim=1)
        return self.of_rgb(lab_to_rgb(lab).clamp(0, 1))

    def of_rgb(self, rgb: Tensor) -> Tensor:
        """(N, channels, h, w) planes of (N, 3, h, w) gamma-coded sRGB in 0..1."""
        if self.name == "rgb":
            return rgb
        if self.name == "lab":
            return (rgb_to_lab(rgb)[:, 1:] / (2 * self.limit) + 0.5).clamp(0, 1)
        luma = _luma(rgb)
        u = _U * (rgb[:, 2:] - luma) / (2 * _U_MOST) + 0.5
        v = _V * (rgb[:, :1] - luma) / (2 * _V_MOST) + 0.5
        return torch.cat((u, v), dim=1).clamp(0, 1)

    def decode(self, planes: Tensor, lightness: Tensor) -> Tensor:
        """Color of planes.

        Args:
            planes: (N, channels, h, w) in 0..1.
            lightness: (N, 1, H, W) L* in 0..100 of the picture, of any size; for "yuv" the color
                depends on it.

        Returns:
            (N, 2, h, w) a*b*, not clipped to any gamut.
        """
        if self.name == "lab":
            return (planes - 0.5) * (2 * self.limit)
        if self.name == "rgb":
            return rgb_to_lab(planes)[:, 1:]
        luma = lightness_to_gray(_at(lightness, planes))
        blue = luma + (planes[:, :1] - 0.5) * (2 * _U_MOST / _U)
        red = luma + (planes[:, 1:] - 0.5) * (2 * _V_MOST / _V)
        green = (luma - _LUMA[0] * red - _LUMA[2] * blue) / _LUMA[1]
        return rgb_to_lab(torch.cat((red, green, blue), dim=1))[:, 1:]


def _at(lightness: Tensor, like: Tensor) -> Tensor:
    """`lightness` on the grid of `like`."""
    size = like.shape[2:]
    if lightness.shape[2:] == size:
        return lightness.to(like.dtype)
    return F.interpolate(
        lightness.to(like.dtype), size, mode="bilinear", align_corners=False, antialias=True
    )
