"""Gathers the numbers of colorings: over a film, over a shot, inside the boxes of a track."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.color.measure import (
    BEST_PSNR,
    Consistency,
    LabPicture,
    Perceptual,
    chroma_instability,
    colorfulness,
    delta_e_2000,
    histograms,
    mean_chroma,
    psnr,
    ssim,
    warping_error,
)
from vidcolor.color.measure.pictures import SSIM_WINDOW
from vidcolor.evaluate.motion import Change, Picture
from vidcolor.evaluate.records import Fidelity, Measures, Steadiness
from vidcolor.evaluate.spectrum import Drift, Spectrum, coarse

__all__ = ["Detail", "Group", "Region"]

Floats = npt.NDArray[np.floating[Any]]
Bytes = npt.NDArray[np.uint8]
Slices = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the frame, on both grids.

    Attributes:
        full: Rows and columns of the compared pictures.
        small: Rows and columns at the size of motion.
    """

    full: Slices = (slice(None), slice(None))
    small: Slices = (slice(None), slice(None))


@dataclass(frozen=True, slots=True, eq=False)
class Detail:
    """What is expensive about a frame, made once for all regions.

    Attributes:
        delta_e: (H, W) CIEDE2000 of each coloring against the truth, by name.
    """

    delta_e: Mapping[str, Floats]

    @classmethod
    def of(cls, pictures: Mapping[str, Picture], truth: str) -> Detail:
        """Compare all colorings with the one that is true."""
        target = LabPicture.of(pictures[truth].rgb).lab
        return cls(
            {
                name: delta_e_2000(LabPicture.of(picture.rgb).lab, target)
                for name, picture in pictures.items()
                if name != truth
            }
        )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _high(values: Sequence[float]) -> float | None:
    return float(np.percentile(values, 95)) if len(values) else None


class _Gauge:
    """What was measured of one coloring in one region."""

    def __init__(self) -> None:
        self.consistency = Consistency()
        self.chroma, self.colorfulness = array("d"), array("d")
        self.instability, self.popping, self.warping = array("d"), array("d"), array("d")
        self.planes = array("d")
        self.psnr, self.ssim = array("d"), array("d")
        self.delta_e, self.lpips = array("d"), array("d")
        self.drift = Drift()
        self.drifts = array("d")
        self.spectrum = Spectrum()

    def merge(self, other: _Gauge) -> None:
        self.consistency.merge(other.consistency)
        self.spectrum.merge(other.spectrum)
        for name in (
            "chroma", "colorfulness", "instability", "popping", "warping", "psnr", "ssim",
            "delta_e", "lpips", "drifts", "planes",
        ):  # fmt: skip
            getattr(self, name).extend(getattr(other, name))

    def steadiness(self) -> Steadiness:
        cdc = self.consistency.value()
        return Steadiness(
            chroma=float(np.mean(self.chroma)),
            colorfulness=float(np.mean(self.colorfulness)),
            cdc=None if np.isnan(cdc) else cdc,
            instability=_mean(self.instability),
            instability_p95=_high(self.instability),
            popping=_mean(self.popping),
            popping_p95=_high(self.popping),
            warping_error=_mean(self.warping),
            drift=_mean(self.drifts),
            flicker=self.spectrum.value(),
            planes_instability=_mean(self.planes),
        )

    def fidelity(self) -> Fidelity | None:
        decibels = _mean(self.psnr)
        if decibels is None:
            return None
        return Fidelity(decibels, _mean(self.ssim), _mean(self.delta_e), _mean(self.lpips))


class Group:
    """Numbers of colorings in a film, a shot, or the boxes of a track.

    Memory: some numbers a frame, four histograms, a second of coarse color.

    Args:
        names: Of the colorings.
        truth: Which of them is true, if one is.
        whole: Drift and flicker are measured too: the region is the same in every frame.
        perceptual: LPIPS, if it is wanted.
    """

    def __init__(
        self,
        names: Sequence[str],
        truth: str | None = None,
        *,
        whole: bool = True,
        perceptual: Perceptual | None = None,
    ) -> None:
        self._truth = truth
        self._whole = whole
        self._perceptual = perceptual
        self._gauges = {name: _Gauge() for name in names}
        self._gray = Consistency()
        self._coverage = array("d")
        self.frames = 0

    def frame(
        self,
        time: float,
        pictures: Mapping[str, Picture],
        gray: Bytes,
        region: Region,
        detail: Detail | None,
    ) -> dict[str, float]:
        """Take a frame.

        Args:
            time: Its seconds.
            pictures: Its colorings.
            gray: (H, W) uint8 of the gray picture, at the compared size.
            region: The part that counts.
            detail: Given if SSIM, CIEDE2000 and LPIPS are to be taken of this frame.

        Returns:
            PSNR in dB by name.
        """
        self.frames += 1
        self._gray.push(histograms(gray[region.full]))
        target = None if self._truth is None else pictures[self._truth].rgb[region.full]
        decibels = {}
        for name, gauge in self._gauges.items():
            picture = pictures[name]
            rgb, ab = picture.rgb[region.full], picture.ab[region.small]
            gauge.consistency.push(histograms(rgb))
            gauge.chroma.append(mean_chroma(ab))
            gauge.colorfulness.append(colorfulness(rgb))
            if self._whole:
                cells = coarse(ab)
                gauge.drift.push(time, cells)
                gauge.spectrum.push(time, cells)
            if target is None or name == self._truth:
                continue
            decibels[name] = min(psnr(rgb, target), BEST_PSNR)
            gauge.psnr.append(decibels[name])
            if detail is None:
                continue
            gauge.delta_e.append(float(np.mean(detail.delta_e[name][region.full], dtype=float)))
            if min(rgb.shape[:2]) >= SSIM_WINDOW:
                gauge.ssim.append(ssim(rgb, target))
                if self._perceptual is not None:
                    gauge.lpips.append(self._perceptual(rgb, target))
        return decibels

    def change(
        self, changes: Mapping[str, Change], region: Region
    ) -> dict[str, tuple[float, float | None]]:
        """Take what the neighbors of the frame before say of it.

        Args:
            changes: By name of the coloring.
            region: The part of the frame *before* that counts.

        Returns:
            Instability, and popping where it is known, by name.
        """
        part = region.small
        values = {}
        for number, (name, gauge) in enumerate(self._gauges.items()):
            change = changes[name]
            ab, seen = change.here.ab[part], change.seen[part]
            jump = chroma_instability(ab, change.ab[part], seen)
            gauge.instability.append(jump)
            if seen.any():
                gauge.warping.append(
                    warping_error(change.here.small[part], change.small[part], seen)
                )
            pop = None
            if change.between is not None and change.seen_both is not None:
                pop = chroma_instability(ab, change.between[part], change.seen_both[part])
                gauge.popping.append(pop)
            if change.planes is not None and change.here.planes is not None:
                given = change.here.planes[part]
                gauge.planes.append(chroma_instability(given, change.planes[part], seen))
            if number == 0:
                self._coverage.append(float(np.mean(seen)))
            values[name] = jump, pop
        return values

    def cut(self) -> None:
        """What follows is not compared with what was: a shot ends, or a track was away."""
        self._gray.cut()
        for gauge in self._gauges.values():
            gauge.consistency.cut()
            gauge.spectrum.cut()
            drift = gauge.drift.value()
            gauge.drift = Drift()
            if drift is not None:
                gauge.drifts.append(drift)

    def merge(self, other: Group) -> None:
        """Take over what was found in a shot that has ended."""
        self.frames += other.frames
        self._gray.merge(other._gray)
        self._coverage.extend(other._coverage)
        for name, gauge in self._gauges.items():
            gauge.merge(other._gauges[name])

    def measures(self, name: str) -> Measures:
        """The numbers of one coloring."""
        gray = self._gray.value()
        true = None if self._truth is None else self._gauges[self._truth].steadiness()
        return Measures(
            frames=self.frames,
            coverage=_mean(self._coverage),
            cdc_gray=None if np.isnan(gray) else gray,
            color=self._gauges[name].steadiness(),
            truth=true,
            fidelity=self._gauges[name].fidelity(),
        )
