"""Objects of earlier shots, to be known again in later ones."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from vidcolor.guidance.template import Template
from vidcolor.guidance.tracks.identities import MARGIN, SURE, View, likeness

__all__ = ["Gallery", "Member"]

_VIEWS = 12
_TEMPLATES = 4


@dataclass(frozen=True, slots=True)
class Member:
    """An object of earlier shots.

    Attributes:
        label: Its class.
        views: How it looked; the latest.
        templates: Its color in the latest shots.
        pins: Colors that a person gave it.
    """

    label: str
    views: tuple[View, ...]
    templates: tuple[Template, ...]
    pins: tuple[Template, ...]


class Gallery:
    """Remembers so many objects; the one not seen for the longest time is forgotten first.

    Args:
        most: Objects.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._members: dict[int, Member] = {}
        self._next = 0

    def __getitem__(self, number: int) -> Member:
        return self._members[number]

    def find(self, label: str, views: Sequence[View], taken: Container[int]) -> int | None:
        """The object that a track is, if that is sure.

        Args:
            label: Class of the track.
            views: How it looks.
            taken: Objects that other tracks of the shot are already.
        """
        ranked = sorted(
            ((likeness(views, one.views), number) for number, one in self._members.items()
             if one.label == label), reverse=True,
        )  # fmt: skip
        if not ranked or ranked[0][0] < SURE or ranked[0][1] in taken:
            return None
        if len(ranked) > 1 and ranked[0][0] - ranked[1][0] < MARGIN:
            return None
        return ranked[0][1]

    def keep(self, number: int | None, now: Member) -> None:
        """Add an object, or what was seen of one that is known."""
        if number is None or number not in self._members:
            number = self._next
            self._next += 1
        else:
            old = self._members.pop(number)
            now = Member(
                now.label,
                (*old.views, *now.views)[-_VIEWS:],
                (*old.templates, *now.templates)[-_TEMPLATES:],
                now.pins or old.pins,
            )
        self._members[number] = now
        if len(self._members) > self._most:
            del self._members[next(iter(self._members))]
