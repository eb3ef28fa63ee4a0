"""The films that may be opened, and no other file: those that the user named, and uploads.

A browser knows films by a word that is made of their path; it never sends a path. Every upload
lies in a folder of its own, with all that is made of it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidcolor.errors import GuidanceError, MediaError
from vidcolor.given import parse_toml, read_text
from vidcolor.io.image import is_image
from vidcolor.io.source import reason
from vidcolor.names import FILM_EXTENSIONS, natural
from vidcolor.preview.web.desk.disk import check_room
from vidcolor.preview.web.desk.film_check import HEAD_BYTES, check_film, is_text
from vidcolor.preview.web.desk.names import numbered, safe_name
from vidcolor.preview.web.desk.reference_pictures import store_picture

__all__ = ["FilmEntry", "Library"]

SCRIPT_EXTENSION = ".vidcolor"

_MOST_SCRIPT_BYTES = 64 << 20
_LOOK_BYTES = 64 << 20  # of a film between two looks at the disk
_ID_DIGITS = 16
_PARTIAL = ".upload-"
_ABANDONED_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class FilmEntry:
    """A film that may be opened.

    Attributes:
        id: 16 hexadecimal digits of its path: the same as long as it lies where it lies.
        name: For people.
        path: Its file.
        script: The file of its color script, which may not be there yet.
        uploaded: Whether a browser sent it.
    """

    id: str
    name: str
    path: Path
    script: Path
    uploaded: bool = False


class Library:
    """Films that the user named, and those that browsers send. Thread-safe.

    Args:
        films: Files, and folders whose videos are meant; folders are looked through anew each
            time, but not the folders in them.
        folder: Where uploads go; made with the first one.
        upload_limit: Bytes that one may have.

    Raises:
        MediaError: If one of the films is not there, or a folder cannot be listed.
    """

    def __init__(self, films: Sequence[Path], folder: Path, upload_limit: int) -> None:
        self.folder, self.upload_limit = Path(folder), upload_limit
        self._named = tuple(Path(film).absolute() for film in films)
        self._known: dict[str, FilmEntry] = {}
        self._lock = threading.Lock()
        for path in self._named:
            if path.is_dir():
                _videos(path)
            elif not path.exists():
                raise MediaError(f"{path}: no such file")
            elif not path.is_file():
                raise MediaError(f"{path}: is no file; name a video or a folder of videos")
        self._sweep()

    def films(self) -> tuple[FilmEntry, ...]:
        """All films that are there now: those that were named in their order, then uploads."""
        entries: dict[str, FilmEntry] = {}
        for path in self._named:
            for film in _listed(path):
                entry = _entry(film)
                entries.setdefault(entry.id, entry)
        for entry in self._uploads():
            entries.setdefault(entry.id, entry)
        found = _told_apart(tuple(entries.values()))
        with self._lock:
            self._known.update((entry.id, entry) for entry in found)
        return found

    def find(self, name: str) -> FilmEntry:
        """A film by its id.

        Raises:
            GuidanceError: If there is none, or it is not there any more.
        """
        with self._lock:
            entry = self._known.get(name)
        if entry is None:
            self.films()
            with self._lock:
                entry = self._known.get(name)
        if entry is None:
            raise GuidanceError("there is no such film; choose one from the list of films")
        if not entry.path.is_file():
            raise GuidanceError(
                f"{entry.name} is not there any more: it was moved or removed; put it back, or "
                "choose another film"
            )
        return entry

    # -- uploads ---------------------------------------------------------------------------------

    def receive(self, name: str, chunks: Iterable[bytes]) -> FilmEntry:
        """Take a film that comes in pieces: whole or not at all.

        Args:
            name: As the browser calls it; any text. A second one of that name gets a number.
            chunks: Its bytes; whatever they raise goes on, and nothing is left.

        Raises:
            MediaError: If it is too large, no film, or the disk fails.
        """
        shown = safe_name(name, "film")
        if is_image(shown):
            raise MediaError(
                f"{shown}: is a picture, not a film; add it to a film as a reference picture"
            )
        partial = self._partial(shown)
        try:
            self._write(partial, shown, chunks)
            suffix = check_film(partial, shown)
            if Path(shown).suffix not in FILM_EXTENSIONS:
                shown += suffix
            path = self._land(partial, shown)
        except OSError as error:
            if isinstance(error, MediaError):
                raise
            raise MediaError(
                f"{shown}: cannot be kept ({reason(error)}); make room, or name the film when you "
                "start vidcolor"
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        entry = replace(_entry(path), uploaded=True)
        with self._lock:
            self._known[entry.id] = entry
        return entry

    def _partial(self, shown: str) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(
                f"{shown}: cannot be kept, {self.folder} cannot be made ({reason(error)})"
            ) from error
        return self.folder / f"{_PARTIAL}{secrets.token_hex(8)}"

    def _write(self, partial: Path, shown: str, chunks: Iterable[bytes]) -> None:
        """Write what comes, and stop where it is too much or plainly no film."""
        written, looked, head = 0, 0, b""
        with partial.open("xb") as file:
            for chunk in chunks:
                written += len(chunk)
                if written > self.upload_limit:
                    raise MediaError(
                        f"{shown}: is larger than {_size(self.upload_limit)}, which is what may be "
                        "sent; name the film when you start vidcolor instead"
                    )
                head += chunk[: HEAD_BYTES - len(head)] if len(head) < HEAD_BYTES else b""
                if written - len(chunk) >= looked:
                    check_room(self.folder, shown)
                    looked = written + _LOOK_BYTES
                file.write(chunk)
            if not written:
                raise MediaError(f"{shown}: is empty")
            if is_text(head):
                raise MediaError(f"{shown}: is a text, not a film")
            file.flush()
            os.fsync(file.fileno())

    def _land(self, partial: Path, shown: str) -> Path:
        for name in numbered(shown):
            home = self.folder / name
            try:
                home.mkdir()
            except FileExistsError:
                continue
            try:
                return partial.rename(home / name)
            except BaseException:
                shutil.rmtree(home, ignore_errors=True)
                raise
        raise AssertionError("numbers do not end")

    def _uploads(self) -> Iterator[FilmEntry]:
        try:
            homes = sorted(self.folder.iterdir(), key=lambda path: natural(path.name))
        except OSError:
            return
        for home in homes:
            film = home / home.name
            plain = not home.name.startswith(".") and not home.is_symlink() and home.is_dir()
            if plain and not film.is_symlink() and film.is_file():
                yield replace(_entry(film), uploaded=True)

    def _sweep(self) -> None:
        """Remove what a run that was killed has left; another one may still be receiving."""
        try:
            left = [path for path in self.folder.iterdir() if path.name.startswith(_PARTIAL)]
            for path in left:
                if time.time() - path.lstat().st_mtime > _ABANDONED_S:
                    path.unlink(missing_ok=True)
        except OSError:
            return

    def receive_picture(self, film: str, name: str, data: bytes) -> str:
        """Take a reference picture, into `STEM.references` beside the script of a film.

        Args:
            film: Id of the film.
            name: As the browser calls the picture; any text.
            data: PNG, JPEG or TIFF.

        Returns:
            Where it lies, as the script names it: seen from the script's folder.

        Raises:
            GuidanceError: If there is no such film, or it is no picture, too large, or gray.
            MediaError: If it cannot be kept.
        """
        script = self.find(film).script
        return store_picture(script.with_suffix(".references"), name, data)


def _entry(path: Path) -> FilmEntry:
    path = path.absolute()
    name = path.name.encode(errors="replace").decode()
    resolved = os.fsencode(os.path.realpath(path))
    return FilmEntry(
        hashlib.sha256(resolved).hexdigest()[:_ID_DIGITS], name, path, _script_of(path)
    )


def _script_of(film: Path) -> Path:
    """`STEM.vidcolor`; where another film of that stem lies beside it and has that, the full name.

    The script says for which of them it is.
    """
    plain = film.with_suffix(SCRIPT_EXTENSION)
    own = film.with_name(film.name + SCRIPT_EXTENSION)
    if own.exists():
        return own
    try:
        name = parse_toml(read_text(plain, _MOST_SCRIPT_BYTES))["source"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return plain
    other = isinstance(name, str) and name != film.name and Path(name).stem == film.stem
    return own if other and film.with_name(Path(name).name).is_file() else plain


def _told_apart(entries: tuple[FilmEntry, ...]) -> tuple[FilmEntry, ...]:
    """Films of one name in several folders are called by their folder, too."""
    names = [entry.name for entry in entries]
    return tuple(
        replace(entry, name=f"{entry.path.parent.name}/{entry.name}")
        if names.count(entry.name) > 1
        else entry
        for entry in entries
    )


def _listed(path: Path) -> list[Path]:
    """A film, or the videos of a folder; nothing if it has gone."""
    if path.is_file():
        return [path]
    try:
        return _videos(path) if path.is_dir() else []
    except MediaError:
        return []


def _videos(folder: Path) -> list[Path]:
    """Videos directly in a folder, in natural order; hidden files are left out.

    Raises:
        MediaError: If it cannot be listed.
    """
    try:
        found = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in FILM_EXTENSIONS
            and not path.name.startswith(".")
            and path.is_file()
        ]
    except OSError as error:
        raise MediaError(f"{folder}: cannot be listed ({reason(error)})") from error
    return sorted(found, key=lambda path: natural(path.name))


def _size(count: int) -> str:
    return f"{count / 2**30:.3g} GB" if count >= 2**30 else f"{count / 2**20:.3g} MB"
