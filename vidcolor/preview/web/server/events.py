"""What has changed, told to every open page (server-sent events).

Every event says how something is now, so of events about the same thing only the newest counts: a
page that takes them slowly misses none of the last ones, and what waits for it stays small.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import secrets
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from vidcolor.preview.web.server.answers import Refusal, plain

__all__ = ["EventStream", "Events", "Listener"]

_log = logging.getLogger(__name__)

_MOST_STREAMS = 32
# browsers open six connections to one server: pages that listen must leave some for the rest
_MOST_OF_ONE = 5
_KEPT = 512
_MOST_WAITING = 1024
_HEARTBEAT_S = 15.0
_STUCK_S = 15.0
_RETRY_MS = 2000
_EVENT_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})")
_REFRESH = {"kind": "refresh"}

Entry = tuple[int, tuple[Any, ...], str]
"""Number, what it is about, JSON."""

# what an event is about; of two about the same the newer one counts
_ABOUT = ("kind", "id", "film", "shot", "side", "key")


class Events:
    """Tells all streams; may be told from any thread.

    Args:
        heartbeat_s: Streams say something at least that often.
        stuck_s: A page that takes nothing for that long is dropped.
    """

    def __init__(self, heartbeat_s: float = _HEARTBEAT_S, stuck_s: float = _STUCK_S) -> None:
        self.heartbeat_s = heartbeat_s
        self.stuck_s = stuck_s
        self.run = secrets.token_hex(4)
        self._number = 0
        self._kept: deque[Entry] = deque(maxlen=_KEPT)
        self._streams: set[Listener] = set()
        self._of_one: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._closed = False

    def publish(self, event: Mapping[str, Any]) -> None:
        """Tell every page.

        Args:
            event: Goes out as JSON.

        Raises:
            TypeError: If there is something in it that is not for the browser.
        """
        data = plain(event)
        text = json.dumps(data, allow_nan=False, separators=(",", ":"))
        about = tuple(data.get(word) for word in _ABOUT)
        with self._lock:
            self._number += 1
            entry = self._number, about, text
            self._kept.append(entry)
            for stream in self._streams:
                stream.put(entry)

    def open(self, who: str, last: str | None) -> Listener:
        """A place for a new stream.

        Args:
            who: The browser.
            last: Id of the last event that it has, if it was here before.

        Raises:
            Refusal: If there are too many.
        """
        with self._lock:
            if self._closed:
                raise Refusal(503, "the server is going down; start it again and reload")
            if len(self._streams) >= _MOST_STREAMS or self._of_one[who] >= _MOST_OF_ONE:
                raise Refusal(
                    503, "too many pages listen already; close one of the tabs and reload"
                )
            stream = Listener(who, asyncio.get_running_loop())
            self._streams.add(stream)
            self._of_one[who] += 1
            missed = self._missed(last)
            if last is None:
                stream.greeting = f"id: {self.run}-{self._number}\n"
            if missed is None:
                stream.put((self._number, ("refresh",), json.dumps(_REFRESH)))
            for entry in missed or ():
                stream.put(entry)
        return stream

    def _missed(self, last: str | None) -> list[Entry] | None:
        """Events after an id; None if they are not all here any more."""
        if last is None:
            return []
        found = _EVENT_ID.fullmatch(last)
        if not found or found[1] != self.run:
            return None
        number = int(found[2])
        oldest = self._kept[0][0] if self._kept else self._number + 1
        if number + 1 < oldest or number > self._number:
            return None
        return [entry for entry in self._kept if entry[0] > number]

    def leave(self, stream: Listener) -> None:
        """Free the place of a stream; twice does no harm."""
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)
                self._of_one[stream.who] -= 1
                if not self._of_one[stream.who]:
                    del self._of_one[stream.who]

    def close(self) -> None:
        """End all streams and open no more; from any thread."""
        with self._lock:
            self._closed = True
            for stream in self._streams:
                stream.end()

    @property
    def listening(self) -> int:
        """How many streams are open."""
        return len(self._streams)


class Listener:
    """What waits for one page. Put from any thread, taken by the thread of the loop.

    Attributes:
        who: The browser.
        ended: Whether there will be nothing more, or more has come than can wait.
        greeting: What the stream says first.
    """

    def __init__(self, who: str, loop: asyncio.AbstractEventLoop) -> None:
        self.who = who
        self.ended = False
        self.greeting = ""
        self._loop = loop
        self._ready = asyncio.Event()
        self._entries: OrderedDict[tuple[Any, ...], tuple[int, str]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, entry: Entry) -> None:
        """One event more."""
        number, about, text = entry
        with self._lock:
            self._entries.pop(about, None)
            self._entries[about] = number, text
            if len(self._entries) > _MOST_WAITING:
                self.ended = True
        self._wake()

    def end(self) -> None:
        """There will be nothing more."""
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the stream with it
            self._loop.call_soon_threadsafe(self._ready.set)

    async def take(self, timeout_s: float) -> list[tuple[int, str]]:
        """All that waits; nothing if nothing comes for so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return []
        self._ready.clear()
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
        return entries


class EventStream:
    """The answer to one page: events until it leaves, is stuck, or the server goes (ASGI)."""

    def __init__(self, events: Events) -> None:
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events.

        Raises:
            Refusal: If there are too many streams.
        """
        headers = HTTPConnection(scope).headers
        client = scope.get("client") or ("",)
        who = f"{client[0]} {headers.get('user-agent', '')}"
        stream = self._events.open(who, headers.get("last-event-id"))
        try:
            sending = asyncio.ensure_future(self._send(stream, send))
            leaving = asyncio.ensure_future(_gone(receive))
            tasks = {sending, leaving}
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    raise result
        finally:
            self._events.leave(stream)

    async def _send(self, stream: Listener, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"text/event-stream; charset=utf-8"),
                    (b"x-accel-buffering", b"no"),
                ],
            }
        )
        # an id without data is remembered by browsers and not told to the page
        text = f"retry: {_RETRY_MS}\n{stream.greeting}\n"
        while True:
            try:
                async with asyncio.timeout(self._events.stuck_s):
                    await send(
                        {"type": "http.response.body", "body": text.encode(), "more_body": True}
                    )
            except TimeoutError:
                _log.info("a page took no events for %g s and was dropped", self._events.stuck_s)
                return
            if stream.ended:
                break
            entries = await stream.take(self._events.heartbeat_s)
            run = self._events.run
            text = "".join(f"id: {run}-{number}\ndata: {data}\n\n" for number, data in entries)
            text = text or ": still here\n\n"
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
