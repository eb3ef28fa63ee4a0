"""Files that workers need, known by their content, and the folder of a machine that keeps them.

A file that lies on the worker's machine under the same path is used where it is: with a shared
file store nothing is ever sent. What is not there comes in chunks, once for each machine, and is
kept under its hash, so that all workers of the machine, and later runs, find it.

    SCRATCH/files/3fc1...e2           whole, whoever put it there
    SCRATCH/files/.3fc1...e2.1f0c     on its way
    SCRATCH/work/a1b2c3/              of one worker, which holds a lock on it while it lives
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vidcolor.errors import MediaError
from vidcolor.io.source import reason
from vidcolor.marks import film_mark

__all__ = [
    "CHUNK_BYTES",
    "Holding",
    "NodeFiles",
    "WorkFolder",
    "hold",
    "scratch_folder",
    "send",
]

CHUNK_BYTES = 16 << 20
"""What is sent at a time."""

_ENDS_BYTES = 1 << 18
_SPARE_BYTES = 1 << 30  # that stay free for segments
_ABANDONED_S = 24 * 3600.0  # after which a file on its way is no longer on its way
_LOCK = "lock"


def scratch_folder() -> Path:
    """Where a machine keeps what it was sent: `VIDCOLOR_SCRATCH`, or the folder for such things."""
    chosen = os.environ.get("VIDCOLOR_SCRATCH")
    if chosen:
        return Path(chosen).expanduser()
    return Path(tempfile.gettempdir()) / f"vidcolor-{os.getuid()}"


@dataclass(frozen=True, slots=True)
class Holding:
    """A file that a worker needs.

    Attributes:
        path: Where it lies on the driver's machine.
        size: In bytes.
        changed_ns: When it was changed.
        ends: A hash of its first and last 256 KB.
        sha256: Of all of it.
    """

    path: str
    size: int
    changed_ns: int
    ends: str
    sha256: str


def hold(path: Path) -> Holding:
    """What is to be known of a file of the driver's.

    Raises:
        MediaError: If it cannot be read.
    """
    try:
        path = path.expanduser().absolute()
        state = path.stat()
        ends = _ends(path, state.st_size)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({reason(error)})") from error
    return Holding(str(path), state.st_size, state.st_mtime_ns, ends, film_mark(path))


def _ends(path: Path, size: int) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_ENDS_BYTES))
        file.seek(max(0, size - _ENDS_BYTES))
        digest.update(file.read())
    return digest.hexdigest()


class NodeFiles:
    """The files of one machine; any number of processes may use them at the same time.

    Args:
        scratch: Its folder; it is made when something comes.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._folder = scratch / "files"
        self._cores: IO[str] | None = None  # locked as long as it is open

    def find(self, wanted: Holding) -> Path | None:
        """A file with that content: under the path that the driver has it, or sent before.

        Where size and time of change are the driver's, as on a shared store, both ends are
        compared; else a file of the same size is read once and its hash compared.
        """
        path = Path(wanted.path)
        with contextlib.suppress(OSError, MediaError):
            state = path.stat()
            if state.st_size == wanted.size:
                same_time = state.st_mtime_ns == wanted.changed_ns
                if same_time and _ends(path, wanted.size) == wanted.ends:
                    return path
                if not same_time and film_mark(path) == wanted.sha256:
                    return path
        kept = self._kept(wanted)
        with contextlib.suppress(OSError):
            if kept.stat().st_size == wanted.size:
                os.utime(kept)  # the least recently used is the first to go
                return kept
        return None

    def receive(self, wanted: Holding, chunk: bytes, offset: int, part: str) -> None:
        """A chunk of a file; chunks come in order, and the last one makes it whole.

        Args:
            wanted: The file.
            chunk: Its bytes from `offset`.
            offset: How many came before.
            part: A name for this sending, so that two do not write into each other.

        Raises:
            MediaError: If the disk fails or is full, or the content is not what was announced.
        """
        kept = self._kept(wanted)
        temporary = kept.with_name(f".{kept.name}.{part}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if offset == 0:
                self._make_room(wanted.size)
            with temporary.open("r+b" if offset else "wb") as file:
                if file.seek(0, os.SEEK_END) != offset:
                    raise OSError("chunks came out of order")
                file.write(chunk)
                if offset + len(chunk) < wanted.size:
                    return
                file.flush()
                os.fsync(file.fileno())
            with temporary.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != wanted.sha256:
                raise OSError("its content changed on the way, or while it was sent")
            temporary.replace(kept)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise MediaError(
                f"{wanted.path}: cannot be kept in {self._folder} ({error.strerror or error}); "
                "set VIDCOLOR_SCRATCH to a folder with room"
            ) from error

    def _kept(self, wanted: Holding) -> Path:
        return self._folder / wanted.sha256

    def _make_room(self, size: int) -> None:
        """Let go of what no worker that lives is using, the least recently used first."""
        used = self._used()
        for path in sorted(self._folder.iterdir(), key=_changed):
            if _on_its_way(path):
                continue
            if not path.name.startswith("."):
                free = shutil.disk_usage(self._folder).free
                if path.name in used or free >= size + _SPARE_BYTES:
                    continue
            path.unlink(missing_ok=True)

    def _used(self) -> set[str]:
        """Names of files that folders of living workers point to."""
        found: set[str] = set()
        for folder in self._work_folders():
            for link in folder.rglob("*"):
                if link.is_symlink():
                    found.add(link.readlink().name)
        return found

    def _work_folders(self) -> list[Path]:
        work = self.scratch / "work"
        if not work.is_dir():
            return []
        return [path for path in work.iterdir() if not path.name.startswith(".")]

    def cores(self, count: int) -> list[int]:
        """Cores that no other worker of this machine has taken; they stay this process's.

        Args:
            count: How many.

        Returns:
            Their numbers; none where workers have taken them all or a system has no such thing.

        Raises:
            MediaError: If the folder cannot be written.
        """
        if not hasattr(os, "sched_getaffinity"):
            return []
        there = sorted(os.sched_getaffinity(0))
        try:
            (self.scratch / "cores").mkdir(parents=True, exist_ok=True)
            for first in range(0, len(there) - count + 1, count):
                wanted = there[first : first + count]
                lock = (self.scratch / "cores" / str(wanted[0])).open("a")
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    lock.close()
                    continue
                self._cores = lock
                return wanted
        except OSError as error:
            raise _unwritable(self.scratch, error) from error
        return []

    def sweep(self) -> None:
        """Remove the folders of workers that are no more."""
        for folder in self._work_folders():
            _remove_if_left(folder)

    def open_work(self) -> WorkFolder:
        """A new folder for one worker; those of workers that are no more are removed.

        Raises:
            MediaError: If it cannot be made.
        """
        try:
            self.sweep()
            return WorkFolder(self.scratch / "work")
        except OSError as error:
            raise _unwritable(self.scratch, error) from error


class WorkFolder:
    """A folder that is its process's own as long as that lives.

    Attributes:
        path: The folder.

    Args:
        parent: Where it is made.
    """

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        self.path = parent / secrets.token_hex(6)
        hidden = parent / f".{self.path.name}"  # nobody takes it for one that was left behind
        hidden.mkdir()
        self._lock = (hidden / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        hidden.rename(self.path)

    def lay(self, name: str, files: Iterable[tuple[str, Path]], folder: bool) -> Path:
        """Point to files, so that they have the names that they had with the driver.

        Args:
            name: A folder in this one, which is made anew.
            files: The name of each below that folder, and where it lies.
            folder: Whether they are the content of a folder; else it is one file.

        Returns:
            The folder, or the one file in it.
        """
        place = self.path / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        link = place
        for below, path in files:
            link = place / below
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
        return place if folder else link

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _unwritable(folder: Path, error: OSError) -> MediaError:
    return MediaError(
        f"{folder}: cannot be written ({reason(error)}); set VIDCOLOR_SCRATCH to another folder"
    )


def _remove_if_left(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError), (folder / _LOCK).open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(folder, ignore_errors=True)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _on_its_way(path: Path) -> bool:
    return path.name.startswith(".") and time.time() - _changed(path) < _ABANDONED_S


def send(
    wanted: Holding, receive: Callable[[bytes, int], None], chunk_bytes: int = CHUNK_BYTES
) -> None:
    """Read a file in chunks, for `NodeFiles.receive`.

    Args:
        wanted: A file of this machine.
        receive: Told a chunk and how many bytes came before.
        chunk_bytes: What is sent at a time.

    Raises:
        MediaError: If the file cannot be read or has changed.
    """
    offset = 0
    try:
        with Path(wanted.path).open("rb") as file:
            while offset < wanted.size or offset == 0:
                chunk = file.read(min(chunk_bytes, wanted.size - offset))
                if not chunk and wanted.size:
                    break
                receive(chunk, offset)
                offset += len(chunk)
                if not wanted.size:
                    return
    except OSError as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{wanted.path}: cannot be read ({reason(error)})") from error
    if offset != wanted.size:
        raise MediaError(f"{wanted.path}: changed while it was sent; run again")
