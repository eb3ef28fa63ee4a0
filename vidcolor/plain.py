"""A film without a color script: its shots are found and colored in one pass, in spans that stay.

Whoever breaks off goes on where it was: a span is whole shots, no stage carries anything over a
cut, and so what was colored before and what comes later fit to the last bit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidcolor.build import Download, Guidance, build_line
from vidcolor.config import Config
from vidcolor.errors import ConfigError, MediaError
from vidcolor.guided import check_said, film_to_guide, find_guidance, read_said
from vidcolor.io.film_part import FilmPart, MisplacedFrame
from vidcolor.io.prefetch import prefetch
from vidcolor.io.segment_file import Segment
from vidcolor.io.segment_writer import Piece, SegmentWriter
from vidcolor.io.segments import DamagedSegment, SegmentStore
from vidcolor.io.target import Target
from vidcolor.io.until_damage import UntilDamage
from vidcolor.io.video import VideoReader
from vidcolor.marks import SpanNames, made_of
from vidcolor.pipeline import Pipeline
from vidcolor.records import VideoInfo
from vidcolor.render import ListedShots, must_fit, of_one_kind, open_store
from vidcolor.schema import to_dict
from vidcolor.spans import Progress, Span
from vidcolor.stages.align import AlignedShots
from vidcolor.stages.cut import FindShots, list_shots
from vidcolor.stages.shots_file import Shot

__all__ = ["PlainFilm"]

_log = logging.getLogger(__name__)

_AHEAD = 2  # batches decoded before they are asked for
_LEAST_FRAMES = 240  # of a span; encoders begin anew with each, and that has its price
_KIND = "run-"
_UNNAMED = f"{_KIND}unnamed"  # a span that is encoded while the film is still being hashed


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a span begins.

    Attributes:
        index: Number of its first frame.
        pts: Of that frame; None at the beginning of the film.
        shot: Number of its first shot.
    """

    index: int = 0
    pts: int | None = None
    shot: int = 0

    def after(self, card: Segment) -> _Place:
        return _Place(self.index + card.frames, card.following, self.shot + card.shots)


class PlainFilm:
    """A film and settings, read and checked.

    Attributes:
        source: The film.
        config: All settings.
        passes: How often the film is read for hints and references before it is colored.

    Args:
        source: The film.
        config: All settings.
        download: Told of bytes done and total when weights are fetched.

    Raises:
        VidcolorError: If a setting, a file that it names, or weights do not fit.
    """

    def __init__(self, source: Path, config: Config, download: Download | None = None) -> None:
        self.source, self.config = source, config
        self._said = read_said(config)
        check_said(self._said, config)
        self._line = build_line(
            config, download=download, guidance=Guidance(tracks=self._said.tracks)
        )
        self.passes = self._said.passes
        self._stores: dict[Path, SegmentStore] = {}
        self._names = SpanNames(_KIND, source, self._parts)

    def store(self, output: Path) -> SegmentStore:
        """The finished spans of an output.

        Raises:
            MediaError: If the film cannot be read, or container, codec and film do not go together.
        """
        if output not in self._stores:
            self._stores[output] = open_store(self.source, output, self.config)
        return self._stores[output]

    def _key(self, place: _Place) -> str:
        """The name of the span that begins somewhere; where it ends follows from the rest.

        Waits until the film is hashed.
        """
        return self._names.of(place.index, place.pts)

    def _parts(self) -> dict[str, Any]:
        return {
            "input": to_dict(self.config.input),
            "detector": type(self._line.detect).__name__,  # "auto" may take another one tomorrow
            **made_of(self.config),
        }

    def _find(self, place: _Place, store: SegmentStore) -> Segment | None:
        """The card of the span that begins somewhere; None if it must be made.

        Waits until the film is hashed, unless there is no span at all: a film that nobody has
        begun is colored from the first second, however large it is.
        """
        if self._names.pending and not store.holds(_KIND):
            return None
        return store.find(self._key(place))

    # -- the whole film --------------------------------------------------------------------------

    def render(self, output: Path, progress: Progress | None = None, fresh: bool = False) -> int:
        """Color the film, or what is not there of it from before, and join all.

        Args:
            output: Where it goes, whole or not at all; finished spans are kept in `OUTPUT.parts`
                until then.
            progress: Told how many frames are finished: of every pass for hints and references,
                then those found, then every batch.
            fresh: Forget what is there from before.

        Returns:
            How many frames there are.

        Raises:
            VidcolorError: If the film cannot be read, the output not be written, or something that
                was said does not fit.
        """
        own = self.config.output
        Target(output, own.overwrite, (self.source,)).discard()  # refused now, not after hours
        with self._names.being_found():
            return self._render(self.store(output), progress or _ignore, fresh)

    def _render(self, store: SegmentStore, told: Progress, fresh: bool) -> int:
        with store.work():
            if fresh:
                store.prune((), _KIND)
            try:
                frames = self._finish(store, told)
            except BaseException:
                self._keep(store)
                raise
            store.prune((), _KIND)
        return frames

    def _finish(self, store: SegmentStore, progress: Progress) -> int:
        made: set[_Place] = set()
        with contextlib.ExitStack() as stack:
            line: Pipeline | None = None
            while True:
                place, found = _Place(), dict[_Place, str]()
                while True:
                    card = self._find(place, store)
                    if card is None:
                        line = line or self._guided(stack, progress)
                        made |= self._color_from(place, store, line, progress)
                        card = store.find(self._key(place))
                        if card is None:
                            raise MediaError(f"{store.folder}: somebody removes its segments")
                    elif place not in made:
                        if not found:
                            _log.info("what is finished is taken (--fresh begins anew)")
                        progress(card.frames)
                    found[place] = card.key
                    if card.following is None:
                        break
                    place = place.after(card)
                try:
                    return store.join([*found.values()], self.source, self._span())
                except DamagedSegment as error:
                    if any(at in made and store.find(key) is None for at, key in found.items()):
                        raise
                    _log.warning("%s", error)

    def _guided(self, stack: contextlib.ExitStack, progress: Progress) -> Pipeline:
        """The line, with what hints and references say found out."""
        if not self._said:
            return self._line
        film = film_to_guide(self.source, self.config, self._line)
        guidance = find_guidance(film, self._said, self.config, progress)
        return build_line(self.config, guidance=stack.enter_context(guidance))

    def _color_from(
        self, place: _Place, store: SegmentStore, line: Pipeline, progress: Progress
    ) -> set[_Place]:
        """Make spans from a place on, to the film's end or to one that is there; their places."""
        part = FilmPart(place.index, breaks={place.index: place.pts})
        made: set[_Place] = set()
        try:
            self._color_part(part, place, store, line, progress, made)
        except MisplacedFrame as error:
            if place.index == 0 or made:
                raise
            _log.warning("%s (after seeking; read from the beginning instead)", error)
            part = dataclasses.replace(part, from_beginning=True)
            self._color_part(part, place, store, line, progress, made)
        return made

    def _color_part(
        self,
        part: FilmPart,
        place: _Place,
        store: SegmentStore,
        line: Pipeline,
        progress: Progress,
        made: set[_Place],
    ) -> None:
        config, length = self.config, 0
        begun: _Place | None = None
        cut = AlignedShots(line.cut, config.input.frames_of(store.info), place.shot)
        with (
            VideoReader(self.source, config.input, part) as reader,
            SegmentWriter(store) as writer,
        ):
            must_fit(self.source, store.info, reader.info)
            frames = UntilDamage(prefetch(of_one_kind(store.info, reader), _AHEAD), keep=True)
            for colored in dataclasses.replace(line, cut=cut)(frames):
                batch = colored.frames
                if batch.start == 0 and self._may_end(length):
                    here = _Place(batch.index, batch.pts[0] if batch.index else None, batch.shot)
                    before = None if begun is None else self._key(begun)
                    if begun is not None and store.has(self._key(here)):
                        writer.key, writer.following = before, here.pts
                        return
                    writer.begin(Piece(_UNNAMED, batch.shot), here.pts, before)
                    made.add(here)
                    begun, length = here, 0
                writer.write(colored)
                length += len(batch)
                progress(len(batch))
                self._names.check()
            if not config.output.keep_partial:
                frames.check()
            writer.key = None if begun is None else self._key(begun)
            writer.broken = frames.error is not None
        frames.check()

    def _may_end(self, frames: int) -> bool:
        """Whether a span of so many frames may end at a cut."""
        return frames == 0 or (frames >= _LEAST_FRAMES and not self._in_one_piece)

    @property
    def _in_one_piece(self) -> bool:
        """Objects remembered across shots make every shot depend on those before it."""
        return self.config.remember.across_shots and self._said.tracks is None

    def _span(self) -> tuple[float | None, float | None]:
        return self.config.input.start, self.config.input.duration

    def _keep(self, store: SegmentStore) -> None:
        """Say what is finished, and complete a film of it if that is wanted."""
        if self._names.pending:
            return  # nothing of this run has landed, and nobody waits for names of what was there
        place, cards = _Place(), list[Segment]()
        while card := store.find(self._key(place), broken=self.config.output.keep_partial):
            cards.append(card)
            if card.broken or card.following is None:
                break
            place = place.after(card)
        if not cards:
            return
        if self.config.output.keep_partial:
            try:
                store.join([card.key for card in cards], self.source, self._span(), early=True)
            except (MediaError, OSError) as failure:
                _log.warning("%s: nothing could be kept (%s)", store.output, failure)
            if cards[-1].broken:
                store.remove(cards.pop().key)
        if finished := sum(card.frames for card in cards):
            _log.warning(
                "%s: %d finished frames wait in %s; the same command goes on from there",
                store.output, finished, store.folder.name,
            )  # fmt: skip

    # -- span by span ----------------------------------------------------------------------------

    def spans(self, output: Path) -> Iterator[Span]:
        """All spans in order, each as soon as it is known: those finished, then those to come.

        To find where they end the film is decoded once, which is far faster than coloring it.

        Args:
            output: The film to be.

        Raises:
            VidcolorError: If the film cannot be read, or spans depend on each other.
        """
        self._must_fall_apart()
        place, starts, end = _Place(), list[int](), 0
        for shot in self._shots(self.store(output).info):
            if starts and self._may_end(shot.start - place.index):
                yield self._found(place, shot.start, shot.pts, starts)
                place, starts = _Place(shot.start, shot.pts, shot.shot), []
            starts.append(shot.start)
            end = shot.end + 1
        yield self._found(place, end, None, starts)

    def _shots(self, info: VideoInfo) -> Iterator[Shot]:
        """Those of a list, or else of the film, each as soon as the next one begins."""
        config = self.config
        listed = FindShots(config.cut).shots
        if listed and self._span() == (None, None) and None not in {one.pts for one in listed}:
            yield from listed
            return
        with VideoReader(self.source, config.input) as reader:
            yield from list_shots(prefetch(of_one_kind(info, reader), _AHEAD), config.cut)

    def _found(self, place: _Place, end: int, following: int | None, starts: Sequence[int]) -> Span:
        frames, key = end - place.index, self._key(place)
        return Span(place.index, frames, place.pts, following, place.shot, tuple(starts), key)

    def _must_fall_apart(self) -> None:
        if self._in_one_piece:
            raise ConfigError(
                "remember.across_shots makes shots depend on those before; to color them apart "
                "write down which objects are the same: vidcolor tracks, then --tracks"
            )
        if self.passes:
            raise ConfigError(
                "hints and references of a film without a script are found by reading all of it; "
                "to color it in pieces put them into a color script: vidcolor plan, then --plan"
            )

    def forget(self, output: Path) -> None:
        """Remove all segments.

        Raises:
            MediaError: If another process makes the film.
        """
        store = self.store(output)
        with store.work():
            store.prune((), _KIND)

    def has(self, output: Path, span: Span) -> bool:
        """Whether the segment of a span is there, whole."""
        card = self.store(output).find(span.key)
        return card is not None and (card.frames, card.following) == (span.frames, span.following)

    def color_span(self, output: Path, span: Span, progress: Progress | None = None) -> None:
        """Make the segment of a span, as `render` would.

        Args:
            output: The film to be; it is not written.
            span: One of `spans`.
            progress: Told how many frames are finished, every batch.

        Raises:
            VidcolorError: If the film cannot be read or colored, or the disk fails.
        """
        breaks: dict[int, int | None] = dict.fromkeys(span.starts)
        breaks |= {span.index: span.pts}
        if span.following is not None:
            breaks[span.index + span.frames] = span.following
        # of the film's end the reader shall see whether it is one
        part = FilmPart(span.index, None if span.following is None else span.frames, breaks)
        try:
            self._color_alone(part, output, span, progress)
        except MisplacedFrame as error:
            if span.index == 0:
                raise
            _log.warning("%s (after seeking; read from the beginning instead)", error)
            part = dataclasses.replace(part, from_beginning=True)
            self._color_alone(part, output, span, progress)

    def _color_alone(
        self, part: FilmPart, output: Path, span: Span, progress: Progress | None
    ) -> None:
        store = self.store(output)
        line = dataclasses.replace(self._line, cut=ListedShots(self.config.cut, span.listed()))
        with (
            VideoReader(self.source, self.config.input, part) as reader,
            SegmentWriter(store) as writer,
        ):
            must_fit(self.source, store.info, reader.info)
            writer.begin(Piece(span.key, span.shot, span.frames))
            for colored in line(prefetch(of_one_kind(store.info, reader), _AHEAD)):
                writer.write(colored)
                if progress is not None:
                    progress(len(colored.frames))
            writer.following = span.following

    def segment(self, output: Path, span: Span) -> Path:
        """Where the segment of a span lies, or will."""
        return self.store(output).path(span.key)

    def join(self, output: Path, spans: Sequence[Span]) -> int:
        """Write the film, of segments that are all there, and remove them.

        Args:
            output: The film.
            spans: All of them, in order.

        Returns:
            How many frames there are.

        Raises:
            MediaError: If a segment is missing or damaged, or the output cannot be written.
        """
        store = self.store(output)
        frames = store.join([span.key for span in spans], self.source, self._span())
        store.prune((), _KIND)
        return frames


def _ignore(count: int) -> None:
    pass
