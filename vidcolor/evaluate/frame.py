"""A frame as it is measured: gray picture, colorings, boxes, on the grids of one film."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from vidcolor.evaluate.config import EvaluateConfig
from vidcolor.io.color_frames import resize
from vidcolor.ops.boxes import Upright
from vidcolor.ops.letterbox import Bars
from vidcolor.records import Tracks, VideoInfo

__all__ = ["Box", "Grids", "Look"]

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Box:
    """A box of a track in a frame.

    Attributes:
        id: Identity of the track.
        label: Class.
        xyxy: Corners in pixels of the compared picture, bars left out.
    """

    id: int
    label: str
    xyxy: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A frame to be measured.

    Attributes:
        number: Counted from 0.
        time: Seconds.
        shot: Its shot.
        gray: (H, W) uint8, gamma-coded, of the film that is colored.
        colorings: (H, W, 3) uint8 R'G'B' by name, the truth among them.
        boxes: Of tracks.
        planes: (h, w, 2) a*b* of the same area, of those colorings whose a*b* is known.
    """

    number: int
    time: float
    shot: int
    gray: Bytes
    colorings: Mapping[str, Bytes]
    boxes: tuple[Box, ...] = ()
    planes: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grids:
    """The sizes at which a film is measured: all upright, with square pixels.

    Attributes:
        info: The coded frames.
        whole: `(height, width)` to which frames are brought.
        area: `(x0, y0, x1, y1)` of it that is left when bars are cut off.
        motion: `(height, width)` at which motion is followed.
    """

    info: VideoInfo
    whole: tuple[int, int]
    area: tuple[int, int, int, int]
    motion: tuple[int, int]

    @classmethod
    def of(cls, info: VideoInfo, bars: Bars, config: EvaluateConfig) -> Grids:
        """For frames like `info` with bars in pixels of the coded frame."""
        upright = Upright(info)
        whole = _shrunk(upright.size, config.short_side)
        y, x = whole[0] / upright.size[0], whole[1] / upright.size[1]
        left, top, right, bottom = _upright_box(upright, bars.area(info.size))
        area = (
            int(np.ceil(left * x - 1e-6)), int(np.ceil(top * y - 1e-6)),
            int(right * x + 1e-6), int(bottom * y + 1e-6),
        )  # fmt: skip
        size = area[3] - area[1], area[2] - area[0]
        return cls(info, whole, area, _shrunk(size, config.motion_side))

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` of the compared pictures."""
        return self.area[3] - self.area[1], self.area[2] - self.area[0]

    @property
    def scale(self) -> tuple[float, float, float, float]:
        """`(x, y, left, top)`: upright pixels to a cell of motion, and where its grid begins."""
        height, width = Upright(self.info).size
        y, x = height / self.whole[0], width / self.whole[1]
        return (
            self.size[1] / self.motion[1] * x,
            self.size[0] / self.motion[0] * y,
            self.area[0] * x,
            self.area[1] * y,
        )

    @property
    def cut_off(self) -> tuple[int, int, int, int]:
        """Rows above and below, columns left and right that are left out, in upright pixels."""
        height, width = Upright(self.info).size
        y, x = height / self.whole[0], width / self.whole[1]
        x0, y0, x1, y1 = self.area
        return (
            round(y0 * y), round((self.whole[0] - y1) * y),
            round(x0 * x), round((self.whole[1] - x1) * x),
        )  # fmt: skip

    def crop(self, picture: Bytes) -> Bytes:
        """A picture of size `whole` without bars."""
        x0, y0, x1, y1 = self.area
        return np.ascontiguousarray(picture[y0:y1, x0:x1])

    def gray(self, luma: Array) -> Bytes:
        """(H, W) codes as coded, as the gray picture of the compared size."""
        turns = self.info.rotation // 90
        coded = self.whole if turns % 2 == 0 else (self.whole[1], self.whole[0])
        spec = self.info.color
        plane = resize(luma.astype(np.float32), coded)
        signal = (plane - np.float32(spec.black)) * np.float32(255 / (spec.white - spec.black))
        codes = np.clip(np.rint(signal), 0, 255).astype(np.uint8)
        return self.crop(np.rot90(codes, turns))

    def rgb(self, picture: Bytes) -> Bytes:
        """(H, W, 3) R'G'B' in coded orientation, as a coloring of the compared size."""
        turns = self.info.rotation // 90
        coded = self.whole if turns % 2 == 0 else (self.whole[1], self.whole[0])
        return self.crop(np.rot90(resize(picture, coded), turns))

    def planes(self, ab: Floats) -> Floats:
        """(2, h, w) a*b* of the coded frame, upright and without bars: (H, W, 2) float32."""
        turns = self.info.rotation // 90
        upright = np.rot90(np.moveaxis(ab, 0, 2), turns)
        if self.size == self.whole:
            return np.ascontiguousarray(upright)
        x0, y0, x1, y1 = self.area
        return np.asarray(resize(np.ascontiguousarray(upright), self.whole)[y0:y1, x0:x1])

    def boxes(self, tracks: Tracks, frame: int) -> tuple[Box, ...]:
        """The boxes of a frame of a batch, those without any area left out."""
        found = tracks.detections
        here = (found.frame == frame).nonzero().flatten()
        upright = Upright(self.info)
        y, x = self.whole[0] / upright.size[0], self.whole[1] / upright.size[1]
        result = []
        for place, corners in zip(
            here, upright.from_frame(found.boxes[here]).tolist(), strict=True
        ):
            x0, x1 = (min(max(v * x - self.area[0], 0.0), self.size[1]) for v in corners[::2])
            y0, y1 = (min(max(v * y - self.area[1], 0.0), self.size[0]) for v in corners[1::2])
            if x1 - x0 >= 1 and y1 - y0 >= 1:
                label = found.names[int(found.labels[place])]
                result.append(Box(int(tracks.ids[place]), label, (x0, y0, x1, y1)))
        return tuple(result)


def _shrunk(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    scale = short_side / min(size) if short_side else 1.0
    if scale >= 1:
        return size
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _upright_box(upright: Upright, box: tuple[int, int, int, int]) -> list[float]:
    import torch

    return cast(
        list[float], upright.from_frame(torch.tensor([box], dtype=torch.float64))[0].tolist()
    )
