"""Curves of an evaluation over time, as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.evaluate.records import FilmReport
from vidcolor.evaluate.table import counted
from vidcolor.ops.draw import INK, Bytes, Color, paper, text_width, write

__all__ = ["draw_plot"]

Floats = npt.NDArray[np.float64]

_WIDTH = 1400
_PANEL = 190
_LEFT, _RIGHT, _TOP, _GAP, _FOOT = 66, 20, 46, 34, 34
_GRID: Color = (228, 228, 228)
_CUT: Color = (150, 150, 150)
_RED: Color = (205, 45, 45)
_BLUE: Color = (35, 90, 200)
_AMBER: Color = (225, 150, 20)
_GREEN: Color = (30, 140, 70)
_PALE: Color = (165, 165, 175)
_LEAST_LABEL = 30  # pixels of a shot whose number is written
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class _Curve:
    """A line of a panel: its name there, its values, its color, and whether it is a truth's."""

    name: str
    key: str
    color: Color
    thin: bool = False


@dataclass(frozen=True, slots=True)
class _Panel:
    """Curves with a common scale.

    Attributes:
        title: What they are.
        curves: Those of a truth first, so that they lie below.
        base: A value that the scale must show.
        least: Its range at least, so that noise does not fill the panel.
    """

    title: str
    curves: tuple[_Curve, ...]
    base: float | None = 0.0
    least: float = 0.0


_PANELS = (
    _Panel(
        "change along motion, a*b*: to the frame before, and off both neighbors (popping)",
        (
            _Curve("instability, truth", "true_instability", _PALE),
            _Curve("popping", "popping", _AMBER),
            _Curve("instability", "instability", _RED),
        ),
    ),
    _Panel(
        "mean a* and b* of the frame (thin: truth)",
        (
            _Curve("a*, truth", "true_a", _RED, thin=True),
            _Curve("b*, truth", "true_b", _BLUE, thin=True),
            _Curve("a*", "a", _RED),
            _Curve("b*", "b", _BLUE),
        ),
        base=None,
        least=4.0,
    ),
    _Panel(
        "mean chroma, a*b*",
        (_Curve("truth", "true_chroma", _PALE), _Curve("result", "chroma", _GREEN)),
    ),
    _Panel("PSNR, dB", (_Curve("PSNR", "psnr", _BLUE),), base=None, least=1.0),
)


def draw_plot(report: FilmReport) -> Bytes:
    """Instability, mean color, chroma and, with a truth, PSNR over time.

    Shots are divided by gray lines, the worst moments are marked by ticks. Where a column of the
    picture stands for several frames, it shows the range of their values.

    Returns:
        (H, W, 3) uint8 R'G'B'.
    """
    values = report.curves.values
    panels = [p for p in _PANELS if any(curve.key in values for curve in p.curves)]
    height = _TOP + len(panels) * (_PANEL + _GAP) + _FOOT
    picture = paper(height, _WIDTH)
    head = f"{Path(report.result).name}: {counted(report)}"
    write(picture, head, _LEFT, 22, scale=0.55)
    time = np.asarray(report.curves.time, np.float64)
    for number, panel in enumerate(panels):
        top = _TOP + _GAP // 2 + number * (_PANEL + _GAP)
        _draw_panel(picture, top, panel, report, time)
    _draw_clock(picture, height - _FOOT - _GAP // 2, time)
    return picture


def _columns(moments: Any, time: Floats) -> Any:
    """Pixels of moments of a film whose frames are at `time`."""
    span = max(float(time[-1] - time[0]), 1e-6)
    return _LEFT + (moments - time[0]) / span * (_WIDTH - _LEFT - _RIGHT - 1)


def _ticks(low: float, high: float, count: int) -> list[float]:
    raw = max(high - low, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in _STEPS if s * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _draw_panel(picture: Bytes, top: int, panel: _Panel, report: FilmReport, time: Floats) -> None:
    curves = [
        (curve, np.asarray(report.curves.values[curve.key], np.float64))
        for curve in panel.curves
        if curve.key in report.curves.values
    ]
    there = np.concatenate([values[np.isfinite(values)] for _, values in curves])
    low, high = (float(there.min()), float(there.max())) if len(there) else (0.0, 1.0)
    if panel.base is not None:
        low, high = min(low, panel.base), max(high, panel.base)
    missing = max(0.0, panel.least - (high - low)) / 2
    low, high = low - missing, high + missing
    margin = 0.05 * (high - low) or 0.5
    low, high = (low if low == panel.base else low - margin), high + margin
    bottom = top + _PANEL

    def row(value: Any) -> Any:
        return bottom - (value - low) / (high - low) * _PANEL

    for tick in _ticks(low, high, 5):
        y = round(row(tick))
        cv2.line(picture, (_LEFT, y), (_WIDTH - _RIGHT, y), _GRID, 1)
        label = f"{tick:g}"
        write(picture, label, _LEFT - 8 - text_width(label, 0.4), y + 4, scale=0.4)
    _draw_shots(picture, top, bottom, report, time)
    cuts = np.flatnonzero(np.diff(np.asarray(report.curves.shot))) + 1
    for curve, values in curves:
        places = _columns(time, time)
        for part in np.split(np.arange(len(time)), cuts):
            _draw_curve(picture, places[part], row(values[part]), curve)
    cv2.rectangle(picture, (_LEFT, top), (_WIDTH - _RIGHT, bottom), _CUT, 1)
    write(picture, panel.title, _LEFT, top - 6)
    left = _WIDTH - _RIGHT
    for curve, _ in curves:
        left -= text_width(curve.name) + 34
        cv2.line(picture, (left, top - 10), (left + 18, top - 10), curve.color,
                 1 if curve.thin else 2)  # fmt: skip
        write(picture, curve.name, left + 22, top - 6)


def _draw_shots(picture: Bytes, top: int, bottom: int, report: FilmReport, time: Floats) -> None:
    places = [round(_columns(shot.time, time)) for shot in report.shots]
    ends = [*places[1:], _WIDTH - _RIGHT]
    for shot, left, right in zip(report.shots, places, ends, strict=True):
        if shot.start:
            cv2.line(picture, (left, top), (left, bottom), _CUT, 1)
        if len(places) > 1 and right - left >= _LEAST_LABEL:
            write(picture, str(shot.shot), left + 4, bottom - 5, _CUT, 0.4)
    for moment in report.worst:
        x = round(_columns(moment.time, time))
        cv2.line(picture, (x, top), (x, top + 7), INK, 1)


def _draw_curve(picture: Bytes, x: Floats, y: Floats, curve: _Curve) -> None:
    width = 1 if curve.thin else 2
    finite = np.isfinite(y)
    # stretches without gaps
    edges = np.flatnonzero(np.diff(finite.astype(np.int8))) + 1
    for part in np.split(np.arange(len(y)), edges):
        if not finite[part[0]]:
            continue
        points = _thinned(x[part], y[part])
        if len(points) == 1:
            cv2.circle(picture, (int(points[0][0]), int(points[0][1])), 1, curve.color, -1)
        fine = np.rint(points * 8).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(picture, [fine], False, curve.color, width, cv2.LINE_AA, shift=3)


def _thinned(x: Floats, y: Floats) -> Floats:
    """At most three points a pixel column: the first and both ends of the range."""
    if len(x) <= 3 * _WIDTH:
        return np.column_stack((x, y))
    columns = np.rint(x).astype(np.int64)
    starts = np.flatnonzero(np.diff(columns, prepend=columns[0] - 1))
    lows, highs = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    place = columns[starts].astype(np.float64)
    points = np.stack((np.column_stack((place, y[starts])), np.column_stack((place, lows)),
                       np.column_stack((place, highs))), axis=1)  # fmt: skip
    return points.reshape(-1, 2)


def _draw_clock(picture: Bytes, base: int, time: Floats) -> None:
    ticks: Sequence[float] = _ticks(float(time[0]), float(time[-1]), 10)
    for tick in ticks:
        x = round(_columns(tick, time))
        minutes, rest = divmod(tick, 60)
        label = f"{int(minutes)}:{rest:04.1f}" if ticks[-1] >= 60 else f"{tick:g} s"
        cv2.line(picture, (x, base), (x, base + 5), INK, 1)
        left = min(x - text_width(label, 0.4) // 2, _WIDTH - text_width(label, 0.4) - 2)
        write(picture, label, left, base + 20, scale=0.4)
