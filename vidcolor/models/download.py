"""Downloads that resume, are verified, and appear whole or not at all."""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import errno
import hashlib
import http
import http.client
import logging
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from vidcolor.errors import WeightsError
from vidcolor.models.addresses import Refused, opener, shown, unfit

if sys.platform == "win32":
    import msvcrt

    _TAKEN = PermissionError
else:
    import fcntl

    _TAKEN = BlockingIOError

__all__ = ["Progress", "alone", "download", "file_sha256"]

_log = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Told of the bytes that are there and of the total, if known."""

_CHUNK = 1 << 18
_TIMEOUT_S = 30.0
_FRUITLESS = 3  # attempts in a row that bring not a byte
_PAUSES_S = (1.0, 4.0)  # before a server that is busy is asked again
_LONGEST_PAUSE_S = 60.0  # that a server may ask for
_POLL_S = 0.2  # between looks at whether another program is done
_MOST_BYTES = 16 << 30  # of a file whose size nobody published
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_ELSEWHERE = "VIDCOLOR_CACHE names another folder"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Let one program in at a time; others wait until it has left.

    A program that dies leaves too. Where the file system knows no locks, a warning says that
    nobody waits.

    Args:
        lock: File to lock; its folder is made, and it is gone afterwards.

    Raises:
        WeightsError: If it cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = _hold(lock)
    except OSError as error:
        raise _unwritable(lock, error) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file: it stays
            lock.unlink()
        held.close()


def _hold(lock: Path) -> IO[bytes]:
    told = False
    while True:
        file = _open(lock, "ab")
        try:
            while not _try_lock(file):
                if not told:
                    _log.info("another program fetches this too (%s): waiting for it", lock)
                    told = True
                time.sleep(_POLL_S)
            # whoever held it has removed the file, and a third program may have made a new one
            if lock.exists() and os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _open(path: Path, mode: str) -> IO[bytes]:
    """Open a file for writing; a link that somebody laid there is not followed."""

    def place(name: str, flags: int) -> int:
        return os.open(name, flags | _NO_LINK, 0o666)

    try:
        return open(path, mode, opener=place)
    except OSError as error:
        if error.errno == errno.ELOOP:
            error.strerror = "it is a link, which is not followed; remove it"
        raise


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except _TAKEN:
        return False
    except OSError as error:
        _log.warning("%s cannot be locked (%s): fetch by one program only", file.name, error)
    return True


def _unwritable(path: Path, error: OSError) -> WeightsError:
    return WeightsError(f"cannot write {error.filename or path}: {error.strerror}; {_ELSEWHERE}")


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    check: Callable[[Path], None] | None = None,
    progress: Progress | None = None,
    plain: bool = False,
) -> str:
    """Fetch a file.

    What comes from another machine comes encrypted, from the first address to the last that it is
    sent on to, unless the user says otherwise by `plain`. Bytes go to `target` with `.part`
    appended, which a later call continues (HTTP Range), and are renamed once they are right.
    Proxies are those of the environment (`https_proxy`, ...). A server that is busy is asked again
    after a while, for as long as it wishes up to a minute.

    Args:
        url: `https`, `file`, or `http` to this machine; without a name and password.
        target: Where it is to lie; its folder is made.
        sha256: What its SHA-256 must start with, lower-case hex; None if nobody published it.
        size: Bytes it must have, if known; no more are taken. Otherwise there is a limit of 16 GB.
        check: Raises `WeightsError` if the file at the given path is not what it should be.
        progress: Called as bytes arrive.
        plain: Take `http` from other machines too. Only `sha256` then says whose file it is.

    Returns:
        The SHA-256.

    Raises:
        WeightsError: If the address may not be used, the server cannot be reached, the transfer
            breaks off for good, the disk is full, or the bytes are wrong. Nothing is then at
            `target`.
    """
    fault = unfit(url, plain)
    if fault:
        raise WeightsError(f"cannot fetch {shown(url)}: {fault}")
    part = target.with_name(target.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        resumed = part.exists() and part.stat().st_size > 0
        _transfer(url, part, size, progress, plain)
        wrong = _fault(part, sha256, size)
        if wrong and resumed:
            _log.warning(
                "%s: what was left of an earlier download does not fit, once more", shown(url)
            )
            part.unlink()
            _transfer(url, part, size, progress, plain)
            wrong = _fault(part, sha256, size)
        if not wrong and check is not None:
            try:
                check(part)
            except WeightsError as error:
                wrong = str(error)
        if wrong:
            part.unlink()
            raise WeightsError(
                f"{shown(url)} is not the file it should be: {wrong}; nothing installed"
            )
        digest = file_sha256(part)
        _flush(part)
        part.replace(target)
        _flush(target.parent)
    except OSError as error:
        raise _unwritable(part, error) from error
    return digest


def _flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    if sys.platform == "win32" and path.is_dir():
        return  # folders cannot be opened there
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # folders on some file systems
            raise
    finally:
        os.close(handle)


def _fault(part: Path, sha256: str | None, size: int | None) -> str:
    """What is wrong with the bytes, or nothing."""
    length = part.stat().st_size
    if size is not None and length != size:
        return f"{f'more than {size}' if length > size else length} bytes instead of {size}"
    if sha256 is not None:
        digest = file_sha256(part)
        if not digest.startswith(sha256):
            return f"sha256 {digest[: len(sha256)]} instead of {sha256}"
    return ""


class _Interrupted(Exception):
    """The network failed; trying again may help."""


class _Busy(Exception):
    """The server answers, but not now; trying again later may help.

    Args:
        status: What it says.
        wait_s: How long it asks to be left alone, if it does.
    """

    def __init__(self, status: str, wait_s: float | None) -> None:
        super().__init__(status)
        self.wait_s = wait_s


def _transfer(
    url: str, part: Path, size: int | None, progress: Progress | None, plain: bool
) -> None:
    """Bring `part` to its full length; raises `OSError` for the disk only."""
    fruitless = busy = 0
    while True:
        before = _length(part)
        try:
            total = _attempt(url, part, before, size, progress, plain)
            after = _length(part)
            if total is None or after >= total or (size is not None and after > size):
                return
            cause = f"the server stopped at {after} of {total} bytes"
        except Refused as error:
            raise WeightsError(f"cannot fetch {shown(url)}: {error}") from None
        except _Busy as error:
            _pause(url, error, busy)
            busy += 1
            continue
        except _Interrupted as error:
            cause, after = str(error), _length(part)
        fruitless, busy = (0, 0) if after > before else (fruitless + 1, busy)
        if after == 0:
            raise WeightsError(
                f"cannot fetch {shown(url)}: {_whom(url)} does not answer ({cause}); offline?"
            )
        if fruitless >= _FRUITLESS:
            raise WeightsError(
                f"cannot fetch {shown(url)}: {cause}; what came is kept, the same command goes "
                f"on there"
            )


def _pause(url: str, busy: _Busy, times: int) -> None:
    """Wait as the server asks; stop if that is too long or was of no use."""
    wait, name = busy.wait_s, shown(url)
    if wait is not None and wait > _LONGEST_PAUSE_S:
        raise WeightsError(f"cannot fetch {name}: {busy}; it asks to come back in {wait:.0f} s")
    if times >= len(_PAUSES_S):
        raise WeightsError(f"cannot fetch {name}: {busy}, asked {times + 1} times; try again later")
    wait = _PAUSES_S[times] if wait is None else wait
    _log.info("%s: %s, once more in %.0f s", name, busy, wait)
    time.sleep(wait)


def _whom(url: str) -> str:
    """The host, and the proxy on the way if there is one; never the proxy's password."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(host):
        return host
    way = urllib.parse.urlsplit(proxy if "://" in proxy else f"//{proxy}")
    return f"{host} through the proxy {way.hostname}" + (f":{way.port}" if way.port else "")


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _attempt(
    url: str, part: Path, start: int, size: int | None, progress: Progress | None, plain: bool
) -> int | None:
    """Append to `part`, or write it anew, what the server gives, and little more than `size`.

    Returns:
        The length that the whole file has by the server's word, or None.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "vidcolor"})
    remote = not url.startswith("file:")
    if start and remote:
        request.add_header("Range", f"bytes={start}-")
    try:
        # not urlopen(), which keeps the proxies of its first call for good
        response = opener(url, plain).open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            # nothing is left to send: `part` is whole, or longer than the file
            if error.headers.get("Content-Range", "").rpartition("/")[2] == str(start):
                return start
            part.unlink()
            return _attempt(url, part, 0, size, progress, plain)
        status = " ".join(f"{error.code} {error.reason}".split())  # of redirects, several lines
        if error.code < 500 and error.code not in (408, 429):
            raise Refused(status) from None
        raise _Busy(status, _retry_after(error.headers.get("Retry-After"))) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLError):
            raise Refused(
                f"no safe connection to {_whom(url)}: {reason} (SSL_CERT_FILE names certificates "
                f"that this machine trusts)"
            ) from None
        raise (_Interrupted if remote else Refused)(str(reason)) from None
    with contextlib.closing(response):
        if remote and response.headers.get_content_type() == "text/html":
            raise Refused("it is a web page there (a login, or a notice), not the file")
        length = response.headers.get("Content-Length")
        remaining = int(length) if length and length.isdigit() else None
        continues = getattr(response, "status", None) == http.HTTPStatus.PARTIAL_CONTENT
        if continues:
            first = response.headers.get("Content-Range", "").removeprefix("bytes ")
            if first.partition("-")[0] != str(start):
                raise Refused(f"asked for bytes from {start} on, it sent {first!r}")
        done = start if continues else 0
        total = None if remaining is None else done + remaining
        most = _MOST_BYTES if size is None else size
        if size is None and total is not None and total > most:
            raise Refused(f"{total} bytes; no more than {most} are taken")
        with _open(part, "ab" if continues else "wb") as file:
            if progress is not None:
                progress(done, total)
            while chunk := _read(response):
                file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
                if done > most:
                    break
    if size is None and done > most:
        part.unlink()
        raise Refused(f"it does not end; no more than {most} bytes are taken")
    return total


def _retry_after(text: str | None) -> float | None:
    """Seconds of a Retry-After, which is a number or a date; None if it is neither."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    now = datetime.datetime.now(datetime.UTC)
    return max(0.0, (until.astimezone(datetime.UTC) - now).total_seconds())


def _read(response: Any) -> bytes:
    try:
        # not read(), which loses what came of a chunk when the line then goes silent
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from None
