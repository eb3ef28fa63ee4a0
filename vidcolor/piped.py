"""Films that come or go through a pipe: colored in one pass, sent while they are made.

Nothing can be read twice or taken up again, so there are no spans and no segments here.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vidcolor.build import Download, Guidance, build_line
from vidcolor.config import Config
from vidcolor.errors import GuidanceError
from vidcolor.guided import Said, check_said, film_to_guide, find_guidance, read_said
from vidcolor.io.encode import VideoWriter
from vidcolor.io.frame_planes import ColoredPlanes
from vidcolor.io.other_packets import OtherPackets
from vidcolor.io.pipe.ends import PipeOut, is_pipe
from vidcolor.io.pipe.reader import PipeReader
from vidcolor.io.pipe.writer import PipeWriter, choose_format
from vidcolor.io.prefetch import prefetch
from vidcolor.io.until_damage import UntilDamage
from vidcolor.io.video import VideoReader
from vidcolor.pipeline import Pipeline
from vidcolor.records import Colored

__all__ = ["Piped", "open_pipe"]

_log = logging.getLogger(__name__)

_AHEAD = 2  # batches decoded before they are asked for

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Piped:
    """A film of which at least one end is a pipe, open and ready to run; once.

    Attributes:
        total: About how many frames, if known.
        run: Colors it; tells `progress` of every few frames done, returns how many there were.
    """

    total: int | None
    run: Callable[[Progress], int]


class _Writer(Protocol):
    @property
    def frames(self) -> int:
        """Frames written."""

    def write(self, batch: Colored, /) -> None:
        """Take a batch."""


def open_pipe(
    source: str | Path, output: str | Path, config: Config, download: Download | None = None
) -> Piped:
    """Open both ends and build the line.

    Args:
        source: A film: a file, or `-` or a FIFO.
        output: A file, or `-` or a FIFO.
        config: All settings.
        download: Told of bytes done and total when weights are fetched.

    Raises:
        VidcolorError: If the source cannot be read, the output not be made, a setting or weights
            do not fit, or something was said that can be found only by reading the film twice.
    """
    said = read_said(config)
    check_said(said, config)
    if said.passes and is_pipe(source):
        raise GuidanceError(
            "hints and references need the film more than once, and a pipe gives it once; write "
            "it to a file first"
        )
    with contextlib.ExitStack() as stack:
        pipe = stack.enter_context(PipeOut(output)) if is_pipe(output) else None
        reader = stack.enter_context(_reader(source, config))
        line = build_line(config, download=download, guidance=Guidance(tracks=said.tracks))
        total = reader.frames_estimate
        if reader.has_color:
            _log.info("%s already has color: recolored from its luma", reader.path.name)
        around = stack.pop_all()

    def run(progress: Progress) -> int:
        with around:
            guidance = _guided(source, line, said, config, progress)
            own = around.enter_context(guidance)
            if pipe is None:
                return _to_file(reader, Path(output), own, config, progress)
            return _to_pipe(reader, pipe, output, own, config, progress)

    return Piped(None if total is None else total * (1 + said.passes), run)


def _reader(source: str | Path, config: Config) -> VideoReader:
    kind = PipeReader if is_pipe(source) else VideoReader
    return kind(source, config.input)


@contextlib.contextmanager
def _guided(
    source: str | Path, line: Pipeline, said: Said, config: Config, progress: Progress
) -> Iterator[Pipeline]:
    """The line, with what hints and references say found out."""
    if not said:
        yield line
        return
    film = film_to_guide(Path(source), config, line)
    with find_guidance(film, said, config, progress) as guidance:
        yield build_line(config, guidance=guidance)


def _to_file(
    reader: VideoReader, output: Path, line: Pipeline, config: Config, progress: Progress
) -> int:
    planes = ColoredPlanes(config.compose)
    with VideoWriter(
        output, _others(reader), reader.info, planes, config.output, _span(config)
    ) as writer:
        frames = UntilDamage(
            prefetch(reader, _AHEAD),
            config.output.keep_partial,
            cancel=getattr(reader, "cancel", None),
        )
        _color(line, frames, writer, progress)
        frames.check()
    return writer.frames


def _to_pipe(
    reader: VideoReader,
    pipe: PipeOut,
    output: str | Path,
    line: Pipeline,
    config: Config,
    progress: Progress,
) -> int:
    planes, own = ColoredPlanes(config.compose), config.output
    from_y4m = isinstance(reader, PipeReader) and reader.is_y4m
    kind = choose_format(own.format, output, own.codec, from_y4m)
    frames = UntilDamage(
        prefetch(reader, _AHEAD), keep=True, cancel=getattr(reader, "cancel", None)
    )
    with PipeWriter(pipe, kind, _others(reader), reader.info, planes, own, _span(config)) as writer:
        _color(line, frames, writer, progress)
        if frames.error is not None:
            writer.break_off()
    frames.check()
    return writer.frames


def _color(line: Pipeline, frames: UntilDamage, writer: _Writer, progress: Progress) -> None:
    for colored in line(frames):
        writer.write(colored)
        progress(len(colored.frames))


def _others(reader: VideoReader) -> Path | OtherPackets:
    return reader.packets if isinstance(reader, PipeReader) else reader.path


def _span(config: Config) -> tuple[float | None, float | None]:
    return config.input.start, config.input.duration
