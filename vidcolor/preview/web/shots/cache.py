"""Pictures and clips that were made to be looked at, kept for the next time.

    PREVIEWS/
      3fc1...e2/            a film, by its fingerprint
        8a40...77/          an entry: a folder, or a file
        .8a40...77.partial-1f2e3d4c/    in the making, or left behind by a process that was killed

An entry is there whole or not at all, also when several programs share the folder. What is not
used for longest goes first.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from vidcolor.errors import MediaError
from vidcolor.io.source import reason

__all__ = ["MOST_BYTES", "Draft", "ViewCache"]

MOST_BYTES = 4 << 30
"""What all entries together may take."""

_WORD = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z._-]{0,119}")
_PUTS_TO_A_LOOK = 64  # files are small; it is enough to look now and then what all of them take
_LEFT_BEHIND_S = 24 * 3600.0  # nothing is in the making for longer


class Draft:
    """An entry to be.

    Attributes:
        path: Where it is made.
    """

    def __init__(self, final: Path) -> None:
        self._final = final
        self.path = final.with_name(f".{final.name}.partial-{secrets.token_hex(4)}")

    def land(self) -> Path:
        """Give it its name; if somebody else was faster, theirs stays.

        Raises:
            MediaError: If the disk fails.
        """
        try:
            self.path.rename(self._final)
        except OSError as error:
            if not self._final.exists():
                raise MediaError(
                    f"{self._final.parent}: previews cannot be kept ({reason(error)}); make room "
                    "there, or set VIDCOLOR_CACHE to another folder"
                ) from error
            self.discard()
        return self._final

    def discard(self) -> None:
        """Remove what was made, if it has not landed."""
        if self.path.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)


class ViewCache:
    """Entries by film and name, bounded in bytes. Thread-safe, and safe among processes.

    Args:
        root: The folder; made when it is needed.
        most_bytes: What all entries together may take.
    """

    def __init__(self, root: Path, most_bytes: int = MOST_BYTES) -> None:
        self.root, self.most_bytes = root, most_bytes
        self._lock = threading.Lock()
        self._puts = 0
        self._sizes: dict[tuple[str, int], int] = {}  # entries do not change once they are there

    def path(self, film: str, name: str) -> Path:
        """Where an entry lies, or will.

        Raises:
            ValueError: If film or name is no plain word.
        """
        for word in (film, name):
            if _WORD.fullmatch(word) is None:
                raise ValueError(f"a name in the cache is letters, digits, . - and _, not {word!r}")
        return self.root / film / name

    def find(self, film: str, name: str) -> Path | None:
        """An entry, which counts as used now; None if it is not there."""
        path = self.path(film, name)
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def has(self, film: str, name: str) -> bool:
        """Whether an entry is there; that is no use of it."""
        return self.path(film, name).exists()

    def names(self, film: str) -> frozenset[str]:
        """All entries of a film: one look at its folder instead of one at each."""
        try:
            with os.scandir(self.root / film) as entries:
                return frozenset(entry.name for entry in entries)
        except OSError:
            return frozenset()

    @contextlib.contextmanager
    def draft(self, film: str, name: str) -> Iterator[Draft]:
        """A folder to fill; gone at the end of the context if it has not landed by then.

        Raises:
            MediaError: If it cannot be made.
        """
        draft = self._draft(film, name)
        try:
            draft.path.mkdir()
        except OSError as error:
            raise self._no_room(error) from error
        try:
            yield draft
        finally:
            draft.discard()
        self.prune()

    def put(self, film: str, name: str, data: bytes) -> Path:
        """Keep a file.

        Raises:
            MediaError: If the disk fails.
        """
        draft = self._draft(film, name)
        try:
            draft.path.write_bytes(data)
            path = draft.land()
        except OSError as error:
            raise self._no_room(error) from error
        finally:
            draft.discard()
        self._puts += 1
        if self._puts % _PUTS_TO_A_LOOK == 0:
            self.prune()
        return path

    def prune(self) -> int:
        """Remove what is above the limit, least recently used first, and what was left behind.

        Returns:
            How many entries were removed.
        """
        with self._lock:
            entries: list[tuple[float, int, Path]] = []
            old = time.time() - _LEFT_BEHIND_S
            for path in self.root.glob("*/*"):
                try:
                    used = path.stat().st_mtime
                except OSError:
                    continue
                if not path.name.startswith("."):
                    entries.append((used, self._size(path), path))
                elif used < old:
                    _remove(path)
            excess = sum(size for _, size, _ in entries) - self.most_bytes
            removed = 0
            for _, size, path in sorted(entries, key=lambda entry: entry[0]):
                if excess <= 0:
                    break
                self._drop(path)
                excess, removed = excess - size, removed + 1
            return removed

    def drop(self, film: str, name: str) -> None:
        """Forget an entry."""
        self._drop(self.path(film, name))

    def _drop(self, path: Path) -> None:
        """Whoever looks finds the whole entry or none."""
        away = path.with_name(f".{path.name}.gone-{secrets.token_hex(4)}")
        with contextlib.suppress(OSError):
            path.rename(away)
            _remove(away)

    def _draft(self, film: str, name: str) -> Draft:
        final = self.path(film, name)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._no_room(error) from error
        return Draft(final)

    def _no_room(self, error: OSError) -> MediaError:
        return MediaError(
            f"{self.root}: previews cannot be kept there ({reason(error)}); make room, or set "
            "VIDCOLOR_CACHE to another folder"
        )

    def _size(self, path: Path) -> int:
        state = path.stat()
        if path.is_file():
            return state.st_size
        mark = (str(path), state.st_ino)
        if mark not in self._sizes:
            inside = (one.stat().st_size for one in path.rglob("*") if one.is_file())
            self._sizes[mark] = sum(inside)
        return self._sizes[mark]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
