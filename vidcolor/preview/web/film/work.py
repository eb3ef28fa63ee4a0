"""What takes long, of one film: reading and coloring shots, damage, objects, the whole render."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from vidcolor.errors import GuidanceError, VidcolorError
from vidcolor.guidance.script.edits import know_tracks
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.planning import plan_film
from vidcolor.preview.web.desk.desk import Desk
from vidcolor.preview.web.film.opening import Opened
from vidcolor.preview.web.film.output import Output
from vidcolor.preview.web.film.planned import Planned
from vidcolor.preview.web.film.state import FilmState
from vidcolor.preview.web.job import STOPPING, Lane
from vidcolor.preview.web.jobs import Job, Jobs, Report
from vidcolor.scripted import ScriptedFilm
from vidcolor.stages.shots_file import shots_to_json

__all__ = ["FilmJobs", "length"]


class FilmJobs:
    """Starts jobs of a film. Each goes by the script as it was when it was started.

    Args:
        id: Of the film.
        jobs: Runs them.
        desk: The film's script.
        planned: What it makes of the film.
        opened: What is made of its pictures.
        state: Told which views were shown.
        output: The colored film.
        tell: Called when something has changed.
    """

    def __init__(
        self,
        id: str,
        jobs: Jobs,
        desk: Desk,
        planned: Planned,
        opened: Opened,
        state: FilmState,
        output: Output,
        tell: Callable[[], None],
    ) -> None:
        self._id, self._jobs, self._desk, self._planned = id, jobs, desk, planned
        self._opened, self._state, self._output, self._tell = opened, state, output, tell
        self._lock = threading.RLock()
        self._previews: dict[int, _Preview] = {}  # the latest, by shot

    def find_shots(self) -> None:
        """Look for shots, unless somebody does."""

        def work(report: Report) -> None:
            self._opened.find_shots(self._desk, self._tell, report)
            self.fill_thumbs()

        with self._lock:
            if self._running("open") is None:
                self._start("open", "Finding shots", work)

    def fill_thumbs(self) -> None:
        """Make missing thumbnails when there is nothing else to do."""

        def work(report: Report) -> None:
            film, keys = self._planned.film(), self._planned.keys()
            self._opened.look_for_color()
            if keys is not None:
                self._opened.thumbs.fill(film, keys, report)

        if self._planned.is_read and self._desk.script is not None:
            with suppress(GuidanceError):  # the program is closing
                self._start("thumbs", "Thumbnails", work, lane="idle")

    def script_changed(self) -> None:
        """Stop previews that nobody wants any more, and make the thumbnails that are missing."""
        self._stop_unwanted()
        self.fill_thumbs()

    def _stop_unwanted(self) -> None:
        live = {job.id for job in self._jobs.list(self._id) if not job.over}
        with self._lock:
            running = {n: one for n, one in self._previews.items() if one.job in live}
            self._previews = running.copy()
        keys = self._planned.keys() if running else None
        if keys is None:
            return
        wanted = frozenset(keys)
        for shot, one in running.items():
            with suppress(VidcolorError):  # what is wrong is told by the preview itself
                if (one.key or one.film.keys([shot])[0]) not in wanted:
                    self._jobs.cancel(one.job)

    def watch(self, film: ScriptedFilm, shot: int) -> None:
        """Decode a shot once, so that its frames can be looked at; unless somebody does."""

        def work(report: Report) -> None:
            report.begin("reading the shot", length(film, shot))
            self._opened.views.open(film, shot, report)
            self._tell()

        with self._lock:
            if self._running("watch", shot) is None:
                self._start("watch", f"Reading shot {shot + 1}", work, shot=shot)

    def preview(self, film: ScriptedFilm, shot: int) -> Job:
        """Color a shot exactly; a job that does just that already goes on."""
        keys = self._planned.keys()
        # of another script if somebody has changed it at this moment
        key = keys[shot] if keys is not None and self._planned.now() is film else None

        def work(report: Report) -> str:
            self._planned.wait(report)
            opened = self._opened
            made = opened.views.make(film, self._output.path(film), shot, report, key)
            self._state.was_shown(film, shot, made)
            self._desk.offer(opened.views.tracks(made))
            opened.thumbs.colored(film, shot, made, opened.frames)
            self._tell()
            return made

        with self._lock:
            latest = self._previews.get(shot)
            if latest is not None and key is not None and latest.key == key:
                for job in self._jobs.list(self._id):
                    if job.id == latest.job and not job.over and job.message != STOPPING:
                        return job
            job = self._start("preview", f"Coloring shot {shot + 1}", work, shot=shot)
            self._previews[shot] = _Preview(film, key, job.id)
        self._tell()
        return job

    def find_damage(self, film: ScriptedFilm, shot: int) -> Job:
        """Find the damage of a shot, to be laid over it."""

        def work(report: Report) -> None:
            self._opened.damage.make(film, shot, report)
            self._tell()

        return self._start("damage", f"Looking for damage in shot {shot + 1}", work, shot=shot)

    def find_tracks(self, film: ScriptedFilm) -> Job:
        """Find the objects of the whole film, and which of them are the same."""

        def work(report: Report) -> None:
            found = self._objects(film, report)
            self._desk.change(lambda script: know_tracks(script, found))
            self._tell()
            self.script_changed()

        with self._lock:
            job = self._running("tracks")
            return job or self._start("tracks", "Finding objects", work, lane="render")

    def _objects(self, film: ScriptedFilm, report: Report) -> tuple[TrackEntry, ...]:
        """Objects in the very shots of the script, whoever found these."""
        report.begin("following objects", film.shots[-1].end + 1)
        with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
            path = Path(folder) / "shots.json"
            path.write_text(shots_to_json(film.shots), encoding="utf-8")
            config = replace(film.config, cut=replace(film.config.cut, shots_file=str(path)))
            script = plan_film(film.source, config, progress=report, download=report.fetched)
        return script.tracks

    def render(self, film: ScriptedFilm, name: str | None, overwrite: bool) -> Job:
        """Color the whole film; shots that were previewed are not colored again.

        Args:
            film: The film and its script.
            name: Of the file beside the script; None is the usual one.
            overwrite: Whether a file of that name may be replaced.

        Raises:
            GuidanceError: If the name cannot be used, the file exists, or another render of this
                film runs.
        """
        path = self._output.choose(film, name, overwrite)
        title = f"Rendering {path.name}"

        def work(report: Report) -> str:
            self._planned.wait(report)
            report.begin("coloring", film.shots[-1].end + 1)
            self._output.render(film, path, overwrite, report)
            self._tell()
            return path.name

        with self._lock:
            running = self._running("render")
            if running is not None and running.title != title:
                raise GuidanceError("this film is being rendered; wait for it, or cancel it first")
            return running or self._start("render", title, work, lane="render")

    def _start(
        self,
        kind: str,
        title: str,
        work: Callable[[Report], object],
        *,
        shot: int | None = None,
        lane: Lane = "look",
    ) -> Job:
        slot = f"{kind}:{self._id}:{'' if shot is None else shot}"
        return self._jobs.start(kind, slot, title, work, lane, film=self._id, shot=shot)

    def _running(self, kind: str, shot: int | None = None) -> Job | None:
        for job in self._jobs.list(self._id):
            if job.kind == kind and job.shot == shot and not job.over:
                return job
        return None


@dataclass(frozen=True, slots=True)
class _Preview:
    """A preview that was begun: of which film, the key of its shot if that was known, its job."""

    film: ScriptedFilm
    key: str | None
    job: str


def length(film: ScriptedFilm, shot: int) -> int:
    """Frames of a shot."""
    return film.shots[shot].end - film.shots[shot].start + 1
