"""The line over a part of a film, as settings or a color script want it."""

from __future__ import annotations

import contextlib
import dataclasses
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidcolor.build import Download, Guidance, build_line
from vidcolor.color.compose import ComposeConfig
from vidcolor.config import Config
from vidcolor.guided import Film, Frames, find_guidance, read_said
from vidcolor.io.input_config import InputConfig
from vidcolor.io.prefetch import prefetch
from vidcolor.io.source import Span, open_source
from vidcolor.io.video import VideoReader
from vidcolor.preview.contender import Contender
from vidcolor.records import Colored, FrameBatch, VideoInfo
from vidcolor.render import film_part
from vidcolor.scripted import ScriptedFilm

__all__ = ["ColoredFrame", "Line", "open_line"]

_AHEAD = 2  # batches decoded before they are asked for

Progress = Callable[[int], None]
ColoredFrame = tuple[Colored, int]
"""A batch and the number of one of its frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line that runs.

    Attributes:
        name: Of the contender.
        compose: How its color is laid beside luma.
        frames: In order, each once; at least those of the part.
    """

    name: str
    compose: ComposeConfig
    frames: Iterator[ColoredFrame]


@contextlib.contextmanager
def open_line(
    source: Path,
    contender: Contender,
    part: InputConfig,
    progress: Progress,
    download: Download | None = None,
) -> Iterator[Line]:
    """Run the line of a contender.

    Args:
        source: A video.
        contender: Whose `input` is not used but for the size of batches.
        part: Which part.
        progress: Told of frames that are read for other than to be yielded.
        download: Told of bytes done and total when weights are fetched.

    Raises:
        VidcolorError: If the film cannot be read, or settings, weights or what was said not fit.
    """
    opened = _by_settings if contender.script is None else _by_script
    with opened(source, contender, part, progress, download) as (compose, colored):
        yield Line(contender.name, compose, _single(colored))


Opened = tuple[ComposeConfig, Iterable[Colored]]


@contextlib.contextmanager
def _by_settings(
    source: Path,
    contender: Contender,
    part: InputConfig,
    progress: Progress,
    download: Download | None,
) -> Iterator[Opened]:
    """As `colorize --start --duration` does it."""
    own = dataclasses.replace(contender.config.input, start=part.start, duration=part.duration)
    config: Config = dataclasses.replace(contender.config, input=own)
    said = read_said(config)
    line = build_line(config, download=download, guidance=Guidance(tracks=said.tracks))
    whole = dataclasses.replace(own, start=None, duration=None)
    film = Film(_frames(source, own), line, _frames(source, whole))
    with find_guidance(film, said, config, progress) as guidance, film.open() as frames:
        if said:
            line = build_line(config, guidance=guidance)
        yield config.compose, line(frames)


@contextlib.contextmanager
def _by_script(
    source: Path,
    contender: Contender,
    part: InputConfig,
    progress: Progress,
    download: Download | None,
) -> Iterator[Opened]:
    """As `colorize --plan` does it: whole shots, those that the part touches."""
    assert contender.script is not None
    layers = [{key: value for key, value in layer.items() if key != "input"}
              for layer in contender.layers]  # fmt: skip
    film = ScriptedFilm.open(source, contender.script, layers)
    run = _touched(film, part)
    with VideoReader(source, film.config.input) as reader:
        info = reader.info  # what a film says of itself at its beginning goes for all of it
    with (
        film.color(run, progress, download) as color,
        VideoReader(source, film.config.input, film_part(film.shots, run)) as reader,
        closing(_batches(reader, info)) as frames,
    ):
        yield film.config.compose, color(frames, film.shots[run.start : run.stop])


def _touched(film: ScriptedFilm, part: InputConfig) -> range:
    """Numbers of the shots that a part lies in."""
    container, stream = open_source(film.source)
    try:
        span = Span.of(stream, part.start, part.duration)
        unit = Fraction(stream.time_base)
    finally:
        container.close()
    times = [shot.pts for shot in film.shots]
    known = [pts * unit for pts in times if pts is not None]
    if len(known) < len(times):
        return range(len(times))
    first = 0 if span.first is None else max(0, bisect_right(known, span.first) - 1)
    end = len(known) if span.end is None else bisect_left(known, span.end)
    return range(first, max(first + 1, end))


def _frames(source: Path, part: InputConfig) -> Frames:
    @contextlib.contextmanager
    def opened() -> Iterator[Iterable[FrameBatch]]:
        with VideoReader(source, part) as reader, closing(_batches(reader, reader.info)) as frames:
            yield frames

    return opened


def _batches(reader: VideoReader, info: VideoInfo) -> Generator[FrameBatch]:
    """Decoded ahead; closing this ends the thread."""
    for batch in prefetch(reader, _AHEAD):
        yield dataclasses.replace(batch, info=info)


def _single(batches: Iterable[Colored]) -> Iterator[ColoredFrame]:
    for batch in batches:
        for number in range(len(batch.frames)):
            yield batch, number
