"""The words of one edit, read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from vidcolor.errors import GuidanceError
from vidcolor.guidance.script.words import shown

__all__ = ["Words", "is_whole", "listed"]

_ID = re.compile(r"[0-9a-f]{10}")


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def listed(value: Any) -> Sequence[Any]:
    """The items of a list; none of anything else."""
    return value if isinstance(value, list | tuple) else ()


class Words:
    """The words of one edit; those that nobody asks for are refused."""

    def __init__(self, kind: str, words: Mapping[str, Any]) -> None:
        self.kind = kind
        self._words = words
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._words

    def get(self, name: str, default: Any = None) -> Any:
        """Whatever stands there."""
        self._asked.add(name)
        return self._words.get(name, default)

    def need(self, name: str) -> Any:
        """What must stand there.

        Raises:
            GuidanceError: If it does not.
        """
        if name not in self._words:
            raise GuidanceError(f"{self.kind} needs {name}; reload the page")
        return self.get(name)

    def number(self, name: str, least: float, most: float) -> float | None:
        """A number, if it is there.

        Raises:
            GuidanceError: If it is none, or out of range.
        """
        value = self.get(name)
        if value is None:
            return None
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not least <= value <= most:
            raise GuidanceError(f"{name} must be a number from {least:g} to {most:g}")
        return float(value)

    def name(self) -> str:
        """The id of a hint or reference.

        Raises:
            GuidanceError: If it is none.
        """
        name = self.need("id")
        if not isinstance(name, str) or not _ID.fullmatch(name):
            raise GuidanceError(f"{self.kind}: the id is none; reload the page")
        return name

    def done(self) -> None:
        """See that everything was asked for.

        Raises:
            GuidanceError: If there is a word that means nothing here.
        """
        unknown = sorted(set(self._words) - self._asked)
        if unknown:
            raise GuidanceError(f"{self.kind} knows no {shown(unknown[0])}; reload the page")
