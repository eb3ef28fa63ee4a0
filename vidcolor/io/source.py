"""Opening a film, and the part of it that is wanted."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error

from vidcolor.errors import MediaError
from vidcolor.io.demuxer import bound, file_url, open_container
from vidcolor.io.gpu_decoder import gpu_decoder

__all__ = [
    "Span",
    "as_time",
    "file_url",
    "find_file",
    "is_cover",
    "open_source",
    "picture_of",
    "reason",
    "seconds",
]

_PICTURELESS = ("tty",)  # FFmpeg "plays" any text file as a terminal


def seconds(value: float) -> Fraction:
    """The decimal number that a person wrote, exactly."""
    return Fraction(repr(float(value)))


def as_time(value: Fraction | float) -> str:
    """Seconds as `1:02:03.456`."""
    milliseconds = round(value * 1000)
    sign, milliseconds = ("-" if milliseconds < 0 else ""), abs(milliseconds)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{sign}{hours}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


def reason(error: BaseException) -> str:
    """Why FFmpeg or the system failed, in a few words, without file names."""
    if isinstance(error, OSError) and error.errno is not None and 0 < error.errno < 4096:
        return os.strerror(error.errno).lower()
    text = getattr(error, "strerror", None) or str(error)
    return str(text).strip().rstrip(".").lower()


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a film, in seconds of the source's own clock.

    Attributes:
        first: Frames from this time on are wanted; None from the beginning.
        end: Frames before this time are wanted; None to the end.
    """

    first: Fraction | None
    end: Fraction | None

    @classmethod
    def of(cls, stream: Any, start: float | None, duration: float | None) -> Span:
        """The span of a picture stream that begins `start` seconds after its first frame."""
        origin = Fraction(stream.start_time or 0) * Fraction(stream.time_base)
        first = None if not start else origin + seconds(start)
        if duration is None:
            return cls(first, None)
        return cls(first, (origin if first is None else first) + seconds(duration))

    @property
    def shift(self) -> Fraction:
        """Seconds to take off every time, so that the part begins at 0."""
        return self.first or Fraction(0)

    def ticks(self, time_base: Fraction) -> int:
        """`shift` in units of `time_base`."""
        return round(self.shift / time_base)


def find_file(path: Path, kind: str) -> int:
    """Look whether there is a file with something in it, before anything waits for its content.

    Args:
        path: Of the file.
        kind: What it should be, for messages: "video" or "picture".

    Returns:
        Its size in bytes.

    Raises:
        MediaError: If there is none, or it is a folder, a pipe, a device, or empty.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise MediaError(f"{path}: no such file") from error
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({reason(error)})") from error
    if stat.S_ISDIR(found.st_mode):
        raise MediaError(f"{path}: is a folder, not a {kind}")
    if not stat.S_ISREG(found.st_mode):
        raise MediaError(f"{path}: is a pipe or a device, not a file; a {kind} must be a file")
    if not found.st_size:
        raise MediaError(f"{path}: is empty")
    return found.st_size


def open_source(path: Path, hwaccel: str = "none") -> tuple[Any, Any]:
    """Open a film.

    Args:
        path: Any file that FFmpeg reads.
        hwaccel: Where its picture is decoded, see `gpu_decoder`.

    Returns:
        The open container and its picture stream: the largest, never cover art.

    Raises:
        MediaError: If there is no such file, it is empty, no film, or has no moving picture.
    """
    find_file(path, "video")
    container, picture = _opened(path, None)
    decoder = gpu_decoder(hwaccel, picture.codec_context.name)
    if decoder is None:
        return container, picture
    container.close()
    return _opened(path, decoder)


def _opened(path: Path, decoder: Any) -> tuple[Any, Any]:
    try:
        container = open_container(file_url(path), decoder)
    except PermissionError as error:
        raise MediaError(f"{path}: cannot be read ({reason(error)})") from error
    except av.error.ArgumentError as error:
        raise MediaError(
            f"{path}: is a list of other files, or damaged, or its name is taken for a list; give "
            "the film itself, under a name without %"
        ) from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{path}: is no video that FFmpeg can read, or its end is missing ({reason(error)})"
        ) from error
    return container, picture_of(path, container)


def picture_of(path: Path, container: Any) -> Any:
    """The picture stream of an open film: the largest, never cover art.

    Args:
        path: Of the film, for messages.
        container: Closed if there is none.

    Raises:
        MediaError: If it has no moving picture, or one that is too large.
    """
    try:
        stream = None
        if container.format.name not in _PICTURELESS:
            films = [s for s in container.streams.video if not is_cover(s)]
            known = [s for s in films if s.codec_context is not None]
            if films and not known:
                raise MediaError(f"{path}: this FFmpeg has no decoder for its picture")
            stream = max(known, key=_importance, default=None)
        if stream is None:
            kinds = sorted({s.type for s in container.streams if not is_cover(s)})
            found = " and ".join(kinds) if kinds else "nothing"
            raise MediaError(f"{path}: has no moving picture, only {found}")
        bound(path, stream)
    except BaseException:
        container.close()
        raise
    return stream


def _importance(stream: Any) -> tuple[int, bool, int]:
    default = bool(stream.disposition & type(stream.disposition).default)
    return (stream.width or 0) * (stream.height or 0), default, -stream.index


def is_cover(stream: Any) -> bool:
    """Whether a stream is a still attached to the file (a cover) and not a film."""
    return bool(stream.disposition & type(stream.disposition).attached_pic)
