"""Luma as it is, color beside it: chroma planes for an encoder, RGB for stills.

The Y' plane is never touched. The predicted a*b* becomes R' - Y' and B' - Y' at the lightness found
at the chroma samples (`vidcolor.color.field`), shrunk toward neutral where the true Y' leaves no
room for it. L* gives way by half a unit on average; Y' stays to the bit. A still is composed in
the same way as a film, with a chroma sample for every pixel: it shows what the film will be.

Reference: ITU-R BT.601, BT.709, BT.2020 (matrices and ranges).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.color.difference import green_of
from vidcolor.color.field import Axis, ColorField, guided_model, look_up, plain_model
from vidcolor.color.gamut import GamutFit, Room
from vidcolor.errors import ConfigError
from vidcolor.records import ColorSpec, Matrix

__all__ = ["MATRIX_WEIGHTS", "ComposeConfig", "PlaneLayout", "chroma_planes", "compose_rgb"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Siting = Literal["left", "center", "topleft"]

MATRIX_WEIGHTS: dict[Matrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}
"""(Kr, Kb) of each matrix."""


@dataclass(frozen=True, slots=True)
class ComposeConfig:
    """How color is laid beside luma.

    Attributes:
        filter: `guided` follows the edges of luma, `bilinear` only interpolates.
        radius_px: Half width of the guided filter's window, in pixels of the network's grid.
        epsilon: Contrast in L* under which the guided filter sees grain and no edge.
        dark_start: Y' in 0..1 up to which color is neutral.
        dark_end: Y' in 0..1 from which dark color is left alone.
        bright_start: Y' in 0..1 from which color fades to neutral at white.
        saturation: Gain of a*b*; 1 leaves the prediction as it is.
    """

    filter: str = "guided"
    radius_px: int = 2
    epsilon: float = 4.0
    dark_start: float = 0.03
    dark_end: float = 0.08
    bright_start: float = 0.97
    saturation: float = 1.0

    def __post_init__(self) -> None:
        if self.filter not in ("guided", "bilinear"):
            raise ConfigError(f"filter must be guided or bilinear, not {self.filter!r}")
        if not 1 <= self.radius_px <= 64:
            raise ConfigError(f"radius_px must be 1 to 64, not {self.radius_px}")
        if not 0 < self.epsilon <= 100:
            raise ConfigError(f"epsilon must be above 0 and at most 100, not {self.epsilon}")
        if not 0 <= self.dark_start < self.dark_end < self.bright_start < 1:
            raise ConfigError(
                "dark_start < dark_end < bright_start must lie in 0..1, not "
                f"{self.dark_start}, {self.dark_end}, {self.bright_start}"
            )
        if not 0 <= self.saturation <= 4:
            raise ConfigError(f"saturation must be 0 to 4, not {self.saturation}")


@dataclass(frozen=True, slots=True)
class PlaneLayout:
    """Where chroma samples lie, and what their codes mean.

    Attributes:
        subsample_y: Luma rows to a chroma row: 1, 2 or 4.
        subsample_x: Luma columns to a chroma column: 1, 2 or 4.
        bits: Depth of the chroma codes, 8 to 16.
        full_range: Codes span the whole depth (true) or 16..240 scaled to `bits` (false).
        matrix: Coefficients of Y'CbCr.
        siting: Place of a chroma sample among the luma samples it serves: `left` (MPEG-2, H.264,
            HEVC), `center` (MPEG-1, JPEG), `topleft` (UHD).
    """

    subsample_y: int = 2
    subsample_x: int = 2
    bits: int = 8
    full_range: bool = False
    matrix: Matrix = "bt709"
    siting: Siting = "left"

    def __post_init__(self) -> None:
        if self.subsample_y not in (1, 2, 4) or self.subsample_x not in (1, 2, 4):
            raise ValueError(f"no chroma every {self.subsample_y}x{self.subsample_x} luma samples")
        if not 8 <= self.bits <= 16:
            raise ValueError(f"bits must be 8 to 16, not {self.bits}")
        if self.matrix not in MATRIX_WEIGHTS:
            raise ValueError(f"matrix must be one of {sorted(MATRIX_WEIGHTS)}, not {self.matrix!r}")
        if self.siting not in ("left", "center", "topleft"):
            raise ValueError(f"siting must be left, center or topleft, not {self.siting!r}")

    @property
    def neutral(self) -> int:
        """Code of no color."""
        return 1 << (self.bits - 1)

    @property
    def scale(self) -> float:
        """Codes to one unit of Cb or Cr, which run -0.5..0.5."""
        return float((1 << self.bits) - 1 if self.full_range else 224 << (self.bits - 8))

    @property
    def offset(self) -> tuple[float, float]:
        """`(y, x)` of the first chroma sample in luma pixels, the first of which is at 0."""
        y = 0.0 if self.siting == "topleft" else (self.subsample_y - 1) / 2
        x = (self.subsample_x - 1) / 2 if self.siting == "center" else 0.0
        return y, x

    def plane_size(self, height: int, width: int) -> tuple[int, int]:
        """`(height, width)` of the chroma planes of a picture."""
        return -(-height // self.subsample_y), -(-width // self.subsample_x)


_NO_ROOM = 1e-9
"""Least room to black or white: none, but something to divide by."""


def chroma_planes(
    luma: Array,
    ab: Floats,
    lightness: Floats,
    spec: ColorSpec,
    layout: PlaneLayout,
    config: ComposeConfig,
) -> tuple[Array, Array]:
    """The Cb and Cr planes that go with a luma plane.

    Where the color asked for does not exist at the true Y', Cb and Cr shrink together, so the hue
    stays. A chroma sample is fitted to the darkest and to the brightest of the luma samples that it
    covers: each of them decodes to R'G'B' in [0, 1], with no channel clipped. Dark and very bright
    pixels fade to exactly neutral (see `ComposeConfig`).

    Args:
        luma: (H, W) integer codes, as decoded; only read.
        ab: (2, h, w) a*b* on a small grid that covers the whole picture.
        lightness: (h, w) L* on that grid, the guide of the guided filter.
        spec: How to read `luma`.
        layout: The chroma planes wanted.
        config: Filter, fades, saturation.

    Returns:
        Cb and Cr codes, (ceil(H / subsample_y), ceil(W / subsample_x)), uint8, or uint16 where
        `layout.bits` is above 8.

    Raises:
        ValueError: If an array has the wrong number of dimensions, `luma` is not integer, or
            `ab` and `lightness` differ in size.
    """
    codes = _checked(luma, ab, lightness)
    tables = _tables(spec, config)
    kr, kb = MATRIX_WEIGHTS[layout.matrix]
    gains = layout.scale / (2 * (1 - kb)), layout.scale / (2 * (1 - kr))
    samples = _sample(codes, layout)
    dtype = np.uint8 if layout.bits == 8 else np.uint16
    top = (1 << layout.bits) - 1
    planes = np.empty(samples.shape, dtype), np.empty(samples.shape, dtype)
    strips = _differences(codes, samples, ab, lightness, tables, layout, config)
    for where, red, blue in strips:
        for plane, gain, channel in zip(planes, gains, (blue, red), strict=True):
            codes_here = _rounded(channel, gain, layout.neutral, dtype)
            # at full range + 0.5 is one too many
            plane[where] = np.minimum(codes_here, top) if layout.full_range else codes_here
    return planes


def compose_rgb(
    luma: Array,
    ab: Floats,
    lightness: Floats,
    spec: ColorSpec,
    config: ComposeConfig,
    bits: int = 8,
) -> Array:
    """A picture in RGB whose Y' is that of `luma`.

    Args:
        luma: (H, W) integer codes.
        ab: (2, h, w) a*b* on a small grid that covers the whole picture.
        lightness: (h, w) L* on that grid.
        spec: How to read `luma`; its matrix says what Y' of the result means.
        config: Filter, fades, saturation.
        bits: Depth of the result, 8 to 16.

    Returns:
        (H, W, 3) R'G'B', full range, uint8, or uint16 where `bits` is above 8. No channel is
        clipped: color that does not exist at this Y' is made paler.

    Raises:
        ValueError: As `chroma_planes`.
    """
    if not 8 <= bits <= 16:
        raise ValueError(f"bits must be 8 to 16, not {bits}")
    codes = _checked(luma, ab, lightness)
    tables = _tables(spec, config)
    layout = PlaneLayout(1, 1, matrix=spec.matrix)
    top = (1 << bits) - 1
    rgb = np.empty((*codes.shape, 3), np.uint8 if bits == 8 else np.uint16)
    strips = _differences(codes, codes, ab, lightness, tables, layout, config)
    for where, red, blue in strips:
        y = look_up(tables.signal, codes[where])
        green = green_of(red, blue, *MATRIX_WEIGHTS[spec.matrix])
        for i, channel in enumerate((red, green, blue)):
            channel += y
            rgb[..., i][where] = _rounded(channel, top, 0, rgb.dtype)
    return rgb


def _checked(luma: Array, ab: Floats, lightness: Floats) -> Array:
    if luma.ndim != 2 or not np.issubdtype(luma.dtype, np.integer):
        raise ValueError(f"luma must be integer (H, W), not {luma.dtype} {luma.shape}")
    if ab.ndim != 3 or ab.shape[0] != 2 or lightness.shape != ab.shape[1:]:
        raise ValueError(
            f"ab must be (2, h, w) and lightness (h, w), not {ab.shape} and {lightness.shape}"
        )
    return luma if luma.dtype == np.uint8 else luma.astype(np.uint16, copy=False)


@dataclass(frozen=True, slots=True)
class _Tables:
    """What there is to know of a luma code: (256,) or (65536,) float32 each.

    Attributes:
        guide: (L* + 16) / 116.
        signal: Y' in [0, 1].
        room: How much color there is room for.
    """

    guide: Floats
    signal: Floats
    room: Room


@functools.lru_cache(maxsize=8)
def _tables(spec: ColorSpec, config: ComposeConfig) -> _Tables:
    # every value that the plane's integer type can hold, so that no stray code is out of bounds
    codes = np.arange(256 if spec.bits == 8 else 65536, dtype=np.float64)
    signal = np.clip((codes - spec.black) / (spec.white - spec.black), 0, 1)
    linear = np.where(signal > 0.04045, ((signal + 0.055) / 1.055) ** 2.4, signal / 12.92)
    guide = np.where(linear > 0.008856, np.cbrt(linear), 7.787 * linear + 16 / 116)
    rise = np.clip((signal - config.dark_start) / (config.dark_end - config.dark_start), 0, 1)
    fall = np.clip((1 - signal) / (1 - config.bright_start), 0, 1)
    fade = rise * rise * (3 - 2 * rise) * fall * fall * (3 - 2 * fall)
    dark, bright = 1 / np.maximum(signal, _NO_ROOM), 1 / np.maximum(1 - signal, _NO_ROOM)
    plain = np.flatnonzero(fade.astype(np.float32) == 1)
    ends = (int(plain[0]), int(plain[-1])) if plain.size else (len(codes), -1)
    room = Room(ends, *(x.astype(np.float32) for x in (fade, dark, bright)))
    return _Tables(guide.astype(np.float32), signal.astype(np.float32), room)


def _rounded(values: Floats, gain: float, offset: float, dtype: npt.DTypeLike) -> Array:
    """Codes of values; what lies outside their type goes to the nearest end."""
    depth = cv2.CV_8U if dtype == np.uint8 else cv2.CV_16U
    codes = cv2.addWeighted(values, gain, values, 0, offset, dtype=depth)
    return np.reshape(_mat(codes), values.shape)  # OpenCV makes a column of a list


def _sample(codes: Array, layout: PlaneLayout) -> Array:
    """Luma codes low-passed and taken at the chroma samples, rounded."""
    sy, sx = layout.subsample_y, layout.subsample_x
    rows, columns = layout.plane_size(*codes.shape)
    between_y, between_x = (o > 0 for o in layout.offset)
    if sy == sx == 1:
        return codes
    if sy == sx == 2 and between_y:
        # boxes of 2x2 have a fast path in OpenCV; two boxes a pixel apart make 1 2 1
        left = 0 if between_x else 1
        bottom, right = 2 * rows - codes.shape[0], 2 * columns - codes.shape[1]
        if left or bottom or right:
            codes = _mat(cv2.copyMakeBorder(codes, 0, bottom, left, right, cv2.BORDER_REPLICATE))
        size = (columns, rows)
        box = cv2.resize(codes[:, : 2 * columns], size, interpolation=cv2.INTER_AREA)
        if between_x:
            return _mat(box)
        other = cv2.resize(codes[:, 1 : 2 * columns + 1], size, interpolation=cv2.INTER_AREA)
        return _mat(cv2.addWeighted(box, 0.5, other, 0.5, 0))
    taps_y, anchor_y = _taps(sy, between_y)
    taps_x, anchor_x = _taps(sx, between_x)
    smooth = cv2.sepFilter2D(
        codes, -1, taps_x, taps_y, anchor=(anchor_x, anchor_y), borderType=cv2.BORDER_REPLICATE
    )
    return np.ascontiguousarray(_mat(smooth)[::sy, ::sx])


def _taps(step: int, between: bool) -> tuple[Floats, int]:
    """Low-pass for every `step`-th sample, centered between samples or on one; its anchor."""
    if step == 1:
        return np.ones(1, np.float32), 0
    if between:
        return np.full(step, 1 / step, np.float32), 0
    taps = np.full(step + 1, 1 / step, np.float32)
    taps[[0, -1]] /= 2
    return taps, step // 2


def _differences(
    codes: Array,
    samples: Array,
    ab: Floats,
    lightness: Floats,
    tables: _Tables,
    layout: PlaneLayout,
    config: ComposeConfig,
) -> Iterator[tuple[slice | tuple[Array, Array], Floats, Floats]]:
    """Places, and their R' - Y' and B' - Y' as far as they can be had.

    First strips of rows, and then, if there are any, single samples of them that had to shrink.
    """
    field = _field(codes, samples, ab, lightness, tables, layout, config)
    fit = GamutFit(codes, samples, (layout.subsample_y, layout.subsample_x), tables.room, field)
    for rows in field.strips():
        red, blue = field.at(rows, look_up(tables.guide, samples[rows]))
        fit.strip(rows, red, blue)
        yield rows, red, blue
    few = fit.few()
    if few is not None:
        yield few


def _field(
    codes: Array,
    samples: Array,
    ab: Floats,
    lightness: Floats,
    tables: _Tables,
    layout: PlaneLayout,
    config: ComposeConfig,
) -> ColorField:
    """The color of a picture at its chroma samples."""
    steps = layout.subsample_y, layout.subsample_x
    scales = (small / large for small, large in zip(lightness.shape, codes.shape, strict=True))
    y, x = (
        Axis(cells, count, (offset + 0.5) * scale - 0.5, step * scale)
        for cells, count, offset, scale, step in zip(
            lightness.shape, samples.shape, layout.offset, scales, steps, strict=True
        )
    )
    planes = [np.asarray(plane, np.float32) * np.float32(config.saturation) for plane in ab]
    if config.filter == "guided":
        radius = min(config.radius_px, (min(lightness.shape) - 1) // 2)
        model = guided_model(planes, lightness, radius, config.epsilon)
    else:
        model = plain_model(planes)
    return ColorField(model, codes, tables.guide, y, x, MATRIX_WEIGHTS[layout.matrix])


def _mat(x: object) -> Array:
    """What OpenCV calls MatLike is an array to us."""
    return cast(Array, x)
