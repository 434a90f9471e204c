"""A real HTTP server on loopback that answers by a script and remembers what it was asked."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Before the answer begins."""
    drip_s: float = 0.0
    """Between one byte and the next."""
    hang_up: bool = False
    """Close the connection without an answer."""

    @classmethod
    def of(cls, value: object) -> "Answer":
        return cls(body=json.dumps(value).encode())


@dataclass(frozen=True)
class Asked:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)


@dataclass
class Server:
    base_url: str
    asked: list[Asked]


Script = Sequence[Answer] | Callable[[int, Asked], Answer]
"""The answers in order, the last one for ever; or a function of the request's number (from 0) and the request."""


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    asked: list[Asked] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Asked(self.path, dict(self.headers), body)
            with lock:
                number = len(asked)
                asked.append(request)
            answer = script(number, request) if callable(script) else script[min(number, len(script) - 1)]
            time.sleep(answer.delay_s)
            try:
                self._write(answer)
            except OSError:
                self.close_connection = True  # the client left

        def _write(self, answer: Answer) -> None:
            if answer.hang_up:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            step = 1 if answer.drip_s else max(1, len(answer.body))
            for start in range(0, len(answer.body), step):
                self.wfile.write(answer.body[start : start + step])
                self.wfile.flush()
                time.sleep(answer.drip_s)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_address[1]}/v1", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
