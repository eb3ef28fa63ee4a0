"""The grain of a shot: how strong it is, how it looks, and more of it where it was lost.

Averaging takes grain away, and what a network makes up has almost none; a patch without grain is
seen at once. Level and spectrum are measured on what is left of undamaged blocks when their
neighbors in time are subtracted along the motion.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.repair.heal.paths import FindWounds, Paths
from vidcolor.repair.heal.sources import along, suspected
from vidcolor.repair.heal.wounds import Box
from vidcolor.repair.window import Window

__all__ = ["LEAST_CV", "Grain", "GrainMeter"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

LEAST_CV = 0.8  # below it thresholds in grain levels would be absurdly low
_BINS = 8  # of brightness
_BLOCK_PX = 48
_BLOCKS = (3, 4)  # rows and columns of them
_SHOT_FRAMES = 4  # that are measured, at the beginning of a shot
_PART_PX = 16
_CALM_PERCENT = 25  # of the parts show grain alone; in others there is what moved otherwise
_CALM = 1.2
_LEAST_PARTS = 4  # of a bin
_KERNEL_PX = 9
_MAD = 1.4826
_COARSEST = 4.0  # grain over its finest detail, where it is soft by 0.7 px
_UNSEEN_CV = 0.3  # grain that rounding hides
_CLIP = 3.0
_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6  # Immerkaer, CVIU 1996


class Grain:
    """Grain of a shot.

    Args:
        levels: (8,) standard deviation in cv by brightness.
        kernel: (k, k) float32 of unit energy that makes white noise into such grain.
    """

    def __init__(self, levels: Floats, kernel: Floats) -> None:
        self._levels, self._kernel = levels, kernel
        self.sigma = max(LEAST_CV, float(np.median(levels)))

    @property
    def visible(self) -> bool:
        """Whether there is any to speak of."""
        return float(self._levels.max()) > _UNSEEN_CV

    def level(self, gray: Floats) -> Floats:
        """Standard deviation in cv at brightnesses in cv, of the same shape."""
        middles = (np.arange(_BINS) + 0.5) * (256 / _BINS)
        return np.interp(gray, middles, self._levels).astype(np.float32)

    def noise(self, size: tuple[int, int], *seed: int) -> Floats:
        """(H, W) float32 of unit variance with the spectrum of the grain; the seed says it all."""
        rng = np.random.default_rng(seed)
        more = self._kernel.shape[0] // 2
        white = rng.standard_normal((size[0] + 2 * more, size[1] + 2 * more), np.float32)
        made = cast(Floats, cv2.filter2D(white, -1, self._kernel))
        return np.clip(made[more : more + size[0], more : more + size[1]], -_CLIP, _CLIP)

    def lacking(self, filled: Floats, hole: npt.NDArray[np.bool_]) -> float:
        """Share of the grain's variance that a filled hole lacks, 0..1, by its finest detail."""
        inner = cv2.erode(hole.view(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
        if np.count_nonzero(inner) < 4 or not self.visible:
            return 1.0
        fine = cast(Floats, cv2.filter2D(filled, -1, _MASK))[inner]
        alone = np.pad(self._kernel, 2)  # so that no border is mirrored into it
        energy = float(np.sum(cv2.filter2D(alone, -1, _MASK) ** 2))
        usual = energy * float(np.mean(self.level(filled[inner])) ** 2)
        return 1 - min(1.0, float(np.mean(fine * fine)) / max(usual, 1e-6))


class GrainMeter:
    """Measures the grain of one shot on its first frames that are asked about.

    Args:
        paths: Motion of the shot.
        find: Final holes of a frame.
    """

    def __init__(self, paths: Paths, find: FindWounds) -> None:
        self._paths, self._find = paths, find
        self._measured = 0
        self._bins: list[list[float]] = [[] for _ in range(_BINS)]
        self._power = np.zeros((_PART_PX, _PART_PX), np.float64)
        self._grain = Grain(np.full(_BINS, LEAST_CV, np.float32), np.ones((1, 1), np.float32))

    def __call__(self, window: Window) -> Grain:
        """What is known, this frame included if it still counts among the first."""
        if self._measured < _SHOT_FRAMES and self._look(window):
            self._measured += 1
            self._grain = Grain(self._levels(), self._shape())
        return self._grain

    def _look(self, window: Window) -> bool:
        found = [b for b in (self._block(window, box) for box in _places(window)) if b is not None]
        if not found:
            return False
        gray, rest, finest = (np.concatenate(some) for some in zip(*found, strict=True))
        if not len(gray):
            return False
        middle = np.median(rest, axis=(1, 2), keepdims=True)
        strength = _MAD * np.median(np.abs(rest - middle), axis=(1, 2))
        strength = np.minimum(strength, finest)
        number = np.clip(gray * (_BINS / 256), 0, _BINS - 1).astype(np.intp)
        for k in np.unique(number):
            calm = float(np.percentile(strength[number == k], _CALM_PERCENT))
            if np.count_nonzero(number == k) >= _LEAST_PARTS:
                self._bins[k].append(calm)
            self._power += _power(rest[(number == k) & (strength <= _CALM * calm)])
        return True

    def _block(self, window: Window, box: Box) -> tuple[Floats, Floats, Floats] | None:
        """Undamaged parts of a block: brightness, what neighbors do not explain, finest detail.

        None where it has no neighbors.
        """
        left, top, right, bottom = box
        frame = window.frame
        good = ~suspected(frame, box, self._find)
        seen = []
        for side in (-1, 1):
            way = self._paths.walk(window, side, box).next()
            if way is not None:
                values, usable = along(way, self._find)
                seen.append(values)
                good &= usable
        if not seen:
            return None
        codes = frame.plane[top:bottom, left:right].astype(np.float32) * np.float32(1 / frame.unit)
        rest = (codes - np.mean(seen, axis=0)) / np.float32((1 + 1 / len(seen)) ** 0.5)
        whole = _parts(good).all((1, 2))
        gray = _parts(codes).mean((1, 2))
        return gray[whole], _parts(rest)[whole].astype(np.float32), _finest(codes)[whole]

    def _levels(self) -> Floats:
        known = [k for k in range(_BINS) if self._bins[k]]
        if not known:
            return np.full(_BINS, LEAST_CV, np.float32)
        values = [float(np.mean(self._bins[k])) for k in known]
        return np.interp(np.arange(_BINS), known, values).astype(np.float32)

    def _shape(self) -> Floats:
        root = np.sqrt(np.maximum(self._power, 0))
        kernel = np.fft.fftshift(np.fft.ifft2(root).real)
        middle, half = _PART_PX // 2, _KERNEL_PX // 2
        kernel = kernel[middle - half : middle + half + 1, middle - half : middle + half + 1]
        energy = float(np.sqrt(np.sum(kernel * kernel)))
        if energy <= 0:
            return np.ones((1, 1), np.float32)
        return (kernel / energy).astype(np.float32)


def _places(window: Window) -> list[Box]:
    """Boxes of blocks spread over the frame; none where it is too small for them."""
    height, width = window.frame.plane.shape
    side = min(_BLOCK_PX, height, width)
    if side < _PART_PX:
        return []
    found = []
    for i in range(_BLOCKS[0]):
        for j in range(_BLOCKS[1]):
            top = (height - side) * (2 * i + 1) // (2 * _BLOCKS[0])
            left = (width - side) * (2 * j + 1) // (2 * _BLOCKS[1])
            found.append((left, top, left + side, top + side))
    return found


def _parts(block: Array) -> Array:
    """(n, 16, 16): a block in parts without overlap."""
    height, width = (n // _PART_PX * _PART_PX for n in block.shape)
    grid = block[:height, :width].reshape(height // _PART_PX, _PART_PX, width // _PART_PX, _PART_PX)
    return grid.transpose(0, 2, 1, 3).reshape(-1, _PART_PX, _PART_PX)


def _finest(block: Floats) -> Floats:
    """(n,) float32: the most grain that the finest detail of each part lets think of."""
    fine = _parts(np.abs(cast(Floats, cv2.filter2D(block, -1, _MASK))))
    return np.float32(_MAD * _COARSEST) * np.median(fine, axis=(1, 2)) + np.float32(_UNSEEN_CV)


def _power(parts: Floats) -> Array:
    """(16, 16) float64: summed power of parts around their means."""
    around = parts - parts.mean((1, 2), keepdims=True)
    return np.sum(np.abs(np.fft.fft2(around)) ** 2, axis=0)
