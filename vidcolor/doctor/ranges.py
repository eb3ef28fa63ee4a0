"""Requirements of a package as its metadata states them, and versions held against them.

Covers what our own metadata uses (PEP 440 releases, pre-releases, comparisons and `~=`; extras), so
that nothing more than Python is needed to tell what is wrong with an installation.
"""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Requirement", "is_in", "is_older"]

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*([^;]*?)\s*(?:;(.*))?$")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_VERSION = re.compile(
    r"v?(?:0!)?(\d+(?:\.\d+)*)[._-]?(a|b|rc|alpha|beta|c|pre|dev|post)?[._-]?(\d*)", re.I
)
_PHASES = {"dev": 0, "a": 1, "alpha": 1, "b": 2, "beta": 2, "c": 3, "rc": 3, "pre": 3, "post": 5}
_FINAL = 4
_CLAUSE = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*([^\s,]+)")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}

Key = tuple[tuple[int, ...], int, int]


@dataclass(frozen=True, slots=True)
class Requirement:
    """A line of `Requires-Dist`.

    Attributes:
        name: Of the package.
        range: Versions that will do, like `>=2,<3`; empty for any.
        extra: Extra that wants it; empty: the program does.
    """

    name: str
    range: str
    extra: str

    @classmethod
    def read(cls, line: str) -> Requirement:
        """Of a line like `numpy<3,>=2; extra == 'eval'`.

        Raises:
            ValueError: If it is none, or names a place instead of versions.
        """
        found = _NAME.match(line)
        if not found or "@" in found[2]:
            raise ValueError(f"{line!r} is no requirement of versions")
        extra = _EXTRA.search(found[3] or "")
        return cls(found[1], found[2].strip("() "), extra[1] if extra else "")


def _key(version: str) -> Key:
    """What versions are ordered by; what stands behind a `+` says where it was built."""
    found = _VERSION.match(version.strip())
    if not found:
        raise ValueError(f"{version!r} is no version")
    numbers = [int(part) for part in found[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    phase = (found[2] or "").lower()
    return tuple(numbers), _PHASES.get(phase, _FINAL), int(found[3] or 0)


def is_older(version: str, other: str) -> bool:
    """Whether a version comes before another.

    Raises:
        ValueError: If one of them is none.
    """
    return _key(version) < _key(other)


def is_in(version: str, wanted: str) -> bool:
    """Whether a version lies in a range.

    Args:
        version: As installed.
        wanted: Like `>=2,<3`; empty for any.

    Raises:
        ValueError: If one of them is none.
    """
    clauses = _CLAUSE.findall(wanted)
    if "".join(itertools.chain(*clauses)) != re.sub(r"[\s,]", "", wanted):
        raise ValueError(f"{wanted!r} is no range of versions")
    return all(_holds(version, sign, bound) for sign, bound in clauses)


def _holds(version: str, sign: str, bound: str) -> bool:
    if sign in ("==", "!=") and bound.endswith(".*"):
        stem = [int(part) for part in bound[:-2].split(".")]
        inside = _padded(version, len(stem)) == stem
        return inside if sign == "==" else not inside
    if sign == "~=":
        stem = [int(part) for part in bound.split(".")[:-1]]
        return _key(version) >= _key(bound) and _padded(version, len(stem)) == stem
    if sign == "<" and _key(bound)[1] == _FINAL and _key(version)[0] == _key(bound)[0]:
        return False  # a pre-release of the bound itself is not before it, PEP 440 says
    if sign == ">" and _key(version)[0] == _key(bound)[0] and _key(bound)[1] == _FINAL:
        return False  # nor a post-release behind it
    return _COMPARE[sign](_key(version), _key(bound))


def _padded(version: str, length: int) -> list[int]:
    numbers = list(_key(version)[0])
    return (numbers + [0] * length)[:length]
