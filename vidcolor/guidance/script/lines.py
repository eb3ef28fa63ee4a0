"""In which line of a TOML text a key stands."""

from __future__ import annotations

import re
import tomllib

__all__ = ["KeyPath", "key_lines", "nearest_line"]

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"[ \t\r\n]*(?:#[^\n]*[\r\n \t]*)*")
_KEY = re.compile(r"""[ \t]*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))[ \t]*""")
_STRING = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*\'''', re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}\n#]*")


def key_lines(text: str) -> dict[KeyPath, int]:
    """Lines of all tables, keys and elements of arrays.

    Args:
        text: What `tomllib` has read without error; of other text, what is found is anything.

    Returns:
        By path, like `("shots", 3, "grade")`; the first line is 1.
    """
    return _Scan(text).run()


def nearest_line(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    """The line of a path, or of the innermost table around it that is in the text."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _Scan:
    """One walk through a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.counted = 0, 1  # a place, and its line
        self.lines: dict[KeyPath, int] = {}
        self.arrays: dict[KeyPath, int] = {}  # arrays of tables: number of the latest

    def run(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self.skip():
            if self.text.startswith("[[", self.at):
                table = self.array_header()
            elif self.text.startswith("[", self.at):
                self.at += 1
                table = self.resolve(self.key())
                self.note(table)
                self.at += 1
            else:
                self.pair(table)
        return self.lines

    def skip(self) -> bool:
        """Pass over blanks and comments; whether there is more."""
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at < len(self.text)

    def note(self, path: KeyPath) -> None:
        place, line = self.counted
        line += self.text.count("\n", place, self.at)
        self.counted = self.at, line
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def key(self) -> list[str]:
        """A dotted key; ends behind it."""
        parts = []
        while found := _KEY.match(self.text, self.at):
            parts.append(_plain(found))
            self.at = found.end()
            if not self.text.startswith(".", self.at):
                break
            self.at += 1
        return parts

    def resolve(self, parts: list[str]) -> KeyPath:
        """The path of a header: of arrays of tables the latest is meant."""
        path: KeyPath = ()
        for part in parts:
            path = (*path, part)
            if path in self.arrays:
                path = (*path, self.arrays[path])
        return path

    def array_header(self) -> KeyPath:
        self.at += 2
        *parts, last = self.key()
        path = (*self.resolve(parts), last)
        self.arrays[path] = self.arrays.get(path, -1) + 1
        table = (*path, self.arrays[path])
        self.note(table)
        self.at += 2
        return table

    def pair(self, table: KeyPath) -> None:
        """`key = value`."""
        start = self.at
        path = (*table, *self.key())
        self.note(path)
        self.at = max(self.at, start) + 1  # the equals sign
        self.value(path)

    def value(self, path: KeyPath) -> None:
        self.skip()
        if found := _STRING.match(self.text, self.at):
            self.at = found.end()
        elif self.text.startswith("[", self.at):
            self.at += 1
            number = 0
            while self.skip() and self.text[self.at] != "]":
                self.note((*path, number))
                self.value((*path, number))
                number += 1
                self.comma()
            self.at += 1
        elif self.text.startswith("{", self.at):
            self.at += 1
            while self.skip() and self.text[self.at] != "}":
                self.pair(path)
                self.comma()
            self.at += 1
        elif found := _SCALAR.match(self.text, self.at):
            self.at = found.end()

    def comma(self) -> None:
        if self.skip() and self.text[self.at] == ",":
            self.at += 1


def _plain(key: re.Match[str]) -> str:
    """The name of a key, bare or in quotes."""
    escaped, literal, bare = key.groups()
    if escaped is not None and "\\" in escaped:
        return next(iter(tomllib.loads(f'"{escaped}" = 0')))
    return next(part for part in (escaped, literal, bare) if part is not None)
