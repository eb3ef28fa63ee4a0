"""Holes as film has them: scratches, dust, hairs, splice bands, burns.

Sizes are stated in pixels of a scan of 1080 lines: scratches 1 to 6 across, specks 2 to 40 with
the number falling as the square of the size, hairs 1 to 3 thick and 20 to 300 long. Most masks of
scans of empty 35 mm frames have a few dozen specks, some hairs and seldom a line; numbers are
judged beside them.
"""

from __future__ import annotations

import numpy as np

from vidcolor.holes.outlines import SCAN_LINES, Canvas, Floats, fill, line, ragged, speck, thread

__all__ = ["CROP_LINES", "film", "thin_film"]

CROP_LINES = (480.0, 1080.0)
"""Lines of the frame of which a small picture is taken to be a crop."""

_SIDE = 512
"""Side of the picture in which numbers are stated; smaller crops have less."""
_SPECKS = (2.0, 80.0)
_SPECK_PX = (2.0, 40.0)
_HAIRS = 6.0
_HAIR_PX = (1.0, 3.0)
_HAIR_LENGTH_PX = (20.0, 300.0)
_SCRATCHED = 0.6
_SCRATCHES = (1, 4)
_SCRATCH_PX = (1.0, 6.0)
_WHOLE = 0.6
_LEAN = float(np.tan(np.radians(0.5)))
_PAIRS = 0.2
_APART_PX = (8.0, 40.0)
_BAND = (0.02, 0.12)
_BURN = (0.05, 0.4)
_DISCS = (3, 8)
_AT_EDGE = 0.7
_FITS = 5


def thin_film(
    size: tuple[int, int], rng: np.random.Generator, amount: float, lines: float | None = None
) -> Canvas:
    """Scratches, dust and hairs.

    Args:
        size: Height and width.
        rng: Source of all randomness.
        amount: In (0, 1], how far the ranges of numbers reach.
        lines: Height of the frame of which this is a crop, in pixels; drawn from 480 to 1080,
            but at least the height of the crop, if None.
    """
    unit = _unit(size, rng, lines)
    part = size[0] * size[1] / _SIDE**2
    canvas = np.zeros(size, np.uint8)
    if rng.random() < _SCRATCHED:
        least, most = _SCRATCHES
        last = round(least + amount * min(1, size[1] / _SIDE) * (most - least))
        for _ in range(int(rng.integers(least, last + 1))):
            _scratch(canvas, unit, rng)
    few, many = np.log(_SPECKS)
    for _ in range(int(rng.poisson(part * np.exp(rng.uniform(few, few + amount * (many - few)))))):
        fill(canvas, _somewhere(size, rng) + speck(_speck_radius(unit, rng), rng))
    for _ in range(int(rng.poisson(part * amount * rng.uniform(0, _HAIRS)))):
        points = _somewhere(size, rng) + thread(_hair_length(unit, rng), rng)
        line(canvas, points, unit * rng.uniform(*_HAIR_PX))
    return canvas


def film(
    size: tuple[int, int],
    rng: np.random.Generator,
    amount: float,
    lines: float | None = None,
    big: float = 0.3,
) -> Canvas:
    """What `thin_film` draws, now and then with a splice band or a burn.

    Args:
        size: Height and width.
        rng: Source of all randomness.
        amount: In (0, 1], how far the ranges of numbers and of the burn's area reach.
        lines: Height of the frame of which this is a crop, in pixels, or None.
        big: How probable a band is, and likewise a burn, in 0..1.
    """
    canvas = thin_film(size, rng, amount, lines)
    band, burnt = rng.random(2) < big
    if band:
        _band(canvas, rng)
    if burnt:
        _burn(canvas, rng, amount)
    return canvas


def _unit(size: tuple[int, int], rng: np.random.Generator, lines: float | None) -> float:
    """Pixels here to one pixel of the scan."""
    drawn = max(size[0], rng.uniform(*CROP_LINES))
    return (drawn if lines is None else lines) / SCAN_LINES


def _somewhere(size: tuple[int, int], rng: np.random.Generator) -> Floats:
    return rng.uniform((0, 0), (size[1], size[0]))


def _speck_radius(unit: float, rng: np.random.Generator) -> float:
    least, most = _SPECK_PX
    return unit / 2 / rng.uniform(1 / most, 1 / least)


def _hair_length(unit: float, rng: np.random.Generator) -> float:
    return unit * float(np.exp(rng.uniform(*np.log(_HAIR_LENGTH_PX))))


def _scratch(canvas: Canvas, unit: float, rng: np.random.Generator) -> None:
    """A line from top to bottom or a part of it, leaning a little, sometimes with a companion."""
    height, width = canvas.shape
    ends = np.array((0, height)) if rng.random() < _WHOLE else rng.uniform(0, height, 2)
    x, lean = rng.uniform(0, width), rng.uniform(-_LEAN, _LEAN)
    across = [(x, unit * rng.uniform(*_SCRATCH_PX))]
    if rng.random() < _PAIRS:
        apart = unit * rng.uniform(*_APART_PX)
        across.append((x + apart, unit * rng.uniform(*_SCRATCH_PX)))
    for place, thickness in across:
        line(canvas, np.stack((place + lean * (ends - height / 2), ends), 1), thickness)


def _band(canvas: Canvas, rng: np.random.Generator) -> None:
    """A band at top or bottom, its inner edge a little uneven."""
    height, width = canvas.shape
    tall = height * rng.uniform(*_BAND)
    x = np.linspace(-1, width, 24)
    inner = tall * rng.uniform(0.9, 1.1, len(x)) + np.linspace(-1, 1, len(x)) * 0.1 * tall
    outer = np.array(((width, -1.0), (-1.0, -1.0)))
    corners = np.concatenate((np.stack((x, inner), 1), outer))
    if rng.random() < 0.5:
        corners[:, 1] = height - 1 - corners[:, 1]
    fill(canvas, corners)


def _burn(canvas: Canvas, rng: np.random.Generator, amount: float) -> None:
    """A union of 3 to 8 torn discs over 5 to 40 % of the picture, mostly at an edge."""
    size = canvas.shape[0], canvas.shape[1]
    middle = _somewhere(size, rng)
    if rng.random() < _AT_EDGE:
        axis = int(rng.integers(0, 2))
        middle[axis] = rng.integers(0, 2) * size[1 - axis]
    least, most = _BURN
    wanted = rng.uniform(least, least + amount * (most - least))
    count = int(rng.integers(_DISCS[0], _DISCS[1] + 1))
    discs = [
        ragged(rng.uniform(0.4, 1), rng) + rng.uniform(-1, 1, 2) * (number > 0)
        for number in range(count)
    ]
    scale = 0.5 * np.sqrt(wanted * size[0] * size[1])
    for _ in range(_FITS):
        burnt = _discs(size, discs, middle, scale)
        scale *= np.sqrt(wanted / max(float(burnt.mean()), least / 10))
    canvas |= _discs(size, discs, middle, scale)


def _discs(size: tuple[int, int], discs: list[Floats], middle: Floats, scale: float) -> Canvas:
    canvas = np.zeros(size, np.uint8)
    for disc in discs:
        fill(canvas, middle + scale * disc)
    return canvas
