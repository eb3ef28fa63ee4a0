"""Slow and fast changes of coarse color: drift through a shot, and flicker by its frequency."""

from __future__ import annotations

from collections import deque
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["BANDS_HZ", "LEAST_FRAMES", "Drift", "Spectrum", "coarse"]

Floats = npt.NDArray[np.floating[Any]]

BANDS_HZ = (1.0, 4.0)
"""Borders of the bands of flicker: eyes forgive what is slower than the first."""
LEAST_FRAMES = 8
_SEGMENT_FRAMES = 64
_CELLS = 8
_ENDS_S = 1.0


def coarse(ab: Floats) -> Floats:
    """(8, 8, 2) means of (h, w, 2) a*b* over cells of the picture."""
    return np.asarray(cv2.resize(ab, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA))


class Drift:
    """How far the coarse color of the last second of a shot is from that of the first.

    Memory: the coarse color of a second.
    """

    def __init__(self) -> None:
        self._first: list[Floats] = []
        self._last: deque[tuple[float, Floats]] = deque()
        self._start: float | None = None

    def push(self, time: float, cells: Floats) -> None:
        """Take a frame: its seconds and its `coarse` color."""
        if self._start is None:
            self._start = time
        if time < self._start + _ENDS_S:
            self._first.append(cells)
        self._last.append((time, cells))
        while self._last[0][0] <= time - _ENDS_S:
            self._last.popleft()

    def value(self) -> float | None:
        """Mean distance over the cells; None if the shot has no two whole seconds."""
        if self._start is None or self._last[0][0] < self._start + _ENDS_S:
            return None
        last = np.mean([cells for _, cells in self._last], axis=0)
        return float(np.linalg.norm(last - np.mean(self._first, axis=0), axis=-1).mean())


class Spectrum:
    """Power of the changes of coarse color, by Welch's method.

    Segments of 64 frames (or of the shot, if it is shorter) overlap by half and are weighed by
    Hann's window; their straight line is taken off first. Memory: one segment.

    Reference: Welch, The use of fast Fourier transform for the estimation of power spectra, IEEE
    Transactions on Audio and Electroacoustics 1967.
    """

    def __init__(self) -> None:
        self._frames: list[Floats] = []
        self._times: list[float] = []
        self._power = np.zeros(3)
        self._weight = 0.0

    def push(self, time: float, cells: Floats) -> None:
        """Take a frame: its seconds and its `coarse` color."""
        self._frames.append(cells)
        self._times.append(time)
        if len(self._frames) == _SEGMENT_FRAMES:
            self._add()
            half = _SEGMENT_FRAMES // 2
            self._frames, self._times = self._frames[half:], self._times[half:]

    def cut(self) -> None:
        """The shot ends."""
        if not self._weight and len(self._frames) >= LEAST_FRAMES:
            self._add()
        self._frames, self._times = [], []

    def merge(self, other: Spectrum) -> None:
        """Take over what was found in a shot."""
        self._power += other._power
        self._weight += other._weight

    def value(self) -> tuple[float, float, float] | None:
        """Root mean square of a*b* in the three bands; None if no shot was long enough."""
        if not self._weight:
            return None
        low, middle, high = np.sqrt(self._power / self._weight)
        return float(low), float(middle), float(high)

    def _add(self) -> None:
        count = len(self._frames)
        values = np.reshape(np.asarray(self._frames, np.float64), (count, -1))
        span = self._times[-1] - self._times[0]
        step = span / (count - 1) if span > 0 else 1.0
        ramp = np.arange(count) - (count - 1) / 2
        slope = ramp @ values / (ramp @ ramp)
        values = values - values.mean(axis=0) - ramp[:, None] * slope
        window = np.hanning(count + 1)[:-1]
        power = np.abs(np.fft.rfft(values * window[:, None], axis=0)) ** 2
        power[1 : (count + 1) // 2] *= 2  # the other half of the spectrum
        power /= count * np.sum(window**2)
        places = np.searchsorted(BANDS_HZ, np.fft.rfftfreq(count, step), side="right")
        # a* and b* are added, cells averaged
        share = power.sum(axis=1) / (values.shape[1] / 2)
        self._power += count * np.bincount(places, share, minlength=3)
        self._weight += count
