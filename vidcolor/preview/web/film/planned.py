"""The film with its script as it is at a moment, and the keys of its shots."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vidcolor.errors import MediaError, VidcolorError
from vidcolor.guidance.script.entries import fingerprint
from vidcolor.io.source import reason
from vidcolor.marks import film_mark
from vidcolor.preview.web.desk.desk import Desk
from vidcolor.preview.web.desk.library import FilmEntry
from vidcolor.preview.web.jobs import Report
from vidcolor.preview.web.shots.frames import NotMade
from vidcolor.scripted import ScriptedFilm

__all__ = ["Planned"]

_log = logging.getLogger(__name__)

_POLL_S = 0.1


class Planned:
    """What the color script makes of the film, worked out once for each revision. Thread-safe.

    Attributes:
        problem: What is wrong with film or script, in a sentence; empty: nothing.

    Args:
        entry: The film.
        desk: Its script.
        layers: Settings beneath those of the script (the first), and above them.
    """

    def __init__(self, entry: FilmEntry, desk: Desk, layers: Sequence[Mapping[str, Any]]) -> None:
        self._entry, self._desk, self._layers = entry, desk, tuple(layers)
        self.problem = ""
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._marked = threading.Event()
        self._opened = ""  # fingerprint
        self._file: tuple[int, int] | None = None  # size and time when it was last the same
        self._film: tuple[int, ScriptedFilm] | None = None
        self._keys: tuple[ScriptedFilm, tuple[str, ...]] | None = None

    def read(self, then: Callable[[], None]) -> None:
        """Read the whole file once, in a thread of its own: the keys of shots have its hash.

        Args:
            then: Called when that is done.

        Raises:
            GuidanceError: If there is none.
        """
        self._opened = fingerprint(self._entry.path)

        def run() -> None:
            try:
                film_mark(self._entry.path)
            except MediaError as error:
                self.problem = str(error)
                return
            self._marked.set()
            then()

        threading.Thread(target=run, name="vidcolor-mark", daemon=True).start()

    @property
    def is_read(self) -> bool:
        """Whether keys can be had."""
        return self._marked.is_set()

    def wait(self, report: Report) -> None:
        """Wait until keys can be had.

        Raises:
            MediaError: If the film cannot be read.
        """
        while not self._marked.wait(_POLL_S):
            report.check()
            if self.problem:
                raise MediaError(self.problem)

    def now(self) -> ScriptedFilm | None:
        """The film as it was looked at last; None if nobody has."""
        with self._lock:
            return None if self._film is None else self._film[1]

    def film(self) -> ScriptedFilm:
        """The film with its script as it is now.

        Raises:
            NotMade: If its shots are not known yet.
            VidcolorError: If the script is broken, or the film is not what was opened.
        """
        self._check_file()
        while True:
            revision = self._desk.revision
            with self._lock:
                if self._film is not None and self._film[0] == revision:
                    return self._film[1]
            if self._desk.script is None:
                raise NotMade("the shots of the film are still looked for; wait a moment")
            film = ScriptedFilm.open(self._entry.path, self._entry.script, self._layers)
            with self._lock:
                if self._desk.revision == revision:
                    if self._film is None or self._film[0] != revision:
                        self._film = revision, film
                    return self._film[1]

    def keys(self) -> tuple[str, ...] | None:
        """Keys of all shots; None while the film is not read, or if something is wrong."""
        if not self.is_read or self._desk.script is None:
            return None
        try:
            film = self.film()
            with self._reading:
                if self._keys is None or self._keys[0] is not film:
                    self._keys = film, film.keys()
                self.problem = ""
                return self._keys[1]
        except VidcolorError as error:
            self.problem = str(error)
            return None

    def _check_file(self) -> None:
        """See that the film is what it was when it was opened; it is only looked at if it changed.

        Raises:
            MediaError: If it is not.
        """
        path = self._entry.path
        try:
            state = path.stat()
        except OSError as error:
            raise MediaError(
                f"{self._entry.name} cannot be read any more ({reason(error)}); put it back, or "
                "choose another film"
            ) from error
        now = state.st_size, state.st_mtime_ns
        if now != self._file:
            if fingerprint(path) != self._opened:
                raise MediaError(
                    f"{self._entry.name} is another film than the one that was opened; put that "
                    "one back, or start the program again"
                )
            self._file = now
