"""What an engine is: it makes a film out of spans, with workers of some kind."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from vidcolor.config import Config
from vidcolor.io.segments import SegmentStore
from vidcolor.spans import Progress, SpanFilm

__all__ = ["Engine", "StoredFilm"]


class StoredFilm(SpanFilm, Protocol):
    """A film whose segments lie in a folder: `PlainFilm` and `ScriptedFilm`."""

    @property
    def config(self) -> Config:
        """Settings of the whole film."""
        ...

    def store(self, output: Path) -> SegmentStore:
        """The finished spans of an output."""
        ...


class Engine(Protocol):
    """Colors whole films."""

    def render(self, film: StoredFilm, output: Path, progress: Progress | None = None) -> int:
        """Color what is not there of a film, and join it.

        Finished spans are kept in `OUTPUT.parts`; whatever ends the run, the next one, with this
        engine or without, goes on from there.

        Args:
            film: The film.
            output: Where it goes, whole or not at all.
            progress: Told how many frames are finished by all workers together, each once; of 0
                now and then, for whoever wants to stop by raising.

        Returns:
            How many frames there are.

        Raises:
            VidcolorError: If the film cannot be read, the output not be written, workers not be
                had, or something that was said does not fit.
        """
        ...
