"""Short films for people to look at: what every browser plays, with the sound of the source."""

from __future__ import annotations

import errno
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from vidcolor.errors import MediaError
from vidcolor.io.clip_sound import ClipSound
from vidcolor.io.source import file_url, reason, seconds
from vidcolor.io.target import Target

__all__ = ["ClipWriter"]

_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES}
Bytes = npt.NDArray[np.uint8]

_BT709 = 1  # FFmpeg's number for its matrix, its primaries and its transfer
_PRESET = "veryfast"
_MOST_RATE = Fraction(240)
_EXACTLY = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP)
_KEYS_APART = 100_000
"""Frames between key frames as the encoder is told; they are asked for by time instead."""


class ClipWriter:
    """A clip as MP4: H.264 High, 4:2:0, 8 bit, BT.709, with AAC sound; playable while it loads.

    The file is written under a hidden temporary name in its folder and renamed when the context
    ends without error; otherwise it is removed. Odd sides are made even by repeating the last row
    or column.

    Args:
        path: The output, `.mp4`.
        size: `(height, width)` of the pictures that will come.
        time_base: Of their pts, in seconds; that of the source.
        rate: Frames a second, about; how long the last frame is shown.
        sound: The film from which the sound is taken, None for none. Its clock is that of the
            pts.
        span: `(start, duration)` in seconds as the reader got them; sound ends where it ends.
        crf: Quality, 0 to 51, lower is better.
        key_every_s: Seconds from a key frame to the next: how finely players seek.
        overwrite: Whether a file of that name may be replaced.

    Raises:
        MediaError: On entering, if the output cannot be made or the source of the sound cannot be
            read; from `write` and on leaving, if encoding or the disk fails, or no picture came.
        ValueError: From `write`, if a picture has another size, or a time is not later than the
            one before.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        time_base: Fraction,
        rate: Fraction,
        *,
        sound: str | Path | None = None,
        span: tuple[float | None, float | None] = (None, None),
        crf: int = 20,
        key_every_s: float = 0.5,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self._size, self._unit = size, Fraction(time_base)
        self._rate = min(max(Fraction(rate), Fraction(1)), _MOST_RATE).limit_denominator(65535)
        self._film = None if sound is None else Path(sound)
        self._span, self._crf, self._overwrite = span, crf, overwrite
        self._key_every = seconds(key_every_s)
        self._out: Any = None
        self._sound: ClipSound | None = None
        self._waiting: tuple[Any, int] | None = None  # how long it is shown is not known yet
        self._first = 0
        self._last_key: int | None = None
        self.frames = 0

    def __enter__(self) -> Self:
        if self.path.suffix.lower() != ".mp4":
            raise MediaError(f"{self.path}: a clip is .mp4; give it that extension")
        sources = () if self._film is None else (self._film,)
        self._target = Target(self.path, self._overwrite, sources)
        try:
            self._open()
        except BaseException:
            self._close(quietly=True)
            self._target.discard()
            raise
        return self

    def _open(self) -> None:
        try:
            self._out = av.open(
                file_url(self._target.temporary),
                "w",
                format="mp4",
                container_options={"movflags": "+faststart"},
            )
            self._stream = self._picture_stream()
            if self._film is not None:
                self._sound = ClipSound(self._out, self._film, self._span)
            self._out.start_encoding()
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise self._failed(error) from error

    def _picture_stream(self) -> Any:
        options = {
            "preset": _PRESET,
            "crf": str(self._crf),
            "profile": "high",
            "bf": "0",  # or a container that adds up steps of decoding loses the end of VFR
            "chroma_sample_location": "center",
        }
        stream = self._out.add_stream("libx264", rate=self._rate, options=options)
        height, width = (side + side % 2 for side in self._size)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        context = stream.codec_context
        context.time_base = self._unit
        context.gop_size = _KEYS_APART
        context.color_range = int(ColorRange.MPEG)
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        return stream

    def write(self, rgb: Bytes, pts: int) -> None:
        """Put in a picture.

        Args:
            rgb: (height, width, 3) uint8 R'G'B' of the size that was announced.
            pts: When it is shown, in the source's clock; the first one's becomes 0.

        Raises:
            MediaError: If encoding or the disk fails.
            ValueError: If the size is another, or the time not later than the one before.
        """
        if rgb.shape != (*self._size, 3) or rgb.dtype != np.uint8:
            raise ValueError(
                f"picture must be uint8 {(*self._size, 3)}, not {rgb.dtype} {rgb.shape}"
            )
        if self._waiting is not None and pts <= self._waiting[1]:
            raise ValueError(f"picture at {pts} comes after the one at {self._waiting[1]}")
        try:
            if self._waiting is None:
                self._first = pts
                if self._sound is not None:
                    self._sound.begin(pts * self._unit)
            else:
                self._encode(pts)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise self._failed(error) from error
        self._waiting = _as_video(rgb), pts
        self.frames += 1

    def _encode(self, end: int) -> None:
        """Encode the picture that waits, shown until `end`, and the sound up to it."""
        assert self._waiting is not None
        picture, pts = self._waiting
        time = pts - self._first
        picture.pts, picture.time_base, picture.duration = time, self._unit, end - pts
        if self._is_key(time):
            self._last_key = time
            picture.pict_type = PictureType.I
        else:
            picture.pict_type = PictureType.NONE
        self._out.mux(self._stream.encode(picture))
        if self._sound is not None:
            self._sound.write_until(pts * self._unit)

    def _is_key(self, time: int) -> bool:
        """Whether a key frame is due, or would be before the middle of a frame."""
        if self._last_key is None:
            return True
        since = (time - self._last_key) * self._unit
        return since + 1 / (2 * self._rate) >= self._key_every

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
                self._target.land()
        finally:
            self._close(quietly=True)
            self._target.discard()

    def _finish(self) -> None:
        if self._waiting is None:
            raise MediaError(f"{self.path}: no picture came; the part holds no frames")
        end = self._waiting[1] + max(1, round(1 / (self._rate * self._unit)))
        try:
            self._encode(end)
            self._out.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.finish(end * self._unit)
            self._close(quietly=False)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise self._failed(error) from error

    def _close(self, quietly: bool) -> None:
        out, self._out = self._out, None
        sound, self._sound = self._sound, None
        try:
            if out is not None:
                out.close()
        except (av.error.FFmpegError, ValueError, OSError):
            if not quietly:
                raise
        finally:
            if sound is not None:
                sound.close()

    def _failed(self, error: BaseException) -> MediaError:
        if isinstance(error, MediaError):
            return error
        height, width = self._size
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            return MediaError(f"{self.path}: cannot be written ({reason(error)})")
        return MediaError(
            f"{self.path}: a clip of {width}x{height} cannot be made ({reason(error)}); "
            "try a smaller one"
        )


def _as_video(rgb: Bytes) -> Any:
    """A picture as the encoder wants it; each code is the nearest one."""
    height, width = rgb.shape[:2]
    if height % 2 or width % 2:
        rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
    picture = frame.reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=_EXACTLY,
        threads=1,
    )
    picture.color_range, picture.colorspace = ColorRange.MPEG, _BT709
    picture.color_primaries = picture.color_trc = _BT709
    return picture
