"""Color by statistics: the simple ways from a reference to a picture.

References: Reinhard, Ashikhmin, Gooch, Shirley, Color transfer between images, IEEE CG&A 2001;
Welsh, Ashikhmin, Mueller, Transferring color to greyscale images, SIGGRAPH 2002; for the
covariance, Pitie and Kokaram, The linear Monge-Kantorovitch colour mapping, CVMP 2007.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["chroma_statistics", "chroma_transfer", "reinhard", "welsh"]

Array = npt.NDArray[np.floating[Any]]

_TO_CONES = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
_TO_OPPONENTS = np.diag([1 / np.sqrt(3), 1 / np.sqrt(6), 1 / np.sqrt(2)]) @ np.array(
    [[1, 1, 1], [1, 1, -2], [1, -1, 0]]
)
_FLOOR = 1 / 255  # black has no logarithm
_TINY = 1e-12
_CHUNK = 1 << 22  # costs held at once


def reinhard(picture: Array, reference: Array) -> Array:
    """A picture with the colors of another, channel by channel of l-alpha-beta (section 3).

    For pictures that have color; a gray one has no spread of chroma to scale.

    Args:
        picture: (..., 3) gamma-coded R'G'B' in 0..1.
        reference: (..., 3) of the same kind; its size does not matter.

    Returns:
        The shape of `picture`, float64, clipped to 0..1.
    """
    own, wanted = _opponents(picture), _opponents(reference)
    spread = own.std(0)
    gain = np.where(spread > _TINY, wanted.std(0) / np.maximum(spread, _TINY), 0)
    moved = (own - own.mean(0)) * gain + wanted.mean(0)
    cones = 10 ** (moved @ np.linalg.inv(_TO_OPPONENTS).T)
    return np.clip(cones @ np.linalg.inv(_TO_CONES).T, 0, 1).reshape(picture.shape)


def _opponents(picture: Array) -> Array:
    """(n, 3) float64 l-alpha-beta."""
    pixels = np.maximum(np.asarray(picture, np.float64).reshape(-1, 3), _FLOOR)
    return cast(Array, np.log10(pixels @ _TO_CONES.T) @ _TO_OPPONENTS.T)


def chroma_statistics(ab: Array) -> tuple[Array, Array]:
    """Mean and covariance of colors.

    Args:
        ab: (2, ...) a*b*.

    Returns:
        (2,) and (2, 2), float64.
    """
    flat = np.asarray(ab, np.float64).reshape(2, -1)
    return flat.mean(1), np.cov(flat, bias=True)


def chroma_transfer(own: tuple[Array, Array], wanted: tuple[Array, Array]) -> Array:
    """The map that gives colors the mean and the covariance of others.

    Reinhard's idea with both channels at once, so that hues keep their relations: of all linear
    maps that give the wanted covariance the one that moves colors least (Pitie and Kokaram).

    Args:
        own: `chroma_statistics` of the colors that are to change.
        wanted: Those of the others.

    Returns:
        (2, 3) float64: what is multiplied with (a*, b*, 1).
    """
    root, inverse = _root(own[1]), _root(own[1], -0.5)
    turn = inverse @ _root(root @ wanted[1] @ root) @ inverse
    return cast(Array, np.column_stack((turn, wanted[0] - turn @ own[0])))


def _root(matrix: Array, power: float = 0.5) -> Array:
    """Power of a symmetric matrix; directions without spread stay without."""
    values, vectors = np.linalg.eigh(matrix)
    there = values > _TINY * max(1.0, float(values.max()))
    values = np.where(there, np.where(there, values, 1.0) ** power, 0)
    return cast(Array, (vectors * values) @ vectors.T)


def welsh(lightness: Array, reference_lightness: Array, reference_ab: Array) -> Array:
    """Color for a gray picture: each pixel takes a*b* of the reference's most similar one.

    Similar in lightness and in its deviation within 5x5 pixels, after the lightness of the
    reference was brought to the mean and the deviation of the picture's (sections 2.1, 2.2). All
    pixels of the reference are candidates; give it small.

    Args:
        lightness: (h, w) L* in 0..100.
        reference_lightness: (H, W) L* of the reference.
        reference_ab: (2, H, W) a*b* of it.

    Returns:
        (2, h, w) a*b* in the type of `reference_ab`.
    """
    own = np.asarray(lightness, np.float64) / 100
    other = np.asarray(reference_lightness, np.float64) / 100
    gain = own.std() / max(float(other.std()), _TINY)
    other = (other - other.mean()) * gain + own.mean()
    wanted = np.stack((own, _deviation(own)), axis=-1).reshape(-1, 2)
    offered = np.stack((other, _deviation(other)), axis=-1).reshape(-1, 2)
    best = _nearest(wanted, offered)
    return reference_ab.reshape(2, -1)[:, best].reshape(2, *own.shape)


def _nearest(wanted: Array, offered: Array) -> npt.NDArray[np.intp]:
    """(n,) which row of (m, d) `offered` is nearest to each row of (n, d) `wanted`."""
    best = np.empty(len(wanted), np.intp)
    step = max(1, _CHUNK // len(offered))
    for first in range(0, len(wanted), step):
        part = wanted[first : first + step]
        cost = np.zeros((len(part), len(offered)))
        for channel in range(wanted.shape[1]):
            cost += (part[:, channel, None] - offered[None, :, channel]) ** 2
        best[first : first + step] = cost.argmin(1)
    return best


def _deviation(plane: Array) -> Array:
    """Standard deviation within 5x5 pixels, the border repeated."""
    padded = cv2.copyMakeBorder(plane, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(padded), (5, 5))
    return cast(Array, windows.std(axis=(2, 3)))
