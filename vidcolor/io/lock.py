"""One process at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from vidcolor.errors import MediaError
from vidcolor.io.source import reason

__all__ = ["only_one"]

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def only_one(path: Path, busy: str) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends.

    Args:
        path: A file for it, in a folder that exists; removed in the end. Where the system has no
            such locks nothing is locked.
        busy: What to say when another process has it.

    Raises:
        MediaError: If another process has it, or the file cannot be made.
    """
    handle = _taken(path, busy)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)


def _taken(path: Path, busy: str) -> int:
    while True:
        try:
            handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        except OSError as error:
            raise MediaError(f"{path}: cannot be written ({reason(error)})") from error
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            there = path.stat().st_ino == os.fstat(handle).st_ino
        except BlockingIOError as error:
            os.close(handle)
            raise MediaError(f"{busy}; wait for it, or give the output another name") from error
        except FileNotFoundError:
            there = False
        except OSError:  # a file system without locks
            return handle
        if there:
            return handle
        os.close(handle)  # who had it before has just removed it
