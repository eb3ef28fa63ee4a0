"""What the browser sends: limited in size, depth and time, and checked before anybody sees it."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any, NoReturn, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from vidcolor.preview.web.server.answers import Refusal

__all__ = [
    "JSON_BYTES",
    "checked_json",
    "chunks",
    "file_name",
    "megabytes",
    "number_in",
    "read_body",
    "read_object",
    "received",
    "word",
    "words",
]

JSON_BYTES = 1 << 20
_JSON_DEPTH = 16
_STALL_S = 60.0
# that must come in that time: a byte now and then would keep a thread for ever
_LEAST_BYTES = 1 << 16
_LARGEST = 2**53
_NAME_BYTES = 255
_HALVES = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")

_MIB = 1 << 20

Result = TypeVar("Result")


def megabytes(count: int) -> str:
    """A size for people."""
    return f"{count / _MIB:.0f} MB" if count >= 10 * _MIB else f"{count / _MIB:.3g} MB"


async def chunks(request: Request, most: int, what: str) -> AsyncIterator[bytes]:
    """The body as it comes; whoever takes it slowly slows the sender down.

    Args:
        request: Whose body it is.
        most: Bytes.
        what: Of which there are too many: "the film".

    Raises:
        Refusal: 413 if there are more, 408 if nothing or next to nothing comes for a minute.
        ClientDisconnect: If the sender has gone.
    """
    too_large = Refusal(413, f"{what} is larger than {megabytes(most)}, the limit of this server")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise too_large
    stopped = Refusal(408, f"{what} stopped coming; send it again")
    stream = request.stream()
    taken = came = 0
    waited_s = 0.0
    while True:
        began = time.monotonic()
        try:
            async with asyncio.timeout(_STALL_S):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise stopped from None
        # only what the sender lets us wait counts, not what our disk needs
        waited_s += time.monotonic() - began
        came += len(chunk)
        if waited_s > _STALL_S:
            if came < _LEAST_BYTES:
                raise stopped
            waited_s, came = 0.0, 0
        taken += len(chunk)
        if taken > most:
            raise too_large
        if chunk:
            yield chunk


async def received(
    request: Request, most: int, what: str, take: Callable[[Iterator[bytes]], Result]
) -> Result:
    """Hand the body to something that runs in a thread and takes it piece by piece.

    It is only read as fast as it is taken. If the sender goes, or the server, the next piece is an
    error, so that whoever takes it can clean up.

    Args:
        request: Whose body it is.
        most: Bytes.
        what: See `chunks`.
        take: Is given the pieces; runs in a thread.
    """
    loop = asyncio.get_running_loop()
    stream = chunks(request, most, what)

    async def next_piece() -> bytes | Exception | None:
        try:
            return await anext(stream, None)
        except asyncio.CancelledError:  # the server ends; what is raised then, nobody takes
            return ClientDisconnect()

    def pieces() -> Iterator[bytes]:
        while True:
            try:
                piece = asyncio.run_coroutine_threadsafe(next_piece(), loop).result(2 * _STALL_S)
            except (RuntimeError, CancelledError, TimeoutError):  # it has ended
                raise ClientDisconnect from None
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece

    return await run_in_threadpool(take, pieces())


async def read_body(request: Request, most: int, what: str) -> bytes:
    """The whole body.

    Raises:
        Refusal: If it is too large or empty.
    """
    data = b"".join([chunk async for chunk in chunks(request, most, what)])
    if not data:
        raise Refusal(400, f"{what} is empty; choose it again")
    return data


async def read_object(request: Request) -> dict[str, Any]:
    """The body as an object of JSON; no body is an empty one.

    Raises:
        Refusal: If it is none, or too large or too deep.
    """
    parts = [chunk async for chunk in chunks(request, JSON_BYTES, "the request")]
    value = checked_json(b"".join(parts) or b"{}")
    if not isinstance(value, dict):
        raise Refusal(400, "the request is no object of JSON; reload the page")
    return value


def checked_json(data: bytes) -> Any:
    """A value of JSON: not deep, numbers finite and exact, text that is text.

    Raises:
        Refusal: If it is anything else.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_constant=_no_number,
            parse_int=_whole_number,
            parse_float=_number,
        )
    except (ValueError, RecursionError):
        raise Refusal(400, "the request is no JSON that vidcolor reads; reload the page") from None
    _check_depth(value)
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _whole_number(text: str) -> int:
    value = int(text)
    if abs(value) > _LARGEST:
        raise ValueError(text)
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _check_depth(value: Any) -> None:
    """Refuse what is too deep, and text with halves of characters or NUL in it."""
    level = [value]
    for _ in range(_JSON_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, dict):
                inner += item.keys()
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return
        level = inner
    raise Refusal(400, "the request is nested too deep; reload the page")


def _check_text(text: str) -> None:
    if "\0" in text or (not text.isascii() and _HALVES.search(text)):
        raise Refusal(400, "the request has text that is no text; write it again")


def words(request: Request, *known: str) -> dict[str, str]:
    """What stands behind `?` in the address: each known word once at most.

    Raises:
        Refusal: If there is another, or one twice.
    """
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known or name in found:
            raise Refusal(400, f"{name[:40]!r} is not understood here; reload the page")
        _check_text(value)
        found[name] = value
    return found


def word(found: dict[str, str], name: str, pattern: re.Pattern[str]) -> str | None:
    """One word of the address, if it is there.

    Raises:
        Refusal: If it is not as it should be.
    """
    value = found.get(name)
    if value is not None and not pattern.fullmatch(value):
        raise Refusal(400, f"{name} is not as it should be; reload the page")
    return value


def file_name(found: dict[str, str]) -> str:
    """The name of a file that is sent; never used as a path.

    Raises:
        Refusal: If there is none.
    """
    name = found.get("name", "").strip()
    if not name or len(name.encode()) > _NAME_BYTES:
        raise Refusal(400, "a file needs a name of 255 bytes at most; rename it and try again")
    return name


def number_in(found: dict[str, str], name: str) -> int | None:
    """A number of the address, from 0; None if it is not there.

    Raises:
        Refusal: If it is no such number.
    """
    value = word(found, name, _NUMBER)
    return None if value is None else int(value)
