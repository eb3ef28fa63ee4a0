"""The first look at a film: what it is, a sketch of its shots, then the exact ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vidcolor.config import Config
from vidcolor.guidance.script.entries import fingerprint
from vidcolor.io.film_frames import FilmFrames
from vidcolor.planning import plan_film
from vidcolor.preview.sketch import SketchShot, sketch
from vidcolor.preview.web.desk.desk import Desk
from vidcolor.preview.web.desk.library import FilmEntry
from vidcolor.preview.web.jobs import Report
from vidcolor.preview.web.shots.cache import ViewCache
from vidcolor.preview.web.shots.damage import DamageViews
from vidcolor.preview.web.shots.stills import Stills
from vidcolor.preview.web.shots.thumbs import Thumbs
from vidcolor.preview.web.shots.views import ShotViews
from vidcolor.schema import load, merge

__all__ = ["Opened"]


class Opened:
    """A film that is open, and all that is made of its pictures.

    Attributes:
        frames: The film.
        has_color: Whether it has color, as far as is known.
        sketch: Shots that were seen at key frames, so far.
        views: Of shots.
        thumbs: Small pictures.
        stills: Single frames.
        damage: Pictures of damage.

    Args:
        entry: The film.
        cache: Where pictures are kept.
        layers: Settings beneath those of the script (the first), and above them.
        publish: Told of new pictures.

    Raises:
        VidcolorError: If it is no film that can be read.
    """

    def __init__(
        self,
        entry: FilmEntry,
        cache: ViewCache,
        layers: Sequence[Mapping[str, Any]],
        publish: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._entry, self._layers = entry, layers
        self.has_color = False
        self.sketch: list[SketchShot] = []
        mark = fingerprint(entry.path)
        self.frames = FilmFrames(entry.path)
        self.frames.__enter__()
        self.views = ShotViews(entry.id, mark, cache, publish)
        self.thumbs = Thumbs(entry.path, entry.id, mark, cache, self.views, publish)
        self.damage = DamageViews(mark, cache)
        self.stills = Stills(mark, cache, self.views, self.frames)

    def close(self) -> None:
        """Let go of files."""
        self.stills.close()
        self.frames.__exit__(None, None, None)

    def config(self) -> Config:
        """Settings of a script that says nothing yet.

        Raises:
            ConfigError: If one is wrong.
        """
        return load(Config, functools.reduce(merge, self._layers), "settings")

    def look_for_color(self) -> None:
        """Find out whether the film has color; decodes some frames."""
        self.has_color = self.frames.has_color

    def find_shots(self, desk: Desk, tell: Callable[[], None], report: Report) -> None:
        """A sketch at once, then the exact shots, which are the beginning of the script.

        Args:
            desk: Gets the script.
            tell: Called when there is something new.
            report: Told of frames.

        Raises:
            VidcolorError: If the film is damaged, or the script cannot be saved.
        """
        frames = self.frames
        self.sketch.clear()
        report.begin("looking at key frames")
        for shot in sketch(frames, report):
            self.thumbs.keep_sketch(len(self.sketch), shot)
            self.sketch.append(shot)
            tell()
        self.look_for_color()
        total = None if frames.seconds is None else round(frames.seconds * frames.info.rate)
        report.begin("finding shots", total)
        desk.begin(plan_film(self._entry.path, self.config(), tracks=False, progress=report))
        tell()
