"""What FFmpeg may do when it opens a film: read this one file, in bounded memory."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import Any, BinaryIO

import av

from vidcolor.errors import MediaError

__all__ = ["MOST_PIXELS", "bound", "file_url", "open_container"]

MOST_PIXELS = 16384 * 8704
"""Pixels of a frame, at most: the largest picture of H.265 level 7.2. What says that it has more is
damaged, or meant to fill the memory."""

_FOLLOWS = {
    *("hls", "dash", "concat", "image2", "imf", "webm_dash_manifest", "vobsub"),
    *("sdp", "rtsp", "rtp", "sap", "rtp_mpegts"),
    *("lavfi", "fbdev", "kmsgrab", "x11grab", "xcbgrab", "v4l2", "video4linux2", "alsa", "oss"),
    *("avisynth", "vapoursynth", "avfoundation", "dshow", "gdigrab", "vfwcap", "pulse", "sndio"),
}
"""Lists of other files, the network, devices and scripts: what makes FFmpeg open something else
than the file that it was given."""

_METADATA_ERRORS = "vidcolor-latin1"


def file_url(path: Path) -> str:
    """The path as FFmpeg must be told, whatever colons and per cent signs are in the name."""
    return f"file:{os.fspath(path)}"


def open_container(file: str | BinaryIO, hwaccel: Any = None, **options: str) -> Any:
    """Open a film.

    A file that only names others (a playlist, a list of pictures, a stream's description) is
    refused before anything of them is opened. Text of the metadata that is not UTF-8 is read as
    Latin-1, as AVI files have it.

    Args:
        file: What `av.open` takes.
        hwaccel: What decodes it, see `gpu_decoder`; None is the processor.
        **options: Of the container.

    Raises:
        FFmpegError, OSError, ValueError: If it cannot be opened.
    """
    return av.open(
        file,
        options={"max_pixels": str(MOST_PIXELS)},
        container_options={**options, **_ALONE},
        metadata_errors=_METADATA_ERRORS,
        hwaccel=hwaccel,
    )


def bound(path: object, stream: Any) -> None:
    """Keep the decoder of a stream from pictures that are too large, now and later in the film.

    Args:
        path: For the message.
        stream: Of a picture, not yet decoded.

    Raises:
        MediaError: If the file says that the picture is too large.
    """
    width, height = stream.width or 0, stream.height or 0
    if width * height > MOST_PIXELS:
        raise MediaError(
            f"{path}: says that its picture is {width}x{height}; at most "
            f"{MOST_PIXELS // 1_000_000} million pixels are read, so it is damaged"
        )
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}


def _as_latin1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_METADATA_ERRORS, _as_latin1)
_known = {name for names in av.formats_available for name in names.split(",")}
_ALONE = {
    "format_whitelist": ",".join(sorted(_known - _FOLLOWS)),
    "protocol_whitelist": "file,pipe",
}
