"""One open film: its shots, its color script, and what is made of it to be looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidcolor.errors import GuidanceError, VidcolorError
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.models.store import cache_dir
from vidcolor.preview.web.desk.desk import Desk
from vidcolor.preview.web.desk.library import FilmEntry
from vidcolor.preview.web.film import statement
from vidcolor.preview.web.film.opening import Opened
from vidcolor.preview.web.film.output import Output
from vidcolor.preview.web.film.planned import Planned
from vidcolor.preview.web.film.state import FilmState
from vidcolor.preview.web.film.work import FilmJobs, length
from vidcolor.preview.web.jobs import Job, Jobs
from vidcolor.preview.web.shots.cache import ViewCache
from vidcolor.preview.web.shots.frames import NotMade, before_name, kept
from vidcolor.scripted import ScriptedFilm

__all__ = ["FilmSession", "previews_folder"]

Publish = Callable[[Mapping[str, Any]], None]


def previews_folder() -> Path:
    """Where previews are kept, if nobody says otherwise."""
    return cache_dir() / "previews"


class FilmSession:
    """Everything that the page does with one film. Thread-safe.

    What takes long is a job, and nothing of it is done while a lock is held. What is there can be
    asked for at any time.

    Attributes:
        entry: The film.
        desk: Its color script, and the only one who changes it.

    Args:
        entry: See above.
        desk: See above.
        jobs: Runs what takes long.
        publish: Told of changes, as `GET /api/events` tells them.
        layers: Settings beneath those of the script (the first), and above them.
        cache: Keeps pictures and clips; None is the usual place.
    """

    def __init__(
        self,
        entry: FilmEntry,
        desk: Desk,
        jobs: Jobs,
        publish: Publish | None = None,
        *,
        layers: Sequence[Mapping[str, Any]] = (),
        cache: ViewCache | None = None,
    ) -> None:
        self.entry, self.desk = entry, desk
        self._jobs, self._layers = jobs, tuple(layers) or ({},)
        self._publish: Publish = publish or _ignore
        self._cache = cache or ViewCache(previews_folder())
        self._planned = Planned(entry, desk, self._layers)
        self._output = Output(entry)
        self._lock = threading.RLock()
        self._film: tuple[Opened, FilmState, FilmJobs] | None = None

    # -- opening ---------------------------------------------------------------------------------

    def open(self) -> None:
        """Look at the film and find its shots, in the background; twice does no harm.

        Raises:
            VidcolorError: If it is no film that can be read, or its script is broken.
        """
        with self._lock:
            if self._film is None:
                self._film = self._all_of_it()
                self._planned.read(self._refresh)
        self.desk.reload_if_changed()
        if self.desk.script is None:
            self._works.find_shots()
        else:
            self._works.fill_thumbs()

    def _all_of_it(self) -> tuple[Opened, FilmState, FilmJobs]:
        name, desk, planned = self.entry.id, self.desk, self._planned
        opened = Opened(self.entry, self._cache, self._layers, self._publish)
        state = FilmState(self.entry, desk, planned, opened, self._output, self._jobs)
        works = FilmJobs(name, self._jobs, desk, planned, opened, state, self._output, self._tell)
        return opened, state, works

    def close(self) -> None:
        """Let go of files; jobs of the film are to be over."""
        with self._lock:
            if self._film is not None:
                self._film[0].close()
            self._film = None

    # -- the script ------------------------------------------------------------------------------

    def apply(self, edits: Sequence[Mapping[str, Any]], revision: int | None = None) -> int:
        """Change the script, and save it.

        Args:
            edits: As the page sends them.
            revision: That the page has seen.

        Returns:
            The new revision.

        Raises:
            GuidanceError: If something cannot be, or its numbers mean something else by now.
            MediaError: If it cannot be saved.
        """
        for key in self._planned.keys() or ():
            if found := self._opened.views.tracks(key):
                self.desk.offer(found)
        return self._changed(self.desk.apply(edits, revision))

    def undo(self) -> int:
        """Take back the last change; gives the new revision."""
        return self._changed(self.desk.undo())

    def redo(self) -> int:
        """Do again what was taken back; gives the new revision."""
        return self._changed(self.desk.redo())

    def _changed(self, revision: int) -> int:
        self._refresh()
        return revision

    def _refresh(self) -> None:
        self._tell()
        if (film := self._film) is not None:
            film[2].script_changed()

    # -- jobs ------------------------------------------------------------------------------------

    def preview(self, shot: int) -> Job:
        """Color a shot exactly; a job that does just that already goes on.

        Raises:
            GuidanceError: If there is no such shot.
        """
        film = self._with(shot)
        return self._works.preview(film, shot)

    def find_damage(self, shot: int) -> Job:
        """Find the damage of a shot, to be laid over it.

        Raises:
            GuidanceError: If there is no such shot.
        """
        film = self._with(shot)
        return self._works.find_damage(film, shot)

    def find_tracks(self) -> Job:
        """Find the objects of the whole film, and which of them are the same.

        Raises:
            GuidanceError: If the shots of the film are not known yet.
        """
        return self._works.find_tracks(self._planned.film())

    def render(self, name: str | None = None, overwrite: bool = False) -> Job:
        """Color the whole film; shots that were previewed are not colored again.

        Args:
            name: Of the file beside the script; None is the usual one.
            overwrite: Whether a file of that name may be replaced.

        Raises:
            GuidanceError: If the name cannot be used, the file exists, or another render of this
                film runs.
        """
        return self._works.render(self._planned.film(), name, overwrite)

    # -- to look at ------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What the page has to know of the film."""
        try:
            if self.desk.reload_if_changed():
                self._refresh()
        except VidcolorError as error:
            return {**self._state.data(), "problem": str(error)}
        return self._state.data()

    def thumb(self, shot: int, side: str) -> bytes:
        """JPEG: a shot, small; of "after" the newest there is.

        Args:
            shot: Its number, or that of the sketch while exact shots are looked for.
            side: "before" or "after".

        Raises:
            NotMade: If it is not colored yet.
            GuidanceError: If there is no such shot.
        """
        opened = self._opened
        if self.desk.script is None:
            if side != "before" or not 0 <= shot < len(opened.sketch):
                raise NotMade("the shots of the film are still looked for; wait a moment")
            return opened.thumbs.of_sketch(opened.sketch[shot])
        film = self._with(shot)
        if side == "before":
            return opened.thumbs.before(film, shot, opened.frames)
        if (keys := self._planned.keys()) is not None:
            with suppress(NotMade):
                return opened.thumbs.after(keys[shot])
        return opened.thumbs.after(self._state.key(film, shot))

    def look(self, shot: int, frame: int) -> bytes:
        """JPEG: one frame colored by itself, at once; close to what the film will have.

        Raises:
            VidcolorError: If there is no such frame, or it cannot be colored.
        """
        film, keys = self._with(shot, frame), self._planned.keys()
        return self._opened.stills.look(film, shot, frame, None if keys is None else keys[shot])

    def picture(self, shot: int, frame: int, side: str, key: str | None = None) -> bytes:
        """JPEG of a frame; of "before" and not there, its shot begins to be read.

        Far into a very long shot it is that of the last frame before that has a picture, on both
        sides the same; `state` tells which ones have.

        Raises:
            NotMade: If it is not there yet.
            GuidanceError: If there is no such frame.
        """
        film, views = self._with(shot, frame), self._opened.views
        shown = kept(frame, length(film, shot))
        if side == "after":
            return views.picture(key or self._state.key(film, shot), shown)
        with suppress(NotMade):
            return views.picture(before_name(film, shot), shown)
        self._works.watch(film, shot)
        return self._opened.stills.before(film, shot, frame)

    def full_picture(self, shot: int, frame: int, side: str, key: str | None = None) -> bytes:
        """PNG of a frame at full size; after: the very pixels of the finished shot.

        Raises:
            NotMade: If it is not there yet.
            GuidanceError: If there is no such frame.
        """
        film, stills = self._with(shot, frame), self._opened.stills
        if side == "before":
            return stills.full_before(film, shot, frame)
        return stills.full_after(key or self._state.key(film, shot), frame)

    def clip(self, shot: int, key: str | None = None) -> Path:
        """The clip of a shot, before above after.

        Raises:
            NotMade: If it is not there yet.
        """
        film = self._with(shot)
        return self._opened.views.clip(key or self._state.key(film, shot))

    def overlay(self, shot: int, key: str | None = None) -> dict[str, Any]:
        """Boxes of a shot, frame by frame, with what the script says of their objects.

        Raises:
            NotMade: If they are not there yet.
        """
        film = self._with(shot)
        data = self._opened.views.overlay(key or self._state.key(film, shot))
        known = {entry.id: entry for entry in film.script.tracks}
        for frame in data["frames"]:
            frame["boxes"] = [_named(box, known.get(box["id"])) for box in frame["boxes"]]
        return {**data, **statement.bounds(length(film, shot))}

    def sure(self, shot: int, frame: int, key: str | None = None) -> bytes:
        """Transparent PNG: where a person's word reaches.

        Raises:
            NotMade: If it is not there yet.
        """
        film = self._with(shot, frame)
        shown = kept(frame, length(film, shot))
        return self._opened.views.sure(key or self._state.key(film, shot), shown)

    def damage(self, shot: int, frame: int) -> bytes:
        """Transparent PNG: damage of a frame, by kind and confidence.

        Raises:
            NotMade: If nobody has looked for it.
        """
        return self._opened.damage.picture(self._with(shot, frame), shot, frame)

    def output(self) -> Path:
        """The finished film.

        Raises:
            NotMade: If it is not there.
        """
        return self._output.finished(self._planned.now())

    # -- what all use ----------------------------------------------------------------------------

    @property
    def _opened(self) -> Opened:
        return self._all[0]

    @property
    def _state(self) -> FilmState:
        return self._all[1]

    @property
    def _works(self) -> FilmJobs:
        return self._all[2]

    @property
    def _all(self) -> tuple[Opened, FilmState, FilmJobs]:
        film = self._film
        if film is None:
            raise GuidanceError(f"{self.entry.name} is not open; open it from the list of films")
        return film

    def _with(self, shot: int, frame: int = 0) -> ScriptedFilm:
        """The film as the script is now, which has such a frame.

        Raises:
            GuidanceError: If it has not.
        """
        film = self._planned.film()
        if not 0 <= shot < len(film.shots):
            raise GuidanceError(f"there is no shot {shot}; the last one is {len(film.shots) - 1}")
        if not 0 <= frame < length(film, shot):
            raise GuidanceError(
                f"shot {shot} has frames 0 to {length(film, shot) - 1}, not {frame}"
            )
        return film

    def _tell(self) -> None:
        revision = self.desk.revision
        self._publish({"kind": "film", "film": self.entry.id, "revision": revision})


def _named(box: Mapping[str, Any], entry: TrackEntry | None) -> dict[str, Any]:
    identity, name = ("", "") if entry is None else (entry.identity, entry.name)
    return {**box, "identity": identity, "name": name}


def _ignore(event: Mapping[str, Any]) -> None:
    pass
