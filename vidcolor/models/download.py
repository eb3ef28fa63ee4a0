"""Downloads that resume, are verified, and appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import http
import http.client
import logging
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from vidcolor.errors import WeightsError

__all__ = ["Progress", "download", "file_sha256"]

_log = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Told of the bytes that are there and of the total, if known."""

_CHUNK = 1 << 18
_TIMEOUT_S = 30.0
_FRUITLESS = 3  # attempts in a row that bring not a byte
_SCHEMES = ("http", "https", "file")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    check: Callable[[Path], None] | None = None,
    progress: Progress | None = None,
) -> str:
    """Fetch a file.

    Bytes go to `target` with `.part` appended, which a later call continues (HTTP Range), and
    are renamed once they are right. Proxies are those of the environment (`https_proxy`, ...).

    Args:
        url: `http`, `https` or `file`.
        target: Where it is to lie; its folder is made.
        sha256: What its SHA-256 must start with, lower-case hex; None if nobody published it.
        size: Bytes it must have, if known.
        check: Raises `WeightsError` if the file at the given path is not what it should be.
        progress: Called as bytes arrive.

    Returns:
        The SHA-256.

    Raises:
        WeightsError: If the server cannot be reached, the transfer breaks off for good, the
            disk is full, or the bytes are wrong. Nothing is then at `target`.
    """
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme not in _SCHEMES:
        raise WeightsError(f"cannot fetch {url}: want {', '.join(_SCHEMES)}, not {scheme!r}")
    part = target.with_name(target.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        resumed = part.exists() and part.stat().st_size > 0
        _transfer(url, part, progress)
        wrong = _fault(part, sha256, size)
        if wrong and resumed:
            _log.warning("%s: what was left of an earlier download does not fit, once more", url)
            part.unlink()
            _transfer(url, part, progress)
            wrong = _fault(part, sha256, size)
        if not wrong and check is not None:
            try:
                check(part)
            except WeightsError as error:
                wrong = str(error)
        if wrong:
            part.unlink()
            raise WeightsError(f"{url} is not the file it should be: {wrong}; nothing installed")
        digest = file_sha256(part)
        part.replace(target)
    except OSError as error:
        raise WeightsError(f"cannot write {error.filename or part}: {error.strerror}") from error
    return digest


def _fault(part: Path, sha256: str | None, size: int | None) -> str:
    """What is wrong with the bytes, or nothing."""
    length = part.stat().st_size
    if size is not None and length != size:
        return f"{length} bytes instead of {size}"
    if sha256 is not None:
        digest = file_sha256(part)
        if not digest.startswith(sha256):
            return f"sha256 {digest[: len(sha256)]} instead of {sha256}"
    return ""


class _Refused(Exception):
    """The server will not give the file; trying again does not help."""


class _Interrupted(Exception):
    """The network failed; trying again may help."""


def _transfer(url: str, part: Path, progress: Progress | None) -> None:
    """Bring `part` to its full length; raises `OSError` for the disk only."""
    fruitless = 0
    while True:
        before = _length(part)
        try:
            total = _attempt(url, part, before, progress)
            after = _length(part)
            if total is None or after >= total:
                return
            cause = f"the server stopped at {after} of {total} bytes"
        except _Refused as error:
            raise WeightsError(f"cannot fetch {url}: {error}") from None
        except _Interrupted as error:
            cause, after = str(error), _length(part)
        fruitless = 0 if after > before else fruitless + 1
        if after == 0:
            host = urllib.parse.urlsplit(url).hostname
            raise WeightsError(f"cannot fetch {url}: {host} does not answer ({cause}); offline?")
        if fruitless >= _FRUITLESS:
            raise WeightsError(
                f"cannot fetch {url}: {cause}; what came is kept, the same command goes on there"
            )


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _attempt(url: str, part: Path, start: int, progress: Progress | None) -> int | None:
    """Append to `part`, or write it anew, what the server gives.

    Returns:
        The length that the whole file has by the server's word, or None.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "vidcolor"})
    remote = not url.startswith("file:")
    if start and remote:
        request.add_header("Range", f"bytes={start}-")
    try:
        # not urlopen(), which keeps the proxies of its first call for good
        response = urllib.request.build_opener().open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            # nothing is left to send: `part` is whole, or longer than the file
            if error.headers.get("Content-Range", "").rpartition("/")[2] == str(start):
                return start
            part.unlink()
            return _attempt(url, part, 0, progress)
        status = f"{error.code} {error.reason}"
        if error.code < 500 and error.code not in (408, 429):
            raise _Refused(status) from None
        raise _Interrupted(status) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise (_Interrupted if remote else _Refused)(str(reason)) from None
    with contextlib.closing(response):
        length = response.headers.get("Content-Length")
        remaining = int(length) if length and length.isdigit() else None
        continues = getattr(response, "status", None) == http.HTTPStatus.PARTIAL_CONTENT
        if continues:
            first = response.headers.get("Content-Range", "").removeprefix("bytes ")
            if first.partition("-")[0] != str(start):
                raise _Refused(f"asked for bytes from {start} on, it sent {first!r}")
        done = start if continues else 0
        total = None if remaining is None else done + remaining
        with part.open("ab" if continues else "wb") as file:
            if progress is not None:
                progress(done, total)
            while chunk := _read(response):
                file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
    return total


def _read(response: IO[bytes]) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from None
