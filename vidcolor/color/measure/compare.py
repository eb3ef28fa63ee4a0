"""Several colorings of the same pictures against the truth, whole and inside boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.color.lab import rgb_to_lab
from vidcolor.color.measure.pictures import (
    BEST_PSNR,
    SSIM_WINDOW,
    colorfulness,
    colorfulness_difference,
    delta_e_2000,
    mean_chroma,
    psnr,
    ssim,
)

__all__ = ["BEST_PSNR", "Comparison", "LabPicture", "Level", "Perceptual", "Quality"]

Array = npt.NDArray[Any]
Perceptual = Callable[[Array, Array], float]
"""Measures (H, W, 3) uint8 RGB against the true picture of the same size."""


@dataclass(frozen=True, slots=True)
class LabPicture:
    """A picture in both color spaces; slices like an array.

    Attributes:
        rgb: (H, W, 3) uint8.
        lab: (H, W, 3) float32 L*a*b* of it.
    """

    rgb: Array
    lab: Array

    @classmethod
    def of(cls, rgb: Array) -> LabPicture:
        """Of (H, W, 3) uint8 RGB.

        Raises:
            ValueError: If it is anything else.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"a picture is uint8 (H, W, 3), not {rgb.dtype} {rgb.shape}")
        planes = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float() / 255
        return cls(rgb, rgb_to_lab(planes)[0].permute(1, 2, 0).numpy())

    def __getitem__(self, part: tuple[slice, slice]) -> LabPicture:
        return LabPicture(self.rgb[part], self.lab[part])


@dataclass(frozen=True, slots=True)
class Quality:
    """How close to the truth; of one picture, or the mean over a set.

    Attributes:
        psnr: dB over RGB of 8 bit; at most `BEST_PSNR`.
        ssim: Structural similarity, mean of the three channels.
        delta_e: Mean CIEDE2000 over the pixels.
        colorfulness_difference: Colorfulness minus that of the truth, see
            `pictures.colorfulness_difference`.
        chroma: Mean |a*b*|.
        lpips: Learned perceptual distance, where somebody measured it.
        more: Other metrics that were asked for, by name.
    """

    psnr: float
    ssim: float
    delta_e: float
    colorfulness_difference: float
    chroma: float
    lpips: float | None = None
    more: Mapping[str, float] = field(default_factory=dict, hash=False)

    @classmethod
    def between(
        cls,
        pred: LabPicture,
        target: LabPicture,
        perceptual: Perceptual | None = None,
        metrics: Mapping[str, Perceptual] | None = None,
    ) -> Quality:
        """Measure one picture.

        Args:
            pred: The picture.
            target: The truth, of the same size.
            perceptual: `perceptual.Lpips`, if that is wanted.
            metrics: What else is wanted, by name: for `more`.
        """
        return cls(
            psnr=min(psnr(pred.rgb, target.rgb), BEST_PSNR),
            ssim=ssim(pred.rgb, target.rgb),
            delta_e=float(np.mean(delta_e_2000(pred.lab, target.lab), dtype=np.float64)),
            colorfulness_difference=colorfulness_difference(pred.rgb, target.rgb),
            chroma=mean_chroma(pred.lab[..., 1:]),
            lpips=None if perceptual is None else perceptual(pred.rgb, target.rgb),
            more={name: of(pred.rgb, target.rgb) for name, of in (metrics or {}).items()},
        )

    @classmethod
    def mean(cls, parts: list[Quality]) -> Quality:
        """Mean over pictures, each counting the same."""
        own = [f.name for f in fields(cls) if f.name != "more"]
        columns = {name: [getattr(part, name) for part in parts] for name in own}
        means: dict[str, Any] = {
            name: None if None in column else float(np.mean(column))
            for name, column in columns.items()
        }
        more = {name: float(np.mean([part.more[name] for part in parts])) for name in parts[0].more}
        return cls(**means, more=more)

    def values(self) -> dict[str, float]:
        """Everything that was measured, by the names that `catalog.METRICS` has."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "more"}
        return {name: value for name, value in own.items() if value is not None} | dict(self.more)


@dataclass(frozen=True, slots=True)
class Level:
    """Means over the pictures of a set, or over all instances in them.

    Attributes:
        count: Pictures or instances.
        chroma: Mean |a*b*| of the truth.
        colorfulness: Mean colorfulness of the truth.
        rows: Quality by the name of the coloring.
    """

    count: int
    chroma: float
    colorfulness: float
    rows: dict[str, Quality]

    def gain(self, name: str, over: str = "uncolored") -> float:
        """dB that one coloring has over another."""
        return self.rows[name].psnr - self.rows[over].psnr

    def chroma_share(self, name: str) -> float:
        """Mean chroma of a coloring, as a part of the truth's."""
        return self.rows[name].chroma / self.chroma


@dataclass(slots=True)
class _Column:
    """What was measured so far at one level."""

    chroma: list[float] = field(default_factory=list)
    colorfulness: list[float] = field(default_factory=list)
    rows: dict[str, list[Quality]] = field(default_factory=dict)

    def add(
        self,
        truth: LabPicture,
        colorings: Mapping[str, LabPicture],
        perceptual: Perceptual | None,
        metrics: Mapping[str, Perceptual],
    ) -> None:
        if self.chroma and set(self.rows) != set(colorings):
            raise ValueError(f"colorings are {sorted(self.rows)} so far, not {sorted(colorings)}")
        self.chroma.append(mean_chroma(truth.lab[..., 1:]))
        self.colorfulness.append(colorfulness(truth.rgb))
        for name, coloring in colorings.items():
            quality = Quality.between(coloring, truth, perceptual, metrics)
            self.rows.setdefault(name, []).append(quality)

    def level(self) -> Level | None:
        if not self.chroma:
            return None
        return Level(
            len(self.chroma),
            float(np.mean(self.chroma)),
            float(np.mean(self.colorfulness)),
            {name: Quality.mean(parts) for name, parts in self.rows.items()},
        )


class Comparison:
    """Collects how several colorings of the same pictures compare.

    Args:
        perceptual: `perceptual.Lpips`, if that is wanted too.
        metrics: What else is to be measured, by name: for `Quality.more`, both of pictures and
            inside boxes. `catalog.metric` makes them.

    Raises:
        ValueError: If a name of `metrics` is one that `Quality` has anyhow.
    """

    def __init__(
        self,
        perceptual: Perceptual | None = None,
        metrics: Mapping[str, Perceptual] | None = None,
    ) -> None:
        self._perceptual = perceptual
        self._metrics = dict(metrics or {})
        for name in sorted({f.name for f in fields(Quality)} & set(self._metrics)):
            raise ValueError(f"{name} is measured anyhow and cannot be asked for twice")
        self._picture = _Column()
        self._instance = _Column()

    def add(
        self, truth: Array, colorings: Mapping[str, Array], boxes: npt.ArrayLike | None = None
    ) -> None:
        """Measure one picture.

        Args:
            truth: (H, W, 3) uint8 RGB.
            colorings: The same picture by the name of who colored it; the same names each time.
            boxes: (K, 4) xyxy in its pixels, whose insides are measured as pictures of their own;
                corners are rounded, boxes of less than `SSIM_WINDOW` pixels left out.

        Raises:
            ValueError: If shapes or names do not fit.
        """
        target = LabPicture.of(truth)
        pictures = {name: LabPicture.of(picture) for name, picture in colorings.items()}
        self._picture.add(target, pictures, self._perceptual, self._metrics)
        if boxes is None:
            return
        height, width = truth.shape[:2]
        corners = np.rint(np.asarray(boxes, np.float64).reshape(-1, 4))
        for x0, y0, x1, y1 in np.clip(corners, 0, (width, height) * 2).astype(int):
            if min(x1 - x0, y1 - y0) >= SSIM_WINDOW:
                part = (slice(y0, y1), slice(x0, x1))
                crops = {name: picture[part] for name, picture in pictures.items()}
                self._instance.add(target[part], crops, self._perceptual, self._metrics)

    @property
    def picture(self) -> Level | None:
        """Of whole pictures; None before the first."""
        return self._picture.level()

    @property
    def instance(self) -> Level | None:
        """Of all boxes, each counting the same; None if there was none."""
        return self._instance.level()
