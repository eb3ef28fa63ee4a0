"""One thread that encodes, and what the line sees of it."""

from __future__ import annotations

import queue
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import av.error

from vidcolor.errors import MediaError
from vidcolor.io.source import reason

__all__ = ["EncodeThread", "Sink"]

_WAITING = 2
_POLL_S = 0.05
_Order = Literal["finish", "finish early"]
T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Sink(AbstractContextManager[Any], Protocol[T_contra]):
    """Where frames go; lives in the encoding thread, leaving it cleans up what is unfinished."""

    def encode(self, batch: T_contra, number: int, /) -> None:
        """Take frame `number` of a batch."""

    def finish(self, early: bool, /) -> None:
        """Complete what was begun; `early`: the film goes on, but no more frames come."""


class EncodeThread(Generic[T]):
    """Encodes in a thread of its own, up to two batches behind the line.

    Attributes:
        frames: Frames encoded so far.
        error: What stopped the thread, if anything did.

    Args:
        path: The output, for messages.
        sink: Touched by the thread only.
    """

    def __init__(self, path: Path, sink: Sink[T]) -> None:
        self.frames = 0
        self.error: BaseException | None = None
        self._path, self._sink = path, sink
        self._queue: queue.Queue[tuple[T, int] | _Order] = queue.Queue(_WAITING)
        self._abort = threading.Event()
        self._thread = threading.Thread(target=self._work, name="vidcolor-encode", daemon=True)
        self._thread.start()

    def put(self, batch: T, frames: int) -> None:
        """Hand over a batch of so many frames; waits while the encoder is behind.

        Raises:
            MediaError: If encoding a batch before this one failed.
        """
        self._hand_over((batch, frames))

    def finish(self, early: bool = False) -> None:
        """Encode what waits, complete the output, end.

        Raises:
            MediaError: If something failed.
        """
        self._hand_over("finish early" if early else "finish")
        self._thread.join()
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End, now; does nothing if the thread has ended."""
        self._abort.set()
        self._thread.join()

    def _hand_over(self, item: tuple[T, int] | _Order) -> None:
        while True:
            if self.error is not None:
                raise self.error
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return

    def _work(self) -> None:
        try:
            with self._sink as sink:
                while not self._abort.is_set():
                    try:
                        item = self._queue.get(timeout=_POLL_S)
                    except queue.Empty:
                        continue
                    if isinstance(item, str):
                        sink.finish(item == "finish early")
                        return
                    batch, frames = item
                    for number in range(frames):
                        if self._abort.is_set():
                            return
                        sink.encode(batch, number)
                        self.frames += 1
        except (av.error.FFmpegError, OSError, ValueError) as failure:
            if isinstance(failure, MediaError):
                self.error = failure
            else:
                self.error = MediaError(f"{self._path}: cannot be written ({reason(failure)})")
                self.error.__cause__ = failure
        except BaseException as failure:  # noqa: BLE001  (raised again where the film is written)
            self.error = failure
