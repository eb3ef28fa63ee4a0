"""The metrics of the field by name: how to print them, which way is better, how to measure them.

`METRICS` says what there is, `metric` gives the function that measures one; what is of a whole
set and not of a picture (`Metric.pooled`) is `vidcolor.color.measure.frechet`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidcolor.color.measure.compare import LabPicture
from vidcolor.color.measure.perceptual import Lpips
from vidcolor.color.measure.pictures import (
    BEST_PSNR,
    colorfulness,
    colorfulness_abs,
    colorfulness_difference,
    delta_e_2000,
    mean_chroma,
    psnr,
    psnr_wrapped,
    ssim,
    ssim_uniform,
)
from vidcolor.errors import ConfigError

__all__ = ["METRICS", "Measure", "Metric", "metric"]

Array = npt.NDArray[Any]
Measure = Callable[[Array, Array], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of pictures.

    Attributes:
        name: By which it is asked for.
        title: Over its column.
        unit: Of its values; empty for a pure number.
        better: "truth": nearest to what the true picture has, which for
            `colorfulness_difference` is 0.
        decimals: That are worth printing.
        of: Measures (H, W, 3) uint8 RGB against the true picture of the same size; finite for
            equal pictures (`BEST_PSNR`), so that means can be taken. None where that needs a
            network, see `metric`, and where it is of a set.
        weights: Name of the weights that it sees through, for `vidcolor weights fetch`.
        pooled: It is of all pictures of a set together and of no single one.
        window: Shortest side in pixels that it can be measured on.
    """

    name: str
    title: str
    unit: str
    better: Literal["higher", "lower", "truth"]
    decimals: int
    of: Measure | None
    weights: str | None = None
    pooled: bool = False
    window: int = 1


def _finite(decibels: Measure) -> Measure:
    def measure(pred: Array, target: Array) -> float:
        return min(decibels(pred, target), BEST_PSNR)

    return measure


def _delta_e(pred: Array, target: Array) -> float:
    difference = delta_e_2000(LabPicture.of(pred).lab, LabPicture.of(target).lab)
    return float(np.mean(difference, dtype=np.float64))


def _of_pred(value: Callable[[Array], float]) -> Measure:
    def measure(pred: Array, target: Array) -> float:
        return value(pred)

    return measure


def _chroma(rgb: Array) -> float:
    return mean_chroma(LabPicture.of(rgb).lab[..., 1:])


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        one.name: one
        for one in (
            Metric("psnr", "PSNR", "dB", "higher", 2, _finite(psnr)),
            Metric(
                "psnr_wrapped", "wrapped uint8 error (no PSNR)", "dB", "higher", 2,
                _finite(psnr_wrapped),
            ),
            Metric("ssim", "SSIM (Gaussian 11)", "", "higher", 4, ssim, window=11),
            Metric("ssim_uniform", "SSIM (uniform 7)", "", "higher", 4, ssim_uniform, window=7),
            Metric("lpips", "LPIPS (AlexNet 0.1)", "", "lower", 4, None, weights="alexnet"),
            Metric("lpips_vgg", "LPIPS (VGG16 0.1)", "", "lower", 4, None, weights="vgg16"),
            Metric("delta_e", "CIEDE2000", "", "lower", 2, _delta_e),
            Metric("colorfulness", "colorfulness", "", "truth", 2, _of_pred(colorfulness)),
            Metric(
                "colorfulness_abs", "colorfulness (absolute opponents)", "", "truth", 2,
                _of_pred(colorfulness_abs),
            ),
            Metric(
                "colorfulness_difference", "colorfulness minus the truth's", "", "truth", 2,
                colorfulness_difference,
            ),
            Metric("chroma", "mean chroma", "a*b*", "truth", 2, _of_pred(_chroma)),
            Metric(
                "fid", "FID", "", "lower", 2, None, weights="inception", pooled=True,
            ),
        )
    }
)  # fmt: skip
"""All there are, in the order in which tables have them."""

_LPIPS: Mapping[str, Literal["alex", "vgg"]] = {"lpips": "alex", "lpips_vgg": "vgg"}


def metric(
    name: str, *, device: str = "cpu", file: Path | None = None, download: bool = False
) -> Measure:
    """The function that measures one metric of a picture; a network is loaded now, not later.

    Args:
        name: One of `METRICS`, and none that is `pooled`.
        device: Where a network runs.
        file: Of the network (`Metric.weights`); without it torch's own cache is looked into.
        download: Let torchvision fetch the network if it is not there.

    Returns:
        Of (H, W, 3) uint8 RGB and the true picture of the same size.

    Raises:
        ConfigError: If there is no such metric, or it is of a set.
        WeightsError: If a package or the file of the network is missing or wrong; the message
            names it and the command that fetches it.
    """
    known = METRICS.get(name)
    if known is None:
        raise ConfigError(f"there is no metric {name!r}; there are {', '.join(METRICS)}")
    if known.pooled:
        raise ConfigError(f"{name} is of a whole set, not of a picture: use Fid")
    if known.of is not None:
        return known.of
    return Lpips(file, network=_LPIPS[name], device=device, download=download)
