"""Lines along the film: what stood in its way in the projector or the printer.

Particles in the gate plow lines that run along the film, so a line stays at nearly the same place
of the frame for seconds while the scene moves behind it. Where the emulsion is gone, print lets
light through (bright) and negative makes the print dark; scratches of the base scatter light
(dark). The brightness across a line is a damped cosine: a core with side lobes of the other sign,
from light bent at its edges (A. C. Kokaram, "Motion Picture Restoration", 1998; V. Bruni and
D. Vitulano, "A generalized model for scratch detection", 2004). The picture below is dimmed, not
gone.

Sizes in pixels of a scan of 1080 lines: cores of 2 to 14 (the narrow end is 35 mm; the same
scratch is twice as wide on the smaller frame of 16 mm), one to four lines, every fifth one with a
parallel companion, leaning by up to half a degree, three of five over the whole height.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidcolor.train.degrade.arrays import Image, scan_px

__all__ = ["line_profile", "scratches"]

Floats = npt.NDArray[np.float64]

_CORE_PX = (2.0, 14.0)
_COMPANION_PX = (8.0, 40.0)
_WANDER_PX = 0.7
_LEAN = 0.0087
_MOST = 4
_REACH = 1.6
"""Half of the drawn width, in units of the profile's w: the lobes beyond are invisible."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A scratch, the same in all frames.

    Attributes:
        x: Column at mid-height, in pixels.
        lean: Columns to the right for each row down.
        width: w of the profile, in pixels; the core is two thirds of it.
        decay: How fast the side lobes fade, in 1/w.
        opacity: How much of the picture the middle hides.
        level: Brightness of the middle.
        top: First row of the line.
        bottom: Row after its last.
    """

    x: float
    lean: float
    width: float
    decay: float
    opacity: float
    level: float
    top: float
    bottom: float


def scratches(grays: list[Image], strength: float, rng: np.random.Generator) -> list[Image]:
    """The same lines in all frames; only their opacity along the line changes, and x by a hair.

    Args:
        grays: (H, W) float32 in 0..1.
        strength: Multiplies opacity.
        rng: Source of all randomness.
    """
    lines = _draw(grays[0], strength, rng)
    return [_scratched(gray, lines, rng) for gray in grays]


def _draw(gray: Image, strength: float, rng: np.random.Generator) -> list[_Line]:
    height, width = gray.shape
    unit = scan_px(gray)
    lines: list[_Line] = []
    for _ in range(int(rng.integers(1, _MOST + 1))):
        whole = rng.random() < 0.6
        ends = (0, height) if whole else np.sort(rng.uniform(-0.2, 1.2, 2)) * height
        core = unit * np.exp(rng.uniform(*np.log(_CORE_PX)))
        bright = rng.random() < 0.6
        line = _Line(
            x=rng.uniform(0, width),
            lean=rng.uniform(-_LEAN, _LEAN),
            width=1.5 * core,
            decay=rng.uniform(2, 4.5),
            opacity=min(1.0, strength * rng.uniform(0.15, 0.9)),
            level=rng.uniform(0.85, 1) if bright else rng.uniform(0, 0.12),
            top=float(ends[0]),
            bottom=float(ends[1]),
        )
        lines.append(line)
        if rng.random() < 0.2:
            lines.append(_companion(line, unit * rng.uniform(*_COMPANION_PX), rng))
    return lines


def _companion(line: _Line, away: float, rng: np.random.Generator) -> _Line:
    return _Line(
        line.x + away, line.lean, line.width * rng.uniform(0.5, 1), line.decay,
        line.opacity * rng.uniform(0.4, 1), line.level, line.top, line.bottom,
    )  # fmt: skip


def _scratched(gray: Image, lines: list[_Line], rng: np.random.Generator) -> Image:
    result = gray.copy()
    height, width = gray.shape
    rows = np.arange(height)
    for line in lines:
        wander = scan_px(gray) * _WANDER_PX * rng.standard_normal()
        strength = line.opacity * _along(line, height, rng)
        middle = line.x + wander + line.lean * (rows - height / 2)
        reach = _REACH * line.width + 1
        first = max(0, int(np.floor(middle.min() - reach)))
        last = min(width, int(np.ceil(middle.max() + reach)) + 1)
        if first >= last:
            continue
        columns = np.arange(first, last) + 0.5
        across = line_profile(columns - middle[:, None], line.width, line.decay)
        hidden = (strength[:, None] * across).astype(np.float32)
        part = result[:, first:last]
        part += hidden * (np.float32(line.level) - part)
    return np.clip(result, 0, 1)


def _along(line: _Line, height: int, rng: np.random.Generator) -> Floats:
    """Opacity down the line, 0 to 1: softly ended, thinner here and there, new in every frame."""
    rows = np.arange(height) + 0.5
    soft = 0.04 * height
    ends = np.clip((rows - line.top) / soft + 1, 0, 1) * np.clip(
        (line.bottom - rows) / soft + 1, 0, 1
    )
    places = np.linspace(0, height, 10)
    uneven = np.interp(rows, places, rng.uniform(0.5, 1, len(places)))
    return ends * uneven


def line_profile(away: Floats, width: float, decay: float) -> Floats:
    """Mean of the profile over pixels whose middles are `away` from the line's.

    The profile is exp(-decay |x| / w) cos(3 pi |x| / 2w), 1 in the middle; its integral is known,
    so lines far thinner than a pixel get their right share of it.
    """
    a, b = decay / width, 1.5 * np.pi / width

    def integral(x: Floats) -> Floats:
        size = np.abs(x)
        fading = np.exp(-a * size) * (b * np.sin(b * size) - a * np.cos(b * size))
        return np.sign(x) * (a + fading) / (a * a + b * b)

    return integral(away + 0.5) - integral(away - 0.5)
