"""Color along motion: where each pixel was, and what color it had there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.color.lab import rgb_to_lab
from vidcolor.color.measure import visible
from vidcolor.io.color_frames import resize
from vidcolor.ops.flow import FlowPreset, dis_flow, warp

__all__ = ["Change", "Picture", "Step", "Trail"]

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One coloring of a frame.

    Attributes:
        rgb: (H, W, 3) uint8 at the compared size.
        small: (h, w, 3) float32 0..1 at the size of motion.
        ab: (h, w, 2) float32 a*b* of `small`.
        planes: (h, w, 2) float32 a*b* as it was before it was laid beside luma, if known.
    """

    rgb: Bytes
    small: Floats
    ab: Floats
    planes: Floats | None = None

    @classmethod
    def of(cls, rgb: Bytes, size: tuple[int, int], planes: Floats | None = None) -> Picture:
        """Of (H, W, 3) uint8 and a*b* of any size, motion followed at `size`."""
        small = resize(rgb, size).astype(np.float32) / np.float32(255)
        channels = torch.from_numpy(small).permute(2, 0, 1)[None]
        lab = rgb_to_lab(channels)[0, 1:].permute(1, 2, 0)
        given = None if planes is None else np.asarray(resize(planes, size), np.float32)
        return cls(rgb, small, np.ascontiguousarray(lab.numpy()), given)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Motion from a frame to the next.

    Attributes:
        onward: (h, w, 2) on the grid of the frame: where each pixel lies in the next.
        back: (h, w, 2) on the grid of the next: where each pixel lay.
        seen: (h, w) where `onward` can be believed.
        seen_back: (h, w) where `back` can be.
    """

    onward: Floats
    back: Floats
    seen: Mask
    seen_back: Mask

    @classmethod
    def between(cls, here: Bytes, there: Bytes, preset: FlowPreset) -> Step:
        """Of two gray pictures, (h, w) uint8; dense inverse search both ways."""
        if np.array_equal(here, there):  # held frames, stills: no flow search is needed
            still = np.zeros((*here.shape, 2), np.float32)
            everywhere = np.ones(here.shape, np.bool_)
            return cls(still, still, everywhere, everywhere)
        onward, back = dis_flow(here, there, preset), dis_flow(there, here, preset)
        return cls(
            onward,
            back,
            visible(onward, warp(back, onward)),
            visible(back, warp(onward, back)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A frame and what came to it from its neighbors, on its own grid.

    Attributes:
        here: The frame.
        ab: (h, w, 2) a*b* of the next frame, moved onto it.
        small: (h, w, 3) the same in R'G'B'.
        seen: (h, w) where that motion can be believed.
        between: (h, w, 2) mean of the a*b* of both neighbors; None of the first frame of a shot.
        seen_both: (h, w) where both motions can be believed.
        planes: (h, w, 2) `Picture.planes` of the next frame, moved onto it, if known.
    """

    here: Picture
    ab: Floats
    small: Floats
    seen: Mask
    between: Floats | None = None
    seen_both: Mask | None = None
    planes: Floats | None = None


class Trail:
    """Follows one coloring through a shot; remembers a frame and what came before it."""

    def __init__(self) -> None:
        self._last: Picture | None = None
        self._before: tuple[Floats, Mask] | None = None

    def cut(self) -> None:
        """What follows has nothing to do with what was."""
        self._last = self._before = None

    def push(self, picture: Picture, step: Step | None) -> Change | None:
        """Take a frame.

        Args:
            picture: Its color.
            step: Motion from the frame before; None at the start of a shot.

        Returns:
            What is now known of the frame before; None at the start of a shot.
        """
        last, before = self._last, self._before
        self._last = picture
        if last is None or step is None:
            return None
        moved = warp(np.concatenate((picture.ab, picture.small), axis=2), step.onward)
        between = seen_both = None
        if before is not None:
            between = (before[0] + moved[..., :2]) * np.float32(0.5)
            seen_both = before[1] & step.seen
        self._before = warp(last.ab, step.back), step.seen_back
        planes = None if picture.planes is None else warp(picture.planes, step.onward)
        return Change(last, moved[..., :2], moved[..., 2:], step.seen, between, seen_both, planes)
