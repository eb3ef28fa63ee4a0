"""Uncompressed pictures with a line of text before each: what every neighbor understands.

Reference: yuv4mpeg(5), with FFmpeg's names for depths and its `XCOLORRANGE`.
"""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from vidcolor.errors import MediaError
from vidcolor.io.codecs import Encoding
from vidcolor.io.frame_planes import Planes
from vidcolor.io.pipe.ends import PipeOut
from vidcolor.records import VideoInfo

__all__ = ["Y4mSink", "y4m_header"]

_log = logging.getLogger(__name__)

_CHROMA = {(2, 2): "420", (1, 2): "422", (1, 1): "444"}
_SITED = {"left": "mpeg2", "center": "jpeg"}
T = TypeVar("T")


def y4m_header(info: VideoInfo, encoding: Encoding) -> bytes:
    """The line that describes a film.

    Args:
        info: Of its frames.
        encoding: Its pixel format and range.
    """
    layout, rate, aspect = encoding.layout, info.rate, info.sample_aspect
    chroma = _CHROMA[layout.subsample_y, layout.subsample_x]
    if layout.bits > 8:
        chroma += f"p{layout.bits}"
    elif chroma == "420":
        chroma += _SITED[layout.siting]
    words = (
        "YUV4MPEG2",
        f"W{info.width}",
        f"H{info.height}",
        f"F{rate.numerator}:{rate.denominator}",
        "Ip",
        f"A{aspect.numerator}:{aspect.denominator}",
        f"C{chroma}",
        f"XCOLORRANGE={'FULL' if layout.full_range else 'LIMITED'}",
    )
    return " ".join(words).encode() + b"\n"


class Y4mSink(Generic[T]):
    """Frames as they are laid, straight into a pipe.

    y4m has one rate and no times. Frames that do not keep to the rate are sent all the same, each
    once, and a warning says so.

    Args:
        pipe: Where they go.
        encoding: Pixel format and range.
        info: Of the frames.
        planes: What batches are, and how they become planes.
    """

    def __init__(
        self, pipe: PipeOut, encoding: Encoding, info: VideoInfo, planes: Planes[T]
    ) -> None:
        self._pipe, self._encoding, self._info, self._planes = pipe, encoding, info, planes
        self._first: int | None = None
        self._sent = 0
        self._warned = False

    def encode(self, batch: T, number: int, /) -> None:
        """Send frame `number` of a batch."""
        pts = self._planes.frames(batch).pts[number]
        if self._first is None:
            self._first = pts
            self._pipe.write(y4m_header(self._info, self._encoding))
        self._look_at_time(pts - self._first)
        laid = self._planes.lay(batch, number, self._encoding)
        self._pipe.write(b"FRAME\n" + b"".join(_bytes(plane) for plane in laid))
        self._sent += 1

    def _look_at_time(self, ticks: int) -> None:
        late = ticks * self._info.time_base * self._info.rate - self._sent
        if abs(late) > Fraction(1, 2) and not self._warned:
            self._warned = True
            _log.warning(
                "%s: frames do not come at an even rate, which is all that y4m has; use "
                "--format nut or matroska to keep their times",
                self._pipe.path,
            )

    def finish(self, early: bool, /) -> None:
        """Nothing is left to send."""
        if not self._sent:
            raise MediaError(f"{self._pipe.path}: no frames were written")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """The pipe is closed by whoever opened it."""


def _bytes(plane: npt.NDArray[Any]) -> bytes:
    return plane.astype("<u2").tobytes() if plane.dtype != np.uint8 else plane.tobytes()
