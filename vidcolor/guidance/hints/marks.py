"""Hints of one frame as planes on the grid of the solve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import GuidanceError
from vidcolor.guidance.hints.entries import HintEntry, Mark
from vidcolor.guidance.hints.guide import Box
from vidcolor.guidance.hints.paintings import read_painting
from vidcolor.records import VideoInfo

__all__ = ["Area", "FrameMarks", "Strokes", "draw", "owner"]

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

_LEAST_RADIUS = 1.2  # cells: no dot falls between the cells, all around its place are hit


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """Cells of one color, from which it spreads.

    Attributes:
        cells: (h, w) bool.
        ab: (2,) a*b*, or (2, h, w) where it is painted in many.
        leaves: The automatic color is to stay there.
        reach: See `HintEntry`.
        within: (h, w) bool where it may spread to; None: everywhere.
        track: The object that it belongs to.
    """

    cells: Flags
    ab: Floats
    leaves: bool = False
    reach: float = 1.0
    within: Flags | None = None
    track: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """Cells that a person filled with a color, give or take what luma says of the border.

    Attributes:
        core: (h, w) bool, surely inside.
        outside: (h, w) bool, surely outside.
        ab: (2,) a*b*.
        leaves: The automatic color is to stay there.
        track: The object that it belongs to.
    """

    core: Flags
    outside: Flags
    ab: Floats
    leaves: bool = False
    track: int | None = None


@dataclass(slots=True)
class FrameMarks:
    """All hints of a frame.

    Attributes:
        strokes: In the order in which they were given.
        areas: The same.
        whole: (2,) a*b* below all others, in all of the shot.
    """

    strokes: list[Strokes] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    whole: Floats | None = None


def owner(entry: HintEntry, info: VideoInfo, boxes: Mapping[int, Box], where: str) -> int | None:
    """The track that a hint belongs to: the smallest box around all of it.

    Args:
        entry: The hint.
        info: Of the film.
        boxes: Of the frame, in frame pixels, by track.
        where: What to call the hint in messages.

    Raises:
        GuidanceError: If it names a track that is not in the frame.
    """
    if entry.track == "none":
        return None
    if isinstance(entry.track, int):
        if entry.track not in boxes:
            known = ", ".join(map(str, sorted(boxes))) or "none"
            raise GuidanceError(
                f"{where}: track {entry.track} is not in that frame (tracks there: {known})"
            )
        return entry.track
    corners = entry.corners(info)
    if not corners:
        return None
    around = [
        ((x1 - x0) * (y1 - y0), track)
        for track, (x0, y0, x1, y1) in boxes.items()
        if all(x0 <= x <= x1 and y0 <= y <= y1 for x, y in corners)
    ]
    return min(around)[1] if around else None


def draw(
    marks: Sequence[Mark],
    info: VideoInfo,
    size: tuple[int, int],
    boxes: Mapping[int, Box],
    border_cells: float,
) -> FrameMarks:
    """Hints of a frame on a grid.

    Args:
        marks: The hints.
        info: Of the film.
        size: `(height, width)` of the grid, coded orientation.
        boxes: Of the frame, in frame pixels, by track.
        border_cells: How far luma may move the border of an area.

    Raises:
        GuidanceError: If a hint names a track that is not there.
    """
    result = FrameMarks()
    for mark in marks:
        if isinstance(mark.source, Path):
            ab, known = read_painting(mark.source, info, size)
            if not known.any():
                raise GuidanceError(f"{mark.where}: nothing is painted there; all of it is gray")
            result.strokes.append(Strokes(known > 0, ab))
            continue
        entry, track = mark.source, owner(mark.source, info, boxes, mark.where)
        ab = np.array(entry.value.ab, np.float32)
        box = None if track is None else boxes[track]
        if entry.points:
            cells = _stroke(entry, info, size)
            within = None
            if isinstance(entry.track, int) and box is not None:
                within = _inside(_grown(box, 0.05), info, size)
            result.strokes.append(Strokes(cells, ab, entry.leaves, entry.reach, within, track))
        elif entry.region:
            cells = _polygon(entry.corners(info), info, size)
            result.areas.append(_area(cells, ab, entry.leaves, track, border_cells))
        elif not entry.leaves:
            result.whole = ab
    return result


def _centers(info: VideoInfo, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """(h, 1) and (1, w): where the cells have their centers, in frame pixels."""
    y = (np.arange(size[0], dtype=np.float32) + 0.5) * np.float32(info.height / size[0])
    x = (np.arange(size[1], dtype=np.float32) + 0.5) * np.float32(info.width / size[1])
    return y[:, None], x[None]


def _stroke(entry: HintEntry, info: VideoInfo, size: tuple[int, int]) -> Flags:
    """Cells that lie within the radius of a line through the points."""
    y, x = _centers(info, size)
    cell_y, cell_x = info.height / size[0], info.width / size[1]
    radius = entry.radius_px or 0.0
    radius_y = max(radius, _LEAST_RADIUS * cell_y)
    radius_x = max(radius, _LEAST_RADIUS * cell_x)
    points = entry.corners(info)
    nearest = np.full(size, np.inf, np.float32)
    for (x0, y0), (x1, y1) in zip(points, points[1:] or points, strict=False):
        ux, uy = (x1 - x0) / radius_x, (y1 - y0) / radius_y
        px, py = (x - x0) / radius_x, (y - y0) / radius_y
        length = ux * ux + uy * uy
        along = np.clip((px * ux + py * uy) / length, 0, 1) if length else 0
        nearest = np.minimum(nearest, (px - along * ux) ** 2 + (py - along * uy) ** 2)
    return np.asarray(nearest <= 1)


def _polygon(
    corners: Sequence[tuple[float, float]], info: VideoInfo, size: tuple[int, int]
) -> Flags:
    """Cells whose centers lie inside, by the even-odd rule; at least the nearest one."""
    y, x = _centers(info, size)
    inside = np.zeros(size, np.bool_)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y0 != y1:
            crosses = (y0 <= y) != (y1 <= y)
            inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    if not inside.any():
        center_x, center_y = np.mean(np.array(corners), axis=0)
        far = np.square(y - center_y) + np.square(x - center_x)
        inside[np.unravel_index(int(far.argmin()), size)] = True
    return inside


def _area(cells: Flags, ab: Floats, leaves: bool, track: int | None, border_cells: float) -> Area:
    """The border of a polygon may move by some cells; a small one keeps its middle."""
    padded = np.pad(cells, 1, mode="edge").astype(np.uint8)  # the edge of the frame is no border
    inward = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    outward = cv2.distanceTransform((~cells).astype(np.uint8), cv2.DIST_L2, 5)
    depth = min(border_cells, 0.5 * float(inward.max()))
    core = np.asarray(inward > depth) if not cells.all() else cells
    outside = np.asarray(outward > border_cells) if not cells.all() else ~cells
    return Area(core & cells, outside, ab, leaves, track)


def _grown(box: Box, share: float) -> Box:
    x, y = share * (box[2] - box[0]), share * (box[3] - box[1])
    return box[0] - x, box[1] - y, box[2] + x, box[3] + y


def _inside(box: Box, info: VideoInfo, size: tuple[int, int]) -> Flags:
    y, x = _centers(info, size)
    return np.asarray((y >= box[1]) & (y <= box[3]) & (x >= box[0]) & (x <= box[2]))
