"""Changes color after taste: of the whole film, of single shots, of single tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from vidcolor.color.grade import GradeConfig, apply_grade
from vidcolor.color.lut import Lut, read_cube
from vidcolor.records import Colored, Tracks, VideoInfo
from vidcolor.stages.base import Lay
from vidcolor.stages.overlay import NoOverlay

__all__ = ["Grade", "box_weight", "make_grade"]

_FEATHER = 0.15  # of a box's side, from its edge inward
_LEAST_FEATHER_CELLS = 1.0


@dataclass(frozen=True, slots=True)
class _Look:
    """A grade with its table."""

    config: GradeConfig
    lut: Lut | None

    def __call__(self, ab: Tensor, lightness: Tensor) -> Tensor:
        return apply_grade(ab, lightness, self.config, self.lut)


def make_grade(
    film: GradeConfig,
    shots: Mapping[int, GradeConfig],
    tracks: Mapping[int, GradeConfig],
    folder: Path,
) -> Lay:
    """The stage, or the null object where nothing is to be done; arguments as for `Grade`.

    Raises:
        GuidanceError: As `Grade`.
    """
    if all(config.neutral for config in (film, *shots.values(), *tracks.values())):
        return NoOverlay()
    return Grade(film, shots, tracks, folder)


class Grade:
    """Grades tracks, then their shot, then the film; each sees what the one before it left.

    A track is graded in its boxes, which are feathered inward by 15 % of their sides, as far as the
    track counts in the frame (`Tracks.weight`); where boxes overlap, the smaller one is graded
    last. Lightness, `flow` and `sure` stay as they are.

    Memory: none of frames. Lookahead: none. Cut: frames do not see each other. Held frames have the
    boxes of the frame that they repeat, and so its color.

    Args:
        film: For every frame.
        shots: For single shots, by `FrameBatch.shot`.
        tracks: For single tracks, by `Tracks.ids`.
        folder: Where the paths of looks begin.

    Raises:
        GuidanceError: If a look cannot be read, with file and line.
    """

    def __init__(
        self,
        film: GradeConfig,
        shots: Mapping[int, GradeConfig],
        tracks: Mapping[int, GradeConfig],
        folder: Path,
    ) -> None:
        wanted = (film, *shots.values(), *tracks.values())
        names = sorted({config.lut for config in wanted if config.lut and config.looks})
        tables = {name: read_cube(folder / name) for name in names}

        def look(config: GradeConfig) -> _Look | None:
            table = tables.get(config.lut) if config.lut else None
            return None if config.neutral else _Look(config, table)

        self._film = look(film)
        self._shots = {number: look(config) for number, config in shots.items()}
        self._tracks = {
            number: found for number, config in tracks.items() if (found := look(config))
        }

    def __call__(self, colored: Colored, /) -> Colored:
        """Frames with graded color."""
        chroma = colored.chroma
        ab = self._grade_tracks(colored)
        for look in (self._shots.get(colored.frames.shot), self._film):
            if look is not None:
                ab = look(ab, chroma.lightness)
        return colored if ab is chroma.ab else replace(colored, chroma=replace(chroma, ab=ab))

    def _grade_tracks(self, colored: Colored) -> Tensor:
        """(N, 2, h, w): only the cells within boxes are computed."""
        ab, lightness = colored.chroma.ab, colored.chroma.lightness
        order = self._order(colored.tracks) if self._tracks else []
        if not order:
            return ab
        ab = ab.clone()
        seen = colored.tracks.detections
        for k in order:
            frame = int(seen.frame[k])
            box = _to_cells(seen.boxes[k], colored.frames.info, ab)
            weight, rows, columns = box_weight(box, (int(ab.shape[2]), int(ab.shape[3])))
            if weight.numel() == 0:
                continue
            cells = ab[frame : frame + 1, :, rows, columns]
            graded = self._tracks[int(colored.tracks.ids[k])](
                cells, lightness[frame : frame + 1, :, rows, columns]
            )
            cells += weight * float(colored.tracks.weight[k]) * (graded - cells)
        return ab

    def _order(self, tracks: Tracks) -> list[int]:
        """Places of the graded instances, from the largest to the smallest."""
        boxes = tracks.detections.boxes
        sizes = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).tolist()
        ids = tracks.ids.tolist()
        found = [k for k, number in enumerate(ids) if number in self._tracks]
        return sorted(found, key=lambda k: (-sizes[k], ids[k]))


def _to_cells(box: Tensor, info: VideoInfo, ab: Tensor) -> tuple[float, float, float, float]:
    """A box in frame pixels, in cells of the grid of `ab`."""
    x, y = ab.shape[3] / info.width, ab.shape[2] / info.height
    x0, y0, x1, y1 = (float(v) for v in box)
    return x0 * x, y0 * y, x1 * x, y1 * y


def box_weight(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[Tensor, slice, slice]:
    """How much of each cell belongs to a box with soft edges.

    Sides that the border of the picture cuts off are not softened there: the object goes on.

    Args:
        box: xyxy in cells.
        size: `(height, width)` of the grid.

    Returns:
        (rows, columns) float32 in 0..1 of the cells that the box touches, and where they lie.
    """
    x0, y0, x1, y1 = box
    down, rows = _ramp(y0, y1, size[0])
    right, columns = _ramp(x0, x1, size[1])
    return down[:, None] * right[None], rows, columns


def _ramp(low: float, high: float, count: int) -> tuple[Tensor, slice]:
    """Weights along one direction."""
    cells = slice(max(0, int(low)), max(0, min(count, -int(-high // 1))))
    center = torch.arange(cells.start, max(cells.start, cells.stop)) + 0.5
    feather = max(_FEATHER * (high - low), _LEAST_FEATHER_CELLS)
    weight = torch.ones_like(center)
    if low > 0:
        weight = weight * ((center - low) / feather).clamp(0, 1)
    if high < count:
        weight = weight * ((high - center) / feather).clamp(0, 1)
    return weight * weight * (3 - 2 * weight), cells
