"""The line's encoder without the line: what it is told, and how a transcode tells the same."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class EncoderSettings:
    """All that an encoder is told, in words that fit on a command line.

    Attributes:
        encoder: FFmpeg's name.
        container: FFmpeg's name of the format.
        pix_fmt: Pixel format.
        options: Of the encoder.
        width: Columns.
        height: Rows.
        rate: Frames a second, as a fraction.
        time_base: Seconds of one pts unit, as a fraction.
        thread_type: FFmpeg's number of the kind of its threads; None: FFmpeg's own choice.
        thread_count: Of its threads; None: FFmpeg's own choice.
    """

    encoder: str
    container: str
    pix_fmt: str
    options: dict[str, str]
    width: int
    height: int
    rate: str
    time_base: str
    thread_type: int | None = None
    thread_count: int | None = None

    @classmethod
    def of_line(cls, info: Any, output: Any) -> EncoderSettings:
        """What the line's own encoder is told for a film and an output config.

        An encoder of the line is made and listened to, so that there is nothing to keep in step.
        """
        import av

        from vidcolor.io.codecs import choose_encoding
        from vidcolor.io.picture import PictureEncoder

        chosen = choose_encoding(Path("any.mkv"), info, output)
        with av.open(io.BytesIO(), "w", format=chosen.container) as container:
            heard = _Listens(container)
            context = PictureEncoder(heard, chosen, info).stream.codec_context
            return cls(
                heard.encoder,
                chosen.container,
                context.pix_fmt,
                heard.options,
                context.width,
                context.height,
                str(Fraction(heard.rate)),
                str(Fraction(context.time_base)),
                int(getattr(context.thread_type, "value", context.thread_type)),
                int(context.thread_count),
            )


class _Listens:
    """A container that remembers what streams it was asked for."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def add_stream(self, encoder: str, rate: Any, options: dict[str, str]) -> Any:
        self.encoder, self.rate, self.options = encoder, rate, dict(options)
        return self._container.add_stream(encoder, rate=rate, options=options)


class Encoder:
    """The encoder as the line sets it up, without the rest of a writer."""

    def __init__(self, path: Path, settings: EncoderSettings) -> None:
        import av

        self._container = av.open(path, "w", format=settings.container)
        self._stream: Any = self._container.add_stream(
            settings.encoder, rate=Fraction(settings.rate), options=settings.options
        )
        self._stream.width, self._stream.height = settings.width, settings.height
        self._stream.pix_fmt = settings.pix_fmt
        context = self._stream.codec_context
        context.time_base = Fraction(settings.time_base)
        if settings.thread_type is not None:
            context.thread_type = settings.thread_type
        if settings.thread_count is not None:
            context.thread_count = settings.thread_count

    def put(self, frame: Any) -> None:
        """Encode a frame, or with None the rest."""
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Flush and end the file."""
        self.put(None)
        self._container.close()
