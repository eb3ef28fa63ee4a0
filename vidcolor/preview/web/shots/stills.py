"""Single frames of a film, made when somebody asks: at full size, or colored by themselves."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from pathlib import Path

from vidcolor.errors import MediaError
from vidcolor.io.film_frames import FilmFrames
from vidcolor.preview import pictures
from vidcolor.preview.look import Look
from vidcolor.preview.web.shots.cache import ViewCache
from vidcolor.preview.web.shots.frames import WIDTH, NotMade, Times, before_name
from vidcolor.preview.web.shots.thumbs import span_of
from vidcolor.preview.web.shots.views import ShotViews
from vidcolor.records import FrameBatch
from vidcolor.scripted import ScriptedFilm

__all__ = ["Stills"]


class Stills:
    """Frames of a film as they are asked for. Thread-safe; calls may wait for each other.

    Args:
        mark: Of the film, for the cache.
        cache: Keeps looks.
        views: Of shots.
        frames: The film, open.
    """

    def __init__(self, mark: str, cache: ViewCache, views: ShotViews, frames: FilmFrames) -> None:
        self._mark, self._cache, self._views, self._frames = mark, cache, views, frames
        self._lock = threading.Lock()
        self._look: tuple[ScriptedFilm, Look] | None = None
        self._finished: tuple[Path, FilmFrames] | None = None

    def close(self) -> None:
        """Let go of files."""
        with self._lock:
            self._leave()

    def look(self, film: ScriptedFilm, place: int, number: int, key: str | None) -> bytes:
        """JPEG of a frame colored by itself.

        Args:
            film: The film and its script.
            place: Number of the shot.
            number: Frame of the shot.
            key: Of the shot, if it is known.

        Raises:
            VidcolorError: If it cannot be colored.
        """
        name = None if key is None else f"look-{key}-{number}"
        path = None if name is None else self._cache.find(self._mark, name)
        if path is not None:
            with contextlib.suppress(OSError):  # removed meanwhile
                return path.read_bytes()
        with self._lock:
            if self._look is None or self._look[0] is not film:
                self._look = film, Look(film)
            look = self._look[1]
        frame, sure = self._frame(film, place, number)
        frame = replace(frame, index=film.shots[place].start + number)
        rgb = pictures.after(look(frame, place), 0, film.config.compose, WIDTH)
        data = pictures.jpeg(rgb)
        if name is not None and sure:
            self._cache.put(self._mark, name, data)
        return data

    def before(self, film: ScriptedFilm, place: int, number: int) -> bytes:
        """JPEG of a frame of a shot that is not read yet.

        Raises:
            NotMade: If it is not known which one that is.
        """
        frame, sure = self._frame(film, place, number)
        if not sure:
            raise NotMade(f"frame {number} is not read yet; it comes in a moment")
        return pictures.jpeg(pictures.before(frame, WIDTH))

    def full_before(self, film: ScriptedFilm, place: int, number: int) -> bytes:
        """PNG of a frame of the film at full size.

        Raises:
            NotMade: If it is not known which one that is.
        """
        frame, sure = self._frame(film, place, number)
        if not sure:
            raise NotMade("the frames of the shot are not known yet; wait until it is read")
        return pictures.png(pictures.before(frame))

    def full_after(self, key: str, number: int) -> bytes:
        """PNG of a frame of a finished shot: the pixels that the rendered film has.

        Raises:
            NotMade: If the shot is not finished.
            MediaError: If it cannot be read.
        """
        times, path = self._views.times(key), self._views.film(key)
        with self._lock:
            if self._finished is None or self._finished[0] != path:
                self._leave()
                frames = FilmFrames(path)
                frames.__enter__()
                self._finished = path, frames
            found = _numbered(self._finished[1], times, number)
        return pictures.png(pictures.before(found))

    def _leave(self) -> None:
        if self._finished is not None:
            self._finished[1].__exit__(None, None, None)
        self._finished = None

    def _frame(self, film: ScriptedFilm, place: int, number: int) -> tuple[FrameBatch, bool]:
        """A frame of the film, and whether it is surely the one that is meant."""
        name = before_name(film, place)
        first = film.shots[place].pts
        if number == 0 and first is not None:
            return self._frames.at(first), True
        pts = self._views.when(name, number)
        if pts is not None:
            return self._frames.at(pts), True
        begins, ends = span_of(film, place, self._frames)
        info = self._frames.info
        middle = round((number + 0.5) / (info.rate * info.time_base))
        return self._frames.at(min(begins + middle, ends)), False


def _numbered(frames: FilmFrames, times: Times, number: int) -> FrameBatch:
    """A frame of a film that holds just the shot; its clock may be coarser than the source's."""
    here = times.pts[number] - times.pts[0]
    after = times.pts[number + 1] - times.pts[0] if number + 1 < len(times.pts) else here + 1
    unit = times.tick / frames.info.time_base
    found = frames.at(frames.first_pts + round((here + after) / 2 * unit))
    if abs(found.pts[0] - frames.first_pts - here * unit) > 1:
        raise MediaError("the colored shot is damaged; preview it again")
    return found
