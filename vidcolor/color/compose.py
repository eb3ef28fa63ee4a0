"""Luma as it is, color beside it: chroma planes for an encoder, RGB for stills.

The Y' plane is never touched. The predicted a*b* is brought to the grid of the chroma planes,
turned into Cb and Cr with the lightness found there, and shrunk toward neutral where the true Y'
leaves no room for it. L* gives way by half a unit on average; Y' stays to the bit.

References: ITU-R BT.601, BT.709, BT.2020 (matrices and ranges); He and Sun, Fast guided filter,
arXiv 1505.00996 (color on the grid of a larger picture).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt

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

_STRIP_VALUES = 1 << 15
"""Values worked on at once: temporaries of this size stay in the processor's cache."""


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


_FULL = PlaneLayout(1, 1)


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
    center, darkest, brightest = _to_chroma_grid(codes, layout)
    guide, signal, fade = _tables(spec, config)
    field = _Field(codes.shape, ab, lightness, layout, config)
    kr, kb = MATRIX_WEIGHTS[layout.matrix]
    to_cb, to_cr = layout.scale / (2 * (1 - kb)), layout.scale / (2 * (1 - kr))
    dtype = np.uint8 if layout.bits == 8 else np.uint16
    top = (1 << layout.bits) - 1
    cb, cr = np.empty(center.shape, dtype), np.empty(center.shape, dtype)
    for rows in _strips(center.shape):
        here = center[rows]
        f = _look_up(guide, here)
        a, b = field.at(rows, f)
        difference = _color_difference(f, a, b, kr, kb)
        low, high = _look_up(signal, darkest[rows]), _look_up(signal, brightest[rows])
        scale = _room(difference, low, high)
        scale *= _look_up(fade, here)
        for plane, gain, channel in ((cb, to_cb, difference[2]), (cr, to_cr, difference[0])):
            channel *= scale
            channel *= np.float32(gain)
            channel += np.float32(layout.neutral)
            np.rint(channel, out=channel)
            np.minimum(channel, np.float32(top), out=channel)  # +0.5 in full range is one too many
            plane[rows] = channel
    return cb, cr


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
    guide, signal, fade = _tables(spec, config)
    field = _Field(codes.shape, ab, lightness, _FULL, config)
    kr, kb = MATRIX_WEIGHTS[spec.matrix]
    top = (1 << bits) - 1
    rgb = np.empty((*codes.shape, 3), np.uint8 if bits == 8 else np.uint16)
    for rows in _strips(codes.shape):
        here = codes[rows]
        f, y = _look_up(guide, here), _look_up(signal, here)
        a, b = field.at(rows, f)
        difference = _color_difference(f, a, b, kr, kb)
        scale = _room(difference, y, y)
        scale *= _look_up(fade, here)
        for i, channel in enumerate(difference):
            channel *= scale
            channel += y
            channel *= np.float32(top)
            np.rint(channel, out=channel)
            np.clip(channel, 0, top, out=channel)  # float rounding only
            rgb[rows, :, i] = channel
    return rgb


def _checked(luma: Array, ab: Floats, lightness: Floats) -> Array:
    if luma.ndim != 2 or not np.issubdtype(luma.dtype, np.integer):
        raise ValueError(f"luma must be integer (H, W), not {luma.dtype} {luma.shape}")
    if ab.ndim != 3 or ab.shape[0] != 2 or lightness.shape != ab.shape[1:]:
        raise ValueError(
            f"ab must be (2, h, w) and lightness (h, w), not {ab.shape} and {lightness.shape}"
        )
    return luma if luma.dtype == np.uint8 else luma.astype(np.uint16, copy=False)


@functools.lru_cache(maxsize=8)
def _tables(spec: ColorSpec, config: ComposeConfig) -> tuple[Floats, Floats, Floats]:
    """By luma code: (L* + 16) / 116, Y' in [0, 1], fade in [0, 1]."""
    # every value that the plane's integer type can hold, so that no stray code is out of bounds
    codes = np.arange(256 if spec.bits == 8 else 65536, dtype=np.float64)
    signal = np.clip((codes - spec.black) / (spec.white - spec.black), 0, 1)
    linear = np.where(signal > 0.04045, ((signal + 0.055) / 1.055) ** 2.4, signal / 12.92)
    guide = np.where(linear > 0.008856, np.cbrt(linear), 7.787 * linear + 16 / 116)
    rise = np.clip((signal - config.dark_start) / (config.dark_end - config.dark_start), 0, 1)
    fall = np.clip((1 - signal) / (1 - config.bright_start), 0, 1)
    fade = rise * rise * (3 - 2 * rise) * fall * fall * (3 - 2 * fall)
    return (
        guide.astype(np.float32),
        signal.astype(np.float32),
        fade.astype(np.float32),
    )


def _look_up(table: Floats, codes: Array) -> Floats:
    if codes.dtype == np.uint8:
        return cast(Floats, cv2.LUT(codes, table))
    return np.take(table, codes)


def _strips(shape: tuple[int, ...]) -> list[slice]:
    step = max(1, _STRIP_VALUES // max(1, shape[1]))
    return [slice(y, min(y + step, shape[0])) for y in range(0, shape[0], step)]


def _to_chroma_grid(codes: Array, layout: PlaneLayout) -> tuple[Array, Array, Array]:
    """Luma codes at the chroma samples, and the least and greatest code that each covers."""
    sy, sx = layout.subsample_y, layout.subsample_x
    if sy == sx == 1:
        return codes, codes, codes
    block = np.ones((sy, sx), np.uint8)
    darkest = _mat(cv2.erode(codes, block, anchor=(0, 0)))[::sy, ::sx]
    brightest = _mat(cv2.dilate(codes, block, anchor=(0, 0)))[::sy, ::sx]
    return _sample(codes, layout), darkest, brightest


def _sample(codes: Array, layout: PlaneLayout) -> Array:
    """Luma codes low-passed and taken at the chroma samples, rounded."""
    sy, sx = layout.subsample_y, layout.subsample_x
    rows, columns = layout.plane_size(*codes.shape)
    between_y, between_x = (o > 0 for o in layout.offset)
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


class _Field:
    """a*b* on the chroma grid, made strip by strip."""

    def __init__(
        self,
        luma_size: tuple[int, ...],
        ab: Floats,
        lightness: Floats,
        layout: PlaneLayout,
        config: ComposeConfig,
    ) -> None:
        h, w = lightness.shape
        self.scale = h / luma_size[0], w / luma_size[1]
        self.columns = layout.plane_size(luma_size[0], luma_size[1])[1]
        self.layout = layout
        planes = [np.ascontiguousarray(plane, np.float32) for plane in ab]
        if config.saturation != 1:
            planes = [plane * np.float32(config.saturation) for plane in planes]
        self.guided = config.filter == "guided"
        if not self.guided:
            self.model = _stack(planes)
            return
        radius = min(config.radius_px, (min(h, w) - 1) // 2)
        self.model = _stack(_linear_model(planes, lightness, radius, config.epsilon))
        window = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        least = [cast(Floats, cv2.erode(plane, window)) for plane in planes]
        self.bounds = _stack(least + [cast(Floats, cv2.dilate(plane, window)) for plane in planes])

    def at(self, rows: slice, guide: Floats) -> tuple[Floats, Floats]:
        """a* and b* of some rows, given their (L* + 16) / 116."""
        if not self.guided:
            a, b, *_ = self._enlarge(self.model, rows)
            return a, b
        slope_a, slope_b, a, b = self._enlarge(self.model, rows)
        low_a, low_b, high_a, high_b = self._enlarge(self.bounds, rows)
        slope_a *= guide
        slope_b *= guide
        a += slope_a
        b += slope_b
        # a highlight that the small grid never saw must not throw the line far off
        np.clip(a, low_a, high_a, out=a)
        np.clip(b, low_b, high_b, out=b)
        return a, b

    def _enlarge(self, small: Floats, rows: slice) -> list[Floats]:
        """Channels of (h, w, C) covering the picture, interpolated at rows of chroma samples."""
        layout = self.layout
        (scale_y, scale_x), (offset_y, offset_x) = self.scale, layout.offset
        offset_y += rows.start * layout.subsample_y
        matrix = np.array(
            [
                [scale_x * layout.subsample_x, 0, (offset_x + 0.5) * scale_x - 0.5],
                [0, scale_y * layout.subsample_y, (offset_y + 0.5) * scale_y - 0.5],
            ]
        )
        large = cv2.warpAffine(
            small,
            matrix,
            (self.columns, rows.stop - rows.start),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return [np.ascontiguousarray(large[..., i]) for i in range(small.shape[2])]


def _stack(planes: list[Floats]) -> Floats:
    """(h, w, 4): OpenCV warps four channels faster than two or three."""
    return np.stack((planes * 4)[:4], axis=2)


def _linear_model(
    planes: list[Floats], lightness: Floats, radius: int, epsilon: float
) -> list[Floats]:
    """Slopes, then offsets, of the planes against (L* + 16) / 116.

    The slopes are the guided filter's. The offsets are such that the planes themselves stand where
    the small grid has its samples, so that nothing the network drew is smoothed; between them the
    edges of luma decide.
    """
    guide = (np.asarray(lightness, np.float32) + np.float32(16)) * np.float32(1 / 116)
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(x: Floats) -> Floats:
        return cast(Floats, cv2.blur(x, size, borderType=cv2.BORDER_REFLECT))

    # about the mean of the picture: float32 has no digits to lose in E[x^2] - E[x]^2
    away: Floats = guide - guide.mean()
    mean_away = mean(away)
    variance: Floats = mean(away * away) - mean_away * mean_away
    np.maximum(variance, np.float32(0), out=variance)
    variance += np.float32((epsilon / 116) ** 2)
    slopes = []
    for plane in planes:
        covariance: Floats = mean(away * plane) - mean_away * mean(plane)
        covariance /= variance
        slopes.append(mean(covariance))
    return slopes + [plane - slope * guide for plane, slope in zip(planes, slopes, strict=True)]


def _color_difference(
    guide: Floats, a: Floats, b: Floats, kr: float, kb: float
) -> tuple[Floats, Floats, Floats]:
    """R' - Y', G' - Y', B' - Y' of Lab colors; the curves go on oddly outside [0, 1].

    Args:
        guide: (L* + 16) / 116.
        a: a*.
        b: b*.
        kr: Weight of R' in Y'.
        kb: Weight of B' in Y'.
    """
    x = _f_inverse(guide + a * np.float32(1 / 500))
    y = _f_inverse(guide)
    z = _f_inverse(guide - b * np.float32(1 / 200))
    red, green, blue = (
        _encode(np.float32(mx) * x + np.float32(my) * y + np.float32(mz) * z)
        for mx, my, mz in _XYZ_TO_RGB
    )
    luma = np.float32(kr) * red + np.float32(1 - kr - kb) * green + np.float32(kb) * blue
    red -= luma
    green -= luma
    blue -= luma
    return red, green, blue


_F_KNEE = 0.2068966
_GAMMA_KNEE = 0.0031308


def _f_inverse(f: Floats) -> Floats:
    """Line up to the knee, cube from there: written as a sum, since a choice is slow."""
    upper = np.maximum(f, np.float32(_F_KNEE))
    cube = upper * upper
    cube *= upper
    line = np.minimum(f, np.float32(_F_KNEE))
    line *= np.float32(1 / 7.787)
    cube += line
    cube -= np.float32(_F_KNEE**3 + 16 / 116 / 7.787)
    return cube


def _encode(v: Floats) -> Floats:
    """sRGB gamma applied; odd about zero."""
    size = np.abs(v)
    curve = np.maximum(size, np.float32(_GAMMA_KNEE)) ** np.float32(1 / 2.4)
    curve *= np.float32(1.055)
    curve -= np.float32(1.055 * _GAMMA_KNEE ** (1 / 2.4))
    np.minimum(size, np.float32(_GAMMA_KNEE), out=size)
    size *= np.float32(12.92)
    curve += size
    return np.copysign(curve, v, out=curve)


def _room(difference: tuple[Floats, Floats, Floats], darkest: Floats, brightest: Floats) -> Floats:
    """Largest scale in [0, 1] of the differences for which Y' plus them stays in [0, 1]."""
    red, green, blue = difference
    up = np.maximum(np.maximum(red, green), blue)
    down = np.minimum(np.minimum(red, green), blue)
    tiny = np.float32(1e-9)
    scale = (1 - brightest) / np.maximum(up, tiny)
    np.minimum(scale, darkest / np.maximum(-down, tiny), out=scale)
    return np.minimum(scale, np.float32(1), out=scale)


def _mat(x: object) -> Array:
    """What OpenCV calls MatLike is an array to us."""
    return cast(Array, x)


assert math.isclose(float(_XYZ_TO_RGB.sum()), 3)
