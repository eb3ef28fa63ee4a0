"""What goes out to the browser and what comes in: JSON, pictures, files, sentences about errors."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import math
import mimetypes
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from vidcolor.errors import VidcolorError

__all__ = [
    "FAULT",
    "IMMUTABLE",
    "NO_STORE",
    "Refusal",
    "answer",
    "disposition",
    "file_answer",
    "picture_answer",
    "plain",
    "refused",
    "sentence",
    "status_of",
]

FAULT = "a fault of vidcolor; its log has the details"
NO_STORE = "no-store"
IMMUTABLE = "private, max-age=31536000, immutable"
_REVALIDATE = "private, no-cache"
_TAG_DIGITS = 32

_PATH = re.compile(r"(?<![\w/\\:.<])(?:[A-Za-z]:[\\/]|\\\\|~?/)[^\s'\"<>|*?:,;()]*")
_RANGE = re.compile(r"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})")
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}

# what mimetypes does not know everywhere, and what must not depend on the machine's tables
_TYPES = {
    ".mkv": "video/x-matroska",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".vidcolor": "application/toml",
}


class Refusal(Exception):
    """What a request asks for is not given.

    Attributes:
        status: Of HTTP, 4xx or 503.
        message: A sentence for the person in front of the browser.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def plain(value: Any) -> Any:
    """A value as JSON has it: records become objects, fractions numbers, what is no number null.

    Raises:
        TypeError: If there is something in it that is not for the browser, a path for one.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | Fraction):
        number = float(value)
        return number if math.isfinite(number) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not for the browser")


def answer(data: Any, status: int = 200) -> Response:
    """JSON that nobody keeps."""
    # file names that are no text (they can be in folders of Linux) become text here
    text = json.dumps(plain(data), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    body = text.encode("utf-8", "replace")
    return Response(body, status, {"cache-control": NO_STORE}, "application/json")


def refused(status: int, message: str) -> Response:
    """The answer to what is not given: `{"error": sentence}`."""
    return answer({"error": message}, status)


def picture_answer(
    request: Request,
    data: bytes,
    media_type: str,
    key: str | None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A picture; one that is asked for by key never changes.

    Args:
        request: Says which version the browser has.
        data: The file.
        media_type: What it is, `image/jpeg`.
        key: That of its content, if the address has it.
        headers: More to say.
    """
    tag = f'"{hashlib.sha256(data).hexdigest()[:_TAG_DIGITS]}"'
    known = {word.strip().removeprefix("W/") for word in request.headers.getlist("if-none-match")}
    said = {"cache-control": IMMUTABLE if key else _REVALIDATE, "etag": tag, **(headers or {})}
    if tag in known:
        return Response(None, 304, said)
    return Response(data, 200, said, media_type)


class _File(FileResponse):
    """A file in whole or one range of it; ranges that are no ranges count as none."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (name, value)
            for name, value in scope["headers"]
            if name != b"range" or _RANGE.fullmatch(value.decode("latin-1"))
        ]
        await super().__call__({**scope, "headers": headers}, receive, send)


def file_answer(path: Path, *, name: str | None = None, key: str | None = None) -> Response:
    """A file; browsers may ask for a range of it. Reads the disk: call it in a thread.

    Args:
        path: A file that we made or that the user named; never one that the browser named.
        name: Under which the browser saves it; None: it is shown and not saved.
        key: That of its content, if the address has it.

    Raises:
        Refusal: If there is no such file.
    """
    try:
        known = path.stat()
    except OSError:
        known = None
    if known is None or not stat.S_ISREG(known.st_mode):
        raise Refusal(404, "this file is not there any more; make it again")
    headers = {"cache-control": IMMUTABLE if key else _REVALIDATE}
    if name is not None:
        headers["content-disposition"] = disposition(name)
    suffix = path.suffix.lower()
    guessed = _TYPES.get(suffix) or mimetypes.guess_type(f"x{suffix}")[0]
    media_type = guessed or "application/octet-stream"
    return _File(path, headers=headers, media_type=media_type, stat_result=known)


def disposition(name: str) -> str:
    """`Content-Disposition` of a download, for any name (RFC 6266, RFC 5987)."""
    name = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in name) or "film"
    old = "".join(c if c.isascii() and c not in "\"%;'" else "_" for c in name)
    return f"attachment; filename=\"{old}\"; filename*=UTF-8''{quote(name, safe='')}"


def sentence(error: BaseException | str, folders: Iterable[Path] = ()) -> str:
    """What went wrong, without the folders of this machine.

    Args:
        error: It or its message, which names files, maybe by their whole path.
        folders: Those that may be named; they may have spaces in them.
    """
    text = " ".join(str(error).split())
    for folder in sorted({str(folder) for folder in folders}, key=len, reverse=True):
        if len(folder) > 1:
            text = text.replace(folder + os.sep, "")
    return _PATH.sub(_last_name, text)


def _last_name(found: re.Match[str]) -> str:
    path = found[0].rstrip(".")
    kind = PureWindowsPath if "\\" in path or path[1:2] == ":" else PurePosixPath
    return (kind(path).name or path) + found[0][len(path) :]


def status_of(error: Exception) -> tuple[int, str] | None:
    """Status and message of what a user can mend; None for a fault of ours.

    The message may still name folders.
    """
    if isinstance(error, Refusal):
        return error.status, error.message
    if isinstance(error, VidcolorError):
        return 400, str(error)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return 507, "the disk is full; make room and try again"
    if isinstance(error, OSError) and error.errno in _CLOSED:
        name = Path(str(error.filename or "a file")).name
        return 409, f"{name}: cannot be written; look at the rights of its folder and try again"
    return None
