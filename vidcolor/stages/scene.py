"""A map of the scene of a shot: what color a place had, wherever the camera looks now.

The map is a coarse picture, larger than a frame, in coordinates that stand still while the camera
moves. Frames are laid onto it by the camera's movement, fitted to optical flow, and kept from
slipping by comparing each with what the map shows there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.ops.flow import as_gray, dis_flow
from vidcolor.stages.motion_planes import Matrix, fit_camera

__all__ = ["LEAST_SIDE", "Floats", "Part", "SceneMap", "scaled"]

Floats = npt.NDArray[np.float32]

LEAST_SIDE = 12
"""Of a picture whose movement can be told."""

_LEAST_SEEN = 0.5  # of the picture must lie on known ground for a comparison with the map
_STEPS_AT_REST = 4  # frames from one comparison with the map to the next where the camera stands
_ZOOM = 1.5  # the map is drawn anew when a cell of the frame has become so much larger or smaller


@dataclass(frozen=True, slots=True)
class Part:
    """The part of the map that a frame covers.

    Attributes:
        rows: Of the map.
        columns: Of the map.
        place: (2, 3) from cells of the frame to cells of the part.
    """

    rows: slice
    columns: slice
    place: Matrix

    def lay(self, planes: Floats) -> Floats:
        """(h, w, C) cells of the frame, on the part; 0 outside of the frame."""
        size = (self.columns.stop - self.columns.start, self.rows.stop - self.rows.start)
        return _affine(planes, self.place, size, cv2.BORDER_CONSTANT)

    def lift(self, planes: Floats, size: tuple[int, int], cells: tuple[float, float]) -> Floats:
        """Planes of the part, on the pixels of the frame.

        Args:
            planes: (rows, columns, C).
            size: `(height, width)` of the frame.
            cells: Pixels in a cell, down and across.
        """
        from_pixels = np.vstack((self.place, (0, 0, 1))) @ scaled(1 / cells[1], 1 / cells[0])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return _affine(planes, from_pixels[:2], size[::-1], cv2.BORDER_REPLICATE, flags)


class SceneMap:
    """Planes of a scene, and where the last frame lies in them.

    Args:
        shape: `(height, width)` of a frame, in cells.
        planes: How many; the first of each `stride` is lightness, the last how well it is known.
        stride: Planes of a layer.
        reach: Sides of the map, in sides of a frame; what leaves it is forgotten.
    """

    def __init__(self, shape: tuple[int, int], planes: int, stride: int, reach: int) -> None:
        self.shape = shape
        self.stride = stride
        self.planes = np.zeros((shape[0] * reach, shape[1] * reach, planes), np.float32)
        self._pose = self._middle()
        self._at_rest = 0  # frames since the camera last moved

    def move(self, camera: Matrix, lightness: Floats) -> None:
        """Follow the camera; where it stands, see now and then whether it creeps.

        Args:
            camera: (3, 3) from cells of the frame before to cells of this one.
            lightness: (h, w) L* of this one's cells.
        """
        self._pose = self._pose @ np.linalg.inv(camera)
        moves = not np.allclose(camera, np.eye(3), atol=1e-6)
        if moves or self._at_rest % _STEPS_AT_REST == 0:
            self._settle(lightness)
        self._at_rest = 0 if moves else self._at_rest + 1
        self._keep_inside()

    def part(self) -> Part:
        """Where the frame lies."""
        corners = self._corners()
        low = np.floor(corners.min(axis=0)).astype(int) - 1
        high = np.ceil(corners.max(axis=0)).astype(int) + 2
        low = np.clip(low, 0, np.array(self.planes.shape[1::-1]) - 2)
        high = np.minimum(np.maximum(high, low + 2), self.planes.shape[1::-1])
        place = self._pose[:2].copy()
        place[:, 2] -= low
        return Part(slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])), place)

    def _middle(self) -> Matrix:
        pose = np.eye(3)
        height, width = self.planes.shape[:2]
        pose[:2, 2] = (width - self.shape[1]) // 2, (height - self.shape[0]) // 2
        return pose

    def _corners(self) -> Matrix:
        right, bottom = self.shape[1] - 0.5, self.shape[0] - 0.5
        edge = np.array(
            ((-0.5, -0.5, 1), (right, -0.5, 1), (-0.5, bottom, 1), (right, bottom, 1)), np.float64
        )
        return (edge @ self._pose.T)[:, :2]

    def _settle(self, lightness: Floats) -> None:
        """Take out what the camera's movement, summed up over many frames, is off by."""
        if min(self.shape) < LEAST_SIDE:
            return
        part = self.part()
        known = self.planes[part.rows, part.columns]
        layers = range(0, known.shape[2], self.stride)
        needed = [k for first in layers for k in (first, first + self.stride - 1)]
        seen = part.lift(known[..., needed], self.shape, (1.0, 1.0)).transpose(2, 0, 1)
        light, count = seen[:2]
        for other, seen_for in zip(seen[2::2], seen[3::2], strict=True):
            light, count = np.where(seen_for > count, (other, seen_for), (light, count))
        sure = count > 1
        if np.count_nonzero(sure) < _LEAST_SEEN * sure.size:
            return
        here, there = as_gray(lightness), as_gray(np.where(sure, light, lightness))
        slip, fits = fit_camera(dis_flow(here, there), here, there)
        if fits:
            self._pose = self._pose @ slip

    def _keep_inside(self) -> None:
        """Draw the map anew around the frame where it would leave the map or has zoomed far."""
        zoom = float(np.sqrt(max(1e-6, np.linalg.det(self._pose[:2, :2]))))
        corners = self._corners()
        far = bool((corners < 0).any() or (corners > np.array(self.planes.shape[1::-1]) - 1).any())
        if 1 / _ZOOM < zoom < _ZOOM and not far:
            return
        wanted = self._middle()
        if 1 / _ZOOM < zoom < _ZOOM:
            # whole cells, so that nothing is interpolated
            wanted = self._pose.copy()
            middle = self._corners().mean(axis=0)
            wanted[:2, 2] += np.rint(np.array(self.planes.shape[1::-1]) / 2 - middle)
        change = (wanted @ np.linalg.inv(self._pose))[:2]
        size = self.planes.shape[1], self.planes.shape[0]
        self.planes = _affine(self.planes, change, size, cv2.BORDER_CONSTANT)
        self._pose = wanted


def scaled(across: float, down: float) -> Matrix:
    """(3, 3) from pixels to cells: centers of pixels have whole numbers, in both."""
    return np.array(
        ((across, 0, 0.5 * across - 0.5), (0, down, 0.5 * down - 0.5), (0, 0, 1)), np.float64
    )


def _affine(
    planes: Floats,
    matrix: Matrix,
    size: tuple[int, int],
    border: int,
    flags: int = cv2.INTER_LINEAR,
) -> Floats:
    """(h, w, C) moved by a (2, 3) map; `size` is (width, height)."""
    parts = []
    for first in range(0, planes.shape[2], 4):  # OpenCV takes four channels at once
        part = np.ascontiguousarray(planes[..., first : first + 4])
        moved = cv2.warpAffine(part, matrix, size, flags=flags, borderMode=border)
        parts.append(np.reshape(cast(npt.NDArray[Any], moved), (size[1], size[0], part.shape[2])))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
