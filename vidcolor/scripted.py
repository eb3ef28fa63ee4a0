"""A film and its color script: all of its shots colored as the script says, or some of them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidcolor.build import Download, Guidance, build_line
from vidcolor.config import Config
from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.guidance.hints.entries import FilmHints
from vidcolor.guidance.script.entries import ColorScript
from vidcolor.guidance.script.file import check_source, read_script
from vidcolor.guidance.script.key import film_settings, overrides, shots_of_hint
from vidcolor.guidance.script.share import Shares, shots_at
from vidcolor.guided import Film, Said, find_guidance, read_said
from vidcolor.io.film_part import MisplacedFrame
from vidcolor.io.prefetch import prefetch
from vidcolor.io.segments import SegmentStore, parts_folder
from vidcolor.io.video import VideoReader
from vidcolor.marks import film_mark, shot_key
from vidcolor.pipeline import Pipeline
from vidcolor.planning import listed_shots, planned_run, shot_made_of
from vidcolor.records import Colored, FrameBatch
from vidcolor.render import (
    ColorRun,
    ListedShots,
    Rendered,
    color_run,
    film_part,
    make_shots,
    open_store,
    render_shots,
    runs,
)
from vidcolor.schema import load, merge
from vidcolor.spans import Span
from vidcolor.stages.shots_file import Shot

__all__ = ["ScriptedFilm"]

_log = logging.getLogger(__name__)
_AHEAD = 2  # batches decoded before they are asked for
_LINES = 4  # with different settings that are kept
_KEYS = 1 << 13  # of shots that are remembered: an edit changes few

Progress = Callable[[int], None]
Watch = Callable[[Colored], None]


@dataclass(frozen=True, slots=True, eq=False)
class ScriptedFilm:
    """A film and a script that has its shots, read and checked.

    Every shot depends on the script alone and not on the shots before it, so one that is colored
    by itself comes out as in a run over the whole film.

    Attributes:
        source: The film.
        path: The script's file; paths in it begin in its folder.
        script: What it says.
        config: Settings of the whole film.
        shots: All shots, without gap.
        layers: Settings beneath those of the script (the first), and above them.
    """

    source: Path
    path: Path
    script: ColorScript
    config: Config
    shots: tuple[Shot, ...]
    layers: tuple[Mapping[str, Any], ...] = ({},)

    @classmethod
    def open(
        cls, source: Path, path: Path, layers: Sequence[Mapping[str, Any]] = ()
    ) -> ScriptedFilm:
        """Read a script and check that it is for the film.

        Args:
            source: The film.
            path: The script.
            layers: Settings of the config file, the environment and the flags; those of the script
                lie over the first.

        Raises:
            GuidanceError: If the script is not as it should be, for another film, or has no shots.
            ConfigError: If a setting is wrong.
        """
        script = read_script(path, functools.partial(load, Config))
        check_source(script, path, source)
        if not script.shots:
            raise GuidanceError(
                f"{path}: has no shots; write them with: vidcolor plan {source.name} ..."
            )
        below, *above = layers or ({},)
        keys = film_settings(script, path.parent)
        config = load(Config, functools.reduce(merge, above, merge(below, keys)), str(path))
        if config.remember.across_shots:
            raise ConfigError(
                "remember.across_shots makes shots depend on those before; with a color script "
                "the tracks in it say which objects are the same"
            )
        return cls(source, path, script, config, listed_shots(script), (below, *above))

    def settings(self, shot: int) -> Config:
        """Settings of one shot: the film's, and over them its own."""
        return self._settings(overrides(self.script, shot, self.path.parent))

    def _settings(self, keys: Mapping[str, Any]) -> Config:
        below, *above = self.layers
        return load(Config, functools.reduce(merge, above, merge(below, keys)), str(self.path))

    def check(self, download: Download | None = None) -> None:
        """See that networks and files are there, before anything is written.

        Raises:
            VidcolorError: If something is missing.
        """
        self._line(self.said(), download)

    def _line(self, said: Said, download: Download | None) -> Pipeline:
        return build_line(self.config, download=download, guidance=Guidance(tracks=said.tracks))

    def said(self) -> Said:
        """What a person said, in the script and the files that it and the settings name.

        Raises:
            GuidanceError: If a file is missing or not as it should be.
        """
        return read_said(self.config, self.script, self.path)

    def keys(self, places: Iterable[int] | None = None) -> tuple[str, ...]:
        """A word for each shot, which changes when anything changes that has a say in its color.

        Args:
            places: Numbers of the shots; None: all.

        Raises:
            GuidanceError: If a file that the script names cannot be read.
            MediaError: If the film cannot be read.
        """
        mark, folder, shares = film_mark(self.source), self.path.parent, Shares(self.script)
        places = range(len(self.shots)) if places is None else places
        alike: dict[str, str] = {}  # by what is a shot's own in its settings

        def key(shot: Shot) -> str:
            entry = self.script.shots[shot.shot]
            kind = repr((entry.colorizer, entry.weights, entry.settings))
            if kind not in alike:  # the key has its own script and number
                made = shot_made_of(shares.of(shot.shot), shot, folder, self._settings)
                alike[kind] = json.dumps(made | {"script": "", "shot": 0})
            return _key(mark, shot, alike[kind], shares.key(shot.shot, folder))

        return tuple(key(self.shots[n]) for n in places)

    def store(self, output: Path) -> SegmentStore:
        """The finished shots of an output.

        Raises:
            MediaError: If the film cannot be read, or container, codec and film do not go together.
        """
        return open_store(self.source, output, self.config)

    def render(
        self,
        output: Path,
        progress: Progress | None = None,
        download: Download | None = None,
        fresh: bool = False,
    ) -> Rendered:
        """Color the shots that are not there as the script wants them, and join all.

        Args:
            output: Where the film goes, whole or not at all; finished shots are kept in
                `OUTPUT.parts`.
            progress: Told how many frames are finished, every batch; of 0 frames while the film is
                read for hints and references.
            download: Told of bytes done and total when weights are fetched.
            fresh: Color all shots anew.

        Raises:
            VidcolorError: If the film cannot be read, the output not be written, or something that
                was said does not fit.
        """
        keys, store = self.keys(), self.store(output)
        with store.work(), _Coloring(self, progress, download) as coloring:
            if fresh:
                store.prune(())
            return render_shots(
                self.source,
                output,
                self.config,
                self.shots,
                keys,
                coloring.color,
                progress=progress,
                expect=coloring.expect,
            )

    def make(
        self,
        output: Path,
        places: Sequence[int],
        *,
        progress: Progress | None = None,
        watch: Watch | None = None,
        download: Download | None = None,
    ) -> tuple[int, ...]:
        """Color some shots, exactly as `render` would; it then finds them finished.

        Of the film, only these shots are read, and those in which something was said about them.

        Args:
            output: The film to be; it is not written.
            places: Numbers of the shots.
            progress: As for `render`.
            watch: Sees every batch as it passes.
            download: As for `render`.

        Returns:
            Numbers of the shots that were not finished before.

        Raises:
            VidcolorError: As `render`.
        """
        keys = self.keys()
        with _Coloring(self, progress, download, watch) as coloring:
            return make_shots(
                self.source,
                output,
                self.config,
                self.shots,
                keys,
                coloring.color,
                sorted(set(places)),
                progress=progress,
                expect=coloring.expect,
            )

    @contextlib.contextmanager
    def color(
        self,
        places: Sequence[int],
        progress: Progress | None = None,
        download: Download | None = None,
    ) -> Iterator[ColorRun]:
        """Lines for some shots, with what was said about them found out.

        Args:
            places: Numbers of the shots that will be asked for, rising.
            progress: Told of 0 frames while the film is read for hints and references.
            download: As for `render`.

        Raises:
            VidcolorError: As `render`.
        """
        with _Coloring(self, progress, download) as coloring:
            coloring.expect(places)
            yield coloring.color

    def extract(self, output: Path, place: int, to: Path) -> None:
        """Write a finished shot as a film of its own: the packets that the output will have.

        Args:
            output: The film to be.
            place: Number of the shot.
            to: `.mkv`; replaced if it exists.

        Raises:
            MediaError: If the shot is not finished, or `to` cannot be written.
        """
        own = replace(self.config.output, overwrite=True)
        whole = self.store(output)
        store = SegmentStore(parts_folder(output), to, whole.info, own, self.config.compose)
        store.join(self.keys([place]), None)

    # -- shot by shot, elsewhere -----------------------------------------------------------------

    def spans(self, output: Path) -> Iterator[Span]:
        """Every shot.

        Args:
            output: The film to be.

        Raises:
            VidcolorError: As `keys`.
        """
        for shot, key in zip(self.shots, self.keys(), strict=True):
            after = self.shots[shot.shot + 1] if shot.shot + 1 < len(self.shots) else None
            frames = shot.end + 1 - shot.start
            following = None if after is None else after.pts
            yield Span(shot.start, frames, shot.pts, following, shot.shot, (shot.start,), key)

    def forget(self, output: Path) -> None:
        """Remove all segments.

        Raises:
            MediaError: If another process makes the film.
        """
        store = self.store(output)
        with store.work():
            store.prune(())

    def has(self, output: Path, span: Span) -> bool:
        """Whether the segment of a shot is there, whole."""
        card = self.store(output).find(span.key)
        return card is not None and card.frames == span.frames

    def color_span(self, output: Path, span: Span, progress: Progress | None = None) -> None:
        """Make the segment of a shot.

        Args:
            output: The film to be; it is not written.
            span: One of `spans`.
            progress: As for `render`.

        Raises:
            VidcolorError: As `render`.
        """
        self.make(output, [span.shot], progress=progress)

    def segment(self, output: Path, span: Span) -> Path:
        """Where the segment of a shot lies, or will."""
        return self.store(output).path(span.key)

    def join(self, output: Path, spans: Sequence[Span]) -> int:
        """Write the film, of segments that are all there; those of other scripts are removed.

        Args:
            output: The film.
            spans: All of them, in order.

        Returns:
            How many frames there are.

        Raises:
            MediaError: If a segment is missing or damaged, or the output cannot be written.
        """
        store, keys = self.store(output), [span.key for span in spans]
        frames = store.join(keys, self.source)
        store.prune(keys)
        return frames


@functools.lru_cache(maxsize=_KEYS)
def _key(mark: str, shot: Shot, made: str, script: str) -> str:
    return shot_key(mark, shot, {**json.loads(made), "script": script, "shot": shot.shot})


class _Coloring:
    """Lines for the shots that are asked for, with what was said about them found out once."""

    def __init__(
        self,
        film: ScriptedFilm,
        progress: Progress | None,
        download: Download | None,
        watch: Watch | None = None,
    ) -> None:
        self._film, self._watch = film, watch
        self._beat: Progress = _ignore if progress is None else lambda count: progress(0)
        self._download = download
        self._said = film.said()
        self._stack = contextlib.ExitStack()
        self._run: ColorRun | None = None

    def __enter__(self) -> _Coloring:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def expect(self, places: Sequence[int]) -> None:
        """These shots will be asked for."""
        self._stack.close()
        film, about = self._film, _About(self._film, self._said, frozenset(places))
        line = film._line(self._said, self._download)
        try:
            guidance = self._find(about, line, from_beginning=False)
        except MisplacedFrame as error:
            _log.warning("%s (after seeking; read from the beginning instead)", error)
            guidance = self._find(about, line, from_beginning=True)

        @functools.lru_cache(maxsize=_LINES)
        def line_for(own: Config) -> Pipeline:  # one for all runs with the same settings
            return build_line(own, download=self._download, guidance=guidance)

        def run_for(keys: Mapping[str, Any]) -> ColorRun:
            own = film._settings(keys)
            return color_run(line_for(own), own.cut)

        self._run = planned_run(film.script, film.path.parent, run_for)

    def _find(self, about: _About, line: Pipeline, from_beginning: bool) -> Guidance:
        film = about.read(line, from_beginning)
        found = find_guidance(film, about.said, self._film.config, self._beat)
        return self._stack.enter_context(found)

    def color(self, frames: Iterable[FrameBatch], shots: Sequence[Shot]) -> Iterator[Colored]:
        """A run of shots, in color."""
        assert self._run is not None, "expected before it is asked for"
        for colored in self._run(frames, shots):
            if self._watch is not None:
                self._watch(colored)
            yield colored


class _About:
    """What was said about some shots, and the shots that must be read to understand it.

    Args:
        film: The film.
        said: All that was said.
        places: Numbers of the shots that are to be colored.
    """

    def __init__(self, film: ScriptedFilm, said: Said, places: frozenset[int]) -> None:
        script, every = film.script, frozenset(range(len(film.shots)))
        entries = said.hints.entries
        in_script = len(script.hints)
        others = len(entries) - in_script  # those of a file come first and may lie anywhere
        needed = set(places)
        if others or said.hints.paintings:
            needed |= every
        kept = list(entries[:others])
        for entry, hint in zip(entries[others:], script.hints, strict=True):
            if shots_of_hint(script, hint) & places:
                kept.append(entry)
                needed |= shots_at(script, hint.moment, hint.object) or every
        for reference in said.references:
            if reference.entry.moment is not None:
                needed |= shots_at(script, reference.entry.moment, None) or every
        self.said = replace(
            said,
            hints=FilmHints(tuple(kept), said.hints.paintings),
            silent=said.silent | (every - places),
        )
        self._film = film
        self._places = tuple(sorted(needed & every))

    def read(self, line: Pipeline, from_beginning: bool) -> Film:
        """The film as the passes that look for colors have to read it."""
        film = self._film
        shots = [film.shots[place] for place in self._places]
        return Film(
            lambda: contextlib.closing(self._batches(from_beginning)),
            dataclasses.replace(line, cut=ListedShots(film.config.cut, shots)),
            begin=film.shots[0].pts,
            count=film.shots[-1].end + 1,
        )

    def _batches(self, from_beginning: bool) -> Generator[FrameBatch]:
        film = self._film
        info = None
        for run in runs(self._places):
            part = film_part(film.shots, run, from_beginning)
            with VideoReader(film.source, film.config.input, part) as reader:
                info = info or reader.info
                for batch in prefetch(reader, _AHEAD):
                    yield replace(batch, info=info)


def _ignore(count: int) -> None:
    pass
