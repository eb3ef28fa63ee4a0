"""From a picture to what is stored of it: bars off, smaller; boxes go along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.io.color_frames import resize
from vidcolor.records import Detections

__all__ = ["Boxes", "Crop"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

_LEAST_BOX_PX = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Objects of a picture.

    Attributes:
        boxes: (K, 4) xyxy in pixels of it.
        scores: K scores in 0..1.
        labels: K names.
    """

    boxes: Floats
    scores: tuple[float, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(
        cls,
        boxes: Sequence[Sequence[float]] | Floats,
        scores: Sequence[float],
        labels: Sequence[str],
    ) -> Boxes:
        """Of lists."""
        return cls(np.asarray(boxes, np.float64).reshape(-1, 4), tuple(scores), tuple(labels))

    @classmethod
    def of_frame(cls, found: Detections, number: int) -> Boxes:
        """Those of one frame of a batch."""
        here = found[found.frame == number]
        names = [found.names[label] for label in here.labels.tolist()]
        return cls.of(here.boxes.double().numpy(), here.scores.tolist(), names)

    def scaled(self, x: float, y: float) -> Boxes:
        """The same in a picture that is `x` times as wide and `y` times as high."""
        return Boxes(self.boxes * (x, y, x, y), self.scores, self.labels)

    def to_row(self) -> dict[str, Any]:
        """As it stands in KEY.json."""
        return {
            "boxes": [[round(v, 2) for v in box] for box in self.boxes.tolist()],
            "scores": [round(score, 4) for score in self.scores],
            "labels": list(self.labels),
        }


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a picture, made smaller.

    Attributes:
        x0: Left of the part.
        y0: Top of it.
        x1: Right of it, outside.
        y1: Bottom of it, outside.
        size: `(height, width)` of what is stored.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    size: tuple[int, int]

    @classmethod
    def of(
        cls, area: tuple[float, float, float, float], size: tuple[int, int], short_side: int
    ) -> Crop:
        """The part of a picture that lies whole within an area.

        Args:
            area: `(x0, y0, x1, y1)` in its pixels.
            size: `(height, width)` of the picture.
            short_side: What is stored has at most this short side; nothing is enlarged.
        """
        x0, y0 = max(0, int(np.ceil(area[0]))), max(0, int(np.ceil(area[1])))
        x1, y1 = min(size[1], int(np.floor(area[2]))), min(size[0], int(np.floor(area[3])))
        x1, y1 = max(x0 + 1, x1), max(y0 + 1, y1)
        height, width = y1 - y0, x1 - x0
        scale = min(1.0, short_side / min(height, width))
        stored = (max(1, round(height * scale)), max(1, round(width * scale)))
        return cls(x0, y0, x1, y1, stored)

    def picture(self, rgb: Bytes) -> Bytes:
        """The stored picture, of one of the size that `of` was told."""
        return np.ascontiguousarray(resize(self.part(rgb), self.size))

    def part(self, rgb: Bytes) -> Bytes:
        """The part, not yet smaller."""
        return rgb[self.y0 : self.y1, self.x0 : self.x1]

    def boxes(self, found: Boxes) -> Boxes:
        """Where boxes lie in the stored picture; those hardly in it are left out."""
        height, width = self.size
        x, y = width / (self.x1 - self.x0), height / (self.y1 - self.y0)
        moved = (found.boxes - (self.x0, self.y0, self.x0, self.y0)) * (x, y, x, y)
        moved = moved.clip(0, (width, height, width, height))
        sides = moved[:, 2:] - moved[:, :2]
        keep = np.flatnonzero((sides >= _LEAST_BOX_PX).all(axis=1)).tolist()
        return Boxes(
            moved[keep],
            tuple(found.scores[k] for k in keep),
            tuple(found.labels[k] for k in keep),
        )
