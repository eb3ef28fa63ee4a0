"""One connection: whoever opens it must ask for something soon, and take what is answered."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Connection"]

_HEAD_S = 15.0
_STUCK_S = 300.0  # a film that is paused in a browser takes nothing either
_MOST_OF_ONE = 64


class Connection(H11Protocol):
    """What uvicorn does, with an end for those who hold a connection and do nothing with it.

    The number of connections is bounded, so idle ones would keep everybody else out.
    """

    _head_ends: asyncio.TimerHandle | None = None
    _stuck_ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has come; one machine far away cannot take all places."""
        super().connection_made(transport)
        if self._others() > _MOST_OF_ONE:
            transport.abort()
        else:
            self._expect_head()

    def data_received(self, data: bytes) -> None:
        """A piece of a request."""
        super().data_received(data)
        # what still comes of a request that was refused is thrown away, but not for ever
        refused = self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY
        if self.conn.their_state is not h11.IDLE and not refused:
            self._head_ends = _stopped(self._head_ends)
        elif self._head_ends is None:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._head_ends = _stopped(self._head_ends)
        self._stuck_ends = _stopped(self._stuck_ends)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Whoever is answered takes it too slowly."""
        super().pause_writing()
        self._stuck_ends = self.loop.call_later(_STUCK_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The answer is taken again."""
        self._stuck_ends = _stopped(self._stuck_ends)
        super().resume_writing()

    def _expect_head(self) -> None:
        # what the request before was answered may still be on its way, and is not waited for
        self._head_ends = self.loop.call_later(_HEAD_S, self.transport.abort)

    def _others(self) -> int:
        """How many connections this client has, of those that do not come from this machine."""
        if self.client is None or _is_here(self.client[0]):
            return 0
        known = (cast(H11Protocol, one).client for one in self.connections)
        return sum(client is not None and client[0] == self.client[0] for client in known)


def _is_here(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _stopped(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """No timer any more."""
    if timer is not None:
        timer.cancel()
    return None
