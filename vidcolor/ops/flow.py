"""Optical flow between gray pictures, and warping along it.

Reference: Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016,
arXiv 1603.03590 (OpenCV's implementation).
"""

from __future__ import annotations

import functools
from typing import Any, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.ops.median import median_of

__all__ = [
    "FlowPreset",
    "agreement",
    "as_gray",
    "bend",
    "bends",
    "dis_flow",
    "equalize",
    "grain",
    "invert_flow",
    "pixel_grid",
    "pixel_planes",
    "places_back",
    "warp",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
FlowPreset = Literal["sparse", "ultrafast", "fast", "balanced", "medium"]

_PRESETS: dict[str, int] = {"sparse": 0, "ultrafast": 0, "fast": 1, "balanced": 2, "medium": 2}
_PATCH_PX = 8
_LEAST_SIDE_PX = 12  # DIS refuses pictures with fewer
_AGREEMENT_WINDOW_PX = 5


def equalize(image: Bytes, like: Bytes) -> Bytes:
    """`image` with the mean and the deviation of `like`.

    Old film pulses and cameras change exposure, while flow takes for granted that a thing keeps
    its brightness. A gain is limited to half and double, so that a nearly flat picture does not
    become noise.

    Args:
        image: (H, W) uint8.
        like: (H, W) uint8.

    Returns:
        (H, W) uint8, clipped.
    """
    mean, deviation = (float(v.item()) for v in cv2.meanStdDev(image))
    wanted_mean, wanted_deviation = (float(v.item()) for v in cv2.meanStdDev(like))
    gain = min(2.0, max(0.5, (wanted_deviation + 1) / (deviation + 1)))
    codes = np.arange(256, dtype=np.float32)
    table = np.clip(np.rint((codes - mean) * gain + wanted_mean), 0, 255).astype(np.uint8)
    return cast(Bytes, cv2.LUT(image, table))


def dis_flow(a: Bytes, b: Bytes, preset: FlowPreset = "medium") -> Floats:
    """Where each pixel of `a` lies in `b`, by dense inverse search.

    The exposure of `b` is first matched to that of `a`.

    Args:
        a: (H, W) uint8.
        b: (H, W) uint8.
        preset: `ultrafast`, `fast` or `medium` are OpenCV's: 0.7, 1.4 and 6.5 ms of one core at
            192x320. `balanced` explains the next frame as well within a hundredth, in 2.7 ms.
            `sparse` is `ultrafast` with patches side by side, in half of its time: for the
            movement of the camera, which all of them tell together.

    Returns:
        (H, W, 2) float32 (x, y) in pixels: `a(p) = b(p + flow(p))`. Zero where the picture is
        too small for flow (a side under 12 pixels).

    Raises:
        ValueError: If the pictures differ in size or are not uint8.
    """
    if a.shape != b.shape or a.ndim != 2 or a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(
            f"flow wants two uint8 pictures of one size, not {a.dtype} {a.shape}, "
            f"{b.dtype} {b.shape}"
        )
    if min(a.shape) < _LEAST_SIDE_PX:
        return np.zeros((*a.shape, 2), np.float32)
    search = cv2.DISOpticalFlow.create(_PRESETS[preset])
    if preset == "balanced":
        search.setPatchStride(5)
        search.setGradientDescentIterations(12)
        search.setVariationalRefinementIterations(2)
    if preset == "sparse":
        search.setPatchStride(_PATCH_PX)
    return cast(Floats, search.calc(a, equalize(b, a), cast(Any, None)))


@functools.lru_cache(maxsize=4)
def pixel_grid(height: int, width: int) -> Floats:
    """(H, W, 2) float32 column and row of each pixel; not to be written to."""
    grid = np.empty((height, width, 2), np.float32)
    grid[..., 0] = np.arange(width)
    grid[..., 1] = np.arange(height)[:, None]
    grid.flags.writeable = False
    return grid


@functools.lru_cache(maxsize=4)
def pixel_planes(height: int, width: int) -> Floats:
    """(2, H, W) float32 column and row of each pixel; not to be written to."""
    planes = np.ascontiguousarray(pixel_grid(height, width).transpose(2, 0, 1))
    planes.flags.writeable = False
    return planes


def warp(image: Floats, flow: Floats, cubic: bool = False) -> Floats:
    """Backward warp: `result(p) = image(p + flow(p))`, the border repeated.

    Args:
        image: (H, W, C) float32, any number of channels.
        flow: (H, W, 2) float32 (x, y) in pixels.
        cubic: Interpolate by cubics (`bend`), which overshoot a little at edges, but do not blur
            what is warped again and again; else bilinear.

    Returns:
        (H, W, C) float32.
    """
    place = pixel_grid(*flow.shape[:2]) + flow
    nothing = cast(Any, None)
    parts = []
    for first in range(0, image.shape[2], 4):  # remap takes four channels at once
        part = np.ascontiguousarray(image[..., first : first + 4])
        moved = cv2.remap(part, place, nothing, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        parts.append(np.reshape(cast(Array, moved), part.shape))  # OpenCV drops a single channel
    whole: Floats = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
    if not cubic:
        return whole
    planes = np.ascontiguousarray(whole.transpose(2, 0, 1))
    bend(planes, bends(np.ascontiguousarray(place.transpose(2, 0, 1))))
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def bends(places: Floats) -> Floats:
    """How far cubics between pixels leave straight lines.

    Args:
        places: (2, H, W) float32 column and row.

    Returns:
        (2, H, W), across and down: `t (t - 1) / 2`, t the fraction of a pixel.
    """
    part = np.floor(places)
    np.subtract(places, part, out=part)
    share: Floats = part - np.float32(1)
    share *= part
    share *= np.float32(0.5)
    return share


def bend(planes: Floats, shares: Floats) -> None:
    """Turn what was interpolated by straight lines into what cubics give, in place.

    The cubic of Catmull and Rom is the straight line and `t (t - 1) / 2` times the second
    difference, interpolated too. Here the difference is taken of what was moved already, which is
    the same where motion is smooth. That is faster than OpenCV's cubics, which besides round
    places to a 32nd of a pixel.

    Args:
        planes: (C, H, W) float32, moved by bilinear interpolation; written over.
        shares: (2, H, W) `bends` of the places that they were moved from.
    """
    second = np.empty(planes.shape[1:], np.float32)
    for plane in planes:
        for share, (across, down) in zip(shares, ((2, 0), (0, 2)), strict=True):
            cv2.Sobel(plane, -1, across, down, second, ksize=1, borderType=cv2.BORDER_REPLICATE)
            cv2.accumulateProduct(second, share, plane)


def invert_flow(flow: Floats, rounds: int = 3) -> Floats:
    """Flow on the grid of the other picture, by fixed-point iteration.

    With `a(p) = b(p + flow(p))` the result r has `b(q) = a(q + r(q))`, except where something of
    `b` is hidden in `a`: there it is a guess.

    Args:
        flow: (H, W, 2) float32.
        rounds: Iterations; 3 bring smooth motion below a tenth of a pixel.
    """
    planes = np.ascontiguousarray(flow.transpose(2, 0, 1))
    back = places_back(planes, rounds)
    back -= pixel_planes(*flow.shape[:2])
    return cast(Floats, cv2.merge((back[0], back[1])))


def places_back(flow: Floats, rounds: int = 3) -> Floats:
    """Where the pixels of the other picture came from: `invert_flow` by planes, grid added.

    Args:
        flow: (2, H, W) float32.
        rounds: As for `invert_flow`.

    Returns:
        (2, H, W) float32 column and row.
    """
    grid = pixel_planes(*flow.shape[1:])
    # OpenCV moves four planes in 60 % of the time of two
    doubled = cast(Floats, cv2.merge((flow[0], flow[1], flow[0], flow[1])))
    onward = np.empty((4, *flow.shape[1:]), np.float32)
    places = grid - flow
    for _ in range(rounds):
        moved = cv2.remap(
            doubled, places[0], places[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        cv2.split(moved, list(onward))
        np.subtract(grid, onward[:2], out=places)
    return places


def as_gray(lightness: Floats) -> Bytes:
    """What flow is computed from.

    Args:
        lightness: (H, W) L* in 0..100.

    Returns:
        (H, W) uint8, 2.55 codes for 1 L*.
    """
    return np.clip(np.rint(lightness * np.float32(2.55)), 0, 255).astype(np.uint8)


@functools.cache
def _noise_kernel() -> Array:
    return np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6


def grain(lightness: Floats) -> float:
    """Standard deviation of the noise: Immerkaer's mask, with a median that texture moves little.

    Reference: Immerkaer, Fast noise variance estimation, CVIU 1996.

    Args:
        lightness: (H, W) float32 L*.

    Returns:
        L*.
    """
    response = cast(Floats, cv2.filter2D(lightness, -1, _noise_kernel()))
    return median_of(np.abs(response[::2, ::2])) / 0.6745


def agreement(lightness: Floats, moved: Floats, tau: float, pulse: float) -> Floats:
    """Whether what was moved here is the same thing: its lightness says so, on average around it.

    Args:
        lightness: (H, W) float32 L* of a frame.
        moved: (H, W) float32 L* of another one, warped onto it.
        tau: Difference, in L*, of which 0.6 of the trust is left.
        pulse: Change of exposure, in L*, that is no change of the picture.

    Returns:
        (H, W) float32 in 0..1, `exp(-d^2 / (2 tau^2))`.
    """
    difference = lightness - moved
    exposure = median_of(difference[::4, ::4])
    difference -= np.float32(min(pulse, max(-pulse, exposure)))
    window = (_AGREEMENT_WINDOW_PX, _AGREEMENT_WINDOW_PX)
    np.abs(difference, out=difference)
    smooth = cast(Floats, cv2.blur(difference, window, borderType=cv2.BORDER_REPLICATE))
    smooth *= smooth
    smooth *= np.float32(-0.5 / tau**2)
    return np.exp(smooth, out=smooth)
