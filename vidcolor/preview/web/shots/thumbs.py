"""Small pictures of shots: before, and after as far as it is known."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.io.film_frames import FilmFrames
from vidcolor.preview import pictures
from vidcolor.preview.look import Look
from vidcolor.preview.sketch import PICTURE_PX, SketchShot
from vidcolor.preview.web.jobs import Report
from vidcolor.preview.web.shots.cache import ViewCache
from vidcolor.preview.web.shots.frames import NotMade, before_name, kept, pixels_of
from vidcolor.preview.web.shots.views import ShotViews
from vidcolor.records import FrameBatch
from vidcolor.scripted import ScriptedFilm

__all__ = ["Thumbs", "span_of", "thumb_names"]

Bytes = npt.NDArray[np.uint8]


class Thumbs:
    """Thumbnails of a film, kept in the cache. Thread-safe.

    Both sides of a shot show the same frame: a key frame, because that is quickly had, where the
    shot has one.

    Args:
        path: The film.
        id: Of the film, for events.
        mark: Of the film, for the cache.
        cache: Where they are kept.
        views: Of colored shots.
        publish: Told of new ones.
    """

    def __init__(
        self,
        path: Path,
        id: str,
        mark: str,
        cache: ViewCache,
        views: ShotViews,
        publish: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._path, self._id, self._mark = path, id, mark
        self._cache, self._views, self._publish = cache, views, publish
        self._sketch: dict[int, bytes] = {}  # by the pts of what is shown

    def keep_sketch(self, number: int, shot: SketchShot) -> None:
        """Keep the picture of a shot that was seen at key frames."""
        self._sketch[shot.shown] = pictures.jpeg(shot.picture)
        self._tell(number, "before")

    def of_sketch(self, shot: SketchShot) -> bytes:
        """The picture of such a shot."""
        return self._sketch[shot.shown]

    def before(self, film: ScriptedFilm, place: int, frames: FilmFrames) -> bytes:
        """JPEG of a frame of a shot, made now if need be.

        Args:
            film: The film and its script.
            place: Number of the shot.
            frames: The film, open.

        Raises:
            MediaError: If it cannot be read.
        """
        name = f"thumb-{before_name(film, place)}"
        path = self._cache.find(self._mark, name)
        data = None if path is None else _read(path)
        if data is not None:
            return data
        at = self._moment(film, place, frames)
        data = self._sketch.get(at)
        if data is None:
            data = pictures.jpeg(pictures.before(_frame(frames, at), PICTURE_PX))
        self._cache.put(self._mark, name, data)
        return data

    def after(self, key: str) -> bytes:
        """JPEG of a frame of a shot in color.

        Args:
            key: Of the shot.

        Raises:
            NotMade: If there is none yet.
        """
        for name in thumb_names(key):
            path = self._cache.find(self._mark, name)
            data = None if path is None else _read(path)
            if data is not None:
                return data
        raise NotMade("the shot is not colored yet; preview it")

    def colored(self, film: ScriptedFilm, place: int, key: str, frames: FilmFrames) -> None:
        """Keep the frame of a shot that was colored."""
        at = self._moment(film, place, frames)
        times = self._views.times(key)
        number = kept(times.number(at), len(times.pts))
        small = _shrunk(self._views.picture(key, number))
        self._cache.put(self._mark, f"thumb-{key}", pictures.jpeg(small))
        self._tell(place, "after")

    def fill(self, film: ScriptedFilm, keys: Sequence[str], report: Report) -> None:
        """Make all that are missing: before, then after by a look at one frame each.

        Args:
            film: The film and its script.
            keys: Of its shots.
            report: Told of shots; may hold this for long.
        """
        look = Look(film)
        with FilmFrames(self._path) as frames:
            report.begin("thumbnails", 2 * len(keys))
            for place in range(len(keys)):
                report(1)
                if not self._cache.has(self._mark, f"thumb-{before_name(film, place)}"):
                    self.before(film, place, frames)
                    self._tell(place, "before")
            for place, key in enumerate(keys):
                report(1)
                if any(self._cache.has(self._mark, name) for name in thumb_names(key)):
                    continue
                colored = look(_frame(frames, self._moment(film, place, frames)), place)
                rgb = pictures.after(colored, 0, film.config.compose, PICTURE_PX)
                self._cache.put(self._mark, f"thumb-look-{key}", pictures.jpeg(rgb))
                self._tell(place, "after")

    def _moment(self, film: ScriptedFilm, place: int, frames: FilmFrames) -> int:
        """pts of the frame that is shown: seen in the sketch, else a key frame, else the middle."""
        first, last = span_of(film, place, frames)
        middle = (first + last) // 2
        seen = [pts for pts in self._sketch if first <= pts <= last]
        keys = frames.key_frames()
        inside = keys[bisect_left(keys, first) : bisect_left(keys, last + 1)]
        return min(seen or inside or (middle,), key=lambda pts: abs(pts - middle))

    def _tell(self, place: int, side: str) -> None:
        self._publish({"kind": "thumb", "film": self._id, "shot": place, "side": side})


def thumb_names(key: str) -> tuple[str, str]:
    """Entries of the cache that show a shot in color, small: exact, or by a quick look."""
    return f"thumb-{key}", f"thumb-look-{key}"


def span_of(film: ScriptedFilm, place: int, frames: FilmFrames) -> tuple[int, int]:
    """pts of the first and the last frame of a shot; by the frame rate, if the script has none."""
    entry = film.script.shots[place]
    step = 1 / (frames.info.rate * frames.info.time_base)
    first = entry.pts
    if first is None:
        first = frames.first_pts + round(entry.start * step)
    last = entry.end_pts
    if last is None:
        last = first + round((entry.end - entry.start) * step)
    return first, last


def _frame(frames: FilmFrames, pts: int) -> FrameBatch:
    keys = frames.key_frames()
    place = bisect_left(keys, pts)
    return frames.near(pts) if place < len(keys) and keys[place] == pts else frames.at(pts)


def _shrunk(jpeg: bytes) -> Bytes:
    rgb = pixels_of(jpeg)
    height, width = rgb.shape[:2]
    scale = min(1.0, PICTURE_PX / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:  # removed meanwhile
        return None
