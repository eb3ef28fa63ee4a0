"""Color as a whole, after taste: saturation, light, hues, fades and a look from a `.cube` file.

Pure functions of a*b* and L*. Only a*b* comes out: lightness belongs to the film. What does nothing
is not computed, so that neutral settings give back the very same tensor.

References: CIE 15:2004, daylight illuminants (3.1) and L*a*b*; von Kries, Die Gesichtsempfindungen,
1905 (light of another color scales the receptors; here X and Z, which keeps Y).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vidcolor.color.lab import lab_to_rgb, lightness_to_linear, linear_to_lightness, rgb_to_lab
from vidcolor.color.lut import Lut
from vidcolor.errors import ConfigError

__all__ = ["GradeConfig", "HueRange", "apply_grade", "apply_lut", "light_gains", "shift_light"]

_D65_MIRED = 1e6 / 6504
_TINT_GAIN = 1.25  # of X and Z over Y at a tint of 100
_VIBRANT_CHROMA = 60.0  # colors of this chroma are left alone by vibrance
_SHADOWS_BELOW = 35.0  # L* where shadows begin to fade
_HIGHLIGHTS_ABOVE = 70.0  # L* where highlights begin to fade


@dataclass(frozen=True, slots=True)
class HueRange:
    """Colors around one hue, and what happens to them.

    Attributes:
        center: Hue in degrees of the a*b* plane, 0 to 360: red is about 40, yellow 100, green 140,
            cyan 200, blue 300, magenta 330; skin 50.
        width: Degrees, 1 to 180: so far apart lie the two hues that are changed by half; colors
            further than `width` from the center are not changed at all.
        shift: Degrees by which the hue is turned, counter-clockwise (red to yellow to green).
        saturation: Factor of chroma, 0 to 4.
    """

    center: float
    width: float = 60.0
    shift: float = 0.0
    saturation: float = 1.0

    def __post_init__(self) -> None:
        _within("center", self.center, 0, 360)
        _within("width", self.width, 1, 180)
        _within("shift", self.shift, -180, 180)
        _within("saturation", self.saturation, 0, 4)

    @property
    def neutral(self) -> bool:
        """Whether nothing happens."""
        return self.shift == 0 and self.saturation == 1


@dataclass(frozen=True, slots=True)
class GradeConfig:
    """How color is changed as a whole; brightness never is.

    In this order: light (`temperature`, `tint`), hues, `vibrance`, `saturation`, fades, look.

    Attributes:
        saturation: Factor of chroma, 0 (gray) to 4.
        vibrance: Gain of pale colors, -1 to 1; full at gray, none from chroma 60 up.
        temperature: Warmer (up to 100) or cooler (down to -100) light, in mired, as filters are
            counted: 18 is an 81A.
        tint: Light toward magenta (up to 100) or green (down to -100).
        ranges: Colors around single hues, and what happens to them.
        shadows: How far color fades toward black, 0 to 1; it begins at L* 35.
        highlights: How far color fades toward white, 0 to 1; it begins at L* 70.
        lut: A look as a .cube file (1D or 3D, for sRGB); only its chroma is taken.
        lut_strength: How far the look is followed, 0 to 1.
    """

    saturation: float = 1.0
    vibrance: float = 0.0
    temperature: float = 0.0
    tint: float = 0.0
    ranges: tuple[HueRange, ...] = ()
    shadows: float = 0.0
    highlights: float = 0.0
    lut: str | None = None
    lut_strength: float = 1.0

    def __post_init__(self) -> None:
        _within("saturation", self.saturation, 0, 4)
        _within("vibrance", self.vibrance, -1, 1)
        _within("temperature", self.temperature, -100, 100)
        _within("tint", self.tint, -100, 100)
        _within("shadows", self.shadows, 0, 1)
        _within("highlights", self.highlights, 0, 1)
        _within("lut_strength", self.lut_strength, 0, 1)
        if self.lut == "":
            raise ConfigError("lut is empty; leave it out for no look")

    @property
    def looks(self) -> bool:
        """Whether a look has its say."""
        return self.lut is not None and self.lut_strength > 0

    @property
    def neutral(self) -> bool:
        """Whether nothing happens."""
        return (
            self.saturation == 1
            and not any((self.vibrance, self.temperature, self.tint))
            and not any((self.shadows, self.highlights))
            and all(part.neutral for part in self.ranges)
            and not self.looks
        )


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} must be {low} to {high}, not {value}")


def apply_grade(
    ab: Tensor, lightness: Tensor, config: GradeConfig, lut: Lut | None = None
) -> Tensor:
    """Graded a*b*.

    Args:
        ab: (N, 2, h, w) float a*b*.
        lightness: (N, 1, h, w) float L* in 0..100 on the same grid.
        config: What to do.
        lut: The table of `config.lut`.

    Returns:
        (N, 2, h, w), same type; `ab` itself where there is nothing to do.

    Raises:
        ValueError: If the config has a look and `lut` is missing.
    """
    if config.temperature or config.tint:
        ab = shift_light(ab, lightness, light_gains(config.temperature, config.tint))
    ranges = [part for part in config.ranges if not part.neutral]
    if ranges:
        ab = _turn_hues(ab, ranges)
    if config.vibrance:
        chroma = (ab * ab).sum(dim=1, keepdim=True).sqrt()
        ab = ab * (1 + config.vibrance * (1 - chroma / _VIBRANT_CHROMA).clamp(min=0))
    if config.saturation != 1:
        ab = ab * config.saturation
    if config.shadows:
        depth = _smooth(1 - lightness / _SHADOWS_BELOW)
        ab = ab * (1 - config.shadows * depth)
    if config.highlights:
        height = _smooth((lightness - _HIGHLIGHTS_ABOVE) / (100 - _HIGHLIGHTS_ABOVE))
        ab = ab * (1 - config.highlights * height)
    if config.looks:
        if lut is None:
            raise ValueError(f"the table of {config.lut} is missing")
        seen = apply_lut(ab, lightness, lut)
        ab = seen if config.lut_strength == 1 else torch.lerp(ab, seen, config.lut_strength)
    return ab


def _smooth(share: Tensor) -> Tensor:
    """0..1 with a flat start and end."""
    share = share.clamp(0, 1)
    return share * share * (3 - 2 * share)


def _daylight(mired: float) -> tuple[float, float]:
    """(X / Y, Z / Y) of daylight, CIE 15:2004, (3.3) to (3.5)."""
    k = mired / 1000  # 1e3 / T
    if mired >= 1e6 / 7000:
        x = ((-4.6070 * k + 2.9678) * k + 0.09911) * k + 0.244063
    else:
        x = ((-2.0064 * k + 1.9018) * k + 0.24748) * k + 0.237040
    y = -3.0 * x * x + 2.870 * x - 0.275
    return x / y, (1 - x - y) / y


def light_gains(temperature: float, tint: float) -> tuple[float, float]:
    """What light of another color makes of X and Z, Y staying as it is.

    Args:
        temperature: Mired over D65, -100 (blue) to 100 (yellow).
        tint: -100 (green) to 100 (magenta).

    Returns:
        Factors of X and Z.
    """
    x, z = _daylight(_D65_MIRED + temperature)
    x0, z0 = _daylight(_D65_MIRED)
    both = _TINT_GAIN ** (tint / 100)
    return x / x0 * both, z / z0 * both


def shift_light(ab: Tensor, lightness: Tensor, gains: tuple[float, float]) -> Tensor:
    """a*b* of the same surfaces in another light: X and Z scaled, Y kept.

    Args:
        ab: (N, 2, h, w) float.
        lightness: (N, 1, h, w) float L*.
        gains: Factors of X and Z, see `light_gains`.

    Returns:
        (N, 2, h, w); black stays black.
    """
    # X and Z, each as the lightness of a gray that has as much
    x = lightness[:, 0] + 116 / 500 * ab[:, 0]
    z = lightness[:, 0] - 116 / 200 * ab[:, 1]
    x, z = (
        linear_to_lightness(gain * lightness_to_linear(each).clamp(min=0))
        for each, gain in zip((x, z), gains, strict=True)
    )
    return torch.stack(
        (500 / 116 * (x - lightness[:, 0]), 200 / 116 * (lightness[:, 0] - z)), dim=1
    )


def _turn_hues(ab: Tensor, ranges: list[HueRange]) -> Tensor:
    """All ranges at once, so that their order means nothing."""
    a, b = ab[:, 0], ab[:, 1]
    hue = torch.atan2(b, a)
    turn = torch.zeros_like(hue)
    gain = torch.ones_like(hue)
    for part in ranges:
        away = torch.remainder(hue - math.radians(part.center) + math.pi, 2 * math.pi) - math.pi
        near = (away / math.radians(part.width)).clamp(-1, 1)
        weight = 0.5 + 0.5 * torch.cos(math.pi * near)
        if part.shift:
            turn = turn + weight * math.radians(part.shift)
        gain = gain * (1 + weight * (part.saturation - 1))
    cos, sin = gain * turn.cos(), gain * turn.sin()
    return torch.stack((cos * a - sin * b, sin * a + cos * b), dim=1)


def apply_lut(ab: Tensor, lightness: Tensor, lut: Lut) -> Tensor:
    """a*b* of what a table makes of the color; what it makes of the lightness is dropped.

    The table is made for sRGB. Colors that are brighter than sRGB can show are drawn toward the
    gray of their lightness before, just as far as needed, which is what the writer does with them.

    Args:
        ab: (N, 2, h, w) float.
        lightness: (N, 1, h, w) float L*.
        lut: The table.

    Returns:
        (N, 2, h, w).
    """
    rgb = lab_to_rgb(torch.cat((lightness, ab), dim=1))
    most = rgb.amax(dim=1, keepdim=True)
    if bool((most > 1).any()):
        none = torch.zeros_like(ab)
        gray = lab_to_rgb(torch.cat((lightness, none), dim=1)).clamp(max=1)
        room = (1 - gray) / (most - gray).clamp(min=1e-6)
        rgb = torch.where(most > 1, gray + room * (rgb - gray), rgb)
    return rgb_to_lab(lut(rgb.clamp(0, 1)))[:, 1:]
