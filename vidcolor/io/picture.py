"""The picture's encoder: a colored frame goes in, packets come out."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import av
import numpy as np

from vidcolor.color.compose import ComposeConfig, chroma_planes
from vidcolor.io.codecs import Encoding, encoder_rate
from vidcolor.io.planes import put_planes
from vidcolor.records import Colored, Matrix, VideoInfo

__all__ = ["PictureEncoder", "color_tags"]

_UNSPECIFIED = 2
_BT470BG = 5
_TAGS: dict[Matrix, tuple[int, int, int]] = {
    "bt601": (6, 6, 6),
    "bt709": (1, 1, 1),
    "bt2020": (9, 9, 14),
}


def color_tags(info: VideoInfo) -> tuple[int, int, int, int]:
    """FFmpeg's numbers of range, matrix, primaries and transfer for the output.

    They say what was really used to make chroma; what the source leaves open is filled with what
    belongs to the matrix.
    """
    spec = info.color
    matrix, primaries, transfer = _TAGS[spec.matrix]
    if spec.matrix == "bt601" and spec.primaries == _BT470BG:
        matrix = _BT470BG
    if spec.primaries != _UNSPECIFIED:
        primaries = spec.primaries
    if spec.transfer != _UNSPECIFIED:
        transfer = spec.transfer
    return (2 if spec.full_range else 1), matrix, primaries, transfer


class PictureEncoder:
    """Lays chroma beside luma and encodes; belongs to one stream of one container.

    Args:
        out: The open, still empty container; the encoder opens when the container does.
        encoding: Which encoder, with which settings.
        info: Of the frames that will come.
        compose: How color is laid beside luma.

    Attributes:
        stream: The picture's stream in `out`.

    Raises:
        FFmpegError, ValueError: If container or encoder refuse.
    """

    def __init__(
        self, out: Any, encoding: Encoding, info: VideoInfo, compose: ComposeConfig
    ) -> None:
        self._encoding, self._info, self._compose = encoding, info, compose
        if encoding.name == "av1":
            os.environ.setdefault("SVT_LOG", "1")  # its only switch for chatter
        stream = out.add_stream(
            encoding.codec.encoder, rate=encoder_rate(info), options=dict(encoding.options)
        )
        stream.width, stream.height, stream.pix_fmt = info.width, info.height, encoding.pix_fmt
        context = stream.codec_context
        context.time_base = info.time_base  # the encoder's clock, and only this, keeps VFR exact
        context.sample_aspect_ratio = info.sample_aspect
        (
            context.color_range,
            context.colorspace,
            context.color_primaries,
            context.color_trc,
        ) = self._tags = color_tags(info)
        if encoding.name == "h265" and encoding.container != "matroska":
            context.codec_tag = "hvc1"  # players by Apple know no other
        if info.rotation:
            stream.set_display_rotation(info.rotation)
        self.stream = stream

    @property
    def header(self) -> bytes:
        """What a decoder must know before the first packet; empty for codecs without one."""
        return bytes(self.stream.codec_context.extradata or b"")

    def encode(self, colored: Colored, number: int, shift: int = 0) -> list[Any]:
        """Packets that are ready after frame `number` of a batch; its pts is lowered by `shift`."""
        encoding, info = self._encoding, self._info
        frames, chroma = colored.frames, colored.chroma
        luma = frames.luma[number, 0].numpy()
        blue, red = chroma_planes(
            luma,
            chroma.ab[number].numpy(),
            chroma.lightness[number, 0].numpy(),
            frames.info.color,
            encoding.layout,
            self._compose,
        )
        depth = encoding.layout.bits
        if depth > 8:
            luma = luma.astype(np.uint16) << (depth - frames.info.color.bits)
        picture = av.VideoFrame(info.width, info.height, encoding.pix_fmt)
        put_planes(picture, (luma, blue, red))
        picture.pts, picture.time_base = frames.pts[number] - shift, Fraction(info.time_base)
        (
            picture.color_range,
            picture.colorspace,
            picture.color_primaries,
            picture.color_trc,
        ) = self._tags
        packets: list[Any] = self.stream.encode(picture)
        return packets

    def flush(self) -> list[Any]:
        """The last packets; nothing can be encoded after."""
        packets: list[Any] = self.stream.encode(None)
        return packets
