"""The file of a color script that others may change at any time."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Protocol

from vidcolor.config import Config
from vidcolor.errors import GuidanceError, MediaError
from vidcolor.guidance.script.entries import ColorScript
from vidcolor.guidance.script.file import check_source, read_script
from vidcolor.io.source import reason
from vidcolor.io.target import Target
from vidcolor.schema import load

__all__ = ["Film", "ScriptFile"]

_TRIES = 5  # to read a file that somebody writes at the same moment

_check = functools.partial(load, Config)


class Film(Protocol):
    """The film whose script it is."""

    @property
    def path(self) -> Path:
        """Its file."""

    @property
    def script(self) -> Path:
        """The file of its script, which may not be there yet."""


class ScriptFile:
    """A file that is read only if it has changed, and written only if nobody else has written it.

    Whether it has changed is seen by its content: times and sizes miss what happens at once.

    Args:
        film: The film, and where its script lies.
    """

    def __init__(self, film: Film) -> None:
        self._film, self._path = film, film.script
        self._data: bytes | None = None  # of the file, as far as we know

    def take(self, data: bytes) -> None:
        """Remember that this content is known."""
        self._data = data

    def read(self) -> tuple[ColorScript, bytes] | None:
        """The script and its bytes, if somebody else has written it.

        A file that was taken away counts as unchanged: it is there again after the next change.

        Raises:
            GuidanceError: If it cannot be read, is no color script, or for another film.
        """
        data = self._bytes()
        if data is None or data == self._data:
            return None
        for _ in range(_TRIES):
            script = self._parsed()
            before, data = data, self._bytes()
            if data == before:
                return script, data
            if data is None:
                return None
        raise GuidanceError(f"{self._path.name}: somebody keeps writing it; try again in a moment")

    def save(self, script: ColorScript, data: bytes) -> None:
        """Write a script, see that it reads back the same, and only then give it the name.

        Args:
            script: What `data` must mean.
            data: The file.

        Raises:
            GuidanceError: If it does not read back, or somebody else has saved it meanwhile.
            MediaError: If it cannot be written.
        """
        try:
            target = Target(self._path, True, (self._film.path,))
            try:
                target.temporary.write_bytes(data)
                self._check(target.temporary, script)
                if self._bytes() not in (None, self._data):
                    raise GuidanceError(
                        f"{self._path.name} was saved by somebody else at this moment; do that "
                        "again"
                    )
                target.land()
            finally:
                target.discard()
        except OSError as error:  # MediaError is one
            why = str(error) if isinstance(error, MediaError) else reason(error)
            raise MediaError(
                f"{self._path.name}: the color script cannot be saved, nothing has changed: "
                f"{self._named(why)}. Make its folder writable, or move the film into one that is"
            ) from error
        self._data = data

    def _parsed(self) -> ColorScript:
        try:
            script = read_script(self._path, _check)
            check_source(script, self._path, self._film.path)
        except GuidanceError as error:
            raise GuidanceError(self._named(str(error))) from None
        return script

    def _check(self, path: Path, script: ColorScript) -> None:
        try:
            good = read_script(path, _check) == script
        except GuidanceError as error:
            told = str(error).replace(str(path), self._path.name)
            raise GuidanceError(f"this cannot be saved, nothing has changed: {told}") from None
        if not good:
            raise GuidanceError(
                "this cannot be saved as it is, nothing has changed; write the text differently"
            )

    def _bytes(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise GuidanceError(
                f"{self._path.name}: the color script cannot be read ({reason(error)}); look at "
                "the file"
            ) from None

    def _named(self, text: str) -> str:
        """A message without folders."""
        for path in (self._path, self._film.path):
            text = text.replace(str(path), path.name)
        return text
