"""How a film's picture is stored, for an output that is to be like it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal

import av
import av.error

from vidcolor.io.matroska import chroma_siting
from vidcolor.io.planes import PixelLayout, subsampling_of

__all__ = ["SourceFormat", "describe_source"]

_UNSPECIFIED = 2


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """What a picture's codes are and how the file marks them.

    Attributes:
        kind: `gray`, `yuv`, or `rgb`.
        subsampling: Luma rows and columns to a chroma sample; (1, 1) for gray and RGB.
        bits: Depth of all codes.
        tags: FFmpeg's numbers of matrix, primaries and transfer as the film says them, 2 where it
            says nothing.
        siting: FFmpeg's name of the place of chroma samples; None where the film says nothing.
        field_order: FFmpeg's number (AV_FIELD) as the stream says it: 0 unknown, 1 progressive, 2
            to 5 interlaced.
        interlaced: Frames are marked as two fields.
    """

    kind: Literal["gray", "yuv", "rgb"]
    subsampling: tuple[int, int] = (1, 1)
    bits: int = 8
    tags: tuple[int, int, int] = (_UNSPECIFIED, _UNSPECIFIED, _UNSPECIFIED)
    siting: str | None = None
    field_order: int = 0
    interlaced: bool = False


def describe_source(stream: Any, frame: Any, layout: PixelLayout) -> SourceFormat:
    """How the picture is stored.

    Args:
        stream: Of the picture, in an open container.
        frame: Its first decoded frame.
        layout: Of its pixel format.
    """
    kind: Literal["gray", "yuv", "rgb"] = "yuv"
    if layout.kind == "rgb" or layout.gray:
        kind = "gray" if layout.gray else "rgb"
    matrix = _UNSPECIFIED if kind == "rgb" else int(frame.colorspace)
    return SourceFormat(
        kind=kind,
        subsampling=subsampling_of(layout.via or layout.name) if kind == "yuv" else (1, 1),
        bits=layout.bits,
        tags=(
            matrix or _UNSPECIFIED,
            int(frame.color_primaries) or _UNSPECIFIED,
            int(frame.color_trc) or _UNSPECIFIED,
        ),
        siting=_siting(stream) if kind == "yuv" else None,
        field_order=int(stream.codec_context.field_order),
        interlaced=bool(frame.interlaced_frame),
    )


def _siting(stream: Any) -> str | None:
    """PyAV does not tell; a Matroska header made of the stream, in memory, does."""
    memory = io.BytesIO()
    try:
        with av.open(memory, "w", format="matroska") as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError, OSError):
        return None
    return chroma_siting(memory.getvalue())
