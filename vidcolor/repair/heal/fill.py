"""What fills a hole from its surroundings when no neighbor in time knows what was there."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.repair.heal.crops import (
    Crop,
    components,
    crops,
    picture_window,
    ramp,
    tiles,
    width_px,
)
from vidcolor.repair.records import Hole

__all__ = ["Fill", "NetFill", "NetFillConfig", "TeleaFill", "fill_picture"]

_log = logging.getLogger(__name__)
Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_CLOSED_PX = (6, 14, 30, 46, 78, 142, 270, 526)  # widest gap that n layers close
_SPARE_LAYERS = 2
_RIM_PX = 16
_TELEA_AROUND_PX = 8
_TO_LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # of stills, BT.601 as in JPEG
_TO_CHROMA = np.array((0.564, 0.713), np.float32)
_NEUTRAL = 128.0


class Fill(Protocol):
    """Fills holes of a picture."""

    def __call__(self, gray: Floats, hole: Hole, /) -> Floats:
        """Values for the holes.

        Args:
            gray: (H, W) float32 in cv; what lies in holes does not matter.
            hole: (H, W), true where to fill.

        Returns:
            (H, W) float32 in cv: `gray` where there is no hole.

        Raises:
            GuidanceError: If there is nothing but hole.
        """
        ...


def _refuse_nothing(hole: Hole) -> None:
    if hole.all():
        height, width = hole.shape
        raise GuidanceError(
            f"the hole covers the whole picture ({width}x{height}): nothing is left to fill it "
            "from; expected some undamaged pixels, mark less"
        )


class TeleaFill:
    """The fast marching method: needs no weights.

    Reference: Telea, An Image Inpainting Technique Based on the Fast Marching Method, Journal of
    Graphics Tools 2004 (OpenCV's implementation).

    Args:
        radius_px: Of the neighborhood from which a pixel is filled.
    """

    def __init__(self, radius_px: float = 3.0) -> None:
        self._radius = radius_px

    def __call__(self, gray: Floats, hole: Hole, /) -> Floats:
        """See `Fill`."""
        if not hole.any():
            return gray
        _refuse_nothing(hole)
        result = gray.copy()
        for crop in crops(hole, max(_TELEA_AROUND_PX, int(self._radius) + 1), 1):
            codes = cast(Any, np.clip(np.rint(gray[crop.place] * 256), 0, 65535).astype(np.uint16))
            part = hole[crop.place]
            filled = cv2.inpaint(codes, part.view(np.uint8), self._radius, cv2.INPAINT_TELEA)
            values = np.asarray(filled, np.float32) * np.float32(1 / 256)
            np.copyto(result[crop.place], values, where=part)
        return result


@dataclass(frozen=True, slots=True)
class NetFillConfig:
    """How a network fills holes.

    Attributes:
        context_px: Least surroundings of a hole that the network sees.
        tile_px: Longest side of what it sees at once; more is cut into tiles.
        overlap_px: Of tiles.
        batch: Crops at a time on devices other than the processor.
    """

    context_px: int = 64
    tile_px: int = 512
    overlap_px: int = 64
    batch: int = 4

    def __post_init__(self) -> None:
        if not 8 <= self.context_px <= 1024:
            raise ConfigError(f"context_px must be 8 to 1024, not {self.context_px}")
        if not 128 <= self.tile_px <= 4096:
            raise ConfigError(f"tile_px must be 128 to 4096, not {self.tile_px}")
        if not 16 <= self.overlap_px <= self.tile_px // 2:
            raise ConfigError(
                f"overlap_px must be 16 to half of tile_px ({self.tile_px // 2}), not "
                f"{self.overlap_px}"
            )
        if not 1 <= self.batch <= 64:
            raise ConfigError(f"batch must be 1 to 64, not {self.batch}")


class NetFill:
    """A network fills holes, seeing them with their surroundings only.

    Batches always have the same number of crops (the last are filled up with copies), so that what
    a crop becomes does not depend on which others there are. After running out of memory it goes
    on with half as many.

    Args:
        model: A network of `models.registry.list_inpainters`, in evaluation mode, on `device`.
        device: Where it runs.
        dtype: Precision of its convolutions; float32 is the reference.
        config: Sizes.
    """

    def __init__(
        self,
        model: nn.Module,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        config: NetFillConfig | None = None,
    ) -> None:
        self._model, self._device, self._dtype = model, device, dtype
        self._config = config or NetFillConfig()
        self._multiple = int(cast(int, model.multiple))
        self._batch = 1 if device.type == "cpu" else self._config.batch
        layers = max(1, self._multiple.bit_length() - 1 - _SPARE_LAYERS)
        self._widest = _CLOSED_PX[min(layers, len(_CLOSED_PX)) - 1]
        self._tile = max(1, self._config.tile_px // self._multiple) * self._multiple
        self.channels = int(cast(int, model.channels))

    def __call__(self, gray: Floats, hole: Hole, /) -> Floats:
        """See `Fill`; a network for color sees gray three times, and is averaged."""
        if not hole.any():
            return gray
        planes = np.repeat(gray[None], self.channels, axis=0)
        filled = self.planes(planes, hole).mean(0, dtype=np.float32)
        return np.where(hole, filled, gray)

    def planes(self, planes: Floats, hole: Hole) -> Floats:
        """Fill the planes of a picture together.

        Args:
            planes: (C, H, W) float32 0..255, as many as the network has channels.
            hole: (H, W) bool, for all planes.

        Returns:
            (C, H, W) float32 0..255, as they were outside of the hole.

        Raises:
            GuidanceError: If there is nothing but hole.
            ValueError: If the network has another number of channels.
        """
        if len(planes) != self.channels:
            raise ValueError(f"planes must be ({self.channels}, H, W), not {planes.shape}")
        if not hole.any():
            return planes
        _refuse_nothing(hole)
        beyond = self._beyond(planes, hole)
        planes, rest = planes.copy(), hole.copy()
        for crop, part in components(hole):
            factor = self._factor(part)
            if factor > 1:
                self._coarse(planes, rest, hole | beyond, crop, part, factor)
        return self._native(planes, rest, beyond & ~hole)

    def _beyond(self, planes: Floats, hole: Hole) -> Hole:
        """(H, W) bool: black bars, where no hole lies in them."""
        rows, columns = picture_window(planes.mean(0), hole)
        beyond = np.ones(hole.shape, np.bool_)
        beyond[rows, columns] = False
        return beyond if not (hole & beyond).any() else np.zeros(hole.shape, np.bool_)

    def _factor(self, part: Hole) -> int:
        """By how much a hole has to shrink for the network to close it: a power of 2."""
        factor = 1
        width = width_px(part)
        while width / factor > self._widest:
            factor *= 2
        return factor

    def _coarse(
        self, planes: Floats, rest: Hole, unknown: Hole, crop: Crop, part: Hole, factor: int
    ) -> None:
        """Fill the inside of a large hole from a small picture; its rim stays to be filled."""
        size = part.shape
        context = max(self._config.context_px * factor, 2 * min(size))
        top, left = max(0, crop.top - context), max(0, crop.left - context)
        bottom = min(unknown.shape[0], crop.top + size[0] + context)
        right = min(unknown.shape[1], crop.left + size[1] + context)
        place = slice(top, bottom), slice(left, right)
        small, hole = _shrunk(planes[(slice(None), *place)], unknown[place], factor)
        if hole.all():
            return  # so little is known that it vanishes: the full size has to do
        filled = self._native(small, hole, np.zeros_like(hole))
        large = np.stack(
            [
                cv2.resize(p, (right - left, bottom - top), interpolation=cv2.INTER_CUBIC)
                for p in filled
            ]
        )
        own = np.zeros(unknown.shape, np.bool_)
        own[crop.place] = part
        depth = cv2.distanceTransform(np.pad(own[place], 1).view(np.uint8), cv2.DIST_L2, 5)
        inside = np.asarray(depth)[1:-1, 1:-1] > _RIM_PX
        np.copyto(planes[(slice(None), *place)], np.clip(large, 0, 255), where=inside)
        rest[place] &= ~inside

    def _native(self, planes: Floats, hole: Hole, beyond: Hole) -> Floats:
        """Fill holes as they are; `beyond` is not known, and not wanted either."""
        jobs: list[tuple[Crop, Crop]] = []
        for crop in crops(hole, self._config.context_px, self._multiple):
            for tile in tiles(crop, self._tile, self._config.overlap_px):
                if hole[tile.place].any():
                    jobs.append((crop, tile))
        unknown = hole | beyond
        total = np.zeros(planes.shape, np.float32)
        weights = np.zeros(hole.shape, np.float32)
        for (crop, tile), answer in zip(jobs, self._answers(planes, unknown, jobs), strict=True):
            inside = hole[tile.place]
            height, width = inside.shape
            weight = np.where(inside, ramp(crop, tile, self._config.overlap_px)[:height, :width], 0)
            total[(slice(None), *tile.place)] += answer[:, :height, :width] * weight
            weights[tile.place] += weight
        filled = np.clip(total / np.maximum(weights, np.float32(1e-12)), 0, 255)
        return np.where(hole, filled, planes)

    def _answers(
        self, planes: Floats, unknown: Hole, jobs: list[tuple[Crop, Crop]]
    ) -> list[Floats]:
        """The network's pictures of the tiles, in 0..255, in order."""
        answers: list[Floats] = [planes] * len(jobs)
        sizes: dict[tuple[int, int], list[int]] = {}
        for number, (_, tile) in enumerate(jobs):
            sizes.setdefault((tile.height, tile.width), []).append(number)
        for numbers in sizes.values():
            images = np.stack(
                [np.stack([jobs[n][1].cut(plane, 0) for plane in planes]) for n in numbers]
            )
            valid = np.stack([~jobs[n][1].cut(unknown, True) for n in numbers])[:, None]
            for n, answer in zip(numbers, self._run(images, valid), strict=True):
                answers[n] = answer
        return answers

    def _run(self, images: Floats, valid: Hole) -> Floats:
        """(n, C, h, w) 0..255; halves the batch for as long as memory runs out."""
        parts: list[Floats] = []
        start = 0
        while start < len(images):
            stop = min(start + self._batch, len(images))
            chosen = [min(k, stop - 1) for k in range(start, start + self._batch)]
            try:
                answer = self._batched(
                    torch.from_numpy(images[chosen] * np.float32(1 / 255)),
                    torch.from_numpy(valid[chosen].astype(np.float32)),
                )
                parts.append(answer[: stop - start].numpy() * np.float32(255))
                start = stop
            except torch.OutOfMemoryError:
                if self._batch == 1:
                    raise
                self._batch = max(1, self._batch // 2)
                if self._device.type == "cuda":
                    torch.cuda.empty_cache()
                _log.warning(
                    "out of memory on %s: going on with %d crops at a time",
                    self._device,
                    self._batch,
                )
        return np.concatenate(parts)

    @torch.inference_mode()
    def _batched(self, images: Tensor, valid: Tensor) -> Tensor:
        half = self._dtype != torch.float32
        moved = images.to(self._device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, self._dtype, enabled=half):
            answer = self._model(moved, valid.to(self._device))
        return cast(Tensor, answer).float().cpu()


def _shrunk(planes: Floats, unknown: Hole, factor: int) -> tuple[Floats, Hole]:
    """Means of the known pixels, `factor` times smaller; a hole where fewer than half are known."""
    height, width = (-(-n // factor) for n in unknown.shape)
    known = (~unknown).astype(np.float32)
    size = (width, height)
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    small = [
        cv2.resize(np.where(unknown, np.float32(0), plane), size, interpolation=cv2.INTER_AREA)
        / np.maximum(share, np.float32(1e-6))
        for plane in planes
    ]
    return np.stack(small).astype(np.float32), np.asarray(share) < 0.5


def fill_picture(pixels: Array, hole: Hole, fill: Fill) -> Array:
    """Fill holes of a still, gray or in color.

    A network for color fills R'G'B' at once. Any other fill sees luma and the two planes of
    chroma, one after the other, each in 0..255.

    Args:
        pixels: (H, W) gray or (H, W, 3) R'G'B', uint8 or uint16 over its whole range.
        hole: (H, W) bool.
        fill: What fills.

    Returns:
        Like `pixels`, equal to them outside of the hole.

    Raises:
        GuidanceError: If there is nothing but hole.
        ValueError: If shapes or types do not fit.
    """
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"pixels must be uint8 or uint16 (H, W) or (H, W, 3), not {pixels.dtype} {pixels.shape}"
        )
    if hole.shape != pixels.shape[:2]:
        raise ValueError(f"hole is {hole.shape}, the picture {pixels.shape[:2]}")
    if not hole.any():
        return pixels
    scale = np.float32(np.iinfo(pixels.dtype).max / 255)
    values = pixels.astype(np.float32) / scale
    if pixels.ndim == 2:
        filled = fill(values, hole)
    elif isinstance(fill, NetFill) and fill.channels == 3:
        filled = fill.planes(np.ascontiguousarray(values.transpose(2, 0, 1)), hole)
        filled = filled.transpose(1, 2, 0)
    else:
        filled = _by_luma(values, hole, fill)
    codes = np.clip(np.rint(filled * scale), 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return np.where(hole if pixels.ndim == 2 else hole[..., None], codes, pixels)


def _by_luma(rgb: Floats, hole: Hole, fill: Fill) -> Floats:
    """(H, W, 3): luma and chroma filled one after the other."""
    luma = rgb @ _TO_LUMA
    blue = (rgb[..., 2] - luma) * _TO_CHROMA[0] + np.float32(_NEUTRAL)
    red = (rgb[..., 0] - luma) * _TO_CHROMA[1] + np.float32(_NEUTRAL)
    luma, blue, red = (fill(plane, hole) for plane in (luma, blue, red))
    b = luma + (blue - np.float32(_NEUTRAL)) / _TO_CHROMA[0]
    r = luma + (red - np.float32(_NEUTRAL)) / _TO_CHROMA[1]
    g = (luma - _TO_LUMA[0] * r - _TO_LUMA[2] * b) / _TO_LUMA[1]
    return np.dstack((r, g, b))
