"""L*a*b* as R' - Y', G' - Y' and B' - Y', the whole of a plane at once.

References: CIE 15:2004 (L*a*b*); IEC 61966-2-1 (sRGB).
"""

from __future__ import annotations

import math
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["color_difference", "green_of"]

Floats = npt.NDArray[np.float32]

# Linear sRGB of XYZ / white: the rows of vidcolor.color.lab, scaled to sum to one exactly, so that
# gray is neutral at 16 bits as well.
_WHITE = np.array([0.95047, 1.0, 1.08883])
_XYZ_TO_RGB = (
    np.array(
        [
            [3.24048134, -1.53715152, -0.49853633],
            [-0.96925495, 1.87599, 0.04155593],
            [0.05564664, -0.20404134, 1.05731107],
        ]
    )
    * _WHITE
)
_XYZ_TO_RGB /= _XYZ_TO_RGB.sum(1, keepdims=True)


def green_of(red: Floats, blue: Floats, kr: float, kb: float) -> Floats:
    """G' - Y' that goes with R' - Y' and B' - Y': Y' of a color is Y'."""
    rest = kr + kb - 1
    green = cv2.addWeighted(red, kr / rest, blue, kb / rest, 0)
    return cast(Floats, np.reshape(green, red.shape))  # OpenCV makes a column of a list


def color_difference(
    guide: Floats, a: Floats, b: Floats, kr: float, kb: float
) -> tuple[Floats, Floats]:
    """R' - Y' and B' - Y' of Lab colors; the curves go on oddly outside [0, 1].

    Args:
        guide: (L* + 16) / 116.
        a: a*.
        b: b*.
        kr: Weight of R' in Y'.
        kb: Weight of B' in Y'.
    """
    # three planes one below the other are worked on at once
    height, width = guide.shape
    planes = np.empty((3, height, width), np.float32)
    x, y, z = planes
    cv2.scaleAdd(a, 1 / 500, guide, dst=x)
    y[:] = guide
    cv2.scaleAdd(b, -1 / 200, guide, dst=z)
    x, y, z = np.reshape(_f_inverse(np.reshape(planes, (-1, width))), planes.shape)
    for plane, (mx, my, mz) in zip(planes, _XYZ_TO_RGB, strict=True):
        cv2.addWeighted(x, mx, y, my, 0, dst=plane)
        cv2.scaleAdd(z, mz, plane, dst=plane)
    red, green, blue = np.reshape(_encode(np.reshape(planes, (-1, width))), planes.shape)
    luma = _sum(blue, kb, cv2.addWeighted(red, kr, green, 1 - kr - kb, 0))
    red -= luma
    blue -= luma
    return red, blue


_F_KNEE = 0.2068966
_GAMMA_KNEE = 0.0031308


def _f_inverse(f: Floats) -> Floats:
    """Cube down to the knee, line from there: written as a sum, since a choice is slow."""
    upper = _at_least(f, _F_KNEE)
    cube = upper * upper
    cube *= upper
    return _sum(np.subtract(f, upper, out=upper), 1 / 7.787, cube)


def _encode(v: Floats) -> Floats:
    """sRGB gamma applied; odd about zero. Under the knee, the value there times a part of it."""
    size = _at_least(np.abs(v), _GAMMA_KNEE)
    v /= size
    curve = _power(size, 1 / 2.4)
    curve *= np.float32(1.055)
    curve += np.float32(12.92 * _GAMMA_KNEE - 1.055 * _GAMMA_KNEE ** (1 / 2.4))
    curve *= v
    return curve


def _power(base: Floats, exponent: float) -> Floats:
    """A power of what is above 0, in half the time of OpenCV's own."""
    size = cast(Floats, cv2.log(base))
    size *= np.float32(exponent)
    return cast(Floats, cv2.exp(size))


def _at_least(values: Floats, least: float) -> Floats:
    """Values, but no smaller ones; NumPy's maximum of an array and a number is slow."""
    return np.clip(values, np.float32(least), np.float32(np.inf))


def _sum(one: Floats, factor: float, other: Any) -> Floats:
    """A multiple of an array, and another one, in one pass."""
    return cast(Floats, cv2.scaleAdd(one, factor, other))


assert math.isclose(float(_XYZ_TO_RGB.sum()), 3)
