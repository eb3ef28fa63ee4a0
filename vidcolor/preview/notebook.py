"""What notebooks draw: pictures with a line to move, clips, sheets; each a page of its own."""

from __future__ import annotations

import base64
import html
import os
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.api import colorize_image, make_config
from vidcolor.color.compose import ComposeConfig
from vidcolor.config import Config
from vidcolor.errors import MediaError
from vidcolor.guidance.moment import Moment
from vidcolor.io.color_frames import read_picture, resize
from vidcolor.io.film_frames import FilmFrames
from vidcolor.io.image import is_image
from vidcolor.io.source import as_time, seconds
from vidcolor.preview import pictures
from vidcolor.preview.clip import BEFORE, ClipConfig, open_clip
from vidcolor.preview.contender import Contender, find_contenders, one_contender
from vidcolor.preview.layout import Kind
from vidcolor.preview.look import Look
from vidcolor.records import Colored, FrameBatch
from vidcolor.schema import to_dict
from vidcolor.scripted import ScriptedFilm

__all__ = ["Movie", "Pages", "Slider", "compare", "contact_sheet", "show"]

Bytes = npt.NDArray[np.uint8]
Name = str | os.PathLike[str]

_AFTER = "after"
_WIDTH = 960  # of pictures, at most
_LINES = 720  # of clips: a notebook keeps them in its file
_GAP_PX = 2

_STYLE = """<style>
.vidcolor-slider{--x:50%;position:relative;display:inline-block;margin:0;max-width:100%;
line-height:0;font:12px/1.4 system-ui,sans-serif;overflow:hidden;border-radius:4px}
.vidcolor-slider img{display:block;max-width:100%;height:auto;margin:0}
.vidcolor-slider img+img{position:absolute;inset:0;width:100%;height:100%;
clip-path:inset(0 calc(100% - var(--x)) 0 0)}
.vidcolor-slider i{position:absolute;top:0;bottom:0;left:var(--x);width:2px;margin-left:-1px;
background:#fff;box-shadow:0 0 3px #000;pointer-events:none}
.vidcolor-slider b{position:absolute;top:6px;padding:1px 6px;color:#fff;background:#0009;
border-radius:3px;font-weight:400;pointer-events:none}
.vidcolor-slider b:first-of-type{left:6px}.vidcolor-slider b:last-of-type{right:6px}
.vidcolor-slider input{position:absolute;inset:0;width:100%;height:100%;margin:0;opacity:0;
cursor:ew-resize;touch-action:pan-y}
.vidcolor-slider:focus-within{outline:3px solid #4a90ff;outline-offset:2px}
</style>"""


@dataclass(frozen=True, slots=True, eq=False)
class Slider:
    """Two pictures of the same frame, with a line between them that mouse and arrow keys move.

    Attributes:
        left: (h, w, 3) uint8 R'G'B'.
        right: The other way to show it, of the same size.
        labels: What they are called.
    """

    left: Bytes
    right: Bytes
    labels: tuple[str, str] = (BEFORE, _AFTER)

    def __post_init__(self) -> None:
        if self.left.shape != self.right.shape or self.left.ndim != 3:
            raise ValueError(
                f"two pictures of one size are needed, not {self.left.shape}, {self.right.shape}"
            )

    def _repr_html_(self) -> str:
        left, right = (html.escape(label) for label in self.labels)
        width = self.left.shape[1]
        return (
            f'{_STYLE}<figure class="vidcolor-slider">'
            f'<img width="{width}" alt="{right}" src="{_data_url(self.right)}">'
            f'<img alt="{left}" src="{_data_url(self.left)}">'
            f"<b>{left}</b><b>{right}</b><i></i>"
            f'<input type="range" min="0" max="100" step="1" value="50" '
            f'aria-label="{left} on the left, {right} on the right" '
            "oninput=\"this.parentNode.style.setProperty('--x',this.value+'%')\"></figure>"
        )

    def _repr_png_(self) -> bytes:
        """Both beside each other, for programs that show no HTML."""
        gap = np.zeros((self.left.shape[0], _GAP_PX, 3), np.uint8)
        return pictures.png(np.concatenate((self.left, gap, self.right), axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Movie:
    """A clip.

    Attributes:
        data: An mp4 file.
        title: What it shows.
    """

    data: bytes
    title: str

    def _repr_html_(self) -> str:
        return (
            f'<video controls loop playsinline preload="metadata" style="max-width:100%" '
            f'aria-label="{html.escape(self.title)}" '
            f'src="data:video/mp4;base64,{_base64(self.data)}"></video>'
        )


@dataclass(frozen=True, slots=True, eq=False)
class Pages:
    """A contact sheet.

    Attributes:
        pages: PNG files, in order.
        title: What they show.
    """

    pages: tuple[bytes, ...]
    title: str

    def _repr_html_(self) -> str:
        return "".join(
            f'<img style="display:block;max-width:100%" alt="{html.escape(self.title)}, page '
            f'{number}" src="data:image/png;base64,{_base64(page)}">'
            for number, page in enumerate(self.pages, 1)
        )

    def _repr_png_(self) -> bytes:
        """The first page, for programs that show no HTML."""
        return self.pages[0]


def show(
    what: Name | Bytes,
    at: float | None = None,
    duration: float | None = None,
    layout: Kind = "side",
    *,
    plan: Name | None = None,
    config: Config | None = None,
    **options: Any,
) -> Slider | Movie:
    """What coloring makes of a picture, of a frame of a film, or of a part of it.

    A frame is colored by itself, at once. A part goes through the whole line: its frames are those
    of `colorize --start --duration`.

    Args:
        what: A picture (a file, or (H, W) or (H, W, 3) uint8), or a video.
        at: Seconds from the film's first frame; None: its middle, or the beginning of a part.
        duration: Seconds of a part; None: a single frame.
        layout: Of a part: `side`, `split` or `wipe`.
        plan: A color script of the film.
        config: Settings; defaults if None.
        **options: Laid over `config`, see `vidcolor.api.make_config`.

    Returns:
        What a notebook draws when it is the last line of a cell.

    Raises:
        VidcolorError: For anything wrong with the files or settings, in one line.
    """
    settings = make_config(config, **options)
    if not isinstance(what, str | os.PathLike):
        return _two_pictures(_in_color(np.asarray(what)), (settings,), (BEFORE, _AFTER))
    source = Path(what)
    if is_image(source):
        return _two_pictures(read_picture(source), (settings,), (BEFORE, _AFTER))
    script = None if plan is None else Path(plan)
    contender = one_contender(_AFTER, [to_dict(settings)], script)
    return _of_film(source, (contender,), at, duration, layout)


def compare(
    what: Name | Bytes,
    first: Name,
    second: Name,
    at: float | None = None,
    duration: float | None = None,
    layout: Kind = "split",
    *,
    plan: Name | None = None,
    config: Config | None = None,
    **options: Any,
) -> Slider | Movie:
    """Two ways to color a picture, a frame of a film, or a part of it.

    Args:
        what: As for `show`.
        first: A colorizer, weights (name or file), a config (`.toml`), a color script.
        second: Another.
        at: As for `show`.
        duration: As for `show`.
        layout: Of a part; `side` shows the source as well.
        plan: A color script that both follow that are no script themselves.
        config: Settings that both share; defaults if None.
        **options: Laid over `config`.

    Returns:
        What a notebook draws when it is the last line of a cell.

    Raises:
        VidcolorError: For anything wrong with the files or settings, in one line.
    """
    layers = [to_dict(make_config(config, **options))]
    words = (os.fspath(first), os.fspath(second))
    script = None if plan is None else Path(plan)
    ways = find_contenders(words, layers, script)
    if isinstance(what, str | os.PathLike) and not is_image(os.fspath(what)):
        return _of_film(Path(what), ways, at, duration, layout)
    if any(way.script is not None for way in ways):
        raise MediaError("a color script is of a film; a picture has none")
    picture = (
        read_picture(Path(what))
        if isinstance(what, str | os.PathLike)
        else _in_color(np.asarray(what))
    )
    one, other = ways
    return _two_pictures(picture, (one.config, other.config), (one.name, other.name))


def contact_sheet(
    film: Name,
    *,
    plan: Name | None = None,
    config: Config | None = None,
    boxes: bool = False,
    limit: int | None = None,
    **options: Any,
) -> Pages:
    """A sheet of every shot of a film, before and after.

    Args:
        film: A video.
        plan: A color script of it.
        config: Settings; defaults if None.
        boxes: Draw objects and their numbers.
        limit: So many shots at most.
        **options: Laid over `config`, see `vidcolor.api.make_config`.

    Returns:
        What a notebook draws when it is the last line of a cell.

    Raises:
        VidcolorError: For anything wrong with the files or settings, in one line.
    """
    from vidcolor.preview.sheet import make_sheet

    settings = make_config(config, **options)
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        pages = make_sheet(
            Path(film),
            Path(folder) / "sheet.png",
            settings,
            script=None if plan is None else Path(plan),
            layers=[to_dict(settings)],
            boxes=boxes,
            limit=limit,
        )
        return Pages(tuple(page.read_bytes() for page in pages), Path(film).name)


def _of_film(
    source: Path,
    ways: tuple[Contender, ...],
    at: float | None,
    duration: float | None,
    layout: Kind,
) -> Slider | Movie:
    if duration is None:
        return _frame(source, ways, at)
    config = ClipConfig(at or 0.0, duration, layout, _LINES)
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        out = Path(folder) / "clip.mp4"
        open_clip(source, out, ways, config).run(_ignore)
        return Movie(out.read_bytes(), f"{source.name} from {as_time(config.at)}")


def _frame(source: Path, ways: tuple[Contender, ...], at: float | None) -> Slider:
    """One frame, colored by itself."""
    with FilmFrames(source) as film:
        length = film.seconds
        if at is None:
            moment = Fraction(0) if length is None else length / 2
        else:
            moment = seconds(at)
            if at < 0 or (length is not None and moment >= length):
                ends = "" if length is None else f"; it is {as_time(length)} long"
                raise MediaError(f"{source}: has no frame at {as_time(moment)}{ends}")
        frame = film.at(film.first_pts + int(moment / film.info.time_base))
    shown = [pictures.before(frame, _WIDTH)] if len(ways) == 1 else []
    names = [BEFORE] if len(ways) == 1 else []
    for way in ways:
        colored, compose = _looked(source, way, frame, film.first_pts)
        shown.append(pictures.after(colored, 0, compose, _WIDTH))
        names.append(way.name)
    return Slider(shown[0], shown[1], (names[0], names[1]))


def _looked(
    source: Path, way: Contender, frame: FrameBatch, begin: int
) -> tuple[Colored, ComposeConfig]:
    if way.script is None:
        return Look(way.config, begin=begin)(frame), way.config.compose
    film = ScriptedFilm.open(source, way.script, way.layers)
    shot = film.script.shot_at(Moment(pts=frame.pts[0]))
    return Look(film)(frame, shot), film.config.compose


def _two_pictures(picture: Bytes, configs: tuple[Config, ...], names: tuple[str, str]) -> Slider:
    made = [colorize_image(picture, config=config) for config in configs]
    left, right = made if len(made) == 2 else (picture, made[0])
    return Slider(_small(left), _small(right), names)


def _in_color(picture: npt.NDArray[Any]) -> Bytes:
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def _small(picture: Bytes) -> Bytes:
    height, width = picture.shape[:2]
    if width <= _WIDTH:
        return picture
    return resize(picture, (max(1, round(height * _WIDTH / width)), _WIDTH))


def _data_url(picture: Bytes) -> str:
    return f"data:image/jpeg;base64,{_base64(pictures.jpeg(picture))}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _ignore(count: int) -> None:
    pass
