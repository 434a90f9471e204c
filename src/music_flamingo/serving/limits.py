"""The size of a request's body, held for every route: beyond it 413, too slow 408, and nothing is parsed.

Every byte is counted before it is kept: of one request, of all that are being read, and of what no route reads. JSON
of very many elements is refused by counting its brackets, before a parser makes objects of them.
"""

import asyncio
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from music_flamingo.serving.errors import ApiError

MAX_BODY_BYTES = 25 * 2**20
MAX_DRAIN_BYTES = 25 * 2**20
"""What a refused client may go on sending before the line is cut: most clients read no answer before they have sent
their all."""
BODY_TIMEOUT_S = 120.0
MAX_HELD_BYTES = 256 * 2**20
"""Of all bodies that are held at once; beyond it 503, and the client may come again."""
MAX_UNREAD_BYTES = 64 * 2**10
"""Of a body that is sent where no route takes one."""
READING = ("/openai/", "/v1/", "/v2/")
"""Where bodies are read."""
MAX_JSON_ELEMENTS = 10_000
"""Opening brackets and commas of a body of JSON; a schema of a thousand properties has about three thousand."""
RETRY_AFTER_S = 2


class BodyLimit:
    """ASGI middleware: reads the whole body, within its bounds, before the application sees the request."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.timeout_s = timeout_s
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        held = _Held(self)
        try:
            async with asyncio.timeout(self.timeout_s):
                body = await self._read(receive, held, self._limit_of(scope["path"]))
            if isinstance(body, bytes) and (refused := _too_many_elements(body, Headers(scope=scope))):
                body = refused
        except TimeoutError:
            body = ApiError(408, f"the body did not arrive within {self.timeout_s:.0f} s.", "timeout")
        except BaseException:
            held.release()
            raise
        try:
            if body is None:
                return
            if isinstance(body, ApiError):
                held.release()
                headers = {"connection": "close", **(body.headers or {})}
                await JSONResponse(body.body(), body.status, headers=headers)(scope, receive, send)
                return
            await self.app(scope, _replay(body, receive), send)
        finally:
            held.release()

    def _limit_of(self, path: str) -> int:
        return self.max_bytes if path.startswith(READING) else min(self.max_bytes, MAX_UNREAD_BYTES)

    async def _read(self, receive: Receive, held: "_Held", max_bytes: int) -> bytes | ApiError | None:
        """The body; the error to answer with; or None when the client went away."""
        parts: list[bytes] = []
        num_bytes, is_kept = 0, True
        while num_bytes <= max_bytes + MAX_DRAIN_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part: bytes = message.get("body", b"")
            num_bytes += len(part)
            if is_kept and num_bytes <= max_bytes and held.take(len(part)):
                parts.append(part)
            else:
                is_kept = False
                parts.clear()
                held.release()
            if not message.get("more_body", False):
                break
        if is_kept:
            return b"".join(parts)
        if num_bytes > max_bytes:
            limit = f"{max_bytes / 2**20:g} MiB" if max_bytes >= 2**20 else f"{max_bytes // 2**10} KiB"
            message_words = f"a request holds at most {limit}; send a shorter recording."
            return ApiError(413, message_words, "body_too_large")
        wait = {"Retry-After": str(RETRY_AFTER_S)}
        return ApiError(503, f"too much is being sent at once; try again in {RETRY_AFTER_S} s.", "busy", headers=wait)


class _Held:
    """One request's bytes among those of all."""

    def __init__(self, limit: BodyLimit) -> None:
        self._limit, self._num_bytes = limit, 0

    def take(self, num_bytes: int) -> bool:
        """False where all requests together would hold too much."""
        if self._limit._held_bytes + num_bytes > MAX_HELD_BYTES:
            return False
        self._limit._held_bytes += num_bytes
        self._num_bytes += num_bytes
        return True

    def release(self) -> None:
        self._limit._held_bytes -= self._num_bytes
        self._num_bytes = 0


def _too_many_elements(body: bytes, headers: Headers) -> ApiError | None:
    """Base64 holds no bracket and no comma: an honest request has few. A recording sent raw is not looked at."""
    if headers.get("content-type", "").startswith(("audio/", "application/octet-stream")):
        return None
    if body.count(b"{") + body.count(b"[") + body.count(b",") <= MAX_JSON_ELEMENTS:
        return None
    return ApiError(400, f"a request holds at most {MAX_JSON_ELEMENTS} elements of JSON.", "too_many_elements")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body as one message, then what really comes (the client going away)."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        message: dict[str, Any] = {"type": "http.request", "body": body, "more_body": False}
        return message

    return replayed
