"""Carries color from keyframes to the frames between them.

Where things went is kept as one displacement from a frame straight to its keyframe, put together
from the flow of each pair of frames, so that color is interpolated once however far it travels.
Paths and trust live on a grid of half the size: flow is no finer, and it costs a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.ops.flow import (
    FlowPreset,
    agreement,
    as_gray,
    dis_flow,
    grain,
    invert_flow,
    pixel_planes,
    warp,
)

__all__ = ["Gate", "Look", "Path", "blend", "find_ways", "paths_back", "paths_on"]

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_SHRINK = 2
_OUTSIDE_PX = 1.5  # flow is not surer than that at the border
_LEAST_WEIGHT = 1e-4  # where neither side knows anything, time decides
_FILL_WINDOW_PX = 11  # on the small grid


@dataclass(frozen=True, slots=True)
class Gate:
    """When lightness says that two places are the same thing.

    Attributes:
        tau: Change of lightness, in L*, that makes them half strangers.
        noise_factor: `tau` is at least so many standard deviations of the grain.
        tau_most: And at most this, in L*.
        pulse: Change of exposure, in L*, that is no change of the picture.
    """

    tau: float
    noise_factor: float
    tau_most: float
    pulse: float

    def trust(self, here: Look, there: Look, shift: Floats) -> Floats:
        """(h, w) in 0..1: whether `there`, moved along `shift`, is what is seen `here`."""
        noise = max(here.noise, there.noise)
        tau = min(self.tau_most, max(self.tau, self.noise_factor * noise))
        moved = warp(there.lightness[..., None], shift)[..., 0]
        trust = agreement(here.lightness, moved, tau, self.pulse)
        trust[_outside(shift)] = 0
        return trust


@dataclass(frozen=True, slots=True)
class Look:
    """What is kept of a frame as long as color may travel past it; all but `gray` is small.

    Attributes:
        gray: (H, W) uint8, for the next flow.
        lightness: (h, w) L*.
        noise: Standard deviation of the grain in L*.
        onward: (h, w, 2) where each cell of the frame before lies here, in cells; None for the
            first of a shot.
        back: (h, w, 2) where each cell of this frame lies in the one before.
    """

    gray: Bytes
    lightness: Floats
    noise: float
    onward: Floats | None = None
    back: Floats | None = None

    @classmethod
    def at(
        cls, lightness: Floats, before: Look | None, preset: FlowPreset
    ) -> tuple[Look, Floats | None]:
        """Look at a frame.

        Args:
            lightness: (H, W) L*.
            before: The frame before it in the shot that it does not repeat.
            preset: Effort for flow.

        Returns:
            The look, and the (H, W, 2) flow from the frame before, if there is one.
        """
        gray = as_gray(lightness)
        height, width = lightness.shape
        size = -(-height // _SHRINK), -(-width // _SHRINK)
        small = _resize(lightness, size)
        if before is None:
            return cls(gray, small, grain(small)), None
        flow = dis_flow(before.gray, gray, preset)
        onward = _shrink_flow(flow, size)
        return cls(gray, small, grain(small), onward, invert_flow(onward, rounds=2)), flow


@dataclass(frozen=True, slots=True)
class Path:
    """The way from a frame to a keyframe.

    Attributes:
        shift: (h, w, 2) where each cell lies in the keyframe, in cells.
        trust: (h, w) in 0..1: whether it is the same thing there.
    """

    shift: Floats
    trust: Floats


def paths_on(looks: Sequence[Look], gate: Gate) -> list[Path]:
    """Paths to the first of consecutive frames from each that follows."""
    shift: Floats = np.zeros((*looks[0].lightness.shape, 2), np.float32)
    paths = []
    for look in looks[1:]:
        assert look.back is not None, "only the first frame of a shot has none before it"
        shift = look.back + warp(shift, look.back)
        paths.append(Path(shift, gate.trust(look, looks[0], shift)))
    return paths


def paths_back(looks: Sequence[Look], gate: Gate) -> list[Path]:
    """Paths to the last of consecutive frames from each before it, in the order of the frames."""
    shift: Floats = np.zeros((*looks[-1].lightness.shape, 2), np.float32)
    paths = []
    for i in range(len(looks) - 2, -1, -1):
        step = looks[i + 1].onward
        assert step is not None, "only the first frame of a shot has none before it"
        shift = step + warp(shift, step)
        paths.append(Path(shift, gate.trust(looks[i], looks[-1], shift)))
    return paths[::-1]


def find_ways(
    looks: Sequence[Look], ends: bool, gate: Gate, trusted: float, most_unknown: float
) -> list[tuple[tuple[int, Path], ...]]:
    """Which frames become keyframes, and how the others are explained by them.

    In the middle of the frames that the keyframes around them leave unexplained in a part larger
    than `most_unknown` there is another keyframe, until there are none left.

    Args:
        looks: Consecutive frames; the first is a keyframe.
        ends: Whether the last is one too.
        gate: What is the same thing.
        trusted: Trust from which a place counts as explained.
        most_unknown: Part of a frame that may stay unexplained.

    Returns:
        For each frame the keyframes on its sides and the ways there; nothing for a keyframe.
    """
    on: list[Path | None] = [None, *paths_on(looks, gate)]
    back: list[Path | None] = [None] * len(looks)
    if ends:
        back = [*paths_back(looks, gate), None]
    ways: list[tuple[tuple[int, Path], ...]] = [()] * len(looks)

    def settle(first: int, last: int) -> None:
        inner = range(first + 1, last)
        sides = {
            i: tuple(
                (key, path) for key, path in ((first, on[i]), (last, back[i])) if path is not None
            )
            for i in inner
        }
        dark = [
            i
            for i in inner
            if _unknown_share([path for _, path in sides[i]], trusted) > most_unknown
        ]
        if not dark:
            for i in inner:
                ways[i] = sides[i]
            return
        middle = dark[len(dark) // 2]
        back[first:middle] = paths_back(looks[first : middle + 1], gate)
        on[middle + 1 : last] = paths_on(looks[middle:last], gate)
        settle(first, middle)
        settle(middle, last)

    settle(0, len(looks) - 1 if ends else len(looks))
    return ways


def _unknown_share(paths: Sequence[Path], trusted: float) -> float:
    """Part of a frame that none of the paths explains."""
    known = _known(paths)
    return float(np.count_nonzero(known < trusted)) / known.size


def blend(
    sides: Sequence[tuple[Floats, Path]], nearness: Sequence[float], trusted: float
) -> Floats:
    """Color of a frame between keyframes.

    Both sides by squared trust and nearness in time; places that neither explains take, the less
    they are trusted the more, the color of what is known around them.

    Args:
        sides: (H, W, 2) a*b* of one or two keyframes, and the ways to them.
        nearness: A weight for each, above 0.
        trusted: Trust from which nothing is taken from the surroundings.

    Returns:
        (2, H, W) a*b*.
    """
    size = sides[0][0].shape[:2]
    planes = _bring(*sides[0])
    if len(sides) == 2:
        weights: list[Floats] = [
            np.float32(near) * (np.square(path.trust) + np.float32(_LEAST_WEIGHT))
            for near, (_, path) in zip(nearness, sides, strict=True)
        ]
        second: Floats = weights[1] / (weights[0] + weights[1])
        share = _resize(second, size)
        for plane, other in zip(planes, _bring(*sides[1]), strict=True):
            other -= plane
            other *= share
            plane += other
    known = _known([path for _, path in sides])
    if known.min() < trusted:
        weight = np.square(known) + np.float32(_LEAST_WEIGHT)
        total = _around(weight)
        missing = np.maximum(np.float32(0), 1 - known * np.float32(1 / trusted))
        for plane in planes:
            small = _resize(plane, known.shape)
            plane += _resize(missing * (_around(small * weight) / total - small), size)
    return np.stack(planes)


def _around(plane: Floats) -> Floats:
    """Mean of what is around each cell."""
    window = (_FILL_WINDOW_PX, _FILL_WINDOW_PX)
    return cast(Floats, cv2.blur(plane, window, borderType=cv2.BORDER_REPLICATE))


def _known(paths: Sequence[Path]) -> Floats:
    trust = paths[0].trust
    for path in paths[1:]:
        trust = np.maximum(trust, path.trust)
    return trust


def _bring(ab: Floats, path: Path) -> list[Floats]:
    """(H, W) planes of a keyframe's color, moved here."""
    height, width = ab.shape[:2]
    shifts = cv2.split(path.shift)
    scales = height / path.shift.shape[0], width / path.shift.shape[1]
    x, y = (
        _resize(np.multiply(shift, np.float32(scale), out=shift), (height, width))
        for shift, scale in zip(shifts, scales[::-1], strict=True)
    )
    grid = pixel_planes(height, width)
    x += grid[0]
    y += grid[1]
    # two planes one by one take less time than at once
    return [
        cast(
            Floats,
            cv2.remap(
                np.ascontiguousarray(ab[..., channel]),
                x,
                y,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            ),
        )
        for channel in range(2)
    ]


def _outside(shift: Floats) -> npt.NDArray[np.bool_]:
    """(h, w): the way leads out of the picture."""
    height, width = shift.shape[:2]
    x = shift[..., 0] + np.arange(width, dtype=np.float32)
    y = shift[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    # the distance from the middle says it for both borders at once
    far_x = np.abs(x - np.float32((width - 1) / 2)) > (width - 1) / 2 + _OUTSIDE_PX
    far_y = np.abs(y - np.float32((height - 1) / 2)) > (height - 1) / 2 + _OUTSIDE_PX
    return np.asarray(far_x | far_y)


def _resize(planes: Floats, size: tuple[Any, ...]) -> Floats:
    """Averages areas where it shrinks, interpolates where it grows."""
    if planes.shape[:2] == size[:2]:
        return planes
    shrinks = planes.shape[0] > size[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = cv2.resize(planes, (size[1], size[0]), interpolation=how)
    return cast(Floats, np.reshape(small, (*size[:2], *planes.shape[2:])))


def _shrink_flow(flow: Floats, size: tuple[int, int]) -> Floats:
    """Flow on a smaller grid, in its cells."""
    small = _resize(flow, size)
    small[..., 0] *= np.float32(size[1] / flow.shape[1])
    small[..., 1] *= np.float32(size[0] / flow.shape[0])
    return small
