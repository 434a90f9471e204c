"""Kubeflow Pipelines in small: the v2beta1 endpoints over HTTP that the kfp client uses to submit and follow a run."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

ROOT = "/apis/v2beta1"


class KfpServer:
    """What was uploaded and started, and how runs go."""

    def __init__(self) -> None:
        self.pipelines: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []
        self.experiments: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.story: list[dict[str, Any]] = []
        """States of a run, one for each time it is asked for; the last one stays."""
        self.failures: list[int] = []
        """Statuses with which the next questions about a run are answered."""
        self.url = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        if path == "/healthz":
            return 200, {"multi_user": False}
        if path == "/pipelines":
            name = json.loads(query["filter"])["predicates"][0]["stringValue"]
            return 200, {"pipelines": [p for p in self.pipelines if p["display_name"] == name]}
        if path == "/pipelines/upload":
            self.pipelines.append({"pipeline_id": "p1", "display_name": query["name"]})
            return 200, self.pipelines[-1]
        if path == "/pipelines/upload_version":
            found = {
                "pipeline_id": query["pipelineid"],
                "pipeline_version_id": f"v{len(self.versions) + 1}",
                "display_name": query["name"],
                "spec": _package(body),
            }
            self.versions.append(found)
            return 200, {k: v for k, v in found.items() if k != "spec"}
        if re.fullmatch("/pipelines/[^/]+/versions", path):
            return 200, {"pipeline_versions": [{k: x for k, x in v.items() if k != "spec"} for v in self.versions]}
        if path == "/experiments" and method == "GET":
            return 200, {"experiments": self.experiments}
        if path == "/experiments":
            self.experiments.append({"experiment_id": "e1", **json.loads(body)})
            return 200, self.experiments[-1]
        if path == "/runs":
            self.runs.append({"run_id": f"run-{len(self.runs) + 1}", "state": "PENDING", **json.loads(body)})
            return 200, self.runs[-1]
        if path.startswith("/runs/"):
            return self._run(path.removeprefix("/runs/"))
        return 404, {"message": f"no {method} {path}"}

    def _run(self, run_id: str) -> tuple[int, Any]:
        if self.failures:
            return self.failures.pop(0), {"message": "not now"}
        run = next((r for r in self.runs if r["run_id"] == run_id), None)
        if run is None:
            return 404, {"message": f"run {run_id} is not there"}
        state = self.story.pop(0) if len(self.story) > 1 else self.story[0]
        tasks = [{"task_id": name, "display_name": name, **self._task(value)} for name, value in state["tasks"].items()]
        return 200, {**run, "state": state["state"], "run_details": {"task_details": tasks}}

    @staticmethod
    def _task(value: str) -> dict[str, Any]:
        state, _, message = value.partition(": ")
        return {"state": state} | ({"error": {"code": 1, "message": message}} if message else {})


def _package(body: bytes) -> Any:
    """The YAML inside a multipart upload."""
    part = body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
    return next(iter(yaml.safe_load_all(part.decode())))


@contextmanager
def running() -> Iterator[KfpServer]:
    kfp = KfpServer()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, value = kfp.answer(self.command, parts.path.removeprefix(ROOT), query, body)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kfp.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield kfp
    finally:
        server.shutdown()
        server.server_close()
