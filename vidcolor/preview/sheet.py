"""The contact sheet: every shot of a film before and after, on pages."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.build import Download
from vidcolor.config import Config
from vidcolor.errors import ConfigError, MediaError
from vidcolor.guidance.moment import Moment
from vidcolor.guidance.script.entries import timecode
from vidcolor.guidance.script.text import to_data
from vidcolor.guided import Frames
from vidcolor.io.film_frames import FilmFrames
from vidcolor.io.film_part import FilmPart
from vidcolor.io.image import is_image, land_picture
from vidcolor.io.input_config import InputConfig
from vidcolor.io.prefetch import prefetch
from vidcolor.io.source import reason
from vidcolor.io.target import Target
from vidcolor.io.video import VideoReader
from vidcolor.ops.boxes import Upright
from vidcolor.preview.annotate import draw_boxes, marks_of
from vidcolor.preview.contender import Contender
from vidcolor.preview.look import Look
from vidcolor.preview.pictures import after, png
from vidcolor.preview.places import RUN_BEYOND, Place, Plan, plan_places
from vidcolor.preview.sheet_page import WIDTH_PX, Cell, Grid, draw_page, draw_row
from vidcolor.records import Colored, FrameBatch
from vidcolor.scripted import ScriptedFilm
from vidcolor.stages.shots_file import Shot

__all__ = ["make_sheet", "partial_of"]

Bytes = npt.NDArray[np.uint8]
Progress = Callable[[int], None]

_AHEAD = 2  # frames decoded before they are asked for
_ENDLESS = 1_000_000  # frames that a run may be long
_UNSAID = ("device", "precision", "input", "output", "cut")  # settings that do not change color


def make_sheet(
    source: Path,
    out: Path,
    config: Config,
    *,
    script: Path | None = None,
    layers: Sequence[Mapping[str, Any]] = (),
    contenders: Sequence[Contender] = (),
    boxes: bool = False,
    limit: int | None = None,
    columns: int | None = None,
    width: int = WIDTH_PX,
    overwrite: bool = False,
    progress: Progress | None = None,
    download: Download | None = None,
) -> tuple[Path, ...]:
    """Draw every shot of a film, before and after, with time codes.

    Only frames that are shown are decoded, and key frames where cuts are looked for. One frame of a
    shot is colored by itself (`preview.look`), with boxes a short run from the beginning of its
    shot by the whole line. What is there so far lies in `STEM.partial.png` after every row, and
    stays there if the sheet is given up; pages get their names when all are done.

    Args:
        source: A video, or a picture.
        out: `.png`; further pages are called `STEM-2.png` and so on.
        config: How it is colored, and how its shots are found.
        script: Color script: shots, settings, hints, references.
        layers: Settings of the config file, the environment and the flags, for the script.
        contenders: Ways to color it that are shown beside each other, in place of `config`.
        boxes: Draw objects with the numbers of their tracks.
        limit: Show at most so many shots, evenly chosen.
        columns: Shots in a row; None chooses by size and number of the shots.
        width: Of the sheet in pixels, at most.
        overwrite: Replace pages that exist.
        progress: Told 1 for every shot that is done.
        download: Told of bytes done and total when weights are fetched.

    Returns:
        The pages.

    Raises:
        VidcolorError: If the film cannot be read, a page not be written, or settings, weights or
            what a person said do not fit.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be at least 1 shot, not {limit}")
    if out.suffix.lower() != ".png":
        raise MediaError(f"{out}: a sheet is written as .png; name it {out.stem}.png")
    for path in (out, _page_path(out, 2)):
        Target(path, overwrite, (source,)).discard()  # refused now, not after minutes
    with FilmFrames(source) as film:
        scripted = None if script is None else ScriptedFilm.open(source, script, layers)
        ways = _ways(film, config, scripted, contenders, download)
        plan = plan_places(film, config, scripted or ways[0].script, limit=limit, run=boxes)
        heads = ("before", *(way.name for way in ways))
        grid = Grid.fitting(heads, Upright(film.info).size, plan.most, columns, width)
        pages = _Pages(out, overwrite, grid, _Title.of(film, plan, ways))
        shots = _Shots(film, ways, grid, boxes)
        ahead = prefetch(shots.frames(plan.places), _AHEAD)
        with contextlib.closing(ahead) as frames:
            for place, frame in frames:
                pages.add(shots.cell(place, frame))
                if progress is not None:
                    progress(1)
        return pages.finish()


def partial_of(out: Path) -> Path:
    """Where a sheet is seen while it is made."""
    return out.with_name(f"{out.stem}.partial.png")


def _page_path(out: Path, number: int) -> Path:
    return out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to color the film.

    Attributes:
        name: Head of its column.
        look: Colors frames.
        script: What it follows.
        said: Settings in words.
    """

    name: str
    look: Look
    script: ScriptedFilm | None
    said: str


def _ways(
    film: FilmFrames,
    config: Config,
    script: ScriptedFilm | None,
    contenders: Sequence[Contender],
    download: Download | None,
) -> tuple[_Way, ...]:
    def way(name: str, own: Config, scripted: ScriptedFilm | None) -> _Way:
        look = Look(scripted or own, begin=film.first_pts, download=download)
        return _Way(name, look, scripted, _settings(own if scripted is None else scripted.config))

    if not contenders:
        return (way("after", config, script),)
    found = []
    for one in contenders:
        own = one.script
        scripted = None if own is None else ScriptedFilm.open(film.path, own, one.layers)
        found.append(way(one.name, one.config, scripted))
    return tuple(found)


def _settings(config: Config) -> str:
    """What is not as usual in settings that change color."""
    data = {key: value for key, value in to_data(config).items() if key not in _UNSAID}
    return ", ".join(f"{key} {value}" for key, value in _flat(data))


def _flat(data: Mapping[str, Any], head: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{head}{key}.")
        else:
            yield head + key, value


class _Shots:
    """The pictures of shots."""

    def __init__(self, film: FilmFrames, ways: Sequence[_Way], grid: Grid, boxes: bool) -> None:
        self._film, self._ways, self._grid, self._boxes = film, ways, grid, boxes

    def frames(self, places: Iterable[Place]) -> Iterator[tuple[Place, FrameBatch]]:
        """The frames that are shown, decoded."""
        for place in places:
            yield place, self._film.at(place.pts)

    def cell(self, place: Place, frame: FrameBatch) -> Cell:
        """A shot before and after."""
        pictures = [self._film.rgb(frame, self._grid.pane)]
        pictures += [self._after(way, place, frame) for way in self._ways]
        if is_image(self._film.path):
            return Cell(tuple(pictures), "", "", "")
        info = self._film.info
        since = (frame.pts[0] - self._film.first_pts) * info.time_base
        facts = timecode(max(since, Fraction(0)))
        if place.number is not None:
            facts += f"   frame {place.number}"
        length = "" if place.seconds is None else f"{float(place.seconds):.1f} s"
        name = "" if place.shot is None else str(place.shot)
        return Cell(tuple(pictures), name, facts, length)

    def _after(self, way: _Way, place: Place, frame: FrameBatch) -> Bytes:
        (pts,) = frame.pts
        own, width = way.script, self._grid.pane[1]
        shot = None if own is None else own.script.shot_at(Moment(pts=pts))
        compose = way.look.settings(shot).compose
        if not self._boxes:
            numbered = replace(frame, index=place.number or 0)
            return after(way.look(numbered, shot), 0, compose, width)
        colored, number = self._run(way, place, pts, shot)
        names = {} if own is None else _names(own)
        marks = marks_of(colored, number, names.get)
        return draw_boxes(after(colored, number, compose, width), marks)

    def _run(self, way: _Way, place: Place, pts: int, shot: int | None) -> tuple[Colored, int]:
        """The shown frame, colored with those before it in its shot, and its place in the batch."""
        opened, first = self._stretch(place, pts)
        part = Shot((shot if way.script else place.shot) or 0, first, first + _ENDLESS)
        with contextlib.closing(way.look.run(opened, part)) as run:
            for colored in run:
                if pts in colored.frames.pts:
                    return colored, colored.frames.pts.index(pts)
        raise MediaError(f"{self._film.path}: its frame with pts {pts} cannot be found again")

    def _stretch(self, place: Place, pts: int) -> tuple[Frames, int]:
        """Frames from the beginning of a shot to behind the shown one, and the first one's number.

        Where the shot's borders are known, its very first frame; else from about there.
        """
        film, info = self._film, self._film.info
        first = place.start
        if first is not None and film.at(place.begin).pts[0] == place.begin:
            last = min(place.number or first, place.end or first) + RUN_BEYOND
            last = last if place.end is None else min(last, place.end)
            span, part = InputConfig(), FilmPart(first, last - first + 1, {first: place.begin})
        else:
            since = max(Fraction(0), (place.begin - film.first_pts) * info.time_base)
            long = (pts - place.begin) * info.time_base + (RUN_BEYOND + 1) / info.rate
            first = round(since * info.rate)
            span, part = InputConfig(start=float(since), duration=float(long)), None

        @contextlib.contextmanager
        def opened() -> Iterator[Iterable[FrameBatch]]:
            with VideoReader(film.path, span, part) as reader:
                yield (b if part else replace(b, index=b.index + first) for b in reader)

        return opened, first


def _names(script: ScriptedFilm) -> dict[int, str]:
    """What a person calls tracks."""
    return {track.id: track.name for track in script.script.tracks if track.name}


@dataclass(frozen=True, slots=True)
class _Title:
    """What stands above the rows.

    Attributes:
        name: Of the film.
        facts: About the film.
        plan: Its shots.
        settings: In words, a line for each way that has any.
    """

    name: str
    facts: str
    plan: Plan
    settings: tuple[str, ...]

    @classmethod
    def of(cls, film: FilmFrames, plan: Plan, ways: Sequence[_Way]) -> _Title:
        """The title of a film's sheet."""
        height, width = Upright(film.info).size
        length = "" if film.seconds is None else f"{timecode(film.seconds)}   "
        rate = f"{float(film.info.rate):.3f}".rstrip("0").rstrip(".")
        scripts = {way.script.path.name for way in ways if way.script is not None}
        said = [f"color script {name}" for name in sorted(scripts)]
        named = len(ways) > 1
        said += [f"{way.name}: {way.said}" if named else way.said for way in ways if way.said]
        facts = f"{length}{width} x {height}   {rate} frames a second"
        if is_image(film.path):
            facts = f"{width} x {height}"
        return cls(film.path.name, facts, plan, tuple(said) or ("settings as usual",))

    def lines(self, first: int, shown: int, page: int, last: bool) -> list[str]:
        """Lines of a page.

        Args:
            first: Place of its first shot on the sheet.
            shown: Shots on it.
            page: Its number.
            last: No other follows.
        """
        plan, end = self.plan, first + shown
        total = plan.shots if plan.exact else end if last and not plan.chosen else None
        said = "" if total is None else f"{total} shot{'s' * (total != 1)}"
        if plan.exact and plan.chosen:
            said += f", {plan.most} of them shown"
        elif not plan.exact:
            said = f"{said or ('some of the shots' if plan.chosen else 'shots')} seen at key frames"
        shots = "" if is_image(self.name) else f"   {said}"
        if page > 1 or not last:
            shots += f"   page {page}"
        return [self.facts + shots, *self.settings]


class _Pages:
    """Pages of a sheet, written as they are full.

    Memory: one page.
    """

    def __init__(self, out: Path, overwrite: bool, grid: Grid, title: _Title) -> None:
        self._out, self._overwrite, self._grid, self._title = out, overwrite, grid, title
        self._rows: list[Bytes] = []
        self._cells: list[Cell] = []
        self._before = 0  # shots on earlier pages
        self._count = 0  # shots on this page
        self._done: list[Path] = []

    def add(self, cell: Cell) -> None:
        """Take the next shot."""
        if len(self._rows) >= self._grid.rows:
            self._end_page(last=False)
        self._cells.append(cell)
        self._count += 1
        first = not self._rows and len(self._cells) == 1
        if len(self._cells) == self._grid.columns:
            self._rows.append(draw_row(self._grid, self._cells))
            self._cells = []
        if not self._cells or first:
            half = [draw_row(self._grid, self._cells)] if self._cells else []
            self._show([*self._rows, *half], last=False)

    def finish(self) -> tuple[Path, ...]:
        """Write what is left; all pages."""
        if self._cells:
            self._rows.append(draw_row(self._grid, self._cells))
            self._cells = []
        self._end_page(last=True)
        for path in self._done:
            partial = partial_of(path)
            try:
                land_picture(path, partial.read_bytes(), self._overwrite, None)
                partial.unlink()
            except MediaError:
                raise
            except OSError as error:
                raise MediaError(f"{partial}: cannot be renamed ({reason(error)})") from error
        return tuple(self._done)

    def _end_page(self, last: bool) -> None:
        self._show(self._rows, last)
        self._done.append(_page_path(self._out, len(self._done) + 1))
        self._before += self._count
        self._rows, self._count = [], 0

    def _show(self, rows: Sequence[Bytes], last: bool) -> None:
        """What is there so far of a page, under the name of what is not whole."""
        number = len(self._done) + 1
        lines = self._title.lines(self._before, self._count, number, last)
        page = draw_page(self._grid, self._title.name, lines, rows)
        path = partial_of(_page_path(self._out, number))
        hidden = path.with_name(f".{path.stem[:100]}-{secrets.token_hex(4)}.png")
        try:
            hidden.write_bytes(png(page))
            hidden.replace(path)
        except OSError as error:
            raise MediaError(f"{path}: cannot be written ({reason(error)})") from error
        finally:
            hidden.unlink(missing_ok=True)
