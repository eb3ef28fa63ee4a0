"""What a film says of itself, from its first frame and its stream."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from vidcolor.io.planes import PixelLayout
from vidcolor.records import ColorSpec, Matrix, VideoInfo

__all__ = ["color_warnings", "describe_film"]

_MATRICES: dict[int, Matrix] = {
    1: "bt709",
    4: "bt601",
    5: "bt601",
    6: "bt601",
    7: "bt709",
    9: "bt2020",
    10: "bt2020",
}
_UNSPECIFIED = 2
_FULL, _LIMITED = 2, 1
_HDR = {16: "PQ", 18: "HLG"}
_SD_LINES = 576
_MOST_ASPECT = Fraction(32)
"""Pixels wider or higher than this are a damaged header, and upright they would fill the memory."""


def describe_film(stream: Any, frame: Any, layout: PixelLayout) -> tuple[VideoInfo, str | None]:
    """The record of a film.

    Args:
        stream: Of the picture.
        frame: Its first decoded frame.
        layout: Of its pixel format.

    Returns:
        The record, and what is to be said of a color matrix or pixel aspect that is not taken as
        the film has it.
    """
    color_range = int(frame.color_range) or int(stream.codec_context.color_range)
    full = layout.full_range if color_range not in (_FULL, _LIMITED) else color_range == _FULL
    matrix, unknown = _matrix(frame, layout)
    said = [unknown] if unknown else []
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or 25
    aspect = Fraction(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    if not 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT:
        said.append(f"has pixels of aspect {aspect}, which are read as square")
        aspect = Fraction(1)
    info = VideoInfo(
        frame.height,
        frame.width,
        rate=Fraction(rate) if rate > 0 else Fraction(25),
        time_base=Fraction(stream.time_base),
        sample_aspect=aspect,
        rotation=round(frame.rotation / 90) * 90 % 360,
        color=ColorSpec(
            matrix,
            full or layout.kind == "rgb",
            layout.bits,
            primaries=int(frame.color_primaries) or _UNSPECIFIED,
            transfer=int(frame.color_trc) or _UNSPECIFIED,
        ),
    )
    return info, "; ".join(said) or None


def _matrix(frame: Any, layout: PixelLayout) -> tuple[Matrix, str | None]:
    if layout.kind == "rgb":
        return "bt709", None
    tag = int(frame.colorspace)
    if tag in _MATRICES:
        return _MATRICES[tag], None
    if tag not in (0, _UNSPECIFIED):
        return "bt709", f"has color matrix {tag}, which is read as BT.709"
    return ("bt601" if frame.height <= _SD_LINES else "bt709"), None


def color_warnings(frame: Any) -> Iterator[str]:
    """What makes color that is added to a film look wrong."""
    transfer = int(frame.color_trc)
    if transfer in _HDR:
        yield f"is HDR ({_HDR[transfer]}); color is made as for SDR, expect it paler"
    if frame.interlaced_frame:
        yield "is interlaced; deinterlace it first, or color will comb along edges"
