"""What is drawn into pictures: boxes with their labels, and text on a dark ground."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from vidcolor.ops.boxes import Upright, clip
from vidcolor.ops.draw import WHITE, Bytes, Color, outline, shade, text_width, write
from vidcolor.records import TRACKS_OF_A_SHOT, Colored

__all__ = ["BoxMark", "box_color", "caption", "draw_boxes", "marks_of"]

_GOLDEN = 0.6180339887498949  # of a turn: neighboring numbers get colors far apart
_VIVID = 0.5  # saturation at which letters can still be read on dark ground
_LETTER = 0.4
_LINE_PX = 14  # height of a caption
_MARGIN_PX = 4
_SHADE = 0.35  # of a picture that is left under a caption


@dataclass(frozen=True, slots=True)
class BoxMark:
    """An object in a picture.

    Attributes:
        box: x0, y0, x1, y1 in fractions 0..1 of the upright picture.
        label: What it is.
        id: Of its track; None: it has none.
        score: How sure, 0..1.
    """

    box: tuple[float, float, float, float]
    label: str
    id: int | None = None
    score: float = 1.0

    @property
    def text(self) -> str:
        """Label and number, counted within the shot."""
        return self.label if self.id is None else f"{self.label} {self.id % TRACKS_OF_A_SHOT}"


def marks_of(
    colored: Colored, number: int, name: Callable[[int], str | None] = lambda track: None
) -> tuple[BoxMark, ...]:
    """The tracked objects of a frame, the largest first.

    Args:
        colored: Frames and their tracks.
        number: Which frame.
        name: What a person calls a track; None where nobody said.
    """
    upright = Upright(colored.frames.info)
    height, width = upright.size
    tracks = colored.tracks[colored.tracks.detections.frame == number]
    seen = tracks.detections
    boxes = clip(upright.from_frame(seen.boxes), upright.size)
    boxes = boxes / torch.tensor([width, height, width, height])
    marks = [
        BoxMark(_corners(box), name(track) or seen.names[label], track, score)
        for box, label, track, score in zip(
            boxes.tolist(),
            seen.labels.tolist(),
            tracks.ids.tolist(),
            seen.scores.tolist(),
            strict=True,
        )
    ]
    return tuple(sorted(marks, key=lambda mark: -_area(mark.box)))


def _corners(box: list[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return x0, y0, x1, y1


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def box_color(track: int | None) -> Color:
    """A strong color, another one for every track."""
    if track is None:
        return WHITE
    red, green, blue = colorsys.hsv_to_rgb(track * _GOLDEN % 1, _VIVID, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_boxes(picture: Bytes, marks: Sequence[BoxMark]) -> Bytes:
    """Boxes over a picture, the largest below.

    Args:
        picture: (h, w, 3) uint8 R'G'B'; not changed.
        marks: What to draw.

    Returns:
        A new picture of the same size.
    """
    drawn = picture.copy()
    height, width = drawn.shape[:2]
    for mark in marks:
        x0, y0, x1, y1 = mark.box
        left, top = round(x0 * width), round(y0 * height)
        right, bottom = round(x1 * width) - 1, round(y1 * height) - 1
        outline(drawn, (left, top, right, bottom), box_color(mark.id))
    for mark in marks:
        place = round(mark.box[0] * width), round(mark.box[1] * height)
        caption(drawn, mark.text, place, box_color(mark.id))
    return drawn


def caption(picture: Bytes, text: str, place: tuple[int, int], color: Color = WHITE) -> None:
    """Write a line into a picture, on a ground that is darkened.

    Args:
        picture: (h, w, 3) uint8 R'G'B', changed.
        text: What it says.
        place: `(x, y)` of the upper left corner; moved so that the line lies in the picture.
        color: Of the letters.
    """
    height, width = picture.shape[:2]
    wide = min(width, text_width(text, _LETTER) + 2 * _MARGIN_PX)
    left = max(0, min(place[0], width - wide))
    top = max(0, min(place[1], height - _LINE_PX))
    shade(picture[top : top + _LINE_PX, left : left + wide], _SHADE)
    room = wide - 2 * _MARGIN_PX
    write(picture, text, left + _MARGIN_PX, top + _LINE_PX - 4, color, _LETTER, room)
