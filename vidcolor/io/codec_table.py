"""The encoders that a film can be made with, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CODECS", "GPU_CODECS", "Codec", "codec_named"]


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoder as we use it.

    Attributes:
        encoder: FFmpeg's name.
        extensions: Containers that hold its pictures.
        depths: Bits that it can encode.
        chroma: Subsamplings that it can encode, best first.
        crf: Default quality, None where there is no such dial.
        dial: Name of the option that `crf` sets.
        least_crf: The best quality that it can be asked for.
        preset: Default preset, None where there is none.
        presets: Name of the option that `preset` sets.
        options: Further options.
        even: Sides must be multiples of the chroma grid.
        full_range: Can say in the file that codes use the whole range.
        least_width: Pixels; libx265 writes beyond its memory in pictures narrower than its blocks,
            and NVIDIA's encoders take none.
        stored: Pixel formats that the encoder wants the same codes of in another format.
        software: The codec that makes the same kind of picture on the processor; None: this one
            does.
    """

    encoder: str
    extensions: tuple[str, ...]
    depths: tuple[int, ...]
    chroma: tuple[str, ...]
    crf: int | None
    preset: str | None
    dial: str = "crf"
    least_crf: int = 0
    presets: str = "preset"
    options: dict[str, str] = field(default_factory=dict)
    even: bool = False
    full_range: bool = True
    least_width: int = 1
    stored: dict[str, str] = field(default_factory=dict)
    software: str | None = None


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
        least_width=64,
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
"""Codecs by the name that a user gives; these are there on every machine."""

_NVENC = {"rc": "vbr", "b": "0", "g": "250"}  # constant quality, no rate to keep to

GPU_CODECS = {
    "h264_nvenc": Codec(
        "h264_nvenc",
        (".mkv", ".mp4", ".mov"),
        (8,),
        ("420",),
        crf=19,
        preset="p5",
        dial="cq",
        least_crf=1,
        options=_NVENC,
        even=True,
        least_width=146,
        software="h264",
    ),
    "hevc_nvenc": Codec(
        "hevc_nvenc",
        (".mkv", ".mp4", ".mov"),
        (8, 10),
        ("420",),
        crf=21,
        preset="p5",
        dial="cq",
        least_crf=1,
        options=_NVENC,
        even=True,
        least_width=130,
        stored={"yuv420p10le": "p010le"},
        software="h265",
    ),
}
"""Codecs of NVIDIA GPUs: never chosen unasked."""


def codec_named(name: str) -> Codec:
    """One of `CODECS` or `GPU_CODECS`."""
    return CODECS[name] if name in CODECS else GPU_CODECS[name]
