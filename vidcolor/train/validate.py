"""How good is the color, on pictures that training never saw.

Everything is measured at one size, on L* of the true picture: what a network adds is color only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.color.lab import lab_to_rgb, rgb_to_lab
from vidcolor.color.measure import BEST_PSNR, Comparison, Level, psnr
from vidcolor.errors import MediaError
from vidcolor.models.registry import ModelSpec
from vidcolor.records import Rois
from vidcolor.train.measured import (
    Boxes,
    ColorPictures,
    Shown,
    groups,
    planes,
    rois_of,
    show,
)

__all__ = ["Scores", "color_picture", "evaluating", "validate"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over pictures, each counting the same.

    With boxes and a network that uses them, the colored picture is that with instances.

    Attributes:
        psnr: dB of the colored picture against the true one, RGB rounded to 8 bit.
        psnr_gray: The same without any color.
        chroma: Mean |a*b*| predicted.
        chroma_true: Mean |a*b*| of the true pictures.
        picture: The costly scores of whole pictures, where asked for. Its rows: "uncolored";
            "colored", without instances; "instances", with them, where there are boxes and the
            network uses them.
        instance: The same inside the boxes, each counting the same.
    """

    psnr: float
    psnr_gray: float
    chroma: float
    chroma_true: float
    picture: Level | None = None
    instance: Level | None = None

    @property
    def gain(self) -> float:
        """dB over the uncolored picture."""
        return self.psnr - self.psnr_gray

    @property
    def summary(self) -> str:
        """A line for people."""
        return (
            f"PSNR {self.psnr:.2f} dB ({self.gain:+.2f} over gray), "
            f"chroma {self.chroma:.1f} of {self.chroma_true:.1f}"
        )


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode; each part goes back to its own, for frozen ones are not in training."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


class _Group:
    """Pictures of one size and what a network makes of them.

    Args:
        model: The network, in evaluation mode.
        group: The pictures.
        dtype: Precision of the convolutions.
    """

    def __init__(self, model: nn.Module, group: list[Shown], dtype: torch.dtype) -> None:
        self.model = model
        self.dtype = dtype
        lab = rgb_to_lab(planes([one.rgb for one in group]))
        self.lightness, self.true_ab = lab[:, :1], lab[:, 1:]
        squares = [one.squashed for one in group if one.squashed is not None]
        self.seen = rgb_to_lab(planes(squares))[:, :1] if squares else self.lightness
        self.rois = rois_of(group)

    def color(self, rois: Rois | None) -> Tensor:
        """(N, 2, H, W) float32 a*b* on the CPU, at the measured size."""
        first = next(self.model.parameters(), None)
        device = torch.device("cpu") if first is None else first.device
        seen = self.seen.to(device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
            ab = self.model(seen) if rois is None else self.model(seen, rois.to(device))
        size = self.lightness.shape[2:]
        return F.interpolate(ab.float().cpu(), size=size, mode="bilinear", align_corners=False)

    def render(self, ab: Tensor) -> npt.NDArray[np.uint8]:
        """(N, H, W, 3) uint8 RGB of (N, 2, H, W) or (1, 2, 1, 1) a*b* under the true L*."""
        ab = ab.expand(len(self.lightness), 2, *self.lightness.shape[2:])
        rgb = lab_to_rgb(torch.cat((self.lightness, ab), 1)).clamp(0, 1)
        return np.ascontiguousarray((rgb * 255).round().byte().permute(0, 2, 3, 1).numpy())


def _usable(model: nn.Module, spec: ModelSpec | None) -> ModelSpec | None:
    """`spec` without what this network was not made with."""
    if spec is None or getattr(model, "uses_rois", True):
        return spec
    return replace(spec, rois=False)


@torch.inference_mode()
def color_picture(
    model: nn.Module,
    rgb: npt.NDArray[np.uint8],
    short_side: int,
    spec: ModelSpec | None = None,
    boxes: npt.NDArray[Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A picture as `validate` sees it, for people to see.

    Args:
        model: As for `validate`, like the rest.
        rgb: (H, W, 3) uint8; its L* is colored.
        short_side: See `measured_size`.
        spec: What the network can use.
        boxes: (K, 4) xyxy in pixels of `rgb`: instances for a network that uses them.
        dtype: Precision of the convolutions.

    Returns:
        The given picture and the colored one, (h, w, 3) uint8 RGB at the measured size.
    """
    shown = show(rgb, boxes, short_side, _usable(model, spec))
    with evaluating(model):
        group = _Group(model, [shown], dtype)
        return shown.rgb, group.render(group.color(group.rois))[0]


@torch.inference_mode()
def validate(
    model: nn.Module,
    pictures: ColorPictures,
    short_side: int,
    limit: int | None = None,
    *,
    spec: ModelSpec | None = None,
    boxes: Boxes | None = None,
    most_boxes: int = 8,
    detail: bool = False,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 16,
) -> Scores:
    """Color the Lab lightness of whole pictures and compare.

    Args:
        model: Colorizer, called on the device where its parameters lie; its mode is restored.
        pictures: Color pictures.
        short_side: Size at which everything happens, in pixels; see `measured_size`.
        limit: How many pictures at most.
        spec: What the network can use; without it, it gets pictures of kept aspect, sides
            multiples of 32, and no instances.
        boxes: Tells the boxes of a picture. The network gets close-ups of them, if it uses any.
        most_boxes: Only so many of each picture count.
        detail: Measure SSIM, CIEDE2000, colorfulness and the instance level too: several times
            the work.
        dtype: Precision of the convolutions.
        batch_size: Pictures of one size that are colored at once; changes no result.

    Raises:
        MediaError: If there is no picture, or one cannot be read.
    """
    count = len(pictures) if limit is None else min(len(pictures), limit)
    if count < 1:
        raise MediaError("no pictures to measure; give shards that hold some")

    def given(number: int) -> npt.NDArray[Any] | None:
        found = None if boxes is None else boxes(number)
        return None if found is None else found[:most_boxes]

    spec = _usable(model, spec)
    # a row for instances stands for all pictures, those without any box included
    fuses = boxes is not None and spec is not None and spec.rois
    shown = (show(pictures.rgb(n), given(n), short_side, spec) for n in range(count))
    comparison = Comparison()
    rows: list[list[float]] = []
    with evaluating(model):
        for parts in groups(shown, batch_size):
            group = _Group(model, parts, dtype)
            ab = group.color(group.rois)
            colored, gray = group.render(ab), group.render(ab.new_zeros(1, 2, 1, 1))
            for i, one in enumerate(parts):
                decibels = (min(psnr(x[i], one.rgb), BEST_PSNR) for x in (colored, gray))
                chromas = (float(torch.hypot(x[i, 0], x[i, 1]).mean()) for x in (ab, group.true_ab))
                rows.append([*decibels, *chromas])
            if not detail:
                continue
            colorings = {"uncolored": gray}
            alone = colored if group.rois is None else group.render(group.color(None))
            colorings["colored"] = alone
            if fuses:
                colorings["instances"] = colored
            for i, one in enumerate(parts):
                comparison.add(one.rgb, {k: v[i] for k, v in colorings.items()}, one.boxes)
    means = [float(column) for column in np.mean(rows, axis=0)]
    return Scores(means[0], means[1], means[2], means[3], comparison.picture, comparison.instance)
