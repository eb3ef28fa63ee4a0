"""Files that a person gives: whatever they hold, they are read in bounded time and memory.

Their readers get an `OSError`, a `UnicodeDecodeError`, a `json.JSONDecodeError` or a
`tomllib.TOMLDecodeError`, each with its place, and say in one line what is wrong; nothing else
comes out of here, however deep, large or malformed a text is.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator
from json.decoder import JSONObject  # type: ignore[attr-defined]  # typeshed leaves it out
from json.scanner import py_make_scanner  # type: ignore[attr-defined]  # and this
from pathlib import Path
from typing import Any, BinaryIO, cast

__all__ = [
    "nearest",
    "one_line",
    "open_file",
    "parse_json",
    "parse_toml",
    "read_file",
    "read_lines",
    "read_text",
    "shown",
]

_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_MOST_TEXT_BYTES = 1 << 28  # a million entries of 250 letters
_MOST_LINES_BYTES = 1 << 32  # of files that are read line by line
_MOST_LINE_BYTES = 1 << 24
_MOST_KEY_PARTS = 64  # of dotted keys: each costs time in proportion
_LARGEST_WHOLE = 1 << 63  # what tensors and containers hold
_SHOWN = 100  # letters of a value in a message
_LONGEST_MESSAGE = 2000
_NESTED = "nested too deep"


class Refused(OSError):
    """A file that is not read, for a reason of ours; `strerror` says which."""

    def __init__(self, why: str) -> None:
        super().__init__(None, why)


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading; nothing else is waited for.

    Raises:
        OSError: If there is none, it cannot be read, or it is a folder, a pipe or a device.
    """
    if "\0" in os.fspath(path):
        raise Refused("its name has a NUL character")
    try:
        # a named pipe would wait for its writer
        handle = os.open(path, _READ)
    except UnicodeEncodeError:
        raise Refused("its name has a character that no file name can have") from None
    kind = os.fstat(handle).st_mode
    if not stat.S_ISREG(kind):
        os.close(handle)
        raise Refused(
            "it is a folder, not a file"
            if stat.S_ISDIR(kind)
            else "it is a pipe or a device, not a file; write what it gives to a file"
        )
    return os.fdopen(handle, "rb")


def read_file(path: Path, most_bytes: int) -> bytes:
    """All of a regular file.

    Args:
        path: The file.
        most_bytes: A larger one is refused.

    Raises:
        OSError: As `open_file`, and if it is larger.
    """
    with open_file(path) as file:
        data = file.read(min(most_bytes, os.fstat(file.fileno()).st_size) + 1)
        data += file.read(most_bytes + 1 - len(data))  # it may have grown meanwhile
    if len(data) > most_bytes:
        raise Refused(f"it is larger than the {most_bytes >> 20} MB that such a file may have")
    return data


def read_text(path: Path, most_bytes: int = _MOST_TEXT_BYTES) -> str:
    """A text in UTF-8, with or without a byte order mark; every line ends as on Unix.

    Args:
        path: The file.
        most_bytes: A larger one is refused.

    Raises:
        OSError: As `read_file`.
        UnicodeDecodeError: If it is no UTF-8.
    """
    text = read_file(path, most_bytes).decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a text in UTF-8 that are not blank, each with its number from 1.

    Raises:
        OSError: As `open_file`; if the file or one of its lines is too large.
        UnicodeDecodeError: If it is no UTF-8.
    """
    total = 0
    with open_file(path) as file:
        number = 0
        while line := file.readline(_MOST_LINE_BYTES + 1):
            number += 1
            total += len(line)
            if len(line) > _MOST_LINE_BYTES:
                raise Refused(f"line {number} is longer than {_MOST_LINE_BYTES >> 20} MB")
            if total > _MOST_LINES_BYTES:
                raise Refused(f"it is larger than {_MOST_LINES_BYTES >> 30} GB")
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            if text.strip():
                yield number, text


def parse_json(text: str) -> Any:
    """Strict JSON: keys stand once, numbers are finite and fit into 64 bits, texts are Unicode.

    Raises:
        json.JSONDecodeError: For anything else.
    """
    try:
        value = _LOADS(text)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise json.JSONDecodeError(_NESTED, text, 0) from None
    except _Odd as error:
        begin = _begin(text)
        raise json.JSONDecodeError(
            str(error), text, max(begin, text.find(error.token, begin))
        ) from None
    if _SURROGATE.search(text) and not _is_unicode(value):
        place = cast(re.Match[str], _SURROGATE.search(text)).start()
        raise json.JSONDecodeError("half a character (a lone surrogate)", text, place)
    return value


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Odd(ValueError):
    """What JSON's grammar allows and we do not; `token` stands in the text."""

    def __init__(self, message: str, token: str) -> None:
        super().__init__(message)
        self.token = token


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        known: set[str] = set()
        for name, _ in pairs:
            if name in known:
                raise _Odd(f"the key {shown(name)} stands twice in one object", "{")
            known.add(name)
    return table


def _whole(text: str) -> int:
    if len(text) > len(str(_LARGEST_WHOLE)) + 1 or abs(value := int(text)) >= _LARGEST_WHOLE:
        raise _Odd(f"the number {text[:_SHOWN]} is too large", text)
    return value


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise _Odd(f"the number {text[:_SHOWN]} is too large", text)
    return value


def _no_number(text: str) -> float:
    raise _Odd(f"{text} is no number", text)


_LOADS = functools.partial(
    json.loads,
    object_pairs_hook=_once,
    parse_int=_whole,
    parse_float=_finite,
    parse_constant=_no_number,
)


class _Placing(json.JSONDecoder):
    """Slow decoder that knows where the innermost object began in which something is odd."""

    def __init__(self) -> None:
        super().__init__(
            object_pairs_hook=_once,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_no_number,
        )
        self.place = -1
        self.parse_object = self._object
        self.scan_once = py_make_scanner(self)

    def _object(self, at: tuple[str, int], *settings: Any) -> Any:
        try:
            return JSONObject(at, *settings)
        except _Odd:
            self.place = max(self.place, at[1] - 1)
            raise


def _begin(text: str) -> int:
    decoder = _Placing()
    with contextlib.suppress(ValueError, RecursionError):
        decoder.decode(text)
    return max(decoder.place, 0)


def _is_unicode(value: Any) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            try:
                one.encode()
            except UnicodeEncodeError:
                return False
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
    return True


_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"?|'[^'\n]*+'?)"""
_PARTS = re.compile(_PART)
_CHAIN = re.compile(rf"{_PART}(?:[ \t]*+\.[ \t]*+{_PART})*+")
"""Parts with dots between them; what was passed over is not looked at again."""


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        tomllib.TOMLDecodeError: If it is none, is nested too deep, or has a number that is no
            number or too large.
    """
    for chain in _CHAIN.finditer(text):
        likely = chain[0].count(".") >= _MOST_KEY_PARTS  # or a text in quotes has as many dots
        if likely and len(_PARTS.findall(chain[0])) > _MOST_KEY_PARTS:
            place = text.count("\n", 0, chain.start()) + 1
            raise tomllib.TOMLDecodeError(
                f"a key of more than {_MOST_KEY_PARTS} parts (at line {place}, column 1)"
            )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError(_NESTED) from None
    except (ValueError, OverflowError) as error:  # of numbers and dates
        raise tomllib.TOMLDecodeError(f"a number or date cannot be read ({error})") from None


def shown(value: Any) -> str:
    """A value as a message shows it: on one line, and short."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; lists in lists in lists
        text = f"a {type(value).__name__} that is too large to show"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def one_line(text: str) -> str:
    """A message that may quote a file: its control characters escaped, and not endless."""
    short = text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}..."
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in short)


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known name that is most like one; None if none is like it.

    Args:
        name: As somebody wrote it.
        known: What there is.
        likeness: Least, from 0 to 1.
    """
    found = difflib.get_close_matches(name[:_SHOWN], known, 1, likeness)
    return found[0] if found else None
