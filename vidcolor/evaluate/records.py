"""What an evaluation says: numbers of a film, of its shots, of its tracks."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Curves",
    "Fidelity",
    "FilmReport",
    "Measures",
    "Moment",
    "ShotReport",
    "Steadiness",
    "TrackReport",
]

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How steady one coloring is, and how colorful; None where there was nothing to measure.

    Attributes:
        chroma: Mean |a*b*|.
        colorfulness: Of Hasler and Suesstrunk, signed opponents; mean over frames.
        cdc: Color distribution consistency inside shots, as it is (papers print 1e-3).
        instability: Mean distance in a*b* to the next frame along motion.
        instability_p95: 95th percentile over the frames.
        popping: Mean distance in a*b* to the mean of both neighbors in time, along motion.
        popping_p95: 95th percentile over the frames.
        warping_error: Of Lai et al., R'G'B' in 0..1, squared.
        drift: Distance in a*b* between the first and the last second, cell by cell of a coarse
            grid; of a film the mean over its shots of at least two seconds.
        flicker: Root mean square of a*b* in cells of a coarse grid, for changes below 1 Hz, from 1
            to 4 Hz, above 4 Hz; None of shots under `spectrum.LEAST_FRAMES` frames.
        planes_instability: Instability of the a*b* that the line gave, before it was laid beside
            luma and rounded; None where only pictures are known.
    """

    chroma: float
    colorfulness: float
    cdc: float | None = None
    instability: float | None = None
    instability_p95: float | None = None
    popping: float | None = None
    popping_p95: float | None = None
    warping_error: float | None = None
    drift: float | None = None
    flicker: tuple[float, float, float] | None = None
    planes_instability: float | None = None


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How close to the truth, mean over frames.

    Attributes:
        psnr: dB over R'G'B' of 8 bit; a frame that is equal counts `BEST_PSNR`.
        ssim: Gaussian window of 11 pixels, each channel by itself; None if not taken.
        delta_e: Mean CIEDE2000; None if not taken.
        lpips: Learned distance; None if not taken.
    """

    psnr: float
    ssim: float | None = None
    delta_e: float | None = None
    lpips: float | None = None


def _difference(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _ratio(value: float | None, other: float | None) -> float | None:
    return None if value is None or not other else value / other


@dataclass(frozen=True, slots=True)
class Measures:
    """All numbers of a film, a shot or a track.

    Attributes:
        frames: How many were looked at.
        coverage: Share of the picture in which motion could be followed.
        cdc_gray: CDC of the gray picture; what light and motion alone do.
        color: The coloring.
        truth: The same of the truth, where there is one.
        fidelity: Coloring against truth.
    """

    frames: int
    coverage: float | None
    cdc_gray: float | None
    color: Steadiness
    truth: Steadiness | None = None
    fidelity: Fidelity | None = None

    @property
    def cdc_excess(self) -> float | None:
        """CDC minus that of the truth; 0 is the goal."""
        return _difference(self.color.cdc, None if self.truth is None else self.truth.cdc)

    @property
    def cdc_ratio(self) -> float | None:
        """CDC over that of the gray picture, for films without truth."""
        return _ratio(self.color.cdc, self.cdc_gray)

    @property
    def chroma_fraction(self) -> float | None:
        """Mean chroma over that of the truth."""
        return _ratio(self.color.chroma, None if self.truth is None else self.truth.chroma)

    @property
    def colorfulness_difference(self) -> float | None:
        """|dCF|: colorfulness off the truth's, up or down."""
        true = None if self.truth is None else self.truth.colorfulness
        off = _difference(self.color.colorfulness, true)
        return None if off is None else abs(off)


@dataclass(frozen=True, slots=True)
class ShotReport:
    """A shot.

    Attributes:
        shot: Its number, from 0.
        start: First frame of the film that is in it.
        end: Last frame, itself part of it.
        time: Seconds of the first frame.
        measures: Its numbers.
    """

    shot: int
    start: int
    end: int
    time: float
    measures: Measures


@dataclass(frozen=True, slots=True)
class TrackReport:
    """What lies in the boxes of a track.

    Attributes:
        id: Identity, as in the boxes file.
        label: Class.
        shot: Shot of its first frame.
        start: First frame.
        end: Last frame.
        measures: Numbers of the insides of its boxes; no drift and no flicker.
    """

    id: int
    label: str
    shot: int
    start: int
    end: int
    measures: Measures


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment at which color jumps.

    Attributes:
        frame: Frame that differs from the one before it, counted from 0.
        time: Its seconds.
        shot: Its shot.
        box: xyxy in pixels of the upright frame: where it is worst.
        jump: Mean distance in a*b* to the frame before, in the box, along motion.
        true_jump: The same of the truth, where there is one.
        kind: `flash`: the color comes back in the next frame; `step`: it stays.
        track: Identity of the smallest box of a track around its middle, if any.
        pictures: Small R'G'B' of the frames before, at and after it; not written to JSON.
    """

    frame: int
    time: float
    shot: int
    box: tuple[int, int, int, int]
    jump: float
    true_jump: float | None = None
    kind: str = "step"
    track: int | None = None
    pictures: tuple[Bytes, ...] = field(default=(), compare=False, repr=False)

    @property
    def excess(self) -> float:
        """The jump, less what the truth does there itself."""
        return self.jump - (self.true_jump or 0.0)


@dataclass(frozen=True, slots=True)
class Curves:
    """Values frame by frame; nan where there is none.

    Attributes:
        time: Seconds.
        shot: Number of the shot.
        values: By name: `a`, `b`, `chroma`, `instability` (to the frame before), `popping`; the
            same with `true_` before it; `psnr`.
    """

    time: array[float]
    shot: array[int]
    values: Mapping[str, array[float]]


@dataclass(frozen=True, slots=True)
class FilmReport:
    """Everything that `evaluate_film` found.

    Attributes:
        result: File that was measured.
        truth: File of the truth.
        source: File of the gray film.
        frame_size: `(height, width)` of the film as it is shown: upright, square pixels.
        size: `(height, width)` of the compared pictures, bars left out.
        motion_size: `(height, width)` at which motion was followed.
        bars: Rows above and below, columns left and right that were left out, upright pixels.
        flow: How motion was found.
        film: Numbers of the whole.
        shots: Of each shot.
        tracks: Of each track.
        worst: Moments of flicker, worst first.
        curves: Values frame by frame.
    """

    result: str
    truth: str | None
    source: str | None
    frame_size: tuple[int, int]
    size: tuple[int, int]
    motion_size: tuple[int, int]
    bars: tuple[int, int, int, int]
    flow: str
    film: Measures
    shots: tuple[ShotReport, ...]
    tracks: tuple[TrackReport, ...]
    worst: tuple[Moment, ...]
    curves: Curves

    def to_json(self) -> str:
        """All of it as JSON; numbers that are not there are null."""
        return json.dumps(_plain(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_table(self) -> str:
        """Text for people: film, shots, tracks, worst moments."""
        from vidcolor.evaluate.table import report_table

        return report_table(self)


_DERIVED = ("cdc_excess", "cdc_ratio", "chroma_fraction", "colorfulness_difference")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        named = {f.name: getattr(value, f.name) for f in fields(value) if f.name != "pictures"}
        if isinstance(value, Measures):
            named |= {name: getattr(value, name) for name in _DERIVED}
        return {name: _plain(one) for name, one in named.items()}
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, tuple | array):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return round(value, 9) if math.isfinite(value) else None
    return value
