"""Authentication and rate limits: optional API keys, with a limit for each.

A key travels as `Authorization: Bearer KEY` (as OpenAI's clients send it) or `X-Api-Key`. Only digests of keys are
kept, and they are compared in constant time. Without keys, limits go by the client's address.
"""

import hashlib
import hmac
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from music_flamingo.core.errors import UserError
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.fairness import CLIENT, network_of
from music_flamingo.serving.metrics import ERRORS

GUARDED = ("/openai/", "/v1/", "/v2/models/")
"""What costs work. Health, metrics and the page itself are open."""
MIN_KEY_CHARS = 16
MINUTE_S = 60.0
MAX_CLIENTS = 10_000
"""Whose last minute is remembered: an attacker with many addresses must not fill the memory."""


@dataclass(frozen=True)
class Access:
    """The rules of one server."""

    digests: tuple[bytes, ...] = ()
    """SHA-256 of each key; none: no key is asked for."""
    per_minute: int | None = None
    """Requests of one key, or of one address where there are no keys."""

    @classmethod
    def of(cls, keys_file: Path | None, per_minute: int | None) -> "Access":
        """One key a line. Raises UserError for a file that is missing, empty or holds a key too short to be secret."""
        return cls(_read_keys(keys_file) if keys_file else (), per_minute)


def _read_keys(path: Path) -> tuple[bytes, ...]:
    if not path.is_file():
        raise UserError(f"{path} is not a file: give one with an API key a line.")
    # utf-8-sig: a mark at the beginning, as some editors write it, is no part of the first key
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text ({error}): save it as UTF-8, with a key a line.") from error
    for number, line in enumerate(lines, 1):
        if not (line.startswith("#") or all("!" <= char <= "~" for char in line)):
            raise UserError(
                f"{path}, line {number}: a key has letters, digits and signs of ASCII, and no spaces; put a comment on "
                "a line of its own."
            )
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys or any(len(key) < MIN_KEY_CHARS for key in keys):
        raise UserError(
            f"{path}: give at least one key, each of {MIN_KEY_CHARS} characters or more "
            "(python -c 'import secrets; print(secrets.token_urlsafe(32))')."
        )
    return tuple(hashlib.sha256(key.encode()).digest() for key in keys)


@dataclass
class Guard:
    """ASGI middleware: 401 without a key that is known, 429 with Retry-After beyond the limit."""

    app: ASGIApp
    access: Access
    _asked: "OrderedDict[bytes, deque[float]]" = field(default_factory=OrderedDict)
    """Client -> when it asked within the last minute."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        CLIENT.set(_address(scope))
        if scope["path"].startswith(GUARDED):
            try:
                self._admit(scope)
            except ApiError as error:
                ERRORS.labels(error.code).inc()
                await JSONResponse(error.body(), error.status, headers=error.headers)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        client = self._known_key(Headers(scope=scope)) if self.access.digests else _address(scope)
        CLIENT.set(client)
        if self.access.per_minute is not None and scope["method"] == "POST":
            self._count(client, time.monotonic(), self.access.per_minute)

    def _known_key(self, headers: Headers) -> bytes:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = token if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        digest = hashlib.sha256(given.strip().encode()).digest()
        # all of them, whichever matches: the time taken tells nothing
        if not sum(hmac.compare_digest(digest, known) for known in self.access.digests):
            message = "an API key that this server knows is needed: Authorization: Bearer KEY."
            raise ApiError(401, message, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        return digest

    def _count(self, client: bytes, now_s: float, per_minute: int) -> None:
        asked = self._asked.setdefault(client, deque())
        self._asked.move_to_end(client)
        while len(self._asked) > MAX_CLIENTS:
            self._asked.popitem(last=False)
        while asked and now_s - asked[0] >= MINUTE_S:
            asked.popleft()
        if len(asked) >= per_minute:
            wait_s = int(MINUTE_S - (now_s - asked[0])) + 1
            message = f"{per_minute} requests a minute are allowed; try again in {wait_s} s."
            raise ApiError(429, message, "rate_limit_exceeded", headers={"Retry-After": str(wait_s)})
        asked.append(now_s)


def _address(scope: Scope) -> bytes:
    client = scope.get("client")
    return network_of(str(client[0]) if client else "").encode()
