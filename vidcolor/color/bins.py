"""Color as a choice among bins of the a*b* plane: encoding, decoding, and how common each bin is.

Reference: Zhang, Isola, Efros: Colorful Image Colorization, ECCV 2016 (arXiv:1603.08511),
sections 2.1 to 2.3, and the authors' public code. Differs: the number of bins that share a color
is a parameter (paper 5, code 10); the ratio of the class weights can be capped.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidcolor.color.lab import rgb_to_lab

__all__ = [
    "BIN_STEP",
    "ColorPrior",
    "annealed_mean",
    "at_least_float32",
    "gamut_bins",
    "rebalance",
    "smooth_prior",
    "soft_encode",
]

BIN_STEP = 10
"""Distance of neighboring bins in a*b* units."""

Floats = npt.NDArray[np.float64]

_CUBE_SIDE = 17
_NEIGHBORS = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
_CELL = 2.5  # a*b* units; smaller cells have fewer candidates but need a larger table
_ROUNDING = 1e-2  # square units; float32 may put a color into the cell beside its own
_MARGIN = 20.0  # how far beyond the outermost bins the table goes


@functools.lru_cache(maxsize=1)
def _gamut() -> tuple[tuple[int, int], ...]:
    from scipy.spatial import ConvexHull  # slow to import, and most networks have no bins

    # whatever the default device: networks are made on the meta device too
    axis = torch.linspace(0, 1, _CUBE_SIDE, dtype=torch.float64, device="cpu")
    cube = torch.cartesian_prod(axis, axis, axis).T[None]
    hull = ConvexHull(rgb_to_lab(cube)[0, 1:].T.numpy())
    reach = range(-15, 16)
    grid = np.array([(a, b) for a in reach for b in reach])
    outside = (grid * BIN_STEP) @ hull.equations[:, :2].T + hull.equations[:, 2]
    inside = grid[(outside <= 0).all(axis=1)].tolist()
    bins = {(a + da, b + db) for a, b in inside for da, db in _NEIGHBORS}
    return tuple((a * BIN_STEP, b * BIN_STEP) for a, b in sorted(bins))


def gamut_bins() -> Tensor:
    """Centers of the 313 bins of the published classifiers, in their order.

    Points of a grid of 10 units inside the convex hull of what sRGB reaches in a*b*, and their
    eight neighbors; by a, then b. Every sRGB color lies between bins.

    Returns:
        (313, 2) float32 a*b*.
    """
    return torch.tensor(_gamut(), dtype=torch.float32)


class _Nearby:
    """Which bins can be among the `k` nearest of a point, by cell of the a*b* plane.

    A bin is a candidate for a cell if its least distance to the cell is not above the k-th of all
    bins' largest distances, so nothing is lost against a search among all bins.
    """

    def __init__(self, centers: Floats, k: int) -> None:
        self.low: Floats = centers.min(axis=0) - _MARGIN
        self.high: Floats = centers.max(axis=0) + _MARGIN
        self.sides = tuple(int(n) for n in np.ceil((self.high - self.low) / _CELL))
        # (cells, Q) distance of a row or column of cells from each bin
        off_a, off_b = (
            np.abs(
                self.low[axis]
                + (np.arange(self.sides[axis])[:, None] + 0.5) * _CELL
                - centers[:, axis]
            )
            for axis in (0, 1)
        )
        rows = [self._possible(off, off_b, k) for off in off_a]
        most = max(int(row.sum(axis=1).max()) for row in rows)
        # candidates first, in the order of bins; the rest of a row lies infinitely far away
        numbers = [np.argsort(~row, axis=1, kind="stable")[:, :most] for row in rows]
        near = [np.take_along_axis(row, n, axis=1) for row, n in zip(rows, numbers, strict=True)]
        self.numbers = torch.from_numpy(np.concatenate(numbers))
        real = np.concatenate(near)[..., None]
        self.places = torch.from_numpy(np.where(real, centers[self.numbers.numpy()], np.inf))

    @staticmethod
    def _possible(off_a: Floats, off_b: Floats, k: int) -> npt.NDArray[np.bool_]:
        """(cells, Q) candidates of one row of cells."""
        half = _CELL / 2
        least = np.maximum(off_a - half, 0) ** 2 + np.maximum(off_b - half, 0) ** 2
        largest = (off_a + half) ** 2 + (off_b + half) ** 2
        limit = np.partition(largest, k - 1, axis=1)[:, k - 1 : k]
        return np.asarray(least <= limit + _ROUNDING)


@functools.lru_cache(maxsize=8)
def _nearby(
    data: bytes, k: int, device: torch.device, dtype: torch.dtype
) -> tuple[_Nearby, Tensor, Tensor]:
    """The table of bins with these bytes (float64), numbers and places on `device`."""
    near = _Nearby(np.frombuffer(data).reshape(-1, 2), k)
    return near, near.numbers.to(device), near.places.to(device, dtype)


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision and integers as float32: they have no place in sums over bins or pixels."""
    return x if x.dtype == torch.float64 else x.float()


def _check_centers(centers: Tensor) -> None:
    if centers.ndim != 2 or centers.shape[1] != 2 or not len(centers):
        raise ValueError(f"centers must be (Q, 2), not {tuple(centers.shape)}")


def soft_encode(
    ab: Tensor, centers: Tensor, k: int = 5, sigma: float = 5.0
) -> tuple[Tensor, Tensor]:
    """Spread colors over their nearest bins.

    Args:
        ab: (N, 2, h, w) a*b*. Farther than 20 units outside the bins' bounding box (sRGB never
            is) counts as the nearest color that is not.
        centers: (Q, 2) a*b* of the bins.
        k: Bins that share a color: 5 in the paper, 10 in its code.
        sigma: Standard deviation of the Gaussian that divides it, a*b* units.

    Returns:
        Numbers of the bins, (N, k, h, w) int64, nearest first, and their weights (N, k, h, w)
        that sum to 1: exp(-distance^2 / (2 sigma^2)), normalized. Among bins at the same distance
        the order is not defined.

    Raises:
        ValueError: If shapes, `k` or `sigma` do not fit.
    """
    _check_centers(centers)
    if ab.ndim != 4 or ab.shape[1] != 2:
        raise ValueError(f"ab must be (N, 2, h, w), not {tuple(ab.shape)}")
    if not 1 <= k <= len(centers):
        raise ValueError(f"k must be 1 to {len(centers)}, the number of bins, not {k}")
    if sigma <= 0:
        raise ValueError(f"sigma must be positive, not {sigma}")
    with torch.no_grad():
        ab = at_least_float32(ab)
        data = centers.detach().cpu().double().numpy().tobytes()
        near, numbers, places = _nearby(data, k, ab.device, ab.dtype)
        a, b = (
            ab[:, axis].flatten().clamp(near.low[axis], near.high[axis]).unsqueeze(1)
            for axis in (0, 1)
        )
        row, column = (
            ((x[:, 0] - near.low[axis]) / _CELL).long().clamp(0, near.sides[axis] - 1)
            for axis, x in enumerate((a, b))
        )
        cell = row * near.sides[1] + column
        far = places.index_select(0, cell)
        square = (far[..., 0] - a).square() + (far[..., 1] - b).square()
        nearest, which = square.topk(k, dim=1, largest=False, sorted=True)
        chosen = numbers.index_select(0, cell).gather(1, which)
        weights = (nearest / (-2 * sigma**2)).softmax(1)
        n, _, height, width = ab.shape
        shape = (n, height, width, k)
        return (
            chosen.view(shape).permute(0, 3, 1, 2).contiguous(),
            weights.view(shape).permute(0, 3, 1, 2).contiguous(),
        )


def annealed_mean(logits: Tensor, centers: Tensor, temperature: float = 0.38) -> Tensor:
    """Color of a prediction: between the mean (drab) and the mode (vivid, blotchy).

    Args:
        logits: (N, Q, h, w), before the softmax; half precision is computed in float32.
        centers: (Q, 2) a*b* of the bins.
        temperature: 1 is the mean, toward 0 the mode; 0.38 in the paper.

    Returns:
        (N, 2, h, w) a*b*, float32 (float64 for float64 logits). Differentiable.

    Raises:
        ValueError: If shapes do not fit or `temperature` is not positive.
    """
    _check_centers(centers)
    if logits.ndim != 4 or logits.shape[1] != len(centers):
        raise ValueError(
            f"logits must be (N, {len(centers)}, h, w), one a bin, not {tuple(logits.shape)}"
        )
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    # autocast would take the sum over bins in half precision
    with torch.autocast(logits.device.type, enabled=False):
        share = (at_least_float32(logits) / temperature).softmax(1)
        # a product of matrices: einsum would copy the shares, 30 times the time
        ab = centers.to(share).T @ share.flatten(2)
        return ab.reshape(len(share), 2, *share.shape[2:])


def smooth_prior(prior: Tensor, centers: Tensor, sigma: float = 5.0) -> Tensor:
    """A prior whose bins share with their neighbors.

    Args:
        prior: (Q,) probabilities.
        centers: (Q, 2) a*b* of the bins.
        sigma: Standard deviation of the Gaussian, a*b* units; 0 changes nothing. Each bin gives
            away all that it has, so the sum stays.

    Returns:
        (Q,) float64.

    Raises:
        ValueError: If `sigma` is negative.
    """
    _check_centers(centers)
    if sigma < 0:
        raise ValueError(f"sigma must not be negative, it is {sigma}")
    prior = prior.double()
    if sigma == 0:
        return prior
    places = centers.to(prior)
    # plain differences: the expansion by products rounds small distances
    square = (places[:, None] - places[None]).square().sum(2)
    return prior @ (square / (-2 * sigma**2)).softmax(1)


def rebalance(prior: Tensor, mix: float = 0.5, cap: float = math.inf) -> Tensor:
    """Weights that make rare colors count.

    The inverse of the prior mixed with a uniform distribution. Grays are so common that a rare
    color may weigh some hundred times as much; on small sets cap that at 10 to 20.

    Args:
        prior: (Q,) probabilities (or counts: they are normalized), smoothed by `smooth_prior`
            or not.
        mix: Part of the uniform distribution, in (0, 1]; 1 is no rebalancing.
        cap: Largest ratio of two weights.

    Returns:
        (Q,) of `prior`'s type; the mean weight of colors drawn from `prior` is 1. Bins that never
        occur weigh 0 and have no part of the uniform distribution, as in the published code.

    Raises:
        ValueError: If `prior` is no distribution, or `mix` or `cap` out of range.
    """
    if not 0 < mix <= 1:
        raise ValueError(f"mix must be in (0, 1], not {mix}")
    if not cap >= 1:
        raise ValueError(f"cap must be at least 1, not {cap}")
    if prior.ndim != 1 or not bool((prior >= 0).all()) or not float(prior.sum()) > 0:
        raise ValueError("prior must be (Q,) of values from 0 up that are not all 0")
    p = prior.double()
    p = p / p.sum()
    occurs = p > 0
    weight = torch.where(occurs, 1 / ((1 - mix) * p + mix / int(occurs.sum())), 0.0)
    weight = weight.clamp(max=cap * float(weight[occurs].min()))
    weight = weight / (p * weight).sum()
    return weight.to(prior.dtype if prior.is_floating_point() else torch.float32)


class ColorPrior:
    """How common each bin is, counted over pictures one after another.

    Args:
        centers: (Q, 2) a*b* of the bins.

    Attributes:
        counts: (Q,) int64 pixels whose nearest bin it is, on the CPU.
    """

    def __init__(self, centers: Tensor) -> None:
        _check_centers(centers)
        self.centers = centers.detach().cpu()
        self.counts = torch.zeros(len(centers), dtype=torch.int64)

    def add(self, ab: Tensor) -> None:
        """Count the pixels of (N, 2, h, w) a*b*."""
        number, _ = soft_encode(ab, self.centers, k=1)
        self.counts += number.flatten().bincount(minlength=len(self.counts)).cpu()

    def probabilities(self, sigma: float = 5.0) -> Tensor:
        """The prior, smoothed by a Gaussian of `sigma` a*b* units (0: as counted).

        Returns:
            (Q,) float64 that sum to 1.

        Raises:
            ValueError: If nothing was counted.
        """
        total = int(self.counts.sum())
        if not total:
            raise ValueError("no prior without pictures: none was counted")
        return smooth_prior(self.counts.double() / total, self.centers, sigma)
