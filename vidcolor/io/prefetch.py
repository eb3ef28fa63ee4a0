"""Work ahead of the consumer, in one thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class _End(Generic[T]):
    error: BaseException | None


def prefetch(
    items: Iterable[T], depth: int, cancel: Callable[[], None] | None = None
) -> Generator[T]:
    """Iterate `items` in a thread of its own, up to `depth` of them ahead.

    The thread starts with the first request. It ends when the items do, when they raise, or when
    the consumer stops early and this generator is closed; a generator given as `items` is closed
    in the thread that ran it.

    Args:
        items: What to fetch; touched by the thread only, but for `cancel`.
        depth: Items that may wait, at least 1 (one more is in the making).
        cancel: Called when the consumer stops early, for items that may be waited for without
            end; their own method of that name if it is not given.

    Yields:
        The items, in order.

    Raises:
        ValueError: If `depth` is below 1.
        BaseException: Whatever iterating `items` raised, after the items before it.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, not {depth}")
    return _prefetch(items, depth, cancel or getattr(items, "cancel", None))


def _prefetch(items: Iterable[T], depth: int, cancel: Callable[[], None] | None) -> Generator[T]:
    waiting: queue.Queue[T | _End[T]] = queue.Queue(depth)
    stop = threading.Event()

    def offer(item: T | _End[T]) -> None:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return

    def produce() -> None:
        error: BaseException | None = None
        iterator: Iterator[T] = iter(())
        try:
            iterator = iter(items)
            for item in iterator:
                offer(item)
                if stop.is_set():
                    break
        except BaseException as raised:  # noqa: BLE001  (handed to the consumer)
            error = raised
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
            offer(_End(error))

    thread = threading.Thread(target=produce, name="vidcolor-prefetch", daemon=True)
    thread.start()
    ended = False
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                ended = True
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        if cancel is not None and not ended:
            cancel()
        thread.join()
