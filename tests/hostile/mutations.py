"""Seeded mutations of valid files: by their structure, and byte by byte."""

from __future__ import annotations

import copy
import json
import random
import re
import struct
from typing import Any

__all__ = ["mutate"]

_NUMBERS = (
    "-1", "0", "1", "255", "65536", "2147483648", "-9223372036854775809", "9223372036854775807",
    "1e400", "-1e400", "1e308", "5e-324", "1e999999999", "0x" + "f" * 40, "9" * 400, "9" * 5000,
    "NaN", "nan", "inf", "-Infinity", "1_000", "٣", "1/0", "0.1.2", "--1", "true", "null", "1e",
    "1979-05-27T07:32:00Z", "100000",
)  # fmt: skip
_TEXTS = (
    '""', '" "', '"\\u0000"', '"\\ud800"', '"\\n\\r\\u001b[31m"', '"' + "a" * 3000 + '"',
    '"../../../etc/passwd"', '"/dev/zero"', '"~nobody-at-all/x"', '"1e999999999"', '"1:2:3:4"',
    '"1/0"', '"lab(nan nan nan)"', '"ab(1e400 0)"', '"#ffffff"', '"\U0001f3a8"', "'x'", "[]",
    "{}", "[[]]", "[" * 1200 + "]" * 1200, '{"a":' * 1200 + "0" + "}" * 1200, "[0, 0, 0, 0]",
    "[1, 2]", '["a", 1, null]', "NUL\x00", "\ufeff", "\u2028", "﷽",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 3, 1 << 31, 1 << 62, 1 << 63, -(1 << 64), 10**400, 0.5, -0.0,
    1e308, 5e-324, "", " ", "a" * 3000, "\x00", "\x1b[2J\n", "auto", "none", "1e999999999", "1:99",
    "1/25", "ab(0 0)", "#123", "../x", "/dev/zero", [], {}, [0], [[0, 0, 1, 1]], [1, 2, 3, 4],
    [None], {"a": 1}, ["x", 2], float("nan"), float("inf"), [1e30] * 4, list(range(40)),
)  # fmt: skip
_TOKEN = re.compile(r'-?\d[\w.+-]*|"[^"\n]*"|\btrue\b|\bfalse\b|\[[^\[\]\n]{0,200}\]|[A-Za-z_]\w*')
_LONGEST = 300_000  # bytes of a file that is changed once more
_EDGES = (
    0, 1, -1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 20, (1 << 31) - 1, -(1 << 31),
    (1 << 62) + 1, (1 << 63) - 1, -(1 << 63),
)  # fmt: skip


def mutate(data: bytes, kind: str, rng: random.Random) -> bytes:
    """A file like a valid one, changed in one to four places.

    Args:
        data: A valid file.
        kind: "json", "lines" (JSON, one object a line), "text" (tokens), "header" (JSON behind its
            length, then bytes) or "bytes".
        rng: Decides everything.
    """
    if kind == "header":
        end = 8 + int.from_bytes(data[:8], "little")
        header = mutate(data[8:end], "json", rng)
        return len(header).to_bytes(8, "little") + header + data[end:]
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        way = rng.random()
        if len(data) > _LONGEST:
            break
        if kind in ("json", "lines") and way < 0.55:
            data = _in_tree(data, kind, rng)
        elif kind != "bytes" and way < 0.8:
            data = _in_tokens(data, rng)
        elif kind != "bytes" and way < 0.88:
            data = _as_text(data, rng)
        else:
            data = _in_bytes(data, rng)
    return data


def _in_tree(data: bytes, kind: str, rng: random.Random) -> bytes:
    """Change a value or a key of JSON."""
    lines = data.splitlines() if kind == "lines" else [data]
    at = rng.randrange(max(1, len(lines)))
    try:
        document = json.loads(lines[at])
    except (ValueError, RecursionError, IndexError):
        return _in_bytes(data, rng)
    places: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        one = waiting.pop()
        inside = one.items() if isinstance(one, dict) else enumerate(one)
        for key, value in inside if isinstance(one, dict | list) else ():
            places.append((one, key))
            waiting += [value] if isinstance(value, dict | list) else []
    if not places:
        return _in_tokens(data, rng)
    holder, key = rng.choice(places)
    action = rng.randrange(6)
    if action <= 2:
        holder[key] = copy.deepcopy(rng.choice(_VALUES))
    elif action == 3:
        del holder[key]
    elif isinstance(holder, dict):
        holder[rng.choice((f"{key}s", key.upper(), "", "a\nb", "x" * 2000))] = holder[key]
    else:
        holder.extend(copy.deepcopy(holder[: rng.choice((1, 8))]) * rng.choice((1, 5)))
    try:
        text = json.dumps(document).encode()
    except (ValueError, TypeError):
        return data
    if action == 4 and isinstance(holder, dict) and rng.random() < 0.5:
        text = text.replace(b"{", b'{"version": 1, "version": 1, ', 1)
    if kind == "json":
        return text
    return b"\n".join([*lines[:at], text, *lines[at + 1 :]]) + b"\n"


def _in_tokens(data: bytes, rng: random.Random) -> bytes:
    """Change one word, number, text or list for another, or a line."""
    text = data.decode("utf-8", "surrogateescape")
    found = list(_TOKEN.finditer(text))
    action = rng.randrange(8)
    if found and action <= 4:
        place = rng.choice(found)
        new = rng.choice((*_NUMBERS, *_TEXTS, rng.choice(found)[0]))
        text = text[: place.start()] + new + text[place.end() :]
    else:
        lines = text.splitlines(keepends=True) or [""]
        at = rng.randrange(len(lines))
        if action == 5:
            lines.insert(rng.randrange(len(lines) + 1), lines[at])
        elif action == 6:
            del lines[at]
        else:
            lines[at] *= rng.choice((2, 3, 50))
        text = "".join(lines)
    return text.encode("utf-8", "surrogatepass" if "\ud800" in text else "surrogateescape")


def _as_text(data: bytes, rng: random.Random) -> bytes:
    """Another encoding, other line ends, NULs, depth."""
    text = data.decode("utf-8", "replace")
    return (
        lambda: b"\xef\xbb\xbf" + data,
        lambda: data.replace(b"\n", b"\r\n"),
        lambda: data.replace(b"\n", b"\r"),
        lambda: text.encode("utf-16"),
        lambda: text.encode("utf-32"),
        lambda: data + b"\x00" * 64,
        lambda: b"\x00" + data,
        lambda: data + b"\xff\xfe\xfd",
        lambda: b"[" * rng.choice((90, 2000, 100_000)) + data,
        lambda: b'{"a":' * rng.choice((90, 2000, 100_000)) + data,
        lambda: b"a." * 4000 + b"a = 1\n" + data,
        lambda: b"[[a]]\n" * 500 + data,
        lambda: data * 3,
        lambda: b"",
        lambda: b"\n" * 1000,
        lambda: data.replace(b" ", b"\xc2\xa0"),
    )[rng.randrange(16)]()


def _in_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, drop, repeat, insert, or put the edges of integers."""
    action = rng.randrange(8)
    if not data or action == 0:
        return data[: rng.randrange(len(data) + 1)]
    if action == 1:
        start = rng.randrange(len(data))
        return data[:start] + data[start + rng.choice((1, 2, 8, 100)) :]
    if action == 2:
        start = rng.randrange(len(data))
        piece = data[start : start + rng.choice((1, 8, 64, 512))]
        return data[:start] + piece * rng.choice((2, 3, 20)) + data[start:]
    if action == 3:
        start = rng.randrange(len(data) + 1)
        return data[:start] + rng.randbytes(rng.choice((1, 4, 16))) + data[start:]
    changed = bytearray(data)
    if action <= 5:
        for _ in range(rng.choice((1, 1, 3, 16))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed)
    code = rng.choice(("<b", "<h", "<i", ">i", "<q", ">q", "<d"))
    size = struct.calcsize(code)
    if len(changed) < size:
        return bytes(changed)
    at = rng.randrange(len(changed) - size + 1)
    if rng.random() < 0.5:
        at -= at % size
    if code == "<d":
        value: bytes = struct.pack(code, rng.choice((float("nan"), float("inf"), -1e300, 1e18)))
    else:
        value = (rng.choice(_EDGES) & ((1 << 8 * size) - 1)).to_bytes(
            size, "big" if code[0] == ">" else "little"
        )
    changed[at : at + size] = value
    return bytes(changed)
