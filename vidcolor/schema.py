"""Typed settings: strict loading of nested frozen dataclasses, in layers.

Layers, each over the one before: defaults, TOML file, environment, flags. Every layer is a nested
dictionary with the same keys; `load` is the only way from a dictionary to a config.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from vidcolor.errors import ConfigError
from vidcolor.given import nearest, one_line, parse_toml, read_text, shown

__all__ = [
    "Leaf",
    "from_environment",
    "leaves",
    "load",
    "merge",
    "parse",
    "put",
    "read_toml",
    "to_dict",
    "to_toml",
]

T = TypeVar("T")


@functools.cache
def _types(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


_ENVIRONMENT_PREFIX = "VIDCOLOR_"
_NOT_SETTINGS = ("VIDCOLOR_CACHE", "VIDCOLOR_CONFIG", "VIDCOLOR_SCRATCH")
_KEY_SHOWN = 100  # letters of an unknown key in a message
_LARGEST = 1 << 63  # numbers fit into 64 bits
_MOST_TOML_BYTES = 10 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Leaf:
    """One setting of a config class.

    Attributes:
        path: Keys from the root, like `("stabilize", "tau")`.
        type: Its annotation, resolved.
        default: Its default, or `dataclasses.MISSING`.
        help: Its line in the `Attributes:` section of the class docstring.
    """

    path: tuple[str, ...]
    type: Any
    default: Any
    help: str

    @property
    def name(self) -> str:
        """Dotted path."""
        return ".".join(self.path)


def _help_lines(cls: type) -> dict[str, str]:
    """Texts of the `Attributes:` section, by field name."""
    texts: dict[str, str] = {}
    current = None
    _, _, section = (cls.__doc__ or "").partition("Attributes:")
    names = {field.name for field in dataclasses.fields(cls)}
    for line in section.splitlines():
        name, colon, text = line.strip().partition(":")
        if colon and name in names:
            current = name
            texts[current] = text.strip()
        elif current and line.strip():
            texts[current] += " " + line.strip()
    return texts


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return dataclasses.MISSING


def leaves(cls: type, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """All settings of a config class, nested ones included, in order."""
    hints = _types(cls)
    texts = _help_lines(cls)
    for field in dataclasses.fields(cls):
        here = (*path, field.name)
        if dataclasses.is_dataclass(hints[field.name]):
            yield from leaves(hints[field.name], here)
        else:
            yield Leaf(here, hints[field.name], _default(field), texts.get(field.name, ""))


def _names(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)).replace("NoneType", "nothing")


def _fit(value: Any, kind: Any, where: str) -> Any:
    """`value` if it is of type `kind`; an int may stand for a float, a list for a tuple."""
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise ConfigError(f"{where}: {shown(value)} is too large a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: {value} is no number that can be worked with")
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        if isinstance(value, Mapping):
            return load(typing.cast(Any, kind), value, where)
        raise ConfigError(f"{where}: expected a table, got {shown(value)}")
    if origin is typing.Literal:
        if any(type(value) is type(arg) and value == arg for arg in args):
            return value
        raise ConfigError(f"{where}: {shown(value)} is not one of {', '.join(map(str, args))}")
    if origin in (types.UnionType, typing.Union):
        for arm in args:
            if dataclasses.is_dataclass(arm) and isinstance(value, Mapping):
                return _fit(value, arm, where)  # or what is wrong in it would not be told
            try:
                return _fit(value, arm, where)
            except ConfigError:
                continue
    elif origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_fit(item, args[0], f"{where}[{i}]") for i, item in enumerate(value))
    elif kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    raise ConfigError(
        f"{where}: expected {_names(kind)}, got {type(value).__name__} {shown(value)}"
    )


def load(cls: type[T], data: Mapping[str, Any], where: str = "config") -> T:
    """A config of nested dictionaries, without coercion.

    Args:
        cls: A frozen dataclass, its fields other such classes, tuples of them, or plain values.
        data: What to set; what is missing keeps its default.
        where: Start of the path in error messages.

    Raises:
        ConfigError: For an unknown key (with the nearest name), a wrong type, a missing key or a
            value out of range; the message has the path.
    """
    hints = _types(typing.cast(type, cls))
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, cls))}
    values: dict[str, Any] = {}
    for key, value in data.items():
        here = f"{where}.{key}"
        if key not in fields:
            near = nearest(key, fields)
            hint = f"did you mean {near!r}?" if near else f"known: {', '.join(fields)}"
            raise ConfigError(f"{where}.{one_line(key[:_KEY_SHOWN])}: unknown key; {hint}")
        values[key] = _fit(value, hints[key], here)
    for name, field in fields.items():
        if name not in values and _default(field) is dataclasses.MISSING:
            raise ConfigError(f"{where}.{name}: missing; it has no default")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(one_line(f"{where}: {error}")) from None


def parse(text: str, leaf: Leaf) -> Any:
    """Value of a flag or environment variable.

    Raises:
        ConfigError: If `text` does not read as the setting's type.
    """
    kind = leaf.type
    arms = (
        typing.get_args(kind)
        if typing.get_origin(kind) in (types.UnionType, typing.Union)
        else (kind,)
    )
    if types.NoneType in arms and text.lower() in ("none", ""):
        return None
    for arm in arms:
        origin = typing.get_origin(arm)
        if arm is bool and text.lower() in ("true", "false", "yes", "no", "on", "off", "1", "0"):
            return text.lower() in ("true", "yes", "on", "1")
        if origin is tuple and dataclasses.is_dataclass(typing.get_args(arm)[0]):
            raise ConfigError(f"{leaf.name}: is a list of tables; write it into a config file")
        try:
            if origin is tuple:
                item = typing.get_args(arm)[0]
                return [_parse_item(part, item) for part in text.split(",") if part]
            if arm in (int, float):
                return arm(text)
        except ValueError:
            continue
        if origin is typing.Literal:
            return _parse_item(text, arm)
        if arm is str:
            return text
    raise ConfigError(f"{leaf.name}: {shown(text)} is not {_names(kind)}")


def _parse_item(text: str, kind: Any) -> Any:
    """One of some values, where `load` says if it is none of them, or an item of a list."""
    if typing.get_origin(kind) is typing.Literal:
        values = typing.get_args(kind)
        return next((value for value in values if str(value) == text), text)
    return kind(text)


def put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set one value of a nested dictionary."""
    for key in path[:-1]:
        data = data.setdefault(key, {})
    data[path[-1]] = value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` laid on top, tables joined."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merge(below, value) if both else value  # type: ignore[arg-type]  # both are
    return result


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: If it cannot be read or is no TOML.
    """
    try:
        return parse_toml(read_text(path, _MOST_TOML_BYTES))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the config: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {one_line(str(error))}") from None


def from_environment(cls: type, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Settings from variables like `VIDCOLOR_STABILIZE__TAU=4` (two underscores between keys).

    Raises:
        ConfigError: If a variable with the prefix is no setting.
    """
    known = {"__".join(leaf.path).upper(): leaf for leaf in leaves(cls)}
    data: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith(_ENVIRONMENT_PREFIX) or variable in _NOT_SETTINGS:
            continue
        key = variable.removeprefix(_ENVIRONMENT_PREFIX)
        if key not in known:
            near = nearest(key, known)
            hint = f"; did you mean {_ENVIRONMENT_PREFIX}{near}?" if near else ""
            name = one_line(variable[:_KEY_SHOWN])
            raise ConfigError(f"environment variable {name} is no setting{hint}")
        put(data, known[key].path, parse(text, known[key]))
    return data


def to_dict(config: Any) -> dict[str, Any]:
    """Nested dictionary of a config, with `None` left out; `load` reads it back."""
    values = ((field.name, getattr(config, field.name)) for field in dataclasses.fields(config))
    return {name: _plain(value) for name, value in values if value is not None}


def _plain(value: Any) -> Any:
    """Lists for tuples, dictionaries for records."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return to_dict(value) if dataclasses.is_dataclass(value) else value


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for this one
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    if isinstance(value, dict):  # a table within a list
        return "{ " + ", ".join(f"{key} = {_literal(v)}" for key, v in value.items()) + " }"
    return repr(value)


def to_toml(config: Any, path: tuple[str, ...] = ()) -> str:
    """TOML of a config, tables in the order of its fields; saved with every run."""
    own, tables = [], []
    for key, value in to_dict(config).items():
        if isinstance(value, dict):
            tables.append(to_toml(getattr(config, key), (*path, key)))
        else:
            own.append(f"{key} = {_literal(value)}")
    head = [f"[{'.'.join(path)}]"] if path and own else []
    return "\n".join([*head, *own, "", *tables]) if head or own else "\n".join(tables)
