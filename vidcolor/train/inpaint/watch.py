"""How well holes are filled, on pictures that training never saw, beside classical filling."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vidcolor.color.measure import BEST_PSNR, psnr
from vidcolor.holes.source import HoleSource
from vidcolor.io.shards import Pictures
from vidcolor.models.partialconv import compose
from vidcolor.train.degrade.stock import LUMA_709
from vidcolor.train.inpaint.config import InpaintConfig
from vidcolor.train.inpaint.losses import TERMS, Pools, Term, loss_terms
from vidcolor.train.validate import evaluating

__all__ = ["InpaintScores", "InpaintWatch"]

Bytes = npt.NDArray[np.uint8]
Hole = npt.NDArray[np.bool_]

_SEED = 180_407_723  # of holes to measure on: others than in training, the same in all runs
_RADIUS_PX = 3.0  # around a pixel, of what classical methods look at
_METHODS = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}
_MARKED = 255


@dataclass(frozen=True, slots=True)
class InpaintScores:
    """Means over pictures, each counting the same.

    Attributes:
        psnr: dB of the picture whose holes the network filled against the true one, 8 bit.
        psnr_holes: The same of the pixels in holes only.
        telea: `psnr` of OpenCV's method of Telea (2004) with the same holes.
        telea_holes: The same in holes only.
        navier_stokes_holes: In holes only, of OpenCV's method after Bertalmio et al. (2001).
        valid: Term of the loss, not weighted, like the rest.
        hole: Like `valid`.
        tv: Like `valid`.
        perceptual: Like `valid`; None where it is not trained with.
        style: Like `perceptual`.
    """

    psnr: float
    psnr_holes: float
    telea: float
    telea_holes: float
    navier_stokes_holes: float
    valid: float
    hole: float
    tv: float
    perceptual: float | None = None
    style: float | None = None

    @property
    def gain(self) -> float:
        """dB over Telea in holes."""
        return self.psnr_holes - self.telea_holes

    @property
    def summary(self) -> str:
        """A line for people."""
        return (
            f"PSNR {self.psnr:.2f} dB, in holes {self.psnr_holes:.2f} ({self.gain:+.2f} over Telea)"
        )


class _Measured(NamedTuple):
    """A picture to measure on: (H, W) or (H, W, 3) uint8, its hole, and what others score."""

    picture: Bytes
    hole: Hole
    others: dict[str, float]


class InpaintWatch:
    """Validation pictures, with holes that are the same in each measurement.

    Pictures are scaled to the measured short side and cut to sides that the network takes.

    Args:
        config: Of the run; it has validation pictures.
        multiple: Sides that the network takes are multiples of it.
        pools: For the terms of the loss that look at features.

    Raises:
        MediaError: If pictures are missing.
    """

    def __init__(self, config: InpaintConfig, multiple: int, pools: Pools | None) -> None:
        self._config = config
        self._multiple = multiple
        self._pools = pools
        self._pictures = Pictures(config.data.val)
        self._holes = HoleSource(replace(config.holes, seed=_SEED))
        limit = config.run.val_limit or len(self._pictures)
        self._count = min(limit, len(self._pictures))

    @functools.cached_property
    def _set(self) -> list[_Measured]:
        return [self._measured(number) for number in range(self._count)]

    def _measured(self, number: int) -> _Measured:
        picture = self._cut(self._pictures.rgb(number))
        if self._config.channels == 1:
            gray = cv2.transform(picture, np.array([LUMA_709], np.float32))
            picture = np.asarray(gray, np.uint8).reshape(picture.shape[:2])
        hole = self._holes(number, (picture.shape[0], picture.shape[1]))
        others: dict[str, float] = {}
        for name, method in _METHODS.items():
            filled = cv2.inpaint(picture, hole.astype(np.uint8), _RADIUS_PX, method)
            whole, inside = _decibels(np.asarray(filled, np.uint8), picture, hole)
            others |= {name: whole, f"{name}_holes": inside}
        return _Measured(picture, hole, others)

    def _cut(self, rgb: Bytes) -> Bytes:
        """The middle of the picture at the measured size."""
        scale = self._config.run.val_side / min(rgb.shape[:2])
        if scale != 1:
            kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=kind), np.uint8)
        places = []
        for length in rgb.shape[:2]:
            kept = max(self._multiple, length // self._multiple * self._multiple)
            places.append(slice((length - kept) // 2, (length - kept) // 2 + kept))
        return np.ascontiguousarray(rgb[tuple(places)])

    def scores(self, model: nn.Module) -> InpaintScores:
        """Measure a network."""
        names: list[Term] = [n for n in TERMS if self._pools or n not in ("perceptual", "style")]
        columns: dict[str, list[float]] = {}
        with evaluating(model), torch.inference_mode():
            for one in self._set:
                image, valid, answer = self._answered(model, one)
                filled = _bytes(compose(image, valid, answer))
                whole, inside = _decibels(filled, one.picture, one.hole)
                row = {"psnr": whole, "psnr_holes": inside, **one.others}
                smoothed = self._config.phase.smoothed
                terms = loss_terms(answer, image, valid, names, self._pools, smoothed)
                row |= {str(name): float(value) for name, value in terms.items()}
                for name, value in row.items():
                    columns.setdefault(name, []).append(value)
        known = {field.name for field in fields(InpaintScores)}
        means = {name: float(np.mean(values)) for name, values in columns.items()}
        return InpaintScores(**{name: value for name, value in means.items() if name in known})

    def samples(self, model: nn.Module) -> Iterator[Bytes]:
        """(H, 3 W, 3) uint8 RGB: holes in white, filled and true, of pictures all over the set."""
        count = min(self._config.run.samples, self._count)
        for place in range(count):
            one = self._set[place * self._count // count]
            with evaluating(model), torch.inference_mode():
                image, valid, answer = self._answered(model, one)
            holed = one.picture.copy()
            holed[one.hole] = _MARKED
            shown = (holed, _bytes(compose(image, valid, answer)), one.picture)
            yield np.concatenate([_rgb(picture) for picture in shown], axis=1)

    def _answered(self, model: nn.Module, one: _Measured) -> tuple[Tensor, Tensor, Tensor]:
        """(1, C, H, W) picture, (1, 1, H, W) where it is valid, and (1, C, H, W) answer."""
        device = next(model.parameters()).device
        planes = np.atleast_3d(one.picture).transpose(2, 0, 1)[None]
        image = torch.from_numpy(np.ascontiguousarray(planes)).to(device).float() / 255
        valid = torch.from_numpy(~one.hole)[None, None].to(device).float()
        return image, valid, model(image, valid)


def _bytes(planes: Tensor) -> Bytes:
    """(H, W) or (H, W, 3) uint8 of (1, C, H, W) in 0..1."""
    codes = (planes[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(codes[..., 0] if codes.shape[2] == 1 else codes)


def _rgb(picture: Bytes) -> Bytes:
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def _decibels(filled: Bytes, true: Bytes, hole: Hole) -> tuple[float, float]:
    """PSNR of the whole picture and of its holes."""
    return (
        min(psnr(filled, true), BEST_PSNR),
        min(psnr(filled[hole], true[hole]), BEST_PSNR),
    )
