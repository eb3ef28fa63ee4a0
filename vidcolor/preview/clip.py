"""A part of a film as a clip that every browser plays: before and after, or contenders."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidcolor.api import Job
from vidcolor.build import Download
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.clip_writer import ClipWriter
from vidcolor.io.image import is_image
from vidcolor.io.input_config import InputConfig
from vidcolor.io.prefetch import prefetch
from vidcolor.io.source import as_time, open_source
from vidcolor.io.target import Target
from vidcolor.io.video import VideoReader
from vidcolor.preview import pictures
from vidcolor.preview.contender import Contender
from vidcolor.preview.layout import Kind, Layout, fitting
from vidcolor.preview.line import ColoredFrame, Line, open_line
from vidcolor.records import FrameBatch, VideoInfo

__all__ = ["BEFORE", "ClipConfig", "draw_clip", "open_clip"]

Bytes = npt.NDArray[np.uint8]
Progress = Callable[[int], None]

BEFORE = "before"
"""What captions call the source."""

_AHEAD = 2  # batches decoded before they are asked for
_FRAMES_AHEAD = 8  # colored before they are drawn
_BATCH = 4  # frames of the source; they are shown one by one
_SUFFIX = ".mp4"


@dataclass(frozen=True, slots=True)
class ClipConfig:
    """Which part of a film a clip shows, and how.

    Attributes:
        at: Seconds from the first frame at which it begins.
        duration: Seconds that it lasts.
        layout: `side`, `split` or `wipe`.
        height: Lines of the clip at most; its width is at most 16/9 of that.
    """

    at: float = 0.0
    duration: float = 5.0
    layout: Kind = "side"
    height: int = 1080

    def __post_init__(self) -> None:
        self.part  # noqa: B018  (checks both times)

    @property
    def part(self) -> InputConfig:
        """What is read."""
        return InputConfig(self.at, self.duration, _BATCH)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnClip:
    """A clip, drawn frame by frame.

    Attributes:
        layout: Where its pictures lie.
        info: Of the film.
        frames: Picture, (H, W, 3) uint8, and pts of every frame, once.
    """

    layout: Layout
    info: VideoInfo
    frames: Iterator[tuple[Bytes, int]]


def open_clip(
    source: Path,
    out: Path,
    contenders: Sequence[Contender],
    config: ClipConfig,
    *,
    overwrite: bool = False,
    download: Download | None = None,
) -> Job:
    """Look at what is asked for, before anything is written.

    Args:
        source: A video.
        out: `.mp4`; written whole or not at all.
        contenders: How it is colored. One is shown beside the source; of more, `side` shows the
            source as well, `split` and `wipe` show them alone.
        config: Which part, and how.
        overwrite: Whether `out` may be replaced.
        download: Told of bytes done and total when weights are fetched.

    Raises:
        VidcolorError: If the film cannot be read or has no such part, the clip not be written, or
            settings or weights do not fit.
    """
    if out.suffix.lower() != _SUFFIX:
        raise MediaError(f"{out}: a clip is written as .mp4; name it {out.stem}{_SUFFIX}")
    if is_image(source):
        raise MediaError(f"{source}: is a picture, which has no clip; leave out --at for a sheet")
    Target(out, overwrite, (source,)).discard()
    with VideoReader(source, config.part) as reader:
        total = reader.frames_estimate
        _layout_of(contenders, config, reader.info)

    def run(progress: Progress) -> int:
        count = 0
        with draw_clip(source, contenders, config, progress=progress, download=download) as drawn:
            info, span = drawn.info, (config.at, config.duration)
            with ClipWriter(
                out,
                drawn.layout.size,
                info.time_base,
                info.rate,
                sound=source,
                span=span,
                overwrite=overwrite,
            ) as writer:
                for picture, pts in drawn.frames:
                    writer.write(picture, pts)
                    progress(1)
                    count += 1
        return count

    return Job("frame", total, run)


@contextlib.contextmanager
def draw_clip(
    source: Path,
    contenders: Sequence[Contender],
    config: ClipConfig,
    *,
    progress: Progress | None = None,
    download: Download | None = None,
) -> Iterator[DrawnClip]:
    """Run the line of every contender over the same frames, and lay the pictures.

    The frames are those of `colorize --start --duration`. With a color script they are those of
    the whole film: the shots that the part touches are colored from their beginning.

    Memory: what the lines hold, and a few frames; it does not grow with the length of the part.

    Args:
        source: A video.
        contenders: At least one.
        config: Which part, and how.
        progress: Called with 0 now and then while the film is read for other than the clip.
        download: Told of bytes done and total when weights are fetched.

    Raises:
        VidcolorError: As `open_clip`; while frames are drawn, if the film is damaged.
    """
    if not contenders:
        raise ConfigError("a clip needs somebody who colors it")
    beat: Progress = _ignore if progress is None else lambda _: progress(0)
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(VideoReader(source, config.part, keep_chroma=True))
        layout = _layout_of(contenders, config, reader.info)
        frames = stack.enter_context(contextlib.closing(_single(reader)))
        lines = []
        for contender in contenders:
            line = stack.enter_context(open_line(source, contender, config.part, beat, download))
            # colored in a thread of its own, while pictures are laid and encoded in this one
            ahead = stack.enter_context(contextlib.closing(_ahead(line.frames)))
            lines.append(dataclasses.replace(line, frames=ahead))
        drawn = _drawn(source, frames, lines, layout, _origin(source))
        yield DrawnClip(layout, reader.info, drawn)


def _layout_of(contenders: Sequence[Contender], config: ClipConfig, info: VideoInfo) -> Layout:
    names = [one.name for one in contenders]
    if config.layout == "side" or len(names) == 1:
        names = [BEFORE, *names]
    return fitting(config.layout, names, info, config.height)


def _ahead(frames: Iterator[ColoredFrame]) -> Generator[ColoredFrame]:
    yield from prefetch(frames, _FRAMES_AHEAD)


def _single(reader: VideoReader) -> Generator[FrameBatch]:
    """Frames one by one, decoded ahead; closing this ends the thread."""
    for batch in prefetch(reader, _AHEAD):
        for number in range(len(batch)):
            yield batch[number : number + 1]


def _drawn(
    source: Path,
    frames: Iterable[FrameBatch],
    lines: Sequence[Line],
    layout: Layout,
    origin: Fraction,
) -> Iterator[tuple[Bytes, int]]:
    shows_source = len(layout.labels) > len(lines)
    begin: Fraction | None = None
    for frame in frames:
        pts, unit = frame.pts[0], frame.info.time_base
        begin = pts * unit if begin is None else begin
        shown = [pictures.before(frame, layout.pane[1])] if shows_source else []
        for line in lines:
            colored, number = _frame_at(source, line, frame)
            shown.append(pictures.after(colored, number, line.compose, layout.pane[1]))
        code = as_time(pts * unit - origin)
        yield layout.draw(shown, float(pts * unit - begin), code), pts


def _frame_at(source: Path, line: Line, frame: FrameBatch) -> ColoredFrame:
    """What a line makes of a frame; those before it are let go."""
    pts = frame.pts[0]
    for colored, number in line.frames:
        if colored.frames.pts[number] == pts:
            return colored, number
        if colored.frames.pts[number] > pts:
            break
    raise MediaError(
        f"{source}: frame {pts} is not where {line.name} expects it; times of the film are "
        "damaged, write it anew with another program first"
    )


def _origin(source: Path) -> Fraction:
    """When the film begins, in seconds of its own clock."""
    container, stream = open_source(source)
    try:
        return Fraction(stream.start_time or 0) * Fraction(stream.time_base)
    finally:
        container.close()


def _ignore(count: int) -> None:
    pass
