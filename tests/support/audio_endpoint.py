"""A real HTTP server on loopback with OpenAI's chat and embeddings routes: it answers by a rule and counts calls."""

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = Callable[[str, bytes | None], str | int | None]
"""(words, audio bytes or None) -> the reply; a number is the status of an error, None is status 400."""


class AudioEndpoint:
    def __init__(self, reply: Reply) -> None:
        self.reply, self.calls = reply, []
        self.bodies: list[dict] = []
        self.models: list[dict] | None = None
        """What GET /models lists; None: there is no such route."""
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> "AudioEndpoint":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def chat(self, body: dict) -> dict | int | None:
        content = body["messages"][0]["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        words = "".join(p["text"] for p in parts if p["type"] == "text")
        sounds = [base64.b64decode(p["input_audio"]["data"]) for p in parts if p["type"] == "input_audio"]
        with self._lock:
            self.bodies.append(body)
            self.calls.append((words, sounds[0] if sounds else None))
        said = self.reply(words, sounds[0] if sounds else None)
        if said is None or isinstance(said, int):
            return said
        return {"choices": [{"index": 0, "message": {"role": "assistant", "content": said}}]}

    def embeddings(self, body: dict) -> dict:
        rows = [[float(text.lower().count(c)) + 0.01 for c in "abcdefghijklmnopqrstuvwxyz"] for text in body["input"]]
        return {"data": [{"index": i, "embedding": row} for i, row in enumerate(rows)]}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = endpoint.embeddings(body) if self.path.endswith("embeddings") else endpoint.chat(body)
                status = 400 if answer is None else answer if isinstance(answer, int) else 200
                data = json.dumps(answer if status == 200 else {"error": {"message": "no"}}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                known = endpoint.models is not None and self.path == "/v1/models"
                data = json.dumps({"data": endpoint.models} if known else {"detail": "Not Found"}).encode()
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler
