"""What is known of a job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

__all__ = ["STOPPING", "Canceled", "Job", "Lane", "State", "Task"]

STOPPING = "stopping"
"""The message of a job that was asked to stop and has not stopped yet."""


Lane = Literal["look", "render", "idle"]
State = Literal["queued", "running", "done", "failed", "canceled"]


class Canceled(Exception):
    """The job was asked to stop."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is known of a job at a moment.

    Attributes:
        id: Its name, 12 hexadecimal digits.
        kind: What is done: "preview", "render", ...
        title: The same for people.
        lane: Where it runs.
        film: Of which film.
        shot: Of which shot.
        state: How far it has come.
        done: Units that are done.
        total: Of how many, if known.
        started: When it began, in seconds since 1970; None while it waits.
        message: What it is at, or a sentence about what went wrong.
        result: What the work returned.
    """

    id: str
    kind: str
    title: str
    lane: Lane = "look"
    film: str | None = None
    shot: int | None = None
    state: State = "queued"
    done: int = 0
    total: int | None = None
    started: float | None = None
    message: str = ""
    result: Any = None

    @property
    def over(self) -> bool:
        """Whether it will change no more."""
        return self.state in ("done", "failed", "canceled")

    def data(self) -> dict[str, Any]:
        """As JSON; without the result, which is for the program."""
        names = [one.name for one in fields(self) if one.name != "result"]
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True, eq=False)
class Task:
    """A job from the inside; changed under the lock of its `Jobs` only."""

    number: int
    id: str
    kind: str
    slot: str | None
    title: str
    lane: Lane
    work: Callable[[Any], object]
    film: str | None
    shot: int | None
    state: State = "queued"
    done: int = 0
    total: int | None = None
    started: float | None = None
    message: str = ""
    result: Any = None
    stop: bool = False
    told: float = 0.0
    thread: int | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def job(self) -> Job:
        """How it is now."""
        return Job(**{one.name: getattr(self, one.name) for one in fields(Job)})
