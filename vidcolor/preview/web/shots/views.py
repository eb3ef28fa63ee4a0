"""What the page shows of a shot: pictures before and after, a clip, boxes.

Before is the same whatever the script says, and is made once. After has the shot's key for a name,
so a change of the script never overwrites what is looked at, and going back finds what was there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vidcolor.errors import GuidanceError, MediaError
from vidcolor.guidance.tracks.file import TrackEntry, load_tracks
from vidcolor.io.clip_writer import ClipWriter
from vidcolor.io.prefetch import prefetch
from vidcolor.io.video import VideoReader
from vidcolor.preview import pictures
from vidcolor.preview.web.jobs import Report
from vidcolor.preview.web.shots.cache import Draft, ViewCache
from vidcolor.preview.web.shots.frames import (
    CLIP_FRAMES,
    WIDTH,
    NotMade,
    Times,
    before_name,
    decode_shot,
    kept,
    pixels_of,
)
from vidcolor.preview.web.shots.overlays import clear
from vidcolor.preview.web.shots.watch import Live, Watch, jpg, overlay_of, sure_png, write
from vidcolor.scripted import ScriptedFilm

__all__ = ["NotMade", "ShotViews"]

_log = logging.getLogger(__name__)

_AHEAD = 2  # batches decoded before they are asked for
_SHOT = "shot.mkv"
_CLIP = "clip.mp4"
_TIMES = "times.json"
_OVERLAY = "overlay.json"
_TRACKS = "tracks.json"

Publish = Callable[[Mapping[str, Any]], None]


class ShotViews:
    """Views of the shots of a film. Thread-safe.

    Args:
        id: Of the film, for events.
        mark: Of the film, for the cache: its fingerprint.
        cache: Where views are kept.
        publish: Told when frames are there to be looked at.
    """

    def __init__(self, id: str, mark: str, cache: ViewCache, publish: Publish) -> None:
        self._id, self._mark, self._cache, self._publish = id, mark, cache, publish
        self._lock = threading.Lock()
        self._live: dict[str, Live] = {}
        self._tracks: dict[str, tuple[TrackEntry, ...]] = {}

    # -- what is there ---------------------------------------------------------------------------

    def has(self, key: str) -> bool:
        """Whether all views of a key are there."""
        return self._cache.has(self._mark, key)

    def names(self) -> frozenset[str]:
        """All that is there of the film: keys, names of `before_name`, thumbnails."""
        return self._cache.names(self._mark)

    def made(self, key: str) -> int:
        """Frames so far of views in the making."""
        with self._lock:
            live = self._live.get(key)
        return 0 if live is None else live.made

    def picture(self, name: str, number: int) -> bytes:
        """JPEG of a frame.

        Args:
            name: A shot's key, or `before_name` of it.
            number: Frame of the shot.

        Raises:
            NotMade: If it is not there.
        """
        data = self._read(name, jpg(number))
        if data is None:
            raise NotMade(f"frame {number} is not made yet; it comes in a moment")
        return data

    def sure(self, key: str, number: int) -> bytes:
        """Transparent PNG: where a person's word reaches.

        Raises:
            NotMade: If the frame was not colored here.
        """
        found = self._read(key, sure_png(number))
        if found is not None:
            return found
        if self._read(key, jpg(number)) is None:
            raise NotMade(f"frame {number} is not made yet; preview the shot")
        return clear()

    def overlay(self, key: str) -> dict[str, Any]:
        """Boxes of the frames that are there, and whether they are known at all.

        Raises:
            NotMade: If there are none.
        """
        with self._lock:
            live = self._live.get(key)
            if live is not None and live.pts:
                return overlay_of(live)
        data = self._read(key, _OVERLAY)
        if data is None:
            raise NotMade("the shot is not colored yet; preview it")
        return dict(json.loads(data))

    def clip(self, key: str) -> Path:
        """The clip: before above after.

        Raises:
            NotMade: If it is not there.
        """
        return self._file(key, _CLIP, "the clip is not made yet; preview the shot")

    def film(self, key: str) -> Path:
        """The finished shot as a film of its own.

        Raises:
            NotMade: If it is not there.
        """
        return self._file(key, _SHOT, "the shot is not finished yet; preview it")

    def times(self, name: str) -> Times:
        """Of the frames of finished views.

        Raises:
            NotMade: If they are not there.
        """
        data = self._read(name, _TIMES)
        if data is None:
            raise NotMade("the frames of the shot are not known yet; open it first")
        return Times.read(data)

    def when(self, name: str, number: int) -> int | None:
        """pts of a frame, if it is known."""
        if self.has(name):
            with contextlib.suppress(NotMade):
                return self.times(name).pts[number]
        with self._lock:
            live = self._live.get(name)
        return None if live is None else live.pts.get(number)

    def tracks(self, key: str) -> tuple[TrackEntry, ...]:
        """Objects that were found when the shot was colored; none if it was not colored here."""
        if key not in self._tracks and self.has(key):
            path = self._cache.path(self._mark, key) / _TRACKS
            try:
                self._tracks[key] = load_tracks(path).tracks
            except GuidanceError:  # no tracks were looked for, or the views have gone meanwhile
                return ()
        return self._tracks.get(key, ())

    def _file(self, key: str, name: str, message: str) -> Path:
        folder = self._cache.find(self._mark, key)
        if folder is None or not (folder / name).is_file():
            raise NotMade(message)
        return folder / name

    def _read(self, name: str, file: str) -> bytes | None:
        folder = self._cache.find(self._mark, name)
        if folder is None:
            with self._lock:
                live = self._live.get(name)
            if live is None:
                return None
            folder = live.folder
        try:
            return (folder / file).read_bytes()
        except OSError:
            return None

    # -- before ----------------------------------------------------------------------------------

    def open(self, film: ScriptedFilm, place: int, report: Report) -> None:
        """Decode a shot once, and keep its frames to look at.

        Args:
            film: The film.
            place: Number of the shot.
            report: Told of frames.

        Raises:
            MediaError: If the film cannot be read.
        """
        with contextlib.closing(self._opening(film, place)) as steps:
            done = 0
            for made in steps:
                report(made - done)
                done = made

    def _opening(self, film: ScriptedFilm, place: int) -> Generator[int]:
        """The same step by step; yields how many frames there are."""
        name, length = before_name(film, place), len(film.script.shots[place])
        if self._cache.find(self._mark, name) is not None:
            return
        with self._making(name, length) as (draft, live):
            for batch in decode_shot(film, place):
                live.tick = batch.info.time_base
                for number in range(len(batch)):
                    frame = batch[number : number + 1]
                    if frame.start == kept(frame.start, length):
                        rgb = pictures.before(frame, WIDTH)
                        write(live.folder / jpg(frame.start), pictures.jpeg(rgb))
                    live.pts[frame.start] = frame.pts[0]
                yield live.made
                if self._cache.has(self._mark, name):  # another job was faster
                    return
            write(live.folder / _TIMES, live.times.text().encode())
            draft.land()

    # -- after -----------------------------------------------------------------------------------

    def make(
        self,
        film: ScriptedFilm,
        output: Path,
        place: int,
        report: Report,
        key: str | None = None,
    ) -> str:
        """Color a shot exactly, and keep what there is to look at; what is there is not made again.

        Args:
            film: The film and its script.
            output: The film to be, whose segments are used and made.
            place: Number of the shot.
            report: Told of frames.
            key: Of the shot, where it is known: in a film of many shots it takes a while.

        Returns:
            The key of the views.

        Raises:
            VidcolorError: As `ScriptedFilm.make`.
        """
        key = key or film.keys()[place]
        if self._cache.find(self._mark, key) is not None:
            return key
        shot = film.shots[place]
        count = shot.end - shot.start + 1
        with (
            self._making(key, count) as (draft, live),
            contextlib.closing(self._opening(film, place)) as before,
        ):

            def then() -> None:
                while next(before, count) < live.made:  # both sides of a frame come together
                    pass
                self._tell(place, key, live)

            watch = Watch(film, place, live, then)
            report.begin("coloring", count)
            self._finish(film, output, place, key, draft.path / _SHOT, watch, report)
            if not watch.seen:
                report.begin("reading the colored shot", count)
                self._unpack(film, draft.path / _SHOT, live, then, report)
            for _ in before:
                report()
            report.begin("writing the clip", min(count, CLIP_FRAMES))
            self._write_clip(film, place, live, report)
            watch.write_tracks(draft.path / _TRACKS)
            draft.land()
        return key

    def _finish(
        self,
        film: ScriptedFilm,
        output: Path,
        place: int,
        key: str,
        to: Path,
        watch: Watch,
        report: Report,
    ) -> None:
        """The shot's segment as a film; a render that ends meanwhile may take segments away."""
        for last in (False, True):
            try:
                film.make(output, [place], progress=report, watch=watch, download=report.fetched)
            except MediaError as error:
                if last or not isinstance(error.__cause__, FileNotFoundError):
                    raise
                _log.info("shot %d is colored once more: %s", place, error)
                continue
            try:
                film.extract(output, place, to)
                return
            except MediaError as error:
                if last or film.store(output).find(key) is not None:
                    raise
                _log.info("shot %d is colored once more: %s", place, error)

    def _unpack(
        self,
        film: ScriptedFilm,
        path: Path,
        live: Live,
        then: Callable[[], None],
        report: Report,
    ) -> None:
        """Pictures of a shot that was colored before."""
        with VideoReader(path, film.config.input, keep_chroma=True) as reader:
            for batch in prefetch(reader, _AHEAD):
                live.tick = batch.info.time_base
                for number in range(len(batch)):
                    m = batch.index + number
                    if m == kept(m, live.length):
                        rgb = pictures.before(batch[number : number + 1], WIDTH)
                        write(live.folder / jpg(m), pictures.jpeg(rgb))
                    live.pts[m] = batch.pts[number]
                then()
                report(len(batch))

    def _write_clip(self, film: ScriptedFilm, place: int, live: Live, report: Report) -> None:
        """Before above after, with the shot's sound; and when which boxes are shown."""
        name = before_name(film, place)
        whole = self.times(name)
        times = replace(whole, pts=whole.pts[:CLIP_FRAMES])
        begin = film.shots[0].pts
        start = None if begin is None else float((times.pts[0] - begin) * times.tick)
        height, width = pixels_of(self.picture(name, 0)).shape[:2]
        with ClipWriter(
            live.folder / _CLIP,
            (2 * height, width),
            times.tick,
            times.rate,
            sound=None if start is None else film.source,
            span=(start, None if start is None else times.length),
        ) as writer:
            for number, pts in enumerate(times.pts):
                above = pixels_of(self.picture(name, number))
                below = pixels_of((live.folder / jpg(number)).read_bytes())
                if below.shape != above.shape:
                    small = cv2.resize(below, (width, height), interpolation=cv2.INTER_AREA)
                    below = np.asarray(small, np.uint8)
                writer.write(np.vstack((above, below)), pts)
                report(1)
        live.tick, live.pts = whole.tick, dict(enumerate(whole.pts))
        write(live.folder / _TIMES, whole.text().encode())
        write(live.folder / _OVERLAY, json.dumps(overlay_of(live)).encode())

    @contextlib.contextmanager
    def _making(self, name: str, length: int) -> Iterator[tuple[Draft, Live]]:
        with self._cache.draft(self._mark, name) as draft:
            live = Live(draft.path, length)
            with self._lock:
                self._live[name] = live
            try:
                yield draft, live
            finally:
                with self._lock:
                    if self._live.get(name) is live:
                        del self._live[name]

    def _tell(self, place: int, key: str, live: Live) -> None:
        """Frames are there to be looked at."""
        self._publish(
            {"kind": "frames", "film": self._id, "shot": place, "key": key, "made": live.made}
        )
