"""CIE L*a*b* (D65) and sRGB, with the constants of scikit-image and InstColorization.

Reference: CIE 15:2004; constants as in Su et al., CVPR 2020 (their color code), which agree
with scikit-image to 2e-7.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "lab_to_rgb",
    "lightness_to_gray",
    "lightness_to_linear",
    "linear_to_lightness",
    "rgb_to_lab",
]

_RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_XYZ_TO_RGB = (
    (3.24048134, -1.53715152, -0.49853633),
    (-0.96925495, 1.87599, 0.04155593),
    (0.05564664, -0.20404134, 1.05731107),
)
_WHITE = (0.95047, 1.0, 1.08883)
_EPSILON = 0.008856  # of CIE: where the cube root gives way to the line
_SLOPE = 7.787
_OFFSET = 16.0 / 116.0
_F_EPSILON = 0.2068966  # cube root of _EPSILON


def _decode(v: Tensor) -> Tensor:
    """sRGB gamma removed."""
    return torch.where(v > 0.04045, ((v.clamp(min=0) + 0.055) / 1.055) ** 2.4, v / 12.92)


def _encode(v: Tensor) -> Tensor:
    """sRGB gamma applied; values below 0 become 0, none are clamped above."""
    v = v.clamp(min=0)
    # the inner clamp keeps the gradient at black finite
    return torch.where(
        v > 0.0031308, 1.055 * v.clamp(min=0.0031308) ** (1 / 2.4) - 0.055, 12.92 * v
    )


def _f(t: Tensor) -> Tensor:
    return torch.where(t > _EPSILON, t.clamp(min=_EPSILON) ** (1 / 3), _SLOPE * t + _OFFSET)


def _f_inverse(f: Tensor) -> Tensor:
    return torch.where(f > _F_EPSILON, f**3, (f - _OFFSET) / _SLOPE)


def _mix(matrix: tuple[tuple[float, float, float], ...], x: Tensor) -> Tensor:
    rows = [r * x[:, 0] + g * x[:, 1] + b * x[:, 2] for r, g, b in matrix]
    return torch.stack(rows, dim=1)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """L*a*b* of gamma-coded sRGB.

    Args:
        rgb: (N, 3, ...) float in [0, 1].

    Returns:
        (N, 3, ...): L* in [0, 100], a*, b* about [-110, 110].
    """
    xyz = _mix(_RGB_TO_XYZ, _decode(rgb))
    fx, fy, fz = (_f(xyz[:, i] / _WHITE[i]) for i in range(3))
    return torch.stack((116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)), dim=1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Gamma-coded sRGB of L*a*b*.

    Args:
        lab: (N, 3, ...) float.

    Returns:
        (N, 3, ...) at least 0 and, where the color is out of gamut, above 1: nothing is
        clamped from above, so that gradients live; clamp before display.
    """
    fy = (lab[:, 0] + 16) / 116
    fx = lab[:, 1] / 500 + fy
    fz = (fy - lab[:, 2] / 200).clamp(min=0)
    xyz = torch.stack([_f_inverse(f) * w for f, w in zip((fx, fy, fz), _WHITE, strict=True)], dim=1)
    return _encode(_mix(_XYZ_TO_RGB, xyz))


def linear_to_lightness(y: Tensor) -> Tensor:
    """L* in [0, 100] of relative luminance in [0, 1]."""
    return 116 * _f(y) - 16


def lightness_to_linear(lightness: Tensor) -> Tensor:
    """Relative luminance in [0, 1] of L* in [0, 100]."""
    return _f_inverse((lightness + 16) / 116)


def lightness_to_gray(lightness: Tensor) -> Tensor:
    """Gamma-coded sRGB gray in [0, 1] of L* in [0, 100]."""
    return _encode(lightness_to_linear(lightness))
