"""Security headers for browsers, and refusal of requests that pages of other sites make.

A page of another site can post text/plain or a form without asking first (no CORS preflight): on a server without
keys, in a private network, that would spend its time and its limits. Such requests are refused before their body.
Browsers say where a page is from in `Sec-Fetch-Site`, and on plain http in `Origin` alone. A page whose name was made
to point at this machine (DNS rebinding) is of its own site: a server that listens on this machine alone and has no
keys takes no other names than this machine's.
"""

import ipaddress
from urllib.parse import urlsplit

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

    def __init__(self, app: ASGIApp, local_only: bool = False) -> None:
        """`local_only`: requests name this machine, `localhost` or by its number."""
        self.app = app
        self._local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(MutableHeaders(scope=message), is_page=scope["path"].startswith(PAGE))
            await send(message)

        headers = Headers(scope=scope)
        refused = _refusal(headers) if scope["method"] == "POST" else None
        if self._local_only and not _names_this_machine(headers.get("host", "")):
            refused = ApiError(403, "this server answers to localhost alone: ask it by that name.", "foreign_host")
        if refused:
            response = JSONResponse(refused.body(), refused.status, headers={"connection": "close"})
            await response(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


def _add_headers(headers: MutableHeaders, *, is_page: bool) -> None:
    for name, value in SECURITY_HEADERS.items():
        if is_page or name != "content-security-policy":
            headers[name] = value


def _refusal(headers: Headers) -> ApiError | None:
    if _is_cross_site(headers):
        return ApiError(403, "pages of other sites may not ask this server.", "cross_site")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in SIMPLE_TYPES:
        return ApiError(415, f"{kind} is not taken: send application/json.", "unsupported_media_type")
    return None


def _is_cross_site(headers: Headers) -> bool:
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    # no page can set either of these two: a proxy keeps the name that was asked for in the second
    own = (headers.get("host"), headers.get("x-forwarded-host"))
    return origin is not None and urlsplit(origin).netloc.lower() not in [name.lower() for name in own if name]


def _names_this_machine(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if not name or name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
