"""How frames of a shot moved, and what a neighbor looks like where this frame is.

Flow is computed on small pictures without specks, because a speck would be moved, not missed
(restoration rules of Kokaram, Motion Picture Restoration, 1998). Compensated neighbors are made
at full size along the enlarged flow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError
from vidcolor.ops.flow import FlowPreset, dis_flow, warp
from vidcolor.records import FrameBatch, VideoInfo
from vidcolor.repair.records import Hole, Link, Moved
from vidcolor.repair.window import Frame, Window

__all__ = [
    "FollowConfig",
    "Neighbor",
    "chain",
    "compensated",
    "enlarged",
    "follow",
    "grid_size",
    "mismatch",
    "nearest",
    "neighbors",
    "refilled",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_MEDIAN_PX = 5
_LEAST_WEIGHT = 1e-3  # of known flow, under which a wider reach is asked


@dataclass(frozen=True, slots=True)
class FollowConfig:
    """How motion is found.

    Attributes:
        lines: Motion is found on pictures of about so many lines.
        flow: Effort: `ultrafast`, `fast` or `medium`.
    """

    lines: int = 288
    flow: str = "medium"

    def __post_init__(self) -> None:
        if not 64 <= self.lines <= 2160:
            raise ConfigError(f"lines must be 64 to 2160, not {self.lines}")
        if self.flow not in ("ultrafast", "fast", "medium"):
            raise ConfigError(f"flow must be ultrafast, fast or medium, not {self.flow!r}")


def grid_size(info: VideoInfo, lines: int) -> tuple[int, int]:
    """`(height, width)` of the small pictures: a whole number of pixels to a cell."""
    factor = max(1, round(min(info.size) / lines))
    return max(1, round(info.height / factor)), max(1, round(info.width / factor))


def _small(plane: Array, info: VideoInfo, size: tuple[int, int]) -> Bytes:
    """(h, w) uint8, despeckled."""
    wide = plane.astype(np.uint16) if plane.dtype == np.int32 else plane
    small = cast(Array, cv2.resize(wide, size[::-1], interpolation=cv2.INTER_AREA))
    if info.color.bits > 8:
        small = (small >> (info.color.bits - 8)).astype(np.uint8)
    return cast(Bytes, cv2.medianBlur(small, _MEDIAN_PX))


def follow(shots: Iterable[FrameBatch], config: FollowConfig) -> Iterator[Moved]:
    """Find the motion between consecutive frames of each shot.

    Memory: one small picture. Lookahead: none. At a cut: dropped. A frame that equals the one
    before, or that `cut` found to repeat it, is the same and moves not at all.

    Args:
        shots: Frames whose shots are known.
        config: Where and how well to look.
    """
    before: tuple[Bytes, Array] | None = None
    for batch in shots:
        links: list[Link | None] = []
        size = grid_size(batch.info, config.lines)
        held = batch.is_held().tolist()
        for i, plane in enumerate(batch.luma[:, 0].numpy()):
            if batch.start + i == 0:
                before = None
            small = _small(plane, batch.info, size)
            if before is None:
                links.append(None)
            elif held[i] or np.array_equal(before[1], plane):
                still = np.zeros((*size, 2), np.float32)
                links.append(Link(still, still, same=True))
            else:
                preset = cast(FlowPreset, config.flow)
                links.append(
                    Link(dis_flow(small, before[0], preset), dis_flow(before[0], small, preset))
                )
            before = (small, plane)
        if before is not None:
            before = (before[0], before[1].copy())  # or the whole batch would be kept
        yield Moved(batch, tuple(links))


def chain(first: Floats, second: Floats) -> Floats:
    """Flow over two steps: `first` from a to b, `second` from b to c; (h, w, 2)."""
    return first + warp(second, first)


@dataclass(frozen=True, slots=True, eq=False)
class Neighbor:
    """Another frame of the shot, and the way there.

    Attributes:
        frame: The other one.
        there: (h, w, 2) flow on the small grid: where each cell of the middle frame lies in it.
        back: (h, w, 2) flow: where each cell of it lies in the middle frame.
        steps: Different pictures from the middle one to it, negative for earlier ones.
    """

    frame: Frame
    there: Floats
    back: Floats
    steps: int


def neighbors(window: Window, before: int, after: int) -> list[Neighbor]:
    """The nearest different pictures on both sides, nearest first on each side.

    Frames that repeat one another count as one picture, of which the nearest is taken; repeats
    of the middle frame itself are passed over.

    Args:
        window: Frames around the middle one.
        before: Most pictures before it.
        after: Most pictures after it.

    Returns:
        Those before (steps -1, -2, ...), then those after (1, 2, ...); fewer at the ends of the
        shot or of the window.
    """
    found: list[Neighbor] = []
    for side, most in ((-1, before), (1, after)):
        there: Floats | None = None
        back: Floats | None = None
        steps, at = 0, window.at
        while steps < most and 0 <= at + side < len(window.frames):
            link = window.frames[at if side < 0 else at + 1].link
            assert link is not None, "frames of one window follow one another"
            at += side
            if link.same:
                continue
            go, come = (link.back, link.onward) if side < 0 else (link.onward, link.back)
            there = go if there is None else chain(there, go)
            back = come if back is None else chain(come, back)
            steps += 1
            found.append(Neighbor(window.frames[at], there, back, side * steps))
    return found


def enlarged(flow: Floats, size: tuple[int, int]) -> Floats:
    """A flow of the small grid at full size: (H, W, 2) in pixels of the frame."""
    height, width = flow.shape[:2]
    scale = np.array((size[1] / width, size[0] / height), np.float32)
    if (height, width) == tuple(size):
        return flow
    large = cv2.resize(flow, size[::-1], interpolation=cv2.INTER_LINEAR)
    return cast(Floats, large) * scale


def compensated(image: Floats, flow: Floats, cubic: bool = False) -> Floats:
    """A neighbor where the middle frame is: `result(p) = image(p + flow(p))`.

    Args:
        image: (H, W) float32 of the neighbor.
        flow: (H, W, 2) float32 in pixels, see `enlarged`.
        cubic: Interpolate by cubics: keeps grain, may overshoot a little.
    """
    return warp(image[..., None], flow, cubic)[..., 0]


def mismatch(there: Floats, back: Floats) -> Floats:
    """Forward-backward error, (h, w) in cells: how far there and back miss the start."""
    return cast(Floats, np.linalg.norm(there + warp(back, there), axis=2))


def nearest(found: Sequence[Neighbor]) -> tuple[Neighbor | None, Neighbor | None]:
    """Two neighbors for a test from both sides: one each, or two of one side at a shot's end."""
    sides = sorted(found, key=lambda one: (abs(one.steps), one.steps))
    left = next((one for one in sides if one.steps < 0), None)
    right = next((one for one in sides if one.steps > 0), None)
    if left is None or right is None:
        pair = [*sides, None, None]
        return pair[0], pair[1]
    return left, right


def refilled(flow: Floats, hole: Hole, sigma: float) -> Floats:
    """Flow continued smoothly into holes, by normalized Gaussian convolution.

    Inside a blotch flow is wrong by construction: it stretches to explain it. Where a hole is so
    large that nothing is known within reach, the reach is doubled, on a grid of half the size.

    Args:
        flow: (h, w, 2) float32.
        hole: (h, w), true where flow is not to be believed.
        sigma: Of the Gaussian, in cells.

    Returns:
        (h, w, 2) float32, `flow` outside of holes; zero if there is nothing but hole.
    """
    if not hole.any():
        return flow
    known = (~hole).astype(np.float32)
    seen = np.dstack((flow * known[..., None], known)).astype(np.float32)
    smooth = _spread(seen, sigma)
    return np.where(hole[..., None], smooth, flow)


def _spread(seen: Floats, sigma: float) -> Floats:
    blurred = cast(Floats, cv2.GaussianBlur(seen, (0, 0), sigma, borderType=cv2.BORDER_ISOLATED))
    weight = blurred[..., 2:]
    mean = cast(Floats, blurred[..., :2] / np.maximum(weight, np.float32(1e-12)))
    height, width = weight.shape[:2]
    lost = weight[..., 0] < _LEAST_WEIGHT
    if not lost.any() or max(height, width) < 4:
        return mean
    half = cv2.resize(seen, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
    wide = cv2.resize(_spread(cast(Floats, half), sigma), (width, height))
    return cast(Floats, np.where(lost[..., None], wide, mean))
