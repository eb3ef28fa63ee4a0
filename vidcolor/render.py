"""Shots colored one by one, kept, and joined: what has not changed is not made again."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from vidcolor.config import Config
from vidcolor.errors import ConfigError, GuidanceError, MediaError
from vidcolor.io.film_part import FilmPart, MisplacedFrame
from vidcolor.io.input_config import InputConfig
from vidcolor.io.prefetch import prefetch
from vidcolor.io.segment_writer import Piece, SegmentWriter, miscounted
from vidcolor.io.segments import DamagedSegment, SegmentStore, parts_folder
from vidcolor.io.target import Target
from vidcolor.io.video import VideoReader
from vidcolor.pipeline import Pipeline
from vidcolor.records import Colored, FrameBatch, VideoInfo
from vidcolor.stages.cut import CutConfig, FindShots
from vidcolor.stages.shots_file import Shot

__all__ = [
    "ListedShots",
    "Rendered",
    "color_run",
    "film_part",
    "make_shots",
    "must_fit",
    "of_one_kind",
    "open_store",
    "render_shots",
    "runs",
]

_log = logging.getLogger(__name__)
_AHEAD = 2  # batches decoded before they are asked for

ColorRun = Callable[[Iterable[FrameBatch], Sequence[Shot]], Iterable[Colored]]
Progress = Callable[[int], None]
Expect = Callable[[Sequence[int]], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Rendered:
    """What `render_shots` did.

    Attributes:
        made: Numbers of the shots that were colored, in the order in which that was done.
        found: Numbers of the shots whose segment was there.
        frames: Frames of the whole film.
    """

    made: tuple[int, ...]
    found: tuple[int, ...]
    frames: int


class ListedShots:
    """Cuts where a list says, in any runs of a film's shots.

    The frames of a run get the numbers of shots that they have in the whole film. Held frames are
    found as `FindShots` does.

    Memory, lookahead, behavior at a cut: as `FindShots`.

    Args:
        config: How held frames are found; the rest is not used.
        shots: In order; just their frames come, and no batch spans two runs of consecutive shots.

    Raises:
        GuidanceError: While running, if the film goes on after the last shot.
    """

    def __init__(self, config: CutConfig, shots: Sequence[Shot]) -> None:
        self._config = dataclasses.replace(config, shots_file=None)
        by_number = {shot.shot: shot for shot in shots}
        self._runs = [[by_number[n] for n in run] for run in runs(list(by_number))]
        self._starts = [run[0].start for run in self._runs]

    def __call__(self, frames: Iterable[FrameBatch], /) -> Iterator[FrameBatch]:
        """Batches of `frames` with `shot`, `start` and `held` set."""
        for number, part in itertools.groupby(frames, self._run_of):
            run = self._runs[number]
            find = FindShots(self._config)
            find.shots = tuple(run)
            for batch in find(self._listed(part, run[-1].end)):
                yield dataclasses.replace(batch, shot=batch.shot + run[0].shot)

    def _run_of(self, batch: FrameBatch) -> int:
        return max(0, bisect_right(self._starts, batch.index) - 1)

    def _listed(self, frames: Iterable[FrameBatch], end: int) -> Iterator[FrameBatch]:
        for batch in frames:
            if batch.index + len(batch) > end + 1:
                raise GuidanceError(
                    f"the list of shots ends at frame {end}, the film goes on; "
                    "correct the last end or list the missing shots"
                )
            yield batch


def color_run(line: Pipeline, cut: CutConfig) -> ColorRun:
    """The `color` of `render_shots` that a line is, with the cuts that the list has."""

    def color(frames: Iterable[FrameBatch], shots: Sequence[Shot]) -> Iterable[Colored]:
        return dataclasses.replace(line, cut=ListedShots(cut, shots))(frames)

    return color


def render_shots(
    source: Path,
    output: Path,
    config: Config,
    shots: Sequence[Shot],
    keys: Sequence[str],
    color: ColorRun,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
    prune: bool = True,
    expect: Expect | None = None,
) -> Rendered:
    """Color the shots of a film that have no finished segment, and join all segments.

    Each run of consecutive unfinished shots is read, colored and encoded; frames have the numbers
    that they have in a whole run, and batches begin at the beginning of each shot, so that a shot
    comes out the same whichever others are made with it. Segments that were finished before
    something failed stay, and the next call goes on from there; `output.keep_partial` adds nothing
    to that.

    Args:
        source: The film.
        output: Where it goes, whole or not at all.
        config: `input.batch_size`, `output` and `compose` are used here.
        shots: All shots of the film, without gap. With `pts` a shot is found by seeking; without,
            everything before it is decoded.
        keys: One for each shot (`shot_key`), all different.
        color: Colors a run: gets its frames, not yet cut, and its shots. See `color_run`.
        folder: Where segments are kept; None is `OUTPUT.parts` beside the output.
        progress: Told how many frames are finished: first those found, then every batch.
        prune: In the end, remove segments that this film does not use.
        expect: Told, before `color` is asked, the numbers of the shots that it will be asked for.

    Raises:
        ConfigError: If the config asks for a part of the film.
        GuidanceError: If the list of shots has gaps or is of another film.
        MediaError: If the film cannot be read or the output cannot be written.
        ValueError: If there is not one key for each shot.
    """
    Target(output, config.output.overwrite, (source,)).discard()  # refused now, not after hours
    task = _open_task(source, output, config, shots, keys, color, folder, progress, expect)
    missing = task.missing()
    found = tuple(shot.shot for n, shot in enumerate(shots) if n not in missing)
    task.progress(sum(_length(shot) for n, shot in enumerate(shots) if n not in missing))
    made: list[int] = []
    while True:
        made += [shots[n].shot for n in missing]
        task.make(missing)
        try:
            frames = task.store.join(keys, source)
            break
        except DamagedSegment as error:
            missing = task.missing()
            if any(shots[n].shot in made for n in missing):
                raise
            _log.warning("%s", error)
    if prune:
        task.store.prune(keys)
    again = set(made)
    return Rendered(tuple(made), tuple(number for number in found if number not in again), frames)


def make_shots(
    source: Path,
    output: Path,
    config: Config,
    shots: Sequence[Shot],
    keys: Sequence[str],
    color: ColorRun,
    places: Sequence[int],
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
    expect: Expect | None = None,
) -> tuple[int, ...]:
    """Color some shots of a film that have no finished segment, as `render_shots` would.

    Args:
        source: The film.
        output: The film to be; it is not written.
        config: As for `render_shots`.
        shots: All shots of the film.
        keys: One for each shot.
        color: Colors a run.
        places: Numbers of the shots that are wanted, rising.
        folder: Where segments are kept.
        progress: Told how many frames are finished, every batch.
        expect: As for `render_shots`.

    Returns:
        Numbers of the shots that were colored.

    Raises:
        VidcolorError: As `render_shots`.
    """
    task = _open_task(source, output, config, shots, keys, color, folder, progress, expect)
    wanted = set(places)
    missing = [n for n in task.missing() if n in wanted]
    task.make(missing)
    return tuple(missing)


def open_store(source: Path, output: Path, config: Config) -> SegmentStore:
    """The segments of an output, kept in `OUTPUT.parts` beside it.

    Raises:
        MediaError: If the film cannot be read, or container, codec and film do not go together.
    """
    with VideoReader(source, config.input) as reader:
        info = reader.info
    return SegmentStore(parts_folder(output), output, info, config.output, config.compose)


def _open_task(
    source: Path,
    output: Path,
    config: Config,
    shots: Sequence[Shot],
    keys: Sequence[str],
    color: ColorRun,
    folder: Path | None,
    progress: Progress | None,
    expect: Expect | None,
) -> _Task:
    if config.input.start or config.input.duration is not None:
        raise ConfigError("shots are rendered for the whole film; leave out start and duration")
    _check(shots, keys)
    with VideoReader(source, config.input) as reader:
        info = reader.info
    folder = folder or parts_folder(output)
    store = SegmentStore(folder, output, info, config.output, config.compose)
    return _Task(
        source, config.input, info, store, shots, keys, color,
        progress or _ignore, expect or _expect_nothing,
    )  # fmt: skip


@dataclasses.dataclass(slots=True)
class _Task:
    """A film being rendered."""

    source: Path
    input: InputConfig
    info: VideoInfo
    store: SegmentStore
    shots: Sequence[Shot]
    keys: Sequence[str]
    color: ColorRun
    progress: Progress
    expect: Expect

    def missing(self) -> list[int]:
        """Places of the shots without a segment."""
        return [n for n in range(len(self.shots)) if not self._has(n)]

    def _has(self, place: int) -> bool:
        shot, card = self.shots[place], self.store.find(self.keys[place])
        if card is None or card.frames != _length(shot):
            return False
        return shot.pts is None or card.first == shot.pts

    def make(self, places: Sequence[int]) -> None:
        """Make the segments of these shots."""
        if places:
            self.expect([self.shots[n].shot for n in places])
        for run in runs(places):
            try:
                self._make_run(run, from_beginning=False)
            except MisplacedFrame as error:
                if run.start == 0:
                    raise
                _log.warning("%s (after seeking; read from the beginning instead)", error)
                rest = [n for n in run if not self._has(n)]
                self._make_run(range(rest[0], run.stop), from_beginning=True)

    def _make_run(self, run: range, from_beginning: bool) -> None:
        shots = self.shots[run.start : run.stop]
        part = film_part(self.shots, run, from_beginning)
        pieces = iter(Piece(self.keys[n], self.shots[n].shot, _length(self.shots[n])) for n in run)
        with (
            VideoReader(self.source, self.input, part) as reader,
            SegmentWriter(self.store) as writer,
        ):
            must_fit(self.source, self.info, reader.info)
            frames = prefetch(of_one_kind(self.info, reader), _AHEAD)
            for colored in self.color(frames, shots):
                if colored.frames.start == 0:
                    writer.begin(next(pieces))
                writer.write(colored)
                self.progress(len(colored.frames))
        if (missing := next(pieces, None)) is not None:
            raise miscounted(self.store.output, missing, 0)


def of_one_kind(info: VideoInfo, batches: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
    """What a film says of itself at its beginning goes for all of it."""
    for batch in batches:
        yield dataclasses.replace(batch, info=info)


def must_fit(source: Path, wanted: VideoInfo, found: VideoInfo) -> None:
    """Look whether a film that is read from some frame on still has the same picture.

    Raises:
        MediaError: If it has not.
    """
    if (found.size, found.color.bits) != (wanted.size, wanted.color.bits):
        raise MediaError(
            f"{source}: the picture changes from {wanted.width}x{wanted.height}, "
            f"{wanted.color.bits} bits to {found.width}x{found.height}, {found.color.bits} "
            "bits; split the file there"
        )


def _check(shots: Sequence[Shot], keys: Sequence[str]) -> None:
    if len(keys) != len(shots) or len(set(keys)) != len(keys):
        raise ValueError(f"{len(shots)} shots need as many different keys, not {len(set(keys))}")
    if not shots:
        raise GuidanceError("the list of shots is empty")
    begins = 0
    for number, shot in enumerate(shots):
        if shot.shot != number or shot.start != begins or shot.end < shot.start:
            raise GuidanceError(
                f"shot {number} of the list: number, start and end are {shot.shot}, {shot.start}, "
                f"{shot.end}; it must be shot {number} and start at frame {begins}"
            )
        begins = shot.end + 1


def film_part(shots: Sequence[Shot], run: range, from_beginning: bool = False) -> FilmPart:
    """The frames of a run of shots.

    Args:
        shots: All shots of the film.
        run: Numbers of consecutive ones.
        from_beginning: Do not seek.
    """
    first, last = shots[run.start].start, shots[run.stop - 1].end
    return FilmPart(
        index=first,
        # of the film's end the reader shall see whether it is one
        frames=None if run.stop == len(shots) else last + 1 - first,
        breaks={shot.start: shot.pts for shot in shots[run.start : run.stop + 1]},
        from_beginning=from_beginning,
    )


def runs(places: Sequence[int]) -> Iterator[range]:
    """Runs of consecutive numbers in rising ones."""
    first = 0
    for number in range(1, len(places) + 1):
        if number == len(places) or places[number] != places[number - 1] + 1:
            yield range(places[first], places[number - 1] + 1)
            first = number


def _length(shot: Shot) -> int:
    return shot.end + 1 - shot.start


def _ignore(count: int) -> None:
    pass


def _expect_nothing(numbers: Sequence[int]) -> None:
    pass
