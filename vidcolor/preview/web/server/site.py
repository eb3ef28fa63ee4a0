"""What all routes share: films, jobs, open sessions, and what is told to the pages."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vidcolor.errors import GuidanceError, VidcolorError
from vidcolor.preview.web.jobs import Job, Jobs
from vidcolor.preview.web.server.answers import Refusal, sentence
from vidcolor.preview.web.server.events import Events

__all__ = ["Entry", "Limits", "Script", "Session", "Shelf", "Site"]

_log = logging.getLogger(__name__)

# pictures that are decoded or colored for a request; more at once would only wait for each other
_MADE_AT_ONCE = 3
# each holds a thread for as long as it comes, and there are 40 for all requests
_RECEIVED_AT_ONCE = 8


class Entry(Protocol):
    """A film that may be opened."""

    @property
    def id(self) -> str:
        """A word of letters and digits; no path."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def path(self) -> Path:
        """The film."""

    @property
    def script(self) -> Path:
        """Its color script."""

    @property
    def uploaded(self) -> bool:
        """Whether a browser sent it."""


class Shelf(Protocol):
    """The films that may be opened, and no others."""

    def films(self) -> Sequence[Entry]:
        """All of them."""

    def find(self, name: str, /) -> Entry:
        """One of them; GuidanceError if it is not there."""

    def receive(self, name: str, chunks: Iterable[bytes], /) -> Entry:
        """A film that comes in pieces: there whole, or not at all."""

    def receive_picture(self, film: str, name: str, data: bytes, /) -> str:
        """A reference picture; where it lies, seen from the script."""


class Script(Protocol):
    """The color script of an open film, as routes use it."""

    def text(self) -> str:
        """As its file has it."""

    def add_reference(self, file: str, shot: int | None, frame: int | None, /) -> int:
        """Let a picture beside the script say what color things have."""


class Session(Protocol):
    """One open film, as routes use it; see `film.session.FilmSession`. What takes long is a job."""

    @property
    def desk(self) -> Script:
        """Its color script."""

    def open(self) -> None:
        """Begin; twice does no harm."""

    def close(self) -> None:
        """Let go of files."""

    def state(self) -> Mapping[str, Any]:
        """What the page has to know."""

    def apply(self, edits: Sequence[Mapping[str, Any]], revision: int | None, /) -> int:
        """Change the script."""

    def undo(self) -> int:
        """Take back the last change."""

    def redo(self) -> int:
        """Do it again."""

    def preview(self, shot: int, /) -> Job:
        """Color a shot."""

    def find_damage(self, shot: int, /) -> Job:
        """Find its damage."""

    def find_tracks(self) -> Job:
        """Find the objects of the film."""

    def render(self, name: str | None, overwrite: bool, /) -> Job:
        """Color the film."""

    def output(self) -> Path:
        """The finished film."""

    def thumb(self, shot: int, side: str, /) -> bytes:
        """A shot, small."""

    def look(self, shot: int, frame: int, /) -> bytes:
        """A frame colored by itself."""

    def picture(self, shot: int, frame: int, side: str, key: str | None, /) -> bytes:
        """A frame."""

    def full_picture(self, shot: int, frame: int, side: str, key: str | None, /) -> bytes:
        """A frame in full size."""

    def clip(self, shot: int, key: str | None, /) -> Path:
        """A shot as a clip."""

    def overlay(self, shot: int, key: str | None, /) -> Mapping[str, Any]:
        """Boxes of a shot."""

    def sure(self, shot: int, frame: int, key: str | None, /) -> bytes:
        """Where a person's word reaches."""

    def damage(self, shot: int, frame: int, /) -> bytes:
        """Damage of a frame."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of what a browser may send."""

    upload_bytes: int
    picture_bytes: int


class Site:
    """Films, jobs and sessions behind the routes.

    Attributes:
        library: Films that may be opened.
        jobs: What runs.
        events: Told of every change.
        limits: Of what is sent.
        turn: Taken by requests that make pictures.

    Args:
        library: See above.
        jobs: See above; closed with the site.
        limits: See above.
        session: Opens a film; told where to send events.
        about: What the page needs to know besides films: controls, networks, weights.
        folders: Whose names are not for the browser.
    """

    def __init__(
        self,
        library: Shelf,
        jobs: Jobs,
        limits: Limits,
        session: Callable[[Any, Events], Session],
        about: Callable[[], Mapping[str, Any]],
        folders: Sequence[Path] = (),
    ) -> None:
        self.library, self.jobs, self.limits = library, jobs, limits
        self.events = Events()
        self._open_session = session
        self._about = about
        self._folders = tuple(folders)
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self.turn = asyncio.Semaphore(_MADE_AT_ONCE)
        self._receiving = 0  # only touched by the thread of the loop
        self._leave = jobs.subscribe(self._tell)

    def state(self) -> dict[str, Any]:
        """What `GET /api/state` says."""
        films = [
            {
                "id": entry.id,
                "name": entry.name,
                "uploaded": entry.uploaded,
                "open": entry.id in self._sessions,
            }
            for entry in self.library.films()
        ]
        return {"films": films, "limits": self.limits, **self._about()}

    def find(self, film: str) -> Entry:
        """A film.

        Raises:
            Refusal: If there is none of that id.
        """
        try:
            return self.library.find(film)
        except GuidanceError as error:
            raise Refusal(404, self.sentence(error)) from None

    def open(self, film: str) -> Session:
        """The session of a film, which begins now if it has not begun.

        Raises:
            Refusal: If there is no such film.
            VidcolorError: If it cannot be opened.
        """
        entry = self.find(film)
        with self._lock:
            session = self._sessions.get(entry.id)
            known = session is not None
            if session is None:
                session = self._open_session(entry, self.events)
                self._sessions[entry.id] = session
        try:
            session.open()
        except VidcolorError:
            # a film that is open stays open in other tabs; its state says what is wrong
            if not known:
                with self._lock:
                    self._sessions.pop(entry.id, None)
                session.close()
                raise
        return session

    def session(self, film: str) -> Session:
        """The session of a film that is open.

        Raises:
            Refusal: If it is not open, or there is no such film.
        """
        entry = self.find(film)
        session = self._sessions.get(entry.id)
        if session is None:
            raise Refusal(404, f"{entry.name} is not open; open it from the list of films")
        return session

    def add_reference(
        self, film: str, name: str, data: bytes, shot: int | None, frame: int | None
    ) -> int:
        """Keep a picture beside a script, and let it say what color things have.

        Returns:
            The new revision.

        Raises:
            Refusal: If the film is not open.
            VidcolorError: If it is no picture that can be used, or there is no such frame.
        """
        desk = self.session(film).desk
        revision = desk.add_reference(self.library.receive_picture(film, name, data), shot, frame)
        self.events.publish({"kind": "film", "film": film, "revision": revision})
        return revision

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """A place for a film or picture that is sent, as long as the context lasts.

        Raises:
            Refusal: If too many are on their way already.
        """
        if self._receiving >= _RECEIVED_AT_ONCE:
            raise Refusal(503, "too many files are being sent at once; wait for one to arrive")
        self._receiving += 1
        try:
            yield
        finally:
            self._receiving -= 1

    def job(self, job: Job) -> dict[str, Any]:
        """A job for the browser."""
        return {**job.data(), "message": self.sentence(job.message)}

    def film(self, session: Session) -> dict[str, Any]:
        """The state of a film for the browser."""
        state = dict(session.state())
        state["problem"] = self.sentence(state.get("problem") or "")
        state["jobs"] = [
            {**job, "message": self.sentence(job.get("message") or "")} for job in state["jobs"]
        ]
        return state

    def job_event(self, job: Job) -> dict[str, Any]:
        """The event that tells of a job: its `kind` is that of the event, `what` the job's."""
        return {**self.job(job), "kind": "job", "what": job.kind}

    def _tell(self, job: Job) -> None:
        if job.lane != "idle":  # nobody asked for it, and nobody needs to stop it
            self.events.publish(self.job_event(job))

    def sentence(self, error: BaseException | str) -> str:
        """A message without the folders of this machine."""
        folders = {entry.path.parent for entry in self.library.films()} | set(self._folders)
        folders |= {folder.absolute() for folder in folders}
        return sentence(error, folders)

    def close(self, timeout_s: float = 1.5) -> bool:
        """Cancel all jobs, end all streams and sessions.

        Args:
            timeout_s: How long to wait for jobs.

        Returns:
            Whether all jobs have stopped.
        """
        self.events.close()
        self._leave()
        stopped = self.jobs.close(timeout_s)
        if not stopped:
            _log.warning("something still ran and was left; its half files are removed by the next")
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.close()
        return stopped
