"""Which encoder, container and pixel format go together, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vidcolor.color.compose import PlaneLayout
from vidcolor.errors import ConfigError, MediaError
from vidcolor.records import VideoInfo

__all__ = ["CODECS", "CONTAINERS", "Codec", "Encoding", "OutputConfig", "choose_encoding"]

CONTAINERS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov"}
"""FFmpeg's format of each file name extension."""


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoder as we use it.

    Attributes:
        encoder: FFmpeg's name.
        extensions: Containers that hold its pictures.
        depths: Bits that it can encode.
        chroma: Subsamplings that it can encode, best first.
        crf: Default quality, None where there is no such dial.
        preset: Default preset, None where there is none.
        presets: Name of the option that `preset` sets.
        options: Further options.
        even: Sides must be multiples of the chroma grid.
        full_range: Can say in the file that codes use the whole range.
    """

    encoder: str
    extensions: tuple[str, ...]
    depths: tuple[int, ...]
    chroma: tuple[str, ...]
    crf: int | None
    preset: str | None
    presets: str = "preset"
    options: dict[str, str] = field(default_factory=dict)
    even: bool = False
    full_range: bool = True


CODECS = {
    "h264": Codec(
        "libx264",
        (".mkv", ".mp4", ".mov"),
        (8, 10),
        ("420", "422", "444"),
        crf=18,
        preset="medium",
        even=True,
    ),
    "h265": Codec(
        "libx265",
        (".mkv", ".mp4", ".mov"),
        (8, 10, 12),
        ("420", "422", "444"),
        crf=20,
        preset="fast",
        options={"x265-params": "log-level=none"},
        even=True,
    ),
    "av1": Codec("libsvtav1", (".mkv", ".mp4"), (8, 10), ("420",), crf=26, preset="8"),
    "prores": Codec(
        "prores_ks",
        (".mkv", ".mov"),
        (10,),
        ("422", "444"),
        crf=None,
        preset="hq",
        presets="profile",
        options={"vendor": "apl0"},
        full_range=False,
    ),
    "ffv1": Codec(
        "ffv1",
        (".mkv", ".mp4"),
        (8, 9, 10, 12, 14, 16),
        ("420", "422", "444"),
        crf=None,
        preset=None,
        options={"level": "3", "slicecrc": "1", "g": "1"},
    ),
}
"""Codecs by the name that a user gives."""

_BY_DEPTH = ((10, "h264"), (12, "h265"), (16, "ffv1"))


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """How a film is encoded and put in place.

    Attributes:
        codec: `auto`, `h264`, `h265`, `av1`, `prores` or `ffv1` (lossless). `auto` is h264, or for
            sources deeper than 10 bits what can hold them.
        crf: Quality of h264 (0 to 51), h265 (0 to 51) and av1 (0 to 63), lower is better; None is
            18, 20 and 26.
        preset: The encoder's preset: `ultrafast` to `veryslow` for h264 and h265, 0 to 13 for
            av1, `proxy lt standard hq 4444 4444xq` for prores; None is medium, fast, 8, hq.
        pix_fmt: Planar Y'CbCr format, such as `yuv420p10le`; None is 4:2:0 (prores 4:2:2) at the
            depth of the source.
        overwrite: Replace an output that exists.
        keep_partial: When something fails on the way, keep what was encoded as
            `STEM.partial.EXT`.
    """

    codec: str = "auto"
    crf: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    overwrite: bool = False
    keep_partial: bool = False

    def __post_init__(self) -> None:
        if self.codec != "auto" and self.codec not in CODECS:
            known = ", ".join(("auto", *CODECS))
            raise ConfigError(f"codec must be one of {known}, not {self.codec!r}")
        top = 63 if self.codec == "av1" else 51
        if self.crf is not None and not 0 <= self.crf <= top:
            raise ConfigError(f"crf must be 0 to {top}, not {self.crf}")
        if self.crf is not None and self.codec in CODECS and CODECS[self.codec].crf is None:
            raise ConfigError(f"codec {self.codec} has no crf; leave it out")
        if self.preset is not None and self.codec == "ffv1":
            raise ConfigError("codec ffv1 has no preset; leave it out")


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoder settled on.

    Attributes:
        name: Name in `CODECS`.
        codec: What it is.
        container: FFmpeg's name of the container.
        extension: Extension of the file.
        pix_fmt: FFmpeg's name of the pixel format.
        layout: Chroma planes of that format.
        options: For the encoder.
    """

    name: str
    codec: Codec
    container: str
    extension: str
    pix_fmt: str
    layout: PlaneLayout
    options: dict[str, str]


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
    extension = path.suffix.lower()
    if extension not in CONTAINERS:
        found = f"the extension {path.suffix!r}" if path.suffix else "no extension"
        raise MediaError(f"{path}: has {found}; an output is .mkv, .mp4 or .mov")
    bits = info.color.bits
    name = output.codec
    if name == "auto":
        name = next(codec for depth, codec in _BY_DEPTH if bits <= depth)
    codec = CODECS[name]
    if extension not in codec.extensions:
        raise MediaError(
            f"{path}: {extension[1:]} cannot hold {name}; use {_either(codec.extensions)}"
        )
    if info.color.full_range and not codec.full_range:
        raise MediaError(
            f"{path}: the source's luma is full range, which {name} cannot mark; "
            "use h264, h265, av1 or ffv1"
        )
    if output.crf is not None and codec.crf is None:
        raise MediaError(f"{path}: {name} (taken for {bits} bits) has no crf; leave it out")
    pix_fmt, layout = _pixel_format(path, name, codec, info, output.pix_fmt)
    options = dict(codec.options)
    if layout.subsample_x > 1:
        options["chroma_sample_location"] = layout.siting
    if codec.crf is not None:
        options["crf"] = str(codec.crf if output.crf is None else output.crf)
    preset = output.preset or codec.preset
    if name == "prores" and output.preset is None and pix_fmt.startswith("yuv444"):
        preset = "4444"
    if preset is not None:
        options[codec.presets] = preset
    return Encoding(name, codec, CONTAINERS[extension], extension, pix_fmt, layout, options)


def _pixel_format(
    path: Path, name: str, codec: Codec, info: VideoInfo, wanted: str | None
) -> tuple[str, PlaneLayout]:
    bits = info.color.bits
    depths = [depth for depth in codec.depths if depth >= bits]
    if not depths:
        others = [n for n, c in CODECS.items() if max(c.depths) >= bits]
        raise MediaError(
            f"{path}: the source has {bits} bits, {name} holds {max(codec.depths)}; "
            f"use {_either(others)}"
        )
    possible = [
        _named(chroma, depth)
        for depth in depths
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
        raise MediaError(
            f"{path}: {name} cannot hold this {info.width}x{info.height} source of {bits} bits "
            f"as {wanted}; it can as {_either(possible)}"
        )
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
