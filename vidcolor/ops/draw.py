"""Drawing into pictures, (h, w, 3) uint8 R'G'B': text, outlines, swatches, thumbnails."""

from __future__ import annotations

import unicodedata

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "INK",
    "WHITE",
    "Bytes",
    "Color",
    "fitted",
    "outline",
    "paper",
    "shade",
    "shortened",
    "swatch",
    "text_width",
    "write",
]

Bytes = npt.NDArray[np.uint8]
Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
INK: Color = (40, 40, 40)
LETTER_PX = 22.0
"""Height of capitals at scale 1."""

_SCALE = 0.45
_FONT = cv2.FONT_HERSHEY_SIMPLEX  # OpenCV 5 draws a TrueType font of its own in place of it
_EVERY_SCRIPT = int(cv2.__version__.split(".")[0]) >= 5
_UNSEEN = ("Cc", "Cs")  # categories: control characters, halves of what is no Unicode
_DARK: Color = (0, 0, 0)


def paper(height: int, width: int, color: Color = WHITE) -> Bytes:
    """Empty paper."""
    return np.full((height, width, 3), color, np.uint8)


def text_width(text: str, scale: float = _SCALE) -> int:
    """Pixels that a line takes."""
    return int(cv2.getTextSize(_in_font(text), _FONT, scale, 1)[0][0])


def shortened(text: str, room: int, scale: float = _SCALE) -> str:
    """A line that fits into `room` pixels; its end gives way to two dots."""
    if text_width(text, scale) <= room:
        return text
    while text and text_width(f"{text}..", scale) > room:
        text = text[:-1]
    return f"{text.rstrip()}.."


def write(
    picture: Bytes,
    text: str,
    left: int,
    base: int,
    color: Color = INK,
    scale: float = _SCALE,
    room: int | None = None,
) -> None:
    """Write a line.

    Args:
        picture: Changed.
        text: Any script with OpenCV 5; before that letters lose their accents, and those that are
            not of ASCII become question marks.
        left: Where the first letter begins.
        base: Row of its foot.
        color: Of the letters.
        scale: Their size; at 1 capitals are `LETTER_PX` high.
        room: Pixels in a row at most; a longer line is cut short.
    """
    fits = _in_font(text if room is None else shortened(text, room, scale))
    cv2.putText(picture, fits, (left, base), _FONT, scale, color, 1, cv2.LINE_AA)


def _in_font(text: str) -> str:
    """A line in letters that the font has."""
    seen = "".join("?" if unicodedata.category(letter) in _UNSEEN else letter for letter in text)
    if _EVERY_SCRIPT:
        return unicodedata.normalize("NFC", seen)
    split = unicodedata.normalize("NFKD", seen)
    bare = "".join(letter for letter in split if not unicodedata.combining(letter))
    return bare.encode("ascii", "replace").decode("ascii")


def shade(ground: Bytes, left: float) -> None:
    """Darken a part of a picture in place, so that letters can be read on it.

    Args:
        ground: The part.
        left: Share of its light that stays.
    """
    ground[:] = (ground * np.float32(left)).astype(np.uint8)


def outline(picture: Bytes, box: tuple[int, int, int, int], color: Color) -> None:
    """A thin frame that is seen on any ground.

    Args:
        picture: Changed.
        box: First and last column and row of it: x0, y0, x1, y1, all within.
        color: Of the line; it has dark edges.
    """
    x0, y0, x1, y1 = box
    cv2.rectangle(picture, (x0 - 1, y0 - 1), (x1 + 1, y1 + 1), _DARK, 1)
    cv2.rectangle(picture, (x0 + 1, y0 + 1), (x1 - 1, y1 - 1), _DARK, 1)
    cv2.rectangle(picture, (x0, y0), (x1, y1), color, 1)


def swatch(picture: Bytes, box: tuple[int, int, int, int], fill: Color, edge: Color) -> None:
    """A patch of color with an edge; `box` as in `outline`."""
    cv2.rectangle(picture, box[:2], box[2:], fill, -1)
    cv2.rectangle(picture, box[:2], box[2:], edge, 1)


def fitted(picture: Bytes, size: tuple[int, int], enlarge: int = cv2.INTER_CUBIC) -> Bytes:
    """A thumbnail: as large as fits, in its own shape.

    Args:
        picture: (h, w, 3) or (h, w).
        size: `(height, width)` that it may take.
        enlarge: How a smaller one is enlarged, one of OpenCV's ways.
    """
    scale = min(size[0] / picture.shape[0], size[1] / picture.shape[1])
    wide, tall = (max(1, round(side * scale)) for side in (picture.shape[1], picture.shape[0]))
    way = cv2.INTER_AREA if scale < 1 else enlarge
    return np.asarray(cv2.resize(picture, (wide, tall), interpolation=way), np.uint8)
