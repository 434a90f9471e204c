"""The scripted teacher as a chat-completions server: exercises protocol, cache and profile without a model.

A prompt says in plain text what is asked, and its payload stands in it as JSON. The server reads both back: the
prompt is the one that, rendered with that payload, gives the very text. The model is named `scripted`, and what it
writes is the scripted teacher's word for word. Tokens are estimates: a quarter of the characters.
"""

import hashlib
import hmac
import json
import logging
import os
import random
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, get_type_hints

from pydantic import ValidationError

from music_flamingo.core.errors import UserError
from music_flamingo.prompts import render
from music_flamingo.teachers.payloads import TrackPayload
from music_flamingo.teachers.scripted import WRITERS, ScriptedTeacher
from music_flamingo.teachers.tokens import estimated_tokens, prompt_tokens

log = logging.getLogger(__name__)

PATH = "/v1/chat/completions"
MAX_BODY_BYTES = 64 * 2**20


class BadRequestError(ValueError):
    """What a client sent wrong: answered with 400."""


@dataclass(frozen=True)
class ServedCall:
    """A chat completion, read back."""

    prompt_id: str
    payload: TrackPayload
    seed: int
    text: str


class ScriptedServer(ThreadingHTTPServer):
    """Serves on `host`:`port` (0 takes a free one). Subclasses may answer otherwise: see `answer`."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, host: str, port: int, api_key: str | None = None) -> None:
        super().__init__((host, port), _Handler)
        self._key_digest = hashlib.sha256(api_key.encode()).digest() if api_key else None

    @property
    def base_url(self) -> str:
        """Base URL of the API, ending in /v1."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/v1"

    def __enter__(self) -> "ScriptedServer":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def may(self, authorization: str | None) -> bool:
        """Whether the Authorization header carries the server's key; True where it has none."""
        if self._key_digest is None:
            return True
        given = hashlib.sha256((authorization or "").removeprefix("Bearer ").encode()).digest()
        return hmac.compare_digest(given, self._key_digest)

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        """(status, further headers, body) for a chat completion. Raises BadRequestError."""
        return 200, {}, json.dumps(completion(body)).encode()


def serve(host: str, port: int, api_key_env: str | None) -> None:
    """Serve until SIGINT. Raises UserError for a port that is taken or a key that is not set."""
    api_key = os.environ.get(api_key_env) if api_key_env else None
    if api_key_env and not api_key:
        raise UserError(f"the environment variable {api_key_env} is not set: it holds the key that clients must send.")
    try:
        server = ScriptedServer(host, port, api_key)
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port} ({error.strerror}): give another --host or --port.") from error
    log.info("The scripted teacher (no language model) on %s, model `%s`", server.base_url, ScriptedTeacher.model)
    with server:
        threading.Event().wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def setup(self) -> None:
        super().setup()
        # headers and body go out in two writes: without this each reply waits 40 ms for an acknowledgement
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            models = {"object": "list", "data": [{"id": ScriptedTeacher.model, "object": "model"}]}
            self._send(200, {}, json.dumps(models).encode())
        else:
            self._send(404, {}, problem(f"there is no {self.path}"))

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self._send(413, {}, problem("the body is too large"))
            return
        data = self.rfile.read(length)
        if self.path != PATH:
            self._send(404, {}, problem(f"there is no {self.path}"))
        elif not self.server.may(self.headers.get("Authorization")):
            self._send(401, {}, problem("the key is wrong"))
        else:
            self._send(*self._answer(data))

    def _answer(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        try:
            body = json.loads(data)
            if not isinstance(body, dict):
                raise BadRequestError("the body is no JSON object")
            if body.get("model") != ScriptedTeacher.model:
                return 404, {}, problem(f"the only model here is `{ScriptedTeacher.model}`")
            return self.server.answer(body)
        except (ValueError, RecursionError) as error:
            return 400, {}, problem(str(error)[:300])

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet: a line for each of thousands of calls helps nobody."""


def problem(message: str) -> bytes:
    """An error in OpenAI's shape."""
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": None}}).encode()


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """The scripted teacher's chat completion. Raises BadRequestError."""
    call = read_call(body)
    reply = WRITERS[call.prompt_id](call.payload, random.Random(call.seed)).model_dump_json()
    read, written = round(prompt_tokens([call.text], None)), estimated_tokens(reply)
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": ScriptedTeacher.model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        },
    }


def read_call(body: dict[str, Any]) -> ServedCall:
    """The prompt and payload of a chat completion of this project. Raises BadRequestError for any other."""
    text, seed = _text(body), body.get("seed")
    if not isinstance(seed, int):
        raise BadRequestError("a call has an integer `seed`")
    for payload in _payloads(text):
        for prompt_id, shape in _shapes().items():
            try:
                read = shape.model_validate(payload)
            except ValidationError:
                continue
            if render(prompt_id, payload=read.model_dump(mode="json")) == text:
                return ServedCall(prompt_id, read, seed, text)
    raise BadRequestError("the text is none of this project's prompts: the scripted teacher answers nothing else")


def _text(body: dict[str, Any]) -> str:
    try:
        content = body["messages"][-1]["content"]
        parts = [content] if isinstance(content, str) else [p["text"] for p in content if p["type"] == "text"]
        return str(parts[-1])
    except (KeyError, IndexError, TypeError) as error:
        raise BadRequestError(f"`messages` holds no text: {error}") from error


def _payloads(text: str) -> Iterator[dict[str, Any]]:
    """Every JSON object in a text that names a track."""
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            if isinstance(value, dict) and "track_id" in value:
                yield value
        at = text.find("{", end)


@cache
def _shapes() -> dict[str, type[TrackPayload]]:
    """Prompt id -> the payload that its writer reads."""
    return {prompt_id: next(iter(get_type_hints(writer).values())) for prompt_id, writer in WRITERS.items()}
