"""Decoding on a GPU, where there is one that can."""

from __future__ import annotations

import functools
import logging
from typing import Any, Literal, get_args

import av
import av.error
from av.codec.hwaccel import HWAccel

from vidcolor.errors import ConfigError

__all__ = ["Hwaccel", "check_hwaccel", "gpu_decoder", "why_not"]

_log = logging.getLogger(__name__)

Hwaccel = Literal["none", "cuda"]
"""Where films are decoded: on the processor, or on the first NVIDIA GPU."""

_EXACT = ("h264", "hevc", "vp9")
"""Decoders of which the standard says every bit: a GPU's luma is that of the processor."""


def check_hwaccel(name: str) -> None:
    """Look at a setting.

    Raises:
        ConfigError: If there is no such way of decoding.
    """
    if name not in get_args(Hwaccel):
        raise ConfigError(f"hwaccel must be {' or '.join(get_args(Hwaccel))}, not {name!r}")


@functools.cache
def why_not(name: str) -> str | None:
    """Why nothing can be decoded that way on this machine, in a few words; None: it can be."""
    try:
        av.CodecContext.create("h264", "r", hwaccel=HWAccel(name))
    except (av.error.FFmpegError, NotImplementedError, OSError, ValueError) as error:
        if isinstance(error, PermissionError):
            return "no NVIDIA GPU with its driver was found"
        return str(error).strip().rstrip(".").lower()
    return None


def gpu_decoder(name: str, codec: str) -> Any:
    """What `av.open` is to be told, so that a film is decoded on the GPU.

    Pictures of a kind that the GPU cannot decode come from the processor all the same.

    Args:
        name: See `Hwaccel`.
        codec: FFmpeg's name of the film's decoder.

    Returns:
        None if the processor decodes it; one warning a process says so where there is no GPU.
    """
    if name == "none" or codec not in _EXACT:
        return None
    if why_not(name) is not None:
        _warn(name)
        return None
    return HWAccel(name, allow_software_fallback=True)


@functools.cache
def _warn(name: str) -> None:
    _log.warning("hwaccel %s: %s; films are decoded on the processor", name, why_not(name))
