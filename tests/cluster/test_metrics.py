"""Counters of a canary: parsed, added over pods, told apart by stretch; and the two services beside Kubernetes."""

import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from music_flamingo.cluster.metrics import (
    ERRORS,
    NOTHING,
    REQUESTS,
    VLLM_ERRORS,
    VLLM_REQUESTS,
    Counters,
    from_prometheus,
    parse,
    prometheus,
    quantile,
)
from music_flamingo.cluster.registry import Registry
from music_flamingo.core.errors import UserError
from music_flamingo.serving import metrics as served


def exposed(seconds: list[float], errors: int = 0) -> str:
    """Text as the real client library writes it."""
    registry = CollectorRegistry()
    histogram = Histogram(REQUESTS, "x", buckets=(0.1, 0.5, 1.0, 5.0), registry=registry)
    counter = Counter(ERRORS.removesuffix("_total"), "x", ("reason",), registry=registry)
    for s in seconds:
        histogram.observe(s)
    counter.labels("internal_error").inc(errors)
    counter.labels("invalid_request").inc(1000)
    return generate_latest(registry).decode()


def test_the_names_are_those_that_the_server_exposes():
    assert served.REQUEST_SECONDS._name == REQUESTS
    assert f"{served.ERRORS._name}_total" == ERRORS


def test_a_stretch_is_the_difference_and_what_callers_do_wrong_does_not_count():
    before, after = parse(exposed([0.05] * 10, 1)), parse(exposed([0.05] * 10 + [0.3] * 30, 3))
    seen = after.since(before)
    assert (seen.requests, seen.errors) == (32, 2)
    assert 0.1 < seen.p95_s <= 0.5


def exposed_by_vllm(seconds: list[float], failed: int) -> str:
    """As vLLM 0.24 writes it: its own histogram, and its HTTP server's counter (prometheus-fastapi-instrumentator)."""
    registry = CollectorRegistry()
    engine = {"model_name": "music-flamingo", "engine": "0"}
    histogram = Histogram(VLLM_REQUESTS, "x", tuple(engine), buckets=(0.3, 1.0, 5.0), registry=registry)
    for s in seconds:
        histogram.labels(**engine).observe(s)
    answers = Counter(VLLM_ERRORS.removesuffix("_total"), "x", ("method", "status", "handler"), registry=registry)
    answers.labels("POST", "2xx", "/v1/chat/completions").inc(len(seconds))
    answers.labels("POST", "4xx", "/v1/chat/completions").inc(500)
    answers.labels("POST", "5xx", "/v1/chat/completions").inc(failed)
    answers.labels("GET", "5xx", "none").inc(70)
    return generate_latest(registry).decode()


def test_vllm_is_judged_by_its_own_metrics():
    seen = parse(exposed_by_vllm([0.2] * 10 + [2.0] * 10, 5)).since(parse(exposed_by_vllm([0.2] * 10, 3)))
    assert (seen.requests, seen.errors) == (12, 2)
    assert 1.0 < seen.p95_s <= 5.0


def test_pods_are_added_and_a_pod_that_began_anew_counts_from_nothing():
    total = parse(exposed([0.05] * 4)) + parse(exposed([2.0] * 6)) + NOTHING
    assert total.buckets[math.inf] == 10
    assert parse(exposed([0.05] * 3)).since(parse(exposed([0.05] * 50))).requests == 3


def test_the_quantile_agrees_with_numpy_within_its_bucket():
    seconds = np.random.default_rng(0).uniform(0, 5, 5000)
    bounds = [0.5 * i for i in range(1, 11)]
    buckets = {b: float((seconds <= b).sum()) for b in bounds} | {math.inf: 5000.0}
    assert quantile(buckets, 0.95) == pytest.approx(np.quantile(seconds, 0.95), abs=0.05)
    assert quantile({1.0: 0.0, math.inf: 0.0}, 0.95) is None
    assert quantile({1.0: 1.0, math.inf: 100.0}, 0.95) == 1.0


def test_what_is_no_metrics_says_so():
    with pytest.raises(UserError, match="Prometheus's text format"):
        parse("<html>not here</html>")


@contextmanager
def serving(answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("content-length", 0))
            parts = urlsplit(self.path)
            body = json.loads(self.rfile.read(length) or "{}")
            status, value = answer(self.command, parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}, body)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_prometheus_is_asked_for_the_pods_of_the_canary():
    asked = []

    def answer(method, path, query, body):
        asked.append(query["query"])
        rows = [({"le": "0.5"}, "90"), ({"le": "+Inf"}, "100")]
        if "bucket" not in query["query"]:
            rows = [({}, "7")] if ERRORS in query["query"] else []
        return 200, {"data": {"result": [{"metric": m, "value": [0, v]} for m, v in rows]}}

    with serving(answer) as url:
        found = from_prometheus(prometheus(url), 'pod=~"mf-r-1-predictor-.*"')
    assert found == Counters({0.5: 90.0, math.inf: 100.0}, 7.0)
    assert all('pod=~"mf-r-1-predictor-.*"' in q for q in asked)
    assert f'{{__name__=~"{REQUESTS}_bucket|{VLLM_REQUESTS}_bucket",' in asked[0]
    with pytest.raises(UserError, match="does not answer as it should"):
        prometheus("http://127.0.0.1:1")("up")


class RegistryServer:
    """Kubeflow's model registry in small: what it holds, by the paths of its REST API."""

    def __init__(self) -> None:
        self.held: dict[str, list[dict]] = {"registered_models": [], "model_versions": []}
        self.artifacts: dict[str, list[dict]] = {}

    def __call__(self, method, path, query, body):
        path = path.removeprefix("/api/model_registry/v1alpha3/")
        if path.endswith("/artifacts"):
            held = self.artifacts.setdefault(path.split("/")[1], [])
            if method == "POST":
                held.append(body)
                return 201, body
            return 200, {"items": held}
        if method == "POST":
            self.held[path].append({**body, "id": str(len(self.held[path]) + 1)})
            return 201, self.held[path][-1]
        found = [r for r in self.held[f"{path}s"] if r["name"] == query["name"]]
        return (200, found[0]) if found else (404, {"message": "not found"})


def test_a_release_is_registered_once_however_often_it_is_deployed():
    server = RegistryServer()
    with serving(server) as url:
        for _ in range(2):
            Registry(url).register("music-flamingo", "abab", "s3://models/releases/abab", {"sha256": "ab"})
        Registry(url).register("music-flamingo", "cdcd", "s3://models/releases/cdcd", {})
    assert [m["name"] for m in server.held["registered_models"]] == ["music-flamingo"]
    assert [v["name"] for v in server.held["model_versions"]] == ["abab", "cdcd"]
    assert [a["uri"] for a in server.artifacts["1"]] == ["s3://models/releases/abab"]
    properties = server.held["model_versions"][0]["customProperties"]
    assert properties["sha256"] == {"metadataType": "MetadataStringValue", "string_value": "ab"}
    with pytest.raises(UserError, match="the model registry at"):
        Registry("http://127.0.0.1:1").register("m", "v", "u", {})
