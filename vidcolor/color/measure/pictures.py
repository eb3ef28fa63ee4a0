"""How close one picture comes to the true one, and how colorful it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "BEST_PSNR",
    "SSIM_WINDOW",
    "check_pair",
    "colorfulness",
    "colorfulness_abs",
    "colorfulness_difference",
    "delta_e_2000",
    "mean_chroma",
    "psnr",
    "psnr_wrapped",
    "ssim",
    "ssim_map",
    "ssim_uniform",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]

BEST_PSNR = 10 * math.log10(255**2 / 1e-3)
"""dB that an equal picture counts in a mean, where infinity would swallow all others."""

SSIM_WINDOW = 11
"""Side in pixels of the window of `ssim`; smaller pictures have no SSIM."""

_SSIM_SIGMA = 1.5
_SSIM_UNIFORM_WINDOW = 7
_SSIM_C1 = (0.01 * 255) ** 2
_SSIM_C2 = (0.03 * 255) ** 2
_POW25_7 = 25.0**7


def check_pair(name: str, pred: Array, target: Array) -> None:
    """Both must be uint8 and of one shape.

    Raises:
        ValueError: If not; the message begins with `name`.
    """
    if pred.shape != target.shape or pred.dtype != np.uint8 or target.dtype != np.uint8:
        raise ValueError(
            f"{name} wants two uint8 pictures of one shape, not {pred.dtype} {pred.shape} and "
            f"{target.dtype} {target.shape}"
        )


def _decibels(error: float) -> float:
    """PSNR of a mean squared error of 8-bit codes."""
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def psnr(pred: Array, target: Array) -> float:
    """Peak signal-to-noise ratio over all pixels and channels, exact.

    Args:
        pred: uint8, any shape.
        target: uint8, the same shape.

    Returns:
        dB; infinity where both are equal.

    Raises:
        ValueError: If the shapes differ or anything but uint8 is given.
    """
    check_pair("psnr", pred, target)
    difference = pred.astype(np.int32) - target
    return _decibels(float(np.mean(difference * difference, dtype=np.float64)))


def psnr_wrapped(pred: Array, target: Array) -> float:
    """What a known script prints as PSNR, and what is none: its uint8 arithmetic wraps.

    Differences and their squares are taken modulo 256, so 16 codes off count as equal and none
    counts as more than 249 squared codes: gray pictures get about 30 dB. Published tables
    (ColorMNet and those that took over its script) can be repeated only with it; no value of it
    belongs beside one of `psnr`.

    Args:
        pred: uint8, any shape.
        target: uint8, the same shape.

    Returns:
        dB as that script has it; infinity where all squares wrap to 0.

    Raises:
        ValueError: If the shapes differ or anything but uint8 is given.
    """
    check_pair("psnr_wrapped", pred, target)
    difference = np.subtract(pred, target)
    return _decibels(float(np.mean(np.multiply(difference, difference), dtype=np.float64)))


def _similarity(
    name: str,
    pred: Array,
    target: Array,
    smooth: Callable[[Array], Array],
    window: int,
    sample: float = 1.0,
) -> Array:
    """SSIM around each pixel, float64 in the shape of `pred`.

    Args:
        name: For errors.
        pred: (H, W) or (H, W, C) uint8.
        target: The same.
        smooth: Mean over the window around each pixel.
        window: Its side.
        sample: What population variances are multiplied by.
    """
    check_pair(name, pred, target)
    if pred.ndim not in (2, 3) or min(pred.shape[:2]) < window:
        raise ValueError(
            f"{name} wants pictures of at least {window} x {window} pixels, not {pred.shape}"
        )
    x, y = pred.astype(np.float64), target.astype(np.float64)
    mean_x, mean_y = smooth(x), smooth(y)
    variances = sample * (smooth(x * x) - mean_x * mean_x + smooth(y * y) - mean_y * mean_y)
    covariance = sample * (smooth(x * y) - mean_x * mean_y)
    similar = (2 * mean_x * mean_y + _SSIM_C1) * (2 * covariance + _SSIM_C2)
    similar /= (mean_x * mean_x + mean_y * mean_y + _SSIM_C1) * (variances + _SSIM_C2)
    # OpenCV drops a last axis of one channel
    return cast(Array, similar.reshape(pred.shape))


def _inner_mean(similar: Array, window: int) -> float:
    """Mean of SSIM where the window lies inside the picture."""
    inside = slice(window // 2, -(window // 2))
    return float(similar[inside, inside].mean())


def _gaussian(values: Array) -> Array:
    size = (SSIM_WINDOW, SSIM_WINDOW)
    blurred = cv2.GaussianBlur(
        values, size, _SSIM_SIGMA, sigmaY=_SSIM_SIGMA, borderType=cv2.BORDER_REFLECT
    )
    return cast(Array, blurred)


def ssim(pred: Array, target: Array) -> float:
    """Structural similarity: the mean of that of each channel.

    Gaussian window of 11 pixels, sigma 1.5, population variances, only where the window lies
    inside the picture: what scikit-image gives with `gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False`, and what BasicSR and DDColor print.

    Reference: Wang et al., Image quality assessment: from error visibility to structural
    similarity, IEEE TIP 2004.

    Args:
        pred: (H, W) or (H, W, C) uint8, sides at least `SSIM_WINDOW`.
        target: The same of the truth.

    Returns:
        At most 1, which is equality.

    Raises:
        ValueError: If the shapes differ, anything but uint8 is given, or a side is too short.
    """
    return _inner_mean(_similarity("ssim", pred, target, _gaussian, SSIM_WINDOW), SSIM_WINDOW)


def ssim_map(pred: Array, target: Array) -> Array:
    """The similarity around each pixel whose mean is `ssim`, and near the border too.

    Beyond the border pictures are mirrored, the outermost pixel doubled, as scikit-image does with
    `full=True`.

    Args:
        pred: (H, W) or (H, W, C) uint8, sides at least `SSIM_WINDOW`.
        target: The same of the truth.

    Returns:
        The same shape, float64.

    Raises:
        ValueError: As `ssim`.
    """
    return _similarity("ssim_map", pred, target, _gaussian, SSIM_WINDOW)


def _uniform(values: Array) -> Array:
    return cast(Array, cv2.boxFilter(values, -1, (_SSIM_UNIFORM_WINDOW, _SSIM_UNIFORM_WINDOW)))


def ssim_uniform(pred: Array, target: Array) -> float:
    """Structural similarity with the flat window of 7 pixels that scikit-image has by default.

    Variances are those of samples, by 48 and not 49. It differs from `ssim` in the third digit;
    ColorMNet and others print it. The mean of that of each channel.

    Args:
        pred: (H, W) or (H, W, C) uint8, sides at least 7.
        target: The same of the truth.

    Returns:
        At most 1, which is equality.

    Raises:
        ValueError: If the shapes differ, anything but uint8 is given, or a side is too short.
    """
    count = _SSIM_UNIFORM_WINDOW**2
    similar = _similarity(
        "ssim_uniform", pred, target, _uniform, _SSIM_UNIFORM_WINDOW, count / (count - 1)
    )
    return _inner_mean(similar, _SSIM_UNIFORM_WINDOW)


def _hue(a: Floats, b: Floats) -> Floats:
    """Degrees in [0, 360)."""
    return np.degrees(np.arctan2(b, a)) % 360


def delta_e_2000(first: Floats, second: Floats) -> Floats:
    """CIEDE2000 color difference, with all three weights 1.

    Reference: Sharma, Wu, Dalal, The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations, Color Research and Application 2005.

    Args:
        first: (..., 3) float L*a*b*.
        second: The same shape; the order of both makes no difference.

    Returns:
        (...) in the type of the input: 1 is about what an eye just sees.
    """
    light1, a1, b1 = np.moveaxis(first, -1, 0)
    light2, a2, b2 = np.moveaxis(second, -1, 0)
    power7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1 + 0.5 * (1 - np.sqrt(power7 / (power7 + _POW25_7)))  # of a*, near neutral
    a1, a2 = a1 * stretch, a2 * stretch
    chroma1, chroma2 = np.hypot(a1, b1), np.hypot(a2, b2)
    hue1, hue2 = _hue(a1, b1), _hue(a2, b2)

    # hue lies on a circle; where one color is gray it has none, but then it counts nowhere
    turn = hue2 - hue1
    far = np.abs(turn) > 180
    turn = np.where(far, turn - 360 * np.sign(turn), turn)
    total = hue1 + hue2
    across = np.where(total < 360, total + 360, total - 360) / 2
    hue = np.radians(np.where(far, across, total / 2))

    light = (light1 + light2) / 2 - 50
    chroma = (chroma1 + chroma2) / 2
    d_light = light2 - light1
    d_chroma = chroma2 - chroma1
    d_hue = 2 * np.sqrt(chroma1 * chroma2) * np.sin(np.radians(turn) / 2)

    weight = (
        1
        - 0.17 * np.cos(hue - math.radians(30))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + math.radians(6))
        - 0.20 * np.cos(4 * hue - math.radians(63))
    )
    d_light = d_light / (1 + 0.015 * light**2 / np.sqrt(20 + light**2))
    d_chroma = d_chroma / (1 + 0.045 * chroma)
    d_hue = d_hue / (1 + 0.015 * chroma * weight)
    power7 = chroma**7
    blue = math.radians(30) * np.exp(-(((np.degrees(hue) - 275) / 25) ** 2))
    rotation = -2 * np.sqrt(power7 / (power7 + _POW25_7)) * np.sin(2 * blue)
    squared = d_light**2 + d_chroma**2 + d_hue**2 + rotation * d_chroma * d_hue
    # rounding may leave a hair below zero
    return np.asarray(np.sqrt(np.maximum(squared, 0)), first.dtype)


def mean_chroma(ab: Floats) -> float:
    """Mean of |a*b*| over (..., 2) a*b*."""
    return float(np.mean(np.hypot(ab[..., 0], ab[..., 1]), dtype=np.float64))


def _opponents(rgb: Array) -> tuple[Floats, Floats]:
    """Red against green, yellow against blue; (H, W) float64 each."""
    red, green, blue = np.moveaxis(rgb.astype(np.float64), -1, 0)
    return red - green, (red + green) / 2 - blue


def _colorfulness(rg: Floats, yb: Floats) -> float:
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def colorfulness(rgb: Array) -> float:
    """Colorfulness by its paper, with signed opponents.

    Reference: Hasler, Suesstrunk, Measuring colourfulness in natural images, 2003.

    Args:
        rgb: (H, W, 3), 0..255.
    """
    return _colorfulness(*_opponents(rgb))


def colorfulness_abs(rgb: Array) -> float:
    """Colorfulness as the scripts of DDColor and ColorMNet have it: of absolute opponents.

    Red and green of one strength, which `colorfulness` sees as far apart, are the same to it.

    Args:
        rgb: (H, W, 3), 0..255.
    """
    rg, yb = _opponents(rgb)
    return _colorfulness(np.abs(rg), np.abs(yb))


def colorfulness_difference(pred: Array, target: Array) -> float:
    """How much more colorful a picture is than the true one; below zero it is paler.

    Over a set, the magnitude of the mean of it is the figure that papers print.

    Args:
        pred: (H, W, 3), 0..255.
        target: The same of the truth.
    """
    return colorfulness(pred) - colorfulness(target)
