"""Limit the body of every request before it is parsed: 413 if too large, 408 if too slow.

Every byte is counted before it is kept: of one request, of all that are being read, and of what no route reads. JSON
of very many elements is refused by counting its brackets as they come, before a parser makes objects of them. Of one
client some bodies are read at once and some wait unread, so that the event loop is never busy with a crowd's. An
application whose client went away is cancelled, whatever it waits for.
"""

import asyncio

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.fairness import MAX_IN_HAND_EACH, ClientTurns

MAX_BODY_BYTES = 25 * 2**20
MAX_DRAIN_BYTES = 25 * 2**20
"""What a refused client may go on sending before the line is cut: most clients read no answer before they have sent
their all."""
BODY_TIMEOUT_S = 120.0
STALL_S = 15.0
"""How long a body may stand still."""
MAX_HELD_BYTES = 256 * 2**20
"""Of all bodies that are held at once; beyond it 503, and the client may come again."""
SMALL_BYTES = 2 * 2**20
RESERVED_BYTES = 64 * 2**20
"""Of those, what bodies of more than `SMALL_BYTES` leave free: a few large ones keep no small one out."""
MAX_UNREAD_BYTES = 64 * 2**10
"""Of a body that is sent where no route takes one."""
READING = ("/openai/", "/v1/", "/v2/")
"""Where bodies are read."""
RAW_PATHS = "/v1/music/"
RAW_TYPES = ("audio/", "video/", "application/octet-stream")
"""A recording may be sent raw there: it is no JSON, and nothing in it is counted."""
MAX_JSON_ELEMENTS = 10_000
"""Of a body of JSON, by its `ELEMENT_MARKS`; a schema of a thousand properties has about three thousand."""
ELEMENT_MARKS = (b"{", b"[", b",")
RETRY_AFTER_S = 2
MAX_READ_EACH = MAX_IN_HAND_EACH
"""Bodies of one client that are read at once. The loop turns a dozen times for a request, and each turn reads them all:
of 2,000 it would take seconds."""
TURN_S = 2.0
"""A body that takes longer goes on without its turn: it costs the loop little, and keeps no other waiting."""
MAX_UNREAD_EACH = 256
"""Further ones that wait; beyond them 429. The system holds most of what their client sends: a connection keeps what it
read with the headers, 256 KB at most."""


class BodyLimit:
    """ASGI middleware: reads the whole body, within its bounds, before the application sees the request."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.timeout_s = timeout_s
        self._held_bytes = 0
        self._reading = ClientTurns(MAX_READ_EACH, MAX_UNREAD_EACH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        held = _Held(self)
        try:
            body = await self._in_turn(scope, receive, held)
            if isinstance(body, bytes):
                await until_gone(self.app, scope, body, receive, send)
            elif body is not None:
                held.release()
                headers = {"connection": "close", **(body.headers or {})}
                await JSONResponse(body.body(), body.status, headers=headers)(scope, receive, send)
        finally:
            held.release()

    async def _in_turn(self, scope: Scope, receive: Receive, held: "_Held") -> bytes | ApiError | None:
        """As `_body_of`, when it is this client's turn. A request without a body, as a probe's, waits for none."""
        headers, reading = Headers(scope=scope), None
        if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
            return await self._body_of(scope, receive, held)
        try:
            async with self._reading.turn():
                reading = asyncio.ensure_future(self._body_of(scope, receive, held))
                await asyncio.wait((reading,), timeout=TURN_S)
            return await reading
        except ApiError as refused:
            return refused
        finally:
            if reading is not None:
                reading.cancel()

    async def _body_of(self, scope: Scope, receive: Receive, held: "_Held") -> bytes | ApiError | None:
        """The body; the error to answer with; or None when the client went away."""
        headers = Headers(scope=scope)
        if "transfer-encoding" in headers and "content-length" in headers:  # which of them a proxy believed is unknown
            return ApiError(400, "give Content-Length or Transfer-Encoding, not both.", "ambiguous_length")
        is_raw = scope["path"].startswith(RAW_PATHS) and headers.get("content-type", "").lower().startswith(RAW_TYPES)
        limit = self.max_bytes if scope["path"].startswith(READING) else min(self.max_bytes, MAX_UNREAD_BYTES)
        incoming = _Incoming(held, limit, is_json=not is_raw)
        try:
            async with asyncio.timeout(self.timeout_s):
                while incoming.num_bytes <= limit + MAX_DRAIN_BYTES:
                    async with asyncio.timeout(STALL_S):
                        message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    incoming.add(message.get("body", b""))
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            words = f"the body did not arrive within {self.timeout_s:.0f} s, or stood still for {STALL_S:.0f} s."
            return ApiError(408, words, "timeout")
        return incoming.whole()


class _Incoming:
    """A body as it comes: kept until something is wrong with it, then only counted."""

    def __init__(self, held: "_Held", limit: int, *, is_json: bool) -> None:
        self.num_bytes = 0
        self._held, self._limit, self._is_json = held, limit, is_json
        self._parts: list[bytes] = []
        self._num_elements = 0
        self._refusal: ApiError | None = None

    def add(self, part: bytes) -> None:
        self.num_bytes += len(part)
        if self._refusal is None:
            self._refusal = self._fault_of(part)
        if self._refusal is None:
            self._parts.append(part)
        elif self._parts:
            self._parts.clear()
            self._held.release()

    def whole(self) -> bytes | ApiError:
        return self._refusal or b"".join(self._parts)

    def _fault_of(self, part: bytes) -> ApiError | None:
        if self.num_bytes > self._limit:
            words = f"{self._limit / 2**20:g} MiB" if self._limit >= 2**20 else f"{self._limit // 2**10} KiB"
            return ApiError(413, f"a request holds at most {words}; send a shorter recording.", "body_too_large")
        if self._is_json:
            # what is not there is found not to be ten times faster than it is counted: most of a body is base64
            self._num_elements += sum(part.count(mark) for mark in ELEMENT_MARKS if mark in part)
            if self._num_elements > MAX_JSON_ELEMENTS:
                message = f"a request holds at most {MAX_JSON_ELEMENTS} elements of JSON."
                return ApiError(400, message, "too_many_elements")
        if not self._held.take(len(part)):
            wait = {"Retry-After": str(RETRY_AFTER_S)}
            message = f"too much is being sent at once; try again in {RETRY_AFTER_S} s."
            return ApiError(503, message, "busy", headers=wait)
        return None


class _Held:
    """One request's bytes among those of all."""

    def __init__(self, limit: BodyLimit) -> None:
        self._limit, self._num_bytes = limit, 0

    def take(self, num_bytes: int) -> bool:
        """False where all requests together would hold too much."""
        is_small = self._num_bytes + num_bytes <= SMALL_BYTES
        if self._limit._held_bytes + num_bytes > MAX_HELD_BYTES - (0 if is_small else RESERVED_BYTES):
            return False
        self._limit._held_bytes += num_bytes
        self._num_bytes += num_bytes
        return True

    def release(self) -> None:
        self._limit._held_bytes -= self._num_bytes
        self._num_bytes = 0


async def until_gone(app: ASGIApp, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
    """Run an application on a body that is read, and cancel it when its client goes away before the answer's end."""
    gone, is_given, is_answered = asyncio.Event(), False, False

    async def replayed() -> Message:
        nonlocal is_given
        if is_given:
            await gone.wait()
            return {"type": "http.disconnect"}
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def watched(message: Message) -> None:
        nonlocal is_answered
        is_answered = message["type"] == "http.response.body" and not message.get("more_body", False)
        await send(message)

    running = asyncio.ensure_future(app(scope, replayed, watched))
    leaving = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait((running, leaving), return_when=asyncio.FIRST_COMPLETED)
        if leaving.done():
            gone.set()
            if not is_answered:
                running.cancel()
        await asyncio.wait((running,))
    finally:
        running.cancel()
        leaving.cancel()
    if not running.cancelled():
        running.result()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
