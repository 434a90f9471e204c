"""JSON-over-HTTP client with retries; returns Failed instead of raising.

Worth another try are 408, 425, 429 and 5xx, a timeout, a broken connection, a reply that is not JSON and JSON of the
wrong shape; other answers (400, 401, 404, a redirect) would be the same again. `Retry-After` is obeyed, else the wait
doubles with every try, times a jitter between a half and one that follows from the seed and the call's name. The key is
read from the environment, sent in a header, and appears in no message and no log.
"""

import json
import logging
import os
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from music_flamingo.core import telemetry
from music_flamingo.core.errors import ConfigError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

MAX_REPLY_BYTES = 64 * 2**20
"""A reply that goes on after this is cut off: no answer to a question of ours is that long."""
TRY_AGAIN = frozenset({408, 425, 429})
_HEARS_NOTHING = re.compile(
    r"\b(?:audio|input_audio|multi-?modal)\b[^.]{0,60}"
    r"\b(?:not (?:yet )?(?:supported|allowed|enabled)|unsupported|disabled)\b"
    r"|\b(?:not|n't) support\b[^.]{0,40}\b(?:input_)?audio|\bunsupported\b[^.]{0,40}audio|\bnot a multi-?modal\b"
    r"|\bat most 0 audio|\bmmproj\b",
    re.IGNORECASE,
)
"""How servers say that their model takes no sound; some say it with a status that else means that they are busy."""


class UselessToRepeatError(ValueError):
    """Raised by a reader of replies: the same call would give the same again."""


class Endpoint(BaseModel):
    """Where a server is and how patiently it is asked."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    base_url: str
    """`http://teacher:8000/v1`: what stands before `/chat/completions`."""
    api_key_env: str | None
    """Name of the environment variable that holds the key; null for a server that asks for none."""
    timeout_s: float = Field(gt=0)
    """Of one try, from the connection to the last byte."""
    max_tries: int = Field(ge=1)
    first_wait_s: float = Field(ge=0)
    """Before the second try; each further wait is twice as long."""
    max_wait_s: float = Field(ge=0)
    """No wait is longer, also where `Retry-After` asks for more."""

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url begins with http:// or https:// and names a host")
        if parts.username is not None or parts.query or parts.fragment:
            # configurations are written into manifests: a secret in the address would be published
            raise ValueError("base_url holds no user, password or query: put the key into the variable of api_key_env")
        return url.rstrip("/")


@dataclass(frozen=True)
class RequestBody:
    """What is sent: `json` alone, or a form of `fields` and `files` (name -> file name, bytes, media type)."""

    json: Mapping[str, Any] | None = None
    fields: Mapping[str, str | list[str]] | None = None
    files: Mapping[str, tuple[str, bytes, str]] | None = None


@dataclass(frozen=True)
class HttpReply(Generic[T]):
    """A parsed response and the number of tries."""

    value: T
    num_tries: int


@dataclass(frozen=True)
class Failed:
    """`reason` is a word for a record's status: http_429, http_5xx, http_400 ..., timeout, unreachable, invalid_json,
    too_large, wrong_shape, no_audio (the server hears nothing). `message` is for people and holds no key."""

    reason: str
    message: str
    num_tries: int


@dataclass(frozen=True)
class _Trouble:
    reason: str
    message: str
    again: bool = True
    retry_after_s: float | None = None


class JsonClient:
    """Asks one server. May be used by several threads at once. Close it, or use it in a `with` block."""

    def __init__(self, endpoint: Endpoint, seed: int, sleep: Callable[[float], None] = time.sleep) -> None:
        import httpx

        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs a line a request
        self._endpoint, self._seed, self._sleep = endpoint, seed, sleep
        self._key = read_key(endpoint)
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        self._client = httpx.Client(headers=headers, timeout=endpoint.timeout_s, limits=limits)

    def __enter__(self) -> "JsonClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def post(
        self, path: str, content: Callable[[int], RequestBody], read: Callable[[Any], T], *, call: str
    ) -> HttpReply[T] | Failed:
        """Post `content(try)` (tries count from 1) to base_url + path until `read` takes the parsed JSON.

        `read` raises ValueError (pydantic's is one), KeyError, IndexError or TypeError for JSON of the wrong shape.
        `call` names this call among all others: calls that are refused together do not come back together.
        """
        with telemetry.span(f"POST {path}", server=self._endpoint.base_url) as note:
            outcome = self._post(path, content, read, call)
            note(tries=outcome.num_tries, outcome=outcome.reason if isinstance(outcome, Failed) else "answered")
        return outcome

    def _post(
        self, path: str, content: Callable[[int], RequestBody], read: Callable[[Any], T], call: str
    ) -> HttpReply[T] | Failed:
        trouble = _Trouble("unreachable", "no try was made")
        for attempt in range(1, self._endpoint.max_tries + 1):
            if attempt > 1:
                self._sleep(self._wait_s(call, attempt, trouble.retry_after_s))
            outcome = self._try(path, content(attempt), read)
            if not isinstance(outcome, _Trouble):
                return HttpReply(outcome, attempt)
            trouble = outcome
            if not trouble.again:
                break
        said = trouble.message.replace(self._key, "***") if self._key else trouble.message  # some servers repeat it
        return Failed(trouble.reason, f"{self._endpoint.base_url}{path}: {said}", attempt)

    def _try(self, path: str, content: RequestBody, read: Callable[[Any], T]) -> T | _Trouble:
        import httpx

        ends_at = time.monotonic() + self._endpoint.timeout_s
        request = self._client.build_request(
            "POST",
            self._endpoint.base_url + path,
            json=content.json,
            data=content.fields,
            files=content.files,
            headers=telemetry.outgoing(),
        )
        try:
            response = self._client.send(request, stream=True)
            try:
                body = _body(response, ends_at)
            finally:
                response.close()
        except httpx.TimeoutException:
            return _Trouble("timeout", f"no whole answer within {self._endpoint.timeout_s} s")
        except httpx.HTTPError as error:
            return _Trouble("unreachable", f"{type(error).__name__}: {error}")
        if isinstance(body, _Trouble):
            return body
        refusal = _refusal(response, body)
        return _parse(body, read) if refusal is None else refusal

    def _wait_s(self, call: str, attempt: int, retry_after_s: float | None) -> float:
        """Before the try number `attempt` of a call."""
        most_s = self._endpoint.max_wait_s
        if retry_after_s is not None:
            return min(retry_after_s, most_s)
        jitter = random.Random(f"{self._seed}:{call}:{attempt}").uniform(0.5, 1.0)
        return min(self._endpoint.first_wait_s * 2.0 ** (attempt - 2), most_s) * jitter


def read_key(endpoint: Endpoint) -> str | None:
    """The endpoint's key; None where it needs none. Raises ConfigError, without the value, for a missing or odd one."""
    if endpoint.api_key_env is None:
        return None
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ConfigError(
            f"the key for {endpoint.base_url} is looked for in the environment variable {endpoint.api_key_env}, "
            f"which is not set or is not plain text. Set it, or set api_key_env to null."
        )
    return key


def _body(response: "httpx.Response", ends_at: float) -> bytes | _Trouble:
    """The reply's bytes, in bounded time and memory: a server can drip for ever, and zipped bytes can swell."""
    import httpx

    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            return _Trouble("too_large", f"the reply is longer than {MAX_REPLY_BYTES} bytes", again=False)
        if time.monotonic() > ends_at:
            raise httpx.ReadTimeout("the reply goes on after the time of a try")
    return bytes(body)


def _refusal(response: "httpx.Response", body: bytes) -> _Trouble | None:
    """What a status other than 2xx means."""
    status = response.status_code
    if response.is_success:
        return None
    said = body[:300].decode("utf-8", "replace").strip()
    message = f"HTTP {status} {response.reason_phrase}" + (f": {said}" if said else "")
    if _HEARS_NOTHING.search(said):
        return _Trouble("no_audio", message, again=False)
    if status >= 500 or status in TRY_AGAIN:
        reason = "http_5xx" if status >= 500 else f"http_{status}"
        return _Trouble(reason, message, retry_after_s=retry_after_s(response.headers.get("Retry-After")))
    return _Trouble(f"http_{status}", message, again=False)


def retry_after_s(header: str | None) -> float | None:
    """Seconds to wait by a `Retry-After` header, a number or a date; None where it says nothing usable."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if seconds < float("inf") else None


def _parse(body: bytes, read: Callable[[Any], T]) -> T | _Trouble:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        return _Trouble("invalid_json", f"the reply is not JSON: {error}")
    try:
        return read(parsed)
    except UselessToRepeatError as error:
        return _Trouble("wrong_shape", str(error)[:300], again=False)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return _Trouble("wrong_shape", f"the reply has the wrong shape: {type(error).__name__}: {str(error)[:300]}")
