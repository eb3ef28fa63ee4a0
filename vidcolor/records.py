"""The frozen records that flow through the line.

Sizes are `(height, width)`; boxes are xyxy in frame pixels; N frames, K instances.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor

__all__ = [
    "TRACKS_OF_A_SHOT",
    "Chroma",
    "ColorSpec",
    "Colored",
    "Detected",
    "Detections",
    "FrameBatch",
    "Hints",
    "Layer",
    "Rois",
    "Tracked",
    "Tracks",
    "VideoInfo",
]

Matrix = Literal["bt601", "bt709", "bt2020"]


TRACKS_OF_A_SHOT = 100_000
"""Ids of tracks in shot s are s times this and up: the same however a film is divided."""


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, slots=True)
class ColorSpec:
    """How code values of a luma plane are to be read.

    Attributes:
        matrix: Coefficients that make Y'CbCr of R'G'B' (ITU-R BT.601, 709, 2020).
        full_range: Codes run 0..2^bits-1 (true) or 16..235 scaled to `bits` (false).
        bits: Bit depth of the codes, 8 to 16.
        primaries: FFmpeg's number (AVCOL_PRI), 2 is unspecified.
        transfer: FFmpeg's number (AVCOL_TRC), 2 is unspecified.
    """

    matrix: Matrix = "bt709"
    full_range: bool = False
    bits: int = 8
    primaries: int = 2
    transfer: int = 2

    def __post_init__(self) -> None:
        _check(8 <= self.bits <= 16, f"bits must be 8 to 16, not {self.bits}")

    @property
    def black(self) -> int:
        """Luma code of black."""
        return 0 if self.full_range else 16 << (self.bits - 8)

    @property
    def white(self) -> int:
        """Luma code of white."""
        return (1 << self.bits) - 1 if self.full_range else 235 << (self.bits - 8)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What all frames of a clip share.

    Attributes:
        height: Coded rows.
        width: Coded columns.
        rate: Average frames a second; a hint for rate control, never a clock.
        time_base: Seconds of one pts unit.
        sample_aspect: Width of a pixel over its height.
        rotation: Degrees counter-clockwise by which players turn the coded picture, a multiple
            of 90.
        color: How to read the luma codes.
    """

    height: int
    width: int
    rate: Fraction = Fraction(25)
    time_base: Fraction = Fraction(1, 25)
    sample_aspect: Fraction = Fraction(1)
    rotation: int = 0
    color: ColorSpec = field(default_factory=ColorSpec)

    def __post_init__(self) -> None:
        _check(self.height > 0 and self.width > 0, f"empty size {self.height}x{self.width}")
        _check(self.rotation in (0, 90, 180, 270), f"rotation {self.rotation} is no right angle")

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` of the coded picture."""
        return self.height, self.width


@dataclass(frozen=True, slots=True, eq=False)
class FrameBatch:
    """Consecutive frames of one shot: luma, and color as stored where somebody asked for it.

    Attributes:
        luma: (N, 1, H, W) code values as decoded: uint8, int16 (9 to 15 bit) or int32 (16 bit).
        pts: N presentation times in units of `info.time_base`.
        info: What the frames share.
        index: Number in the film of the first frame, from 0.
        shot: Number of the shot, from 0; a batch never spans a cut.
        start: Number within the shot of the first frame, from 0.
        held: (N,) bool: the frame repeats the one before it within noise (animation held
            on twos, pulldown). The first frame of a shot is never held.
        chroma: (N, 2, h, w) Cb and Cr codes as decoded, on the film's own grid, of the type of
            `luma`. None: the film has none, or nobody asked.
        rgb: (N, 3, H, W) R', G' and B' codes as decoded, of the type of `luma`, from which `luma`
            was made. None: the film is not RGB, or nobody asked.
    """

    luma: Tensor
    pts: tuple[int, ...]
    info: VideoInfo
    index: int = 0
    shot: int = 0
    start: int = 0
    held: Tensor | None = None
    chroma: Tensor | None = None
    rgb: Tensor | None = None

    def __post_init__(self) -> None:
        _check(
            self.luma.ndim == 4 and self.luma.shape[1] == 1 and not self.luma.is_floating_point(),
            f"luma must be integer (N, 1, H, W), not {self.luma.dtype} {tuple(self.luma.shape)}",
        )
        _check(
            tuple(self.luma.shape[2:]) == self.info.size,
            f"luma is {tuple(self.luma.shape[2:])}, info says {self.info.size}",
        )
        _check(len(self.pts) == len(self.luma), f"{len(self.luma)} frames, {len(self.pts)} pts")
        if self.held is not None:
            _check(tuple(self.held.shape) == (len(self.luma),), "held must be (N,)")
        _check(self.chroma is None or self.rgb is None, "frames have chroma or rgb, not both")
        if self.chroma is not None:
            shape, n = tuple(self.chroma.shape), len(self.luma)
            _check(
                len(shape) == 4 and shape[:2] == (n, 2) and self.chroma.dtype == self.luma.dtype,
                f"chroma must be {self.luma.dtype} ({n}, 2, h, w), not {self.chroma.dtype} {shape}",
            )
        if self.rgb is not None:
            shape, wanted = tuple(self.rgb.shape), (len(self.luma), 3, *self.info.size)
            _check(
                shape == wanted and self.rgb.dtype == self.luma.dtype,
                f"rgb must be {self.luma.dtype} {wanted}, not {self.rgb.dtype} {shape}",
            )

    def __len__(self) -> int:
        return len(self.pts)

    def __getitem__(self, part: slice) -> FrameBatch:
        first, _, step = part.indices(len(self))
        _check(step == 1, "a batch is sliced without step")
        return replace(
            self,
            luma=self.luma[part],
            pts=self.pts[part],
            index=self.index + first,
            start=self.start + first,
            held=None if self.held is None else self.held[part],
            chroma=None if self.chroma is None else self.chroma[part],
            rgb=None if self.rgb is None else self.rgb[part],
        )

    @classmethod
    def join(cls, parts: Sequence[FrameBatch]) -> FrameBatch:
        """Consecutive frames of one shot as one batch.

        Raises:
            ValueError: If there are none, or they do not follow each other.
        """
        _check(bool(parts), "there are no frames to join")
        for before, after in itertools.pairwise(parts):
            _check(
                (after.shot, after.index, after.start)
                == (before.shot, before.index + len(before), before.start + len(before)),
                f"frames from {after.index} on do not follow those from {before.index} on",
            )
        if len(parts) == 1:
            return parts[0]

        def joined(planes: list[Tensor | None]) -> Tensor | None:
            there = [plane for plane in planes if plane is not None]
            _check(len(there) in (0, len(parts)), "only some of the frames have these planes")
            return torch.cat(there) if there else None

        return replace(
            parts[0],
            luma=torch.cat([part.luma for part in parts]),
            pts=tuple(pts for part in parts for pts in part.pts),
            held=joined([part.held for part in parts]),
            chroma=joined([part.chroma for part in parts]),
            rgb=joined([part.rgb for part in parts]),
        )

    def is_held(self) -> Tensor:
        """(N,) bool on the CPU; all false before `cut` has looked."""
        return torch.zeros(len(self), dtype=torch.bool) if self.held is None else self.held


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Objects seen in a batch, flat over its frames, ordered by frame.

    Attributes:
        boxes: (K, 4) float32 xyxy in frame pixels.
        scores: (K,) float32 in 0..1.
        labels: (K,) int64, positions in `names`.
        frame: (K,) int64, frame of the batch.
        names: Names of the labels.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    frame: Tensor
    names: tuple[str, ...] = ("object",)

    def __post_init__(self) -> None:
        count = len(self.boxes)
        _check(tuple(self.boxes.shape) == (count, 4), "boxes must be (K, 4)")
        for name in ("scores", "labels", "frame"):
            shape = tuple(getattr(self, name).shape)
            _check(shape == (count,), f"{name} must be ({count},), not {shape}")

    @classmethod
    def empty(cls, names: tuple[str, ...] = ("object",)) -> Detections:
        """No objects."""
        return cls(
            torch.zeros(0, 4),
            torch.zeros(0),
            torch.zeros(0, dtype=torch.int64),
            torch.zeros(0, dtype=torch.int64),
            names,
        )

    @classmethod
    def join(cls, parts: Sequence[Detections]) -> Detections:
        """Lists of one batch's frames joined; `frame` must already count through the batch."""
        if not parts:
            return cls.empty()
        names = parts[0].names
        _check(all(part.names == names for part in parts), "parts must share names")
        return cls(
            torch.cat([part.boxes for part in parts]),
            torch.cat([part.scores for part in parts]),
            torch.cat([part.labels for part in parts]),
            torch.cat([part.frame for part in parts]),
            names,
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, keep: Tensor) -> Detections:
        return replace(
            self,
            boxes=self.boxes[keep],
            scores=self.scores[keep],
            labels=self.labels[keep],
            frame=self.frame[keep],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Steadied boxes with identity.

    Attributes:
        detections: Boxes after association, smoothing and gap filling.
        ids: (K,) int64, the same number for the same object through a shot; never reused in a film.
        weight: (K,) float32 in (0, 1]: how much the instance counts, ramped at birth and death.
    """

    detections: Detections
    ids: Tensor
    weight: Tensor

    def __post_init__(self) -> None:
        count = len(self.detections)
        _check(tuple(self.ids.shape) == (count,), f"ids must be ({count},)")
        _check(tuple(self.weight.shape) == (count,), f"weight must be ({count},)")

    @classmethod
    def empty(cls, names: tuple[str, ...] = ("object",)) -> Tracks:
        """No tracks."""
        return cls(Detections.empty(names), torch.zeros(0, dtype=torch.int64), torch.zeros(0))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, keep: Tensor) -> Tracks:
        return Tracks(self.detections[keep], self.ids[keep], self.weight[keep])


@dataclass(frozen=True, slots=True, eq=False)
class Rois:
    """Instances as a network sees them: crops and where they lie.

    Attributes:
        crops: (K, 1, S, S) float32 L* of each box, resized to a square.
        boxes: (K, 4) float32 xyxy in units of `size`.
        frame: (K,) int64, frame of the batch.
        weight: (K,) float32 in (0, 1], see `Tracks`.
        size: `(height, width)` in whose pixels the boxes are.
    """

    crops: Tensor
    boxes: Tensor
    frame: Tensor
    weight: Tensor
    size: tuple[int, int]

    def __post_init__(self) -> None:
        count = len(self.boxes)
        _check(
            self.crops.ndim == 4 and tuple(self.crops.shape[:2]) == (count, 1),
            f"crops must be ({count}, 1, S, S), not {tuple(self.crops.shape)}",
        )
        _check(tuple(self.boxes.shape) == (count, 4), "boxes must be (K, 4)")
        _check(tuple(self.frame.shape) == (count,), f"frame must be ({count},)")
        _check(tuple(self.weight.shape) == (count,), f"weight must be ({count},)")

    def __len__(self) -> int:
        return len(self.boxes)

    def to(self, device: torch.device | str) -> Rois:
        """The same on `device`."""
        return Rois(
            self.crops.to(device),
            self.boxes.to(device),
            self.frame.to(device),
            self.weight.to(device),
            self.size,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Hints:
    """Colors that a person gave, at network size.

    Attributes:
        ab: (N, 2, H, W) float32 a*b*.
        mask: (N, 1, H, W) float32, 1 where `ab` was given, 0 where not.
    """

    ab: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        n, _, *size = self.ab.shape
        _check(self.ab.ndim == 4 and self.ab.shape[1] == 2, "ab must be (N, 2, H, W)")
        _check(tuple(self.mask.shape) == (n, 1, *size), "mask must be (N, 1, H, W) like ab")

    def to(self, device: torch.device | str) -> Hints:
        """The same on `device`."""
        return Hints(self.ab.to(device), self.mask.to(device))


@dataclass(frozen=True, slots=True, eq=False)
class Chroma:
    """Color of a batch, small.

    Attributes:
        ab: (N, 2, h, w) float32 a*b* on the CPU; covers the whole coded frame.
        lightness: (N, 1, h, w) float32 L* on the same grid, what the color was predicted from.
        flow: (N, 2, h, w) float32 (x, y) in cells of the grid: where each cell of the frame
            before lies in this one; zeros for the first frame of a shot and for held frames.
            None: nobody has looked.
        sure: (N, 1, h, w) float32 in 0..1: how far the color is a person's and not a guess.
            None: all of it is a guess.
    """

    ab: Tensor
    lightness: Tensor
    flow: Tensor | None = None
    sure: Tensor | None = None

    def __post_init__(self) -> None:
        _check(
            self.ab.ndim == 4 and self.ab.shape[1] == 2 and self.ab.dtype == torch.float32,
            f"ab must be float32 (N, 2, h, w), not {self.ab.dtype} {tuple(self.ab.shape)}",
        )
        n, _, *size = self.ab.shape
        _check(tuple(self.lightness.shape) == (n, 1, *size), "lightness must lie on the grid of ab")
        if self.flow is not None:
            _check(tuple(self.flow.shape) == (n, 2, *size), "flow must be (N, 2, h, w) like ab")
        if self.sure is not None:
            _check(tuple(self.sure.shape) == (n, 1, *size), "sure must lie on the grid of ab")

    def __len__(self) -> int:
        return len(self.ab)

    def __getitem__(self, part: slice) -> Chroma:
        return Chroma(
            self.ab[part],
            self.lightness[part],
            None if self.flow is None else self.flow[part],
            None if self.sure is None else self.sure[part],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Color to be laid over that of the network, where something is known of it.

    Attributes:
        ab: (N, 2, h, w) float32 a*b* on any grid that covers the coded frame.
        weight: (N, 1, h, w) float32: 0 leaves the color below, 1 replaces it.
    """

    ab: Tensor
    weight: Tensor

    def __post_init__(self) -> None:
        n, _, *size = self.ab.shape
        _check(self.ab.ndim == 4 and self.ab.shape[1] == 2, "ab must be (N, 2, h, w)")
        _check(tuple(self.weight.shape) == (n, 1, *size), "weight must be (N, 1, h, w) like ab")

    def __len__(self) -> int:
        return len(self.ab)

    def __getitem__(self, part: slice) -> Layer:
        return Layer(self.ab[part], self.weight[part])


@dataclass(frozen=True, slots=True, eq=False)
class Detected:
    """Frames and what was seen in them.

    Attributes:
        frames: The frames.
        detections: What was seen.
        looked: (N,) bool: the detector looked at the frame; where it did not, having no boxes
            means nothing. None: at all of them.
        ids: (K,) int64, identities that a person's file gives; None: nobody knows them yet.
    """

    frames: FrameBatch
    detections: Detections
    looked: Tensor | None = None
    ids: Tensor | None = None

    def __post_init__(self) -> None:
        if self.looked is not None:
            _check(tuple(self.looked.shape) == (len(self.frames),), "looked must be (N,)")
        if self.ids is not None:
            _check(tuple(self.ids.shape) == (len(self.detections),), "ids must be (K,)")

    def has_looked(self) -> Tensor:
        """(N,) bool: at which frames the detector looked."""
        whole = torch.ones(len(self.frames), dtype=torch.bool)
        return whole if self.looked is None else self.looked


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """Frames and the objects followed through them.

    Attributes:
        frames: The frames.
        tracks: The objects.
        whole: (1, D) or (N, D) float32 on the CPU: by which vector of the whole picture the
            network is to go, one for all frames or one each; of two networks side by side. None:
            by each frame's own, if it has any.
    """

    frames: FrameBatch
    tracks: Tracks
    whole: Tensor | None = None

    def __post_init__(self) -> None:
        if self.whole is not None:
            shape, count = tuple(self.whole.shape), len(self.frames)
            _check(
                len(shape) == 2 and shape[0] in (1, count),
                f"whole must be (1, D) or ({count}, D), not {shape}",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Colored:
    """Frames with their color."""

    frames: FrameBatch
    tracks: Tracks
    chroma: Chroma

    def __post_init__(self) -> None:
        _check(
            len(self.frames) == len(self.chroma),
            f"{len(self.frames)} frames, {len(self.chroma)} of chroma",
        )
