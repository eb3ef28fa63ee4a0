"""Pictures as they are measured and as networks get them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidcolor.color.lab import rgb_to_lab
from vidcolor.color.measure import LabPicture
from vidcolor.errors import MediaError
from vidcolor.models.registry import ModelSpec
from vidcolor.records import Rois

__all__ = [
    "Boxes",
    "Closeups",
    "ColorPictures",
    "Shown",
    "groups",
    "mean_ab",
    "measured_size",
    "planes",
    "rois_of",
    "show",
]

Bytes = npt.NDArray[np.uint8]
Boxes = Callable[[int], npt.NDArray[Any] | None]
"""(K, 4) xyxy in pixels of stored picture number so-and-so, most important first, or None."""

_GRID = 32  # pictures are measured at sides that are multiples of it, whatever the network


class ColorPictures(Protocol):
    """Pictures with known color; `io.shards.Pictures` is one."""

    def __len__(self) -> int: ...

    def rgb(self, number: int) -> Bytes:
        """Picture `number`, (H, W, 3) uint8 RGB."""
        ...


def measured_size(
    size: tuple[int, int], short_side: int, spec: ModelSpec | None = None
) -> tuple[int, int]:
    """`(height, width)` at which a picture is measured: near `short_side`, the aspect nearly kept.

    Sides are multiples of 32 and of what a network that keeps the aspect wants, so that networks
    of all kinds are measured on the same pictures.
    """
    grid = math.lcm(_GRID, spec.multiple if spec is not None and spec.square is None else 1)
    scale = short_side / min(size)
    height, width = (max(grid, round(side * scale / grid) * grid) for side in size)
    return height, width


def mean_ab(pictures: ColorPictures, limit: int = 2000, step: int = 4) -> tuple[float, float]:
    """Mean a*b* of a set: the baseline that knows nothing of the picture at hand.

    Args:
        pictures: Those that were learned from.
        limit: So many of them, evenly spaced, are read.
        step: Every `step`-th pixel of every `step`-th row counts.

    Raises:
        MediaError: If there is no picture.
    """
    if len(pictures) == 0:
        raise MediaError("no pictures to take a mean color of; give shards that hold some")
    count = min(len(pictures), limit)
    means = []
    for place in range(count):
        rgb = pictures.rgb(place * len(pictures) // count)[::step, ::step]
        means.append(LabPicture.of(rgb).lab[..., 1:].mean(axis=(0, 1), dtype=np.float64))
    a, b = np.mean(means, axis=0)
    return float(a), float(b)


def _inside(
    boxes: npt.NDArray[Any], size: tuple[int, int]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Boxes cut to a picture, and their corners in whole pixels; empty ones are dropped."""
    height, width = size
    limits = np.array((width, height, width, height), np.float32)
    kept = np.clip(np.asarray(boxes, np.float32).reshape(-1, 4), 0, limits)
    whole = kept.astype(np.int64)
    filled = (whole[:, 2] > whole[:, 0]) & (whole[:, 3] > whole[:, 1])
    return kept[filled], whole[filled]


class Closeups:
    """The insides of boxes as pictures of their own: what an instance phase is measured on.

    Args:
        pictures: Whole pictures.
        boxes: Boxes in them.
        most_boxes: Only the first so many of each picture count.
        least_side: Boxes with a shorter side, in stored pixels, are left out.
    """

    def __init__(
        self, pictures: ColorPictures, boxes: Boxes, most_boxes: int = 8, least_side: int = 32
    ) -> None:
        self._pictures = pictures
        self._places: list[tuple[int, npt.NDArray[Any]]] = []
        for number in range(len(pictures)):
            found = boxes(number)
            for box in [] if found is None else np.asarray(found).reshape(-1, 4)[:most_boxes]:
                if min(box[2] - box[0], box[3] - box[1]) >= least_side:
                    self._places.append((number, box))

    def __len__(self) -> int:
        return len(self._places)

    def rgb(self, number: int) -> Bytes:
        """Close-up `number`, (H, W, 3) uint8 RGB.

        Raises:
            MediaError: If its picture cannot be read or does not hold the box.
        """
        picture, box = self._places[number]
        rgb = self._pictures.rgb(picture)
        _, whole = _inside(box, (rgb.shape[0], rgb.shape[1]))
        if len(whole) == 0:
            raise MediaError(f"box {box.tolist()} lies outside of picture {picture}; look again")
        x0, y0, x1, y1 = whole[0]
        return np.ascontiguousarray(rgb[y0:y1, x0:x1])


def _resize(rgb: Bytes, size: tuple[int, int]) -> Bytes:
    """Averages areas unless the short side grows."""
    grows = min(size) > min(rgb.shape[:2])
    how = cv2.INTER_LINEAR if grows else cv2.INTER_AREA
    return np.asarray(cv2.resize(rgb, size[::-1], interpolation=how), np.uint8)


def planes(pictures: list[Bytes]) -> Tensor:
    """(N, 3, H, W) float32 in 0..1 of (H, W, 3) uint8 pictures of one size."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture as it is measured, and as a network gets it.

    Attributes:
        rgb: (H, W, 3) uint8 at the measured size.
        squashed: (S, S, 3) uint8, for networks that want squares.
        boxes: (K, 4) in pixels of `rgb`, or None if nobody gave any.
        crops: K of (C, C, 3) uint8, for networks that use instances.
    """

    rgb: Bytes
    squashed: Bytes | None
    boxes: npt.NDArray[np.float32] | None
    crops: list[Bytes]


def show(
    rgb: Bytes, boxes: npt.NDArray[Any] | None, short_side: int, spec: ModelSpec | None
) -> Shown:
    """Prepare a picture.

    Args:
        rgb: (H, W, 3) uint8, as stored.
        boxes: (K, 4) xyxy in its pixels; those without any area in it are dropped.
        short_side: See `measured_size`.
        spec: What the network wants; without it, no close-ups are cut.
    """
    height, width = rgb.shape[:2]
    size = measured_size((height, width), short_side, spec)
    squashed = None
    if spec is not None and spec.square is not None:
        side = max(1, round(short_side / spec.multiple)) * spec.multiple
        squashed = _resize(rgb, (side, side))
    small = _resize(rgb, size)
    if boxes is None:
        return Shown(small, squashed, None, [])
    kept, whole = _inside(boxes, (height, width))
    crops = []
    if spec is not None and spec.rois:
        # of the stored picture, as the line cuts them of the film: a close-up shows more
        crops = [_resize(rgb[y0:y1, x0:x1], (spec.crop, spec.crop)) for x0, y0, x1, y1 in whole]
    scale = np.array((size[1] / width, size[0] / height) * 2, np.float32)
    return Shown(small, squashed, kept * scale, crops)


def groups(shown: Iterable[Shown], most: int) -> Iterator[list[Shown]]:
    """Up to `most` pictures of one measured size at a time."""
    waiting: dict[tuple[int, ...], list[Shown]] = {}
    for one in shown:
        group = waiting.setdefault(one.rgb.shape, [])
        group.append(one)
        if len(group) == most:
            yield waiting.pop(one.rgb.shape)
    yield from waiting.values()


def rois_of(group: list[Shown]) -> Rois | None:
    """Close-ups of pictures of one measured size, as a network gets them; None without any."""
    frame = [i for i, one in enumerate(group) for _ in one.crops]
    if not frame:
        return None
    crops = planes([crop for one in group for crop in one.crops])
    boxes = np.concatenate([one.boxes for one in group if one.boxes is not None])
    height, width = group[0].rgb.shape[:2]
    return Rois(
        rgb_to_lab(crops)[:, :1],
        torch.from_numpy(boxes),
        torch.tensor(frame),
        torch.ones(len(frame)),
        (height, width),
    )
