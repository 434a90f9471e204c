"""What a browser must know of the server's answers, and what pages of other sites may not have it do.

A page of another site can post text/plain or a form without asking first (no CORS preflight): on a server without
keys, in a private network, that would spend its time and its limits. Such requests are refused before their body.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from music_flamingo.serving.errors import ApiError

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; media-src 'self' blob: data:; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}
PAGE = "/ui"
SIMPLE_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
"""What a page of another site may send without asking."""


class PageGuard:
    """ASGI middleware: security headers on every answer, the page's own policy on the page, no cross-site posts."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(MutableHeaders(scope=message), is_page=scope["path"].startswith(PAGE))
            await send(message)

        if scope["method"] == "POST" and (refused := _refusal(Headers(scope=scope))):
            response = JSONResponse(refused.body(), refused.status, headers={"connection": "close"})
            await response(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


def _add_headers(headers: MutableHeaders, *, is_page: bool) -> None:
    for name, value in SECURITY_HEADERS.items():
        if is_page or name != "content-security-policy":
            headers[name] = value


def _refusal(headers: Headers) -> ApiError | None:
    if headers.get("sec-fetch-site") == "cross-site":
        return ApiError(403, "pages of other sites may not ask this server.", "cross_site")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in SIMPLE_TYPES:
        return ApiError(415, f"{kind} is not taken: send application/json.", "unsupported_media_type")
    return None
