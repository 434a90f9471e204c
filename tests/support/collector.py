"""A collector that keeps what is sent over OTLP, read by OpenTelemetry's own protocol classes; and a server to ask."""

import gzip
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Collector:
    """Answers /v1/traces, /v1/metrics, and any other path with `{"said": "yes"}`."""

    spans: list[Any] = field(default_factory=list)
    points: dict[str, list[tuple[dict[str, str], float]]] = field(default_factory=dict)
    """Metric -> (attributes, value)."""
    asked_with: list[dict[str, str]] = field(default_factory=list)
    """Headers of the requests that were no telemetry."""

    def __enter__(self) -> "Collector":
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                outer._take(self.path, body, dict(self.headers))
                answer = b"" if self.path.startswith("/v1/") else json.dumps({"said": "yes"}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def named(self, name: str) -> Any:
        [found] = [span for span in self.spans if span.name == name]
        return found

    def _take(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        if path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(body)
            self.spans += [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        elif path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (m for scope in resource.scope_metrics for m in scope.metrics):
                    for point in getattr(metric, metric.WhichOneof("data")).data_points:
                        attributes = {a.key: a.value.string_value for a in point.attributes}
                        value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
                        self.points.setdefault(metric.name, []).append((attributes, float(value)))
        else:
            self.asked_with.append(headers)
