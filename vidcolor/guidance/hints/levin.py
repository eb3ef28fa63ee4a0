"""Color spread from scribbles: neighbors of like luma get like chroma.

Reference: Levin, Lischinski, Weiss: Colorization using optimization, ACM Transactions on Graphics
23(3), 2004; the weights are those of the exact solver that the authors released, for films with the
27 motion-linked neighbors of their multigrid solver.

A row of the system says that a free pixel is the weighted mean of its neighbors; where color is
known the row is the identity. So every answer lies between the known values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import LinearOperator, bicgstab, splu

__all__ = ["Motion", "solve", "solve_known", "spread"]

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_SHARE = 0.6  # of the variance that makes the width of the weights
_LEAST_WEIGHT = 0.01  # of the most similar neighbor, before weights are made to add up
_LEAST_WIDTH = 2e-6
_DIRECT = 60_000  # unknowns up to which a plane is solved by LU; a film's rows fill in faster
_DIRECT_FILM = 6_000
_COARSEST = 2_000
_TOLERANCE = 1e-7
_MOST_ROUNDS = 400


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Motion between T frames, in pixels, as the released film solver takes it.

    Attributes:
        from_x: (T - 1, H, W): entry t lies on the grid of frame t + 1; a pixel there came from
            x - from_x in frame t.
        from_y: The same for y.
        to_x: (T - 1, H, W): entry t lies on the grid of frame t; a pixel there goes to x - to_x
            in frame t + 1.
        to_y: The same for y.
    """

    from_x: Doubles
    from_y: Doubles
    to_x: Doubles
    to_y: Doubles


def spread(luma: Array, motion: Motion | None = None, least_width: float = _LEAST_WIDTH) -> Any:
    """Weights of the neighbors of every pixel; each row adds up to one.

    Args:
        luma: (H, W), or (T, H, W) of a film, in 0..1.
        motion: Of the film; None: frames do not see each other.
        least_width: Squared difference of luma that is no difference.

    Returns:
        Sparse (P, P) of all P pixels, in the order of `luma.ravel()`.
    """
    film = np.asarray(luma, np.float64)
    film = film[None] if film.ndim == 2 else film
    links = _links(film.shape, motion)
    flat = film.ravel()
    valid = links >= 0
    weights = _weights(flat, flat[np.maximum(links, 0)], valid, least_width)
    rows = np.broadcast_to(np.arange(flat.size), links.shape)[valid]
    return sparse.csr_array((weights[valid], (rows, links[valid])), shape=(flat.size, flat.size))


def _weights(center: Doubles, around: Doubles, valid: Flags, least_width: float) -> Doubles:
    """(K, P) weights of up to K neighbors."""
    count = 1 + valid.sum(0)
    mean = (center + np.where(valid, around, 0).sum(0)) / count
    square = np.where(valid, (around - mean) ** 2, 0).sum(0) + (center - mean) ** 2
    apart = (around - center) ** 2
    nearest = np.where(valid, apart, np.inf).min(0)
    nearest = np.where(np.isfinite(nearest), nearest, 0)
    width = np.maximum(_SHARE * square / count, -nearest / math.log(_LEAST_WEIGHT))
    weights = np.where(valid, np.exp(-apart / np.maximum(width, least_width)), 0)
    total = weights.sum(0)
    return weights / np.where(total > 0, total, 1)


def _links(shape: tuple[int, ...], motion: Motion | None) -> Numbers:
    """(8 or 26, P) numbers of the neighbors of each pixel; -1 where there is none."""
    frames, height, width = shape
    offsets = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    t, y, x = np.mgrid[:frames, :height, :width]
    links = [_number(shape, t, y + dy, x + dx) for dy, dx in offsets if (dy, dx) != (0, 0)]
    if motion is not None and frames > 1:
        for step, flow_x, flow_y in (
            (-1, motion.from_x, motion.from_y),
            (1, motion.to_x, motion.to_y),
        ):
            links += _merged([_moved(shape, step, flow_x, flow_y, offset) for offset in offsets])
    return np.stack([link.ravel() for link in links])


def _number(shape: tuple[int, ...], t: Numbers, y: Numbers, x: Numbers) -> Numbers:
    frames, height, width = shape
    inside = (t >= 0) & (t < frames) & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return np.where(inside, (t * height + y) * width + x, -1)


def _moved(
    shape: tuple[int, ...], step: int, flow_x: Doubles, flow_y: Doubles, offset: tuple[int, int]
) -> Numbers:
    """(T, H, W) numbers of the pixels `offset` away, one frame before (-1) or after (+1)."""
    frames, height, width = shape
    result = np.full(shape, -1, np.int64)
    t, y, x = np.mgrid[: frames - 1, :height, :width]
    y, x = y + offset[0], x + offset[1]
    # the motion asked is that of the neighbor, not of the pixel itself
    near_y, near_x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    inside = (y == near_y) & (x == near_x)
    there_y = np.trunc(near_y - flow_y[t, near_y, near_x] + 0.5).astype(np.int64)
    there_x = np.trunc(near_x - flow_x[t, near_y, near_x] + 0.5).astype(np.int64)
    number = _number(shape, t if step < 0 else t + 1, there_y, there_x)
    part = result[1:] if step < 0 else result[:-1]
    part[:] = np.where(inside, number, -1)
    return result


def _merged(links: list[Numbers]) -> list[Numbers]:
    """Each neighbor once."""
    ordered = np.sort(np.stack(links), axis=0)
    ordered[1:][ordered[1:] == ordered[:-1]] = -1
    return list(ordered)


def solve(luma: Array, known: Flags, values: Array, motion: Motion | None = None) -> Doubles:
    """Spread known values by the released rule.

    Args:
        luma: (H, W), or (T, H, W), in 0..1.
        known: The same shape: where `values` count.
        values: The same shape and channels behind it: (..., C).
        motion: Of a film.

    Returns:
        (..., C): `values` where known, between them elsewhere; 0 where no known pixel is reached.

    Raises:
        ValueError: If shapes differ.
    """
    if known.shape != luma.shape or values.shape[:-1] != luma.shape:
        raise ValueError(f"luma {luma.shape}, known {known.shape}, values {values.shape}")
    flat = values.reshape(-1, values.shape[-1])
    film = luma.ndim == 3 and motion is not None
    return solve_known(spread(luma, motion), known.ravel(), flat, film).reshape(values.shape)


def solve_known(weights: Any, known: Flags, values: Array, film: bool = False) -> Doubles:
    """Values of free pixels, each the mean of its neighbors.

    Up to a size by sparse LU, above it by BiCGSTAB behind a multigrid cycle (aggregates of pixels
    that are bound most strongly), to a relative residual of 1e-7.

    Args:
        weights: (P, P) as of `spread`.
        known: (P,) bool.
        values: (P, C).
        film: Rows reach into other frames, which fills a factorization in.

    Returns:
        (P, C); 0 where no known pixel is reached.

    Raises:
        RuntimeError: If the iteration does not come to an end.
    """
    result = np.where(known[:, None], values, 0).astype(np.float64)
    free = np.flatnonzero(~known & _reached(weights, known))
    if free.size == 0:
        return result
    rows = weights[free]
    system = sparse.csr_array(sparse.eye_array(free.size) - rows[:, free])
    right = rows[:, np.flatnonzero(known)] @ result[known]
    if free.size <= (_DIRECT_FILM if film else _DIRECT):
        solved = splu(sparse.csc_array(system)).solve(right)
    else:
        solved = _iterate(system, right)
    result[free] = solved
    return result


def _reached(weights: Any, known: Flags) -> Flags:
    """Pixels whose part of the graph holds a known pixel; others have no answer."""
    count, part = csgraph.connected_components(weights, directed=False)
    holds = np.zeros(count, bool)
    holds[part[known]] = True
    return np.asarray(holds[part])


def _iterate(system: Any, right: Doubles) -> Doubles:
    cycle = _Cycle(system)
    operator = LinearOperator(system.shape, cycle.run, dtype=np.float64)
    columns = []
    for column in right.T:
        found, left = bicgstab(
            system, column, rtol=_TOLERANCE, atol=1e-12, maxiter=_MOST_ROUNDS, M=operator
        )
        if left:
            raise RuntimeError(f"no solution for {system.shape[0]} pixels in {_MOST_ROUNDS} rounds")
        columns.append(found)
    return np.stack(columns, axis=1)


class _Cycle:
    """A multigrid V-cycle: damped Jacobi, and coarse grids of pairs of pixels paired again."""

    def __init__(self, system: Any) -> None:
        self.system = system
        self.damped = 0.7 / system.diagonal()
        self.below: _Cycle | None = None
        if system.shape[0] <= _COARSEST:
            self.factors = splu(sparse.csc_array(system))
            return
        first = _pairs(system)
        second = _pairs(first.T @ system @ first)
        self.groups = sparse.csr_array(first @ second)
        self.below = _Cycle(sparse.csr_array(self.groups.T @ system @ self.groups))

    def run(self, right: Doubles) -> Doubles:
        """About the solution for one right side."""
        if self.below is None:
            return np.asarray(self.factors.solve(right))
        x = self.damped * right
        x += self.damped * (right - self.system @ x)
        # groups are constant, which makes corrections too small; 1.6 is what helps on planes
        x += 1.6 * (self.groups @ self.below.run(self.groups.T @ (right - self.system @ x)))
        for _ in range(2):
            x += self.damped * (right - self.system @ x)
        return np.asarray(x)


def _pairs(system: Any) -> Any:
    """(P, about P / 2) of ones: each pixel with the neighbor that it is bound to most strongly."""
    count = system.shape[0]
    matrix = sparse.coo_array(system)
    off = matrix.row != matrix.col
    row, column = matrix.row[off], matrix.col[off]
    bond = -matrix.data[off]
    partner = np.full(count, -1, np.int64)
    for _ in range(4):
        open_ = (partner[row] < 0) & (partner[column] < 0)
        row, column, bond = row[open_], column[open_], bond[open_]
        if row.size == 0:
            break
        order = np.lexsort((column, -bond, row))
        first = np.flatnonzero(np.diff(row[order], prepend=-1))
        best = np.full(count, -1, np.int64)
        best[row[order][first]] = column[order][first]
        has = np.flatnonzero(best >= 0)
        mutual = has[best[best[has]] == has]
        partner[mutual] = best[mutual]
        # who wants one that wants another may still take it next round
    leader = np.arange(count)
    paired = partner >= 0
    leader[paired] = np.minimum(leader[paired], partner[paired])
    _, group = np.unique(leader, return_inverse=True)
    return sparse.csr_array((np.ones(count), (np.arange(count), group)))
