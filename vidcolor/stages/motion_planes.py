"""Planes compared: the camera's movement, exposure, medians, and parts of what differs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.ops.median import median_of

__all__ = [
    "Matrix",
    "Part",
    "Plane",
    "excess",
    "fit_camera",
    "median",
    "merged",
    "reduced",
    "same_exposure",
    "same_exposures",
    "sort_planes",
]

Plane = NDArray[np.float32]
Matrix = NDArray[np.float64]

_GRID_PX = 6
_LEAST_TEXTURE = 3.0  # codes of 255 a pixel; flow of flatter places is a guess
_LEAST_POINTS = 24
_STILL_PX = 0.15
_GOOD_FIT_PX = 1.0
_LEAST_GOOD = 0.4
_PLAIN = 0.3  # of the picture has texture, or less
_MOSTLY = 0.6  # of the picture is unchanged, or more
_UNCHANGED = 6.0  # codes of 255
_COVERS = 0.3  # parts are one object if so much of the smaller one lies in the other
_FIT_STEP_PX = 6  # exposure is fitted to every sixth pixel of every sixth row
_FIT_ROUNDS = 2
_OUTLIER = 2.5  # deviations from a fit beyond which a pixel has no say
_DEVIATION = 1.4826  # standard deviations in a median of distances
_LEAST_DEVIATION = 1.0  # codes
_LEAST_SPREAD = 4.0  # variance of codes; of less no gain can be told


def reduced(plane: NDArray[Any], size: tuple[int, int]) -> Plane:
    """A small picture to be compared with others that were made so.

    It is halved as long as it is twice as large, then interpolated: several times as fast as
    averaging areas. The first halving rounds to codes.

    Args:
        plane: (H, W) codes, uint8, int16 or int32 as `FrameBatch.luma` has them; only read.
        size: `(height, width)` of the result.

    Returns:
        `size`, float32, in units of codes.
    """
    if plane.dtype != np.uint8:
        plane = plane.astype(np.uint16)
    while plane.shape[0] >= 2 * size[0] and plane.shape[1] >= 2 * size[1]:
        half = plane.shape[0] // 2, plane.shape[1] // 2
        whole = plane[: 2 * half[0], : 2 * half[1]]
        plane = np.asarray(cv2.resize(whole, half[::-1], interpolation=cv2.INTER_AREA), np.float32)
    small = plane.astype(np.float32)
    if small.shape != size:
        small = np.asarray(cv2.resize(small, size[::-1], interpolation=cv2.INTER_LINEAR))
    return small


def fit_camera(
    flow: Plane, picture: NDArray[np.uint8], before: NDArray[np.uint8]
) -> tuple[Matrix, bool]:
    """The affine map that most of a flow field follows.

    Where most of the picture stays as it was, and little has texture (drawings on a plain
    ground) or no map fits, the camera is taken to stand.

    Args:
        flow: (H, W, 2) x and y.
        picture: (H, W) that the flow starts from; places without texture are left out.
        before: (H, W) that it leads to.

    Returns:
        (3, 3) map of (x, y, 1), and whether a good part of the picture follows it.
    """
    height, width = picture.shape
    across = cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=1 / 8)
    texture = np.asarray(cv2.blur(cv2.magnitude(across, down), (5, 5)))
    margin = max(4, min(height, width) // 16)
    inner = texture[margin : height - margin : _GRID_PX, margin : width - margin : _GRID_PX]
    strong = np.flatnonzero(inner > _LEAST_TEXTURE)
    still = np.eye(3)
    if len(strong) < _LEAST_POINTS:
        return still, True
    if len(strong) / inner.size < _PLAIN and _unchanged(picture, before) > _MOSTLY:
        return still, True
    rows, columns = (margin + _GRID_PX * place for place in np.divmod(strong, inner.shape[1]))
    moved = flow[rows, columns].astype(np.float64)
    size = np.abs(moved)
    if median_of(np.maximum(size[:, 0], size[:, 1])) < _STILL_PX:
        return still, True
    scale = 2.0 / max(height, width)
    design = np.stack(
        ((columns - width / 2) * scale, (rows - height / 2) * scale, np.ones(len(rows))), axis=1
    )
    model = np.zeros((3, 2))
    model[2] = median_of(moved[:, 0]), median_of(moved[:, 1])
    weight = np.ones(len(rows))
    for _ in range(6):
        rest = _lengths(moved - design @ model)
        spread = max(0.1, 1.4826 * median_of(rest))
        weight = 1 / (1 + (rest / (2 * spread)) ** 2) ** 2
        weighted = design * weight[:, None]
        model = np.linalg.solve(weighted.T @ design + 1e-9 * np.eye(3), weighted.T @ moved)
    rest = _lengths(moved - design @ model)
    reliable = bool(np.count_nonzero(rest < _GOOD_FIT_PX) >= _LEAST_GOOD * len(rest))
    if not reliable and _unchanged(picture, before) > _MOSTLY:
        return still, True
    matrix = np.eye(3)
    linear = model[:2].T * scale
    matrix[:2, :2] += linear
    matrix[:2, 2] = model[2] - linear @ np.array((width / 2, height / 2))
    return matrix, reliable


def _unchanged(picture: NDArray[np.uint8], before: NDArray[np.uint8]) -> float:
    """Part of the picture that is as it was, but for exposure and grain."""
    difference = cv2.subtract(picture, before, dtype=cv2.CV_32F)
    change = cast(Plane, cv2.blur(difference, (3, 3)))
    change -= np.float32(median_of(change[::3, ::3]))
    np.abs(change, out=change)
    return np.count_nonzero(change < _UNCHANGED) / change.size


def _lengths(vectors: Matrix) -> Matrix:
    """(n,) of (n, 2) vectors."""
    x, y = vectors.T
    return cast(Matrix, np.sqrt(x * x + y * y))


@dataclass(frozen=True, slots=True)
class Part:
    """A connected part of what moves.

    Attributes:
        x0: Left.
        y0: Top.
        x1: Right, outside.
        y1: Bottom, outside.
        area: Pixels that move.
        contrast: Sum of their differences from the background, in thresholds.
        peak: What a tenth of them reach.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    area: int
    contrast: float
    peak: float

    def joined(self, other: Part) -> Part:
        """Both together."""
        return Part(
            min(self.x0, other.x0),
            min(self.y0, other.y0),
            max(self.x1, other.x1),
            max(self.y1, other.y1),
            self.area + other.area,
            self.contrast + other.contrast,
            max(self.peak, other.peak),
        )


def sort_planes(planes: list[Plane]) -> list[Plane]:
    """Planes with each pixel's values in ascending order; faster than a sort for a few."""
    rows = list(planes)
    for end in range(len(rows) - 1, 0, -1):
        for k in range(end):
            rows[k], rows[k + 1] = (
                np.minimum(rows[k], rows[k + 1]),
                np.maximum(rows[k], rows[k + 1]),
            )
    return rows


def median(planes: list[Plane]) -> Plane:
    """Median of a few planes, pixel by pixel."""
    if len(planes) == 3:
        return _middle(*planes)
    if len(planes) == 5:
        a, b, c, d, e = planes
        # the smallest and the largest of four cannot be the middle one of five
        low = np.maximum(np.minimum(a, b), np.minimum(c, d))
        high = np.minimum(np.maximum(a, b), np.maximum(c, d))
        return _middle(low, high, e)
    rows, half = sort_planes(planes), len(planes) // 2
    if len(rows) % 2:
        return rows[half]
    return cast(Plane, (rows[half - 1] + rows[half]) * np.float32(0.5))


def _middle(a: Plane, b: Plane, c: Plane) -> Plane:
    """The middle one of three values, pixel by pixel."""
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def excess(now: Plane, background: Plane, play: int) -> Plane:
    """By how much pixels lie outside of all values within `play` pixels of the background."""
    around = np.ones((2 * play + 1, 2 * play + 1), np.uint8)
    above = now - cv2.dilate(background, around)
    below = cv2.erode(background, around) - now
    np.maximum(above, below, out=above)
    np.maximum(above, np.float32(0), out=above)
    return cast(Plane, cv2.blur(above, (3, 3)))


def merged(boxes: list[Part], reach: float) -> list[Part]:
    """Parts of which one, grown by `reach`, covers a good part of the other, made one."""
    boxes = list(boxes)
    again = True
    while again:
        again = False
        for i, j in itertools.combinations(range(len(boxes)), 2):
            a, b = boxes[i], boxes[j]
            wide = min(a.x1, b.x1) - max(a.x0, b.x0) + 2 * reach
            high = min(a.y1, b.y1) - max(a.y0, b.y0) + 2 * reach
            smaller = min((one.x1 - one.x0) * (one.y1 - one.y0) for one in (a, b))
            if wide > 0 and high > 0 and wide * high > _COVERS * smaller:
                boxes[j] = a.joined(b)
                del boxes[i]
                again = True
                break
    return boxes


def same_exposure(picture: Plane, like: Plane) -> Plane:
    """`picture` with the gain and offset that most of it has against `like`."""
    return same_exposures([picture], like)[0]


def same_exposures(pictures: list[Plane], like: Plane) -> list[Plane]:
    """Each of some pictures with the gain and offset that most of it has against `like`.

    `like` itself stays as it is. All are fitted at once: for so few values calls cost more than
    arithmetic.
    """
    strange = [picture for picture in pictures if picture is not like]
    if not strange:
        return pictures
    step = slice(None, None, _FIT_STEP_PX)
    x = np.stack([picture[step, step].ravel() for picture in strange])
    gain, offset = _exposures(x, like[step, step].ravel())
    fitted = []
    for picture, own_gain, own_offset in zip(strange, gain, offset, strict=True):
        result: Plane = picture * own_gain
        result += own_offset
        fitted.append(result)
    rest = iter(fitted)
    return [like if picture is like else next(rest) for picture in pictures]


def _exposures(x: Plane, y: Plane) -> tuple[Plane, Plane]:
    """(k,) gain and offset with which each row of (k, n) `x` is most like (n,) `y`."""
    gain = np.ones((len(x), 1), np.float32)
    offset = _row_medians(y - x)
    varied = np.ones((len(x), 1), np.bool_)
    like = y - y.mean()
    for _ in range(_FIT_ROUNDS):
        rest = np.abs(y - gain * x - offset)
        keep = rest <= _outlier_limits(rest)
        share = keep.astype(np.float32)
        share /= np.count_nonzero(keep, axis=1, keepdims=True)
        mean_x, mean_y = _row_sums(x, share), (share @ y)[:, None]
        away = x - mean_x
        share *= away
        spread = _row_sums(away, share)
        varied &= spread >= np.float32(_LEAST_SPREAD)
        slope = (share @ like)[:, None] / np.maximum(spread, np.float32(_LEAST_SPREAD))
        gain = np.where(varied, np.clip(slope, 0.5, 2), gain)
        offset = np.where(varied, mean_y - gain * mean_x, offset)
    return gain[:, 0], offset[:, 0]


def _outlier_limits(rest: Plane) -> Plane:
    """(k, 1) of (k, n) distances from a fit: more is an outlier."""
    limits = np.full((len(rest), 1), _OUTLIER, np.float32)
    # a median is sought only where it counts
    near = np.count_nonzero(rest <= np.float32(_LEAST_DEVIATION / _DEVIATION), axis=1)
    wide = np.flatnonzero(2 * near <= rest.shape[1])
    if len(wide):
        deviation = np.float32(_DEVIATION) * _row_medians(rest[wide])
        limits[wide] = _OUTLIER * np.maximum(np.float32(_LEAST_DEVIATION), deviation)
    return limits


def _row_sums(values: Plane, weights: Plane) -> Plane:
    """(k, 1) weighted sums of the rows of (k, n)."""
    return cast(Plane, np.einsum("kn,kn->k", values, weights)[:, None])


def _row_medians(values: Plane) -> Plane:
    """(k, 1) medians of the rows of (k, n)."""
    ordered = np.sort(values, axis=1)
    half = values.shape[1] // 2
    middle = ordered[:, half - 1 + values.shape[1] % 2 : half + 1]
    return cast(Plane, middle.mean(axis=1, keepdims=True, dtype=np.float32))
