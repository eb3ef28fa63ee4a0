"""Records as TOML that is good to read and to compare: what is as it always is, is left out."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["to_data", "to_text"]

_COLUMNS = 88
_INDENT = "    "
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def to_data(record: Any) -> dict[str, Any]:
    """Nested dictionary of a dataclass without what equals its default; `schema.load` reads it.

    Args:
        record: A dataclass of plain values, dictionaries, other such classes, and tuples of them.
    """
    data = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if value is not None and (default is dataclasses.MISSING or value != default):
            data[field.name] = _plain(value)
    return data


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_data(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def to_text(data: Mapping[str, Any]) -> str:
    """TOML of a nested dictionary, in its order: a line for each thing that a person may change.

    Short tables inside of others stand in one line, long lists in several.
    """
    own, below = _lines(data, (), False)
    return "\n".join([*own, *below]).strip("\n") + "\n"


def _lines(data: Mapping[str, Any], path: tuple[str, ...], listed: bool) -> tuple[list[str], ...]:
    """The keys of a table, and the tables below it; `listed`: it is inside an array of tables."""
    own: list[str] = []
    below: list[str] = []
    for key, value in data.items():
        here = (*path, key)
        name = ".".join(map(_key, here))
        if _is_tables(value) and not (path and all(map(_fits, value))):
            for item in value:
                keys, rest = _lines(item, here, True)
                below += ["", f"[[{name}]]", *keys, *rest]
        elif isinstance(value, Mapping) and not (listed and _fits(value)):
            keys, rest = _lines(value, here, listed)
            below += ["", f"[{name}]", *keys, *rest] if keys or not rest else rest
        else:
            own.append(f"{_key(key)} = {_literal(value, len(key) + 3)}")
    return own, below


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _fits(table: Mapping[str, Any]) -> bool:
    """Whether a table can stand in one line."""
    flat = not any(isinstance(v, Mapping) or _is_tables(v) for v in table.values())
    return flat and len(_inline(table)) <= _COLUMNS - 12


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _inline(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, str):
        return _string(value)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _string(text: str) -> str:
    # JSON's escapes are TOML's, but for this one
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _literal(value: Any, before: int) -> str:
    """A value; `before` characters stand before it in the line."""
    if isinstance(value, str) and "\n" in value:
        return '"""\n' + "\n".join(_string(line)[1:-1] for line in value.split("\n")) + '"""'
    line = _inline(value)
    if not isinstance(value, list) or (not _is_tables(value) and before + len(line) <= _COLUMNS):
        return line
    rows = [""]
    together = not any(isinstance(item, Mapping | list) for item in value)
    for item in map(_inline, value):
        if rows[-1] and not (together and len(rows[-1]) + len(item) <= _COLUMNS - len(_INDENT) - 2):
            rows.append("")
        rows[-1] += f" {item}," if rows[-1] else f"{item},"
    return "\n".join(["[", *(_INDENT + row for row in rows), "]"])
