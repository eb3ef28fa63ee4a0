"""The picture's encoder: planes go in, packets come out."""

from __future__ import annotations

import contextlib
import functools
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.io.codecs import Encoding, encoder_rate
from vidcolor.io.planes import put_planes
from vidcolor.io.scheduling import usual_scheduling
from vidcolor.records import VideoInfo

__all__ = ["PictureEncoder"]

_X264_THREADS = 12
"""The same on every machine, for x264's frames depend on it; more than cores cost nothing."""
_ROWS_PER_THREAD = 32
"""Below it x264 itself would not use one thread more."""


class PictureEncoder:
    """Encodes planes as they are; belongs to one stream of one container.

    Equal planes give equal packets, each time and on machines with more cores or fewer. Threads
    that an encoder starts get the scheduling of the thread that makes it.

    Args:
        out: The open, still empty container.
        encoding: Which encoder, with which settings.
        info: Of the frames that will come.

    Attributes:
        stream: The picture's stream in `out`.

    Raises:
        FFmpegError, ValueError: If container or encoder refuse.
    """

    def __init__(self, out: Any, encoding: Encoding, info: VideoInfo) -> None:
        self._encoding, self._info = encoding, info
        self._fields = None if encoding.fields is None else _FieldMark(encoding, info)
        if encoding.name == "av1":
            os.environ.setdefault("SVT_LOG", "1")  # its only switch for chatter
        options = dict(encoding.options)
        if encoding.name == "h264" and _has_avx512():
            others = options.get("x264-params")
            options["x264-params"] = "asm=avx2" + (f":{others}" if others else "")
        stream = out.add_stream(encoding.codec.encoder, rate=encoder_rate(info), options=options)
        stream.width, stream.height = info.width, info.height
        # the codes are the same; PyAV lays them as the encoder wants them
        stream.pix_fmt = encoding.codec.stored.get(encoding.pix_fmt, encoding.pix_fmt)
        context = stream.codec_context
        if encoding.name == "h264":
            context.thread_type = "FRAME"  # slices cost bits
            context.thread_count = max(1, min(_X264_THREADS, info.height // _ROWS_PER_THREAD))
        context.time_base = info.time_base  # the encoder's clock, and only this, keeps VFR exact
        context.sample_aspect_ratio = info.sample_aspect
        (
            context.color_range,
            context.colorspace,
            context.color_primaries,
            context.color_trc,
        ) = encoding.tags
        if encoding.field_order:
            context.field_order = encoding.field_order
        if encoding.name in ("h265", "hevc_nvenc") and encoding.container in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # players by Apple know no other
        if info.rotation:
            stream.set_display_rotation(info.rotation)
        with usual_scheduling():
            context.open()
        self.stream = stream
        # one for all: memory that is fresh for every frame costs more than the copy into it
        self._picture = av.VideoFrame(info.width, info.height, encoding.pix_fmt)

    @property
    def header(self) -> bytes:
        """What a decoder must know before the first packet; empty for codecs without one."""
        return bytes(self.stream.codec_context.extradata or b"")

    def encode(self, planes: tuple[npt.NDArray[np.integer[Any]], ...], pts: int) -> list[Any]:
        """Packets that are ready after a frame.

        Args:
            planes: Of the encoding's pixel format, see `put_planes`.
            pts: The frame's time, in units of the film's time base.
        """
        picture = self._picture
        picture.make_writable()  # another buffer where the encoder still holds this one
        put_planes(picture, planes)
        picture.pts, picture.time_base = pts, Fraction(self._info.time_base)
        (
            picture.color_range,
            picture.colorspace,
            picture.color_primaries,
            picture.color_trc,
        ) = self._encoding.tags
        if self._fields is not None:
            picture = self._fields.put_on(picture)
        packets: list[Any] = self.stream.encode(picture)
        return packets

    def flush(self) -> list[Any]:
        """The last packets; nothing can be encoded after."""
        packets: list[Any] = self.stream.encode(None)
        return packets


@functools.cache
def _has_avx512() -> bool:
    """Whether x264 would use AVX-512.

    There its macroblock tree reads behind the end of rows whose macroblocks are no multiple of 8:
    memory of whatever was there before, so that equal planes give other bytes each time.
    """
    with contextlib.suppress(OSError):
        if "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"):
            return True
    return torch.backends.cpu.get_cpu_capability() == "AVX512"


class _FieldMark:
    """Marks frames as two fields, which PyAV does only by way of a filter; codes stay."""

    def __init__(self, encoding: Encoding, info: VideoInfo) -> None:
        self._graph = av.filter.Graph()
        frames = self._graph.add_buffer(
            width=info.width,
            height=info.height,
            format=av.VideoFormat(encoding.pix_fmt, info.width, info.height),
            time_base=Fraction(info.time_base),
        )
        mark = self._graph.add("setparams", f"field_mode={encoding.fields}")
        end = self._graph.add("buffersink")
        frames.link_to(mark)
        mark.link_to(end)
        self._graph.configure()

    def put_on(self, picture: Any) -> Any:
        self._graph.push(picture)
        return self._graph.pull()
