"""What a person says about colors, found out before the line runs.

Hints and references know the color of some frames; for the others it has to be found, from both
sides in time. That is done by passes over the film before it is colored, which keep small planes
only; the line then finds what is known by the pts of its frames.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vidcolor.build import Guidance, choose_device, load_describer
from vidcolor.color.grade import GradeConfig
from vidcolor.color.transfer import chroma_statistics
from vidcolor.config import Config
from vidcolor.errors import ConfigError
from vidcolor.guidance.hints.entries import FilmHints, place, read_hints
from vidcolor.guidance.layers import LayerStore
from vidcolor.guidance.moment import FrameTimes
from vidcolor.guidance.references.entries import Reference, list_references, load_references
from vidcolor.guidance.references.solve import solve_references
from vidcolor.guidance.script.entries import ColorScript
from vidcolor.guidance.tracks.file import TracksFile, load_tracks
from vidcolor.io.input_config import InputConfig
from vidcolor.io.prefetch import prefetch
from vidcolor.io.until_damage import UntilDamage
from vidcolor.io.video import VideoReader
from vidcolor.pipeline import Pipeline
from vidcolor.records import FrameBatch, VideoInfo
from vidcolor.stages.tone import Palette

__all__ = ["Film", "Frames", "Said", "check_said", "film_to_guide", "find_guidance", "read_said"]

_log = logging.getLogger(__name__)

_AHEAD = 2  # batches decoded before they are asked for
_SMALL = (192, 320)  # of pictures of which only statistics count

Frames = Callable[[], contextlib.AbstractContextManager[Iterable[FrameBatch]]]
"""Opens a film (or a part of it) and gives its batches."""


@dataclass(frozen=True, slots=True)
class Film:
    """What is to be colored, as often as it has to be read.

    Attributes:
        open: Reads what is to be colored.
        line: A line whose `shots` and `follow` find the shots and tracks that the film will be
            colored with.
        whole: Reads the whole film, in which frames are counted, if only a part is colored.
        begin: pts of the film's first frame, if `open` reads only some shots of it.
        count: Frames of the film, if `open` reads only some shots of it.
    """

    open: Frames
    line: Pipeline
    whole: Frames | None = None
    begin: int | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said about a film, read and checked as far as files can be by themselves.

    Attributes:
        hints: Colors of places.
        references: Pictures.
        silent: Numbers of shots in which references have no say.
        tracks: Which tracks are one object.
        shot_grades: Grade of single shots, by number.
        track_grades: Grade of single tracks, by id.
        folder: Where the paths of looks begin.
    """

    hints: FilmHints = field(default_factory=FilmHints)
    references: tuple[Reference, ...] = ()
    silent: frozenset[int] = frozenset()
    tracks: TracksFile | None = None
    shot_grades: Mapping[int, GradeConfig] = field(default_factory=dict)
    track_grades: Mapping[int, GradeConfig] = field(default_factory=dict)
    folder: Path = field(default_factory=Path)

    def __bool__(self) -> bool:
        """Whether there is more than tracks and grades, which need no search."""
        return bool(self.hints or self.references)

    @property
    def passes(self) -> int:
        """How often the film is read before it is colored."""
        matched = any(one.entry.method != "tone" for one in self.references)
        return self.timed + bool(self.hints) + matched

    @property
    def timed(self) -> bool:
        """Whether something has a place in the film."""
        placed = any(one.entry.moment is not None for one in self.references)
        return bool(self.hints) or placed


def read_said(config: Config, script: ColorScript | None = None, path: Path | None = None) -> Said:
    """Read the files that settings and a color script name.

    Args:
        config: Its `guidance` names files.
        script: Says more.
        path: The file of the script.

    Raises:
        GuidanceError: If a file is missing or not as it should be.
    """
    files = config.guidance
    hints = FilmHints() if files.hints is None else read_hints(Path(files.hints))
    references = load_references(list_references(files.references))
    tracks = None if files.tracks is None else load_tracks(files.tracks)
    if script is None or path is None:
        return Said(hints, references, tracks=tracks)
    return Said(
        hints + FilmHints.of(script.hints, f"{path}: hints"),
        references + load_references(script.references, path.parent),
        frozenset(shot.number for shot in script.shots if not shot.references),
        tracks or (script.tracks_file() if script.tracks else None),
        {shot.number: shot.grade for shot in script.shots},
        script.grades_of_tracks(),
        path.parent,
    )


def film_to_guide(source: Path, config: Config, line: Pipeline) -> Film:
    """A film for the passes that find guidance; where it is damaged it ends."""

    def opened(part: InputConfig) -> Frames:
        @contextlib.contextmanager
        def frames() -> Iterator[Iterable[FrameBatch]]:
            with VideoReader(source, part) as reader:
                yield UntilDamage(prefetch(reader, _AHEAD), config.output.keep_partial)

        return frames

    whole = replace(config.input, start=None, duration=None)
    is_part = whole != config.input
    return Film(opened(config.input), line, opened(whole) if is_part else None)


def check_said(said: Said, config: Config) -> None:
    """Look whether somebody obeys.

    Raises:
        ConfigError: If objects were spoken of and nobody remembers them.
    """
    wholes = any(hint.object is not None for _, hint in said.hints.entries)
    if (said.tracks or wholes) and not config.remember.enabled:
        raise ConfigError(
            "remember.enabled is off, and nothing else gives objects the color that somebody said"
        )


@contextlib.contextmanager
def find_guidance(
    film: Film, said: Said, config: Config, progress: Callable[[int], None]
) -> Iterator[Guidance]:
    """Find what hints and references mean for all frames; kept in files until the context ends.

    Args:
        film: What is to be colored.
        said: What a person said.
        config: How hints spread and references are matched.
        progress: Told of the frames of every pass.

    Raises:
        GuidanceError: If something that was said does not fit the film.
    """
    guidance = Guidance(
        tracks=said.tracks,
        shot_grades=said.shot_grades,
        track_grades=said.track_grades,
        folder=said.folder,
    )
    check_said(said, config)
    if said.passes and film.count is None:
        times = "once" if said.passes == 1 else f"{said.passes} times"
        _log.info("reading the film %s first, for hints and references", times)
    look = _look(film, progress) if said.timed else None
    with contextlib.ExitStack() as stack:
        palettes = tuple(_palette(one) for one in said.references if one.entry.method == "tone")
        if pictures := [one for one in said.references if one.entry.method != "tone"]:
            store = stack.enter_context(LayerStore())
            model = load_describer(choose_device(config.device))
            with film.open() as frames:
                shots = film.line.shots(_told(frames, progress))
                solve_references(
                    (batch for batch in shots if batch.shot not in said.silent),
                    pictures,
                    model,
                    config.references,
                    store,
                    look.times if look else None,
                )
            guidance = replace(guidance, references=store)
        guidance = replace(guidance, palettes=palettes, silent=said.silent)
        if said.hints:
            from vidcolor.guidance.hints.solve import solve_hints  # with scipy, which takes a while

            assert look is not None
            placed = place(said.hints, look.times, look.info)
            touched = placed.touched(look.first_pts)
            store = stack.enter_context(LayerStore())
            with film.open() as frames:
                shots = film.line.shots(_told(frames, progress))
                tracked = film.line.follow(batch for batch in shots if batch.shot in touched)
                pins = solve_hints(tracked, placed, config.hints, store)
            asked = frozenset(placed.frames)
            guidance = replace(guidance, hints=store, asked=asked, pins=pins)
        yield guidance


def _palette(reference: Reference) -> Palette:
    mean, spread = chroma_statistics(reference.small(_SMALL)[1])
    return Palette(mean, spread, reference.entry.strength, reference.entry.shots)


@dataclass(frozen=True, slots=True)
class _Look:
    """What has to be known of a film before anything can be placed in it.

    Attributes:
        times: Of all its frames.
        info: What they share.
        first_pts: pts of the first frame of every shot that is read, by its number.
    """

    times: FrameTimes
    info: VideoInfo
    first_pts: Mapping[int, int]


def _look(film: Film, progress: Callable[[int], None]) -> _Look:
    pts: list[int] = []
    numbers: list[int] = []
    firsts: dict[int, int] = {}
    info = None
    with film.open() as frames:
        for batch in film.line.shots(_told(frames, progress)):
            pts += batch.pts
            numbers += range(batch.index, batch.index + len(batch))
            info = batch.info
            if batch.start == 0:
                firsts[batch.shot] = batch.pts[0]
    assert info is not None, "a film without frames is refused when it is opened"
    if film.whole is not None:
        with film.whole() as frames:
            pts = [one for batch in frames for one in batch.pts]
    if film.count is None:
        times = FrameTimes(tuple(pts), info.time_base)
    else:
        times = FrameTimes(tuple(pts), info.time_base, tuple(numbers), film.begin, film.count)
    return _Look(times, info, firsts)


def _told(batches: Iterable[FrameBatch], progress: Callable[[int], None]) -> Iterator[FrameBatch]:
    for batch in batches:
        progress(len(batch))
        yield batch
