"""One sample of a batch: which part of a picture, through which film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.errors import MediaError
from vidcolor.io.shards import Pictures
from vidcolor.models.objective import color_range
from vidcolor.train.data.config import DataConfig, View
from vidcolor.train.data.hints import simulate_hints
from vidcolor.train.data.pairs import draw_motion, measured_motion, moved_picture
from vidcolor.train.data.planes import ab_of, close_ups, film_at, lightness_of, shrunk
from vidcolor.train.data.window import (
    Window,
    around,
    box_window,
    crop_window,
    random_boxes,
    visible,
)
from vidcolor.train.degrade import DegradeConfig, degrade, degrade_pair

__all__ = ["Sample", "Sampler"]

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

# what random numbers are for; part of their seed, so that one does not disturb another
_SAMPLE, _HINTS, _MOTION, _POINTS = 2, 3, 4, 5
_FINEST = 2.0  # pictures with close-ups are made at up to so many times the training size


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture of a batch, see `Batch`.

    Attributes:
        lightness: (S, S).
        ab: (2, h, w).
        crops: (K, 1, C, C) L* of its instances, or None if the view has none.
        boxes: (K, 4) where they lie, in pixels of `lightness`.
        hints: (2, S, S) a*b* and (1, S, S) mask.
        pair: (1, S, S) later L*, (2, h, w) motion, (1, h, w) where it is known.
        label: Kind of the picture, -1 if it is not known; None if nobody asks.
        points: (P, 2) where the network is to answer, or None for everywhere.
    """

    lightness: Floats
    ab: Floats
    crops: Floats | None = None
    boxes: Floats | None = None
    hints: tuple[Floats, Floats] | None = None
    pair: tuple[Floats, Floats, Floats] | None = None
    label: int | None = None
    points: Floats | None = None


class Sampler:
    """Draws samples of pictures; the arguments are those of `data.TrainBatches`."""

    def __init__(
        self,
        pictures: Pictures,
        config: DataConfig,
        film: DegradeConfig,
        view: View,
        stride: int,
        pair: bool,
        labels: Sequence[int] | None = None,
        points: int = 0,
    ) -> None:
        self.pictures = pictures
        self.config = config
        self.film = film
        self.view = view
        self.stride = stride
        self.pair = pair
        self.labels = labels
        self.points = points

    def usable(self, number: int) -> bool:
        """Whether picture `number` has what the view shows."""
        if self.view == "whole":
            return True
        boxes = self._found(number)
        if boxes is None:
            return self.config.random_boxes > 0
        return len(boxes) > 0 or (self.view == "instances" and self.config.without_boxes)

    def draw(self, number: int, size: int, key: tuple[int, ...]) -> Sample | None:
        """A sample of a picture.

        Args:
            number: The picture.
            size: Rows and columns of the lightness.
            key: Makes the random numbers, with the seed of the config.

        Returns:
            None if the sample is too gray or its boxes lie outside the picture.

        Raises:
            MediaError: If the picture cannot be decoded.
        """
        rng = self._rng(_SAMPLE, key)
        picture = self.pictures.rgb(number)
        window, boxes = self._window(number, (picture.shape[0], picture.shape[1]), rng)
        if window is None:
            return None
        side = size
        if boxes is not None:
            side = int(np.clip(min(window.height, window.width), size, _FINEST * size))
        rgb = _unit(window.cut(picture, side))
        ab = ab_of(shrunk(rgb, size))
        if self._is_gray(ab):
            return None
        film = film_at(self.film, side / size)
        pair = None
        if self.pair:
            later, motion, seen = self._later(number, picture, window, rgb, ab, key)
            gray, later_gray = degrade_pair(rgb, later, film, rng)
            pair = (lightness_of(shrunk(later_gray, size))[None], motion, seen)
        else:
            gray = degrade(rgb, film, rng)
        crops = None
        if boxes is not None:
            placed = window.place(boxes, side)
            whole = np.concatenate((np.floor(placed[:, :2]), np.ceil(placed[:, 2:])), axis=1)
            crops = close_ups(gray, whole.astype(np.int64), self.config.crop)
            boxes = (whole * (size / side)).astype(np.float32)
        return Sample(
            lightness_of(shrunk(gray, size)),
            shrunk(ab, size // self.stride).transpose(2, 0, 1),
            crops,
            boxes,
            self._hints(ab, key),
            pair,
            None if self.labels is None else self.labels[number],
            self._points(size // self.stride, key),
        )

    def _rng(self, purpose: int, key: tuple[int, ...]) -> np.random.Generator:
        return np.random.default_rng((self.config.seed, purpose, *key))

    def _found(self, number: int, size: tuple[int, int] | None = None) -> Floats | None:
        """Boxes that count, the best first; None where nobody looked."""
        boxes = self.pictures.boxes(number, self.config.box_score)
        if boxes is None:
            return None
        notes = self.pictures.notes(number)
        size = size or (notes.size if notes else None)
        if size:
            boxes = boxes.clip(0, np.tile(size[::-1], 2)).astype(np.float32)
        return boxes[(boxes[:, 2:] - boxes[:, :2] >= self.config.smallest_box_px).all(axis=1)]

    def _window(
        self, number: int, size: tuple[int, int], rng: np.random.Generator
    ) -> tuple[Window | None, Floats | None]:
        """What is shown of a picture of `size`, and the boxes in it for the view "instances"."""
        config = self.config
        if self.view == "whole":
            return self._crop(size, rng), None
        found = self._found(number, size)
        if self.view == "instance":
            boxes = random_boxes(size, 1, rng) if found is None else found
            if not len(boxes):  # its notes do not say the size, and boxes lie outside
                return None, None
            box = boxes[int(rng.integers(len(boxes)))]
            return box_window(box, config.box_jitter, size, rng), None
        window = self._crop(size, rng)
        if found is None:
            boxes = random_boxes((window.height, window.width), config.random_boxes, rng)
            return window, boxes + np.array((window.left, window.top) * 2, np.float32)
        seen = visible(found, window, config.smallest_box_px)
        if len(found) and not seen.any():
            anchor = int(rng.integers(len(found)))
            window = around(window, found[anchor], size, rng)
            seen = visible(found, window, config.smallest_box_px)
            seen[anchor] = True
        return window, found[seen][: config.boxes_max]

    def _crop(self, size: tuple[int, int], rng: np.random.Generator) -> Window:
        config = self.config
        return crop_window(size, config.smallest_crop, config.squash, rng, config.largest_crop)

    def _is_gray(self, ab: Floats) -> bool:
        if not self.config.color_range:
            return False
        extent = color_range(torch.from_numpy(ab).permute(2, 0, 1)[None])
        return float(extent) < self.config.color_range

    def _hints(self, ab: Floats, key: tuple[int, ...]) -> tuple[Floats, Floats] | None:
        if not self.config.hints:
            return None
        rng = self._rng(_HINTS, key)
        if rng.random() < self.config.hints:
            return simulate_hints(ab, rng)
        return np.zeros((2, *ab.shape[:2]), np.float32), np.zeros((1, *ab.shape[:2]), np.float32)

    def _points(self, cells: int, key: tuple[int, ...]) -> Floats | None:
        """Centers of cells of the color grid, drawn alike from all."""
        if not self.points:
            return None
        drawn = self._rng(_POINTS, key).integers(cells, size=(self.points, 2))
        return ((drawn + 0.5) / cells).astype(np.float32)

    def _later(
        self,
        number: int,
        picture: Bytes,
        window: Window,
        rgb: Floats,
        ab: Floats,
        key: tuple[int, ...],
    ) -> tuple[Floats, Floats, Floats]:
        """RGB of the later frame, as large as `rgb`; motion and where it is known."""
        cells = len(ab) // self.stride
        frame = self.pictures.later(number)
        if frame is None:
            motion = draw_motion(self.config.motion, self._rng(_MOTION, key))
            moved = moved_picture(picture, window, motion, len(rgb))
            return _unit(moved), *motion.field(cells)
        if frame.shape != picture.shape:
            raise MediaError(
                f"{self.pictures.where(number)}: its later frame has another size; "
                "build the set again"
            )
        later = _unit(window.cut(frame, len(rgb)))
        now, then = shrunk(rgb, len(ab)), shrunk(later, len(ab))
        return later, *measured_motion(now, then, ab, ab_of(then), cells)


def _unit(picture: Bytes) -> Floats:
    """uint8 pixels as float32 in 0..1."""
    return np.asarray(picture, np.float32) / np.float32(255)
