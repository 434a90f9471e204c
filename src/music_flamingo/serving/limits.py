"""Limits of request bodies on every route: 413 above the size, 408 if too slow, before parsing."""

import asyncio
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from music_flamingo.serving.errors import ApiError

MAX_BODY_BYTES = 25 * 2**20
MAX_DRAIN_BYTES = 25 * 2**20
"""What a refused client may go on sending before the line is cut: most clients read no answer before they have sent
their all."""
BODY_TIMEOUT_S = 120.0


class BodyLimit:
    """ASGI middleware: reads the whole body, within its bounds, before the application sees the request."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.timeout_s):
                body = await self._read(receive)
        except TimeoutError:
            body = ApiError(408, f"the body did not arrive within {self.timeout_s:.0f} s.", "timeout")
        if body is None:
            return
        if isinstance(body, ApiError):
            response = JSONResponse(body.body(), body.status, headers={"connection": "close"})
            await response(scope, receive, send)
            return
        await self.app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | ApiError | None:
        """The body; the error to answer with; or None when the client went away."""
        parts: list[bytes] = []
        num_bytes = 0
        while num_bytes <= self.max_bytes + MAX_DRAIN_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part: bytes = message.get("body", b"")
            num_bytes += len(part)
            if num_bytes <= self.max_bytes:
                parts.append(part)
            else:
                parts.clear()
            if not message.get("more_body", False):
                break
        if num_bytes <= self.max_bytes:
            return b"".join(parts)
        limit_mib = self.max_bytes / 2**20
        return ApiError(413, f"a request holds at most {limit_mib:g} MiB; send a shorter recording.", "body_too_large")


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
