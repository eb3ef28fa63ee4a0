"""How close a filled picture comes to the true one: as a whole, and in its holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidcolor.color.measure import BEST_PSNR, psnr, ssim_map
from vidcolor.color.measure.catalog import Measure as Distance
from vidcolor.color.measure.pictures import SSIM_WINDOW

__all__ = ["MEASURES", "SECONDS", "Measure", "measures_of", "score"]

Bytes = npt.NDArray[np.uint8]
Hole = npt.NDArray[np.bool_]

SECONDS = "seconds"


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured of a filled picture.

    Attributes:
        name: In files.
        metric: l1, psnr, ssim or lpips.
        title: Over its table.
        unit: Of what is printed.
        better: Which way is better.
        decimals: That are printed.
        raw: Of the raw answer; else of the composite, which is the true picture outside of holes.
    """

    name: str
    metric: str
    title: str
    unit: str
    better: Literal["higher", "lower"]
    decimals: int
    raw: bool = False


MEASURES: tuple[Measure, ...] = (
    Measure("hole_l1", "l1", "L1 in holes", "%", "lower", 2),
    Measure("hole_psnr", "psnr", "PSNR in holes", "dB", "higher", 2),
    Measure("hole_ssim", "ssim", "SSIM in holes", "", "higher", 3),
    Measure("l1", "l1", "L1 of the composite", "%", "lower", 2),
    Measure("psnr", "psnr", "PSNR of the composite", "dB", "higher", 2),
    Measure("ssim", "ssim", "SSIM of the composite", "", "higher", 3),
    Measure("lpips", "lpips", "LPIPS of the composite", "", "lower", 3),
    Measure("raw_l1", "l1", "L1 of the raw answer", "%", "lower", 2, True),
    Measure("raw_psnr", "psnr", "PSNR of the raw answer", "dB", "higher", 2, True),
    Measure("raw_ssim", "ssim", "SSIM of the raw answer", "", "higher", 3, True),
    Measure("raw_hole_ssim", "ssim", "SSIM in holes of the raw answer", "", "higher", 3, True),
    Measure("raw_lpips", "lpips", "LPIPS of the raw answer", "", "lower", 3, True),
)
"""All there are; L1 and PSNR in holes are the same for raw answer and composite."""


def measures_of(metrics: Sequence[str]) -> tuple[Measure, ...]:
    """The measures of some metrics."""
    return tuple(one for one in MEASURES if one.metric in metrics)


def _l1(pred: Bytes, truth: Bytes) -> float:
    """Mean absolute difference in percent of the range."""
    apart = np.abs(pred.astype(np.int32) - truth)
    return float(np.mean(apart, dtype=np.float64)) * 100 / 255


def score(
    truth: Bytes, raw: Bytes, hole: Hole, metrics: Sequence[str], lpips: Distance | None = None
) -> dict[str, float]:
    """Measure one filled picture.

    Args:
        truth: (H, W, C) uint8.
        raw: The same shape: what the method answered.
        hole: (H, W) bool, some of it true.
        metrics: Of l1, psnr, ssim, lpips.
        lpips: Measures LPIPS of (H, W, 3) pictures; needed where that is asked for.

    Returns:
        Values by the names of `MEASURES`; PSNR at most `BEST_PSNR`.
    """
    mixed = np.where(hole[..., None], raw, truth)
    found: dict[str, float] = {}
    if "l1" in metrics:
        found["hole_l1"] = _l1(raw[hole], truth[hole])
        found |= {"l1": _l1(mixed, truth), "raw_l1": _l1(raw, truth)}
    if "psnr" in metrics:
        pairs = {"hole_psnr": (raw[hole], truth[hole]), "psnr": (mixed, truth)}
        pairs["raw_psnr"] = (raw, truth)
        found |= {name: min(psnr(*pair), BEST_PSNR) for name, pair in pairs.items()}
    # what is equal is measured once
    same = np.array_equal(mixed, raw)
    if "ssim" in metrics:
        found |= _similarity(mixed, truth, hole, "")
        own = found if same else _similarity(raw, truth, hole, "raw_")
        found["raw_ssim"] = own["ssim" if same else "raw_ssim"]
        found["raw_hole_ssim"] = own["hole_ssim" if same else "raw_hole_ssim"]
    if "lpips" in metrics:
        assert lpips is not None
        found["lpips"] = lpips(_rgb(mixed), _rgb(truth))
        found["raw_lpips"] = found["lpips"] if same else lpips(_rgb(raw), _rgb(truth))
    return found


def _similarity(pred: Bytes, truth: Bytes, hole: Hole, prefix: str) -> dict[str, float]:
    """SSIM where the window lies inside, and over the pixels of holes, also at the border."""
    near: npt.NDArray[Any] = ssim_map(pred, truth)
    inside = slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2))
    return {
        f"{prefix}ssim": float(near[inside, inside].mean()),
        f"{prefix}hole_ssim": float(near[hole].mean()),
    }


def _rgb(picture: Bytes) -> Bytes:
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
