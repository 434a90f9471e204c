"""A canary's requests, errors and latency over an interval, from its own `/metrics` or Prometheus.

The metrics are those of `mf serve`, or of vLLM where that serves.

Counters only grow, so an interval is the difference of two readings; a counter that fell (a pod that began anew) counts
from nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from music_flamingo.core.errors import UserError

REQUESTS = "music_flamingo_request_seconds"
"""The histogram of answered requests (serving/metrics.py)."""
ERRORS = "music_flamingo_errors_total"
OURS = ("internal_error", "busy")
"""Reasons that are a fault of the server; what a caller did wrong says nothing about a release."""
VLLM_REQUESTS = "vllm:e2e_request_latency_seconds"
VLLM_ERRORS = "http_requests_total"
"""vLLM counts its failures as what its HTTP server answered: status `5xx` on the routes below `/v1/`."""
QUANTILE = 0.95

Fetch = Callable[[str], str]


@dataclass(frozen=True)
class Counters:
    """Totals since the start of the pods."""

    buckets: Mapping[float, float]
    """Upper bound in seconds -> answered requests up to it."""
    errors: float

    def since(self, before: "Counters") -> "MetricsInterval":
        """Growth since earlier counters, restarts allowed for."""
        grown = {le: _grown(n, before.buckets.get(le, 0.0)) for le, n in self.buckets.items()}
        answered = grown.get(math.inf, 0.0)
        errors = _grown(self.errors, before.errors)
        return MetricsInterval(round(answered + errors), round(errors), quantile(grown, QUANTILE))

    def __add__(self, other: "Counters") -> "Counters":
        bounds = sorted({*self.buckets, *other.buckets})
        total = {le: self.buckets.get(le, 0.0) + other.buckets.get(le, 0.0) for le in bounds}
        return Counters(total, self.errors + other.errors)


@dataclass(frozen=True)
class MetricsInterval:
    """What happened between two readings."""

    requests: int
    errors: int
    p95_s: float | None
    """None where nothing was answered."""

    @property
    def error_rate(self) -> float:
        """Errors over requests; 0.0 without requests."""
        return self.errors / self.requests if self.requests else 0.0


NOTHING = Counters({}, 0.0)


def parse(text: str) -> Counters:
    """Counters from Prometheus's text format. Raises UserError for what is not that."""
    from prometheus_client.parser import text_string_to_metric_families

    buckets: dict[float, float] = {}
    errors = 0.0
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in (f"{REQUESTS}_bucket", f"{VLLM_REQUESTS}_bucket"):
                    bound = float(sample.labels["le"])
                    buckets[bound] = buckets.get(bound, 0.0) + sample.value
                elif _is_failure(sample.name, sample.labels):
                    errors += sample.value
    except ValueError as error:
        raise UserError(f"these are no metrics in Prometheus's text format: {error}.") from error
    return Counters(buckets, errors)


def _is_failure(name: str, labels: Mapping[str, str]) -> bool:
    if name == ERRORS:
        return labels.get("reason") in OURS
    return name == VLLM_ERRORS and labels.get("status") == "5xx" and labels.get("handler", "").startswith("/v1/")


def from_prometheus(ask: Callable[[str], list[tuple[Mapping[str, str], float]]], selector: str) -> Counters:
    """Counters summed over the pods that `selector` matches, by Prometheus's query API."""
    names, reasons = "|".join(f"{name}_bucket" for name in (REQUESTS, VLLM_REQUESTS)), "|".join(OURS)
    bounds = ask(f'sum by (le) ({{__name__=~"{names}",{selector}}})')
    failed = [
        *ask(f'sum({ERRORS}{{{selector},reason=~"{reasons}"}})'),
        *ask(f'sum({VLLM_ERRORS}{{{selector},status="5xx",handler=~"/v1/.*"}})'),
    ]
    return Counters({float(labels["le"]): value for labels, value in bounds}, sum(value for _, value in failed))


def prometheus(url: str) -> Callable[[str], list[tuple[Mapping[str, str], float]]]:
    """Asks a Prometheus server. The callable raises UserError naming it where it does not answer."""
    import httpx

    def ask(query: str) -> list[tuple[Mapping[str, str], float]]:
        try:
            answer = httpx.get(f"{url.rstrip('/')}/api/v1/query", params={"query": query}, timeout=20)
            answer.raise_for_status()
            found = answer.json()["data"]["result"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise UserError(f"Prometheus at {url} does not answer as it should: {error}. Mend --prometheus.") from error
        return [(row["metric"], float(row["value"][1])) for row in found]

    return ask


def quantile(buckets: Mapping[float, float], q: float) -> float | None:
    """The q-quantile in seconds, linear within a bucket, as Prometheus's histogram_quantile has it.

    The last finite bound where it lies beyond; None where nothing was counted.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    rank, below, lower = q * total, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return lower
            within = buckets[bound] - below
            return lower + (bound - lower) * ((rank - below) / within if within else 1.0)
        below, lower = buckets[bound], bound
    return lower


def _grown(now: float, before: float) -> float:
    return now - before if now >= before else now
