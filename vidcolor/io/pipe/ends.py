"""Ends of pipes: bytes that pass once, in order; whoever waits for them can be called off."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

from vidcolor.errors import MediaError
from vidcolor.io.pipe.structure import Structure
from vidcolor.io.source import reason

__all__ = ["PipeEnd", "PipeIn", "PipeOut", "is_pipe", "must_be_file"]

_DASH = "-"
_ATOMIC = 4096
"""Bytes for which a pipe that polls as writable has room, so that writing them never waits."""
_MUCH = 1 << 20


def is_pipe(path: str | Path) -> bool:
    """Whether a name stands for bytes that pass only once: `-`, a FIFO, `/dev/stdin` of a pipe.

    Args:
        path: As the user named an input or output; a file called `-` has to be named with its
            folder's whole path.
    """
    if str(path) == _DASH:
        return True
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def must_be_file(path: str | Path, why: str) -> None:
    """Look whether a name stands for a file, which can be read more than once.

    Args:
        path: As the user named it.
        why: What needs that, as the beginning of a sentence.

    Raises:
        MediaError: If it is a pipe.
    """
    if is_pipe(path):
        name = _NAMES.get(str(path), str(path))
        raise MediaError(f"{name}: {why} cannot work on a pipe; write the film to a file first")


_NAMES = {_DASH: "standard input or output"}


class PipeEnd:
    """What both ends share.

    Attributes:
        path: How the end is called in messages.

    Args:
        path: See above.
        descriptor: Open; closed by `close`.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._called_off = False
        self._woken, self._wake = os.pipe()

    def cancel(self) -> None:
        """Let whoever waits in another thread go on, as if the other side had ended."""
        if not self._called_off and self._descriptor >= 0:
            self._called_off = True
            os.write(self._wake, b"!")

    def close(self) -> None:
        """Close; the program on the other side learns of it."""
        for descriptor in (self._descriptor, self._woken, self._wake):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._woken = self._wake = -1
        self._called_off = True

    def _wait(self, event: int) -> bool:
        """Wait for the other side; False if called off."""
        if self._called_off:
            return False
        waiting = select.poll()
        waiting.register(self._descriptor, event)
        waiting.register(self._woken, select.POLLIN)
        ready = dict(waiting.poll())
        return self._woken not in ready

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class PipeIn(PipeEnd):
    """The end that is read.

    Attributes:
        path: How it is called in messages.
        interrupted: What a signal raised while FFmpeg was waiting here; to be raised again by
            whoever called FFmpeg, which cannot pass it on.

    Args:
        path: `-`, a FIFO, or a device.

    Raises:
        MediaError: If it cannot be opened, or is a terminal.
    """

    def __init__(self, path: str | Path) -> None:
        name = Path("standard input" if str(path) == _DASH else path)
        opened = _opened(name, _taken_stdin if str(path) == _DASH else _reading(path))
        super().__init__(name, opened)
        self.interrupted: BaseException | None = None
        self._ahead = b""
        self._structure = Structure()

    def read(self, count: int) -> bytes:
        """Some bytes, up to `count`; none at the end, or when called off.

        Raises:
            OSError: If the system fails.
        """
        if self._ahead:
            data, self._ahead = self._ahead[:count], self._ahead[count:]
            return data
        try:
            return self._received(count)
        except OSError:
            raise
        except BaseException as raised:  # noqa: BLE001  (FFmpeg would print and forget it)
            self.interrupted = raised
            self.cancel()
            return b""

    def head(self, count: int) -> bytes:
        """The first `count` bytes, or fewer if there are no more; they are read again later."""
        while len(self._ahead) < count:
            more = self._received(count - len(self._ahead))
            if not more:
                break
            self._ahead += more
        return self._ahead[:count]

    def missing(self) -> str | None:
        """What shows that the other side broke off, in a few words; asked at the end."""
        return None if self._called_off else self._structure.missing()

    def _received(self, count: int) -> bytes:
        if not self._wait(select.POLLIN):
            return b""
        data = os.read(self._descriptor, count)
        self._structure.feed(data)
        return data


class PipeOut(PipeEnd):
    """The end that is written.

    While standard output is used, whatever else in the program prints there goes to standard
    error.

    Attributes:
        path: How it is called in messages.
        broken: The other side has closed.

    Args:
        path: `-`, a FIFO, or a device. A FIFO waits for somebody to read.

    Raises:
        MediaError: If it cannot be opened, or is a terminal.
    """

    def __init__(self, path: str | Path) -> None:
        name = Path("standard output" if str(path) == _DASH else path)
        super().__init__(
            name, _opened(name, _taken_stdout if str(path) == _DASH else _writing(path))
        )
        self.broken = False
        is_fifo = stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)
        self._most = _ATOMIC if is_fifo else _MUCH
        self._held: bytearray | None = None

    def write(self, data: bytes) -> int:
        """Write all of it, and wait while the other side is behind; nothing when called off.

        Raises:
            BrokenPipeError: If the other side has closed; once.
            OSError: If the system fails.
        """
        if self._held is not None:
            self._held += data
            return len(data)
        at = 0
        view = memoryview(data)
        while at < len(data) and not self.broken and self._wait(select.POLLOUT):
            try:
                at += os.write(self._descriptor, view[at : at + self._most])
            except BrokenPipeError:
                self.broken = True
                raise
        return len(data)

    def hold(self) -> None:
        """Keep what is written until `release`."""
        self._held = bytearray()

    def release(self, changed: Callable[[bytes], bytes]) -> None:
        """Write what was kept, changed."""
        held, self._held = bytes(self._held or b""), None
        if held:
            self.write(changed(held))


def _opened(name: Path, opening: Callable[[], int]) -> int:
    """An open descriptor that is no terminal."""
    try:
        descriptor = opening()
    except OSError as error:
        if isinstance(error, MediaError):
            raise
        closed = error.errno == errno.EBADF
        why = "is closed" if closed else f"cannot be opened ({reason(error)})"
        raise MediaError(f"{name}: {why}") from error
    if os.isatty(descriptor):
        os.close(descriptor)
        raise MediaError(f"{name}: is a terminal, and a film is no text; use a pipe or a file")
    return descriptor


def _reading(path: str | Path) -> Callable[[], int]:
    return lambda: os.open(path, os.O_RDONLY)


def _writing(path: str | Path) -> Callable[[], int]:
    return lambda: os.open(path, os.O_WRONLY)


def _taken_stdin() -> int:
    """Standard input; descriptor 0 lets go of it, so that closing it ends whoever writes."""
    descriptor = os.dup(0)
    if not os.isatty(descriptor):
        _put(os.open(os.devnull, os.O_RDONLY), 0)
    return descriptor


def _taken_stdout() -> int:
    """Standard output; descriptor 1 becomes standard error."""
    descriptor = os.dup(1)
    if not os.isatty(descriptor):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
        try:
            other = os.dup(2)
        except OSError:
            other = os.open(os.devnull, os.O_WRONLY)
        _put(other, 1)
    return descriptor


def _put(descriptor: int, number: int) -> None:
    os.dup2(descriptor, number)
    os.close(descriptor)
