"""Frames as they are, for an output in which only what was changed differs from the source."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt

from vidcolor.color.compose import MATRIX_WEIGHTS, PlaneLayout
from vidcolor.errors import MediaError
from vidcolor.io.chroma_grid import ChromaGrid, resample
from vidcolor.io.codecs import (
    CONTAINERS,
    Encoding,
    OutputConfig,
    choose_codec,
    codec_named,
    encoder_options,
    holding,
    no_such_format,
)
from vidcolor.io.planes import luma_of_rgb, subsampling_of
from vidcolor.io.source_format import SourceFormat
from vidcolor.records import FrameBatch, VideoInfo

__all__ = ["SourcePlanes", "repaired_pixels"]

_log = logging.getLogger(__name__)

Array = npt.NDArray[Any]
Kind = Literal["gray", "yuv", "rgb", "packed rgb"]

_LOSSLESS = "ffv1"
_RGB, _FULL, _LIMITED, _UNSPECIFIED, _BT709 = 0, 2, 1, 2, 1
_BOTTOM_FIRST = (3, 5)
_INTERLACED = (2, 3, 4, 5)
_FIELD_OPTIONS = {
    "h264": {"flags": "+ildct+ilme", "x264-params": "{fields}=1"},
    "prores": {"flags": "+ildct"},
    "ffv1": {},
}
"""What encoders that can mark fields are told besides: x264 looks at no frame for their order."""


class SourcePlanes:
    """Frames with their own color, without any conversion where the codec holds their format.

    `.mkv` is FFV1 in the source's own format: every code of every plane is kept. RGB stays RGB:
    where luma differs from the Y' of the frame's own RGB, the difference is added to all three
    channels, and clipped; everywhere else the codes are the source's. Lossy codecs get the
    source's subsampling, or the next finer one that they have; they get gray as 4:2:0 without
    color, because few players show 4:0:0, and RGB as full-range BT.709.

    Args:
        source: How the film is stored; frames must come from a reader that keeps chroma.
    """

    def __init__(self, source: SourceFormat) -> None:
        self._source = source

    def encoding(self, path: Path, info: VideoInfo, output: OutputConfig, /) -> Encoding:
        """Settle the encoder; one line is logged if it is lossy.

        Raises:
            MediaError: If container, codec, pixel format and film do not go together.
        """
        source = self._source
        auto = _LOSSLESS if path.suffix.lower() == ".mkv" else None
        name, extension = choose_codec(path, info, output, auto)
        depths = holding(path, name, info.color.bits)
        possible = _possible(name, source, info, depths)
        if not possible:
            raise MediaError(f"{path}: {name} cannot encode {info.width}x{info.height}")
        pix_fmt = output.pix_fmt or possible[0]
        if pix_fmt not in possible:
            raise no_such_format(path, name, info, pix_fmt, possible)
        options = encoder_options(name, pix_fmt, output)
        kind, grid = kind_of(pix_fmt), subsampling_of(pix_fmt)
        layout = PlaneLayout(
            subsample_y=grid[0],
            subsample_x=grid[1],
            bits=av.VideoFormat(pix_fmt, 16, 16).components[0].bits,
            full_range=info.color.full_range,
            matrix=info.color.matrix,
        )
        if kind == "yuv" and source.kind == "yuv" and source.siting is not None:
            options["chroma_sample_location"] = source.siting
        fields = self._fields(path, name)
        if fields is not None:
            for key, value in _FIELD_OPTIONS[name].items():
                options[key] = value.format(fields=fields)
        self._say(path, name, pix_fmt, layout.bits == 8 and options.get("crf") == "0")
        return Encoding(
            name,
            codec_named(name),
            CONTAINERS[extension],
            extension,
            pix_fmt,
            layout,
            options,
            _tags(kind, source, info),
            source.field_order if name in _FIELD_OPTIONS else 0,
            fields,
        )

    def frames(self, batch: FrameBatch, /) -> FrameBatch:
        """`batch` itself.

        Raises:
            ValueError: If its color got lost on the way.
        """
        for kind, planes in (("yuv", batch.chroma), ("rgb", batch.rgb)):
            if self._source.kind == kind and planes is None:
                raise ValueError(f"the film is {kind}, the frames are gray; read with keep_chroma")
        return batch

    def lay(self, batch: FrameBatch, number: int, encoding: Encoding, /) -> tuple[Array, ...]:
        """The frame's own codes, shifted up where the output is deeper."""
        luma = batch.luma[number, 0].numpy()
        kind = kind_of(encoding.pix_fmt)
        shift = encoding.layout.bits - batch.info.color.bits
        if kind in ("rgb", "packed rgb"):
            return _rgb_planes(_deepened(_pixels(batch, number), encoding, shift), kind)
        planes = [luma]
        if kind == "yuv":
            planes += self._chroma(batch, number, encoding)
        return tuple(_deepened(plane, encoding, shift) for plane in planes)

    def _chroma(self, batch: FrameBatch, number: int, encoding: Encoding) -> list[Array]:
        """Cb and Cr at the depth of the frames, on the grid of the output."""
        spec, size, source = batch.info.color, batch.info.size, self._source
        given = ChromaGrid(*source.subsampling, source.siting)
        wanted = ChromaGrid(*subsampling_of(encoding.pix_fmt), source.siting)
        neutral, top = 1 << (spec.bits - 1), (1 << spec.bits) - 1
        if batch.rgb is not None:
            luma = batch.luma[number, 0].numpy().astype(np.float32)
            red, _, blue = np.moveaxis(_pixels(batch, number), 2, 0).astype(np.float32)
            kr, kb = MATRIX_WEIGHTS[spec.matrix]
            parts = [
                (blue - luma) / np.float32(2 - 2 * kb) + neutral,
                (red - luma) / np.float32(2 - 2 * kr) + neutral,
            ]
        elif batch.chroma is not None:
            parts = list(batch.chroma[number].numpy())
            if (given.rows, given.columns) == (wanted.rows, wanted.columns):
                return parts
        else:
            return [np.full(wanted.size(*size), neutral, np.int32)] * 2
        return [
            np.clip(np.rint(resample(part, given, wanted, size)), 0, top).astype(np.int32)
            for part in parts
        ]

    def _fields(self, path: Path, name: str) -> Literal["tff", "bff"] | None:
        """How frames are marked; says what the codec cannot."""
        source = self._source
        is_woven = source.interlaced or source.field_order in _INTERLACED
        if is_woven and name not in _FIELD_OPTIONS:
            _log.warning("%s: %s cannot mark interlaced frames; use ffv1 or h264", path, name)
            return None
        if not source.interlaced:
            return None
        if source.field_order not in _INTERLACED:
            _log.warning("%s: the source does not say which field is first; marked as top", path)
        return "bff" if source.field_order in _BOTTOM_FIRST else "tff"

    def _say(self, path: Path, name: str, pix_fmt: str, finest: bool) -> None:
        """What is not exact, in a line; x264 is, at its finest."""
        source = self._source
        if name != _LOSSLESS and not (name == "h264" and finest):
            _log.info(
                "%s: %s is lossy, every pixel may change a little; .mkv without --codec is exact",
                path,
                name,
            )
        if source.kind == "rgb" and kind_of(pix_fmt) == "yuv":
            _log.info("%s: the source is RGB and becomes Y'CbCr (%s)", path, pix_fmt)
        elif source.kind == "yuv" and subsampling_of(pix_fmt) != source.subsampling:
            _log.info("%s: chroma is resampled for %s (%s)", path, name, pix_fmt)


def repaired_pixels(pixels: Array, luma: Array, bits: int) -> Array:
    """RGB codes with another Y': the difference goes to all channels, and is clipped.

    Args:
        pixels: (H, W, 3) R'G'B' codes.
        luma: (H, W) Y' codes wanted. Where it is the Y' of `pixels` (`luma_of_rgb`), nothing
            changes.
        bits: Depth of both.

    Returns:
        (H, W, 3) of the type of `pixels`.
    """
    change = luma.astype(np.int32) - luma_of_rgb(pixels, bits)
    moved = np.clip(pixels.astype(np.int32) + change[..., None], 0, (1 << bits) - 1)
    return moved.astype(pixels.dtype)


def _pixels(batch: FrameBatch, number: int) -> Array:
    """(H, W, 3) RGB of a frame, with the luma that it has now."""
    assert batch.rgb is not None
    pixels = np.ascontiguousarray(batch.rgb[number].numpy().transpose(1, 2, 0))
    return repaired_pixels(pixels, batch.luma[number, 0].numpy(), batch.info.color.bits)


def kind_of(pix_fmt: str) -> Kind:
    """What planes a pixel format has that we encode."""
    if pix_fmt.startswith("gray"):
        return "gray"
    if pix_fmt.startswith("gbrp"):
        return "rgb"
    return "packed rgb" if pix_fmt == "bgr0" else "yuv"


def _possible(name: str, source: SourceFormat, info: VideoInfo, depths: Sequence[int]) -> list[str]:
    """Pixel formats of an encoder for a film, best first."""
    codec = codec_named(name)
    known = {fmt.name for fmt in av.Codec(codec.encoder, "w").video_formats or ()}
    known |= set(codec.stored)
    if name == _LOSSLESS and source.kind != "yuv":
        stem = "gray" if source.kind == "gray" else "gbrp"
        own = [f"{stem}{depth}le" for depth in depths if depth > 8]
        eight = "gray" if source.kind == "gray" else "bgr0"
        found = [fmt for fmt in ([eight] if 8 in depths else []) + own if fmt in known]
    else:
        found = []
    rows, columns = source.subsampling if source.kind == "yuv" else (2, 2)
    others = [
        (depth, subsampling_of(fmt), fmt)
        for depth in depths
        for chroma in ("420", "422", "440", "444", "411", "410")
        if (fmt := f"yuv{chroma}p" + ("" if depth == 8 else f"{depth}le")) in known
    ]
    others = [
        (depth, grid, fmt)
        for depth, grid, fmt in others
        if not codec.even or (info.height % grid[0] == 0 and info.width % grid[1] == 0)
    ]

    def distance(item: tuple[int, tuple[int, int], str]) -> tuple[bool, bool, int, int]:
        depth, grid, _ = item
        coarser = grid[0] > rows or grid[1] > columns
        return coarser, grid != (rows, columns), depth, -grid[0] * grid[1]

    return found + [fmt for _, _, fmt in sorted(others, key=distance)]


def _tags(kind: Kind, source: SourceFormat, info: VideoInfo) -> tuple[int, int, int, int]:
    """Range, matrix, primaries and transfer: what the source says, and no more."""
    matrix, primaries, transfer = source.tags
    if kind in ("rgb", "packed rgb"):
        matrix = _RGB
    elif source.kind == "rgb":
        matrix = _BT709
    return (_FULL if info.color.full_range else _LIMITED), matrix, primaries, transfer


def _deepened(plane: Array, encoding: Encoding, shift: int) -> Array:
    if encoding.layout.bits == 8:
        return plane.astype(np.uint8)
    return plane.astype(np.uint16) << shift


def _rgb_planes(pixels: Array, kind: Kind) -> tuple[Array, ...]:
    """(H, W, 3) RGB as FFmpeg's bgr0, or as green, blue and red."""
    red, green, blue = (pixels[..., n] for n in range(3))
    if kind == "rgb":
        return green, blue, red
    return (np.dstack((blue, green, red, np.zeros_like(red))),)
