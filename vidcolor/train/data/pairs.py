"""The same scene a moment later, and where everything went: for the temporal loss.

A still gets a later frame by a made motion, which is then known exactly: a camera (shift, turn,
zoom, stretch) and often one region that goes its own way, covers what lies before it and uncovers
what it leaves. For two frames of a film the motion is measured, and counts only where forward and
backward flow agree and the true color stays the same.

Reference: agreement of flow: Sundaram et al., Dense Point Trajectories by GPU-accelerated Large
Displacement Optical Flow, ECCV 2010, equation 5. Training on warped stills: Lei and Chen, Fully
Automatic Video Colorization with Self-Regularization and Diversity, CVPR 2019, has it for films.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError
from vidcolor.ops.flow import dis_flow, warp
from vidcolor.train.data.window import Window, resized

__all__ = ["Motion", "MotionConfig", "draw_motion", "measured_motion", "moved_picture"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

_REGION_CENTER = (0.25, 0.75)  # in parts of the side
_REGION_RADIUS = (0.12, 0.3)
_DISAGREES = 0.01  # of the squared lengths of both flows, plus
_DISAGREES_PX2 = 0.5
_OTHER_COLOR = 10.0  # a*b* units
_CELL_KNOWN = 0.75  # part of a cell's pixels whose motion must be known


@dataclass(frozen=True, slots=True)
class MotionConfig:
    """How far stills are moved to make pairs of them.

    Attributes:
        shift: Longest way of the whole picture, in parts of its side.
        turn_deg: Largest turn, in degrees.
        zoom: Largest change of size and of aspect, in parts.
        region: Part of pairs in which a region goes its own way besides.
        region_shift: Longest way of that region against the rest, in parts of the side.
    """

    shift: float = 0.04
    turn_deg: float = 1.5
    zoom: float = 0.02
    region: float = 0.5
    region_shift: float = 0.06

    def __post_init__(self) -> None:
        for name in ("shift", "zoom", "region_shift"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise ConfigError(f"{name} must be 0 to 0.5, not {getattr(self, name)}")
        if not 0 <= self.turn_deg <= 90:
            raise ConfigError(f"turn_deg must be 0 to 90, not {self.turn_deg}")
        if not 0 <= self.region <= 1:
            raise ConfigError(f"region must be 0 to 1, not {self.region}")


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A made motion. Points are (x, y) in parts of the picture's side, 0..1.

    Attributes:
        ground: (3, 3) where a point goes.
        region: (3, 3) where a point of the region goes, or None if there is no region.
        disk: (3, 3) what makes the region's ellipse the unit disk.
        radius: Smaller half axis of that ellipse.
    """

    ground: Doubles
    region: Doubles | None = None
    disk: Doubles | None = None
    radius: float = 0.0

    def inside(self, points: Doubles) -> Doubles:
        """How deep (..., 2) points lie in the region, in parts of the side; negative outside.

        Never more than the true distance to its edge.
        """
        if self.disk is None:
            return np.full(points.shape[:-1], -np.inf)
        away = np.linalg.norm(_apply(self.disk, points), axis=-1)
        return (1 - away) * self.radius

    def field(self, cells: int) -> tuple[Floats, Floats]:
        """The motion on a grid.

        Args:
            cells: Rows and columns of the grid.

        Returns:
            (2, cells, cells) float32 x and y in cells, and (1, cells, cells) float32, 1 where
            the later frame shows the same: inside the frame, not covered by the region, and at
            least a cell away from the region's edge; see `batch.Pair`.
        """
        now = _centers(cells)
        later = _apply(self.ground, now)
        known = np.ones((cells, cells), bool)
        if self.region is not None:
            depth = self.inside(now)
            under = self.inside(_apply(_inverse(self.region), later))
            front = (depth > 0)[..., None]
            known = (depth > 1 / cells) | ((depth < -1 / cells) & (under < -1 / cells))
            later = np.where(front, _apply(self.region, now), later)
        edge = 0.5 / cells
        known &= ((later >= edge) & (later <= 1 - edge)).all(axis=-1)
        way = (later - now).transpose(2, 0, 1) * cells
        return way.astype(np.float32), known[None].astype(np.float32)


def _apply(matrix: Doubles, points: Doubles) -> Doubles:
    """(..., 2) points under an affine (3, 3) matrix."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def _inverse(matrix: Doubles) -> Doubles:
    return np.asarray(np.linalg.inv(matrix), np.float64)


def _centers(cells: int) -> Doubles:
    """(cells, cells, 2) centers of the cells of a grid."""
    places = (np.arange(cells) + 0.5) / cells
    return np.stack(np.meshgrid(places, places), axis=-1)


def _move(center: Doubles, shift: float, config: MotionConfig, rng: np.random.Generator) -> Doubles:
    """A random (3, 3) affine motion around `center` that moves it by at most `shift`."""
    turn = math.radians(config.turn_deg) * rng.uniform(-1, 1)
    size, aspect = 1 + config.zoom * rng.uniform(-1, 1, 2)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    linear = rotation * size * np.array([math.sqrt(aspect), 1 / math.sqrt(aspect)])
    heading, length = rng.uniform(0, 2 * math.pi), shift * rng.random()
    way = length * np.array([math.cos(heading), math.sin(heading)])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = center - linear @ center + way
    return matrix


def draw_motion(config: MotionConfig, rng: np.random.Generator) -> Motion:
    """A random motion.

    Args:
        config: How far things move.
        rng: Source of all randomness.
    """
    ground = _move(np.full(2, 0.5), config.shift, config, rng)
    if rng.random() >= config.region:
        return Motion(ground)
    center = rng.uniform(*_REGION_CENTER, 2)
    radii = rng.uniform(*_REGION_RADIUS, 2)
    turn = rng.uniform(0, math.pi)
    axes = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    disk = np.eye(3)
    disk[:2, :2] = axes / radii[:, None]
    disk[:2, 2] = -disk[:2, :2] @ center
    region = ground @ _move(center, config.region_shift, config, rng)
    return Motion(ground, region, disk, float(radii.min()))


def moved_picture(picture: Bytes, window: Window, motion: Motion, side: int) -> Bytes:
    """What `window` shows a moment later.

    What comes in from outside the window is the picture's own; beyond the picture it is
    mirrored.

    Args:
        picture: (H, W, 3) uint8, the whole.
        window: The part that is shown.
        motion: Where things go, in parts of the window.
        side: Rows and columns of the result.

    Returns:
        (side, side, 3) uint8; compare `window.cut(picture, side)`.
    """
    backs = [_inverse(m) for m in (motion.ground, motion.region) if m is not None]
    corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)], float)
    reach = np.concatenate([corners, *(_apply(back, corners) for back in backs)])
    if window.mirrored:
        reach[:, 0] = 1 - reach[:, 0]
    origin, scale = (window.left, window.top), np.array((window.width, window.height))
    low = np.floor(origin + reach.min(axis=0) * scale).astype(int).clip(0)
    high = np.ceil(origin + reach.max(axis=0) * scale).astype(int)
    high = np.minimum(high, picture.shape[1::-1])
    # shrunk first, as the window is, so that both frames are equally sharp
    wide, tall = np.maximum(1, np.rint((high - low) * side / scale)).astype(int)
    source = resized(
        np.ascontiguousarray(picture[low[1] : high[1], low[0] : high[0]]), (int(tall), int(wide))
    )
    to_source = np.eye(3)
    zoom = np.array((wide, tall)) / (high - low)
    to_source[[0, 1], [0, 1]] = scale * zoom
    to_source[:2, 2] = (np.array(origin) - low) * zoom - 0.5
    if window.mirrored:
        to_source = to_source @ np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])
    to_unit = np.diag((1 / side, 1 / side, 1.0))
    to_unit[:2, 2] = 0.5 / side
    layers = [
        cv2.warpAffine(
            source,
            (to_source @ back @ to_unit)[:2],
            (side, side),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        for back in backs
    ]
    if len(layers) == 1:
        return np.asarray(layers[0], np.uint8)
    depth = motion.inside(_apply(backs[1], _centers(side)))
    share = (depth * side + 0.5).clip(0, 1).astype(np.float32)[..., None]
    ground, region = (np.asarray(layer, np.float32) for layer in layers)
    return np.asarray(np.rint(ground + share * (region - ground)), np.uint8)


def measured_motion(
    rgb: Floats, later: Floats, ab: Floats, later_ab: Floats, cells: int
) -> tuple[Floats, Floats]:
    """Motion between two frames of a film, by optical flow.

    Args:
        rgb: (S, S, 3) float32 in 0..1.
        later: The same of the later frame.
        ab: (S, S, 2) float32 a*b* of `rgb`.
        later_ab: The same of the later frame.
        cells: Rows and columns of the grid of the answer.

    Returns:
        (2, cells, cells) motion in cells and the (1, cells, cells) mask of where it is known,
        as `Motion.field` gives them.
    """
    side = len(rgb)
    first, second = _codes(rgb), _codes(later)
    forward, backward = dis_flow(first, second, "fast"), dis_flow(second, first, "fast")
    back = warp(backward, forward)
    gap = np.square(forward + back).sum(axis=2)
    lengths = np.square(forward).sum(axis=2) + np.square(back).sum(axis=2)
    known = gap < _DISAGREES * lengths + _DISAGREES_PX2
    known &= np.linalg.norm(warp(later_ab, forward) - ab, axis=2) < _OTHER_COLOR
    places = np.arange(side)
    x, y = forward[..., 0] + places, forward[..., 1] + places[:, None]
    known &= (x >= 0) & (x <= side - 1) & (y >= 0) & (y <= side - 1)
    size = (cells, cells)
    way = np.asarray(cv2.resize(forward, size, interpolation=cv2.INTER_AREA), np.float32)
    share = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    seen = (np.asarray(share) >= _CELL_KNOWN).astype(np.float32)
    return way.transpose(2, 0, 1) * np.float32(cells / side), seen[None]


def _codes(rgb: Floats) -> Bytes:
    """(H, W) uint8 luma."""
    return np.asarray(np.rint(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) * 255), np.uint8)
