"""Which encoder, container and pixel format go together, and with which settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av

from vidcolor.color.compose import PlaneLayout
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.codec_table import CODECS, GPU_CODECS, Codec, codec_named
from vidcolor.records import Matrix, VideoInfo

__all__ = [
    "CODECS",
    "CONTAINERS",
    "GPU_CODECS",
    "PIPE_FORMATS",
    "Codec",
    "Encoding",
    "OutputConfig",
    "choose_codec",
    "choose_encoding",
    "codec_named",
    "color_tags",
    "encoder_options",
    "encoder_rate",
    "holding",
    "no_such_format",
]

_UNSPECIFIED = 2
_BT470BG = 5
_TAGS: dict[Matrix, tuple[int, int, int]] = {
    "bt601": (6, 6, 6),
    "bt709": (1, 1, 1),
    "bt2020": (9, 9, 14),
}

CONTAINERS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov"}
"""FFmpeg's format of each file name extension."""

PIPE_FORMATS = ("y4m", "nut", "matroska")
"""What a pipe can carry."""


_BY_DEPTH = ((10, "h264"), (12, "h265"), (16, "ffv1"))


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """How a film is encoded and put in place.

    Attributes:
        codec: `auto`, `h264`, `h265`, `av1`, `prores` or `ffv1` (lossless). `auto` is h264, or for
            sources deeper than 10 bits what can hold them. `h264_nvenc` (8 bit) and `hevc_nvenc`
            (8 and 10 bit) need an NVIDIA GPU; equal frames need not give equal files.
        crf: Quality of h264 (0 to 51), h265 (0 to 51), av1 (0 to 63), h264_nvenc and hevc_nvenc (1
            to 51, there called cq), lower is better; None is 18, 20, 26, 19 and 21.
        preset: The encoder's preset: `ultrafast` to `veryslow` for h264 and h265, 0 to 13 for
            av1, `proxy lt standard hq 4444 4444xq` for prores, `p1` to `p7` for those of GPUs;
            None is medium, fast, 8, hq, p5.
        pix_fmt: Planar Y'CbCr format, such as `yuv420p10le`; None is 4:2:0 (prores 4:2:2) at the
            depth of the source.
        overwrite: Replace an output that exists.
        keep_partial: When something fails on the way, keep what was encoded as
            `STEM.partial.EXT`.
        format: What a pipe carries: `y4m`, `nut` or `matroska`; `auto` is y4m if that comes in by
            a pipe, matroska for prores and ffv1, and else nut. That of a file is its extension's.
    """

    codec: str = "auto"
    crf: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    overwrite: bool = False
    keep_partial: bool = False
    format: str = "auto"

    def __post_init__(self) -> None:
        if self.format not in ("auto", *PIPE_FORMATS):
            known = ", ".join(("auto", *PIPE_FORMATS))
            raise ConfigError(f"format must be one of {known}, not {self.format!r}")
        everything = CODECS | GPU_CODECS
        if self.codec != "auto" and self.codec not in everything:
            known = ", ".join(("auto", *everything))
            raise ConfigError(f"codec must be one of {known}, not {self.codec!r}")
        codec = everything.get(self.codec)
        least = 0 if codec is None else codec.least_crf
        top = 63 if self.codec == "av1" else 51
        if self.crf is not None and not least <= self.crf <= top:
            raise ConfigError(f"crf must be {least} to {top}, not {self.crf}")
        if self.crf is not None and codec is not None and codec.crf is None:
            raise ConfigError(f"codec {self.codec} has no crf; leave it out")
        if self.preset is not None and self.codec == "ffv1":
            raise ConfigError("codec ffv1 has no preset; leave it out")


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoder settled on.

    Attributes:
        name: Name of the codec, see `codec_named`.
        codec: What it is.
        container: FFmpeg's name of the container.
        extension: Extension of the file.
        pix_fmt: FFmpeg's name of the pixel format.
        layout: Chroma planes of that format; of gray and RGB only depth and range mean something.
        options: For the encoder.
        tags: FFmpeg's numbers of range, matrix, primaries and transfer.
        field_order: FFmpeg's number (AV_FIELD) of the order of fields, 0 is unknown.
        fields: Frames are marked as two fields, the top or the bottom one first (`tff`, `bff`);
            None: they are not.
    """

    name: str
    codec: Codec
    container: str
    extension: str
    pix_fmt: str
    layout: PlaneLayout
    options: dict[str, str]
    tags: tuple[int, int, int, int]
    field_order: int = 0
    fields: Literal["tff", "bff"] | None = None


def color_tags(info: VideoInfo) -> tuple[int, int, int, int]:
    """FFmpeg's numbers of range, matrix, primaries and transfer for a colored film.

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


def choose_encoding(path: Path, info: VideoInfo, output: OutputConfig) -> Encoding:
    """Settle codec, pixel format and options for an output file.

    Args:
        path: Output; its extension names the container.
        info: The film; its luma must fit without losing a bit.
        output: What the user asks for.

    Raises:
        MediaError: If the container is unknown, or container, codec, pixel format and film do not
            go together; the message says what would.
    """
    name, extension = choose_codec(path, info, output)
    codec = codec_named(name)
    pix_fmt, layout = _pixel_format(path, name, codec, info, output.pix_fmt)
    options = encoder_options(name, pix_fmt, output)
    if layout.subsample_x > 1:
        options["chroma_sample_location"] = layout.siting
    container, tags = CONTAINERS[extension], color_tags(info)
    return Encoding(name, codec, container, extension, pix_fmt, layout, options, tags)


def choose_codec(
    path: Path, info: VideoInfo, output: OutputConfig, auto: str | None = None
) -> tuple[str, str]:
    """Settle codec and container.

    Args:
        path: Output; its extension names the container.
        info: The film.
        output: What the user asks for.
        auto: What is taken where the user leaves it open; None goes by the film's depth.

    Returns:
        The codec's name, and the extension.

    Raises:
        MediaError: If the container is unknown, or cannot hold the codec, or the codec has no such
            dial or cannot mark the film's range.
    """
    extension = path.suffix.lower()
    if extension not in CONTAINERS:
        found = f"the extension {path.suffix!r}" if path.suffix else "no extension"
        raise MediaError(f"{path}: has {found}; an output is .mkv, .mp4 or .mov")
    if output.format != "auto":
        raise MediaError(f"{path}: is a file, and its extension is its format; leave out format")
    bits = info.color.bits
    name = output.codec
    if name == "auto":
        name = auto or next(codec for depth, codec in _BY_DEPTH if bits <= depth)
    codec = codec_named(name)
    if extension not in codec.extensions:
        raise MediaError(
            f"{path}: {extension[1:]} cannot hold {name}; use {_either(codec.extensions)}"
        )
    if info.color.full_range and not codec.full_range:
        raise MediaError(
            f"{path}: the source's luma is full range, which {name} cannot mark; "
            "use h264, h265, av1 or ffv1"
        )
    for dial, value, there in (
        ("crf", output.crf, codec.crf is not None),
        ("preset", output.preset, codec.preset is not None),
    ):
        if value is not None and not there:
            why = "" if output.codec == name else f" (taken for {_why(path, bits, auto)})"
            raise MediaError(f"{path}: {name}{why} has no {dial}; leave it out")
    return name, extension


def _why(path: Path, bits: int, auto: str | None) -> str:
    return f"{bits} bits" if auto is None else path.suffix.lower()


def encoder_options(name: str, pix_fmt: str, output: OutputConfig) -> dict[str, str]:
    """Quality and speed of an encoder, as it is to be told."""
    codec = codec_named(name)
    options = dict(codec.options)
    if codec.crf is not None:
        options[codec.dial] = str(codec.crf if output.crf is None else output.crf)
    preset = output.preset or codec.preset
    if name == "prores" and output.preset is None and pix_fmt.startswith("yuv444"):
        preset = "4444"
    if preset is not None:
        options[codec.presets] = preset
    return options


def _pixel_format(
    path: Path, name: str, codec: Codec, info: VideoInfo, wanted: str | None
) -> tuple[str, PlaneLayout]:
    if info.width < codec.least_width:
        raise MediaError(
            f"{path}: {name} cannot encode pictures narrower than {codec.least_width} pixels, and "
            f"this one has {info.width}; use --codec ffv1 or h264"
        )
    possible = [
        _named(chroma, depth)
        for depth in holding(path, name, info.color.bits)
        for chroma in codec.chroma
        if not codec.even or _fits(chroma, info)
    ]
    if not possible:
        raise MediaError(f"{path}: {name} cannot encode {info.width}x{info.height}")
    if wanted is None:
        chosen = possible[0]
    elif wanted in possible:
        chosen = wanted
    else:
        raise no_such_format(path, name, info, wanted, possible)
    parts = av.VideoFormat(chosen, 16, 16).components
    layout = PlaneLayout(
        subsample_y=16 // parts[1].height,
        subsample_x=16 // parts[1].width,
        bits=parts[0].bits,
        full_range=info.color.full_range,
        matrix=info.color.matrix,
        siting="left",
    )
    return chosen, layout


def holding(path: Path, name: str, bits: int) -> list[int]:
    """Depths of a codec that hold all bits of a film.

    Raises:
        MediaError: If there is none.
    """
    depths = [depth for depth in codec_named(name).depths if depth >= bits]
    if not depths:
        others = [n for n, c in CODECS.items() if max(c.depths) >= bits]
        raise MediaError(
            f"{path}: the source has {bits} bits, {name} holds {max(codec_named(name).depths)}; "
            f"use {_either(others)}"
        )
    return depths


def no_such_format(
    path: Path, name: str, info: VideoInfo, wanted: str, possible: Sequence[str]
) -> MediaError:
    """The error of a pixel format that a codec has not, or not for this film."""
    return MediaError(
        f"{path}: {name} cannot hold this {info.width}x{info.height} source of "
        f"{info.color.bits} bits as {wanted}; it can as {_either(possible)}"
    )


def _named(chroma: str, depth: int) -> str:
    return f"yuv{chroma}p" if depth == 8 else f"yuv{chroma}p{depth}le"


def _fits(chroma: str, info: VideoInfo) -> bool:
    odd_width, odd_height = info.width % 2, info.height % 2
    return not (odd_width and chroma in ("420", "422")) and not (odd_height and chroma == "420")


def _either(names: Any) -> str:
    names = [str(n).removeprefix(".") for n in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def encoder_rate(info: VideoInfo) -> Fraction:
    """A frame rate that every encoder takes; only a hint for the distribution of bits."""
    return min(max(info.rate, Fraction(1)), Fraction(240)).limit_denominator(65535)
