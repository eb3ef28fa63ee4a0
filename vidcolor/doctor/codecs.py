"""Codecs: what FFmpeg is here, and which of our encoders really encode."""

from __future__ import annotations

from collections.abc import Iterator

from vidcolor.doctor.report import Finding, State
from vidcolor.errors import MediaError

__all__ = ["see_codecs"]

_AREA = "codecs"
_DEFAULT = "h264"


def see_codecs() -> Iterator[Finding]:
    """FFmpeg's libraries, two frames through every encoder, decoders in hardware."""
    from vidcolor.io.abilities import ffmpeg_libraries, hardware_decoders, try_encoder
    from vidcolor.io.codecs import CODECS, GPU_CODECS
    from vidcolor.io.gpu_decoder import why_not

    libraries = ffmpeg_libraries()
    whole = libraries.pop("ffmpeg")
    parts = ", ".join(f"{name.removeprefix('lib')} {text}" for name, text in libraries.items())
    yield Finding(_AREA, "FFmpeg, inside av", f"{whole}; {parts}")
    for name, codec in (CODECS | GPU_CODECS).items():
        ends = "/".join(ending.removeprefix(".") for ending in codec.extensions)
        try:
            encoder = try_encoder(name)
        except (MediaError, ValueError, OSError) as error:
            others = "pip install --force-reinstall --no-deps av; or choose another --codec"
            state: State = "wrong" if name == _DEFAULT else "warning"
            if name in GPU_CODECS:
                state, others = "absent", ""
            yield Finding(_AREA, name, f"does not encode: {error}", state, others)
        else:
            yield Finding(_AREA, name, f"{encoder} encoded two frames; {ends}")
    kinds, missing = hardware_decoders(), why_not("cuda")
    found = f"FFmpeg knows {', '.join(kinds)}; " if kinds else ""
    if missing is None:
        yield Finding(_AREA, "decoders in hardware", found + "cuda answers: --input.hwaccel cuda")
    else:
        yield Finding(_AREA, "decoders in hardware", f"{found}cuda: {missing}", "absent")
