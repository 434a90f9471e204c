"""Limit connections: their number, how long one may be silent, and how long an answer may stay unread.

uvicorn waits for ever for the first line of a request and for a client that does not read. Both cost a client nothing
and the server a connection, and of an answer its place.
"""

import asyncio
import resource
import weakref
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from music_flamingo.serving.fairness import network_of

HEADERS_S = 20.0
"""From a connection, or from a request's first byte, to the end of its headers; also for what a refused request still
sends."""
UNREAD_S = 30.0
"""How long a client may leave an answer unread that no buffer holds."""
MAX_CONNECTIONS = 2000
"""Beyond it one makes room for a new one: of the address with most idle ones, that which has been idle longest."""


def max_connections() -> int:
    """Never more than half of the files that the process may open."""
    return min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


class BoundedConnection(H11Protocol):
    """uvicorn's HTTP connection with limits of time and number."""

    _idle_of: ClassVar[weakref.WeakKeyDictionary[ServerState, "dict[str, dict[BoundedConnection, None]]"]] = (
        weakref.WeakKeyDictionary()
    )
    """Idle connections of each server by address, the longest idle first: none is looked for among thousands."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._idle = self._idle_of.setdefault(self.server_state, {})
        self._headers_due: asyncio.TimerHandle | None = None
        self._reading_due: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request of this connection is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; where there are too many, the longest idle one goes, or this one."""
        super().connection_made(transport)
        if len(self.connections) > max_connections():
            crowd: dict[BoundedConnection, None] = max(self._idle.values(), key=len, default={self: None})
            oldest = next(iter(crowd))
            oldest._is_not_idle()
            self.connections.discard(oldest)
            oldest.transport.abort()
        self._is_idle_now()
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._is_not_idle()
        self._headers_are_here()
        self._is_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came; time runs until the headers are whole, however often something comes."""
        super().data_received(data)
        if self.is_idle:
            self._expect_headers()
        else:
            self._is_not_idle()
            self._headers_are_here()

    def on_response_complete(self) -> None:
        """Idle from here on, within uvicorn's own limit for a connection that is kept."""
        super().on_response_complete()
        if not self.is_idle:  # the next request had come already
            self._headers_are_here()
        else:
            self._is_idle_now()

    def pause_writing(self) -> None:
        """The client does not read: give it some time."""
        super().pause_writing()
        self._reading_due = self._reading_due or self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads."""
        super().resume_writing()
        self._is_read()

    def _is_idle_now(self) -> None:
        if not self.transport.is_closing():
            self._idle.setdefault(self._address, {})[self] = None

    def _is_not_idle(self) -> None:
        of_address = self._idle.get(self._address, {})
        of_address.pop(self, None)
        if not of_address:
            self._idle.pop(self._address, None)

    @property
    def _address(self) -> str:
        return network_of(self.client[0]) if self.client else ""

    def _expect_headers(self) -> None:
        if self._headers_due is None and not self.transport.is_closing():
            self._headers_due = self.loop.call_later(HEADERS_S, self.transport.abort)

    def _headers_are_here(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _is_read(self) -> None:
        if self._reading_due is not None:
            self._reading_due.cancel()
            self._reading_due = None
