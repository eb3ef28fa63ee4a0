"""What the page is told of a film as it is now."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from vidcolor.errors import VidcolorError
from vidcolor.guidance.script.entries import ColorScript
from vidcolor.guidance.script.text import to_data
from vidcolor.ops.boxes import Upright
from vidcolor.preview.web.desk.controls import chosen, effective
from vidcolor.preview.web.desk.desk import Desk
from vidcolor.preview.web.desk.library import FilmEntry
from vidcolor.preview.web.film import statement
from vidcolor.preview.web.film.opening import Opened
from vidcolor.preview.web.film.output import Output
from vidcolor.preview.web.film.planned import Planned
from vidcolor.preview.web.jobs import Jobs
from vidcolor.preview.web.shots.frames import BEFORE, NotMade, Times, before_name
from vidcolor.preview.web.shots.thumbs import thumb_names
from vidcolor.scripted import ScriptedFilm

__all__ = ["FilmState"]

_Words = tuple[statement.Clock, list[dict[str, Any]], dict[str, Any]]


class FilmState:
    """Reads all that belongs to a film, and changes nothing but which views were shown last.

    Args:
        entry: The film.
        desk: Its script.
        planned: What the script makes of it.
        opened: What is made of its pictures.
        output: The colored film.
        jobs: What runs.
    """

    def __init__(
        self,
        entry: FilmEntry,
        desk: Desk,
        planned: Planned,
        opened: Opened,
        output: Output,
        jobs: Jobs,
    ) -> None:
        self._entry, self._desk, self._planned = entry, desk, planned
        self._opened, self._output, self._jobs = opened, output, jobs
        self._shown: dict[str, str] = {}  # by `before_name`: the key last ready
        self._latest: tuple[ColorScript, frozenset[str], _Words] | None = None

    def was_shown(self, film: ScriptedFilm, shot: int, key: str) -> None:
        """Views of a shot are there; they are shown until newer ones come."""
        self._shown[before_name(film, shot)] = key

    def key(self, film: ScriptedFilm, shot: int) -> str:
        """The key of the newest views that there are of a shot, else its own.

        Raises:
            NotMade: If keys are not known yet.
        """
        keys = self._planned.keys()
        if keys is None:
            problem = self._planned.problem
            raise NotMade(problem or "the film is being read for the first time; wait a moment")
        now, views = keys[shot], self._opened.views
        before = self._shown.get(before_name(film, shot))
        return before if before and not views.has(now) and not views.made(now) else now

    def data(self) -> dict[str, Any]:
        """All of it, as JSON."""
        frames, script = self._opened.frames, self._desk.script
        height, width = Upright(frames.info).size
        jobs = [job for job in self._jobs.list(self._entry.id) if job.lane != "idle"]
        said = self._unsaid() if script is None else self._said(script)
        return {
            "id": self._entry.id,
            "name": self._entry.name,
            "ready": script is not None,
            "revision": self._desk.revision,
            "can_undo": self._desk.can_undo,
            "can_redo": self._desk.can_redo,
            "width": width,
            "height": height,
            "seconds": None if frames.seconds is None else float(frames.seconds),
            "rate": float(frames.info.rate),
            "has_color": self._opened.has_color,
            "script_name": self._entry.script.name,
            **said,
            "jobs": [job.data() for job in jobs],
            "problem": self._planned.problem,
        }

    def _unsaid(self) -> dict[str, Any]:
        """While exact shots are looked for."""
        frames, found = self._opened.frames, tuple(self._opened.sketch)
        return {
            "shots": statement.rough_shots(found, frames.info, frames.first_pts, frames.seconds),
            "settings": {},
            "grade": {},
            "effective": effective(self._opened.config()),
            "hints": [],
            "references": [],
            "tracks": [],
            "output": self._output.data(None, None),
        }

    def _said(self, script: ColorScript) -> dict[str, Any]:
        views = self._opened.views
        try:
            film: ScriptedFilm | None = self._planned.film()
        except VidcolorError as error:
            self._planned.problem, film = str(error), None
        keys = None if film is None else self._planned.keys()
        names = views.names()
        clock, rows, said = self._words(script, names)
        shots = [dict(row) for row in rows]
        live = {
            job.shot
            for job in self._jobs.list(self._entry.id)
            if job.kind == "preview" and not job.over
        }
        for number, row in enumerate(shots):
            key = None if keys is None else keys[number]
            row.update(self._made(film, number, key, names, number in live))
        found = {n: views.tracks(key) for n, key in enumerate(keys or ()) if key in names}
        return {
            "shots": shots,
            **said,
            "effective": effective(self._opened.config() if film is None else film.config),
            "tracks": statement.tracks(clock, found),
            "output": self._output.data(film, keys),
        }

    def _words(self, script: ColorScript, names: frozenset[str]) -> _Words:
        """What the script says, in the page's words; worked out anew when something has changed.

        Frames of hints are found by the times of frames, where their shot was read.
        """
        frames, read = self._opened.frames, frozenset(n for n in names if n.startswith(BEFORE))
        last = self._latest
        if last is None or last[0] is not script or last[1] != read:
            clock = statement.Clock(script, frames.info, frames.first_pts, self._times)
            said = {
                "settings": chosen(script.settings),
                "grade": to_data(script.grade),
                "hints": statement.hints(clock),
                "references": statement.references(clock),
            }
            last = script, read, (clock, statement.shots(clock), said)
            self._latest = last
        return last[2]

    def _made(
        self,
        film: ScriptedFilm | None,
        shot: int,
        key: str | None,
        names: frozenset[str],
        is_live: bool,
    ) -> dict[str, Any]:
        """What there is to look at of a shot."""
        views = self._opened.views
        state, made, shown = "none", 0, None
        old = None if film is None else self._shown.get(before_name(film, shot))
        if old is not None and old in names:
            state, shown = "stale", old
        if key is not None and key in names:
            state, shown = "ready", key
            if film is not None:
                self.was_shown(film, shot, key)
        elif is_live:
            made = 0 if key is None else views.made(key)
            state, shown = "making", key if made else shown
        thumb = key is not None and not names.isdisjoint(thumb_names(key))
        return {"state": state, "key": key, "shown_key": shown, "made": made, "thumb": thumb}

    def _times(self, shot: int) -> Times | None:
        film = self._planned.now()
        if film is None:
            return None
        name = before_name(film, shot)
        if self._opened.views.has(name):
            with suppress(NotMade):
                return self._opened.views.times(name)
        return None
