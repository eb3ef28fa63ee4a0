"""What the driver knows of its workers, whatever engine runs them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from vidcolor.spans import Span

__all__ = ["Crew", "Event", "Finished", "Gone", "Lost", "Reached", "Stopped"]


@dataclass(frozen=True, slots=True)
class Finished:
    """A worker has colored its span and is idle; the segment is still with it.

    Attributes:
        worker: Which one.
        span: What it took.
        size: Of the segment, in bytes.
    """

    worker: int
    span: Span
    size: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """A worker has stopped what it was at, as it was told to, and is idle."""

    worker: int


@dataclass(frozen=True, slots=True)
class Reached:
    """A worker has come so far in a span."""

    worker: int
    span: Span
    frames: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker is no more; whether there will be another one in its place is the crew's affair.

    Attributes:
        worker: Which one.
        with_machine: Its machine is gone too, so that the span was not the reason.
    """

    worker: int
    with_machine: bool = False


Event = Finished | Stopped | Reached | Lost


class Crew(Protocol):
    """Workers by number; a number never means another worker."""

    def idle(self) -> Collection[int]:
        """Workers who are ready and at nothing."""
        ...

    def start(self, worker: int, span: Span) -> None:
        """Let an idle worker color a span."""
        ...

    def stop(self, worker: int) -> None:
        """A worker's span is not wanted any more; some time later it is idle."""
        ...

    def events(self, timeout_s: float) -> Sequence[Event]:
        """What happened since the last call; waits for something to happen, but not longer.

        Raises:
            VidcolorError: If a worker met something that a user can mend.
            RuntimeError: If a worker met a bug, with its traceback.
        """
        ...

    def read(self, worker: int, span: Span, size: int) -> Iterator[bytes]:
        """The segment of a finished span in chunks; the worker then forgets it. Any thread may.

        Raises:
            Gone: If the worker is no more.
        """
        ...


class Gone(Exception):
    """A worker is no more, and what it had is lost."""
