"""Small drawing: text, panels of curves, rows of pictures; (H, W, 3) uint8 R'G'B'."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.errors import MediaError
from vidcolor.io.target import Target

__all__ = ["INK", "PAPER", "Text", "blank", "save_png", "text_width"]

Bytes = npt.NDArray[np.uint8]
Color = tuple[int, int, int]

PAPER: Color = (255, 255, 255)
INK: Color = (40, 40, 40)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SCALE = 0.45


def blank(height: int, width: int) -> Bytes:
    """Empty paper."""
    return np.full((height, width, 3), PAPER, np.uint8)


def text_width(text: str, scale: float = _SCALE) -> int:
    """Pixels that a line takes."""
    return int(cv2.getTextSize(text, _FONT, scale, 1)[0][0])


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text.

    Attributes:
        text: What it says; letters that the font lacks become question marks.
        color: Of the letters.
        scale: Their size; 0.45 is 10 pixels high.
    """

    text: str
    color: Color = INK
    scale: float = _SCALE

    def draw(self, picture: Bytes, left: int, base: int) -> None:
        """Write it, the first letter's foot at `(left, base)`."""
        plain = self.text.encode("ascii", "replace").decode("ascii")
        cv2.putText(
            picture, plain, (left, base), _FONT, self.scale, self.color, 1, cv2.LINE_AA
        )  # fmt: skip


def save_png(path: Path, picture: Bytes, overwrite: bool) -> None:
    """Write a picture whole or not at all.

    Raises:
        MediaError: If the name is no PNG's, the file exists and is not to be replaced, or it
            cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise MediaError(f"{path}: is written as PNG; name it {path.with_suffix('.png').name}")
    done, data = cv2.imencode(".png", picture[..., ::-1])
    if not done:
        raise MediaError(f"{path}: a picture of {picture.shape} cannot be written as PNG")
    target = Target(path, overwrite)
    try:
        target.temporary.write_bytes(data.tobytes())
    except OSError as error:
        target.discard()
        raise MediaError(f"{path}: cannot be written: {error.strerror}") from None
    except BaseException:
        target.discard()
        raise
    target.land()
