"""Colors made paler where they do not exist at the Y' of their pixels.

Of most pictures nearly every color exists. Whether a cell of the network's grid may hold one that
does not is told by the ends of its range of color and of luma; samples of all other cells are left
alone, which changes nothing: they would be multiplied by one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.color.difference import green_of
from vidcolor.color.field import ColorField, look_up

__all__ = ["GamutFit", "Room"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]

_SURE = 1 - 1e-4
"""Part of the room that a color may fill and surely exist: what is interpolated is rounded."""

_ONE, _ANY = np.float32(1), np.float32(np.inf)

_FEW = 0.125
"""Part of the samples up to which picking them out is faster than working on all."""

_FEW_CELLS = 0.25
"""Part of the cells up to which it is worth looking for these samples."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much color there is room for, by luma code: (256,) or (65536,) float32 each.

    Attributes:
        plain: Least and greatest code at which nothing fades.
        fade: Part of the color that is left in dark and bright places, in [0, 1].
        dark: 1 / Y': the multiple of itself at which a step down would reach black.
        bright: 1 / (1 - Y'), likewise of a step up and white.
    """

    plain: tuple[int, int]
    fade: Floats
    dark: Floats
    bright: Floats


class GamutFit:
    """Fits the colors of a picture into the gamut.

    A sample is fitted to the darkest and to the brightest of the luma samples that it covers. Red,
    green and blue shrink together, so the hue stays. Of strips in which few samples may have to
    shrink, these are put aside, and fitted all at once in the end.

    Args:
        codes: (H, W) luma codes.
        samples: (rows, columns) luma codes at the chroma samples.
        steps: Luma rows and columns to a sample.
        room: How much color there is room for.
        field: The color at the samples.
    """

    def __init__(
        self, codes: Array, samples: Array, steps: tuple[int, int], room: Room, field: ColorField
    ) -> None:
        self._codes, self._samples, self._steps = codes, samples, steps
        self._room, self._weights = room, field.weights
        self._places = _find_places(samples, room, field)
        self._few: list[tuple[Places, Floats, Floats]] = []

    def strip(self, rows: slice, red: Floats, blue: Floats) -> None:
        """Fit R' - Y' and B' - Y' of a strip, in place, or put aside what may have to shrink."""
        if self._places is not None:
            first = rows.start * red.shape[1]
            ends = np.searchsorted(self._places, (first, first + red.size))
            places = self._places[slice(*ends)]
            if places.size <= _FEW * red.size:
                here = places - first
                self._few.append((places, red.take(here), blue.take(here)))
                return
        scale = self._scale(self._samples[rows], *self._extremes(rows), red, blue)
        red *= scale
        blue *= scale

    def few(self) -> tuple[tuple[Places, Places], Floats, Floats] | None:
        """Rows and columns of what was put aside, and its R' - Y' and B' - Y', fitted; if any."""
        parts = [part for part in self._few if part[0].size]
        if not parts:
            return None
        places, red, blue = (np.concatenate(part) for part in zip(*parts, strict=True))
        y, x = np.divmod(places, self._samples.shape[1])
        darkest, brightest = self._extremes_at(y, x)
        scale = self._scale(self._samples[y, x], darkest, brightest, red, blue)
        red *= scale
        blue *= scale
        return (y, x), red, blue

    def _extremes_at(self, y: Places, x: Places) -> tuple[Array, Array]:
        """Least and greatest luma code that each of some samples covers."""
        (sy, sx), (height, width) = self._steps, self._codes.shape
        rows = [np.minimum(y * sy + i, height - 1) * width for i in range(sy)]
        columns = [np.minimum(x * sx + i, width - 1) for i in range(sx)]
        covered = [self._codes.take(row + column) for row in rows for column in columns]
        return functools.reduce(np.minimum, covered), functools.reduce(np.maximum, covered)

    def _extremes(self, rows: slice) -> tuple[Array, Array]:
        """Least and greatest luma code that each sample of some rows covers."""
        sy, sx = self._steps
        here = self._codes[rows.start * sy : rows.stop * sy]
        if sy == sx == 1:
            return here, here
        block = np.ones((sy, sx), np.uint8)
        darkest = cast(Array, cv2.erode(here, block, anchor=(0, 0)))[::sy, ::sx]
        brightest = cast(Array, cv2.dilate(here, block, anchor=(0, 0)))[::sy, ::sx]
        return darkest, brightest

    def _scale(
        self, codes: Array, darkest: Array, brightest: Array, red: Floats, blue: Floats
    ) -> Floats:
        """Part of the color that can be had."""
        green = green_of(red, blue, *self._weights)
        up, down = np.maximum(red, green), np.minimum(red, green)
        np.maximum(up, blue, out=up)
        np.minimum(down, blue, out=down)
        up *= look_up(self._room.bright, brightest)
        down *= look_up(self._room.dark, darkest)
        np.maximum(up, np.negative(down, out=down), out=up)
        scale = look_up(self._room.fade, codes)
        scale /= np.clip(up, _ONE, _ANY, out=up)
        return scale


def _find_places(samples: Array, room: Room, field: ColorField) -> Places | None:
    """Places, counted row by row, of samples that may have to shrink; None: perhaps all."""
    if field.ends is None:
        return None
    darkest, brightest = field.ends
    least, most = field.reaches()
    least *= look_up(room.dark, darkest)
    most *= look_up(room.bright, brightest)
    doubtful = ((most > _SURE) | (least < -_SURE)).view(np.uint8)
    # a sample has something of its cell, of the next one, and of both below
    doubtful = cast(Array, cv2.dilate(doubtful, np.ones((2, 2), np.uint8), anchor=(0, 0)))
    if np.count_nonzero(doubtful) > _FEW_CELLS * doubtful.size:
        return None
    flags = doubtful.view(np.bool_).take(field.x.below(), axis=1).take(field.y.below(), axis=0)
    first, last = room.plain
    flags |= samples < first
    flags |= samples > last
    return np.flatnonzero(flags)
