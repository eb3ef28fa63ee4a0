"""What a browser sends as a film: looked at before it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidcolor.errors import MediaError
from vidcolor.io.source import open_source
from vidcolor.io.video import VideoReader

__all__ = ["HEAD_BYTES", "check_film", "is_text"]

# containers that hold all of a film themselves: others (playlists) name further files, which
# whoever sends them must not see
_WHOLE_FORMATS = {
    "matroska,webm": ".mkv",
    "mov,mp4,m4a,3gp,3g2,mj2": ".mp4",
    "avi": ".avi",
    "mpeg": ".mpg",
    "mpegts": ".ts",
    "mpegvideo": ".mpg",
    "asf": ".wmv",
    "flv": ".flv",
    "live_flv": ".flv",
    "ogg": ".ogv",
    "mxf": ".mxf",
    "dv": ".dv",
    "nut": ".nut",
    "yuv4mpegpipe": ".y4m",
    "h264": ".mkv",
    "hevc": ".mkv",
    "m4v": ".m4v",
}
HEAD_BYTES = 1024
"""What `is_text` looks at."""
# films that begin as text does: their head, and what stands behind the size of a first atom
_PLAIN_HEADS = (b"YUV4MPEG2", b"RIFF", b"nut/multimedia")
_ATOMS = (b"ftyp", b"mdat", b"moov", b"free", b"skip", b"wide")
_WORD_BYTES = 7  # all of them text: FFmpeg knows every list of files by more
_MOST_PIXELS = 40_000_000  # 8K; a few kB of film can say anything, and pictures take 15 B a pixel
_TEXT = frozenset((*b"\t\n\r", *range(0x20, 0x7F)))


def is_text(head: bytes) -> bool:
    """Whether a file begins as a text does; playlists do, which name other files.

    FFmpeg opens those files before it can be asked what it has found, so its word comes too late.
    """
    if head.startswith(_PLAIN_HEADS) or head[4:8] in _ATOMS:
        return False
    start = head.removeprefix(b"\xef\xbb\xbf")[:_WORD_BYTES]
    if all(code in _TEXT for code in start):
        return True
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and len(head) == HEAD_BYTES
    return True


def check_film(path: Path, shown: str) -> str:
    """See that a file is a film that can be read.

    Returns:
        The extension of such files.

    Raises:
        MediaError: If it is none; the message has the name that the person knows.
    """
    container: Any = None
    try:
        container, stream = open_source(path)
        suffix = _WHOLE_FORMATS.get(container.format.name)
        if suffix is None:
            raise MediaError(
                f"{path}: is {container.format.long_name}, which cannot be sent; put the film into "
                "an mkv or mp4 file"
            )
        _check_size(path, stream)
        with VideoReader(path) as reader:
            _check_size(path, reader.info)
            return suffix
    except MediaError as error:
        raise MediaError(str(error).replace(str(path), shown)) from None
    finally:
        if container is not None:
            container.close()


def _check_size(path: Path, picture: Any) -> None:
    """See that pictures are not larger than anybody's memory, by what is said and what is so."""
    height, width = picture.height or 0, picture.width or 0
    if height * width > _MOST_PIXELS:
        raise MediaError(
            f"{path}: pictures of {width}x{height} pixels are too large to be sent; name the film "
            "when you start vidcolor instead"
        )
