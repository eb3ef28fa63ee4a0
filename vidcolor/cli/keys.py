"""The keys of the config, read from the source: to import it brings in torch, which takes seconds.

So a misspelled option is told at once.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

__all__ = ["key_names", "short_names"]

_PACKAGE = Path(__file__).parents[1]
_ROOM = f"{_PACKAGE.name}."


def key_names() -> list[str]:
    """Dotted names of all keys of `config.Config`, in order."""
    return list(_fields(f"{_ROOM}config", "Config"))


def short_names() -> list[str]:
    """The keys of `config.SHORT_NAMES`."""
    for node in _tree(f"{_ROOM}config").body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "SHORT_NAMES":
            assert node.value is not None, "it is a dictionary"
            return list(ast.literal_eval(node.value))
    raise AssertionError("the config has no short names")


@functools.cache
def _tree(module: str) -> ast.Module:
    path = _PACKAGE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text("utf-8"))


def _fields(module: str, name: str) -> Iterator[str]:
    """Names of the settings of a config class; of a class in it those of its own."""
    home, record = _record(module, name) or (module, None)
    assert record is not None, f"{module}.{name} is no dataclass"
    for node in record.body:
        if not isinstance(node, ast.AnnAssign):
            continue
        field, kind = ast.unparse(node.target), ast.unparse(node.annotation)
        if _record(home, kind) is None:
            yield field
        else:
            yield from (f"{field}.{inner}" for inner in _fields(home, kind))


def _record(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    """The dataclass that a module calls so, and the module that makes it."""
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            made = any("dataclass" in ast.unparse(one) for one in node.decorator_list)
            return (module, node) if made else None
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_ROOM):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _record(node.module or "", alias.name)
    return None
