"""From places in the picture that people see to the coded frame, and back.

The page knows fractions of the upright picture, x to the right and y down, 0 to 1. Color scripts
and the line know coded frames, which may lie on their side. As both count in parts of a whole,
square or oblong pixels make no difference here, but for how thick a stroke is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.records import VideoInfo

__all__ = [
    "boxes_to_upright",
    "hint_places",
    "hint_radius",
    "radius_to_coded",
    "radius_to_upright",
    "to_coded",
    "to_upright",
]

_Turn = Callable[[float, float], tuple[float, float]]

_TO_CODED: dict[int, _Turn] = {
    0: lambda x, y: (x, y),
    90: lambda x, y: (1 - y, x),
    180: lambda x, y: (1 - x, 1 - y),
    270: lambda x, y: (y, 1 - x),
}
_TO_UPRIGHT: dict[int, _Turn] = {
    0: lambda x, y: (x, y),
    90: lambda x, y: (y, 1 - x),
    180: lambda x, y: (1 - x, 1 - y),
    270: lambda x, y: (1 - y, x),
}


def to_coded(points: Sequence[float], info: VideoInfo) -> tuple[float, ...]:
    """Places in the coded frame.

    Args:
        points: x0, y0, x1, y1, ... in fractions of the upright picture.
        info: Of the film.

    Returns:
        The same places in fractions of the coded frame's width and height.

    Raises:
        ValueError: If the numbers are no pairs.
    """
    return _turned(points, _TO_CODED[info.rotation])


def to_upright(points: Sequence[float], info: VideoInfo) -> tuple[float, ...]:
    """Places in the upright picture; for boxes take `boxes_to_upright`, which orders the sides.

    Args:
        points: x0, y0, x1, y1, ... in pixels of the coded frame.
        info: Of the film.

    Returns:
        The same places in fractions of the upright picture.

    Raises:
        ValueError: If the numbers are no pairs.
    """
    sides = (info.width, info.height)
    parts = [value / sides[number % 2] for number, value in enumerate(points)]
    return _turned(parts, _TO_UPRIGHT[info.rotation])


def boxes_to_upright(
    boxes: Sequence[Sequence[float]], info: VideoInfo
) -> list[tuple[float, float, float, float]]:
    """Boxes in the upright picture.

    Args:
        boxes: Left, top, right, bottom in pixels of the coded frame.
        info: Of the film.

    Returns:
        Left, top, right, bottom in fractions of the upright picture.
    """
    found = []
    for box in boxes:
        x0, y0, x1, y1 = to_upright(box, info)
        found.append((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
    return found


def radius_to_coded(radius: float, info: VideoInfo) -> float:
    """Pixels of the coded frame of a fraction of the upright picture's height."""
    return radius * _rows(info)


def radius_to_upright(radius_px: float, info: VideoInfo) -> float:
    """Fraction of the upright picture's height of pixels of the coded frame."""
    return radius_px / _rows(info)


def hint_places(hint: HintEntry, info: VideoInfo) -> tuple[float, ...]:
    """Points, or corners of the region, of a hint in fractions of the upright picture.

    Returns:
        x0, y0, x1, y1, ...; of a box all four corners; nothing for a whole object or frame.
    """
    return to_upright([value for corner in hint.corners(info) for value in corner], info)


def hint_radius(hint: HintEntry, info: VideoInfo) -> float | None:
    """Half the width of a hint's stroke as a fraction of the upright picture's height."""
    return None if hint.radius_px is None else radius_to_upright(hint.radius_px, info)


def _turned(points: Sequence[float], turn: _Turn) -> tuple[float, ...]:
    pairs = zip(points[::2], points[1::2], strict=True)
    return tuple(value for x, y in pairs for value in turn(x, y))


def _rows(info: VideoInfo) -> int:
    """Coded pixels along the upright picture's height."""
    turned = info.rotation in (90, 270)
    return info.width if turned else info.height
